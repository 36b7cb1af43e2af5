//! Several requests of one identity: the error rates hold, and would not without the identities.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Random, healthy, series, share, stratum};
use weir_gate::{
    Better, Evaluation, Gate, Gates, Margin, MetricSeries, Outcome, Severity, Spending, Stratum, evaluate,
};

const RUNS: u64 = 200;
const ALPHA: f64 = 0.1;
/// Requests of one session; all of them go well or badly together.
const LENGTH: usize = 6;

fn judged(series: MetricSeries, margin: Margin) -> Evaluation {
    let gate = Gate {
        name: "gate".into(),
        metric: series.name.clone(),
        direction: None,
        margin,
        severity: Severity::Critical,
        segment: None,
        minimum_evidence: 20,
    };
    evaluate(&Gates { alpha: ALPHA, gates: vec![gate] }, &[series], &healthy(), Spending::ALL)
}

/// Runs in which the gate is ever decided, though the truth is exactly at the margin (neither inside nor past it).
fn decided(known: bool, make: impl Fn(&mut Random, usize) -> (MetricSeries, Margin)) -> usize {
    let run = |seed| {
        let (all, margin) = make(&mut Random(seed), 60);
        (1..=20).any(|look| {
            let cut = cut(&all, look * all.pairs.len() / 20, known);
            judged(cut, margin).gates[0].outcome != Outcome::Undecided
        })
    };
    (0..RUNS).filter(|seed| run(*seed)).count()
}

fn cut(all: &MetricSeries, n: usize, known: bool) -> MetricSeries {
    let clusters = if known { all.pair_clusters[..n].to_vec() } else { Vec::new() };
    MetricSeries { pairs: all.pairs.part(0, n), pair_clusters: clusters.into(), ..all.clone() }
}

/// Sessions that come one after another, each with the same outcome in all its requests.
fn flags(random: &mut Random, sessions: usize) -> (MetricSeries, Margin) {
    let mut all = share("error", Better::Lower, Vec::new());
    for session in 0..sessions {
        let pair = (random.flag(0.1), random.flag(0.25));
        all.pairs.extend([pair; LENGTH]);
        all.pair_clusters.extend([u32::try_from(session).unwrap(); LENGTH]);
    }
    (all, Margin::Absolute(0.15))
}

/// Slow sessions: every request of one takes about as long.
fn latencies(random: &mut Random, sessions: usize) -> (MetricSeries, Margin) {
    let mut all = series("latency_ms", Better::Lower, None, Vec::new());
    for session in 0..sessions {
        let (control, candidate) = (random.lognormal(300.0, 0.4), 1.2 * random.lognormal(300.0, 0.4));
        for _ in 0..LENGTH {
            all.pairs.push((control + random.unit(), candidate + 1.2 * random.unit()));
            all.pair_clusters.push(u32::try_from(session).unwrap());
        }
    }
    (all, Margin::Relative(0.2))
}

#[test]
fn at_the_margin_sessions_decide_in_at_most_alpha_of_the_runs() {
    for (what, make) in [
        ("flags", flags as fn(&mut Random, usize) -> _),
        ("latencies", latencies as fn(&mut Random, usize) -> _),
    ] {
        let (known, unknown) = (decided(true, make), decided(false, make));
        // Binomial(200, 0.1): more than 33 with probability 0.001.
        assert!(known <= 33, "{what}: {known} of {RUNS}");
        assert!(unknown > 60, "{what}: {unknown} of {RUNS} without identities: the test proves nothing");
    }
}

#[test]
fn copies_of_every_answer_add_little() {
    let mut random = Random(9);
    let once: Vec<(f64, f64)> = (0..400).map(|_| (random.flag(0.1), random.flag(0.12))).collect();
    let numbers: Vec<u32> = (0..400).collect();
    let single =
        MetricSeries { pair_clusters: numbers.clone().into(), ..share("error", Better::Lower, once.clone()) };
    let thrice = MetricSeries {
        pair_clusters: numbers.iter().flat_map(|number| [*number; 3]).collect(),
        ..share("error", Better::Lower, once.iter().flat_map(|pair| [*pair; 3]).collect())
    };
    let width = |series| {
        let evaluation = judged(series, Margin::Absolute(0.05));
        let (low, high) = evaluation.gates[0].interval.unwrap();
        high - low
    };
    let (single, thrice) = (width(single), width(thrice));
    // The bets of a longer sequence are a little better placed; without the identities it would be 0.58 as wide.
    assert!((0.75..1.1).contains(&(thrice / single)), "{thrice} against {single}");
}

#[test]
fn users_of_a_cohort_are_counted_once_too() {
    let values = |p: f64, seed: u64| -> (Vec<f64>, Vec<u32>) {
        let mut random = Random(seed);
        let users: Vec<f64> = (0..80).map(|_| random.flag(p)).collect();
        let of = |index: usize| (users[index / 5], u32::try_from(index / 5).unwrap());
        (0..400).map(of).unzip()
    };
    let (control, control_clusters) = values(0.1, 1);
    let (candidate, candidate_clusters) = values(0.1, 2);
    let with = Stratum {
        control_clusters: control_clusters.into(),
        candidate_clusters: candidate_clusters.into(),
        ..stratum("general", control.clone(), candidate.clone())
    };
    let width = |stratum| {
        let series = MetricSeries { strata: vec![stratum], ..share("error", Better::Lower, Vec::new()) };
        let gate = judged(series, Margin::Absolute(0.05)).gates.remove(0);
        let (low, high) = gate.interval.unwrap();
        (high - low, gate.explanation)
    };
    let (clustered, explanation) = width(with);
    let (plain, _) = width(stratum("general", control, candidate));
    assert!(clustered > 1.7 * plain, "{clustered} against {plain}");
    assert!(
        explanation.contains("answers to one identity are alike: 5.1 of them count as one"),
        "{explanation}"
    );
}
