//! How much less a metric's values say because several are of one identity: the design effect of what is compared.
//!
//! Values without known clusters are taken as independent. For ratios the residual is that of the ratio (the delta
//! method), for percentiles that of the flags "at or below the percentile". Of two arms the larger effect counts.

use weir_stats::clusters::design_effect;
use weir_stats::quantile;

use crate::places::Places;
use crate::series::{MetricSeries, Stratum};
use crate::values::{Values, with_sums};

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

/// The effect for the pairs, of which some may be no finite numbers, with the cluster of each.
pub(crate) fn of_pairs(pairs: &[(f64, f64)], clusters: &[u32], quantity: Quantity) -> f64 {
    let rows = || rows(pairs, clusters);
    match quantity {
        Quantity::Difference => {
            one(rows().map(|(control, candidate, cluster)| (candidate - control, cluster)))
        }
        Quantity::Candidate => one(rows().map(|(_, candidate, cluster)| (candidate, cluster))),
        Quantity::Ratio => {
            let (control, candidate) =
                rows().fold((0.0, 0.0), |(x, y), (control, candidate, _)| (x + control, y + candidate));
            let ratio = if control > 0.0 { candidate / control } else { 1.0 };
            one(rows().map(move |(control, candidate, cluster)| (candidate - ratio * control, cluster)))
        }
        Quantity::Percentile(share) => {
            let levels = (at(rows().map(|row| row.0), share), at(rows().map(|row| row.1), share));
            of_pairs_at(pairs, clusters, levels)
        }
    }
}

/// The effect for percentiles of the pairs that are known: of the variant that it is larger for.
pub(crate) fn of_pairs_at(pairs: &[(f64, f64)], clusters: &[u32], (low, high): (f64, f64)) -> f64 {
    let rows = || rows(pairs, clusters);
    let of_control = one(rows().map(move |(control, _, cluster)| (flag(control <= low), cluster)));
    of_control.max(one(rows().map(move |(_, candidate, cluster)| (flag(candidate <= high), cluster))))
}

/// Values of the pairs whose cluster is known.
fn rows(pairs: &[(f64, f64)], clusters: &[u32]) -> impl Iterator<Item = (f64, f64, u32)> + Clone {
    let rows = pairs.iter().zip(clusters);
    rows.filter(|((control, candidate), _)| control.is_finite() && candidate.is_finite())
        .map(|((control, candidate), cluster)| (*control, *candidate, *cluster))
}

/// The effect for the cohorts: of the arm that it is larger for.
pub(crate) fn of_strata(series: &MetricSeries, quantity: Quantity) -> f64 {
    let arm = |arm: fn(&Stratum) -> (&Values, &Places)| {
        let values: Vec<Vec<f64>> = series.strata.iter().map(|stratum| arm(stratum).0.to_vec()).collect();
        let groups = series.strata.iter().zip(&values).map(|(stratum, values)| {
            let (_, clusters) = arm(stratum);
            let rows =
                values.iter().copied().zip(clusters.iter().copied()).filter(|(value, _)| value.is_finite());
            let percentile = match quantity {
                Quantity::Difference | Quantity::Ratio | Quantity::Candidate => None,
                Quantity::Percentile(share) => Some(at(rows.clone().map(|row| row.0), share)),
            };
            rows.map(move |(value, cluster)| {
                (percentile.map_or(value, |percentile| flag(value <= percentile)), cluster)
            })
        });
        with_sums(|sums| design_effect(sums, groups))
    };
    let control = arm(|stratum| (&stratum.control, &stratum.control_clusters));
    control.max(arm(|stratum| (&stratum.candidate, &stratum.candidate_clusters)))
}

fn one(values: impl Iterator<Item = (f64, u32)> + Clone) -> f64 {
    with_sums(|sums| design_effect(sums, [values]))
}

fn at(values: impl Iterator<Item = f64>, share: f64) -> f64 {
    quantile::of_unsorted(&mut values.collect::<Vec<f64>>(), share).unwrap_or(0.0)
}

fn flag(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}
