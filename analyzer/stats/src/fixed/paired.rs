//! Tests of pairs: the same request, answered twice.

use statrs::distribution::{Binomial, Discrete, DiscreteCDF};

use super::ranks::{ranks, ties};
use super::{Effect, Tested, check_pairs, normal_quantile, two_sided};
use crate::error::{StatsError, check_alpha};
use crate::real::{exp, ln};

/// Pairs that differ, up to which [`sign_flip`] goes through all assignments of signs.
pub const SIGN_FLIP_EXACT_MAX: usize = 20;

/// McNemar's test of paired flags.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct McNemar {
    /// Pairs in which only the first is set.
    pub only_first: u64,
    /// Pairs in which only the second is set.
    pub only_second: u64,
    /// Exact p, from the binomial distribution of the discordant pairs.
    pub exact_p: f64,
    /// Mid-p: half of the chance of what was seen counts; closer to its level, slightly above it at times.
    pub mid_p: f64,
}

/// McNemar's exact and mid-p test; a flag is set when it is not 0.
///
/// Source: M. W. Fagerland, S. Lydersen, P. Laake, "The McNemar test for binary matched-pairs data: mid-p and asymptotic
/// are better than exact conditional", BMC Medical Research Methodology 13:91 (2013). Without discordant pairs both p are 1.
///
/// # Errors
/// No pairs; values that are not finite.
pub fn mcnemar(pairs: &[(f64, f64)]) -> Result<McNemar, StatsError> {
    check_pairs(pairs, 1)?;
    let count = |wanted: (bool, bool)| {
        pairs.iter().filter(|(first, second)| (*first != 0.0, *second != 0.0) == wanted).count() as u64
    };
    let (only_first, only_second) = (count((true, false)), count((false, true)));
    let (fewer, all) = (only_first.min(only_second), only_first + only_second);
    let (mut exact_p, mut mid_p) = (1.0, 1.0);
    if let (true, Ok(binomial)) = (all > 0, Binomial::new(0.5, all)) {
        exact_p = (2.0 * binomial.cdf(fewer)).min(1.0);
        mid_p = (2.0 * binomial.cdf(fewer) - binomial.pmf(fewer)).min(1.0);
    }
    Ok(McNemar { only_first, only_second, exact_p, mid_p })
}

/// Wilcoxon's signed-rank test with Pratt's zeros (they are ranked, and then left out), in the normal approximation with ties
/// corrected and without a correction of continuity. The statistic is the sum of the ranks of positive differences.
///
/// Source: J. W. Pratt, "Remarks on zeros and ties in the Wilcoxon signed rank procedures", JASA 54 (1959).
///
/// # Errors
/// No pairs; values that are not finite; no pair that differs.
pub fn wilcoxon_pratt(pairs: &[(f64, f64)]) -> Result<Tested, StatsError> {
    check_pairs(pairs, 1)?;
    let differences: Vec<f64> = pairs.iter().map(|(first, second)| second - first).collect();
    let sizes: Vec<f64> = differences.iter().map(|difference| difference.abs()).collect();
    let zeros = sizes.iter().filter(|size| **size == 0.0).count() as f64;
    let n = sizes.len() as f64;
    if zeros == n {
        return Err(StatsError::TooFew { n: 0, minimum: 1 });
    }
    let ranked = ranks(&sizes);
    let positive: f64 = ranked
        .iter()
        .zip(&differences)
        .filter(|(_, difference)| **difference > 0.0)
        .map(|(rank, _)| rank)
        .sum();
    let others: Vec<f64> = sizes.into_iter().filter(|size| *size != 0.0).collect();
    let expected = (n * (n + 1.0) - zeros * (zeros + 1.0)) / 4.0;
    let cubes = n * (n + 1.0) * (2.0 * n + 1.0) - zeros * (zeros + 1.0) * (2.0 * zeros + 1.0);
    let deviation = ((cubes - ties(&others) / 2.0) / 24.0).sqrt();
    Ok(Tested { statistic: positive, p: two_sided((positive - expected) / deviation) })
}

/// The sign-flip permutation test of a mean difference of 0: exact up to [`SIGN_FLIP_EXACT_MAX`] pairs that differ, and above it with
/// `flips` random assignments and `(1 + as extreme) / (1 + flips)`. The statistic is the mean difference. The same seed gives
/// the same p.
///
/// Source: E. J. G. Pitman, "Significance tests which may be applied to samples from any populations", 1937; the random
/// version's p: B. Phipson, G. K. Smyth, "Permutation p-values should never be zero", 2010.
///
/// # Errors
/// No pairs; values that are not finite.
pub fn sign_flip(pairs: &[(f64, f64)], flips: u32, seed: u64) -> Result<Tested, StatsError> {
    check_pairs(pairs, 1)?;
    let differences: Vec<f64> =
        pairs.iter().map(|(first, second)| second - first).filter(|difference| *difference != 0.0).collect();
    let seen: f64 = differences.iter().sum();
    // Sums of the same numbers in another order differ in their last digits.
    let slack = 1e-12 * differences.iter().map(|difference| difference.abs()).sum::<f64>();
    let extreme = |sum: f64| sum.abs() >= seen.abs() - slack;
    let signed = |bits: u64, from: usize, part: &[f64]| -> f64 {
        let sign = |at: usize| if bits >> (at + from) & 1 == 1 { -1.0 } else { 1.0 };
        part.iter().enumerate().map(|(at, difference)| difference * sign(at)).sum()
    };
    let p = if differences.len() <= SIGN_FLIP_EXACT_MAX {
        let all = 1_u64 << differences.len();
        let hits = (0..all).filter(|bits| extreme(signed(*bits, 0, &differences))).count();
        hits as f64 / all as f64
    } else {
        let mut random = SplitMix(seed);
        let mut hits = 0_u32;
        for _ in 0..flips {
            let sum: f64 = differences.chunks(64).map(|part| signed(random.next(), 0, part)).sum();
            hits += u32::from(extreme(sum));
        }
        f64::from(hits + 1) / f64::from(flips + 1)
    };
    Ok(Tested { statistic: seen / pairs.len() as f64, p })
}

/// The ratio of the means of pairs (second over first), with the delta method's interval on the logarithm.
///
/// # Errors
/// Fewer than two pairs; values that are not finite; a mean that is not above 0.
pub fn paired_ratio(pairs: &[(f64, f64)], alpha: f64) -> Result<Effect, StatsError> {
    check_alpha(alpha)?;
    check_pairs(pairs, 2)?;
    let n = pairs.len() as f64;
    let first = pairs.iter().map(|pair| pair.0).sum::<f64>() / n;
    let second = pairs.iter().map(|pair| pair.1).sum::<f64>() / n;
    if first <= 0.0 || second <= 0.0 {
        return Err(StatsError::NoRatio { mean: first.min(second) });
    }
    // The variance of second/mean - first/mean is that of the logarithm's linear part.
    let of_logarithm = |pair: &(f64, f64)| pair.1 / second - pair.0 / first;
    let spread = pairs.iter().map(|pair| of_logarithm(pair) * of_logarithm(pair)).sum::<f64>() / (n - 1.0);
    let half = normal_quantile(1.0 - alpha / 2.0) * (spread / n).sqrt();
    let logarithm = ln(second / first);
    Ok(Effect { value: second / first, low: exp(logarithm - half), high: exp(logarithm + half) })
}

/// Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}
