//! The exact interval of a binomial share.
//!
//! Source: C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the
//! binomial", Biometrika 26 (1934). Tails are summed term by term, so that no special function is needed; the cost grows
//! with the number of events, which is meant for counts up to some 100,000.

use crate::error::{StatsError, check_alpha};
use crate::real::{exp, ln};

/// Halvings of the interval in which an end is searched: the last digit of a double.
const HALVINGS: u32 = 60;

/// The Clopper-Pearson interval of `events` in `trials` at level `1 - alpha`.
///
/// # Errors
/// No trials, more events than trials, `alpha` outside (0, 1).
pub fn exact_interval(events: u64, trials: u64, alpha: f64) -> Result<(f64, f64), StatsError> {
    check_alpha(alpha)?;
    if trials == 0 || events > trials {
        return Err(StatsError::TooFew { n: usize::try_from(trials).unwrap_or(usize::MAX), minimum: 1 });
    }
    let low = if events == 0 { 0.0 } else { solve(|p| at_least(events, trials, p) - alpha / 2.0) };
    let rest = trials - events;
    let high = if rest == 0 { 0.0 } else { solve(|p| at_least(rest, trials, p) - alpha / 2.0) };
    Ok((low, 1.0 - high))
}

/// The chance of at least `events` of `trials` with share `p`, `events` at least 1.
#[must_use]
pub fn at_least(events: u64, trials: u64, p: f64) -> f64 {
    if p <= 0.0 {
        return 0.0;
    }
    if p >= 1.0 {
        return 1.0;
    }
    let (n, k) = (trials as f64, events as f64);
    // From the mode outwards terms only fall, so that the sum can stop; below the mode the other tail is summed.
    if k > n * p { upper(n, k, p) } else { 1.0 - upper(n, n - k + 1.0, 1.0 - p) }
}

/// The upper tail from `k` on, which is not below the mean.
fn upper(n: f64, k: f64, p: f64) -> f64 {
    if k > n {
        return 0.0;
    }
    let mut logarithm = k * ln(p) + (n - k) * ln(1.0 - p);
    let smaller = k.min(n - k);
    let mut step = 1.0;
    while step <= smaller {
        logarithm += ln((n - smaller + step) / step);
        step += 1.0;
    }
    let odds = p / (1.0 - p);
    let (mut term, mut sum, mut at) = (1.0, 1.0, k);
    while at < n && term > 1e-17 * sum {
        term *= (n - at) / (at + 1.0) * odds;
        sum += term;
        at += 1.0;
    }
    exp(logarithm) * sum
}

/// The zero of a function that grows on 0 to 1.
fn solve(function: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if function(middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}
