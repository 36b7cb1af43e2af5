//! What the demo tells while it runs, apart from how a terminal shows it.
//!
//! A [`Note`] is a line of the timeline and stays; a [`Status`] is the present and replaces the one before.

use std::time::Duration;

use weir_gate::{GateResult, Verdict};

/// What a note is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Processes and files of the demo itself.
    Setup,
    /// A step of the rollout, or its share.
    Step,
    /// A gate that closed, breached or diverged.
    Gate,
    /// A verdict that changes something.
    Verdict,
    /// A policy on its way to the proxy, or confirmed by it.
    Push,
    /// What the demo does to the candidate; the rollout does not know it.
    Model,
    /// What users see.
    Users,
    /// Something went wrong.
    Problem,
}

impl About {
    /// The word in front of the line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Step => "step",
            Self::Gate => "gate",
            Self::Verdict => "verdict",
            Self::Push => "push",
            Self::Model => "model",
            Self::Users => "users",
            Self::Problem => "problem",
        }
    }
}

/// One line of the timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Since the start of the demo.
    pub at: Duration,
    /// What it is about.
    pub about: About,
    /// One line of text.
    pub text: String,
}

/// The present, redrawn in place.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Since the start of the demo.
    pub at: Duration,
    /// The step, for example `5 %`.
    pub step: String,
    /// Its number, counted from 1, of so many.
    pub step_of: (usize, usize),
    /// The confirmed policy revision.
    pub revision: u64,
    /// Percent of the users that the candidate serves.
    pub candidate_percent: f64,
    /// Requests that were answered.
    pub answered: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Answers by the candidate to users.
    pub by_candidate: u64,
    /// Samples of this step.
    pub samples: u64,
    /// Pairs of this step.
    pub pairs: u64,
    /// The gates at the last look.
    pub gates: Vec<GateResult>,
    /// The verdict of the last look.
    pub verdict: Option<Verdict>,
}

/// Where the demo's words go.
pub trait Ui: Send + Sync {
    /// A line of the timeline.
    fn note(&self, note: &Note);
    /// The present.
    fn status(&self, status: &Status);
    /// The end: the status goes away, the summary stays. Comes once.
    fn summary(&self, text: &str);
}

/// A [`Ui`] that keeps the timeline in memory, for tests.
#[derive(Debug, Default)]
pub struct Silent {
    notes: std::sync::Mutex<Vec<Note>>,
}

impl Silent {
    /// The notes so far.
    #[must_use]
    pub fn notes(&self) -> Vec<Note> {
        self.notes.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

impl Ui for Silent {
    fn note(&self, note: &Note) {
        self.notes.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(note.clone());
    }

    fn status(&self, _status: &Status) {}

    fn summary(&self, _text: &str) {}
}
