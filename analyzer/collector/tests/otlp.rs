//! OTLP/HTTP as the specification has it: both encodings, compressed, answered in kind, and bounded.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::io::Write;

use common::*;
use prost::Message;
use serde_json::{Value, json};
use weir_collector::{Collector, RunningCollector};
use weir_sample::Sample;
use weir_wire::otlp::any_value::Value as Any;
use weir_wire::otlp::{ExportLogsServiceRequest, KeyValue, LogRecord, ResourceLogs, ScopeLogs};
use weir_wire::{Leg, names};

const JSON: &str = "application/json";

struct Sent {
    status: u16,
    content_type: String,
    retry_after: Option<String>,
    body: Vec<u8>,
}

impl Sent {
    fn json(&self) -> Value {
        assert_eq!(self.content_type, JSON);
        serde_json::from_slice(&self.body).unwrap()
    }
}

async fn send(collector: &RunningCollector, content_type: &str, encoding: &str, body: Vec<u8>) -> Sent {
    let request = reqwest::Client::new()
        .post(format!("http://{}/v1/logs", collector.address()))
        .header("content-type", content_type)
        .header("content-encoding", encoding);
    let response = request.body(body).send().await.unwrap();
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (content_type, retry_after) = (header("content-type").unwrap_or_default(), header("retry-after"));
    let status = response.status().as_u16();
    Sent { status, content_type, retry_after, body: response.bytes().await.unwrap().to_vec() }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    to.write_all(bytes).unwrap();
    to.finish().unwrap()
}

/// The official JSON form of a protobuf request; integers as text, as the protobuf mapping has them.
fn as_json(bytes: &[u8]) -> Value {
    fn value(any: &Any) -> Value {
        use base64::Engine;
        match any {
            Any::StringValue(text) => json!({ "stringValue": text }),
            Any::BoolValue(value) => json!({ "boolValue": value }),
            Any::IntValue(value) => json!({ "intValue": value.to_string() }),
            Any::DoubleValue(value) => json!({ "doubleValue": value }),
            Any::BytesValue(bytes) => {
                json!({ "bytesValue": base64::engine::general_purpose::STANDARD.encode(bytes) })
            }
            other => panic!("{other:?}"),
        }
    }
    let attributes = |list: &[KeyValue]| -> Value {
        let any = |attribute: &KeyValue| attribute.value.as_ref().unwrap().value.as_ref().map(value);
        list.iter().map(|attribute| json!({"key": attribute.key, "value": any(attribute)})).collect()
    };
    let record = |record: &LogRecord| {
        json!({"timeUnixNano": record.time_unix_nano.to_string(), "eventName": record.event_name,
            "severityNumber": 9, "unknownField": {"a": [1]}, "attributes": attributes(&record.attributes)})
    };
    let request = ExportLogsServiceRequest::decode(bytes).unwrap();
    let scope = |scope: &ScopeLogs| json!({"scope": null, "logRecords": scope.log_records.iter().map(record).collect::<Vec<_>>()});
    let logs = |logs: &ResourceLogs| {
        json!({"resource": {"attributes": attributes(&logs.resource.as_ref().unwrap().attributes)},
            "scopeLogs": logs.scope_logs.iter().map(scope).collect::<Vec<_>>()})
    };
    json!({"resourceLogs": request.resource_logs.iter().map(logs).collect::<Vec<_>>()})
}

fn full_leg(id: &str) -> Leg {
    Leg {
        inclusion_probability: 0.25,
        latency_ms: Some(12.5),
        revision: 1 << 60,
        request_body: b"\x00\xff{".to_vec(),
        request_body_bytes: Some(3),
        ..leg(id, 3, "Gr\u{fc}\u{df}e")
    }
}

#[tokio::test]
async fn both_encodings_and_both_compressions_give_the_same_row() {
    let data = tempfile::tempdir().unwrap();
    let collector = start(data.path()).await;
    let ids = ["protobuf", "protobuf-gzip", "protobuf-zstd", "json", "json-gzip"];
    for id in ids {
        let protobuf = batch("w", &[full_leg(id)]);
        let json = as_json(&protobuf).to_string().into_bytes();
        let sent = match id {
            "protobuf" => send(&collector, PROTOBUF, "identity", protobuf).await,
            "protobuf-gzip" => send(&collector, PROTOBUF, "gzip", gzip(&protobuf)).await,
            "protobuf-zstd" => {
                send(&collector, PROTOBUF, "zstd", zstd::encode_all(protobuf.as_slice(), 3).unwrap()).await
            }
            "json" => send(&collector, "application/json; charset=utf-8", "", json).await,
            _ => send(&collector, JSON, "gzip", gzip(&json)).await,
        };
        assert_eq!(sent.status, 200, "{id}: {}", String::from_utf8_lossy(&sent.body));
        if id.starts_with("json") {
            assert_eq!(sent.json(), json!({}));
        } else {
            assert_eq!((sent.content_type.as_str(), sent.body.len()), (PROTOBUF, 0));
        }
    }
    collector.stop().await.unwrap();
    let rows = samples(data.path());
    assert_eq!(rows.len(), ids.len());
    let first = rows.iter().find(|row| row.sample_id == "protobuf").unwrap();
    assert_eq!(first.revision, Some(1 << 60));
    for row in &rows {
        assert_eq!(Sample { sample_id: first.sample_id.clone(), ..row.clone() }, *first, "{}", row.sample_id);
    }
}

#[tokio::test]
async fn a_bad_record_in_json_is_refused_alone_with_its_place_and_its_field() {
    let data = tempfile::tempdir().unwrap();
    let collector = start(data.path()).await;
    let mut request =
        as_json(&batch("w", &[leg("a", 0, "x"), leg("b", 1, "x"), leg("c", 2, "x"), leg("d", 3, "x")]));
    let records = &mut request["resourceLogs"][0]["scopeLogs"][0]["logRecords"];
    records[0]["timeUnixNano"] = json!("yesterday");
    let revision = names::SEQUENCE;
    for attribute in records[1]["attributes"].as_array_mut().unwrap() {
        if attribute["key"] == revision {
            attribute["value"] = json!({"intValue": "many"});
        }
    }
    records[2] = json!([1, 2]);
    let sent = send(&collector, JSON, "", request.to_string().into_bytes()).await;
    assert_eq!(sent.status, 200);
    let partial = &sent.json()["partialSuccess"];
    assert_eq!(partial["rejectedLogRecords"], json!("3"));
    let why = partial["errorMessage"].as_str().unwrap();
    for part in [
        "record 0: field timeUnixNano: \"yesterday\" is not a number of nanoseconds since 1970",
        "record 1: attribute weir.sequence: field intValue: \"many\" is not a 64-bit integer",
        "record 2: a list is not a log record; allowed: an object",
    ] {
        assert!(why.contains(part), "{why}");
    }
    collector.stop().await.unwrap();
    assert_eq!(samples(data.path()).iter().map(|row| row.sample_id.as_str()).collect::<Vec<_>>(), ["d"]);
}

#[tokio::test]
async fn refusals_speak_the_requests_encoding_and_tell_what_may_be_tried_again() {
    let data = tempfile::tempdir().unwrap();
    let mut options = options(data.path());
    options.limits.body_bytes_max = 50_000;
    let collector = Collector::start(options).await.unwrap();
    type Case = (&'static str, &'static str, Vec<u8>, u16, i64, &'static str);
    let cases: [Case; 6] = [
        (JSON, "", b"{\"resourceLogs\": [".to_vec(), 400, 3, "not OTLP as JSON: EOF while parsing"),
        (JSON, "", b"{\"resourceLogs\": 5}".to_vec(), 400, 3, "field resourceLogs: 5 is not a list"),
        (JSON, "", b"[]".to_vec(), 400, 3, "a list is not an object"),
        (JSON, "", vec![b' '; 50_001], 413, 3, "larger than 50000 bytes"),
        (JSON, "br", b"{}".to_vec(), 415, 3, "allowed: identity, gzip, zstd"),
        (JSON, "gzip", gzip(b"{}")[..10].to_vec(), 400, 3, "the body ends before its gzip does"),
    ];
    for (content_type, encoding, body, status, code, text) in cases {
        let sent = send(&collector, content_type, encoding, body).await;
        let told = sent.json();
        assert_eq!(
            (sent.status, told["code"].as_i64(), sent.retry_after),
            (status, Some(code), None),
            "{told}"
        );
        assert!(told["message"].as_str().unwrap().contains(text), "{told}");
    }
    let sent = send(&collector, PROTOBUF, "zstd", b"not zstd".to_vec()).await;
    assert_eq!((sent.status, sent.content_type.as_str()), (400, PROTOBUF));
    assert!(sent.body.starts_with(&[0x08, 3, 0x12]), "a google.rpc.Status with code 3 and a message");
    collector.stop().await.unwrap();

    let mut full = common::options(data.path());
    full.limits.wal_bytes_max = 0;
    let collector = Collector::start(full).await.unwrap();
    let sent = send(&collector, JSON, "", b"{}".to_vec()).await;
    assert_eq!((sent.status, sent.json()["code"].as_i64()), (503, Some(14)));
    assert!(sent.retry_after.is_some_and(|after| after.parse::<u32>().unwrap() > 0));
    collector.stop().await.unwrap();
}

#[tokio::test]
async fn bombs_huge_windows_and_a_million_tiny_records_are_refused() {
    let data = tempfile::tempdir().unwrap();
    let collector = start(data.path()).await;
    let zeros = vec![0u8; 24 << 20];
    let tiny = [vec![0x0a, 0x84, 0x89, 0x7a, 0x12, 0x80, 0x89, 0x7a], [0x12, 0].repeat(1_000_000)].concat();
    let tiny_json = format!(
        "{{\"resourceLogs\":[{{\"scopeLogs\":[{{\"logRecords\":[{}{{}}]}}]}}]}}",
        "{},".repeat(1_000_000)
    );
    let window = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0x01, 0x00, 0x00];
    let cases = [
        (PROTOBUF, "gzip", gzip(&zeros)),
        (PROTOBUF, "zstd", zstd::encode_all(zeros.as_slice(), 3).unwrap()),
        (PROTOBUF, "gzip", gzip(&gzip(&zeros))),
        (PROTOBUF, "zstd", window),
        (PROTOBUF, "gzip", gzip(&tiny)),
        (PROTOBUF, "", tiny),
        (JSON, "", tiny_json.clone().into_bytes()),
        (JSON, "gzip", gzip(tiny_json.as_bytes())),
    ];
    for (position, (content_type, encoding, body)) in cases.into_iter().enumerate() {
        let sent = send(&collector, content_type, encoding, body).await;
        let text = String::from_utf8_lossy(&sent.body).into_owned();
        // The nested one is undone once, and is no protobuf then.
        let expected = if position == 2 { 400 } else { 413 };
        assert_eq!(sent.status, expected, "case {position}: {text}");
    }
    assert_eq!(send(&collector, PROTOBUF, "", batch("w", &[leg("a", 0, "x")])).await.status, 200);
    collector.stop().await.unwrap();
    assert_eq!(samples(data.path()).len(), 1);
}

#[tokio::test]
async fn more_records_than_allowed_are_refused_with_the_number_that_is() {
    let data = tempfile::tempdir().unwrap();
    let mut options = options(data.path());
    options.limits.records_max = 3;
    let collector = Collector::start(options).await.unwrap();
    let legs: Vec<Leg> = (0..4).map(|n| leg("a", n, "x")).collect();
    let sent = send(&collector, JSON, "", as_json(&batch("w", &legs)).to_string().into_bytes()).await;
    assert_eq!(sent.status, 413);
    assert!(sent.json()["message"].as_str().unwrap().contains("4 records are more than 3"));
    assert_eq!(send(&collector, PROTOBUF, "", batch("w", &legs[..3])).await.status, 200);
    collector.stop().await.unwrap();
}

#[tokio::test]
async fn what_the_filter_reports_about_itself_is_a_line_for_the_operator() {
    let data = tempfile::tempdir().unwrap();
    let mut options = options(data.path());
    let lines = with_log(&mut options);
    let collector = Collector::start(options).await.unwrap();
    let event = weir_wire::Event {
        kind: weir_wire::GUARD_TRIPPED.into(),
        experiment: "e-1".into(),
        cohort: "beta\u{1b}[2J".into(),
        reason: "failures".into(),
        answers: 20,
        failures: 15,
        ..weir_wire::Event::default()
    };
    let resource = weir_wire::Resource { proxy: "p".into(), worker: "w".into() };
    let body = weir_wire::encode_batch(&resource, &[weir_wire::encode_event(&event)]);
    let sent = send(&collector, PROTOBUF, "", body).await;
    assert_eq!((sent.status, sent.body.len()), (200, 0));
    collector.stop().await.unwrap();
    let line = "guard-tripped: experiment e-1, cohort beta[2J, revision 0: failures (15 failed and 0 slow of 20 answers)";
    assert!(lines.lock().unwrap().iter().any(|found| found == line), "{:?}", lines.lock().unwrap());
}
