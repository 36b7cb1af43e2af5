//! What the rule promises for a set of gates: the figures, and that they hold under correlation and constant looking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Random, healthy, series, share};
use weir_gate::{
    Better, Direction, Evaluation, Gate, Gates, Margin, MetricSeries, Outcome, Severity, Spending, Verdict,
    evaluate,
};

fn gate(name: String, metric: &str, severity: Severity, direction: Option<Direction>) -> Gate {
    Gate {
        name,
        metric: metric.into(),
        direction,
        margin: Margin::Absolute(0.03),
        severity,
        segment: None,
        minimum_evidence: 20,
    }
}

fn judged(gates: Vec<Gate>, alpha: f64, series: &[MetricSeries]) -> Evaluation {
    evaluate(&Gates { alpha, gates }, series, &healthy(), Spending::ALL)
}

fn set(critical: usize, major: usize, both: usize) -> Vec<Gate> {
    let of = |count: usize, severity: Severity, direction: Option<Direction>, word: &'static str| {
        (0..count).map(move |index| gate(format!("{word}-{index}"), "error", severity, direction))
    };
    of(critical, Severity::Critical, None, "critical")
        .chain(of(major, Severity::Major, None, "major"))
        .chain(of(both, Severity::Major, Some(Direction::Both), "both"))
        .chain(of(3, Severity::Advisory, None, "advisory"))
        .collect()
}

#[test]
fn the_error_rates_follow_from_the_rule_and_the_set_of_gates() {
    let errors = [share("error", Better::Lower, vec![(0.0, 0.0); 100])];
    // Per gate: alpha over critical gates plus half the major ones; a single major gate cannot roll back.
    for ((critical, major, both), share, rollback) in [
        ((2, 4, 1), 0.05 / 4.0, 0.05),
        ((1, 0, 0), 0.05, 0.05),
        ((0, 1, 0), 0.05, 0.0),
        ((0, 2, 0), 0.05, 0.05),
        ((1, 1, 0), 0.05, 0.05),
        ((0, 0, 2), 0.05, 0.0),
        ((0, 6, 0), 0.05 / 3.0, 0.05),
    ] {
        let evaluation = judged(set(critical, major, both), 0.05, &errors);
        let rates = evaluation.error_rates;
        let deciding = (critical + major + both) as f64;
        let what = format!("{critical} critical, {major} major, {both} both");
        assert!(evaluation.gates.iter().all(|gate| (gate.alpha - share).abs() < 1e-12), "{what}");
        assert!((rates.rollback - rollback).abs() < 1e-12, "{what}: {rates:?}");
        assert!((rates.promotion - share).abs() < 1e-12, "{what}: {rates:?}");
        assert!((rates.investigate - (share * deciding).min(1.0)).abs() < 1e-12, "{what}: {rates:?}");
    }
}

/// Twelve major gates on metrics that go together, each truly at its margin: the hardest case for "two breaches".
fn twelve(random: &mut Random, requests: usize) -> Vec<MetricSeries> {
    let mut columns: Vec<Vec<(f64, f64)>> = vec![Vec::new(); 12];
    for _ in 0..requests {
        let luck = random.unit();
        for column in &mut columns {
            // Nine requests in ten share their luck over all metrics.
            let own = if random.unit() < 0.9 { luck } else { random.unit() };
            column.push((random.flag(0.1), f64::from(u8::from(own < 0.13))));
        }
    }
    let named = columns.into_iter().enumerate();
    named.map(|(index, pairs)| share(&format!("score:{index}"), Better::Lower, pairs)).collect()
}

#[test]
fn two_breaches_of_twelve_correlated_gates_roll_back_without_cause_in_at_most_alpha() {
    let (runs, alpha, requests) = (150, 0.2, 400);
    let gates =
        || (0..12).map(|index| gate(format!("g{index}"), &format!("score:{index}"), Severity::Major, None));
    let (mut rollbacks, mut promotions) = (0, 0);
    for seed in 0..runs {
        let all = twelve(&mut Random(seed), requests);
        let looks = (1..=20).map(|look| look * requests / 20);
        let verdicts: Vec<Verdict> = looks
            .map(|n| {
                let seen: Vec<MetricSeries> = all
                    .iter()
                    .map(|series| MetricSeries { pairs: series.pairs.part(0, n), ..series.clone() })
                    .collect();
                judged(gates().collect(), alpha, &seen).verdict
            })
            .collect();
        rollbacks += usize::from(verdicts.contains(&Verdict::Rollback));
        promotions += usize::from(verdicts.contains(&Verdict::Promote));
    }
    // Binomial(150, 0.2): more than 45 with probability 0.001.
    assert!(rollbacks <= 45 && promotions <= 45, "{rollbacks} rollbacks, {promotions} promotions of {runs}");
}

#[test]
fn a_slow_tail_breaches_the_percentile_and_not_the_mean() {
    let mut random = Random(5);
    let mut tail = |share: f64| -> Vec<f64> {
        (0..2_000)
            .map(|_| random.lognormal(300.0, 0.05) * if random.unit() < share { 1.6 } else { 1.0 })
            .collect()
    };
    let (control, candidate) = (tail(0.02), tail(0.09));
    let pairs = control.into_iter().zip(candidate).collect();
    let latency = [series("latency_ms", Better::Lower, None, pairs)];
    let gates = ["latency_ms", "latency_ms:p95", "latency_ms:p50"].map(|metric| Gate {
        margin: Margin::Relative(0.1),
        ..gate(metric.replace([':', '_'], "-"), metric, Severity::Major, None)
    });
    let evaluation = judged(gates.to_vec(), 0.05, &latency);
    let outcomes: Vec<Outcome> = evaluation.gates.iter().map(|gate| gate.outcome).collect();
    assert_eq!(outcomes, [Outcome::Inside, Outcome::Breach, Outcome::Inside], "{:#?}", evaluation.gates);
    insta::assert_snapshot!(evaluation.gates[1].explanation);
    assert_eq!(evaluation.gates[1].metric, "latency_ms:p95");
}

#[test]
fn too_few_values_for_a_percentile_are_undecided_with_a_forecast() {
    let latency = [series("latency_ms", Better::Lower, None, vec![(300.0, 310.0); 60])];
    let wide = gate("p99".into(), "latency_ms:p99", Severity::Major, None);
    let gates = vec![Gate { margin: Margin::Relative(0.1), ..wide }];
    let result = &judged(gates, 0.05, &latency).gates[0];
    assert_eq!((result.outcome, result.interval), (Outcome::Undecided, None));
    assert!(result.needed_more.is_some_and(|more| more > 300), "{:?}", result.needed_more);
}

#[test]
fn what_is_no_percentile_of_a_metric_is_no_metric() {
    for metric in [
        "latency_ms:p0",
        "latency_ms:p100",
        "latency_ms:p",
        "latency_ms:p9x",
        "refusal:p95",
        "latency_ms:p1e1",
    ] {
        let text = format!(
            "apiVersion: weir/v1\nkind: Gates\ngates:\n- {{name: a, metric: \"{metric}\", margin: {{absolute: 1}}}}\n"
        );
        assert!(Gates::parse("gates", &text).is_err(), "{metric}");
    }
    let good = "apiVersion: weir/v1\nkind: Gates\ngates:\n- {name: a, metric: \"latency_ms:p99.9\", margin: {relative: 0.1}}\n";
    assert!(Gates::parse("gates", good).is_ok());
}

#[test]
fn the_score_is_the_weighted_share_of_gates_inside() {
    let values = [
        share("error", Better::Lower, vec![(0.0, 0.0); 3_000]),
        share("refusal", Better::Lower, vec![(0.0, 1.0); 3_000]),
    ];
    let gates = vec![
        gate("inside".into(), "error", Severity::Critical, None),
        gate("breach".into(), "refusal", Severity::Major, None),
        gate("no-data".into(), "empty", Severity::Major, None),
    ];
    assert_eq!(judged(gates, 0.05, &values).score, Some(60)); // 3 of 3 + 2
    assert_eq!(judged(set(1, 0, 0), 0.05, &[]).score, None);
}
