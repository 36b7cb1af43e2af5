//! The promises over whole rollouts: forty looks, twelve gates on metrics that go together, sessions of several requests,
//! heavy-tailed latency, segments on.
//!
//! `WEIR_SIMULATED_ROLLOUTS` sets the number of rollouts of each kind (16 without it; `make test-long` takes 10,000).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::traffic::{Change, after, of_seeds, rollout, twelve_gates};
use common::{Random, healthy};
use std::sync::Arc;

use weir_gate::{
    Evaluation, Labels, Lengths, MetricSeries, Outcome, Sampled, Settled, Severity, Spending, Verdict,
    evaluate,
};
use weir_stats::binomial::exact_interval;

const ALPHA: f64 = 0.05;
const REQUESTS: usize = 1_000;
const LOOKS: usize = 40;

fn rollouts() -> u64 {
    std::env::var("WEIR_SIMULATED_ROLLOUTS").ok().and_then(|text| text.parse().ok()).unwrap_or(16)
}

/// What is judged of a rollout.
#[derive(Clone, Copy, PartialEq)]
enum Judged {
    /// Values, with the labels of their exchanges.
    Labelled,
    /// Values alone.
    Plain,
    /// Sums, with labels, and the values of one in three identities.
    Settled,
}

/// Of each rollout whether each of the events ever happened; segments are judged where exchanges are labelled.
fn ever<const N: usize>(
    judged: Judged,
    change: Change,
    (seed, runs): (u64, u64),
    events: impl Fn(&Evaluation) -> [bool; N] + Sync,
) -> [u64; N] {
    let gates = twelve_gates(ALPHA);
    let runs = of_seeds(0..runs, |run| {
        let mut all = rollout(&mut Random(seed + 7_919 * run), REQUESTS, change);
        for series in all.iter_mut().filter(|_| judged == Judged::Plain) {
            series.labels = Labels::default();
        }
        let mut happened = [false; N];
        for look in 1..=LOOKS {
            let mut seen = after(&all, look * REQUESTS / LOOKS);
            if judged == Judged::Settled {
                seen = seen.iter().map(settled).collect();
            }
            let now = events(&evaluate(&gates, &seen, &healthy(), Spending::ALL));
            happened.iter_mut().zip(now).for_each(|(ever, now)| *ever |= now);
        }
        happened
    });
    std::array::from_fn(|event| runs.iter().filter(|run| run[event]).count() as u64)
}

/// What is left of a series where sums are kept, as two stretches of time.
fn settled(series: &MetricSeries) -> MetricSeries {
    let chosen =
        |identities: &[u32]| identities.iter().map(|identity| identity % 3 == 0).collect::<Vec<bool>>();
    let sampled = Sampled {
        pairs: chosen(&series.pair_clusters),
        strata: series
            .strata
            .iter()
            .map(|stratum| (chosen(&stratum.control_clusters), chosen(&stratum.candidate_clusters)))
            .collect(),
    };
    let strata = series.strata.iter().map(|stratum| (stratum.control.len(), stratum.candidate.len()));
    let all = Lengths { pairs: series.pairs.len(), strata: strata.collect() };
    let half = Lengths {
        pairs: all.pairs / 2,
        strata: all.strata.iter().map(|(control, candidate)| (control / 2, candidate / 2)).collect(),
    };
    MetricSeries {
        name: series.name.clone(),
        unit: series.unit.clone(),
        better: series.better,
        bounds: series.bounds,
        labels: Labels { sets: series.labels.sets.clone(), ..Labels::default() },
        settled: Some(Arc::new(Settled::of(series, &[half, all], &sampled))),
        ..MetricSeries::default()
    }
}

/// At most the promise, as far as that many runs can tell: the promise is not below the exact 99.9 % interval.
fn assert_kept(what: &str, happened: u64, promised: f64) {
    assert_kept_in(rollouts(), what, happened, promised);
}

fn assert_kept_in(runs: u64, what: &str, happened: u64, promised: f64) {
    let (low, high) = exact_interval(happened, runs, 0.002).unwrap();
    println!("{what}: {happened} of {runs} rollouts, {low:.4} to {high:.4}, promised {promised}");
    assert!(
        low <= promised,
        "{what}: {happened} of {runs} rollouts ({low:.4} to {high:.4}), promised {promised}"
    );
}

#[test]
fn unchanged_rollouts_keep_every_promise() {
    let events = |evaluation: &Evaluation| {
        let outside = |outcome| matches!(outcome, Outcome::Breach | Outcome::Diverged);
        let mut in_segments = evaluation.segments.iter().flat_map(|segment| &segment.gates);
        [
            evaluation.verdict == Verdict::Rollback,
            !matches!(evaluation.verdict, Verdict::Hold | Verdict::Promote),
            in_segments.any(|gate| outside(gate.outcome) && gate.severity != Severity::Advisory),
            evaluation.segments.len() == 5,
            evaluation.verdict == Verdict::Promote,
        ]
    };
    let [rollbacks, humans, segments, all_segments, promoted] =
        ever(Judged::Labelled, Change::default(), (1, rollouts()), events);
    assert_kept("rollback without cause", rollbacks, ALPHA);
    assert_kept("a gate past its margin in a segment without cause", segments, ALPHA);
    // Three critical and seven major gates that can breach, and one both ways: alpha / (3 + 7 / 2) each.
    assert_kept("a human called without cause", humans, ALPHA * 11.0 / 6.5 + ALPHA);
    assert_eq!(all_segments, rollouts(), "tiers and languages are judged");
    println!("promoted: {promoted} of {} rollouts", rollouts());
    assert!(2 * promoted > rollouts(), "an unchanged candidate is promoted: {promoted} of {}", rollouts());
}

#[test]
fn unchanged_rollouts_keep_their_promise_where_sums_and_a_sample_of_identities_are_left() {
    let runs = rollouts().min(2_000);
    let events = |evaluation: &Evaluation| {
        let outside = |outcome| matches!(outcome, Outcome::Breach | Outcome::Diverged);
        let mut in_segments = evaluation.segments.iter().flat_map(|segment| &segment.gates);
        [
            evaluation.verdict == Verdict::Rollback,
            in_segments.any(|gate| outside(gate.outcome) && gate.severity != Severity::Advisory),
            evaluation.verdict == Verdict::Promote,
        ]
    };
    let [rollbacks, segments, promoted] = ever(Judged::Settled, Change::default(), (4, runs), events);
    assert_kept_in(runs, "rollback without cause, by sums", rollbacks, ALPHA);
    assert_kept_in(runs, "a gate past its margin in a segment without cause, by sums", segments, ALPHA);
    println!("promoted, by sums: {promoted} of {runs} rollouts");
    assert!(2 * promoted > runs, "an unchanged candidate is promoted: {promoted} of {runs}");
}

#[test]
fn a_candidate_at_a_margin_is_promoted_in_at_most_alpha_of_the_rollouts() {
    // Every gate at its margin would be no test: none would be inside. One is, and the others are unchanged.
    let at_margin = Change { errors: 1.0, ..Change::default() };
    let events = |evaluation: &Evaluation| {
        let inside = |outcome| matches!(outcome, Outcome::Inside | Outcome::Improved);
        [evaluation.verdict == Verdict::Promote, inside(evaluation.gates[0].outcome)]
    };
    // A segment can only prevent a promotion, so that it is harder to keep the promise without them.
    let [promoted, inside] = ever(Judged::Plain, at_margin, (2, rollouts()), events);
    assert_kept("promotion at the margin", promoted, ALPHA / 6.5);
    assert_kept("the gate at its margin called inside", inside, ALPHA / 6.5);
}

#[test]
fn a_candidate_far_past_its_margins_is_rolled_back_in_every_rollout() {
    // The same counting on a real change: shows that it can count.
    let worse = Change { flags: 4.0, scores: 5.0, ..Change::default() };
    let runs = rollouts().min(100);
    let [rollbacks] =
        ever(Judged::Labelled, worse, (3, runs), |evaluation| [evaluation.verdict == Verdict::Rollback]);
    assert_eq!(rollbacks, runs);
}
