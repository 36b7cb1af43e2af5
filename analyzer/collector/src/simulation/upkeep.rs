//! The power is cut, the process killed, or a call refused, at every call of a merge, of retention and of an erasure.
//!
//! Right after it a reader sees every row that is to stay exactly once, and none twice; the same command then finishes what was
//! begun, the power is cut once more, and what was to go stays away. With a sync left out the same runs find losses.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use weir_sample::disk::Disk;
use weir_sample::{
    Kind, Leg, Sample, Score, list_all_files_on, list_files_on, read_file_on, write_samples_on,
};

use super::disk::{EIO, ENOSPC, Survival};
use super::{Call, Class, Fault, SimDisk};
use crate::upkeep::{CompactOptions, ForgetOptions, ForgetSummary, compact_on, erase_on};

const DATA: &str = "/var/data";
const HOUR_US: i64 = 3_600_000_000;
const DAY_US: i64 = 24 * HOUR_US;
/// The beginning of an hour.
const START_US: i64 = 1_789_999_200_000_000;
const EXCHANGES: i64 = 12;
const WHO: &str = "00000000000000aa";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Merge,
    Retain,
    Forget,
}

/// Every second exchange is of the second hour, every third of one identity.
fn leg(n: i64, leg: Leg) -> Sample {
    Sample {
        sample_id: format!("s-{n}"),
        experiment: "e-1".to_owned(),
        leg,
        ts_us: START_US + n % 2 * HOUR_US,
        identity_hash: (leg == Leg::Primary && n % 3 == 0).then(|| WHO.to_owned()),
        response_text: Some(format!("answer {n}")),
        ..Sample::default()
    }
}

fn score(n: i64) -> Score {
    Score {
        sample_id: format!("s-{n}"),
        experiment: "e-1".to_owned(),
        ts_us: START_US + n % 2 * HOUR_US,
        ..Score::default()
    }
}

fn legs(of: std::ops::Range<i64>, kind: Leg) -> Vec<Sample> {
    of.map(|n| leg(n, kind)).collect()
}

/// What a log that is replayed writes again.
fn replay(disk: &SimDisk) {
    write_samples_on(disk, Path::new(DATA), "part-import-2", legs(6..EXCHANGES, Leg::Primary)).unwrap();
}

impl What {
    /// A folder with small files, durable; but for the merge itself, with one merge behind it.
    fn folder(self, seed: u64) -> SimDisk {
        let (disk, data) = (SimDisk::new(seed), Path::new(DATA));
        disk.create_folder(Path::new("/var")).unwrap();
        disk.sync_folder(Path::new("/")).unwrap();
        write_samples_on(&disk, data, "part-import-1", legs(0..6, Leg::Primary)).unwrap();
        replay(&disk);
        if self != Self::Merge {
            Self::Merge.work(&disk).unwrap();
        }
        write_samples_on(&disk, data, "part-import-3", legs(0..EXCHANGES, Leg::Shadow)).unwrap();
        write_samples_on(&disk, data, "part-import-4", (0..EXCHANGES).map(score).collect()).unwrap();
        disk
    }

    fn work(self, disk: &SimDisk) -> Result<(), String> {
        let data_dir = PathBuf::from(DATA);
        let compacting = |keep_days| CompactOptions {
            data_dir: data_dir.clone(),
            experiment: None,
            // The first hour ended a day ago, the second one did not.
            now_us: START_US + HOUR_US + DAY_US,
            keep_days,
            keep_bytes: None,
            dry_run: false,
            progress: |_, _| {},
        };
        let forgetting = || ForgetOptions {
            data_dir: data_dir.clone(),
            identity_hash: WHO.to_owned(),
            dry_run: false,
            patience: Duration::ZERO,
            progress: |_, _| {},
            log: Arc::new(|_| {}),
        };
        match self {
            Self::Merge => compact_on(disk, &compacting(None)).map(|_| ()),
            Self::Retain => compact_on(disk, &compacting(Some(1))).map(|_| ()),
            Self::Forget => erase_on(disk, &forgetting(), &mut ForgetSummary::default()),
        }
        .map_err(|error| error.to_string())
    }

    /// Whether an exchange's rows are to go.
    fn goes(self, n: i64) -> bool {
        match self {
            Self::Merge => false,
            Self::Retain => n % 2 == 0,
            Self::Forget => n % 3 == 0,
        }
    }

    /// What a reader sees; `done` when the work has come to its end.
    fn check(self, disk: &SimDisk, done: bool) -> Result<(), String> {
        let seen = counted(disk)?;
        for n in 0..EXCHANGES {
            for what in ["primary", "shadow", "score"] {
                let times = seen.get(&(format!("s-{n}"), what)).copied().unwrap_or(0);
                let fits = match (self.goes(n), done) {
                    (false, _) => times == 1,
                    (true, false) => times <= 1,
                    (true, true) => times == 0,
                };
                if !fits {
                    return Err(format!("{what} of s-{n} is there {times} times"));
                }
            }
        }
        if done { self.check_files(disk) } else { Ok(()) }
    }

    /// Nothing is left over: rows that do not count are rows on a disk all the same.
    fn check_files(self, disk: &SimDisk) -> Result<(), String> {
        let all = |kind| list_all_files_on(disk, Path::new(DATA), kind, None).unwrap();
        let files = all(Kind::Samples);
        for path in &files {
            for row in read_file_on::<Sample>(disk, path).map_err(|error| error.to_string())? {
                let n = row.sample_id.strip_prefix("s-").unwrap().parse().unwrap();
                if self.goes(n) {
                    return Err(format!("{} holds {}", path.display(), row.sample_id));
                }
            }
        }
        let expected = match self {
            Self::Merge => 2,
            Self::Retain => 1,
            Self::Forget => return Ok(()),
        };
        if files.len() == expected { Ok(()) } else { Err(format!("files that do not count: {files:?}")) }
    }
}

fn counted(disk: &SimDisk) -> Result<BTreeMap<(String, &'static str), usize>, String> {
    let mut seen = BTreeMap::new();
    let list = |kind| list_files_on(disk, Path::new(DATA), kind, None).map_err(|error| error.to_string());
    for path in list(Kind::Samples)? {
        for row in read_file_on::<Sample>(disk, &path).map_err(|error| error.to_string())? {
            *seen.entry((row.sample_id, row.leg.as_str())).or_default() += 1;
        }
    }
    for path in list(Kind::Scores)? {
        for row in read_file_on::<Score>(disk, &path).map_err(|error| error.to_string())? {
            *seen.entry((row.sample_id, "score")).or_default() += 1;
        }
    }
    Ok(seen)
}

/// Ends the work at every call, in every way; stops at the first thing that is wrong.
fn every_call(what: What, ignored: Option<Class>) -> Result<u64, String> {
    let disk = what.folder(0);
    let before = disk.changes();
    what.work(&disk)?;
    let calls = disk.changes() - before;
    let mut runs = 0;
    for call in 0..=calls {
        for survival in [Some(Survival::Nothing), Some(Survival::Everything), Some(Survival::Some), None] {
            let disk = what.folder(runs);
            disk.ignore(ignored);
            disk.cut_at(call);
            // How far it came, nobody is told.
            let _ = what.work(&disk);
            match survival {
                Some(survival) => disk.power_on(survival),
                None => disk.start_again(),
            }
            let wrong = |error| format!("{what:?}, call {call}, {survival:?}: {error}");
            what.check(&disk, false).map_err(wrong)?;
            if what == What::Merge {
                replay(&disk);
                what.check(&disk, false).map_err(|error| wrong(format!("after a replay: {error}")))?;
            }
            what.work(&disk).map_err(wrong)?;
            disk.power_on(Survival::Nothing);
            what.check(&disk, true).map_err(|error| wrong(format!("at the end: {error}")))?;
            runs += 1;
        }
    }
    Ok(runs)
}

#[test]
fn with_the_power_cut_at_any_call_of_upkeep_every_row_that_stays_is_there_once_and_what_goes_stays_away() {
    for what in [What::Merge, What::Retain, What::Forget] {
        let runs = every_call(what, None).unwrap();
        println!("{what:?}: {runs} runs");
        assert!(runs > 30, "{runs}");
    }
}

#[test]
fn without_its_syncs_upkeep_loses_rows_or_brings_them_back() {
    for (what, class) in [
        (What::Merge, Class::ParquetFile),
        (What::Merge, Class::ParquetFolder),
        (What::Retain, Class::ParquetFolder),
        (What::Forget, Class::ParquetFile),
        (What::Forget, Class::ParquetFolder),
    ] {
        let found = every_call(what, Some(class)).expect_err("nothing is found");
        println!("without {class:?}: {found}");
    }
}

#[test]
fn any_call_of_upkeep_may_be_refused_and_the_next_run_finishes() {
    let calls = [
        Call::Create,
        Call::Write,
        Call::Sync,
        Call::Read,
        Call::List,
        Call::SyncFolder,
        Call::Rename,
        Call::Remove,
        Call::RemoveFolder,
    ];
    let mut faults = 0;
    for what in [What::Merge, What::Retain, What::Forget] {
        for call in calls {
            for (nth, (errno, late)) in (1..).flat_map(|nth| [(nth, (EIO, false)), (nth, (ENOSPC, true))]) {
                let disk = what.folder(1);
                disk.forget_calls();
                disk.inject(&[Fault::nth(call, nth).with(errno, late)]);
                let _ = what.work(&disk);
                if !disk.was_hit() {
                    break;
                }
                faults += 1;
                disk.inject(&[]);
                let wrong = |error: String| panic!("{what:?}, {call:?} {nth}: {error}");
                what.check(&disk, false).unwrap_or_else(wrong);
                what.work(&disk).unwrap_or_else(wrong);
                disk.power_on(Survival::Nothing);
                what.check(&disk, true).unwrap_or_else(wrong);
            }
        }
    }
    println!("{faults} faults");
    assert!(faults > 50, "{faults}");
}
