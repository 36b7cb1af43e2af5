//! Confidence sequences for quantiles; they hold at every n for every distribution, ties included.
//!
//! The share of values at or below the true `p`-quantile is `p`. A gambler who bets against that, with a beta
//! distribution of bets, has after `k` of `n` values below it the capital
//! `B(k + a, n - k + b) / (B(a, b) p^k (1 - p)^(n - k))`, a martingale that ever exceeds `1 / alpha` with probability at
//! most `alpha` (Ville's inequality; the capital is Robbins' beta mixture, H. Robbins, "Statistical methods related to the
//! law of the iterated logarithm", Annals of Mathematical Statistics 41, 1970). So the quantile lies between the order
//! statistics of the least and the greatest `k` whose capital is below that; S. Howard, A. Ramdas, "Sequential estimation
//! of quantiles", Bernoulli 28 (2022) treat such sequences. Where values tie with the quantile, some of them can be
//! counted as below by a coin, so that the share is `p` again; the interval holds for every coin.
//!
//! Limits: an end exists only from some n on ([`values_needed`]; 95th percentile at alpha 0.05: 150 values). Cost:
//! O(n).

use crate::buckets::Buckets;
use crate::error::{StatsError, check_alpha, check_finite};
use crate::estimate::Estimate;
use crate::real::ln;

/// `a + b` of the mixture: the sequence is about as narrow as it can be after some thousand values.
const MIXTURE: f64 = 100.0;
/// More values are never asked for.
const VALUES_MAX: usize = 1_000_000_000;

/// The `p`-quantile, `0 < p < 1`: the least value with at least a share `p` of all values at or below it.
///
/// # Errors
/// Too few values for both ends, values that are not finite, `p` or `alpha` outside (0, 1).
pub fn quantile(values: &[f64], p: f64, alpha: f64) -> Result<Estimate, StatsError> {
    check_alpha(alpha)?;
    check_probability(p)?;
    check_finite(values.iter().copied())?;
    let n = values.len();
    let (low, middle, high) = places(n, p, alpha)?;
    // The three places are found without sorting all values: each lies in what the one before leaves.
    let mut values = values.to_vec();
    let (below, value, above) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let value = *value;
    let of = |part: &mut [f64], place: usize| *part.select_nth_unstable_by(place, f64::total_cmp).1;
    let low = if low < middle { of(below, low) } else { value };
    let high = if high > middle { of(above, high - middle - 1) } else { value };
    Ok(Estimate { value, low, high, n })
}

/// The same of counted values: the ends are the outer edges of the buckets that they fall into, so that the interval holds as well,
/// and the quantile is the lower edge of its own.
///
/// # Errors
/// As [`quantile`].
pub fn quantile_of_counts(values: &Buckets, p: f64, alpha: f64) -> Result<Estimate, StatsError> {
    check_alpha(alpha)?;
    check_probability(p)?;
    let n = usize::try_from(values.n()).unwrap_or(usize::MAX);
    let (low, middle, high) = places(n, p, alpha)?;
    let edges = [low, middle, high].map(|place| values.at(place as u64));
    let [Some((low, _)), Some((value, _)), Some((_, high))] = edges else {
        return Err(StatsError::TooFew { n, minimum: values_needed(p, alpha) });
    };
    Ok(Estimate { value, low, high, n })
}

/// Difference of `p`-quantiles, candidate minus control: each at half of alpha, joined by the union bound, so that the
/// two may depend on each other (pairs).
///
/// # Errors
/// As [`quantile`].
pub fn difference(control: &[f64], candidate: &[f64], p: f64, alpha: f64) -> Result<Estimate, StatsError> {
    Ok(subtracted(both(control, candidate, p, alpha)?))
}

/// The same of counted values.
///
/// # Errors
/// As [`quantile`].
pub fn difference_of_counts(
    control: &Buckets,
    candidate: &Buckets,
    p: f64,
    alpha: f64,
) -> Result<Estimate, StatsError> {
    Ok(subtracted(both_of_counts(control, candidate, p, alpha)?))
}

/// Relative change of the `p`-quantile, candidate over control minus one, joined as in [`difference`].
///
/// # Errors
/// As [`quantile`]; control's quantile is not clearly above zero, or the candidate has negative values there.
pub fn ratio(control: &[f64], candidate: &[f64], p: f64, alpha: f64) -> Result<Estimate, StatsError> {
    divided(both(control, candidate, p, alpha)?)
}

/// The same of counted values.
///
/// # Errors
/// As [`ratio`].
pub fn ratio_of_counts(
    control: &Buckets,
    candidate: &Buckets,
    p: f64,
    alpha: f64,
) -> Result<Estimate, StatsError> {
    divided(both_of_counts(control, candidate, p, alpha)?)
}

/// The plain `p`-quantile of counted values, up to a thousandth; none without values.
#[must_use]
pub fn at_counts(values: &Buckets, p: f64) -> Option<f64> {
    let place = index(usize::try_from(values.n()).ok()?, p)?;
    values.at(place as u64).map(|(value, _)| value)
}

fn subtracted((control, candidate): (Estimate, Estimate)) -> Estimate {
    Estimate {
        value: candidate.value - control.value,
        low: candidate.low - control.high,
        high: candidate.high - control.low,
        n: control.n.min(candidate.n),
    }
}

fn divided((control, candidate): (Estimate, Estimate)) -> Result<Estimate, StatsError> {
    if control.low <= 0.0 || candidate.low < 0.0 {
        return Err(StatsError::NoRatio { mean: control.low });
    }
    Ok(Estimate {
        value: candidate.value / control.value - 1.0,
        low: candidate.low / control.high - 1.0,
        high: candidate.high / control.low - 1.0,
        n: control.n.min(candidate.n),
    })
}

/// The plain `p`-quantile of values in ascending order; none without values.
#[must_use]
pub fn at(sorted: &[f64], p: f64) -> Option<f64> {
    sorted.get(index(sorted.len(), p)?).copied()
}

/// The place of the `p`-quantile among `n` values in ascending order; none without values.
fn index(n: usize, p: f64) -> Option<usize> {
    // The product may be a hair above a whole number, which is not the next one: 0.95 * 20.
    let rank = (p * n as f64 - 1e-9).ceil().max(1.0) as usize;
    rank.min(n).checked_sub(1)
}

/// [`at`] of values in any order, which it rearranges: found without sorting all of them.
#[must_use]
pub fn of_unsorted(values: &mut [f64], p: f64) -> Option<f64> {
    let index = index(values.len(), p)?;
    Some(*values.select_nth_unstable_by(index, f64::total_cmp).1)
}

/// Values from which both ends of the interval exist.
#[must_use]
pub fn values_needed(p: f64, alpha: f64) -> usize {
    let goal = -ln(alpha);
    let enough = |n: usize| log_capital(0, n, p) >= goal && log_capital(n, n, p) >= goal;
    let mut above = 1;
    while !enough(above) {
        if above >= VALUES_MAX {
            return VALUES_MAX;
        }
        above *= 2;
    }
    let mut below = above / 2;
    while above - below > 1 {
        let middle = below + (above - below) / 2;
        if enough(middle) {
            above = middle;
        } else {
            below = middle;
        }
    }
    above
}

fn both(control: &[f64], candidate: &[f64], p: f64, alpha: f64) -> Result<(Estimate, Estimate), StatsError> {
    Ok((quantile(control, p, alpha / 2.0)?, quantile(candidate, p, alpha / 2.0)?))
}

fn both_of_counts(
    control: &Buckets,
    candidate: &Buckets,
    p: f64,
    alpha: f64,
) -> Result<(Estimate, Estimate), StatsError> {
    let of = |values| quantile_of_counts(values, p, alpha / 2.0);
    Ok((of(control)?, of(candidate)?))
}

/// The places of the interval's lower end, of the quantile and of the upper end among `n` values in ascending order.
fn places(n: usize, p: f64, alpha: f64) -> Result<(usize, usize, usize), StatsError> {
    let too_few = || StatsError::TooFew { n, minimum: values_needed(p, alpha) };
    let (least, greatest) = plausible_counts(n, p, alpha).ok_or_else(too_few)?;
    // With k values below the quantile, it is at least the k-th and at most the next one.
    let places = (least.checked_sub(1), index(n, p), (greatest < n).then_some(greatest));
    let (Some(low), Some(middle), Some(high)) = places else { return Err(too_few()) };
    Ok((low, middle, high))
}

/// The least and the greatest number of values below the quantile that are plausible. The capital falls up to about
/// `n p` and rises behind it.
fn plausible_counts(n: usize, p: f64, alpha: f64) -> Option<(usize, usize)> {
    let goal = -ln(alpha);
    let plausible = |k: usize| log_capital(k, n, p) < goal;
    let middle = ((n as f64 * p) as usize).min(n);
    if n == 0 || !plausible(middle) {
        return None;
    }
    let least = first(0, middle, plausible);
    let greatest = n - first(0, n - middle, |back| plausible(n - back));
    Some((least, greatest))
}

/// The first number at which the condition holds, which stays true up to `last`, where it is known to hold.
fn first(mut from: usize, mut last: usize, holds: impl Fn(usize) -> bool) -> usize {
    while from < last {
        let middle = from + (last - from) / 2;
        if holds(middle) {
            last = middle;
        } else {
            from = middle + 1;
        }
    }
    last
}

/// Logarithm of the capital after `k` of `n` values below the `p`-quantile.
fn log_capital(k: usize, n: usize, p: f64) -> f64 {
    let (a, b) = (MIXTURE * p, MIXTURE * (1.0 - p));
    let (below, above) = (k as f64, (n - k) as f64);
    let log_beta = |x: f64, y: f64| libm::lgamma(x) + libm::lgamma(y) - libm::lgamma(x + y);
    log_beta(below + a, above + b) - log_beta(a, b) - below * ln(p) - above * ln(1.0 - p)
}

fn check_probability(p: f64) -> Result<(), StatsError> {
    if p > 0.0 && p < 1.0 { Ok(()) } else { Err(StatsError::Probability(p)) }
}
