//! A JSON value as block YAML, the way people write manifests.
//!
//! Invariants: the same value gives the same bytes, whatever order its map keeps (what names an object comes first, the
//! rest by the alphabet); a text is plain only where no reader could take it for something else, otherwise it stands in
//! JSON's quotes, which YAML shares.

use serde_json::Value;

/// Keys that come first, in this order.
const FIRST: [&str; 8] = ["apiVersion", "kind", "metadata", "name", "namespace", "@type", "match", "spec"];

/// The value as a YAML document that ends in a line feed.
pub(crate) fn document(value: &Value) -> String {
    let mut text = String::new();
    block(&mut text, value, 0);
    text
}

/// The items of a block: maps and lists start on the current line, which is already indented.
fn block(text: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_by_key(|key| (rank(key), key.as_str()));
            for (index, key) in keys.into_iter().enumerate() {
                if index > 0 {
                    pad(text, indent);
                }
                text.push_str(&scalar(key));
                text.push(':');
                let child = map.get(key).unwrap_or(&Value::Null);
                nested(text, child, indent);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    pad(text, indent);
                }
                text.push_str("- ");
                block(text, item, indent + 2);
            }
        }
        other => {
            text.push_str(&flat(other));
            text.push('\n');
        }
    }
}

/// The value of a key.
fn nested(text: &mut String, value: &Value, indent: usize) {
    let deeper = match value {
        Value::Object(map) if !map.is_empty() => indent + 2,
        Value::Array(items) if !items.is_empty() => indent,
        Value::String(lines) if lines.ends_with('\n') && literal(lines) => {
            text.push_str(" |\n");
            for line in lines.lines() {
                pad(text, indent + 2);
                text.push_str(line);
                text.push('\n');
            }
            return;
        }
        _ => {
            text.push(' ');
            return block(text, value, indent);
        }
    };
    text.push('\n');
    pad(text, deeper);
    block(text, value, deeper);
}

fn pad(text: &mut String, indent: usize) {
    text.extend(std::iter::repeat_n(' ', indent));
}

fn rank(key: &str) -> usize {
    FIRST.iter().position(|first| *first == key).unwrap_or(FIRST.len())
}

fn flat(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// Whether a text can stand as a literal block: no control characters, no empty or indented first line.
fn literal(text: &str) -> bool {
    !text.starts_with([' ', '\n'])
        && text.chars().all(|letter| letter == '\n' || !letter.is_control())
        && text.lines().all(|line| !line.is_empty())
}

/// A text, plain where it cannot be taken for a number, a word of YAML or a mark of its grammar.
fn scalar(text: &str) -> String {
    let plain = text.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '/')
        && !text.ends_with(':')
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_./:".contains(letter))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_reads_back() {
        let value = json!({
            "spec": {"list": [{"a": 1, "b": [true, null]}, [1, 2], "on", "7", "a: b", "", {}, []], "text": "one: 1\ntwo: 2\n"},
            "kind": "X", "apiVersion": "v1", "empty": {}, "none": [], "float": 0.5, "odd": "\u{7} é 'q' \"", "x-a": "- b",
        });
        let text = document(&value);
        assert!(text.starts_with("apiVersion: v1\nkind: X\n"), "{text}");
        assert_eq!(weir_document::parse("yaml", &text).unwrap(), value, "{text}");
    }
}
