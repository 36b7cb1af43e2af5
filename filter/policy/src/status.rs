//! Response statuses as documents name them: one (`429`) or a hundred of them (`5xx`).

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};
use serde_json::Value;
use weir_document::{Collector, Decode, Path};

const ALLOWED: &str = "100 to 599, or 1xx, 2xx, 3xx, 4xx, 5xx";

/// One status, or all statuses of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusMatch {
    /// This one.
    One(u16),
    /// All of a class, 1 to 5.
    Class(u16),
}

impl StatusMatch {
    /// Reads `429` or `5xx`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(class) = text.strip_suffix("xx") {
            return class.parse().ok().filter(|class| (1..=5).contains(class)).map(Self::Class);
        }
        text.parse().ok().filter(|status| (100..=599).contains(status)).map(Self::One)
    }

    /// Whether a response has this status.
    #[must_use]
    pub fn matches(self, status: u16) -> bool {
        match self {
            Self::One(one) => status == one,
            Self::Class(class) => status / 100 == class,
        }
    }
}

impl fmt::Display for StatusMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(status) => write!(f, "{status}"),
            Self::Class(class) => write!(f, "{class}xx"),
        }
    }
}

impl Decode for StatusMatch {
    fn decode(node: &Value, at: &Path<'_>, problems: &mut Collector) -> Option<Self> {
        let found = match node {
            Value::String(text) => Self::parse(text),
            Value::Number(number) => number
                .as_u64()
                .or_else(|| {
                    number.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as u64)
                })
                .and_then(|number| Self::parse(&number.to_string())),
            _ => None,
        };
        if found.is_none() {
            problems.report(at, "is not a status").value(node).allowed(ALLOWED);
        }
        found
    }
}

impl Serialize for StatusMatch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for StatusMatch {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("StatusMatch")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": ["string", "integer"],
            "minimum": 100,
            "maximum": 599,
            "pattern": "^([1-5][0-9]{2}|[1-5]xx)$",
        })
    }
}
