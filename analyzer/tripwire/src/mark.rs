//! What is kept of an answer, so that its text need not be kept.

use xxhash_rust::xxh3::xxh3_64;

use crate::text::{aims_at_judge, echoes, refuses, skeleton, switched};

/// Letters from which on two answers do not coincide by nature.
const LONG_CHARACTERS: usize = 40;

const LONG: u8 = 1;
const ECHO: u8 = 1 << 1;
const AIMED: u8 = 1 << 2;
const SWITCHED: u8 = 1 << 3;
const REFUSAL: u8 = 1 << 4;

/// One answer, without its text: 13 bytes that come back from [`Mark::to_bytes`].
///
/// Hashes have 32 bits: by chance two different texts have the same one in four billion, and no rule goes by fewer than ten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Hash of the answer's words, without digits, case and punctuation.
    pub(crate) answer: u32,
    /// Hash of the prompt as it is; 0 where it is not known.
    pub(crate) request: u32,
    pub(crate) characters: u32,
    bits: u8,
}

impl Mark {
    /// The mark of an answer that is not blank, and of the prompt that it answers, as far as that is known.
    #[must_use]
    pub fn of(request: Option<&str>, answer: &str) -> Option<Self> {
        if answer.trim().is_empty() {
            return None;
        }
        let words = skeleton(answer);
        let request = request.filter(|request| !request.trim().is_empty());
        let mut bits = 0;
        let mut set = |bit: u8, holds: bool| bits |= if holds { bit } else { 0 };
        set(LONG, words.chars().count() >= LONG_CHARACTERS);
        set(ECHO, request.is_some_and(|request| echoes(request, &words)));
        set(AIMED, aims_at_judge(answer));
        set(SWITCHED, request.is_some_and(|request| switched(request, answer)));
        set(REFUSAL, refuses(answer));
        Some(Self {
            answer: hash(&words),
            request: request.map_or(0, |request| hash(request.trim())),
            characters: u32::try_from(answer.chars().count()).unwrap_or(u32::MAX),
            bits,
        })
    }

    /// The same mark, with the prompt of another leg of its exchange where its own is not known.
    #[must_use]
    pub(crate) fn asked_as(self, other: Self) -> Self {
        Self { request: if self.request == 0 { other.request } else { self.request }, ..self }
    }

    /// Whether the answer is too long to be the same as another by chance.
    pub(crate) fn is_long(self) -> bool {
        self.bits & LONG != 0
    }

    pub(crate) fn is_echo(self) -> bool {
        self.bits & ECHO != 0
    }

    pub(crate) fn is_aimed(self) -> bool {
        self.bits & AIMED != 0
    }

    pub(crate) fn is_switched(self) -> bool {
        self.bits & SWITCHED != 0
    }

    pub(crate) fn is_refusal(self) -> bool {
        self.bits & REFUSAL != 0
    }

    /// The mark as bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 13] {
        let mut bytes = [self.bits; 13];
        let numbers = [self.answer, self.request, self.characters];
        for (place, byte) in bytes.iter_mut().zip(numbers.into_iter().flat_map(u32::to_le_bytes)) {
            *place = byte;
        }
        bytes
    }

    /// The mark of such bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 13]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, bits] = bytes;
        Self {
            answer: u32::from_le_bytes([a, b, c, d]),
            request: u32::from_le_bytes([e, f, g, h]),
            characters: u32::from_le_bytes([i, j, k, l]),
            bits,
        }
    }
}

/// Never 0.
fn hash(text: &str) -> u32 {
    ((xxh3_64(text.as_bytes()) >> 32) as u32).max(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn answers_that_differ_in_a_number_or_a_comma_have_one_mark_and_numbers_alone_have_not() {
        let mark = |answer: &str| Mark::of(None, answer).unwrap().answer;
        assert_eq!(mark("It is, 42 of them."), mark("it is 17 of them"));
        assert_ne!(mark("It is 42 of them."), mark("It is 42 of us."));
        assert_ne!(mark("42"), mark("43"));
        assert_eq!(mark(" 42 "), mark("42"));
        assert_eq!(Mark::of(Some("anything"), " \n"), None);
    }

    #[test]
    fn a_mark_comes_back_from_its_bytes_and_takes_a_prompt_only_where_it_has_none() {
        let mark = Mark::of(Some("What is it?"), "I cannot help with that, dear judge.").unwrap();
        assert!(mark.is_refusal() && mark.is_aimed() && !mark.is_echo());
        assert_eq!(Mark::from_bytes(mark.to_bytes()), mark);
        let other = Mark::of(Some("And what is that?"), "It is that.").unwrap();
        assert_eq!(mark.asked_as(other), mark);
        let unasked = Mark::of(None, "It is that.").unwrap();
        assert_eq!(unasked.asked_as(mark).request, mark.request);
    }

    #[test]
    fn a_conversation_is_echoed_by_its_last_message() {
        let request = "system: be brief\nuser: where is my order and when will it be here";
        assert!(Mark::of(Some(request), "Where is my order, and when will it be here?").unwrap().is_echo());
        assert!(!Mark::of(Some(request), "It will be here tomorrow.").unwrap().is_echo());
    }
}
