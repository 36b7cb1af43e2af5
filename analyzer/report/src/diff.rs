//! Word differences between two texts.
//!
//! Limit: [`WORDS_MAX`] words on each side; longer texts are given back unmarked, since nobody reads the marks and the
//! search grows with the square of the changes.

use similar::{Algorithm, DiffTag, capture_diff_slices};

/// Words of a side up to which differences are looked for.
const WORDS_MAX: usize = 3_000;

/// A stretch of one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch<'t> {
    /// The text, white space included.
    pub(crate) text: &'t str,
    /// Whether the other side has something else here.
    pub(crate) changed: bool,
}

/// Both sides in stretches; each side's stretches make up its whole text.
pub(crate) fn words<'t>(old: &'t str, new: &'t str) -> (Vec<Stretch<'t>>, Vec<Stretch<'t>>) {
    let (old_words, new_words) = (split(old), split(new));
    if old_words.len() > WORDS_MAX || new_words.len() > WORDS_MAX {
        let whole = |text| vec![Stretch { text, changed: false }];
        return (whole(old), whole(new));
    }
    let mut sides = (Vec::new(), Vec::new());
    for step in capture_diff_slices(Algorithm::Myers, &old_words, &new_words) {
        let changed = step.tag() != DiffTag::Equal;
        push(&mut sides.0, old, old_words.get(step.old_range()), changed);
        push(&mut sides.1, new, new_words.get(step.new_range()), changed);
    }
    sides
}

/// Words and the white space between them, each on its own; the ends of punctuation count as words, too.
fn split(text: &str) -> Vec<&str> {
    let kind = |character: char| match character {
        c if c.is_alphanumeric() => 0_u8,
        c if c.is_whitespace() => 1,
        _ => 2,
    };
    let mut words = Vec::new();
    let mut start = 0;
    let mut last = None;
    for (at, character) in text.char_indices() {
        let now = kind(character);
        // Each sign of punctuation stands alone, so that a quotation mark does not drag its neighbours along.
        if last.is_some_and(|last| last != now || now == 2) {
            words.extend(text.get(start..at));
            start = at;
        }
        last = Some(now);
    }
    words.extend(text.get(start..).filter(|rest| !rest.is_empty()));
    words
}

/// Appends neighbouring words as one stretch.
fn push<'t>(side: &mut Vec<Stretch<'t>>, text: &'t str, words: Option<&[&'t str]>, changed: bool) {
    let Some(([first, ..], last)) = words.and_then(|words| Some((words, words.last()?))) else { return };
    let offset = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
    if let Some(stretch) = text.get(offset(first)..offset(last) + last.len()) {
        side.push(Stretch { text: stretch, changed });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    fn marked(side: &[Stretch<'_>]) -> String {
        side.iter().map(|s| if s.changed { format!("[{}]", s.text) } else { s.text.to_owned() }).collect()
    }

    #[test]
    fn only_the_words_that_differ_are_marked() {
        let (old, new) = words("It arrives on Friday, surely.", "It may arrive on Friday.");
        assert_eq!(marked(&old), "It [arrives] on Friday[, surely].");
        assert_eq!(marked(&new), "It [may arrive] on Friday.");
    }

    #[test]
    fn each_side_keeps_its_whole_text() {
        for (old, new) in [("", "a b"), ("ä\u{202e} b\n", "ä c\n"), ("x", "x"), ("{\"a\": 1}", "{\"a\":2}")]
        {
            let (left, right) = words(old, new);
            assert_eq!(left.iter().map(|s| s.text).collect::<String>(), old);
            assert_eq!(right.iter().map(|s| s.text).collect::<String>(), new);
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_given_back_unmarked() {
        let long = "word ".repeat(WORDS_MAX);
        let (left, right) = words(&long, "word");
        assert_eq!((left.len(), right.len()), (1, 1));
        assert!(!left[0].changed && !right[0].changed);
    }
}
