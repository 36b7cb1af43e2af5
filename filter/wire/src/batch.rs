//! Export requests: joined from encoded records on one side, decoded within limits on the other.

use prost::Message;
use prost::encoding::{encoded_len_varint, key_len};

use crate::WireError;
use crate::budget::{self, Signal};
use crate::leg::{LegView, common};
use crate::names;
use crate::otlp::{self, ExportLogsServiceRequest, ExportLogsServiceResponse, KeyValue};
use crate::record::{RecordWriter, open, put_bytes};

/// Who sends a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// The proxy's node id.
    pub proxy: String,
    /// Hex epoch of the worker's VM.
    pub worker: String,
}

/// The policy that the legs of a batch were captured under. On the wire it is said once, as attributes of a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shared<'a> {
    /// The policy's experiment.
    pub experiment: &'a str,
    /// The policy's revision.
    pub revision: u64,
    /// The policy's digest, 16 hex digits.
    pub policy_digest: &'a str,
}

/// Records of a batch that say something together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// What they share, by [`encode_scope`]; nothing where each says everything itself.
    pub attributes: Vec<u8>,
    /// The records, each added by [`Scope::push`].
    pub records: Vec<u8>,
}

impl Scope {
    /// Adds an encoded record. Returns by how many bytes the batch grows.
    pub fn push(&mut self, record: &[u8]) -> usize {
        let before = self.records.len();
        put_bytes(2, record, &mut self.records);
        self.records.len() - before
    }

    fn content_len(&self) -> usize {
        delimited_len(self.attributes.len()) + self.records.len()
    }
}

/// What [`decode_request`] accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Size of the encoded request.
    pub request_bytes_max: usize,
    /// Resources, scopes, records, attributes and values together: bounds the memory of the decoded request, in which an
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
    let mut scope = Scope::default();
    for record in records {
        scope.push(record.as_ref());
    }
    encode_scopes(resource, &[scope])
}

/// Encodes an `ExportLogsServiceRequest` around scopes.
pub fn encode_scopes<'a>(
    resource: &Resource,
    scopes: impl IntoIterator<Item = &'a Scope, IntoIter: Clone>,
) -> Vec<u8> {
    let (resource, scopes) = (encode_resource(resource), scopes.into_iter());
    let scopes_len: usize = scopes.clone().map(|scope| delimited_len(scope.content_len())).sum();
    let resource_logs_len = delimited_len(resource.len()) + scopes_len;
    let mut bytes = Vec::with_capacity(delimited_len(resource_logs_len));
    open(1, resource_logs_len, &mut bytes);
    put_bytes(1, &resource, &mut bytes);
    for scope in scopes {
        open(2, scope.content_len(), &mut bytes);
        put_bytes(1, &scope.attributes, &mut bytes);
        bytes.extend_from_slice(&scope.records);
    }
    bytes
}

/// Bytes that a record of this size adds to a batch.
pub fn batch_len(record_len: usize) -> usize {
    delimited_len(record_len)
}

/// The attributes of a scope of legs: their policy, and everything that [`encode_leg`](crate::encode_leg) leaves out.
pub fn encode_scope(shared: Shared<'_>, leg: &LegView<'_>) -> Vec<u8> {
    let mut scope = RecordWriter::of_scope();
    scope.text(names::EXPERIMENT, shared.experiment);
    scope.integer(names::REVISION, shared.revision);
    scope.text(names::POLICY_DIGEST, shared.policy_digest);
    common(leg, &mut scope);
    scope.finish()
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

/// Refuses a request that is larger, or holds more messages, than the limits; for signals that are decoded elsewhere.
pub fn check_request(bytes: &[u8], signal: Signal, limits: DecodeLimits) -> Result<(), WireError> {
    if bytes.len() > limits.request_bytes_max {
        return Err(WireError::TooLarge { bytes: bytes.len(), bytes_max: limits.request_bytes_max });
    }
    let mut budget = limits.messages_max;
    if budget::spend(bytes, signal, &mut budget) {
        Ok(())
    } else {
        Err(WireError::TooMany { messages_max: limits.messages_max })
    }
}

/// Decodes a request from the network. What a scope says holds for each of its records that does not say otherwise, and
/// stands among the record's attributes afterwards. Errors: too large, too many messages, not such a message.
pub fn decode_request(bytes: &[u8], limits: DecodeLimits) -> Result<ExportLogsServiceRequest, WireError> {
    if bytes.len() > limits.request_bytes_max {
        return Err(WireError::TooLarge { bytes: bytes.len(), bytes_max: limits.request_bytes_max });
    }
    let mut budget = limits.messages_max;
    if !budget::spend(bytes, Signal::Logs, &mut budget) {
        return Err(WireError::TooMany { messages_max: limits.messages_max });
    }
    let mut request =
        ExportLogsServiceRequest::decode(bytes).map_err(|error| WireError::Malformed(error.to_string()))?;
    share_scopes(&mut request, budget, limits)?;
    Ok(request)
}

/// Gives what a scope says to each of its records that does not say otherwise, within a budget of messages.
pub fn share_scopes(
    request: &mut ExportLogsServiceRequest,
    mut budget: usize,
    limits: DecodeLimits,
) -> Result<(), WireError> {
    for scope_logs in request.resource_logs.iter_mut().flat_map(|logs| &mut logs.scope_logs) {
        share(scope_logs, &mut budget)
            .map_err(|()| WireError::TooMany { messages_max: limits.messages_max })?;
    }
    Ok(())
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

/// Up to this size a shared attribute counts as one message in each record.
const SHARED_BYTES_FREE: usize = 256;

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

/// Tag (below 16), length and content.
fn delimited_len(content_len: usize) -> usize {
    key_len(1) + encoded_len_varint(content_len as u64) + content_len
}
