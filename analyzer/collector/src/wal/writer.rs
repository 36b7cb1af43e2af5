//! Group commit: one thread appends the requests that are waiting, syncs once, and then answers them all.
//!
//! The thread owns the open segment and the recent keys. It ends when every sender is gone, after sealing its segment.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::keys::RecentKeys;
use super::segment::{HEADER_BYTES, append, entry_bytes, header};
use super::{Entry, GROUP_BYTES_MAX, SegmentId};
use crate::status::Status;

/// A request that waits for durability.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) entries: Vec<Entry>,
    pub(crate) reply: oneshot::Sender<Result<Stored, WalError>>,
}

/// What became of a request's entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) samples: u64,
    pub(crate) scores: u64,
    /// Retries of records that are durable already.
    pub(crate) duplicates: u64,
}

/// The log could not make the request durable; the sender shall try again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the write-ahead log cannot {action}: {reason}")]
pub(crate) struct WalError {
    pub(crate) action: &'static str,
    pub(crate) reason: String,
}

/// A segment that gets no more records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub(crate) id: SegmentId,
    pub(crate) path: PathBuf,
    /// What was acknowledged ends here; `None` after a restart, when that is not known any more.
    pub(crate) durable_bytes: Option<u64>,
    /// Places of records that an earlier segment has too, ascending.
    pub(crate) skip: Vec<usize>,
}

/// Where segments are created; a trait so that tests can inject faults.
pub(crate) trait SegmentStore: Send {
    /// Creates a file that was not there, private to its owner.
    fn create(&mut self, id: SegmentId) -> io::Result<(PathBuf, Box<dyn SegmentFile>)>;
    /// Makes new names durable.
    fn sync_folder(&mut self) -> io::Result<()>;
}

/// An open segment.
pub(crate) trait SegmentFile: Send {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    fn sync(&mut self) -> io::Result<()>;
    fn truncate(&mut self, bytes: u64) -> io::Result<()>;
}

/// When a segment is sealed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rotation {
    pub(crate) age_max: Duration,
    pub(crate) rows_max: usize,
    pub(crate) bytes_max: u64,
}

pub(crate) struct Writer<S> {
    store: S,
    keys: RecentKeys,
    rotation: Rotation,
    sealed: Sender<Sealed>,
    status: Arc<Status>,
    next: SegmentId,
    open: Option<Open>,
}

struct Open {
    id: SegmentId,
    path: PathBuf,
    file: Box<dyn SegmentFile>,
    opened: Instant,
    durable_bytes: u64,
    rows: usize,
}

impl<S: SegmentStore> Writer<S> {
    pub(crate) fn new(
        store: S,
        keys: RecentKeys,
        rotation: Rotation,
        sealed: Sender<Sealed>,
        status: Arc<Status>,
        run: u64,
    ) -> Self {
        Self { store, keys, rotation, sealed, status, next: SegmentId { run, number: 1 }, open: None }
    }

    /// Serves until every sender is gone.
    pub(crate) fn run(mut self, requests: &Receiver<Request>) {
        loop {
            let first = match self.wait(requests) {
                Ok(request) => Some(request),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            if let Some(first) = first {
                self.commit(gather(first, requests));
            }
            self.rotate_if_due();
        }
        self.seal();
    }

    fn wait(&self, requests: &Receiver<Request>) -> Result<Request, RecvTimeoutError> {
        match &self.open {
            Some(open) => requests.recv_timeout(self.rotation.age_max.saturating_sub(open.opened.elapsed())),
            None => requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    pub(crate) fn commit(&mut self, batch: Vec<Request>) {
        let mut inserted = 0;
        let mut replies = Vec::with_capacity(batch.len());
        let mut fresh = Vec::new();
        for request in batch {
            let mut stored = Stored::default();
            for entry in request.entries {
                if !self.keys.insert(entry.key) {
                    stored.duplicates += 1;
                    continue;
                }
                inserted += 1;
                match entry.kind {
                    weir_sample::Kind::Samples => stored.samples += 1,
                    weir_sample::Kind::Scores => stored.scores += 1,
                }
                fresh.push(entry);
            }
            replies.push((request.reply, stored));
        }
        let result = if fresh.is_empty() { Ok(()) } else { self.write(&fresh) };
        if let Err(error) = &result {
            self.keys.forget_last(inserted);
            self.status.log(&error.to_string());
            self.retire();
        }
        for (reply, stored) in replies {
            // A client that is gone will try again; its retry is recognised by the keys.
            let _ = reply.send(result.clone().map(|()| stored));
        }
    }

    fn write(&mut self, entries: &[Entry]) -> Result<(), WalError> {
        let error = |action| move |error: io::Error| WalError { action, reason: error.to_string() };
        let mut bytes = Vec::new();
        let is_new = self.open.is_none();
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                let id = self.next;
                self.next.number += 1;
                let (path, file) = self.store.create(id).map_err(error("create a segment"))?;
                bytes = header(id);
                self.status.segment_opened(id);
                self.open.insert(Open { id, path, file, opened: Instant::now(), durable_bytes: 0, rows: 0 })
            }
        };
        bytes.reserve(entries.iter().map(entry_bytes).sum());
        entries.iter().for_each(|entry| append(open.id, entry, &mut bytes));
        open.file.append(&bytes).map_err(error("write"))?;
        open.file.sync().map_err(error("sync a segment"))?;
        if is_new {
            self.store.sync_folder().map_err(error("sync its folder"))?;
        }
        open.durable_bytes += bytes.len() as u64;
        open.rows += entries.len();
        self.status.wal_grew(bytes.len() as u64);
        Ok(())
    }

    /// After a failure: nothing more into this segment, and what was not acknowledged is cut off where that works.
    fn retire(&mut self) {
        if let Some(open) = &mut self.open {
            let kept = open.durable_bytes.max(HEADER_BYTES as u64);
            if let Err(error) = open.file.truncate(kept) {
                self.status.log(&format!("cannot cut the retired segment {}: {error}", open.id.name()));
            }
        }
        self.seal();
    }

    fn rotate_if_due(&mut self) {
        let rotation = self.rotation;
        if self.open.as_ref().is_some_and(|open| {
            open.rows >= rotation.rows_max
                || open.durable_bytes >= rotation.bytes_max
                || open.opened.elapsed() >= rotation.age_max
        }) {
            self.seal();
        }
    }

    fn seal(&mut self) {
        if let Some(open) = self.open.take() {
            let sealed = Sealed {
                id: open.id,
                path: open.path,
                durable_bytes: Some(open.durable_bytes),
                skip: Vec::new(),
            };
            // The drain outlives the writer; if it died, the segment is replayed at the next start.
            let _ = self.sealed.send(sealed);
        }
    }
}

fn gather(first: Request, requests: &Receiver<Request>) -> Vec<Request> {
    let size = |request: &Request| request.entries.iter().map(entry_bytes).sum::<usize>();
    let mut bytes = size(&first);
    let mut batch = vec![first];
    while bytes < GROUP_BYTES_MAX {
        let Ok(request) = requests.try_recv() else { break };
        bytes += size(&request);
        batch.push(request);
    }
    batch
}

/// Segments as files in a folder.
#[derive(Debug)]
pub(crate) struct FolderStore {
    pub(crate) folder: PathBuf,
}

impl SegmentStore for FolderStore {
    fn create(&mut self, id: SegmentId) -> io::Result<(PathBuf, Box<dyn SegmentFile>)> {
        let path = self.folder.join(format!("{}.wal", id.name()));
        let file = weir_sample::durable::private_file().create_new(true).open(&path)?;
        Ok((path, Box::new(file)))
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        std::fs::File::open(&self.folder)?.sync_all()
    }
}

impl SegmentFile for std::fs::File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        io::Write::write_all(self, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use weir_sample::Kind;

    type Files = Arc<Mutex<Vec<(SegmentId, Vec<u8>)>>>;

    /// Remembers every call in order, and fails the calls whose numbers are given.
    #[derive(Clone, Default)]
    struct Faulty {
        calls: Arc<Mutex<Vec<&'static str>>>,
        fail: Arc<Vec<(&'static str, usize)>>,
        files: Files,
        counts: Arc<[AtomicUsize; 5]>,
    }

    impl Faulty {
        fn call(&self, name: &'static str, slot: usize) -> io::Result<()> {
            self.calls.lock().unwrap().push(name);
            let count = self.counts[slot].fetch_add(1, Ordering::Relaxed) + 1;
            if self.fail.contains(&(name, count)) { Err(io::Error::other("injected")) } else { Ok(()) }
        }
    }

    struct FaultyFile(Faulty, usize);

    impl SegmentStore for Faulty {
        fn create(&mut self, id: SegmentId) -> io::Result<(PathBuf, Box<dyn SegmentFile>)> {
            self.call("create", 0)?;
            let mut files = self.files.lock().unwrap();
            files.push((id, Vec::new()));
            Ok((PathBuf::from(id.name()), Box::new(FaultyFile(self.clone(), files.len() - 1))))
        }
        fn sync_folder(&mut self) -> io::Result<()> {
            self.call("sync_folder", 1)
        }
    }

    impl SegmentFile for FaultyFile {
        fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
            // A short write: half of it arrives before the error.
            let result = self.0.call("append", 2);
            let kept = if result.is_ok() { bytes.len() } else { bytes.len() / 2 };
            self.0.files.lock().unwrap()[self.1].1.extend_from_slice(&bytes[..kept]);
            result
        }
        fn sync(&mut self) -> io::Result<()> {
            self.0.call("sync", 3)
        }
        fn truncate(&mut self, bytes: u64) -> io::Result<()> {
            self.0.call("truncate", 4)?;
            self.0.files.lock().unwrap()[self.1].1.truncate(bytes as usize);
            Ok(())
        }
    }

    struct Bench {
        writer: Writer<Faulty>,
        store: Faulty,
        sealed: mpsc::Receiver<Sealed>,
    }

    fn bench(fail: &[(&'static str, usize)]) -> Bench {
        let store = Faulty { fail: Arc::new(fail.to_vec()), ..Faulty::default() };
        let (sender, sealed) = mpsc::channel();
        let rotation = Rotation { age_max: Duration::from_secs(3600), rows_max: 1000, bytes_max: 1 << 20 };
        let status = Arc::new(Status::new(Arc::new(|_| {})));
        let writer = Writer::new(store.clone(), RecentKeys::new(100), rotation, sender, status, 7);
        Bench { writer, store, sealed }
    }

    impl Bench {
        fn send(&mut self, keys: &[&[u128]]) -> Vec<Result<Stored, WalError>> {
            let mut waiting = Vec::new();
            let batch = keys.iter().map(|keys| {
                let (reply, receive) = oneshot::channel();
                waiting.push(receive);
                let entry = |key: &u128| Entry { key: *key, kind: Kind::Samples, row: vec![1; 10] };
                Request { entries: keys.iter().map(entry).collect(), reply }
            });
            let batch = batch.collect();
            self.writer.commit(batch);
            waiting.into_iter().map(|mut reply| reply.try_recv().unwrap()).collect()
        }

        fn keys_in_file(&self, file: usize) -> Vec<u128> {
            let files = self.store.files.lock().unwrap();
            let (id, bytes) = &files[file];
            crate::wal::segment::scan(*id, bytes).found.iter().map(|found| found.key).collect()
        }
    }

    #[test]
    fn a_batch_is_written_and_synced_once_and_then_all_are_answered() {
        let mut bench = bench(&[]);
        let replies = bench.send(&[&[1, 2], &[3]]);
        assert_eq!(replies[0], Ok(Stored { samples: 2, scores: 0, duplicates: 0 }));
        assert!(replies[1].is_ok());
        assert_eq!(*bench.store.calls.lock().unwrap(), ["create", "append", "sync", "sync_folder"]);
        bench.send(&[&[4]]);
        assert_eq!(bench.store.calls.lock().unwrap()[4..], ["append", "sync"]);
        assert_eq!(bench.keys_in_file(0), [1, 2, 3, 4]);
    }

    #[test]
    fn a_retry_is_acknowledged_and_not_written() {
        let mut bench = bench(&[]);
        bench.send(&[&[1]]);
        let replies = bench.send(&[&[1], &[1, 2]]);
        assert_eq!(replies[0], Ok(Stored { samples: 0, scores: 0, duplicates: 1 }));
        assert_eq!(replies[1], Ok(Stored { samples: 1, scores: 0, duplicates: 1 }));
        assert_eq!(bench.keys_in_file(0), [1, 2]);
    }

    #[test]
    fn any_failing_call_fails_its_batch_retires_the_segment_and_the_retry_is_stored() {
        for fault in [("create", 1), ("append", 1), ("sync", 1), ("sync_folder", 1)] {
            let mut bench = bench(&[fault]);
            let replies = bench.send(&[&[1], &[2]]);
            assert!(replies.iter().all(Result::is_err), "{fault:?}");
            let retried = bench.send(&[&[1], &[2]]);
            assert!(
                retried.iter().all(|reply| *reply == Ok(Stored { samples: 1, scores: 0, duplicates: 0 })),
                "{fault:?}"
            );
            let last = bench.store.files.lock().unwrap().len() - 1;
            assert_eq!(bench.keys_in_file(last), [1, 2], "{fault:?}");
        }
    }

    #[test]
    fn after_a_failed_sync_the_acknowledged_part_is_sealed_and_the_rest_is_not_counted() {
        for faults in [vec![("sync", 2)], vec![("append", 2)], vec![("sync", 2), ("truncate", 1)]] {
            let mut bench = bench(&faults);
            bench.send(&[&[1]]);
            let durable = bench.store.files.lock().unwrap()[0].1.len() as u64;
            assert!(bench.send(&[&[2]])[0].is_err(), "{faults:?}");
            let sealed = bench.sealed.try_recv().unwrap();
            assert_eq!((sealed.id.number, sealed.durable_bytes), (1, Some(durable)), "{faults:?}");
            assert!(bench.send(&[&[3]])[0].is_ok());
            assert_eq!(bench.keys_in_file(1), [3], "nothing more went into the retired segment");
            let calls = bench.store.calls.lock().unwrap();
            assert_eq!(
                calls.iter().filter(|call| **call == "sync").count(),
                if faults[0].0 == "append" { 2 } else { 3 }
            );
        }
    }
}
