//! Streamed answers that nobody put together: what they say over all their events, with the way back to the bytes.
//!
//! Event streams (`data:` lines), JSON lines and JSON lists of chunks. Strings at the same way of successive events are joined, apart
//! for every `index` on the way (choices, content blocks, tool calls); `data:` lines without JSON are joined as they are.

use std::collections::BTreeMap;
use std::ops::Range;

use xxhash_rust::xxh3::Xxh3;

use super::json::{Step, Value, visit};
use super::view::View;

/// Words without which JSON lines and lists are documents, not streams.
const STREAM_WORDS: [&str; 6] =
    ["\"delta\"", "\"choices\"", "\"candidates\"", "\"message\"", "\"response\"", "\"completion\""];

/// The texts of a stream; empty for everything else.
pub(super) fn joined(text: &str) -> Vec<View> {
    let payloads = payloads(text);
    if payloads.is_empty() {
        return Vec::new();
    }
    let mut views: BTreeMap<u64, View> = BTreeMap::new();
    for payload in payloads {
        let content = text.get(payload.clone()).unwrap_or_default();
        if content.starts_with(['{', '[']) {
            for (way, string) in strings(text, payload) {
                views
                    .entry(way)
                    .or_default()
                    .push(string.start, text.get(string.clone()).unwrap_or_default());
            }
        } else {
            views.entry(0).or_default().push(payload.start, content);
        }
    }
    views.into_values().collect()
}

/// The JSON (or text) of each event.
pub(super) fn payloads(text: &str) -> Vec<Range<usize>> {
    let lines = || {
        let mut start = 0;
        text.split_inclusive(['\n', '\r']).map(move |line| {
            let range = start..start + line.trim_end_matches(['\n', '\r']).len();
            start += line.len();
            range
        })
    };
    let begin = text.trim_start();
    // Most texts end here.
    let has_lines = text.as_bytes().contains(&b'\n') || text.as_bytes().contains(&b'\r');
    if !has_lines && !begin.starts_with('[') {
        return Vec::new();
    }
    if text.contains("data:") {
        let data = lines().filter_map(|range| {
            let line = text.get(range.clone())?;
            let value = line.strip_prefix("data:")?;
            let value = value.strip_prefix(' ').unwrap_or(value);
            Some(range.end - value.len()..range.end)
        });
        let data: Vec<_> = data.collect();
        if data.len() > 1 {
            return data;
        }
    }
    if !STREAM_WORDS.iter().any(|word| text.contains(word)) {
        return Vec::new();
    }
    if begin.starts_with('[') {
        return std::iter::once(text.len() - begin.len()..text.len()).collect();
    }
    let objects: Vec<_> =
        lines().filter(|range| text.get(range.clone()).is_some_and(|line| line.starts_with('{'))).collect();
    if objects.len() > 1 { objects } else { Vec::new() }
}

/// The strings of one event, each with a hash of its way and of the indexes around it.
fn strings(text: &str, payload: Range<usize>) -> Vec<(u64, Range<usize>)> {
    let mut strings: Vec<(Xxh3, Range<usize>)> = Vec::new();
    let mut open: Vec<(usize, Range<usize>)> = Vec::new();
    let mut indexes: Vec<(Range<usize>, Range<usize>)> = Vec::new();
    let event = text.get(..payload.end).unwrap_or_default();
    visit(event, payload.start, &mut |way, value: &Value| {
        if let Some(string) = &value.string {
            let mut hash = Xxh3::new();
            for step in way {
                if let Step::Key(key) = step {
                    hash.update(text.get(key.clone()).unwrap_or_default().as_bytes());
                    hash.update(b".");
                }
            }
            strings.push((hash, string.clone()));
            return;
        }
        if let Some(Step::Key(key)) = way.last()
            && text.get(key.clone()) == Some("index")
        {
            open.push((way.len() - 1, value.range.clone()));
        }
        // The object around an index ends after it.
        while let Some((_, index)) = open.pop_if(|(level, _)| *level == way.len()) {
            indexes.push((value.range.clone(), index));
        }
    });
    let number = |(mut hash, string): (Xxh3, Range<usize>)| {
        for (object, index) in &indexes {
            if object.contains(&string.start) {
                hash.update(text.get(index.clone()).unwrap_or_default().as_bytes());
            }
        }
        (hash.digest().max(1), string)
    };
    strings.into_iter().map(number).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        let mut texts: Vec<_> = joined(text).iter().map(|view| view.text().to_owned()).collect();
        texts.sort();
        texts
    }

    #[test]
    fn strings_of_successive_events_are_joined_apart_for_each_index() {
        let stream = "event: x\ndata: {\"c\":[{\"d\":{\"t\":\"ja\"},\"index\":0},{\"index\":1,\"d\":{\"t\":\"41\"}}]}\n\n\
                      data: {\"c\":[{\"index\":1,\"d\":{\"t\":\"11\"}}]}\r\n\r\ndata:{\"c\":[{\"index\":0,\"d\":{\"t\":\"ne\"}}]}\n\ndata: [DONE]\n";
        assert_eq!(texts(stream), ["4111", "jane"]);
    }

    #[test]
    fn words_json_lines_and_lists_of_chunks_are_joined_too() {
        assert_eq!(texts("data: ja\n\ndata: ne\n\n"), ["jane"]);
        assert_eq!(texts("data: ja\r\rdata: ne\r"), ["jane"]);
        assert_eq!(texts("{\"response\":\"ja\"}\n{\"response\":\"ne\"}\n"), ["jane"]);
        assert_eq!(texts(r#"[{"candidates":[{"text":"ja"}]},{"candidates":[{"text":"ne"}]}]"#), ["jane"]);
    }

    #[test]
    fn documents_are_not_streams() {
        for text in [r#"[{"name":"ja"},{"name":"ne"}]"#, "some data: here\nand there", "{\"a\":1}", ""] {
            assert!(joined(text).is_empty(), "{text}");
        }
    }
}
