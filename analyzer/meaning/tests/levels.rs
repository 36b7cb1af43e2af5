//! Tests of drift hold their level: false alarms over simulated answers of an unchanged model, n = 200 and 1,000, 384
//! dimensions.
//!
//! Pairs share the direction of their prompt; control, candidate and control's second answer are three draws about it.
//! `WEIR_LEVEL_RUNS` simulates that many models instead of a sample (`make test-long`); `reference/LEVELS.md` has 200
//! and what Evidently's bootstrap says on the same numbers (`reference/levels.py`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use weir_meaning::drift::{
    above, above_at, classifier, classifier_at, kernel_swap, kernel_swap_at, mean_flip, mean_flip_at,
    sign_flip, sign_flip_at,
};
use weir_meaning::embedder::distance;

const ALPHA: f64 = 0.05;
const WIDTH: usize = 384;

/// SplitMix64 and Box-Muller, so that another language can draw the same numbers.
struct Draws(u64);

impl Draws {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((z ^ (z >> 31)) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (2.0 * std::f64::consts::PI * self.uniform()).cos()
    }

    fn direction(&mut self) -> Vec<f64> {
        let vector: Vec<f64> = (0..WIDTH).map(|_| self.normal()).collect();
        let length = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
        vector.into_iter().map(|value| value / length).collect()
    }

    /// Three answers to one prompt.
    fn answers(&mut self) -> [Vec<f32>; 3] {
        let prompt = self.direction();
        [(); 3].map(|()| {
            let own = self.direction();
            let sum: Vec<f64> = prompt.iter().zip(own).map(|(prompt, own)| 2.0 * prompt + own).collect();
            let length = sum.iter().map(|value| value * value).sum::<f64>().sqrt();
            sum.into_iter().map(|value| (value / length) as f32).collect()
        })
    }
}

/// Alarms of each test: at the fixed n, and over all looks where the test has looks.
#[derive(Debug, Default)]
struct Alarms {
    fixed: [(&'static str, usize); 7],
    looked: [(&'static str, usize); 5],
}

fn simulate(n: usize, runs: u64) -> Alarms {
    let mut alarms = Alarms::default();
    for run in 0..runs {
        // A stream of its own for each size and run.
        let mut draws = Draws((n as u64) << 32 | run);
        let made: Vec<[Vec<f32>; 3]> = (0..n).map(|_| draws.answers()).collect();
        let pairs: Vec<(&[f32], &[f32])> =
            made.iter().map(|[one, other, _]| (one.as_slice(), other.as_slice())).collect();
        let distances: Vec<(f64, f64)> = made
            .iter()
            .map(|[one, other, again]| (distance(one, again).unwrap(), distance(one, other).unwrap()))
            .collect();
        let excess: Vec<f64> = distances.iter().map(|(noise, shadow)| shadow - noise).collect();
        // Cohorts are asked other things: every second exchange is the candidate's.
        let control: Vec<&[f32]> = made.iter().step_by(2).map(|answers| answers[0].as_slice()).collect();
        let candidate: Vec<&[f32]> =
            made.iter().skip(1).step_by(2).map(|answers| answers[1].as_slice()).collect();
        let noise: Vec<f64> = distances.iter().step_by(2).map(|(noise, _)| *noise).collect();
        let shadow: Vec<f64> = distances.iter().skip(1).step_by(2).map(|(_, shadow)| *shadow).collect();
        let fixed = [
            ("distances of other exchanges", above_at(&noise, &shadow).1),
            ("kernel swap", kernel_swap_at(&pairs, run).1),
            ("mean flip", mean_flip_at(&pairs, run).1),
            ("sign flip of the excess", sign_flip_at(&excess, run).1),
            ("classifier of cohorts", classifier_at(&control, &candidate).1),
            ("Wilcoxon of distances", weir_stats::fixed::wilcoxon_pratt(&distances).unwrap().p),
            ("paired flip of distances", weir_stats::fixed::sign_flip(&distances, 4_999, run).unwrap().p),
        ];
        let looked = [
            ("distances of other exchanges", above(&noise, &shadow, ALPHA).detected),
            ("kernel swap", kernel_swap(&pairs, ALPHA, run).detected),
            ("mean flip", mean_flip(&pairs, ALPHA, run).detected),
            ("sign flip of the excess", sign_flip(&excess, ALPHA, run).detected),
            ("classifier of cohorts", classifier(&control, &candidate, ALPHA).detected),
        ];
        for (count, (name, p)) in alarms.fixed.iter_mut().zip(fixed) {
            *count = (name, count.1 + usize::from(p <= ALPHA));
        }
        for (count, (name, detected)) in alarms.looked.iter_mut().zip(looked) {
            *count = (name, count.1 + usize::from(detected));
        }
    }
    alarms
}

/// Counts that a share of [`ALPHA`] gives in all but one of a thousand experiments, half of these on each side.
fn binomial(runs: u64) -> (usize, usize) {
    let (mut term, mut sum, mut low, mut high) = ((1.0 - ALPHA).powf(runs as f64), 0.0, 0, runs as usize);
    for count in 0..=runs {
        sum += term;
        if sum < 0.0005 {
            low = count as usize + 1;
        }
        if sum >= 0.9995 {
            high = count as usize;
            break;
        }
        term *= (runs - count) as f64 / (count + 1) as f64 * ALPHA / (1.0 - ALPHA);
    }
    (low, high)
}

fn holds(n: usize, sample: u64) {
    let runs = std::env::var("WEIR_LEVEL_RUNS").map_or(sample, |runs| runs.parse().unwrap());
    let alarms = simulate(n, runs);
    let (low, high) = binomial(runs);
    println!("n = {n}, {runs} unchanged models, {low} to {high} alarms are within the binomial interval");
    for (name, count) in alarms.fixed {
        println!("fixed n     {name:<29} {count:>5} {:.4}", count as f64 / runs as f64);
        assert!((low..=high).contains(&count), "{name}: {count} of {runs} at n = {n}, not {low} to {high}");
    }
    for (name, count) in alarms.looked {
        println!("all looks   {name:<29} {count:>5} {:.4}", count as f64 / runs as f64);
        assert!(count <= high, "{name}: {count} of {runs} over all looks at n = {n}, more than {high}");
    }
}

#[test]
fn false_alarms_at_200_pairs_are_within_the_binomial_interval() {
    holds(200, 80);
}

#[test]
fn false_alarms_at_1000_pairs_are_within_the_binomial_interval() {
    holds(1_000, 12);
}

#[test]
fn an_interval_of_counts_is_that_of_the_binomial_distribution() {
    // scipy.stats.binom.ppf([0.0005, 0.9995], 1000, 0.05)
    assert_eq!(binomial(1_000), (29, 74));
}
