//! What a killed run left behind: files that a merged one stands for, and temporary files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use weir_sample::durable::{DurableError, sync_folder};
use weir_sample::replaced::{MERGED_PREFIX, is_merged, replaces};
use weir_sample::{Kind, Partition};

use super::remove;

/// A temporary file of this age belongs to nobody any more.
const TEMPORARY_AGE_MIN: Duration = Duration::from_secs(600);

/// Removes the files of one folder that do not count; returns those that do, and how many were removed.
pub(crate) fn sweep(folder: &Path, files: Vec<PathBuf>) -> Result<(Vec<PathBuf>, u64), DurableError> {
    if files.len() < 2 {
        return Ok((files, 0));
    }
    let replaced: BTreeSet<String> =
        files.iter().filter(|path| is_merged(path)).flat_map(|path| replaces(path)).collect();
    let (gone, kept): (Vec<_>, Vec<_>) = files
        .into_iter()
        .partition(|path| path.file_name().is_some_and(|name| replaced.contains(&*name.to_string_lossy())));
    for path in &gone {
        remove(path)?;
    }
    if !gone.is_empty() {
        sync_folder(folder)?;
    }
    Ok((kept, gone.len() as u64))
}

/// Removes temporary files of merges at once, and others that are old; returns how many.
pub(crate) fn sweep_temporary(data_dir: &Path) -> Result<u64, DurableError> {
    let mut removed = 0;
    for kind in [Kind::Samples, Kind::Scores] {
        removed += below(data_dir, &data_dir.join(kind.as_str()))?;
    }
    Ok(removed)
}

fn below(data_dir: &Path, folder: &Path) -> Result<u64, DurableError> {
    let wrap = |source| DurableError { path: folder.to_path_buf(), action: "read the folder", source };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(wrap(error)),
    };
    let is_ours = Partition::of_folder(data_dir, folder).is_some();
    let mut removed = 0;
    for entry in entries {
        let entry = entry.map_err(wrap)?;
        if entry.file_type().map_err(wrap)?.is_dir() {
            removed += below(data_dir, &entry.path())?;
        } else if is_ours && is_left_over(&entry) {
            remove(&entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

fn is_left_over(entry: &std::fs::DirEntry) -> bool {
    let name = entry.file_name();
    let name = name.to_string_lossy();
    if !name.starts_with(".part-") || !name.ends_with(".parquet.tmp") {
        return false;
    }
    let changed = entry.metadata().and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::now());
    name.trim_start_matches('.').starts_with(MERGED_PREFIX)
        || changed.elapsed().is_ok_and(|age| age >= TEMPORARY_AGE_MIN)
}
