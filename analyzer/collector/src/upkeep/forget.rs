//! One identity erased: its samples, every other leg of the same exchanges, and the scores of both.
//!
//! Order, so that a killed run can be repeated without a journal: the log becomes Parquet; then scores and legs that are found by
//! their sample id only; at last the rows that carry the identity's hash. As long as one of those is there, a repetition
//! finds everything that belongs to it. Each file is replaced by one rename.
//! Not here: copies outside `samples`, `scores` and the log (reports, golden sets, backups).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use weir_sample::disk::{Disk, RealDisk};
use weir_sample::durable::{DurableError, sync_folder_on};
use weir_sample::layout::FIGURES_FOLDER;
use weir_sample::replaced::replaces_on;
use weir_sample::search::each_identity;
use weir_sample::{
    FileError, Kind, Partition, Record, Sample, Score, list_files_on, read_file_on, write_merged_on,
};

use super::sweep::{sweep, sweep_temporary};
use super::{UpkeepError, UpkeepLock, log, partitions, remove};
use crate::status::LogSink;

/// Whom to forget, and how.
#[derive(Clone)]
pub struct ForgetOptions {
    /// The data folder.
    pub data_dir: PathBuf,
    /// The hash that stands for the identity in the samples.
    pub identity_hash: String,
    /// Changes nothing, and says what would be erased.
    pub dry_run: bool,
    /// How long a running collector may take to write its log to Parquet.
    pub patience: Duration,
    /// Told how many of how many files are done.
    pub progress: fn(u64, u64),
    /// Where lines about the log go.
    pub log: LogSink,
}

/// What was erased, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForgetSummary {
    /// Samples in Parquet; what was in the log is among them, but for a dry run.
    pub samples: u64,
    /// Samples that wait in the log; only of a dry run.
    pub in_log: u64,
    /// Scores.
    pub scores: u64,
    /// Exchanges that they belonged to.
    pub exchanges: u64,
    /// Files that were written anew without them.
    pub rewritten_files: u64,
    /// Files that held nothing else and were removed.
    pub removed_files: u64,
    /// What could not be searched, each with the reason.
    pub unsearched: Vec<String>,
}

/// Erases an identity.
///
/// # Errors
/// No data folder, another upkeep under way, a log that cannot be written out, a file system that refuses. Running it again
/// goes on where it stopped.
pub fn forget(options: &ForgetOptions) -> Result<ForgetSummary, UpkeepError> {
    let _lock = UpkeepLock::take(&options.data_dir)?;
    let data_dir = &options.data_dir;
    let mut summary = ForgetSummary::default();
    if options.dry_run {
        log::each_sample(data_dir, |sample| {
            let theirs = sample.identity_hash.as_deref() == Some(options.identity_hash.as_str());
            summary.in_log += u64::from(theirs);
        })?;
    } else {
        log::write_out(data_dir, options.patience, &options.log)?;
    }
    for path in log::damaged(data_dir)? {
        let why = "holds damaged records that nobody can read; remove it by hand";
        summary.unsearched.push(format!("{}: {why}", path.display()));
    }
    let figures = data_dir.join(FIGURES_FOLDER);
    if !options.dry_run && figures.exists() {
        // What looks have measured names the exchanges; they measure again what is left.
        std::fs::remove_dir_all(&figures).map_err(|source| DurableError {
            path: figures,
            action: "remove",
            source,
        })?;
    }
    erase_on(&RealDisk, options, &mut summary)?;
    Ok(summary)
}

/// The part of [`forget`] that is about Parquet, on a given file system, without the lock.
pub(crate) fn erase_on(
    disk: &dyn Disk,
    options: &ForgetOptions,
    summary: &mut ForgetSummary,
) -> Result<(), UpkeepError> {
    if !options.dry_run {
        // Rows that do not count any more are rows on a disk all the same.
        sweep_temporary(disk, &options.data_dir)?;
        for (partition, files) in partitions(disk, &options.data_dir, None)?.0 {
            sweep(disk, &partition.folder(&options.data_dir), files)?;
        }
    }
    let found = Found::of(disk, options, summary)?;
    summary.exchanges = found.exchanges.len() as u64;
    found.erase(disk, options, summary)
}

/// Where the identity is.
struct Found {
    exchanges: BTreeSet<String>,
    /// Files with rows of these exchanges, and whether some of the rows carry the identity itself.
    samples: BTreeMap<PathBuf, bool>,
    scores: BTreeSet<PathBuf>,
}

impl Found {
    fn of(
        disk: &dyn Disk,
        options: &ForgetOptions,
        summary: &mut ForgetSummary,
    ) -> Result<Self, UpkeepError> {
        let samples = list_files_on(disk, &options.data_dir, Kind::Samples, None)?;
        let scores = list_files_on(disk, &options.data_dir, Kind::Scores, None)?;
        let mut found =
            Self { exchanges: BTreeSet::new(), samples: BTreeMap::new(), scores: BTreeSet::new() };
        let all = 2 * samples.len() as u64 + scores.len() as u64;
        let mut done = 0;
        let mut step = || {
            done += 1;
            (options.progress)(done, all);
        };
        for path in &samples {
            let mut carries = false;
            let read = each_identity::<Sample>(disk, path, |sample_id, identity| {
                if identity == Some(options.identity_hash.as_str()) {
                    carries = true;
                    found.exchanges.insert(sample_id.to_owned());
                }
            });
            if is_searched(read, summary)? && carries {
                found.samples.insert(path.clone(), true);
            }
            step();
        }
        for path in &samples {
            let mut belongs = false;
            let read = each_identity::<Sample>(disk, path, |id, _| belongs |= found.exchanges.contains(id));
            // What is damaged was told above.
            if is_searched(read, &mut ForgetSummary::default())? && belongs {
                found.samples.entry(path.clone()).or_insert(false);
            }
            step();
        }
        for path in scores {
            let mut belongs = false;
            let read = each_identity::<Score>(disk, &path, |id, _| belongs |= found.exchanges.contains(id));
            if is_searched(read, summary)? && belongs {
                found.scores.insert(path);
            }
            step();
        }
        Ok(found)
    }

    fn erase(
        &self,
        disk: &dyn Disk,
        options: &ForgetOptions,
        summary: &mut ForgetSummary,
    ) -> Result<(), UpkeepError> {
        let belongs = |sample_id: &str| self.exchanges.contains(sample_id);
        let carries = |sample: &Sample| sample.identity_hash.as_deref() == Some(&options.identity_hash);
        let mut touched = BTreeMap::new();
        for path in &self.scores {
            summary.scores +=
                without::<Score>(disk, options, path, |score| belongs(&score.sample_id), &mut touched)?;
        }
        for path in self.samples.keys() {
            let only_by_id = |sample: &Sample| belongs(&sample.sample_id) && !carries(sample);
            summary.samples += without::<Sample>(disk, options, path, only_by_id, &mut touched)?;
        }
        for path in self.samples.iter().filter(|(_, carries)| **carries).map(|(path, _)| path) {
            summary.samples += without::<Sample>(disk, options, path, carries, &mut touched)?;
        }
        summary.removed_files = touched.values().filter(|left| **left == 0).count() as u64;
        summary.rewritten_files = touched.len() as u64 - summary.removed_files;
        Ok(())
    }
}

/// Whether a file was searched. One that is damaged or none of ours is told; one that the system does not give ends the search
/// before anything is erased, since what is in it could not be found afterwards.
fn is_searched(read: Result<(), FileError>, summary: &mut ForgetSummary) -> Result<bool, UpkeepError> {
    match read {
        Ok(()) => Ok(true),
        Err(FileError::Durable(error)) => Err(error.into()),
        Err(error) => {
            summary.unsearched.push(first_line(&error.to_string()));
            Ok(false)
        }
    }
}

/// Writes a file anew without the rows that `is_theirs` says, or removes it when none is left. Returns how many went.
fn without<R: Record>(
    disk: &dyn Disk,
    options: &ForgetOptions,
    path: &Path,
    is_theirs: impl Fn(&R) -> bool,
    touched: &mut BTreeMap<PathBuf, u64>,
) -> Result<u64, UpkeepError> {
    let mut rows = read_file_on::<R>(disk, path)?;
    let before = rows.len();
    rows.retain(|row| !is_theirs(row));
    let gone = (before - rows.len()) as u64;
    if gone == 0 {
        return Ok(0);
    }
    // A dry run meets the rows that the step before would have erased.
    let left = touched.get(path).map_or(rows.len() as u64, |left| left.saturating_sub(gone));
    touched.insert(path.to_path_buf(), if options.dry_run { left } else { rows.len() as u64 });
    if options.dry_run {
        return Ok(gone);
    }
    if rows.is_empty() {
        remove(disk, path)?;
        if let Some(folder) = path.parent() {
            sync_folder_on(disk, folder)?;
        }
    } else {
        let folder = path.parent().and_then(|folder| Partition::of_folder(&options.data_dir, folder));
        let experiment = folder.map(|partition| partition.experiment);
        let experiment = experiment.or_else(|| rows.first().map(|row| row.experiment().to_owned()));
        write_merged_on(disk, path, &experiment.unwrap_or_default(), rows, &replaces_on(disk, path))?;
    }
    Ok(gone)
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or(text).to_owned()
}
