//! Documents and evaluations that the tests of this crate share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use weir_gate::{
    Better, CaptureHealth, Comparison, Evaluation, GateResult, Outcome, Reason, Severity, Verdict,
};
use weir_policy::Policy;

use crate::rollout::Rollout;

pub(crate) fn policy() -> Policy {
    Policy::parse("policy", POLICY).unwrap()
}

pub(crate) fn rollout() -> Rollout {
    Rollout::parse("rollout", ROLLOUT).unwrap()
}

pub(crate) fn evaluation(verdict: Verdict) -> Evaluation {
    Evaluation {
        verdict,
        reasons: vec![Reason { text: format!("the gates say {verdict}"), gate: None }],
        gates: vec![gate(Outcome::Undecided)],
        alpha: 0.05,
        error_rates: weir_gate::ErrorRates::default(),
        score: None,
        segments: Vec::new(),
        findings: Vec::new(),
        looks: String::from("any number"),
        health: CaptureHealth { pairs: 1_000, ..CaptureHealth::default() },
    }
}

pub(crate) fn gate(outcome: Outcome) -> GateResult {
    GateResult {
        gate: String::from("json-valid"),
        metric: String::from("json_valid"),
        unit: String::from("share"),
        better: Better::Higher,
        severity: Severity::Critical,
        comparison: Comparison::Paired,
        n_pairs: 1_000,
        n_control: 1_000,
        n_candidate: 1_000,
        control: Some(0.99),
        candidate: Some(0.98),
        estimate: Some(-0.01),
        interval: Some((-0.03, 0.01)),
        relative: false,
        margin: 0.02,
        alpha: 0.05,
        method: String::from("test"),
        outcome,
        needed_more: None,
        explanation: String::new(),
        segment: weir_gate::Segment::new(),
        correction: None,
    }
}

const POLICY: &str = "
apiVersion: weir/v1
kind: Policy
experiment: support-answers
revision: 7
mode: shadow
control: {cluster: control, snapshot: {model: {name: gpt-x, version: '1'}}}
candidate: {cluster: candidate, snapshot: {model: {name: gpt-x, version: '2'}}}
identity: [{header: x-user-id}]
cohorts:
  - {name: internal, match: {header: x-tier, exact: internal}, candidatePercent: 50}
  - {name: general, candidatePercent: 5}
shadow: {percent: 100}
";

const ROLLOUT: &str = "
apiVersion: weir/v1
kind: Rollout
experiment: support-answers
lookIntervalMs: 20
steps:
  - {name: shadow, mode: shadow, shadowPercent: 100, minimumPairs: 200}
  - {name: 5 %, mode: canary, candidatePercent: 5, shadowPercent: 50, minimumPairs: 100, advanceOn: no-breach}
  - {name: 20 %, mode: canary, candidatePercent: 20, minimumSeconds: 30}
";
