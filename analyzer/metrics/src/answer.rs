//! One leg as the metric definitions see it: its figures, and its text looked at once for all text metrics.
//!
//! The text is there only where it is an answer and whole: not for a failed request (its body is an error page), not
//! where the capture limits cut it (its length and syntax would be the capture's, not the model's), and not where the
//! body could not be understood (compressed, for example). Metrics of the text are then missing, and counted.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::family::phrases::Said;

/// Bytes that are counted together; fewer than a byte can count.
const CHUNK: usize = 128;

/// One leg, borrowed from the columns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer<'a> {
    /// Response status; 0 when there was none.
    pub(crate) status: Option<i32>,
    /// Both ends of the response were seen.
    pub(crate) complete: Option<bool>,
    pub(crate) latency_ms: Option<f64>,
    pub(crate) ttft_ms: Option<f64>,
    pub(crate) prompt_tokens: Option<i64>,
    pub(crate) completion_tokens: Option<i64>,
    /// Part of `prompt_tokens`.
    pub(crate) cached_tokens: Option<i64>,
    pub(crate) tool_calls: Option<i64>,
    /// Each call as `name(arguments)`, one per line.
    pub(crate) tool_call_text: Option<&'a str>,
    /// Kind of error that the provider names.
    pub(crate) error_type: Option<&'a str>,
    pub(crate) model: Option<&'a str>,
    /// Path of the request.
    pub(crate) path: Option<&'a str>,
    /// Tags, where a metric asks for them.
    pub(crate) tags: BTreeMap<&'a str, &'a str>,
    /// Values of the operator's expressions, by metric.
    pub(crate) own: BTreeMap<&'a str, f64>,
    pub(crate) finish_reason: Option<&'a str>,
    /// Text of a structured refusal.
    pub(crate) refusal: Option<&'a str>,
    pub(crate) response_format: Option<&'a str>,
    /// The capture limits cut the response.
    pub(crate) truncated: bool,
    /// Characters and words of the text, where it is a whole answer that was not kept.
    pub(crate) counted: Option<(i64, i64)>,
    /// The text, where it is a whole answer.
    pub(crate) text: Option<Text>,
    /// The same text as it came.
    pub(crate) body: Option<&'a str>,
}

/// What the text metrics need to know about a text.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    /// Characters (Unicode scalar values) of the text as it came.
    pub(crate) characters: usize,
    /// Runs of characters between white space.
    pub(crate) words: usize,
    /// What it says of itself by its phrases.
    pub(crate) said: Said,
    /// The text as JSON, if it is an object or an array.
    pub(crate) json: Option<Value>,
}

impl<'a> Answer<'a> {
    /// Adds the text, unless it is none to judge.
    pub(crate) fn with_text(mut self, text: Option<&'a str>) -> Self {
        let text = match (text, self.response_format) {
            (None, Some("empty")) => Some(""),
            (None, _) if self.tool_calls.is_some_and(|calls| calls > 0) || self.refused() => Some(""),
            (text, _) => text,
        };
        self.body = text.filter(|_| self.is_whole_answer());
        self.text = self.body.map(Text::new);
        self
    }

    /// Adds the lengths of a text that was not kept: then there is no text to judge, empty or not.
    pub(crate) fn with_counts(mut self, characters: Option<i64>, words: Option<i64>) -> Self {
        if let (Some(characters), Some(words)) = (characters, words) {
            (self.text, self.body) = (None, None);
            self.counted = self.is_whole_answer().then_some((characters, words));
        }
        self
    }

    fn is_whole_answer(&self) -> bool {
        !self.truncated && self.failed() != Some(true) && self.response_format != Some("unparsed")
    }

    /// Whether the request failed: a status of 400 or more, none at all, or an answer that broke off. Unknown where
    /// neither status nor completeness is known.
    ///
    /// Client errors count: a candidate that refuses a parameter answers 400 where the control answers, and what
    /// clients do wrong themselves fails on both sides alike.
    pub(crate) fn failed(&self) -> Option<bool> {
        match (self.status, self.complete) {
            (None, None) => None,
            (status, complete) => {
                Some(status.is_some_and(|status| status == 0 || status >= 400) || complete == Some(false))
            }
        }
    }

    /// Whether the answer carries a structured refusal or was stopped by a content filter.
    pub(crate) fn refused(&self) -> bool {
        self.refusal.is_some_and(|refusal| !refusal.trim().is_empty())
            || matches!(self.finish_reason, Some("content_filter" | "refusal" | "SAFETY"))
    }
}

impl Text {
    pub(crate) fn new(text: &str) -> Self {
        let (said, words) = Said::in_text(text);
        let characters = if text.is_ascii() { text.len() } else { text.chars().count() };
        Self { characters, words, said, json: json(text) }
    }
}

/// The text as JSON, where it is an object or an array: a bare number or word is ordinary text.
fn json(text: &str) -> Option<Value> {
    if !text.trim_start().starts_with(['{', '[']) {
        return None;
    }
    serde_json::from_str(text).ok()
}

/// The folded text (lower case, one kind of apostrophe, single spaces), and how many runs of characters between white space it has.
pub(crate) fn fold(text: &str) -> (String, usize) {
    let mut folding = Folding { folded: String::with_capacity(text.len()), words: 0, in_word: false };
    let mut rest = text;
    loop {
        // Most texts are ASCII from end to end.
        let end = if rest.is_ascii() { None } else { rest.bytes().position(|byte| !byte.is_ascii()) };
        let (run, other) = end.and_then(|end| rest.split_at_checked(end)).unwrap_or((rest, ""));
        folding.ascii(run);
        let mut characters = other.chars();
        let Some(character) = characters.next() else { break };
        folding.other(character);
        rest = characters.as_str();
    }
    (folding.folded, folding.words)
}

/// A text that is being folded.
struct Folding {
    folded: String,
    words: usize,
    in_word: bool,
}

impl Folding {
    /// A character that is not ASCII.
    fn other(&mut self, character: char) {
        if character.is_whitespace() {
            self.space();
            return;
        }
        match character {
            '\u{2018}' | '\u{2019}' | '\u{02bc}' | '\u{ff07}' => self.folded.push('\''),
            _ if is_lower(character) => self.folded.push(character),
            _ => self.folded.extend(character.to_lowercase()),
        }
        self.words += usize::from(!self.in_word);
        self.in_word = true;
    }

    /// Of white space one space is left.
    fn space(&mut self) {
        if self.in_word || self.folded.is_empty() {
            self.folded.push(' ');
        }
        self.in_word = false;
    }

    /// A run of ASCII: as it is but for its case, where it has single spaces only, which most have.
    fn ascii(&mut self, run: &str) {
        let bytes = run.as_bytes();
        let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return };
        let spaces = Spaces::of(bytes);
        if spaces.odd || spaces.doubled || is_space(*first) && !self.in_word && !self.folded.is_empty() {
            bytes.iter().for_each(|byte| self.byte(*byte));
            return;
        }
        self.words += usize::from(!self.in_word && !is_space(*first)) + spaces.before_words;
        let start = self.folded.len();
        self.folded.push_str(run);
        self.folded.get_mut(start..).into_iter().for_each(str::make_ascii_lowercase);
        self.in_word = !is_space(*last);
    }

    fn byte(&mut self, byte: u8) {
        if is_space(byte) {
            self.space();
            return;
        }
        self.folded.push(char::from(byte.to_ascii_lowercase()));
        self.words += usize::from(!self.in_word);
        self.in_word = true;
    }
}

/// The white space of a run of ASCII.
#[derive(Default)]
struct Spaces {
    /// Some of it is another than a space.
    odd: bool,
    /// Two spaces follow each other.
    doubled: bool,
    /// Spaces that something follows.
    before_words: usize,
}

impl Spaces {
    fn of(bytes: &[u8]) -> Self {
        let mut spaces = Self::default();
        let later = bytes.get(1..).unwrap_or_default();
        for (before, now) in bytes.chunks(CHUNK).zip(later.chunks(CHUNK)) {
            // Sums without a branch, which a processor takes of many bytes at once.
            let (mut odd, mut doubled, mut begun) = (0, 0, 0_u8);
            for (before, now) in before.iter().zip(now) {
                odd |= u8::from(is_space(*now) & (*now != b' '));
                doubled |= u8::from((*before == b' ') & (*now == b' '));
                begun += u8::from((*before == b' ') & (*now != b' '));
            }
            spaces.odd |= odd != 0;
            spaces.doubled |= doubled != 0;
            spaces.before_words += usize::from(begun);
        }
        spaces.odd |= bytes.first().is_some_and(|first| is_space(*first) && *first != b' ');
        spaces
    }
}

/// Whether a character is known to have no lower case but itself: the most frequent ones, without a look into Unicode's tables.
fn is_lower(character: char) -> bool {
    matches!(character, 'ß'..='ÿ' | 'а'..='џ' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}')
}

/// White space among ASCII, as `char::is_whitespace` has it.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same, character by character.
    fn slowly(text: &str) -> (String, usize) {
        let mut folded = String::new();
        for character in text.chars() {
            match character {
                '\u{2018}' | '\u{2019}' | '\u{02bc}' | '\u{ff07}' => folded.push('\''),
                _ if character.is_whitespace() => {
                    if !folded.ends_with(' ') {
                        folded.push(' ');
                    }
                }
                _ => folded.extend(character.to_lowercase()),
            }
        }
        (folded, text.split_whitespace().count())
    }

    #[test]
    fn characters_that_are_taken_as_they_are_have_no_other_lower_case() {
        let all = (char::MIN..=char::MAX).filter(|character| is_lower(*character));
        assert!(all.clone().all(|character| character.to_lowercase().eq([character])));
        assert!(all.count() > 30_000);
    }

    proptest! {
        #[test]
        fn a_text_is_folded_as_its_characters_are(text in "[ a-cA-C\t\n\x0b\x0c\x1c\u{85}\u{a0}\u{2019}\u{3000}äÄİßΣ]{0,40}") {
            prop_assert_eq!(fold(&text), slowly(&text));
        }
    }
}
