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

mod heed;
mod pushes;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use weir_gate::{Evaluation, Spending, Verdict};
use weir_policy::Policy;

use self::heed::is_brake;
pub use self::pushes::PUSH_ATTEMPTS;
use crate::error::ControllerError;
use crate::event::{Event, What};
use crate::push::{Pusher, milliseconds};
use crate::record::{Decided, RolloutFolder};
use crate::rollout::Rollout;
use crate::state::{Action, Advice, State, Status, advance};
use crate::target::EnvoyTarget;

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
    let mut watch = Watch::open(options, Arc::new(look), observe)?;
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

type LookFunction = dyn Fn(&LookRequest) -> Result<Evaluation, LookError> + Send + Sync;

struct Watch<Observe> {
    options: WatchOptions,
    look: Arc<LookFunction>,
    observe: Observe,
    pusher: Pusher,
    folder: RolloutFolder,
    state: State,
    resumed: bool,
    evaluation: Option<Evaluation>,
    failed_in_a_row: u32,
    rollback_ms: Option<(f64, f64)>,
    /// Told as soon as the next policy is in place: telling comes after the rename.
    held: Vec<Event>,
}

impl<Observe: FnMut(Event)> Watch<Observe> {
    fn open(
        options: WatchOptions,
        look: Arc<LookFunction>,
        observe: Observe,
    ) -> Result<Self, ControllerError> {
        options.rollout.check_policy("rollout", &options.policy)?;
        let folder = RolloutFolder::new(&options.data_dir, &options.policy.experiment)?;
        let pusher = Pusher::new(&options.target)?;
        pusher.check(&options.policy)?;
        let there = pusher.carried_of(&options.policy.experiment)?.revision;
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
            look,
            observe,
            pusher,
            folder,
            state,
            resumed,
            evaluation: None,
            failed_in_a_row: 0,
            rollback_ms: None,
            held: Vec::new(),
        })
    }

    fn tell(&mut self, what: What) {
        (self.observe)(Event { at: Timestamp::now(), what });
    }

    fn tell_held(&mut self) {
        for event in std::mem::take(&mut self.held) {
            (self.observe)(event);
        }
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
            confirmed: (self.resumed && self.state.confirmed)
                .then_some((self.state.revision, self.state.since)),
        });
        self.pusher.refresh().await;
        let carried = self.pusher.carried_of(&self.state.experiment)?;
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
            Err(error) => format!("the look itself broke: {error}"),
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
        self.tell(seen.event(&self.state, &advice));
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
}

/// What a look saw.
struct Seen {
    evaluation: Evaluation,
    revision: u64,
    ended: Instant,
    look_ms: f64,
}

impl Seen {
    fn event(&self, state: &State, advice: &Advice) -> What {
        What::Looked {
            revision: self.revision,
            step: state.step_name.clone(),
            evaluation: Box::new(self.evaluation.clone()),
            advice: advice.clone(),
            look_ms: self.look_ms,
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
