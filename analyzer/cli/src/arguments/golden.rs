//! Golden sets: `eval`, `golden`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{DataArguments, EmbedderArguments};

/// `weir eval`
#[derive(Debug, Args)]
pub(crate) struct EvalArguments {
    /// The golden set (JSON lines)
    #[arg(long, value_name = "FILE")]
    pub(crate) golden: PathBuf,
    /// The present version, an OpenAI-compatible endpoint: MODEL@URL, up to and with /v1
    #[arg(long, value_name = "MODEL@URL")]
    pub(crate) control: String,
    /// The new version, likewise
    #[arg(long, value_name = "MODEL@URL")]
    pub(crate) candidate: String,
    /// The environment variable that holds the key of both
    #[arg(long, value_name = "VARIABLE")]
    pub(crate) key_variable: Option<String>,
    /// Times that each case is asked, to see noise
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) repeats: u32,
    /// Calls under way at the same time
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(crate) concurrency: usize,
    /// Seconds until a call counts as failed
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) timeout_seconds: u64,
    /// What a judge looks at, for expectations with `judge`
    #[arg(long, value_name = "RUBRIC", requires = "judge")]
    pub(crate) rubric: Option<PathBuf>,
    /// The judge: NAME=MODEL@URL
    #[arg(long, value_name = "NAME=MODEL@URL", requires = "rubric")]
    pub(crate) judge: Option<String>,
    #[command(flatten)]
    pub(crate) embedder: EmbedderArguments,
    /// Gates on score:expectations and on the judge's criteria; without them any case that regressed blocks
    #[arg(long, value_name = "GATES")]
    pub(crate) gates: Option<PathBuf>,
    /// Write JUnit XML
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Write Markdown
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// Append how each case went, for `weir golden coverage --history`
    #[arg(long, value_name = "FILE")]
    pub(crate) history: Option<PathBuf>,
}

/// `weir golden`
#[derive(Debug, Args)]
pub(crate) struct GoldenArguments {
    #[command(subcommand)]
    pub(crate) command: GoldenCommand,
}

/// What to do with a golden set.
#[derive(Debug, Subcommand)]
pub(crate) enum GoldenCommand {
    /// Turn captured answers that scored worse than control's into cases
    Add(GoldenAddArguments),
    /// Say which prompts of production the set does not cover, and which cases nobody asks any more
    Coverage(GoldenCoverageArguments),
}

/// `weir golden add`
#[derive(Debug, Args)]
pub(crate) struct GoldenAddArguments {
    /// The golden set; cases are appended
    #[arg(value_name = "FILE")]
    pub(crate) golden: PathBuf,
    #[command(flatten)]
    pub(crate) data: DataArguments,
    /// Cases at most, the worst first
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) count: usize,
    /// How near an answer must be to control's
    #[arg(long, value_name = "COSINE", default_value_t = 0.7)]
    pub(crate) at_least: f64,
}

/// `weir golden coverage`
#[derive(Debug, Args)]
pub(crate) struct GoldenCoverageArguments {
    /// The golden set
    #[arg(value_name = "FILE")]
    pub(crate) golden: PathBuf,
    #[command(flatten)]
    pub(crate) data: DataArguments,
    #[command(flatten)]
    pub(crate) embedder: EmbedderArguments,
    /// A prompt is covered by a case within this cosine distance
    #[arg(long, value_name = "DISTANCE", default_value_t = 0.5)]
    pub(crate) within: f64,
    /// Earlier runs, as `weir eval --history` wrote them: names the cases that tell nothing apart any more
    #[arg(long, value_name = "FILE")]
    pub(crate) history: Option<PathBuf>,
}
