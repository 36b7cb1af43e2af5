//! Gates with a fixed bound: the candidate's own level, whatever control's is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Random, healthy, series, share, stratum};
use weir_gate::{
    Better, Comparison, Direction, Gate, GateResult, Gates, Margin, MetricSeries, Outcome, Severity,
    Spending, Verdict, evaluate,
};

fn gates(metric: &str, bound: f64, direction: Direction) -> Gates {
    let gate = Gate {
        name: "level".into(),
        metric: metric.into(),
        direction: Some(direction),
        margin: Margin::Bound(bound),
        severity: Severity::Major,
        segment: None,
        minimum_evidence: 50,
    };
    Gates { alpha: 0.05, gates: vec![gate] }
}

fn judged(gates: &Gates, series: MetricSeries) -> (Verdict, GateResult) {
    let evaluation = evaluate(gates, &[series], &healthy(), Spending::ALL);
    (evaluation.verdict, evaluation.gates.into_iter().next().unwrap())
}

/// Scores of the candidate about a level, control's being perfect.
fn quality(level: f64, n: usize) -> MetricSeries {
    let mut random = Random(4);
    let pairs = (0..n).map(|_| (1.0, (level + 0.1 * (random.unit() - 0.5)).clamp(0.0, 1.0))).collect();
    share("score:quality", Better::Higher, pairs)
}

#[test]
fn a_level_is_held_against_the_bound_and_not_against_control() {
    let floor = gates("score:quality", 0.85, Direction::Higher);
    let (verdict, good) = judged(&floor, quality(0.9, 800));
    assert_eq!((verdict, good.outcome), (Verdict::Promote, Outcome::Inside), "{}", good.explanation);
    assert_eq!((good.control, good.margin), (Some(0.85), 0.0));
    let (verdict, bad) = judged(&floor, quality(0.8, 800));
    assert_eq!((verdict, bad.outcome), (Verdict::Investigate, Outcome::Breach), "{}", bad.explanation);
    let (verdict, few) = judged(&floor, quality(0.87, 60));
    assert_eq!((verdict, few.outcome), (Verdict::Hold, Outcome::Undecided), "{}", few.explanation);
    assert!(few.needed_more.is_some_and(|more| more > 0), "{few:?}");
    let (_, never) = judged(&floor, quality(0.83, 60));
    assert_eq!((never.outcome, never.needed_more), (Outcome::Undecided, None));
    insta::assert_snapshot!([good, bad, few].map(|result| result.explanation).join("\n"));
}

#[test]
fn a_percentile_an_amount_and_unpaired_values_have_bounds_too() {
    let mut random = Random(8);
    let mut values = |n: usize| -> Vec<f64> { (0..n).map(|_| random.lognormal(400.0, 0.3)).collect() };
    let unpaired = |candidate: Vec<f64>| MetricSeries {
        strata: vec![stratum("all", vec![1.0; 40], candidate)],
        ..series("latency_ms", Better::Lower, None, Vec::new())
    };
    // The 95th percentile of this distribution is about 655, its mean about 418.
    for (metric, below, above) in [("latency_ms:p95", 560.0, 800.0), ("latency_ms", 380.0, 460.0)] {
        let (_, fast) = judged(&gates(metric, above, Direction::Lower), unpaired(values(3_000)));
        assert_eq!(
            (fast.outcome, fast.comparison),
            (Outcome::Inside, Comparison::Unpaired),
            "{}",
            fast.explanation
        );
        let (_, slow) = judged(&gates(metric, below, Direction::Lower), unpaired(values(3_000)));
        assert_eq!(slow.outcome, Outcome::Breach, "{}", slow.explanation);
    }
}

#[test]
fn a_level_at_the_bound_is_called_neither_in_at_most_alpha_of_the_runs_however_often_one_looks() {
    let (runs, alpha) = (300, 0.2);
    let mut floor = gates("score:quality", 0.85, Direction::Higher);
    floor.alpha = alpha;
    let (mut breaches, mut insides) = (0, 0);
    for seed in 0..runs {
        let mut random = Random(seed);
        let pairs: Vec<(f64, f64)> = (0..600).map(|_| (0.5, random.flag(0.85))).collect();
        let outcomes: Vec<Outcome> = (1..=20)
            .map(|look| {
                judged(&floor, share("score:quality", Better::Higher, pairs[..30 * look].to_vec())).1.outcome
            })
            .collect();
        breaches += usize::from(outcomes.contains(&Outcome::Breach));
        insides += usize::from(outcomes.contains(&Outcome::Inside));
    }
    // Binomial(300, 0.2): more than 82 with probability 0.001.
    assert!(breaches <= 82 && insides <= 82, "{breaches} breaches, {insides} insides of {runs}");
}
