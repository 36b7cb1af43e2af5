//! Before a rollout: `plan` and `rehearse`.

use std::path::PathBuf;

use crate::arguments::folder;
use clap::Args;

use super::{DataArguments, TextOrJson};

/// `weir plan`
#[derive(Debug, Args)]
pub(crate) struct PlanArguments {
    /// The data folder with a history of control; without it the metrics' levels are stated with --baseline
    #[arg(long, value_name = "DIR", env = "WEIR_DATA", value_parser = folder)]
    pub(crate) data: Option<PathBuf>,
    /// The experiment; may be left out where there is one
    #[arg(long, value_name = "NAME")]
    pub(crate) experiment: Option<String>,
    /// The gates; without it the built-in pack for the metrics of the data
    #[arg(long, value_name = "GATES")]
    pub(crate) gates: Option<PathBuf>,
    /// Schemas, prices and metrics of your own
    #[arg(long, value_name = "METRICS")]
    pub(crate) metrics: Option<PathBuf>,
    /// A metric's mean (and standard deviation), instead of data: error=0.02 or latency_ms=800,400; may be repeated
    #[arg(long, value_name = "METRIC=MEAN[,SPREAD]")]
    pub(crate) baseline: Vec<String>,
    /// Requests in an hour; without it as many as the data has
    #[arg(long, value_name = "N")]
    pub(crate) requests_per_hour: Option<f64>,
    /// Percent of control's requests that are copied to the candidate
    #[arg(long, value_name = "PERCENT", default_value_t = 100.0)]
    pub(crate) shadow_percent: f64,
    /// Plan without copies, for a candidate that serves this percent of the users
    #[arg(long, value_name = "PERCENT")]
    pub(crate) candidate_percent: Option<f64>,
    /// What the candidate's answer to one copy costs
    #[arg(long, value_name = "AMOUNT")]
    pub(crate) price_per_copy: Option<f64>,
    /// Steps of the rollout, which share alpha
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) steps: usize,
    /// The chance, in percent, that a gate is decided at the planned n
    #[arg(long, value_name = "PERCENT", default_value_t = 80.0)]
    pub(crate) power: f64,
    /// Seed of the plan
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Text or JSON
    #[arg(long, value_enum, default_value_t = TextOrJson::Text)]
    pub(crate) output: TextOrJson,
}

/// `weir rehearse`
#[derive(Debug, Args)]
pub(crate) struct RehearseArguments {
    #[command(flatten)]
    pub(crate) data: DataArguments,
    /// The gates; without it the built-in pack for the metrics of the data
    #[arg(long, value_name = "GATES")]
    pub(crate) gates: Option<PathBuf>,
    /// Schemas, prices and metrics of your own
    #[arg(long, value_name = "METRICS")]
    pub(crate) metrics: Option<PathBuf>,
    /// False candidates
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) splits: u64,
    /// Looks at each
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(crate) looks: u16,
    /// Percent of the identities that a false candidate gets
    #[arg(long, value_name = "PERCENT", default_value_t = 50.0)]
    pub(crate) candidate_percent: f64,
    /// Only samples from this time on (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<jiff::Timestamp>,
    /// Only samples before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<jiff::Timestamp>,
    /// Seed of the splits
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Text or JSON
    #[arg(long, value_enum, default_value_t = TextOrJson::Text)]
    pub(crate) output: TextOrJson,
}
