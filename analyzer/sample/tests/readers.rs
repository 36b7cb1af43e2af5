//! Other programs open the files and see the same rows: DuckDB, pyarrow and pandas, against our own reader.
//!
//! They are Python packages of tests/requirements.txt (`make setup`); WEIR_PYTHON names another interpreter that has them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use weir_sample::*;

/// 2026-09-21 14:13:20 UTC.
const TS: i64 = 1_790_000_000_000_000;

fn rows() -> Vec<Sample> {
    let some = |n: i64, every: i64| n % every != 0;
    (0..2_000)
        .map(|n| Sample {
            experiment: "support".into(),
            sample_id: format!("s{n}"),
            leg: if some(n, 2) { Leg::Primary } else { Leg::Shadow },
            variant: if some(n, 3) { Variant::Control } else { Variant::Candidate },
            ts_us: TS + n * 3_456_789,
            // Multiples of 1/8, so that a sum is the same in whatever order.
            latency_ms: some(n, 5).then_some(n as f64 / 8.0),
            prompt_tokens: some(n, 7).then_some(n * 11),
            status: some(n, 11).then_some(200),
            complete: some(n, 13).then_some(n % 2 == 0),
            response_text: some(n, 17)
                .then(|| "Grüße, 世界 \"quoted\"\n".repeat(usize::try_from(n % 4).unwrap())),
            tags: if n % 19 == 0 { [("team".to_owned(), "a".to_owned())].into() } else { Default::default() },
            ..Sample::default()
        })
        .collect()
}

fn figures(rows: &[Sample]) -> serde_json::Value {
    let count = |is: &dyn Fn(&Sample) -> bool| rows.iter().filter(|row| is(row)).count();
    let hours: BTreeSet<_> = rows
        .iter()
        .filter_map(|row| Partition::of(Kind::Samples, "support", row.ts_us))
        .map(|at| at.hour)
        .collect();
    serde_json::json!([
        rows.len(),
        rows.iter().filter_map(|row| row.latency_ms).sum::<f64>(),
        rows.iter().filter_map(|row| row.prompt_tokens).sum::<i64>(),
        rows.iter().filter_map(|row| Some(row.response_text.as_ref()?.chars().count())).sum::<usize>(),
        count(&|row| row.variant == Variant::Candidate),
        count(&|row| row.status.is_none()),
        rows.iter().map(|row| row.ts_us).min(),
        rows.iter().map(|row| row.ts_us).max(),
        hours.len(),
        rows.iter().map(|row| &row.experiment).min(),
        count(&|row| row.tags.get("team").is_some_and(|team| team == "a")),
        count(&|row| row.complete == Some(true)),
    ])
}

#[test]
fn duckdb_pyarrow_and_pandas_see_the_rows_and_sums_that_we_see() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = std::env::var_os("WEIR_PYTHON").map_or(root.join(".venv/bin/python"), Into::into);
    let has = Command::new(&python).args(["-c", "import duckdb, pandas, pyarrow"]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        println!(
            "skipped: {} has no duckdb, pandas and pyarrow; `make setup` installs them",
            python.display()
        );
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let all = rows();
    for (number, part) in all.chunks(700).enumerate() {
        write_samples(data.path(), &format!("part-{number}"), part.to_vec()).unwrap();
    }
    let files = list_files(data.path(), Kind::Samples, None).unwrap();
    assert!(files.len() > 3, "several files in several hours");
    let ours: Vec<Sample> = files.iter().flat_map(|path| read_file::<Sample>(path).unwrap()).collect();
    assert_eq!(figures(&ours), figures(&all));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers.py");
    let output = Command::new(&python).arg(script).arg(data.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for reader in ["duckdb", "pyarrow", "pandas"] {
        assert_eq!(theirs[reader], figures(&ours), "{reader}");
    }
}
