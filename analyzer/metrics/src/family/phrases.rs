//! Phrases that mark refusals and hedges, and the search for them.
//!
//! Phrases are in the folded form of [`crate::answer::Text::folded`]: lower case, straight apostrophes, single spaces.
//! A phrase that begins with an ASCII letter is found only at the beginning of a word. Lists are short on purpose:
//! candidate and control are measured with the same list, so that a phrase that is missing dilutes the difference and
//! never turns it round.

use std::sync::LazyLock;

/// [`REFUSAL_PHRASES`], ready to search for.
pub(crate) static REFUSALS: LazyLock<Phrases> = LazyLock::new(|| Phrases::new(REFUSAL_PHRASES));
/// [`HEDGE_PHRASES`], ready to search for.
pub(crate) static HEDGES: LazyLock<Phrases> = LazyLock::new(|| Phrases::new(HEDGE_PHRASES));

/// Phrases that refuse, in twelve languages.
const REFUSAL_PHRASES: &[&str] = &[
    "i can't help",
    "i cannot help",
    "i can't assist",
    "i cannot assist",
    "i can't provide",
    "i cannot provide",
    "i can't fulfill",
    "i cannot fulfill",
    "i can't comply",
    "i cannot comply",
    "i can't answer",
    "i cannot answer",
    "i can't do that",
    "i can't discuss",
    "i cannot discuss",
    "i can't share",
    "i cannot share",
    "i can't create",
    "i cannot create",
    "i can't generate",
    "i cannot generate",
    "i can't engage",
    "i cannot engage",
    "i am not able to",
    "i'm not able to",
    "i am unable to",
    "i'm unable to",
    "i won't be able to",
    "i will not be able to",
    "i must decline",
    "i have to decline",
    "i must respectfully decline",
    "i'm sorry, but i can",
    "i am sorry, but i can",
    "i'm sorry, i can",
    "i apologize, but i can",
    "i apologize, but i'm",
    "sorry, i can't",
    "sorry, i cannot",
    "sorry, but i can't",
    "sorry, but i cannot",
    "as an ai language model, i can",
    "as an ai language model, i am",
    "as an ai language model, i do",
    "as an ai, i can't",
    "as an ai, i cannot",
    "it is against my",
    "it would not be appropriate for me",
    // German
    "ich kann dir dabei nicht",
    "ich kann ihnen dabei nicht",
    "ich kann ihnen nicht helfen",
    "ich kann dir nicht helfen",
    "ich kann dabei nicht helfen",
    "dabei kann ich nicht helfen",
    "dabei kann ich ihnen nicht helfen",
    "diese anfrage kann ich nicht",
    "ich darf keine",
    // French
    "je ne peux pas",
    "je ne suis pas en mesure",
    "je suis désolé, mais je",
    "je suis désolée, mais je",
    // Spanish
    "no puedo ayudar",
    "no puedo proporcionar",
    "no puedo cumplir",
    "lo siento, pero no puedo",
    // Portuguese
    "não posso ajudar",
    "não posso fornecer",
    "desculpe, mas não posso",
    // Italian
    "non posso aiutar",
    "non posso fornire",
    "mi dispiace, ma non posso",
    // Dutch
    "ik kan je daar niet",
    "ik kan u daar niet",
    "het spijt me, maar ik kan",
    "het spijt me, ik kan",
    "daar kan ik je niet",
    "daar kan ik u niet",
    // Polish
    "nie mogę pomóc",
    "nie mogę w tym pomóc",
    "nie jestem w stanie",
    "przykro mi, ale nie mog",
    "przepraszam, ale nie mog",
    "niestety nie mogę",
    // Japanese, Chinese, Korean, Russian
    "お手伝いできません",
    "お答えできません",
    "申し訳ありませんが",
    "申し訳ございませんが",
    "我无法",
    "我不能提供",
    "抱歉,我",
    "抱歉\u{ff0c}我",
    "お応えできません",
    "お力になれません",
    "无法提供",
    "无法回答",
    "很抱歉",
    "도와드릴 수 없습니다",
    "답변드릴 수 없습니다",
    "제공할 수 없습니다",
    "죄송하지만",
    "я не могу помочь",
    "к сожалению, я не могу",
    "я не могу ответить",
    "я не могу предоставить",
    "извините, но я не могу",
];

/// Phrases that leave an answer open, in twelve languages.
const HEDGE_PHRASES: &[&str] = &[
    "i'm not sure",
    "i am not sure",
    "i'm not entirely sure",
    "i am not entirely sure",
    "i'm not certain",
    "i am not certain",
    "i'm not completely",
    "not entirely certain",
    "not entirely sure",
    "not completely sure",
    "not 100% sure",
    "i can't be certain",
    "i cannot be certain",
    "i can't say for sure",
    "i cannot say for sure",
    "i could be wrong",
    "i may be wrong",
    "i might be wrong",
    "i may be mistaken",
    "i might be mistaken",
    "i believe it",
    "i guess",
    "i suppose",
    "i think",
    "i would guess",
    "as far as i know",
    "as far as i can tell",
    "to the best of my knowledge",
    "hard to say",
    "difficult to say",
    "it depends",
    "that depends",
    "it may be",
    "it might be",
    "it could be that",
    "it's possible that",
    "it is possible that",
    "this may or may not",
    "may or may not",
    "might or might not",
    "you may want to",
    "you might want to",
    "please check with",
    "please consult",
    "please verify",
    "i'd recommend checking",
    "i would recommend checking",
    "perhaps",
    "possibly",
    "presumably",
    "probably",
    "generally speaking",
    "in most cases",
    "it seems",
    "it appears that",
    "more or less",
    "or something like that",
    "i don't have enough information",
    "i do not have enough information",
    "without more information",
    "without more details",
    "as an ai language model",
    // German
    "ich bin mir nicht sicher",
    "ich bin nicht sicher",
    "möglicherweise",
    "vermutlich",
    "vielleicht",
    "soweit ich weiß",
    "ich glaube",
    // French
    "je crois que",
    "je ne suis pas sûr",
    "peut-être",
    "il se peut que",
    // Spanish
    "no estoy seguro",
    "no estoy segura",
    "quizás",
    "tal vez",
    "es posible que",
    // Italian
    "non sono sicur",
    "non ne sono sicur",
    "è possibile che",
    // Portuguese
    "não tenho certeza",
    "não estou certo",
    "talvez",
    "é possível que",
    // Dutch
    "ik weet het niet zeker",
    "ik ben niet zeker",
    "misschien",
    "mogelijk",
    "waarschijnlijk",
    // Polish
    "nie jestem pew",
    "być może",
    "prawdopodobnie",
    "możliwe, że",
    // Chinese, Japanese, Korean, Russian
    "我不确定",
    "可能是",
    "也许",
    "かもしれません",
    "分かりませんが",
    "わかりませんが",
    "おそらく",
    "확실하지 않",
    "아마도",
    "모르겠습니다",
    "я не уверен",
    "возможно",
    "наверное",
    "вероятно",
];

/// Bytes of a phrase that are looked up; none is shorter.
const HEAD_BYTES: usize = 6;
const HEAD_MASK: u64 = (1 << (8 * HEAD_BYTES)) - 1;
/// Places that are looked up together.
const BLOCK: usize = 8;
/// Slots of the table, and the shift that leaves a number below it.
const SLOTS: usize = 1 << 14;
const SLOT_SHIFT: u32 = 64 - 14;
/// In the table: the head has to be searched for.
const SEARCH: u8 = u8::MAX;

/// Phrases by their first bytes: nearly all places of a text are passed over with one look at a table, without a branch.
pub(crate) struct Phrases {
    /// Phrases with their first bytes, in order of these.
    by_head: Vec<(u64, &'static str)>,
    /// For each [`slot`] one more than the place in `by_head` of the first phrase whose head is there; 0 where none is, and
    /// [`SEARCH`] where there are several heads or the place is no such number.
    table: Box<[u8; SLOTS]>,
}

impl Phrases {
    /// A list, ready to search for; each phrase has at least six bytes.
    pub(crate) fn new(phrases: &[&'static str]) -> Self {
        let head = |phrase: &&'static str| Some((number(phrase.as_bytes().first_chunk()?), *phrase));
        let mut by_head: Vec<(u64, &'static str)> = phrases.iter().filter_map(head).collect();
        by_head.sort_unstable();
        let mut table = Box::new([0; SLOTS]);
        let mut before = None;
        for (place, (head, _)) in by_head.iter().enumerate() {
            if before.replace(head) != Some(head)
                && let Some(known) = table.get_mut(slot(*head))
            {
                *known = if *known == 0 { u8::try_from(place + 1).unwrap_or(SEARCH) } else { SEARCH };
            }
        }
        Self { by_head, table }
    }

    /// Whether a folded text holds one of the phrases.
    pub(crate) fn found_in(&self, folded: &str) -> bool {
        let bytes = folded.as_bytes();
        let mut at = 0;
        while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<16>) {
            if self.begins_in(u128::from_le_bytes(*block), BLOCK, folded, at) {
                return true;
            }
            at += BLOCK;
        }
        let rest = bytes.get(at..).unwrap_or_default();
        let mut block = [0; 16];
        block.iter_mut().zip(rest).for_each(|(byte, known)| *byte = *known);
        let block = u128::from_le_bytes(block);
        self.begins_in(block, BLOCK, folded, at) || self.begins_in(block >> 64, BLOCK, folded, at + BLOCK)
    }

    /// Whether a phrase begins at one of the first `places` of a block that is at `at`.
    fn begins_in(&self, block: u128, places: usize, folded: &str, at: usize) -> bool {
        let known = |place: usize| {
            let head = (block >> (8 * place)) as u64 & HEAD_MASK;
            (head, self.table.get(slot(head)).copied().unwrap_or(0))
        };
        let any = (0..places).fold(0, |any, place| any | known(place).1);
        any != 0 && (0..places).any(|place| self.begins_at(known(place), folded, at + place))
    }

    fn begins_at(&self, (head, known): (u64, u8), folded: &str, at: usize) -> bool {
        let first = match known {
            0 => return false,
            SEARCH => self.by_head.partition_point(|(other, _)| *other < head),
            place => usize::from(place) - 1,
        };
        let rest = folded.as_bytes().get(at..).unwrap_or_default();
        let same =
            self.by_head.get(first..).unwrap_or_default().iter().take_while(|(other, _)| *other == head);
        same.map(|(_, phrase)| phrase).any(|phrase| rest.starts_with(phrase.as_bytes()))
            // The byte before may be the last one of a letter that is not ASCII.
            && !(rest.first().is_some_and(u8::is_ascii_alphanumeric)
                && folded.get(..at).and_then(|text| text.chars().next_back()).is_some_and(char::is_alphanumeric))
    }
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

    #[test]
    fn phrases_are_in_the_form_that_texts_are_folded_to() {
        for phrase in REFUSAL_PHRASES.iter().chain(HEDGE_PHRASES) {
            assert_eq!(crate::answer::Text::new(phrase).folded, *phrase);
            assert!(phrase.len() > 5 && phrase.trim() == *phrase, "{phrase}");
        }
    }

    #[test]
    fn a_phrase_is_found_at_the_beginning_of_a_word_only() {
        let phrases = Phrases::new(&["perhaps", "我无法"]);
        assert!(phrases.found_in("well, perhaps not"));
        assert!(phrases.found_in("(perhaps)"));
        assert!(!phrases.found_in("wellperhaps"));
        assert!(phrases.found_in("answer:我无法帮助"));
        assert!(!phrases.found_in("äperhaps") && phrases.found_in("“perhaps"));
        for length in 0..200 {
            let filler = "x".repeat(length);
            assert!(phrases.found_in(&format!("{filler} perhaps")), "{length}");
            assert!(phrases.found_in(&format!("{filler}我无法")), "{length}");
            assert!(phrases.found_in(&format!("{filler}-perhaps{filler}")), "{length}");
            assert!(length == 0 || !phrases.found_in(&format!("{filler}perhaps")), "{length}");
        }
        assert!(!phrases.found_in(""));
    }

    #[test]
    fn of_many_phrases_each_is_found_and_nothing_else() {
        let all: Vec<&'static str> =
            (0..20_000).map(|number| &*format!("{number:x} phrase").leak()).collect();
        let phrases = Phrases::new(&all);
        for (number, phrase) in all.iter().enumerate() {
            assert!(phrases.found_in(&format!("here is {phrase}.")), "{phrase}");
            assert!(!phrases.found_in(&format!("here is x{number:x} phrase")), "{phrase}");
        }
        assert!(!phrases.found_in("here is 4e20 phrase"), "20,000 in hexadecimal digits");
    }

    proptest! {
        #[test]
        fn a_search_finds_what_a_look_at_every_place_finds(text in "[a-c äи]{0,60}") {
            let all = ["ab abc", "abcabc", "ca ca b", "äbaääb", "ии и", "ccc ccc"];
            let inside_word = |at: usize| {
                let before = text[..at].chars().next_back();
                text.as_bytes()[at].is_ascii_alphanumeric() && before.is_some_and(char::is_alphanumeric)
            };
            let at_all = |at: usize| all.iter().any(|phrase| text[at..].starts_with(phrase)) && !inside_word(at);
            let slowly = text.char_indices().any(|(at, _)| at_all(at));
            prop_assert_eq!(Phrases::new(&all).found_in(&text), slowly);
        }
    }
}
