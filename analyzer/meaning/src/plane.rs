//! Vectors on a plane: their places along the first two principal directions, for a map that people look at.
//!
//! The directions come from power iteration on the centred vectors ([`ROUNDS`] rounds from a seeded start; the second is kept
//! at a right angle to the first), each with its largest part positive, so that the same vectors give the same map.
//! Places are rounded to four decimals: a map needs no more.

use crate::drift::{Random, mean};

/// Rounds of power iteration for each direction.
pub const ROUNDS: usize = 60;

/// The places of vectors of one length; `(0, 0)` for all where they do not differ.
#[must_use]
pub fn plane(vectors: &[&[f32]], seed: u64) -> Vec<(f64, f64)> {
    let centre = mean(vectors.iter().copied());
    let centred: Vec<Vec<f64>> = vectors
        .iter()
        .map(|vector| vector.iter().zip(&centre).map(|(value, mean)| f64::from(*value) - mean).collect())
        .collect();
    let mut random = Random(seed);
    let first = direction(&centred, None, &mut random);
    let second = direction(&centred, Some(&first), &mut random);
    let round = |value: f64| (value * 1e4).round() / 1e4 + 0.0;
    centred.iter().map(|vector| (round(dot(vector, &first)), round(dot(vector, &second)))).collect()
}

fn direction(vectors: &[Vec<f64>], other: Option<&[f64]>, random: &mut Random) -> Vec<f64> {
    let width = vectors.first().map_or(0, Vec::len);
    let mut found: Vec<f64> = (0..width).map(|_| random.uniform() - 0.5).collect();
    for _ in 0..ROUNDS {
        let mut next = vec![0.0; width];
        for vector in vectors {
            let along = dot(vector, &found);
            next.iter_mut().zip(vector).for_each(|(sum, value)| *sum += along * value);
        }
        if let Some(other) = other {
            let along = dot(&next, other);
            next.iter_mut().zip(other).for_each(|(value, other)| *value -= along * other);
        }
        let length = dot(&next, &next).sqrt();
        if length <= f64::MIN_POSITIVE {
            return vec![0.0; width];
        }
        found = next.into_iter().map(|value| value / length).collect();
    }
    let largest = found.iter().copied().max_by(|left, right| left.abs().total_cmp(&right.abs()));
    if largest.is_some_and(|value| value < 0.0) {
        found.iter_mut().for_each(|value| *value = -*value);
    }
    found
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn the_two_directions_that_vary_most_span_the_plane() {
        // The third axis varies most, then the first; the others hardly do.
        let mut vectors: Vec<Vec<f32>> = Vec::new();
        for far in -4_i8..=4 {
            for near in -2_i8..=2 {
                vectors.push(vec![3.0 + f32::from(near), 0.1, 5.0 + f32::from(far), 0.2]);
            }
        }
        let views: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
        let places = plane(&views, 1);
        for (vector, (x, y)) in vectors.iter().zip(&places) {
            assert!((f64::from(vector[2]) - 5.0 - x).abs() < 1e-3, "{x} {vector:?}");
            assert!((f64::from(vector[0]) - 3.0 - y).abs() < 1e-3, "{y} {vector:?}");
        }
        assert_eq!(places, plane(&views, 1));
    }

    #[test]
    fn vectors_that_do_not_differ_share_one_place() {
        assert_eq!(plane(&[&[0.6, 0.8], &[0.6, 0.8]], 1), [(0.0, 0.0); 2]);
        assert_eq!(plane(&[], 1), []);
    }
}
