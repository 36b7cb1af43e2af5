//! A captured leg, and its form as a log record.
//!
//! Absent values are absent attributes: an empty string or `None` is not written. Unknown attributes are ignored on
//! reading, so that an older collector reads a newer filter. Required: sample id, leg, variant, experiment.

use crate::WireError;
use crate::names;
use crate::otlp::LogRecord;
use crate::record::{Attributes, RecordWriter};

/// What a record takes besides its bodies.
const RECORD_BYTES_USUAL: usize = 1024;

/// Which answer of an exchange a leg is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LegKind {
    /// The one that the client got.
    Primary,
    /// The candidate's, never served.
    Shadow,
    /// A second one of control, never served: the noise floor.
    Noise,
}

/// Who answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Variant {
    /// What is served today.
    Control,
    /// What is tried.
    Candidate,
}

/// One captured leg as the filter saw it. Texts are empty and numbers `None` when not known.
#[derive(Debug, Clone, PartialEq)]
pub struct Leg {
    /// Shared by all legs of an exchange.
    pub sample_id: String,
    /// Which answer this is.
    pub leg: LegKind,
    /// Who answered.
    pub variant: Variant,
    /// The policy's experiment.
    pub experiment: String,
    /// The policy's revision.
    pub revision: u64,
    /// The policy's digest, 16 hex digits.
    pub policy_digest: String,
    /// Label of the snapshot that answered.
    pub snapshot: String,
    /// Cohort of the exchange.
    pub cohort: String,
    /// Tier of the cohort.
    pub tier: String,
    /// Autonomy level of the cohort.
    pub autonomy: String,
    /// Hex hash of the identity; empty when there was none.
    pub identity_hash: String,
    /// Hex hash of the session; empty when there was none (primary leg only).
    pub session_id: String,
    /// The chance that this leg was captured, in (0, 1].
    pub inclusion_probability: f64,
    /// The candidate's share of the identities of this cohort, 0 to 1 (primary leg only).
    pub candidate_share: Option<f64>,
    /// The copies that were asked for, joined by commas (primary leg only).
    pub copies: String,
    /// Number per worker epoch.
    pub sequence: u64,
    /// Start of the request, nanoseconds since 1970.
    pub start_unix_nano: u64,
    /// Request method.
    pub method: String,
    /// Request path with query.
    pub path: String,
    /// `x-request-id`.
    pub request_id: String,
    /// Response status; 0 when there was no answer.
    pub status: u16,
    /// Request start to end of answer.
    pub latency_ms: Option<f64>,
    /// Request start to response headers.
    pub ttfb_ms: Option<f64>,
    /// Request start to the first token, see [`names::TTFT_MS`].
    pub ttft_ms: Option<f64>,
    /// Response body chunks as the proxy saw them.
    pub chunks: u64,
    /// Longest time between two response body chunks.
    pub longest_gap_ms: Option<f64>,
    /// Content type of the request.
    pub request_content_type: String,
    /// Content type of the response.
    pub response_content_type: String,
    /// Content encoding of the response.
    pub response_content_encoding: String,
    /// Head of the request body (primary leg only).
    pub request_body: Vec<u8>,
    /// Tail of the request body, when head and tail do not meet.
    pub request_body_tail: Vec<u8>,
    /// True size of the request body; `None` on a leg that does not carry it.
    pub request_body_bytes: Option<u64>,
    /// Head of the response body.
    pub response_body: Vec<u8>,
    /// Tail of the response body, when head and tail do not meet.
    pub response_body_tail: Vec<u8>,
    /// True size of the response body.
    pub response_body_bytes: u64,
    /// The ends of request and response were seen.
    pub complete: bool,
    /// Further details by name, each once.
    pub tags: Vec<(String, String)>,
}

/// A captured leg, borrowed; the fields are those of [`Leg`], except what a whole batch shares ([`Shared`](crate::Shared)).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LegView<'a> {
    /// Shared by all legs of an exchange.
    pub sample_id: &'a str,
    /// Which answer this is.
    pub leg: LegKind,
    /// Who answered.
    pub variant: Variant,
    /// Label of the snapshot that answered.
    pub snapshot: &'a str,
    /// Cohort of the exchange.
    pub cohort: &'a str,
    /// Tier of the cohort.
    pub tier: &'a str,
    /// Autonomy level of the cohort.
    pub autonomy: &'a str,
    /// Hex hash of the identity; empty when there was none.
    pub identity_hash: &'a str,
    /// Hex hash of the session; empty when there was none (primary leg only).
    pub session_id: &'a str,
    /// The chance that this leg was captured, in (0, 1].
    pub inclusion_probability: f64,
    /// The candidate's share of the identities of this cohort, 0 to 1 (primary leg only).
    pub candidate_share: Option<f64>,
    /// The copies that were asked for, joined by commas (primary leg only).
    pub copies: &'a str,
    /// Number per worker epoch.
    pub sequence: u64,
    /// Start of the request, nanoseconds since 1970.
    pub start_unix_nano: u64,
    /// Request method.
    pub method: &'a str,
    /// Request path with query.
    pub path: &'a str,
    /// `x-request-id`.
    pub request_id: &'a str,
    /// Response status; 0 when there was no answer.
    pub status: u16,
    /// Request start to end of answer.
    pub latency_ms: Option<f64>,
    /// Request start to response headers.
    pub ttfb_ms: Option<f64>,
    /// Request start to the first token, see [`names::TTFT_MS`].
    pub ttft_ms: Option<f64>,
    /// Response body chunks as the proxy saw them.
    pub chunks: u64,
    /// Longest time between two response body chunks.
    pub longest_gap_ms: Option<f64>,
    /// Content type of the request.
    pub request_content_type: &'a str,
    /// Content type of the response.
    pub response_content_type: &'a str,
    /// Content encoding of the response.
    pub response_content_encoding: &'a str,
    /// Head of the request body (primary leg only).
    pub request_body: &'a [u8],
    /// Tail of the request body, when head and tail do not meet.
    pub request_body_tail: &'a [u8],
    /// True size of the request body; `None` on a leg that does not carry it.
    pub request_body_bytes: Option<u64>,
    /// Head of the response body.
    pub response_body: &'a [u8],
    /// Tail of the response body, when head and tail do not meet.
    pub response_body_tail: &'a [u8],
    /// True size of the response body.
    pub response_body_bytes: u64,
    /// The ends of request and response were seen.
    pub complete: bool,
    /// Further details by name, each once.
    pub tags: &'a [(&'a str, &'a str)],
}

/// Encodes a leg as a `LogRecord` message (without the outer tag and length) that says everything itself.
pub fn encode_record(leg: &Leg) -> Vec<u8> {
    let tags: Vec<(&str, &str)> = leg.tags.iter().map(|(name, value)| (&**name, &**value)).collect();
    let view = LegView { tags: &tags, ..leg.view() };
    let mut record = own(&view, Vec::with_capacity(RECORD_BYTES_USUAL + leg.response_body.len()));
    common(&view, &mut record);
    record.text(names::EXPERIMENT, &leg.experiment);
    record.integer(names::REVISION, leg.revision);
    record.text(names::POLICY_DIGEST, &leg.policy_digest);
    record.finish()
}

/// Encodes a leg as a `LogRecord` message for a scope that says the rest ([`encode_scope`](crate::encode_scope)); the
/// bytes come behind those that are handed in.
pub fn encode_leg(leg: &LegView<'_>, behind: Vec<u8>) -> Vec<u8> {
    own(leg, behind).finish()
}

/// What the legs of one scope have in common: most legs differ in nothing of it.
pub(crate) fn common(leg: &LegView<'_>, to: &mut RecordWriter) {
    to.text(names::LEG, leg.leg.as_str());
    to.text(names::VARIANT, leg.variant.as_str());
    to.text(names::SNAPSHOT, leg.snapshot);
    to.text(names::COHORT, leg.cohort);
    to.text(names::TIER, leg.tier);
    to.text(names::AUTONOMY, leg.autonomy);
    to.number(names::INCLUSION_PROBABILITY, Some(leg.inclusion_probability));
    to.number(names::CANDIDATE_SHARE, leg.candidate_share);
    to.text(names::COPIES, leg.copies);
    to.text(names::METHOD, leg.method);
    to.text(names::REQUEST_CONTENT_TYPE, leg.request_content_type);
    to.text(names::RESPONSE_CONTENT_TYPE, leg.response_content_type);
    to.text(names::RESPONSE_CONTENT_ENCODING, leg.response_content_encoding);
}

/// What is a leg's own.
fn own(leg: &LegView<'_>, behind: Vec<u8>) -> RecordWriter {
    let mut record = RecordWriter::behind(behind, leg.start_unix_nano, names::EVENT_LEG);
    record.text(names::SAMPLE_ID, leg.sample_id);
    record.text(names::IDENTITY_HASH, leg.identity_hash);
    record.text(names::SESSION_ID, leg.session_id);
    record.integer(names::SEQUENCE, leg.sequence);
    record.text(names::PATH, leg.path);
    record.text(names::REQUEST_ID, leg.request_id);
    record.integer(names::STATUS, u64::from(leg.status));
    record.number(names::LATENCY_MS, leg.latency_ms);
    record.number(names::TTFB_MS, leg.ttfb_ms);
    record.number(names::TTFT_MS, leg.ttft_ms);
    record.integer(names::CHUNKS, leg.chunks);
    record.number(names::LONGEST_GAP_MS, leg.longest_gap_ms);
    record.bytes(names::REQUEST_BODY, leg.request_body);
    record.bytes(names::REQUEST_BODY_TAIL, leg.request_body_tail);
    if let Some(bytes) = leg.request_body_bytes {
        record.integer(names::REQUEST_BODY_BYTES, bytes);
    }
    record.bytes(names::RESPONSE_BODY, leg.response_body);
    record.bytes(names::RESPONSE_BODY_TAIL, leg.response_body_tail);
    record.integer(names::RESPONSE_BODY_BYTES, leg.response_body_bytes);
    record.boolean(names::COMPLETE, leg.complete);
    for (name, value) in leg.tags {
        record.tag(name, value);
    }
    record
}

impl Leg {
    /// A leg with what is required, and nothing else known.
    pub fn new(
        sample_id: impl Into<String>,
        leg: LegKind,
        variant: Variant,
        experiment: impl Into<String>,
    ) -> Self {
        Self {
            sample_id: sample_id.into(),
            leg,
            variant,
            experiment: experiment.into(),
            revision: 0,
            policy_digest: String::new(),
            snapshot: String::new(),
            cohort: String::new(),
            tier: String::new(),
            autonomy: String::new(),
            identity_hash: String::new(),
            session_id: String::new(),
            inclusion_probability: 1.0,
            candidate_share: None,
            copies: String::new(),
            sequence: 0,
            start_unix_nano: 0,
            method: String::new(),
            path: String::new(),
            request_id: String::new(),
            status: 0,
            latency_ms: None,
            ttfb_ms: None,
            ttft_ms: None,
            chunks: 0,
            longest_gap_ms: None,
            request_content_type: String::new(),
            response_content_type: String::new(),
            response_content_encoding: String::new(),
            request_body: Vec::new(),
            request_body_tail: Vec::new(),
            request_body_bytes: None,
            response_body: Vec::new(),
            response_body_tail: Vec::new(),
            response_body_bytes: 0,
            complete: false,
            tags: Vec::new(),
        }
    }

    /// The leg, borrowed, without its tags.
    pub fn view(&self) -> LegView<'_> {
        LegView {
            sample_id: &self.sample_id,
            leg: self.leg,
            variant: self.variant,
            snapshot: &self.snapshot,
            cohort: &self.cohort,
            tier: &self.tier,
            autonomy: &self.autonomy,
            identity_hash: &self.identity_hash,
            session_id: &self.session_id,
            inclusion_probability: self.inclusion_probability,
            candidate_share: self.candidate_share,
            copies: &self.copies,
            sequence: self.sequence,
            start_unix_nano: self.start_unix_nano,
            method: &self.method,
            path: &self.path,
            request_id: &self.request_id,
            status: self.status,
            latency_ms: self.latency_ms,
            ttfb_ms: self.ttfb_ms,
            ttft_ms: self.ttft_ms,
            chunks: self.chunks,
            longest_gap_ms: self.longest_gap_ms,
            request_content_type: &self.request_content_type,
            response_content_type: &self.response_content_type,
            response_content_encoding: &self.response_content_encoding,
            request_body: &self.request_body,
            request_body_tail: &self.request_body_tail,
            request_body_bytes: self.request_body_bytes,
            response_body: &self.response_body,
            response_body_tail: &self.response_body_tail,
            response_body_bytes: self.response_body_bytes,
            complete: self.complete,
            tags: &[],
        }
    }

    /// Reads a record whose event name is `weir.leg`. Bodies are moved, not copied.
    pub fn from_record(record: LogRecord) -> Result<Self, WireError> {
        let start_unix_nano = record.time_unix_nano;
        let mut from = Attributes::of(record, names::EVENT_LEG)?;
        let mut leg = Self::new(
            from.required_text(names::SAMPLE_ID)?,
            LegKind::parse(&from.required_text(names::LEG)?)?,
            Variant::parse(&from.required_text(names::VARIANT)?)?,
            from.required_text(names::EXPERIMENT)?,
        );
        leg.start_unix_nano = start_unix_nano;
        leg.revision = from.integer(names::REVISION)?.unwrap_or(0);
        leg.policy_digest = from.text(names::POLICY_DIGEST)?;
        leg.snapshot = from.text(names::SNAPSHOT)?;
        leg.cohort = from.text(names::COHORT)?;
        leg.tier = from.text(names::TIER)?;
        leg.autonomy = from.text(names::AUTONOMY)?;
        leg.identity_hash = from.text(names::IDENTITY_HASH)?;
        leg.session_id = from.text(names::SESSION_ID)?;
        leg.inclusion_probability = from.probability(names::INCLUSION_PROBABILITY)?;
        leg.candidate_share = from.number(names::CANDIDATE_SHARE)?;
        leg.copies = from.text(names::COPIES)?;
        leg.sequence = from.integer(names::SEQUENCE)?.unwrap_or(0);
        leg.method = from.text(names::METHOD)?;
        leg.path = from.text(names::PATH)?;
        leg.request_id = from.text(names::REQUEST_ID)?;
        leg.status = from.status(names::STATUS)?;
        leg.latency_ms = from.number(names::LATENCY_MS)?;
        leg.ttfb_ms = from.number(names::TTFB_MS)?;
        leg.ttft_ms = from.number(names::TTFT_MS)?;
        leg.chunks = from.integer(names::CHUNKS)?.unwrap_or(0);
        leg.longest_gap_ms = from.number(names::LONGEST_GAP_MS)?;
        leg.request_content_type = from.text(names::REQUEST_CONTENT_TYPE)?;
        leg.response_content_type = from.text(names::RESPONSE_CONTENT_TYPE)?;
        leg.response_content_encoding = from.text(names::RESPONSE_CONTENT_ENCODING)?;
        leg.request_body = from.bytes(names::REQUEST_BODY)?;
        leg.request_body_tail = from.bytes(names::REQUEST_BODY_TAIL)?;
        leg.request_body_bytes = from.integer(names::REQUEST_BODY_BYTES)?;
        leg.response_body = from.bytes(names::RESPONSE_BODY)?;
        leg.response_body_tail = from.bytes(names::RESPONSE_BODY_TAIL)?;
        leg.response_body_bytes = from.integer(names::RESPONSE_BODY_BYTES)?.unwrap_or(0);
        leg.complete = from.boolean(names::COMPLETE)?;
        leg.tags = from.tags();
        Ok(leg)
    }

    /// Whether the kept parts of the request body are less than the body.
    pub fn request_truncated(&self) -> bool {
        let kept = self.request_body.len() + self.request_body_tail.len();
        self.request_body_bytes.is_some_and(|bytes| bytes > kept as u64)
    }

    /// Whether the kept parts of the response body are less than the body.
    pub fn response_truncated(&self) -> bool {
        let kept = self.response_body.len() + self.response_body_tail.len();
        self.response_body_bytes > kept as u64
    }
}

impl LegKind {
    /// `primary`, `shadow` or `noise`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Shadow => "shadow",
            Self::Noise => "noise",
        }
    }

    /// Inverse of [`LegKind::as_str`].
    pub fn parse(text: &str) -> Result<Self, WireError> {
        match text {
            "primary" => Ok(Self::Primary),
            "shadow" => Ok(Self::Shadow),
            "noise" => Ok(Self::Noise),
            other => Err(WireError::Invalid {
                name: names::LEG,
                found: crate::record::shorten(other),
                allowed: "primary, shadow or noise",
            }),
        }
    }
}

impl Variant {
    /// `control` or `candidate`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Candidate => "candidate",
        }
    }

    /// Inverse of [`Variant::as_str`].
    pub fn parse(text: &str) -> Result<Self, WireError> {
        match text {
            "control" => Ok(Self::Control),
            "candidate" => Ok(Self::Candidate),
            other => Err(WireError::Invalid {
                name: names::VARIANT,
                found: crate::record::shorten(other),
                allowed: "control or candidate",
            }),
        }
    }
}
