//! 1,000 planted secrets of all kinds: none in the log, in Parquet, in the lines for the operator or in the metrics; and whatever is
//! written is its owner's alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
mod planted;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use common::*;
use planted::{Planted, WAYS, is_seen, planted, readings};
use weir_collector::Collector;
use weir_collector::redact::{Action, Finds, Redactor, Rules, Secret};
use weir_sample::{Access, Record, Sample};

const SECRETS: u64 = 1_000;

fn secrets() -> Vec<(Planted, usize)> {
    (0..SECRETS).map(|number| (planted(number), number as usize * 5 / planted::KINDS.len() % WAYS)).collect()
}

#[tokio::test]
async fn none_of_1000_planted_secrets_is_in_log_parquet_lines_or_metrics() {
    let data = tempfile::tempdir().unwrap();
    let mut options = options(data.path());
    // The log is looked at before it becomes Parquet.
    options.flush_interval = Duration::from_secs(3_600);
    let lines = with_log(&mut options);
    let collector = Collector::start(options).await.unwrap();
    let secrets = secrets();
    let legs: Vec<_> =
        secrets.iter().zip(0..).map(|((secret, way), number)| planted::leg(number, secret, *way)).collect();
    for legs in legs.chunks(100) {
        assert_eq!(post(collector.address(), batch("w", legs)).await.unwrap().status(), 200);
    }
    // Texts lie in the log as they are; streams in it are put together below, from the rows.
    let log = String::from_utf8_lossy(&all_bytes(&data.path().join("wal"))).into_owned();
    assert!(log.contains("sample-999") && log.contains("[redacted:"));
    assert_eq!(seen(&[log], &secrets), Vec::<String>::new());
    let metrics = collector.metrics();
    private(data.path());
    collector.stop().await.unwrap();
    private(data.path());

    let rows = samples(data.path());
    assert_eq!(rows.len() as u64, SECRETS);
    let mut wrong = Vec::new();
    for row in &rows {
        let number = row.sequence.unwrap() as usize;
        let (secret, way) = &secrets[number];
        if is_seen(&texts(row), secret) {
            wrong.push(format!("{number}, way {way}, {:?}: {:?} in {row:?}", secret.kind, secret.text));
        }
    }
    assert!(wrong.is_empty(), "{} seen:\n{}", wrong.len(), wrong.join("\n"));
    let said = [lines.lock().unwrap().join("\n"), metrics.clone()];
    assert_eq!(seen(&said, &secrets), Vec::<String>::new());
    for kind in planted::KINDS {
        let line = format!("weir_collector_redactions_total{{kind=\"{}\"}} ", kind.as_str());
        let count = metrics.lines().find_map(|found| found.strip_prefix(&line)).unwrap();
        assert!(count.parse::<u64>().unwrap() > 0, "{line}{count}");
    }
}

#[test]
fn without_redaction_the_same_search_finds_them() {
    let mut rules = Rules::default();
    Secret::ALL.into_iter().for_each(|kind| rules.set_action(kind, Action::Keep));
    let redactor = Redactor::with(rules).unwrap();
    let unseen: Vec<_> = (0..)
        .zip(secrets())
        .filter(|(number, (secret, way))| {
            let leg = planted::leg(*number, secret, *way);
            let budget = std::cell::Cell::new(1 << 20);
            let mut row = weir_sample::capture::sample_from_wire(leg, "p", "w", 1, &budget).unwrap();
            redactor.redact_row(&mut row, &mut Finds::default());
            !is_seen(&texts(&row), secret)
        })
        .collect();
    assert!(unseen.is_empty(), "{} of them, such as {:?}", unseen.len(), unseen.first());
}

/// Everything that is text in a row, as its readers see it.
fn texts(row: &Sample) -> Vec<String> {
    let mut texts = Vec::new();
    for column in Sample::COLUMNS {
        match &column.access {
            Access::Text { get, .. } | Access::Label { get, .. } => {
                texts.extend(get(row).into_iter().flat_map(readings));
            }
            Access::Tags { get, .. } => {
                texts.extend(
                    get(row)
                        .iter()
                        .flat_map(|(name, value)| readings(name).into_iter().chain(readings(value))),
                );
            }
            _ => {}
        }
    }
    texts
}

fn seen(texts: &[String], secrets: &[(Planted, usize)]) -> Vec<String> {
    secrets
        .iter()
        .filter(|(secret, _)| is_seen(texts, secret))
        .map(|(secret, way)| format!("way {way}: {secret:?}"))
        .collect()
}

/// Files 0600, folders 0700.
fn private(folder: &Path) {
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&path), expected, "{}", path.display());
        if path.is_dir() {
            private(&path);
        }
    }
}
