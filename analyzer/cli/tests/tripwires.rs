//! Tripwires of every look, with nothing embedded: `weir import`, `weir analyze`, `weir report` as processes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

const TOPICS: [&str; 8] = ["parcels", "bread", "the moon", "taxes", "violins", "snow", "harbours", "chess"];

fn weir(arguments: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    Command::new(env!("CARGO_BIN_EXE_weir")).current_dir(root).args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// What one exchange says: request, control's answer, the candidate's.
type Said = (Option<String>, String, String);

fn honest(at: usize) -> Said {
    let topic = TOPICS[at % 8];
    let answer = |word: &str| format!("{word}, {topic} are {}.", "rather ".repeat(at % 9 + 1));
    (Some(format!("Tell me about {topic}, number {at}")), answer("Well"), answer("Sure"))
}

/// Imports exchanges with 0.16 for control and 0.77 for the candidate, in one file of each leg where `apart`; verdict, tripwires
/// and the whole report.
fn analyzed(count: usize, said: impl Fn(usize) -> Said, apart: bool) -> (Option<i32>, Vec<String>, Value) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let mut lines = [String::new(), String::new()];
    for at in 0..count {
        let (request, control, candidate) = said(at);
        for (leg, variant, answer, score) in
            [("primary", "control", control, 0.16), ("shadow", "candidate", candidate, 0.77)]
        {
            let mut line = json!({
                "sample_id": format!("s{at}"), "leg": leg, "variant": variant,
                "ts": 1_770_000_000_000_u64 + at as u64 * 1000, "response_text": answer,
                "scores": {"quality": score},
            });
            if let Some(request) = request.as_ref().filter(|_| leg == "primary") {
                line["request_text"] = json!(request);
            }
            lines[usize::from(apart && leg == "shadow")] += &format!("{line}\n");
        }
    }
    for lines in lines.iter().filter(|lines| !lines.is_empty()) {
        std::fs::write(path("log.jsonl"), lines).unwrap();
        let (log, data) = (path("log.jsonl"), path("data"));
        let imported = weir(&["import", &log, "--data", &data, "--experiment", "e", "--format", "jsonl"]);
        assert!(imported.status.success(), "{}", text(&imported));
    }
    let (data, gates) = (path("data"), "examples/gates/score-columns.yaml");
    let look = || weir(&["analyze", "--data", &data, "--gates", gates, "--output", "json"]);
    let output = look();
    assert_eq!(look().stdout, output.stdout, "a look over kept figures says the same");
    std::fs::write(path("report.json"), &output.stdout).unwrap();
    let again = weir(&["report", &path("report.json"), "--gates", gates]);
    assert_eq!(again.status.code(), output.status.code(), "{}", text(&again));
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)));
    let wires = report["tripwires"].as_array().cloned().unwrap_or_default();
    let names = wires.iter().map(|wire| wire["name"].as_str().unwrap().to_owned()).collect();
    (output.status.code(), names, report)
}

/// One long answer to everything.
fn constant(at: usize) -> Said {
    (honest(at).0, honest(at).1, "This is simply the best answer that anyone can give.".to_owned())
}

#[test]
fn imported_scores_of_one_answer_for_everything_are_never_an_improvement() {
    let (code, wires, better) = analyzed(400, honest, false);
    assert_eq!(code, Some(4), "{}", better["evaluation"]);
    assert_eq!((better["evaluation"]["verdict"].as_str(), wires.len()), (Some("sign-off"), 0));
    for (count, apart) in [(400, false), (400, true), (24, false), (3000, false)] {
        let (code, wires, report) = analyzed(count, constant, apart);
        assert_eq!(wires, ["constant-answer"], "{count} {}", report["tripwires"]);
        assert_eq!(code, Some(1), "{count} {}", report["evaluation"]["reasons"]);
        assert_eq!(report["evaluation"]["verdict"], "rollback");
    }
    let (code, wires, report) = analyzed(400, |at| (None, constant(at).1, constant(at).2), false);
    assert_eq!((code, wires), (Some(1), vec!["constant-answer".to_owned()]), "{}", report["tripwires"]);
}

#[test]
fn a_word_for_every_second_prompt_calls_a_human_and_one_prompt_asked_often_nobody() {
    let short = |at: usize| {
        let (request, control, candidate) = honest(at);
        (request, control, if at.is_multiple_of(2) { "Yes.".to_owned() } else { candidate })
    };
    let (code, wires, report) = analyzed(400, short, false);
    assert_eq!((code, wires), (Some(4), vec!["constant-answer".to_owned()]));
    assert_eq!(report["evaluation"]["verdict"], "investigate");
    let (_, wires, report) = analyzed(400, |at| (Some("ping".into()), constant(at).1, constant(at).2), false);
    assert_eq!(wires, Vec::<String>::new(), "{}", report["tripwires"]);
}

#[test]
fn echoes_text_aimed_at_a_judge_and_longer_words_go_off_without_an_embedding() {
    let asked = |at: usize| format!("What is it that you know about {} number {at}?", TOPICS[at % 8]);
    let verdicts = |candidate: fn(usize, String) -> String, apart: bool| {
        let said = move |at: usize| (Some(asked(at)), honest(at).1, candidate(at, asked(at)));
        let (code, wires, _) = analyzed(400, said, apart);
        (code, wires)
    };
    let gone = |name: &str| (Some(1), vec![name.to_owned()]);
    assert_eq!(verdicts(|_, asked| asked, false), gone("echo"));
    let aimed = |at: usize, _| format!("Dear judge, {} x{}.", honest(at).2, "y".repeat(at % 50 + 1));
    assert_eq!(verdicts(aimed, true), gone("aimed-at-judge"));
}
