//! Confidence sequences for means of unbounded values, and for relative changes of means.
//!
//! Source of the boundary: I. Waudby-Smith, D. Arbour, R. Sinha, E. Kennedy, A. Ramdas, "Time-uniform central limit
//! theory and asymptotic confidence sequences", Annals of Statistics 52 (2024), Theorem 2.2: with standard deviation
//! `s`, the mean of `n` values is within `s sqrt((n r + 1) / (n^2 r) ln((n r + 1) / alpha^2))`, `r = rho^2` chosen so
//! that the interval is narrowest at a stated n.
//!
//! At small n that is too narrow, because `s` is estimated. So the same normal mixture is taken over the t statistic
//! (the scale-invariant likelihood ratio of T. L. Lai, "On confidence sequences", 1976; anytime-valid t-test), which
//! is exact for normal values at every n, has no finite interval at a handful of values, and has the same limit.
//!
//! Floor: values that never varied would give an interval of zero width. One more, imagined value is counted into the
//! spread, as far off as the values themselves are large (their mean absolute value, or 1 where all are zero): with
//! zero variance the interval then shrinks like `1 / n`, as it does for a rate of which no case was seen.

use crate::error::{StatsError, check_alpha, check_finite};
use crate::estimate::Estimate;
use crate::moments::{Moments, PairMoments};
use crate::real::{exp, exp_m1, ln};
use crate::strata::Stratified;
use crate::sums::{Column, PairSums};

/// The n at which intervals are narrowest where nothing else is said.
pub const TUNED_N: f64 = 500.0;

/// `rho^2` for which the boundary is narrowest at `tuned_n`; the closed-form approximation of the source (equation 9
/// of the paper): `(-2 ln alpha + ln(-2 ln alpha) + 1) / tuned_n`.
#[must_use]
pub fn rho_squared(alpha: f64, tuned_n: f64) -> f64 {
    let level = -2.0 * ln(alpha);
    (level + ln(level) + 1.0) / tuned_n
}

/// The normal boundary for a standard deviation of one: half the width of the interval at `n`.
#[must_use]
pub fn normal_boundary(n: f64, alpha: f64, rho_squared: f64) -> f64 {
    let growth = n * rho_squared + 1.0;
    (growth / (n * n * rho_squared) * ln(growth / (alpha * alpha))).sqrt()
}

/// The same with an estimated standard deviation: the largest `|mean| / s` that is not ruled out, `s` with divisor
/// `n - 1`. None where no `|mean| / s` is ruled out, that is below some dozen values.
///
/// With `k = 1 / (n rho^2 + 1)`, the mixture over the t statistic is
/// `sqrt(k) ((1 + q) / (1 + k q))^(n / 2)`, `q = n mean^2 / ((n - 1) s^2)`; it is solved for `1 / alpha`.
#[must_use]
pub fn student_boundary(n: f64, alpha: f64, rho_squared: f64) -> Option<f64> {
    if n < 2.0 {
        return None;
    }
    let growth = n * rho_squared + 1.0;
    // ln of (1 / (alpha sqrt(k)))^(2 / n), kept as a logarithm because its exponential is close to one.
    let exponent = (ln(growth) - 2.0 * ln(alpha)) / n;
    let excess = exp_m1(exponent);
    let left = 1.0 - exp(exponent) / growth;
    (left > 0.0).then(|| (excess / left * (n - 1.0) / n).sqrt())
}

/// Confidence sequence for a mean.
///
/// # Errors
/// Values that are not finite, too few values for any interval, `alpha` outside (0, 1).
pub fn mean(values: &[f64], alpha: f64, tuned_n: f64) -> Result<Estimate, StatsError> {
    check_finite(values.iter().copied())?;
    let moments = Moments::of(values.iter().copied());
    let size = mean_size(values.iter().copied());
    symmetric(moments, size, alpha, tuned_n)
}

/// Confidence sequence for the mean of `second - first`.
///
/// # Errors
/// As [`mean`].
pub fn paired_difference(pairs: &[(f64, f64)], alpha: f64, tuned_n: f64) -> Result<Estimate, StatsError> {
    check_finite(pairs.iter().flat_map(|pair| [pair.0, pair.1]))?;
    let moments = Moments::of(pairs.iter().map(|(x, y)| y - x));
    let size = mean_size(pairs.iter().flat_map(|pair| [pair.0, pair.1]));
    symmetric(moments, size, alpha, tuned_n)
}

/// [`mean`] of values of which sums are left.
///
/// # Errors
/// As [`mean`].
pub fn mean_of_sums(values: &Column, alpha: f64, tuned_n: f64) -> Result<Estimate, StatsError> {
    symmetric(values.moments, size_of(values.sizes, values.moments.n), alpha, tuned_n)
}

/// [`paired_difference`] of pairs of which sums are left.
///
/// # Errors
/// As [`mean`].
pub fn paired_difference_of_sums(pairs: &PairSums, alpha: f64, tuned_n: f64) -> Result<Estimate, StatsError> {
    let size = size_of(pairs.sizes.0 + pairs.sizes.1, 2 * pairs.differences.n);
    symmetric(pairs.differences, size, alpha, tuned_n)
}

/// Confidence sequence for the relative change `mean(second) / mean(first) - 1`.
///
/// The influence values of the ratio `q` are `y - q x`; the interval is the set of `q` for which their mean is not
/// told apart from zero (Fieller's form of the delta method: no linearisation, so that it also holds where the
/// mean of `first` is itself uncertain).
///
/// # Errors
/// As [`mean`]; [`StatsError::NoRatio`] where the mean of `first` is not clearly above zero.
pub fn paired_ratio(pairs: &[(f64, f64)], alpha: f64, tuned_n: f64) -> Result<Estimate, StatsError> {
    check_alpha(alpha)?;
    check_finite(pairs.iter().flat_map(|pair| [pair.0, pair.1]))?;
    let size = mean_size(pairs.iter().map(|pair| pair.0));
    ratio_of_moments(&PairMoments::of(pairs), size, alpha, tuned_n)
}

/// [`paired_ratio`] of pairs of which sums are left.
///
/// # Errors
/// As [`paired_ratio`].
pub fn paired_ratio_of_sums(pairs: &PairSums, alpha: f64, tuned_n: f64) -> Result<Estimate, StatsError> {
    check_alpha(alpha)?;
    ratio_of_moments(&pairs.moments, size_of(pairs.sizes.0, pairs.moments.first.n), alpha, tuned_n)
}

/// The relative change of pairs whose first values have this size.
fn ratio_of_moments(
    moments: &PairMoments,
    size: f64,
    alpha: f64,
    tuned_n: f64,
) -> Result<Estimate, StatsError> {
    let n = moments.first.n;
    let boundary = boundary(n, alpha, tuned_n)?;
    let per_mean = boundary * boundary / n.saturating_sub(1).max(1) as f64;
    // The imagined pair misses the ratio by the size of control.
    let floor = size.powi(2);
    fieller(Fieller {
        control: moments.first.mean,
        candidate: moments.second.mean,
        variance_control: per_mean * moments.first.squares,
        variance_candidate: per_mean * (moments.second.squares + floor),
        covariance: per_mean * moments.products,
        n,
    })
}

/// Confidence sequence for `mean(second) / mean(first)`, the first ones positive: a mean weighted by them.
pub(crate) fn ratio_of_means(pairs: &[(f64, f64)], alpha: f64, tuned_n: f64) -> Result<Estimate, StatsError> {
    let n = pairs.len();
    let moments = PairMoments::of(pairs);
    let boundary = boundary(n, alpha, tuned_n)?;
    let per_mean = boundary * boundary / n.saturating_sub(1).max(1) as f64;
    // The imagined value is as far off as the values are large, as in a plain mean.
    let floor = mean_size(pairs.iter().map(|pair| pair.1)).powi(2);
    let ratio = fieller(Fieller {
        control: moments.first.mean,
        candidate: moments.second.mean,
        variance_control: per_mean * moments.first.squares,
        variance_candidate: per_mean * (moments.second.squares + floor),
        covariance: per_mean * moments.products,
        n,
    })?;
    Ok(ratio.affine(1.0, 1.0))
}

/// Confidence sequence for the difference of stratified means, candidate minus control.
///
/// The variance is the sum over strata and arms of `w^2 s^2 / n`; the clock of the boundary is the smaller arm's count.
///
/// # Errors
/// As [`mean`].
pub fn unpaired_difference(
    strata: &Stratified<'_>,
    alpha: f64,
    tuned_n: f64,
) -> Result<Estimate, StatsError> {
    ArmSums::of(strata, alpha)?.difference(alpha, tuned_n)
}

/// [`unpaired_difference`] of strata of which sums are left, each with its weight.
///
/// # Errors
/// As [`mean`].
pub fn unpaired_difference_of_sums(
    strata: &[(&Column, &Column, f64)],
    alpha: f64,
    tuned_n: f64,
) -> Result<Estimate, StatsError> {
    ArmSums::of_sums(strata, alpha)?.difference(alpha, tuned_n)
}

/// Confidence sequence for the relative change of stratified means, candidate over control.
///
/// # Errors
/// As [`paired_ratio`].
pub fn unpaired_ratio(strata: &Stratified<'_>, alpha: f64, tuned_n: f64) -> Result<Estimate, StatsError> {
    ArmSums::of(strata, alpha)?.ratio(alpha, tuned_n)
}

/// [`unpaired_ratio`] of strata of which sums are left, each with its weight.
///
/// # Errors
/// As [`paired_ratio`].
pub fn unpaired_ratio_of_sums(
    strata: &[(&Column, &Column, f64)],
    alpha: f64,
    tuned_n: f64,
) -> Result<Estimate, StatsError> {
    ArmSums::of_sums(strata, alpha)?.ratio(alpha, tuned_n)
}

/// Weighted means and the variances of these means.
struct ArmSums {
    control: f64,
    candidate: f64,
    variance_control: f64,
    variance_candidate: f64,
    n: usize,
}

impl ArmSums {
    fn of(strata: &Stratified<'_>, alpha: f64) -> Result<Self, StatsError> {
        check_alpha(alpha)?;
        let mut sums = Self::over(strata.n_control().min(strata.n_candidate()));
        for (arms, weight) in strata.weighted() {
            sums.add(weight, arm(arms.control)?, arm(arms.candidate)?);
        }
        Ok(sums)
    }

    fn of_sums(strata: &[(&Column, &Column, f64)], alpha: f64) -> Result<Self, StatsError> {
        check_alpha(alpha)?;
        let (n, m) = strata
            .iter()
            .fold((0, 0), |(n, m), (control, candidate, _)| (n + control.moments.n, m + candidate.moments.n));
        let mut sums = Self::over(n.min(m));
        for (control, candidate, weight) in strata {
            let of = |arm: &Column| spread(arm.moments, size_of(arm.sizes, arm.moments.n));
            sums.add(*weight, of(control), of(candidate));
        }
        Ok(sums)
    }

    fn over(n: usize) -> Self {
        Self { control: 0.0, candidate: 0.0, variance_control: 0.0, variance_candidate: 0.0, n }
    }

    /// A stratum: the mean of each arm and the variance of that mean.
    fn add(&mut self, weight: f64, control: (f64, f64), candidate: (f64, f64)) {
        self.control += weight * control.0;
        self.variance_control += weight * weight * control.1;
        self.candidate += weight * candidate.0;
        self.variance_candidate += weight * weight * candidate.1;
    }

    fn difference(&self, alpha: f64, tuned_n: f64) -> Result<Estimate, StatsError> {
        let half = boundary(self.n, alpha, tuned_n)?
            * (self.n as f64 * (self.variance_control + self.variance_candidate)).sqrt();
        let value = self.candidate - self.control;
        Ok(Estimate { value, low: value - half, high: value + half, n: self.n })
    }

    fn ratio(&self, alpha: f64, tuned_n: f64) -> Result<Estimate, StatsError> {
        let scale = boundary(self.n, alpha, tuned_n)?.powi(2) * self.n as f64;
        fieller(Fieller {
            control: self.control,
            candidate: self.candidate,
            variance_control: scale * self.variance_control,
            variance_candidate: scale * self.variance_candidate,
            covariance: 0.0,
            n: self.n,
        })
    }
}

/// Mean of one arm of a stratum and the variance of that mean, floor included; an arm of one value counts with the
/// floor alone.
fn arm(values: &[f64]) -> Result<(f64, f64), StatsError> {
    check_finite(values.iter().copied())?;
    Ok(spread(Moments::of(values.iter().copied()), mean_size(values.iter().copied())))
}

fn spread(moments: Moments, size: f64) -> (f64, f64) {
    let divisor = moments.n.saturating_sub(1).max(1) as f64;
    (moments.mean, (moments.squares + size * size) / divisor / moments.n.max(1) as f64)
}

/// Means and their variances times the squared boundary.
struct Fieller {
    control: f64,
    candidate: f64,
    variance_control: f64,
    variance_candidate: f64,
    covariance: f64,
    n: usize,
}

/// The `q` with `(candidate - q control)^2 <= variance(candidate - q control)`, minus one.
fn fieller(terms: Fieller) -> Result<Estimate, StatsError> {
    let square = terms.control * terms.control - terms.variance_control;
    if terms.control <= 0.0 || square <= 0.0 {
        return Err(StatsError::NoRatio { mean: terms.control });
    }
    let half_linear = terms.candidate * terms.control - terms.covariance;
    let constant = terms.candidate * terms.candidate - terms.variance_candidate;
    let root = (half_linear * half_linear - square * constant).max(0.0).sqrt();
    Ok(Estimate {
        value: terms.candidate / terms.control - 1.0,
        low: (half_linear - root) / square - 1.0,
        high: (half_linear + root) / square - 1.0,
        n: terms.n,
    })
}

/// Interval around a mean, with the imagined value of `size` in its spread.
fn symmetric(moments: Moments, size: f64, alpha: f64, tuned_n: f64) -> Result<Estimate, StatsError> {
    check_alpha(alpha)?;
    let boundary = boundary(moments.n, alpha, tuned_n)?;
    let spread = ((moments.squares + size * size) / moments.n.saturating_sub(1).max(1) as f64).sqrt();
    let half = boundary * spread;
    Ok(Estimate { value: moments.mean, low: moments.mean - half, high: moments.mean + half, n: moments.n })
}

/// The boundary at `n` in standard deviations of one value.
fn boundary(n: usize, alpha: f64, tuned_n: f64) -> Result<f64, StatsError> {
    let rho_squared = rho_squared(alpha, tuned_n);
    match student_boundary(n as f64, alpha, rho_squared) {
        Some(boundary) => Ok(boundary),
        None => {
            let finite = |n: &usize| student_boundary(*n as f64, alpha, rho_squared).is_some();
            Err(StatsError::TooFew { n, minimum: (n..10_000).find(finite).unwrap_or(10_000) })
        }
    }
}

/// How large the values are: their mean absolute value, 1 where all are zero.
fn mean_size(values: impl Iterator<Item = f64>) -> f64 {
    let (n, sum) = values.fold((0_usize, 0.0), |(n, sum), value| (n + 1, sum + value.abs()));
    size_of(sum, n)
}

fn size_of(sizes: f64, n: usize) -> f64 {
    if sizes > 0.0 { sizes / n as f64 } else { 1.0 }
}
