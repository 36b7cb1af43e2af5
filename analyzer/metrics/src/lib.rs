//! Samples to metric series, read lazily with polars.
//!
//! [`load`] scans `DATA/samples/experiment=E/**/part-*.parquet` (only the columns that it needs, with the time window
//! pushed down into the scan), turns each leg into a handful of figures, pairs the legs by sample id, joins the
//! judge scores, and gives one [`weir_gate::MetricSeries`] per metric, the capture health, and what a report shows.
//! It knows no verdicts.
//!
//! - Captured text is read file by file, turned into figures and dropped: memory grows with the number of legs, not
//!   with the length of their texts. Texts of the few worst pairs are read again by [`Loaded::exemplars`].
//! - Part files never change once they have their name, so a [`Cache`] lets the next look read only the new ones.
//! - The same files and options give the same result, whatever the order in which the file system lists them.
//! - A file that does not belong in the folder, or has another schema, is an error that names it, never a silent skip.

mod answer;
mod assemble;
mod error;
mod exemplar;
mod family;
mod files;
mod health;
mod histogram;
mod labels;
mod legs;
mod metric;
mod scan;
mod scores;
mod series;

use std::path::PathBuf;

use weir_gate::{CaptureHealth, MetricSeries};
use weir_report::{Distribution, Look, Variants};

pub use crate::assemble::ReportParts;
pub use crate::error::MetricsError;
pub use crate::files::experiments;
pub use crate::legs::Cache;
pub use crate::metric::{known_metrics, metric_exists};

use crate::series::PairIndex;

/// What to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// The data folder; samples are in its `samples` folder, judge scores in `scores`.
    pub data_dir: PathBuf,
    /// The experiment; may be left out where the folder holds exactly one.
    pub experiment: Option<String>,
    /// Only exchanges of this policy revision.
    pub revision: Option<i64>,
    /// Only legs whose request started at or after this time, in microseconds since 1970 UTC.
    pub since_us: Option<i64>,
    /// Only legs whose request started before this time, in microseconds since 1970 UTC.
    pub until_us: Option<i64>,
    /// Metric ids that the gates name. Metrics that need no parameter are always computed; this list adds those that
    /// do (`json_fields:answer,order_id`), and an id that does not exist is an error.
    pub metrics: Vec<String>,
}

/// Everything that was read about one experiment.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The experiment.
    pub experiment: String,
    /// One series per metric that has values, in a fixed order; input of [`weir_gate::evaluate`].
    pub series: Vec<MetricSeries>,
    /// How well the capture worked; input of [`weir_gate::evaluate`].
    pub health: CaptureHealth,
    /// Metrics without a series, with the reason.
    pub absent: Vec<(String, String)>,
    /// Histograms of the numeric metrics.
    pub distributions: Vec<Distribution>,
    /// Snapshot labels by variant.
    pub variants: Variants,
    /// Policy revisions of the legs, ascending.
    pub revisions: Vec<i64>,
    /// Legs read, without duplicates.
    pub samples: u64,
    /// Legs that were there twice and counted once.
    pub duplicates: u64,
    /// Start of the first request, in microseconds since 1970 UTC.
    pub first_ts_us: Option<i64>,
    /// Start of the last request, in microseconds since 1970 UTC.
    pub last_ts_us: Option<i64>,
    /// How long the series were at earlier times.
    pub looks: Vec<Look>,
    pub(crate) pairs: PairIndex,
}

/// Reads the samples of one experiment.
///
/// No legs at all within the filter is not an error: every series is then empty.
///
/// # Errors
/// An unreadable folder, no or several experiments, files that do not belong there or have another schema (all of them
/// named), and a metric id that does not exist; each with a hint.
pub fn load(options: &LoadOptions) -> Result<Loaded, MetricsError> {
    load_cached(options, &mut Cache::default())
}

/// Reads the samples of one experiment, and from files that `cache` has seen with the same options nothing at all.
///
/// # Errors
/// As [`load`]. After an error the cache is still good.
pub fn load_cached(options: &LoadOptions, cache: &mut Cache) -> Result<Loaded, MetricsError> {
    let metrics = metric::registry(&options.metrics)?;
    let experiment = files::experiment(&options.data_dir, options.experiment.as_deref())?;
    let samples = files::part_files(&options.data_dir, files::SAMPLES, &experiment)?;
    let scores = files::part_files(&options.data_dir, files::SCORES, &experiment)?;
    cache.refresh(options, &experiment, &metrics, &samples, &scores)?;
    Ok(assemble::loaded(&experiment, &metrics, options, cache))
}
