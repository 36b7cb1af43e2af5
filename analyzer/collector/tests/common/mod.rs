//! What the tests of the running collector share.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use weir_collector::{Collector, CollectorOptions, RunningCollector};
use weir_sample::{Kind, Sample, Score, list_files, read_file};
use weir_wire::{Leg, LegKind, Resource, Variant, encode_batch, encode_record};

pub const PROTOBUF: &str = "application/x-protobuf";
pub const START_NANO: u64 = 1_790_000_000_000_000_000;

pub fn options(data: &Path) -> CollectorOptions {
    let mut options = CollectorOptions::new("127.0.0.1:0".parse().unwrap(), data);
    options.flush_interval = Duration::from_millis(50);
    options.log = Arc::new(|_| {});
    options
}

/// The lines that the collector says to its operator.
pub fn with_log(options: &mut CollectorOptions) -> Arc<Mutex<Vec<String>>> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    options.log = Arc::new(move |line: &str| sink.lock().unwrap().push(line.to_owned()));
    lines
}

pub async fn start(data: &Path) -> RunningCollector {
    Collector::start(options(data)).await.unwrap()
}

pub fn leg(id: &str, sequence: u64, answer: &str) -> Leg {
    let body = serde_json::json!({"model": "m", "choices": [{"message": {"content": answer}, "finish_reason": "stop"}]}).to_string();
    Leg {
        sequence,
        start_unix_nano: START_NANO + sequence * 1_000,
        status: 200,
        response_content_type: "application/json".into(),
        response_body_bytes: body.len() as u64,
        response_body: body.into_bytes(),
        complete: true,
        ..Leg::new(id, LegKind::Primary, Variant::Control, "e-1")
    }
}

pub fn batch(worker: &str, legs: &[Leg]) -> Vec<u8> {
    let resource = Resource { proxy: "proxy-1".into(), worker: worker.into() };
    encode_batch(&resource, &legs.iter().map(encode_record).collect::<Vec<_>>())
}

pub async fn post(address: std::net::SocketAddr, body: Vec<u8>) -> reqwest::Result<reqwest::Response> {
    reqwest::Client::new()
        .post(format!("http://{address}/v1/logs"))
        .header("content-type", PROTOBUF)
        .body(body)
        .send()
        .await
}

pub fn samples(data: &Path) -> Vec<Sample> {
    let files = list_files(data, Kind::Samples, None).unwrap();
    files.iter().flat_map(|path| read_file::<Sample>(path).unwrap()).collect()
}

pub fn scores(data: &Path) -> Vec<Score> {
    let files = list_files(data, Kind::Scores, None).unwrap();
    files.iter().flat_map(|path| read_file::<Score>(path).unwrap()).collect()
}

/// Every byte below a folder.
pub fn all_bytes(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            bytes.extend(all_bytes(&path));
        } else {
            bytes.extend(std::fs::read(&path).unwrap());
        }
    }
    bytes
}

pub fn names(folder: &Path, ending: &str) -> Vec<std::path::PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|found| found == ending));
    paths.sort();
    paths
}
