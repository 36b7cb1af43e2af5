//! Upkeep of a data folder: small files merged, old ones removed, one identity erased.
//!
//! Invariants: one upkeep at a time per data folder (an advisory lock); a collector may run meanwhile; killed at any moment, a
//! reader sees every row exactly once, and the next run finishes what was begun. A file that is not ours, or damaged, is named and
//! left as it is. Which files count while they are exchanged is told in `weir_sample::replaced`.

mod compact;
mod forget;
mod log;
mod retain;
mod store;
mod sweep;

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use thiserror::Error;
use weir_sample::disk::Disk;
use weir_sample::durable::{DurableError, private_file};
use weir_sample::{FileError, Kind, Partition, list_all_files_on};

#[cfg(test)]
pub(crate) use compact::compact_on;
pub use compact::{CompactOptions, CompactSummary, MERGE_BYTES_MAX, OPEN_AFTER_US, compact};
#[cfg(test)]
pub(crate) use forget::erase_on;
pub use forget::{ForgetOptions, ForgetSummary, forget};
pub use store::{compact_store, forget_in_store};

use crate::{CollectorError, StoreError};

/// The name of the lock file in the data folder.
const LOCK_FILE: &str = ".upkeep.lock";

/// Why upkeep stopped. What was finished before stays so; running it again goes on.
#[derive(Debug, Error)]
pub enum UpkeepError {
    /// There is no data folder.
    #[error("{}: holds no data\n  hint: give the folder that `weir collect --data` or `weir import --data` writes to", .0.display())]
    NoData(PathBuf),
    /// Another upkeep is under way.
    #[error("{}: another `weir compact` or `weir forget` works on this data folder\n  hint: wait until it is done", .0.display())]
    Busy(PathBuf),
    /// The log of a running collector was not written out in time.
    #[error(
        "{} segments of the log are not in Parquet after {waited_s} s, and may hold samples of this identity\n  hint: see why the running collector cannot write Parquet (its log says), then try again; nothing was erased",
        segments
    )]
    LogWaits {
        /// How many.
        segments: usize,
        /// How long was waited, seconds.
        waited_s: u64,
    },
    /// The log without a collector could not be written out.
    #[error(transparent)]
    Log(#[from] CollectorError),
    /// The object store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file system refused.
    #[error(transparent)]
    Durable(#[from] DurableError),
    /// Parquet could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Files by partition.
pub(crate) type Hours = Vec<(Partition, Vec<PathBuf>)>;

/// Held as long as upkeep lasts.
#[derive(Debug)]
pub(crate) struct UpkeepLock(#[allow(dead_code, reason = "closing the file releases the lock")] File);

impl UpkeepLock {
    pub(crate) fn take(data_dir: &Path) -> Result<Self, UpkeepError> {
        if !["samples", "scores", "wal"].iter().any(|folder| data_dir.join(folder).is_dir()) {
            return Err(UpkeepError::NoData(data_dir.to_path_buf()));
        }
        let path = data_dir.join(LOCK_FILE);
        let wrap = |source| DurableError { path: path.clone(), action: "open the lock file", source };
        let file = private_file().create(true).truncate(false).open(&path).map_err(wrap)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(UpkeepError::Busy(path)),
            Err(TryLockError::Error(source)) => Err(wrap(source).into()),
        }
    }
}

/// All files by partition, those that do not count included, oldest hour first; and files in folders that are none of ours.
pub(crate) fn partitions(
    disk: &dyn Disk,
    data_dir: &Path,
    experiment: Option<&str>,
) -> Result<(Hours, Vec<PathBuf>), DurableError> {
    let mut found: BTreeMap<(i64, Partition), Vec<PathBuf>> = BTreeMap::new();
    let mut foreign = Vec::new();
    for kind in [Kind::Samples, Kind::Scores] {
        for path in list_all_files_on(disk, data_dir, kind, experiment)? {
            let partition = path.parent().and_then(|folder| Partition::of_folder(data_dir, folder));
            match partition.and_then(|partition| Some((partition.start_us()?, partition))) {
                Some(key) => found.entry(key).or_default().push(path),
                None => foreign.push(path),
            }
        }
    }
    Ok((found.into_iter().map(|((_, partition), files)| (partition, files)).collect(), foreign))
}

/// Removes a file; one that is gone already is no failure.
pub(crate) fn remove(disk: &dyn Disk, path: &Path) -> Result<(), DurableError> {
    match disk.remove(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(DurableError { path: path.to_path_buf(), action: "remove", source })
        }
        _ => Ok(()),
    }
}

/// Size of a file, bytes; 0 when it is gone.
pub(crate) fn size(disk: &dyn Disk, path: &Path) -> u64 {
    disk.size(path).unwrap_or(0)
}
