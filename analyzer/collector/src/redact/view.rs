//! A text as its reader will see it: escapes resolved, look-alike characters folded, with the way back to the source.
//!
//! One step resolves the escapes of JSON and of most languages (`\u0040`, surrogate pairs, `\/`, `\x40`, `\n`), percent encoding
//! (and `+` for a space, in text without white space), full-width forms, unusual spaces and hyphens, and takes out characters of
//! no width. What is escaped several times is resolved in several steps, [`STEPS_MAX`] at most.
//! Invariant: a range of a view maps to ranges of its source that begin and end at whole characters and whole escapes.

use std::ops::Range;

/// Steps: JSON within JSON within JSON.
pub(super) const STEPS_MAX: usize = 3;

/// A text that was made from another one.
#[derive(Debug, Default)]
pub(super) struct View {
    text: String,
    pieces: Vec<Piece>,
}

/// A part of a view: where it begins there, and which part of the source it stands for.
#[derive(Debug)]
struct Piece {
    at: usize,
    source: Range<usize>,
    /// Byte for byte the same as the source; else one indivisible whole.
    verbatim: bool,
}

impl View {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Appends a part of the source as it is.
    pub(super) fn push(&mut self, start: usize, text: &str) {
        if text.is_empty() {
            return;
        }
        self.pieces.push(Piece { at: self.text.len(), source: start..start + text.len(), verbatim: true });
        self.text.push_str(text);
    }

    /// Appends what a part of the source stands for, which may be nothing.
    fn push_char(&mut self, character: Option<char>, source: Range<usize>) {
        self.pieces.push(Piece { at: self.text.len(), source, verbatim: false });
        self.text.extend(character);
    }

    /// The parts of the source that a range of the view stands for, ascending in the view; neighbours are joined.
    pub(super) fn source(&self, range: &Range<usize>) -> Vec<Range<usize>> {
        let mut parts: Vec<Range<usize>> = Vec::new();
        let first = self.pieces.partition_point(|piece| piece.at <= range.start).saturating_sub(1);
        for (index, piece) in self.pieces.iter().enumerate().skip(first) {
            if piece.at >= range.end {
                break;
            }
            let end = self.pieces.get(index + 1).map_or(self.text.len(), |next| next.at);
            if end <= range.start {
                continue;
            }
            let part = if piece.verbatim {
                let from = piece.source.start + range.start.saturating_sub(piece.at);
                let to = piece.source.start + range.end.min(end) - piece.at;
                from..to
            } else {
                piece.source.clone()
            };
            match parts.last_mut() {
                Some(last) if last.end == part.start => last.end = part.end,
                _ => parts.push(part),
            }
        }
        parts
    }

    /// One step; `None` where nothing is escaped.
    pub(super) fn decode(text: &str) -> Option<Self> {
        // Without a branch per byte, which a processor takes of many at once: most texts end here.
        let may_begin = |byte: u8| (byte == b'\\') | (byte == b'%') | (byte == b'+') | !byte.is_ascii();
        if !text.bytes().fold(false, |any, byte| any | may_begin(byte)) {
            return None;
        }
        let is_form = text.contains('%') && !text.contains(char::is_whitespace);
        let mut view = Self::default();
        let mut copied = 0;
        let mut at = 0;
        let bytes = text.as_bytes();
        while let Some(byte) = bytes.get(at) {
            let decoded = match byte {
                b'\\' => escape(text, at),
                b'%' => percent(text, at),
                b'+' if is_form => Some((Some(' '), 1)),
                0xc2 | 0xe2 | 0xef => folded(text, at),
                _ => None,
            };
            let Some((character, len)) = decoded else {
                at += 1;
                continue;
            };
            view.push(copied, text.get(copied..at).unwrap_or_default());
            view.push_char(character, at..at + len);
            at += len;
            copied = at;
        }
        if copied == 0 {
            return None;
        }
        view.push(copied, text.get(copied..).unwrap_or_default());
        Some(view)
    }

    /// Where the escape ends that this place of the source splits.
    pub(super) fn escape_end(&self, place: usize) -> Option<usize> {
        let piece = self.pieces.get(self.pieces.partition_point(|piece| piece.source.end <= place))?;
        (!piece.verbatim && piece.source.start < place).then_some(piece.source.end)
    }

    /// Widens a range of the source so that it splits no escape.
    pub(super) fn whole_escapes(&self, range: &mut Range<usize>) {
        let end = range.end;
        let first = self.pieces.partition_point(|piece| piece.source.end <= range.start);
        for piece in self.pieces.iter().skip(first).take_while(|piece| piece.source.start < end) {
            if !piece.verbatim {
                range.start = range.start.min(piece.source.start);
                range.end = range.end.max(piece.source.end);
            }
        }
    }
}

type Decoded = Option<(Option<char>, usize)>;

/// What begins with a backslash, and its length in the source.
fn escape(text: &str, at: usize) -> Decoded {
    let character = match text.as_bytes().get(at + 1)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'\'' => '\'',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'x' => return Some((char::from_u32(hex(text, at + 2, 2)?), 4)),
        b'u' => return unicode(text, at),
        _ => return None,
    };
    Some((Some(character), 2))
}

fn unicode(text: &str, at: usize) -> Decoded {
    let unit = hex(text, at + 2, 4)?;
    if (0xd800..0xdc00).contains(&unit) && text.get(at + 6..at + 8) == Some("\\u") {
        let low = hex(text, at + 8, 4).filter(|low| (0xdc00..0xe000).contains(low));
        if let Some(low) = low {
            let code = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
            return Some((char::from_u32(code).and_then(plain_form_of), 12));
        }
    }
    let character = char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER);
    Some((plain_form_of(character), 6))
}

fn percent(text: &str, at: usize) -> Decoded {
    let byte = u8::try_from(hex(text, at + 1, 2)?).ok()?;
    // Secrets are ASCII; the rest may stay encoded.
    byte.is_ascii().then_some((Some(char::from(byte)), 3))
}

fn folded(text: &str, at: usize) -> Decoded {
    let character = text.get(at..)?.chars().next()?;
    let plain = plain_form_of(character);
    (plain != Some(character)).then_some((plain, character.len_utf8()))
}

/// The ASCII character that this one looks like; `None` for those of no width.
fn plain_form_of(character: char) -> Option<char> {
    match character {
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' => None,
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' => Some(' '),
        '\u{2010}'..='\u{2013}' | '\u{2212}' => Some('-'),
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(character) - 0xfee0),
        other => Some(other),
    }
}

fn hex(text: &str, at: usize, digits: usize) -> Option<u32> {
    let digits =
        text.get(at..at + digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    fn decoded(text: &str) -> String {
        View::decode(text).map_or(text.to_owned(), |view| view.text)
    }

    #[test]
    fn escapes_percent_signs_and_look_alikes_are_resolved() {
        for (text, expected) in [
            (r"jane\u0040example.com", "jane@example.com"),
            (r"a\/b\\n\x41 \ud83d\ude00 \ud83d", "a/b\\nA \u{1f600} \u{fffd}"),
            ("a=jane%40example.com+b%C3", "a=jane@example.com b%C3"),
            ("1 + 1 = 2, 100 %", "1 + 1 = 2, 100 %"),
            ("４１１１\u{a0}11\u{200b}11", "4111 1111"),
            (r"C:\dir \u00 \", r"C:\dir \u00 \"),
        ] {
            assert_eq!(decoded(text), expected, "{text}");
        }
    }

    #[test]
    fn a_range_leads_back_to_whole_escapes() {
        let source = r"to jane\u0040example.com now";
        let view = View::decode(source).unwrap();
        let at = view.text().find("jane@example.com").unwrap();
        let parts = view.source(&(at..at + "jane@example.com".len()));
        assert_eq!((parts.len(), parts[0].clone()), (1, 3..source.len() - 4));
        assert_eq!(&source[parts[0].clone()], r"jane\u0040example.com");
        let mut cut = 9..12;
        view.whole_escapes(&mut cut);
        assert_eq!(&source[cut], r"\u0040");
    }

    proptest! {
        #[test]
        fn every_range_of_a_view_is_whole_characters_of_the_source(text in r"(\\u00[46]0|\\ud83d\\ude00|%4[01]|\\|é|\x{200b}|[a-z+ ]){0,20}", from in 0_usize..40, len in 0_usize..40) {
            if let Some(view) = View::decode(&text) {
                let start = view.text().floor_char_boundary(from.min(view.text().len()));
                let end = view.text().floor_char_boundary((from + len).min(view.text().len()));
                for part in view.source(&(start..end.max(start))) {
                    prop_assert!(text.get(part).is_some());
                }
            }
        }
    }
}
