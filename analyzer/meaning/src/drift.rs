//! Whether two sets of answers mean the same: kernel and mean-difference tests on pairs, a classifier on cohorts.
//!
//! Paired: within a pair the two answers are exchangeable when nothing changed, so the reference distribution comes from
//! swapping them (maximum mean discrepancy, Gretton et al. 2012, with random Fourier features, Rahimi and Recht 2007; the
//! length of the mean difference) or from flipping the sign of an excess. Unpaired: a direction learned on one half is tested on the other (Lopez-Paz and Oquab
//! 2017), by the rank statistic of its scores.
//!
//! Always valid: tests run on the first 50, 100, 200, ... pairs in the order of time and nowhere else, the k-th at the level
//! `alpha / (k (k + 1))`, so that looking at any time and any number of times alarms falsely with at most `alpha`.
//! The functions that end in `_at` are the same tests at one fixed n.
//! Limits: beyond [`BLOCKS_MAX`] pairs, neighbours are swapped together, which keeps the level and costs little power.

use serde::{Deserialize, Serialize};

/// The first look, pairs.
pub const FIRST_LOOK: usize = 50;
/// Blocks that are swapped on their own.
pub const BLOCKS_MAX: usize = 256;
/// Random swaps; the smallest p value is one in this many plus one.
pub const SWAPS: usize = 4_999;
/// Random features of the kernel (half of them cosines, half sines).
const FEATURES: usize = 128;

/// One look of a sequential test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// Pairs (or answers of the smaller cohort).
    pub n: usize,
    /// The statistic.
    pub statistic: f64,
    /// Its p value.
    pub p: f64,
    /// The level of this look.
    pub level: f64,
}

/// A test over its looks; it ends at the first that detects.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sequential {
    /// The looks that were taken.
    pub looks: Vec<Look>,
    /// Whether one of them detected.
    pub detected: bool,
}

impl Sequential {
    fn run(n: usize, alpha: f64, mut test: impl FnMut(usize) -> Option<(f64, f64)>) -> Self {
        let mut result = Self::default();
        let sizes = std::iter::successors(Some(FIRST_LOOK), |size| size.checked_mul(2));
        for (look, size) in (1_u32..).zip(sizes.take_while(|size| *size <= n)) {
            let k = f64::from(look);
            let Some((statistic, p)) = test(size) else { break };
            let level = alpha / (k * (k + 1.0));
            result.looks.push(Look { n: size, statistic, p, level });
            if p <= level {
                result.detected = true;
                break;
            }
        }
        result
    }
}

/// Kernel test by swapping within pairs, pairs in the order of time.
#[must_use]
pub fn kernel_swap(pairs: &[(&[f32], &[f32])], alpha: f64, seed: u64) -> Sequential {
    let features = Features::new(pairs.iter().take(FIRST_LOOK).copied(), seed);
    let mut mapped: Vec<Vec<f64>> = Vec::new();
    Sequential::run(pairs.len(), alpha, |n| {
        // What later looks need is mapped when they come.
        mapped.extend(pairs.get(mapped.len()..n)?.iter().map(|pair| features.difference(*pair)));
        let sums = block_sums(n, 2 * features.directions.len(), |at, sum| {
            sum.iter_mut().zip(mapped.get(at).into_iter().flatten()).for_each(|(sum, value)| *sum += value);
        });
        Some(flip(&sums, n, seed ^ n as u64))
    })
}

/// [`kernel_swap`] on all pairs at once: statistic and p value.
#[must_use]
pub fn kernel_swap_at(pairs: &[(&[f32], &[f32])], seed: u64) -> (f64, f64) {
    let features = Features::new(pairs.iter().take(FIRST_LOOK).copied(), seed);
    let sums = block_sums(pairs.len(), 2 * features.directions.len(), |at, sum| {
        if let Some(pair) = pairs.get(at) {
            sum.iter_mut().zip(features.difference(*pair)).for_each(|(sum, value)| *sum += value);
        }
    });
    flip(&sums, pairs.len(), seed ^ pairs.len() as u64)
}

/// Sign-flip test of the mean difference of pairs, by its squared length, pairs in the order of time.
#[must_use]
pub fn mean_flip(pairs: &[(&[f32], &[f32])], alpha: f64, seed: u64) -> Sequential {
    Sequential::run(pairs.len(), alpha, |n| Some(mean_flip_at(pairs.get(..n)?, seed)))
}

/// [`mean_flip`] on all pairs at once: statistic and p value.
#[must_use]
pub fn mean_flip_at(pairs: &[(&[f32], &[f32])], seed: u64) -> (f64, f64) {
    let width = pairs.first().map_or(0, |(left, _)| left.len());
    let sums = block_sums(pairs.len(), width, |at, sum| {
        let Some((left, right)) = pairs.get(at) else { return };
        for ((sum, left), right) in sum.iter_mut().zip(*left).zip(*right) {
            *sum += f64::from(*right) - f64::from(*left);
        }
    });
    flip(&sums, pairs.len(), seed ^ pairs.len() as u64)
}

/// Sign-flip test that the mean of `values` is above zero, values in the order of time.
#[must_use]
pub fn sign_flip(values: &[f64], alpha: f64, seed: u64) -> Sequential {
    Sequential::run(values.len(), alpha, |n| Some(sign_flip_at(values.get(..n)?, seed)))
}

/// [`sign_flip`] on all values at once: their mean and the p value.
#[must_use]
pub fn sign_flip_at(values: &[f64], seed: u64) -> (f64, f64) {
    let n = values.len();
    let blocks: Vec<f64> =
        blocks(n).map(|(from, to)| values.get(from..to).unwrap_or_default().iter().sum()).collect();
    let observed: f64 = blocks.iter().sum();
    let mut random = Random(seed ^ n as u64);
    let beyond = (0..SWAPS)
        .filter(|_| {
            let sum: f64 = blocks.iter().map(|value| random.sign() * value).sum();
            sum >= observed - 1e-12 * observed.abs()
        })
        .count();
    (observed / n.max(1) as f64, (beyond + 1) as f64 / (SWAPS + 1) as f64)
}

/// Rank test that `high` lies above `low`, values of different exchanges, each in the order of time.
#[must_use]
pub fn above(low: &[f64], high: &[f64], alpha: f64) -> Sequential {
    Sequential::run(low.len().min(high.len()), alpha, |n| Some(rank_test(low.get(..n)?, high.get(..n)?)))
}

/// [`above`] on all values at once: the share of (low, high) pairs in order, and the p value.
#[must_use]
pub fn above_at(low: &[f64], high: &[f64]) -> (f64, f64) {
    rank_test(low, high)
}

/// Classifier test of two cohorts, each in the order of time.
#[must_use]
pub fn classifier(control: &[&[f32]], candidate: &[&[f32]], alpha: f64) -> Sequential {
    Sequential::run(control.len().min(candidate.len()), alpha, |n| {
        Some(classifier_at(control.get(..n)?, candidate.get(..n)?))
    })
}

/// [`classifier`] on all answers at once: the share of (control, candidate) pairs in order, and the p value.
#[must_use]
pub fn classifier_at(control: &[&[f32]], candidate: &[&[f32]]) -> (f64, f64) {
    let direction: Vec<f64> = mean(candidate.iter().step_by(2).copied())
        .iter()
        .zip(mean(control.iter().step_by(2).copied()))
        .map(|(candidate, control)| candidate - control)
        .collect();
    let score = |vector: &&[f32]| -> f64 {
        vector.iter().zip(&direction).map(|(value, weight)| f64::from(*value) * weight).sum()
    };
    let held = |cohort: &[&[f32]]| cohort.iter().skip(1).step_by(2).map(score).collect::<Vec<f64>>();
    rank_test(&held(control), &held(candidate))
}

/// Share of (low, high) pairs in order, ties half, and the one-sided p value of its normal approximation.
fn rank_test(low: &[f64], high: &[f64]) -> (f64, f64) {
    let mut all: Vec<(f64, bool)> =
        low.iter().map(|value| (*value, false)).chain(high.iter().map(|value| (*value, true))).collect();
    all.sort_by(|left, right| left.0.total_cmp(&right.0));
    let (mut below, mut ordered) = (0.0, 0.0);
    let mut ties = 0.0;
    for group in all.chunk_by(|left, right| left.0 == right.0) {
        let highs = group.iter().filter(|(_, high)| *high).count() as f64;
        let lows = group.len() as f64 - highs;
        ordered += highs * (below + lows / 2.0);
        below += lows;
        let size = group.len() as f64;
        ties += size * size * size - size;
    }
    let (m, n) = (low.len() as f64, high.len() as f64);
    let total = m + n;
    let variance = m * n / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)));
    let z = if variance > 0.0 { (ordered - m * n / 2.0) / variance.sqrt() } else { 0.0 };
    (ordered / (m * n), upper_tail(z))
}

/// P(Z > z) of the standard normal: Abramowitz and Stegun 7.1.26 is too coarse in the tail, so the continued fraction of
/// the complementary error function is used beyond 2 and its series below.
fn upper_tail(z: f64) -> f64 {
    if z < 0.0 {
        return 1.0 - upper_tail(-z);
    }
    let density = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    if z > 2.0 {
        let fraction = (1..=60).rev().fold(z, |below, k| z + f64::from(k) / below);
        return density / fraction;
    }
    let (mut term, mut sum) = (z, z);
    for k in 1..80 {
        term *= z * z / f64::from(2 * k + 1);
        sum += term;
    }
    0.5 - density * sum
}

/// The differences of pairs, summed over blocks of neighbours; `add` adds the difference of a pair.
fn block_sums(n: usize, width: usize, add: impl Fn(usize, &mut [f64])) -> Vec<Vec<f64>> {
    blocks(n)
        .map(|(from, to)| {
            let mut sum = vec![0.0; width];
            (from..to).for_each(|at| add(at, &mut sum));
            sum
        })
        .collect()
}

/// Squared length of the mean difference, and the share of random swaps of blocks that reach it.
fn flip(sums: &[Vec<f64>], n: usize, seed: u64) -> (f64, f64) {
    // The length follows from the blocks' inner products: less to add up where vectors are long.
    let products: Vec<Vec<f64>> =
        sums.iter().map(|left| sums.iter().map(|right| dot(left, right)).collect()).collect();
    let length = |signs: &[f64]| {
        let mut along = vec![0.0; sums.len()];
        for (sign, row) in signs.iter().zip(&products) {
            along.iter_mut().zip(row).for_each(|(sum, value)| *sum += sign * value);
        }
        dot(&along, signs)
    };
    let observed = length(&vec![1.0; sums.len()]);
    let mut random = Random(seed);
    let beyond = (0..SWAPS)
        .filter(|_| {
            let signs: Vec<f64> = sums.iter().map(|_| random.sign()).collect();
            length(&signs) >= observed * (1.0 - 1e-9)
        })
        .count();
    let n = n.max(1) as f64;
    (observed / (n * n), (beyond + 1) as f64 / (SWAPS + 1) as f64)
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

fn blocks(n: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = n.clamp(1, BLOCKS_MAX);
    (0..count).map(move |block| (block * n / count, (block + 1) * n / count))
}

/// The mean of vectors.
pub(crate) fn mean<'a>(vectors: impl Iterator<Item = &'a [f32]>) -> Vec<f64> {
    let (mut sum, mut count) = (Vec::new(), 0_u32);
    for vector in vectors {
        sum.resize(vector.len(), 0.0);
        sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += f64::from(*value));
        count += 1;
    }
    sum.iter_mut().for_each(|value| *value /= f64::from(count.max(1)));
    sum
}

/// Random Fourier features of a Gaussian kernel whose width is the median distance.
struct Features {
    directions: Vec<Vec<f32>>,
}

impl Features {
    fn new<'a>(pairs: impl Iterator<Item = (&'a [f32], &'a [f32])>, seed: u64) -> Self {
        // Both sides in one pot: the width does not change when answers are swapped.
        let pooled: Vec<&[f32]> = pairs.flat_map(|(left, right)| [left, right]).collect();
        let mut distances: Vec<f64> = pooled
            .iter()
            .enumerate()
            .flat_map(|(at, left)| pooled.iter().skip(at + 1).map(|right| squared(left, right)))
            .collect();
        distances.sort_by(f64::total_cmp);
        let median = distances.get(distances.len() / 2).copied().filter(|d| *d > 0.0).unwrap_or(1.0);
        let width = median.sqrt();
        let dimensions = pooled.first().map_or(0, |vector| vector.len());
        let mut random = Random(seed);
        let direction = |_| (0..dimensions).map(|_| (random.normal() / width) as f32).collect();
        Self { directions: (0..FEATURES / 2).map(direction).collect() }
    }

    /// The features of the right vector without those of the left.
    fn difference(&self, (left, right): (&[f32], &[f32])) -> Vec<f64> {
        let scale = (2.0 / FEATURES as f64).sqrt();
        let mut features = Vec::with_capacity(FEATURES);
        for direction in &self.directions {
            let (left_sine, left_cosine) = f64::from(phase(direction, left)).sin_cos();
            let (right_sine, right_cosine) = f64::from(phase(direction, right)).sin_cos();
            features.extend([(right_cosine - left_cosine) * scale, (right_sine - left_sine) * scale]);
        }
        features
    }
}

/// The inner product in eight sums, which a processor adds side by side.
fn phase(direction: &[f32], vector: &[f32]) -> f32 {
    let (weights, values) = (direction.chunks_exact(8), vector.chunks_exact(8));
    let rest: f32 = weights.remainder().iter().zip(values.remainder()).map(|(w, v)| w * v).sum();
    let mut sums = [0.0_f32; 8];
    for (weights, values) in weights.zip(values) {
        for ((sum, weight), value) in sums.iter_mut().zip(weights).zip(values) {
            *sum += weight * value;
        }
    }
    sums.iter().sum::<f32>() + rest
}

fn squared(left: &[f32], right: &[f32]) -> f64 {
    left.iter().zip(right).map(|(left, right)| f64::from(left - right).powi(2)).sum()
}

/// SplitMix64 (Steele, Lea and Flood 2014): small, seeded, the same everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn sign(&mut self) -> f64 {
        if self.next() >> 63 == 0 { 1.0 } else { -1.0 }
    }

    /// Uniform in (0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    pub(crate) fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (2.0 * std::f64::consts::PI * self.uniform()).cos()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    fn unit(random: &mut Random, shift: f64) -> Vec<f32> {
        let mut vector: Vec<f32> = (0..384).map(|_| random.normal() as f32).collect();
        vector[0] += shift as f32;
        weir_sample::lexical::normalise(&mut vector);
        vector
    }

    /// Pairs share a prompt's direction; the candidate's answers are shifted.
    fn pairs(random: &mut Random, n: usize, shift: f64) -> Vec<(Vec<f32>, Vec<f32>)> {
        (0..n)
            .map(|_| {
                let prompt = unit(random, 0.0);
                let mut answer = |shift: f64| {
                    let mut vector: Vec<f32> =
                        prompt.iter().zip(unit(random, shift)).map(|(p, own)| 2.0 * p + own).collect();
                    weir_sample::lexical::normalise(&mut vector);
                    vector
                };
                (answer(0.0), answer(shift))
            })
            .collect()
    }

    // That they hold their level is shown by `tests/levels.rs`.
    #[test]
    fn a_shift_that_is_small_against_the_spread_of_prompts_is_found_in_pairs() {
        let (mut kernel, mut means) = (0, 0);
        for run in 0..10 {
            let made = pairs(&mut Random(run + 1), 200, 6.0);
            let views: Vec<(&[f32], &[f32])> =
                made.iter().map(|(left, right)| (left.as_slice(), right.as_slice())).collect();
            kernel += usize::from(kernel_swap(&views, 0.05, run).detected);
            means += usize::from(mean_flip(&views, 0.05, run).detected);
        }
        assert!(kernel >= 9 && means >= 9, "{kernel} and {means} of 10");
    }

    #[test]
    fn cohorts_that_answer_otherwise_are_told_apart() {
        let found = (0..10).filter(|run| {
            let (left, right) =
                (pairs(&mut Random(run + 1), 400, 0.0), pairs(&mut Random(run + 99), 400, 20.0));
            let control: Vec<&[f32]> = left.iter().map(|pair| pair.0.as_slice()).collect();
            let candidate: Vec<&[f32]> = right.iter().map(|pair| pair.1.as_slice()).collect();
            classifier(&control, &candidate, 0.05).detected
        });
        assert!(found.count() >= 9);
    }

    #[test]
    fn an_excess_over_noise_is_found_and_its_absence_is_not() {
        let mut random = Random(3);
        let values: Vec<f64> = (0..400).map(|_| random.normal() + 0.5).collect();
        assert!(sign_flip(&values, 0.05, 1).detected);
        let centred: Vec<f64> = values.iter().map(|value| value - 0.5).collect();
        assert!(!sign_flip(&centred, 0.05, 1).detected);
        assert!(sign_flip(&values[..FIRST_LOOK - 1], 0.05, 1).looks.is_empty());
    }

    #[test]
    fn the_normal_tail_has_the_published_values() {
        for (z, p) in [
            (0.0, 0.5),
            (1.0, 0.158_655_253_931_457),
            (1.959_963_984_540_054, 0.025),
            (5.0, 2.866_515_718_791_94e-7),
        ] {
            assert!((upper_tail(z) / p - 1.0).abs() < 1e-9, "{z}: {}", upper_tail(z));
        }
    }
}
