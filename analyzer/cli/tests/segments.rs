//! A planted Simpson case through the binary: imported from JSONL, found, named, and the same when judged again.
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
  - {name: success, metric: 'score:success', margin: {absolute: 0.05}, severity: critical}
";

const NAMED: &str = "
apiVersion: weir/v1
kind: Gates
gates:
  - {name: internal, metric: 'score:success', segment: {tier: internal}, margin: {absolute: 0.05}, severity: critical}
";

/// In [0, 1), always the same for a number.
fn unit(number: u64) -> f64 {
    let mut z = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Legs of 2,400 requests: the candidate is better for seven users in eight and far worse for the internal ones.
fn legs() -> String {
    let mut text = String::new();
    for request in 0..2_400_u64 {
        let internal = request % 8 == 3;
        let (tier, rates) = if internal { ("internal", [0.9, 0.6]) } else { ("general", [0.7, 0.8]) };
        let luck = unit(request + 1);
        for (leg, variant, rate) in [("primary", "control", rates[0]), ("shadow", "candidate", rates[1])] {
            let success = u8::from(luck < rate);
            let _ = writeln!(
                text,
                r#"{{"sample_id":"r{request}","leg":"{leg}","variant":"{variant}","ts":"2026-03-01T10:{:02}:{:02}Z","tier":"{tier}","path":"/v1/orders/{request}","tags":{{"region":"{}","user":"u{request}"}},"response_text":"an answer","scores":{{"success":{success}}}}}"#,
                request / 60 % 60,
                request % 60,
                if unit(request + 90_000) < 0.5 { "eu" } else { "us" },
            );
        }
    }
    text
}

fn weir(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn a_planted_simpson_case_is_found_named_and_the_same_when_judged_again() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    at("legs.jsonl", &legs());
    at("gates.yaml", GATES);
    at("named.yaml", NAMED);
    let imported = weir(folder.path(), &["import", "--format", "jsonl", "legs.jsonl", "--data", "data"]);
    assert_eq!(imported.status.code(), Some(0), "{imported:?}");

    let analyze = ["analyze", "--data", "data", "--gates", "gates.yaml"];
    let forms = ["--output", "table", "--output-file", "report.json", "--output-file", "report.md"];
    let looked = weir(folder.path(), &[&analyze[..], &forms[..]].concat());
    assert_eq!(looked.status.code(), Some(4), "{looked:?}");
    let table = String::from_utf8(looked.stdout).unwrap();
    let named = "Simpson: success is better overall and worse in tier=internal";
    assert!(table.contains(named), "{table}");
    assert!(table.contains("Segments that moved most"), "{table}");
    // A tag that names individuals is no segment, and the report says so.
    assert!(table.contains("segments by tag:user: has more than 24 values"), "{table}");
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert!(read("report.md").contains("### Segments that moved most"));

    let report: Value = serde_json::from_str(&read("report.json")).unwrap();
    let evaluation = &report["evaluation"];
    assert_eq!(evaluation["verdict"], "investigate");
    assert_eq!(evaluation["findings"][0]["kind"], "worse_in_segment");
    let worst = report["exemplars"].as_array().unwrap();
    assert!(
        !worst.is_empty() && worst.iter().all(|pair| pair["gate"] == "success in tier=internal"),
        "{worst:?}"
    );
    let segments: Vec<String> = evaluation["segments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|segment| {
            format!("{}={}", segment["dimension"].as_str().unwrap(), segment["value"].as_str().unwrap())
        })
        .collect();
    assert_eq!(segments[0], "tier=internal");
    // All requests go to one route once the identifiers are out of it: no segment of its own.
    assert_eq!(segments.len(), 4, "{segments:?}");

    let again = ["report", "report.json", "--gates", "gates.yaml", "--output", "json"];
    let again = weir(folder.path(), &again);
    assert_eq!(String::from_utf8(again.stdout).unwrap(), read("report.json"));

    let hidden =
        weir(folder.path(), &["report", "report.json", "--without", "tier=internal", "--output", "json"]);
    let hidden: Value = serde_json::from_slice(&hidden.stdout).unwrap();
    assert!(hidden["evaluation"].get("findings").is_none(), "what was hidden is gone");
    assert_eq!(hidden["evaluation"]["gates"][0]["n_pairs"], 2_100);
    assert_eq!(hidden["generated_from"]["left_out"][0], "tier=internal");
    let nowhere = weir(folder.path(), &["report", "report.json", "--without", "tier=nobody"]);
    assert_eq!(nowhere.status.code(), Some(2));
    let said = String::from_utf8(nowhere.stderr).unwrap();
    assert!(
        said.contains("no such segment in the report\n  hint: ") && said.contains("tier=general"),
        "{said}"
    );
    let early = weir(folder.path(), &["report", "report.json", "--until", "2026-02-28T00:00:00Z"]);
    assert_eq!(early.status.code(), Some(2));

    let named = weir(folder.path(), &["analyze", "--data", "data", "--gates", "named.yaml"]);
    assert_eq!(named.status.code(), Some(1), "{named:?}");
}
