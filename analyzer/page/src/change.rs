//! Other gates on the same evidence.

use serde::Deserialize;
use serde_json::Value;
use weir_gate::Segment;
use weir_report::Report;

use crate::sitting::Sitting;

/// What is tried. Everything that is left away stays as it is in the report.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Change {
    /// A gates document.
    pub gates: Option<Value>,
    /// Only what came after this look of the report, counted from 0.
    pub after: Option<usize>,
    /// Only what was known at this look of the report, counted from 0.
    pub until: Option<usize>,
    /// Exchanges with all labels of one of these are hidden.
    pub without: Vec<Segment>,
}

impl Change {
    /// Whether all of the evidence is looked at.
    pub(crate) fn is_whole(&self) -> bool {
        self.after.is_none() && self.until.is_none() && self.without.is_empty()
    }
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
    Sitting::new(report.clone()).whole(change)
}
