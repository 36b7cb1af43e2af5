//! What happens during a watch, as it happens: for a live timeline, a log, or a test.

use std::fmt;

use jiff::Timestamp;
use weir_gate::{Evaluation, Outcome};

use crate::confirm::ProxyConfirmation;
use crate::state::Advice;

/// One event and when it happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// The watch began, or went on where an earlier one stopped.
    Started {
        /// The experiment.
        experiment: String,
        /// Name of the step.
        step: String,
        /// Index of the step, from 0, and how many there are.
        position: (usize, usize),
        /// An earlier state was found.
        resumed: bool,
        /// The revision that all proxies have confirmed by that state, and since when.
        confirmed: Option<(u64, Timestamp)>,
    },
    /// File and state did not agree, or somebody acted by hand.
    Noticed(String),
    /// A policy is in place, not yet confirmed.
    Pushed {
        /// Its revision.
        revision: u64,
        /// Its mode.
        mode: String,
        /// The step that it belongs to.
        step: String,
        /// Since the decision.
        written_ms: f64,
    },
    /// All proxies serve the revision.
    Confirmed {
        /// The revision.
        revision: u64,
        /// Each proxy.
        proxies: Vec<ProxyConfirmation>,
        /// Since the decision.
        confirmed_ms: f64,
    },
    /// A push was not written or not confirmed.
    NotConfirmed {
        /// Why.
        error: String,
        /// Which attempt this was, and how many there are.
        attempt: (u32, u32),
    },
    /// The evidence was looked at.
    Looked {
        /// The revision that the evidence is from.
        revision: u64,
        /// Name of the step.
        step: String,
        /// What the gates say.
        evaluation: Box<Evaluation>,
        /// What follows.
        advice: Advice,
        /// How long the look took.
        look_ms: f64,
    },
    /// A look failed; it is tried again, and nothing is promoted meanwhile.
    LookFailed {
        /// Why.
        error: String,
        /// How many failed in a row.
        in_a_row: u32,
    },
    /// The next step is confirmed.
    Advanced {
        /// Name of the step before.
        from: String,
        /// Name of the step now.
        to: String,
    },
    /// Everybody is back at control, and all proxies confirmed it.
    RolledBack {
        /// Why.
        reasons: Vec<String>,
        /// From the verdict until the policy was in place; absent when it was done by hand.
        written_ms: Option<f64>,
        /// From the verdict until the last proxy confirmed; absent when it was done by hand.
        confirmed_ms: Option<f64>,
    },
    /// A human is asked.
    SignOffRequested {
        /// Why.
        reasons: Vec<String>,
    },
    /// The last step is passed.
    Finished {
        /// The candidate was given to all.
        full: bool,
    },
    /// The watch ends without a decision.
    Stopped(String),
    /// Something failed that does not end the watch.
    Trouble(String),
}

impl What {
    /// One word for machines, for example `pushed`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::Noticed(_) => "noticed",
            Self::Pushed { .. } => "pushed",
            Self::Confirmed { .. } => "confirmed",
            Self::NotConfirmed { .. } => "not-confirmed",
            Self::Looked { .. } => "looked",
            Self::LookFailed { .. } => "look-failed",
            Self::Advanced { .. } => "advanced",
            Self::RolledBack { .. } => "rolled-back",
            Self::SignOffRequested { .. } => "sign-off-requested",
            Self::Finished { .. } => "finished",
            Self::Stopped(_) => "stopped",
            Self::Trouble(_) => "trouble",
        }
    }
}

/// One line in plain words, without the time.
impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { experiment, step, position: (index, count), resumed, .. } => {
                let verb = if *resumed { "goes on" } else { "begins" };
                write!(f, "rollout of {experiment} {verb} at step {} of {count}, '{step}'", index + 1)
            }
            Self::Noticed(text) => f.write_str(text),
            Self::Pushed { revision, mode, step, written_ms } => {
                write!(f, "pushed revision {revision} (mode {mode}, step '{step}') in {written_ms:.1} ms")
            }
            Self::Confirmed { revision, proxies, confirmed_ms } => {
                let count = proxies.len();
                let word = if count == 1 { "proxy" } else { "proxies" };
                write!(f, "revision {revision} confirmed by {count} {word} after {confirmed_ms:.1} ms")
            }
            Self::NotConfirmed { error, attempt: (attempt, attempts) } => {
                write!(f, "attempt {attempt} of {attempts} not confirmed: {error}")
            }
            Self::Looked { step, evaluation, advice, .. } => write_look(f, step, evaluation, advice),
            Self::LookFailed { error, in_a_row: 1 } => write!(f, "could not look at the evidence: {error}"),
            Self::LookFailed { error, in_a_row } => {
                write!(f, "could not look at the evidence, {in_a_row} times in a row: {error}")
            }
            Self::Advanced { from, to } => write!(f, "step '{from}' passed, now '{to}'"),
            Self::RolledBack { reasons, written_ms, confirmed_ms } => {
                f.write_str("rolled back")?;
                if let (Some(written), Some(confirmed)) = (written_ms, confirmed_ms) {
                    write!(
                        f,
                        ", in place {written:.1} ms and confirmed {confirmed:.1} ms after the verdict"
                    )?;
                }
                write_first(f, reasons)
            }
            Self::SignOffRequested { reasons } => {
                f.write_str("waiting for a human to sign off")?;
                write_first(f, reasons)
            }
            Self::Finished { full: true } => f.write_str("all steps passed, the candidate serves everybody"),
            Self::Finished { full: false } => f.write_str("all steps passed, the last step's policy stays"),
            Self::Stopped(text) => write!(f, "stopped: {text}"),
            Self::Trouble(text) => write!(f, "trouble: {text}"),
        }
    }
}

fn write_look(
    f: &mut fmt::Formatter<'_>,
    step: &str,
    evaluation: &Evaluation,
    advice: &Advice,
) -> fmt::Result {
    let health = &evaluation.health;
    write!(
        f,
        "'{step}': {}, {} pairs, {} candidate answers",
        evaluation.verdict, health.pairs, health.primary_candidate
    )?;
    let count = |outcome: Outcome| evaluation.gates.iter().filter(|gate| gate.outcome == outcome).count();
    let outcomes = [
        Outcome::Breach,
        Outcome::Diverged,
        Outcome::Improved,
        Outcome::Inside,
        Outcome::Undecided,
        Outcome::NoData,
    ];
    let counted: Vec<String> = outcomes
        .into_iter()
        .map(|outcome| (count(outcome), outcome))
        .filter(|(count, _)| *count > 0)
        .map(|(count, outcome)| format!("{count} {outcome}"))
        .collect();
    if !counted.is_empty() {
        write!(f, ", gates: {}", counted.join(", "))?;
    }
    write_first(f, &advice.reasons)
}

fn write_first(f: &mut fmt::Formatter<'_>, reasons: &[String]) -> fmt::Result {
    match reasons.first() {
        Some(reason) => write!(f, " ({reason})"),
        None => Ok(()),
    }
}
