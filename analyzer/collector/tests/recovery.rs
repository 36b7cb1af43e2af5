//! What a start makes of the log that it finds: waiting segments, torn and damaged ones, foreign files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::path::{Path, PathBuf};
use std::time::Duration;

use common::*;
use weir_collector::Collector;

/// A data folder whose log has one segment of `rows` rows, as a crash leaves it.
async fn crashed(data: &Path, rows: u64) -> PathBuf {
    std::fs::write(data.join("samples"), "in the way").unwrap();
    let mut options = options(data);
    options.stop_timeout = Duration::from_millis(50);
    let collector = Collector::start(options).await.unwrap();
    let legs: Vec<_> = (0..rows).map(|n| leg(&format!("s-{n}"), n, "x")).collect();
    assert_eq!(post(collector.address(), batch("w", &legs)).await.unwrap().status(), 200);
    collector.stop().await.unwrap_err();
    std::fs::remove_file(data.join("samples")).unwrap();
    let segments = names(&data.join("wal"), "wal");
    assert_eq!(segments.len(), 1);
    segments[0].clone()
}

async fn drained(data: &Path) -> (Vec<String>, Vec<String>) {
    let mut options = options(data);
    let lines = with_log(&mut options);
    Collector::start(options).await.unwrap().stop().await.unwrap();
    let mut ids: Vec<String> = samples(data).into_iter().map(|row| row.sample_id).collect();
    ids.sort();
    (ids, lines.lock().unwrap().clone())
}

#[tokio::test]
async fn a_torn_tail_is_skipped_and_the_rest_is_replayed() {
    let data = tempfile::tempdir().unwrap();
    let segment = crashed(data.path(), 4).await;
    let bytes = std::fs::read(&segment).unwrap();
    std::fs::write(&segment, &bytes[..bytes.len() - 3]).unwrap();
    let (ids, _) = drained(data.path()).await;
    assert_eq!(ids, ["s-0", "s-1", "s-2"]);
    assert!(!segment.exists(), "a torn tail is ordinary");
}

#[tokio::test]
async fn a_damaged_record_costs_only_itself_and_the_segment_is_kept_aside() {
    let data = tempfile::tempdir().unwrap();
    let segment = crashed(data.path(), 4).await;
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[60] ^= 0x55;
    std::fs::write(&segment, &bytes).unwrap();
    let (ids, lines) = drained(data.path()).await;
    assert_eq!(ids, ["s-1", "s-2", "s-3"]);
    assert!(segment.with_extension("damaged").exists());
    assert!(lines.iter().any(|line| line.contains("holds damaged records")), "{lines:?}");
    assert_eq!(drained(data.path()).await.0.len(), 3, "what was kept aside is not replayed");
}

#[tokio::test]
async fn a_crash_between_parquet_and_the_end_of_the_segment_doubles_nothing() {
    let data = tempfile::tempdir().unwrap();
    let segment = crashed(data.path(), 4).await;
    let bytes = std::fs::read(&segment).unwrap();
    drained(data.path()).await;
    let seen = segment.with_extension("seen");
    assert!(seen.exists());
    // The crash came before the segment was deleted, then also before its key file was written.
    std::fs::write(&segment, &bytes).unwrap();
    assert_eq!(drained(data.path()).await.0.len(), 4);
    assert!(!segment.exists());
    std::fs::write(&segment, &bytes).unwrap();
    std::fs::remove_file(&seen).unwrap();
    assert_eq!(drained(data.path()).await.0.len(), 4);
    assert!(!segment.exists() && seen.exists());
}

#[tokio::test]
async fn a_record_that_two_segments_have_is_stored_once() {
    let data = tempfile::tempdir().unwrap();
    crashed(data.path(), 4).await;
    // The next run gets the same rows again (its recent keys come from the log) and one more.
    std::fs::write(data.path().join("samples"), "in the way").unwrap();
    let mut options = options(data.path());
    options.stop_timeout = Duration::from_millis(50);
    let collector = Collector::start(options).await.unwrap();
    let legs: Vec<_> = (0..5).map(|n| leg(&format!("s-{n}"), n, "x")).collect();
    post(collector.address(), batch("w", &legs)).await.unwrap();
    assert!(collector.metrics().contains("weir_collector_duplicates_total 4\n"));
    collector.stop().await.unwrap_err();
    std::fs::remove_file(data.path().join("samples")).unwrap();
    assert_eq!(drained(data.path()).await.0, ["s-0", "s-1", "s-2", "s-3", "s-4"]);
}

#[tokio::test]
async fn foreign_files_are_named_and_not_touched() {
    let data = tempfile::tempdir().unwrap();
    let wal = data.path().join("wal");
    std::fs::create_dir_all(&wal).unwrap();
    let names = [
        "notes.txt",
        "x.wal",
        ".notes.seen.tmp",
        "0000000000000001-00000001.wal",
        "0000000000000001-00000002.seen",
    ];
    for name in names {
        std::fs::write(wal.join(name), "something else").unwrap();
    }
    let (ids, lines) = drained(data.path()).await;
    assert!(ids.is_empty());
    for name in ["notes.txt", "x.wal", ".notes.seen.tmp", "0000000000000001-00000002.seen"] {
        assert_eq!(std::fs::read_to_string(wal.join(name)).unwrap(), "something else");
        assert!(lines.iter().any(|line| line.contains(name)), "{name}: {lines:?}");
    }
    let kept = std::fs::read_to_string(wal.join("0000000000000001-00000001.damaged"));
    assert_eq!(kept.unwrap(), "something else", "a segment without one good record is kept, too");
}

#[tokio::test]
async fn a_damaged_key_file_costs_no_row_of_its_segment() {
    let data = tempfile::tempdir().unwrap();
    let segment = crashed(data.path(), 4).await;
    std::fs::write(segment.with_extension("seen"), "something else").unwrap();
    let (ids, lines) = drained(data.path()).await;
    assert_eq!(ids.len(), 4);
    assert!(lines.iter().any(|line| line.contains("is no whole key file")), "{lines:?}");
}

#[tokio::test]
async fn a_segment_of_a_newer_format_and_one_that_is_too_large_are_named_and_left() {
    let data = tempfile::tempdir().unwrap();
    let segment = crashed(data.path(), 4).await;
    // Version 2, with a checksum that fits.
    let mut header = std::fs::read(&segment).unwrap()[..32].to_vec();
    header[8] = 2;
    let crc = crc32fast::hash(&header[..28]).to_le_bytes();
    header[28..].copy_from_slice(&crc);
    std::fs::write(&segment, &header).unwrap();
    let large = segment.with_file_name("0000000000000001-00000001.wal");
    std::fs::File::create(&large).unwrap().set_len((512 << 20) + 1).unwrap();
    let (ids, lines) = drained(data.path()).await;
    assert!(ids.is_empty());
    assert_eq!(std::fs::read(&segment).unwrap(), header);
    assert_eq!(std::fs::metadata(&large).unwrap().len(), (512 << 20) + 1);
    for text in ["has format version 2, this program reads 1", "a file of the log at most 536870912"] {
        assert!(lines.iter().any(|line| line.contains(text)), "{text}: {lines:?}");
    }
}

#[tokio::test]
async fn a_record_whose_length_is_a_lie_costs_only_itself() {
    for length in [u32::MAX, 32 << 20, 1, 0] {
        let data = tempfile::tempdir().unwrap();
        let segment = crashed(data.path(), 4).await;
        let mut bytes = std::fs::read(&segment).unwrap();
        // The length of the first record, behind the header and its marker.
        bytes[36..40].copy_from_slice(&length.to_le_bytes());
        std::fs::write(&segment, &bytes).unwrap();
        assert_eq!(drained(data.path()).await.0, ["s-1", "s-2", "s-3"], "{length}");
        assert!(segment.with_extension("damaged").exists());
    }
}
