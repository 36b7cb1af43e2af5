//! Documents and single requests: `validate`, `assign`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `weir validate`
#[derive(Debug, Args)]
pub(crate) struct ValidateArguments {
    /// The documents, YAML or JSON; each says by its `kind` what it is
    #[arg(required_unless_present = "schema", value_name = "DOCUMENT")]
    pub(crate) documents: Vec<PathBuf>,
    /// The policy or experiments that the proxies serve now: also refuse what would come late for them
    #[arg(long, value_name = "DOCUMENT", conflicts_with = "schema")]
    pub(crate) after: Option<PathBuf>,
    /// Print the JSON Schema of a kind of document instead
    #[arg(long, value_enum, value_name = "KIND", conflicts_with = "documents")]
    pub(crate) schema: Option<DocumentKind>,
}

/// A kind of document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DocumentKind {
    /// The filter's configuration
    Policy,
    /// The filter's configuration with several experiments
    Experiments,
    /// What the candidate is measured against
    Gates,
    /// Schemas, prices and metrics of the operator's own
    Metrics,
    /// The steps that a candidate goes through
    Rollout,
    /// What the collector keeps of captured text
    Collector,
    /// Defaults of the command line
    Config,
    /// The JSON that `weir analyze --output json` writes
    Report,
}

/// `weir assign`
#[derive(Debug, Args)]
pub(crate) struct AssignArguments {
    /// The policy, or several experiments
    #[arg(value_name = "POLICY")]
    pub(crate) policy: PathBuf,
    /// A request header; may be given several times
    #[arg(long = "header", short = 'H', value_name = "NAME=VALUE", value_parser = header)]
    pub(crate) headers: Vec<(String, String)>,
    /// The request's path with its query
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Option<String>,
    /// A claim of the request's verified token; may be given several times
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    pub(crate) claims: Vec<(String, String)>,
    /// The client's address
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) address: Option<String>,
    /// As text or as JSON
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) output: TextOrJson,
}

/// How a small answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TextOrJson {
    /// For people
    Text,
    /// For machines
    Json,
}

fn header(text: &str) -> Result<(String, String), String> {
    pair(text, "--header x-user-id=ada")
}

fn claim(text: &str) -> Result<(String, String), String> {
    pair(text, "--claim sub=ada")
}

fn pair(text: &str, example: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("is not NAME=VALUE\n  hint: {example}")),
    }
}
