//! The search for many phrases in a text at once.
//!
//! Phrases begin where a word does, or with a letter that is not ASCII: such places are found of [`BLOCK`] bytes at a time, without a
//! branch, and nearly all of them are passed over with one look at a table. Most texts are searched as they came, without regard
//! to ASCII's case: those that folding would change in nothing else, of which one pass tells that and how many words they have.

use wide::u8x16;

/// Bytes of a phrase that are looked up; none is shorter.
const HEAD_BYTES: usize = 6;
const HEAD_MASK: u64 = (1 << (8 * HEAD_BYTES)) - 1;
/// Bytes that are looked at together.
const BLOCK: usize = 64;
/// Bytes that a processor looks at together.
const LANES: usize = 16;
/// Bytes of a phrase that tell it from most others that begin with the same word.
const LONG: usize = 8;
/// Bits of a filter's places: few enough words that they stay near to the processor, and many enough bits that one in a hundred is set.
const SLOT_BITS: u32 = 15;
/// The first byte of a character that is not ASCII, at least.
const LEAD: u8 = 0xc0;
/// Latin letters beyond ASCII in lower case (U+00DF to U+00FF): this byte and one that is at least the next.
const LATIN_LEAD: u8 = 0xc3;
const LATIN_LOWER: u8 = 0x9f;
/// The bit that tells an ASCII letter in lower case, in every byte of a number. With it set, what begins alike but for ASCII's case
/// is the same; and some of what is not, which is compared then.
const LOWER: u64 = 0x2020_2020_2020_2020;

/// Lists of phrases by their first bytes.
///
/// A phrase that begins with an ASCII letter or digit is found only at the beginning of a word.
pub(crate) struct Phrases<const LISTS: usize> {
    /// Phrases with their first bytes, in order of these, each with the place of its list.
    by_head: Vec<(u64, &'static str, usize)>,
    /// Whether a head may be there: few are.
    heads: Filter,
    /// The same for the first [`LONG`] bytes, which tell phrases from frequent words that they begin with; phrases that are shorter
    /// are in `short` by their heads.
    long: Filter,
    short: Filter,
}

impl<const LISTS: usize> Phrases<LISTS> {
    /// Lists, ready to search for; each phrase has at least six bytes, and begins with a letter in lower case or a digit.
    pub(crate) fn new(lists: [&[&'static str]; LISTS]) -> Self {
        let mut by_head = Vec::new();
        for (list, phrases) in lists.iter().enumerate() {
            let head =
                |phrase: &&'static str| Some((number(phrase.as_bytes().first_chunk()?), *phrase, list));
            by_head.extend(phrases.iter().filter_map(head));
        }
        by_head.sort_unstable();
        let (mut heads, mut long, mut short) = (Filter::default(), Filter::default(), Filter::default());
        for (head, phrase, _) in &by_head {
            heads.add(*head);
            match phrase.as_bytes().first_chunk() {
                Some(bytes) => long.add(long_head(*bytes)),
                None => short.add(*head),
            }
        }
        Self { by_head, heads, long, short }
    }

    /// For each list whether a folded text holds one of its phrases within so many of its first bytes.
    pub(crate) fn found_in(&self, folded: &str, within_bytes: [usize; LISTS]) -> [bool; LISTS] {
        let mut search = Search { phrases: self, text: folded, within_bytes, found: [false; LISTS] };
        for block in Blocks::of(folded) {
            if search.is_over(block.at) {
                break;
            }
            search.look_at_all(&block);
        }
        search.found
    }

    /// The same for a text as it came, and how many runs of characters between white space it has; nothing where folding changes
    /// more than its ASCII letters' case, or may.
    pub(crate) fn found_in_plain(
        &self,
        text: &str,
        within_bytes: [usize; LISTS],
    ) -> Option<([bool; LISTS], usize)> {
        let mut search = Search { phrases: self, text, within_bytes, found: [false; LISTS] };
        let mut words = 0;
        for block in Blocks::of(text) {
            if !block.plain {
                return None;
            }
            words += block.word_begins.count_ones() as usize;
            search.look_at_all(&block);
        }
        Some((search.found, words))
    }
}

/// A search that is under way.
struct Search<'a, const LISTS: usize> {
    phrases: &'a Phrases<LISTS>,
    text: &'a str,
    within_bytes: [usize; LISTS],
    found: [bool; LISTS],
}

impl<const LISTS: usize> Search<'_, LISTS> {
    /// Whether there is nothing to be found from a place on.
    fn is_over(&self, at: usize) -> bool {
        self.found.iter().zip(self.within_bytes).all(|(found, within)| *found || at >= within)
    }

    /// Looks at the places of a block where a phrase may begin.
    fn look_at_all(&mut self, block: &Block) {
        let mut places = block.phrase_begins;
        while places != 0 {
            self.look_at(block.at + places.trailing_zeros() as usize);
            places &= places - 1;
        }
    }

    /// Looks at a place: no phrase begins at nearly all of them.
    fn look_at(&mut self, at: usize) {
        let rest = self.text.as_bytes().get(at..).unwrap_or_default();
        let Some(bytes) = rest.first_chunk() else {
            return self.look_at_end(at, rest);
        };
        let long = long_head(*bytes);
        let (head, phrases) = (long & HEAD_MASK, self.phrases);
        if phrases.heads.may_have(head) && (phrases.long.may_have(long) || phrases.short.may_have(head)) {
            self.note(at, head);
        }
    }

    /// Looks at a place near the end of the text.
    #[cold]
    fn look_at_end(&mut self, at: usize, rest: &[u8]) {
        if let Some(bytes) = rest.first_chunk() {
            self.note(at, number(bytes));
        }
    }

    /// Notes the phrases that begin at a place.
    #[cold]
    fn note(&mut self, at: usize, head: u64) {
        let first = self.phrases.by_head.partition_point(|(other, ..)| *other < head);
        let rest = self.text.as_bytes().get(at..).unwrap_or_default();
        let from = self.phrases.by_head.get(first..).unwrap_or_default();
        for (_, phrase, list) in from.iter().take_while(|(other, ..)| *other == head) {
            let (Some(found), Some(within)) = (self.found.get_mut(*list), self.within_bytes.get(*list))
            else {
                continue;
            };
            let same = |text: &[u8]| text.eq_ignore_ascii_case(phrase.as_bytes());
            *found |= at + phrase.len() <= *within
                && rest.get(..phrase.len()).is_some_and(same)
                && !within_word(self.text, at);
        }
    }
}

/// A text in blocks.
struct Blocks<'a> {
    left: &'a [u8],
    at: usize,
    /// What is known of the byte before the block.
    before: Byte,
}

/// What a block depends on of the byte before it, a bit each.
#[derive(Default)]
struct Byte {
    is_word: u64,
    is_space: u64,
    /// It is a space, or there is none: a word may begin.
    ends_word: u64,
    is_latin: u64,
}

/// Part of a text, a bit for each byte.
struct Block {
    at: usize,
    /// Where a phrase may begin: a run of ASCII letters and digits does, or another character.
    phrase_begins: u64,
    /// Where a run of characters between white space begins.
    word_begins: u64,
    /// Folding changes nothing but the case of ASCII letters: what is not ASCII is a Latin letter in lower case, and white space are
    /// single spaces.
    plain: bool,
}

impl<'a> Blocks<'a> {
    fn of(text: &'a str) -> Self {
        Self { left: text.as_bytes(), at: 0, before: Byte { ends_word: 1, ..Byte::default() } }
    }

    fn block(&mut self, bytes: &[u8; BLOCK], length: usize) -> Block {
        let words = bits(bytes, is_word);
        let spaces = bits(bytes, |byte| byte == b' ');
        let beyond = bits(bytes, |byte| byte >= 0x80);
        let (mut odd, mut leads) = (bits(bytes, |byte| byte.wrapping_sub(b'\t') < 5), 0);
        let mut latin = 0;
        if beyond != 0 {
            leads = bits(bytes, |byte| byte >= LEAD);
            latin = bits(bytes, |byte| byte == LATIN_LEAD);
            let lower = bits(bytes, |byte| byte >= LATIN_LOWER);
            odd |= beyond & !latin & !((latin << 1 | self.before.is_latin) & lower);
        }
        odd |= spaces & (spaces << 1 | self.before.is_space);
        let all = if length < BLOCK { (1 << length) - 1 } else { u64::MAX };
        let block = Block {
            at: self.at,
            phrase_begins: words & !(words << 1 | self.before.is_word) | leads,
            word_begins: !spaces & (spaces << 1 | self.before.ends_word) & all,
            plain: odd == 0,
        };
        let last = BLOCK - 1;
        self.before = Byte {
            is_word: words >> last,
            is_space: spaces >> last,
            ends_word: spaces >> last,
            is_latin: latin >> last,
        };
        block
    }
}

impl Iterator for Blocks<'_> {
    type Item = Block;

    fn next(&mut self) -> Option<Block> {
        let block = match self.left.split_first_chunk::<BLOCK>() {
            Some((bytes, left)) => {
                self.left = left;
                self.block(bytes, BLOCK)
            }
            None if self.left.is_empty() => return None,
            None => {
                let left = std::mem::take(&mut self.left);
                self.block(&padded(left), left.len())
            }
        };
        self.at += BLOCK;
        Some(block)
    }
}

/// A bit for each byte of which something holds.
fn bits(bytes: &[u8; BLOCK], holds: impl Fn(u8) -> bool) -> u64 {
    let (parts, _) = bytes.as_chunks::<LANES>();
    let flags = |part: &[u8; LANES]| part.map(|byte| if holds(byte) { u8::MAX } else { 0 });
    parts.iter().rev().fold(0, |bits, part| bits << LANES | u64::from(u8x16::new(flags(part)).to_bitmask()))
}

/// ASCII letters and digits.
fn is_word(byte: u8) -> bool {
    ((byte | 0x20).wrapping_sub(b'a') < 26) | (byte.wrapping_sub(b'0') < 10)
}

/// Whether a place that begins with an ASCII letter or digit is inside a word; the byte before may be the last one of a letter that
/// is not ASCII.
fn within_word(text: &str, at: usize) -> bool {
    text.as_bytes().get(at).is_some_and(u8::is_ascii_alphanumeric)
        && text.get(..at).and_then(|before| before.chars().next_back()).is_some_and(char::is_alphanumeric)
}

/// The bytes, with zeros behind them.
fn padded(bytes: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block.iter_mut().zip(bytes).for_each(|(byte, known)| *byte = *known);
    block
}

/// The first bytes as a number, without regard to ASCII's case.
fn number(head: &[u8; HEAD_BYTES]) -> u64 {
    (head.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)) | LOWER) & HEAD_MASK
}

/// The first bytes, as many as are told apart at once, as a number, without regard to ASCII's case.
fn long_head(bytes: [u8; LONG]) -> u64 {
    u64::from_le_bytes(bytes) | LOWER
}

/// Numbers of which one that is not there is passed over nearly always: a bit for each place that a number may have.
struct Filter(Box<[u64; 1 << (SLOT_BITS - 6)]>);

impl Default for Filter {
    fn default() -> Self {
        Self(Box::new([0; 1 << (SLOT_BITS - 6)]))
    }
}

impl Filter {
    fn add(&mut self, number: u64) {
        let slot = slot(number);
        self.0.get_mut(slot >> 6).into_iter().for_each(|bits| *bits |= 1 << (slot & 63));
    }

    fn may_have(&self, number: u64) -> bool {
        let slot = slot(number);
        self.0.get(slot >> 6).is_some_and(|bits| bits >> (slot & 63) & 1 == 1)
    }
}

/// Where a filter has a number: its upper bits multiplied by the golden ratio (D. Knuth, "The Art of Computer Programming",
/// volume 3, section 6.4).
fn slot(number: u64) -> usize {
    (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - SLOT_BITS)) as usize
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]

    use proptest::prelude::*;

    use super::*;
    use crate::answer::fold;

    fn found(phrases: &Phrases<1>, text: &str) -> bool {
        phrases.found_in(text, [usize::MAX]) == [true]
    }

    #[test]
    fn a_phrase_is_found_at_the_beginning_of_a_word_only() {
        let phrases = Phrases::new([&["perhaps", "我无法"]]);
        let found = |text: &str| found(&phrases, text);
        assert!(found("well, perhaps not"));
        assert!(found("(perhaps)"));
        assert!(!found("wellperhaps"));
        assert!(found("answer:我无法帮助"));
        assert!(!found("äperhaps") && found("“perhaps"));
        for length in 0..200 {
            let filler = "x".repeat(length);
            assert!(found(&format!("{filler} perhaps")), "{length}");
            assert!(found(&format!("{filler}我无法")), "{length}");
            assert!(found(&format!("{filler}-perhaps{filler}")), "{length}");
            assert!(length == 0 || !found(&format!("{filler}perhaps")), "{length}");
        }
        assert!(!found(""));
    }

    #[test]
    fn of_many_phrases_each_is_found_and_nothing_else() {
        let all: Vec<&'static str> =
            (0..20_000).map(|number| &*format!("{number:x} phrase").leak()).collect();
        let phrases = Phrases::new([&all]);
        let found = |text: &str| found(&phrases, text);
        for (number, phrase) in all.iter().enumerate() {
            assert!(found(&format!("here is {phrase}.")), "{phrase}");
            assert!(!found(&format!("here is x{number:x} phrase")), "{phrase}");
        }
        assert!(!found("here is 4e20 phrase"), "20,000 in hexadecimal digits");
    }

    #[test]
    fn a_text_with_other_white_space_than_single_spaces_is_not_as_it_came_wherever_that_is() {
        let phrases = Phrases::new([&["perhaps"]]);
        let words = |text: &str| phrases.found_in_plain(text, [usize::MAX]).map(|(_, words)| words);
        for length in 1..200 {
            let filler = "x".repeat(length);
            assert_eq!(words(&format!("{filler} y ä ")), Some(3), "{length}");
            for other in ["  ", "\t", "\u{a0}", "\u{2019}", "Ä"] {
                assert_eq!(words(&format!("{filler}{other}y")), None, "{length} {other:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_search_finds_what_a_look_at_every_place_finds(text in "[a-c äи]{0,200}", within in 0_usize..200) {
            let lists: [&[&'static str]; 2] = [&["ab abc", "abcabc", "ca ca b"], &["äbaääb", "ии и", "ccc ccc", "ab abb"]];
            let inside_word = |at: usize| {
                let before = text[..at].chars().next_back();
                text.as_bytes()[at].is_ascii_alphanumeric() && before.is_some_and(char::is_alphanumeric)
            };
            let slowly = |list: &[&str], within: usize| {
                let begins = |at: usize, phrase: &str| text[at..].starts_with(phrase) && at + phrase.len() <= within;
                text.char_indices().any(|(at, _)| list.iter().any(|phrase| begins(at, phrase)) && !inside_word(at))
            };
            let expected = [slowly(lists[0], within), slowly(lists[1], usize::MAX)];
            prop_assert_eq!(Phrases::new(lists).found_in(&text, [within, usize::MAX]), expected);
        }

        #[test]
        fn a_text_as_it_came_holds_what_it_holds_when_it_is_folded(
            text in prop_oneof!["[a-cA-Cä ]{0,200}", "([abCä]{1,4} ){0,80}", "[aB \t\0äÄßÿÞл]{0,9}"],
            within in 0_usize..200,
        ) {
            let phrases = Phrases::new([&["ab abc", "abcabc", "ca ca b"], &["äbaääb", "ccc cc", "cc ab a", "ab abb"]]);
            let (folded, words) = fold(&text);
            let found = phrases.found_in_plain(&text, [within, usize::MAX]);
            let changes = folded != text.to_ascii_lowercase();
            prop_assert!(found.is_some() || changes || text.contains('л'), "{text:?}");
            if let Some((found, counted)) = found {
                prop_assert!(!changes);
                prop_assert_eq!((found, counted), (phrases.found_in(&folded, [within, usize::MAX]), words));
            }
        }
    }
}
