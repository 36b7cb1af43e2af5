//! JSONL files to Parquet: all or nothing, redacted, and the same when done again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::path::PathBuf;

use common::{samples, scores};
use weir_collector::{ImportError, ImportOptions, import_jsonl};

const GOOD: &str = concat!(
    "\u{feff}",
    r#"{"sample_id":"a","leg":"primary","variant":"control","ts":1790000000000,"response_text":"mail a.b@example.com","scores":{"q":1}}"#,
    "\r\n\n",
    r#"{"sample_id":"a","leg":"shadow","variant":"candidate","ts":"2026-09-21T15:00:00Z","response_text":"ok","scores":{"q":0.5}}"#,
);

fn file(folder: &tempfile::TempDir, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

#[test]
fn legs_and_scores_are_imported_redacted_and_again_without_doubling() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let path = file(&folder, "a.jsonl", GOOD);
    let first = import_jsonl(std::slice::from_ref(&path), &data, "e-1", &ImportOptions::default()).unwrap();
    assert_eq!((first.samples, first.scores, first.redactions, first.files.len()), (2, 2, 1, 4));
    let again = import_jsonl(&[path], &data, "e-1", &ImportOptions::default()).unwrap();
    assert_eq!(first, again);
    let rows = samples(&data);
    assert_eq!((rows.len(), scores(&data).len()), (2, 2));
    assert_eq!(rows[0].response_text.as_deref(), Some("mail [redacted:email]"));
    assert_eq!(rows[0].experiment, "e-1");
}

#[test]
fn bad_lines_of_all_files_are_told_at_once_and_nothing_is_imported() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let good = file(&folder, "a.jsonl", GOOD);
    let bad = file(
        &folder,
        "b.jsonl",
        [b"{\n\xff\n".as_slice(), GOOD.trim_start_matches('\u{feff}').as_bytes()].concat(),
    );
    let many = file(&folder, "c.jsonl", "[]\n".repeat(30));
    let error =
        import_jsonl(&[good.clone(), bad.clone(), many.clone()], &data, "e-1", &ImportOptions::default())
            .unwrap_err();
    let text = error.to_string().replace(&format!("{}/", folder.path().display()), "");
    insta::assert_snapshot!(text);
    assert!(!data.exists());

    let skip = ImportOptions { skip_bad_lines: true, ..ImportOptions::default() };
    let summary = import_jsonl(&[good, bad, many], &data, "e-1", &skip).unwrap();
    assert_eq!(
        (summary.samples, summary.scores, summary.skipped_lines, summary.problems.len()),
        (2, 2, 34, 20)
    );
    assert_eq!(samples(&data).len(), 2);
}

#[test]
fn a_line_that_is_too_long_costs_no_memory_and_no_other_line() {
    let folder = tempfile::tempdir().unwrap();
    let long = [
        b"{\"sample_id\":\"".to_vec(),
        vec![b'x'; 9 << 20],
        b"\"}\n".to_vec(),
        GOOD.as_bytes()[3..].to_vec(),
    ]
    .concat();
    let path = file(&folder, "a.jsonl", long);
    let skip = ImportOptions { skip_bad_lines: true, ..ImportOptions::default() };
    let summary = import_jsonl(&[path], &folder.path().join("data"), "e-1", &skip).unwrap();
    assert_eq!((summary.samples, summary.skipped_lines), (2, 1));
    assert!(
        summary.problems[0].contains("line 1: 8388609 bytes are too many; allowed: 8388608 bytes"),
        "{:?}",
        summary.problems
    );
}

#[test]
fn a_missing_file_and_a_bad_experiment_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let import = |path: &str, experiment: &str| {
        import_jsonl(&[PathBuf::from(path)], folder.path(), experiment, &ImportOptions::default())
            .unwrap_err()
    };
    assert!(matches!(import("x", "No Good"), ImportError::Experiment(_)));
    let text = import("/nowhere/x.jsonl", "e-1").to_string();
    assert!(text.starts_with("/nowhere/x.jsonl: cannot read") && text.contains("hint:"), "{text}");
}

#[test]
fn what_is_redacted_is_what_the_document_of_the_collector_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "a.jsonl", GOOD);
    let imported = |document: &str| {
        let config = folder.path().join("collector.yaml");
        std::fs::write(&config, format!("apiVersion: weir/v1\nkind: Collector\n{document}")).unwrap();
        let (_, rules) = weir_collector::configuration::Collector::load(&config).unwrap();
        let data = tempfile::tempdir().unwrap();
        let options = ImportOptions { rules, ..ImportOptions::default() };
        import_jsonl(std::slice::from_ref(&path), data.path(), "e-1", &options).unwrap();
        samples(data.path())[0].clone()
    };
    let kept = imported("redaction: {kinds: {email: keep}, patterns: [{name: word, pattern: mail}]}")
        .response_text
        .unwrap();
    assert!(kept.starts_with("[redacted:word] ") && kept.contains('@'), "{kept}");
    let numbers = imported("capture: numbers");
    assert_eq!((numbers.response_text, numbers.request_text), (None, None));
    assert!(numbers.response_chars.is_some());
}
