//! Plans, rehearsals and windows through the binary, on a generated history.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const GATES: &str = "
apiVersion: weir/v1
kind: Gates
gates:
  - {name: errors, metric: error, margin: {absolute: 0.05}, severity: critical}
  - {name: latency, metric: latency_ms, margin: {relative: 0.25}}
  - {name: quality, metric: 'score:quality', margin: {absolute: 0.05}, severity: critical}
";

/// In [0, 1), always the same for a number.
fn unit(number: u64) -> f64 {
    let mut z = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Two hours of control alone: 1,200 requests of 400 sessions.
fn history() -> String {
    let mut text = String::new();
    for request in 0..1_200_u64 {
        let status = if unit(request) < 0.02 { 500 } else { 200 };
        let latency_ms = 200.0 / (0.05 + unit(request + 50_000)).sqrt();
        let quality = 0.5 + 0.4 * unit(request + 90_000);
        let (hour, minute, second) = (10 + request / 600, request / 10 % 60, request % 10 * 6);
        let _ = writeln!(
            text,
            r#"{{"sample_id":"r{request}","leg":"primary","variant":"control","ts":"2026-03-01T{hour}:{minute:02}:{second:02}Z","session_id":"s{}","status":{status},"latency_ms":{latency_ms},"response_text":"an answer","scores":{{"quality":{quality}}}}}"#,
            request / 3,
        );
    }
    text
}

fn weir(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).output().unwrap()
}

fn json(folder: &Path, arguments: &[&str]) -> Value {
    let output = weir(folder, &[arguments, &["--output", "json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_history_of_control_is_planned_from_rehearsed_on_and_cut_to_a_window() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    at("history.jsonl", &history());
    at("gates.yaml", GATES);
    let imported = weir(folder.path(), &["import", "--format", "jsonl", "history.jsonl", "--data", "data"]);
    assert_eq!(imported.status.code(), Some(0), "{imported:?}");

    let of_data = ["plan", "--data", "data", "--gates", "gates.yaml"];
    let plan = json(folder.path(), &[&of_data[..], &["--price-per-copy", "0.01"]].concat());
    let needed = plan["needed"].as_u64().unwrap();
    assert!((100..5_000).contains(&needed), "{plan:#}");
    // 600 requests an hour, all of them copied.
    let rate = plan["per_hour"].as_f64().unwrap();
    assert!((595.0..605.0).contains(&rate), "{plan:#}");
    assert!((plan["hours"].as_f64().unwrap() - needed as f64 / rate).abs() < 1e-9);
    assert!((plan["cost"].as_f64().unwrap() - needed as f64 * 0.01).abs() < 1e-6);
    assert_eq!(plan["gates"].as_array().unwrap().len(), 3);
    let canary = json(folder.path(), &[&of_data[..], &["--candidate-percent", "5"]].concat());
    assert!(canary["hours"].as_f64().unwrap() > 10.0 * plan["hours"].as_f64().unwrap(), "{canary:#}");
    assert_eq!(canary["cost"], Value::Null);

    let rehearse = ["rehearse", "--data", "data", "--gates", "gates.yaml", "--splits", "30", "--looks", "6"];
    let rehearsal = json(folder.path(), &rehearse);
    assert_eq!((rehearsal["splits"].as_u64(), rehearsal["values"].as_u64()), (Some(30), Some(1_200)));
    assert!(rehearsal["rollback"]["interval"][0].as_f64().unwrap() <= 0.05, "{rehearsal:#}");
    assert_eq!(rehearsal, json(folder.path(), &rehearse), "however many processors there are");
    let pack = json(folder.path(), &["rehearse", "--data", "data", "--splits", "2", "--looks", "2"]);
    assert!(pack["gates"].as_array().unwrap().len() > 3, "{pack:#}");

    let window =
        ["analyze", "--data", "data", "--gates", "gates.yaml", "--window", "30m", "--output", "json"];
    let report: Value = serde_json::from_slice(&weir(folder.path(), &window).stdout).unwrap();
    assert_eq!(report["generated_from"]["samples"], 300);
    let command: Vec<&str> = report["generated_from"]["command"]
        .as_array()
        .unwrap()
        .iter()
        .map(|word| word.as_str().unwrap())
        .collect();
    assert!(command.windows(2).any(|two| two == ["--since", "2026-03-01T11:29:54.000001Z"]), "{command:?}");
    let both = [&window[..], &["--until", "2026-03-01T11:00:00Z"]].concat();
    let report: Value = serde_json::from_slice(&weir(folder.path(), &both).stdout).unwrap();
    assert_eq!(report["generated_from"]["last_ts"], "2026-03-01T10:59:54Z");
    assert_eq!(report["generated_from"]["samples"], 300);
}
