//! Histograms of the numeric metrics, control beside candidate, for people to look at.
//!
//! Paired values where there are pairs, else primary legs. Bins are of equal width from the smallest value to the 99th
//! percentile of both variants together; the last bin also holds everything above, so that a long tail does not
//! flatten the rest.

use weir_gate::{Arm, MetricSeries};
use weir_report::{Distribution, Histogram};
use weir_stats::quantile::at_counts;
use weir_stats::{Buckets, Moments};

const BINS_MAX: usize = 24;

/// The histogram of a metric, or nothing for yes-or-no metrics and where one side has no values.
pub(crate) fn distribution(series: &MetricSeries) -> Option<Distribution> {
    if series.unit == "share" {
        return None;
    }
    let (mut control, mut candidate) = values(series);
    if control.is_empty() || candidate.is_empty() {
        return None;
    }
    let edges = edges(&control, &candidate);
    Some(Distribution {
        metric: series.name.clone(),
        unit: series.unit.clone(),
        control: histogram(&mut control, &edges),
        candidate: histogram(&mut candidate, &edges),
        noise: noise(series, &edges),
        edges,
    })
}

/// The same of what is left of a metric's values, whose percentiles are right up to a thousandth; `noise` are control's second
/// answers.
pub(crate) fn distribution_of_sums(series: &MetricSeries, noise: &Arm) -> Option<Distribution> {
    let whole = series.settled.as_ref().filter(|_| series.unit != "share")?.whole();
    let (mut control, mut candidate) = (whole.pairs.control, whole.pairs.candidate);
    let mut means = (whole.pairs.sums.moments.first, whole.pairs.sums.moments.second);
    if means.0.n == 0 {
        for (old, new) in &whole.strata {
            control.append(&old.sizes);
            candidate.append(&new.sizes);
            means.0.append(&old.column.moments);
            means.1.append(&new.column.moments);
        }
    }
    if means.0.n == 0 || means.1.n == 0 {
        return None;
    }
    let mut both = control.clone();
    both.append(&candidate);
    let low = both.counts().next().map_or(0.0, |(low, _)| low);
    let edges = edges_between(low, at_counts(&both, 0.99).unwrap_or(low));
    let of_sums = |values: &Buckets, moments: &Moments| {
        let mut counts = vec![0; edges.len().saturating_sub(1)];
        for (value, n) in values.counts() {
            counts.get_mut(bin(value, &edges)).into_iter().for_each(|count| *count += n);
        }
        let at = |share| at_counts(values, share);
        Histogram { counts, n: values.n(), mean: Some(moments.mean), p50: at(0.5), p95: at(0.95) }
    };
    Some(Distribution {
        metric: series.name.clone(),
        unit: series.unit.clone(),
        control: of_sums(&control, &means.0),
        candidate: of_sums(&candidate, &means.1),
        noise: (noise.column.moments.n > 0).then(|| of_sums(&noise.sizes, &noise.column.moments)),
        edges,
    })
}

/// Control's second answers over the same bins, where there are any: what varies without a change.
fn noise(series: &MetricSeries, edges: &[f64]) -> Option<Histogram> {
    let mut second = series.noise_pairs.candidate().to_vec();
    (!second.is_empty()).then(|| histogram(&mut second, edges))
}

fn values(series: &MetricSeries) -> (Vec<f64>, Vec<f64>) {
    if series.pairs.is_empty() {
        let control = series.strata.iter().flat_map(|stratum| stratum.control.to_vec()).collect();
        let candidate = series.strata.iter().flat_map(|stratum| stratum.candidate.to_vec()).collect();
        return (control, candidate);
    }
    (series.pairs.control().to_vec(), series.pairs.candidate().to_vec())
}

fn edges(control: &[f64], candidate: &[f64]) -> Vec<f64> {
    let mut both = [control, candidate].concat();
    let low = both.iter().copied().min_by(f64::total_cmp).unwrap_or(0.0);
    let high = quantile(&mut both, 0.99).unwrap_or(low);
    edges_between(low, high)
}

#[allow(clippy::cast_precision_loss)] // bins are few
fn edges_between(low: f64, high: f64) -> Vec<f64> {
    if high <= low {
        return vec![low - 0.5, low + 0.5];
    }
    let width = (high - low) / BINS_MAX as f64;
    (0..=BINS_MAX).map(|bin| low + width * bin as f64).collect()
}

/// Leaves the values in another order.
#[allow(clippy::cast_precision_loss)] // counts are far below 2^53
fn histogram(values: &mut [f64], edges: &[f64]) -> Histogram {
    let mut counts = vec![0; edges.len().saturating_sub(1)];
    for value in values.iter() {
        if let Some(count) = counts.get_mut(bin(*value, edges)) {
            *count += 1;
        }
    }
    Histogram {
        counts,
        n: u64::try_from(values.len()).unwrap_or(u64::MAX),
        mean: Some(values.iter().sum::<f64>() / values.len().max(1) as f64),
        p50: quantile(values, 0.5),
        p95: quantile(values, 0.95),
    }
}

/// The bin of a value: the last one whose lower edge is not above it, which is near to where equal widths have it.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
// edges are few, and a place below zero is the first
fn bin(value: f64, edges: &[f64]) -> usize {
    let last = edges.len().saturating_sub(2);
    let (Some(low), Some(high)) = (edges.first(), edges.last()) else { return 0 };
    let guess = ((value - low) / (high - low) * (last + 1) as f64) as usize;
    let mut bin = guess.min(last);
    while bin > 0 && edges.get(bin).is_some_and(|edge| *edge > value) {
        bin -= 1;
    }
    while bin < last && edges.get(bin + 1).is_some_and(|edge| *edge <= value) {
        bin += 1;
    }
    bin
}

/// The nearest-rank quantile of values, which are in another order then.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
// counts are far below 2^53 and the share is within 0 to 1
fn quantile(values: &mut [f64], share: f64) -> Option<f64> {
    let rank = (values.len() as f64 * share).ceil() as usize;
    let place = rank.max(1) - 1;
    (place < values.len()).then(|| *values.select_nth_unstable_by(place, f64::total_cmp).1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use weir_gate::Better;

    use super::*;

    fn series(pairs: Vec<(f64, f64)>) -> MetricSeries {
        MetricSeries {
            name: "latency_ms".into(),
            unit: "ms".into(),
            better: Better::Lower,
            bounds: None,
            pairs: pairs.into(),
            ..MetricSeries::default()
        }
    }

    #[test]
    fn every_value_is_in_a_bin_and_the_tail_is_in_the_last_one() {
        let pairs = (0..200).map(|n| (f64::from(n), if n == 199 { 1e6 } else { f64::from(n) })).collect();
        let drawn = distribution(&series(pairs)).unwrap();
        assert_eq!(drawn.edges.len(), drawn.control.counts.len() + 1);
        assert_eq!(drawn.control.counts.iter().sum::<u64>(), 200);
        assert_eq!(drawn.candidate.counts.iter().sum::<u64>(), 200);
        assert!(drawn.edges.last().unwrap() < &300.0);
        assert_eq!(drawn.control.p50, Some(99.0));
        assert_eq!(drawn.control.p95, Some(189.0));
    }

    #[test]
    fn a_bin_is_the_last_one_that_begins_at_or_below_a_value() {
        let values: Vec<f64> = (0..300).map(|number| f64::from(number) * 0.1 - 2.0).collect();
        let edges = edges(&values[20..200], &values[20..190]);
        for value in values.iter().chain(&edges) {
            for value in [value.next_down(), *value, value.next_up(), f64::NAN] {
                let above = edges.partition_point(|edge| *edge <= value);
                assert_eq!(bin(value, &edges), above.saturating_sub(1).min(edges.len() - 2), "{value}");
            }
        }
    }

    #[test]
    fn a_constant_metric_has_one_bin() {
        let drawn = distribution(&series(vec![(3.0, 3.0); 5])).unwrap();
        assert_eq!(drawn.edges, [2.5, 3.5]);
        assert_eq!(drawn.control.counts, [5]);
    }

    #[test]
    fn without_values_there_is_no_histogram() {
        assert_eq!(distribution(&series(Vec::new())), None);
    }
}
