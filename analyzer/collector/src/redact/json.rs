//! Where the values of a JSON text are, without building a tree and also where the text was cut off.
//!
//! Limits: [`DEPTH_MAX`] levels; what lies deeper is not visited. What is no JSON is skipped as far as it goes, never an error.

use std::ops::Range;

/// Levels that are visited.
pub(super) const DEPTH_MAX: usize = 64;

/// One step of the way from the root to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Into the field with this key (its place, without quotes).
    Key(Range<usize>),
    /// Into an element of a list.
    Item,
}

/// A value that was visited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value {
    /// The whole value, with the quotes of a string.
    pub(super) range: Range<usize>,
    /// What is between the quotes of a string.
    pub(super) string: Option<Range<usize>>,
}

/// Visits every value of the JSON text that begins at `start`, the inner ones first, each with its way. Returns where it ended.
pub(super) fn visit(text: &str, start: usize, visitor: &mut dyn FnMut(&[Step], &Value)) -> usize {
    let mut walk = Walk { bytes: text.as_bytes(), way: Vec::new(), visitor };
    walk.value(start)
}

struct Walk<'a> {
    bytes: &'a [u8],
    way: Vec<Step>,
    visitor: &'a mut dyn FnMut(&[Step], &Value),
}

impl Walk<'_> {
    fn value(&mut self, at: usize) -> usize {
        let start = self.skip(at, false);
        let mut string = None;
        let end = match self.bytes.get(start) {
            None => return start,
            Some(b'{' | b'[') if self.way.len() >= DEPTH_MAX => return self.bytes.len(),
            Some(b'{') => self.object(start + 1),
            Some(b'[') => self.list(start + 1),
            Some(b'"') => {
                let (content, end) = self.string(start);
                string = Some(content);
                end
            }
            Some(_) => {
                let rest = self.bytes.get(start..).unwrap_or_default();
                let is_end =
                    |byte: &u8| matches!(byte, b',' | b'}' | b']' | b':') || byte.is_ascii_whitespace();
                start + rest.iter().position(is_end).unwrap_or(rest.len())
            }
        };
        (self.visitor)(&self.way, &Value { range: start..end, string });
        end
    }

    fn object(&mut self, mut at: usize) -> usize {
        loop {
            at = self.skip(at, true);
            match self.bytes.get(at) {
                Some(b'"') => {
                    let (key, end) = self.string(at);
                    at = self.skip(end, false);
                    if self.bytes.get(at) != Some(&b':') {
                        return at;
                    }
                    self.way.push(Step::Key(key));
                    at = self.value(at + 1);
                    self.way.pop();
                }
                Some(b'}') => return at + 1,
                _ => return at,
            }
        }
    }

    fn list(&mut self, mut at: usize) -> usize {
        loop {
            at = self.skip(at, true);
            match self.bytes.get(at) {
                None => return at,
                Some(b']') => return at + 1,
                Some(b'}' | b':') => return at,
                Some(_) => {
                    self.way.push(Step::Item);
                    at = self.value(at);
                    self.way.pop();
                }
            }
        }
    }

    /// The content of the string that begins at a quote, and where the string ends.
    fn string(&self, quote: usize) -> (Range<usize>, usize) {
        let mut at = quote + 1;
        loop {
            match self.bytes.get(at) {
                None => return (quote + 1..self.bytes.len(), self.bytes.len()),
                Some(b'"') => return (quote + 1..at, at + 1),
                Some(b'\\') => at = (at + 2).min(self.bytes.len()),
                Some(_) => at += 1,
            }
        }
    }

    fn skip(&self, at: usize, commas: bool) -> usize {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let is_gap = |byte: &u8| byte.is_ascii_whitespace() || (commas && *byte == b',');
        at + rest.iter().take_while(|byte| is_gap(byte)).count()
    }
}

/// Whether a place is within a string of a JSON text.
pub(super) fn is_in_string(text: &str, place: usize) -> bool {
    let mut inside = false;
    let mut escaped = false;
    for byte in text.bytes().take(place) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            _ => {}
        }
    }
    inside
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    fn values(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        visit(text, 0, &mut |way, value| {
            let way: Vec<&str> = way
                .iter()
                .map(|step| match step {
                    Step::Key(key) => &text[key.clone()],
                    Step::Item => "[]",
                })
                .collect();
            found.push(format!("{}={}", way.join("."), &text[value.range.clone()]));
        });
        found
    }

    #[test]
    fn every_value_is_visited_with_its_way() {
        let expected =
            ["a.[]=1", r#"a.[].b="x\"y""#, r#"a.[]={"b":"x\"y"}"#, r#"a=[1, {"b":"x\"y"}]"#, "c=null"];
        let found = values(r#"{"a": [1, {"b":"x\"y"}], "c" : null}"#);
        assert_eq!(found[..5], expected);
    }

    #[test]
    fn a_text_that_was_cut_off_is_visited_to_its_end() {
        assert_eq!(values(r#"{"a":{"b":"xy"#), [r#"a.b="xy"#, r#"a={"b":"xy"#, r#"={"a":{"b":"xy"#]);
        assert_eq!(values("[[["), ["[].[]=[", "[]=[[", "=[[["]);
    }

    proptest! {
        #[test]
        fn any_text_ends(text in r#"([\[\]{}:,"\\a1 é]){0,40}"#) {
            visit(&text, 0, &mut |_, value| assert!(text.get(value.range.clone()).is_some()));
        }
    }
}
