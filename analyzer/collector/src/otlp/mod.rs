//! OTLP/HTTP on the wire: media types, content encodings, both encodings of requests and of answers.
//!
//! Limits: [`RequestLimits`]. Invariants: a request is refused before it takes more memory than its limits; an answer speaks
//! the request's encoding.

pub(crate) mod answer;
mod json;
#[cfg(test)]
mod mutations;
pub(crate) mod trace;
mod tree;

use std::sync::Arc;

use prost::Message;
use weir_sample::encoding::{self, DecodeLimits as EncodingLimits, End};
use weir_wire::otlp::{InstrumentationScope, KeyValue, LogRecord, Resource};
use weir_wire::{DecodeLimits, Signal, WireError, check_request};

use answer::Refusal;
use json::JsonError;
use trace::{ExportTraceServiceRequest, Span};

use crate::status::Rejection;

/// Media type of protobuf.
pub(crate) const PROTOBUF: &str = "application/x-protobuf";
/// Media type of JSON.
pub(crate) const JSON: &str = "application/json";

/// How a request, and its answer, are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Protobuf,
    Json,
}

/// Bounds of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestLimits {
    /// After undoing the content encoding, bytes.
    pub(crate) decoded_bytes_max: usize,
    /// Decoded bytes for each byte on the wire, beyond the first MiB.
    pub(crate) ratio_max: usize,
    /// Resources, scopes, records, attributes and values together.
    pub(crate) messages_max: usize,
    /// Records or spans.
    pub(crate) records_max: usize,
}

/// A record or a span, or why it cannot be read.
pub(crate) type Item<T> = Result<T, String>;

/// Items of one resource and scope.
#[derive(Debug)]
pub(crate) struct ItemGroup<T> {
    pub(crate) resource: Arc<Resource>,
    pub(crate) scope: InstrumentationScope,
    pub(crate) items: Vec<Item<T>>,
}

impl Format {
    /// Of the `content-type` header.
    pub(crate) fn of(content_type: &str) -> Option<Self> {
        let media = content_type.split(';').next().unwrap_or_default().trim();
        if media.eq_ignore_ascii_case(PROTOBUF) {
            Some(Self::Protobuf)
        } else {
            media.eq_ignore_ascii_case(JSON).then_some(Self::Json)
        }
    }

    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Protobuf => PROTOBUF,
            Self::Json => JSON,
        }
    }
}

/// Undoes the content encoding of a request, which is at most one.
pub(crate) fn decoded(
    bytes: &[u8],
    layers: &[encoding::Encoding],
    limits: RequestLimits,
) -> Result<Vec<u8>, Refusal> {
    let RequestLimits { decoded_bytes_max, ratio_max, .. } = limits;
    let limits = EncodingLimits { bytes_max: decoded_bytes_max, ratio_max };
    let Some(layer) = layers.first() else { return Ok(bytes.to_vec()) };
    let end = match encoding::decode_whole(bytes, *layer, limits) {
        Ok(decoded) => return Ok(decoded),
        Err(end) => end,
    };
    let layer = format!("{layer:?}").to_lowercase();
    match end {
        End::Limit => Err(Refusal::new(
            Rejection::TooLarge,
            format!(
                "the body becomes larger than {decoded_bytes_max} bytes, more than {ratio_max} times its size, or needs a window above 8 MiB\n  hint: send smaller batches"
            ),
        )),
        End::Cut => {
            let message = format!(
                "the body ends before its {layer} does\n  hint: finish the compressed stream before sending it"
            );
            Err(Refusal::new(Rejection::Malformed, message))
        }
        End::Damaged | End::Whole => {
            let message = format!(
                "the body is not {layer}, which its content-encoding says\n  hint: compress the body, or leave the header out"
            );
            Err(Refusal::new(Rejection::Malformed, message))
        }
    }
}

/// Reads log records; what a scope says stands among the attributes of its records.
pub(crate) fn log_records(
    format: Format,
    bytes: &[u8],
    limits: RequestLimits,
) -> Result<Vec<ItemGroup<LogRecord>>, Refusal> {
    let messages_max = limits.messages_max;
    let mut groups = match format {
        Format::Json => json::logs(bytes, messages_max).map_err(json_refusal)?,
        Format::Protobuf => {
            let decode = DecodeLimits { request_bytes_max: limits.decoded_bytes_max, messages_max };
            let request = weir_wire::decode_request(bytes, decode).map_err(wire_refusal)?;
            let mut groups = Vec::new();
            for logs in request.resource_logs {
                let resource = Arc::new(logs.resource.unwrap_or_default());
                for scoped in logs.scope_logs {
                    let scope = scoped.scope.unwrap_or_default();
                    let items = scoped.log_records.into_iter().map(Ok).collect();
                    groups.push(ItemGroup { resource: Arc::clone(&resource), scope, items });
                }
            }
            groups
        }
    };
    check_number(groups.iter().map(|group| group.items.len()).sum(), limits)?;
    if format == Format::Json {
        share_scopes(&mut groups, messages_max)?;
    }
    Ok(groups)
}

/// Reads spans.
pub(crate) fn spans(
    format: Format,
    bytes: &[u8],
    limits: RequestLimits,
) -> Result<Vec<ItemGroup<Span>>, Refusal> {
    let messages_max = limits.messages_max;
    let groups = match format {
        Format::Json => json::spans(bytes, messages_max).map_err(json_refusal)?,
        Format::Protobuf => {
            let decode = DecodeLimits { request_bytes_max: limits.decoded_bytes_max, messages_max };
            check_request(bytes, Signal::Traces, decode).map_err(wire_refusal)?;
            let request = ExportTraceServiceRequest::decode(bytes)
                .map_err(|error| wire_refusal(WireError::Malformed(error.to_string())))?;
            let mut groups = Vec::new();
            for spans in request.resource_spans {
                let resource = Arc::new(spans.resource.unwrap_or_default());
                for scoped in spans.scope_spans {
                    let items = scoped.spans.into_iter().map(Ok).collect();
                    let scope = InstrumentationScope::default();
                    groups.push(ItemGroup { resource: Arc::clone(&resource), scope, items });
                }
            }
            groups
        }
    };
    check_number(groups.iter().map(|group| group.items.len()).sum(), limits)?;
    Ok(groups)
}

fn check_number(records: usize, limits: RequestLimits) -> Result<(), Refusal> {
    if records <= limits.records_max {
        return Ok(());
    }
    let message = format!(
        "request: {records} records are more than {}\n  hint: send smaller batches",
        limits.records_max
    );
    Err(Refusal::new(Rejection::TooLarge, message))
}

/// As the protobuf decoder does: a scope's attributes hold for its records, within the budget of messages.
fn share_scopes(groups: &mut [ItemGroup<LogRecord>], messages_max: usize) -> Result<(), Refusal> {
    let mut budget = messages_max;
    for group in groups {
        for attribute in std::mem::take(&mut group.scope.attributes) {
            let cost = 1 + attribute.encoded_len() / 256;
            for record in group.items.iter_mut().flatten() {
                if !has(&record.attributes, &attribute.key) {
                    let left = budget.checked_sub(cost);
                    budget = left.ok_or_else(|| wire_refusal(WireError::TooMany { messages_max }))?;
                    record.attributes.push(attribute.clone());
                }
            }
        }
    }
    Ok(())
}

fn has(attributes: &[KeyValue], key: &str) -> bool {
    attributes.iter().any(|attribute| attribute.key == key)
}

fn wire_refusal(error: WireError) -> Refusal {
    let rejection = match error {
        WireError::TooLarge { .. } | WireError::TooMany { .. } => Rejection::TooLarge,
        _ => Rejection::Malformed,
    };
    Refusal::new(rejection, error.to_string())
}

fn json_refusal(error: JsonError) -> Refusal {
    let rejection = match error {
        JsonError::TooMany { .. } => Rejection::TooLarge,
        JsonError::Malformed(_) => Rejection::Malformed,
    };
    Refusal::new(rejection, error.to_string())
}
