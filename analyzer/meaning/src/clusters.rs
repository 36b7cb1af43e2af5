//! Groups of prompts: spherical k-means on their vectors, named by the words that set them apart.
//!
//! Limits: centres are found on at most [`FIT_MAX`] prompts, evenly spread, in [`ROUNDS`] rounds; all prompts are then
//! assigned. The first centres are farthest points, so the result depends on the order of the prompts only.

use std::collections::BTreeMap;

/// Prompts that centres are found on.
pub const FIT_MAX: usize = 4_000;
/// Rounds of k-means.
pub const ROUNDS: usize = 15;
/// Texts of each side that name a cluster.
pub const NAME_TEXTS: usize = 500;
/// Bytes of each of them.
pub const NAME_BYTES: usize = 2_000;

/// The cluster of each vector, 0 to `k - 1`; vectors without direction go to 0.
#[must_use]
pub fn assign(vectors: &[&[f32]], k: usize) -> Vec<usize> {
    let step = vectors.len().div_ceil(FIT_MAX).max(1);
    let fit: Vec<&[f32]> = vectors.iter().step_by(step).copied().collect();
    let centres = centres(&fit, k);
    vectors.iter().map(|vector| nearest(&centres, vector)).collect()
}

fn centres(vectors: &[&[f32]], k: usize) -> Vec<Vec<f32>> {
    let Some(first) = vectors.first() else { return Vec::new() };
    let mut centres = vec![first.to_vec()];
    let mut closest: Vec<f32> = vectors.iter().map(|vector| dot(first, vector)).collect();
    while centres.len() < k {
        let farthest = closest.iter().enumerate().min_by(|left, right| left.1.total_cmp(right.1));
        let Some(next) = farthest.and_then(|(at, _)| vectors.get(at)) else { break };
        closest.iter_mut().zip(vectors).for_each(|(best, vector)| *best = best.max(dot(next, vector)));
        centres.push(next.to_vec());
    }
    for _ in 0..ROUNDS {
        let mut sums: Vec<Vec<f32>> = centres.iter().map(|centre| vec![0.0; centre.len()]).collect();
        for vector in vectors {
            if let Some(sum) = sums.get_mut(nearest(&centres, vector)) {
                sum.iter_mut().zip(*vector).for_each(|(sum, value)| *sum += value);
            }
        }
        for (centre, mut sum) in centres.iter_mut().zip(sums) {
            weir_sample::lexical::normalise(&mut sum);
            if sum.iter().any(|value| *value != 0.0) {
                *centre = sum;
            }
        }
    }
    centres
}

fn nearest(centres: &[Vec<f32>], vector: &[f32]) -> usize {
    let mut best = (0, f32::MIN);
    for (at, centre) in centres.iter().enumerate() {
        let near = dot(centre, vector);
        if near > best.1 {
            best = (at, near);
        }
    }
    best.0
}

fn dot(left: &[f32], right: &[f32]) -> f32 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

/// Up to three words that stand in more of the cluster's texts than in the others'; the first [`NAME_TEXTS`] texts of each
/// side count, and of each its first [`NAME_BYTES`].
#[must_use]
pub fn name(inside: &[&str], outside: &[&str]) -> String {
    let share = |texts: &[&str]| {
        let mut counts: BTreeMap<String, f64> = BTreeMap::new();
        for text in texts.iter().take(NAME_TEXTS) {
            let beginning = text.get(..text.floor_char_boundary(NAME_BYTES)).unwrap_or_default();
            let mut words: Vec<String> = beginning
                .to_lowercase()
                .split(|letter: char| !letter.is_alphabetic())
                .filter(|word| word.chars().count() > 3)
                .map(str::to_owned)
                .collect();
            words.sort();
            words.dedup();
            words.into_iter().for_each(|word| *counts.entry(word).or_default() += 1.0);
        }
        let n = texts.len().clamp(1, NAME_TEXTS) as f64;
        counts.values_mut().for_each(|count| *count /= n);
        counts
    };
    let (within, without) = (share(inside), share(outside));
    let mut ranked: Vec<(f64, &String)> =
        within.iter().map(|(word, share)| (share - without.get(word).unwrap_or(&0.0), word)).collect();
    ranked.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(right.1)));
    let words: Vec<&str> =
        ranked.iter().filter(|(lead, _)| *lead > 0.0).take(3).map(|(_, word)| word.as_str()).collect();
    if words.is_empty() { "(no words of its own)".to_owned() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn prompts_about_two_things_fall_into_two_named_clusters() {
        let texts = [
            "where is my parcel",
            "the parcel is late",
            "parcel lost again",
            "how to bake bread",
            "bread dough rises",
            "rye bread recipe",
        ];
        let vectors: Vec<Vec<f32>> = texts.iter().map(|text| weir_sample::lexical::embed(text)).collect();
        let views: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
        let of = assign(&views, 2);
        assert_eq!(of[..3], [of[0]; 3]);
        assert_eq!(of[3..], [of[3]; 3]);
        assert_ne!(of[0], of[3]);
        assert!(name(&texts[..3], &texts[3..]).starts_with("parcel"));
    }
}
