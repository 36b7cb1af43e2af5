//! Planted secrets through the binary: none in what `weir collect` prints and writes, nor in the reports that are made of it; and no
//! collector without its configuration.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../collector/tests/planted/mod.rs"]
mod planted;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use planted::{WAYS, is_seen, planted, readings};
use weir_wire::{Resource, encode_batch, encode_record};

const SECRETS: u64 = 1_000;

fn weir(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn no_planted_secret_is_in_reports_metrics_or_lines() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    let mut collector = weir(&["collect", "--listen", "127.0.0.1:0", "--data", &data]).spawn().unwrap();
    let mut lines = BufReader::new(collector.stderr.take().unwrap());
    let mut said = String::new();
    lines.read_line(&mut said).unwrap();
    let address = said.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();

    // Pairs, so that a report has exemplars of both answers.
    let secrets: Vec<_> = (0..SECRETS).map(planted).collect();
    let mut legs = Vec::new();
    for (number, secret) in (0..).zip(&secrets) {
        let mut control = planted::leg(number, secret, number as usize * 5 / planted::KINDS.len() % WAYS);
        let mut candidate = planted::leg(number, secret, [1, 2, 3, 8][number as usize % 4]);
        control.sample_id = format!("pair-{number}");
        candidate.sample_id = control.sample_id.clone();
        candidate.sequence += SECRETS;
        candidate.leg = weir_wire::LegKind::Shadow;
        candidate.variant = weir_wire::Variant::Candidate;
        candidate.status = if number % 3 == 0 { 500 } else { 200 };
        legs.extend([control, candidate]);
    }
    let resource = Resource { proxy: "proxy-1".into(), worker: "w".into() };
    for legs in legs.chunks(200) {
        let body = encode_batch(&resource, &legs.iter().map(encode_record).collect::<Vec<_>>());
        let answer = exchange(&address, "POST /v1/logs", &body);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let metrics = exchange(&address, "GET /metrics", b"");
    assert!(Command::new("kill").arg(collector.id().to_string()).status().unwrap().success());
    lines.read_to_string(&mut said).unwrap();
    collector.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(collector.wait().unwrap().success(), "{said}");

    let file = |ending: &str| folder.path().join(format!("report.{ending}")).display().to_string();
    let (json, html) = (file("json"), file("html"));
    let output =
        weir(&["analyze", "--data", &data, "--output-file", &json, "--output-file", &html]).output().unwrap();
    let mut shown = vec![said, metrics];
    shown.extend([&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()));
    for file in [json, html] {
        let report = std::fs::read_to_string(&file).unwrap();
        assert!(report.contains("[redacted:"), "{file} shows no redacted text");
        shown.push(report);
    }
    let readings: Vec<String> =
        shown.iter().flat_map(|text| [text.clone(), readings(text).concat()]).collect();
    let seen: Vec<_> = secrets.iter().filter(|secret| is_seen(&readings, secret)).collect();
    assert!(seen.is_empty(), "{} seen, such as {:?}", seen.len(), seen.first());
}

#[test]
fn no_collector_starts_without_its_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let (data, config) = (folder.path().join("data"), folder.path().join("collector.yaml"));
    std::fs::write(&config, "apiVersion: weir/v1\nkind: Collector\nredaction: {kinds: {email: hash}}\n")
        .unwrap();
    for (config, expected) in
        [(config.as_path(), "needs a key"), (Path::new("/nonexistent/collector.yaml"), "cannot be read")]
    {
        let arguments = [
            "collect",
            "--listen",
            "127.0.0.1:0",
            "--data",
            data.to_str().unwrap(),
            "--config",
            config.to_str().unwrap(),
        ];
        let output = weir(&arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(expected), "{said}");
        assert!(!data.exists());
    }
}

fn exchange(address: &str, line: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "{line} HTTP/1.1\r\nhost: weir\r\nconnection: close\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
