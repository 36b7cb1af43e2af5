//! The rule from gate results to a verdict, with its reasons in order of importance.
//!
//! 1. One critical breach or two breaches (critical or major): rollback.
//! 2. A divergence: with a score that got worse or a breach, investigate; with scores that improved and none worse,
//!    sign-off; alone, investigate.
//! 3. One major breach: investigate.
//! 4. A score that improved by more than its margin: sign-off.
//! 5. Every gate that counts inside its margin: promote.
//! 6. Otherwise hold, with a forecast.
//!
//! Whatever says that the capture is unfit refuses a verdict: promote and sign-off become hold, with the reason and the
//! remedy first. A rollback and an investigation stay: both are safe, and a human who looks learns of the capture too.

use crate::gates::Severity;
use crate::judge::{improved_past_margin, worse};
use crate::names::SCORE_PREFIX;
use crate::result::{GateResult, Outcome, Reason, Verdict};
use crate::series::CaptureHealth;

/// The verdict and its reasons.
pub(crate) fn decide(results: &[GateResult], health: &CaptureHealth) -> (Verdict, Vec<Reason>) {
    let groups = Groups::of(results);
    let (by_gates, rule) = groups.verdict();
    let unfit = !health.problems.is_empty() && by_gates != Verdict::Rollback;
    let friendly = matches!(by_gates, Verdict::Promote | Verdict::SignOff);
    let verdict = if unfit && friendly { Verdict::Hold } else { by_gates };
    let mut reasons = Vec::new();
    if unfit {
        reasons.extend(capture_reasons(health));
    }
    reasons.extend(groups.reasons());
    reasons.push(Reason { text: rule, gate: None });
    if unfit {
        let text = format!("the gates alone would say {by_gates}; biased capture decides nothing");
        reasons.push(Reason { text, gate: None });
    } else {
        reasons.extend(capture_reasons(health));
    }
    (verdict, reasons)
}

/// The results that count, by what they say; each in the order of the document.
#[derive(Default)]
struct Groups<'a> {
    deciding: Vec<&'a GateResult>,
    critical: Vec<&'a GateResult>,
    major: Vec<&'a GateResult>,
    diverged: Vec<&'a GateResult>,
    worse_scores: Vec<&'a GateResult>,
    better_scores: Vec<&'a GateResult>,
    no_data: Vec<&'a GateResult>,
    undecided: Vec<&'a GateResult>,
    inside: Vec<&'a GateResult>,
    advisory: Vec<&'a GateResult>,
}

impl<'a> Groups<'a> {
    fn of(results: &'a [GateResult]) -> Self {
        let mut groups = Self::default();
        for result in results {
            groups.add(result);
        }
        // The slowest gate first; one without a forecast is slower than any.
        groups.undecided.sort_by_key(|result| std::cmp::Reverse(result.needed_more.unwrap_or(u64::MAX)));
        groups
    }

    fn add(&mut self, result: &'a GateResult) {
        if result.severity == Severity::Advisory {
            self.advisory.push(result);
            return;
        }
        self.deciding.push(result);
        match result.outcome {
            Outcome::Breach if result.severity == Severity::Critical => self.critical.push(result),
            Outcome::Breach => self.major.push(result),
            Outcome::Diverged => self.diverged.push(result),
            Outcome::NoData => self.no_data.push(result),
            Outcome::Undecided => self.undecided.push(result),
            Outcome::Inside | Outcome::Improved => self.inside.push(result),
        }
        if result.metric.starts_with(SCORE_PREFIX) {
            if result.outcome == Outcome::Breach || worse(result) {
                self.worse_scores.push(result);
            } else if result.outcome == Outcome::Improved {
                self.better_scores.push(result);
            }
        }
    }

    fn verdict(&self) -> (Verdict, String) {
        let breaches = self.critical.len() + self.major.len();
        let past_margin = self.better_scores.iter().any(|result| improved_past_margin(result));
        let (verdict, rule) = if !self.critical.is_empty() {
            (Verdict::Rollback, "one breach of a critical gate is enough to roll back")
        } else if breaches >= 2 {
            (Verdict::Rollback, "two breaches are enough to roll back")
        } else if !self.diverged.is_empty() && !self.worse_scores.is_empty() {
            (Verdict::Investigate, "the answers differ and a score got worse: a human looks")
        } else if breaches == 1 {
            (Verdict::Investigate, "one breach of a major gate: a human looks")
        } else if !self.diverged.is_empty() && !self.better_scores.is_empty() {
            (Verdict::SignOff, "the answers differ and the scores are better: a human signs off")
        } else if !self.diverged.is_empty() {
            (
                Verdict::Investigate,
                "the answers differ, and no score says whether for better or worse: a human looks",
            )
        } else if past_margin {
            (Verdict::SignOff, "a score improved by more than its margin: a human signs off")
        } else if self.deciding.is_empty() {
            (Verdict::Hold, "no gate decides: there is none, or all are advisory")
        } else if self.inside.len() == self.deciding.len() {
            (Verdict::Promote, "every gate that counts is inside its margin")
        } else if !self.no_data.is_empty() {
            (Verdict::Hold, "a gate without values never promotes")
        } else {
            (Verdict::Hold, "not every gate is decided yet")
        };
        (verdict, rule.to_owned())
    }

    fn reasons(&self) -> Vec<Reason> {
        let mut reasons: Vec<Reason> = Vec::new();
        let groups = [
            &self.critical,
            &self.major,
            &self.diverged,
            &self.worse_scores,
            &self.better_scores,
            &self.no_data,
            &self.undecided,
        ];
        for result in groups.into_iter().flatten() {
            let said = reasons.iter().any(|reason| reason.gate.as_deref() == Some(result.gate.as_str()));
            if !said {
                reasons.push(Reason { text: result.explanation.clone(), gate: Some(result.gate.clone()) });
            }
        }
        let quiet: Vec<&str> = self
            .inside
            .iter()
            .map(|result| result.gate.as_str())
            .filter(|gate| !reasons.iter().any(|reason| reason.gate.as_deref() == Some(*gate)))
            .collect();
        if !quiet.is_empty() {
            reasons.push(Reason { text: format!("inside their margins: {}", quiet.join(", ")), gate: None });
        }
        let outside = |result: &&&GateResult| matches!(result.outcome, Outcome::Breach | Outcome::Diverged);
        for result in self.advisory.iter().filter(outside) {
            let text = format!("{} (advisory: does not decide)", result.explanation);
            reasons.push(Reason { text, gate: Some(result.gate.clone()) });
        }
        reasons
    }
}

fn capture_reasons(health: &CaptureHealth) -> impl Iterator<Item = Reason> + '_ {
    health.problems.iter().map(|problem| Reason { text: format!("capture: {problem}"), gate: None })
}
