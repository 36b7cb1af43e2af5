//! E-mail addresses and passwords within URLs, found by the byte that they cannot be without.

use std::ops::Range;

use super::before;

const LOCAL_BYTES_MAX: usize = 64;
const DOMAIN_BYTES_MAX: usize = 253;
const TLD_LETTERS: std::ops::RangeInclusive<usize> = 2..=24;

/// The address around an `@`; letters of other European alphabets count as letters.
pub(super) fn email(text: &str, at: usize) -> Option<Range<usize>> {
    let local = text.get(..at)?;
    let is_local = |character: &char| {
        is_letter(*character)
            || character.is_ascii_digit()
            || matches!(character, '.' | '_' | '%' | '+' | '-' | '~')
    };
    let mut start = at;
    for character in local.chars().rev().take_while(is_local) {
        if at - start >= LOCAL_BYTES_MAX {
            break;
        }
        start -= character.len_utf8();
    }
    let name = text.get(start..at)?;
    let trimmed = name.trim_start_matches(['.', '-', '+', '%', '~']);
    start = at - trimmed.len();
    // `git@host:path` is the same for everybody.
    if trimmed.is_empty() || trimmed == "git" {
        return None;
    }
    Some(start..at + 1 + domain(text.get(at + 1..)?)?)
}

/// The length of the host name that a text begins with.
fn domain(text: &str) -> Option<usize> {
    let is_part = |character: &char| {
        is_letter(*character) || character.is_ascii_digit() || matches!(character, '-' | '.')
    };
    let mut len: usize = text.chars().take(DOMAIN_BYTES_MAX).take_while(is_part).map(char::len_utf8).sum();
    // A sentence may end here, and so may a word: `jane@example.com.` and `jane@example.com-`.
    loop {
        let name = text.get(..len)?.trim_end_matches(['.', '-']);
        len = name.len();
        let (rest, tld) = name.rsplit_once('.')?;
        let is_name = !rest.is_empty() && rest.split('.').all(|label| !label.is_empty() && label.len() <= 63);
        let is_tld = (TLD_LETTERS.contains(&tld.chars().count()) && tld.chars().all(is_letter))
            || tld.starts_with("xn--");
        if is_name && is_tld {
            return Some(len);
        }
        len = rest.len();
    }
}

fn is_letter(character: char) -> bool {
    character.is_ascii_alphabetic() || matches!(character, '\u{c0}'..='\u{24f}' | '\u{370}'..='\u{52f}')
}

/// The password of `scheme://user:password@host`, by the colon before it.
pub(super) fn password(bytes: &[u8], colon: usize) -> Option<Range<usize>> {
    let is_part = |byte: &u8| {
        byte.is_ascii_graphic() && !matches!(byte, b'/' | b'@' | b'"' | b'\'' | b'<' | b'>' | b'`' | b':')
    };
    let user = bytes
        .get(colon.saturating_sub(LOCAL_BYTES_MAX)..colon)?
        .iter()
        .rev()
        .take_while(|byte| is_part(byte))
        .count();
    let slashes = colon.checked_sub(user)?;
    if before(bytes, slashes) != Some(b'/') || bytes.get(slashes.checked_sub(3)?..slashes) != Some(b"://") {
        return None;
    }
    let rest = bytes.get(colon + 1..)?;
    let len = rest.iter().take(256).take_while(|byte| is_part(byte) || **byte == b':').count();
    (len > 0 && rest.get(len) == Some(&b'@')).then_some(colon + 1..colon + 1 + len)
}
