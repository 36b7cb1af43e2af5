//! The gates document: what is read, what is refused, what is written back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use weir_gate::{Gates, Margin, Severity};

const SUPPORT: &str = include_str!("../../../examples/gates/support-answers.yaml");
const SCORES: &str = include_str!("../../../examples/gates/score-columns.yaml");

#[test]
fn the_examples_are_read_and_written_back() {
    for (name, text, count) in [("support-answers.yaml", SUPPORT, 6), ("score-columns.yaml", SCORES, 2)] {
        let gates = Gates::parse(name, text).unwrap();
        assert_eq!(gates.gates.len(), count);
        let again = Gates::parse("written", &gates.to_json()).unwrap();
        assert_eq!(again, gates);
        assert_eq!(again.digest(), gates.digest());
    }
    assert_ne!(Gates::parse("", SUPPORT).unwrap().digest(), Gates::parse("", SCORES).unwrap().digest());
}

#[test]
fn defaults_are_filled_in() {
    let gates = Gates::parse(
        "gates",
        "{apiVersion: weir/v1, kind: Gates, gates: [{name: a, metric: error, margin: {absolute: 0.01}}]}",
    )
    .unwrap();
    assert_eq!(gates.alpha, 0.05);
    assert_eq!(gates.gates[0].severity, Severity::Major);
    assert_eq!(gates.gates[0].minimum_evidence, 50);
    assert_eq!(gates.gates[0].direction, None);
    assert_eq!(gates.gates[0].margin, Margin::Absolute(0.01));
}

#[test]
fn every_problem_is_reported_at_once() {
    let text = r#"
apiVersion: weir/v1
kind: Gates
alpha: 0.9
gates:
  - {name: Valid JSON, metric: json_vlid, margin: 0.02}
  - {name: b, metric: "score:", margin: {absolute: -0.1}}
  - {name: b, metric: latency_ms, margin: {absolute: 5, relative: 0.1}, severity: fatal}
  - {name: c, metric: error, margin: {}, direction: up, minEvidence: 3}
  - {name: d, metric: error, margin: {absolute: 0.1}}
  - {name: d, metric: empty, margin: {absolute: 0.1}}
"#;
    let problems = Gates::parse("gates.yaml", text).unwrap_err();
    insta::assert_snapshot!(problems.to_string());
    let twice = "{apiVersion: weir/v1, kind: Gates, gates: [{name: d, metric: error, margin: {absolute: 0.1}}, {name: d, metric: empty, margin: {absolute: 0.1}}]}";
    insta::assert_snapshot!(Gates::parse("gates.yaml", twice).unwrap_err().to_string());
}

#[test]
fn a_bound_needs_a_side_and_stands_alone() {
    let text = |rest: &str| {
        format!("{{apiVersion: weir/v1, kind: Gates, gates: [{{name: a, metric: 'score:quality', {rest}}}]}}")
    };
    let good = Gates::parse("gates", &text("margin: {bound: 0.85}, direction: higher")).unwrap();
    assert_eq!(good.gates[0].margin, Margin::Bound(0.85));
    assert_eq!(Gates::parse("written", &good.to_json()).unwrap(), good);
    for rest in [
        "margin: {bound: 0.85}",
        "margin: {bound: 0.85}, direction: both",
        "margin: {bound: 0.85, absolute: 0.1}, direction: higher",
    ] {
        let problems = Gates::parse("gates", &text(rest)).unwrap_err().to_string();
        assert!(problems.contains("gates[0]") && problems.contains("bound"), "{problems}");
    }
}

#[test]
fn a_document_without_gates_is_refused() {
    let problems = Gates::parse("gates", "{apiVersion: weir/v1, kind: Gates, gates: []}").unwrap_err();
    assert!(problems.to_string().contains("gates: "), "{problems}");
}

#[test]
fn the_schema_names_every_field() {
    let schema = serde_json::to_string_pretty(&Gates::json_schema()).unwrap();
    insta::assert_snapshot!(schema);
}
