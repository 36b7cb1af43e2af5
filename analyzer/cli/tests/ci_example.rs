//! The GitHub Actions example: its own commands, run as they stand there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;
use std::process::Command;

const EXAMPLE: &str = include_str!("../../../examples/ci/github-actions.yaml");

/// The scripts of the steps, in order.
fn scripts() -> Vec<String> {
    let tree = weir_document::parse("github-actions.yaml", EXAMPLE).unwrap();
    let steps = tree.pointer("/jobs/gate/steps").unwrap().as_array().unwrap();
    steps.iter().filter_map(|step| Some(step.get("run")?.as_str()?.to_owned())).collect()
}

fn run(script: &str, folder: &Path) -> Option<i32> {
    let weir = Path::new(env!("CARGO_BIN_EXE_weir")).parent().unwrap();
    let path = format!("{}:{}", weir.display(), std::env::var("PATH").unwrap());
    let status = Command::new("bash")
        .args(["-e", "-c", script])
        .current_dir(folder)
        .env("PATH", path)
        .env("GITHUB_STEP_SUMMARY", folder.join("summary.md"))
        .env("GITHUB_OUTPUT", folder.join("output"))
        .status()
        .unwrap();
    status.code()
}

#[test]
fn the_example_for_github_actions_fails_by_exit_code_and_leaves_its_reports() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    std::fs::copy(example.join("logs/support.jsonl"), folder.join("legs.jsonl")).unwrap();
    std::fs::copy(example.join("gates/score-columns.yaml"), folder.join("gates.yaml")).unwrap();
    let scripts = scripts();
    let step = |needle: &str| scripts.iter().find(|script| script.contains(needle)).unwrap();
    assert_eq!(run(step("weir import"), folder), Some(0));
    assert_eq!(run(step("weir analyze"), folder), Some(1), "the answers are worse");
    assert_eq!(std::fs::read_to_string(folder.join("output")).unwrap(), "status=1\n");
    let comment = std::fs::read_to_string(folder.join("comment.md")).unwrap();
    assert!(comment.starts_with("## Roll back") && comment.len() < 60_000);
    assert_eq!(std::fs::read_to_string(folder.join("summary.md")).unwrap(), comment);
    for file in ["report.html", "report.json", "junit.xml"] {
        assert!(folder.join(file).is_file(), "{file}");
    }
}
