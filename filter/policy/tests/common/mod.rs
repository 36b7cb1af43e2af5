//! Policies for tests.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::sync::LazyLock;

use weir_policy::{Mode, Policy};

/// A policy with two cohorts; `changes` are further lines at the top level, after `{mode}`.
pub(crate) fn policy_with(mode: &str, changes: &str) -> String {
    format!(
        "
apiVersion: weir/v1
kind: Policy
experiment: support-answers
revision: 7
mode: {mode}
control: {{cluster: control, snapshot: {{model: {{name: gpt-x, version: '1'}}}}}}
candidate: {{cluster: candidate, shadowCluster: candidate-shadow, snapshot: {{model: {{name: gpt-x, version: '2'}}}}}}
identity: [{{header: x-user-id}}, {{cookie: session}}]
cohorts:
  - {{name: internal, match: {{header: x-tier, exact: internal}}, candidatePercent: 50, autonomy: autonomous}}
  - {{name: partners, tier: power, match: {{header: x-tier, exact: partner}}, candidatePercent: 0, shadowPercent: 0, samplingPercent: 100}}
  - {{name: general, candidatePercent: 5}}
shadow: {{percent: 40}}
noise: {{percent: 20, cluster: control-noise}}
sampling: {{percent: 10}}
{changes}
"
    )
}

pub(crate) fn parse(text: &str) -> Policy {
    Policy::parse("policy.yaml", text).unwrap_or_else(|problems| panic!("{problems}"))
}

/// That policy; read once, because property tests need it often.
pub(crate) fn policy(mode: &str) -> Policy {
    static CANARY: LazyLock<Policy> = LazyLock::new(|| parse(&policy_with("canary", "")));
    let mut policy = CANARY.clone();
    policy.mode = *Mode::ALL.iter().find(|known| known.as_str() == mode).expect("a mode");
    policy
}

pub(crate) fn refusal(text: &str) -> String {
    Policy::parse("policy.yaml", text).expect_err("should be refused").to_string()
}
