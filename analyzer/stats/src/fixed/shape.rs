//! Two independent samples: whether they have the same shape, and how far apart they are.

use super::ranks::ranks;
use super::{Tested, check, sorted};
use crate::error::StatsError;
use crate::real::{exp, ln};

/// The Kolmogorov-Smirnov test: the greatest distance of the two distribution functions, with the asymptotic p.
///
/// # Errors
/// An empty sample; values that are not finite.
pub fn kolmogorov_smirnov(first: &[f64], second: &[f64]) -> Result<Tested, StatsError> {
    check(first, 1)?;
    check(second, 1)?;
    let mut statistic: f64 = 0.0;
    walk(first, second, |_, one, two| statistic = statistic.max((one - two).abs()));
    let (n, m) = (first.len() as f64, second.len() as f64);
    Ok(Tested { statistic, p: kolmogorov(statistic * (n * m / (n + m)).sqrt()) })
}

/// The Cramér-von Mises test with the limiting distribution's p.
///
/// Source: T. W. Anderson, "On the distribution of the two-sample Cramér-von Mises criterion", Annals of Mathematical
/// Statistics 33 (1962), equations 10, 14 and 15; the limit: Anderson and Darling 1952, equation 4.35.
///
/// # Errors
/// Fewer than two values in a sample; values that are not finite.
pub fn cramer_von_mises(first: &[f64], second: &[f64]) -> Result<Tested, StatsError> {
    check(first, 2)?;
    check(second, 2)?;
    let all: Vec<f64> = sorted(first).into_iter().chain(sorted(second)).collect();
    let ranked = ranks(&all);
    let (of_first, of_second) = ranked.split_at(first.len());
    let (n, m) = (first.len() as f64, second.len() as f64);
    let squares = |ranks: &[f64]| -> f64 {
        ranks.iter().enumerate().map(|(at, rank)| (rank - (at as f64 + 1.0)).powi(2)).sum()
    };
    let u = n * squares(of_first) + m * squares(of_second);
    let (product, sum) = (n * m, n + m);
    let statistic = u / (product * sum) - (4.0 * product - 1.0) / (6.0 * sum);
    let expected = (1.0 + 1.0 / sum) / 6.0;
    let spread = (sum + 1.0) * (4.0 * product * sum - 3.0 * (n * n + m * m) - 2.0 * product)
        / (45.0 * sum * sum * 4.0 * product);
    let scaled = 1.0 / 6.0 + (statistic - expected) / (45.0 * spread).sqrt();
    let p = if scaled < 0.003 { 1.0 } else { (1.0 - cramer_limit(scaled)).max(0.0) };
    Ok(Tested { statistic, p })
}

/// The Wasserstein-1 distance, in the unit of the values: the area between the two distribution functions.
///
/// # Errors
/// An empty sample; values that are not finite.
pub fn wasserstein(first: &[f64], second: &[f64]) -> Result<f64, StatsError> {
    check(first, 1)?;
    check(second, 1)?;
    let (mut area, mut last) = (0.0, None);
    walk(first, second, |value, one, two| {
        if let Some((from, height)) = last {
            area += (value - from) * height;
        }
        last = Some((value, (one - two).abs()));
    });
    Ok(area)
}

/// The population stability index over the first sample's tenths: `sum((q - p) ln(q / p))`, empty cells counting as half a value.
///
/// Above 0.1 it is usually called a change, above 0.25 a large one; it is a figure to look at and has no error rate.
///
/// # Errors
/// Fewer than ten values in a sample; values that are not finite.
pub fn stability_index(first: &[f64], second: &[f64]) -> Result<f64, StatsError> {
    check(first, 10)?;
    check(second, 10)?;
    let ordered = sorted(first);
    let mut edges: Vec<f64> =
        (1..10).filter_map(|tenth| ordered.get(tenth * ordered.len() / 10)).copied().collect();
    edges.dedup();
    let cells = |values: &[f64]| -> Vec<f64> {
        let mut counts = vec![0.0; edges.len() + 1];
        for value in values {
            if let Some(count) = counts.get_mut(edges.partition_point(|edge| edge <= value)) {
                *count += 1.0;
            }
        }
        let all = values.len() as f64;
        counts.into_iter().map(|count: f64| count.max(0.5) / all).collect()
    };
    Ok(cells(first).into_iter().zip(cells(second)).map(|(p, q)| (q - p) * ln(q / p)).sum())
}

/// Goes through the distinct values in order with both distribution functions behind each.
fn walk(first: &[f64], second: &[f64], mut seen: impl FnMut(f64, f64, f64)) {
    let (one, two) = (sorted(first), sorted(second));
    let (mut at, mut to) = (0, 0);
    while let Some(value) = match (one.get(at), two.get(to)) {
        (Some(left), Some(right)) => Some(left.min(*right)),
        (left, right) => left.or(right).copied(),
    } {
        while one.get(at) == Some(&value) {
            at += 1;
        }
        while two.get(to) == Some(&value) {
            to += 1;
        }
        seen(value, at as f64 / one.len() as f64, to as f64 / two.len() as f64);
    }
}

/// The upper tail of Kolmogorov's distribution, by whichever of its two series converges faster.
fn kolmogorov(x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    if x < 1.0 {
        let step = std::f64::consts::PI * std::f64::consts::PI / (8.0 * x * x);
        let sum: f64 = (0..20).map(|k| exp(-f64::from((2 * k + 1) * (2 * k + 1)) * step)).sum();
        return 1.0 - sum * (2.0 * std::f64::consts::PI).sqrt() / x;
    }
    let term = |k: i32| if k % 2 == 1 { 1.0 } else { -1.0 } * exp(-2.0 * f64::from(k * k) * x * x);
    2.0 * (1..=20).map(term).sum::<f64>()
}

/// The distribution function of the limit of the Cramér-von Mises statistic.
fn cramer_limit(x: f64) -> f64 {
    let mut sum = 0.0;
    // gamma(k + 1/2) / gamma(k + 1), from k = 0.
    let mut coefficient = std::f64::consts::PI.sqrt();
    for k in 0..50 {
        let k = f64::from(k);
        let odd = 4.0 * k + 1.0;
        let argument = odd * odd / (16.0 * x);
        let term = coefficient * odd.sqrt() * scaled_bessel(argument) * exp(-2.0 * argument);
        sum += term;
        if term < 1e-17 * sum {
            break;
        }
        coefficient *= (k + 0.5) / (k + 1.0);
    }
    sum / (std::f64::consts::PI.powf(1.5) * x.sqrt())
}

/// `exp(x) K(x)` of the modified Bessel function of order 1/4: the trapezoid rule on
/// `K(x) = integral of exp(-x cosh t) cosh(t / 4)`, which converges exponentially (NIST DLMF 10.32.9).
fn scaled_bessel(x: f64) -> f64 {
    let step = 0.02;
    let value = |t: f64| exp(-x * (t.cosh() - 1.0)) * (t / 4.0).cosh();
    let mut sum = value(0.0) / 2.0;
    let mut at = 1.0;
    loop {
        let term = value(at * step);
        sum += term;
        if term < 1e-18 * sum || at > 5_000.0 {
            return sum * step;
        }
        at += 1.0;
    }
}
