//! How much of ordinary answers the redaction takes for secrets: the texts of `../shared/data`, where they are there.
//!
//! Skipped with a printed line elsewhere. The bound is on answers with a false mask per 1,000; what was masked is printed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};

use serde_json::Value;
use weir_collector::redact::{Finds, Redactor, Secret};

/// Masked texts per 1,000. What is masked now are e-mail addresses, telephone numbers and IP addresses that the texts do have.
const MASKED_PER_1000_MAX: f64 = 2.0;

#[test]
fn ordinary_answers_are_mostly_left_alone() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let Some(files) = files(&folder) else {
        println!("skipped: {} is not there", folder.display());
        return;
    };
    let redactor = Redactor::new().unwrap();
    let (mut answers, mut masked) = (0_u32, 0_u32);
    let mut finds = Finds::default();
    for file in files {
        for line in std::fs::read_to_string(&file).unwrap().lines() {
            let mut texts = Vec::new();
            strings(&serde_json::from_str(line).unwrap(), &mut texts);
            for text in texts.iter().filter(|text| text.len() > 40) {
                answers += 1;
                let before = finds;
                let redacted = redactor.redact(text, &mut finds);
                if finds != before {
                    masked += 1;
                    let at = redacted.find("[redacted:").unwrap_or(0);
                    let from = redacted.floor_char_boundary(at.saturating_sub(30));
                    let to = redacted.floor_char_boundary((at + 50).min(redacted.len()));
                    println!("{:?}", &redacted[from..to]);
                }
            }
        }
    }
    let by_kind: Vec<String> = Secret::ALL
        .into_iter()
        .filter(|secret| finds.of(*secret) > 0)
        .map(|secret| format!("{} {}", finds.of(secret), secret.as_str()))
        .collect();
    let per_1000 = f64::from(masked) * 1_000.0 / f64::from(answers.max(1));
    println!("{masked} of {answers} texts masked, {per_1000:.2} per 1,000: {}", by_kind.join(", "));
    assert!(answers > 1_000, "{answers}");
    assert!(per_1000 <= MASKED_PER_1000_MAX, "{per_1000}");
}

fn files(folder: &Path) -> Option<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).ok()?.flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path if path.extension().is_some_and(|ending| ending == "jsonl") => files.push(path),
                _ => {}
            }
        }
    }
    files.sort();
    Some(files)
}

fn strings(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| strings(item, into)),
        Value::Object(fields) => fields.values().for_each(|field| strings(field, into)),
        _ => {}
    }
}
