//! Texts from headers, kept once while they repeat: methods, paths and content types are the same in most exchanges.
//!
//! Bound: [`RECENT_MAX`] texts of at most [`TEXT_BYTES_MAX`] bytes each; longer ones (paths) are never remembered.

use std::rc::Rc;

use crate::headers::Headers;

/// Longest text that is taken from a header, paths apart.
pub(crate) const TEXT_BYTES_MAX: usize = 256;

const RECENT_MAX: usize = 8;

/// The texts that were seen last.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    recent: Vec<Rc<str>>,
    next: usize,
}

impl Texts {
    /// A header's value as text, cut at a bound; what is not UTF-8 is replaced.
    pub(crate) fn of(&mut self, headers: Headers<'_>, name: &[u8], bytes_max: usize) -> Rc<str> {
        let value = headers.get(name).unwrap_or_default();
        let value = value.get(..bytes_max).unwrap_or(value);
        if let Some(known) = self.recent.iter().find(|known| known.as_bytes() == value) {
            return Rc::clone(known);
        }
        let text: Rc<str> = String::from_utf8_lossy(value).into();
        if text.len() <= TEXT_BYTES_MAX {
            self.remember(Rc::clone(&text));
        }
        text
    }

    fn remember(&mut self, text: Rc<str>) {
        match self.recent.get_mut(self.next) {
            Some(place) => *place = text,
            None => self.recent.push(text),
        }
        self.next = (self.next + 1) % RECENT_MAX;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::headers::encode;

    #[test]
    fn a_text_that_repeats_is_kept_once_and_few_are_kept() {
        let mut texts = Texts::default();
        let mut of = |value: &str| texts.of(Headers::new(&encode(&[("a", value)])), b"a", 300);
        let first = of("json");
        assert!(Rc::ptr_eq(&first, &of("json")));
        let long = "x".repeat(TEXT_BYTES_MAX + 1);
        assert!(!Rc::ptr_eq(&of(&long), &of(&long)));
        for number in 0..RECENT_MAX {
            of(&number.to_string());
        }
        assert!(!Rc::ptr_eq(&first, &of("json")));
        assert!(texts.recent.len() <= RECENT_MAX);
    }

    #[test]
    fn a_text_is_cut_and_made_utf8() {
        let mut texts = Texts::default();
        let bytes = encode(&[(b"a".as_slice(), [0xff, b'b', b'c'].as_slice())]);
        assert_eq!(&*texts.of(Headers::new(&bytes), b"a", 2), "\u{fffd}b");
        assert_eq!(&*texts.of(Headers::new(&bytes), b"missing", 2), "");
    }
}
