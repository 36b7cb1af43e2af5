//! How long a collector takes from its start to a fresh acknowledgement, with a large log left by the one before.
//!
//! The log is made by a collector whose Parquet folder is blocked by a file; the recovering one runs with the usual limits (but
//! for a log that may be as large as this one). Its pages are in the system's cache, as after a crash of the process.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weir_collector::{Collector, CollectorError, CollectorOptions, RunningCollector};
use weir_tests::client::{Client, post};
use weir_tests::http::request;
use weir_tests::world::Failure;
use weir_wire::{Leg, LegKind, Resource, Variant, encode_batch, encode_record};

const HEADERS: [(&str, &str); 1] = [("content-type", "application/x-protobuf")];
const CLIENTS: u64 = 8;
const BATCH_ROWS: u64 = 200;
const BODY_BYTES: usize = 2_048;
const WORDS: [&str; 8] = ["order ", "refund ", "the ", "is ", "on its way ", "sorry ", "we ", "ship "];

/// Makes a log of this size, starts on it, and measures.
///
/// # Errors
/// The collector, the folder, or a request that was refused.
pub(crate) async fn measure(log_bytes: u64) -> Result<Value, Failure> {
    let data = tempfile::tempdir()?;
    let blocker = data.path().join("samples");
    std::fs::write(&blocker, "in the way")?;
    let collector = Collector::start(options(data.path(), log_bytes)).await?;
    fill(&collector, log_bytes).await?;
    let (log_bytes, records) =
        (gauge(&collector, "weir_collector_wal_bytes"), gauge(&collector, "weir_collector_accepted_total"));
    match collector.stop().await {
        Err(CollectorError::Undrained { .. }) => {}
        other => return Err(format!("the log should have been left behind: {other:?}").into()),
    }
    std::fs::remove_file(&blocker)?;

    let began = Instant::now();
    let collector = Collector::start(options(data.path(), log_bytes)).await?;
    let start = began.elapsed();
    let fresh = batch("fresh", 0, 1);
    while post(collector.address(), "/v1/logs", &HEADERS, &fresh).await?.head.second_word() != "200" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let acknowledged = began.elapsed();
    let recovered = gauge(&collector, "weir_collector_recovered_records_total");
    // All but the segment that the fresh sample opened.
    while gauge(&collector, "weir_collector_rows_written_total") < recovered {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let drained = began.elapsed();
    collector.stop().await?;
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Ok(json!({
        "log_bytes": log_bytes,
        "records": records,
        "recovered_records": recovered,
        "start_ms": ms(start),
        "fresh_acknowledgement_ms": ms(acknowledged),
        "drained_ms": ms(drained),
    }))
}

fn options(data: &Path, log_bytes: u64) -> CollectorOptions {
    let mut options = CollectorOptions::new(SocketAddr::from(([127, 0, 0, 1], 0)), data);
    options.limits.wal_bytes_max = log_bytes * 2;
    options.stop_timeout = Duration::from_secs(60);
    options.log = Arc::new(|_| {});
    options
}

async fn fill(collector: &RunningCollector, log_bytes: u64) -> Result<(), Failure> {
    let address = collector.address();
    let mut next = 0;
    while gauge(collector, "weir_collector_wal_bytes") < log_bytes {
        let tasks: Vec<_> = (0..CLIENTS)
            .map(|n| {
                let from = next + n * BATCH_ROWS;
                tokio::spawn(async move {
                    let body = batch(&format!("w{n}"), from, BATCH_ROWS);
                    let mut client = Client::connect(address).await?;
                    client.exchange(&request("POST", "/v1/logs", &HEADERS, &body)).await
                })
            })
            .collect();
        next += CLIENTS * BATCH_ROWS;
        for task in tasks {
            let answer = task.await??;
            if answer.head.second_word() != "200" {
                return Err(format!("refused: {}", answer.head.first_line).into());
            }
        }
    }
    Ok(())
}

/// Legs whose answers are text of 2 KiB that does not repeat much.
fn batch(worker: &str, from: u64, rows: u64) -> Vec<u8> {
    let resource = Resource { proxy: "bench".into(), worker: worker.into() };
    let leg = |n: u64| {
        let mut text = String::with_capacity(BODY_BYTES + 16);
        let mut state = n;
        while text.len() < BODY_BYTES {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let word = usize::try_from(state >> 61).unwrap_or(0);
            text.push_str(WORDS.get(word).copied().unwrap_or_default());
        }
        text.truncate(BODY_BYTES);
        Leg {
            sequence: n,
            start_unix_nano: 1_790_000_000_000_000_000 + n * 1_000,
            status: 200,
            response_content_type: "text/plain".into(),
            response_body_bytes: text.len() as u64,
            response_body: text.into_bytes(),
            complete: true,
            ..Leg::new(format!("{worker}-{n}"), LegKind::Primary, Variant::Control, "bench")
        }
    };
    encode_batch(&resource, &(from..from + rows).map(|n| encode_record(&leg(n))).collect::<Vec<_>>())
}

/// The first value of a metric.
fn gauge(collector: &RunningCollector, name: &str) -> u64 {
    let metrics = collector.metrics();
    let line = metrics.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
}
