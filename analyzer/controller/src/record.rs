//! The record of a rollout: `DATA/rollout/EXPERIMENT/state.json` and `decisions.jsonl`.
//!
//! `state.json` is replaced by write, fsync, rename, fsync of the folder; `decisions.jsonl` only ever grows, one JSON
//! object per line, fsynced before the call returns. A line that was torn by a crash is skipped and reported when the
//! file is read, and never damages the lines after it. `watch.lock` lets one watch at a time steer an experiment.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use weir_gate::{Evaluation, GateResult, Outcome, Verdict};

use crate::confirm::ProxyConfirmation;
use crate::state::{Action, STATE_SCHEMA, State, timestamp};

/// Name and version of a decision's format.
pub const DECISION_SCHEMA: &str = "weir.decision/1";

/// The folder of one experiment's rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutFolder {
    path: PathBuf,
}

/// One decision: what was seen, what was done, and how the proxies took it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// [`DECISION_SCHEMA`].
    pub schema: String,
    /// Counts from 1.
    pub number: u64,
    /// When it was made.
    #[serde(with = "timestamp")]
    pub at: Timestamp,
    /// Who made it: `watch`, or the command that was given by hand.
    pub by: String,
    /// The experiment.
    pub experiment: String,
    /// Name of the step in which it was made.
    pub step: String,
    /// What the gates said; absent for a decision by hand.
    pub verdict: Option<Verdict>,
    /// What was done.
    pub action: Decided,
    /// Why, the most important first.
    pub reasons: Vec<String>,
    /// The gates behind the verdict, shortened.
    pub gates: Vec<GateSummary>,
    /// Pairs behind the verdict.
    pub pairs: u64,
    /// The revision before.
    pub revision_before: u64,
    /// The revision that was written; absent when nothing was.
    pub revision_after: Option<u64>,
    /// How the push went; absent when there was none.
    pub push: Option<PushRecord>,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decided {
    /// The rollout began.
    Begin,
    /// The current step was pushed again, after a restart or after somebody else's push.
    Repeat,
    /// The verdict changed and nothing else.
    Stay,
    /// The next step was pushed.
    NextStep,
    /// Everybody went back to control.
    Rollback,
    /// A human was asked.
    AwaitSignOff,
    /// The last step was passed.
    Finish,
    /// A human signed off.
    Approve,
    /// A human paused the rollout.
    Pause,
    /// A human let it go on.
    Resume,
    /// A policy was pushed by hand.
    Push,
}

/// One gate's part in a decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateSummary {
    /// The gate's name.
    pub gate: String,
    /// What it said.
    pub outcome: Outcome,
    /// Estimate of the difference.
    pub estimate: Option<f64>,
    /// Its interval.
    pub interval: Option<(f64, f64)>,
    /// The margin.
    pub margin: f64,
    /// Pairs behind it.
    pub n_pairs: u64,
    /// Candidate samples behind it.
    pub n_candidate: u64,
}

/// How a push went. Times count from the verdict (or from the command).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PushRecord {
    /// Until the new file was in place, durable.
    pub written_ms: f64,
    /// Until the last proxy confirmed; absent when one did not.
    pub confirmed_ms: Option<f64>,
    /// The proxies that confirmed, one by one.
    pub proxies: Vec<ProxyConfirmation>,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it was not confirmed.
    pub error: Option<String>,
}

/// The decisions of a rollout, and what could not be read of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// In the order in which they were made.
    pub decisions: Vec<Decision>,
    /// Lines that are not decisions.
    pub problems: Vec<String>,
}

/// Why a record was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file system said no.
    #[error("{}: cannot be {what}: {source}\n  hint: the data folder must be writable and not full", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// `read`, `written` or `locked`.
        what: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The state file is not one.
    #[error(
        "{}: is not a rollout state: {message}\n  hint: move it away and watch again; what the proxies have is kept", path.display()
    )]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// Another watch holds the lock.
    #[error("{}: another watch steers this experiment\n  hint: stop it first, or watch its timeline with `weir history`", path.display())]
    Busy {
        /// The lock file.
        path: PathBuf,
    },
    /// The name cannot be a folder.
    #[error(
        "experiment {0:?} is not a name; allowed: 1 to 63 of a-z, 0-9 and '-'\n  hint: it is the `experiment` of the policy"
    )]
    Name(String),
}

impl GateSummary {
    fn of(result: &GateResult) -> Self {
        Self {
            gate: result.gate.clone(),
            outcome: result.outcome,
            estimate: result.estimate,
            interval: result.interval,
            margin: result.margin,
            n_pairs: result.n_pairs,
            n_candidate: result.n_candidate,
        }
    }
}

impl From<Action> for Decided {
    fn from(action: Action) -> Self {
        match action {
            Action::Stay => Self::Stay,
            Action::NextStep => Self::NextStep,
            Action::Rollback => Self::Rollback,
            Action::AwaitSignOff => Self::AwaitSignOff,
            Action::Finish => Self::Finish,
        }
    }
}

impl Decision {
    /// A decision without evidence and push; its number is given when it is recorded.
    pub fn new(state: &State, by: &str, action: Decided, reasons: Vec<String>, at: Timestamp) -> Self {
        Self {
            schema: DECISION_SCHEMA.to_owned(),
            number: 0,
            at,
            by: by.to_owned(),
            experiment: state.experiment.clone(),
            step: state.step_name.clone(),
            verdict: None,
            action,
            reasons,
            gates: Vec::new(),
            pairs: 0,
            revision_before: state.revision,
            revision_after: None,
            push: None,
        }
    }

    /// Adds the evidence.
    #[must_use]
    pub fn with_evaluation(mut self, evaluation: &Evaluation) -> Self {
        self.verdict = Some(evaluation.verdict);
        self.gates = evaluation.gates.iter().map(GateSummary::of).collect();
        self.pairs = evaluation.health.pairs;
        self
    }

    /// Adds a push.
    #[must_use]
    pub fn with_push(mut self, revision: u64, push: PushRecord) -> Self {
        self.revision_after = Some(revision);
        self.push = Some(push);
        self
    }
}

impl RolloutFolder {
    /// The folder of `experiment` below the data folder; nothing is created or read yet.
    ///
    /// # Errors
    /// A name that is no experiment's.
    pub fn new(data_dir: &Path, experiment: &str) -> Result<Self, RecordError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=63).contains(&experiment.len()) || !experiment.bytes().all(allowed) {
            return Err(RecordError::Name(experiment.to_owned()));
        }
        Ok(Self { path: data_dir.join("rollout").join(experiment) })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the state; `None` when there is none yet.
    ///
    /// # Errors
    /// When it cannot be read or is not a state of this version.
    pub fn read_state(&self) -> Result<Option<State>, RecordError> {
        let path = self.path.join("state.json");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(RecordError::Io { path, what: "read", source }),
        };
        match serde_json::from_str::<State>(&text) {
            Ok(state) if state.schema == STATE_SCHEMA => Ok(Some(state)),
            Ok(state) => {
                let message = format!("its schema is {:?}, this weir reads {STATE_SCHEMA:?}", state.schema);
                Err(RecordError::State { path, message })
            }
            Err(error) => Err(RecordError::State { path, message: error.to_string() }),
        }
    }

    /// Replaces the state.
    ///
    /// # Errors
    /// When it cannot be written; then the old state is still there, whole.
    pub fn write_state(&self, state: &State) -> Result<(), RecordError> {
        let path = self.path.join("state.json");
        let temporary = self.path.join(format!(".state.json.{}.tmp", std::process::id()));
        let written = fs::create_dir_all(&self.path).and_then(|()| {
            let mut text = serde_json::to_string_pretty(state).map_err(io::Error::other)?;
            text.push('\n');
            let mut file = File::create(&temporary)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            File::open(&self.path)?.sync_all()
        });
        written.map_err(|source| RecordError::Io { path, what: "written", source })
    }

    /// Appends a decision, numbered after the last one of `state`, and then writes the state that points at it.
    ///
    /// # Errors
    /// When one of them cannot be written.
    pub fn record(&self, state: &mut State, mut decision: Decision) -> Result<(), RecordError> {
        decision.number = state.decisions + 1;
        let path = self.path.join("decisions.jsonl");
        let appended = fs::create_dir_all(&self.path).and_then(|()| {
            let mut file = File::options().read(true).append(true).create(true).open(&path)?;
            let mut line = serde_json::to_string(&decision).map_err(io::Error::other)?;
            line.push('\n');
            if ends_in_a_torn_line(&mut file)? {
                line.insert(0, '\n');
            }
            file.write_all(line.as_bytes())?;
            file.sync_all()
        });
        appended.map_err(|source| RecordError::Io { path, what: "written", source })?;
        state.decisions = decision.number;
        self.write_state(state)
    }

    /// Reads all decisions. Lines that are none (torn by a crash, or of a later version) are reported, not fatal.
    ///
    /// # Errors
    /// When the file cannot be read. No file at all is an empty history.
    pub fn history(&self) -> Result<History, RecordError> {
        let path = self.path.join("decisions.jsonl");
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(History::default()),
            Err(source) => return Err(RecordError::Io { path, what: "read", source }),
        };
        let mut history = History::default();
        for (index, line) in BufReader::new(file).split(b'\n').enumerate() {
            let line = line.map_err(|source| RecordError::Io { path: path.clone(), what: "read", source })?;
            if line.is_empty() {
                continue;
            }
            match serde_json::from_slice::<Decision>(&line) {
                Ok(decision) if decision.schema == DECISION_SCHEMA => history.decisions.push(decision),
                Ok(decision) => history.problems.push(format!(
                    "{}: line {}: schema {:?} is not known; allowed: {DECISION_SCHEMA}",
                    path.display(),
                    index + 1,
                    decision.schema
                )),
                Err(error) => history.problems.push(format!(
                    "{}: line {}: is not a decision, probably torn by a crash: {error}",
                    path.display(),
                    index + 1
                )),
            }
        }
        Ok(history)
    }

    /// The right to steer this experiment, until the file is dropped or the process dies.
    ///
    /// # Errors
    /// When another watch has it, or the file cannot be made.
    pub fn lock_watch(&self) -> Result<File, RecordError> {
        let path = self.path.join("watch.lock");
        let opened = fs::create_dir_all(&self.path)
            .and_then(|()| File::options().create(true).truncate(false).write(true).open(&path));
        let file = opened.map_err(|source| RecordError::Io { path: path.clone(), what: "locked", source })?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(fs::TryLockError::WouldBlock) => Err(RecordError::Busy { path }),
            Err(fs::TryLockError::Error(source)) => Err(RecordError::Io { path, what: "locked", source }),
        }
    }
}

/// Whether something stands in the file and its last byte is not a line break.
fn ends_in_a_torn_line(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use crate::testing::{evaluation, rollout};

    fn folder(data: &Path) -> (RolloutFolder, State) {
        let folder = RolloutFolder::new(data, "support-answers").unwrap();
        (folder, State::begin(&rollout(), 7, Timestamp::UNIX_EPOCH))
    }

    fn decision(state: &State) -> Decision {
        Decision::new(state, "watch", Decided::Stay, vec![String::from("a\nb")], Timestamp::UNIX_EPOCH)
            .with_evaluation(&evaluation(Verdict::Hold))
    }

    #[test]
    fn what_was_recorded_is_read_back_in_order() {
        let data = tempfile::tempdir().unwrap();
        let (folder, mut state) = folder(data.path());
        assert_eq!(folder.read_state().unwrap(), None);
        assert_eq!(folder.history().unwrap(), History::default());
        for _ in 0..3 {
            let next = decision(&state);
            folder.record(&mut state, next).unwrap();
        }
        let history = folder.history().unwrap();
        assert_eq!(history.problems, Vec::<String>::new());
        let numbers: Vec<u64> = history.decisions.iter().map(|decision| decision.number).collect();
        assert_eq!(numbers, [1, 2, 3]);
        assert_eq!(history.decisions[0], Decision { number: 1, ..decision(&state) });
        assert_eq!(folder.read_state().unwrap(), Some(state));
    }

    #[test]
    fn a_line_torn_at_any_byte_is_reported_and_harms_no_other() {
        let data = tempfile::tempdir().unwrap();
        let (folder, mut state) = folder(data.path());
        let next = decision(&state);
        folder.record(&mut state, next).unwrap();
        let path = folder.path().join("decisions.jsonl");
        let whole = fs::read(&path).unwrap();
        for length in 1..whole.len() - 1 {
            fs::write(&path, [&whole[..], &whole[..length]].concat()).unwrap();
            let torn = folder.history().unwrap();
            assert_eq!((torn.decisions.len(), torn.problems.len()), (1, 1), "torn after {length} bytes");
            let next = decision(&state);
            folder.record(&mut state, next).unwrap();
            let after = folder.history().unwrap();
            assert_eq!((after.decisions.len(), after.problems.len()), (2, 1), "torn after {length} bytes");
        }
    }

    #[test]
    fn a_state_of_another_schema_is_refused_by_name() {
        let data = tempfile::tempdir().unwrap();
        let (folder, mut state) = folder(data.path());
        state.schema = String::from("weir.rollout-state/9");
        folder.write_state(&state).unwrap();
        assert!(folder.read_state().unwrap_err().to_string().contains("weir.rollout-state/9"));
        fs::write(folder.path().join("state.json"), "{\"schema\"").unwrap();
        assert!(matches!(folder.read_state(), Err(RecordError::State { .. })));
    }

    #[test]
    fn only_one_watch_steers_an_experiment() {
        let data = tempfile::tempdir().unwrap();
        let (folder, _) = folder(data.path());
        let first = folder.lock_watch().unwrap();
        assert!(matches!(folder.lock_watch(), Err(RecordError::Busy { .. })));
        drop(first);
        folder.lock_watch().unwrap();
    }

    #[test]
    fn an_experiment_is_never_a_path() {
        for name in ["", "..", "a/b", "A", "a b", &"a".repeat(64)] {
            assert!(matches!(RolloutFolder::new(Path::new("/d"), name), Err(RecordError::Name(_))), "{name}");
        }
    }
}
