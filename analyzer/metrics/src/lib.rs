//! Samples to metric series, read lazily with polars.
//!
//! [`load`] scans `DATA/samples/experiment=E/**/part-*.parquet` (only the columns that it needs, with the time window
//! pushed down into the scan), turns each leg into a handful of figures, pairs the legs by sample id, joins the
//! judge scores, and gives one [`weir_gate::MetricSeries`] per metric, the capture health, and what a report shows.
//! It knows no verdicts.
//!
//! - Captured text is read file by file, turned into figures and dropped: memory grows with the number of legs, not
//!   with the length of their texts. Texts of the few worst pairs are read again by [`Loaded::exemplars`].
//! - Part files never change once they have their name, so a [`Cache`] lets the next look read only the new ones, and
//!   figures kept beside the data ([`LoadOptions::keep_figures`]) let the next process do so.
//! - The same files and options give the same result, whatever the order in which the file system lists them.
//! - A file that does not belong in the folder, is damaged or has another schema is named in the capture's health and skipped,
//!   never silently and never touched; where nothing else is there, it is an error.

mod answer;
mod assemble;
mod assembled;
mod cache;
mod definition;
mod error;
mod exchange;
mod exemplar;
mod expression;
mod family;
mod figures;
mod files;
mod health;
mod histogram;
mod identities;
mod inclusion;
mod integers;
mod kept;
mod kinds;
mod labels;
mod legs;
mod marks;
mod metric;
mod packed;
mod pairs;
mod parallel;
mod pattern;
mod people;
mod remarks;
mod scan;
mod scores;
mod series;
mod skipped;
mod slices;
mod spans;

use std::path::PathBuf;
use std::sync::Arc;

use weir_gate::{CaptureHealth, MetricSeries};
use weir_report::{Distribution, Look, Variants};
use weir_tripwire::Seen;

pub use crate::assemble::ReportParts;
pub use crate::cache::Cache;
pub use crate::definition::{BetterWay, MetricsFile, OwnMetric, Price, Route, Schema};
pub use crate::error::MetricsError;
pub use crate::family::phrases::{HEDGE_PHRASES, REFUSAL_PHRASES};
pub use crate::files::experiments;
pub use crate::health::ExpectedShare;
pub use crate::metric::{blank_series, check_metrics, known_metrics, metric_exists};
pub use crate::people::PersonScore;

use crate::pairs::PairIndex;
use crate::scan::Refusal;
use crate::skipped::Skipped;
use crate::slices::{Reading, Sliced};

/// Listings of a folder in which files are merged while they are read.
const LISTINGS_MAX: u32 = 100;

/// What to read.
#[derive(Clone, Debug, Default, PartialEq)]
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
    /// Metric ids that the gates name. A dozen metrics are always computed; this list adds others, and an id that does
    /// not exist is an error.
    pub metrics: Vec<String>,
    /// The metrics document: schemas, prices and metrics of the operator's own.
    pub definitions: Option<Arc<MetricsFile>>,
    /// The candidate's share of the identities, by revision and cohort; without it assignment is not checked.
    pub expected_shares: Vec<ExpectedShare>,
    /// Keep cohorts that control served alone, and number every identity: a history to plan from and to rehearse on, not
    /// one to compare.
    pub one_sided: bool,
    /// Keep the figures of every part file beside the data (in `DATA/.figures`), and read those that are there instead of the
    /// samples; the answer is the same.
    pub keep_figures: bool,
    /// What people say of answers, in the order in which they said it.
    pub people: Vec<PersonScore>,
    /// Of more legs than can be looked at again and again, give sums instead of values ([`MetricSeries::settled`]): not where somebody
    /// wants the values themselves.
    pub settle: bool,
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
    /// Digests of the policies of the legs, sorted.
    pub policy_digests: Vec<String>,
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
    /// What tripwires go by: answers of some of the exchanges. Without judges' scores, which are in the series.
    pub seen: Seen,
    pub(crate) pairs: PairIndex,
    /// Pairs that may be shown, of each series that is settled; `pairs` are the places of these then.
    pub(crate) shown: Option<Vec<MetricSeries>>,
    pub(crate) data_dir: PathBuf,
}

/// The columns of a sample that every look reads.
#[must_use]
pub fn columns() -> &'static [&'static str] {
    &legs::COLUMNS
}

/// When the newest leg started that a look with these options would read, in microseconds since 1970 UTC; `since_us` is not
/// heeded. Reads from the newest folder backwards, and only the times.
///
/// # Errors
/// As [`load`].
pub fn newest_us(options: &LoadOptions) -> Result<Option<i64>, MetricsError> {
    let experiment = files::experiment(&options.data_dir, options.experiment.as_deref())?;
    let mut files = files::part_files(&options.data_dir, files::SAMPLES, &experiment)?.parts;
    files.sort();
    let mut newest = None;
    while let Some(folder) = files.last().and_then(|file| file.parent()).map(PathBuf::from) {
        if newest.is_some() {
            break;
        }
        let first = files.iter().position(|file| file.starts_with(&folder)).unwrap_or(0);
        for file in files.drain(first..) {
            match scan::newest_us(&file, options.until_us) {
                Ok(found) => newest = newest.max(found),
                // Damaged: `load` names it. One that was merged away is found again in the next look.
                Err(MetricsError::Query { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(newest)
}

/// Reads the samples of one experiment.
///
/// No legs at all within the filter is not an error: every series is then empty.
///
/// # Errors
/// An unreadable folder, no or several experiments, a folder in which no file is a readable part file (all of them
/// named), and a metric id that does not exist; each with a hint.
pub fn load(options: &LoadOptions) -> Result<Loaded, MetricsError> {
    load_cached(options, &mut Cache::default())
}

/// Reads the samples of one experiment, and from files that `cache` has seen with the same options nothing at all.
///
/// # Errors
/// As [`load`]. After an error the cache is still good.
pub fn load_cached(options: &LoadOptions, cache: &mut Cache) -> Result<Loaded, MetricsError> {
    let metrics = metric::registry(&options.metrics, options.definitions.as_deref())?;
    let experiment = files::experiment(&options.data_dir, options.experiment.as_deref())?;
    let list = || -> Result<_, MetricsError> {
        let mut samples = files::part_files(&options.data_dir, files::SAMPLES, &experiment)?;
        let mut scores = files::part_files(&options.data_dir, files::SCORES, &experiment)?;
        samples.foreign.append(&mut scores.foreign);
        Ok((samples.parts, scores.parts, samples.foreign))
    };
    let reading = Reading { options, experiment: &experiment, metrics: &metrics };
    let mut listed = list()?;
    let mut tries = 0;
    let (mut loaded, skipped) = loop {
        let error = match looked_at(reading, cache, &listed.0, &listed.1) {
            Ok((loaded, refused)) => break (loaded, Skipped { foreign: listed.2, refused }),
            Err(error) => error,
        };
        let now = list()?;
        tries += 1;
        // A file that was merged away under the reader is no error; one that is still there is.
        let gone = [(&listed.0, &now.0), (&listed.1, &now.1)]
            .into_iter()
            .any(|(before, now)| before.iter().any(|path| now.binary_search(path).is_err()));
        if !gone || tries > LISTINGS_MAX {
            return Err(error);
        }
        listed = now;
    };
    let nothing_skipped = skipped.foreign.is_empty() && skipped.refused.is_empty();
    if !(cache.has_samples() || nothing_skipped) {
        return Err(skipped.into_error(&options.data_dir));
    }
    skipped.tell(&options.data_dir, &mut loaded.health);
    Ok(loaded)
}

/// What is in these files of samples and scores, and those of them that cannot be used.
fn looked_at(
    reading: Reading<'_>,
    cache: &mut Cache,
    samples: &[PathBuf],
    scores: &[PathBuf],
) -> Result<(Loaded, Vec<(PathBuf, Refusal)>), MetricsError> {
    let Reading { options, experiment, metrics } = reading;
    let possible = slices::possible(options, metrics);
    let mut refused = cache.refresh(options, experiment, metrics, samples, scores, possible)?;
    if possible
        && !cache.has_scores()
        && cache.rows_of(options.revision) >= slices::LEGS_MIN
        && let Sliced::Loaded(loaded, more) = slices::loaded(reading, cache)?
    {
        refused.extend(more);
        refused.sort();
        return Ok((*loaded, refused));
    }
    if possible {
        // What was known by its span only.
        refused.extend(cache.refresh(options, experiment, metrics, samples, scores, false)?);
        refused.sort();
        refused.dedup();
    }
    Ok((assemble::loaded(experiment, metrics, options, cache), refused))
}
