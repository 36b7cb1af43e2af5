//! Group commit: one thread appends the requests that are waiting, syncs once, and then answers them all.
//!
//! The thread owns the open segment and the recent keys. It ends when every sender is gone, after sealing its segment.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use weir_sample::disk::{Disk, DiskFile};

use super::keys::RecentKeys;
use super::segment::{HEADER_BYTES, append, entry_bytes, header};
use super::{Entry, GROUP_BYTES_MAX, SegmentId};
use crate::events::EventKind;
use crate::status::Status;

/// A request that waits for durability.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) entries: Vec<Entry>,
    pub(crate) reply: oneshot::Sender<Answer>,
}

/// What the sender is told.
pub(crate) type Answer = Result<Stored, WalError>;

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

/// When a segment is sealed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rotation {
    pub(crate) age_max: Duration,
    pub(crate) rows_max: usize,
    pub(crate) bytes_max: u64,
}

pub(crate) struct Writer {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
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
    file: Box<dyn DiskFile>,
    opened: Instant,
    durable_bytes: u64,
    rows: usize,
}

impl Writer {
    pub(crate) fn new(
        (disk, folder): (Arc<dyn Disk>, PathBuf),
        keys: RecentKeys,
        rotation: Rotation,
        sealed: Sender<Sealed>,
        status: Arc<Status>,
        run: u64,
    ) -> Self {
        let next = SegmentId { run, number: 1 };
        Self { disk, folder, keys, rotation, sealed, status, next, open: None }
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
            self.status.commit_failed(&error.to_string());
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
                let path = self.folder.join(format!("{}.wal", id.name()));
                let file = self.disk.create_new(&path).map_err(error("create a segment"))?;
                bytes = header(id);
                self.status.segment_opened(id);
                self.open.insert(Open { id, path, file, opened: Instant::now(), durable_bytes: 0, rows: 0 })
            }
        };
        bytes.reserve(entries.iter().map(entry_bytes).sum());
        entries.iter().for_each(|entry| append(open.id, entry, &mut bytes));
        let began = Instant::now();
        open.file.write_all(&bytes).map_err(error("write"))?;
        open.file.sync().map_err(error("sync a segment"))?;
        if is_new {
            self.disk.sync_folder(&self.folder).map_err(error("sync its folder"))?;
        }
        self.status.committed(began.elapsed());
        open.durable_bytes += bytes.len() as u64;
        open.rows += entries.len();
        self.status.wal_grew(bytes.len() as u64);
        Ok(())
    }

    /// After a failure: nothing more into this segment, and what was not acknowledged is cut off where that works.
    fn retire(&mut self) {
        if let Some(open) = &mut self.open {
            let kept = open.durable_bytes.max(HEADER_BYTES as u64);
            if let Err(error) = open.file.set_len(kept) {
                let text = format!("cannot cut the retired segment {}: {error}", open.id.name());
                self.status.event(EventKind::Disk, &text);
            }
        }
        self.seal();
    }

    pub(crate) fn rotate_if_due(&mut self) {
        let rotation = self.rotation;
        if self.open.as_ref().is_some_and(|open| {
            open.rows >= rotation.rows_max
                || open.durable_bytes >= rotation.bytes_max
                || open.opened.elapsed() >= rotation.age_max
        }) {
            self.seal();
        }
    }

    pub(crate) fn seal(&mut self) {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use crate::simulation::{Call, Fault, SimDisk};
    use std::path::Path;
    use std::sync::mpsc;
    use weir_sample::Kind;

    struct Bench {
        writer: Writer,
        disk: SimDisk,
        sealed: mpsc::Receiver<Sealed>,
    }

    fn bench(faults: &[Fault]) -> Bench {
        let disk = SimDisk::new(1);
        disk.create_folder(Path::new("/wal")).unwrap();
        disk.forget_calls();
        disk.inject(faults);
        let (sender, sealed) = mpsc::channel();
        let rotation = Rotation { age_max: Duration::from_secs(3600), rows_max: 1000, bytes_max: 1 << 20 };
        let status = Arc::new(Status::new(Arc::new(|_| {})));
        let place = (Arc::new(disk.clone()) as Arc<dyn Disk>, PathBuf::from("/wal"));
        let writer = Writer::new(place, RecentKeys::new(100), rotation, sender, status, 7);
        Bench { writer, disk, sealed }
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

        fn segment(&self, number: u64) -> (SegmentId, Vec<u8>) {
            let id = SegmentId { run: 7, number };
            (id, self.disk.read(&PathBuf::from(format!("/wal/{}.wal", id.name()))).unwrap_or_default())
        }

        fn keys_in_segment(&self, number: u64) -> Vec<u128> {
            let (id, bytes) = self.segment(number);
            crate::wal::segment::scan(id, &bytes).found.iter().map(|found| found.key).collect()
        }
    }

    #[test]
    fn a_batch_is_written_and_synced_once_and_then_all_are_answered() {
        let mut bench = bench(&[]);
        let replies = bench.send(&[&[1, 2], &[3]]);
        assert_eq!(replies[0], Ok(Stored { samples: 2, scores: 0, duplicates: 0 }));
        assert!(replies[1].is_ok());
        assert_eq!(bench.disk.calls(), [Call::CreateNew, Call::Write, Call::Sync, Call::SyncFolder]);
        bench.send(&[&[4]]);
        assert_eq!(bench.disk.calls()[4..], [Call::Write, Call::Sync]);
        assert_eq!(bench.keys_in_segment(1), [1, 2, 3, 4]);
    }

    #[test]
    fn a_retry_is_acknowledged_and_not_written() {
        let mut bench = bench(&[]);
        bench.send(&[&[1]]);
        let replies = bench.send(&[&[1], &[1, 2]]);
        assert_eq!(replies[0], Ok(Stored { samples: 0, scores: 0, duplicates: 1 }));
        assert_eq!(replies[1], Ok(Stored { samples: 1, scores: 0, duplicates: 1 }));
        assert_eq!(bench.keys_in_segment(1), [1, 2]);
    }

    #[test]
    fn any_failing_call_fails_its_batch_retires_the_segment_and_the_retry_is_stored() {
        for call in [Call::CreateNew, Call::Write, Call::Sync, Call::SyncFolder] {
            let mut bench = bench(&[Fault::nth(call, 1)]);
            let replies = bench.send(&[&[1], &[2]]);
            assert!(replies.iter().all(Result::is_err), "{call:?}");
            let retried = bench.send(&[&[1], &[2]]);
            let stored = Ok(Stored { samples: 1, scores: 0, duplicates: 0 });
            assert!(retried.iter().all(|reply| *reply == stored), "{call:?}");
            assert_eq!(bench.keys_in_segment(2), [1, 2], "{call:?}");
        }
    }

    #[test]
    fn after_a_failed_sync_the_acknowledged_part_is_sealed_and_the_rest_is_not_counted() {
        for calls in [vec![(Call::Sync, 2)], vec![(Call::Write, 2)], vec![(Call::Sync, 2), (Call::SetLen, 1)]]
        {
            let faults: Vec<_> = calls.iter().map(|(call, nth)| Fault::nth(*call, *nth)).collect();
            let mut bench = bench(&faults);
            bench.send(&[&[1]]);
            let durable = bench.segment(1).1.len() as u64;
            assert!(bench.send(&[&[2]])[0].is_err(), "{calls:?}");
            let sealed = bench.sealed.try_recv().unwrap();
            assert_eq!((sealed.id.number, sealed.durable_bytes), (1, Some(durable)), "{calls:?}");
            assert!(bench.send(&[&[3]])[0].is_ok());
            assert_eq!(bench.keys_in_segment(2), [3], "nothing more went into the retired segment");
            let syncs = bench.disk.calls().iter().filter(|call| **call == Call::Sync).count();
            assert_eq!(syncs, if calls[0].0 == Call::Write { 2 } else { 3 }, "no sync is tried twice");
        }
    }
}
