//! The write-ahead log, seen from upkeep: written out to Parquet before anything is erased, so that nothing comes back from it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use weir_sample::disk::{Disk, RealDisk};
use weir_sample::durable::DurableError;
use weir_sample::row::decode_row;
use weir_sample::{Kind, Sample};

use super::UpkeepError;
use crate::CollectorError;
use crate::drain::Drain;
use crate::lock::DataLock;
use crate::status::{LogSink, Status};
use crate::wal::SegmentId;
use crate::wal::recovery::recover;
use crate::wal::segment::scan;

/// Between two looks at the log of a running collector.
const PAUSE: Duration = Duration::from_millis(50);

/// Lets everything that is in the log now become Parquet: by the running collector, or here when there is none.
pub(super) fn write_out(data_dir: &Path, patience: Duration, log: &LogSink) -> Result<(), UpkeepError> {
    let folder = data_dir.join("wal");
    if !folder.is_dir() {
        return Ok(());
    }
    match DataLock::take(&folder) {
        Ok(lock) => {
            let left = drain_here(data_dir, &folder, log)?;
            drop(lock);
            if left == 0 { Ok(()) } else { Err(CollectorError::Undrained { segments: left }.into()) }
        }
        Err(CollectorError::Locked { .. }) => wait_for_collector(&folder, patience),
        Err(error) => Err(error.into()),
    }
}

fn drain_here(data_dir: &Path, folder: &Path, log: &LogSink) -> Result<usize, UpkeepError> {
    let status = Arc::new(Status::new(Arc::clone(log)));
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let recovered = recover(&*disk, folder, &status)?;
    let (sealed, to_drain) = channel();
    for segment in recovered.waiting {
        // The receiver is at hand, so this cannot fail.
        let _ = sealed.send(segment);
    }
    drop(sealed);
    let stop_at = Arc::new(OnceLock::new());
    // A first failure ends it: nobody waits here for a full disk.
    let _ = stop_at.set(Instant::now());
    let drain = Drain {
        disk,
        data_dir: data_dir.to_path_buf(),
        wal_dir: folder.to_path_buf(),
        seen: recovered.seen,
        status,
        stop_at,
        written: None,
        store: None,
    };
    Ok(drain.run(&to_drain))
}

fn wait_for_collector(folder: &Path, patience: Duration) -> Result<(), UpkeepError> {
    let mut waiting: BTreeSet<PathBuf> = segments(folder)?.into_iter().collect();
    let until = Instant::now() + patience;
    loop {
        waiting.retain(|path| path.exists());
        if waiting.is_empty() {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(UpkeepError::LogWaits { segments: waiting.len(), waited_s: patience.as_secs() });
        }
        #[allow(
            clippy::disallowed_methods,
            reason = "upkeep runs on a thread of its own, not an executor's"
        )]
        std::thread::sleep(PAUSE);
    }
}

/// Calls `found` with every sample that waits in the log, without changing it.
pub(super) fn each_sample(data_dir: &Path, mut found: impl FnMut(&Sample)) -> Result<(), DurableError> {
    let folder = data_dir.join("wal");
    if !folder.is_dir() {
        return Ok(());
    }
    for path in segments(&folder)? {
        let id = path.file_stem().and_then(|name| name.to_str()).and_then(SegmentId::parse);
        // One that is gone has become Parquet.
        let (Some(id), Ok(bytes)) = (id, std::fs::read(&path)) else { continue };
        for record in scan(id, &bytes).found.iter().filter(|record| record.kind == Kind::Samples) {
            if let Ok(sample) = decode_row::<Sample>(record.row) {
                found(&sample);
            }
        }
    }
    Ok(())
}

/// Segments that were kept because they hold damage: their good records are in Parquet, the rest nobody can read.
pub(super) fn damaged(data_dir: &Path) -> Result<Vec<PathBuf>, DurableError> {
    let folder = data_dir.join("wal");
    if folder.is_dir() { with_ending(&folder, "damaged") } else { Ok(Vec::new()) }
}

fn segments(folder: &Path) -> Result<Vec<PathBuf>, DurableError> {
    with_ending(folder, "wal")
}

fn with_ending(folder: &Path, ending: &str) -> Result<Vec<PathBuf>, DurableError> {
    let wrap = |source| DurableError { path: folder.to_path_buf(), action: "read the folder", source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(wrap)? {
        let path = entry.map_err(wrap)?.path();
        if path.extension().is_some_and(|of_file| of_file == ending) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
