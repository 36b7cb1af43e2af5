//! The published counts of two judges on 200 pairs; skipped, with a line that says so, where the data is absent.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use serde_json::Value;
use weir_judge::agreement::{kappa, rogan_gladen};

fn rows() -> Option<Vec<Value>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/llmbar/mt_bench_pairs.jsonl");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: no file {path}");
        return None;
    };
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[test]
fn agreement_kappa_and_order_flips_equal_the_published_ones() {
    let Some(rows) = rows() else { return };
    for (judge, agreement, expected, flips) in [("gpt4", 0.795, 0.590, 26), ("chatgpt", 0.700, 0.397, 85)] {
        let pairs: Vec<(i64, i64)> = rows
            .iter()
            .map(|row| (row["human_winner"].as_i64().unwrap(), row[judge]["winner"].as_i64().unwrap_or(0)))
            .collect();
        let (share, found) = kappa(&pairs).unwrap();
        assert!((share - agreement).abs() < 1e-9, "{judge}: {share}");
        assert!((found.unwrap() - expected).abs() < 0.0006, "{judge}: {found:?}");
        let flipped = rows.iter().filter(|row| row[judge]["winner"] != row[judge]["winner_swapped"]).count();
        assert_eq!(flipped, flips, "{judge}");
    }
}

#[test]
fn the_corrected_share_covers_the_truth_over_resampled_calibration_sets() {
    let Some(rows) = rows() else { return };
    let all: Vec<(bool, bool)> =
        rows.iter().map(|row| (row["human_winner"] == 1, row["gpt4"]["winner"] == 1)).collect();
    let truth = all.iter().filter(|(human, _)| *human).count() as f64 / all.len() as f64;
    let mut state = 7_u64;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let (mut covered, mut naive) = (0, 0);
    const RUNS: usize = 1_000;
    for _ in 0..RUNS {
        let labelled: Vec<(bool, bool)> = (0..100).map(|_| all[draw() % all.len()]).collect();
        let judged: Vec<bool> = (0..400).map(|_| all[draw() % all.len()].1).collect();
        let count =
            |of: &dyn Fn(&(bool, bool)) -> bool| labelled.iter().filter(|pair| of(pair)).count() as u64;
        let yes = judged.iter().filter(|yes| **yes).count() as u64;
        let positive = (count(&|pair| pair.0 && pair.1), count(&|pair| pair.0));
        let negative = (count(&|pair| !pair.0 && !pair.1), count(&|pair| !pair.0));
        let (low, high) = rogan_gladen((yes, 400), positive, negative).unwrap().interval();
        covered += usize::from(low <= truth && truth <= high);
        let p = yes as f64 / 400.0;
        naive += usize::from((p - truth).abs() <= 1.96 * (p * (1.0 - p) / 400.0).sqrt());
    }
    println!("covered {covered} of {RUNS}, without correction {naive}");
    assert!((925..=985).contains(&covered), "{covered}");
}
