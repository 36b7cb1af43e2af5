//! Retention: the oldest closed hours go first, whole, by age and by the bytes of everything.

use std::path::{Path, PathBuf};

use weir_sample::Partition;
use weir_sample::disk::Disk;
use weir_sample::durable::{DurableError, sync_folder_on};

use super::{CompactOptions, CompactSummary, Hours, remove, size};

const DAY_US: i64 = 86_400_000_000;

/// Removes what is not to be kept; returns what is left. `hours` are oldest first.
pub(crate) fn retain(
    disk: &dyn Disk,
    options: &CompactOptions,
    hours: Hours,
    summary: &mut CompactSummary,
) -> Result<Hours, DurableError> {
    if options.keep_days.is_none() && options.keep_bytes.is_none() {
        return Ok(hours);
    }
    let oldest_us = options.keep_days.map(|days| options.now_us.saturating_sub(i64::from(days) * DAY_US));
    let bytes = |files: &[PathBuf]| files.iter().map(|path| size(disk, path)).sum::<u64>();
    let mut all: u64 = hours.iter().map(|(_, files)| bytes(files)).sum();
    let mut kept = Vec::new();
    for (partition, files) in hours {
        let of_hour = bytes(&files);
        let too_old = oldest_us.is_some_and(|oldest| options.end_us(&partition) <= oldest);
        let too_much = options.keep_bytes.is_some_and(|keep| all > keep);
        if !options.is_closed(&partition) || !(too_old || too_much) {
            kept.push((partition, files));
            continue;
        }
        all -= of_hour;
        summary.removed_hours += 1;
        summary.removed_files += files.len() as u64;
        summary.removed_bytes += of_hour;
        if !options.dry_run {
            empty(disk, &options.data_dir, &partition, &files)?;
        }
    }
    Ok(kept)
}

fn empty(
    disk: &dyn Disk,
    data_dir: &Path,
    partition: &Partition,
    files: &[PathBuf],
) -> Result<(), DurableError> {
    let folder = partition.folder(data_dir);
    // Merged files last: until then they keep out what they stand for.
    let (merged, others): (Vec<&PathBuf>, Vec<&PathBuf>) =
        files.iter().partition(|path| weir_sample::replaced::is_merged(path));
    for path in others {
        remove(disk, path)?;
    }
    sync_folder_on(disk, &folder)?;
    for path in merged {
        remove(disk, path)?;
    }
    sync_folder_on(disk, &folder)?;
    // Folders that are empty now; one that is not stays, and a collector makes it again when it needs it.
    let _ = disk
        .remove_folder(&folder)
        .and_then(|()| folder.parent().map_or(Ok(()), |date| disk.remove_folder(date)));
    Ok(())
}
