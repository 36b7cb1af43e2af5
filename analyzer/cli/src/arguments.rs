//! The command line's grammar, and nothing else: what each command does stands in `commands`.
//!
//! One definition feeds parsing, `-h`, `--help` and the completions.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use weir_report::{Format, ReportError};

/// Gates on AI changes inside an Envoy mesh: compare what answers say, roll back when they say worse
#[derive(Debug, Parser)]
#[command(name = "weir", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 promote or pass; 1 rollback; 2 usage or configuration; 3 hold; \
4 investigate or sign-off; 5 data or I/O; 6 push not confirmed.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check documents (policy, gates, rollout) and report every problem at once
    Validate(ValidateArguments),
    /// Say which cohort a request gets, by which rule and bucket, and why
    Assign(AssignArguments),
    /// Receive samples over OTLP/HTTP, acknowledge them when durable, write Parquet
    Collect(CollectArguments),
    /// Bring in legs from other logs
    Import(ImportArguments),
    /// Compare candidate with control and give a verdict
    Analyze(AnalyzeArguments),
    /// Look again and again, decide, push and confirm
    Watch(WatchArguments),
    /// Push a policy to the proxies and wait until they confirm it
    Push(PushArguments),
    /// Send everything back to control, now
    Rollback(RollbackArguments),
    /// Show where a rollout stands and what the proxies report
    Status(StatusArguments),
    /// List the decisions of a rollout
    History(RolloutArguments),
    /// Sign off what waits for a human: the rollout goes on
    Approve(RolloutArguments),
    /// Hold the rollout at its step until it is approved
    Pause(RolloutArguments),
    /// Show a stored report (JSON) in another form
    Report(ReportArguments),
    /// Show the whole loop on this machine: models, traffic, Envoy, verdict, rollback
    Demo(DemoArguments),
    /// Print completions for a shell
    Completions(CompletionsArguments),
}

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

/// `weir collect`
#[derive(Debug, Args)]
pub(crate) struct CollectArguments {
    /// Where to listen for OTLP/HTTP logs
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4318")]
    pub(crate) listen: SocketAddr,
    /// The data folder
    #[arg(long, value_name = "DIR", env = "WEIR_DATA")]
    pub(crate) data: PathBuf,
    /// Write Parquet at least this often
    #[arg(long, value_name = "MS", default_value_t = 5_000)]
    pub(crate) flush_interval_ms: u64,
    /// Write Parquet when this many samples wait
    #[arg(long, value_name = "ROWS", default_value_t = 50_000)]
    pub(crate) flush_rows: usize,
    /// Listen on an address that others can reach, without TLS or tokens
    #[arg(long)]
    pub(crate) insecure: bool,
}

/// `weir import`
#[derive(Debug, Args)]
pub(crate) struct ImportArguments {
    /// The files
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// What the files hold
    #[arg(long, value_enum, default_value = "jsonl")]
    pub(crate) format: ImportFormat,
    /// The data folder
    #[arg(long, value_name = "DIR", env = "WEIR_DATA")]
    pub(crate) data: PathBuf,
    /// The experiment that the legs belong to
    #[arg(long, value_name = "NAME", default_value = "imported")]
    pub(crate) experiment: String,
    /// Leave out lines that cannot be read, and count them, instead of importing nothing
    #[arg(long)]
    pub(crate) skip_bad_lines: bool,
}

/// What an imported file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImportFormat {
    /// One leg per line, columns by the names of the sample record
    Jsonl,
}

/// Which samples are looked at.
#[derive(Debug, Args)]
pub(crate) struct DataArguments {
    /// The data folder
    #[arg(long, value_name = "DIR", env = "WEIR_DATA")]
    pub(crate) data: PathBuf,
    /// The experiment; may be left out where there is one
    #[arg(long, value_name = "NAME")]
    pub(crate) experiment: Option<String>,
}

/// How the report is written.
#[derive(Debug, Args)]
pub(crate) struct OutputArguments {
    /// The form of the report; may be given several times
    #[arg(long, value_name = "FORMAT", value_delimiter = ',', value_parser = format())]
    pub(crate) output: Vec<Format>,
    /// Write a form into a file, named by its ending (.txt .json .md .xml .html); may be given several times
    #[arg(long, value_name = "FILE")]
    pub(crate) output_file: Vec<PathBuf>,
}

/// `weir analyze`
#[derive(Debug, Args)]
pub(crate) struct AnalyzeArguments {
    #[command(flatten)]
    pub(crate) data: DataArguments,
    /// The gates; without it the built-in pack
    #[arg(long, value_name = "GATES")]
    pub(crate) gates: Option<PathBuf>,
    /// Only samples of this policy revision
    #[arg(long, value_name = "N")]
    pub(crate) revision: Option<i64>,
    /// Only samples from this time on (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<jiff::Timestamp>,
    /// Only samples before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<jiff::Timestamp>,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
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
    #[arg(long, value_name = "DIR", env = "WEIR_DATA")]
    pub(crate) data: PathBuf,
    /// The policy that the rollout starts from
    #[arg(long, value_name = "POLICY")]
    pub(crate) policy: PathBuf,
    /// The steps
    #[arg(long, value_name = "ROLLOUT")]
    pub(crate) rollout: PathBuf,
    /// The gates; written before the rollout begins, and the same until it ends
    #[arg(long, value_name = "GATES")]
    pub(crate) gates: PathBuf,
    #[command(flatten)]
    pub(crate) envoy: EnvoyArguments,
    /// Stop after this long; without it, at a verdict that ends the rollout
    #[arg(long, value_name = "SECONDS")]
    pub(crate) deadline_seconds: Option<u64>,
    /// Go on looking, and wait for `weir approve`, when a sign-off is asked for
    #[arg(long)]
    pub(crate) wait_for_sign_off: bool,
    /// Begin with the first step even if an earlier watch got further
    #[arg(long)]
    pub(crate) restart: bool,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

/// `weir push`
#[derive(Debug, Args)]
pub(crate) struct PushArguments {
    /// The policy
    #[arg(value_name = "POLICY")]
    pub(crate) policy: PathBuf,
    #[command(flatten)]
    pub(crate) envoy: EnvoyArguments,
    /// Push even a revision that is not above the current one
    #[arg(long)]
    pub(crate) restore: bool,
}

/// `weir rollback`
#[derive(Debug, Args)]
pub(crate) struct RollbackArguments {
    #[command(flatten)]
    pub(crate) envoy: EnvoyArguments,
    /// The data folder, where the decision is recorded
    #[arg(long, value_name = "DIR", env = "WEIR_DATA")]
    pub(crate) data: Option<PathBuf>,
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

/// `weir report`
#[derive(Debug, Args)]
pub(crate) struct ReportArguments {
    /// The report, as `weir analyze --output json` wrote it
    #[arg(value_name = "REPORT")]
    pub(crate) report: PathBuf,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

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
}

/// `weir completions`
#[derive(Debug, Args)]
pub(crate) struct CompletionsArguments {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// The names of the views, as the report's room knows them.
fn format() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(Format::ALL.map(Format::name))
        .try_map(|name| -> Result<Format, ReportError> { name.parse() })
}

fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("is not NAME=VALUE\n  hint: --header x-user-id=ada".to_owned()),
    }
}
