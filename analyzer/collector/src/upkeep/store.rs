//! Upkeep of an object store: the same work on the same code, with the bucket as the disk.
//!
//! One upkeep at a time: an object that only one writer can create says that one is under way ([`LOCK`]); a killed one leaves it
//! behind, and the error of the next says what to remove. Killed at any moment, readers see every row once, as in a data folder.

use std::path::PathBuf;

use jiff::Timestamp;

use super::UpkeepError;
use super::compact::{CompactOptions, CompactSummary, compact_on};
use super::forget::{ForgetOptions, ForgetSummary, erase_on};
use crate::store::{ROOT, Store, StoreDisk, StoreError, StoreOptions, with_store};

/// The object that says that an upkeep is under way.
const LOCK: &str = ".upkeep.lock";

/// As `compact`, in a store; `options.data_dir` is not heeded. Must not be called on a tokio runtime.
///
/// # Errors
/// As `compact`, and what the store refuses.
pub fn compact_store(store: &StoreOptions, options: &CompactOptions) -> Result<CompactSummary, UpkeepError> {
    let options = CompactOptions { data_dir: PathBuf::from(ROOT), ..options.clone() };
    locked(store, options.dry_run, |disk| compact_on(disk, &options))
}

/// As `forget`, in a store; `options.data_dir` is not heeded. What collectors have in their logs is not in the store yet:
/// forget in their data folders first. Must not be called on a tokio runtime.
///
/// # Errors
/// As `forget`, and what the store refuses.
pub fn forget_in_store(store: &StoreOptions, options: &ForgetOptions) -> Result<ForgetSummary, UpkeepError> {
    let options = ForgetOptions { data_dir: PathBuf::from(ROOT), ..options.clone() };
    locked(store, options.dry_run, |disk| {
        let mut summary = ForgetSummary::default();
        erase_on(disk, &options, &mut summary)?;
        Ok(summary)
    })
}

fn locked<T>(
    options: &StoreOptions,
    dry_run: bool,
    work: impl FnOnce(&StoreDisk) -> Result<T, UpkeepError>,
) -> Result<T, UpkeepError> {
    with_store(options, |store| {
        if dry_run {
            return work(&StoreDisk::new(store));
        }
        lock(&store)?;
        let disk = StoreDisk::new(store);
        let done = work(&disk);
        let freed = disk.store().delete(LOCK);
        let done = done?;
        freed.map_err(|error| StoreError::Put { key: LOCK.to_owned(), problem: error.to_string() })?;
        Ok(done)
    })?
}

fn lock(store: &Store) -> Result<(), StoreError> {
    let failed =
        |problem: std::io::Error| StoreError::Put { key: LOCK.to_owned(), problem: problem.to_string() };
    if store.put_new(LOCK, Timestamp::now().to_string()).map_err(failed)? {
        return Ok(());
    }
    let since = store.get(LOCK).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Err(StoreError::Busy { key: LOCK.to_owned(), since: since.unwrap_or_default() })
}
