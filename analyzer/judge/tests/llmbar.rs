//! The published counts of two judges on 200 pairs; skipped, with a line that says so, where the data is absent.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use serde_json::Value;
use weir_judge::agreement::{kappa, prediction_powered, rogan_gladen};
use weir_stats::bounded;
use weir_stats::powered::{Known, TUNED_N, combined, rectifier};

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

/// Draws with replacement: (human, judge) as 0 or 1, the share of "the first answer wins".
struct Draws {
    all: Vec<(f64, f64)>,
    state: u64,
}

impl Draws {
    fn of(rows: &[Value], judge: &str, seed: u64) -> Self {
        let flag = |yes: bool| f64::from(u8::from(yes));
        let one = |row: &Value| (flag(row["human_winner"] == 1), flag(row[judge]["winner"] == 1));
        Self { all: rows.iter().map(one).collect(), state: seed }
    }

    fn truth(&self) -> f64 {
        self.all.iter().map(|one| one.0).sum::<f64>() / self.all.len() as f64
    }

    fn next(&mut self) -> (f64, f64) {
        self.state =
            self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.all[(self.state >> 33) as usize % self.all.len()]
    }
}

#[test]
fn prediction_powered_estimates_cover_the_truth_over_resampled_calibration_sets_for_both_judges() {
    let Some(rows) = rows() else { return };
    const RUNS: usize = 1_000;
    for judge in ["gpt4", "chatgpt"] {
        let mut draws = Draws::of(&rows, judge, 11);
        let truth = draws.truth();
        let (mut covered, mut shorter) = (0, 0);
        for _ in 0..RUNS {
            let labelled: Vec<(f64, f64)> = (0..80).map(|_| draws.next()).collect();
            let judged: Vec<f64> = (0..800).map(|_| draws.next().1).collect();
            let estimate = prediction_powered(&labelled, &judged).unwrap();
            let (low, high) = estimate.interval();
            covered += usize::from(low <= truth && truth <= high);
            let mean = labelled.iter().map(|one| one.0).sum::<f64>() / 80.0;
            shorter += usize::from(estimate.standard_error < (mean * (1.0 - mean) / 80.0).sqrt());
        }
        println!("{judge}: covered {covered} of {RUNS}, shorter than labels alone in {shorter}");
        // 95 %, with three standard errors, and a little less for the normal approximation at 80 labels.
        assert!((922..=972).contains(&covered), "{judge}: {covered}");
        assert!(shorter > 900, "{judge}: {shorter}");
    }
}

#[test]
fn the_corrected_sequence_covers_the_truth_at_all_looks_at_once() {
    let Some(rows) = rows() else { return };
    const RUNS: usize = 150;
    for judge in ["gpt4", "chatgpt"] {
        let mut draws = Draws::of(&rows, judge, 23);
        let truth = draws.truth();
        let (mut missed, mut fixed) = (0, 0);
        for _ in 0..RUNS {
            let (mut known, mut scores) = (Vec::new(), Vec::new());
            let (mut out, mut fixed_out) = (false, false);
            for _ in 0..15 {
                scores.extend((0..60).map(|_| draws.next().1));
                known.extend((0..20).map(|_| {
                    let (truth, score) = draws.next();
                    Known { truth, score, weight: 1.0 }
                }));
                if known.len() < 40 {
                    continue;
                }
                let of_scores = bounded::betting(&scores, 0.025).unwrap();
                let whole = combined(of_scores, &rectifier(&known, 0.025, TUNED_N).unwrap());
                out |= truth < whole.low || truth > whole.high;
                let pairs: Vec<(f64, f64)> = known.iter().map(|one| (one.truth, one.score)).collect();
                let (low, high) = prediction_powered(&pairs, &scores).unwrap().interval();
                fixed_out |= truth < low || truth > high;
            }
            missed += usize::from(out);
            fixed += usize::from(fixed_out);
        }
        println!("{judge}: missed at any of 14 looks in {missed} of {RUNS}, the fixed-n interval in {fixed}");
        // 5 % and three standard errors.
        assert!(missed <= 15, "{judge}: {missed}");
        assert!(fixed > 15, "{judge}: a fixed-n interval must fail this test: {fixed}");
    }
}
