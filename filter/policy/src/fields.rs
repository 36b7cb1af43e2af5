//! Sets top-level fields of a JSON object while it streams by, without a tree.
//!
//! Chunks go in as they come, at any split; what comes out is the same document with the fields set: the value of each that is
//! there is replaced (every time, where a key repeats), the others are added before the closing brace. All other bytes
//! stay as they are. A document that is not an object, or that breaks JSON's form at the top level, passes from there on.
//! Nothing is held back: memory is one key of at most [`NAME_BYTES_MAX`] bytes.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

/// Longest name of a field, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// Fields and their values, ready to be written.
#[derive(Debug)]
pub struct Fields {
    fields: Vec<Field>,
}

#[derive(Debug)]
struct Field {
    name: Vec<u8>,
    value: Vec<u8>,
}

/// Sets fields in one document.
#[derive(Debug)]
pub struct FieldSetter {
    fields: Rc<Fields>,
    /// Which fields the document has had, by index.
    seen: u64,
    place: Place,
    /// The key that is being read; longer ones than any field's are cut, with a byte that no name has.
    key: Vec<u8>,
    /// Whether the object has had a member.
    members: bool,
    /// Index of the field whose value comes next.
    matched: Option<usize>,
    /// Whether the value that is being read is left out.
    dropping: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Start,
    KeyOrEnd,
    Key(Escape),
    Colon,
    ValueStart,
    Text {
        escaped: bool,
    },
    Nested {
        depth: u32,
        text: bool,
        escaped: bool,
    },
    Scalar,
    AfterValue,
    /// Fields are set; the rest passes.
    Done,
    /// Not an object in JSON; the rest passes.
    Broken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    No,
    Begun,
    Unicode { digits: u8, value: u32 },
}

/// What to do with a byte that was read.
enum Step {
    /// It belongs to what was read.
    Take,
    /// It is read again at the new place.
    Again,
}

impl Fields {
    /// At most 64 fields; more are left out, and a policy cannot have them.
    #[must_use]
    pub fn new(fields: &BTreeMap<String, Value>) -> Rc<Self> {
        let field = |(name, value): (&String, &Value)| Field {
            name: name.clone().into_bytes(),
            value: value.to_string().into_bytes(),
        };
        Rc::new(Self { fields: fields.iter().take(64).map(field).collect() })
    }
}

impl FieldSetter {
    /// Before the first byte of a document.
    #[must_use]
    pub fn new(fields: Rc<Fields>) -> Self {
        Self {
            fields,
            seen: 0,
            place: Place::Start,
            key: Vec::new(),
            members: false,
            matched: None,
            dropping: false,
        }
    }

    /// Whether all fields are set: what follows passes unchanged.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.place == Place::Done
    }

    /// Whether nothing more will be set in this document.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.place, Place::Done | Place::Broken)
    }

    /// Reads a chunk and appends what it becomes.
    pub fn push(&mut self, chunk: &[u8], into: &mut Vec<u8>) {
        // Bytes from here on were not written yet, unless they are being dropped.
        let mut from = 0;
        let mut at = 0;
        while let Some(byte) = chunk.get(at) {
            if self.is_over() {
                break;
            }
            let dropped = self.dropping;
            let place = self.place;
            let step = self.step(*byte);
            if place == Place::ValueStart && self.dropping && !dropped {
                into.extend_from_slice(chunk.get(from..at).unwrap_or_default());
                self.write_matched(into);
            }
            if self.is_done() {
                into.extend_from_slice(chunk.get(from..at).unwrap_or_default());
                from = at;
                self.write_missing(into);
            }
            let ended = matches!(step, Step::Again) || self.place == Place::AfterValue;
            if self.dropping && ended && place != Place::ValueStart {
                self.dropping = false;
                from = if matches!(step, Step::Again) { at } else { at + 1 };
            }
            if matches!(step, Step::Take) {
                at += 1;
            }
        }
        if !self.dropping {
            into.extend_from_slice(chunk.get(from..).unwrap_or_default());
        }
    }

    fn step(&mut self, byte: u8) -> Step {
        let space = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        self.place = match self.place {
            Place::Start | Place::Colon | Place::ValueStart | Place::KeyOrEnd | Place::AfterValue
                if space =>
            {
                self.place
            }
            Place::Start if byte == b'{' => Place::KeyOrEnd,
            Place::KeyOrEnd if byte == b'"' => {
                self.key.clear();
                Place::Key(Escape::No)
            }
            Place::KeyOrEnd | Place::AfterValue if byte == b'}' => Place::Done,
            Place::AfterValue if byte == b',' => Place::KeyOrEnd,
            Place::Key(escape) => self.key_byte(escape, byte),
            Place::Colon if byte == b':' => Place::ValueStart,
            Place::ValueStart => self.value_start(byte),
            Place::Text { escaped } => match byte {
                b'"' if !escaped => Place::AfterValue,
                _ => Place::Text { escaped: byte == b'\\' && !escaped },
            },
            Place::Nested { depth, text, escaped } => nested(depth, text, escaped, byte),
            Place::Scalar => {
                if space || matches!(byte, b',' | b'}') {
                    self.place = Place::AfterValue;
                    return Step::Again;
                }
                Place::Scalar
            }
            Place::Done => Place::Done,
            _ => Place::Broken,
        };
        Step::Take
    }

    fn key_byte(&mut self, escape: Escape, byte: u8) -> Place {
        let next = match (escape, byte) {
            (Escape::No, b'"') => {
                self.members = true;
                self.matched = self.fields.fields.iter().position(|field| field.name == self.key);
                if let Some(index) = self.matched {
                    self.seen |= 1 << index;
                }
                return Place::Colon;
            }
            (Escape::No, b'\\') => Escape::Begun,
            (Escape::No, _) => self.keep(byte),
            (Escape::Begun, b'u') => Escape::Unicode { digits: 0, value: 0 },
            (Escape::Begun, b'"' | b'\\' | b'/') => self.keep(byte),
            // Control characters, which no name has.
            (Escape::Begun, _) => self.keep(0),
            (Escape::Unicode { digits, value }, _) => {
                let value = value * 16 + char::from(byte).to_digit(16).unwrap_or(0xffff) % 0x1_0000;
                match (digits, u8::try_from(value)) {
                    (0..=2, _) => Escape::Unicode { digits: digits + 1, value: value % 0x1_0000 },
                    (_, Ok(plain)) if plain.is_ascii() => self.keep(plain),
                    _ => self.keep(0),
                }
            }
        };
        Place::Key(next)
    }

    fn keep(&mut self, byte: u8) -> Escape {
        if self.key.len() <= NAME_BYTES_MAX {
            self.key.push(byte);
        }
        Escape::No
    }

    fn value_start(&mut self, byte: u8) -> Place {
        let place = match byte {
            b'"' => Place::Text { escaped: false },
            b'{' | b'[' => Place::Nested { depth: 1, text: false, escaped: false },
            b',' | b'}' | b']' | b':' => return Place::Broken,
            _ => Place::Scalar,
        };
        self.dropping = self.matched.is_some();
        place
    }

    fn write_matched(&self, into: &mut Vec<u8>) {
        if let Some(field) = self.matched.and_then(|index| self.fields.fields.get(index)) {
            into.extend_from_slice(&field.value);
        }
    }

    fn write_missing(&mut self, into: &mut Vec<u8>) {
        for (index, field) in self.fields.fields.iter().enumerate() {
            if self.seen & 1 << index != 0 {
                continue;
            }
            if self.members {
                into.push(b',');
            }
            self.members = true;
            into.push(b'"');
            into.extend_from_slice(&field.name);
            into.extend_from_slice(b"\":");
            into.extend_from_slice(&field.value);
        }
    }
}

fn nested(depth: u32, text: bool, escaped: bool, byte: u8) -> Place {
    match (text, byte) {
        (true, b'"') if !escaped => Place::Nested { depth, text: false, escaped: false },
        (true, _) => Place::Nested { depth, text, escaped: byte == b'\\' && !escaped },
        (false, b'"') => Place::Nested { depth, text: true, escaped: false },
        (false, b'{' | b'[') => Place::Nested { depth: depth.saturating_add(1), text, escaped },
        (false, b'}' | b']') if depth <= 1 => Place::AfterValue,
        (false, b'}' | b']') => Place::Nested { depth: depth - 1, text, escaped },
        (false, _) => Place::Nested { depth, text, escaped },
    }
}
