//! Mutants of committed requests, in both encodings, through decoding and conversion: no panic, every item is a row, a refusal
//! with a reason, or counted, and every row can be read back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../../../filter/plugin/tests/mutation/mod.rs"]
mod mutation;

use mutation::over_mutants;
use prost::Message;
use weir_sample::row::decode_row;
use weir_sample::{Sample, Score};
use weir_wire::otlp::{ExportLogsServiceRequest, ResourceLogs, ScopeLogs};

use super::trace::{ExportTraceServiceRequest, ResourceSpans, ScopeSpans};
use super::*;
use crate::convert::{Converted, convert, convert_spans};
use crate::redact::Redactor;

const WORDS: [&[u8]; 30] = [
    b"\"attributes\":",
    b"\"kvlistValue\":{\"values\":[]}",
    b"\"arrayValue\":{\"values\":[{}]}",
    b"\"intValue\":\"-1\"",
    b"\"doubleValue\":\"NaN\"",
    b"\"bytesValue\":\"=\"",
    b"\"stringValue\":",
    b"\"timeUnixNano\":\"18446744073709551615\"",
    b"\"traceState\":\"ot=th:ffffffffffffff\"",
    b"\"spanId\":\"0\"",
    b"\"resource\":null",
    b"\"scope\":{\"attributes\":[]}",
    b"weir.variant",
    b"weir.sample_id",
    b"gen_ai.output.messages",
    b"gen_ai.operation.name",
    b"null",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\"",
    b"\\ud800",
    b"1e400",
    b"\xff",
    b"\x0a\xff\xff\xff\xff\x0f",
    b"\x12\x00",
    b"\x3a\x00",
];

fn limits() -> RequestLimits {
    RequestLimits { decoded_bytes_max: 1 << 20, ratio_max: 10, messages_max: 2_000, records_max: 50 }
}

fn files() -> Vec<(String, Vec<u8>)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let name = |path: &std::path::Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    paths.iter().map(|path| (name(path), std::fs::read(path).unwrap())).collect()
}

fn is_spans(name: &str) -> bool {
    name.contains("spans")
}

/// The committed JSON requests as protobuf.
fn protobuf(name: &str, json: &[u8]) -> Vec<u8> {
    if is_spans(name) {
        let groups = spans(Format::Json, json, limits()).unwrap().into_iter();
        let one = |group: ItemGroup<Span>| ResourceSpans {
            resource: Some((*group.resource).clone()),
            scope_spans: vec![ScopeSpans { spans: group.items.into_iter().map(Result::unwrap).collect() }],
        };
        return ExportTraceServiceRequest { resource_spans: groups.map(one).collect() }.encode_to_vec();
    }
    let groups = log_records(Format::Json, json, limits()).unwrap().into_iter();
    let one = |group: ItemGroup<LogRecord>| ResourceLogs {
        resource: Some((*group.resource).clone()),
        scope_logs: vec![ScopeLogs {
            log_records: group.items.into_iter().map(Result::unwrap).collect(),
            ..ScopeLogs::default()
        }],
        ..ResourceLogs::default()
    };
    ExportLogsServiceRequest { resource_logs: groups.map(one).collect() }.encode_to_vec()
}

fn check(converted: Converted, items: usize) {
    let reason = converted.reason();
    assert_eq!(converted.rejected() > 0, !reason.is_empty(), "{reason}");
    let kept = converted.entries.len() + converted.events.len();
    let counted = kept as u64 + converted.rejected() + converted.other_spans;
    assert_eq!(counted, items as u64, "{reason}");
    for entry in &converted.entries {
        match entry.kind {
            weir_sample::Kind::Samples => {
                let row = decode_row::<Sample>(&entry.row).unwrap();
                assert!(weir_sample::is_experiment(&row.experiment) && !row.sample_id.is_empty());
                assert!(row.inclusion_probability > 0.0 && row.inclusion_probability <= 1.0);
            }
            weir_sample::Kind::Scores => assert!(decode_row::<Score>(&entry.row).unwrap().score.is_finite()),
        }
    }
}

fn run(format: Format, is_span: bool, bytes: &[u8], redactor: &Redactor) {
    if is_span {
        if let Ok(groups) = spans(format, bytes, limits()) {
            let items = groups.iter().map(|group| group.items.len()).sum();
            assert!(items <= limits().records_max);
            check(convert_spans(groups, redactor, 5), items);
        }
    } else if let Ok(groups) = log_records(format, bytes, limits()) {
        let items = groups.iter().map(|group| group.items.len()).sum();
        assert!(items <= limits().records_max);
        check(convert(groups, redactor, 5), items);
    }
}

#[test]
fn mutants_of_requests_in_json_are_rows_refusals_or_counted() {
    let redactor = Redactor::new().unwrap();
    for is_span in [false, true] {
        let files = files().into_iter().filter(|(name, _)| is_spans(name) == is_span);
        // Without the white space for readers, so that mutations hit more.
        let compact = |json: Vec<u8>| serde_json::from_slice::<serde_json::Value>(&json).unwrap().to_string();
        let corpus: Vec<Vec<u8>> = files.map(|(_, json)| compact(json).into_bytes()).collect();
        over_mutants(&corpus, &WORDS, 3_000, |bytes| run(Format::Json, is_span, bytes, &redactor));
    }
}

#[test]
fn mutants_of_requests_in_protobuf_are_rows_refusals_or_counted() {
    let redactor = Redactor::new().unwrap();
    for is_span in [false, true] {
        let files = files().into_iter().filter(|(name, _)| is_spans(name) == is_span);
        let corpus: Vec<Vec<u8>> = files.map(|(name, json)| protobuf(&name, &json)).collect();
        over_mutants(&corpus, &WORDS, 3_000, |bytes| run(Format::Protobuf, is_span, bytes, &redactor));
    }
}

#[test]
fn both_encodings_of_a_request_are_the_same_rows() {
    let redactor = Redactor::new().unwrap();
    for (name, json) in files() {
        let rows = |format, bytes: &[u8]| {
            let converted = match is_spans(&name) {
                true => convert_spans(spans(format, bytes, limits()).unwrap(), &redactor, 5),
                false => convert(log_records(format, bytes, limits()).unwrap(), &redactor, 5),
            };
            assert!(!converted.entries.is_empty(), "{name}");
            converted.entries.into_iter().map(|entry| entry.row).collect::<Vec<_>>()
        };
        assert_eq!(rows(Format::Json, &json), rows(Format::Protobuf, &protobuf(&name, &json)), "{name}");
    }
}
