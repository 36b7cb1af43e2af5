//! Prediction-powered confidence sequences: a cheap score of every value, corrected where the truth is known.
//!
//! For any weight `t` the mean of the truth is `t E[f] + E[y - t f]`, `f` the score and `y` the truth (A. Angelopoulos,
//! J. Duchi, T. Zrnic, "PPI++: efficient prediction-powered inference", 2023). The first part is known from all values, the
//! second, the *rectifier*, from the few whose truth is known. [`rectifier`] gives a confidence sequence for the second;
//! [`combined`] adds one for the first.
//!
//! Under looking: the weight for each known value is chosen from the known values before it (so it is predictable, and
//! `y_j - t_j f_j` has the conditional mean `E[y] - t_j E[f]`), and the sequence is about the mean of these, to which
//! `E[f]` is added as often as it was taken off: with the mean of the `t_j`. The two parts are joined by the union bound, so
//! that it does not matter how the known values were drawn from all values, or that they came later.
//!
//! Values that were drawn with different probabilities count with a weight in inverse proportion to it (T. Zrnic, E. Candès,
//! "Active statistical inference", 2024). The weighted mean is the `m` for which `w_j (z_j - m)` has the mean zero, so only the
//! ratios of weights matter; the interval is the set of `m` that the asymptotic sequence over these does not rule out
//! (Fieller's form, as for ratios in [`crate::asymptotic`]).

use crate::asymptotic::ratio_of_means;
use crate::error::{StatsError, check_alpha, check_finite};
use crate::estimate::Estimate;

/// The n at which the rectifier's interval is narrowest: people label some hundred answers, not thousands.
pub const TUNED_N: f64 = 150.0;
/// Known values before the weight is chosen from them; until then it is [`WEIGHT_FIRST`].
const WARM_UP: f64 = 10.0;
/// Weight of a score of which nothing is known.
const WEIGHT_FIRST: f64 = 0.5;

/// A value whose truth is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Known {
    /// The truth.
    pub truth: f64,
    /// The score.
    pub score: f64,
    /// How much it counts: one over the probability that its truth became known, up to a factor.
    pub weight: f64,
}

/// What has to be added to the scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rectifier {
    /// The weight of the scores, 0 to 1: the mean of the weights used.
    pub score_weight: f64,
    /// Mean of truth minus weighted score, with its confidence sequence.
    pub estimate: Estimate,
}

/// Confidence sequence for the mean of `truth - t score`; `known` in the order in which truths became known.
///
/// # Errors
/// Values that are not finite, weights that are not above zero, too few values, `alpha` outside (0, 1).
pub fn rectifier(known: &[Known], alpha: f64, tuned_n: f64) -> Result<Rectifier, StatsError> {
    check_alpha(alpha)?;
    check_finite(known.iter().flat_map(|one| [one.truth, one.score, one.weight]))?;
    if known.iter().any(|one| one.weight <= 0.0) {
        return Err(StatsError::NoRatio { mean: 0.0 });
    }
    let mut tuning = Tuning::default();
    let mut terms = Vec::with_capacity(known.len());
    let (mut weighted, mut weights) = (0.0, 0.0);
    for one in known {
        let t = tuning.weight();
        terms.push((one.weight, one.weight * (one.truth - t * one.score)));
        weighted += one.weight * t;
        weights += one.weight;
        tuning.add(one);
    }
    let estimate = ratio_of_means(&terms, alpha, tuned_n)?;
    Ok(Rectifier { score_weight: if weights > 0.0 { weighted / weights } else { WEIGHT_FIRST }, estimate })
}

/// The mean of the truth: `scores` is a confidence sequence for the mean of all scores. The error probabilities add up.
#[must_use]
pub fn combined(scores: Estimate, rectifier: &Rectifier) -> Estimate {
    let (t, rest) = (rectifier.score_weight, rectifier.estimate);
    Estimate {
        value: t * scores.value + rest.value,
        low: t * scores.low + rest.low,
        high: t * scores.high + rest.high,
        n: scores.n,
    }
}

/// Power tuning: the weight that makes the variance of `y - t f` least, `cov(y, f) / var(f)`, from what was seen so far,
/// and between 0 and 1. (With as many scores as truths a smaller one would be best; there are many more.)
#[derive(Default)]
struct Tuning {
    n: f64,
    weights: f64,
    truth: f64,
    score: f64,
    products: f64,
    squares: f64,
}

impl Tuning {
    fn weight(&self) -> f64 {
        if self.n < WARM_UP || self.weights <= 0.0 {
            return WEIGHT_FIRST;
        }
        let covariance = self.products / self.weights - self.truth * self.score / self.weights.powi(2);
        let variance = self.squares / self.weights - (self.score / self.weights).powi(2);
        // Scores that do not vary correct nothing.
        if variance > 1e-12 { (covariance / variance).clamp(0.0, 1.0) } else { 0.0 }
    }

    fn add(&mut self, one: &Known) {
        self.n += 1.0;
        self.weights += one.weight;
        self.truth += one.weight * one.truth;
        self.score += one.weight * one.score;
        self.products += one.weight * one.truth * one.score;
        self.squares += one.weight * one.score * one.score;
    }
}
