//! Other gates on the same evidence.

use serde::Deserialize;
use serde_json::Value;
use weir_gate::{Gates, MetricSeries, Spending};
use weir_report::Report;

use crate::time::{trajectories, until};

/// What is tried. Everything that is left away stays as it is in the report.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Change {
    /// A gates document.
    pub gates: Option<Value>,
    /// Only what was known at this look of the report, counted from 0.
    pub until: Option<usize>,
}

/// Why a change cannot be tried.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The report carries no evidence.
    #[error("the report carries no evidence to judge again\n  hint: make it again with `weir analyze`")]
    NoEvidence,
    /// The report carries no gates, and none were given.
    #[error("the report does not name its gates\n  hint: give a gates document")]
    NoGates,
    /// The gates document is wrong.
    #[error("{0}")]
    Gates(String),
    /// There is no such look.
    #[error("look {look} is not in the report, which has {looks}")]
    NoLook {
        /// The look that was asked for, from 0.
        look: usize,
        /// How many there are.
        looks: usize,
    },
    /// The change is no change.
    #[error("the change cannot be read: {0}")]
    Change(#[from] serde_json::Error),
}

/// The report as it would be with `change`: another verdict, other reasons, other gates on the same evidence.
///
/// # Errors
/// [`Refused`]: no evidence, no gates, or a gates document with problems, all of them listed with their paths.
pub fn what_if(report: &Report, change: &Change) -> Result<Report, Refused> {
    let mut changed = report.clone();
    let gates = judge(&mut changed, &report.evidence, change)?;
    changed.trajectories = trajectories(&changed, &report.evidence, &gates);
    Ok(changed)
}

/// Judges `evidence` again and puts the result into `report`, whose own evidence is not looked at: a page answers many
/// times, and does not copy it each time. Trajectories stay as they are; the gates that were judged by are given back.
pub(crate) fn judge(
    report: &mut Report,
    evidence: &[MetricSeries],
    change: &Change,
) -> Result<Gates, Refused> {
    if evidence.is_empty() {
        return Err(Refused::NoEvidence);
    }
    let document = change.gates.as_ref().unwrap_or(&report.gates);
    if document.is_null() {
        return Err(Refused::NoGates);
    }
    let gates = Gates::parse("gates", &document.to_string())
        .map_err(|problems| Refused::Gates(problems.to_string()))?;
    let spending = Spending::new(report.spending);
    let earlier = match change.until {
        None => None,
        Some(look) => {
            let looks = report.looks.len();
            Some(until(evidence, report.looks.get(look).ok_or(Refused::NoLook { look, looks })?))
        }
    };
    // How long an earlier look's evidence took is not in the report.
    let mut health = report.evaluation.health.clone();
    let span_seconds = health.span_seconds.take();
    health.span_seconds = span_seconds.filter(|_| earlier.is_none());
    let evidence = earlier.as_deref().unwrap_or(evidence);
    let mut evaluation = weir_gate::evaluate(&gates, evidence, &health, spending);
    evaluation.health.span_seconds = span_seconds;
    report.evaluation = weir_gate::restrain(evaluation, &report.tripwires, &report.trust);
    report.gates = serde_json::from_str(&gates.to_json())?;
    report.generated_from.gates_digest = gates.digest();
    Ok(gates)
}
