//! From the events of a YAML parser to a tree.
//!
//! YAML 1.2 with the core schema: only `true` and `false` are truth values (so `no` is text), `0o17` and `0x1f` are
//! numbers. JSON is read by the same parser, but for raw control characters from U+007F to U+009F. Anchors and aliases work;
//! what they copy is bounded by [`COPIED_BYTES_MAX`], so that an "alias bomb" stays small. A merge key (`<<`) is an ordinary
//! key. Of tags only those of the core schema's texts, lists and mappings are known. Exactly one document per text. The work
//! is a loop over a stack, so that nesting cannot exhaust the call stack.

use std::collections::BTreeMap;

use granit_parser::{Event, Marker, Parser, ScalarStyle, Tag};
use serde_json::{Map, Number, Value};

use crate::{Collector, DEPTH_MAX, NODES_MAX, Path};

/// Most bytes that anchors and aliases may copy: texts, and [`NODE_BYTES`] for each node.
const COPIED_BYTES_MAX: usize = 1 << 20;

/// What a node counts beside its text.
const NODE_BYTES: usize = 32;

/// A mapping or list that is not complete yet.
enum Open {
    List { anchor: usize, items: Vec<Value> },
    Mapping { anchor: usize, fields: Map<String, Value>, key: Option<String> },
}

/// What was built so far.
#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    /// Complete anchored nodes with their bytes.
    anchored: BTreeMap<usize, (Value, usize)>,
    nodes: usize,
    copied_bytes: usize,
    root: Option<Value>,
}

/// Why building stops at once.
struct Stop {
    message: String,
    hint: Option<&'static str>,
}

/// Builds the tree of the only document in `text`. None means that a problem was reported.
pub(crate) fn build(text: &str, problems: &mut Collector) -> Option<Value> {
    let options = granit_parser::options! {
        disallow_directives: true,
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    };
    let mut builder = Builder::default();
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = match next {
            Ok(next) => next,
            Err(error) => {
                report(problems, error.marker(), &error.info());
                return None;
            }
        };
        if let Err(stop) = builder.event(event, &span.start, problems) {
            let report = report(problems, &span.start, &stop.message);
            if let Some(hint) = stop.hint {
                report.hint(hint);
            }
            return None;
        }
    }
    // A text without any node is an empty document.
    Some(builder.root.unwrap_or(Value::Null))
}

impl Builder {
    fn event(&mut self, event: Event<'_>, at: &Marker, problems: &mut Collector) -> Result<(), Stop> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(&text, style, tag.as_deref())?;
                if let Some(Open::Mapping { key: key @ None, fields, .. }) = self.open.last_mut() {
                    if fields.contains_key(text.as_ref()) {
                        report(problems, at, &format!("the key {} stands there twice", shown(&text)));
                    }
                    *key = Some(text.into_owned());
                    return self.count_node();
                }
                self.count_node()?;
                self.complete(value, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.open(Open::List { anchor, items: Vec::new() }, tag.as_deref(), "seq")
            }
            Event::MappingStart(_, anchor, tag) => {
                self.open(Open::Mapping { anchor, fields: Map::new(), key: None }, tag.as_deref(), "map")
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List { anchor, items }) => self.complete(Value::Array(items), anchor),
                Some(Open::Mapping { anchor, fields, .. }) => self.complete(Value::Object(fields), anchor),
                None => Err(Stop::new("a mapping or list ends that did not begin")),
            },
            Event::Alias(anchor) => {
                let (value, bytes) = self
                    .anchored
                    .get(&anchor)
                    .ok_or_else(|| Stop::new("an alias stands inside the node that it repeats"))?;
                if self.key_is_next() {
                    return Err(Stop::new("an alias is not a key"));
                }
                // Counted before it is copied: the bound is one of memory.
                self.copied_bytes += bytes;
                if self.copied_bytes > COPIED_BYTES_MAX {
                    return Err(too_much_copied());
                }
                let value = value.clone();
                self.complete(value, 0)
            }
            Event::DocumentStart(..) if self.root.is_some() => {
                Err(Stop::new("a second document begins").hint("write one document per file"))
            }
            Event::UnresolvedAlias(name) => {
                Err(Stop::new(format!("the alias {} has no anchor", shown(&name))))
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, open: Open, tag: Option<&Tag>, core: &str) -> Result<(), Stop> {
        if tag.is_some_and(|tag| !tag.is_yaml_core_schema_tag(core)) {
            return Err(unsupported_tag());
        }
        if self.key_is_next() {
            return Err(Stop::new("a mapping or list is not a key").hint("keys are texts"));
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(Stop::new(format!("is nested deeper than {DEPTH_MAX} levels")));
        }
        self.count_node()?;
        self.open.push(open);
        Ok(())
    }

    /// Whether the next node would be the key of a mapping.
    fn key_is_next(&self) -> bool {
        matches!(self.open.last(), Some(Open::Mapping { key: None, .. }))
    }

    fn count_node(&mut self) -> Result<(), Stop> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(Stop::new(format!("has more than {NODES_MAX} nodes")));
        }
        Ok(())
    }

    fn complete(&mut self, value: Value, anchor: usize) -> Result<(), Stop> {
        if anchor != 0 {
            let bytes = bytes_of(&value);
            self.copied_bytes += bytes;
            if self.copied_bytes > COPIED_BYTES_MAX {
                return Err(too_much_copied());
            }
            self.anchored.insert(anchor, (value.clone(), bytes));
        }
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some(Open::List { items, .. }) => items.push(value),
            Some(Open::Mapping { fields, key, .. }) => match key.take() {
                Some(key) => {
                    fields.insert(key, value);
                }
                None => return Err(Stop::new("a value has no key")),
            },
        }
        Ok(())
    }
}

impl Stop {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }
}

/// A text by the core schema of YAML 1.2, section 10.3.2.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, Stop> {
    match tag {
        Some(tag) if tag.is_yaml_core_schema_tag("str") => return Ok(Value::String(text.to_owned())),
        Some(_) => return Err(unsupported_tag()),
        None if style != ScalarStyle::Plain => return Ok(Value::String(text.to_owned())),
        None => {}
    }
    let value = match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number),
    };
    Ok(value)
}

/// A number by the core schema; what does not fit 64 bits, or is not finite, stays text.
fn number(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if let Some(digits) = text.strip_prefix("0o") {
        return u64::from_str_radix(digits, 8).ok().filter(|_| !digits.starts_with('+')).map(Number::from);
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+')).map(Number::from);
    }
    if !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        let bare = text.strip_prefix('+').unwrap_or(text);
        let whole = bare.parse::<u64>().map(Number::from).or_else(|_| bare.parse::<i64>().map(Number::from));
        // Beyond 64 bits it is a double, as in JSON.
        return whole.ok().or_else(|| bare.parse::<f64>().ok().and_then(Number::from_f64));
    }
    // Rust's form of doubles is the schema's, but for words such as "inf" and a sign or point without digits.
    let digits = unsigned.bytes().any(|byte| byte.is_ascii_digit());
    let form = unsigned
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    let starts = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if digits && form && starts { text.parse::<f64>().ok().and_then(Number::from_f64) } else { None }
}

fn bytes_of(value: &Value) -> usize {
    let content: usize = match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(bytes_of).sum(),
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| NODE_BYTES + key.len() + bytes_of(value)).sum()
        }
        _ => 0,
    };
    NODE_BYTES + content
}

fn too_much_copied() -> Stop {
    Stop::new(format!("anchors and aliases copy more than {COPIED_BYTES_MAX} bytes"))
        .hint("write the values out")
}

fn unsupported_tag() -> Stop {
    Stop::new("has a tag that is not supported")
        .hint("tags (!name) are not needed; to make a text, use quotes")
}

fn shown(text: &str) -> String {
    let start: String = text.chars().take(40).collect();
    format!("{start:?}")
}

fn report<'p>(problems: &'p mut Collector, at: &Marker, message: &str) -> crate::ProblemBuilder<'p> {
    problems.report(&Path::Root, format!("line {}, column {}: {message}", at.line(), at.col() + 1))
}
