//! What answers mean: `embed`.

use std::path::PathBuf;

use clap::Args;

use super::{DataArguments, TextOrJson};

/// Which embedder makes the vectors.
#[derive(Debug, Args)]
pub(crate) struct EmbedderArguments {
    /// onnx (a model) or lexical (built in: wording, not meaning; needs nothing)
    #[arg(long, value_name = "NAME", env = "WEIR_EMBEDDER")]
    pub(crate) embedder: Option<String>,
    /// An ONNX sentence-transformers model: its folder, or a name such as all-MiniLM-L6-v2, which is fetched once
    #[arg(long, value_name = "DIR|NAME", env = "WEIR_EMBEDDING_MODEL")]
    pub(crate) embedding_model: Option<PathBuf>,
    /// Threads of the model; without it one per processor
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
}

/// `weir embed`
#[derive(Debug, Args)]
pub(crate) struct EmbedArguments {
    #[command(flatten)]
    pub(crate) data: DataArguments,
    #[command(flatten)]
    pub(crate) embedder: EmbedderArguments,
    /// Only samples of this policy revision
    #[arg(long, value_name = "N")]
    pub(crate) revision: Option<i64>,
    /// Chance of a false alarm of each test, over all its looks
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    pub(crate) alpha: f64,
    /// Seed of the random swaps
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// As text or as JSON
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) output: TextOrJson,
}
