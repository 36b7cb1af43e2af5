//! From a tree to types.
//!
//! Numbers are read leniently where their meaning is certain: an integral double (`5.0`) is an integer, and a string of
//! digits is a 64-bit integer, because a protobuf Struct has only doubles and loses integers beyond 2^53. Nothing else is
//! converted: `1` is no text and `"true"` is no truth value.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{Collector, Path};

/// A type that can be read from a node of a document.
pub trait Decode: Sized {
    /// Reads `node`, which stands `at` a place. Returns none exactly when a problem was reported.
    fn decode(node: &Value, at: &Path<'_>, problems: &mut Collector) -> Option<Self>;

    /// The value of a field that is not there, for types that have one.
    #[must_use]
    fn absent() -> Option<Self> {
        None
    }

    /// Whether this value is written by leaving its field away.
    fn is_absent(&self) -> bool {
        false
    }
}

impl Decode for String {
    fn decode(node: &Value, at: &Path<'_>, problems: &mut Collector) -> Option<Self> {
        match node {
            Value::String(text) => Some(text.clone()),
            Value::Number(_) | Value::Bool(_) => {
                problems.report(at, "is not text").value(node).hint(format!("put it in quotes: \"{node}\""));
                None
            }
            _ => {
                problems.report(at, "is not text").value(node);
                None
            }
        }
    }
}

impl Decode for bool {
    fn decode(node: &Value, at: &Path<'_>, problems: &mut Collector) -> Option<Self> {
        if let Value::Bool(flag) = node {
            return Some(*flag);
        }
        let report = problems.report(at, "is not a truth value").value(node).allowed("true, false");
        if node.as_str().is_some_and(|text| text == "true" || text == "false") {
            report.hint("remove the quotes");
        }
        None
    }
}

impl Decode for u64 {
    fn decode(node: &Value, at: &Path<'_>, problems: &mut Collector) -> Option<Self> {
        let number = match node {
            Value::Number(number) => number.as_u64().or_else(|| number.as_f64().and_then(integral)),
            Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            _ => None,
        };
        if number.is_none() {
            problems.report(at, "is not a whole number of 0 or more").value(node);
        }
        number
    }
}

impl Decode for u32 {
    fn decode(node: &Value, at: &Path<'_>, problems: &mut Collector) -> Option<Self> {
        let number = u64::decode(node, at, problems)?;
        let small = u32::try_from(number).ok();
        if small.is_none() {
            problems.report(at, "is too large").value(node);
        }
        small
    }
}

impl Decode for i64 {
    fn decode(node: &Value, at: &Path<'_>, problems: &mut Collector) -> Option<Self> {
        let number = match node {
            Value::Number(number) => number.as_i64().or_else(|| {
                let magnitude = number.as_f64()?;
                let size = i64::try_from(integral(magnitude.abs())?).ok()?;
                Some(if magnitude < 0.0 { -size } else { size })
            }),
            Value::String(text)
                if text.strip_prefix('-').unwrap_or(text).bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                text.parse().ok()
            }
            _ => None,
        };
        if number.is_none() {
            problems.report(at, "is not a whole number").value(node);
        }
        number
    }
}

impl Decode for f64 {
    fn decode(node: &Value, at: &Path<'_>, problems: &mut Collector) -> Option<Self> {
        let number = node.as_f64().filter(|number| number.is_finite());
        if number.is_none() {
            let report = problems.report(at, "is not a number").value(node);
            if let Some(text) = node.as_str() {
                if text.parse::<f64>().is_ok_and(f64::is_finite) {
                    report.hint("remove the quotes");
                } else if let Some(bare) = text.strip_suffix('%') {
                    report.hint(format!("write {}, without the percent sign", bare.trim()));
                }
            }
        }
        number
    }
}

impl Decode for Value {
    fn decode(node: &Value, _: &Path<'_>, _: &mut Collector) -> Option<Self> {
        Some(crate::canonical(node.clone()))
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Value, at: &Path<'_>, problems: &mut Collector) -> Option<Self> {
        let Value::Array(items) = node else {
            problems.report(at, "is not a list").value(node);
            return None;
        };
        // Every item is read, also after a bad one, so that all problems are found.
        let decoded: Vec<Option<T>> = items
            .iter()
            .enumerate()
            .map(|(index, item)| T::decode(item, &at.index(index), problems))
            .collect();
        decoded.into_iter().collect()
    }
}

impl<T: Decode> Decode for BTreeMap<String, T> {
    fn decode(node: &Value, at: &Path<'_>, problems: &mut Collector) -> Option<Self> {
        let Value::Object(fields) = node else {
            problems.report(at, "is not a mapping").value(node);
            return None;
        };
        let sorted: BTreeMap<&String, &Value> = fields.iter().collect();
        let decoded: Vec<Option<(String, T)>> = sorted
            .into_iter()
            .map(|(key, value)| T::decode(value, &at.key(key), problems).map(|value| (key.clone(), value)))
            .collect();
        decoded.into_iter().collect()
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(node: &Value, at: &Path<'_>, problems: &mut Collector) -> Option<Self> {
        if node.is_null() { Some(None) } else { T::decode(node, at, problems).map(Some) }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T: Decode> Decode for Box<T> {
    fn decode(node: &Value, at: &Path<'_>, problems: &mut Collector) -> Option<Self> {
        T::decode(node, at, problems).map(Box::new)
    }

    fn absent() -> Option<Self> {
        T::absent().map(Box::new)
    }

    fn is_absent(&self) -> bool {
        T::is_absent(self)
    }
}

/// A double that is a whole number of 0 or more, up to 2^53, beyond which doubles skip whole numbers.
fn integral(number: f64) -> Option<u64> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let whole = number.fract() == 0.0 && (0.0..=EXACT_MAX).contains(&number);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be whole and in range"
    )]
    whole.then_some(number as u64)
}
