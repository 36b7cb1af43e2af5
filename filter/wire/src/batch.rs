//! Export requests: joined from encoded records on one side, decoded within limits on the other.

use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use crate::WireError;
use crate::names;
use crate::otlp::{self, ExportLogsServiceRequest, ExportLogsServiceResponse, KeyValue};

/// Who sends a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// The proxy's node id.
    pub proxy: String,
    /// Hex epoch of the worker's VM.
    pub worker: String,
}

/// What the legs of a batch have in common: the policy that they were captured under. On the wire it is said once, as
/// attributes of the scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shared<'a> {
    /// The policy's experiment.
    pub experiment: &'a str,
    /// The policy's revision.
    pub revision: u64,
    /// The policy's digest, 16 hex digits.
    pub policy_digest: &'a str,
}

/// What [`decode_request`] accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Size of the encoded request.
    pub request_bytes_max: usize,
    /// Resources, scopes, records and attributes together: bounds the memory of the decoded request, in which an
    /// empty message of two bytes takes a hundred.
    pub messages_max: usize,
}

impl Default for DecodeLimits {
    /// 16 MiB and one million messages.
    fn default() -> Self {
        Self { request_bytes_max: 16 << 20, messages_max: 1_000_000 }
    }
}

/// Encodes an `ExportLogsServiceRequest` around records that are encoded already and say everything themselves.
pub fn encode_batch<R: AsRef<[u8]>>(resource: &Resource, records: &[R]) -> Vec<u8> {
    join(resource, &[], records)
}

/// Encodes an `ExportLogsServiceRequest` around records of one policy, see [`encode_leg`](crate::encode_leg).
pub fn encode_shared_batch<R: AsRef<[u8]>>(
    resource: &Resource,
    shared: Shared<'_>,
    records: &[R],
) -> Vec<u8> {
    join(resource, &encode_scope(shared), records)
}

fn join<R: AsRef<[u8]>>(resource: &Resource, scope: &[u8], records: &[R]) -> Vec<u8> {
    let resource = encode_resource(resource);
    let records_len: usize = records.iter().map(|record| delimited_len(record.as_ref().len())).sum();
    let scope_logs_len = delimited_len(scope.len()) + records_len;
    let resource_logs_len = delimited_len(resource.len()) + delimited_len(scope_logs_len);
    let mut bytes = Vec::with_capacity(delimited_len(resource_logs_len));
    open(1, resource_logs_len, &mut bytes);
    open(1, resource.len(), &mut bytes);
    bytes.extend_from_slice(&resource);
    open(2, scope_logs_len, &mut bytes);
    open(1, scope.len(), &mut bytes);
    bytes.extend_from_slice(scope);
    for record in records {
        open(2, record.as_ref().len(), &mut bytes);
        bytes.extend_from_slice(record.as_ref());
    }
    bytes
}

/// Bytes that a record of this size adds to a batch.
pub fn batch_len(record_len: usize) -> usize {
    delimited_len(record_len)
}

/// Encodes an `ExportLogsServiceResponse`; `rejected` is the number of refused records and why, if any.
pub fn encode_response(rejected: Option<(u64, &str)>) -> Vec<u8> {
    ExportLogsServiceResponse {
        partial_success: rejected.map(|(count, why)| otlp::ExportLogsPartialSuccess {
            rejected_log_records: i64::try_from(count).unwrap_or(i64::MAX),
            error_message: why.to_owned(),
        }),
    }
    .encode_to_vec()
}

/// Decodes a request from the network. What a scope says holds for each of its records that does not say otherwise, and
/// stands among the record's attributes afterwards. Errors: too large, too many messages, not such a message.
pub fn decode_request(bytes: &[u8], limits: DecodeLimits) -> Result<ExportLogsServiceRequest, WireError> {
    if bytes.len() > limits.request_bytes_max {
        return Err(WireError::TooLarge { bytes: bytes.len(), bytes_max: limits.request_bytes_max });
    }
    let mut budget = limits.messages_max;
    if !within_budget(bytes, Level::Request, &mut budget) {
        return Err(WireError::TooMany { messages_max: limits.messages_max });
    }
    let mut request =
        ExportLogsServiceRequest::decode(bytes).map_err(|error| WireError::Malformed(error.to_string()))?;
    for scope_logs in request.resource_logs.iter_mut().flat_map(|logs| &mut logs.scope_logs) {
        share(scope_logs, &mut budget)
            .map_err(|()| WireError::TooMany { messages_max: limits.messages_max })?;
    }
    Ok(request)
}

/// Copies of a scope's attributes count as messages, too: a large scope may not be multiplied by many small records.
fn share(scope_logs: &mut otlp::ScopeLogs, budget: &mut usize) -> Result<(), ()> {
    let Some(scope) = scope_logs.scope.as_mut() else { return Ok(()) };
    for attribute in std::mem::take(&mut scope.attributes) {
        let cost = 1 + attribute.encoded_len() / SHARED_BYTES_FREE;
        for record in &mut scope_logs.log_records {
            if record.attributes.iter().all(|own| own.key != attribute.key) {
                *budget = budget.checked_sub(cost).ok_or(())?;
                record.attributes.push(attribute.clone());
            }
        }
    }
    Ok(())
}

/// Where in a request the counting walk stands.
#[derive(Clone, Copy)]
enum Level {
    Request,
    ResourceLogs,
    ScopeLogs,
    /// Anything with values inside values: every nested message counts.
    Leaf,
}

/// Counts messages without allocating. Malformed bytes are left to the decoder.
fn within_budget(mut bytes: &[u8], level: Level, budget: &mut usize) -> bool {
    while let Some((tag, wire, rest)) = field_key(bytes) {
        let Some((content, rest)) = field_content(wire, rest) else {
            return true;
        };
        bytes = rest;
        let Some(content) = content else { continue };
        let next = match (level, tag) {
            (Level::Request, 1) => Level::ResourceLogs,
            (Level::ResourceLogs, 2) => Level::ScopeLogs,
            (Level::ScopeLogs, 2) | (Level::ResourceLogs, 1) | (Level::ScopeLogs, 1) => Level::Leaf,
            // Lists and maps inside a value are not looked into, but bounded by their bytes: 2 for each item. A record's
            // body (5) is a value, an attribute (6 of a record, 1 of a resource, 3 of a scope) has one.
            (Level::Leaf, _) => {
                let nested = content.len() > NESTED_BYTES_FREE
                    && (is_nested(content) || value_of(content).is_some_and(is_nested));
                let nested = if nested { content.len() / 2 } else { 1 };
                match budget.checked_sub(nested) {
                    Some(left) => *budget = left,
                    None => return false,
                }
                continue;
            }
            _ => continue,
        };
        match budget.checked_sub(1) {
            Some(left) => *budget = left,
            None => return false,
        }
        if !within_budget(content, next, budget) {
            return false;
        }
    }
    true
}

/// Up to this size a shared attribute counts as one message in each record.
const SHARED_BYTES_FREE: usize = 256;

/// Below this size an attribute's nested values are not worth counting.
const NESTED_BYTES_FREE: usize = 256;

/// The value of an attribute.
fn value_of(mut key_value: &[u8]) -> Option<&[u8]> {
    loop {
        let (tag, wire, rest) = field_key(key_value)?;
        let (content, rest) = field_content(wire, rest)?;
        if tag == 2 {
            return content;
        }
        key_value = rest;
    }
}

/// Whether a value is a list or a map (fields 5 and 6). Text may look like one, and is then counted too high.
fn is_nested(mut value: &[u8]) -> bool {
    while let Some((tag, wire, rest)) = field_key(value) {
        if matches!((tag, wire), (5 | 6, 2)) {
            return true;
        }
        match field_content(wire, rest) {
            Some((_, rest)) => value = rest,
            None => return false,
        }
    }
    false
}

fn field_key(bytes: &[u8]) -> Option<(u64, u64, &[u8])> {
    let (key, rest) = varint(bytes)?;
    Some((key >> 3, key & 7, rest))
}

/// The content of a length-delimited field (or none for other types), and what follows the field.
#[allow(clippy::type_complexity)]
fn field_content(wire: u64, bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    match wire {
        0 => varint(bytes).map(|(_, rest)| (None, rest)),
        1 => bytes.get(8..).map(|rest| (None, rest)),
        5 => bytes.get(4..).map(|rest| (None, rest)),
        2 => {
            let (len, rest) = varint(bytes)?;
            let (content, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
            Some((Some(content), rest))
        }
        _ => None,
    }
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index as u32).min(63);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(index + 1..).unwrap_or_default()));
        }
    }
    None
}

fn encode_resource(resource: &Resource) -> Vec<u8> {
    otlp::Resource {
        attributes: vec![
            KeyValue::string(names::SERVICE_NAME, names::SERVICE),
            KeyValue::string(names::PROXY, &resource.proxy),
            KeyValue::string(names::WORKER, &resource.worker),
        ],
        dropped_attributes_count: 0,
    }
    .encode_to_vec()
}

fn encode_scope(shared: Shared<'_>) -> Vec<u8> {
    let revision = i64::try_from(shared.revision).unwrap_or(i64::MAX);
    let revision = otlp::AnyValue { value: Some(otlp::any_value::Value::IntValue(revision)) };
    otlp::InstrumentationScope {
        attributes: vec![
            KeyValue::string(names::EXPERIMENT, shared.experiment),
            KeyValue { key: names::REVISION.to_owned(), value: Some(revision) },
            KeyValue::string(names::POLICY_DIGEST, shared.policy_digest),
        ],
        ..otlp::InstrumentationScope::default()
    }
    .encode_to_vec()
}

/// Tag (below 16), length and content.
fn delimited_len(content_len: usize) -> usize {
    key_len(1) + encoded_len_varint(content_len as u64) + content_len
}

fn open(tag: u32, content_len: usize, to: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, to);
    encode_varint(content_len as u64, to);
}
