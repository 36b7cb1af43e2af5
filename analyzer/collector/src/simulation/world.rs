//! A collector without HTTP and threads on a simulated disk: recovery, group commits, Parquet, the end of segments; and its clients.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::oneshot;
use weir_sample::disk::Disk;
use weir_sample::row::encode_row;
use weir_sample::{Kind, Sample, read_bytes};

use super::disk::Survival;
use super::{Class, Random, SimDisk};
use crate::drain::Drain;
use crate::status::Status;
use crate::wal::Entry;
use crate::wal::recovery::{open_folder, recover};
use crate::wal::writer::{Answer, Request, Rotation, Sealed, Writer};

const DATA: &str = "/var/data";
const HOUR_US: i64 = 3_600_000_000;
/// How often a start and a write of Parquet are tried, when the disk has power and refuses.
const TRIES: usize = 4;

/// How one life of a collector ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// Orderly, after its whole work.
    Stopped,
    /// At a call that changes something, with the power.
    Cut(usize, Survival),
    /// At such a call, the system goes on.
    Killed(usize),
}

/// What one life does: group commits, each of some requests of some rows; after which of them Parquet is written.
#[derive(Clone, Debug)]
pub(super) struct Work {
    /// For each commit the rows of its requests.
    pub(super) commits: Vec<Vec<usize>>,
    pub(super) drain_every: usize,
    pub(super) rotate_rows: usize,
    /// Clients repeat what was not acknowledged before, first thing.
    pub(super) retries: bool,
}

pub(super) struct World {
    pub(super) disk: SimDisk,
    run: u64,
    minted: u64,
    /// Sent and not acknowledged, for ever or until they are sent again.
    pub(super) open: Vec<Vec<u64>>,
    pub(super) acknowledged: BTreeSet<u64>,
}

struct Life {
    writer: Writer,
    drain: Drain,
    sealed: Receiver<Sealed>,
}

fn row(id: u64) -> Sample {
    Sample {
        sample_id: format!("s-{id}"),
        experiment: "e-1".to_owned(),
        // A segment has one folder or two.
        ts_us: 1_790_000_000_000_000 + (id as i64 / 8 % 2) * HOUR_US,
        response_text: Some(format!("answer {id} {}", "x".repeat(id as usize % 50))),
        ..Sample::default()
    }
}

fn request(ids: &[u64]) -> (Request, oneshot::Receiver<Answer>) {
    let (reply, answer) = oneshot::channel();
    let entry = |id: &u64| {
        let mut bytes = Vec::new();
        encode_row(&row(*id), &mut bytes);
        Entry { key: u128::from(*id) + 1, kind: Kind::Samples, row: bytes }
    };
    (Request { entries: ids.iter().map(entry).collect(), reply }, answer)
}

impl Work {
    pub(super) fn usual() -> Self {
        let commits = vec![vec![2], vec![1, 3], vec![2], vec![4]];
        Self { commits, drain_every: 2, rotate_rows: 5, retries: false }
    }

    /// The last life, in which what is open is sent again.
    pub(super) fn last() -> Self {
        Self { commits: vec![vec![1]], retries: true, ..Self::usual() }
    }
}

pub(super) fn random_work(random: &mut Random) -> Work {
    let commits =
        (0..random.below(5)).map(|_| (0..1 + random.below(3)).map(|_| 1 + random.below(4)).collect());
    Work {
        commits: commits.collect(),
        drain_every: 1 + random.below(4),
        rotate_rows: 1 + random.below(10),
        retries: random.once_in(2),
    }
}

impl World {
    pub(super) fn new(seed: u64, ignored: Option<Class>) -> Self {
        let disk = SimDisk::new(seed);
        disk.create_folder(Path::new("/var")).unwrap();
        disk.sync_folder(Path::new("/")).unwrap();
        disk.ignore(ignored);
        Self { disk, run: 0, minted: 0, open: Vec::new(), acknowledged: BTreeSet::new() }
    }

    pub(super) fn live(&mut self, work: &Work, end: End) {
        match end {
            End::Stopped => {}
            End::Cut(call, _) | End::Killed(call) => self.disk.cut_at(call),
        }
        let worked = self.work(work);
        match end {
            End::Stopped => assert!(worked.is_some(), "nothing fails while the power is on"),
            // The cut comes after the work when that was shorter.
            End::Cut(_, survival) => self.disk.power_on(survival),
            End::Killed(_) => self.disk.start_again(),
        }
    }

    /// `None` when the power went.
    pub(super) fn work(&mut self, work: &Work) -> Option<()> {
        let mut life = (0..TRIES).find_map(|_| self.start(work.rotate_rows))?;
        if work.retries {
            for ids in std::mem::take(&mut self.open) {
                self.commit(&mut life, vec![ids]);
            }
        }
        for (n, commit) in work.commits.iter().enumerate() {
            let mint = |rows: &usize| {
                let ids = (self.minted..self.minted + *rows as u64).collect();
                self.minted += *rows as u64;
                ids
            };
            let requests = commit.iter().map(mint).collect();
            self.commit(&mut life, requests);
            life.writer.rotate_if_due();
            if (n + 1) % work.drain_every == 0 {
                life.drain_sealed()?;
            }
        }
        life.writer.seal();
        life.drain_sealed()?;
        (!self.disk.is_off()).then_some(())
    }

    fn start(&mut self, rotate_rows: usize) -> Option<Life> {
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let status = Arc::new(Status::new(Arc::new(|_| {})));
        let folder = open_folder(&*disk, Path::new(DATA)).ok()?;
        let recovered = recover(&*disk, &folder, &status).ok()?;
        let (sender, sealed) = channel();
        recovered.waiting.iter().for_each(|segment| sender.send(segment.clone()).unwrap());
        let rotation =
            Rotation { age_max: Duration::from_secs(3600), rows_max: rotate_rows, bytes_max: 1 << 30 };
        self.run = (self.run + 1).max(recovered.run_min);
        let writer = Writer::new(
            (Arc::clone(&disk), folder.clone()),
            recovered.keys,
            rotation,
            sender,
            Arc::clone(&status),
            self.run,
        );
        let (data_dir, stop_at) = (PathBuf::from(DATA), Arc::new(OnceLock::new()));
        let drain = Drain {
            disk,
            data_dir,
            wal_dir: folder,
            seen: recovered.seen,
            status,
            stop_at,
            written: None,
            store: None,
        };
        Some(Life { writer, drain, sealed })
    }

    fn commit(&mut self, life: &mut Life, requests: Vec<Vec<u64>>) {
        let (batch, answers): (Vec<_>, Vec<_>) = requests.iter().map(|ids| request(ids)).unzip();
        life.writer.commit(batch);
        for (ids, mut answer) in requests.into_iter().zip(answers) {
            match answer.try_recv().unwrap() {
                Ok(_) => self.acknowledged.extend(ids),
                Err(_) => self.open.push(ids),
            }
        }
    }

    /// Everything in Parquet: `Err` says what is wrong.
    pub(super) fn check(&self) -> Result<(), String> {
        let mut files = Vec::new();
        parquet_files(&self.disk, Path::new(DATA), &mut files);
        let mut found: BTreeMap<String, usize> = BTreeMap::new();
        for path in files {
            let rows: Vec<Sample> = read_bytes(&path, self.disk.read(&path).unwrap().into())
                .map_err(|error| format!("half a file: {error}"))?;
            for sample in rows {
                let id = sample.sample_id.strip_prefix("s-").unwrap().parse().unwrap();
                if id >= self.minted || sample != row(id) {
                    return Err(format!("invented or changed: {sample:?}"));
                }
                *found.entry(sample.sample_id).or_default() += 1;
            }
        }
        if let Some(id) = self.acknowledged.iter().find(|id| !found.contains_key(&format!("s-{id}"))) {
            return Err(format!("acknowledged and lost: s-{id} of {}", self.acknowledged.len()));
        }
        found
            .iter()
            .find(|(_, count)| **count > 1)
            .map_or(Ok(()), |(id, count)| Err(format!("{count} times {id}")))
    }
}

impl Life {
    fn drain_sealed(&mut self) -> Option<()> {
        while let Ok(segment) = self.sealed.try_recv() {
            (0..TRIES).find_map(|_| self.drain.drain(&segment).ok())?;
        }
        Some(())
    }
}

fn parquet_files(disk: &SimDisk, folder: &Path, found: &mut Vec<PathBuf>) {
    for path in disk.list(folder).unwrap_or_default() {
        if disk.is_folder(&path) {
            parquet_files(disk, &path, found);
        } else if path.extension().is_some_and(|ending| ending == "parquet") {
            found.push(path);
        }
    }
}
