//! Fixed-n tests and intervals: for reading a comparison that is over, and for comparing with other tools.
//!
//! They hold for one look at a number of samples that was chosen before. Nothing that a rollout decides rests on them:
//! gates are confidence sequences ([`crate::bounded`], [`crate::asymptotic`], [`crate::quantile`]), which may be looked at
//! after every value.
//!
//! - pairs: [`mcnemar`] for flags, [`wilcoxon_pratt`], [`sign_flip`], [`paired_ratio`]
//! - two samples: [`newcombe`] for shares, [`welch`], [`mann_whitney`], [`brunner_munzel`], [`quantile_difference`],
//!   [`clustered_ratio`]
//! - shapes: [`kolmogorov_smirnov`], [`cramer_von_mises`], [`wasserstein`], [`stability_index`]
//! - many at once: [`holm`], [`e_benjamini_hochberg`]
//! - [`kayenta`]: the rule of a widely used canary judge, to compare with
//!
//! Every `p` is two-sided. Every function refuses values that are not finite numbers.

mod kayenta;
mod location;
mod many;
mod paired;
mod ranks;
mod shape;
mod shares;

pub use kayenta::{KayentaClass, KayentaResult, kayenta};
pub use location::{brunner_munzel, clustered_ratio, mann_whitney, quantile_difference, welch};
pub use many::{e_benjamini_hochberg, holm};
pub use paired::{McNemar, SIGN_FLIP_EXACT_MAX, mcnemar, paired_ratio, sign_flip, wilcoxon_pratt};
pub use shape::{cramer_von_mises, kolmogorov_smirnov, stability_index, wasserstein};
pub use shares::newcombe;

use statrs::distribution::{ContinuousCDF, Normal};

use crate::error::StatsError;

/// What a test found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tested {
    /// The test's own statistic.
    pub statistic: f64,
    /// Two-sided p, 0 to 1.
    pub p: f64,
}

/// An effect with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect {
    /// The estimate.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Twice the upper tail of the standard normal distribution.
fn two_sided(z: f64) -> f64 {
    libm::erfc(z.abs() / std::f64::consts::SQRT_2)
}

/// The standard normal quantile.
fn normal_quantile(share: f64) -> f64 {
    Normal::standard().inverse_cdf(share)
}

fn check(values: &[f64], minimum: usize) -> Result<(), StatsError> {
    if values.len() < minimum {
        return Err(StatsError::TooFew { n: values.len(), minimum });
    }
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(StatsError::NotFinite { index }),
        None => Ok(()),
    }
}

fn check_pairs(pairs: &[(f64, f64)], minimum: usize) -> Result<(), StatsError> {
    if pairs.len() < minimum {
        return Err(StatsError::TooFew { n: pairs.len(), minimum });
    }
    match pairs.iter().position(|(first, second)| !first.is_finite() || !second.is_finite()) {
        Some(index) => Err(StatsError::NotFinite { index }),
        None => Ok(()),
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// With n - 1.
fn variance(values: &[f64]) -> f64 {
    let centre = mean(values);
    values.iter().map(|value| (value - centre) * (value - centre)).sum::<f64>() / (values.len() as f64 - 1.0)
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}
