//! The pushes of a watch: a step, the end, and the way back.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use weir_gate::Evaluation;
use weir_policy::Policy;

use super::{Ending, Seen, Turn, Watch};
use crate::confirm::ConfirmError;
use crate::error::ControllerError;
use crate::event::{Event, What};
use crate::policies::{full_policy, rollback_policy, step_policy};
use crate::push::{Confirmed, Written};
use crate::record::{Decided, Decision, PushRecord};
use crate::rollout::AfterLastStep;
use crate::state::{Action, Advice, Status};

/// How often a push is tried before the watch gives up.
pub const PUSH_ATTEMPTS: u32 = 3;
/// Pause after an attempt that failed at once (a full disk, say).
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// A push that went through, and how often it was tried.
struct Done {
    written: Written,
    confirmed: Confirmed,
    attempts: u32,
}

/// A push that did not.
struct Failed {
    revision: Option<u64>,
    record: PushRecord,
}

impl<Observe: FnMut(Event)> Watch<Observe> {
    /// Pushes a step's policy until the proxies serve it; only then does its evidence count.
    pub(super) async fn push_step(
        &mut self,
        step: usize,
        decided: Decided,
        evaluation: Option<&Evaluation>,
        reasons: Vec<String>,
    ) -> Result<Turn, ControllerError> {
        let now = Timestamp::now();
        let mut decision = Decision::new(&self.state, "watch", decided, reasons, now);
        if let Some(evaluation) = evaluation {
            decision = decision.with_evaluation(evaluation);
        }
        let from = self.state.step_name.clone();
        let rollout = self.options.rollout.clone();
        let before = self.state.clone();
        self.state.enter(&rollout, step, before.revision, now);
        if decided == Decided::Repeat {
            self.state.status = before.status;
            self.state.signed_off_step = before.signed_off_step;
        }
        if let Err(error) = self.folder.write_state(&self.state) {
            self.state = before;
            return Err(error.into());
        }
        let base = self.options.policy.clone();
        let pushed =
            self.push(|revision| step_policy(&base, &rollout, step, revision), now, Instant::now()).await;
        let turn = self.settle(pushed, decision);
        if turn.is_continue() && decided == Decided::NextStep {
            self.evaluation = None;
            self.tell(What::Advanced { from, to: self.state.step_name.clone() });
        }
        Ok(turn)
    }

    pub(super) async fn finish(&mut self, evaluation: &Evaluation, reasons: Vec<String>) -> Turn {
        let full = self.options.rollout.after_last_step == AfterLastStep::Full;
        if full {
            let now = Timestamp::now();
            let decision = Decision::new(&self.state, "watch", Decided::Finish, reasons, now)
                .with_evaluation(evaluation);
            let (base, rollout) = (self.options.policy.clone(), self.options.rollout.clone());
            let pushed =
                self.push(|revision| full_policy(&base, &rollout, revision), now, Instant::now()).await;
            if pushed.is_ok() {
                self.state.finish();
            }
            if let ControlFlow::Break(ending) = self.settle(pushed, decision) {
                return ControlFlow::Break(ending);
            }
        } else {
            self.state.finish();
            self.note(Decided::Finish, evaluation, reasons);
        }
        self.tell(What::Finished { full });
        ControlFlow::Break(Ending::Finished)
    }

    /// Takes the candidate back. Nothing stands between the call and the rename.
    pub(super) async fn roll_back(
        &mut self,
        seen: Option<Seen>,
        reasons: Vec<String>,
        called: Instant,
    ) -> Turn {
        let verdict_at = seen.as_ref().map_or(called, |seen| seen.ended);
        let base = self.options.policy.clone();
        let policy_of = |revision: u64| Policy { revision, ..rollback_policy(&base) };
        let now = Timestamp::now();
        let mut decision = Decision::new(&self.state, "watch", Decided::Rollback, reasons.clone(), now);
        if let Some(seen) = seen {
            let advice = Advice { action: Action::Rollback, reasons: reasons.clone() };
            self.held.push(Event { at: now, what: seen.event(&self.state, &advice) });
            decision = decision.with_evaluation(&seen.evaluation);
            self.evaluation = Some(seen.evaluation);
        }
        self.state.status = Status::RolledBack;
        let pushed = self.push(policy_of, now, verdict_at).await;
        if let Ok(done) = &pushed {
            self.rollback_ms = Some((done.written.written_ms, done.confirmed.confirmed_ms));
        }
        let turn = self.settle(pushed, decision);
        if turn.is_break() {
            return turn;
        }
        let (written_ms, confirmed_ms) = self.rollback_ms.unzip();
        self.tell(What::RolledBack { reasons, written_ms, confirmed_ms });
        ControlFlow::Break(Ending::RolledBack)
    }

    /// Tries until it is confirmed, each time with the next free revision. A policy that was rejected is not tried
    /// again, except for a rollback.
    async fn push(
        &mut self,
        policy_of: impl Fn(u64) -> Policy,
        now: Timestamp,
        started: Instant,
    ) -> Result<Done, Failed> {
        let mut record =
            PushRecord { written_ms: 0.0, confirmed_ms: None, proxies: Vec::new(), attempts: 0, error: None };
        let mut revision = None;
        for attempt in 1..=PUSH_ATTEMPTS {
            record.attempts = attempt;
            let error = match self.push_once(&policy_of, now, started).await {
                Ok((written, Ok(confirmed))) => return Ok(Done { written, confirmed, attempts: attempt }),
                Ok((written, Err(error))) => {
                    revision = Some(written.revision);
                    record.written_ms = written.written_ms;
                    error
                }
                Err(error) => {
                    tokio::time::sleep(RETRY_PAUSE).await;
                    error
                }
            };
            self.tell_held();
            record.error = Some(error.to_string());
            self.tell(What::NotConfirmed { error: error.to_string(), attempt: (attempt, PUSH_ATTEMPTS) });
            let rejected = matches!(error, ControllerError::Confirm(ConfirmError::Rejected { .. }));
            if rejected && self.state.status != Status::RolledBack {
                break;
            }
            self.pusher.refresh().await;
        }
        Err(Failed { revision, record })
    }

    async fn push_once(
        &mut self,
        policy_of: impl Fn(u64) -> Policy,
        now: Timestamp,
        started: Instant,
    ) -> Result<(Written, Result<Confirmed, ControllerError>), ControllerError> {
        let next = self.pusher.carried_of(&self.state.experiment)?.revision.max(self.state.revision) + 1;
        let policy = policy_of(next);
        let written = self.pusher.write(&policy, false, started).await?;
        let revision = written.revision;
        self.state.written(revision, now);
        self.tell_held();
        self.tell(What::Pushed {
            revision,
            mode: written.mode.clone(),
            step: self.state.step_name.clone(),
            written_ms: written.written_ms,
        });
        let confirmed = self.pusher.confirm(&written).await;
        if let Ok(confirmed) = &confirmed {
            self.state.confirm(Timestamp::now());
            self.tell(What::Confirmed {
                revision,
                proxies: confirmed.proxies.clone(),
                confirmed_ms: confirmed.confirmed_ms,
            });
        }
        Ok((written, confirmed))
    }

    /// Records how a push went, and ends the watch if it did not.
    fn settle(&mut self, pushed: Result<Done, Failed>, decision: Decision) -> Turn {
        let (decision, turn) = match pushed {
            Ok(Done { written, confirmed, attempts }) => {
                let record = PushRecord {
                    written_ms: written.written_ms,
                    confirmed_ms: Some(confirmed.confirmed_ms),
                    proxies: confirmed.proxies,
                    attempts,
                    error: None,
                };
                (decision.with_push(written.revision, record), ControlFlow::Continue(()))
            }
            Err(Failed { revision, record }) => {
                let mut decision = decision;
                decision.revision_after = revision;
                decision.push = Some(record);
                (decision, ControlFlow::Break(Ending::NotConfirmed))
            }
        };
        self.record(decision);
        turn
    }
}
