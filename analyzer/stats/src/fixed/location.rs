//! Two independent samples: where they lie.

use statrs::distribution::{Binomial, DiscreteCDF};

use super::ranks::{ranks, ties};
use super::{Effect, Tested, check, mean, normal_quantile, sorted, two_sided, variance};
use crate::error::{StatsError, check_alpha};
use crate::real::{exp, ln_1p};

/// Welch's t-test of equal means; the statistic is positive when the second mean is greater.
///
/// Two constant samples have p 1 where they are equal and 0 where they are not.
///
/// # Errors
/// Fewer than two values in a sample; values that are not finite.
pub fn welch(first: &[f64], second: &[f64]) -> Result<Tested, StatsError> {
    check(first, 2)?;
    check(second, 2)?;
    let (one, two) = (variance(first) / first.len() as f64, variance(second) / second.len() as f64);
    let difference = mean(second) - mean(first);
    if one + two == 0.0 {
        return Ok(Tested { statistic: 0.0, p: f64::from(u8::from(difference == 0.0)) });
    }
    let statistic = difference / (one + two).sqrt();
    let freedom = (one + two).powi(2)
        / (one * one / (first.len() as f64 - 1.0) + two * two / (second.len() as f64 - 1.0));
    Ok(Tested { statistic, p: student_two_sided(statistic, freedom) })
}

/// The Mann-Whitney test in the normal approximation, ties and continuity corrected. The statistic is U of the second sample:
/// the pairs in which its value is greater, ties counting half.
///
/// # Errors
/// An empty sample; values that are not finite.
pub fn mann_whitney(first: &[f64], second: &[f64]) -> Result<Tested, StatsError> {
    check(first, 1)?;
    check(second, 1)?;
    let all: Vec<f64> = second.iter().chain(first).copied().collect();
    let (n, m) = (second.len() as f64, first.len() as f64);
    let statistic = ranks(&all).iter().take(second.len()).sum::<f64>() - n * (n + 1.0) / 2.0;
    let sum = n + m;
    let deviation = (n * m / 12.0 * ((sum + 1.0) - ties(&all) / (sum * (sum - 1.0)))).sqrt();
    if deviation == 0.0 {
        return Ok(Tested { statistic, p: 1.0 });
    }
    let distance = (statistic.max(n * m - statistic) - n * m / 2.0 - 0.5) / deviation;
    // Nearer to the middle than the correction, the tail is above one half.
    let p = if distance >= 0.0 { two_sided(distance) } else { 1.0 };
    Ok(Tested { statistic, p })
}

/// The Brunner-Munzel test of `P(first < second) + P(first = second) / 2 = 1/2`, with the t approximation; unlike Mann-Whitney's
/// it holds where the spreads differ. The statistic is positive when the second sample lies higher.
///
/// Source: E. Brunner, U. Munzel, "The nonparametric Behrens-Fisher problem", Biometrical Journal 42 (2000).
///
/// # Errors
/// Fewer than two values in a sample; values that are not finite; samples that do not overlap (the test has no variance there).
pub fn brunner_munzel(first: &[f64], second: &[f64]) -> Result<Tested, StatsError> {
    check(first, 2)?;
    check(second, 2)?;
    let all: Vec<f64> = first.iter().chain(second).copied().collect();
    let together = ranks(&all);
    let (n, m) = (first.len() as f64, second.len() as f64);
    let (of_first, of_second) = together.split_at(first.len());
    let placement = |joint: &[f64], own: &[f64]| -> (f64, f64) {
        let within = ranks(own);
        let centre = mean(joint) - mean(&within);
        let spread: f64 = joint.iter().zip(&within).map(|(joint, own)| (joint - own - centre).powi(2)).sum();
        (mean(joint), spread / (own.len() as f64 - 1.0))
    };
    let (mean_first, spread_first) = placement(of_first, first);
    let (mean_second, spread_second) = placement(of_second, second);
    let spread = n * spread_first + m * spread_second;
    if spread == 0.0 {
        return Err(StatsError::NoSpread);
    }
    let statistic = n * m * (mean_second - mean_first) / ((n + m) * spread.sqrt());
    let freedom =
        spread.powi(2) / ((n * spread_first).powi(2) / (n - 1.0) + (m * spread_second).powi(2) / (m - 1.0));
    Ok(Tested { statistic, p: student_two_sided(statistic, freedom) })
}

/// The difference of a quantile, second minus first, from order statistics: each sample's exact interval at `1 - alpha / 2`, and
/// the widest difference between the two. It holds for every distribution, and is wide for it.
///
/// # Errors
/// An empty sample; values that are not finite; `share` or `alpha` outside (0, 1); too few values for an interval.
pub fn quantile_difference(
    first: &[f64],
    second: &[f64],
    share: f64,
    alpha: f64,
) -> Result<Effect, StatsError> {
    check_alpha(alpha)?;
    if !(share > 0.0 && share < 1.0) {
        return Err(StatsError::Probability(share));
    }
    check(first, 1)?;
    check(second, 1)?;
    let one = order_interval(&sorted(first), share, alpha / 2.0)?;
    let two = order_interval(&sorted(second), share, alpha / 2.0)?;
    Ok(Effect { value: two.value - one.value, low: two.low - one.high, high: two.high - one.low })
}

/// The quantile with the order statistics that enclose it with a chance of at least `1 - alpha`.
fn order_interval(sorted: &[f64], share: f64, alpha: f64) -> Result<Effect, StatsError> {
    let n = sorted.len();
    let too_few = || {
        let needed = (alpha / 2.0).ln() / share.max(1.0 - share).ln();
        StatsError::TooFew { n, minimum: needed.ceil() as usize }
    };
    let binomial = Binomial::new(share, n as u64).map_err(|_| StatsError::Probability(share))?;
    // P(B < low) <= alpha/2 and P(B >= high) <= alpha/2, ranks counted from 1.
    let below = |rank: u64| if rank == 0 { 0.0 } else { binomial.cdf(rank - 1) };
    let (mut low, mut high) = (0_u64, n as u64 + 1);
    while below(low + 1) <= alpha / 2.0 && low < n as u64 {
        low += 1;
    }
    while high > 1 && 1.0 - below(high - 1) <= alpha / 2.0 {
        high -= 1;
    }
    let at =
        |rank: u64| usize::try_from(rank).ok().and_then(|rank| sorted.get(rank.checked_sub(1)?)).copied();
    let middle = at(((share * n as f64).ceil() as u64).max(1));
    match (middle, at(low), at(high)) {
        (Some(value), Some(low), Some(high)) => Ok(Effect { value, low, high }),
        _ => Err(too_few()),
    }
}

/// The difference of two ratios of sums, second minus first, where clusters (sessions) are independent and what is in them is
/// not: one `(numerator, denominator)` per cluster.
///
/// Source: A. Deng, U. Knoblich, J. Lu, "Applying the delta method in metric analytics", KDD 2018, equation 5.
///
/// # Errors
/// Fewer than two clusters in a sample; values that are not finite; denominators whose sum is not above 0.
pub fn clustered_ratio(
    first: &[(f64, f64)],
    second: &[(f64, f64)],
    alpha: f64,
) -> Result<Effect, StatsError> {
    check_alpha(alpha)?;
    let (one, spread_one) = ratio_of_sums(first)?;
    let (two, spread_two) = ratio_of_sums(second)?;
    let half = normal_quantile(1.0 - alpha / 2.0) * (spread_one + spread_two).sqrt();
    Ok(Effect { value: two - one, low: two - one - half, high: two - one + half })
}

fn ratio_of_sums(clusters: &[(f64, f64)]) -> Result<(f64, f64), StatsError> {
    super::check_pairs(clusters, 2)?;
    let k = clusters.len() as f64;
    let below: f64 = clusters.iter().map(|cluster| cluster.1).sum();
    if below <= 0.0 {
        return Err(StatsError::NoRatio { mean: below / k });
    }
    let ratio = clusters.iter().map(|cluster| cluster.0).sum::<f64>() / below;
    let residuals: f64 = clusters.iter().map(|(above, below)| (above - ratio * below).powi(2)).sum();
    Ok((ratio, residuals * k / (k - 1.0) / (below * below)))
}

/// Both tails of Student's distribution: twice the density's integral beyond `|statistic|`, by the double exponential rule (H.
/// Takahasi, M. Mori, 1974), which keeps its digits in far tails and at many degrees of freedom.
fn student_two_sided(statistic: f64, freedom: f64) -> f64 {
    let from = statistic.abs();
    let density = |x: f64| exp(-(freedom + 1.0) / 2.0 * ln_1p(x * x / freedom));
    let (step, quarter) = (1.0 / 64.0, std::f64::consts::FRAC_PI_2);
    let term = |at: i32| {
        let u = f64::from(at) * step;
        let beyond = exp(quarter * u.sinh());
        density(from + beyond) * beyond * quarter * u.cosh()
    };
    let sum: f64 = (-320..=320).map(term).filter(|term| term.is_finite()).sum();
    let scale = gamma_ratio(freedom / 2.0) / (freedom * std::f64::consts::PI).sqrt();
    (2.0 * scale * sum * step).min(1.0)
}

/// `gamma(z + 1/2) / gamma(z)`: Stirling's series of the ratio (NIST DLMF 5.11.13) beyond 50, and its recurrence below.
fn gamma_ratio(z: f64) -> f64 {
    if z < 50.0 {
        return z / (z + 0.5) * gamma_ratio(z + 1.0);
    }
    let series = [
        1.0,
        -1.0 / 8.0,
        1.0 / 128.0,
        5.0 / 1024.0,
        -21.0 / 32768.0,
        -399.0 / 262_144.0,
        869.0 / 4_194_304.0,
    ];
    z.sqrt() * series.iter().rev().fold(0.0, |sum, coefficient| sum / z + coefficient)
}
