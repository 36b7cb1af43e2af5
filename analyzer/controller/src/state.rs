//! The rollout's state machine: pure, without clocks and files.
//!
//! Invariants (property-tested): a rollback verdict always leads to a rollback, whatever the step, the status and the
//! minimum evidence; a step is never skipped; nothing but evidence of the confirmed, current revision lets a step be
//! passed; `investigate` never does, `hold` only where the step says `no-breach` or a human signed it off; an improvement
//! waits for a human; an ended rollout never starts again by itself.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use weir_gate::{Evaluation, Outcome, Severity, Verdict};

use crate::rollout::{AdvanceOn, Rollout, Step};

/// Name and version of the state file's format.
pub const STATE_SCHEMA: &str = "weir.rollout-state/1";

/// Where a rollout stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Looking at the evidence of the current step.
    Running,
    /// Better than expected: a human signs off before the next step.
    AwaitingSignOff,
    /// Stopped at the current step by hand; only a rollback still happens.
    Paused,
    /// Everybody is back at control.
    RolledBack,
    /// All steps are passed.
    Finished,
}

/// The state of one rollout, as it is kept in `state.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// [`STATE_SCHEMA`].
    pub schema: String,
    /// The experiment.
    pub experiment: String,
    /// Fingerprint of the rollout document that this state belongs to.
    pub rollout_digest: String,
    /// Where the rollout stands.
    pub status: Status,
    /// Index of the current step, from 0.
    pub step: usize,
    /// Name of the current step.
    pub step_name: String,
    /// The revision that was written last.
    pub revision: u64,
    /// All proxies confirmed `revision`.
    pub confirmed: bool,
    /// Since when the current step is confirmed, or when the last change was made.
    #[serde(with = "timestamp")]
    pub since: Timestamp,
    /// The revision whose evidence counts for the current step; absent until it is confirmed.
    pub evidence_revision: Option<u64>,
    /// The step that a human signed off, if it is the current one the rollout moves on.
    pub signed_off_step: Option<usize>,
    /// How many decisions are recorded; the last one has this number.
    pub decisions: u64,
}

/// What to do after a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Nothing: go on looking.
    Stay,
    /// Push the next step.
    NextStep,
    /// Push the rolled-back policy, now.
    Rollback,
    /// Ask a human.
    AwaitSignOff,
    /// The last step is passed.
    Finish,
}

/// An action with its reasons, the most important first.
#[derive(Clone, Debug, PartialEq)]
pub struct Advice {
    /// What to do.
    pub action: Action,
    /// Why.
    pub reasons: Vec<String>,
}

impl Status {
    /// No look changes anything any more.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::RolledBack | Self::Finished)
    }

    /// The word for people and for JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::AwaitingSignOff => "awaiting-sign-off",
            Self::Paused => "paused",
            Self::RolledBack => "rolled-back",
            Self::Finished => "finished",
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl Action {
    /// The word for people and for JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stay => "stay",
            Self::NextStep => "next-step",
            Self::Rollback => "rollback",
            Self::AwaitSignOff => "await-sign-off",
            Self::Finish => "finish",
        }
    }
}

impl State {
    /// A rollout that begins: step 0, nothing confirmed. `revision` is the one that the proxies have before it.
    pub fn begin(rollout: &Rollout, revision: u64, now: Timestamp) -> Self {
        Self {
            schema: STATE_SCHEMA.to_owned(),
            experiment: rollout.experiment.clone(),
            rollout_digest: rollout.digest(),
            status: Status::Running,
            step: 0,
            step_name: rollout.steps.first().map(|step| step.name.clone()).unwrap_or_default(),
            revision,
            confirmed: false,
            since: now,
            evidence_revision: None,
            signed_off_step: None,
            decisions: 0,
        }
    }

    /// Enters a step with the revision that is about to be written; its evidence counts from the confirmation on.
    pub fn enter(&mut self, rollout: &Rollout, step: usize, revision: u64, now: Timestamp) {
        self.step = step;
        self.step_name = rollout.steps.get(step).map(|step| step.name.clone()).unwrap_or_default();
        self.status = Status::Running;
        self.signed_off_step = None;
        self.written(revision, now);
    }

    /// A revision is about to be written: nothing counts as evidence until it is confirmed.
    pub fn written(&mut self, revision: u64, now: Timestamp) {
        self.revision = self.revision.max(revision);
        self.confirmed = false;
        self.evidence_revision = None;
        self.since = now;
    }

    /// All proxies show the revision.
    pub fn confirm(&mut self, now: Timestamp) {
        self.confirmed = true;
        self.evidence_revision = (!self.status.has_ended()).then_some(self.revision);
        self.since = now;
    }

    /// All steps are passed.
    pub fn finish(&mut self) {
        self.status = Status::Finished;
        self.evidence_revision = None;
    }

    /// Whole seconds in the current step; 0 when the clock went back.
    pub fn seconds_in_step(&self, now: Timestamp) -> u64 {
        u64::try_from(now.as_second().saturating_sub(self.since.as_second())).unwrap_or(0)
    }
}

/// What to do with this evaluation of evidence that was captured under `state.evidence_revision`.
pub fn advance(rollout: &Rollout, state: &State, evaluation: &Evaluation, now: Timestamp) -> Advice {
    let why: Vec<String> = evaluation.reasons.iter().map(|reason| reason.text.clone()).collect();
    if state.status.has_ended() {
        return stay(vec![format!("the rollout is {} already", state.status)]);
    }
    if evaluation.verdict == Verdict::Rollback {
        return Advice { action: Action::Rollback, reasons: why };
    }
    if state.status == Status::Paused {
        return with_first(format!("paused by hand at step '{}'", state.step_name), why);
    }
    if !state.confirmed || state.evidence_revision != Some(state.revision) {
        return with_first(format!("revision {} is not confirmed yet", state.revision), why);
    }
    let Some(step) = rollout.steps.get(state.step) else {
        return with_first(format!("the rollout has no step {}", state.step), why);
    };
    if let Some(missing) = missing_evidence(step, state, evaluation, now) {
        return with_first(missing, why);
    }
    match evaluation.verdict {
        Verdict::Investigate | Verdict::Rollback => stay(why),
        _ if state.signed_off_step == Some(state.step) => pass(rollout, state, "signed off by hand", why),
        _ if state.status == Status::AwaitingSignOff => {
            with_first(String::from("waiting for a sign-off"), why)
        }
        Verdict::SignOff => Advice { action: Action::AwaitSignOff, reasons: why },
        Verdict::Promote => pass(rollout, state, "every gate that counts is inside its margin", why),
        Verdict::Hold if step.advance_on == AdvanceOn::NoBreach => match objection(evaluation) {
            None => pass(rollout, state, "no breach (advanceOn: no-breach)", why),
            Some(objection) => with_first(objection, why),
        },
        Verdict::Hold => stay(why),
    }
}

fn stay(reasons: Vec<String>) -> Advice {
    Advice { action: Action::Stay, reasons }
}

fn with_first(first: String, rest: Vec<String>) -> Advice {
    stay(std::iter::once(first).chain(rest).collect())
}

fn pass(rollout: &Rollout, state: &State, first: &str, rest: Vec<String>) -> Advice {
    let action = if state.step + 1 < rollout.steps.len() { Action::NextStep } else { Action::Finish };
    Advice { action, reasons: std::iter::once(first.to_owned()).chain(rest).collect() }
}

fn missing_evidence(step: &Step, state: &State, evaluation: &Evaluation, now: Timestamp) -> Option<String> {
    let pairs = evaluation.health.pairs;
    let seconds = state.seconds_in_step(now);
    if pairs < step.minimum_pairs {
        Some(format!(
            "step '{}' needs {} more pairs ({pairs} of {})",
            step.name,
            step.minimum_pairs - pairs,
            step.minimum_pairs
        ))
    } else if seconds < step.minimum_seconds {
        Some(format!("step '{}' needs {} more seconds", step.name, step.minimum_seconds - seconds))
    } else {
        None
    }
}

/// Why a hold does not pass a `no-breach` step.
fn objection(evaluation: &Evaluation) -> Option<String> {
    if let Some(problem) = evaluation.health.problems.first() {
        return Some(format!("the capture is not fit: {problem}"));
    }
    let mut counting = evaluation.gates.iter().filter(|gate| gate.severity != Severity::Advisory).peekable();
    if counting.peek().is_none() {
        return Some(String::from("there is no gate that counts"));
    }
    let mut evidence = false;
    for gate in counting {
        match gate.outcome {
            Outcome::Breach | Outcome::Diverged => {
                return Some(format!("gate '{}' is a {}", gate.gate, gate.outcome));
            }
            Outcome::NoData => {}
            Outcome::Inside | Outcome::Undecided | Outcome::Improved => evidence = true,
        }
    }
    (!evidence).then(|| String::from("no gate has any evidence yet"))
}

/// Timestamps as RFC 3339 text in UTC.
pub(crate) mod timestamp {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(at)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{evaluation, gate, rollout};

    const VERDICTS: [Verdict; 5] =
        [Verdict::Promote, Verdict::Hold, Verdict::Investigate, Verdict::SignOff, Verdict::Rollback];
    const STATUSES: [Status; 5] =
        [Status::Running, Status::AwaitingSignOff, Status::Paused, Status::RolledBack, Status::Finished];

    fn start() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    /// A state in this step, confirmed at `start()`.
    fn at(step: usize) -> State {
        let mut state = State::begin(&rollout(), 6, start());
        state.enter(&rollout(), step, 7 + step as u64, start());
        state.confirm(start());
        state
    }

    fn after(seconds: i64) -> Timestamp {
        start() + SignedDuration::from_secs(seconds)
    }

    fn action(state: &State, evaluation: &Evaluation, seconds: i64) -> Action {
        advance(&rollout(), state, evaluation, after(seconds)).action
    }

    #[test]
    fn promote_passes_a_step_only_with_its_minimum_of_pairs_and_time() {
        let mut promote = evaluation(Verdict::Promote);
        promote.health.pairs = 199;
        let advice = advance(&rollout(), &at(0), &promote, after(0));
        assert_eq!(
            (advice.action, advice.reasons[0].as_str()),
            (Action::Stay, "step 'shadow' needs 1 more pairs (199 of 200)")
        );
        promote.health.pairs = 200;
        assert_eq!(action(&at(0), &promote, 0), Action::NextStep);
        assert_eq!(action(&at(2), &promote, 29), Action::Stay);
        assert_eq!(action(&at(2), &promote, 30), Action::Finish);
    }

    #[test]
    fn only_evidence_of_the_confirmed_current_revision_passes_a_step() {
        let promote = evaluation(Verdict::Promote);
        assert_eq!(action(&at(0), &promote, 0), Action::NextStep);
        let mut unconfirmed = at(0);
        unconfirmed.written(8, start());
        assert_eq!(action(&unconfirmed, &promote, 0), Action::Stay);
        for stale in [None, Some(6)] {
            let state = State { evidence_revision: stale, ..at(0) };
            assert_eq!(action(&state, &promote, 0), Action::Stay, "{stale:?}");
        }
    }

    #[test]
    fn a_clock_that_goes_back_never_counts_as_time_in_the_step() {
        assert_eq!(action(&at(2), &evaluation(Verdict::Promote), -1_000), Action::Stay);
    }

    #[test]
    fn a_no_breach_step_is_passed_on_hold_only_without_objection_and_with_evidence() {
        let hold = evaluation(Verdict::Hold);
        assert_eq!(action(&at(1), &hold, 0), Action::NextStep);
        assert_eq!(action(&at(0), &hold, 1_000_000), Action::Stay, "the first step wants a promote");
        let with = |outcome| Evaluation { gates: vec![gate(outcome)], ..hold.clone() };
        for outcome in [Outcome::Breach, Outcome::Diverged, Outcome::NoData] {
            assert_eq!(action(&at(1), &with(outcome), 0), Action::Stay, "{outcome}");
        }
        let mut unfit = hold.clone();
        unfit.health.problems.push(String::from("samples were lost"));
        assert_eq!(action(&at(1), &unfit, 0), Action::Stay);
        let mut advisory = hold.clone();
        advisory.gates[0].severity = Severity::Advisory;
        assert_eq!(action(&at(1), &advisory, 0), Action::Stay, "only advisory gates");
    }

    #[test]
    fn an_improvement_waits_for_a_human_and_then_moves_on() {
        let improved = evaluation(Verdict::SignOff);
        assert_eq!(action(&at(0), &improved, 0), Action::AwaitSignOff);
        let mut waiting = at(0);
        waiting.status = Status::AwaitingSignOff;
        for verdict in [Verdict::SignOff, Verdict::Promote, Verdict::Hold, Verdict::Investigate] {
            assert_eq!(action(&waiting, &evaluation(verdict), 0), Action::Stay, "{verdict}");
        }
        let mut approved = at(0);
        approved.signed_off_step = Some(0);
        assert_eq!(action(&approved, &improved, 0), Action::NextStep);
        approved.signed_off_step = Some(1);
        assert_eq!(action(&approved, &improved, 0), Action::AwaitSignOff, "another step was signed off");
    }

    #[test]
    fn a_state_survives_its_file() {
        let state = at(1);
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<State>(&text).unwrap(), state);
    }

    prop_compose! {
        fn any_state()(
            step in 0_usize..3,
            status in proptest::sample::select(&STATUSES[..]),
            confirmed: bool,
            stale: bool,
            signed_off in proptest::option::of(0_usize..3),
        ) -> State {
            let mut state = at(step);
            state.status = status;
            state.confirmed = confirmed;
            state.signed_off_step = signed_off;
            if stale {
                state.evidence_revision = Some(state.revision - 1);
            }
            state
        }
    }

    prop_compose! {
        fn any_evaluation()(
            verdict in proptest::sample::select(&VERDICTS[..]),
            pairs in 0_u64..400,
            outcome in proptest::sample::select(&[
                Outcome::Inside, Outcome::Breach, Outcome::Undecided, Outcome::NoData, Outcome::Improved, Outcome::Diverged,
            ][..]),
            unfit: bool,
        ) -> Evaluation {
            let mut evaluation = evaluation(verdict);
            evaluation.health.pairs = pairs;
            evaluation.gates = vec![gate(outcome)];
            if unfit {
                evaluation.health.problems.push(String::from("samples were lost"));
            }
            evaluation
        }
    }

    proptest! {
        #[test]
        fn a_rollback_verdict_rolls_back_whatever_the_state(state in any_state(), seen in any_evaluation(), seconds in -100_i64..100) {
            let mut seen = seen;
            seen.verdict = Verdict::Rollback;
            let expected = if state.status.has_ended() { Action::Stay } else { Action::Rollback };
            prop_assert_eq!(action(&state, &seen, seconds), expected);
        }

        #[test]
        fn a_step_is_passed_only_with_a_reason_to(state in any_state(), seen in any_evaluation(), seconds in -100_i64..100) {
            let advice = advance(&rollout(), &state, &seen, after(seconds));
            let passes = matches!(advice.action, Action::NextStep | Action::Finish);
            if passes {
                let rollout = rollout();
                let step = &rollout.steps[state.step];
                let signed_off = state.signed_off_step == Some(state.step);
                prop_assert!(state.confirmed && state.evidence_revision == Some(state.revision));
                prop_assert!(signed_off || state.status == Status::Running);
                prop_assert!(seen.health.pairs >= step.minimum_pairs && seconds.max(0) >= step.minimum_seconds as i64);
                prop_assert_ne!(seen.verdict, Verdict::Investigate);
                prop_assert_ne!(seen.verdict, Verdict::Rollback);
                prop_assert!(seen.verdict != Verdict::SignOff || signed_off);
                prop_assert!(seen.verdict != Verdict::Hold || signed_off || step.advance_on == AdvanceOn::NoBreach);
                prop_assert_eq!(advice.action == Action::Finish, state.step == 2);
            }
            prop_assert!(!advice.reasons.is_empty());
        }

        /// Whatever the evidence says over a whole rollout: steps come one by one, revisions only grow, and what has
        /// ended stays ended.
        #[test]
        fn steps_come_one_by_one_and_revisions_grow(looks in proptest::collection::vec((any_evaluation(), any::<bool>()), 1..60)) {
            let rollout = rollout();
            let mut state = State::begin(&rollout, 6, start());
            let mut revision = 6;
            for (second, (seen, confirms)) in looks.iter().enumerate() {
                let now = after(second as i64 * 10);
                let before = state.clone();
                match advance(&rollout, &state, seen, now).action {
                    Action::NextStep => state.enter(&rollout, before.step + 1, revision + 1, now),
                    Action::Rollback => {
                        state.status = Status::RolledBack;
                        state.written(revision + 1, now);
                    }
                    Action::AwaitSignOff => state.status = Status::AwaitingSignOff,
                    Action::Finish => state.finish(),
                    Action::Stay => {}
                }
                if *confirms && !state.confirmed {
                    state.confirm(now);
                }
                prop_assert!(state.step == before.step || state.step == before.step + 1);
                prop_assert!(state.step < rollout.steps.len());
                prop_assert!(state.revision >= before.revision);
                prop_assert!(!before.status.has_ended() || state.status == before.status);
                prop_assert!(!state.status.has_ended() || state.evidence_revision.is_none());
                if state.step != before.step {
                    prop_assert!(state.revision > before.revision);
                }
                revision = state.revision;
            }
        }
    }
}
