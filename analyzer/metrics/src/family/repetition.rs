//! Whether an answer says the same again: `repetition`.
//!
//! The share of runs of four words that came before in the same answer, 0 to 1; where words are not separated (Chinese,
//! Japanese, Thai), of runs of eight characters. A loop is near 1, ordinary prose below 0.1. Answers that are shorter
//! than two runs have none. Headings, lists and tables repeat a little: compare, do not read it by itself.

use std::collections::HashSet;

use weir_gate::Better;
use xxhash_rust::xxh3::xxh3_64;

use crate::answer::{Answer, fold};
use crate::metric::{Metric, SHARE, ValueOf};

const WORDS: usize = 4;
const CHARACTERS: usize = 8;
/// Words longer than this on average are no words, but text without spaces.
const WORD_CHARACTERS_MAX: usize = 20;

pub(crate) fn metrics() -> Vec<Metric> {
    vec![Metric {
        name: "repetition".to_owned(),
        unit: "share".into(),
        better: Better::Lower,
        bounds: SHARE,
        value: ValueOf::Answer(repetition),
        needs_control: None,
    }]
}

fn repetition(answer: &Answer<'_>) -> Option<f64> {
    let text = answer.text.as_ref()?;
    let spaced = text.characters <= WORD_CHARACTERS_MAX * text.words.max(1);
    let (folded, _) = fold(answer.body?);
    Some(if spaced {
        let words: Vec<u64> = folded.split(' ').filter(|word| !word.is_empty()).map(hash).collect();
        repeated(&words, WORDS)
    } else {
        let characters: Vec<u64> =
            folded.chars().filter(|c| !c.is_whitespace()).map(|c| u64::from(u32::from(c))).collect();
        repeated(&characters, CHARACTERS)
    })
}

fn hash(word: &str) -> u64 {
    xxh3_64(word.as_bytes())
}

/// The share of runs of `length` that were there before.
#[allow(clippy::cast_precision_loss)] // lengths of captured texts are far below 2^53
fn repeated(units: &[u64], length: usize) -> f64 {
    let runs = units.windows(length).count();
    if runs <= length {
        return 0.0;
    }
    let different: HashSet<&[u64]> = units.windows(length).collect();
    (runs - different.len()) as f64 / runs as f64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    fn value(text: &str) -> f64 {
        repetition(&Answer::default().with_text(Some(text))).unwrap()
    }

    #[test]
    fn loops_are_near_one_and_prose_is_near_zero() {
        assert!(value(&"please wait a moment longer ".repeat(40)) > 0.95);
        assert!(value(&"请稍等一下我正在查询".repeat(20)) > 0.9);
        let prose = "Your order was shipped on Monday and should arrive within three days. If it does not, write to \
                     us again and we will send another one at no cost.";
        assert!(value(prose) < 0.01);
        assert!(value("人工智能的发展正在改变我们的生活方式和工作习惯以及社会结构") < 0.01);
        assert!((value("yes yes yes yes") - 0.0).abs() < 1e-9);
        assert!((value("") - 0.0).abs() < 1e-9);
    }
}
