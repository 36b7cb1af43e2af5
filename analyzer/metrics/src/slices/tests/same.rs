//! What slices say held against what a look at everything says.

use std::collections::BTreeMap;

use jiff::Timestamp;
use weir_gate::{CaptureHealth, Evaluation, GateResult, MetricSeries, SegmentResult};
use weir_report::{Distribution, Histogram, Prefix};
use weir_tripwire::{Mark, Seen};

use super::world::judged;
use crate::Loaded;

/// How far a percentile may be off.
const PERCENTILE: f64 = 1.0 / 500.0;

/// Everything but intermediate looks, which slices have at other times.
pub(super) fn same(sliced: &Loaded, whole: &Loaded) {
    let plain = |loaded: &Loaded| {
        let (from, to) = (loaded.first_ts_us, loaded.last_ts_us);
        let names = (loaded.revisions.clone(), loaded.policy_digests.clone(), loaded.variants.clone());
        format!("{:#?}", (&loaded.absent, loaded.samples, loaded.duplicates, from, to, names))
    };
    assert_eq!(plain(sliced), plain(whole));
    assert_eq!(without_clocks(&sliced.health), without_clocks(&whole.health));
    assert_eq!(marks(&sliced.seen), marks(&whole.seen));
    assert_eq!(sliced.series.len(), whole.series.len());
    for (one, other) in sliced.series.iter().zip(&whole.series) {
        same_series(one, other);
    }
    same_distributions(&sliced.distributions, &whole.distributions);
    same_evaluation(&judged(sliced), &judged(whole));
    looks_end_with_everything(sliced);
}

fn without_clocks(health: &CaptureHealth) -> CaptureHealth {
    let mut health = health.clone();
    health.problems.retain(|problem| !problem.starts_with("the clock of"));
    health
}

/// Marks as sets with counts.
fn marks(seen: &Seen) -> [Vec<Vec<u8>>; 4] {
    let bytes = |mark: &Mark| mark.to_bytes().to_vec();
    let both = |(one, other): &(Mark, Mark)| [one.to_bytes(), other.to_bytes()].concat();
    let mut all = [
        seen.control.iter().map(bytes).collect::<Vec<_>>(),
        seen.candidate.iter().map(bytes).collect(),
        seen.pairs.iter().map(both).collect(),
        seen.noise.iter().map(both).collect(),
    ];
    all.iter_mut().for_each(|marks| marks.sort());
    all
}

/// Pairs, and values of control and the candidate by stratum.
type Counts = (usize, BTreeMap<String, (usize, usize)>);

fn counts(series: &MetricSeries) -> Counts {
    let Some(settled) = &series.settled else {
        let of = |own: &weir_gate::Stratum| (own.name.clone(), (own.control.len(), own.candidate.len()));
        return (series.pairs.len(), series.strata.iter().map(of).collect());
    };
    let lengths = settled.lengths().pop().unwrap();
    (lengths.pairs, settled.strata().iter().cloned().zip(lengths.strata).collect())
}

fn same_series(sliced: &MetricSeries, whole: &MetricSeries) {
    assert!(sliced.settled.is_some() && sliced.pairs.is_empty() && sliced.strata.is_empty());
    let plain =
        |own: &MetricSeries| (own.name.clone(), own.unit.clone(), own.better, own.bounds, own.missing);
    assert_eq!(plain(sliced), plain(whole));
    assert_eq!(sliced.labels.sets, whole.labels.sets);
    assert_eq!(counts(sliced), counts(whole), "{}", whole.name);
}

fn same_distributions(sliced: &[Distribution], whole: &[Distribution]) {
    let names = |all: &[Distribution]| {
        all.iter().map(|one| (one.metric.clone(), one.unit.clone())).collect::<Vec<_>>()
    };
    assert_eq!(names(sliced), names(whole));
    for (one, other) in sliced.iter().zip(whole) {
        same_histogram(&one.control, &other.control);
        same_histogram(&one.candidate, &other.candidate);
        assert_eq!(one.noise.is_some(), other.noise.is_some(), "{}", one.metric);
        one.noise.iter().zip(&other.noise).for_each(|(one, other)| same_histogram(one, other));
    }
}

fn same_histogram(one: &Histogram, other: &Histogram) {
    assert_eq!((one.n, one.counts.iter().sum::<u64>()), (other.n, other.n));
    assert!(near(one.mean, other.mean, 1e-6), "{one:?} {other:?}");
    assert!(near(one.p50, other.p50, PERCENTILE) && near(one.p95, other.p95, PERCENTILE));
}

pub(super) fn same_evaluation(sliced: &Evaluation, whole: &Evaluation) {
    assert_eq!(sliced.verdict, whole.verdict);
    same_results(&sliced.gates, &whole.gates);
    let by_name = |all: &[SegmentResult]| {
        all.iter().map(|segment| (segment.name(), segment.clone())).collect::<BTreeMap<_, _>>()
    };
    let (one, other) = (by_name(&sliced.segments), by_name(&whole.segments));
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    for (one, other) in one.values().zip(other.values()) {
        assert_eq!((one.n, &one.worst), (other.n, &other.worst), "{}", one.name());
        same_results(&one.gates, &other.gates);
    }
    let findings = |all: &Evaluation| {
        let of = |own: &weir_gate::SegmentFinding| {
            (own.gate.clone(), own.dimension.clone(), own.value.clone(), format!("{:?}", own.kind))
        };
        let mut all: Vec<_> = all.findings.iter().map(of).collect();
        all.sort();
        all
    };
    assert_eq!(findings(sliced), findings(whole));
}

fn same_results(sliced: &[GateResult], whole: &[GateResult]) {
    assert_eq!(sliced.len(), whole.len());
    for (one, other) in sliced.iter().zip(whole) {
        let case = || format!("{one:#?}\n{other:#?}");
        let plain = |own: &GateResult| {
            let n = (own.n_pairs, own.n_control, own.n_candidate);
            (own.gate.clone(), own.metric.clone(), own.comparison, own.method.clone(), n, own.outcome)
        };
        assert_eq!(plain(one), plain(other), "{}", case());
        let percentile = other.metric.contains(":p");
        let share = if percentile { PERCENTILE } else { 1e-6 };
        assert!(near(one.control, other.control, share), "{}", case());
        assert!(near(one.candidate, other.candidate, share), "{}", case());
        // A relative change of percentiles is off by what both are off.
        let scale = if other.relative { 1.0 } else { other.candidate.unwrap_or(0.0) };
        let off = if percentile { 2.0 * PERCENTILE * scale } else { 0.0 };
        let close = |one: Option<f64>, other: Option<f64>, width: f64| match (one, other) {
            (Some(one), Some(other)) => (one - other).abs() <= off + width,
            (one, other) => one.is_none() && other.is_none(),
        };
        let width = other.interval.map_or(0.0, |(low, high)| high - low);
        let of_estimate = 1e-6 * other.estimate.unwrap_or(0.0).abs().max(1e-3);
        assert!(close(one.estimate, other.estimate, of_estimate), "{}", case());
        let (low, high) = one.interval.unzip();
        let (exact_low, exact_high) = other.interval.unzip();
        assert!(close(low, exact_low, 0.01 * width) && close(high, exact_high, 0.01 * width), "{}", case());
    }
}

fn near(one: Option<f64>, other: Option<f64>, share: f64) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => (one - other).abs() <= share * other.abs().max(1e-3),
        (one, other) => one.is_none() && other.is_none(),
    }
}

fn looks_end_with_everything(sliced: &Loaded) {
    let times: Vec<Timestamp> = sliced.looks.iter().map(|look| look.at.parse().unwrap()).collect();
    assert!((1..=6).contains(&times.len()), "{times:?}");
    assert!(times.is_sorted_by(|one, other| one < other), "{times:?}");
    let (last, at) = (sliced.looks.last().unwrap(), times.last().unwrap());
    assert_eq!(Some(at.as_microsecond()), sliced.last_ts_us);
    let lengths = sliced.series.iter().map(|series| {
        let (pairs, _) = counts(series);
        let strata = series.settled.as_ref().unwrap().lengths().pop().unwrap().strata;
        Prefix { pairs, noise_pairs: 0, strata }
    });
    assert_eq!(last.prefixes, lengths.collect::<Vec<_>>());
    for both in sliced.looks.windows(2) {
        let pairs = both[0].prefixes.iter().zip(&both[1].prefixes);
        assert!(pairs.clone().all(|(one, other)| one.pairs <= other.pairs));
        assert!(pairs.clone().any(|(one, other)| one.pairs < other.pairs || one.strata != other.strata));
    }
}
