//! The candidate's own level against a fixed bound: a quality score of at least 0.85, a percentile of latency of at most 2 s.
//!
//! The difference is taken to the bound instead of control, and the allowed change is nothing: below the bound (on its bad side)
//! with certainty is a breach, above it with certainty is inside. Values of the candidate only; the same confidence sequences as
//! for comparisons, at half of the gate's alpha for pairs and half for the others.

use weir_stats::forecast::Shape;
use weir_stats::{Moments, asymptotic, bounded, quantile};

use crate::cluster::{self, Quantity};
use crate::measure::{
    Clean, Measured, PERCENTILE, all_pairs, clustered, finish, nothing, shape, usable_bounds,
};
use crate::result::Comparison;
use crate::series::MetricSeries;
use crate::settled;

/// What is held against a bound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Level {
    /// The share of a percentile; the mean without it.
    pub(crate) share: Option<f64>,
    pub(crate) bound: f64,
    /// That the values have.
    pub(crate) bounds: Option<(f64, f64)>,
}

/// Compares the candidate's mean, or the percentile `share` of its values, with `bound`.
pub(crate) fn measure_level(series: &MetricSeries, share: Option<f64>, bound: f64, alpha: f64) -> Measured {
    if let Some(settled) = &series.settled {
        let level = Level { share, bound, bounds: series.bounds };
        return settled::measure::measure_level(settled, level, alpha);
    }
    let clean = Clean::of(series);
    let n_pairs = clean.pairs.len();
    let unpaired: Vec<f64> =
        clean.strata_if_few_pairs(series).into_iter().flat_map(|(_, candidate)| candidate).collect();
    let mut notes = clean.notes;
    let (comparison, values) = match n_pairs {
        n if n == 0 && unpaired.is_empty() => return Measured { notes, ..nothing() },
        _ if !unpaired.is_empty() => (Comparison::Unpaired, unpaired),
        _ => (Comparison::Paired, clean.pairs.iter().map(|pair| pair.1).collect()),
    };
    let effect = match (comparison, share) {
        (Comparison::Paired, share) => {
            let quantity = share.map_or(Quantity::Candidate, Quantity::Percentile);
            cluster::of_pairs(&all_pairs(series, &clean.pairs), &series.pair_clusters, quantity)
        }
        (_, None) => cluster::of_strata(series, Quantity::Difference),
        (_, Some(share)) => cluster::of_strata(series, Quantity::Percentile(share)),
    };
    let alpha = clustered(alpha / 2.0, effect, &mut notes);
    let moments = Moments::of(values.iter().copied());
    let bounds = share.map_or(series.bounds, |_| None);
    let bounds = usable_bounds(bounds, values.iter().copied(), &mut notes);
    let tuned_n = asymptotic::TUNED_N;
    let (level, estimate) = match (share, bounds) {
        (Some(share), _) => {
            let level = quantile::of_unsorted(&mut values.clone(), share).unwrap_or(0.0);
            (level, quantile::quantile(&values, share, alpha))
        }
        (None, Some(bounds)) => (moments.mean, bounded::mean(&values, bounds, alpha)),
        (None, None) => (moments.mean, asymptotic::mean(&values, alpha, tuned_n)),
    };
    let shape = match share {
        Some(_) => Shape::Asymptotic { alpha, tuned_n },
        None => shape(bounds, moments.variance().sqrt(), alpha),
    };
    let counts = (values.len(), values.len());
    let exact = share.is_some() || bounds.is_some();
    let estimate = estimate.map(|estimate| estimate.affine(1.0, -bound));
    let mut measured = finish(comparison, counts, (bound, level), false, exact, shape, estimate);
    if share.is_some() {
        measured.method = PERCENTILE;
    }
    measured.n_pairs = n_pairs as u64;
    measured.notes = notes;
    measured
}
