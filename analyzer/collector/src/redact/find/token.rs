//! Tokens: provider keys by their prefixes, JSON Web Tokens, authorization headers, private keys, and values of settings whose name
//! says that they are secret.
//!
//! Keys and JSON Web Tokens are long runs of a few characters, which prose does not have: their patterns are only tried on such
//! runs ([`long_runs`]). Invariant: every character of [`API_KEYS`] and of the pattern of tokens is one of a run ([`is_of_run`]),
//! and none of them matches fewer than [`TOKEN_BYTES_MIN`].

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::{Match, Regex};

use super::Span;
use crate::redact::secret::Secret;

const KEY_BEGIN: &str = "-----BEGIN ";
const KEY_END: &str = "-----END ";
const KEY_LABEL_BYTES_MAX: usize = 64;
const KEY_LINE_BYTES_MIN: usize = 24;
/// The shortest text that a pattern of this module matches: `Basic` with eight characters.
const TOKEN_BYTES_MIN: usize = 14;
/// Shorter values of settings are words.
const VALUE_BYTES_MIN: usize = 16;
const VALUE_BYTES_MAX: usize = 4_096;
const NAME_BYTES_MAX: usize = 48;
/// Ends of the names of settings that hold secrets, without `_`, `-` and spaces.
const NAMES: [&[u8]; 16] = [
    b"apikey",
    b"secret",
    b"secretkey",
    b"token",
    b"password",
    b"passwd",
    b"pwd",
    b"passphrase",
    b"accesskey",
    b"accountkey",
    b"subscriptionkey",
    b"privatekey",
    b"authkey",
    b"sharedkey",
    b"credential",
    b"sig",
];

/// Prefixes, each with what follows it; all ASCII, without Unicode tables.
const API_KEYS: [&str; 43] = [
    r"\bsk-[A-Za-z0-9_-]{16,}",               // OpenAI, Anthropic, OpenRouter, DeepSeek
    r"[srp]k_(?:live|test)_[A-Za-z0-9]{16,}", // Stripe
    r"whsec_[A-Za-z0-9+/=]{16,}",
    r"gh[pousr]_[A-Za-z0-9]{20,}", // GitHub
    r"github_pat_[A-Za-z0-9_]{20,}",
    r"gl(?:pat|ptt|dt|rt|rtr|cbt|soat|ft|imt|agent|oas)-[A-Za-z0-9_.-]{16,}", // GitLab
    r"(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA)[A-Z0-9]{16}",                         // AWS
    r"ABSK[A-Za-z0-9+/=]{40,}",
    r"bedrock-api-key-[A-Za-z0-9+/=]{20,}",
    r"(?:FwoG|IQoJ)[A-Za-z0-9/+=]{60,}",
    r"AIza[A-Za-z0-9_-]{30,}", // Google
    r"ya29\.[A-Za-z0-9_-]{20,}",
    r"GOCSPX-[A-Za-z0-9_-]{20,}",
    r"1//0[A-Za-z0-9_-]{30,}",
    r"xox[abeoprs]-[A-Za-z0-9-]{10,}", // Slack
    r"xoxe\.xox[bp]-[A-Za-z0-9-]{10,}",
    r"xapp-[0-9]-[A-Za-z0-9-]{10,}",
    r"hooks\.slack\.com/services/[A-Za-z0-9/]{20,}",
    r"hf_[A-Za-z0-9]{20,}", // Hugging Face
    r"api_org_[A-Za-z0-9]{20,}",
    r"gsk_[A-Za-z0-9]{20,}", // Groq
    r"xai-[A-Za-z0-9]{20,}",
    r"pplx-[A-Za-z0-9]{20,}",
    r"r8_[A-Za-z0-9]{30,}", // Replicate
    r"nvapi-[A-Za-z0-9_-]{20,}",
    r"lsv2_[a-z]{2}_[A-Za-z0-9_]{20,}", // LangSmith
    r"pcsk_[A-Za-z0-9_]{20,}",          // Pinecone
    r"dapi[a-f0-9]{32}",                // Databricks
    r"hv[sb]\.[A-Za-z0-9_-]{20,}",      // Vault
    r"npm_[A-Za-z0-9]{30,}",
    r"pypi-[A-Za-z0-9_-]{16,}",
    r"dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}",        // Docker
    r"do[opr]_v1_[a-f0-9]{30,}",                   // DigitalOcean
    r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{20,}", // SendGrid
    r"\b(?:SK|AC)[a-f0-9]{32}\b",                  // Twilio
    r"shp(?:at|ca|pa|ss)_[a-f0-9]{32}",            // Shopify
    r"lin_api_[A-Za-z0-9]{30,}",                   // Linear
    r"ntn_[A-Za-z0-9]{30,}",                       // Notion
    r"ATATT3[A-Za-z0-9_=-]{30,}",                  // Atlassian
    r"gl(?:c|sa)_[A-Za-z0-9+/=_]{30,}",            // Grafana
    r"tskey-[a-z]+-[A-Za-z0-9-]{16,}",             // Tailscale
    r"PMAK-[A-Za-z0-9-]{30,}",                     // Postman
    r"AGE-SECRET-KEY-1[A-Z0-9]{50,}",
];

/// Patterns that begin with anything; only tried where one of [`UNPREFIXED_MARKS`] is in the text.
const UNPREFIXED: [&str; 3] = [
    r"[A-Za-z0-9]{52}JQQJ9[9J][A-Za-z0-9]{20,}",       // Azure
    r"[A-Za-z0-9_~.-]{3}[78]Q~[A-Za-z0-9_~.-]{31,34}", // Azure
    r"\b[0-9]{8,10}:AA[A-Za-z0-9_-]{32,}",             // Telegram
];
const UNPREFIXED_MARKS: [&str; 3] = ["JQQJ9", "Q~", ":AA"];

/// The compiled patterns.
#[derive(Debug)]
pub(crate) struct Tokens {
    keys: Regex,
    unprefixed: Regex,
    jwt: Regex,
    authorization: Regex,
}

impl Tokens {
    pub(crate) fn new() -> Result<Self, regex::Error> {
        let any = |patterns: &[&str]| Regex::new(&format!("(?-u)(?:{})", patterns.join("|")));
        Ok(Self {
            keys: any(&API_KEYS)?,
            unprefixed: any(&UNPREFIXED)?,
            jwt: Regex::new(r"(?-u)eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){0,3}")?,
            authorization: Regex::new(
                r"(?-u)(?:([Bb]earer|BEARER)|[Bb]asic|BASIC)[ \t]+([A-Za-z0-9._~+/=-]{8,})",
            )?,
        })
    }

    pub(super) fn find(&self, text: &str, spans: &mut Vec<Span>) {
        // Most labels end here.
        if text.len() < TOKEN_BYTES_MIN {
            return;
        }
        let mut found = |range, secret| spans.push(Span { range, secret });
        private_keys(text, |range| found(range, Secret::PrivateKey));
        for run in long_runs(text) {
            let within = text.get(run.clone()).unwrap_or_default();
            let place = |matched: Match<'_>| run.start + matched.start()..run.start + matched.end();
            for key in self.keys.find_iter(within).filter(|key| !is_hyphenated_words(key.as_str())) {
                found(place(key), Secret::ApiKey);
            }
            self.jwt.find_iter(within).for_each(|token| found(place(token), Secret::Jwt));
        }
        if UNPREFIXED_MARKS.iter().any(|mark| text.contains(mark)) {
            self.unprefixed.find_iter(text).for_each(|key| found(key.range(), Secret::ApiKey));
        }
        for captures in self.authorization.captures_iter(text) {
            let (Some(whole), Some(value)) = (captures.get(0), captures.get(2)) else { continue };
            if captures.get(1).is_some() {
                if is_token(value.as_str()) || follows_authorization(text, whole.start()) {
                    found(value.range(), Secret::Bearer);
                }
            } else if is_user_and_password(value.as_str()) {
                found(value.range(), Secret::Basic);
            }
        }
    }
}

/// Whether keys and tokens have this character.
fn is_of_run(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'+' | b'/' | b'=')
}

/// The longest runs of such characters, those of at least [`TOKEN_BYTES_MIN`], ascending.
///
/// A run that long covers every place that lies a multiple of its length behind the last gap, so that most bytes of prose are not
/// looked at.
fn long_runs(text: &str) -> impl Iterator<Item = Range<usize>> {
    let bytes = text.as_bytes();
    let mut start = 0;
    std::iter::from_fn(move || {
        loop {
            let window = bytes.get(start..start + TOKEN_BYTES_MIN)?;
            if let Some(gap) = window.iter().rposition(|byte| !is_of_run(*byte)) {
                start += gap + 1;
                continue;
            }
            let rest = bytes.get(start..)?;
            let len = rest.iter().position(|byte| !is_of_run(*byte)).unwrap_or(rest.len());
            let run = start..start + len;
            start = run.end;
            return Some(run);
        }
    })
}

/// `sk-fading-circle-spinner` is the name of a style, not a key.
fn is_hyphenated_words(key: &str) -> bool {
    key.strip_prefix("sk-").is_some_and(|rest| {
        rest.contains('-') && rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
    })
}

/// Not a word: "the bearer certificates".
fn is_token(value: &str) -> bool {
    let has = |test: fn(&u8) -> bool| value.as_bytes().iter().any(test);
    has(u8::is_ascii_digit)
        || (value.len() >= VALUE_BYTES_MIN && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase))
}

fn follows_authorization(text: &str, at: usize) -> bool {
    let from = text.floor_char_boundary(at.saturating_sub(24));
    text.get(from..at).is_some_and(|context| context.to_ascii_lowercase().contains("authorization"))
}

fn is_user_and_password(value: &str) -> bool {
    let value = value.trim_end_matches('=');
    // A value that was cut off still has its user name.
    let whole = value.get(..value.len() / 4 * 4).unwrap_or_default();
    STANDARD
        .decode(whole)
        .is_ok_and(|bytes| bytes.contains(&b':') && bytes.iter().all(|byte| !byte.is_ascii_control()))
}

/// The value behind a `:` or `=` whose name says that it is secret: at least [`VALUE_BYTES_MIN`] bytes with letters and digits.
pub(super) fn assigned(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let gap = bytes
        .iter()
        .skip(at + 1)
        .take(4)
        .take_while(|byte| matches!(byte, b' ' | b'"' | b'\'' | b'\\'))
        .count();
    let start = at + 1 + gap;
    let is_value =
        |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b'/' | b'=' | b'~');
    if bytes.get(start + VALUE_BYTES_MIN - 1).is_none_or(|byte| !is_value(&byte)) {
        return None;
    }
    let len = bytes.iter().skip(start).take(VALUE_BYTES_MAX).take_while(is_value).count();
    let value = bytes.get(start..start + len)?;
    let has = |test: fn(&u8) -> bool| value.iter().any(test);
    let is_secret = len >= VALUE_BYTES_MIN && has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic);
    let is_code = matches!(bytes.get(start + len), Some(b'.' | b'(' | b'['))
        && bytes.get(start + len + 1).is_some_and(|byte| !byte.is_ascii_whitespace());
    (is_secret && !is_code && is_named_secret(bytes, at)).then_some(start..start + len)
}

fn is_named_secret(bytes: &[u8], at: usize) -> bool {
    let name = bytes.get(at.saturating_sub(NAME_BYTES_MAX)..at).unwrap_or_default();
    let name: Vec<u8> = name
        .iter()
        .rev()
        .skip_while(|byte| matches!(byte, b' ' | b'"' | b'\'' | b'\\' | b']'))
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b' '))
        .filter(|byte| byte.is_ascii_alphanumeric())
        .map(u8::to_ascii_lowercase)
        .collect();
    NAMES
        .iter()
        .any(|known| name.len() >= known.len() && known.iter().rev().eq(name.iter().take(known.len())))
}

/// From `-----BEGIN ... PRIVATE KEY-----` to its end line; to the end of the text where that is missing, and from the first line of
/// base64 where the beginning is.
fn private_keys(text: &str, mut found: impl FnMut(Range<usize>)) {
    if !text.contains("PRIVATE KEY") {
        return;
    }
    let mut from = 0;
    while let Some((begin, label_end)) = boundary(text, KEY_BEGIN, from) {
        let (end, next) = match boundary(text, KEY_END, label_end) {
            Some((_, end)) => (end, end),
            None => (text.len(), text.len()),
        };
        found(begin..end);
        from = next;
    }
    if let Some((end, label_end)) = boundary(text, KEY_END, from) {
        let len = key_lines(text.get(from..end).unwrap_or_default());
        found(end - len..label_end);
    }
}

/// How much of the end of a text are lines of base64; but for the last one they are long. Spaces stand for line feeds in headers.
fn key_lines(text: &str) -> usize {
    let is_gap = |character: char| matches!(character, ' ' | '\n' | '\r' | '\\');
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let mut rest = text.trim_end_matches(is_gap);
    let mut is_last = true;
    loop {
        let line = rest.bytes().rev().take_while(|byte| is_base64(*byte)).count();
        if line == 0 || (!is_last && line < KEY_LINE_BYTES_MIN) {
            return text.len() - rest.len();
        }
        is_last = false;
        let before = rest.get(..rest.len() - line).unwrap_or_default();
        rest = before.trim_end_matches(is_gap);
        if rest.len() == before.len() {
            return text.len() - rest.len();
        }
    }
}

/// The next boundary line of a private key: where it begins and ends.
fn boundary(text: &str, mark: &str, mut from: usize) -> Option<(usize, usize)> {
    loop {
        let begin = from + text.get(from..)?.find(mark)?;
        from = begin + mark.len();
        let rest = text.get(from..)?;
        match rest.find("-----").filter(|end| *end <= KEY_LABEL_BYTES_MAX) {
            Some(end) if rest.get(..end)?.contains("PRIVATE KEY") => return Some((begin, from + end + 5)),
            // Cut off within the line.
            None if rest.len() <= KEY_LABEL_BYTES_MAX && rest.contains("PRIVATE KEY") => {
                return Some((begin, text.len()));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use std::sync::LazyLock;

    use super::*;
    use proptest::prelude::*;

    /// Patterns over the whole text, which the runs only spare time against.
    fn over_the_whole(tokens: &Tokens, text: &str) -> Vec<(usize, usize)> {
        let keys = tokens.keys.find_iter(text).filter(|key| !is_hyphenated_words(key.as_str()));
        let all = keys.chain(tokens.jwt.find_iter(text));
        sorted(all.map(|found| (found.start(), found.end())).collect())
    }

    fn over_the_runs(tokens: &Tokens, text: &str) -> Vec<(usize, usize)> {
        let mut spans = Vec::new();
        tokens.find(text, &mut spans);
        let is_asked = |span: &Span| matches!(span.secret, Secret::ApiKey | Secret::Jwt);
        sorted(
            spans
                .iter()
                .filter(|span| is_asked(span))
                .map(|span| (span.range.start, span.range.end))
                .collect(),
        )
    }

    fn sorted(mut ranges: Vec<(usize, usize)>) -> Vec<(usize, usize)> {
        ranges.sort_unstable();
        ranges
    }

    #[test]
    fn runs_are_the_longest_ones_of_their_characters() {
        let runs = |text: &str| long_runs(text).map(|run| text[run].to_owned()).collect::<Vec<_>>();
        assert_eq!(runs("a short word, and_a-long.run+of/x= end"), ["and_a-long.run+of/x="]);
        assert_eq!(runs("0123456789abcd\"0123456789abc"), ["0123456789abcd"]);
        assert_eq!(runs("é0123456789abcdé 0123456789abcdef"), ["0123456789abcd", "0123456789abcdef"]);
        assert_eq!(runs("0123456789abc"), Vec::<String>::new());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn runs_miss_nothing_that_the_patterns_find_in_the_whole_text(
            text in r#"(sk-|AKIA|eyJ|xoxb-|ghp_|SK|AC|SG\.|hooks\.slack\.com/services/|[a-f0-9]{32}|[A-Z0-9]{16}|[A-Za-z0-9_-]{6,24}|[A-Za-z0-9+/=_.-]{1,3}|[ \n":@,é]){0,12}"#,
        ) {
            static TOKENS: LazyLock<Tokens> = LazyLock::new(|| Tokens::new().unwrap());
            prop_assert_eq!(over_the_runs(&TOKENS, &text), over_the_whole(&TOKENS, &text));
        }
    }
}
