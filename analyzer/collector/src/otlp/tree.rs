//! A JSON document as a compact tree: objects are lists of pairs, since OTLP's objects are small and hostile ones many.
//!
//! Limit: the number of values, counted before anything is built; 128 levels (serde_json's own limit).

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A value of a document.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    /// `null`, or not there.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer that fits.
    Integer(i64),
    /// An integer above that.
    Large(u64),
    /// Any other number.
    Double(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Json>),
    /// An object, with its names as they came.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Takes a field out of an object; [`Json::Null`] when it is not there.
    pub(crate) fn take(&mut self, name: &str) -> Self {
        let Self::Object(fields) = self else { return Self::Null };
        let found = fields.iter_mut().find(|(found, _)| found == name);
        found.map_or(Self::Null, |(_, value)| std::mem::replace(value, Self::Null))
    }

    /// What it is, in few words.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Large(value) => value.to_string(),
            Self::Double(value) => value.to_string(),
            Self::Text(text) => format!("{:?}", text.chars().take(40).collect::<String>()),
            Self::List(_) => "a list".to_owned(),
            Self::Object(_) => "an object".to_owned(),
        }
    }
}

/// Whether a document has at most so many values: brackets, commas and colons outside of strings are counted.
pub(crate) fn values_at_most(bytes: &[u8], max: usize) -> bool {
    let (mut count, mut in_string, mut escaped) = (0usize, false, false);
    for byte in bytes {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[' | b',' | b':') => count += 1,
            _ => {}
        }
        if count > max {
            return false;
        }
    }
    true
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnyJson)
    }
}

struct AnyJson;

impl<'de> Visitor<'de> for AnyJson {
    type Value = Json;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(i64::try_from(value).map_or(Json::Large(value), Json::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Double(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Json, E> {
        Ok(Json::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = from.next_element()? {
            list.push(value);
        }
        list.shrink_to_fit();
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Json, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = from.next_entry()? {
            fields.push(field);
        }
        fields.shrink_to_fit();
        Ok(Json::Object(fields))
    }
}
