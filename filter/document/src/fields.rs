//! The fields of one mapping while it is decoded: what [`crate::document!`] calls.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::{API_VERSION, Allowed, Collector, Decode, Path, closest};

/// Reads the fields of a mapping one by one, and then reports those that nobody asked for.
#[derive(Debug)]
pub struct Fields<'n> {
    object: &'n Map<String, Value>,
    known: Vec<String>,
}

impl<'n> Fields<'n> {
    /// Opens a mapping; anything else is a problem.
    pub fn open(node: &'n Value, at: &Path<'_>, problems: &mut Collector) -> Option<Self> {
        let Value::Object(object) = node else {
            if node.is_null() && matches!(at, Path::Root) {
                problems.report(at, "the document is empty");
                return None;
            }
            problems.report(at, "is not a mapping").value(node);
            return None;
        };
        Some(Self { object, known: Vec::new() })
    }

    /// The index of the word that `node` is; anything else is a problem.
    pub fn word(node: &Value, words: &[&str], at: &Path<'_>, problems: &mut Collector) -> Option<usize> {
        let text = node.as_str();
        let index = text.and_then(|text| words.iter().position(|word| *word == text));
        if index.is_none() {
            let report =
                problems.report(at, "is not one of the choices").value(node).allowed(words.join(", "));
            if let Some(similar) = text.and_then(|text| closest(text, words.iter().copied())) {
                report.hint(format!("did you mean `{similar}`?"));
            } else if node.is_boolean() {
                report.hint("put the word in quotes: YAML reads it as a truth value");
            }
        }
        index
    }

    /// Reads `apiVersion` and `kind` of a whole document.
    pub fn envelope(&mut self, kind: &str, at: &Path<'_>, problems: &mut Collector) {
        for (key, expected) in [("apiVersion", API_VERSION), ("kind", kind)] {
            self.known.push(key.to_owned());
            let at = at.key(key);
            match self.object.get(key) {
                None | Some(Value::Null) => {
                    problems.report(&at, "is missing").hint(format!("add `{key}: {expected}`"));
                }
                Some(Value::String(text)) if text == expected => {}
                Some(other) => {
                    problems.report(&at, "is not supported").value(other).allowed(expected);
                }
            }
        }
    }

    /// Reads one field. A field that is not there, or null, has its default; without one it is a problem.
    pub fn take<T: Decode>(
        &mut self,
        key: String,
        default: Option<fn() -> T>,
        allowed: Option<&dyn Allowed<T>>,
        at: &Path<'_>,
        problems: &mut Collector,
    ) -> Option<T> {
        let node = self.object.get(&key).filter(|node| !node.is_null());
        let place = at.key(&key);
        let value = match node {
            Some(node) => decode_allowed(node, allowed, &place, problems),
            None => {
                let absent = default.map_or_else(T::absent, |default| Some(default()));
                if absent.is_none() {
                    problems.report(&place, "is missing");
                }
                absent
            }
        };
        self.known.push(key);
        value
    }

    /// Reports every field that was not taken. Whether there is none: what such a field was meant to be is not known, so that
    /// rules about the whole mapping would mislead.
    pub fn finish(self, at: &Path<'_>, problems: &mut Collector) -> bool {
        let unknown: BTreeSet<&String> = self.object.keys().filter(|key| !self.known.contains(key)).collect();
        for key in &unknown {
            let report = problems.report(&at.key(key), "is not a known field");
            let unused = self.known.iter().filter(|known| !self.object.contains_key(*known));
            match closest(key, unused.map(String::as_str)) {
                Some(similar) => report.hint(format!("did you mean `{similar}`?")),
                None => report.allowed(self.known.join(", ")),
            };
        }
        unknown.is_empty()
    }
}

/// The camelCase key of a snake_case field name; a raw identifier loses its `r#`.
#[must_use]
pub fn camel_case(field: &str) -> String {
    let mut key = String::with_capacity(field.len());
    let mut upper = false;
    for letter in field.strip_prefix("r#").unwrap_or(field).chars() {
        if letter == '_' {
            upper = true;
        } else if std::mem::take(&mut upper) {
            key.push(letter.to_ascii_uppercase());
        } else {
            key.push(letter);
        }
    }
    key
}

fn decode_allowed<T: Decode>(
    node: &Value,
    allowed: Option<&dyn Allowed<T>>,
    at: &Path<'_>,
    problems: &mut Collector,
) -> Option<T> {
    let value = T::decode(node, at, problems)?;
    if let Some(refusal) = allowed.and_then(|allowed| allowed.check(&value).err()) {
        let mut report = problems.report(at, refusal.message).value(node);
        if let Some(allowed) = refusal.allowed {
            report = report.allowed(allowed);
        }
        if let Some(hint) = refusal.hint {
            report.hint(hint);
        }
        return None;
    }
    Some(value)
}
