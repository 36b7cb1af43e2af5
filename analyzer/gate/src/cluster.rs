//! How much less a metric's values say because several are of one identity: the design effect of what is compared.
//!
//! Values without known clusters are taken as independent. For ratios the residual is that of the ratio (the delta
//! method), for percentiles that of the flags "at or below the percentile". Of two arms the larger effect counts.

use weir_stats::clusters::design_effect;
use weir_stats::quantile;

use crate::series::{MetricSeries, Stratum};

/// What is estimated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Quantity {
    /// Difference of means.
    Difference,
    /// Ratio of means.
    Ratio,
    /// The candidate's own mean.
    Candidate,
    /// A percentile, as a share.
    Percentile(f64),
}

/// The effect for the pairs.
pub(crate) fn of_pairs(series: &MetricSeries, quantity: Quantity) -> f64 {
    let rows: Vec<(f64, f64, u32)> = series
        .pairs
        .iter()
        .zip(&series.pair_clusters)
        .filter(|((control, candidate), _)| control.is_finite() && candidate.is_finite())
        .map(|((control, candidate), cluster)| (*control, *candidate, *cluster))
        .collect();
    if rows.is_empty() {
        return 1.0;
    }
    let of = |value: &dyn Fn(f64, f64) -> f64| {
        let values: Vec<(f64, u32)> = rows
            .iter()
            .map(|(control, candidate, cluster)| (value(*control, *candidate), *cluster))
            .collect();
        design_effect(&minus_mean(&values))
    };
    match quantity {
        Quantity::Difference => of(&|control, candidate| candidate - control),
        Quantity::Candidate => of(&|_, candidate| candidate),
        Quantity::Ratio => {
            let (control, candidate) =
                rows.iter().fold((0.0, 0.0), |(x, y), (control, candidate, _)| (x + control, y + candidate));
            let ratio = if control > 0.0 { candidate / control } else { 1.0 };
            of(&|control, candidate| candidate - ratio * control)
        }
        Quantity::Percentile(share) => {
            let (low, high) =
                (at(rows.iter().map(|row| row.0), share), at(rows.iter().map(|row| row.1), share));
            of(&|control, _| flag(control <= low)).max(of(&|_, candidate| flag(candidate <= high)))
        }
    }
}

/// The effect for the cohorts: of the arm that it is larger for.
pub(crate) fn of_strata(series: &MetricSeries, quantity: Quantity) -> f64 {
    let arm = |values: fn(&Stratum) -> (&[f64], &[u32])| {
        let mut residuals = Vec::new();
        for stratum in &series.strata {
            let (values, clusters) = values(stratum);
            let rows: Vec<(f64, u32)> = values
                .iter()
                .copied()
                .zip(clusters.iter().copied())
                .filter(|(value, _)| value.is_finite())
                .collect();
            residuals.extend(match quantity {
                Quantity::Difference | Quantity::Ratio | Quantity::Candidate => minus_mean(&rows),
                Quantity::Percentile(share) => {
                    let percentile = at(rows.iter().map(|row| row.0), share);
                    let flags: Vec<(f64, u32)> =
                        rows.iter().map(|(value, cluster)| (flag(*value <= percentile), *cluster)).collect();
                    minus_mean(&flags)
                }
            });
        }
        design_effect(&residuals)
    };
    let control = arm(|stratum| (&stratum.control, &stratum.control_clusters));
    control.max(arm(|stratum| (&stratum.candidate, &stratum.candidate_clusters)))
}

fn minus_mean(values: &[(f64, u32)]) -> Vec<(f64, u32)> {
    let mean = values.iter().map(|(value, _)| value).sum::<f64>() / values.len().max(1) as f64;
    values.iter().map(|(value, cluster)| (value - mean, *cluster)).collect()
}

fn at(values: impl Iterator<Item = f64>, share: f64) -> f64 {
    quantile::of_unsorted(&mut values.collect::<Vec<f64>>(), share).unwrap_or(0.0)
}

fn flag(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}
