//! Addresses of the network: IPv4, IPv6, hardware addresses.
//!
//! Loopback, "any", broadcast and net masks say nothing about anybody and stay. Four numbers behind `v` or `version` are a version.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::{before, is_alphanumeric, is_digit};
use crate::redact::secret::Secret;

/// The longest text of an IPv6 address.
const IPV6_BYTES_MAX: usize = 45;
const MAC_BYTES: usize = 17;

/// An address that begins with this digit.
pub(super) fn ipv4(bytes: &[u8], start: usize) -> Option<Range<usize>> {
    if before(bytes, start).is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_')) {
        return None;
    }
    let len =
        bytes.iter().skip(start).take(16).take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    let text = std::str::from_utf8(bytes.get(start..start + len)?).ok()?;
    let text = text.trim_end_matches('.');
    let end = start + text.len();
    let address: Ipv4Addr = text.parse().ok()?;
    let goes_on = is_alphanumeric(bytes, end)
        || bytes.get(end) == Some(&b'_')
        || (bytes.get(end) == Some(&b'-') && bytes.get(end + 1).is_some_and(u8::is_ascii_alphabetic))
        || (bytes.get(end) == Some(&b'.') && is_digit(bytes, end + 1));
    (!goes_on && !is_common(address) && !is_version(bytes, start)).then_some(start..end)
}

fn is_common(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    address.is_loopback() || first == 0 || (first == 255 && matches!(second, 0 | 255))
}

fn is_version(bytes: &[u8], start: usize) -> bool {
    let word = bytes.get(start.saturating_sub(10)..start).unwrap_or_default().to_ascii_lowercase();
    let end = word.iter().rposition(u8::is_ascii_alphanumeric).map_or(0, |at| at + 1);
    word.get(..end).is_some_and(|word| word.ends_with(b"version") || word.ends_with(b"release"))
}

/// The address around a colon, and where the text that was looked at ends.
pub(super) fn around_colon(text: &str, at: usize) -> (usize, Option<(Range<usize>, Secret)>) {
    let bytes = text.as_bytes();
    let near = |at: Option<u8>| at.is_some_and(|byte| byte.is_ascii_hexdigit() || byte == b':');
    if !near(before(bytes, at)) && !near(bytes.get(at + 1).copied()) {
        return (at + 1, None);
    }
    let is_part = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let left = bytes.get(at.saturating_sub(IPV6_BYTES_MAX)..at).unwrap_or_default();
    let start = at - left.iter().rev().take_while(|byte| is_part(byte)).count();
    let right = bytes.get(at..).unwrap_or_default();
    let mut end = at + right.iter().take(IPV6_BYTES_MAX).take_while(|byte| is_part(byte)).count();
    let seen = end.max(at + 1);
    let is_part_of_word = before(bytes, start)
        .is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        || is_alphanumeric(bytes, end);
    while matches!(before(bytes, end), Some(b'.'))
        || (before(bytes, end) == Some(b':') && !bytes.get(..end).is_some_and(|text| text.ends_with(b"::")))
    {
        end -= 1;
    }
    let Some(token) = text.get(start..end).filter(|_| !is_part_of_word) else { return (seen, None) };
    let token = if token.starts_with(':') && !token.starts_with("::") {
        token.trim_start_matches(':')
    } else {
        token
    };
    let range = end - token.len()..end;
    let found = if is_mac(token.as_bytes(), b':') {
        Some((range, Secret::Mac))
    } else {
        is_ipv6(token).then_some((range, Secret::Ip))
    };
    (seen, found)
}

/// `face::add` is a path in a program, and so two groups at least, one of them with a digit, make an address.
fn is_ipv6(token: &str) -> bool {
    let groups: Vec<&str> = token.split(':').filter(|group| !group.is_empty()).collect();
    groups.len() >= 2
        && groups.iter().any(|group| group.bytes().any(|byte| byte.is_ascii_digit()))
        && token.parse::<Ipv6Addr>().is_ok_and(|address| !address.is_loopback() && !address.is_unspecified())
}

/// A hardware address whose first hyphen this is.
pub(super) fn around_hyphen(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let start = at.checked_sub(2)?;
    let token = bytes.get(start..start + MAC_BYTES)?;
    let is_part = |byte: Option<u8>| {
        byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let alone = !is_part(before(bytes, start)) && !is_part(bytes.get(start + MAC_BYTES).copied());
    (alone && is_mac(token, b'-')).then_some(start..start + MAC_BYTES)
}

fn is_mac(token: &[u8], separator: u8) -> bool {
    let pairs = token.iter().enumerate().all(|(place, byte)| match place % 3 {
        2 => *byte == separator,
        _ => byte.is_ascii_hexdigit(),
    });
    // Six pairs of decimal digits are more often a time stamp, all zeros and all ones are nobody's.
    let said = token.iter().any(|byte| byte.is_ascii_hexdigit() && !matches!(byte, b'0' | b'f' | b'F'));
    token.len() == MAC_BYTES && pairs && said
}
