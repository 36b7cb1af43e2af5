//! Texts that are not kept: what `weir embed` and `weir analyze` say of their vectors, by `weir` as processes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

const TOPICS: [&str; 6] = ["parcels", "bread", "the moon", "taxes", "violins", "snow"];

fn weir(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_weir")).args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Exchanges with a noise copy each; the candidate talks about something else every second time.
fn lines() -> String {
    let mut lines = String::new();
    for at in 0..240 {
        let topic = TOPICS[at % 6];
        let other = if at % 2 == 0 { "something else altogether" } else { topic };
        let said = |word: &str, about: &str| format!("{word}, {about} are {}.", "rather ".repeat(at % 5 + 1));
        for (leg, variant, answer) in [
            ("primary", "control", said("Well", topic)),
            ("noise", "control", said("Well now", topic)),
            ("shadow", "candidate", said("Sure", other)),
        ] {
            let mut line = json!({
                "sample_id": format!("s{at}"), "leg": leg, "variant": variant,
                "ts": 1_770_000_000_000_u64 + at as u64 * 1000, "response_text": answer,
            });
            if leg == "primary" {
                line["request_text"] = json!(format!("Tell me about {topic}, number {at}"));
            }
            lines += &format!("{line}\n");
        }
    }
    lines
}

/// A data folder with [`lines`], taken under a document of the collector.
fn imported(folder: &Path, name: &str, document: &str) -> String {
    let path = |name: String| folder.join(name).display().to_string();
    let (log, config, data) =
        (path("log.jsonl".to_owned()), path(format!("{name}.yaml")), path(name.to_owned()));
    std::fs::write(&log, lines()).unwrap();
    std::fs::write(&config, format!("apiVersion: weir/v1\nkind: Collector\n{document}")).unwrap();
    let output = weir(&["import", &log, "--data", &data, "--experiment", "e", "--config", &config]);
    assert!(output.status.success(), "{}", text(&output));
    data
}

/// What was found, without what only texts can show: names of clusters, exemplars, prompts on the map.
fn findings(data: &str) -> Value {
    let output = weir(&["embed", "--data", data, "--embedder", "lexical"]);
    assert!(output.status.success(), "{}", text(&output));
    let path = Path::new(data).join("meaning/experiment=e/drift.json");
    let mut found: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for group in found["moved"].as_array_mut().unwrap() {
        group["exemplars"] = json!([]);
        if group["dimension"] == "cluster" {
            group["value"] = json!("");
        }
    }
    found["map"]["clusters"] = json!([]);
    for point in found["map"]["points"].as_array_mut().unwrap() {
        point["request"] = json!("");
    }
    (found["tripwires"], found["not_looked_at"]) = (json!([]), json!([]));
    found
}

#[test]
fn vectors_in_place_of_texts_give_the_findings_that_the_texts_give() {
    let folder = tempfile::tempdir().unwrap();
    let full = imported(folder.path(), "full", "");
    let vectors = imported(folder.path(), "vectors", "capture: numbers\nembedding: lexical\n");
    let (full, kept) = (findings(&full), findings(&vectors));
    assert_eq!((kept["pairs"].as_u64(), kept["without_text"].as_u64()), (Some(240), Some(0)));
    assert_eq!(kept["beyond_noise"]["detected"], json!(true), "{}", kept["beyond_noise"]);
    assert_eq!(kept, full);
    let output = weir(&["analyze", "--data", &vectors, "--output", "json"]);
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)));
    assert_eq!(report["meaning"]["diverged"], json!(true), "{}", report["meaning"]);
    assert!(!text(&output).contains("rather"), "no words of an answer are anywhere");
}

#[test]
fn without_texts_and_vectors_of_the_embedder_that_is_asked_for_the_way_out_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl").display().to_string();
    let line = |leg: &str, variant: &str| {
        json!({"sample_id": "s", "leg": leg, "variant": variant, "ts": 1_770_000_000_000_u64,
               "embedder": "mine-2", "response_vector": [0.6, 0.8]})
    };
    let lines = [line("primary", "control"), line("shadow", "candidate")].map(|line| format!("{line}\n"));
    std::fs::write(&log, lines.concat()).unwrap();
    let data = folder.path().join("data").display().to_string();
    let output = weir(&["import", &log, "--data", &data, "--experiment", "e"]);
    assert!(output.status.success(), "{}", text(&output));
    let output = weir(&["embed", "--data", &data, "--embedder", "lexical"]);
    let said = text(&output);
    assert!(
        said.contains(
            "no texts, and their 2 vectors are of the embedder \"mine-2\"; \"lexical-1-384\" was asked for"
        ),
        "{said}"
    );
    std::fs::write(
        &log,
        r#"{"sample_id":"s","leg":"primary","variant":"control","ts":1770000000000,"response_vector":[1,"x"]}
{"sample_id":"t","leg":"primary","variant":"control","ts":1770000000000,"response_vector":[1.5]}
"#,
    )
    .unwrap();
    let said = text(&weir(&["import", &log, "--data", &data, "--experiment", "e"]));
    assert!(
        said.contains("response_vector: [1,\"x\"] is not a vector; allowed: a list of 1 to 4096 numbers"),
        "{said}"
    );
    assert!(said.contains("response_vector: has no embedder"), "{said}");
}
