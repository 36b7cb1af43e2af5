//! Which files count when some have been merged: a merged file names those that it stands for, and those do not count any more.
//!
//! A merge writes `part-compact-<hash of the names>.parquet` beside its sources, whose footer lists them under the key
//! [`METADATA_REPLACES`]; then the sources are deleted. Its rename is the moment of exchange: before it the sources
//! count, after it the merged file does, whether the sources are there still, or again (a log that is replayed after a
//! crash writes its files anew). The list keeps every name for ever, those of merged files that were merged again, too.
//!
//! Invariants: no name is used twice for other rows, so that a listing by [`settled`] is the folder as it was at one moment;
//! a reader that finds a file gone since it was listed lists again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use parquet::file::metadata::ParquetMetaDataReader;

use crate::disk::{Disk, RealDisk};

/// Metadata key of a merged file: the names of the files that it stands for, one per line, sorted.
pub const METADATA_REPLACES: &str = "weir.replaces";
/// How the names of merged files begin.
pub const MERGED_PREFIX: &str = "part-compact-";

const LISTINGS_MAX: usize = 1_000;

/// Whether a file is a merged one, by its name.
#[must_use]
pub fn is_merged(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(MERGED_PREFIX))
}

/// The names that a file stands for; none where it is not a merged file, or not a readable one.
#[must_use]
pub fn replaces(path: &Path) -> BTreeSet<String> {
    replaces_on(&RealDisk, path)
}

/// [`replaces`] on a given file system.
#[must_use]
pub fn replaces_on(disk: &dyn Disk, path: &Path) -> BTreeSet<String> {
    let read = || {
        let metadata = ParquetMetaDataReader::new().parse_and_finish(&disk.open(path).ok()?).ok()?;
        let pairs = metadata.file_metadata().key_value_metadata()?;
        let names = pairs.iter().find(|pair| pair.key == METADATA_REPLACES)?.value.as_deref()?;
        Some(names.lines().map(str::to_owned).collect())
    };
    read().unwrap_or_default()
}

/// Lists until nothing that was seen has gone, so that no file is missed that was exchanged meanwhile; sorted.
///
/// # Errors
/// That of `list`.
pub fn settled<E>(mut list: impl FnMut() -> Result<Vec<PathBuf>, E>) -> Result<Vec<PathBuf>, E> {
    let mut before = list()?;
    before.sort();
    for _ in 0..LISTINGS_MAX {
        let mut now = list()?;
        now.sort();
        if before.iter().all(|path| now.binary_search(path).is_ok()) {
            return Ok(now);
        }
        before = now;
    }
    Ok(before)
}

/// Leaves out the files that a merged file of their folder stands for.
#[must_use]
pub fn without_replaced(paths: Vec<PathBuf>) -> Vec<PathBuf> {
    without_replaced_on(&RealDisk, paths)
}

/// [`without_replaced`] on a given file system.
#[must_use]
pub fn without_replaced_on(disk: &dyn Disk, paths: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut folders: BTreeMap<&Path, (u64, Vec<&PathBuf>)> = BTreeMap::new();
    for path in &paths {
        let folder = folders.entry(path.parent().unwrap_or(path)).or_default();
        folder.0 += 1;
        if is_merged(path) {
            folder.1.push(path);
        }
    }
    let mut replaced = BTreeSet::new();
    for (folder, (files, merged)) in folders {
        // The usual case, a merged file alone, costs no look into it.
        if files > 1 {
            for path in merged {
                replaced.extend(replaces_on(disk, path).into_iter().map(|name| folder.join(name)));
            }
        }
    }
    if replaced.is_empty() {
        return paths;
    }
    paths.into_iter().filter(|path| !replaced.contains(path)).collect()
}
