//! The bytes of a captured body: head and tail joined where they meet, and decoded.
//!
//! Limits: [`DECODED_BYTES_MAX`] and [`DECODED_RATIO_MAX`] of one body; what a caller allows for all bodies of a request
//! together is in [`Body::budget`]. Of an encoded body that was cut only the head can be decoded.

use std::borrow::Cow;

use serde_json::Value;

use super::{Body, Flag, Flags, json};
use crate::encoding::{self, DecodeLimits, Encoding, End};

/// Largest body after decoding, bytes; the rest is left out, and flagged.
pub const DECODED_BYTES_MAX: usize = 4 << 20;
/// Bytes that one byte of an encoded body may become.
pub const DECODED_RATIO_MAX: usize = 200;

pub(super) struct Whole<'a> {
    bytes: Cow<'a, [u8]>,
    tail: &'a [u8],
    missing: u64,
    /// The end is missing, in the capture or in what decoding gave.
    cut: bool,
    flags: Flags,
    /// There was no body at all.
    empty: bool,
}

impl<'a> Whole<'a> {
    pub(super) fn of(body: Body<'a>) -> Self {
        let kept = (body.head.len() + body.tail.len()) as u64;
        let missing = body.bytes.saturating_sub(kept);
        let mut whole = Self {
            bytes: body.head.into(),
            tail: body.tail,
            missing,
            cut: missing > 0,
            flags: Flags::default(),
            empty: body.bytes == 0 && kept == 0,
        };
        if missing == 0 && !body.tail.is_empty() {
            whole.bytes = [body.head, body.tail].concat().into();
            whole.tail = &[];
        }
        whole.decode(body);
        whole
    }

    fn decode(&mut self, body: Body<'a>) {
        let layers = match encoding::parse_header(body.content_encoding) {
            Ok(layers) if layers.is_empty() && body.content_encoding.trim().is_empty() => {
                let found = encoding::sniff(&self.bytes);
                found.or_else(|| self.looks_like_brotli(body)).into_iter().collect()
            }
            Ok(layers) => layers,
            Err(_) => {
                self.flags.add(Flag::EncodingUnknown);
                return;
            }
        };
        if layers.is_empty() || self.bytes.is_empty() {
            return;
        }
        let budget = body.budget.map_or(DECODED_BYTES_MAX, std::cell::Cell::get);
        let limits = DecodeLimits { bytes_max: DECODED_BYTES_MAX.min(budget), ratio_max: DECODED_RATIO_MAX };
        let decoded = encoding::decode(&self.bytes, &layers, limits);
        if let Some(left) = body.budget {
            left.set(budget.saturating_sub(decoded.bytes.len()));
        }
        let flag = match decoded.end {
            End::Whole => None,
            // The input's end may be the capture's: then nothing is wrong with the body.
            End::Cut | End::Damaged if self.missing > 0 => Some(Flag::EncodingCut),
            End::Cut => Some(Flag::EncodingCut),
            End::Damaged => Some(Flag::EncodingDamaged),
            End::Limit => Some(Flag::EncodingLimit),
        };
        if let Some(flag) = flag {
            self.flags.add(flag);
        }
        // A header that is not true: the body is not encoded at all.
        if decoded.end == End::Damaged && decoded.bytes.is_empty() && std::str::from_utf8(&self.bytes).is_ok()
        {
            return;
        }
        self.missing += self.tail.len() as u64;
        self.cut |= flag.is_some();
        self.bytes = decoded.bytes.into();
        self.tail = &[];
    }

    /// Brotli has no mark of its own: it is what becomes text where the bytes are none.
    fn looks_like_brotli(&self, body: Body<'_>) -> Option<Encoding> {
        if self.missing > 0 || self.bytes.is_empty() || std::str::from_utf8(&self.bytes).is_ok() {
            return None;
        }
        let budget = body.budget.map_or(DECODED_BYTES_MAX, std::cell::Cell::get);
        let limits = DecodeLimits { bytes_max: DECODED_BYTES_MAX.min(budget), ratio_max: DECODED_RATIO_MAX };
        let decoded = encoding::decode_whole(&self.bytes, Encoding::Brotli, limits).ok()?;
        (!decoded.is_empty() && std::str::from_utf8(&decoded).is_ok()).then_some(Encoding::Brotli)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.empty
    }

    /// Whether bytes are missing.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Whether there is anything to read.
    pub(super) fn is_readable(&self) -> bool {
        let nothing = self.bytes.is_empty() && self.tail.is_empty();
        // An encoded body may well be an empty text.
        let decoded_to_nothing = nothing && !self.cut && !self.empty;
        (!nothing || decoded_to_nothing) && !self.flags.has(Flag::EncodingUnknown)
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
        if self.cut || !matches!(first, b'{' | b'[') {
            return None;
        }
        Some(json::parse(&self.bytes))
    }

    pub(super) fn is_utf8(&self) -> bool {
        match std::str::from_utf8(&self.bytes) {
            Ok(_) => true,
            // A character cut by the end of the head does not make it binary.
            Err(error) => self.cut && error.error_len().is_none(),
        }
    }

    /// The body as it is, with a mark where captured bytes are missing.
    pub(super) fn text(&self) -> String {
        let head = String::from_utf8_lossy(&self.bytes);
        if self.missing == 0 {
            return head.into_owned();
        }
        let tail = String::from_utf8_lossy(self.tail);
        format!("{head}\n[... {} bytes not captured ...]\n{tail}", self.missing)
    }
}
