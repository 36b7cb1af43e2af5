//! Numbers that carry their own check: payment cards (Luhn) and bank accounts (ISO 13616, modulo 97).

use std::ops::Range;

use super::{before, is_alphanumeric, is_digit};

const CARD_DIGITS: Range<usize> = 13..20;

/// Lengths of the countries' account numbers, from the IBAN registry (ISO 13616).
#[rustfmt::skip]
const IBAN_LENGTHS: [(&[u8; 2], usize); 86] = [
    (b"AD", 24), (b"AE", 23), (b"AL", 28), (b"AT", 20), (b"AZ", 28), (b"BA", 20), (b"BE", 16), (b"BG", 22),
    (b"BH", 22), (b"BI", 27), (b"BR", 29), (b"BY", 28), (b"CH", 21), (b"CR", 22), (b"CY", 28), (b"CZ", 24),
    (b"DE", 22), (b"DJ", 27), (b"DK", 18), (b"DO", 28), (b"EE", 20), (b"EG", 29), (b"ES", 24), (b"FI", 18),
    (b"FK", 18), (b"FO", 18), (b"FR", 27), (b"GB", 22), (b"GE", 22), (b"GI", 23), (b"GL", 18), (b"GR", 27),
    (b"GT", 28), (b"HR", 21), (b"HU", 28), (b"IE", 22), (b"IL", 23), (b"IQ", 23), (b"IS", 26), (b"IT", 27),
    (b"JO", 30), (b"KW", 30), (b"KZ", 20), (b"LB", 28), (b"LC", 32), (b"LI", 21), (b"LT", 20), (b"LU", 20),
    (b"LV", 21), (b"LY", 25), (b"MC", 27), (b"MD", 24), (b"ME", 22), (b"MK", 19), (b"MN", 20), (b"MR", 27),
    (b"MT", 31), (b"MU", 30), (b"NI", 28), (b"NL", 18), (b"NO", 15), (b"OM", 23), (b"PK", 24), (b"PL", 28),
    (b"PS", 29), (b"PT", 25), (b"QA", 29), (b"RO", 24), (b"RS", 22), (b"RU", 33), (b"SA", 24), (b"SC", 31),
    (b"SD", 18), (b"SE", 24), (b"SI", 19), (b"SK", 24), (b"SM", 27), (b"SO", 23), (b"ST", 25), (b"SV", 28),
    (b"TL", 23), (b"TN", 24), (b"TR", 26), (b"UA", 29), (b"VA", 22), (b"VG", 24),
];

/// The longest card number that begins at a run of digits, also next to other groups of digits. Groups are separated by single
/// spaces, hyphens or `+` (the space of a URL) and, but for the last, four digits long, or four and six; numbers within hexadecimal text are none.
pub(super) fn card(bytes: &[u8], start: usize) -> Option<Range<usize>> {
    let is_fraction =
        before(bytes, start) == Some(b'.') && start.checked_sub(2).is_some_and(|at| is_digit(bytes, at));
    if is_fraction || before(bytes, start).is_some_and(is_hex_letter) {
        return None;
    }
    let mut digits = [0_u8; 19];
    let mut count = 0;
    let mut group = 0;
    let mut end = None;
    let mut at = start;
    while count < digits.len() {
        let Some(digit) = bytes.get(at).filter(|byte| byte.is_ascii_digit()) else { break };
        if let Some(slot) = digits.get_mut(count) {
            *slot = digit - b'0';
        }
        (count, group, at) = (count + 1, group + 1, at + 1);
        let ends = !is_digit(bytes, at) && !bytes.get(at).copied().is_some_and(is_hex_letter);
        if ends && CARD_DIGITS.contains(&count) && digits.get(..count).is_some_and(is_card) {
            end = Some(at);
        }
        if matches!(bytes.get(at), Some(b' ' | b'-' | b'+')) && is_digit(bytes, at + 1) {
            if group != 4 && (group, count) != (6, 10) {
                break;
            }
            group = 0;
            at += 1;
        }
    }
    end.map(|end| start..end)
}

fn is_hex_letter(byte: u8) -> bool {
    byte.is_ascii_hexdigit() && !byte.is_ascii_digit()
}

fn is_card(digits: &[u8]) -> bool {
    let prefix = digits.iter().take(4).fold(0_u32, |number, digit| number * 10 + u32::from(*digit));
    let lengths: &[usize] = match prefix {
        // Visa; American Express; Diners Club; JCB; Mastercard; Mir and UnionPay; Discover, RuPay and Maestro.
        4000..=4999 => &[13, 16, 19],
        3400..=3499 | 3700..=3799 => &[15],
        3000..=3059 | 3600..=3699 | 3800..=3999 => &[14, 16, 19],
        3528..=3589 => &[16, 17, 18, 19],
        2221..=2720 | 5100..=5599 => &[16],
        2200..=2204 | 6200..=6299 | 8100..=8199 => &[16, 17, 18, 19],
        5000..=5099 | 5600..=5899 | 6000..=6999 => &[13, 14, 15, 16, 17, 18, 19],
        _ => &[],
    };
    lengths.contains(&digits.len()) && luhn(digits)
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match u32::from(*digit) * (1 + u32::from(place % 2 == 1)) {
            large if large > 9 => large - 9,
            small => small,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// The account number whose check digits begin here; single spaces or hyphens may stand between its groups.
pub(super) fn iban(bytes: &[u8], digit: usize) -> Option<Range<usize>> {
    let start = digit.checked_sub(2)?;
    let country = [bytes.get(start)?.to_ascii_uppercase(), bytes.get(start + 1)?.to_ascii_uppercase()];
    if !is_digit(bytes, digit + 1) || start.checked_sub(1).is_some_and(|at| is_alphanumeric(bytes, at)) {
        return None;
    }
    let (_, length) = IBAN_LENGTHS.iter().find(|(code, _)| **code == country)?;
    let mut remainder = 0;
    let mut at = start;
    let mut head = Vec::with_capacity(4);
    for place in 0..*length {
        if place >= 4 && matches!(bytes.get(at), Some(b' ' | b'-')) {
            at += 1;
        }
        let byte = *bytes.get(at).filter(|byte| byte.is_ascii_alphanumeric())?;
        if place < 4 {
            head.push(byte)
        } else {
            remainder = modulo_97(remainder, byte)
        }
        at += 1;
    }
    let remainder = head.into_iter().fold(remainder, modulo_97);
    (remainder == 1 && !is_alphanumeric(bytes, at)).then_some(start..at)
}

fn modulo_97(remainder: u32, byte: u8) -> u32 {
    match byte {
        b'0'..=b'9' => (remainder * 10 + u32::from(byte - b'0')) % 97,
        letter => (remainder * 100 + u32::from(letter.to_ascii_uppercase().saturating_sub(b'A')) + 10) % 97,
    }
}
