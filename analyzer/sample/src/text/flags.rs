//! What is wrong or missing in a text: a small set of words, stored as one column.

use std::fmt;

/// One thing that is wrong or missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flag {
    /// Bytes that are not UTF-8 were replaced.
    InvalidUtf8,
    /// Looked like JSON and is none.
    UnparsedJson,
    /// JSON with more values, or deeper, than is parsed; the text is the body.
    TooComplex,
    /// A stream held events that are not its protocol's; they stand at the end of the text.
    UnparsedEvents,
    /// A stream that was captured whole and never said that it ended.
    StreamUnfinished,
    /// The text was longer than is kept.
    TextCut,
    /// A content encoding that is not known; there is no text.
    EncodingUnknown,
    /// The encoded bytes are damaged; the text is what came out before.
    EncodingDamaged,
    /// The encoded bytes were not captured whole; the text is what they gave.
    EncodingCut,
    /// Decoding stopped at the limit of size or ratio; the text is what came out before.
    EncodingLimit,
}

const WORDS: [(Flag, &str); 10] = [
    (Flag::InvalidUtf8, "invalid_utf8"),
    (Flag::UnparsedJson, "unparsed_json"),
    (Flag::TooComplex, "too_complex"),
    (Flag::UnparsedEvents, "unparsed_events"),
    (Flag::StreamUnfinished, "stream_unfinished"),
    (Flag::TextCut, "text_cut"),
    (Flag::EncodingUnknown, "encoding_unknown"),
    (Flag::EncodingDamaged, "encoding_damaged"),
    (Flag::EncodingCut, "encoding_cut"),
    (Flag::EncodingLimit, "encoding_limit"),
];

/// A set of flags. Shown as words joined by commas, always in the same order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u16);

impl Flags {
    /// Adds one.
    pub fn add(&mut self, flag: Flag) {
        self.0 |= 1 << (flag as u16);
    }

    /// Adds one where the condition holds.
    pub fn add_if(&mut self, condition: bool, flag: Flag) {
        if condition {
            self.add(flag);
        }
    }

    /// Adds all of another set.
    pub fn add_all(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Whether it is there.
    pub fn has(self, flag: Flag) -> bool {
        self.0 & (1 << (flag as u16)) != 0
    }

    /// The column's value; `None` for the empty set.
    pub fn to_column(self) -> Option<String> {
        (self.0 != 0).then(|| self.to_string())
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for (flag, word) in WORDS {
            if self.has(flag) {
                write!(to, "{comma}{word}")?;
                comma = ",";
            }
        }
        Ok(())
    }
}
