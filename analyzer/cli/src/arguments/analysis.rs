//! Samples looked at: `analyze`, `report`, and what they share with others.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use weir_report::{Format, ReportError};

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
    /// Write a form into a file, named by its ending (.txt .json .md .xml .prom .html); may be given several times
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
    /// The policy that was in force: its shares are what the assignment of identities is held against
    #[arg(long, value_name = "POLICY")]
    pub(crate) policy: Option<PathBuf>,
    /// Only samples of this policy revision
    #[arg(long, value_name = "N")]
    pub(crate) revision: Option<i64>,
    /// Only samples from this time on (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<jiff::Timestamp>,
    /// Only samples before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<jiff::Timestamp>,
    /// Who judges: the gates, or for comparison one look with usual tests, or Kayenta's rule (both as text, or as JSON)
    #[arg(long, value_enum, default_value = "gates", hide_short_help = true)]
    pub(crate) judge: AnalyzeJudge,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

/// Who judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AnalyzeJudge {
    /// The gates: a verdict that holds however often one looks
    Gates,
    /// Fixed-n tests of every metric: right for one look only, and no verdict
    FixedN,
    /// Mann-Whitney with Kayenta's defaults and score; exit code 0 from 95 on, 4 from 75 on, else 1
    Kayenta,
}

/// `weir report`
#[derive(Debug, Args)]
pub(crate) struct ReportArguments {
    /// The report, as `weir analyze --output json` wrote it
    #[arg(value_name = "REPORT")]
    pub(crate) report: PathBuf,
    /// Judge the report's evidence again by these gates; the exit code is then the verdict's
    #[arg(long, value_name = "GATES")]
    pub(crate) gates: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

/// The names of the views, as the report's room knows them.
fn format() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(Format::ALL.map(Format::name))
        .try_map(|name| -> Result<Format, ReportError> { name.parse() })
}
