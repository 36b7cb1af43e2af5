//! Without the filter: spans of an instrumentation, posted to `weir collect`, and the verdict of `weir analyze` on them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

const GATES: &str = "
apiVersion: weir/v1
kind: Gates
gates:
  - {name: length, metric: response_words, margin: {relative: 0.2}, severity: critical}
  - {name: errors, metric: error, margin: {absolute: 0.2}, severity: major}
";

fn weir(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// One span per call, as an OpenTelemetry exporter sends them as JSON.
fn spans(variant: &str, numbers: std::ops::Range<u64>, words: u64) -> Value {
    let span = |number: u64| {
        let text = "word ".repeat((words + number % 7) as usize);
        let output = json!([{"role": "assistant", "parts": [{"type": "text", "content": text}], "finish_reason": "stop"}]);
        let start = 1_760_000_000_000_000_000 + number * 1_000_000_000;
        let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
        json!({
            "traceId": format!("{number:032x}"), "spanId": format!("{number:016x}"), "name": "chat desk",
            "startTimeUnixNano": start.to_string(), "endTimeUnixNano": (start + 300_000_000).to_string(),
            "attributes": [
                text("gen_ai.operation.name", "chat"), text("gen_ai.provider.name", "openai"),
                text("gen_ai.request.model", "desk"), text("gen_ai.output.messages", &output.to_string()),
                {"key": "gen_ai.usage.output_tokens", "value": {"intValue": words.to_string()}},
            ],
        })
    };
    let attribute = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    json!({"resourceSpans": [{
        "resource": {"attributes": [attribute("service.name", "Support Desk"), attribute("weir.variant", variant)]},
        "scopeSpans": [{"spans": numbers.map(span).collect::<Vec<_>>()}],
    }]})
}

#[tokio::test]
async fn spans_of_an_instrumentation_are_collected_and_judged() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    let gates = folder.path().join("gates.yaml");
    std::fs::write(&gates, GATES).unwrap();
    let mut collector = weir(&["collect", "--listen", "127.0.0.1:0", "--data", &data])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(collector.stderr.take().unwrap()).lines();
    let listening =
        lines.find_map(|line| line.unwrap().strip_prefix("listening on http://").map(str::to_owned));
    let address = listening.unwrap().split('/').next().unwrap().to_owned();
    for (variant, numbers, words) in [("control", 0..400, 40), ("candidate", 400..800, 20)] {
        let request = reqwest::Client::new().post(format!("http://{address}/v1/traces"));
        let request = request.header("content-type", "application/json");
        let answer = request.body(spans(variant, numbers, words).to_string()).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (200, "{}"));
    }
    assert!(Command::new("kill").args(["-TERM", &collector.id().to_string()]).status().unwrap().success());
    assert!(collector.wait().unwrap().success());

    let gates = gates.display().to_string();
    let looked = weir(&["analyze", "--data", &data, "--gates", &gates, "--output", "json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&looked.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&looked.stderr)));
    // Half as many words, and nobody says for better or worse: a human looks.
    assert_eq!(looked.status.code(), Some(4), "{}", report["evaluation"]["reasons"]);
    let reason = report["evaluation"]["reasons"][0]["text"].as_str().unwrap();
    assert!(reason.contains("fell from 43.0 to 23.0 words"), "{reason}");
    let text = report.to_string();
    assert!(text.contains("\"support-desk\""), "the service's name is the experiment");
}
