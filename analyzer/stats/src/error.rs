//! Why an estimate was refused.

use thiserror::Error;

/// Why an estimate was refused.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum StatsError {
    /// There are fewer values than the method needs.
    #[error("{n} values are too few; at least {minimum} are needed")]
    TooFew {
        /// Values given.
        n: usize,
        /// Values needed.
        minimum: usize,
    },
    /// A value is not a finite number.
    #[error("value {index} is not a finite number\n  hint: leave such values out and count them")]
    NotFinite {
        /// Position of the first such value.
        index: usize,
    },
    /// A value is outside the bounds of its metric.
    #[error(
        "value {index} is {value}, outside {low} to {high}\n  hint: declare the metric's true bounds, or none"
    )]
    OutOfBounds {
        /// Position of the first such value.
        index: usize,
        /// The value.
        value: f64,
        /// Least allowed.
        low: f64,
        /// Greatest allowed.
        high: f64,
    },
    /// The bounds are not an interval.
    #[error(
        "bounds {low} to {high} are not an interval\n  hint: the first must be less than the second, both finite"
    )]
    Bounds {
        /// Least allowed.
        low: f64,
        /// Greatest allowed.
        high: f64,
    },
    /// The error probability is not usable.
    #[error("alpha {0} is not between 0 and 1")]
    Alpha(f64),
    /// The share that names a quantile is not usable.
    #[error("quantile {0} is not between 0 and 1")]
    Probability(f64),
    /// No stratum has values in both arms.
    #[error("no stratum has values of both variants")]
    NoStratum,
    /// The mean of control is not clearly above zero, so that a change relative to it has no bounds.
    #[error(
        "a change relative to a mean of {mean} has no finite interval\n  hint: use an absolute margin, or more values"
    )]
    NoRatio {
        /// Mean of control.
        mean: f64,
    },
    /// The two samples do not overlap, so that a rank test that estimates its own variance has none.
    #[error("the two samples do not overlap: the test has no variance there")]
    NoSpread,
}

/// Refuses an error probability outside (0, 1).
pub(crate) fn check_alpha(alpha: f64) -> Result<(), StatsError> {
    if alpha > 0.0 && alpha < 1.0 { Ok(()) } else { Err(StatsError::Alpha(alpha)) }
}

/// Refuses values that are not finite.
pub(crate) fn check_finite(values: impl IntoIterator<Item = f64>) -> Result<(), StatsError> {
    match values.into_iter().position(|value| !value.is_finite()) {
        Some(index) => Err(StatsError::NotFinite { index }),
        None => Ok(()),
    }
}

/// Refuses values outside `low..=high`, and bounds that are none.
pub(crate) fn check_bounds(
    values: impl Iterator<Item = f64> + Clone,
    low: f64,
    high: f64,
) -> Result<(), StatsError> {
    if !(low.is_finite() && high.is_finite() && low < high) {
        return Err(StatsError::Bounds { low, high });
    }
    // Without a branch per value, which a processor takes of many at once; nearly always there is nothing to name.
    if values.clone().fold(true, |good, value| good & (value >= low) & (value <= high)) {
        return Ok(());
    }
    for (index, value) in values.enumerate() {
        if !value.is_finite() {
            return Err(StatsError::NotFinite { index });
        }
        if value < low || value > high {
            return Err(StatsError::OutOfBounds { index, value, low, high });
        }
    }
    Ok(())
}
