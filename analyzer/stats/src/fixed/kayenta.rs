//! The classification rule of Kayenta's judge, so that people can compare it with a gate on their own data.
//!
//! A metric passes unless the Mann-Whitney interval of the shift lies beyond a fraction of the Hodges-Lehmann estimate. The
//! interval and the estimate are those of R's `wilcox.test` (normal approximation, continuity corrected): roots of the standardised
//! rank sum as a function of the shift. Kayenta's defaults are a tolerance of 0.25 and a confidence of 0.98. Source:
//! Spinnaker's documentation "How canary judgment works", and R's documentation of `wilcox.test`.
//!
//! On 0/1 flags the shift is a staircase with its step at 0, so that every metric of flags passes here; Kayenta's own solver stops
//! somewhere within 0.0001 of the step and then fails some of them by chance.
//!
//! Cost: two sorts, and one merge of the two samples for every step of a root search, of which there are some hundred and fifty.

use super::{check, normal_quantile, sorted};
use crate::error::{StatsError, check_alpha};

/// How the rule classifies a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KayentaClass {
    /// No shift beyond the tolerance.
    Pass,
    /// The candidate lies higher.
    High,
    /// The candidate lies lower.
    Low,
}

/// What the rule found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KayentaResult {
    /// Hodges-Lehmann estimate of the shift, candidate minus control.
    pub estimate: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end of its interval.
    pub high: f64,
    /// The class, for a metric that may move neither way.
    pub class: KayentaClass,
}

/// Classifies a candidate's values against control's.
///
/// # Errors
/// An empty sample; values that are not finite; `confidence` outside (0, 1); a negative `tolerance` is taken as 0.
pub fn kayenta(
    control: &[f64],
    candidate: &[f64],
    tolerance: f64,
    confidence: f64,
) -> Result<KayentaResult, StatsError> {
    check(control, 1)?;
    check(candidate, 1)?;
    check_alpha(1.0 - confidence)?;
    let (control, candidate) = (&sorted(control), &sorted(candidate));
    let same = |values: &[f64]| values.iter().all(|value| control.first() == Some(value));
    if control == candidate || (same(control) && same(candidate)) {
        return Ok(KayentaResult { estimate: 0.0, low: 0.0, high: 0.0, class: KayentaClass::Pass });
    }
    let quantile = normal_quantile((1.0 - confidence) / 2.0);
    let low = root(control, candidate, -quantile);
    let high = root(control, candidate, quantile);
    let estimate = root(control, candidate, 0.0);
    let bound = tolerance.max(0.0) * estimate.abs();
    let class = if low > bound {
        KayentaClass::High
    } else if high < -bound {
        KayentaClass::Low
    } else {
        KayentaClass::Pass
    };
    Ok(KayentaResult { estimate, low, high, class })
}

/// Halvings of the interval of shifts: the last digits of a double.
const HALVINGS: u32 = 60;
/// A shift below this share of all possible shifts is none.
const ROOT_ZERO: f64 = 1e-12;

/// The shift at which the standardised rank sum of `candidate - shift` is `quantile`; both samples in ascending order.
fn root(control: &[f64], candidate: &[f64], quantile: f64) -> f64 {
    let first = |values: &[f64]| values.first().copied().unwrap_or(0.0);
    let last = |values: &[f64]| values.last().copied().unwrap_or(0.0);
    let mut low = first(candidate) - last(control);
    let mut high = last(candidate) - first(control);
    let range = high - low;
    if standardised(control, candidate, low) <= quantile {
        return low;
    }
    if standardised(control, candidate, high) >= quantile {
        return high;
    }
    for _ in 0..HALVINGS {
        let middle = low + (high - low) / 2.0;
        if standardised(control, candidate, middle) > quantile {
            low = middle;
        } else {
            high = middle;
        }
    }
    let middle = low + (high - low) / 2.0;
    // Discrete values make a staircase: a root at its step at 0 is 0, not what the halvings left of it.
    if middle.abs() < ROOT_ZERO * range { 0.0 } else { middle }
}

/// The standardised rank sum of `candidate - shift` among all values, ties at their average; both samples in ascending order.
fn standardised(control: &[f64], candidate: &[f64], shift: f64) -> f64 {
    let (n, m) = (candidate.len() as f64, control.len() as f64);
    let sum = n + m;
    // Values come in groups that tie; a group's values have the middle of the ranks that it covers.
    let (mut ranks, mut before, mut ties) = (0.0, 0.0, 0.0);
    let mut left = candidate.iter().map(|value| value - shift).peekable();
    let mut right = control.iter().copied().peekable();
    while let Some(least) = [left.peek(), right.peek()].into_iter().flatten().copied().reduce(f64::min) {
        let mut own = 0.0;
        while left.next_if(|value| *value == least).is_some() {
            own += 1.0;
        }
        let mut tied = own;
        while right.next_if(|value| *value == least).is_some() {
            tied += 1.0;
        }
        ranks += own * (before + (tied + 1.0) / 2.0);
        before += tied;
        ties += tied * tied * tied - tied;
    }
    let above = ranks - n * (n + 1.0) / 2.0 - n * m / 2.0;
    let correction = if above == 0.0 { 0.0 } else { 0.5 * above.signum() };
    let deviation = (n * m / 12.0 * (sum + 1.0 - ties / (sum * (sum - 1.0)))).sqrt();
    if deviation == 0.0 { 0.0 } else { (above - correction) / deviation }
}
