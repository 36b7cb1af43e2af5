//! The controller's errors and the exit codes that they mean.

use weir_document::Problems;

use crate::confirm::ConfirmError;
use crate::ecds_file::EcdsError;
use crate::record::RecordError;

/// Why a command of the controller was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    /// A document has problems.
    #[error("{0}")]
    Document(#[from] Problems),
    /// The ECDS file.
    #[error(transparent)]
    Ecds(#[from] EcdsError),
    /// The proxies did not confirm.
    #[error(transparent)]
    Confirm(#[from] ConfirmError),
    /// The record of the rollout.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The command does not fit the rollout's state.
    #[error("experiment {experiment}: {message}\n  hint: {hint}")]
    State {
        /// The experiment.
        experiment: String,
        /// What does not fit.
        message: String,
        /// What to do.
        hint: &'static str,
    },
    /// The runtime ended before the work did.
    #[error("{0} was interrupted: the program is ending")]
    Interrupted(&'static str),
}

impl ControllerError {
    /// Exit code of the command line: 2 usage or configuration, 5 data or I/O, 6 push not confirmed.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Document(_) | Self::State { .. } => 2,
            Self::Ecds(
                EcdsError::NotAfter { .. }
                | EcdsError::Format { .. }
                | EcdsError::Experiment { .. }
                | EcdsError::Document(_),
            ) => 2,
            Self::Ecds(EcdsError::Io { .. }) => 5,
            Self::Confirm(ConfirmError::Address { .. }) => 2,
            Self::Confirm(_) => 6,
            Self::Record(RecordError::Name(_) | RecordError::Busy { .. }) => 2,
            Self::Record(_) | Self::Interrupted(_) => 5,
        }
    }
}
