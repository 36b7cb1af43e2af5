//! What a start finds in the log's folder: keys of finished segments, segments that wait, and damage.
//!
//! Invariants: nothing foreign is touched, only named; a segment with a whole key file is finished and deleted; of a record that several
//! segments have, the first one's counts. What the process before left unsynced is synced before it is built upon: a retry of
//! a record that is only in the system's memory would otherwise be acknowledged as durable.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use weir_sample::disk::Disk;
use weir_sample::durable::{DurableError, create_folder_on, parent, sync_folder_on, write_atomically_on};

use super::keys::{RecentKeys, decode_seen};
use super::segment::scan;
use super::writer::Sealed;
use super::{KEYS_MAX, SEEN_FILES_MAX, SegmentId};
use crate::events::EventKind;
use crate::status::Status;

/// The state that a writer and a drain go on from.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) keys: RecentKeys,
    /// In the order of their names.
    pub(crate) waiting: Vec<Sealed>,
    /// Bytes of the waiting segments.
    pub(crate) waiting_bytes: u64,
    /// Key files on disk, oldest first.
    pub(crate) seen: VecDeque<PathBuf>,
    /// Larger than the run of every name in the folder.
    pub(crate) run_min: u64,
}

/// Creates the log's folder in the data folder; both names are durable then.
pub(crate) fn open_folder(disk: &dyn Disk, data_dir: &Path) -> Result<PathBuf, DurableError> {
    let folder = data_dir.join("wal");
    create_folder_on(disk, data_dir, &folder)?;
    // The one before may have died between creating the data folder and this; a folder above that cannot be opened is not ours.
    let _ = disk.sync_folder(parent(data_dir));
    Ok(folder)
}

/// Reads the folder.
///
/// # Errors
/// The folder or a segment cannot be read or synced: going on would hide acknowledged rows.
pub(crate) fn recover(disk: &dyn Disk, folder: &Path, status: &Status) -> Result<Recovered, DurableError> {
    // A segment is only deleted behind a key file whose name is durable.
    sync_folder_on(disk, folder)?;
    let (segments, seen) = list(disk, folder, status)?;
    let mut recovered = Recovered {
        keys: RecentKeys::new(KEYS_MAX),
        waiting: Vec::new(),
        waiting_bytes: 0,
        seen: VecDeque::new(),
        run_min: segments.keys().chain(seen.keys()).map(|id| id.run + 1).max().unwrap_or(1),
    };
    let finished = recent_keys(disk, seen, &segments, &mut recovered, status)?;
    for (id, path) in segments {
        if finished.contains(&id) {
            // Damage is kept for whoever wants to look, as the drain was about to do.
            let damaged = scan(id, &read(disk, &path)?).damaged > 0;
            let kept = path.with_extension("damaged");
            let ended = if damaged { disk.rename(&path, &kept) } else { disk.remove(&path) };
            ended.map_err(|source| DurableError { path, action: "remove", source })?;
        } else if !is_too_large(disk, &path, status)? {
            wait_for(disk, id, path, &mut recovered, status)?;
        }
    }
    while recovered.seen.len() > SEEN_FILES_MAX {
        if let Some(path) = recovered.seen.pop_front() {
            // If it stays, the next start tries again.
            let _ = disk.remove(&path);
        }
    }
    sync_folder_on(disk, folder)?;
    Ok(recovered)
}

/// The keys of the newest key files, as many as are remembered; returns the segments that are finished.
fn recent_keys(
    disk: &dyn Disk,
    seen: Names,
    segments: &Names,
    recovered: &mut Recovered,
    status: &Status,
) -> Result<BTreeSet<SegmentId>, DurableError> {
    let mut finished = BTreeSet::new();
    let mut newest_first = Vec::new();
    let mut keys = 0;
    for (id, path) in seen.into_iter().rev() {
        if is_too_large(disk, &path, status)? {
            continue;
        }
        // Older ones would be forgotten again, and 256 files take time to read.
        if keys >= KEYS_MAX && !segments.contains_key(&id) {
            recovered.seen.push_front(path);
            continue;
        }
        match decode_seen(&read(disk, &path)?) {
            Some(found) => {
                keys += found.len();
                finished.insert(id);
                newest_first.push(found);
                recovered.seen.push_front(path);
            }
            None => status.event(
                EventKind::Damaged,
                &format!(
                    "{}: is no whole key file; left as it is, late retries may be stored twice",
                    path.display()
                ),
            ),
        }
    }
    for key in newest_first.into_iter().rev().flatten() {
        recovered.keys.insert(key);
    }
    Ok(finished)
}

type Names = BTreeMap<SegmentId, PathBuf>;

fn list(disk: &dyn Disk, folder: &Path, status: &Status) -> Result<(Names, Names), DurableError> {
    let wrap = |source| DurableError { path: folder.to_path_buf(), action: "read the folder", source };
    let (mut segments, mut seen) = (Names::new(), Names::new());
    for path in disk.list(folder).map_err(wrap)? {
        let id = path.file_stem().and_then(|name| name.to_str()).and_then(SegmentId::parse);
        let ending = path.extension().and_then(|ending| ending.to_str());
        match (id, ending) {
            (Some(id), Some("wal")) => drop(segments.insert(id, path)),
            (Some(id), Some("seen")) => drop(seen.insert(id, path)),
            _ if path.file_name().is_some_and(|name| name == crate::lock::LOCK_FILE) => {}
            // A file that was being written; what it was made from is still there.
            _ if is_unfinished(&path) => drop(disk.remove(&path)),
            _ => status.foreign(&format!("{}: not read, and not touched", path.display())),
        }
    }
    Ok((segments, seen))
}

/// `.<segment>.seen.tmp` or `.wal.tmp`, as this program and nobody else names its files.
fn is_unfinished(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let inner = name.strip_prefix('.').and_then(|name| name.strip_suffix(".tmp"));
    let inner = inner.and_then(|name| name.strip_suffix(".seen").or_else(|| name.strip_suffix(".wal")));
    inner.and_then(SegmentId::parse).is_some()
}

fn wait_for(
    disk: &dyn Disk,
    id: SegmentId,
    path: PathBuf,
    recovered: &mut Recovered,
    status: &Status,
) -> Result<(), DurableError> {
    let bytes = read(disk, &path)?;
    if let Err(error) = disk.sync_file(&path) {
        // A second sync would prove nothing; a new file does.
        let text = format!("{}: cannot sync: {error}; its content is written anew", path.display());
        status.event(EventKind::Disk, &text);
        write_atomically_on(disk, &path, |file| {
            let wrap = |source| DurableError { path: path.clone(), action: "write", source };
            file.write_all(&bytes).map_err(wrap)
        })?;
    }
    let scan = scan(id, &bytes);
    if let Some(version) = scan.newer {
        status.foreign(&format!(
            "{}: has format version {version}, this program reads {}; left as it is\n  hint: start the newer version once, so that it finishes the segment",
            path.display(),
            super::FORMAT_VERSION
        ));
        return Ok(());
    }
    status.recovered(scan.found.len() as u64, scan.damaged, scan.torn);
    let skip: Vec<usize> = scan
        .found
        .iter()
        .filter(|found| !recovered.keys.insert(found.key))
        .map(|found| found.offset)
        .collect();
    recovered.waiting_bytes += bytes.len() as u64;
    recovered.waiting.push(Sealed { id, path, durable_bytes: None, skip });
    Ok(())
}

/// A file of our name that this program cannot have written: named, and left as it is.
fn is_too_large(disk: &dyn Disk, path: &Path, status: &Status) -> Result<bool, DurableError> {
    let wrap = |source| DurableError { path: path.to_path_buf(), action: "read the size", source };
    let bytes = disk.size(path).map_err(wrap)?;
    let is = bytes > super::FILE_BYTES_MAX;
    if is {
        status.foreign(&format!(
            "{}: has {bytes} bytes, a file of the log at most {}; not read, and not touched",
            path.display(),
            super::FILE_BYTES_MAX
        ));
    }
    Ok(is)
}

fn read(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>, DurableError> {
    disk.read(path).map_err(|source| DurableError { path: path.to_path_buf(), action: "read", source })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use crate::simulation::{Call, SimDisk};
    use crate::wal::keys::encode_seen;
    use std::sync::Arc;

    #[test]
    fn the_newest_keys_are_remembered_and_older_files_are_not_even_read() {
        let disk = SimDisk::new(1);
        let status = Status::new(Arc::new(|_| {}));
        let folder = open_folder(&disk, Path::new("/data")).unwrap();
        let newest = KEYS_MAX as u128;
        for (number, keys) in [(1, 0..1), (2, 1..newest), (3, newest..newest + 1)] {
            let name = format!("{}.seen", SegmentId { run: 9, number }.name());
            let mut file = disk.create(&folder.join(name)).unwrap();
            file.write_all(&encode_seen(keys)).unwrap();
        }
        disk.forget_calls();
        let mut recovered = recover(&disk, &folder, &status).unwrap();
        assert_eq!(disk.calls().iter().filter(|call| **call == Call::Read).count(), 2);
        assert_eq!((recovered.seen.len(), recovered.run_min), (3, 10));
        assert!(!recovered.keys.insert(newest) && !recovered.keys.insert(1));
        assert!(recovered.keys.insert(0), "beyond what is remembered");
    }
}
