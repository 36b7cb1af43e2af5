//! Changes one experiment inside the text of a document of several (`kind: Experiments`), and nothing else of it.
//!
//! The text is cut where the experiment stands and put together again, so that the others stay byte for byte, whichever
//! version of Weir wrote them. One exception: an experiment without a `revision` of its own has the document's, which is about
//! to grow, so that the number which it had so far is written into it.
//!
//! Limits: JSON only, as the ECDS file carries it; the caller has read the text as JSON before.

use std::ops::Range;

use serde_json::Value;

/// Where the parts of a document stand in its text.
#[derive(Debug, PartialEq)]
struct Parts {
    /// The document's revision.
    revision: Range<usize>,
    /// The experiments, in order.
    experiments: Vec<Range<usize>>,
}

/// The document with a new revision and with what `edit` says in the place of the experiments that it answers for. Nothing
/// where the text is no document of several experiments.
pub(crate) fn replace(text: &str, revision: u64, edit: impl Fn(&Value) -> Option<String>) -> Option<String> {
    let parts = parts(text)?;
    let before = text.get(parts.revision.clone())?.trim_matches('"').to_owned();
    let mut cuts = vec![(parts.revision, revision.to_string())];
    for range in parts.experiments {
        let entry: Value = serde_json::from_str(text.get(range.clone())?).ok()?;
        match edit(&entry) {
            Some(new) => cuts.push((range, new)),
            None if entry.get("revision").is_none() => {
                let after_brace = range.start + 1;
                let comma = if entry.as_object()?.is_empty() { "" } else { "," };
                cuts.push((after_brace..after_brace, format!("\"revision\":{before}{comma}")));
            }
            None => {}
        }
    }
    cuts.sort_by_key(|(range, _)| range.start);
    let mut whole = String::with_capacity(text.len() + 256);
    let mut from = 0;
    for (range, new) in cuts {
        whole.push_str(text.get(from..range.start)?);
        whole.push_str(&new);
        from = range.end;
    }
    whole.push_str(text.get(from..)?);
    Some(whole)
}

fn parts(text: &str) -> Option<Parts> {
    let bytes = text.as_bytes();
    let (mut revision, mut experiments) = (None, None);
    for (key, value) in members(bytes, blank(bytes, 0))? {
        match text.get(key)? {
            "\"revision\"" => revision = Some(value),
            "\"experiments\"" => experiments = Some(items(bytes, value.start)?),
            _ => {}
        }
    }
    Some(Parts { revision: revision?, experiments: experiments? })
}

/// Keys and values of the object that begins here.
fn members(bytes: &[u8], at: usize) -> Option<Vec<(Range<usize>, Range<usize>)>> {
    let mut found = Vec::new();
    let mut at = begin(bytes, at, b'{')?;
    while bytes.get(at)? != &b'}' {
        let key = at..end(bytes, at)?;
        let colon = blank(bytes, key.end);
        (bytes.get(colon)? == &b':').then_some(())?;
        let start = blank(bytes, colon + 1);
        let value = start..end(bytes, start)?;
        at = next(bytes, value.end, b'}')?;
        found.push((key, value));
    }
    Some(found)
}

/// The values of the list that begins here.
fn items(bytes: &[u8], at: usize) -> Option<Vec<Range<usize>>> {
    let mut found = Vec::new();
    let mut at = begin(bytes, at, b'[')?;
    while bytes.get(at)? != &b']' {
        let value = at..end(bytes, at)?;
        at = next(bytes, value.end, b']')?;
        found.push(value);
    }
    Some(found)
}

fn begin(bytes: &[u8], at: usize, bracket: u8) -> Option<usize> {
    (bytes.get(at)? == &bracket).then(|| blank(bytes, at + 1))
}

/// Behind the comma, or at the closing bracket.
fn next(bytes: &[u8], at: usize, closing: u8) -> Option<usize> {
    let at = blank(bytes, at);
    match bytes.get(at)? {
        b',' => Some(blank(bytes, at + 1)),
        byte if *byte == closing => Some(at),
        _ => None,
    }
}

fn blank(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// The end of the value that begins here.
fn end(bytes: &[u8], start: usize) -> Option<usize> {
    let (mut at, mut depth, mut in_text) = (start, 0_usize, false);
    loop {
        let byte = bytes.get(at)?;
        at += 1;
        match byte {
            b'\\' if in_text => at += 1,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => depth = depth.checked_sub(1)?,
            _ => {}
        }
        let follows = bytes.get(at).copied().unwrap_or(b',');
        let over = matches!(follows, b',' | b'}' | b']') || follows.is_ascii_whitespace();
        let closed = matches!(byte, b'"' | b'}' | b']') || over;
        if !in_text && depth == 0 && closed {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn only(name: &'static str) -> impl Fn(&Value) -> Option<String> {
        move |entry| (entry["experiment"] == name).then(|| String::from("{\"new\":1}"))
    }

    #[test]
    fn the_others_stay_byte_for_byte() {
        let other = r#"{ "experiment" : "b", "x":[1, {"y":"]}\"\\"}], "revision": 3.0e0 ,"é":null}"#;
        let text = format!(
            r#" {{"kind":"Experiments", "revision" : 7,
 "experiments":[{{"experiment":"a","revision":1}}, {other} ,{{"experiment":"c"}}], "z":{{}}}} "#
        );
        let expected = format!(
            r#" {{"kind":"Experiments", "revision" : 8,
 "experiments":[{{"new":1}}, {other} ,{{"revision":7,"experiment":"c"}}], "z":{{}}}} "#
        );
        assert_eq!(replace(&text, 8, only("a")).unwrap(), expected);
    }

    #[test]
    fn what_is_no_document_of_several_experiments_is_left_alone() {
        for text in [
            "",
            "3",
            "[]",
            "{}",
            "{\"revision\":1}",
            "{\"experiments\":[]}",
            "{\"revision\":1,\"experiments\":{}}",
        ] {
            assert_eq!(replace(text, 2, |_| None), None, "{text}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn of_any_document_the_named_experiment_changes_and_nothing_else(
            others in proptest::collection::vec(any_json(), 0..5), place in 0_usize..5, pretty: bool,
        ) {
            let mut list: Vec<Value> =
                others.iter().map(|other| json!({"experiment": "other", "revision": 2, "x": other})).collect();
            list.insert(place.min(list.len()), json!({"experiment": "a", "revision": 3}));
            let document = json!({"revision": 4, "experiments": list, "more": others});
            let text = if pretty { format!("{document:#}") } else { document.to_string() };
            let new = replace(&text, 5, only("a")).unwrap();
            let mut expected = document;
            expected["revision"] = json!(5);
            for entry in expected["experiments"].as_array_mut().unwrap() {
                if entry["experiment"] == "a" {
                    *entry = json!({"new": 1});
                }
            }
            prop_assert_eq!(serde_json::from_str::<Value>(&new).unwrap(), expected);
            let same = replace(&text, 4, |_| None).unwrap();
            prop_assert_eq!(same, text);
        }
    }
}
