//! A log or a disk that is full: requests are refused with 503; a memory or a queue: with 429; both with Retry-After, and nothing is
//! acknowledged for it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
#[path = "common/faulty.rs"]
mod faulty;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use common::*;
use faulty::*;
use weir_collector::{Collector, LogFormat, RunningCollector};

fn one(n: u64) -> Vec<u8> {
    batch("w", &[leg(&format!("s-{n}"), n, "x")])
}

async fn code(collector: &RunningCollector, n: u64) -> u16 {
    let response = post(collector.address(), one(n)).await.unwrap();
    let code = response.status().as_u16();
    assert_eq!(response.headers().contains_key("retry-after"), code == 503);
    code
}

fn ids(data: &std::path::Path) -> Vec<String> {
    let mut ids: Vec<_> = samples(data).into_iter().map(|row| row.sample_id).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn while_the_disk_is_almost_full_nothing_is_taken_and_afterwards_it_goes_on() {
    let data = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::new(&[]);
    let mut options = options(data.path());
    options.disk = Arc::new(disk.clone());
    options.limits.disk_free_bytes_min = 1_000_000;
    let lines = with_log(&mut options);
    let collector = Collector::start(options).await.unwrap();
    assert_eq!(code(&collector, 1).await, 200);
    disk.free_bytes.store(999_999, Relaxed);
    // The free space counts as known for a moment.
    tokio::time::sleep(Duration::from_millis(250)).await;
    let response = post(collector.address(), one(2)).await.unwrap();
    assert_eq!(response.status(), 503);
    let text = String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned();
    assert!(text.contains("999999 bytes are free, needed: 1000000"), "{text}");
    assert_eq!(code(&collector, 2).await, 503);
    let url = |path: &str| format!("http://{}/{path}", collector.address());
    assert_eq!(reqwest::get(url("readyz")).await.unwrap().status(), 503);
    assert_eq!(reqwest::get(url("healthz")).await.unwrap().status(), 200);
    let metrics = reqwest::get(url("metrics")).await.unwrap().text().await.unwrap();
    for line in [
        "weir_collector_disk_free_bytes 999999\n",
        "disk_free_bytes_min 1000000\n",
        "wal_bytes_max 1073741824\n",
        "rejected_total{reason=\"overload\"} 2\n",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    disk.free_bytes.store(u64::MAX, Relaxed);
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(code(&collector, 3).await, 200);
    assert_eq!(reqwest::get(url("readyz")).await.unwrap().status(), 200);
    collector.stop().await.unwrap();
    assert_eq!(ids(data.path()), ["s-1", "s-3"]);
    let lines = lines.lock().unwrap();
    let told = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    assert_eq!((told("samples are refused"), told("accepted again")), (1, 1), "{lines:?}");
}

#[tokio::test]
async fn free_space_that_is_not_known_is_told_once_and_refuses_nothing() {
    let data = tempfile::tempdir().unwrap();
    let mut options = options(data.path());
    options.disk =
        Arc::new(FaultyDisk::new(&[Fault { call: "free_bytes", path: "", errno: EIO, times: u64::MAX }]));
    let lines = with_log(&mut options);
    let collector = Collector::start(options).await.unwrap();
    for n in 0..3 {
        assert_eq!(code(&collector, n).await, 200);
        tokio::time::sleep(Duration::from_millis(210)).await;
    }
    assert!(!collector.metrics().contains("weir_collector_disk_free_bytes "));
    collector.stop().await.unwrap();
    assert_eq!(
        lines.lock().unwrap().iter().filter(|line| line.contains("free space is not known")).count(),
        1
    );
}

#[tokio::test]
async fn while_the_disk_is_stuck_the_queue_and_the_memory_are_bounded_and_a_stop_drains_them() {
    for (queue, memory_bytes, told) in [
        (2, 64 << 20, "the queue of the write-ahead log is full"),
        (1_000, 4 << 10, "too many requests are in work"),
    ] {
        let data = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::new(&[]);
        let mut options = options(data.path());
        options.disk = Arc::new(disk.clone());
        options.limits.queue_requests_max = queue;
        options.limits.inflight_bytes_max = memory_bytes;
        options.flush_interval = Duration::from_secs(3600);
        let collector = Collector::start(options).await.unwrap();
        let address = collector.address();
        let stuck = Arc::clone(&disk.stuck);
        let (release, held) = std::sync::mpsc::channel::<()>();
        let (holds, is_held) = std::sync::mpsc::channel();
        let holder = std::thread::spawn(move || {
            let _guard = stuck.write().unwrap();
            holds.send(()).unwrap();
            let _ = held.recv();
        });
        is_held.recv().unwrap();
        let send = |n: u64| {
            tokio::spawn(async move {
                let response = post(address, one(n)).await.unwrap();
                let code = response.status().as_u16();
                (n, code, String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned())
            })
        };
        let requests: Vec<_> = (0..20).map(send).collect();
        // The refusals come at once, the others wait for the disk.
        while requests.iter().filter(|request| request.is_finished()).count() < 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(collector.metrics().contains("accepted_total{kind=\"samples\"} 0\n"));
        let stop = tokio::spawn(collector.stop());
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(release);
        holder.join().unwrap();
        let mut acknowledged = Vec::new();
        let (mut refused, mut too_many) = (0, 0);
        for request in requests {
            match request.await.unwrap() {
                (n, 200, _) => acknowledged.push(format!("s-{n}")),
                (_, code, text) => {
                    let expected = if text.contains("stopping") { 503 } else { 429 };
                    assert_eq!(code, expected, "{text}");
                    assert!(text.contains(told) || text.contains("stopping"), "{text}");
                    refused += 1;
                    too_many += u32::from(code == 429);
                }
            }
        }
        stop.await.unwrap().unwrap();
        acknowledged.sort();
        assert!(refused >= 4 && too_many > 0 && !acknowledged.is_empty(), "{refused} refused");
        assert_eq!(ids(data.path()), acknowledged, "{told}");
    }
}

#[tokio::test]
async fn a_disk_that_refuses_every_batch_is_not_told_for_every_batch() {
    let data = tempfile::tempdir().unwrap();
    let mut options = options(data.path());
    let full = Fault { call: "write", path: ".wal", errno: ENOSPC, times: u64::MAX };
    options.disk = Arc::new(FaultyDisk::new(&[full]));
    options.log_format = LogFormat::Json;
    let lines = with_log(&mut options);
    let collector = Collector::start(options).await.unwrap();
    for n in 0..30 {
        assert_eq!(code(&collector, n).await, 503);
    }
    collector.stop().await.unwrap();
    let lines = lines.lock().unwrap();
    let events: Vec<serde_json::Value> =
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let failed: Vec<_> = events.iter().filter(|event| event["event"] == "commit_failed").collect();
    assert!((1..30).contains(&failed.len()), "{lines:?}");
    assert!(failed[0]["message"].as_str().unwrap().contains("No space left"), "{lines:?}");
    assert!(failed.iter().all(|event| event["level"] == "error" && event["time"].is_string()));
    assert!(samples(data.path()).is_empty());
}
