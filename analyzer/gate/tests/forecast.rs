//! The forecast of a hold: pairs, hours at present traffic, and what a larger shadow share would do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Random, share};
use weir_gate::{
    Better, CaptureHealth, Gate, Gates, Margin, MetricSeries, Severity, Spending, Verdict, evaluate,
};

fn gates() -> Gates {
    let gate = Gate {
        name: "errors".into(),
        metric: "error".into(),
        direction: None,
        margin: Margin::Absolute(0.02),
        severity: Severity::Critical,
        segment: None,
        minimum_evidence: 50,
    };
    Gates { alpha: 0.05, gates: vec![gate] }
}

fn errors(n: usize, worse: f64) -> MetricSeries {
    let mut random = Random(9);
    share("error", Better::Lower, (0..n).map(|_| (random.flag(0.02), random.flag(0.02 + worse))).collect())
}

/// Forecast of `n` pairs within two hours, a quarter of control's requests being copied.
fn forecast(n: usize, worse: f64, span_seconds: Option<u64>) -> Option<String> {
    let health = CaptureHealth {
        primary_control: 4 * n as u64,
        pairs: n as u64,
        span_seconds,
        ..CaptureHealth::default()
    };
    let evaluation = evaluate(&gates(), &[errors(n, worse)], &health, Spending::ALL);
    let said = evaluation.reasons.iter().find(|reason| reason.text.starts_with("forecast"));
    assert!(said.is_none() || evaluation.verdict == Verdict::Hold);
    said.map(|reason| reason.text.clone())
}

#[test]
fn a_hold_says_how_many_more_pairs_how_many_hours_and_what_more_copies_would_do() {
    insta::assert_snapshot!(forecast(500, 0.0, Some(7_200)).unwrap());
}

#[test]
fn without_times_the_forecast_has_pairs_only() {
    let text = forecast(500, 0.0, None).unwrap();
    assert!(text.ends_with(" more pairs"), "{text}");
}

#[test]
fn what_is_decided_or_cannot_become_inside_has_no_forecast() {
    assert_eq!(forecast(6_000, 0.0, Some(7_200)), None);
    assert_eq!(forecast(300, 0.06, Some(7_200)), None);
}
