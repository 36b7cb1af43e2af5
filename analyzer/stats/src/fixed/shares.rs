//! Two independent shares.

use super::{Effect, normal_quantile};
use crate::error::{StatsError, check_alpha};

/// Newcombe's hybrid score interval for the difference of two shares, second minus first.
///
/// Source: R. G. Newcombe, "Interval estimation for the difference between independent proportions", Statistics in
/// Medicine 17 (1998), method 10: Wilson's score limits of each share, put together.
///
/// # Errors
/// No trials, more events than trials, `alpha` outside (0, 1).
pub fn newcombe(first: (u64, u64), second: (u64, u64), alpha: f64) -> Result<Effect, StatsError> {
    check_alpha(alpha)?;
    let z = normal_quantile(1.0 - alpha / 2.0);
    let (one, one_low, one_high) = wilson(first, z)?;
    let (two, two_low, two_high) = wilson(second, z)?;
    let value = two - one;
    let low = value - ((two - two_low).powi(2) + (one_high - one).powi(2)).sqrt();
    let high = value + ((two_high - two).powi(2) + (one - one_low).powi(2)).sqrt();
    Ok(Effect { value, low, high })
}

/// A share with Wilson's score limits.
fn wilson((events, trials): (u64, u64), z: f64) -> Result<(f64, f64, f64), StatsError> {
    if trials == 0 || events > trials {
        return Err(StatsError::TooFew { n: usize::try_from(trials).unwrap_or(usize::MAX), minimum: 1 });
    }
    let n = trials as f64;
    let share = events as f64 / n;
    let scale = 1.0 + z * z / n;
    let centre = (share + z * z / (2.0 * n)) / scale;
    let half = z / scale * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    Ok((share, (centre - half).max(0.0), (centre + half).min(1.0)))
}
