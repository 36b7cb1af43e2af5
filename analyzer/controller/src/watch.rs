//! The watch: looks again and again, decides, pushes, and is done when the proxies say so.
//!
//! How it looks is the caller's: a blocking function that evaluates the evidence captured under one revision. How it
//! tells is the caller's too: a function that gets every [`Event`]. So the command line, the demo and the tests share
//! this loop, and this crate knows nothing of Parquet.
//!
//! Invariants:
//! - Only evidence of the confirmed, current revision is looked at.
//! - A rollback verdict is acted on before anything else happens: no sleep, no question to a proxy, no record stands
//!   between the verdict and the rename. It is retried, and a stop signal does not interrupt it.
//! - A look that fails (or panics) is told and tried again; it never promotes and never ends the watch.
//! - What is about to be pushed is in the state file before it is pushed (but for a rollback, which a restarted watch
//!   recognises by the mode in the ECDS file), so a watch that was killed goes on at the same step.
//! - A revision is written once; whoever comes second takes the next one.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use weir_gate::{Evaluation, Spending, Verdict};
use weir_policy::{Mode, Policy};

use crate::confirm::ConfirmError;
use crate::ecds_file::Carried;
use crate::error::ControllerError;
use crate::event::{Event, What};
use crate::policies::{full_policy, rollback_policy, step_policy};
use crate::push::{Confirmed, Pusher, Written, milliseconds};
use crate::record::{Decided, Decision, PushRecord, RolloutFolder};
use crate::rollout::{AfterLastStep, Rollout};
use crate::state::{Action, Advice, State, Status, advance};
use crate::target::EnvoyTarget;

/// How often a push is tried before the watch gives up.
pub const PUSH_ATTEMPTS: u32 = 3;
/// Pause after an attempt that failed at once (a full disk, say).
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Everything that a watch needs but the evidence.
#[derive(Clone, Debug)]
pub struct WatchOptions {
    /// The data folder; the record lies in `rollout/EXPERIMENT` below it.
    pub data_dir: PathBuf,
    /// The policy that the steps are applied to.
    pub policy: Policy,
    /// The rollout.
    pub rollout: Rollout,
    /// Where policies go and who confirms them.
    pub target: EnvoyTarget,
    /// The watch ends after this time, whatever the evidence.
    pub deadline: Option<Duration>,
    /// Whether to go on looking (and to notice an approval by hand) after a sign-off was requested.
    pub wait_for_sign_off: bool,
    /// Begin with the first step even if the record has a state.
    pub restart: bool,
}

/// What one look is about.
#[derive(Clone, Debug, PartialEq)]
pub struct LookRequest {
    /// The experiment.
    pub experiment: String,
    /// Index of the step, from 0.
    pub step: usize,
    /// Its name.
    pub step_name: String,
    /// Only samples of this revision count.
    pub revision: u64,
    /// When the proxies had confirmed that revision.
    pub since: Timestamp,
    /// The step's part of alpha.
    pub spending: Spending,
}

/// Why a look failed.
pub type LookError = Box<dyn std::error::Error + Send + Sync>;

/// How a watch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Everybody is back at control, confirmed.
    RolledBack,
    /// All steps are passed.
    Finished,
    /// A human is asked.
    SignOff,
    /// Stopped by signal or deadline.
    Stopped,
    /// A push was not confirmed.
    NotConfirmed,
}

/// How a watch ended, and what it knew then.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchOutcome {
    /// How it ended.
    pub ending: Ending,
    /// The state, as recorded.
    pub state: State,
    /// The last evaluation, if there was a look.
    pub evaluation: Option<Evaluation>,
    /// From a rollback verdict until the policy was in place, and until the last proxy confirmed it.
    pub rollback_ms: Option<(f64, f64)>,
}

impl WatchOutcome {
    /// Exit code of the command line: 0 finished, 1 rolled back, 3 stopped, 4 sign-off or investigate, 6 not confirmed.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.ending {
            Ending::RolledBack => 1,
            Ending::Finished => 0,
            Ending::SignOff => 4,
            Ending::NotConfirmed => 6,
            Ending::Stopped if self.state.status == Status::AwaitingSignOff => 4,
            Ending::Stopped => match self.evaluation.as_ref().map(|evaluation| evaluation.verdict) {
                Some(Verdict::Investigate | Verdict::SignOff) => 4,
                _ => 3,
            },
        }
    }
}

/// Watches until the rollout ends, a human is needed, `stop` completes or the deadline passes.
///
/// # Errors
/// When the watch cannot begin: documents that do not fit together, an unreadable ECDS file or record, another watch.
/// Once it has begun, every failure is an event, and what cannot be repaired is an [`Ending`].
pub async fn watch<Look, Observe, Stop>(
    options: WatchOptions,
    look: Look,
    observe: Observe,
    stop: Stop,
) -> Result<WatchOutcome, ControllerError>
where
    Look: Fn(&LookRequest) -> Result<Evaluation, LookError> + Send + Sync + 'static,
    Observe: FnMut(Event),
    Stop: Future<Output = ()>,
{
    let began = Instant::now();
    let mut watch = Watch::open(options, look, observe)?;
    let _only_one = watch.folder.lock_watch()?;
    let ending = match watch.begin().await? {
        ControlFlow::Break(ending) => ending,
        ControlFlow::Continue(()) => watch.turns(began, stop).await,
    };
    Ok(WatchOutcome {
        ending,
        state: watch.state,
        evaluation: watch.evaluation,
        rollback_ms: watch.rollback_ms,
    })
}

type Turn = ControlFlow<Ending>;

struct Watch<Look, Observe> {
    options: WatchOptions,
    look: Arc<Look>,
    observe: Observe,
    pusher: Pusher,
    folder: RolloutFolder,
    state: State,
    resumed: bool,
    evaluation: Option<Evaluation>,
    failed_in_a_row: u32,
    rollback_ms: Option<(f64, f64)>,
}

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

impl<Look, Observe> Watch<Look, Observe>
where
    Look: Fn(&LookRequest) -> Result<Evaluation, LookError> + Send + Sync + 'static,
    Observe: FnMut(Event),
{
    fn open(options: WatchOptions, look: Look, observe: Observe) -> Result<Self, ControllerError> {
        options.rollout.check_policy("rollout", &options.policy)?;
        let folder = RolloutFolder::new(&options.data_dir, &options.policy.experiment)?;
        let pusher = Pusher::new(&options.target)?;
        let there = pusher.carried()?.revision;
        let last_number =
            folder.history()?.decisions.iter().map(|decision| decision.number).max().unwrap_or(0);
        let found = folder.read_state()?;
        let highest = there.max(found.as_ref().map_or(0, |state| state.revision));
        let resumed = found.is_some() && !options.restart;
        let mut state = match found.filter(|_| resumed) {
            Some(state) => state,
            // The first push takes the next revision, which is the policy's own if that is higher.
            None => State::begin(
                &options.rollout,
                highest.max(options.policy.revision.saturating_sub(1)),
                Timestamp::now(),
            ),
        };
        if state.rollout_digest != options.rollout.digest() {
            return Err(ControllerError::State {
                experiment: state.experiment,
                message: format!(
                    "the rollout document is another one than at the beginning (step '{}')",
                    state.step_name
                ),
                hint: "steps and gates are frozen during a rollout: restore the document, begin a new experiment, or \
                       begin this one anew with --restart",
            });
        }
        state.decisions = state.decisions.max(last_number);
        Ok(Self {
            options,
            look: Arc::new(look),
            observe,
            pusher,
            folder,
            state,
            resumed,
            evaluation: None,
            failed_in_a_row: 0,
            rollback_ms: None,
        })
    }

    fn tell(&mut self, what: What) {
        (self.observe)(Event { at: Timestamp::now(), what });
    }

    fn trouble(&mut self, error: &impl std::fmt::Display) {
        self.tell(What::Trouble(error.to_string()));
    }

    /// Brings the proxies to the state's step.
    async fn begin(&mut self) -> Result<Turn, ControllerError> {
        self.tell(What::Started {
            experiment: self.state.experiment.clone(),
            step: self.state.step_name.clone(),
            position: (self.state.step, self.options.rollout.steps.len()),
            resumed: self.resumed,
        });
        self.pusher.refresh().await;
        let carried = self.pusher.carried()?;
        if self.resumed && carried.revision != self.state.revision {
            self.tell(What::Noticed(format!(
                "the ECDS file has revision {}, the record has {}: going on from {}",
                carried.revision,
                self.state.revision,
                carried.revision.max(self.state.revision)
            )));
        }
        match self.state.status {
            Status::RolledBack if !self.state.confirmed => {
                let reasons = vec![String::from("the rollback before was not confirmed")];
                return Ok(self.roll_back(None, reasons, Instant::now()).await);
            }
            Status::RolledBack => return Ok(self.ended_before(Ending::RolledBack)),
            Status::Finished => return Ok(self.ended_before(Ending::Finished)),
            Status::Running | Status::AwaitingSignOff | Status::Paused => {}
        }
        if self.resumed {
            if carried.revision != self.state.revision && is_brake(&carried) {
                return Ok(self.taken_back(carried.revision).await);
            }
            if self.state.confirmed && carried.revision == self.state.revision {
                return Ok(ControlFlow::Continue(()));
            }
        }
        let decided = if self.resumed { Decided::Repeat } else { Decided::Begin };
        self.push_step(self.state.step, decided, None, Vec::new()).await
    }

    fn ended_before(&mut self, ending: Ending) -> Turn {
        let text = format!("this rollout is {} already; --restart begins it anew", self.state.status);
        self.tell(What::Noticed(text));
        ControlFlow::Break(ending)
    }

    async fn turns(&mut self, began: Instant, stop: impl Future<Output = ()>) -> Ending {
        let mut stop = pin!(stop);
        let interval = Duration::from_millis(self.options.rollout.look_interval_ms);
        let deadline = self.options.deadline.map(|limit| began + limit);
        loop {
            let next = Instant::now() + interval;
            let looked = tokio::select! {
                biased;
                () = &mut stop => return self.stopped("by signal"),
                () = sleep_until(deadline) => return self.stopped("the time is over"),
                looked = self.look_once() => looked,
            };
            let turn = match looked {
                Some(seen) => self.act(seen).await,
                None => ControlFlow::Continue(()),
            };
            if let ControlFlow::Break(ending) = turn {
                return ending;
            }
            tokio::select! {
                biased;
                () = &mut stop => return self.stopped("by signal"),
                () = sleep_until(deadline) => return self.stopped("the time is over"),
                () = tokio::time::sleep_until(next.into()) => {}
            }
        }
    }

    fn stopped(&mut self, why: &str) -> Ending {
        let verdict = self.evaluation.as_ref().map(|evaluation| evaluation.verdict.as_str());
        let text = format!(
            "{why}, at step '{}', last verdict {}; what the proxies have stays",
            self.state.step_name,
            verdict.unwrap_or("none")
        );
        self.tell(What::Stopped(text));
        Ending::Stopped
    }

    /// One look at the evidence; nothing when it failed or there can be none.
    async fn look_once(&mut self) -> Option<Seen> {
        self.pusher.refresh().await;
        let revision = self.state.evidence_revision?;
        let request = LookRequest {
            experiment: self.state.experiment.clone(),
            step: self.state.step,
            step_name: self.state.step_name.clone(),
            revision,
            since: self.state.since,
            spending: self.options.rollout.spending(),
        };
        let look = Arc::clone(&self.look);
        let started = Instant::now();
        let result = tokio::task::spawn_blocking(move || look(&request)).await;
        let ended = Instant::now();
        let error = match result {
            Ok(Ok(evaluation)) => {
                self.failed_in_a_row = 0;
                return Some(Seen { evaluation, revision, ended, look_ms: milliseconds(ended - started) });
            }
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        self.failed_in_a_row = self.failed_in_a_row.saturating_add(1);
        self.tell(What::LookFailed { error, in_a_row: self.failed_in_a_row });
        None
    }

    async fn act(&mut self, seen: Seen) -> Turn {
        let advice = advance(&self.options.rollout, &self.state, &seen.evaluation, Timestamp::now());
        if advice.action == Action::Rollback {
            return self.roll_back(Some(seen), advice.reasons, Instant::now()).await;
        }
        // Somebody may have acted by hand while the look went on; then this evidence is not of the current revision.
        match self.heed_hands().await {
            Ok(None) => {}
            Ok(Some(turn)) => return turn,
            Err(error) => {
                self.trouble(&error);
                return ControlFlow::Continue(());
            }
        }
        let advice = advance(&self.options.rollout, &self.state, &seen.evaluation, Timestamp::now());
        let changed = self.evaluation.as_ref().is_none_or(|before| before.verdict != seen.evaluation.verdict);
        self.told_look(&seen, &advice);
        self.evaluation = Some(seen.evaluation.clone());
        let done = match advice.action {
            Action::Stay | Action::Rollback => {
                if changed {
                    self.note(Decided::Stay, &seen.evaluation, advice.reasons);
                }
                Ok(ControlFlow::Continue(()))
            }
            Action::AwaitSignOff => Ok(self.await_sign_off(&seen.evaluation, advice.reasons)),
            Action::NextStep => {
                self.push_step(self.state.step + 1, Decided::NextStep, Some(&seen.evaluation), advice.reasons)
                    .await
            }
            Action::Finish => Ok(self.finish(&seen.evaluation, advice.reasons).await),
        };
        done.unwrap_or_else(|error| {
            self.trouble(&error);
            ControlFlow::Continue(())
        })
    }

    fn told_look(&mut self, seen: &Seen, advice: &Advice) {
        self.tell(What::Looked {
            revision: seen.revision,
            step: self.state.step_name.clone(),
            evaluation: Box::new(seen.evaluation.clone()),
            advice: advice.clone(),
            look_ms: seen.look_ms,
        });
    }

    /// Takes up what was done by hand: an approval, a pause, a rollback, a push of another policy.
    async fn heed_hands(&mut self) -> Result<Option<Turn>, ControllerError> {
        self.absorb_record()?;
        let carried = self.pusher.carried()?;
        if self.state.status == Status::RolledBack
            || (carried.revision != self.state.revision && is_brake(&carried))
        {
            return Ok(Some(self.taken_back(carried.revision).await));
        }
        if carried.revision == self.state.revision {
            return Ok(None);
        }
        self.tell(What::Noticed(format!(
            "somebody else wrote revision {} (mode {}) where {} stood: pushing step '{}' again",
            carried.revision,
            carried.mode().unwrap_or("unknown"),
            self.state.revision,
            self.state.step_name
        )));
        let reasons = vec![format!("the ECDS file had revision {}", carried.revision)];
        self.push_step(self.state.step, Decided::Repeat, None, reasons).await.map(Some)
    }

    /// Takes over what a command by hand has recorded since this watch recorded last.
    fn absorb_record(&mut self) -> Result<(), ControllerError> {
        let Some(recorded) = self.folder.read_state()? else { return Ok(()) };
        if recorded.decisions <= self.state.decisions {
            return Ok(());
        }
        self.state.decisions = recorded.decisions;
        if self.state.status.has_ended() {
            return Ok(());
        }
        if recorded.status != self.state.status || recorded.signed_off_step != self.state.signed_off_step {
            self.tell(What::Noticed(format!("by hand: the rollout is {} now", recorded.status)));
        }
        self.state.status = recorded.status;
        self.state.signed_off_step = recorded.signed_off_step;
        Ok(())
    }

    /// The ECDS file has the brake on and this watch did not do it (or was killed after it did).
    async fn taken_back(&mut self, revision: u64) -> Turn {
        let reasons =
            vec![format!("revision {revision} in the ECDS file has taken the candidate back already")];
        let decision =
            Decision::new(&self.state, "hand", Decided::Rollback, reasons.clone(), Timestamp::now());
        self.state.status = Status::RolledBack;
        self.state.written(revision, Timestamp::now());
        let confirmed = self.pusher.confirm_carried(revision).await;
        match &confirmed {
            Ok(_) => self.state.confirm(Timestamp::now()),
            Err(error) => self.tell(What::NotConfirmed { error: error.to_string(), attempt: (1, 1) }),
        }
        self.record(decision);
        if confirmed.is_err() {
            return ControlFlow::Break(Ending::NotConfirmed);
        }
        self.tell(What::RolledBack { reasons, written_ms: None, confirmed_ms: None });
        ControlFlow::Break(Ending::RolledBack)
    }

    /// Records a decision. A record that cannot be written is told; what was done stays done.
    fn record(&mut self, decision: Decision) {
        if let Err(error) = self.absorb_record() {
            self.trouble(&error);
        }
        if let Err(error) = self.folder.record(&mut self.state, decision) {
            self.trouble(&error);
        }
    }

    fn note(&mut self, decided: Decided, evaluation: &Evaluation, reasons: Vec<String>) {
        let decision = Decision::new(&self.state, "watch", decided, reasons, Timestamp::now());
        self.record(decision.with_evaluation(evaluation));
    }

    fn await_sign_off(&mut self, evaluation: &Evaluation, reasons: Vec<String>) -> Turn {
        self.state.status = Status::AwaitingSignOff;
        self.tell(What::SignOffRequested { reasons: reasons.clone() });
        self.note(Decided::AwaitSignOff, evaluation, reasons);
        if self.options.wait_for_sign_off {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(Ending::SignOff)
        }
    }

    /// Pushes a step's policy until the proxies serve it; only then does its evidence count.
    async fn push_step(
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

    async fn finish(&mut self, evaluation: &Evaluation, reasons: Vec<String>) -> Turn {
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
    async fn roll_back(&mut self, seen: Option<Seen>, reasons: Vec<String>, called: Instant) -> Turn {
        let verdict_at = seen.as_ref().map_or(called, |seen| seen.ended);
        let base = self.options.policy.clone();
        let policy_of = |revision: u64| Policy { revision, ..rollback_policy(&base) };
        let now = Timestamp::now();
        let mut decision = Decision::new(&self.state, "watch", Decided::Rollback, reasons.clone(), now);
        self.state.status = Status::RolledBack;
        let pushed = self.push(policy_of, now, verdict_at).await;
        if let Some(seen) = seen {
            decision = decision.with_evaluation(&seen.evaluation);
            self.told_look(&seen, &Advice { action: Action::Rollback, reasons: reasons.clone() });
            self.evaluation = Some(seen.evaluation);
        }
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
        let revision = self.pusher.carried()?.revision.max(self.state.revision) + 1;
        let policy = policy_of(revision);
        let written = self.pusher.write(&policy, false, started).await?;
        self.state.written(revision, now);
        self.tell(What::Pushed {
            revision,
            mode: policy.mode.to_string(),
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

/// What a look saw.
struct Seen {
    evaluation: Evaluation,
    revision: u64,
    ended: Instant,
    look_ms: f64,
}

/// Modes in which the candidate serves nobody and nothing is compared: somebody has hit the brake.
fn is_brake(carried: &Carried) -> bool {
    [Mode::RolledBack, Mode::Off].iter().any(|mode| carried.mode() == Some(mode.as_str()))
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
