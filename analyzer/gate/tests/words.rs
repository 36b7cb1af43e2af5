//! What a result says of itself, in the units in which people read it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{healthy, series, share};
use weir_gate::{Better, Gate, Gates, Margin, MetricSeries, Severity, Spending, evaluate};

/// The sentence of one gate.
fn sentence(margin: Margin, series: MetricSeries) -> String {
    let gate = Gate {
        name: "gate".into(),
        metric: series.name.clone(),
        direction: None,
        margin,
        severity: Severity::Major,
        segment: None,
        minimum_evidence: 50,
    };
    let gates = Gates { alpha: 0.05, gates: vec![gate] };
    evaluate(&gates, &[series], &healthy(), Spending::ALL).gates.remove(0).explanation
}

/// 800 pairs: control never, the candidate at every `nth`.
fn errors(nth: usize) -> MetricSeries {
    let pairs = (0..800).map(|at| (0.0, f64::from(u8::from(at % nth == 0)))).collect();
    MetricSeries { unit: "share".into(), ..share("error", Better::Lower, pairs) }
}

#[test]
fn shares_are_told_in_percent_and_their_differences_in_points() {
    let told = [
        sentence(Margin::Absolute(0.01), errors(10)),
        sentence(Margin::Absolute(0.005), errors(10)),
        sentence(Margin::Absolute(0.2), errors(1_000)),
        sentence(Margin::Bound(0.05), errors(10)),
    ];
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn amounts_and_scores_are_told_in_their_own_units_and_relative_changes_in_percent() {
    let pairs = |from: f64, to: f64| {
        (0..800).map(move |at| (from + f64::from(at % 7), to + f64::from(at % 5))).collect::<Vec<_>>()
    };
    let length = |from, to| MetricSeries {
        unit: "characters".into(),
        ..series("response_chars", Better::Neither, None, pairs(from, to))
    };
    let scores = (0..800).map(|at| (0.9, 0.7 + f64::from(at % 3) / 100.0)).collect();
    let told = [
        sentence(Margin::Absolute(5.0), length(200.0, 230.0)),
        sentence(Margin::Relative(0.25), length(200.0, 230.0)),
        sentence(Margin::Absolute(0.05), share("score:quality", Better::Higher, scores)),
    ];
    insta::assert_snapshot!(told.join("\n"));
}
