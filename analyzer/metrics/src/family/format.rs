//! Whether a consumer can read the answer: `json_valid` and `json_fields:<a,b>`.
//!
//! An answer is JSON when its whole text parses as an object or an array: a code fence around it or a sentence before
//! it breaks a consumer, so it counts as broken here. Both metrics are given only where the control answers in JSON at
//! all, since prose that is not JSON is no fault.

use serde_json::Value;
use weir_gate::Better;

use super::flag;
use crate::answer::Answer;
use crate::metric::{Metric, NeedsControl, SHARE, ValueOf};

const NEEDS_JSON: NeedsControl =
    NeedsControl { metric: "json_valid", otherwise: "no answer of the control is a JSON object or array" };

pub(crate) fn metrics() -> Vec<Metric> {
    vec![Metric {
        name: "json_valid".to_owned(),
        unit: "share".into(),
        better: Better::Higher,
        bounds: SHARE,
        value: ValueOf::Answer(|answer| answer.text.as_ref().map(|text| flag(text.json.is_some()))),
        needs_control: Some(NEEDS_JSON),
    }]
}

/// `json_fields:answer,order_id`: the share of answers that are a JSON object with these fields.
///
/// A field may be a path of names with dots, `order.id`; a field that is null counts as missing.
pub(crate) fn json_fields(name: &str, fields: Vec<String>) -> Metric {
    Metric {
        name: name.to_owned(),
        unit: "share".into(),
        better: Better::Higher,
        bounds: SHARE,
        value: ValueOf::JsonFields(fields),
        needs_control: Some(NEEDS_JSON),
    }
}

/// Whether the answer is a JSON object with all `fields`.
pub(crate) fn has_fields(answer: &Answer<'_>, fields: &[String]) -> Option<f64> {
    let text = answer.text.as_ref()?;
    let Some(json) = &text.json else {
        return Some(0.0);
    };
    Some(flag(fields.iter().all(|field| field_of(json, field).is_some_and(|value| !value.is_null()))))
}

fn field_of<'a>(json: &'a Value, path: &str) -> Option<&'a Value> {
    // A name that has a dot itself comes first.
    json.get(path).or_else(|| path.split('.').try_fold(json, |node, name| node.get(name)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;
    use crate::metric::registry;

    fn value(name: &str, text: &str) -> Option<f64> {
        let metrics = registry(&[name.to_owned()], None).unwrap();
        let metric = metrics.iter().find(|metric| metric.name == name).unwrap();
        metric.value(&Answer::default().with_text(Some(text)))
    }

    #[test]
    fn json_is_an_object_or_an_array_and_nothing_around_it() {
        let cases = [
            ("{\"a\": 1}", 1.0),
            (" [1, 2]\n", 1.0),
            ("{}", 1.0),
            ("{\"a\": 1", 0.0),
            ("{\"a\": 1} Hope this helps!", 0.0),
            ("```json\n{\"a\": 1}\n```", 0.0),
            ("42", 0.0),
            ("\"quoted\"", 0.0),
            ("plain", 0.0),
            ("", 0.0),
        ];
        for (text, expected) in cases {
            assert_eq!(value("json_valid", text), Some(expected), "{text}");
        }
    }

    #[test]
    fn fields_must_all_be_there_and_not_null() {
        let cases = [
            ("{\"answer\": \"x\", \"order_id\": 7}", 1.0),
            ("{\"answer\": \"\", \"order_id\": 0, \"more\": 1}", 1.0),
            ("{\"answer\": \"x\"}", 0.0),
            ("{\"answer\": \"x\", \"order_id\": null}", 0.0),
            ("[1]", 0.0),
            ("prose", 0.0),
        ];
        for (text, expected) in cases {
            assert_eq!(value("json_fields:answer,order_id", text), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_field_may_be_a_path() {
        assert_eq!(value("json_fields:order.id", "{\"order\": {\"id\": 1}}"), Some(1.0));
        assert_eq!(value("json_fields:order.id", "{\"order.id\": 1}"), Some(1.0));
        assert_eq!(value("json_fields:order.id", "{\"order\": {}}"), Some(0.0));
    }

    #[test]
    fn text_that_nests_too_deep_is_not_valid_and_does_no_harm() {
        assert_eq!(value("json_valid", &"[".repeat(100_000)), Some(0.0));
    }
}
