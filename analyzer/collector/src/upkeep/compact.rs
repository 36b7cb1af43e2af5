//! Small files of closed hours become few: per partition, sorted by time, retries left out.
//!
//! Merged are the files of the collector, of imports and of earlier merges; files that somebody may write again with other rows
//! (distances of `weir embed`, judges' scores) stay as they are. Limit: [`MERGE_BYTES_MAX`] of values in memory at once.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use weir_sample::disk::{Disk, RealDisk};
use weir_sample::durable::sync_folder_on;
use weir_sample::replaced::{MERGED_PREFIX, is_merged, replaces_on};
use weir_sample::row::encode_row;
use weir_sample::{Kind, Partition, Record, Sample, Score, check_file_on, read_file_on, write_merged_on};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::retain::retain;
use super::sweep::{sweep, sweep_temporary};
use super::{UpkeepError, UpkeepLock, partitions, remove, size};
use crate::wal::SegmentId;

/// Values that are merged into one file at most, unpacked, about, bytes.
pub const MERGE_BYTES_MAX: u64 = 256 << 20;
/// An hour counts as closed this long after its end: late records and retries have arrived by then.
pub const OPEN_AFTER_US: i64 = 15 * 60 * 1_000_000;

const HOUR_US: i64 = 3_600_000_000;

/// What to do.
#[derive(Clone, Debug)]
pub struct CompactOptions {
    /// The data folder.
    pub data_dir: PathBuf,
    /// Only this experiment.
    pub experiment: Option<String>,
    /// The time that decides which hours are closed and how old they are, microseconds since 1970 UTC.
    pub now_us: i64,
    /// Removes hours that ended this many days ago.
    pub keep_days: Option<u32>,
    /// Removes the oldest closed hours while all files together are larger, bytes.
    pub keep_bytes: Option<u64>,
    /// Changes nothing, and says what would be done.
    pub dry_run: bool,
    /// Told how many of how many hours are done.
    pub progress: fn(u64, u64),
}

/// What was done, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompactSummary {
    /// Files that were merged.
    pub merged_files: u64,
    /// Files that they became; 0 in a dry run only where nothing is to be merged.
    pub new_files: u64,
    /// Rows in them; of a dry run with retries that would be left out.
    pub rows: u64,
    /// Rows that were there twice and were left out.
    pub duplicates: u64,
    /// Bytes of the files that were merged.
    pub bytes_before: u64,
    /// Bytes of the files that they became; 0 in a dry run.
    pub bytes_after: u64,
    /// Hours of experiments that are not closed yet and were left alone.
    pub open_hours: u64,
    /// Hours of experiments that were removed.
    pub removed_hours: u64,
    /// Their files.
    pub removed_files: u64,
    /// Their bytes.
    pub removed_bytes: u64,
    /// Files that an interrupted run had left behind.
    pub left_over: u64,
    /// Files that were left as they are, each with the reason.
    pub problems: Vec<String>,
}

/// Merges, and removes what is not to be kept.
///
/// # Errors
/// No data folder, another upkeep under way, a file system that refuses. What was done before stays done.
pub fn compact(options: &CompactOptions) -> Result<CompactSummary, UpkeepError> {
    let _lock = UpkeepLock::take(&options.data_dir)?;
    compact_on(&RealDisk, options)
}

/// [`compact`] on a given file system, without the lock.
pub(crate) fn compact_on(disk: &dyn Disk, options: &CompactOptions) -> Result<CompactSummary, UpkeepError> {
    let mut summary = CompactSummary::default();
    if !options.dry_run {
        summary.left_over += sweep_temporary(disk, &options.data_dir)?;
    }
    let (mut hours, foreign) = partitions(disk, &options.data_dir, options.experiment.as_deref())?;
    let name = |path: PathBuf| format!("{}: is in no folder of ours; left as it is", path.display());
    summary.problems.extend(foreign.into_iter().map(name));
    if !options.dry_run {
        for (partition, files) in &mut hours {
            let (kept, gone) = sweep(disk, &partition.folder(&options.data_dir), std::mem::take(files))?;
            *files = kept;
            summary.left_over += gone;
        }
    }
    let hours = retain(disk, options, hours, &mut summary)?;
    let all = hours.len() as u64;
    for (done, (partition, files)) in (1..).zip(hours) {
        if options.is_closed(&partition) {
            match partition.kind {
                Kind::Samples => merge::<Sample>(disk, options, &partition, &files, &mut summary)?,
                Kind::Scores => merge::<Score>(disk, options, &partition, &files, &mut summary)?,
            }
        } else {
            summary.open_hours += 1;
        }
        (options.progress)(done, all);
    }
    Ok(summary)
}

impl CompactOptions {
    /// The end of a partition's hour.
    pub(super) fn end_us(&self, partition: &Partition) -> i64 {
        partition.start_us().map_or(i64::MAX, |start| start.saturating_add(HOUR_US))
    }

    pub(super) fn is_closed(&self, partition: &Partition) -> bool {
        self.end_us(partition).saturating_add(OPEN_AFTER_US) <= self.now_us
    }
}

fn merge<R: Retry>(
    disk: &dyn Disk,
    options: &CompactOptions,
    partition: &Partition,
    files: &[PathBuf],
    summary: &mut CompactSummary,
) -> Result<(), UpkeepError> {
    for group in groups::<R>(disk, partition, files, summary) {
        summary.merged_files += group.paths.len() as u64;
        summary.bytes_before += group.paths.iter().map(|path| size(disk, path)).sum::<u64>();
        summary.new_files += 1;
        if options.dry_run {
            summary.rows += group.rows;
        } else {
            merge_group::<R>(disk, &options.data_dir, partition, &group.paths, summary)?;
        }
    }
    Ok(())
}

struct Group {
    paths: Vec<PathBuf>,
    rows: u64,
    bytes: u64,
}

/// Files that become one file together, in the order of their names.
fn groups<R: Record>(
    disk: &dyn Disk,
    partition: &Partition,
    files: &[PathBuf],
    summary: &mut CompactSummary,
) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for path in files.iter().filter(|path| is_mergeable(path)) {
        let facts = match check_file_on::<R>(disk, path) {
            Ok(facts) if facts.unknown_columns > 0 => {
                let why = "has columns of a newer version of weir, which would be lost";
                summary.problems.push(format!("{}: {why}; left as it is", path.display()));
                continue;
            }
            Ok(facts) if facts.experiment == partition.experiment => facts,
            Ok(facts) => {
                summary.problems.push(format!(
                    "{}: holds experiment {:?}; left as it is",
                    path.display(),
                    facts.experiment
                ));
                continue;
            }
            Err(error) => {
                let text = error.to_string();
                let first = text.lines().next().unwrap_or(&text).to_owned();
                summary.problems.push(format!("{first}; left as it is"));
                continue;
            }
        };
        match groups.last_mut() {
            Some(group) if group.bytes.saturating_add(facts.unpacked_bytes) <= MERGE_BYTES_MAX => {
                group.paths.push(path.clone());
                group.rows += facts.rows;
                group.bytes += facts.unpacked_bytes;
            }
            _ => groups.push(Group {
                paths: vec![path.clone()],
                rows: facts.rows,
                bytes: facts.unpacked_bytes,
            }),
        }
    }
    groups.retain(|group| group.paths.len() > 1);
    groups
}

/// Whether a name says that its rows never change.
fn is_mergeable(path: &Path) -> bool {
    let Some(name) = path.file_stem().and_then(|name| name.to_str()) else { return false };
    let of_segment = name.strip_prefix("part-").and_then(SegmentId::parse).is_some();
    of_segment || name.starts_with("part-import-") || is_merged(path)
}

fn merge_group<R: Retry>(
    disk: &dyn Disk,
    data_dir: &Path,
    partition: &Partition,
    paths: &[PathBuf],
    summary: &mut CompactSummary,
) -> Result<(), UpkeepError> {
    let mut replaced = BTreeSet::new();
    let mut names = Xxh3::new();
    let mut seen = HashSet::new();
    let mut rows: Vec<R> = Vec::new();
    for path in paths {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        names.update(name.as_bytes());
        names.update(&[0]);
        for row in read_file_on::<R>(disk, path)? {
            if row.retry_key().is_none_or(|key| seen.insert(key)) {
                rows.push(row);
            } else {
                summary.duplicates += 1;
            }
        }
        // What a merged file stood for stays out for good: a log that is replayed may write it again.
        replaced.append(&mut replaces_on(disk, path));
        replaced.insert(name);
    }
    let folder = partition.folder(data_dir);
    let merged = folder.join(format!("{MERGED_PREFIX}{:032x}.parquet", names.digest128()));
    let written = write_merged_on(disk, &merged, &partition.experiment, rows, &replaced)?;
    summary.rows += written.rows;
    summary.bytes_after += written.bytes;
    // The merged file is durable under its name, and these do not count any more.
    for path in paths {
        remove(disk, path)?;
    }
    sync_folder_on(disk, &folder)?;
    Ok(())
}

/// How a retry is told from another row.
pub(super) trait Retry: Record {
    /// Equal for two copies of one record; `None` where there is nothing to tell it by.
    fn retry_key(&self) -> Option<u128>;
}

impl Retry for Sample {
    /// Proxy, worker's epoch and sequence number, and what they number; imported legs have none.
    fn retry_key(&self) -> Option<u128> {
        let (proxy, worker, sequence) = (self.proxy.as_ref()?, self.worker.as_ref()?, self.sequence?);
        let mut key = Xxh3::new();
        for part in [proxy, worker, &self.sample_id, self.leg.as_str(), self.variant.as_str()] {
            key.update(part.as_bytes());
            key.update(&[0xff]);
        }
        key.update(&sequence.to_le_bytes());
        key.update(&self.ts_us.to_le_bytes());
        Some(key.digest128())
    }
}

impl Retry for Score {
    /// All of its fields.
    fn retry_key(&self) -> Option<u128> {
        let mut bytes = Vec::new();
        encode_row(self, &mut bytes);
        Some(xxh3_128(&bytes))
    }
}
