//! Why a demo could not run to its end. Each text says what to do.

use std::path::{Path, PathBuf};

use crate::answers::AnswersError;

/// Why a demo could not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A file or folder of the demo cannot be written.
    #[error("{path}: {source}\n  hint: name a folder that can be written with --out", path = path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Somebody else's files are there.
    #[error("{path}: is not empty\n  hint: name a new folder with --out, or leave --out away", path = path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// Envoy or the filter is not there.
    #[error(transparent)]
    Find(#[from] weir_envoy::FindError),
    /// Envoy does not run.
    #[error(transparent)]
    Envoy(#[from] weir_envoy::EnvoyError),
    /// Envoy runs without the listener of its bootstrap.
    #[error("envoy has no listener named weir; its log: {log}", log = log.display())]
    NoListener {
        /// Envoy's log.
        log: PathBuf,
    },
    /// Recorded answers without a folder.
    #[error("recorded answers need their folder\n  hint: --answers DIR --control MODEL --candidate MODEL")]
    NoAnswers,
    /// The recorded answers cannot be read.
    #[error(transparent)]
    Answers(#[from] AnswersError),
    /// A document of the demo is refused; with recorded answers, a model's name may be one that a policy does not allow.
    #[error(transparent)]
    Document(#[from] weir_policy::Problems),
    /// The collector does not run.
    #[error(transparent)]
    Collector(#[from] weir_collector::CollectorError),
    /// The rollout cannot be watched.
    #[error(transparent)]
    Controller(#[from] weir_controller::ControllerError),
    /// The samples cannot be read for the report.
    #[error(transparent)]
    Metrics(#[from] weir_metrics::MetricsError),
    /// The evidence cannot be looked at.
    #[error(transparent)]
    Look(#[from] weir_look::LookError),
    /// Answers cannot be embedded.
    #[error(transparent)]
    Meaning(#[from] weir_meaning::MeaningError),
    /// The judge cannot be asked.
    #[error(transparent)]
    Judge(#[from] weir_judge::client::JudgeError),
    /// The report cannot be drawn.
    #[error(transparent)]
    Report(#[from] weir_report::ReportError),
    /// The target of a push is refused.
    #[error(transparent)]
    Target(#[from] weir_controller::TargetError),
    /// No HTTP client.
    #[error("no HTTP client can be made: {0}")]
    Http(#[from] reqwest::Error),
    /// A model server cannot listen on loopback.
    #[error(
        "a model server cannot listen on 127.0.0.1: {0}\n  hint: the demo needs a few free loopback ports"
    )]
    Listen(std::io::Error),
    /// Ctrl-C or SIGTERM.
    #[error("interrupted")]
    Interrupted,
}

impl DemoError {
    /// The exit code: 2 for what the caller can say differently, 5 for what the machine refused, 130 after Ctrl-C.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotEmpty { .. }
            | Self::Find(_)
            | Self::NoAnswers
            | Self::Answers(_)
            | Self::Document(_)
            | Self::Target(_) => 2,
            Self::Interrupted => 130,
            _ => 5,
        }
    }

    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |source| Self::File { path, source }
    }
}
