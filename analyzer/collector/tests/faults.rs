//! Faults of the disk, one by one, under the running collector: none is acknowledged, none loses anything.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
#[path = "common/faulty.rs"]
mod faulty;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::*;
use faulty::*;
use weir_collector::{Collector, RunningCollector};

const fn fault(call: &'static str, path: &'static str, errno: i32) -> Fault {
    Fault { call, path, errno, times: 1 }
}

/// Between a request and its acknowledgement.
const LOG: [Fault; 12] = [
    fault("create", ".wal", ENOSPC),
    fault("create", ".wal", EMFILE),
    fault("create", ".wal", EROFS),
    fault("create", ".wal", EIO),
    fault("write", ".wal", ENOSPC),
    fault("write", ".wal", EDQUOT),
    fault("write", ".wal", EIO),
    fault("sync", ".wal", EIO),
    fault("sync", ".wal", ENOSPC),
    fault("sync", ".wal", EDQUOT),
    fault("sync_folder", "/wal", EIO),
    fault("sync_folder", "/wal", ENOSPC),
];

/// Between the acknowledgement and the end of the segment.
const PARQUET: [Fault; 17] = [
    fault("read", ".wal", EIO),
    fault("create_folder", "hour=", ENOSPC),
    fault("create_folder", "samples", EROFS),
    fault("sync_folder", "date=", EIO),
    fault("create", ".parquet", ENOSPC),
    fault("create", ".parquet", EMFILE),
    fault("write", ".parquet", ENOSPC),
    fault("write", ".parquet", EIO),
    fault("sync", ".parquet", EIO),
    fault("sync", ".parquet", ENOSPC),
    fault("rename", ".parquet", EIO),
    fault("sync_folder", "hour=", EIO),
    fault("create", ".seen", ENOSPC),
    fault("write", ".seen", EIO),
    fault("sync", ".seen", EIO),
    fault("rename", ".seen", EIO),
    fault("remove", ".wal", EIO),
];

/// While a start recovers; the start is refused and says which file, except where it says another word.
const START: [(Fault, &str); 6] = [
    (fault("sync_folder", "/wal", EIO), "wal: cannot sync the folder"),
    (fault("list", "/wal", EIO), "wal: cannot read the folder"),
    (fault("read", ".seen", EIO), ".seen: cannot read"),
    (fault("read", ".wal", EIO), ".wal: cannot read"),
    (fault("remove", ".wal", EIO), ".wal: cannot remove"),
    (fault("sync_file", ".wal", EIO), "starts"),
];

async fn start_on(data: &Path, disk: &FaultyDisk) -> RunningCollector {
    let mut options = options(data);
    options.disk = Arc::new(disk.clone());
    Collector::start(options).await.unwrap()
}

/// Sends until it is acknowledged; returns the refusals before.
async fn send(collector: &RunningCollector, ids: std::ops::Range<u64>) -> usize {
    let legs: Vec<_> = ids.map(|n| leg(&format!("s-{n}"), n, "x")).collect();
    for refusals in 0..5 {
        let response = post(collector.address(), batch("w", &legs)).await.unwrap();
        if response.status() == 200 {
            return refusals;
        }
        assert_eq!(response.status(), 503);
        assert!(response.headers().contains_key("retry-after"));
    }
    panic!("never accepted");
}

fn ids(data: &Path) -> Vec<String> {
    let mut ids: Vec<String> = samples(data).into_iter().map(|row| row.sample_id).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn a_failure_before_the_acknowledgement_answers_503_and_the_retry_is_stored_once() {
    for fault in LOG {
        let data = tempfile::tempdir().unwrap();
        // The folder of the log is synced twice by the start.
        start(data.path()).await.stop().await.unwrap();
        let disk = FaultyDisk::new(&[fault]);
        let collector = loop {
            let mut options = options(data.path());
            options.disk = Arc::new(disk.clone());
            // A fault that hits the start refuses it, and counts.
            if let Ok(collector) = Collector::start(options).await {
                break collector;
            }
        };
        let refused = send(&collector, 0..3).await + send(&collector, 3..5).await;
        assert_eq!(disk.hits(), 1, "{fault:?}");
        assert_eq!(refused, usize::from(fault.call != "sync_folder"), "{fault:?}");
        collector.stop().await.unwrap();
        assert_eq!(ids(data.path()), ["s-0", "s-1", "s-2", "s-3", "s-4"], "{fault:?}");
    }
}

#[tokio::test]
async fn a_name_that_cannot_be_made_durable_is_not_acknowledged() {
    let data = tempfile::tempdir().unwrap();
    start(data.path()).await.stop().await.unwrap();
    let disk = FaultyDisk::new(&[]);
    let collector = start_on(data.path(), &disk).await;
    // From now on: the folder of the log refuses its next sync.
    disk.arm(fault("sync_folder", "/wal", EIO));
    assert_eq!(send(&collector, 0..3).await, 1);
    collector.stop().await.unwrap();
    assert_eq!(ids(data.path()), ["s-0", "s-1", "s-2"]);
}

#[tokio::test]
async fn a_failure_after_the_acknowledgement_is_tried_again_until_it_works() {
    let cases = PARQUET.map(|fault| {
        tokio::spawn(async move {
            let data = tempfile::tempdir().unwrap();
            let disk = FaultyDisk::new(&[fault]);
            let collector = start_on(data.path(), &disk).await;
            assert_eq!(send(&collector, 0..3).await, 0, "{fault:?}");
            collector.stop().await.unwrap();
            assert_eq!(disk.hits(), 1, "{fault:?}");
            assert_eq!(ids(data.path()), ["s-0", "s-1", "s-2"], "{fault:?}");
            assert!(names(&data.path().join("wal"), "wal").is_empty(), "{fault:?}");
        })
    });
    for case in cases {
        case.await.unwrap();
    }
}

#[tokio::test]
async fn a_failure_at_the_start_refuses_it_and_the_next_start_finds_everything() {
    for (fault, told) in START {
        let data = tempfile::tempdir().unwrap();
        // One segment waits, and one is finished but for its removal.
        let broken = FaultyDisk::new(&[Fault { times: u64::MAX, ..self::fault("remove", ".wal", EIO) }]);
        let mut first = options(data.path());
        first.disk = Arc::new(broken);
        first.stop_timeout = Duration::from_millis(50);
        let collector = Collector::start(first).await.unwrap();
        send(&collector, 0..2).await;
        tokio::time::sleep(Duration::from_millis(80)).await;
        send(&collector, 2..4).await;
        collector.stop().await.unwrap_err();
        assert_eq!(names(&data.path().join("wal"), "wal").len(), 2);

        let mut options = options(data.path());
        let disk = FaultyDisk::new(&[fault]);
        options.disk = Arc::new(disk.clone());
        let lines = with_log(&mut options);
        match Collector::start(options).await {
            Ok(collector) => {
                assert_eq!(told, "starts", "{fault:?}");
                assert!(lines.lock().unwrap().iter().any(|line| line.contains("is written anew")));
                collector.stop().await.unwrap();
            }
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains(told) && text.contains("hint:"), "{fault:?}: {text}");
            }
        }
        assert_eq!(disk.hits(), 1, "{fault:?}");
        let collector = start(data.path()).await;
        assert_eq!(send(&collector, 4..5).await, 0);
        collector.stop().await.unwrap();
        assert_eq!(ids(data.path()), ["s-0", "s-1", "s-2", "s-3", "s-4"], "{fault:?}");
    }
}

#[tokio::test]
async fn a_segment_whose_end_cannot_be_cut_off_gives_away_nothing_that_was_refused() {
    let data = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::new(&[]);
    let collector = start_on(data.path(), &disk).await;
    disk.arm(fault("sync", ".wal", EIO));
    disk.arm(fault("set_len", ".wal", EIO));
    let refused = [leg("never-again", 9, "x")];
    assert_eq!(post(collector.address(), batch("w", &refused)).await.unwrap().status(), 503);
    assert_eq!(send(&collector, 0..2).await, 0);
    collector.stop().await.unwrap();
    assert_eq!(disk.hits(), 2);
    assert_eq!(ids(data.path()), ["s-0", "s-1"]);
}
