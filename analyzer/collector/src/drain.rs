//! Sealed segments become Parquet, in order, and are deleted when that is durable.
//!
//! A failure (a full disk, a folder without rights) is tried again with growing pauses; the log keeps the rows meanwhile. On an
//! orderly stop it gives up after a time and leaves the rest to the next start.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use thiserror::Error;
use weir_sample::disk::Disk;
use weir_sample::durable::{DurableError, sync_folder_on, write_atomically_on};
use weir_sample::row::decode_row;
use weir_sample::{FileError, Kind, Partition, Record, Sample, Score, list_files, write_samples_on};

use crate::events::EventKind;
use crate::status::Status;
use crate::store::{Store, StoreError};
use crate::wal::keys::encode_seen;
use crate::wal::segment::{Found, scan};
use crate::wal::writer::Sealed;
use crate::wal::{SEEN_FILES_MAX, SegmentId};

const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Why a segment is not in Parquet yet.
#[derive(Debug, Error)]
pub(crate) enum DrainError {
    #[error(transparent)]
    Durable(#[from] DurableError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub(crate) struct Drain {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) data_dir: PathBuf,
    pub(crate) wal_dir: PathBuf,
    pub(crate) seen: VecDeque<PathBuf>,
    pub(crate) status: Arc<Status>,
    /// Set on an orderly stop: after it, failures end the drain.
    pub(crate) stop_at: Arc<std::sync::OnceLock<Instant>>,
    /// A segment whose rows are in Parquet and whose end failed; the next try goes on from there.
    pub(crate) written: Option<Written>,
    /// Where the files go from the data folder.
    pub(crate) store: Option<Store>,
}

/// What is left to do when the rows of a segment are durable in Parquet.
#[derive(Debug)]
pub(crate) struct Written {
    id: SegmentId,
    /// Of the log.
    bytes: u64,
    /// Content of the key file; `None` when that is durable, too.
    keys: Option<Vec<u8>>,
    /// Holds damage that somebody may want to look at.
    keep: bool,
    /// Removed or kept aside.
    away: bool,
}

impl Drain {
    /// Works until the writer is gone and everything is done. Returns the segments that are left.
    pub(crate) fn run(mut self, sealed: &Receiver<Sealed>) -> usize {
        let mut left = 0;
        let mut left_over = self.store.is_some() && !self.upload_left_over();
        for segment in sealed {
            left_over = left_over && !self.upload_left_over();
            if left > 0 || !self.finish(&segment) {
                left += 1;
            }
        }
        left
    }

    /// Tries until it worked (true) or the time of an orderly stop is over (false).
    fn finish(&mut self, segment: &Sealed) -> bool {
        let mut pause = PAUSE_MIN;
        loop {
            let Err(error) = self.drain(segment) else {
                self.status.drain_failing.store(false, Relaxed);
                return true;
            };
            self.status.drain_failures.fetch_add(1, Relaxed);
            self.status.drain_failing.store(true, Relaxed);
            let text = format!("cannot write Parquet, the log keeps the rows: {error}");
            self.status.event(EventKind::ParquetFailed, &text);
            if self.stop_at.get().is_some_and(|at| Instant::now() + pause > *at) {
                return false;
            }
            #[allow(clippy::disallowed_methods, reason = "a thread of its own, not an executor's")]
            std::thread::sleep(pause);
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// One try.
    pub(crate) fn drain(&mut self, segment: &Sealed) -> Result<(), DrainError> {
        let mut written = match self.written.take().filter(|written| written.id == segment.id) {
            Some(written) => written,
            None => self.write(segment)?,
        };
        if let Err(error) = self.end(segment, &mut written) {
            self.written = Some(written);
            return Err(error.into());
        }
        self.status.segment_finished(segment.id, written.bytes);
        Ok(())
    }

    fn write(&self, segment: &Sealed) -> Result<Written, DrainError> {
        let read = |source| DurableError { path: segment.path.clone(), action: "read", source };
        let bytes = self.disk.read(&segment.path).map_err(read)?;
        let durable =
            segment.durable_bytes.map_or(bytes.len(), |len| usize::try_from(len).unwrap_or(usize::MAX));
        let scan = scan(segment.id, bytes.get(..durable).unwrap_or(&bytes));
        let (samples, bad_samples) = rows::<Sample>(segment, &scan.found);
        let (scores, bad_scores) = rows::<Score>(segment, &scan.found);
        let name = format!("part-{}", segment.id.name());
        let mut gaps = self.status.gaps();
        samples.iter().for_each(|sample| gaps.observe(sample));
        drop(gaps);
        let (disk, data_dir) = (&*self.disk, &self.data_dir);
        let files = [
            write_samples_on(disk, data_dir, &name, samples)?,
            write_samples_on(disk, data_dir, &name, scores)?,
        ];
        for file in files.iter().flatten() {
            self.upload(&file.path)?;
            self.status.files.fetch_add(1, Relaxed);
            self.status.file_bytes.fetch_add(file.bytes, Relaxed);
            self.status.rows.fetch_add(file.rows, Relaxed);
        }
        let unreadable = bad_samples + bad_scores;
        self.status.damaged(unreadable);
        // Damage inside a log that was acknowledged: nothing can be repaired, but somebody may want to look.
        let lost_acknowledged = segment.durable_bytes.is_some_and(|len| len > 0) && scan.torn;
        Ok(Written {
            id: segment.id,
            bytes: durable.min(bytes.len()) as u64,
            keys: Some(encode_seen(scan.found.iter().map(|found| found.key))),
            keep: scan.damaged > 0 || unreadable > 0 || lost_acknowledged,
            away: false,
        })
    }

    /// Sends a file to the store, if there is one, and removes it here: the store has it, durable, before the log lets go.
    fn upload(&self, path: &Path) -> Result<(), DrainError> {
        let Some(store) = &self.store else { return Ok(()) };
        let wrap = |action| move |source| DurableError { path: path.to_path_buf(), action, source };
        let bytes = self.disk.read(path).map_err(wrap("read"))?;
        let name = path.strip_prefix(&self.data_dir).unwrap_or(path).to_string_lossy();
        store.put(&name, bytes, || self.stop_at.get().is_some_and(|at| Instant::now() >= *at))?;
        self.disk.remove(path).map_err(wrap("remove"))?;
        Ok(())
    }

    /// Sends what an interrupted run or `weir forget` has left in the data folder; false when it has to be tried again.
    fn upload_left_over(&self) -> bool {
        let all = || -> Result<(), DrainError> {
            for kind in [Kind::Samples, Kind::Scores] {
                for path in list_files(&self.data_dir, kind, None)? {
                    self.upload(&path)?;
                }
            }
            Ok(())
        };
        let done = all();
        if let Err(error) = &done {
            self.status.event(EventKind::ParquetFailed, &format!("cannot send what is left: {error}"));
        }
        done.is_ok()
    }

    fn end(&mut self, segment: &Sealed, written: &mut Written) -> Result<(), DurableError> {
        if let Some(keys) = &written.keys {
            let seen = self.wal_dir.join(format!("{}.seen", segment.id.name()));
            self.write_seen(&seen, keys)?;
            written.keys = None;
            self.seen.push_back(seen);
            self.forget_old_keys();
        }
        if written.keep && !written.away {
            self.keep_aside(&segment.path)?;
            written.away = true;
        }
        if !written.away {
            match self.disk.remove(&segment.path) {
                Err(source) if source.kind() != ErrorKind::NotFound => {
                    return Err(DurableError { path: segment.path.clone(), action: "remove", source });
                }
                _ => written.away = true,
            }
        }
        if let Err(error) = sync_folder_on(&*self.disk, &self.wal_dir) {
            // A segment that is back after a power cut is removed by the start, its key file is durable.
            self.status.event(EventKind::Disk, &error.to_string());
        }
        Ok(())
    }

    fn write_seen(&self, path: &Path, content: &[u8]) -> Result<(), DurableError> {
        write_atomically_on(&*self.disk, path, |file| {
            file.write_all(content).map_err(|source| DurableError {
                path: path.to_path_buf(),
                action: "write",
                source,
            })
        })
    }

    fn keep_aside(&self, path: &Path) -> Result<(), DurableError> {
        let kept = path.with_extension("damaged");
        let text = format!(
            "{}: holds damaged records; the good ones are in Parquet, the file is kept as {}",
            path.display(),
            kept.display()
        );
        self.status.event(EventKind::Damaged, &text);
        match self.disk.rename(path, &kept) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                Err(DurableError { path: path.to_path_buf(), action: "rename", source })
            }
            _ => Ok(()),
        }
    }

    fn forget_old_keys(&mut self) {
        while self.seen.len() > SEEN_FILES_MAX {
            if let Some(oldest) = self.seen.pop_front() {
                // If it stays, the next start removes it.
                let _ = self.disk.remove(&oldest);
            }
        }
    }
}

/// The rows of one table, and how many records of it are none.
fn rows<R: Record>(segment: &Sealed, found: &[Found<'_>]) -> (Vec<R>, u64) {
    let mut rows = Vec::new();
    let mut unreadable = 0;
    for record in found
        .iter()
        .filter(|record| record.kind == R::KIND && segment.skip.binary_search(&record.offset).is_err())
    {
        match decode_row::<R>(record.row) {
            Ok(row) if Partition::of(R::KIND, row.experiment(), row.ts_us()).is_some() => rows.push(row),
            _ => unreadable += 1,
        }
    }
    (rows, unreadable)
}
