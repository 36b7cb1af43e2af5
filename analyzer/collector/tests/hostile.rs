//! Hostile senders against a collector that is a process of its own: what they send is refused or stored, its memory grows by
//! less than 64 MiB, and it goes on serving.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use common::*;
use weir_collector::Collector;
use weir_wire::Leg;

const DATA: &str = "WEIR_HOSTILE_DATA";
/// A bomb is a compressed stream of 8 MiB, repeated: 192 MiB, more than may be taken.
const MEMBERS: usize = 24;
const GROWTH_KIB_MAX: u64 = 64 << 10;

/// Not a test of its own: the process that the tests below start.
#[tokio::test]
#[ignore = "started by the test below"]
async fn collector_process() {
    let Some(data) = std::env::var_os(DATA) else { return };
    let collector = Collector::start(options(Path::new(&data))).await.unwrap();
    // The test runner has written an unfinished line.
    println!("\nlistening {}", collector.address());
    std::io::stdout().flush().unwrap();
    let _ = tokio::task::spawn_blocking(|| std::io::stdin().lines().count()).await;
    collector.stop().await.unwrap();
}

struct Process {
    child: Child,
    /// Kept open: the process says at its end how it went.
    output: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Process {
    fn start(data: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "collector_process", "--nocapture"])
            .env(DATA, data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.starts_with("listening ") {
            line.clear();
            assert!(output.read_line(&mut line).unwrap() > 0, "the collector did not start");
        }
        let address = line["listening ".len()..].trim().parse().unwrap();
        Self { child, output, address }
    }

    /// A line of `/proc/PID/status`, KiB.
    fn memory_kib(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    fn stop(mut self) {
        drop(self.child.stdin.take());
        std::io::copy(&mut self.output, &mut std::io::sink()).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

async fn send(address: SocketAddr, path: &str, kind: &str, encoding: &str, body: Vec<u8>) -> (u16, String) {
    let request = reqwest::Client::new().post(format!("http://{address}{path}"));
    let request = request.header("content-type", kind).header("content-encoding", encoding).body(body);
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    to.write_all(bytes).unwrap();
    to.finish().unwrap()
}

fn hostile_leg(sequence: u64, content_type: &str, encoding: &str, body: Vec<u8>) -> Leg {
    Leg {
        response_content_type: content_type.into(),
        response_content_encoding: encoding.into(),
        response_body_bytes: body.len() as u64,
        response_body: body,
        ..leg(&format!("h-{sequence}"), sequence, "")
    }
}

/// Bodies inside of records: bombs, huge windows, wide and deep JSON, bytes that are no text.
fn hostile_legs() -> Vec<Leg> {
    let spaces = vec![b' '; 8 << 20];
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
    let json = "application/json";
    let event = b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
    let bodies = [
        (json, "gzip", gzip(&spaces).repeat(MEMBERS)),
        (json, "zstd", zstd(&spaces).repeat(MEMBERS)),
        (json, "gzip, gzip", gzip(&gzip(&spaces).repeat(MEMBERS))),
        (json, "", gzip(&spaces).repeat(MEMBERS)),
        ("text/event-stream", "gzip", gzip(&event.repeat(100_000)).repeat(MEMBERS)),
        (json, "zstd", vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0x01, 0x00, 0x00]),
        (json, "br", vec![0x11, 30, 0x03, 0xff]),
        (json, "gzip", gzip("[{\"\":0},".repeat(900_000).as_bytes())),
        (json, "", "[".repeat(1 << 20).into_bytes()),
        (json, "", format!("[{}0]", "{\"a\":{}},".repeat(60_000)).into_bytes()),
        ("text/plain", "", b"\xff\xfe\xed\xa0\x80\xc0\x80".repeat(100_000)),
        ("text/event-stream", "", b"data: {\"choices\":[]}\r".repeat(50_000)),
    ];
    let number =
        |(at, (kind, encoding, body)): (u64, (&str, &str, Vec<u8>))| hostile_leg(at, kind, encoding, body);
    (0..).zip(bodies).map(number).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_requests_are_refused_or_stored_and_memory_grows_by_less_than_64_mib() {
    let data = tempfile::tempdir().unwrap();
    let process = Process::start(data.path());
    let address = process.address;
    // What every collector holds after its first requests is no growth.
    for n in 0..20 {
        let ordinary = batch("w", &[leg(&format!("first-{n}"), n, "Hi")]);
        assert_eq!(send(address, "/v1/logs", PROTOBUF, "gzip", gzip(&ordinary)).await.0, 200);
    }
    let before = process.memory_kib("VmRSS:");

    let legs = hostile_legs();
    for leg in &legs {
        let (status, text) =
            send(address, "/v1/logs", PROTOBUF, "", batch("w", std::slice::from_ref(leg))).await;
        assert_eq!((status, text.as_str()), (200, ""), "{}", leg.sample_id);
    }
    let tiny = format!(
        "{{\"resourceLogs\":[{{\"scopeLogs\":[{{\"logRecords\":[{}{{}}]}}]}}]}}",
        "{},".repeat(1_000_000)
    );
    let spans = tiny.replace("Logs", "Spans").replace("logRecords", "spans");
    let deep = "{\"resourceLogs\":".repeat(10_000);
    let zeros = vec![0u8; 8 << 20];
    let bomb = gzip(&zeros).repeat(MEMBERS);
    let requests: [(&str, &str, &str, Vec<u8>); 7] = [
        ("/v1/logs", "application/json", "gzip", gzip(tiny.as_bytes())),
        ("/v1/traces", "application/json", "gzip", gzip(spans.as_bytes())),
        ("/v1/logs", "application/json", "", deep.into_bytes()),
        ("/v1/logs", "application/json", "", b"\xff\xfe".repeat(1 << 19)),
        ("/v1/traces", PROTOBUF, "gzip", bomb.clone()),
        ("/v1/traces", PROTOBUF, "zstd", zstd::encode_all(zeros.as_slice(), 3).unwrap().repeat(MEMBERS)),
        (
            "/v1/logs",
            PROTOBUF,
            "gzip",
            gzip(&[vec![0x0a, 0x80, 0x89, 0x7a], [0x12, 0].repeat(1_000_000)].concat()),
        ),
    ];
    for (path, kind, encoding, body) in requests {
        let (status, text) = send(address, path, kind, encoding, body).await;
        assert!((400..=413).contains(&status), "{path} {kind} {encoding}: {status} {text}");
    }
    // Many at once: what they may take together is bounded, too.
    let many = (0..16).map(|_| send(address, "/v1/logs", PROTOBUF, "gzip", bomb.clone()));
    for (status, text) in futures_util::future::join_all(many).await {
        assert!(status == 413 || status == 429, "{status} {text}");
    }

    let growth = process.memory_kib("VmHWM:").saturating_sub(before);
    println!("resident before: {before} KiB, most that it grew: {growth} KiB");
    assert!(growth < GROWTH_KIB_MAX, "memory grew by {growth} KiB");
    let ordinary = batch("w", &[leg("last", 1_000, "Hi")]);
    assert_eq!(send(address, "/v1/logs", PROTOBUF, "", ordinary).await.0, 200);
    process.stop();
    let rows = samples(data.path());
    assert_eq!(rows.len(), 20 + legs.len() + 1);
    for row in rows.iter().filter(|row| row.sample_id.starts_with("h-")) {
        assert!(row.response_text.is_some() || row.response_flags.is_some(), "{}", row.sample_id);
    }
}
