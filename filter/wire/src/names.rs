//! Names of events, resource attributes and record attributes, each with its type.

/// Event name of a captured leg.
pub const EVENT_LEG: &str = "weir.leg";
/// Event name of a score.
pub const EVENT_SCORE: &str = "weir.score";
/// Event name of something that the filter reports about itself.
pub const EVENT_FILTER: &str = "weir.event";

/// Resource, string: always [`SERVICE`].
pub const SERVICE_NAME: &str = "service.name";
/// The value of [`SERVICE_NAME`].
pub const SERVICE: &str = "weir";
/// Resource, string: the proxy's node id.
pub const PROXY: &str = "weir.proxy";
/// Resource, string: hex epoch of the worker's VM, unique per start.
pub const WORKER: &str = "weir.worker";

/// String: shared by all legs of an exchange.
pub const SAMPLE_ID: &str = "weir.sample_id";
/// String: `primary`, `shadow` or `noise`.
pub const LEG: &str = "weir.leg";
/// String: `control` or `candidate`, the variant that answered this leg.
pub const VARIANT: &str = "weir.variant";
/// String.
pub const EXPERIMENT: &str = "weir.experiment";
/// Integer: the policy's revision.
pub const REVISION: &str = "weir.revision";
/// String: 16 hex digits.
pub const POLICY_DIGEST: &str = "weir.policy_digest";
/// String: label of the snapshot that answered.
pub const SNAPSHOT: &str = "weir.snapshot";
/// String.
pub const COHORT: &str = "weir.cohort";
/// String.
pub const TIER: &str = "weir.tier";
/// String: `suggest`, `supervised` or `autonomous`.
pub const AUTONOMY: &str = "weir.autonomy";
/// String: hex hash of the identity; absent when the exchange had none.
pub const IDENTITY_HASH: &str = "weir.identity_hash";
/// String, primary legs: hex hash of the session; absent where none was found.
pub const SESSION_ID: &str = "session.id";
/// Double in (0, 1]: the chance that this leg was captured.
pub const INCLUSION_PROBABILITY: &str = "weir.inclusion_probability";
/// Double in 0 to 1, primary legs: the candidate's share of the identities of this cohort, where the policy's share decided
/// (and not a list, a header or a guard).
pub const CANDIDATE_SHARE: &str = "weir.candidate_share";
/// String, primary legs: the copies that were asked for, `shadow`, `noise`, `shadow,noise` or `none`.
pub const COPIES: &str = "weir.copies";
/// Integer: per worker epoch, without gaps over everything captured, dropped ones included.
pub const SEQUENCE: &str = "weir.sequence";
/// String.
pub const METHOD: &str = "http.request.method";
/// String: path with query.
pub const PATH: &str = "url.path";
/// String.
pub const REQUEST_ID: &str = "weir.request_id";
/// Integer: 0 when there was no answer.
pub const STATUS: &str = "http.response.status_code";
/// Double: request start to end of answer.
pub const LATENCY_MS: &str = "weir.latency_ms";
/// Double: request start to response headers.
pub const TTFB_MS: &str = "weir.ttfb_ms";
/// Double: request start to the first token: of a stream of events, the first event with something of the answer in it (absent
/// where none was recognised); of other answers, the first byte of the body.
pub const TTFT_MS: &str = "weir.ttft_ms";
/// Integer: response body chunks as the proxy saw them.
pub const CHUNKS: &str = "weir.chunks";
/// Double: longest time between two response body chunks.
pub const LONGEST_GAP_MS: &str = "weir.longest_gap_ms";
/// String.
pub const REQUEST_CONTENT_TYPE: &str = "weir.request.content_type";
/// String.
pub const RESPONSE_CONTENT_TYPE: &str = "weir.response.content_type";
/// String.
pub const RESPONSE_CONTENT_ENCODING: &str = "weir.response.content_encoding";
/// Bytes: the head of the request body that was kept (primary leg only).
pub const REQUEST_BODY: &str = "weir.request.body";
/// Bytes: the tail of the request body that was kept, when head and tail do not meet.
pub const REQUEST_BODY_TAIL: &str = "weir.request.body_tail";
/// Integer: true size of the request body.
pub const REQUEST_BODY_BYTES: &str = "weir.request.body_bytes";
/// Bytes: the head of the response body that was kept.
pub const RESPONSE_BODY: &str = "weir.response.body";
/// Bytes: the tail of the response body that was kept, when head and tail do not meet.
pub const RESPONSE_BODY_TAIL: &str = "weir.response.body_tail";
/// Integer: true size of the response body.
pub const RESPONSE_BODY_BYTES: &str = "weir.response.body_bytes";
/// Boolean: the ends of request and response were seen.
pub const COMPLETE: &str = "weir.complete";

/// Prefix of strings: further details, each by its own name behind it.
pub const TAG_PREFIX: &str = "weir.tag.";

/// Scores, string.
pub const CRITERION: &str = "weir.criterion";
/// Scores, double.
pub const SCORE: &str = "weir.score";
/// Scores, string: who or what judged.
pub const JUDGE: &str = "weir.judge";

/// Events, string: what happened.
pub const KIND: &str = "weir.kind";
/// Events, string: why.
pub const REASON: &str = "weir.reason";
/// Events, integer: answers that were looked at.
pub const ANSWERS: &str = "weir.answers";
/// Events, integer: how many of them had failed.
pub const FAILURES: &str = "weir.failures";
/// Events, integer: how many of them were slow.
pub const SLOW: &str = "weir.slow";
