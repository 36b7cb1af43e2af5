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

const OWN_GATES: &str = "
apiVersion: weir/v1
kind: Gates
gates:
  - {name: slow, metric: 'own:slow', margin: {absolute: 0.05}}
";

const METRICS: &str = "
apiVersion: weir/v1
kind: Metrics
prices:
  - {inputPerMillion: 1, outputPerMillion: 4}
metrics:
  - {name: slow, value: latency_ms > 400, better: lower}
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
            r#"{{"sample_id":"r{request}","leg":"primary","variant":"control","ts":"2026-03-01T{hour}:{minute:02}:{second:02}Z","session_id":"s{}","status":{status},"latency_ms":{latency_ms},"prompt_tokens":{},"completion_tokens":90,"response_text":"an answer","scores":{{"quality":{quality}}}}}"#,
            100 + request % 50,
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

    // A metric of the operator's own, in a plan and in a rehearsal; and the built-in pack with prices.
    at("own.yaml", OWN_GATES);
    at("metrics.yaml", METRICS);
    let own = ["--data", "data", "--gates", "own.yaml", "--metrics", "metrics.yaml"];
    let plan = json(folder.path(), &[&["plan"][..], &own].concat());
    let slow = &plan["gates"][0];
    assert!(slow["metric"] == "own:slow" && slow["needed"].as_u64().unwrap() > 100, "{plan:#}");
    let rehearsal =
        json(folder.path(), &[&["rehearse"][..], &own, &["--splits", "2", "--looks", "2"]].concat());
    assert_eq!(rehearsal["gates"][0]["gate"], "slow");
    let priced = ["plan", "--data", "data", "--metrics", "metrics.yaml"];
    let plan = json(folder.path(), &priced);
    assert!(plan["gates"].as_array().unwrap().iter().any(|gate| gate["gate"] == "cost"), "{plan:#}");
    let missing =
        weir(folder.path(), &["plan", "--data", "data", "--gates", "own.yaml", "--metrics", "gates.yaml"]);
    assert_eq!(missing.status.code(), Some(2), "{missing:?}");

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

/// Thirty values of control and of a candidate of two samples that Kayenta's project publishes a class for (`ClassifierSuite`:
/// high), and one that does not differ: its rule on data of one's own.
#[test]
fn kayentas_rule_on_imported_samples_gives_the_published_class_and_score() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = String::new();
    for (variant, values) in [("control", TEN), ("candidate", NEAR_TWENTY)] {
        for (at, value) in values.iter().enumerate() {
            let _ = writeln!(
                text,
                r#"{{"sample_id":"{variant}{at}","leg":"primary","variant":"{variant}","ts":"2026-03-01T10:00:{at:02}Z","status":200,"latency_ms":{value},"response_text":"the same answer"}}"#,
            );
        }
    }
    fs::write(folder.path().join("samples.jsonl"), text).unwrap();
    let imported = weir(folder.path(), &["import", "--format", "jsonl", "samples.jsonl", "--data", "data"]);
    assert_eq!(imported.status.code(), Some(0), "{imported:?}");
    let judged =
        weir(folder.path(), &["analyze", "--data", "data", "--judge", "kayenta", "--output", "json"]);
    let found: Value = serde_json::from_slice(&judged.stdout).unwrap();
    let metrics = found["metrics"].as_array().unwrap();
    let latency = metrics.iter().find(|metric| metric["metric"] == "latency_ms").unwrap();
    assert_eq!((latency["class"].as_str(), latency["fails"].as_bool()), (Some("high"), Some(true)));
    let passing = metrics.iter().filter(|metric| metric["class"] == "pass").count();
    let expected = 100.0 * passing as f64 / (passing + 1) as f64;
    assert!((found["score"].as_f64().unwrap() - expected).abs() < 1e-9, "{found:#}");
    assert_eq!(judged.status.code(), Some(if expected >= 75.0 { 4 } else { 1 }), "{found:#}");
}

const TEN: [f64; 30] = [
    11.1453586774086,
    9.961805988559702,
    7.068574306369829,
    7.301266181048366,
    9.794463026565673,
    9.60379186036873,
    6.186779335033939,
    12.345599159550174,
    10.371891733859533,
    8.609430078501672,
    9.913162673361084,
    10.361375299003466,
    14.206800387518818,
    10.9461537547533,
    10.215876627044048,
    11.739760899484603,
    10.907627468626439,
    12.823353694464775,
    8.101860977173214,
    8.498161640880493,
    12.113441374697231,
    13.272210809932028,
    10.114579381663297,
    6.946395876797807,
    6.210527854172778,
    10.160401684903775,
    8.345771206645546,
    8.383822063895833,
    7.0020205070083765,
    10.755757401808442,
];
const NEAR_TWENTY: [f64; 30] = [
    20.878412601720026,
    21.78550581191622,
    19.70828084717019,
    15.859946903461562,
    19.51005877217684,
    19.392005525270303,
    22.9265283149121,
    17.156530276709894,
    18.65511791622617,
    23.422607911610392,
    24.055817684156644,
    22.62689958516501,
    21.979472967817678,
    21.659318607218694,
    20.067707574072426,
    22.119570836305414,
    16.44037132663307,
    21.55962282634127,
    21.00018144348922,
    17.779369411412663,
    17.806006358943584,
    18.53720061838611,
    20.555550300210797,
    19.552928184468378,
    21.771118944087092,
    21.809622806176627,
    20.96176290990527,
    20.97757157750302,
    19.106303205498794,
    16.97691896698708,
];
