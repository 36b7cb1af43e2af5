//! A JSON tree as block YAML.
//!
//! Every string is quoted as JSON quotes it, which YAML 1.2 reads the same, so that no text can turn into a number, a
//! boolean or a comment. Keys of our documents are plain words; others are quoted, too.

use serde_json::{Map, Value};

/// Keys that come first, in this order: people look for them at the top.
const FIRST: [&str; 6] = ["apiVersion", "kind", "experiment", "revision", "alpha", "name"];

/// The tree as YAML, with a line break at the end.
#[must_use]
pub fn to_yaml(tree: &Value) -> String {
    let mut text = String::new();
    match tree {
        Value::Object(map) if !map.is_empty() => mapping(&mut text, map, 0, false),
        Value::Array(items) if !items.is_empty() => sequence(&mut text, items, 0),
        other => scalar(&mut text, other),
    }
    text
}

/// `open`: the first key stands on the line of a dash already.
fn mapping(text: &mut String, map: &Map<String, Value>, depth: usize, open: bool) {
    let rank = |key: &str| FIRST.iter().position(|first| *first == key).unwrap_or(FIRST.len());
    let mut keys: Vec<&String> = map.keys().collect();
    keys.sort_by(|one, other| rank(one).cmp(&rank(other)).then_with(|| one.cmp(other)));
    for (number, key) in keys.into_iter().enumerate() {
        if !(open && number == 0) {
            text.push_str(&"  ".repeat(depth));
        }
        let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphabetic() || c == '_');
        if plain {
            text.push_str(key)
        } else {
            text.push_str(&Value::from(key.as_str()).to_string())
        }
        text.push(':');
        match map.get(key) {
            Some(Value::Object(inner)) if !inner.is_empty() => {
                text.push('\n');
                mapping(text, inner, depth + 1, false);
            }
            Some(Value::Array(items)) if !items.is_empty() => {
                text.push('\n');
                sequence(text, items, depth + 1);
            }
            Some(other) => {
                text.push(' ');
                scalar(text, other);
            }
            None => text.push('\n'),
        }
    }
}

fn sequence(text: &mut String, items: &[Value], depth: usize) {
    for item in items {
        text.push_str(&"  ".repeat(depth));
        text.push_str("- ");
        match item {
            Value::Object(map) if !map.is_empty() => mapping(text, map, depth + 1, true),
            other => scalar(text, other),
        }
    }
}

/// A scalar, or anything else in JSON's own form on one line.
fn scalar(text: &mut String, value: &Value) {
    text.push_str(&value.to_string());
    text.push('\n');
}
