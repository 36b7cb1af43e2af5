//! A rollout and its proxies: `watch`, `push`, `rollback`, `status`, `history`, `approve`, `pause`.

use std::path::PathBuf;

use crate::arguments::folder;
use clap::Args;

use super::{DataArguments, OutputArguments, PanelArguments, TextOrJson};

/// Which of several experiments is meant.
#[derive(Debug, Args)]
pub(crate) struct ExperimentArguments {
    /// The experiment that is meant, in a document of several; the others stay as they are
    #[arg(long, value_name = "NAME")]
    pub(crate) experiment: Option<String>,
}

/// Where the proxies are.
#[derive(Debug, Args)]
pub(crate) struct EnvoyArguments {
    /// How the proxies get their policy and who confirms it:
    /// ecds-file:PATH,admin=URL,probe=URL[,timeout-ms=N]; admin and probe may be repeated for several proxies
    #[arg(long = "envoy", value_name = "TARGET")]
    pub(crate) target: weir_controller::EnvoyTarget,
}

/// `weir watch`
#[derive(Debug, Args)]
pub(crate) struct WatchArguments {
    /// The data folder
    #[arg(long, value_name = "DIR", env = "WEIR_DATA", value_parser = folder)]
    pub(crate) data: PathBuf,
    /// The policy that the rollout starts from, or several experiments, of which the rollout names one
    #[arg(long, value_name = "POLICY")]
    pub(crate) policy: PathBuf,
    /// The steps
    #[arg(long, value_name = "ROLLOUT")]
    pub(crate) rollout: PathBuf,
    /// The gates; written before the rollout begins, and the same until it ends
    #[arg(long, value_name = "GATES")]
    pub(crate) gates: PathBuf,
    /// Schemas, prices and metrics of your own
    #[arg(long, value_name = "METRICS")]
    pub(crate) metrics: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) envoy: EnvoyArguments,
    /// Stop after this long; without it, at a verdict that ends the rollout
    #[arg(long, value_name = "SECONDS")]
    pub(crate) deadline_seconds: Option<u64>,
    /// Go on looking, and wait for `weir approve`, when a sign-off is asked for
    #[arg(long)]
    pub(crate) wait_for_sign_off: bool,
    /// Embed new answers before a look, so that distance gates and tripwires see them: lexical, or onnx with
    /// --embedding-model
    #[arg(long, value_name = "NAME")]
    pub(crate) embedder: Option<String>,
    /// An ONNX sentence-transformers model, its folder or name; embeds new answers before a look
    #[arg(long, value_name = "DIR|NAME")]
    pub(crate) embedding_model: Option<PathBuf>,
    /// Begin with the first step even if an earlier watch got further
    #[arg(long)]
    pub(crate) restart: bool,
    /// Keep where the rollout stands in this file as Prometheus text, for node_exporter's textfile collector
    #[arg(long, value_name = "FILE")]
    pub(crate) metrics_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
    /// Judge new answers while the rollout goes on, by this rubric; the budget is for the whole watch
    #[arg(long, value_name = "RUBRIC", help_heading = "Judging")]
    pub(crate) rubric: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) panel: PanelArguments,
}

/// `weir push`
#[derive(Debug, Args)]
pub(crate) struct PushArguments {
    /// The policy, or several experiments: all of them, or the one that --experiment names
    #[arg(value_name = "POLICY")]
    pub(crate) policy: PathBuf,
    #[command(flatten)]
    pub(crate) which: ExperimentArguments,
    #[command(flatten)]
    pub(crate) envoy: EnvoyArguments,
    /// Push even a revision that is not above the current one; the policy then says what it `replaces`, so that proxies take it
    #[arg(long)]
    pub(crate) restore: bool,
}

/// `weir rollback`
#[derive(Debug, Args)]
pub(crate) struct RollbackArguments {
    #[command(flatten)]
    pub(crate) envoy: EnvoyArguments,
    /// The data folder, where the decision is recorded
    #[arg(long, value_name = "DIR", env = "WEIR_DATA", value_parser = folder)]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) which: ExperimentArguments,
    /// All of several experiments
    #[arg(long, conflicts_with = "experiment")]
    pub(crate) all: bool,
    /// The policy to put in with mode rolled-back, should the one in the ECDS file be unreadable
    #[arg(long, value_name = "POLICY")]
    pub(crate) policy: Option<PathBuf>,
    /// Why; stands in the decision record
    #[arg(long, value_name = "TEXT", default_value = "by hand")]
    pub(crate) reason: String,
}

/// A rollout by its data folder and experiment.
#[derive(Debug, Args)]
pub(crate) struct RolloutArguments {
    #[command(flatten)]
    pub(crate) data: DataArguments,
    /// As text or as JSON
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) output: TextOrJson,
}

/// `weir status`
#[derive(Debug, Args)]
pub(crate) struct StatusArguments {
    #[command(flatten)]
    pub(crate) rollout: RolloutArguments,
    /// Ask the proxies too: ecds-file:PATH,admin=URL,probe=URL
    #[arg(long = "envoy", value_name = "TARGET")]
    pub(crate) target: Option<weir_controller::EnvoyTarget>,
}
