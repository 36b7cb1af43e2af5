//! The built-in embedder: hashed words and character trigrams, signed, square-rooted and normalised.
//!
//! It sees wording, not meaning: a paraphrase looks far away, and a changed fact near. It needs no model, no runtime and no
//! network, and takes microseconds, so that a collector can afford it before it acknowledges. A vector does not show its text,
//! but whoever has a guess at the text can test it. Limits: the first [`TEXT_BYTES_MAX`] bytes count; [`DIMENSIONS`] buckets.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Length of a vector.
pub const DIMENSIONS: usize = 384;
/// What made a vector: the version of this file, and [`DIMENSIONS`].
pub const IDENTITY: &str = "lexical-1-384";
/// Bytes of a text that count.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;
/// How much a trigram weighs against a word.
const TRIGRAM_WEIGHT: f32 = 0.25;

/// The vector of a text, of length 1; all zero for a text without letters and digits.
#[must_use]
pub fn embed(text: &str) -> Vec<f32> {
    let mut counts = vec![0.0_f32; DIMENSIONS];
    let lower = cut(text).to_lowercase();
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

/// The vector of a text that has a direction; none for a text without letters and digits.
#[must_use]
pub fn direction(text: &str) -> Option<Vec<f32>> {
    Some(embed(text)).filter(|vector| vector.iter().any(|value| *value != 0.0))
}

/// The part of a text that counts.
#[must_use]
pub fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(TEXT_BYTES_MAX)).unwrap_or(text)
}

/// Scales a vector to length 1; leaves zero alone.
pub fn normalise(vector: &mut [f32]) {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|value| *value /= length);
    }
}

fn add(counts: &mut [f32], bytes: &[u8], kind: u64, weight: f32) {
    let hash = xxh3_64_with_seed(bytes, kind);
    let bucket = (hash % DIMENSIONS as u64) as usize;
    let sign = if hash >> 63 == 0 { 1.0 } else { -1.0 };
    if let Some(count) = counts.get_mut(bucket) {
        *count += sign * weight;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn the_identity_names_the_length() {
        assert_eq!(IDENTITY, format!("lexical-1-{DIMENSIONS}"));
    }

    #[test]
    fn a_text_without_letters_has_no_direction_and_any_other_has_length_one() {
        assert_eq!(direction("!? ..."), None);
        let vector = direction("one word and another").unwrap();
        assert!((vector.iter().map(|value| value * value).sum::<f32>() - 1.0).abs() < 1e-5);
    }

    #[test]
    fn what_lies_beyond_the_bytes_that_count_changes_nothing() {
        let long = "word ".repeat(TEXT_BYTES_MAX / 5 + 1);
        assert_eq!(embed(&long), embed(&format!("{long} and something else")));
    }
}
