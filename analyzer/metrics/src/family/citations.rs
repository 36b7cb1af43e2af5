//! What an answer cites: `citation` (whether it cites at all) and `citation_valid` (the share of its citations that occur
//! in the request).
//!
//! A citation is an address (`https://…`), an identifier in brackets (`[doc-12]`, `[1]`, `【4†source】`), or a target of a
//! Markdown link. It is valid when the request, that is the messages with whatever context was retrieved for them, holds the same address, the same
//! identifier in brackets, or the identifier as a word of its own (a number only behind `id`, `doc`, `source`, `#`, or at
//! the beginning of a line, since numbers stand everywhere). A JSON list is no citation: answers in JSON are searched
//! only inside their texts. The text of shadow answers is held against the request of their primary leg.
//!
//! Limit: [`CITATIONS_MAX`] of an answer and [`KNOWN_MAX`] identifiers of a request; what comes later does not count.

use std::collections::BTreeSet;

use serde_json::Value;
use weir_gate::Better;
use xxhash_rust::xxh3::xxh3_64;

use super::{amount, flag};
use crate::answer::Answer;
use crate::metric::{Assembled, Metric, SHARE, ValueOf};

/// Most citations of one answer that are looked at.
pub(crate) const CITATIONS_MAX: usize = 64;
/// Most identifiers and addresses of one request that are kept.
pub(crate) const KNOWN_MAX: usize = 2_048;
const IDENTIFIER_CHARACTERS_MAX: usize = 64;
const CITATION_BYTES_MAX: usize = 1_024;

pub(crate) fn metrics() -> Vec<Metric> {
    let mut cites =
        amount("citation", "share", Better::Higher, |answer| Some(flag(!of_answer(answer)?.is_empty())));
    cites.bounds = SHARE;
    vec![
        cites,
        Metric {
            name: "citation_valid".to_owned(),
            unit: "share".into(),
            better: Better::Higher,
            bounds: SHARE,
            value: ValueOf::Assembled(Assembled::CitationValid),
            needs_control: None,
        },
    ]
}

/// Hashes of what an answer cites, in order, each once; nothing where there is no answer.
pub(crate) fn of_answer(answer: &Answer<'_>) -> Option<Vec<u64>> {
    let text = answer.text.as_ref()?;
    let mut found = Found::default();
    match &text.json {
        Some(json) => strings(json, &mut |text| found.cited_in(text)),
        None => found.cited_in(answer.body?),
    }
    Some(found.hashes)
}

/// Hashes of everything in a request that an answer may cite, sorted.
pub(crate) fn of_request(text: &str) -> Vec<u64> {
    let mut known: BTreeSet<u64> = BTreeSet::new();
    for address in addresses(text) {
        known.insert(hash(address));
    }
    for (inside, _) in bracketed(text) {
        known.insert(hash(inside));
    }
    for line in text.lines() {
        let mut announced = true;
        for word in line.split(separates) {
            let word =
                word.trim_matches(|c| matches!(c, '.' | ':' | '!' | '?' | '*' | '#' | '-' | '\u{3002}'));
            if word.is_empty() {
                continue;
            }
            let number = word.bytes().all(|byte| byte.is_ascii_digit());
            let plain = word.bytes().all(|byte| byte.is_ascii_lowercase());
            if (!number && !plain && is_identifier(word)) || (number && announced) {
                known.insert(hash(word));
            }
            announced = announces(word);
            if known.len() >= KNOWN_MAX {
                return known.into_iter().collect();
            }
        }
    }
    known.into_iter().collect()
}

/// Whether a character stands between words of a request.
fn separates(c: char) -> bool {
    let of_ascii =
        matches!(c, '"' | '\'' | '`' | ',' | ';' | '(' | ')' | '[' | ']' | '{' | '}' | '<' | '>' | '=');
    of_ascii || c.is_whitespace()
}

/// Whether a number behind this word is an identifier.
fn announces(word: &str) -> bool {
    const WORDS: [&str; 9] =
        ["id", "ids", "doc", "document", "source", "ref", "reference", "chunk", "passage"];
    let ending = word.len().checked_sub(3).and_then(|at| word.get(at..));
    WORDS.iter().any(|known| word.eq_ignore_ascii_case(known))
        || ending
            .is_some_and(|ending| ending.eq_ignore_ascii_case("_id") || ending.eq_ignore_ascii_case("-id"))
}

/// The share of citations that are known; nothing where there are none.
#[allow(clippy::cast_precision_loss)] // at most CITATIONS_MAX
pub(crate) fn valid(cited: &[u64], known: &[u64]) -> Option<f64> {
    let here = cited.iter().filter(|cited| known.binary_search(cited).is_ok()).count();
    (!cited.is_empty()).then(|| here as f64 / cited.len() as f64)
}

#[derive(Default)]
struct Found {
    hashes: Vec<u64>,
}

impl Found {
    fn cited_in(&mut self, text: &str) {
        for address in addresses(text) {
            self.add(address);
        }
        for (inside, is_link) in bracketed(text) {
            if !is_link && is_identifier(inside) {
                self.add(inside);
            }
        }
    }

    fn add(&mut self, cited: &str) {
        let hash = hash(cited);
        if self.hashes.len() < CITATIONS_MAX && !self.hashes.contains(&hash) {
            self.hashes.push(hash);
        }
    }
}

/// Case and a closing slash make no difference.
fn hash(cited: &str) -> u64 {
    xxh3_64(cited.trim_end_matches('/').to_lowercase().as_bytes())
}

/// Addresses in a text, without what follows them in a sentence.
fn addresses(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("http").filter_map(|(at, _)| {
        let rest = head(text, at);
        let host = rest.strip_prefix("https://").or_else(|| rest.strip_prefix("http://"))?;
        let end =
            host.find(|c: char| c.is_whitespace() || "\"'<>()[]{}|`\\".contains(c)).unwrap_or(host.len());
        let length = rest.len() - host.len() + end;
        let address = rest.get(..length)?.trim_end_matches(['.', ',', ';', ':', '!', '?', '*']);
        (!host.is_empty() && end > 0).then_some(address)
    })
}

/// What stands in brackets, and whether it is the text of a Markdown link. `【4†source】` is cited as `4`.
fn bracketed(text: &str) -> impl Iterator<Item = (&str, bool)> {
    text.char_indices().filter(|(_, c)| *c == '[' || *c == '【').flat_map(move |(at, open)| {
        let close = if open == '[' { ']' } else { '】' };
        let rest = head(text, at + open.len_utf8());
        let inside = rest.find(close).and_then(|end| rest.get(..end)).unwrap_or_default();
        let link = rest.get(inside.len() + close.len_utf8()..).is_some_and(|after| after.starts_with('('));
        let inside = inside.split('†').next().unwrap_or_default();
        // `[1, 2]` cites two.
        inside.split([',', ';']).map(move |part| (part.trim().trim_start_matches('^'), link))
    })
}

/// The text from `at` on, no further than a citation reaches, so that hostile texts cost no more than others.
fn head(text: &str, at: usize) -> &str {
    let rest = text.get(at..).unwrap_or_default();
    rest.get(..rest.floor_char_boundary(CITATION_BYTES_MAX)).unwrap_or_default()
}

/// One word with a digit or a sign in it, not too long: `1`, `doc-12`, `KB0042`, `handbook.md`.
fn is_identifier(word: &str) -> bool {
    let fits = |c: char| c.is_alphanumeric() || "-_./:#".contains(c);
    let telling = |c: char| c.is_numeric() || "-_./:#".contains(c);
    !word.is_empty()
        && word.chars().count() <= IDENTIFIER_CHARACTERS_MAX
        && word.chars().all(fits)
        && word.chars().any(telling)
        && word.chars().any(char::is_alphanumeric)
}

/// Every text inside a JSON value.
fn strings(value: &Value, found: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) if is_identifier(text) => found(&format!("[{text}]")),
        Value::String(text) => found(text),
        Value::Array(items) => items.iter().for_each(|item| strings(item, found)),
        Value::Object(fields) => {
            for (name, value) in fields {
                // Identifiers count where the field says that they are sources; elsewhere they are data.
                let sources = ["cit", "source", "ref"].iter().any(|word| name.to_lowercase().contains(word));
                match value {
                    Value::String(text) if !sources && is_identifier(text) => {}
                    Value::Number(number) if sources => found(&format!("[{number}]")),
                    Value::Array(items) if sources => {
                        for item in items {
                            match item {
                                Value::Number(number) => found(&format!("[{number}]")),
                                item => strings(item, found),
                            }
                        }
                    }
                    value => strings(value, found),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    const REQUEST: &str = "Answer from these documents.\n[1] Returns: see https://shop.example/returns.\n\
                           doc-12: Shipping takes 3 days.\n{\"id\": \"KB0042\", \"source_id\": 77, \"text\": \"Opening hours\"}\n\
                           Question: how long do 5 parcels take?";

    fn validity(answer: &str) -> Option<f64> {
        let answer = Answer::default().with_text(Some(answer));
        valid(&of_answer(&answer)?, &of_request(REQUEST))
    }

    #[test]
    fn citations_that_occur_in_the_request_are_valid() {
        let cases = [
            ("Three days [doc-12].", Some(1.0)),
            ("You can return it [1].", Some(1.0)),
            ("See https://shop.example/returns/.", Some(1.0)),
            ("See [our page](https://shop.example/returns).", Some(1.0)),
            ("Three days 【doc-12†source】, open [KB0042].", Some(1.0)),
            ("As the notes say [77].", Some(1.0)),
            ("Three days [doc-13].", Some(0.0)),
            ("Parcels [5].", Some(0.0)),
            ("See https://shop.example/refunds.", Some(0.0)),
            ("Three days [doc-12, doc-99].", Some(0.5)),
            ("{\"answer\": \"three days\", \"citations\": [\"doc-12\", \"doc-99\"]}", Some(0.5)),
            ("{\"answer\": \"three days\", \"sources\": [1]}", Some(1.0)),
            ("{\"answer\": \"three days\", \"order\": \"A-17\"}", None),
            ("Three days.", None),
            ("Take [this] and [that one].", None),
        ];
        for (answer, expected) in cases {
            assert_eq!(validity(answer), expected, "{answer}");
        }
    }

    #[test]
    fn an_answer_cites_or_does_not() {
        let metric = metrics().remove(0);
        for (text, expected) in [("Three days [doc-12].", 1.0), ("Three days.", 0.0), ("", 0.0)] {
            assert_eq!(metric.value(&Answer::default().with_text(Some(text))), Some(expected), "{text}");
        }
    }

    #[test]
    fn hostile_text_is_cheap_and_does_no_harm() {
        let answer = "[http://".repeat(8_000);
        assert!(validity(&answer).is_none_or(|share| share <= 1.0));
        assert!(of_request(&"[1] a-1 ".repeat(20_000)).len() <= KNOWN_MAX);
        assert!(of_answer(&Answer::default().with_text(Some(&"[x-1]".repeat(5_000)))).unwrap().len() == 1);
    }
}
