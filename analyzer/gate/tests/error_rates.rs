//! The promise over all gates and all looks, simulated: whatever a true change at the margin is called, "worse" or
//! "inside" is wrong in at most alpha of the runs; and without a change there is no rollback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Random, healthy, series, share};
use weir_gate::{Better, Gate, Gates, Margin, MetricSeries, Outcome, Severity, Spending, Verdict, evaluate};

const LAST: usize = 600;
const RUNS: u64 = 200;

fn gates(alpha: f64) -> Gates {
    let gate = |name: &str, metric: &str, margin| Gate {
        name: name.into(),
        metric: metric.into(),
        direction: None,
        margin,
        severity: Severity::Critical,
        segment: None,
        minimum_evidence: 20,
    };
    let gates = vec![
        gate("valid", "json_valid", Margin::Absolute(0.03)),
        gate("refusals", "refusal", Margin::Absolute(0.03)),
        gate("latency", "latency_ms", Margin::Relative(0.2)),
        gate("length", "response_chars", Margin::Relative(0.25)),
        gate("score", "score:helpful", Margin::Absolute(0.05)),
    ];
    Gates { alpha, gates }
}

/// Metrics that go together (a hard request is slow, long and badly answered); every one changed by `share` of its margin.
fn traffic(random: &mut Random, share_of_margin: f64) -> Vec<MetricSeries> {
    let mut columns: [Vec<(f64, f64)>; 5] = Default::default();
    for _ in 0..LAST {
        let hard = random.normal();
        let luck = random.unit();
        columns[0].push((random.flag(0.97), f64::from(u8::from(luck < 0.97 - 0.03 * share_of_margin))));
        columns[1].push((random.flag(0.02), f64::from(u8::from(luck > 0.98 - 0.03 * share_of_margin))));
        let latency = |random: &mut Random| random.lognormal(300.0 * (0.3 * hard).exp(), 0.5);
        columns[2].push((latency(random), latency(random) * (1.0 + 0.2 * share_of_margin)));
        let length = |random: &mut Random| random.lognormal(500.0 * (0.4 * hard).exp(), 0.3);
        columns[3].push((length(random), length(random) * (1.0 + 0.25 * share_of_margin)));
        let score = 0.6 - 0.1 * hard.clamp(-2.0, 2.0);
        let noise = |random: &mut Random| 0.2 * (random.unit() - 0.5);
        columns[4].push((score + noise(random), score + noise(random) - 0.05 * share_of_margin));
    }
    let [valid, refusal, latency, length, score] = columns;
    vec![
        share("json_valid", Better::Higher, valid),
        share("refusal", Better::Lower, refusal),
        series("latency_ms", Better::Lower, None, latency),
        series("response_chars", Better::Neither, None, length),
        share("score:helpful", Better::Higher, score),
    ]
}

/// Runs in which `wrong` is ever true at one of forty looks.
fn runs_with(alpha: f64, share_of_margin: f64, wrong: impl Fn(Verdict, &[Outcome]) -> bool) -> usize {
    let gates = gates(alpha);
    let run = |seed: u64| {
        let all = traffic(&mut Random(seed * 7_919), share_of_margin);
        (1..=40).any(|look| {
            let n = look * LAST / 40;
            let seen: Vec<MetricSeries> = all
                .iter()
                .map(|series| MetricSeries { pairs: series.pairs.part(0, n), ..series.clone() })
                .collect();
            let evaluation = evaluate(&gates, &seen, &healthy(), Spending::ALL);
            let outcomes: Vec<Outcome> = evaluation.gates.iter().map(|gate| gate.outcome).collect();
            wrong(evaluation.verdict, &outcomes)
        })
    };
    (1..=RUNS).filter(|seed| run(*seed)).count()
}

/// 99.9 % point of the binomial, normal approximation with continuity correction.
fn most_events(alpha: f64) -> usize {
    let runs = RUNS as f64;
    (runs * alpha + 3.09 * (runs * alpha * (1.0 - alpha)).sqrt() + 0.5).floor() as usize
}

#[test]
fn at_the_margin_no_gate_is_decided_in_more_than_alpha_of_the_runs() {
    let decided =
        |_: Verdict, outcomes: &[Outcome]| outcomes.iter().any(|outcome| *outcome != Outcome::Undecided);
    let wrong = runs_with(0.1, 1.0, decided);
    println!("at the margin: {wrong} of {RUNS} runs decided a gate, at most {}", most_events(0.1));
    assert!(wrong <= most_events(0.1), "{wrong} of {RUNS}");
}

#[test]
fn without_a_change_there_is_no_rollback() {
    let wrong = runs_with(0.1, 0.0, |verdict, _| verdict == Verdict::Rollback);
    println!("without a change: {wrong} of {RUNS} runs rolled back");
    assert!(wrong <= most_events(0.1), "{wrong} of {RUNS}");
}

#[test]
fn past_the_margin_every_run_is_rolled_back() {
    // The same counting with a change of four margins: shows that it can count.
    let right = runs_with(0.1, 4.0, |verdict, _| verdict == Verdict::Rollback);
    assert_eq!(right as u64, RUNS);
}
