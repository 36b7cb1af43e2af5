//! JSON Schema, as much of it as answers of models need: a subset of draft 2020-12 that is checked in one pass.
//!
//! Kept: `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`, `items`, `prefixItems`, `minItems`,
//! `maxItems`, `uniqueItems`, `minProperties`, `maxProperties`, `minLength`, `maxLength`, `minimum`, `maximum`,
//! `exclusiveMinimum`, `exclusiveMaximum`, `multipleOf`, `allOf`, `anyOf`, `oneOf`, `not`, `$ref` to `#/$defs/NAME` (or
//! `#/definitions/NAME`) and to `#`. Annotations (`title`, `description`, `default`, `examples`, `format`, ...) say nothing.
//! Any other keyword is refused when the schema is read, never passed over: a schema that is only half checked would call
//! bad answers good.
//!
//! Limits: [`DEPTH_MAX`] of a value and its references together; a value that is nested deeper does not conform.

use serde_json::{Map, Value};

/// Deepest nesting of a value and of references that follow each other.
pub const DEPTH_MAX: usize = 64;

/// Keywords that say something about a value.
const CHECKED: [&str; 26] = [
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "oneOf",
    "prefixItems",
    "properties",
    "required",
    "type",
    "uniqueItems",
    "$defs",
];
/// Keywords that say nothing about a value.
const ANNOTATIONS: [&str; 14] = [
    "$comment",
    "$id",
    "$schema",
    "contentEncoding",
    "contentMediaType",
    "default",
    "definitions",
    "deprecated",
    "description",
    "examples",
    "format",
    "readOnly",
    "title",
    "writeOnly",
];
const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];

/// Everything that is wrong with a schema: where, as a JSON pointer, and what.
#[must_use]
pub fn problems(schema: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    look(schema, schema, "", &mut found);
    found
}

/// Whether a value conforms to a schema that [`problems`] found nothing wrong with.
#[must_use]
pub fn conforms(schema: &Value, value: &Value) -> bool {
    Check { root: schema }.conforms(schema, value, 0)
}

fn look(root: &Value, schema: &Value, at: &str, found: &mut Vec<(String, String)>) {
    let fields = match schema {
        Value::Bool(_) => return,
        Value::Object(fields) => fields,
        _ => return found.push((at.to_owned(), "is no schema; allowed: a map, true or false".to_owned())),
    };
    for (keyword, value) in fields {
        let here = format!("{at}/{keyword}");
        if let Some(what) = shape(root, keyword, value) {
            found.push((here, what));
            continue;
        }
        match (keyword.as_str(), value) {
            ("properties" | "$defs" | "definitions", Value::Object(parts)) => {
                for (name, part) in parts {
                    look(root, part, &format!("{here}/{name}"), found);
                }
            }
            ("allOf" | "anyOf" | "oneOf" | "prefixItems", Value::Array(parts)) => {
                for (index, part) in parts.iter().enumerate() {
                    look(root, part, &format!("{here}/{index}"), found);
                }
            }
            ("additionalProperties" | "items" | "not", part) => look(root, part, &here, found),
            _ => {}
        }
    }
}

/// What is wrong with the value of a keyword itself.
fn shape(root: &Value, keyword: &str, value: &Value) -> Option<String> {
    let texts = |value: &Value| value.as_array().is_some_and(|list| list.iter().all(Value::is_string));
    let is_type = |word: &Value| word.as_str().is_some_and(|word| TYPES.contains(&word));
    match keyword {
        "type" => {
            let fits = is_type(value) || value.as_array().is_some_and(|list| list.iter().all(is_type));
            (!fits).then(|| format!("is {value}; allowed: {}", TYPES.join(", ")))
        }
        "required" => (!texts(value)).then(|| "is no list of names".to_owned()),
        "enum" => (!value.is_array()).then(|| "is no list".to_owned()),
        "properties" | "$defs" | "definitions" => (!value.is_object()).then(|| "is no map".to_owned()),
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => {
            let fits = value.as_array().is_some_and(|list| !list.is_empty());
            (!fits).then(|| "is no list of schemas".to_owned())
        }
        "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties" => {
            value.as_u64().is_none().then(|| format!("is {value}; allowed: a whole number from 0"))
        }
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => {
            (!value.is_number()).then(|| format!("is {value}; allowed: a number"))
        }
        "multipleOf" => (!value.as_f64().is_some_and(|step| step > 0.0))
            .then(|| format!("is {value}; allowed: a number above 0")),
        "uniqueItems" => (!value.is_boolean()).then(|| format!("is {value}; allowed: true, false")),
        "$ref" => {
            let target = value.as_str().and_then(|reference| resolve(root, reference));
            target.is_none().then(|| format!("{value} is not in this schema; allowed: #, #/$defs/NAME"))
        }
        known if CHECKED.contains(&known) || ANNOTATIONS.contains(&known) => None,
        _ => Some(format!("is no keyword that is checked; allowed: {}", CHECKED.join(", "))),
    }
}

fn resolve<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    root.pointer(reference.strip_prefix('#')?)
}

struct Check<'a> {
    root: &'a Value,
}

impl Check<'_> {
    fn conforms(&self, schema: &Value, value: &Value, depth: usize) -> bool {
        if depth > DEPTH_MAX {
            return false;
        }
        match schema {
            Value::Bool(allowed) => *allowed,
            Value::Object(keywords) => keywords
                .iter()
                .all(|(keyword, argument)| self.keeps(keywords, keyword, argument, value, depth + 1)),
            _ => false,
        }
    }

    fn keeps(
        &self,
        keywords: &Map<String, Value>,
        keyword: &str,
        argument: &Value,
        value: &Value,
        depth: usize,
    ) -> bool {
        let each = |schemas: &Value| -> Vec<bool> {
            let schemas = schemas.as_array().map(Vec::as_slice).unwrap_or_default();
            schemas.iter().map(|schema| self.conforms(schema, value, depth)).collect()
        };
        match keyword {
            "type" => match argument {
                Value::Array(words) => words.iter().any(|word| is_of(value, word)),
                word => is_of(value, word),
            },
            "enum" => argument.as_array().is_some_and(|list| list.iter().any(|item| same(item, value))),
            "const" => same(argument, value),
            "allOf" => each(argument).into_iter().all(|fits| fits),
            "anyOf" => each(argument).into_iter().any(|fits| fits),
            "oneOf" => each(argument).into_iter().filter(|fits| *fits).count() == 1,
            "not" => !self.conforms(argument, value, depth),
            "$ref" => {
                let target = argument.as_str().and_then(|reference| resolve(self.root, reference));
                target.is_some_and(|target| self.conforms(target, value, depth))
            }
            _ => match value {
                Value::Object(fields) => self.keeps_object(keywords, keyword, argument, fields, depth),
                Value::Array(items) => self.keeps_array(keywords, keyword, argument, items, depth),
                Value::String(text) => keeps_length(keyword, argument, text.chars().count(), "Length"),
                Value::Number(_) => {
                    value.as_f64().is_none_or(|number| keeps_number(keyword, argument, number))
                }
                Value::Null | Value::Bool(_) => true,
            },
        }
    }

    fn keeps_object(
        &self,
        keywords: &Map<String, Value>,
        keyword: &str,
        argument: &Value,
        fields: &Map<String, Value>,
        depth: usize,
    ) -> bool {
        match keyword {
            "required" => {
                let mut names = argument.as_array().into_iter().flatten().filter_map(Value::as_str);
                names.all(|name| fields.contains_key(name))
            }
            "properties" => argument.as_object().is_none_or(|schemas| {
                schemas.iter().all(|(name, schema)| {
                    fields.get(name).is_none_or(|value| self.conforms(schema, value, depth))
                })
            }),
            "additionalProperties" => {
                let named =
                    |name: &str| keywords.get("properties").is_some_and(|named| named.get(name).is_some());
                fields
                    .iter()
                    .filter(|(name, _)| !named(name))
                    .all(|(_, value)| self.conforms(argument, value, depth))
            }
            _ => keeps_length(keyword, argument, fields.len(), "Properties"),
        }
    }

    fn keeps_array(
        &self,
        keywords: &Map<String, Value>,
        keyword: &str,
        argument: &Value,
        items: &[Value],
        depth: usize,
    ) -> bool {
        let first = keywords.get("prefixItems").and_then(Value::as_array).map_or(0, Vec::len);
        match keyword {
            "items" => items.iter().skip(first).all(|item| self.conforms(argument, item, depth)),
            "prefixItems" => {
                let schemas = argument.as_array().map(Vec::as_slice).unwrap_or_default();
                items.iter().zip(schemas).all(|(item, schema)| self.conforms(schema, item, depth))
            }
            "uniqueItems" => {
                let repeated = || {
                    items
                        .iter()
                        .enumerate()
                        .any(|(at, item)| items.iter().take(at).any(|earlier| same(earlier, item)))
                };
                argument != &Value::Bool(true) || !repeated()
            }
            _ => keeps_length(keyword, argument, items.len(), "Items"),
        }
    }
}

fn keeps_length(keyword: &str, argument: &Value, length: usize, what: &str) -> bool {
    let limit = argument.as_u64().and_then(|limit| usize::try_from(limit).ok());
    match (keyword.strip_suffix(what), limit) {
        (Some("min"), Some(least)) => length >= least,
        (Some("max"), Some(most)) => length <= most,
        _ => true,
    }
}

fn keeps_number(keyword: &str, argument: &Value, number: f64) -> bool {
    let Some(limit) = argument.as_f64() else { return true };
    match keyword {
        "minimum" => number >= limit,
        "maximum" => number <= limit,
        "exclusiveMinimum" => number > limit,
        "exclusiveMaximum" => number < limit,
        "multipleOf" => {
            let times = number / limit;
            (times - times.round()).abs() < 1e-9
        }
        _ => true,
    }
}

fn is_of(value: &Value, word: &Value) -> bool {
    match (word.as_str().unwrap_or_default(), value) {
        ("array", Value::Array(_))
        | ("boolean", Value::Bool(_))
        | ("null", Value::Null)
        | ("number", Value::Number(_))
        | ("object", Value::Object(_))
        | ("string", Value::String(_)) => true,
        // 1.0 is a whole number.
        ("integer", Value::Number(number)) => number.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => false,
    }
}

/// Equal as JSON Schema means it: 1 and 1.0 are the same.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| other.get(name).is_some_and(|other| same(value, other)))
        }
        (one, other) => one == other,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use serde_json::json;

    use super::*;

    #[test]
    fn values_conform_or_do_not() {
        let order = json!({
            "type": "object", "required": ["id", "lines"], "additionalProperties": false,
            "properties": {
                "id": {"type": "integer", "minimum": 1},
                "state": {"enum": ["open", "sent", null]},
                "lines": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/line"}, "uniqueItems": true},
            },
            "$defs": {"line": {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "number", "exclusiveMaximum": 10, "multipleOf": 0.5}]}},
        });
        assert_eq!(problems(&order), []);
        let cases = [
            (json!({"id": 1, "lines": ["abc", 9.5]}), true),
            (json!({"id": 1.0, "lines": ["ü"], "state": null}), true),
            (json!({"id": 0, "lines": ["a"]}), false),
            (json!({"id": 1.5, "lines": ["a"]}), false),
            (json!({"id": 1, "lines": []}), false),
            (json!({"id": 1, "lines": ["abcd"]}), false),
            (json!({"id": 1, "lines": [10]}), false),
            (json!({"id": 1, "lines": [0.3]}), false),
            (json!({"id": 1, "lines": [1, 1.0]}), false),
            (json!({"id": 1, "lines": ["a"], "state": "lost"}), false),
            (json!({"id": 1, "lines": ["a"], "more": 1}), false),
            (json!({"lines": ["a"]}), false),
            (json!(["a"]), false),
        ];
        for (value, expected) in cases {
            assert_eq!(conforms(&order, &value), expected, "{value}");
        }
        assert!(conforms(&json!({"oneOf": [{"type": "integer"}, {"minimum": 2}]}), &json!(1)));
        assert!(!conforms(&json!({"oneOf": [{"type": "integer"}, {"minimum": 2}]}), &json!(3)));
        assert!(conforms(&json!({"not": {"const": "no"}, "type": ["string", "null"]}), &json!("yes")));
        assert!(!conforms(&json!({"prefixItems": [{"type": "string"}], "items": false}), &json!(["a", 1])));
        assert!(!conforms(&json!(false), &json!(1)));
    }

    #[test]
    fn what_is_not_checked_is_refused_with_its_place() {
        let schema = json!({
            "title": "x", "type": "objekt", "patternProperties": {}, "properties": {"a": {"pattern": "^a"}, "b": 7},
            "items": {"$ref": "https://example.com/x"}, "minLength": -1, "anyOf": [],
        });
        let found: Vec<String> = problems(&schema)
            .into_iter()
            .map(|(at, what)| format!("{at}: {}", what.split("; allowed").next().unwrap_or_default()))
            .collect();
        insta::assert_snapshot!(found.join("\n"));
    }

    #[test]
    fn a_schema_of_itself_ends() {
        let list = json!({"type": "array", "items": {"$ref": "#"}});
        assert!(conforms(&list, &json!([[], [[]]])));
        assert!(!conforms(&list, &json!([[1]])));
        assert!(!conforms(&json!({"$ref": "#"}), &json!(1)), "a circle conforms to nothing");
    }
}
