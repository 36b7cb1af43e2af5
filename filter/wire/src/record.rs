//! Attributes of a log record: written straight into bytes, read back by name.
//!
//! The writer builds no tree: the filter encodes thousands of records a second in a worker's tick.

use prost::encoding::{WireType, encode_varint, encoded_len_varint, key_len};

use crate::WireError;
use crate::names;
use crate::otlp::any_value::Value;
use crate::otlp::{KeyValue, LogRecord};

/// What a scope of ours takes.
const SCOPE_BYTES_USUAL: usize = 1024;
const FOUND_CHARS_MAX: usize = 64;
/// Further details of one record that are read.
pub(crate) const TAGS_MAX: usize = 128;

/// Field of a `LogRecord` that holds its attributes.
const RECORD_ATTRIBUTES: u32 = 6;
/// Field of an `InstrumentationScope` that holds its attributes.
const SCOPE_ATTRIBUTES: u32 = 3;

/// Writes one `LogRecord`, or the scope of several.
pub(crate) struct RecordWriter {
    bytes: Vec<u8>,
    /// Field that the attributes go to.
    field: u32,
}

/// The attributes of one `LogRecord`, taken out by name.
pub(crate) struct Attributes {
    list: Vec<KeyValue>,
}

impl RecordWriter {
    pub(crate) fn new(time_unix_nano: u64, event_name: &str, bytes_hint: usize) -> Self {
        Self::behind(Vec::with_capacity(bytes_hint), time_unix_nano, event_name)
    }

    /// Writes the record behind what is there.
    pub(crate) fn behind(mut bytes: Vec<u8>, time_unix_nano: u64, event_name: &str) -> Self {
        prost::encoding::fixed64::encode(1, &time_unix_nano, &mut bytes);
        put_string(12, event_name, &mut bytes);
        Self { bytes, field: RECORD_ATTRIBUTES }
    }

    pub(crate) fn of_scope() -> Self {
        Self { bytes: Vec::with_capacity(SCOPE_BYTES_USUAL), field: SCOPE_ATTRIBUTES }
    }

    /// Writes nothing for an empty text.
    pub(crate) fn text(&mut self, key: &'static str, text: &str) {
        if !text.is_empty() {
            self.delimited(key, 1, text.as_bytes());
        }
    }

    /// Writes a further detail by its own name, also an empty one.
    pub(crate) fn tag(&mut self, name: &str, value: &str) {
        self.delimited(&format!("{}{name}", names::TAG_PREFIX), 1, value.as_bytes());
    }

    /// Writes nothing for empty bytes.
    pub(crate) fn bytes(&mut self, key: &'static str, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.delimited(key, 7, bytes);
        }
    }

    pub(crate) fn integer(&mut self, key: &'static str, value: u64) {
        let value = value.min(i64::MAX as u64);
        self.attribute(key, key_len(3) + encoded_len_varint(value));
        put_key(3, WireType::Varint, &mut self.bytes);
        put_varint(value, &mut self.bytes);
    }

    pub(crate) fn boolean(&mut self, key: &'static str, value: bool) {
        self.attribute(key, key_len(2) + 1);
        put_key(2, WireType::Varint, &mut self.bytes);
        self.bytes.push(u8::from(value));
    }

    /// Writes nothing for `None` and for what is not a finite number.
    pub(crate) fn number(&mut self, key: &'static str, value: Option<f64>) {
        let Some(value) = value.filter(|value| value.is_finite()) else {
            return;
        };
        self.attribute(key, key_len(4) + 8);
        put_key(4, WireType::SixtyFourBit, &mut self.bytes);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn delimited(&mut self, key: &str, tag: u32, value: &[u8]) {
        self.attribute(key, key_len(tag) + encoded_len_varint(value.len() as u64) + value.len());
        put_bytes(tag, value, &mut self.bytes);
    }

    /// Everything of an attribute up to the content of its `AnyValue`, whose length is given.
    fn attribute(&mut self, key: &str, any_value_len: usize) {
        let key_value_len = key_len(1)
            + encoded_len_varint(key.len() as u64)
            + key.len()
            + key_len(2)
            + encoded_len_varint(any_value_len as u64)
            + any_value_len;
        put_key(self.field, WireType::LengthDelimited, &mut self.bytes);
        put_varint(key_value_len as u64, &mut self.bytes);
        put_string(1, key, &mut self.bytes);
        put_key(2, WireType::LengthDelimited, &mut self.bytes);
        put_varint(any_value_len as u64, &mut self.bytes);
    }
}

impl Attributes {
    pub(crate) fn of(record: LogRecord, event: &'static str) -> Result<Self, WireError> {
        if record.event_name != event {
            return Err(WireError::OtherEvent { expected: event, found: shorten(&record.event_name) });
        }
        Ok(Self { list: record.attributes })
    }

    pub(crate) fn required_text(&mut self, name: &'static str) -> Result<String, WireError> {
        let text = self.text(name)?;
        if text.is_empty() {
            return Err(WireError::Missing(name));
        }
        Ok(text)
    }

    /// Empty when absent.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<String, WireError> {
        match self.take(name) {
            None => Ok(String::new()),
            Some(Value::StringValue(text)) => Ok(text),
            Some(other) => Err(invalid(name, &other, "a string")),
        }
    }

    /// Empty when absent.
    pub(crate) fn bytes(&mut self, name: &'static str) -> Result<Vec<u8>, WireError> {
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::BytesValue(bytes)) => Ok(bytes),
            Some(Value::StringValue(text)) => Ok(text.into_bytes()),
            Some(other) => Err(invalid(name, &other, "bytes")),
        }
    }

    pub(crate) fn integer(&mut self, name: &'static str) -> Result<Option<u64>, WireError> {
        const ALLOWED: &str = "an integer of 0 or more";
        match self.take(name) {
            None => Ok(None),
            Some(Value::IntValue(value)) => {
                u64::try_from(value).map(Some).map_err(|_| invalid(name, &Value::IntValue(value), ALLOWED))
            }
            Some(other) => Err(invalid(name, &other, ALLOWED)),
        }
    }

    pub(crate) fn number(&mut self, name: &'static str) -> Result<Option<f64>, WireError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::DoubleValue(value)) if value.is_finite() => Ok(Some(value)),
            Some(Value::IntValue(value)) => Ok(Some(value as f64)),
            Some(other) => Err(invalid(name, &other, "a finite number")),
        }
    }

    /// Further details that are texts, the first [`TAGS_MAX`] of them, names without their prefix.
    pub(crate) fn tags(&mut self) -> Vec<(String, String)> {
        let tag = |attribute: &mut KeyValue| {
            let name =
                attribute.key.strip_prefix(names::TAG_PREFIX).filter(|name| !name.is_empty())?.to_owned();
            match attribute.value.take()?.value? {
                Value::StringValue(text) => Some((name, text)),
                _ => None,
            }
        };
        self.list.iter_mut().filter_map(tag).take(TAGS_MAX).collect()
    }

    /// 1 when absent.
    pub(crate) fn probability(&mut self, name: &'static str) -> Result<f64, WireError> {
        match self.number(name)? {
            None => Ok(1.0),
            Some(value) if value > 0.0 && value <= 1.0 => Ok(value),
            Some(value) => Err(invalid(name, &Value::DoubleValue(value), "more than 0 and at most 1")),
        }
    }

    /// 0 when absent.
    pub(crate) fn status(&mut self, name: &'static str) -> Result<u16, WireError> {
        let value = self.integer(name)?.unwrap_or(0);
        match u16::try_from(value) {
            Ok(status) if status < 1000 => Ok(status),
            _ => Err(WireError::Invalid { name, found: value.to_string(), allowed: "0 to 999" }),
        }
    }

    /// False when absent.
    pub(crate) fn boolean(&mut self, name: &'static str) -> Result<bool, WireError> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::BoolValue(value)) => Ok(value),
            Some(other) => Err(invalid(name, &other, "true or false")),
        }
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        let attribute = self.list.iter_mut().find(|attribute| attribute.key == name)?;
        attribute.value.take()?.value
    }
}

/// The text, or its beginning with a mark.
pub(crate) fn shorten(text: &str) -> String {
    match text.char_indices().nth(FOUND_CHARS_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
    }
}

fn invalid(name: &'static str, found: &Value, allowed: &'static str) -> WireError {
    let found = match found {
        Value::StringValue(text) => format!("{:?}", shorten(text)),
        Value::BoolValue(value) => value.to_string(),
        Value::IntValue(value) => value.to_string(),
        Value::DoubleValue(value) => value.to_string(),
        Value::BytesValue(bytes) => format!("{} bytes", bytes.len()),
        Value::ArrayValue(_) => "a list".to_owned(),
        Value::KvlistValue(_) => "a map".to_owned(),
    };
    WireError::Invalid { name, found, allowed }
}

fn put_string(tag: u32, text: &str, to: &mut Vec<u8>) {
    put_bytes(tag, text.as_bytes(), to);
}

/// A field with a length: tag (below 16), length and content.
pub(crate) fn put_bytes(tag: u32, value: &[u8], to: &mut Vec<u8>) {
    open(tag, value.len(), to);
    to.extend_from_slice(value);
}

/// The beginning of such a field.
pub(crate) fn open(tag: u32, content_len: usize, to: &mut Vec<u8>) {
    put_key(tag, WireType::LengthDelimited, to);
    put_varint(content_len as u64, to);
}

/// A key of a field below 16 is one byte.
#[inline]
fn put_key(tag: u32, wire_type: WireType, to: &mut Vec<u8>) {
    put_varint(u64::from(tag << 3) | wire_type as u64, to);
}

/// Nearly all keys and lengths are below 128: one byte, without the loop of the general case.
#[inline]
fn put_varint(value: u64, to: &mut Vec<u8>) {
    match u8::try_from(value) {
        Ok(byte) if byte < 0x80 => to.push(byte),
        _ => encode_varint(value, to),
    }
}
