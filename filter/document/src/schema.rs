//! JSON Schema (2020-12) of document types, with stable order of keys.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{API_VERSION, Allowed, Decode};

/// Builds the schema of a mapping field by field: what [`crate::document!`] calls.
#[derive(Debug)]
pub struct ObjectSchema {
    description: String,
    properties: Map<String, Value>,
    required: Vec<Value>,
}

/// The whole JSON Schema of a document type, keys sorted at every level.
#[must_use]
pub fn json_schema<T: JsonSchema>() -> Value {
    canonical(schemars::SchemaGenerator::default().into_root_schema_for::<T>().to_value())
}

/// The same tree with the keys of all mappings in sorted order, whatever map `serde_json` was built with.
#[must_use]
pub fn canonical(tree: Value) -> Value {
    match tree {
        Value::Object(fields) => {
            let mut sorted: Vec<(String, Value)> = fields.into_iter().collect();
            sorted.sort_by(|left, right| left.0.cmp(&right.0));
            Value::Object(sorted.into_iter().map(|(key, value)| (key, canonical(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(canonical).collect()),
        other => other,
    }
}

/// The schema of an enum of words, each with its description: what [`crate::choice!`] calls.
#[must_use]
pub fn words_schema(description: &str, words: &[(&str, &str)]) -> Schema {
    let choices: Vec<Value> =
        words.iter().map(|(word, meaning)| json!({"const": word, "description": tidy(meaning)})).collect();
    schemars::json_schema!({"description": tidy(description), "type": "string", "oneOf": choices})
}

impl ObjectSchema {
    /// Without fields.
    #[must_use]
    pub fn new(description: &str) -> Self {
        Self { description: tidy(description), properties: Map::new(), required: Vec::new() }
    }

    /// Adds `apiVersion` and `kind` of a whole document.
    pub fn envelope(&mut self, kind: &str) {
        for (key, value) in [("apiVersion", API_VERSION), ("kind", kind)] {
            self.properties.insert(key.to_owned(), json!({"type": "string", "const": value}));
            self.required.push(Value::from(key));
        }
    }

    /// Adds one field.
    pub fn field<T: Decode + JsonSchema + Serialize>(
        &mut self,
        generator: &mut SchemaGenerator,
        key: String,
        description: &str,
        default: Option<fn() -> T>,
        allowed: Option<&dyn Allowed<T>>,
    ) {
        let mut schema = generator.subschema_for::<T>();
        if let Some(allowed) = allowed {
            allowed.describe(&mut schema);
        }
        schema.insert("description".to_owned(), Value::from(tidy(description)));
        match default {
            Some(default) => {
                // A default that JSON cannot write is left out; the decoder has it all the same.
                if let Ok(value) = serde_json::to_value(default()) {
                    schema.insert("default".to_owned(), value);
                }
            }
            None if T::absent().is_none() => self.required.push(Value::from(key.as_str())),
            None => {}
        }
        self.properties.insert(key, schema.to_value());
    }

    /// The schema; fields that it does not name are refused.
    #[must_use]
    pub fn finish(self) -> Schema {
        schemars::json_schema!({
            "description": self.description,
            "type": "object",
            "properties": self.properties,
            "required": self.required,
            "additionalProperties": false,
        })
    }
}

/// Doc comments arrive line by line, each with a leading space.
fn tidy(description: &str) -> String {
    description.lines().map(str::trim).collect::<Vec<_>>().join("\n").trim().to_owned()
}
