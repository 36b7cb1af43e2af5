//! The search for many phrases in a text at once.
//!
//! Phrases begin where a word does, or with a letter that is not ASCII: such places are found of [`BLOCK`] bytes at a time, without a
//! branch, and nearly all of them are passed over with one look at a table.

/// Bytes of a phrase that are looked up; none is shorter.
const HEAD_BYTES: usize = 6;
const HEAD_MASK: u64 = (1 << (8 * HEAD_BYTES)) - 1;
/// Bytes that are looked at together.
const BLOCK: usize = 64;
/// Slots of the table, and the shift that leaves a number below it.
const SLOTS: usize = 1 << 14;
const SLOT_SHIFT: u32 = 64 - 14;
/// In the table: the head has to be searched for.
const SEARCH: u8 = u8::MAX;
/// The first byte of a character that is not ASCII, at least.
const LEAD: u8 = 0xc0;

/// Lists of phrases by their first bytes.
///
/// A phrase that begins with an ASCII letter or digit is found only at the beginning of a word.
pub(crate) struct Phrases<const LISTS: usize> {
    /// Phrases with their first bytes, in order of these, each with the place of its list.
    by_head: Vec<(u64, &'static str, usize)>,
    /// For each [`slot`] one more than the place in `by_head` of the first phrase whose head is there; 0 where none is, and
    /// [`SEARCH`] where there are several heads or the place is no such number.
    table: Box<[u8; SLOTS]>,
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
        let mut table = Box::new([0; SLOTS]);
        let mut before = None;
        for (place, (head, ..)) in by_head.iter().enumerate() {
            if before.replace(head) != Some(head)
                && let Some(known) = table.get_mut(slot(*head))
            {
                *known = if *known == 0 { u8::try_from(place + 1).unwrap_or(SEARCH) } else { SEARCH };
            }
        }
        Self { by_head, table }
    }

    /// For each list whether a folded text holds one of its phrases within so many of its first bytes.
    pub(crate) fn found_in(&self, folded: &str, within_bytes: [usize; LISTS]) -> [bool; LISTS] {
        let mut search = Search { phrases: self, folded, within_bytes, found: [false; LISTS] };
        let bytes = folded.as_bytes();
        search.look_at(0);
        let later = bytes.get(1..).unwrap_or_default();
        let (before, before_rest) = bytes.as_chunks::<BLOCK>();
        let (now, now_rest) = later.as_chunks::<BLOCK>();
        let mut at = 1;
        for (before, now) in before.iter().zip(now) {
            if search.is_over(at) {
                return search.found;
            }
            search.look_at_all(at, begins(before, now));
            at += BLOCK;
        }
        // What is left of both; the last byte of the text is one of the first only.
        let left = before.get(now.len()).map_or(before_rest, <[u8; BLOCK]>::as_slice);
        search.look_at_all(at, begins(&padded(left), &padded(now_rest)));
        search.found
    }
}

/// A search that is under way.
struct Search<'a, const LISTS: usize> {
    phrases: &'a Phrases<LISTS>,
    folded: &'a str,
    within_bytes: [usize; LISTS],
    found: [bool; LISTS],
}

impl<const LISTS: usize> Search<'_, LISTS> {
    /// Whether there is nothing to be found from a place on.
    fn is_over(&self, at: usize) -> bool {
        self.found.iter().zip(self.within_bytes).all(|(found, within)| *found || at >= within)
    }

    /// Looks at the places of a block that have a bit.
    fn look_at_all(&mut self, block: usize, mut places: u64) {
        while places != 0 {
            self.look_at(block + places.trailing_zeros() as usize);
            places &= places - 1;
        }
    }

    /// Notes the phrases that begin at a place: none at nearly all of them.
    fn look_at(&mut self, at: usize) {
        let rest = self.folded.as_bytes().get(at..).unwrap_or_default();
        let head = match rest.first_chunk::<8>() {
            Some(head) => u64::from_le_bytes(*head) & HEAD_MASK,
            None => rest.first_chunk().map_or(0, number),
        };
        let known = self.phrases.table.get(slot(head)).copied().unwrap_or(0);
        if known != 0 {
            self.note(at, head, known);
        }
    }

    #[cold]
    fn note(&mut self, at: usize, head: u64, known: u8) {
        let first = match known {
            SEARCH => self.phrases.by_head.partition_point(|(other, ..)| *other < head),
            place => usize::from(place) - 1,
        };
        let rest = self.folded.as_bytes().get(at..).unwrap_or_default();
        let from = self.phrases.by_head.get(first..).unwrap_or_default();
        for (_, phrase, list) in from.iter().take_while(|(other, ..)| *other == head) {
            let (Some(found), Some(within)) = (self.found.get_mut(*list), self.within_bytes.get(*list))
            else {
                continue;
            };
            *found |= at + phrase.len() <= *within
                && rest.starts_with(phrase.as_bytes())
                && !within_word(self.folded, at);
        }
    }
}

/// A bit for each byte of `now` that may begin a phrase, given the bytes before them.
fn begins(before: &[u8; BLOCK], now: &[u8; BLOCK]) -> u64 {
    let mut flags = [0_u8; BLOCK];
    for (flag, (before, now)) in flags.iter_mut().zip(before.iter().zip(now)) {
        *flag = u8::from(is_word(*now) & !is_word(*before)) | u8::from(*now >= LEAD);
    }
    let (words, _) = flags.as_chunks::<8>();
    // The product's upper byte has the lowest bit of each byte.
    let bits = |flags: &[u8; 8]| u64::from_le_bytes(*flags).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    words.iter().rev().fold(0, |places, flags| places << 8 | bits(flags))
}

/// ASCII letters in lower case, and digits.
fn is_word(byte: u8) -> bool {
    (byte.wrapping_sub(b'a') < 26) | (byte.wrapping_sub(b'0') < 10)
}

/// Whether a place that begins with an ASCII letter or digit is inside a word; the byte before may be the last one of a letter that
/// is not ASCII.
fn within_word(folded: &str, at: usize) -> bool {
    folded.as_bytes().get(at).is_some_and(u8::is_ascii_alphanumeric)
        && folded.get(..at).and_then(|text| text.chars().next_back()).is_some_and(char::is_alphanumeric)
}

/// The bytes, with zeros behind them.
fn padded(bytes: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block.iter_mut().zip(bytes).for_each(|(byte, known)| *byte = *known);
    block
}

/// The first bytes as a number.
fn number(head: &[u8; HEAD_BYTES]) -> u64 {
    head.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Where the table has a head: its upper bits multiplied by the golden ratio (D. Knuth, "The Art of Computer Programming",
/// volume 3, section 6.4).
fn slot(head: u64) -> usize {
    (head.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> SLOT_SHIFT) as usize
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]

    use proptest::prelude::*;

    use super::*;

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
    }
}
