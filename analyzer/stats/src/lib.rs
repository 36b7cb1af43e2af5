//! Pure mathematics over slices: confidence sequences for means, differences and ratios, and forecasts.
//!
//! A confidence sequence is an interval that may be looked at after every value: the chance that it *ever* leaves out
//! the truth is at most `alpha`. Three families are here:
//!
//! - [`bounded`]: for values with known bounds; holds at every n, for every distribution within the bounds.
//! - [`asymptotic`]: for unbounded values and for ratios; holds as n grows, corrected for small n.
//! - [`quantile`]: for quantiles of any values; holds at every n, for every distribution.
//!
//! Each takes values, or what is left of more values than can be kept: sums that add up ([`Column`], [`PairSums`], [`Buckets`]).
//!
//! [`powered`] corrects cheap scores by the truth where it is known.
//! [`share`] tests a stated share in the same sense: the assignment of identities to variants.
//! Beside them, [`fixed`] has the usual tests for one look at a finished comparison.
//!
//! What they need: values in the order in which they were measured, from a source whose mean does not drift while it
//! is measured. Under drift they describe an average over the time measured.
//!
//! Invariants: no files, clocks, threads or randomness; no panics; every input is checked and refused with a
//! [`StatsError`]; every returned number is finite.

pub mod asymptotic;
pub mod binomial;
pub mod bounded;
mod buckets;
pub mod clusters;
mod error;
mod estimate;
pub mod fixed;
pub mod forecast;
mod moments;
pub mod powered;
pub mod quantile;
mod real;
pub mod share;
mod strata;
mod sums;

pub use buckets::{Buckets, Counting};
pub use error::StatsError;
pub use estimate::Estimate;
pub use moments::{Moments, PairMoments, mean};
pub use strata::{Arms, Stratified, weights};
pub use sums::{Column, ColumnAdder, Grid, PairAdder, PairSums};
