//! Exit codes of the command line, as the design states them, and the error that carries one.
//!
//! Invariant: every way out of a command is one of these codes; nothing calls `std::process::exit`.

use std::fmt::Display;

/// What the shell sees. Scripts branch on it, so the numbers never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Promote, or the command did what it was asked.
    Pass = 0,
    /// The verdict is rollback.
    Rollback = 1,
    /// The command line or a document is wrong.
    Usage = 2,
    /// Too little data for a decision.
    Hold = 3,
    /// A human has to look: investigate or sign-off.
    Human = 4,
    /// Data could not be read or written.
    Data = 5,
    /// A push was not confirmed by the proxies.
    NotConfirmed = 6,
    /// Ctrl-C or SIGTERM, as shells count it.
    Interrupted = 130,
}

impl Exit {
    /// The code of a verdict.
    pub(crate) fn of(verdict: weir_gate::Verdict) -> Self {
        match verdict {
            weir_gate::Verdict::Promote => Self::Pass,
            weir_gate::Verdict::Rollback => Self::Rollback,
            weir_gate::Verdict::Hold => Self::Hold,
            weir_gate::Verdict::Investigate | weir_gate::Verdict::SignOff => Self::Human,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error together with the exit code that it ends in.
#[derive(Debug)]
pub(crate) struct Failure {
    /// How the process ends.
    pub(crate) exit: Exit,
    /// What is printed on standard error.
    pub(crate) error: anyhow::Error,
}

/// What every command returns.
pub(crate) type Outcome = Result<Exit, Failure>;

/// Gives an error the exit code of its kind.
pub(crate) trait OrExit<T> {
    /// The command line or a document is wrong (2).
    fn or_usage(self) -> Result<T, Failure>;
    /// Data could not be read or written (5).
    fn or_data(self) -> Result<T, Failure>;
    /// Any other code.
    fn or_exit(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_usage(self) -> Result<T, Failure> {
        self.or_exit(Exit::Usage)
    }

    fn or_data(self) -> Result<T, Failure> {
        self.or_exit(Exit::Data)
    }

    fn or_exit(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|error| Failure { exit, error: error.into() })
    }
}

/// A failure from a sentence.
pub(crate) fn failure(exit: Exit, text: impl Display) -> Failure {
    Failure { exit, error: anyhow::anyhow!("{text}") }
}
