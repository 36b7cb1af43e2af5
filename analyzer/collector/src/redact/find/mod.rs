//! Where secrets are in a plain text: one walk over its bytes, and the patterns of tokens.
//!
//! The walk stops at bytes with which something can begin (a digit, `@`, `:`, `=`, `+`, `(`, `-`); each finder looks around that
//! byte, bounded on both sides, so the time is linear in the text.

mod address;
mod network;
mod number;
mod phone;
mod token;

use std::ops::Range;

pub(super) use token::Tokens;

use super::secret::Secret;

/// Bytes that are passed at once where nothing begins.
const BLOCK_BYTES: usize = 32;

/// A find in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) range: Range<usize>,
    pub(super) secret: Secret,
}

/// Everything that is found, in no order; finds may overlap.
pub(super) fn spans(text: &str, tokens: &Tokens) -> Vec<Span> {
    let mut spans = Vec::new();
    tokens.find(text, &mut spans);
    let mut found = |range: Range<usize>, secret| spans.push(Span { range, secret });
    let bytes = text.as_bytes();
    let mut at = 0;
    // Until here the colons of an address were looked at.
    let mut colons_until = 0;
    while let Some(next) = next_stop(bytes, at) {
        at = next;
        match bytes.get(at).copied().unwrap_or_default() {
            b'0'..=b'9' if !before(bytes, at).is_some_and(|byte| byte.is_ascii_digit()) => {
                digits(text, at, &mut found);
            }
            b'@' => address::email(text, at).into_iter().for_each(|range| found(range, Secret::Email)),
            b'+' | b'(' => phone::marked(bytes, at).into_iter().for_each(|range| found(range, Secret::Phone)),
            b':' => {
                if at >= colons_until {
                    let (end, address) = network::around_colon(text, at);
                    colons_until = end;
                    address.into_iter().for_each(|(range, secret)| found(range, secret));
                }
                token::assigned(bytes, at).into_iter().for_each(|range| found(range, Secret::ApiKey));
                address::password(bytes, at).into_iter().for_each(|range| found(range, Secret::Password));
            }
            b'=' => token::assigned(bytes, at).into_iter().for_each(|range| found(range, Secret::ApiKey)),
            b'-' => network::around_hyphen(bytes, at).into_iter().for_each(|range| found(range, Secret::Mac)),
            _ => {}
        }
        at += 1;
    }
    spans
}

/// The next byte with which something can begin.
fn next_stop(bytes: &[u8], mut at: usize) -> Option<usize> {
    // Blocks without such a byte are passed without a branch per byte, which a processor takes of many at once.
    while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<BLOCK_BYTES>)
        && !block.iter().fold(false, |any, byte| any | stops_at(*byte))
    {
        at += BLOCK_BYTES;
    }
    let rest = bytes.get(at..)?;
    rest.iter().position(|byte| stops_at(*byte)).map(|next| at + next)
}

/// Whether something can begin with, or around, this byte.
fn stops_at(byte: u8) -> bool {
    // Comparisons without branches; the colon stands behind the digits.
    (byte.wrapping_sub(b'0') <= b':' - b'0')
        | (byte == b'@')
        | (byte == b'+')
        | (byte == b'(')
        | (byte == b'=')
        | (byte == b'-')
}

/// What begins with (or, for an IBAN, just before) the first digit of a run.
fn digits(text: &str, at: usize, found: &mut impl FnMut(Range<usize>, Secret)) {
    let bytes = text.as_bytes();
    if let Some(range) = number::card(bytes, at) {
        found(range, Secret::Card);
    }
    if let Some(range) = number::iban(bytes, at) {
        found(range, Secret::Iban);
    }
    if let Some(range) = network::ipv4(bytes, at) {
        found(range, Secret::Ip);
    }
    if let Some(range) = phone::national(bytes, at) {
        found(range, Secret::Phone);
    }
}

fn is_digit(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_some_and(u8::is_ascii_digit)
}

fn is_alphanumeric(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_some_and(u8::is_ascii_alphanumeric)
}

/// The byte before a place.
fn before(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at.checked_sub(1)?).copied()
}
