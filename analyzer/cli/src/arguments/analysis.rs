//! Samples looked at: `analyze`, `report`, and what they share with others.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use weir_report::{Format, ReportError};

/// Which samples are looked at.
#[derive(Debug, Args)]
pub(crate) struct DataArguments {
    /// The data folder
    #[arg(long, value_name = "DIR", env = "WEIR_DATA", value_parser = folder)]
    pub(crate) data: PathBuf,
    /// The experiment; may be left out where there is one
    #[arg(long, value_name = "NAME")]
    pub(crate) experiment: Option<String>,
}

/// Which samples are looked at, where stores will do.
#[derive(Debug, Args)]
pub(crate) struct StoredDataArguments {
    /// The data folder, or an object store (s3://BUCKET/PREFIX, gs://, az://)
    #[arg(long, value_name = "DIR", env = "WEIR_DATA")]
    pub(crate) data: PathBuf,
    /// The experiment; may be left out where there is one
    #[arg(long, value_name = "NAME")]
    pub(crate) experiment: Option<String>,
    /// Keep fetched files of a store here; without it in the user's cache folder
    #[arg(long, value_name = "DIR", env = "WEIR_CACHE", hide_short_help = true)]
    pub(crate) cache: Option<PathBuf>,
}

/// A folder of this machine.
pub(crate) fn folder(text: &str) -> Result<PathBuf, String> {
    if text.contains("://") {
        return Err("is an object store; allowed: a folder\n  hint: `weir analyze`, `weir compact` and `weir forget` work on stores; other commands write beside the samples: give them a folder that the objects were copied to".to_owned());
    }
    Ok(PathBuf::from(text))
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
    pub(crate) data: StoredDataArguments,
    /// The gates; without it the built-in pack
    #[arg(long, value_name = "GATES")]
    pub(crate) gates: Option<PathBuf>,
    /// Schemas, prices and metrics of your own
    #[arg(long, value_name = "METRICS")]
    pub(crate) metrics: Option<PathBuf>,
    /// The policy that was in force, of several experiments that of --experiment: its shares are what the assignment of
    /// identities is held against
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
    /// Spend alpha as one of so many steps of a rollout does (weir watch); 1 spends all of it
    #[arg(long, value_name = "N", default_value_t = 1, hide_short_help = true, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) steps: u16,
    /// Who judges: the gates, or for comparison one look with usual tests, or Kayenta's rule (both as text, or as JSON)
    #[arg(long, value_enum, default_value = "gates", hide_short_help = true)]
    pub(crate) judge: AnalyzeJudge,
    /// Only the newest samples: 90m, 2h, 7d before the last one (before --until)
    #[arg(long, value_name = "DURATION", conflicts_with = "since", value_parser = window)]
    pub(crate) window: Option<jiff::SignedDuration>,
    /// Read every sample again instead of the figures kept beside the data (DATA/.figures), and keep none
    #[arg(long, hide_short_help = true)]
    pub(crate) no_figures: bool,
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
    /// Judge again without a segment (tier=beta); may be given several times
    #[arg(long, value_name = "DIMENSION=VALUE", value_parser = segment)]
    pub(crate) without: Vec<weir_gate::Segment>,
    /// Judge again only what came after the report's last look up to this time
    #[arg(long, value_name = "TIME")]
    pub(crate) after: Option<jiff::Timestamp>,
    /// Judge again only what was known at the report's last look up to this time
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<jiff::Timestamp>,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

/// `tier=beta`, `tag:region=eu`.
fn segment(text: &str) -> Result<weir_gate::Segment, String> {
    match text.split_once('=') {
        Some((dimension, value)) if !dimension.is_empty() => {
            Ok([(dimension.to_owned(), value.to_owned())].into())
        }
        _ => Err("write DIMENSION=VALUE: tier=beta, tag:region=eu".to_owned()),
    }
}

/// `90m`, `2h`, `7d`: a day has 24 hours.
fn window(text: &str) -> Result<jiff::SignedDuration, String> {
    let allowed = "allowed: a number above 0 and s, m, h or d";
    let split = text.len() - text.chars().next_back().map_or(0, char::len_utf8);
    let (number, unit) = text.split_at(split);
    let seconds = match unit {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return Err(allowed.to_owned()),
    };
    let number: f64 = number.parse().map_err(|_| allowed.to_owned())?;
    if !(number > 0.0 && number * seconds < 1e10) {
        return Err(allowed.to_owned());
    }
    Ok(jiff::SignedDuration::from_secs_f64(number * seconds))
}

/// The names of the views, as the report's room knows them.
fn format() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(Format::ALL.map(Format::name))
        .try_map(|name| -> Result<Format, ReportError> { name.parse() })
}
