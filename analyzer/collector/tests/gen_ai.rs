//! Calls that other instrumentations observed: GenAI spans and events, over HTTP, to rows in Parquet.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fmt::Write;

use common::*;
use serde_json::{Value, json};
use weir_collector::RunningCollector;
use weir_sample::Sample;

fn corpus(name: &str) -> Value {
    let path = format!("{}/tests/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

async fn send(collector: &RunningCollector, path: &str, body: &Value) -> (u16, Value) {
    let request = reqwest::Client::new()
        .post(format!("http://{}{path}", collector.address()))
        .header("content-type", "application/json");
    let response = request.body(body.to_string()).send().await.unwrap();
    (response.status().as_u16(), serde_json::from_slice(&response.bytes().await.unwrap()).unwrap())
}

fn shown(rows: &[Sample]) -> String {
    let mut text = String::new();
    for row in rows {
        writeln!(
            text,
            "## {} {} {} {}",
            row.experiment,
            row.sample_id,
            row.leg.as_str(),
            row.variant.as_str()
        )
        .unwrap();
        let mut line = |name: &str, value: String| {
            if !value.contains("None") {
                writeln!(text, "{name}: {value}").unwrap();
            }
        };
        line("asked", format!("{:?}", row.request_text));
        line("answered", format!("{:?}", row.response_text));
        line("other choices", format!("{:?}", row.other_choices));
        line("calls", format!("{:?}", row.tool_call_text));
        line("reasoning", format!("{:?}", row.reasoning_text));
        line("flags", format!("{:?}", row.response_flags));
        line("error", format!("{:?}", row.error_type));
        line("ttft", format!("{:?}", row.ttft_ms));
        line("session", format!("{:?}", row.session_id));
        line("revision", format!("{:?}", row.revision));
        let (model, provider, id) = (&row.model, &row.provider, &row.response_id);
        writeln!(text, "model {model:?}, provider {provider:?}, id {id:?}").unwrap();
        let tokens = (row.prompt_tokens, row.completion_tokens, row.cached_tokens, row.reasoning_tokens);
        writeln!(text, "finish {:?}, tokens {tokens:?}, tool calls {:?}", row.finish_reason, row.tool_calls)
            .unwrap();
        writeln!(
            text,
            "complete {:?}, latency {:?}, probability {}",
            row.complete, row.latency_ms, row.inclusion_probability
        )
        .unwrap();
        writeln!(text, "tags {:?}\n", row.tags).unwrap();
    }
    text
}

#[tokio::test]
async fn spans_of_another_instrumentation_become_rows_and_other_spans_are_counted() {
    let data = tempfile::tempdir().unwrap();
    let collector = start(data.path()).await;
    assert_eq!(send(&collector, "/v1/traces", &corpus("spans.json")).await, (200, json!({})));
    let metrics = collector.metrics();
    assert!(metrics.contains("weir_collector_other_spans_total 2"), "{metrics}");
    assert!(metrics.contains("weir_collector_accepted_total{kind=\"samples\"} 4"), "{metrics}");
    // A retry is the same calls.
    assert_eq!(send(&collector, "/v1/traces", &corpus("spans.json")).await, (200, json!({})));
    collector.stop().await.unwrap();
    let mut rows = samples(data.path());
    rows.sort_by(|a, b| a.span_id.cmp(&b.span_id));
    assert_eq!(rows.len(), 4);
    // Messages as a structure and messages as JSON text say the same.
    let like_the_second = Sample {
        sample_id: rows[1].sample_id.clone(),
        span_id: rows[1].span_id.clone(),
        inclusion_probability: 1.0,
        ..rows[0].clone()
    };
    assert_eq!(like_the_second, rows[1]);
    insta::assert_snapshot!(shown(&rows));
}

#[tokio::test]
async fn events_are_rows_and_a_call_that_comes_as_both_is_one() {
    let data = tempfile::tempdir().unwrap();
    let collector = start(data.path()).await;
    assert_eq!(send(&collector, "/v1/logs", &corpus("events.json")).await, (200, json!({})));
    let mut spans = corpus("spans.json");
    let group = &mut spans["resourceSpans"][0];
    let span = &mut group["scopeSpans"][0]["spans"][0];
    span["spanId"] = json!("00000000000000aa");
    let only = span.clone();
    group["scopeSpans"][0]["spans"] = json!([only]);
    group["resource"] = corpus("events.json")["resourceLogs"][0]["resource"].clone();
    assert_eq!(send(&collector, "/v1/traces", &spans).await, (200, json!({})));
    assert!(collector.metrics().contains("weir_collector_duplicates_total 1"));
    collector.stop().await.unwrap();
    let mut rows = samples(data.path());
    rows.sort_by(|a, b| b.trace_id.cmp(&a.trace_id));
    insta::assert_snapshot!(shown(&rows));
}

#[tokio::test]
async fn a_call_that_says_too_little_or_something_wrong_is_refused_alone() {
    let data = tempfile::tempdir().unwrap();
    let collector = start(data.path()).await;
    let with = |n: u64, name: &str, value: Value| {
        let mut attributes = vec![
            json!({"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}}),
            json!({"key": "weir.experiment", "value": {"stringValue": "e"}}),
        ];
        attributes.push(json!({"key": name, "value": value}));
        json!({"traceId": "5b8efff798038103d269b633813fc60c", "spanId": format!("{n:016x}"), "attributes": attributes})
    };
    let resource = json!({"attributes": [{"key": "weir.variant", "value": {"stringValue": "control"}}]});
    let request = json!({"resourceSpans": [
        {"resource": resource, "scopeSpans": [{"spans": [
            with(1, "gen_ai.usage.input_tokens", json!({"intValue": "-1"})),
            with(2, "weir.leg", json!({"stringValue": "first"})),
            with(3, "gen_ai.request.model", json!({"stringValue": "good"})),
        ]}]},
        {"scopeSpans": [{"spans": [with(4, "deployment.environment.name", json!({"stringValue": "moon"}))]}]},
    ]});
    let (status, answer) = send(&collector, "/v1/traces", &request).await;
    assert_eq!((status, &answer["partialSuccess"]["rejectedSpans"]), (200, &json!("3")));
    insta::assert_snapshot!(answer["partialSuccess"]["errorMessage"].as_str().unwrap());
    collector.stop().await.unwrap();
    assert_eq!(
        samples(data.path()).iter().map(|row| row.model.as_deref()).collect::<Vec<_>>(),
        [Some("good")]
    );
}

/// An attribute of text.
fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

fn whole(key: &str, value: u64) -> Value {
    json!({"key": key, "value": {"intValue": value.to_string()}})
}

fn control() -> Value {
    json!({"attributes": [text("weir.variant", "control"), text("service.name", "desk")]})
}

const TRACE: &str = "5b8efff798038103d269b633813fc60c";

#[tokio::test]
async fn messages_of_before_1_37_are_read_from_events_of_spans_and_from_log_records_of_one_call() {
    let data = tempfile::tempdir().unwrap();
    let collector = start(data.path()).await;
    let chat = [
        text("gen_ai.operation.name", "chat"),
        text("gen_ai.system", "openai"),
        text("gen_ai.request.model", "m"),
    ];
    let event = |name: &str, attributes: &[Value]| json!({"name": name, "attributes": attributes});
    let span = |id: u64, events: &[Value]| {
        json!({"traceId": TRACE, "spanId": format!("{id:016x}"), "attributes": chat, "events": events,
            "startTimeUnixNano": "1790000000000000000", "endTimeUnixNano": "1790000000500000000"})
    };
    let choice = r#"{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"Tomorrow."}}"#;
    let spans = json!({"resourceSpans": [{"resource": control(), "scopeSpans": [{"spans": [
        span(1, &[
            event("gen_ai.user.message", &[text("content", "When? Mail jane@example.com")]),
            event("gen_ai.choice", &[text("gen_ai.event.content", choice)]),
        ]),
        span(2, &[
            event("gen_ai.content.prompt", &[text("gen_ai.prompt", r#"[{"role":"user","content":"When?"}]"#)]),
            event("gen_ai.content.completion", &[text("gen_ai.completion", r#"[{"role":"assistant","content":"Tomorrow."}]"#)]),
            event("exception", &[text("exception.message", "nothing of ours")]),
        ]),
    ]}]}]});
    assert_eq!(send(&collector, "/v1/traces", &spans).await, (200, json!({})));
    let record = |id: u64, name: &str, body: Value| {
        json!({"timeUnixNano": "1790000001000000000", "traceId": TRACE, "spanId": format!("{id:016x}"), "eventName": name,
            "attributes": [text("gen_ai.system", "openai")], "body": body})
    };
    let body = |fields: &[Value]| json!({"kvlistValue": {"values": fields}});
    let call = json!({"key": "tool_calls", "value": {"arrayValue": {"values": [body(&[
        text("id", "c1"),
        json!({"key": "function", "value": body(&[text("name", "find_order"), text("arguments", "{\"order\":\"A-17\"}")])}),
    ])]}}});
    let answer = json!({"key": "message", "value": body(&[text("role", "assistant"), call])});
    let mut alone = record(9, "gen_ai.user.message", body(&[text("content", "of no call")]));
    alone["spanId"] = json!("");
    let logs = json!({"resourceLogs": [{"resource": control(), "scopeLogs": [{"logRecords": [
        record(3, "gen_ai.system.message", body(&[text("content", "Be kind.")])),
        record(4, "gen_ai.user.message", body(&[text("content", "the answer comes later")])),
        record(3, "gen_ai.user.message", body(&[text("content", "Where is A-17?")])),
        alone,
        record(3, "gen_ai.choice", body(&[whole("index", 0), text("finish_reason", "tool_calls"), answer])),
    ]}]}]});
    let (status, told) = send(&collector, "/v1/logs", &logs).await;
    assert_eq!((status, &told["partialSuccess"]["rejectedLogRecords"]), (200, &json!("2")), "{told}");
    let why = told["partialSuccess"]["errorMessage"].as_str().unwrap();
    assert!(why.contains("record 3: event gen_ai.user.message has no trace and span identifier"), "{why}");
    assert!(why.contains("record 1: messages of a call came without gen_ai.choice"), "{why}");
    collector.stop().await.unwrap();
    let mut rows = samples(data.path());
    rows.sort_by(|a, b| a.span_id.cmp(&b.span_id));
    insta::assert_snapshot!(shown(&rows));
}

#[tokio::test]
async fn spans_of_openinference_are_rows_where_a_model_was_called() {
    let data = tempfile::tempdir().unwrap();
    let collector = start(data.path()).await;
    let span = |id: u64, kind: &str, attributes: &[Value]| {
        let attributes: Vec<_> = std::iter::once(text("openinference.span.kind", kind))
            .chain(attributes.iter().cloned())
            .collect();
        json!({"traceId": TRACE, "spanId": format!("{id:016x}"), "attributes": attributes,
            "startTimeUnixNano": "1790000000000000000", "endTimeUnixNano": "1790000000250000000"})
    };
    let spans = json!({"resourceSpans": [{"resource": control(), "scopeSpans": [{"spans": [
        span(1, "LLM", &[
            text("llm.model_name", "m-1"),
            text("llm.provider", "openai"),
            text("session.id", "s-1"),
            text("input.value", "{\"messages\":[]}"),
            text("llm.input_messages.0.message.role", "user"),
            text("llm.input_messages.0.message.content", "Where is A-17? Mail jane@example.com"),
            text("llm.output_messages.0.message.role", "assistant"),
            text("llm.output_messages.0.message.content", "On its way."),
            whole("llm.token_count.prompt", 12),
            whole("llm.token_count.completion", 4),
            whole("llm.token_count.prompt_details.cache_read", 8),
        ]),
        span(2, "LLM", &[text("llm.model_name", "m-1"), text("input.value", "Hello"), text("output.value", "Hi.")]),
        span(3, "CHAIN", &[text("input.value", "Hello"), text("output.value", "Hi.")]),
    ]}]}]});
    assert_eq!(send(&collector, "/v1/traces", &spans).await, (200, json!({})));
    assert!(collector.metrics().contains("weir_collector_other_spans_total 1"));
    collector.stop().await.unwrap();
    let mut rows = samples(data.path());
    rows.sort_by(|a, b| a.span_id.cmp(&b.span_id));
    insta::assert_snapshot!(shown(&rows));
}
