//! Redaction of rows before they touch a disk.
//!
//! Covered: e-mail addresses, card numbers (13 to 19 digits, Luhn), bearer tokens, API keys of common providers, JSON Web
//! Tokens, private keys. Each find becomes `[redacted:<kind>]`; it applies to every text column and to tags. Identifiers and
//! labels in which something is found become `redacted-<hash of the whole>`, so that legs still join; that hides the value from
//! a reader, not from someone who can guess it.
//! Limits: patterns are bounded and run in linear time. Not covered: secrets that are escaped (`\u0040`), phone numbers, IBANs,
//! the operator's own patterns.
//! Invariants: redacting twice changes nothing more; text without finds is not copied.

use std::borrow::Cow;
use std::collections::BTreeMap;

use regex::{Captures, Regex};
use weir_sample::{Access, Record};
use xxhash_rust::xxh3::xxh3_128;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Secret {
    /// An e-mail address.
    Email,
    /// A payment card number with a valid check digit.
    Card,
    /// The token of an `Authorization: Bearer` line.
    Bearer,
    /// A provider's key: OpenAI, Anthropic, GitHub, GitLab, AWS, Google, Slack, Stripe, Hugging Face.
    ApiKey,
    /// A JSON Web Token.
    Jwt,
    /// A PEM private key.
    PrivateKey,
}

/// How often each kind was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Finds([u64; Secret::ALL.len()]);

/// The compiled patterns.
#[derive(Debug)]
pub struct Redactor {
    jwt: Regex,
    api_key: Regex,
    bearer: Regex,
    email: Regex,
}

/// Looks at a text; the last one normally finds nothing.
const PASSES_MAX: usize = 6;
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;
const KEY_BEGIN: &str = "-----BEGIN ";
const KEY_END: &str = "-----END ";
const KEY_LABEL_BYTES_MAX: usize = 64;

impl Secret {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Email, Self::Card, Self::Bearer, Self::ApiKey, Self::Jwt, Self::PrivateKey];

    /// The name in marks and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Card => "card",
            Self::Bearer => "bearer",
            Self::ApiKey => "api_key",
            Self::Jwt => "jwt",
            Self::PrivateKey => "private_key",
        }
    }
}

impl Finds {
    /// Finds of one kind.
    pub fn of(&self, secret: Secret) -> u64 {
        self.0.get(secret as usize).copied().unwrap_or(0)
    }

    /// Finds of all kinds.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }

    fn count(&mut self, secret: Secret) {
        if let Some(count) = self.0.get_mut(secret as usize) {
            *count += 1;
        }
    }
}

impl Redactor {
    /// Compiles the patterns.
    ///
    /// # Errors
    /// A pattern does not compile; nothing may be collected then.
    pub fn new() -> Result<Self, regex::Error> {
        // All ASCII, without Unicode tables: `(?-u)`.
        Ok(Self {
            jwt: Regex::new(r"(?-u)eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]*")?,
            api_key: Regex::new(concat!(
                r"(?-u)(?:\bsk-[A-Za-z0-9_-]{16,}|[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{20,}",
                r"|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}|(?:AKIA|ASIA)[A-Z0-9]{16}",
                r"|AIza[A-Za-z0-9_-]{30,}|xox[abeoprs]-[A-Za-z0-9-]{10,}|hf_[A-Za-z0-9]{20,})",
            ))?,
            bearer: Regex::new(r"(?-u)([Bb]earer|BEARER)([ \t]+)[A-Za-z0-9._~+/=-]{8,}")?,
            email: Regex::new(
                r"(?-u)[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b",
            )?,
        })
    }

    /// Redacts every text of a row.
    pub fn redact_row<R: Record>(&self, row: &mut R, finds: &mut Finds) {
        for column in R::COLUMNS {
            match &column.access {
                Access::Text { get, set } => {
                    if let Some(Cow::Owned(text)) = get(row).map(|text| self.redact(text, finds)) {
                        set(row, text);
                    }
                }
                Access::Label { get, set } => {
                    if let Some(Some(label)) = get(row).map(|label| self.pseudonym(label, finds)) {
                        set(row, label);
                    }
                }
                Access::Tags { get, set } => {
                    if let Some(tags) = self.redact_tags(get(row), finds) {
                        set(row, tags);
                    }
                }
                _ => {}
            }
        }
    }

    /// Redacts text; borrowed when nothing was found.
    pub fn redact<'a>(&self, text: &'a str, finds: &mut Finds) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        // A mark can lay bare another secret that was glued to it, so what changed is looked at again.
        for _ in 0..PASSES_MAX {
            let before = finds.total();
            text = self.pass(text, finds);
            if finds.total() == before {
                break;
            }
        }
        text
    }

    fn pass<'a>(&self, text: Cow<'a, str>, finds: &mut Finds) -> Cow<'a, str> {
        let mut text = private_keys(text, finds);
        for (pattern, secret) in [
            (&self.jwt, Secret::Jwt),
            (&self.api_key, Secret::ApiKey),
            (&self.bearer, Secret::Bearer),
            (&self.email, Secret::Email),
        ] {
            text = replace(text, pattern, secret, finds);
        }
        cards(text, finds)
    }

    fn pseudonym(&self, label: &str, finds: &mut Finds) -> Option<String> {
        match self.redact(label, finds) {
            Cow::Borrowed(_) => None,
            Cow::Owned(_) => Some(format!("redacted-{:032x}", xxh3_128(label.as_bytes()))),
        }
    }

    fn redact_tags(
        &self,
        tags: &BTreeMap<String, String>,
        finds: &mut Finds,
    ) -> Option<BTreeMap<String, String>> {
        let before = finds.total();
        let redacted = tags
            .iter()
            .map(|(name, value)| {
                (self.redact(name, finds).into_owned(), self.redact(value, finds).into_owned())
            })
            .collect();
        (finds.total() > before).then_some(redacted)
    }
}

fn replace<'a>(text: Cow<'a, str>, pattern: &Regex, secret: Secret, finds: &mut Finds) -> Cow<'a, str> {
    let mark = |captures: &Captures<'_>| {
        finds.count(secret);
        let kept = |group| captures.get(group).map_or("", |found| found.as_str());
        format!("{}{}[redacted:{}]", kept(1), kept(2), secret.as_str())
    };
    let replaced = match pattern.replace_all(&text, mark) {
        Cow::Borrowed(_) => None,
        Cow::Owned(replaced) => Some(replaced),
    };
    replaced.map_or(text, Cow::Owned)
}

/// From `-----BEGIN ... PRIVATE KEY-----` to its end line, or to the end of the text where that is missing.
fn private_keys<'a>(text: Cow<'a, str>, finds: &mut Finds) -> Cow<'a, str> {
    let mut redacted = String::new();
    let mut rest: &str = &text;
    while let Some(begin) = private_key_begin(rest) {
        finds.count(Secret::PrivateKey);
        let (before, key) = rest.split_at(begin);
        redacted.push_str(before);
        redacted.push_str("[redacted:private_key]");
        let body = key.get(KEY_BEGIN.len()..).unwrap_or_default();
        rest = match body.find(KEY_END) {
            None => "",
            Some(end) => {
                let after = body.get(end + KEY_END.len()..).unwrap_or_default();
                let close = after.find("-----").map_or(after.len(), |at| at + 5);
                after.get(close..).unwrap_or_default()
            }
        };
    }
    if redacted.is_empty() && rest.len() == text.len() {
        return text;
    }
    redacted.push_str(rest);
    Cow::Owned(redacted)
}

fn private_key_begin(text: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = text.get(from..)?.find(KEY_BEGIN) {
        let begin = from + at;
        from = begin + KEY_BEGIN.len();
        let label_end = text.get(from..)?.find("-----").filter(|end| *end <= KEY_LABEL_BYTES_MAX);
        if label_end
            .and_then(|end| text.get(from..from + end))
            .is_some_and(|label| label.contains("PRIVATE KEY"))
        {
            return Some(begin);
        }
    }
    None
}

/// Card numbers with or without single spaces or hyphens, also next to other groups of digits.
fn cards<'a>(text: Cow<'a, str>, finds: &mut Finds) -> Cow<'a, str> {
    let bytes = text.as_bytes();
    let mut redacted = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let starts = byte.is_ascii_digit() && (at == 0 || !is_digit(bytes, at - 1));
        match starts.then(|| card_end(bytes, at)).flatten() {
            Some(end) => {
                finds.count(Secret::Card);
                redacted.push_str(text.get(copied..at).unwrap_or_default());
                redacted.push_str("[redacted:card]");
                copied = end;
                at = end;
            }
            None => at += 1,
        }
    }
    if copied == 0 {
        return text;
    }
    redacted.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(redacted)
}

/// The end of the longest card number that begins here.
fn card_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut digits: Vec<u8> = Vec::with_capacity(*CARD_DIGITS.end());
    let mut end = None;
    let mut at = start;
    while digits.len() < *CARD_DIGITS.end() {
        let Some(digit) = bytes.get(at).filter(|byte| byte.is_ascii_digit()) else { break };
        digits.push(digit - b'0');
        at += 1;
        if CARD_DIGITS.contains(&digits.len()) && !is_digit(bytes, at) && is_card(&digits) {
            end = Some(at);
        }
        if matches!(bytes.get(at), Some(b' ' | b'-')) && is_digit(bytes, at + 1) {
            at += 1;
        }
    }
    end
}

/// The networks' first digits are 2 to 6; the rest is Luhn's check.
fn is_card(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match u32::from(*digit) * (1 + u32::from(place % 2 == 1)) {
            large if large > 9 => large - 9,
            small => small,
        })
        .sum();
    matches!(digits.first(), Some(2..=6)) && sum.is_multiple_of(10)
}

fn is_digit(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_some_and(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;
    use weir_sample::Sample;

    fn redact(text: &str) -> (String, Finds) {
        let mut finds = Finds::default();
        (Redactor::new().unwrap().redact(text, &mut finds).into_owned(), finds)
    }

    #[test]
    fn secrets_of_every_kind_are_marked_and_what_is_around_them_stays() {
        let cases = [
            ("write to jane.doe+x@mail.example.com.", "write to [redacted:email]."),
            ("card 4111 1111 1111 1111 12/27", "card [redacted:card] 12/27"),
            ("xghp_abcdefghijklmnopqrstuvwxyz0123456789", "x[redacted:api_key]"),
            ("2024-4111111111111111 ok", "2024-[redacted:card] ok"),
            ("Authorization: Bearer abcdef123456==", "Authorization: Bearer [redacted:bearer]"),
            ("key sk-proj-abcdEFGH1234567890xyz!", "key [redacted:api_key]!"),
            ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "[redacted:api_key]"),
            ("id=AKIAIOSFODNN7EXAMPLE;", "id=[redacted:api_key];"),
            ("t eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJ e", "t [redacted:jwt] e"),
            (
                "a -----BEGIN RSA PRIVATE KEY-----\\nMII\\n-----END RSA PRIVATE KEY----- b",
                "a [redacted:private_key] b",
            ),
            ("a -----BEGIN PRIVATE KEY-----\nMII cut", "a [redacted:private_key]"),
        ];
        for (text, expected) in cases {
            let (redacted, finds) = redact(text);
            assert_eq!(redacted, expected);
            assert_eq!(finds.total(), 1, "{text}");
        }
    }

    #[test]
    fn secrets_that_are_glued_together_are_all_marked() {
        let (redacted, finds) = redact("4111 1111 1111 1111sk-abcdefghijklmnopqrst");
        assert_eq!((redacted.as_str(), finds.total()), ("[redacted:card][redacted:api_key]", 2));
    }

    #[test]
    fn what_only_looks_like_a_secret_stays() {
        for text in [
            "4111 1111 1111 1112",
            "1767323045001000",
            "call me @ noon, a@b",
            "sk-short",
            "-----BEGIN PUBLIC KEY-----\nMII\n-----END PUBLIC KEY-----",
            "the bearer of news",
            "41111111111111111111111111111111",
        ] {
            assert_eq!(redact(text), (text.to_owned(), Finds::default()));
        }
    }

    #[test]
    fn every_text_of_a_row_is_redacted_and_identifiers_still_join() {
        let mut row = Sample {
            sample_id: "jane@example.com".into(),
            request_id: Some("4111111111111111".into()),
            response_text: Some("sk-abcdefghijklmnopqrst".into()),
            tags: [("mail".to_owned(), "joe@example.org".to_owned())].into(),
            path: Some("/v1?mail=joe@example.org".into()),
            ..Sample::default()
        };
        let mut other = Sample { sample_id: row.sample_id.clone(), ..Sample::default() };
        let (redactor, mut finds) = (Redactor::new().unwrap(), Finds::default());
        redactor.redact_row(&mut row, &mut finds);
        assert_eq!(finds.total(), 5);
        assert_eq!(finds.of(Secret::Email), 3);
        let shown = format!("{row:?}");
        for secret in ["jane", "joe@", "4111", "sk-abc"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        redactor.redact_row(&mut other, &mut finds);
        assert_eq!(row.sample_id, other.sample_id);
    }

    proptest! {
        #[test]
        fn redacting_twice_changes_nothing_more(text in "([a-z0-9@. -]|4111 1111 1111 1111|-----BEGIN PRIVATE KEY-----|-----END |Bearer abcdefgh){0,30}") {
            let (once, _) = redact(&text);
            prop_assert_eq!(redact(&once).0, once);
        }

        #[test]
        fn any_text_is_redacted_without_panic(text in any::<String>()) {
            let (redacted, finds) = redact(&text);
            prop_assert_eq!(redacted == text, finds.total() == 0);
        }
    }
}
