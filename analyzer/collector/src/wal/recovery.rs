//! What a start finds in the log's folder: keys of finished segments, segments that wait, and damage.
//!
//! Invariants: nothing foreign is touched, only named; a segment with a key file is finished and deleted; of a record that several
//! segments have, the first one's counts.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use weir_sample::durable::{DurableError, sync_folder};

use super::keys::{RecentKeys, decode_seen};
use super::segment::scan;
use super::writer::Sealed;
use super::{KEYS_MAX, SEEN_FILES_MAX, SegmentId};
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

/// Reads the folder.
///
/// # Errors
/// The folder or a segment cannot be read: going on would hide acknowledged rows.
pub(crate) fn recover(folder: &Path, status: &Status) -> Result<Recovered, DurableError> {
    let (segments, mut seen) = list(folder, status)?;
    let mut recovered = Recovered {
        keys: RecentKeys::new(KEYS_MAX),
        waiting: Vec::new(),
        waiting_bytes: 0,
        seen: VecDeque::new(),
        run_min: segments.keys().chain(seen.keys()).map(|id| id.run + 1).max().unwrap_or(1),
    };
    while seen.len() > SEEN_FILES_MAX
        && seen.first_key_value().is_some_and(|(id, _)| !segments.contains_key(id))
    {
        if let Some((_, path)) = seen.pop_first() {
            let _ = std::fs::remove_file(path);
        }
    }
    for path in seen.values() {
        match decode_seen(&read(path)?) {
            Some(keys) => keys.into_iter().for_each(|key| {
                recovered.keys.insert(key);
            }),
            None => status
                .log(&format!("{}: the keys are damaged; late retries may be stored twice", path.display())),
        }
        recovered.seen.push_back(path.clone());
    }
    for (id, path) in segments {
        if seen.contains_key(&id) {
            std::fs::remove_file(&path).map_err(|source| DurableError {
                path: path.clone(),
                action: "remove",
                source,
            })?;
            continue;
        }
        wait_for(id, path, &mut recovered, status)?;
    }
    sync_folder(folder)?;
    Ok(recovered)
}

type Names = BTreeMap<SegmentId, PathBuf>;

fn list(folder: &Path, status: &Status) -> Result<(Names, Names), DurableError> {
    let wrap = |source| DurableError { path: folder.to_path_buf(), action: "read the folder", source };
    let (mut segments, mut seen) = (Names::new(), Names::new());
    for entry in std::fs::read_dir(folder).map_err(wrap)? {
        let path = entry.map_err(wrap)?.path();
        let id = path.file_stem().and_then(|name| name.to_str()).and_then(SegmentId::parse);
        let ending = path.extension().and_then(|ending| ending.to_str());
        match (id, ending) {
            (Some(id), Some("wal")) => drop(segments.insert(id, path)),
            (Some(id), Some("seen")) => drop(seen.insert(id, path)),
            _ if path.file_name().is_some_and(|name| name == crate::lock::LOCK_FILE) => {}
            // A key file that was being written; its segment is still there and makes it again.
            _ if path.to_string_lossy().ends_with(".seen.tmp") => drop(std::fs::remove_file(&path)),
            _ => status.log(&format!("{}: not read, and not touched", path.display())),
        }
    }
    Ok((segments, seen))
}

fn wait_for(
    id: SegmentId,
    path: PathBuf,
    recovered: &mut Recovered,
    status: &Status,
) -> Result<(), DurableError> {
    let bytes = read(&path)?;
    let scan = scan(id, &bytes);
    if let Some(version) = scan.newer {
        status.log(&format!(
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

fn read(path: &Path) -> Result<Vec<u8>, DurableError> {
    std::fs::read(path).map_err(|source| DurableError { path: path.to_path_buf(), action: "read", source })
}
