//! JSONL lines: good ones become rows, bad ones tell everything that is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use proptest::prelude::*;
use weir_sample::import::parse_line;
use weir_sample::{Leg, ResponseFormat, Sample, Score, Variant};

#[test]
fn a_line_gives_a_leg_and_its_scores() {
    let line = r#"{"sample_id":"a","leg":"shadow","variant":"candidate","ts":"2026-01-02T03:04:05.000006Z","response_text":"hi",
        "status":200.0,"latency_ms":12.5,"complete":true,"session_id":null,"scores":{"quality":0.5},"tags":{"team":"x","n":3}}"#;
    let imported = parse_line(1, line, "e").unwrap();
    let ts_us = 1_767_323_045_000_006;
    let expected = Sample {
        experiment: "e".into(),
        sample_id: "a".into(),
        leg: Leg::Shadow,
        variant: Variant::Candidate,
        ts_us,
        response_text: Some("hi".into()),
        response_format: Some(ResponseFormat::Text),
        status: Some(200),
        latency_ms: Some(12.5),
        complete: Some(true),
        tags: [("team".to_owned(), "x".to_owned()), ("n".to_owned(), "3".to_owned())].into(),
        ..Sample::default()
    };
    assert_eq!(imported.sample, expected);
    let score = Score {
        experiment: "e".into(),
        sample_id: "a".into(),
        leg: Leg::Shadow,
        variant: Variant::Candidate,
        ts_us,
        criterion: "quality".into(),
        score: 0.5,
        judge: None,
        reason: None,
    };
    assert_eq!(imported.scores, [score]);
}

#[test]
fn a_score_takes_its_reason_and_a_reason_without_a_score_is_a_problem() {
    let line = |reasons: &str| {
        format!(
            r#"{{"sample_id":"a","leg":"primary","variant":"control","ts":1,"scores":{{"q":1,"r":0}},"reasons":{reasons}}}"#
        )
    };
    let good = parse_line(1, &line(r#"{"r": "It \u0007 says nothing."}"#), "e").unwrap();
    let reasons: Vec<_> = good.scores.iter().map(|score| score.reason.as_deref()).collect();
    assert_eq!(reasons[0], None);
    assert!(reasons[1].unwrap().ends_with("says nothing.") && !reasons[1].unwrap().contains('\u{7}'));
    let problems = |reasons: &str| {
        let problems = parse_line(1, &line(reasons), "e").unwrap_err();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    assert!(problems(r#"{"x": "why"}"#).contains("reasons.x: has no score; allowed: an object of scored"));
    assert!(problems(r#"{"q": 5}"#).contains("reasons.q: 5 is not a short text"));
    assert!(problems(&format!(r#"{{"q": "{}"}}"#, "y".repeat(1_001))).contains("is not a short text"));
    assert!(problems("\"because\"").contains("is not a set of reasons"));
}

#[test]
fn times_are_rfc_3339_or_integer_milliseconds() {
    let ts = |ts: &str| {
        let line = format!(r#"{{"sample_id":"a","leg":"primary","variant":"control","ts":{ts}}}"#);
        parse_line(1, &line, "e").map(|line| line.sample.ts_us).map_err(|problems| problems[0].to_string())
    };
    assert_eq!(ts("1767323045001"), Ok(1_767_323_045_001_000));
    assert_eq!(ts("\"2026-01-02T04:04:05+01:00\""), Ok(1_767_323_045_000_000));
    for bad in ["1.5", "-1", "true", "\"yesterday\"", "\"2026-01-02T04:04:05\"", "9007199254740993000"] {
        assert!(ts(bad).unwrap_err().contains("is not a time"), "{bad}");
    }
}

#[test]
fn every_problem_of_a_line_is_told_with_its_field() {
    let line = r#"{"sample_id":"a b","leg":"main","ts":"now","status":"ok","latency_ms":-1,"inclusion_probability":0,"revision":1.5,
        "answer":"x","responseText":"y","zzz":1,"scores":{"q":"high"},"tags":{"a":{}}}"#;
    let problems = parse_line(7, line, "e").unwrap_err();
    let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn a_line_that_is_no_object_is_told_as_such() {
    for (line, expected) in [
        ("[1]", "line 3: [1] is not a JSON object"),
        ("{", "line 3: is not JSON: EOF while parsing an object at column 1"),
    ] {
        let problems = parse_line(3, line, "e").unwrap_err();
        assert_eq!(problems.len(), 1);
        assert!(problems[0].to_string().starts_with(expected), "{}", problems[0]);
    }
}

proptest! {
    #[test]
    fn any_text_is_a_line_or_problems(text in "\\PC{0,200}") {
        if let Err(problems) = parse_line(1, &text, "e") { prop_assert!(!problems.is_empty()); }
    }
}
