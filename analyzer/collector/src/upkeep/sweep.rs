//! What a killed run left behind: files that a merged one stands for, and temporary files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use weir_sample::disk::Disk;
use weir_sample::durable::{DurableError, sync_folder_on};
use weir_sample::replaced::{MERGED_PREFIX, is_merged, replaces_on};
use weir_sample::{Kind, Partition};

use super::remove;

/// A temporary file of this age belongs to nobody any more.
const TEMPORARY_AGE_MIN: Duration = Duration::from_secs(600);

/// Removes the files of one folder that do not count; returns those that do, and how many were removed.
pub(crate) fn sweep(
    disk: &dyn Disk,
    folder: &Path,
    files: Vec<PathBuf>,
) -> Result<(Vec<PathBuf>, u64), DurableError> {
    if files.len() < 2 {
        return Ok((files, 0));
    }
    let replaced: BTreeSet<String> =
        files.iter().filter(|path| is_merged(path)).flat_map(|path| replaces_on(disk, path)).collect();
    let (gone, kept): (Vec<_>, Vec<_>) = files
        .into_iter()
        .partition(|path| path.file_name().is_some_and(|name| replaced.contains(&*name.to_string_lossy())));
    for path in &gone {
        remove(disk, path)?;
    }
    if !gone.is_empty() {
        sync_folder_on(disk, folder)?;
    }
    Ok((kept, gone.len() as u64))
}

/// Removes temporary files of merges at once, and others that are old; returns how many. Makes durable what an earlier run removed.
pub(crate) fn sweep_temporary(disk: &dyn Disk, data_dir: &Path) -> Result<u64, DurableError> {
    let mut removed = 0;
    for kind in [Kind::Samples, Kind::Scores] {
        removed += below(disk, data_dir, &data_dir.join(kind.as_str()))?;
    }
    Ok(removed)
}

fn below(disk: &dyn Disk, data_dir: &Path, folder: &Path) -> Result<u64, DurableError> {
    let wrap = |source| DurableError { path: folder.to_path_buf(), action: "read the folder", source };
    let entries = match disk.list(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(wrap(error)),
    };
    let is_ours = Partition::of_folder(data_dir, folder).is_some();
    let mut removed = 0;
    for path in entries {
        if disk.is_own_folder(&path) {
            removed += below(disk, data_dir, &path)?;
        } else if is_ours && is_left_over(disk, &path) {
            remove(disk, &path)?;
            removed += 1;
        }
    }
    if is_ours {
        // What an interrupted run removed may be back after a power cut, and this run would not know that it was there.
        sync_folder_on(disk, folder)?;
    }
    Ok(removed)
}

fn is_left_over(disk: &dyn Disk, path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if !name.starts_with(".part-") || !name.ends_with(".parquet.tmp") {
        return false;
    }
    name.trim_start_matches('.').starts_with(MERGED_PREFIX)
        || disk.age(path).is_ok_and(|age| age >= TEMPORARY_AGE_MIN)
}
