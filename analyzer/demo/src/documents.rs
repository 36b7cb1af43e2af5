//! The documents of a demo: policy, gates and rollout, as a user would write them. They go to the output folder.
//!
//! The texts are templates with a few places; a test reads each of them with the parser that the commands use.

use crate::corpus::TIERS;

/// The experiment of every demo.
pub const EXPERIMENT: &str = "support-answers";

/// The judge's criterion.
pub const CRITERION: &str = "quality";

/// The tier of the controller's own probes: neither captured nor mirrored, so that they are no evidence.
pub const PROBE_TIER: &str = "probe";

/// How long and how strict the rollout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Least time in each step.
    pub step_seconds_min: u64,
    /// Least number of pairs in each step.
    pub step_pairs_min: u64,
    /// What lets a step be passed: `promote` or `no-breach`.
    pub advance_on: &'static str,
}

/// The policy before the rollout: everybody is with control and nothing is mirrored yet.
#[must_use]
pub fn policy(control_model: &str, candidate_model: &str) -> String {
    let mut text = format!(
        "# What the filter does. The rollout changes mode and shares, and counts the revision up.
apiVersion: weir/v1
kind: Policy
experiment: {EXPERIMENT}
revision: 1
mode: off
control:
  cluster: control
  snapshot:
    model: {{name: {control_model:?}, version: \"1\"}}
    prompt: {{name: support-desk, version: \"3\"}}
candidate:
  cluster: candidate
  shadowCluster: candidate-shadow
  snapshot:
    model: {{name: {candidate_model:?}, version: \"2\"}}
    prompt: {{name: support-desk, version: \"3\"}}
identity:
  - {{header: x-user-id}}
cohorts:
  - {{name: {PROBE_TIER}, tier: {PROBE_TIER}, match: {{all: [{{header: x-tier, exact: {PROBE_TIER}}}]}}, candidatePercent: 0, shadowPercent: 0, samplingPercent: 0}}
"
    );
    for (tier, _) in TIERS {
        let last = TIERS.last().is_some_and(|(name, _)| *name == tier);
        let rule = if last {
            String::new()
        } else {
            format!(" match: {{all: [{{header: x-tier, exact: {tier}}}]}},")
        };
        text.push_str(&format!("  - {{name: {tier}, tier: {tier},{rule} candidatePercent: 0}}\n"));
    }
    text.push_str(
        "shadow: {percent: 0}
noise: {percent: 5, cluster: control-noise}
sampling: {percent: 100}
limits: {flushIntervalMs: 250}
sink: {cluster: weir-collector, authority: weir-collector, path: /v1/logs}
",
    );
    text
}

/// The gates of the synthetic support desk.
#[must_use]
pub fn gates_of_support_desk() -> String {
    format!(
        "# What the candidate is measured against. Margins are the change that nobody would act on.
apiVersion: weir/v1
kind: Gates
alpha: 0.05
gates:
  - {{name: errors, metric: error, margin: {{absolute: 0.02}}, severity: critical, minimumEvidence: 100}}
  - {{name: json, metric: json_valid, margin: {{absolute: 0.05}}, severity: critical, minimumEvidence: 100}}
  - {{name: order-id, metric: \"json_fields:answer,order_id\", margin: {{absolute: 0.05}}, severity: critical, minimumEvidence: 100}}
  - {{name: hedging, metric: hedging, margin: {{absolute: 0.1}}, severity: major, minimumEvidence: 100}}
  - {{name: length, metric: response_chars, direction: both, margin: {{relative: 0.15}}, severity: major, minimumEvidence: 100}}
  - {{name: quality, metric: \"score:{CRITERION}\", margin: {{absolute: 0.05}}, severity: critical, minimumEvidence: 100}}
  - {{name: latency, metric: latency_ms, margin: {{relative: 0.5}}, severity: advisory, minimumEvidence: 100}}
"
    )
}

/// The gates of the support desk whose candidate goes astray: a judge's word on the topic instead of the recorded quality, and the
/// distance to control's answers, which has to stay within control's distance to itself.
#[must_use]
pub fn gates_of_meaning() -> String {
    let judged = "  - {name: on-topic, metric: \"score:on-topic\", margin: {absolute: 0.05}, severity: critical, minimumEvidence: 100}
  - {name: meaning, metric: \"distance:embedding\", margin: {absolute: 0.1}, severity: major, minimumEvidence: 20}
";
    let lines = gates_of_support_desk();
    let others = lines.lines().filter(|line| !line.contains("name: quality"));
    others.map(|line| format!("{line}\n")).collect::<String>() + judged
}

/// The gates for recorded answers: plain text, so no fields, and a judge of the real world with a wide spread.
#[must_use]
pub fn gates_of_recorded_answers() -> String {
    format!(
        "# What the candidate is measured against. Margins are the change that nobody would act on.
apiVersion: weir/v1
kind: Gates
alpha: 0.05
gates:
  - {{name: errors, metric: error, margin: {{absolute: 0.03}}, severity: critical, minimumEvidence: 100}}
  - {{name: empty, metric: empty, margin: {{absolute: 0.03}}, severity: critical, minimumEvidence: 100}}
  - {{name: refusals, metric: refusal, margin: {{absolute: 0.1}}, severity: major, minimumEvidence: 100}}
  - {{name: length, metric: response_chars, direction: both, margin: {{relative: 0.25}}, severity: major, minimumEvidence: 100}}
  - {{name: quality, metric: \"score:{CRITERION}\", margin: {{absolute: 0.05}}, severity: critical, minimumEvidence: 100}}
"
    )
}

/// Shadow, 5 %, 20 %.
#[must_use]
pub fn rollout(pace: Pace) -> String {
    let Pace { step_seconds_min, step_pairs_min, advance_on } = pace;
    // Whatever lets a step pass, the last one ends with a verdict.
    let last =
        format!("minimumSeconds: {step_seconds_min}, minimumPairs: {step_pairs_min}, advanceOn: promote");
    let cohorts = TIERS.map(|(tier, _)| tier).join(", ");
    let passed = format!(
        "minimumSeconds: {step_seconds_min}, minimumPairs: {step_pairs_min}, advanceOn: {advance_on}"
    );
    format!(
        "# Which steps the candidate goes through, and what each needs before the next.
apiVersion: weir/v1
kind: Rollout
experiment: {EXPERIMENT}
lookIntervalMs: 500
steps:
  - {{name: shadow, mode: shadow, shadowPercent: 100, cohorts: [{cohorts}], {passed}}}
  - {{name: 5 %, mode: canary, candidatePercent: 5, shadowPercent: 100, cohorts: [{cohorts}], {passed}}}
  - {{name: 20 %, mode: canary, candidatePercent: 20, shadowPercent: 100, cohorts: [{cohorts}], {last}}}
afterLastStep: stay
"
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use weir_policy::Policy;

    use super::*;

    #[test]
    fn the_policy_is_one_that_weir_accepts_with_a_cohort_for_every_tier() {
        let policy = Policy::parse("policy.yaml", &policy("desk-1", "desk-2")).unwrap();
        let names: Vec<&str> = policy.cohorts.iter().map(|cohort| cohort.name.as_str()).collect();
        assert_eq!(names, ["probe", "internal", "employees", "beta", "power", "general"]);
    }
}
