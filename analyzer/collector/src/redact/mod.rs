//! Redaction of rows before they touch a disk.
//!
//! Found ([`Secret`]): e-mail addresses, telephone numbers, card numbers, IBANs, addresses of the network, keys and tokens of
//! providers, authorization headers, passwords in URLs, JSON Web Tokens, private keys (also cut off), the operator's own patterns
//! and JSON paths. Each find is masked, hashed with a key, dropped or kept ([`Action`]). Looked at are all text columns, labels and
//! tags. Identifiers and labels in which something is found become `redacted-<hash of the whole>`, so that legs still join;
//! without a key that hides the value from a reader, not from someone who can guess it.
//!
//! A text is looked at as it is, with its escapes resolved (`view`), and, where it is a stream that nobody put together, over all
//! its events (`stream`); finds are then taken out of the text itself, so that the bytes that reach the log do not carry
//! them either. Raw bodies are never stored: a body is either text here or left out.
//!
//! Limits: patterns run in linear time; escapes are resolved three times. Not found: secrets in other encodings
//! (base64 but for `Basic` headers, HTML entities), written out (`jane at example dot com`), spread over several messages.
//! Invariants: redacting twice changes nothing more (but for the operator's own patterns, which may match marks); text
//! without finds is not copied; JSON stays JSON.

mod find;
mod json;
mod rules;
mod secret;
mod stream;
mod view;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use weir_sample::{Access, Record};
use xxhash_rust::xxh3::xxh3_128;

pub use rules::{FieldRule, HashKey, KEY_BYTES_MIN, PatternRule, Rules, Segment};
pub use secret::{Action, Finds, Secret};

use find::Tokens;
use json::Step;
pub(crate) use rules::Texts;
use view::View;

/// Finds secrets and takes them out.
#[derive(Debug)]
pub struct Redactor {
    tokens: Tokens,
    rules: Rules,
}

/// Looks at a text; the last one normally finds nothing.
const PASSES_MAX: usize = 6;
/// Columns that say where a leg was captured: addresses in them are the operator's own.
const PLACES: [&str; 2] = ["proxy", "worker"];

/// A part of a text that goes.
#[derive(Clone, Debug)]
struct Found {
    range: Range<usize>,
    secret: Secret,
    /// Which of the operator's rules.
    rule: usize,
    /// As its reader sees it; empty unless it is hashed.
    value: String,
    /// A later part of the same find: taken out, not counted.
    rest: bool,
    /// How many views lie between the find and the text.
    depth: usize,
}

impl Redactor {
    /// Compiles the patterns; every kind is masked.
    ///
    /// # Errors
    /// A pattern does not compile; nothing may be collected then.
    pub fn new() -> Result<Self, regex::Error> {
        Self::with(Rules::default())
    }

    /// Compiles the patterns, for the operator's rules.
    ///
    /// # Errors
    /// A pattern does not compile; nothing may be collected then.
    pub fn with(rules: Rules) -> Result<Self, regex::Error> {
        Ok(Self { tokens: Tokens::new()?, rules })
    }

    /// Redacts every text of a row; texts of bodies go altogether where the rules keep numbers only: at once, or, where their
    /// vectors are kept, when they are redacted, so that no vector shows whether a guessed secret was there.
    pub fn redact_row<R: Record>(&self, row: &mut R, finds: &mut Finds) {
        if self.rules.texts == Texts::Numbers {
            row.leave_out_text(false);
        }
        self.redact_columns(row, finds);
        if self.rules.texts == Texts::Vectors {
            row.leave_out_text(true);
        }
    }

    fn redact_columns<R: Record>(&self, row: &mut R, finds: &mut Finds) {
        for column in R::COLUMNS {
            match &column.access {
                Access::Text { get, set } => {
                    if let Some(Cow::Owned(text)) = get(row).map(|text| self.redact(text, finds)) {
                        set(row, text);
                    }
                }
                Access::Label { get, set } => {
                    let is_place = PLACES.contains(&column.name);
                    if let Some(Some(label)) = get(row).map(|label| self.pseudonym(label, is_place, finds)) {
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
        let mut redacted = Cow::Borrowed(text);
        // A mark can lay bare another secret that was glued to it, so what changed is looked at again.
        for pass in 0..PASSES_MAX {
            match self.pass(&redacted, pass == 0, finds) {
                Some(changed) => redacted = Cow::Owned(changed),
                None => break,
            }
        }
        redacted
    }

    fn pass(&self, text: &str, is_first: bool, finds: &mut Finds) -> Option<String> {
        let mut found = Vec::new();
        let decoded = View::decode(text);
        self.look(text, &[], is_first, &mut found);
        let mut chain: Vec<View> = decoded.into_iter().collect();
        if !chain.is_empty() {
            self.look_deeper(text, &mut chain, is_first, &mut found);
        }
        for view in stream::joined(text) {
            let mut parts = Vec::new();
            self.look_deeper(text, &mut vec![view], is_first, &mut parts);
            found.append(&mut parts);
        }
        if is_first {
            self.look_at_fields(text, &mut found);
        }
        if let Some(view) = chain.first() {
            align(&mut found, view);
        }
        (!found.is_empty()).then(|| self.replace(text, merged(found), finds))
    }

    /// Looks at the last view of the chain, and at what its escapes stand for.
    fn look_deeper(&self, text: &str, chain: &mut Vec<View>, is_first: bool, found: &mut Vec<Found>) {
        self.look(text, chain, is_first, found);
        if chain.len() < view::STEPS_MAX
            && let Some(next) = chain.last().and_then(|view| View::decode(view.text()))
        {
            chain.push(next);
            self.look_deeper(text, chain, is_first, found);
            chain.pop();
        }
    }

    fn look(&self, text: &str, chain: &[View], is_first: bool, found: &mut Vec<Found>) {
        let current = chain.last().map_or(text, View::text);
        let mut add = |range: Range<usize>, secret, rule, action| {
            if action == Action::Keep {
                return;
            }
            let value = match action {
                Action::Hash => rules::canonical(secret, current.get(range.clone()).unwrap_or_default()),
                _ => String::new(),
            };
            let sources = chain.iter().rev().fold(vec![range], |ranges, view| {
                ranges.iter().flat_map(|range| view.source(range)).collect()
            });
            for (part, range) in sources.into_iter().enumerate() {
                found.push(Found {
                    range,
                    secret,
                    rule,
                    value: value.clone(),
                    rest: part > 0,
                    depth: chain.len(),
                });
            }
        };
        for span in find::spans(current, &self.tokens) {
            add(span.range, span.secret, 0, self.rules.action(span.secret));
        }
        if is_first {
            for (rule, own) in self.rules.patterns.iter().enumerate() {
                for matched in own.pattern.find_iter(current).filter(|matched| !matched.is_empty()) {
                    add(matched.range(), Secret::Pattern, rule, own.action);
                }
            }
        }
    }

    /// Values at the operator's JSON paths, in JSON texts and in the events of streams.
    fn look_at_fields(&self, text: &str, found: &mut Vec<Found>) {
        if self.rules.fields.is_empty() {
            return;
        }
        let mut payloads = stream::payloads(text);
        if payloads.is_empty() {
            payloads.push(0..text.len());
        }
        for payload in payloads {
            let event = text.get(..payload.end).unwrap_or_default();
            if !event.get(payload.start..).unwrap_or_default().trim_start().starts_with(['{', '[']) {
                continue;
            }
            json::visit(event, payload.start, &mut |way, value| {
                let rules = self.rules.fields.iter().enumerate();
                for (rule, field) in rules.filter(|(_, field)| is_at(text, way, &field.path)) {
                    if field.action != Action::Keep {
                        let content = value.string.clone().unwrap_or_else(|| value.range.clone());
                        let content = text.get(content).unwrap_or_default();
                        let value_text =
                            View::decode(content).map_or(content.to_owned(), |view| view.text().to_owned());
                        let range = value.range.clone();
                        found.push(Found {
                            range,
                            secret: Secret::Field,
                            rule,
                            value: value_text,
                            rest: false,
                            depth: 0,
                        });
                    }
                }
            });
        }
    }

    fn replace(&self, text: &str, found: Vec<Found>, finds: &mut Finds) -> String {
        let mut redacted = String::with_capacity(text.len());
        let mut copied = 0;
        for find in found {
            redacted.push_str(text.get(copied..find.range.start).unwrap_or_default());
            copied = find.range.end;
            if find.rest {
                continue;
            }
            finds.count(find.secret);
            let mark = self.mark(&find);
            if find.secret != Secret::Field && is_bare_json_value(text, &find.range) {
                redacted.push_str(if mark.is_empty() { "null" } else { "\"" });
                redacted.push_str(&mark);
                redacted.push_str(if mark.is_empty() { "" } else { "\"" });
            } else {
                redacted.push_str(&mark);
            }
        }
        redacted.push_str(text.get(copied..).unwrap_or_default());
        redacted
    }

    fn mark(&self, find: &Found) -> String {
        let (name, action) = match find.secret {
            Secret::Pattern => match self.rules.patterns.get(find.rule) {
                Some(own) => (own.name.as_str(), own.action),
                None => ("pattern", Action::Mask),
            },
            Secret::Field => {
                ("field", self.rules.fields.get(find.rule).map_or(Action::Mask, |field| field.action))
            }
            secret => (secret.as_str(), self.rules.action(secret)),
        };
        let mark = match (action, &self.rules.key) {
            (Action::Drop, _) if find.secret == Secret::Field => return "null".to_owned(),
            (Action::Drop, _) => return String::new(),
            (Action::Hash, Some(key)) => format!("[{name}:{}]", key.hash(name, &find.value)),
            // Without a key a hash could be guessed: it is a mask then.
            _ => format!("[redacted:{name}]"),
        };
        if find.secret == Secret::Field { format!("\"{mark}\"") } else { mark }
    }

    fn pseudonym(&self, label: &str, is_place: bool, finds: &mut Finds) -> Option<String> {
        let mut found = Finds::default();
        let redacted = self.redact(label, &mut found);
        let places = found.of(Secret::Ip) + found.of(Secret::Mac) + found.of(Secret::Phone);
        if redacted == label || (is_place && places == found.total()) {
            return None;
        }
        finds.add(&found);
        Some(match &self.rules.key {
            Some(key) => format!("redacted-{}", key.hash("label", label)),
            None => format!("redacted-{:032x}", xxh3_128(label.as_bytes())),
        })
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

/// Lets no find split an escape: `\\njane@example.com` begins behind the line feed where a deeper view says so.
fn align(found: &mut [Found], view: &View) {
    let deeper: Vec<(Secret, Range<usize>)> =
        found.iter().filter(|find| find.depth > 0).map(|find| (find.secret, find.range.clone())).collect();
    for find in found {
        if let Some(end) = view.escape_end(find.range.start)
            && deeper.iter().any(|(secret, range)| {
                *secret == find.secret && range.start == end && range.start < find.range.end
            })
        {
            find.range.start = end;
        }
        view.whole_escapes(&mut find.range);
    }
}

/// Overlapping finds as one, named by the first kind of [`Secret::ALL`] among them.
fn merged(mut found: Vec<Found>) -> Vec<Found> {
    found.sort_by(|a, b| a.range.start.cmp(&b.range.start).then(b.range.end.cmp(&a.range.end)));
    let mut merged: Vec<Found> = Vec::with_capacity(found.len());
    for next in found {
        match merged.last_mut().filter(|last| next.range.start < last.range.end) {
            Some(last) => {
                last.range.end = last.range.end.max(next.range.end);
                let end = last.range.end;
                // Of two views of the same find the deeper one is what its reader sees.
                let order = |find: &Found| (find.rest, find.secret, std::cmp::Reverse(find.depth));
                if order(last) > order(&next) {
                    *last = Found { range: last.range.start..end, ..next };
                }
            }
            None => merged.push(next),
        }
    }
    merged
}

fn is_at(text: &str, way: &[Step], path: &[Segment]) -> bool {
    way.len() == path.len()
        && way.iter().zip(path).all(|pair| match pair {
            (Step::Key(_), Segment::AnyKey) | (Step::Item, Segment::Item) => true,
            (Step::Key(key), Segment::Key(name)) => {
                let key = text.get(key.clone()).unwrap_or_default();
                key == name || View::decode(key).is_some_and(|view| view.text() == name)
            }
            _ => false,
        })
}

/// Whether a find is a number of a JSON text, outside of its strings: a mark needs quotes there.
fn is_bare_json_value(text: &str, range: &Range<usize>) -> bool {
    let (before, after) =
        (text.get(..range.start).unwrap_or_default(), text.get(range.end..).unwrap_or_default());
    text.trim_start().starts_with(['{', '['])
        && before.trim_end().ends_with([':', ',', '['])
        && (after.is_empty() || after.trim_start().starts_with([',', '}', ']']))
        && !json::is_in_string(text, range.start)
}

#[cfg(test)]
mod tests;
