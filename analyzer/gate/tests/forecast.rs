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
    forecast_of(n, worse, span_seconds, 4)
}

/// The same with one of so many requests being copied.
fn forecast_of(n: usize, worse: f64, span_seconds: Option<u64>, one_of: u64) -> Option<String> {
    let health = CaptureHealth {
        primary_control: one_of * n as u64,
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
fn the_share_that_is_named_brings_the_missing_pairs_in_the_time_that_was_taken_so_far() {
    // One request in ten was copied; about 1,100 more pairs are as many again and a bit as two times 500.
    let text = forecast_of(500, 0.0, Some(7_200), 10).unwrap();
    let (_, rest) = text.split_once("about ").unwrap();
    let more: f64 = rest.split_once(' ').unwrap().0.replace(',', "").parse().unwrap();
    let share: f64 = text
        .split_once("shadow share of ")
        .and_then(|(_, rest)| rest.split_once(" %"))
        .map(|(share, _)| share.parse().unwrap())
        .unwrap();
    // `more` is rounded up to two digits.
    assert!(share <= (10.0 * more / 500.0).ceil() && share >= 10.0 * more / 500.0 - 1.0, "{text}");
    assert!(text.contains("% instead of 10 %") && share < 100.0, "{text}");
    let hours: f64 =
        text.split_once("or ").and_then(|(_, rest)| rest.split_once(" hours")).unwrap().0.parse().unwrap();
    assert!((1.8..=2.0).contains(&hours), "{text}");
}

#[test]
fn where_every_request_is_copied_no_larger_share_is_named() {
    let text = forecast_of(500, 0.0, Some(7_200), 1).unwrap();
    assert!(!text.contains("shadow share"), "{text}");
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
