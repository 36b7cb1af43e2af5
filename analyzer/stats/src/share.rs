//! Whether yes and no come in a stated share: the test behind a sample-ratio mismatch.
//!
//! Source: M. Lindon, A. Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022. With two arms their
//! Dirichlet mixture is a beta mixture: the evidence against the share `p` after `x` yes and `y` no is
//! `B(c p + x, c (1 - p) + y) / (B(c p, c (1 - p)) p^x (1 - p)^y)`. While the share is true that is a martingale that begins
//! at one, so the chance that it *ever* reaches `1 / alpha` is at most `alpha` (Ville's inequality), however often it is
//! looked at. A chi-squared test at every look has no such bound.
//!
//! The concentration `c` says which deviations are expected: a large one waits for small deviations, a small one is quick
//! to see gross ones. The mean over [`CONCENTRATIONS`] is a martingale as well, and is never much slower than the best.

use crate::error::StatsError;
use crate::real::{exp, ln};

/// Concentrations of the mixture, each with the same weight.
pub const CONCENTRATIONS: [f64; 4] = [10.0, 100.0, 1_000.0, 10_000.0];
/// Logarithm of the evidence where something came that the share rules out; it stays finite.
pub const LN_EVIDENCE_MAX: f64 = 1e6;

/// A stated share and the evidence against it, one observation after the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShareTest {
    expected: f64,
    hits: u64,
    misses: u64,
    /// Logarithm of the evidence at each concentration.
    ln_evidence: [f64; 4],
    greatest: f64,
}

impl ShareTest {
    /// A test of `expected`, in 0 to 1. A share of 0 or 1 is refuted by the first observation that it rules out.
    ///
    /// # Errors
    /// [`StatsError::Probability`] outside 0 to 1.
    pub fn new(expected: f64) -> Result<Self, StatsError> {
        if !(0.0..=1.0).contains(&expected) {
            return Err(StatsError::Probability(expected));
        }
        Ok(Self { expected, hits: 0, misses: 0, ln_evidence: [0.0; 4], greatest: 0.0 })
    }

    /// One more observation, in the order in which they were made.
    pub fn observe(&mut self, hit: bool) {
        let (chance, seen) =
            if hit { (self.expected, self.hits) } else { (1.0 - self.expected, self.misses) };
        let all = (self.hits + self.misses) as f64;
        for (ln_evidence, concentration) in self.ln_evidence.iter_mut().zip(CONCENTRATIONS) {
            // The mixture's own forecast of this observation, over the share's.
            let forecast = (concentration * chance + seen as f64) / (concentration + all);
            *ln_evidence += if chance > 0.0 { ln(forecast / chance) } else { LN_EVIDENCE_MAX };
        }
        if hit {
            self.hits += 1;
        } else {
            self.misses += 1;
        }
        self.greatest = self.greatest.max(self.ln_evidence());
    }

    /// Many more observations at once, in closed form: as [`Self::observe`] of each, those that the share has more often before
    /// the others (which matters for a share of 0 or 1 only). The evidence is looked at after the last of them.
    pub fn observe_many(&mut self, hits: u64, misses: u64) {
        if self.expected >= 0.5 {
            self.take(true, hits);
            self.take(false, misses);
        } else {
            self.take(false, misses);
            self.take(true, hits);
        }
        self.greatest = self.greatest.max(self.ln_evidence());
    }

    /// Observations that are alike, without a look at the evidence.
    fn take(&mut self, hit: bool, count: u64) {
        let (chance, seen) =
            if hit { (self.expected, &mut self.hits) } else { (1.0 - self.expected, &mut self.misses) };
        let before = *seen as f64;
        *seen = seen.saturating_add(count);
        let (after, all) = (self.n() as f64, self.n().saturating_sub(count) as f64);
        for (ln_evidence, concentration) in self.ln_evidence.iter_mut().zip(CONCENTRATIONS) {
            let grown = |from: f64| libm::lgamma(concentration * chance + from);
            // The product of the mixture's forecasts, which rise by one over one more each time.
            let forecasts = grown(before + count as f64) - grown(before) + libm::lgamma(concentration + all)
                - libm::lgamma(concentration + after);
            *ln_evidence += match count {
                0 => 0.0,
                _ if chance > 0.0 => forecasts - count as f64 * ln(chance),
                _ => count as f64 * LN_EVIDENCE_MAX,
            };
        }
    }

    /// Logarithm of the evidence against the share now; below 0 where the share fits better than any other.
    #[must_use]
    pub fn ln_evidence(&self) -> f64 {
        let most = self.ln_evidence.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = self.ln_evidence.iter().map(|part| exp(part - most)).sum();
        (most + ln(sum / CONCENTRATIONS.len() as f64)).min(LN_EVIDENCE_MAX)
    }

    /// Whether the share is refuted: the evidence reached `1 / alpha` at some time.
    #[must_use]
    pub fn refuted(&self, alpha: f64) -> bool {
        self.greatest >= -ln(alpha)
    }

    /// Observations that were hits.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits
    }

    /// All observations.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.hits.saturating_add(self.misses)
    }
}
