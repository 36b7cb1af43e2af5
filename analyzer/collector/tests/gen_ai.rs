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
