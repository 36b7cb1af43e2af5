//! What the undecided gates of a verdict are about, so that judges and people go there first.

use std::collections::BTreeMap;

use weir_gate::{Evaluation, GateResult, Outcome, SCORE_PREFIX, Severity};

/// Criteria of judges' scores, and parts of the traffic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undecided {
    /// Criteria of undecided gates on judges' scores.
    pub criteria: Vec<String>,
    /// The segments that undecided gates are about; empty where one of them is about all of the traffic.
    pub segments: Vec<BTreeMap<String, String>>,
}

impl Undecided {
    /// Of gates that decide.
    #[must_use]
    pub fn of(evaluation: &Evaluation) -> Self {
        let open = |result: &&GateResult| {
            result.severity != Severity::Advisory && result.outcome == Outcome::Undecided
        };
        let score = |result: &&GateResult| result.metric.starts_with(SCORE_PREFIX);
        let gates: Vec<&GateResult> = evaluation.gates.iter().filter(open).filter(score).collect();
        let mut undecided = Self::default();
        for result in &gates {
            let criterion = result.metric.trim_start_matches(SCORE_PREFIX).to_owned();
            if !undecided.criteria.contains(&criterion) {
                undecided.criteria.push(criterion);
            }
        }
        if gates.iter().all(|result| !result.segment.is_empty()) {
            undecided.segments = gates.iter().map(|result| result.segment.clone()).collect();
        }
        undecided
    }
}
