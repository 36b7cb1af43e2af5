//! The commands by hand: push, rollback, status, history, approve, pause, resume.
//!
//! Push and rollback are confirmed like those of a watch. Approve, pause and resume only change the record: a running
//! watch heeds them at its next look, and the next watch does when none runs.
//!
//! Where the ECDS file carries several experiments, each command is about one of them, by its name, and leaves the others byte
//! for byte; a push of a whole document and a rollback of all are the exceptions.

use std::path::Path;
use std::time::Instant;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use weir_policy::{Experiments, Mode, Policy};

use crate::confirm::ProxyReport;
use crate::ecds_file::{Carried, EcdsError, Which};
use crate::error::ControllerError;
use crate::policies::rollback_policy;
use crate::push::{Confirmed, Pusher, Written, names};
use crate::record::{Decided, Decision, History, PushRecord, RolloutFolder};
use crate::state::{State, Status};
use crate::target::EnvoyTarget;

/// A push by hand that was confirmed.
#[derive(Clone, Debug, PartialEq)]
pub struct PushedByHand {
    /// The policy in place.
    pub written: Written,
    /// The proxies.
    pub confirmed: Confirmed,
    /// What could not be recorded although the push is confirmed.
    pub problems: Vec<String>,
}

/// What file, record and proxies say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StatusReport {
    /// The recorded state; absent when no rollout of this experiment was watched.
    pub state: Option<State>,
    /// Revision in the ECDS file; the document's, where it carries several experiments.
    pub file_revision: u64,
    /// Mode in the ECDS file; the chosen experiment's, where it carries several.
    pub file_mode: Option<String>,
    /// Experiment in the ECDS file; the chosen one, where it carries several.
    pub file_experiment: Option<String>,
    /// The experiments of a file that carries several.
    pub experiments: Vec<FileExperiment>,
    /// What each proxy shows.
    pub proxies: Vec<ProxyReport>,
    /// Where file, record and proxies do not agree; empty when all is well.
    pub disagreements: Vec<String>,
}

/// One of several experiments in the ECDS file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileExperiment {
    /// Its name.
    pub experiment: String,
    /// Its own revision: the document's when it was changed last.
    pub revision: u64,
    /// Its mode.
    pub mode: String,
}

/// Pushes a policy and waits for the proxies. `force` allows a revision that does not grow (a restore).
///
/// # Errors
/// See [`Pusher::write`] and [`Pusher::confirm`].
pub async fn push(
    data_dir: Option<&Path>,
    policy: &Policy,
    target: &EnvoyTarget,
    force: bool,
) -> Result<PushedByHand, ControllerError> {
    let started = Instant::now();
    let mut pusher = Pusher::new(target)?;
    pusher.refresh().await;
    let written = pusher.write(policy, force, started).await?;
    let confirmed = pusher.confirm(&written).await?;
    let mut problems = Vec::new();
    if let Some(data_dir) = data_dir {
        let record = PushRecord {
            written_ms: written.written_ms,
            confirmed_ms: Some(confirmed.confirmed_ms),
            proxies: confirmed.proxies.clone(),
            attempts: 1,
            error: None,
        };
        let reasons = vec![String::from("pushed by hand")];
        let recorded =
            record_push(data_dir, &policy.experiment, Decided::Push, reasons, written.revision, record);
        problems.extend(recorded.err().map(|error| error.to_string()));
    }
    Ok(PushedByHand { written, confirmed, problems })
}

/// Pushes a whole document of several experiments in the place of all that the file carries, and waits for the proxies.
///
/// # Errors
/// See [`Pusher::write_experiments`] and [`Pusher::confirm`].
pub async fn push_experiments(
    experiments: &Experiments,
    target: &EnvoyTarget,
    force: bool,
) -> Result<PushedByHand, ControllerError> {
    let started = Instant::now();
    let mut pusher = Pusher::new(target)?;
    pusher.refresh().await;
    let written = pusher.write_experiments(experiments, force, started).await?;
    let confirmed = pusher.confirm(&written).await?;
    Ok(PushedByHand { written, confirmed, problems: Vec::new() })
}

/// Sends everybody back to control, now: the policy in the ECDS file (or the given one, if the one in the file is what is
/// broken) with mode `rolled-back` and the next revision, confirmed by the proxies. Of a file of several experiments, `which`
/// says whose; it may be left away where `policy` names one. Works without a data folder. The record's state (if there is one)
/// is rolled back too, also when the proxies do not confirm.
///
/// # Errors
/// When the file cannot be changed or the proxies do not confirm.
pub async fn rollback(
    data_dir: Option<&Path>,
    which: Option<Which>,
    policy: Option<&Policy>,
    target: &EnvoyTarget,
    reason: &str,
) -> Result<PushedByHand, ControllerError> {
    let started = Instant::now();
    let mut pusher = Pusher::new(target)?;
    let carried = pusher.carried()?;
    let (written, experiments) = if carried.is_of_several() {
        let which = which.or_else(|| policy.map(|policy| Which::One(policy.experiment.clone())));
        let which = which.ok_or_else(|| which_one(&carried, target))?;
        let experiments = match &which {
            Which::One(name) => vec![name.clone()],
            Which::All => names(&carried),
        };
        (pusher.take_back(which, policy.cloned(), started).await?, experiments)
    } else {
        let there = policy.map(|policy| policy.experiment.as_str()).or(carried.experiment());
        if let (Some(Which::One(name)), Some(there)) = (&which, there)
            && name != there
        {
            return Err(not_there(Some(name), vec![there.to_owned()], target));
        }
        let revision = carried.revision + 1;
        let text = rolled_back(&carried, policy, revision)?;
        let experiments = there.map(str::to_owned).into_iter().collect();
        (pusher.write_at_once(text, revision, started).await?, experiments)
    };
    let confirmed = pusher.confirm(&written).await;
    let mut problems = Vec::new();
    for (data_dir, experiment) in experiments.iter().filter_map(|name| data_dir.zip(Some(name))) {
        let record = PushRecord {
            written_ms: written.written_ms,
            confirmed_ms: confirmed.as_ref().ok().map(|confirmed| confirmed.confirmed_ms),
            proxies: confirmed.as_ref().map(|confirmed| confirmed.proxies.clone()).unwrap_or_default(),
            attempts: 1,
            error: confirmed.as_ref().err().map(ToString::to_string),
        };
        let reasons = vec![format!("by hand: {reason}")];
        let recorded =
            record_push(data_dir, experiment, Decided::Rollback, reasons, written.revision, record);
        problems.extend(recorded.err().map(|error| error.to_string()));
    }
    Ok(PushedByHand { written, confirmed: confirmed?, problems })
}

fn which_one(carried: &Carried, target: &EnvoyTarget) -> ControllerError {
    not_there(None, names(carried), target)
}

fn not_there(given: Option<&str>, there: Vec<String>, target: &EnvoyTarget) -> ControllerError {
    ControllerError::Ecds(EcdsError::Experiment {
        path: target.path.clone(),
        given: given.map(str::to_owned),
        there,
        hint: "name it with --experiment NAME, or take all of them back with --all",
    })
}

/// What record, file and proxies say. `experiment` is the one in the ECDS file where none is given.
///
/// # Errors
/// When the ECDS file or the record cannot be read; a proxy that does not answer is part of the report.
pub async fn status(
    data_dir: Option<&Path>,
    experiment: Option<&str>,
    target: &EnvoyTarget,
) -> Result<StatusReport, ControllerError> {
    let pusher = Pusher::new(target)?;
    let carried = pusher.carried()?;
    let chosen = match experiment.filter(|_| carried.is_of_several()) {
        Some(experiment) => pusher.carried_of(experiment)?,
        None => carried.clone(),
    };
    let proxies = pusher.report().await;
    let state = match (data_dir, experiment.or(chosen.experiment())) {
        (Some(data_dir), Some(experiment)) => RolloutFolder::new(data_dir, experiment)?.read_state()?,
        _ => None,
    };
    let listed = |one: &Carried| FileExperiment {
        experiment: one.experiment().unwrap_or_default().to_owned(),
        revision: one.revision,
        mode: one.mode().unwrap_or_default().to_owned(),
    };
    let mut report = StatusReport {
        file_revision: carried.revision,
        file_mode: chosen.mode().map(str::to_owned),
        file_experiment: chosen.experiment().map(str::to_owned),
        experiments: carried.experiments().iter().map(listed).collect(),
        state,
        proxies,
        disagreements: Vec::new(),
    };
    report.disagreements = report.compare();
    Ok(report)
}

/// All recorded decisions of an experiment.
///
/// # Errors
/// When the record cannot be read.
pub fn history(data_dir: &Path, experiment: &str) -> Result<History, ControllerError> {
    Ok(RolloutFolder::new(data_dir, experiment)?.history()?)
}

/// Signs the present step off: the watch moves on to the next one.
///
/// # Errors
/// When no sign-off was asked for.
pub fn approve(data_dir: &Path, experiment: &str, who: &str) -> Result<State, ControllerError> {
    change(data_dir, experiment, Decided::Approve, format!("signed off by {who}"), |state| {
        match state.status {
            Status::AwaitingSignOff => {
                state.status = Status::Running;
                state.signed_off_step = Some(state.step);
                Ok(())
            }
            _ => Err("there is nothing to sign off: `weir history` shows the decisions so far"),
        }
    })
}

/// Keeps the rollout at the present step. A rollback verdict still rolls back.
///
/// # Errors
/// When the rollout has ended or is paused.
pub fn pause(data_dir: &Path, experiment: &str, who: &str) -> Result<State, ControllerError> {
    change(data_dir, experiment, Decided::Pause, format!("paused by {who}"), |state| match state.status {
        Status::Running | Status::AwaitingSignOff => {
            state.status = Status::Paused;
            Ok(())
        }
        _ => Err("only a rollout that goes on can be paused"),
    })
}

/// Lets a paused rollout go on.
///
/// # Errors
/// When it is not paused.
pub fn resume(data_dir: &Path, experiment: &str, who: &str) -> Result<State, ControllerError> {
    change(data_dir, experiment, Decided::Resume, format!("resumed by {who}"), |state| match state.status {
        Status::Paused => {
            state.status = Status::Running;
            Ok(())
        }
        _ => Err("only a paused rollout can be resumed"),
    })
}

impl StatusReport {
    fn compare(&self) -> Vec<String> {
        let mut found = Vec::new();
        let one = self.experiments.iter().find(|one| Some(&one.experiment) == self.file_experiment.as_ref());
        let revision = one.map_or(self.file_revision, |one| one.revision);
        if let Some(state) = &self.state
            && state.revision != revision
        {
            found.push(format!("the record has revision {}, the file {revision}", state.revision));
        }
        let revision = self.file_revision.to_string();
        for proxy in &self.proxies {
            for (what, shown) in
                [("version_text", &proxy.version_text), ("x-weir-revision", &proxy.probe_revision)]
            {
                if let Some(shown) = shown
                    && *shown != revision
                {
                    found.push(format!(
                        "{}: {what} is '{shown}', the file has revision {revision}",
                        proxy.proxy
                    ));
                }
            }
            found.extend(proxy.problems.iter().map(|problem| format!("{}: {problem}", proxy.proxy)));
        }
        found
    }
}

/// Records a push by hand where there is a rollout to record it in.
fn record_push(
    data_dir: &Path,
    experiment: &str,
    decided: Decided,
    reasons: Vec<String>,
    revision: u64,
    record: PushRecord,
) -> Result<(), ControllerError> {
    let folder = RolloutFolder::new(data_dir, experiment)?;
    let Some(mut state) = folder.read_state()? else { return Ok(()) };
    let now = Timestamp::now();
    let decision = Decision::new(&state, "hand", decided, reasons, now);
    if decided == Decided::Rollback {
        state.status = Status::RolledBack;
    }
    let confirmed = record.confirmed_ms.is_some();
    state.written(revision, now);
    if confirmed && decided == Decided::Rollback {
        state.confirm(now);
    }
    Ok(folder.record(&mut state, decision.with_push(revision, record))?)
}

fn change(
    data_dir: &Path,
    experiment: &str,
    decided: Decided,
    reason: String,
    apply: impl FnOnce(&mut State) -> Result<(), &'static str>,
) -> Result<State, ControllerError> {
    let refuse =
        |message: String, hint| ControllerError::State { experiment: experiment.to_owned(), message, hint };
    let folder = RolloutFolder::new(data_dir, experiment)?;
    let Some(mut state) = folder.read_state()? else {
        return Err(refuse(
            format!("there is no rollout of it in {}", folder.path().display()),
            "give the data folder and the experiment of a `weir watch`",
        ));
    };
    let decision = Decision::new(&state, "hand", decided, vec![reason], Timestamp::now());
    let status = state.status;
    apply(&mut state)
        .map_err(|hint| refuse(format!("the rollout is {status}, at step '{}'", state.step_name), hint))?;
    folder.record(&mut state, decision)?;
    Ok(state)
}

/// The policy with the brake on. One that this weir cannot read (of a later version, say) is braked by its fields.
fn rolled_back(carried: &Carried, given: Option<&Policy>, revision: u64) -> Result<String, ControllerError> {
    if let Some(given) = given {
        return Ok(Policy { revision, ..rollback_policy(given) }.to_json());
    }
    let mut policy = carried.policy.clone();
    let Some(fields) = policy.as_object_mut() else {
        return Err(ControllerError::State {
            experiment: String::from("unknown"),
            message: String::from("the ECDS file carries no policy that could be taken back"),
            hint: "give a good policy: it is pushed with mode rolled-back",
        });
    };
    fields.insert("mode".to_owned(), Value::from(Mode::RolledBack.as_str()));
    fields.insert("revision".to_owned(), Value::from(revision));
    Ok(policy.to_string())
}
