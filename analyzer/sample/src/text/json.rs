//! JSON from strangers: parsed within a bound of values, so that a small body cannot become a large tree.
//!
//! Limits: [`VALUES_MAX`] values, of which an object counts as [`OBJECT_VALUES`] (a value takes 32 bytes in memory and 2 on the
//! wire, an object 640 and 2), so about 20 MiB; 128 levels (serde_json's own limit). Larger documents are not parsed; their text is the body as it is.

use serde_json::Value;

use super::Flag;

/// Values of one document at most, weighed.
pub const VALUES_MAX: usize = 600_000;
/// What an object weighs: its first fields take memory for eleven.
pub const OBJECT_VALUES: usize = 20;

/// Parses one document.
///
/// # Errors
/// [`Flag::TooComplex`] or [`Flag::UnparsedJson`].
pub(super) fn parse(bytes: &[u8]) -> Result<Value, Flag> {
    // A byte begins one value at most: most documents are too short to hold too many.
    if bytes.len() > VALUES_MAX / OBJECT_VALUES && values_at_most(bytes, VALUES_MAX).is_none() {
        return Err(Flag::TooComplex);
    }
    serde_json::from_slice(bytes).map_err(|error| {
        // The only error about depth; serde_json has no kind for it.
        let deep = error.to_string().starts_with("recursion limit");
        if deep { Flag::TooComplex } else { Flag::UnparsedJson }
    })
}

/// Counts what begins a value: brackets and the commas and colons outside of strings. `None` beyond the bound.
fn values_at_most(bytes: &[u8], max: usize) -> Option<usize> {
    let (mut count, mut in_string, mut escaped) = (0usize, false, false);
    for byte in bytes {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' => count += OBJECT_VALUES,
            b'[' | b',' | b':' => count += 1,
            _ => {}
        }
        if count > max {
            return None;
        }
    }
    Some(count)
}

/// A string that is there and not empty.
pub(super) fn text(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// A string, or nothing.
pub(super) fn str_of<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The items of a list that may not be there.
pub(super) fn items<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A number of 0 or more at a path of names.
pub(super) fn count(value: &Value, path: &[&str]) -> Option<i64> {
    let found = path.iter().try_fold(value, |value, name| value.get(name))?;
    found.as_i64().filter(|count| *count >= 0)
}

/// A position in a list that a provider gives, or 0.
pub(super) fn index(value: &Value, name: &str) -> i64 {
    value.get(name).and_then(Value::as_i64).unwrap_or(0)
}

/// Arguments of a call: text as it is, anything else as compact JSON.
pub(super) fn arguments(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_outside_of_strings_only() {
        assert_eq!(values_at_most(br#"{"a,[\"{":[1,"x:y"]}"#, 100), Some(OBJECT_VALUES + 3));
        assert_eq!(values_at_most(b"[[[[", 3), None);
    }

    #[test]
    fn what_is_too_large_and_what_is_broken_are_told_apart() {
        let wide = format!("[{}0]", "0,".repeat(VALUES_MAX));
        assert_eq!(parse(wide.as_bytes()), Err(Flag::TooComplex));
        assert_eq!(parse("[".repeat(1_000).as_bytes()), Err(Flag::TooComplex));
        assert_eq!(parse(b"{\"a\":"), Err(Flag::UnparsedJson));
    }
}
