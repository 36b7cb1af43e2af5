//! Telephone numbers: international with `+` or `00`, North American, national with a leading 0, and runs of digits behind a word
//! such as `phone:`.
//!
//! Ordinary numbers stay: without `+` or such a word a number needs the groups of a telephone number, and dates, times, amounts and
//! parts of longer tokens are left alone.

use std::ops::Range;

use super::{before, is_alphanumeric, is_digit};

const GROUPS_MAX: usize = 8;
/// How far before a number a word such as `phone` may stand, bytes.
const CONTEXT_BYTES_MAX: usize = 32;
/// Words that make the digits behind them a telephone number.
const WORDS: [&str; 15] = [
    "phone",
    "telephone",
    "tel",
    "telefon",
    "telefono",
    "mobile",
    "mobil",
    "cell",
    "cellphone",
    "handy",
    "fax",
    "whatsapp",
    "sms",
    "msisdn",
    "call",
];
/// Words between those and the number.
const FILLERS: [&str; 7] = ["number", "no", "nr", "is", "at", "me", "us"];

/// Groups of digits with single separators between them.
#[derive(Default)]
struct Groups {
    count: usize,
    lens: [usize; GROUPS_MAX],
    separators: [u8; GROUPS_MAX],
    ends: [usize; GROUPS_MAX],
}

impl Groups {
    fn read(bytes: &[u8], start: usize) -> Self {
        let mut groups = Self::default();
        let mut at = start;
        while let (Some(len), Some(end)) =
            (groups.lens.get_mut(groups.count), groups.ends.get_mut(groups.count))
        {
            let digits = bytes.iter().skip(at).take_while(|byte| byte.is_ascii_digit()).count();
            (*len, *end) = (digits, at + digits);
            at += digits;
            groups.count += 1;
            let separator = bytes.get(at).copied().filter(|byte| matches!(byte, b' ' | b'-' | b'.' | b'/'));
            let Some(separator) = separator.filter(|_| is_digit(bytes, at + 1)) else { break };
            if let Some(slot) = groups.separators.get_mut(groups.count - 1) {
                *slot = separator;
            }
            at += 1;
        }
        groups
    }

    fn lens(&self) -> &[usize] {
        self.lens.get(..self.count).unwrap_or_default()
    }

    /// The separators between the first groups.
    fn separators(&self, groups: usize) -> &[u8] {
        self.separators.get(..groups.saturating_sub(1)).unwrap_or_default()
    }

    /// Where the first groups end, if what follows does not belong to them.
    fn end(&self, bytes: &[u8], groups: usize) -> Option<usize> {
        let end = *self.ends.get(groups.checked_sub(1)?)?;
        let goes_on = groups < self.count && self.separators.get(groups - 1) != Some(&b' ');
        let clear = match bytes.get(end) {
            Some(b':' | b',' | b'.') => !is_digit(bytes, end + 1),
            Some(b'%' | b'_') => false,
            _ => !is_alphanumeric(bytes, end),
        };
        (clear && !goes_on).then_some(end)
    }
}

/// A number that begins with a digit.
pub(super) fn national(bytes: &[u8], start: usize) -> Option<Range<usize>> {
    let previous = before(bytes, start);
    if previous.is_some_and(|byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'/' | b'+' | b'(')
    }) {
        return behind_word(bytes, start);
    }
    let groups = Groups::read(bytes, start);
    north_american(bytes, &groups, start)
        .or_else(|| leading_zero(bytes, &groups, start))
        .map(|end| start..end)
        .or_else(|| behind_word(bytes, start))
}

/// A number that begins with `+` or a parenthesis.
pub(super) fn marked(bytes: &[u8], start: usize) -> Option<Range<usize>> {
    if before(bytes, start).is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'+') {
        return None;
    }
    let end = if bytes.get(start) == Some(&b'+') {
        international(bytes, start + 1)
    } else {
        area_in_parentheses(bytes, start)
    };
    end.map(|end| start..end)
}

/// `415-555-2671`, `415.555.2671`, `415 555 2671`, with or without `1` before it.
fn north_american(bytes: &[u8], groups: &Groups, start: usize) -> Option<usize> {
    let skip = usize::from(groups.lens().first() == Some(&1) && bytes.get(start) == Some(&b'1'));
    let lens = groups.lens().get(skip..skip + 3)?;
    let separators = groups.separators(skip + 3).get(skip..)?;
    let area = start + 2 * skip;
    let same = separators.first() == separators.get(1) && separators.first() != Some(&b'/');
    (lens == [3, 3, 4] && same && is_exchange(bytes, area) && is_exchange(bytes, area + 4))
        .then(|| groups.end(bytes, skip + 3))
        .flatten()
}

/// An area or exchange code: 2 to 9 first, and not `x11`.
fn is_exchange(bytes: &[u8], at: usize) -> bool {
    matches!(bytes.get(at), Some(b'2'..=b'9')) && bytes.get(at + 1..at + 3) != Some(b"11")
}

/// `030 1234567`, `0170-1234567`, `089/12345678`, `020 7946 0958`, `01.23.45.67.89`, `0049 170 1234567`.
fn leading_zero(bytes: &[u8], groups: &Groups, start: usize) -> Option<usize> {
    if bytes.get(start) != Some(&b'0') {
        return None;
    }
    let is_00 = bytes.get(start + 1) == Some(&b'0');
    let country = if is_00 { start + 2 } else { start + 1 };
    if !matches!(bytes.get(country), Some(b'1'..=b'9')) {
        return None;
    }
    (2..=groups.count).rev().find_map(|count| {
        let lens = groups.lens().get(..count)?;
        let separators = groups.separators(count);
        let digits: usize = lens.iter().sum();
        let pairs =
            lens == [2; 5] && separators.iter().all(|separator| Some(separator) == separators.first());
        let slashes = separators.iter().filter(|separator| **separator == b'/').count();
        let is_date = matches!(lens, [2, 2, 4, ..] | [2, 2, 2, ..]) && !pairs;
        let grouped = !separators.contains(&b'.')
            && (slashes == 0 || (slashes == 1 && separators.first() == Some(&b'/')))
            && lens.iter().all(|len| *len >= 2)
            && lens.first().is_some_and(|len| *len <= 5)
            && !is_date;
        let range = if is_00 { 10..=17 } else { 9..=12 };
        ((grouped || pairs) && range.contains(&digits)).then(|| groups.end(bytes, count)).flatten()
    })
}

/// Behind `+`: a country code, 8 to 15 digits, with spaces, hyphens, dots, slashes and parentheses between them.
fn international(bytes: &[u8], start: usize) -> Option<usize> {
    let mut digits = [0_u8; 15];
    let mut count = 0;
    let mut optional_zero = false;
    let mut end = start;
    let mut at = start;
    loop {
        let space = usize::from(bytes.get(at) == Some(&b' '));
        if !optional_zero && bytes.get(at + space..at + space + 3) == Some(b"(0)") {
            optional_zero = true;
            at += space + 3;
        }
        let Some(byte) = bytes.get(at) else { break };
        if byte.is_ascii_digit() {
            // More than any telephone number has.
            *digits.get_mut(count)? = byte - b'0';
            (count, at) = (count + 1, at + 1);
            end = at;
            continue;
        }
        let separators = bytes
            .iter()
            .skip(at)
            .take_while(|byte| matches!(byte, b' ' | b'-' | b'.' | b'/' | b'(' | b')'))
            .count();
        if separators == 0 || separators > 2 || !is_digit(bytes, at + separators) {
            break;
        }
        at += separators;
    }
    let digits = digits.get(..count)?;
    let country = country_digits(digits)?;
    let first = *digits.get(country)?;
    let is_number = match digits.first()? {
        1 => count == 11 && first >= 2,
        // Italy keeps the zero.
        3 if digits.get(1) == Some(&9) => count >= 8,
        _ => count >= 8 && first != 0,
    };
    let goes_on = is_alphanumeric(bytes, end) || (bytes.get(end) == Some(&b',') && is_digit(bytes, end + 1));
    (!goes_on && (is_number || (optional_zero && count >= 8))).then_some(end)
}

/// How many digits the country code has (ITU-T E.164).
fn country_digits(digits: &[u8]) -> Option<usize> {
    let first = *digits.first()?;
    let second = *digits.get(1)?;
    match (first, second) {
        (1 | 7, _) => Some(1),
        (2, 0 | 7)
        | (3, 0..=4 | 6 | 9)
        | (4, 0 | 1 | 3..=9)
        | (5, 1..=8)
        | (6, 0..=6)
        | (8, 1 | 2 | 4 | 6)
        | (9, 0..=5 | 8) => Some(2),
        (0, _) | (2, 8) | (8, 3 | 9) => None,
        _ => Some(3),
    }
}

/// `(415) 555-2671`, `(030) 1234567`.
fn area_in_parentheses(bytes: &[u8], start: usize) -> Option<usize> {
    let area = bytes.iter().skip(start + 1).take_while(|byte| byte.is_ascii_digit()).count();
    let close = start + 1 + area;
    if !(2..=5).contains(&area) || bytes.get(close) != Some(&b')') {
        return None;
    }
    let rest = close + 1 + usize::from(bytes.get(close + 1) == Some(&b' '));
    if !is_digit(bytes, rest) {
        return None;
    }
    let groups = Groups::read(bytes, rest);
    if groups.lens().get(..2) == Some(&[3, 4]) && area == 3 && is_exchange(bytes, start + 1) {
        return groups.end(bytes, 2);
    }
    let is_national =
        bytes.get(start + 1) == Some(&b'0') && matches!(bytes.get(start + 2), Some(b'1'..=b'9'));
    (1..=groups.count).rev().find_map(|count| {
        let digits = area + groups.lens().get(..count)?.iter().sum::<usize>();
        (is_national && (9..=12).contains(&digits)).then(|| groups.end(bytes, count)).flatten()
    })
}

/// 7 to 15 digits, in groups or not, behind `phone:`, `tel. no`, `"mobile":"`, `call me at`.
fn behind_word(bytes: &[u8], start: usize) -> Option<Range<usize>> {
    let run = bytes
        .iter()
        .skip(start)
        .take(8)
        .take_while(|byte| byte.is_ascii_digit() || matches!(byte, b' ' | b'-' | b'.' | b'/'));
    if run.count() < 7 || !follows_word(bytes, start) {
        return None;
    }
    let groups = Groups::read(bytes, start);
    (1..=groups.count).rev().find_map(|count| {
        let digits: usize = groups.lens().get(..count)?.iter().sum();
        let end = groups.end(bytes, count)?;
        (7..=15).contains(&digits).then_some(start..end)
    })
}

fn follows_word(bytes: &[u8], start: usize) -> bool {
    let from = start.saturating_sub(CONTEXT_BYTES_MAX);
    let context: String = bytes
        .get(from..start)
        .unwrap_or_default()
        .iter()
        .map(|byte| char::from(byte.to_ascii_lowercase()))
        .collect();
    let is_gap = |character: char| !character.is_ascii_alphanumeric();
    let mut words = context.trim_end_matches(is_gap).rsplit(is_gap);
    // One line, and no other sentence in between.
    let gap = context.len() - context.trim_end_matches(is_gap).len();
    if gap == 0 || gap > 4 || context.get(context.len() - gap..).is_some_and(|gap| gap.contains('\n')) {
        return false;
    }
    for _ in 0..3 {
        match words.next() {
            Some(word) if WORDS.contains(&word) => return true,
            Some(word) if word.is_empty() || FILLERS.contains(&word) => {}
            _ => return false,
        }
    }
    words.next().is_some_and(|word| WORDS.contains(&word))
}
