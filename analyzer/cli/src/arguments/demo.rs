//! `demo`, and what is about the command line itself: `config`, `completions`, `man`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::TextOrJson;

/// `weir demo`
#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// How the candidate behaves
    #[arg(long, value_enum, default_value = "worse", conflicts_with = "answers")]
    pub(crate) scenario: Scenario,
    /// Replay recorded answers: a folder with instructions.jsonl and outputs/MODEL.jsonl
    #[arg(long, value_name = "DIR", requires = "control", requires = "candidate")]
    pub(crate) answers: Option<PathBuf>,
    /// The recorded model that serves as control
    #[arg(long, value_name = "MODEL", requires = "answers")]
    pub(crate) control: Option<String>,
    /// The recorded model that serves as candidate
    #[arg(long, value_name = "MODEL", requires = "answers")]
    pub(crate) candidate: Option<String>,
    /// Envoy's binary; otherwise WEIR_ENVOY, .venv/bin/envoy or the PATH
    #[arg(long, value_name = "PATH")]
    pub(crate) envoy_binary: Option<PathBuf>,
    /// The filter module; otherwise WEIR_FILTER or the build folder
    #[arg(long, value_name = "PATH")]
    pub(crate) filter: Option<PathBuf>,
    /// Where report, Parquet and documents go; otherwise a new folder under target/demo
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// The seed of users, questions and answers
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}

/// How the demo's candidate behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Healthy at first, then subtly worse: must be rolled back
    Worse,
    /// The same model under another name: must not be rolled back
    Same,
    /// Better answers: waits for a human's sign-off
    Better,
    /// Healthy at first, then the same length and form with another meaning: must be rolled back
    Meaning,
}

/// `weir completions`
#[derive(Debug, Args)]
pub(crate) struct CompletionsArguments {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// `weir config`
#[derive(Debug, Args)]
pub(crate) struct ConfigArguments {
    /// As text or as JSON
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) output: TextOrJson,
}

/// `weir man`
#[derive(Debug, Args)]
pub(crate) struct ManArguments {
    /// The folder
    #[arg(long, value_name = "DIR", default_value = "man")]
    pub(crate) out: PathBuf,
}
