//! The promise of a confidence sequence, simulated: with forty looks the truth is left out in at most alpha of the
//! runs; and a fixed-n interval, looked at in the same way, breaks that promise, so that these tests can fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Random, looks, most_events};
use weir_stats::{Arms, Estimate, StatsError, Stratified, asymptotic, bounded};

const ALPHA: f64 = 0.05;
const LAST: usize = 800;

type Pairs = Vec<(f64, f64)>;

/// Runs in which `interval` leaves out `truth` at any look, and in which it is past it on either side.
fn misses(
    runs: u64,
    truth: f64,
    draw: impl Fn(&mut Random) -> (f64, f64),
    interval: impl Fn(&[(f64, f64)]) -> Result<Estimate, StatsError>,
) -> usize {
    let missed = |seed: u64| {
        let mut random = Random(seed.wrapping_mul(0x5851_F42D_4C95_7F2D));
        let pairs: Pairs = (0..LAST).map(|_| draw(&mut random)).collect();
        looks(LAST).any(|n| match interval(&pairs[..n]) {
            Ok(found) => truth < found.low || truth > found.high,
            // No interval yet: nothing is claimed.
            Err(StatsError::TooFew { .. } | StatsError::NoRatio { .. }) => false,
            Err(error) => panic!("{error}"),
        })
    };
    (1..=runs).filter(|seed| missed(*seed)).count()
}

fn assert_rate(what: &str, missed: usize, runs: u64) {
    let most = most_events(runs as usize, ALPHA);
    println!("{what}: {missed} of {runs} runs, at most {most}");
    assert!(missed <= most, "{what}: {missed} of {runs} runs leave out the truth, at most {most} may");
}

/// The usual 95 % interval for one look.
fn fixed_n(pairs: &[(f64, f64)]) -> Result<Estimate, StatsError> {
    let n = pairs.len() as f64;
    let mean = pairs.iter().map(|(x, y)| y - x).sum::<f64>() / n;
    let variance = pairs.iter().map(|(x, y)| (y - x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let half = 1.959_964 * (variance / n).sqrt();
    Ok(Estimate { value: mean, low: mean - half, high: mean + half, n: pairs.len() })
}

fn bounded_interval(pairs: &[(f64, f64)]) -> Result<Estimate, StatsError> {
    bounded::paired_difference(pairs, (0.0, 1.0), ALPHA)
}

fn ratio_interval(pairs: &[(f64, f64)]) -> Result<Estimate, StatsError> {
    asymptotic::paired_ratio(pairs, ALPHA, asymptotic::TUNED_N)
}

#[test]
fn flags_that_are_nearly_always_one_keep_the_promise() {
    let missed = misses(400, 0.0, |r| (r.flag(0.99), r.flag(0.99)), bounded_interval);
    assert_rate("flags at 0.99", missed, 400);
}

#[test]
fn flags_that_fell_by_exactly_the_margin_keep_the_promise() {
    let missed = misses(400, -0.02, |r| (1.0, r.flag(0.98)), bounded_interval);
    assert_rate("flags at the margin", missed, 400);
}

#[test]
fn scores_that_go_together_keep_the_promise() {
    let draw = |r: &mut Random| {
        let shared = r.unit();
        (0.7 * shared + 0.3 * r.unit(), 0.7 * shared + 0.3 * r.unit())
    };
    assert_rate("scores", misses(400, 0.0, draw, bounded_interval), 400);
}

#[test]
fn rare_large_scores_keep_the_promise() {
    let draw = |r: &mut Random| (r.flag(0.07) * r.unit(), r.flag(0.07) * r.unit());
    assert_rate("rare scores", misses(400, 0.0, draw, bounded_interval), 400);
}

#[test]
fn skewed_latencies_keep_the_promise() {
    let draw = |r: &mut Random| (r.lognormal(200.0, 0.8), r.lognormal(200.0, 0.8));
    assert_rate("latency ratio", misses(1_000, 0.0, draw, ratio_interval), 1_000);
    let draw = |r: &mut Random| (r.lognormal(200.0, 0.8), 1.2 * r.lognormal(200.0, 0.8));
    assert_rate("latency ratio at the margin", misses(1_000, 0.2, draw, ratio_interval), 1_000);
}

#[test]
fn very_skewed_differences_keep_the_promise() {
    let draw = |r: &mut Random| (r.lognormal(1.0, 1.2), r.lognormal(1.0, 1.2));
    let interval = |pairs: &[(f64, f64)]| asymptotic::paired_difference(pairs, ALPHA, asymptotic::TUNED_N);
    assert_rate("skewed differences", misses(1_000, 0.0, draw, interval), 1_000);
}

#[test]
fn unpaired_strata_keep_the_promise() {
    // Two cohorts with different rates and different shares of the candidate, but no change within either.
    let run = |seed: u64, bounded_method: bool| {
        let mut random = Random(seed.wrapping_mul(0x5851_F42D_4C95_7F2D));
        let mut arms: [[Vec<f64>; 2]; 2] = Default::default();
        let mut missed = false;
        for n in 1..=LAST {
            let cohort = usize::from(random.unit() < 0.3);
            let share = [0.1, 0.5][cohort];
            let candidate = usize::from(random.unit() < share);
            let value = if bounded_method {
                random.flag([0.95, 0.6][cohort])
            } else {
                random.lognormal([100.0, 300.0][cohort], 0.6)
            };
            arms[cohort][candidate].push(value);
            if n % (LAST / 40) == 0 {
                let strata: Vec<Arms<'_>> =
                    arms.iter().map(|[control, candidate]| Arms { control, candidate }).collect();
                let Ok(strata) = Stratified::new(&strata) else { continue };
                let found = if bounded_method {
                    bounded::unpaired_difference(&strata, (0.0, 1.0), ALPHA)
                } else {
                    asymptotic::unpaired_ratio(&strata, ALPHA, asymptotic::TUNED_N)
                };
                missed |= found.is_ok_and(|found| found.low > 0.0 || found.high < 0.0);
            }
        }
        missed
    };
    let missed = (1..=300).filter(|seed| run(*seed, true)).count();
    assert_rate("unpaired flags", missed, 300);
    let missed = (1..=600).filter(|seed| run(*seed, false)).count();
    assert_rate("unpaired latencies", missed, 600);
}

#[test]
fn a_fixed_n_interval_breaks_the_promise_under_the_same_looks() {
    let draw = |r: &mut Random| (r.unit(), r.unit());
    let missed = misses(400, 0.0, draw, fixed_n);
    println!("fixed-n interval: {missed} of 400 runs");
    assert!(missed > 2 * most_events(400, ALPHA), "{missed} of 400 runs");
    let missed = misses(400, 0.0, draw, bounded_interval);
    assert_rate("the sequence on the same values", missed, 400);
}
