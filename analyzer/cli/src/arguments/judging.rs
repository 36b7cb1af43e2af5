//! Judges and people: `judge`, `label`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::DataArguments;

/// How answers are put to a judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum JudgeMode {
    /// Each answer on its own, a score on the scale
    Pointwise,
    /// Both answers of a pair, in both orders
    Pairwise,
}

/// `weir judge`
#[derive(Debug, Args)]
pub(crate) struct JudgeArguments {
    #[command(flatten)]
    pub(crate) data: DataArguments,
    /// What the judges look at
    #[arg(long, value_name = "RUBRIC")]
    pub(crate) rubric: PathBuf,
    #[command(flatten)]
    pub(crate) panel: PanelArguments,
    /// Only samples of this policy revision
    #[arg(long, value_name = "N")]
    pub(crate) revision: Option<i64>,
    /// A report (JSON): the segments of its undecided gates come first, after pairs
    #[arg(long, value_name = "REPORT")]
    pub(crate) report: Option<PathBuf>,
    /// Seed of the order in which answers are judged
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Answers that each judge is asked about a second time, to see whether it agrees with itself (pointwise)
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) again: usize,
    /// Only say how many calls, tokens and how much money it would take
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Who judges, how fast, and for how much: `judge` and `watch`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Judging")]
pub(crate) struct PanelArguments {
    /// An OpenAI-compatible endpoint: NAME=MODEL@URL, up to and with /v1; may be given several times
    #[arg(long = "judge", value_name = "NAME=MODEL@URL")]
    pub(crate) judges: Vec<String>,
    /// Recorded scores instead of a judge: lines of {"text": ..., "scores": {criterion: 0 to 1}}
    #[arg(long, value_name = "FILE", conflicts_with = "judges")]
    pub(crate) replay: Option<PathBuf>,
    /// The environment variable that holds the key of the endpoints
    #[arg(long, value_name = "VARIABLE")]
    pub(crate) key_variable: Option<String>,
    /// How answers are put
    #[arg(long, value_enum, default_value = "pointwise")]
    pub(crate) mode: JudgeMode,
    /// Calls under way at the same time, of each judge
    #[arg(long, value_name = "N", default_value_t = 8, hide_short_help = true)]
    pub(crate) concurrency: usize,
    /// Calls that start per second, of each judge
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub(crate) rate_per_second: Option<f64>,
    /// Seconds until a call counts as failed
    #[arg(long, value_name = "SECONDS", default_value_t = 60, hide_short_help = true)]
    pub(crate) timeout_seconds: u64,
    /// Calls at most
    #[arg(long, value_name = "N")]
    pub(crate) max_calls: Option<u64>,
    /// Tokens at most, both ways
    #[arg(long, value_name = "N")]
    pub(crate) max_tokens: Option<u64>,
    /// Money at most, in the unit of the prices
    #[arg(long, value_name = "AMOUNT")]
    pub(crate) max_cost: Option<f64>,
    /// Price of a million tokens to the judge
    #[arg(long, value_name = "AMOUNT", default_value_t = 0.0, hide_short_help = true)]
    pub(crate) price_prompt: f64,
    /// Price of a million tokens from the judge
    #[arg(long, value_name = "AMOUNT", default_value_t = 0.0, hide_short_help = true)]
    pub(crate) price_completion: f64,
}

/// `weir label`
#[derive(Debug, Args)]
pub(crate) struct LabelArguments {
    #[command(flatten)]
    pub(crate) data: DataArguments,
    /// What people look at: the judges' rubric
    #[arg(long, value_name = "RUBRIC")]
    pub(crate) rubric: PathBuf,
    /// Labels from a file (JSON lines) instead of an interview
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,
    /// Both answers of a request side by side, and which is better: for judges that were asked with `--mode pairwise`
    #[arg(long, conflicts_with = "from")]
    pub(crate) pairwise: bool,
    /// Who labels
    #[arg(long, value_name = "NAME", default_value = "", env = "USER")]
    pub(crate) by: String,
    /// Answers, or pairs, to ask about
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) count: usize,
    /// A report (JSON): its undecided gates say which answers are most worth a label
    #[arg(long, value_name = "REPORT")]
    pub(crate) report: Option<PathBuf>,
    /// Seed of the draws
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
}
