//! OTLP's JSON encoding: camelCase names, 64-bit integers as text or number, trace and span identifiers as hex, bytes as
//! base64; unknown fields are ignored, null is absent.
//!
//! A value of a wrong type inside a record is a problem of that record only, told with its field; broken JSON, or lists and
//! resources that are none, one of the whole request.

use std::sync::Arc;

use base64::Engine;
use weir_wire::otlp::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, LogRecord, Resource, any_value::Value,
};

use super::trace::{Span, SpanEvent, Status};
use super::tree::{Json, values_at_most};
use super::{Item, ItemGroup};

/// Values of the document for each message that is allowed: an attribute is three messages and up to eight values.
const VALUES_PER_MESSAGE: usize = 4;

/// Why a request is not read at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JsonError {
    #[error("request: more than {values_max} values\n  hint: send smaller batches")]
    TooMany { values_max: usize },
    #[error("request: not OTLP as JSON: {0}\n  hint: lists and objects are those of OTLP, in camelCase")]
    Malformed(String),
}

/// Reads an `ExportLogsServiceRequest`.
pub(crate) fn logs(bytes: &[u8], messages_max: usize) -> Result<Vec<ItemGroup<LogRecord>>, JsonError> {
    groups(document(bytes, messages_max)?, ["resourceLogs", "scopeLogs", "logRecords"], log_record)
}

/// Reads an `ExportTraceServiceRequest`.
pub(crate) fn spans(bytes: &[u8], messages_max: usize) -> Result<Vec<ItemGroup<Span>>, JsonError> {
    groups(document(bytes, messages_max)?, ["resourceSpans", "scopeSpans", "spans"], span)
}

fn document(bytes: &[u8], messages_max: usize) -> Result<Json, JsonError> {
    let values_max = messages_max.saturating_mul(VALUES_PER_MESSAGE);
    if !values_at_most(bytes, values_max) {
        return Err(JsonError::TooMany { values_max });
    }
    match serde_json::from_slice(bytes) {
        Ok(document @ Json::Object(_)) => Ok(document),
        Ok(other) => Err(JsonError::Malformed(format!("{} is not an object", other.shown()))),
        Err(error) => Err(JsonError::Malformed(error.to_string())),
    }
}

fn groups<T>(
    mut document: Json,
    [resources, scopes, items]: [&'static str; 3],
    read: fn(Json) -> Result<T, String>,
) -> Result<Vec<ItemGroup<T>>, JsonError> {
    let mut groups = Vec::new();
    for mut entry in list(document.take(resources), resources).map_err(JsonError::Malformed)? {
        let resource = Arc::new(resource(entry.take("resource")).map_err(JsonError::Malformed)?);
        for mut scoped in list(entry.take(scopes), scopes).map_err(JsonError::Malformed)? {
            let scope = scope(scoped.take("scope")).map_err(JsonError::Malformed)?;
            let found = list(scoped.take(items), items).map_err(JsonError::Malformed)?;
            let items: Vec<Item<T>> = found.into_iter().map(read).collect();
            groups.push(ItemGroup { resource: Arc::clone(&resource), scope, items });
        }
    }
    Ok(groups)
}

fn resource(mut from: Json) -> Result<Resource, String> {
    let attributes = attributes(from.take("attributes")).map_err(|why| format!("resource: {why}"))?;
    Ok(Resource { attributes, ..Resource::default() })
}

fn scope(mut from: Json) -> Result<InstrumentationScope, String> {
    let attributes = attributes(from.take("attributes")).map_err(|why| format!("scope: {why}"))?;
    Ok(InstrumentationScope {
        name: text(from.take("name"), "scope.name")?,
        attributes,
        ..Default::default()
    })
}

fn log_record(mut from: Json) -> Result<LogRecord, String> {
    let from = object(&mut from, "log record")?;
    Ok(LogRecord {
        time_unix_nano: nanoseconds(from.take("timeUnixNano"), "timeUnixNano")?,
        observed_time_unix_nano: nanoseconds(from.take("observedTimeUnixNano"), "observedTimeUnixNano")?,
        event_name: text(from.take("eventName"), "eventName")?,
        trace_id: hex(from.take("traceId"), "traceId")?,
        span_id: hex(from.take("spanId"), "spanId")?,
        body: any_value(from.take("body")).map_err(|why| format!("body: {why}"))?,
        attributes: attributes(from.take("attributes"))?,
        ..LogRecord::default()
    })
}

fn span(mut from: Json) -> Result<Span, String> {
    let from = object(&mut from, "span")?;
    let mut status = from.take("status");
    Ok(Span {
        trace_id: hex(from.take("traceId"), "traceId")?,
        span_id: hex(from.take("spanId"), "spanId")?,
        trace_state: text(from.take("traceState"), "traceState")?,
        name: text(from.take("name"), "name")?,
        start_time_unix_nano: nanoseconds(from.take("startTimeUnixNano"), "startTimeUnixNano")?,
        end_time_unix_nano: nanoseconds(from.take("endTimeUnixNano"), "endTimeUnixNano")?,
        attributes: attributes(from.take("attributes"))?,
        events: list(from.take("events"), "events")?.into_iter().map(event).collect::<Result<_, _>>()?,
        status: match status {
            Json::Object(_) => Some(Status {
                message: text(status.take("message"), "status.message")?,
                code: status_code(status.take("code"))?,
            }),
            _ => None,
        },
    })
}

fn event(mut from: Json) -> Result<SpanEvent, String> {
    let from = object(&mut from, "event")?;
    Ok(SpanEvent {
        name: text(from.take("name"), "name")?,
        attributes: attributes(from.take("attributes")).map_err(|why| format!("event: {why}"))?,
    })
}

fn object<'a>(from: &'a mut Json, what: &str) -> Result<&'a mut Json, String> {
    match from {
        Json::Object(_) => Ok(from),
        other => Err(format!("{} is not a {what}; allowed: an object", other.shown())),
    }
}

fn list(from: Json, name: &str) -> Result<Vec<Json>, String> {
    match from {
        Json::Null => Ok(Vec::new()),
        Json::List(items) => Ok(items),
        other => Err(format!("field {name}: {} is not a list", other.shown())),
    }
}

fn attributes(from: Json) -> Result<Vec<KeyValue>, String> {
    list(from, "attributes")?.into_iter().map(key_value).collect()
}

fn key_value(mut from: Json) -> Result<KeyValue, String> {
    let from = object(&mut from, "attribute")?;
    let key = text(from.take("key"), "attribute key")?;
    let value = any_value(from.take("value")).map_err(|why| {
        let short: String = key.chars().take(60).collect();
        format!("attribute {short}: {why}")
    })?;
    Ok(KeyValue { key, value })
}

fn any_value(mut from: Json) -> Result<Option<AnyValue>, String> {
    if from == Json::Null {
        return Ok(None);
    }
    let Json::Object(fields) = object(&mut from, "value")? else { return Ok(None) };
    let Some((name, value)) = fields.iter_mut().find(|(_, value)| *value != Json::Null) else {
        return Ok(Some(AnyValue::default()));
    };
    let taken = std::mem::replace(value, Json::Null);
    Ok(Some(AnyValue { value: value_of(name, taken)? }))
}

fn value_of(name: &str, mut from: Json) -> Result<Option<Value>, String> {
    Ok(Some(match (name, from) {
        ("stringValue", from) => Value::StringValue(text(from, name)?),
        ("boolValue", Json::Bool(value)) => Value::BoolValue(value),
        ("intValue", from) => Value::IntValue(integer(from, name)?),
        ("doubleValue", from) => Value::DoubleValue(double(from)?),
        ("bytesValue", Json::Text(text)) => {
            let bytes = base64::engine::general_purpose::STANDARD.decode(&text);
            Value::BytesValue(bytes.map_err(|error| format!("bytesValue is not base64: {error}"))?)
        }
        ("arrayValue", object @ Json::Object(_)) => {
            from = object;
            let values = list(from.take("values"), "arrayValue.values")?.into_iter();
            let values = values.map(|item| Ok(any_value(item)?.unwrap_or_default()));
            Value::ArrayValue(ArrayValue { values: values.collect::<Result<_, String>>()? })
        }
        ("kvlistValue", object @ Json::Object(_)) => {
            from = object;
            let values = list(from.take("values"), "kvlistValue.values")?.into_iter().map(key_value);
            Value::KvlistValue(KeyValueList { values: values.collect::<Result<_, String>>()? })
        }
        ("boolValue" | "bytesValue" | "arrayValue" | "kvlistValue", other) => {
            return Err(format!("{} is no {name}", other.shown()));
        }
        // Kinds of values that came later.
        _ => return Ok(None),
    }))
}

fn text(from: Json, name: &str) -> Result<String, String> {
    match from {
        Json::Null => Ok(String::new()),
        Json::Text(text) => Ok(text),
        other => Err(format!("field {name}: {} is not text", other.shown())),
    }
}

fn integer(from: Json, name: &str) -> Result<i64, String> {
    let why = |shown: String| format!("field {name}: {shown} is not a 64-bit integer");
    match from {
        Json::Null => Ok(0),
        Json::Integer(value) => Ok(value),
        Json::Text(text) => text.parse().map_err(|_| why(Json::Text(text).shown())),
        other => Err(why(other.shown())),
    }
}

fn nanoseconds(from: Json, name: &str) -> Result<u64, String> {
    let why = |shown: String| format!("field {name}: {shown} is not a number of nanoseconds since 1970");
    match from {
        Json::Null => Ok(0),
        Json::Integer(value) => u64::try_from(value).map_err(|_| why(value.to_string())),
        Json::Large(value) => Ok(value),
        Json::Text(text) => text.parse().map_err(|_| why(Json::Text(text).shown())),
        other => Err(why(other.shown())),
    }
}

fn double(from: Json) -> Result<f64, String> {
    match from {
        Json::Double(value) => Ok(value),
        Json::Integer(value) => Ok(value as f64),
        Json::Large(value) => Ok(value as f64),
        // "NaN", "Infinity" and numbers as text.
        Json::Text(text) => text.parse().map_err(|_| format!("{} is no number", Json::Text(text).shown())),
        other => Err(format!("{} is no number", other.shown())),
    }
}

fn status_code(from: Json) -> Result<i32, String> {
    match from {
        Json::Text(name) if name == "STATUS_CODE_ERROR" => Ok(2),
        Json::Text(name) if name == "STATUS_CODE_OK" => Ok(1),
        Json::Text(name) if name == "STATUS_CODE_UNSET" => Ok(0),
        from => {
            i32::try_from(integer(from, "status.code")?).map_err(|_| "field status.code is too large".into())
        }
    }
}

fn hex(from: Json, name: &str) -> Result<Vec<u8>, String> {
    let digits = text(from, name)?;
    let why = || format!("field {name}: {} is not hex digits in pairs", Json::Text(digits.clone()).shown());
    let pairs = digits.as_bytes().chunks(2).map(|pair| {
        let [high, low] = pair else { return None };
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        u8::try_from(digit(high)? * 16 + digit(low)?).ok()
    });
    pairs.collect::<Option<Vec<u8>>>().ok_or_else(why)
}
