//! The bytes of a captured body: head and tail joined where they meet.

use std::borrow::Cow;

use serde_json::Value;

use super::{Body, Flag, Flags, json};

pub(super) struct Whole<'a> {
    bytes: Cow<'a, [u8]>,
    tail: &'a [u8],
    missing: u64,
    flags: Flags,
    /// There was no body at all.
    empty: bool,
}

impl<'a> Whole<'a> {
    pub(super) fn of(body: Body<'a>) -> Self {
        let kept = (body.head.len() + body.tail.len()) as u64;
        let mut whole = Self {
            bytes: body.head.into(),
            tail: body.tail,
            missing: body.bytes.saturating_sub(kept),
            flags: Flags::default(),
            empty: body.bytes == 0 && kept == 0,
        };
        if whole.missing == 0 && !body.tail.is_empty() {
            whole.bytes = [body.head, body.tail].concat().into();
            whole.tail = &[];
        }
        let encoding = body.content_encoding.trim();
        if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") {
            whole.flags.add(Flag::EncodingUnknown);
        }
        whole
    }

    pub(super) fn is_empty(&self) -> bool {
        self.empty
    }

    /// Whether bytes are missing.
    pub(super) fn is_cut(&self) -> bool {
        self.missing > 0
    }

    /// Whether there is anything to read.
    pub(super) fn is_readable(&self) -> bool {
        let nothing = self.bytes.is_empty() && self.tail.is_empty();
        !nothing && !self.flags.has(Flag::EncodingUnknown)
    }

    pub(super) fn flags(&self) -> Flags {
        self.flags
    }

    /// The beginning, and what is known of the end where they do not meet.
    pub(super) fn parts(&self) -> (&[u8], &[u8]) {
        (&self.bytes, self.tail)
    }

    /// The JSON document, or why it is none; `None` where it does not look like one.
    pub(super) fn json(&self) -> Option<Result<Value, Flag>> {
        let first = self.bytes.iter().find(|byte| !byte.is_ascii_whitespace())?;
        // Whatever the media type says: a number or a word alone is text, and a cut body cannot parse.
        if self.is_cut() || !matches!(first, b'{' | b'[') {
            return None;
        }
        Some(json::parse(&self.bytes))
    }

    pub(super) fn is_utf8(&self) -> bool {
        match std::str::from_utf8(&self.bytes) {
            Ok(_) => true,
            // A character cut by the end of the head does not make it binary.
            Err(error) => self.is_cut() && error.error_len().is_none(),
        }
    }

    /// The body as it is, with a mark where bytes are missing.
    pub(super) fn text(&self) -> String {
        let head = String::from_utf8_lossy(&self.bytes);
        if !self.is_cut() {
            return head.into_owned();
        }
        let tail = String::from_utf8_lossy(self.tail);
        format!("{head}\n[... {} bytes not captured ...]\n{tail}", self.missing)
    }
}
