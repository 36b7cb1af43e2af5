//! Biased captures and bad input at the command line: the reason and the remedy are shown, and nothing is promoted.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods
)]

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// Runs `weir` in `folder` and gives its exit code and all that it said.
fn weir(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(arguments).current_dir(folder).env("COLUMNS", "120");
    for name in ["WEIR_DATA", "WEIR_GATES", "WEIR_POLICY", "WEIR_CONFIG", "WEIR_EXPERIMENT"] {
        command.env_remove(name);
    }
    let output = command.output().unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap(), text)
}

fn import(folder: &Path, lines: &str) {
    std::fs::write(folder.join("legs.jsonl"), lines).unwrap();
    let (code, text) = weir(
        folder,
        &["import", "--format", "jsonl", "legs.jsonl", "--data", "data", "--experiment", "support"],
    );
    assert_eq!(code, 0, "{text}");
}

/// Words without the line breaks of a table.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn policy(revision: u64, percent: u64) -> String {
    format!(
        "apiVersion: weir/v1\nkind: Policy\nexperiment: support\nrevision: {revision}\nmode: canary\n\
         control: {{cluster: control, snapshot: {{model: {{name: a, version: \"1\"}}}}}}\ncandidate: {{cluster: candidate, snapshot: {{model: {{name: b, version: \"1\"}}}}}}\n\
         identity: [{{header: x-user-id}}]\ncohorts: [{{name: general, candidatePercent: {percent}}}]\n"
    )
}

/// 1,500 people, of whom `every`-th has the candidate; both variants answer alike.
fn canary(every: u64) -> String {
    let mut lines = String::new();
    for number in 0..1_500_u64 {
        let variant = if number % every == 0 { "candidate" } else { "control" };
        let ts = 1_760_000_000_000_u64 + 1_000 * number;
        writeln!(
            lines,
            r#"{{"sample_id":"s{number}","leg":"primary","variant":"{variant}","ts":{ts},"revision":7,"cohort":"general","identity_hash":"{number:016x}","status":200,"complete":true,"response_text":"yes"}}"#
        )
        .unwrap();
    }
    lines
}

const GATES: &str =
    "apiVersion: weir/v1\nkind: Gates\ngates:\n  - {name: errors, metric: error, margin: {absolute: 0.5}}\n";

#[test]
fn a_sample_ratio_mismatch_refuses_the_promotion_that_the_gates_would_give() {
    let folder = tempfile::tempdir().unwrap();
    import(folder.path(), &canary(4));
    for (name, text) in [("gates.yaml", GATES), ("25.yaml", &policy(7, 25)), ("40.yaml", &policy(7, 40))] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let analyze = ["analyze", "--data", "data", "--gates", "gates.yaml", "--policy"];
    let (code, text) = weir(folder.path(), &[&analyze[..], &["25.yaml"]].concat());
    assert_eq!(code, 0, "{text}");
    assert!(
        words(&text).contains("375 of 1,500 identities have the candidate, as the policy says (25 %)"),
        "{text}"
    );
    let (code, text) = weir(folder.path(), &[&analyze[..], &["40.yaml"]].concat());
    assert_eq!(code, 3, "{text}");
    let said = words(&text);
    assert!(said.contains("sample-ratio mismatch: the candidate has 375 of 1500 identities of cohort general, revision 7 (25 %)"), "{text}");
    assert!(said.contains("the gates alone would say promote; biased capture decides nothing"), "{text}");
}

#[test]
fn a_policy_of_another_revision_or_experiment_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    import(folder.path(), &canary(4));
    std::fs::write(folder.path().join("other.yaml"), policy(9, 25)).unwrap();
    let (code, text) = weir(folder.path(), &["analyze", "--data", "data", "--policy", "other.yaml"]);
    assert_eq!(
        (code, text.as_str()),
        (
            2,
            "error: other.yaml: is revision 9, the samples are of 7\n  hint: give the policy that was in force, as it was pushed\n"
        )
    );
    std::fs::write(folder.path().join("other.yaml"), policy(7, 25).replace("support", "billing")).unwrap();
    let (code, text) = weir(folder.path(), &["analyze", "--data", "data", "--policy", "other.yaml"]);
    assert_eq!(code, 2);
    assert!(text.contains("is a policy of experiment \"billing\", the samples are of \"support\""), "{text}");
}
