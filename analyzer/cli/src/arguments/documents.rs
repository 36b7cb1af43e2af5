//! Documents and single requests: `validate`, `assign`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `weir validate`
#[derive(Debug, Args)]
pub(crate) struct ValidateArguments {
    /// The documents, YAML or JSON; each says by its `kind` what it is
    #[arg(required_unless_present = "schema", value_name = "DOCUMENT")]
    pub(crate) documents: Vec<PathBuf>,
    /// Print the JSON Schema of a kind of document instead
    #[arg(long, value_enum, value_name = "KIND", conflicts_with = "documents")]
    pub(crate) schema: Option<DocumentKind>,
}

/// A kind of document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DocumentKind {
    /// The filter's configuration
    Policy,
    /// What the candidate is measured against
    Gates,
    /// The steps that a candidate goes through
    Rollout,
    /// Defaults of the command line
    Config,
    /// The JSON that `weir analyze --output json` writes
    Report,
}

/// `weir assign`
#[derive(Debug, Args)]
pub(crate) struct AssignArguments {
    /// The policy
    #[arg(value_name = "POLICY")]
    pub(crate) policy: PathBuf,
    /// A request header; may be given several times
    #[arg(long = "header", short = 'H', value_name = "NAME=VALUE", value_parser = header)]
    pub(crate) headers: Vec<(String, String)>,
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
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("is not NAME=VALUE\n  hint: --header x-user-id=ada".to_owned()),
    }
}
