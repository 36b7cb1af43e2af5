//! What no score may override: tripwires, and judges whose error is not known.
//!
//! 1. A critical tripwire is a critical breach: rollback.
//! 2. Any other tripwire turns promote and sign-off into investigate.
//! 3. A gate on the score of an uncalibrated judge can roll back, and never promotes: promote and sign-off become hold.
//!
//! Invariant: a verdict never becomes friendlier.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::gates::Severity;
use crate::names::SCORE_PREFIX;
use crate::result::{Evaluation, Reason, Verdict};

/// Something that no score may override.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tripwire {
    /// Its name.
    pub name: String,
    /// What was seen.
    pub text: String,
    /// Critical: counts as a critical breach.
    pub severity: Severity,
}

/// How far a judge is to be trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JudgeTrust {
    /// What it scores.
    pub criterion: String,
    /// Its name.
    pub judge: String,
    /// Whether its error is known from people's labels.
    pub calibrated: bool,
    /// Agreement with people, or why it is not known.
    pub text: String,
}

/// The evaluation with tripwires and judges heeded.
#[must_use]
pub fn restrain(mut evaluation: Evaluation, tripwires: &[Tripwire], judges: &[JudgeTrust]) -> Evaluation {
    let mut reasons = Vec::new();
    for wire in tripwires {
        reasons.push(Reason { text: format!("tripwire {}: {}", wire.name, wire.text), gate: None });
        evaluation.verdict = match (wire.severity, evaluation.verdict) {
            (Severity::Critical, _) => Verdict::Rollback,
            (Severity::Advisory, verdict) => verdict,
            (Severity::Major, Verdict::Promote | Verdict::SignOff) => Verdict::Investigate,
            (Severity::Major, verdict) => verdict,
        };
    }
    let friendly = |verdict| matches!(verdict, Verdict::Promote | Verdict::SignOff);
    for judge in judges.iter().filter(|judge| !judge.calibrated) {
        let metric = format!("{SCORE_PREFIX}{}", judge.criterion);
        let gate = evaluation
            .gates
            .iter()
            .find(|result| result.metric == metric && result.severity != Severity::Advisory)
            .map(|result| result.gate.clone());
        if gate.is_some() && friendly(evaluation.verdict) {
            evaluation.verdict = Verdict::Hold;
            let text = format!(
                "judge {} of {} is not calibrated ({}): it can roll back, not promote",
                judge.judge, judge.criterion, judge.text
            );
            reasons.push(Reason { text, gate });
        }
    }
    evaluation.reasons.splice(0..0, reasons);
    evaluation
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use crate::series::{Better, CaptureHealth, MetricSeries};
    use crate::{Gates, Spending, evaluate};

    /// The candidate's judge scores are far better, and everything else is the same.
    fn improved() -> Evaluation {
        let gates = "apiVersion: weir/v1\nkind: Gates\ngates:\n  - {name: quality, metric: 'score:good', margin: {absolute: 0.05}}\n";
        let series = MetricSeries {
            name: "score:good".into(),
            unit: "score".into(),
            better: Better::Higher,
            bounds: Some((0.0, 1.0)),
            pairs: (0..400).map(|at| (0.16 + f64::from(at % 5) / 100.0, 0.77)).collect(),
            ..MetricSeries::default()
        };
        evaluate(&Gates::parse("gates", gates).unwrap(), &[series], &CaptureHealth::default(), Spending::ALL)
    }

    fn wire(severity: Severity) -> Tripwire {
        Tripwire { name: "constant-answer".into(), text: "one answer for all".into(), severity }
    }

    #[test]
    fn a_candidate_that_wins_at_the_judge_with_one_answer_for_all_is_rolled_back() {
        assert_eq!(improved().verdict, Verdict::SignOff);
        let heeded = restrain(improved(), &[wire(Severity::Critical)], &[]);
        assert_eq!(heeded.verdict, Verdict::Rollback);
        assert!(heeded.reasons[0].text.starts_with("tripwire constant-answer"));
        assert_eq!(restrain(improved(), &[wire(Severity::Major)], &[]).verdict, Verdict::Investigate);
    }

    #[test]
    fn an_uncalibrated_judge_neither_promotes_nor_asks_for_a_sign_off() {
        let trust = |calibrated| JudgeTrust {
            criterion: "good".into(),
            judge: "j".into(),
            calibrated,
            text: "no labels".into(),
        };
        assert_eq!(restrain(improved(), &[], &[trust(false)]).verdict, Verdict::Hold);
        assert_eq!(restrain(improved(), &[], &[trust(true)]).verdict, Verdict::SignOff);
        let mut worse = improved();
        worse.verdict = Verdict::Rollback;
        assert_eq!(restrain(worse, &[wire(Severity::Major)], &[trust(false)]).verdict, Verdict::Rollback);
    }
}
