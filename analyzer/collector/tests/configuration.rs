//! The collector's configuration file: the example, every problem at once, and no start without it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;
use std::time::Duration;

use weir_collector::configuration::{Capture, Collector};
use weir_collector::redact::{Finds, Redactor};
use weir_collector::{ConnectionLimits, Limits};
use weir_sample::{Sample, lexical};

const HEAD: &str = "apiVersion: weir/v1\nkind: Collector\n";

fn problems(text: &str) -> String {
    Collector::parse("collector.yaml", &format!("{HEAD}{text}")).unwrap_err().to_string()
}

#[test]
fn the_example_does_what_it_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/collectors/strict.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), "0123456789abcdef0123456789abcdef\n").unwrap();
    let text = text.replace("{env: WEIR_HASH_KEY}", "{file: key}");
    let rules = Collector::parse("strict.yaml", &text).unwrap().rules("strict.yaml", folder.path()).unwrap();
    let redactor = Redactor::with(rules).unwrap();
    let redact = |text: &str| redactor.redact(text, &mut Finds::default()).into_owned();
    assert_eq!(
        redact("Ticket #42 of CUST-123456"),
        format!("[redacted:ticket] of {}", redact("CUST-123456"))
    );
    assert!(redact("CUST-123456").starts_with("[customer:"));
    assert_eq!(redact("jane@example.com"), redact("Jane@Example.com"));
    assert_eq!(redact("00:1b:44:11:3a:b7 4111111111111111"), "00:1b:44:11:3a:b7 [redacted:card]");
    let redacted = redact(
        r#"{"user":{"address":"Elm St 1"},"messages":[{"metadata":{"a":1}}],"x":{"session_token":"t"}}"#,
    );
    let value: serde_json::Value = serde_json::from_str(&redacted).unwrap();
    assert_eq!(value["user"]["address"], "[redacted:field]");
    assert_eq!(value["messages"][0]["metadata"], serde_json::Value::Null);
    assert!(value["x"]["session_token"].as_str().unwrap().starts_with("[field:"), "{redacted}");
}

#[test]
fn an_empty_document_masks_everything_and_keeps_texts() {
    let document = Collector::parse("collector.yaml", HEAD).unwrap();
    assert_eq!(document.capture, Capture::Full);
    let redactor = Redactor::with(document.rules("collector.yaml", Path::new("")).unwrap()).unwrap();
    assert_eq!(redactor.redact("a@example.com", &mut Finds::default()), "[redacted:email]");
}

#[test]
fn every_problem_is_told_at_once_with_path_value_allowed_and_hint() {
    insta::assert_snapshot!(problems(
        "capture: some
redaction:
  kinds: {email: hide, name: mask}
  patterns:
    - {name: Bad Name, pattern: '(?=x)'}
    - {name: empty, pattern: 'a*'}
  fields:
    - {path: '$.a[0]'}
  hashKey: {file: a, env: B}
  keys: 1
"
    ));
    insta::assert_snapshot!(problems(
        "redaction:
  kinds: {email: hash}
  patterns:
    - {name: a, pattern: a, action: hash}
    - {name: a, pattern: b}
  fields:
    - {path: a.b, action: hash}
"
    ));
}

#[test]
fn a_key_that_is_missing_or_too_short_is_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("short"), "abc\n").unwrap();
    for (key, said) in
        [("short", "names a key of 3 bytes; allowed: 16 bytes or more"), ("none", "cannot be read")]
    {
        let path = folder.path().join("collector.yaml");
        std::fs::write(&path, format!("{HEAD}redaction: {{hashKey: {{file: {key}}}}}\n")).unwrap();
        let error = Collector::load(&path).unwrap_err().to_string();
        assert!(error.contains("redaction.hashKey.file") && error.contains(said), "{error}");
    }
    assert!(
        Collector::load(&folder.path().join("absent.yaml"))
            .unwrap_err()
            .to_string()
            .contains("cannot be read")
    );
}

#[test]
fn numbers_only_leaves_no_text_of_a_body() {
    let document = Collector::parse("collector.yaml", &format!("{HEAD}capture: numbers\n")).unwrap();
    let redactor = Redactor::with(document.rules("collector.yaml", Path::new("")).unwrap()).unwrap();
    let text = || Some("quite private words".to_owned());
    let mut row = Sample {
        request_text: text(),
        response_text: text(),
        other_choices: text(),
        tool_call_text: text(),
        reasoning_text: text(),
        refusal: text(),
        prompt_tokens: Some(3),
        ..Sample::default()
    };
    redactor.redact_row(&mut row, &mut Finds::default());
    assert!(!format!("{row:?}").contains("private"), "{row:?}");
    assert_eq!((row.request_chars, row.response_chars, row.response_words), (Some(19), Some(19), Some(3)));
    assert_eq!((row.prompt_tokens, row.refusal.as_deref()), (Some(3), Some("[not kept]")));
}

#[test]
fn the_document_sets_the_bounds_of_requests_and_connections_and_without_it_they_are_the_usual_ones() {
    let bounds = |text: &str| {
        Collector::parse("collector.yaml", &format!("{HEAD}{text}")).unwrap().bounds(Limits::default())
    };
    assert_eq!(bounds(""), (Limits::default(), ConnectionLimits::default()));
    let text = "limits: {connectionsMax: 5, headerTimeoutMs: 1000, idleTimeoutMs: 2000, headerBytesMax: 9000, bodyBytesMax: 2000, \
                bodyTimeoutMs: 3000, decodedBytesMax: 4000, ratioMax: 7, recordsMax: 8, messagesMax: 90, inflightBytesMax: 5000, \
                queueRequestsMax: 6}";
    let (limits, connections) = bounds(text);
    let expected = Limits {
        body_bytes_max: 2_000,
        body_timeout: Duration::from_secs(3),
        decoded_bytes_max: 4_000,
        ratio_max: 7,
        records_max: 8,
        messages_max: 90,
        inflight_bytes_max: 5_000,
        queue_requests_max: 6,
        ..Limits::default()
    };
    assert_eq!(limits, expected);
    let expected = ConnectionLimits {
        connections_max: 5,
        header_timeout: Duration::from_secs(1),
        idle_timeout: Duration::from_secs(2),
        header_bytes_max: 9_000,
    };
    assert_eq!(connections, expected);
    insta::assert_snapshot!(problems(
        "limits: {connectionsMax: 0, headerTimeoutMs: 5, bodyBytesMax: 4096, inflightBytesMax: 2048, recordMax: 4}"
    ));
}

#[test]
fn an_embedding_beside_kept_texts_or_of_an_unknown_kind_is_refused_with_what_to_do() {
    insta::assert_snapshot!(problems("embedding: lexical"));
    insta::assert_snapshot!(problems("capture: numbers\nembedding: all-MiniLM-L6-v2"));
}

#[test]
fn an_embedding_that_was_asked_for_stands_in_the_place_of_the_redacted_text() {
    let text = format!("{HEAD}capture: numbers\nembedding: lexical\n");
    let document = Collector::parse("collector.yaml", &text).unwrap();
    let redactor = Redactor::with(document.rules("collector.yaml", Path::new("")).unwrap()).unwrap();
    let mut finds = Finds::default();
    let said = |who: &str| format!("write to {who}, please");
    let mut row = Sample {
        request_text: Some("?!".to_owned()),
        response_text: Some(said("jane@example.com")),
        ..Sample::default()
    };
    redactor.redact_row(&mut row, &mut finds);
    assert_eq!((row.request_text, row.response_text), (None, None));
    assert_eq!((row.request_vector, row.response_chars, row.response_words), (None, Some(33), Some(4)));
    assert_eq!(row.embedder.as_deref(), Some(lexical::IDENTITY));
    // The address was gone before the vector was made: no guess at it can be tested.
    assert_eq!(row.response_vector, lexical::direction(&said("[redacted:email]")));
    assert_ne!(row.response_vector, lexical::direction(&said("jane@example.com")));
    assert_eq!(finds.total(), 1);
}

#[test]
fn vectors_that_came_with_a_row_stay_where_vectors_were_asked_for_and_go_where_not() {
    for (document, kept) in
        [("capture: numbers\nembedding: lexical", true), ("capture: numbers", false), ("", true)]
    {
        let document = Collector::parse("collector.yaml", &format!("{HEAD}{document}\n")).unwrap();
        let redactor = Redactor::with(document.rules("collector.yaml", Path::new("")).unwrap()).unwrap();
        let mut row = Sample {
            response_text: Some("words".to_owned()),
            embedder: Some("mine-2".to_owned()),
            response_vector: Some(vec![1.0, 0.0]),
            ..Sample::default()
        };
        redactor.redact_row(&mut row, &mut Finds::default());
        let expected = kept.then(|| ("mine-2".to_owned(), vec![1.0, 0.0]));
        assert_eq!(row.embedder.zip(row.response_vector), expected);
    }
}
