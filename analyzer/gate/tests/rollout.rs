//! How soon a rollout is decided: the example gates and a score on the traffic of a support assistant, looked at after
//! every ten pairs, at a third of alpha.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Random, healthy, series, share};
use weir_gate::{Better, Gate, Gates, Margin, MetricSeries, Severity, Spending, Verdict, evaluate};

/// How the candidate differs.
#[derive(Clone, Copy)]
struct Candidate {
    length: f64,
    fields: f64,
    score: f64,
}

const HEALTHY: Candidate = Candidate { length: 1.0, fields: 1.0, score: 0.0 };
const DEGRADED: Candidate = Candidate { length: 0.65, fields: 0.6, score: -0.2 };

fn gates() -> Gates {
    let text = include_str!("../../../examples/gates/support-answers.yaml");
    let mut gates = Gates::parse("support-answers.yaml", text).unwrap();
    gates.gates.push(Gate {
        name: "scores".into(),
        metric: "score:*".into(),
        direction: None,
        margin: Margin::Absolute(0.05),
        severity: Severity::Critical,
        segment: None,
        minimum_evidence: 50,
    });
    gates
}

fn traffic(random: &mut Random, candidate: Candidate, n: usize) -> Vec<MetricSeries> {
    let mut columns: [Vec<(f64, f64)>; 6] = Default::default();
    for _ in 0..n {
        // Both answer the same question: lengths and scores go together.
        let base = random.lognormal(400.0, 0.4);
        let score = 0.8 + 0.08 * random.normal();
        let clamp = |score: f64| score.clamp(0.0, 1.0);
        columns[0].push((1.0, 1.0));
        columns[1].push((1.0, random.flag(candidate.fields)));
        columns[2].push((0.0, 0.0));
        columns[3].push((random.lognormal(base, 0.15), random.lognormal(base, 0.15) * candidate.length));
        columns[4].push((random.lognormal(60.0, 0.4), random.lognormal(60.0, 0.4)));
        columns[5].push((
            clamp(score + 0.05 * random.normal()),
            clamp(score + candidate.score + 0.05 * random.normal()),
        ));
    }
    let [valid, fields, refusal, length, latency, score] = columns;
    vec![
        share("json_valid", Better::Higher, valid),
        share("json_fields:answer,order_id", Better::Higher, fields),
        share("refusal", Better::Lower, refusal),
        series("response_chars", Better::Neither, None, length),
        series("latency_ms", Better::Lower, None, latency),
        share("score:helpful", Better::Higher, score),
    ]
}

fn until(series: &[MetricSeries], n: usize) -> Vec<MetricSeries> {
    let cut = |series: &MetricSeries| MetricSeries { pairs: series.pairs.part(0, n), ..series.clone() };
    series.iter().map(cut).collect()
}

/// Pairs and verdict at the first look that decides.
fn decision(seed: u64, candidate: Candidate) -> (usize, Verdict) {
    let gates = gates();
    let all = traffic(&mut Random(seed), candidate, 1_000);
    for n in (10..=1_000).step_by(10) {
        let evaluation = evaluate(&gates, &until(&all, n), &healthy(), Spending::one_of(3));
        if matches!(evaluation.verdict, Verdict::Promote | Verdict::Rollback | Verdict::SignOff) {
            return (n, evaluation.verdict);
        }
    }
    (1_000, Verdict::Hold)
}

#[test]
fn a_healthy_candidate_is_promoted_within_a_few_hundred_pairs() {
    for seed in 1..=5 {
        let (n, verdict) = decision(seed, HEALTHY);
        println!("healthy, seed {seed}: {verdict} after {n} pairs");
        assert_eq!(verdict, Verdict::Promote);
        assert!(n <= 400, "{n} pairs");
    }
}

#[test]
fn a_degraded_candidate_is_rolled_back_within_a_hundred_pairs() {
    for seed in 1..=5 {
        let (n, verdict) = decision(seed, DEGRADED);
        println!("degraded, seed {seed}: {verdict} after {n} pairs");
        assert_eq!(verdict, Verdict::Rollback);
        assert!(n <= 100, "{n} pairs");
    }
}

#[test]
fn a_candidate_that_turns_worse_during_a_step_is_still_rolled_back() {
    let gates = gates();
    // The healthy pairs dilute the evidence: the longer the step has lasted, the later the rollback.
    for (seed, healthy_pairs, most) in [(1, 100, 120), (2, 250, 160), (3, 1_000, 300)] {
        let mut random = Random(seed);
        let mut all = traffic(&mut random, HEALTHY, healthy_pairs);
        let later = traffic(&mut random, DEGRADED, 1_000);
        all.iter_mut().zip(later).for_each(|(series, later)| series.pairs.extend(later.pairs.iter()));
        let rolled_back = |n: &usize| {
            let evaluation =
                evaluate(&gates, &until(&all, healthy_pairs + n), &healthy(), Spending::one_of(3));
            evaluation.verdict == Verdict::Rollback
        };
        let n = (10..=1_000).step_by(10).find(rolled_back).unwrap();
        println!("worse after {healthy_pairs} healthy pairs: rollback {n} pairs later");
        assert!(n <= most, "{n} pairs after {healthy_pairs} healthy ones");
    }
}
