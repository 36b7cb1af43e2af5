//! The built-in embedder: hashed words and character trigrams, signed, square-rooted and normalised.
//!
//! It sees wording, not meaning: a paraphrase looks far away, and a changed fact near. It needs no model, no runtime and no
//! network. Limits: the first [`crate::embedder::TEXT_BYTES_MAX`] bytes count; [`DIMENSIONS`] buckets.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Length of a vector.
pub const DIMENSIONS: usize = 384;
/// How much a trigram weighs against a word.
const TRIGRAM_WEIGHT: f32 = 0.25;

/// The vector of a text, of length 1; all zero for a text without letters and digits.
#[must_use]
pub fn embed(text: &str) -> Vec<f32> {
    let mut counts = vec![0.0_f32; DIMENSIONS];
    let lower = text.to_lowercase();
    let words = lower.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    let mut previous = "";
    for word in words {
        add(&mut counts, word.as_bytes(), 0, 1.0);
        if !previous.is_empty() {
            add(&mut counts, format!("{previous} {word}").as_bytes(), 1, 0.5);
        }
        let padded: Vec<char> = std::iter::once(' ').chain(word.chars()).chain([' ']).collect();
        for gram in padded.windows(3) {
            let gram: String = gram.iter().collect();
            add(&mut counts, gram.as_bytes(), 2, TRIGRAM_WEIGHT);
        }
        previous = word;
    }
    // The square root keeps a word that comes often from drowning the others.
    for count in &mut counts {
        *count = count.signum() * count.abs().sqrt();
    }
    normalise(&mut counts);
    counts
}

fn add(counts: &mut [f32], bytes: &[u8], kind: u64, weight: f32) {
    let hash = xxh3_64_with_seed(bytes, kind);
    let bucket = (hash % DIMENSIONS as u64) as usize;
    let sign = if hash >> 63 == 0 { 1.0 } else { -1.0 };
    if let Some(count) = counts.get_mut(bucket) {
        *count += sign * weight;
    }
}

/// Scales a vector to length 1; leaves zero alone.
pub(crate) fn normalise(vector: &mut [f32]) {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|value| *value /= length);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use crate::embedder::distance;

    #[test]
    fn the_same_words_are_near_and_other_words_are_far() {
        let text = embed("Your parcel left our warehouse on Monday.");
        let near = embed("your parcel left the warehouse on monday");
        let far = embed("Bananas are rich in potassium and taste sweet.");
        assert!(distance(&text, &text).unwrap() < 1e-6);
        assert!(distance(&text, &near).unwrap() < 0.35, "{:?}", distance(&text, &near));
        assert!(distance(&text, &far).unwrap() > 0.8, "{:?}", distance(&text, &far));
    }

    #[test]
    fn a_text_without_letters_has_no_direction() {
        assert_eq!(distance(&embed("!?"), &embed("word")), None);
    }
}
