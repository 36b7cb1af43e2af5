//! What is known while the demo runs: the looks, the pushes, the turn; and the notes that follow from them.
//!
//! The rollout's looks come from a blocking thread, its events from the watch, the ticks from the status task: all of
//! them meet here, behind one lock that is never held across an await.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use weir_controller::LookRequest;
use weir_controller::{Event, What};
use weir_gate::{Evaluation, GateResult, Outcome, Verdict};
use weir_look::Look;
use weir_report::{Step, TimelineEntry};

use crate::tally::Counts;
use crate::terminal::Scale;
use crate::ui::{About, Note, Status, Ui};

/// One step as the board needs it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stage {
    pub(crate) name: String,
    pub(crate) candidate_percent: f64,
}

/// The shared state.
pub(crate) struct Board {
    started: Instant,
    ui: Arc<dyn Ui>,
    stages: Vec<Stage>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    status: Status,
    /// The last look that saw something, and the revision whose samples it saw.
    look: Option<(Arc<Look>, u64)>,
    outcomes: HashMap<String, Outcome>,
    /// Most gates that were inside at once in this step.
    inside_max: usize,
    verdict: Option<Verdict>,
    stage: usize,
    /// When each stage was confirmed.
    confirmed_at: HashMap<usize, Instant>,
    turned_at: Option<Instant>,
    rollback_at: Option<Instant>,
    rollback_revision: Option<u64>,
    rollback_confirmed_at: Option<Instant>,
    look_failures: u32,
    timeline: Vec<TimelineEntry>,
}

/// Looks that fail in a row before it is said: before the first flush there is nothing to look at.
const LOOK_FAILURES_QUIET: u32 = 10;

impl Board {
    pub(crate) fn new(ui: Arc<dyn Ui>, stages: Vec<Stage>) -> Self {
        let status =
            Status { step_of: (0, stages.len()), step: "before the rollout".to_owned(), ..Status::default() };
        Self { started: Instant::now(), ui, stages, inner: Mutex::new(Inner { status, ..Inner::default() }) }
    }

    /// Since the start of the demo.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// A line of the timeline, now.
    pub(crate) fn note(&self, about: About, text: impl Into<String>) {
        let note = Note { at: self.started.elapsed(), about, text: text.into() };
        self.lock().timeline.push(TimelineEntry {
            at: jiff::Timestamp::now().to_string(),
            kind: about.as_str().to_owned(),
            text: note.text.clone(),
        });
        self.ui.note(&note);
    }

    /// The present with the users' counts.
    pub(crate) fn tick(&self, counts: &Counts) {
        let status = {
            let mut inner = self.lock();
            inner.status.at = self.started.elapsed();
            inner.status.answered = counts.answered;
            inner.status.failed = counts.failed;
            inner.status.by_candidate = counts.by_candidate;
            inner.status.clone()
        };
        self.ui.status(&status);
    }

    /// A look at the evidence, as soon as it is there and before anything follows from it.
    pub(crate) fn looked(&self, request: &LookRequest, look: &Arc<Look>) {
        let (loaded, evaluation) = (&look.loaded, &look.evaluation);
        let at = Instant::now();
        let changes = {
            let mut inner = self.lock();
            inner.look_failures = 0;
            inner.status.gates.clone_from(&evaluation.gates);
            inner.status.pairs = evaluation.health.pairs;
            inner.status.samples = loaded.samples;
            inner.status.verdict = Some(evaluation.verdict);
            // A step that has no evidence yet must not take the report of the one before away.
            if loaded.samples > 0 || inner.look.is_none() {
                inner.look = Some((Arc::clone(look), request.revision));
            }
            if evaluation.verdict == Verdict::Rollback {
                inner.rollback_at.get_or_insert(at);
            }
            inner.changes(evaluation)
        };
        for (about, text) in changes {
            self.note(about, text);
        }
    }

    /// An event of the watch.
    pub(crate) fn event(&self, event: &Event) {
        match &event.what {
            What::Started { .. } => {
                let steps: Vec<&str> = self.stages.iter().map(|stage| stage.name.as_str()).collect();
                self.note(About::Step, format!("the rollout begins: {}", steps.join(", ")));
                self.entered(0);
            }
            What::Pushed { revision, mode, written_ms, .. } => {
                self.lock().rollback_revision = (mode == "rolled-back").then_some(*revision);
                self.note(
                    About::Push,
                    format!("revision {revision} ({mode}) renamed into place after {written_ms:.0} ms"),
                );
            }
            What::Confirmed { revision, confirmed_ms, .. } => self.confirmed(*revision, *confirmed_ms),
            What::Advanced { to, .. } => {
                let at = self.stages.iter().position(|stage| stage.name == *to).unwrap_or_default();
                self.entered(at);
            }
            What::LookFailed { error, .. } => {
                let failures = {
                    let mut inner = self.lock();
                    inner.look_failures += 1;
                    inner.look_failures
                };
                if failures.is_multiple_of(LOOK_FAILURES_QUIET) {
                    self.note(
                        About::Problem,
                        format!("{failures} looks in a row failed: {}", first_line(error)),
                    );
                }
            }
            What::NotConfirmed { error, .. } | What::Trouble(error) => {
                self.note(About::Problem, first_line(error))
            }
            What::RolledBack { .. } => {
                {
                    let mut inner = self.lock();
                    inner.status.step = "rolled back".to_owned();
                    inner.status.candidate_percent = 0.0;
                }
                self.note(About::Step, "rolled back: everybody is with control again");
            }
            What::SignOffRequested { .. } => {
                self.note(About::Step, "the rollout waits for a human to sign off")
            }
            What::Finished { .. } => self.note(About::Step, "the last step is passed"),
            // The demo itself stops the watch: there is nothing left to ask, or the time is over.
            What::Stopped(_) => {
                self.note(About::Step, "the demo has nothing more to ask: the rollout stops where it is");
            }
            What::Noticed(text) => self.note(About::Problem, first_line(text)),
            What::Looked { .. } => {}
        }
    }

    fn entered(&self, stage: usize) {
        let Some(entered) = self.stages.get(stage) else { return };
        {
            let mut inner = self.lock();
            inner.stage = stage;
            inner.status.step.clone_from(&entered.name);
            inner.status.step_of = (stage + 1, self.stages.len());
            inner.status.candidate_percent = entered.candidate_percent;
            // Evidence of the step before does not count any more.
            inner.status.gates.clear();
            inner.status.pairs = 0;
            inner.status.verdict = None;
            inner.outcomes.clear();
            inner.inside_max = 0;
            inner.verdict = None;
        }
        let share = if entered.candidate_percent > 0.0 {
            format!(
                "the candidate serves {} % of the users of each tier, and answers copies of the rest",
                entered.candidate_percent
            )
        } else {
            "nobody is served by the candidate, it answers copies of every request".to_owned()
        };
        self.note(About::Step, format!("{} of {}: {}: {share}", stage + 1, self.stages.len(), entered.name));
    }

    fn confirmed(&self, revision: u64, confirmed_ms: f64) {
        {
            let mut inner = self.lock();
            inner.status.revision = revision;
            if inner.rollback_revision == Some(revision) {
                inner.rollback_confirmed_at = Some(Instant::now());
            }
        }
        self.note(About::Push, format!("revision {revision} confirmed by Envoy after {confirmed_ms:.0} ms"));
        let mut inner = self.lock();
        // The first step's push comes after `Started`, every other step's push before `Advanced`.
        let stage = inner.confirmed_at.len();
        inner.confirmed_at.insert(stage, Instant::now());
    }

    /// When the push of this stage was confirmed; none before.
    pub(crate) fn confirmed_at(&self, stage: usize) -> Option<Instant> {
        self.lock().confirmed_at.get(&stage).copied()
    }

    /// The candidate has turned worse, just now.
    pub(crate) fn turned(&self) {
        self.lock().turned_at = Some(Instant::now());
    }

    pub(crate) fn turned_at(&self) -> Option<Instant> {
        self.lock().turned_at
    }

    /// When the verdict was rollback, and when Envoy had confirmed it.
    pub(crate) fn rollback(&self) -> Option<(Instant, Option<Instant>, Option<u64>)> {
        let inner = self.lock();
        inner.rollback_at.map(|at| (at, inner.rollback_confirmed_at, inner.rollback_revision))
    }

    pub(crate) fn last_look(&self) -> Option<(Arc<Look>, u64)> {
        self.lock().look.clone()
    }

    /// The step that the rollout reached.
    pub(crate) fn step(&self) -> Option<Step> {
        let number = self.lock().stage;
        let stage = self.stages.get(number)?;
        let place = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Some(Step {
            name: stage.name.clone(),
            number: place(number + 1),
            of: place(self.stages.len()),
            candidate_percent: stage.candidate_percent,
        })
    }

    pub(crate) fn timeline(&self) -> Vec<TimelineEntry> {
        self.lock().timeline.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere leaves nothing half-written that could not be shown.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// What is worth a line: gates that breach, diverge or improve, all gates inside, another verdict.
    fn changes(&mut self, evaluation: &Evaluation) -> Vec<(About, String)> {
        let mut lines = Vec::new();
        for gate in &evaluation.gates {
            let before = self.outcomes.insert(gate.gate.clone(), gate.outcome);
            if is_loud(gate.outcome) && before != Some(gate.outcome) {
                lines.push((About::Gate, change_line(gate)));
            }
        }
        let inside = evaluation.gates.iter().filter(|gate| gate.outcome == Outcome::Inside).count();
        if inside > self.inside_max {
            self.inside_max = inside;
            let text = format!("{inside} of {} gates are inside their margins", evaluation.gates.len());
            lines.push((About::Gate, text));
        }
        if self.verdict != Some(evaluation.verdict)
            && (self.verdict.is_some() || evaluation.verdict != Verdict::Hold)
        {
            lines.push((About::Verdict, verdict_line(evaluation)));
        }
        self.verdict = Some(evaluation.verdict);
        lines
    }
}

/// `order-id breach: control 100.0 %, candidate 61.2 %, change -38.8 pt [-45.2 pt, -32.4 pt], margin 5.0 pt, 420 pairs`
fn change_line(gate: &GateResult) -> String {
    let scale = Scale::of_change(gate);
    let mean =
        |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| Scale::of_mean(gate).text(value));
    let interval = match (gate.estimate, gate.interval) {
        (Some(estimate), Some((low, high))) => {
            format!(", change {} [{}, {}]", scale.signed(estimate), scale.signed(low), scale.signed(high))
        }
        _ => String::new(),
    };
    format!(
        "{} {}: control {}, candidate {}{interval}, margin {}, {} pairs",
        gate.gate,
        gate.outcome,
        mean(gate.control),
        mean(gate.candidate),
        scale.text(gate.margin),
        gate.n_pairs,
    )
}

/// `rollback, because of order-id`: the gates' own lines have the figures.
fn verdict_line(evaluation: &Evaluation) -> String {
    let loud = |gate: &&GateResult| is_loud(gate.outcome);
    let gates: Vec<&str> = evaluation.gates.iter().filter(loud).map(|gate| gate.gate.as_str()).collect();
    match (gates.is_empty(), evaluation.reasons.first()) {
        (false, _) => format!("{}, because of {}", evaluation.verdict, gates.join(", ")),
        (true, Some(reason)) => format!("{}: {}", evaluation.verdict, first_line(&reason.text)),
        (true, None) => evaluation.verdict.to_string(),
    }
}

/// The gate has something to say that a person should hear.
pub(crate) fn is_loud(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Breach | Outcome::Diverged | Outcome::Improved)
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use weir_gate::{CaptureHealth, Reason};

    use super::*;
    use crate::terminal::tests::gate;

    fn evaluation(verdict: Verdict, gates: Vec<GateResult>) -> Evaluation {
        let reasons = vec![Reason { text: "order-id fell\nfar".into(), gate: Some("order-id".into()) }];
        let health = CaptureHealth::default();
        Evaluation {
            verdict,
            reasons,
            gates,
            alpha: 0.05,
            error_rates: weir_gate::ErrorRates::default(),
            score: None,
            segments: Vec::new(),
            findings: Vec::new(),
            looks: "any number".into(),
            health,
        }
    }

    fn texts(inner: &mut Inner, evaluation: &Evaluation) -> Vec<String> {
        inner
            .changes(evaluation)
            .into_iter()
            .map(|(about, text)| format!("{}: {text}", about.as_str()))
            .collect()
    }

    #[test]
    fn only_changes_of_gates_and_verdict_are_worth_a_line() {
        let mut inner = Inner::default();
        let undecided = evaluation(Verdict::Hold, vec![gate("order-id", Outcome::Undecided)]);
        assert!(texts(&mut inner, &undecided).is_empty());
        let inside = evaluation(Verdict::Hold, vec![gate("order-id", Outcome::Inside)]);
        assert_eq!(texts(&mut inner, &inside), ["gate: 1 of 1 gates are inside their margins"]);
        assert!(texts(&mut inner, &inside).is_empty());
        let breach = evaluation(Verdict::Rollback, vec![gate("order-id", Outcome::Breach)]);
        assert_eq!(
            texts(&mut inner, &breach),
            [
                "gate: order-id breach: control 100.0 %, candidate 61.2 %, change -38.8 pt [-45.2 pt, -32.4 pt], \
                 margin 5.0 pt, 500 pairs",
                "verdict: rollback, because of order-id",
            ]
        );
        assert!(texts(&mut inner, &breach).is_empty());
    }
}
