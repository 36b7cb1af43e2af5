//! The HTTP side: OTLP/HTTP logs in, health and metrics out.
//!
//! Answers to `POST /v1/logs`: 200 with an `ExportLogsServiceResponse` (partial success when records were refused), 400 malformed,
//! 408 too slow, 413 too large, 415 not protobuf or compressed; 503 with `Retry-After` when the log or memory is full or the disk failed. OTLP
//! senders try again on 503 only. Errors carry a `google.rpc.Status` message (protobuf), plain text where the request was not protobuf.
//! Limits: [`Limits`] of the collector. Invariant: 200 follows durability, never precedes it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::SystemTime;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use weir_wire::{DecodeLimits, WireError, decode_request, encode_response};

use crate::Limits;
use crate::convert::{Converted, convert};
use crate::redact::Redactor;
use crate::status::{Rejection, Status};
use crate::wal::writer::Request;

const PROTOBUF: &str = "application/x-protobuf";
const RETRY_AFTER_S: &str = "2";

#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) status: Arc<Status>,
    pub(crate) redactor: Arc<Redactor>,
    pub(crate) requests: SyncSender<Request>,
    pub(crate) limits: Limits,
    /// One permit per KiB of bodies in memory.
    pub(crate) memory: Arc<Semaphore>,
}

pub(crate) fn router(shared: Shared) -> Router {
    Router::new()
        .route("/v1/logs", post(logs))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        // The handler bounds the body itself, with an answer that says so.
        .layer(DefaultBodyLimit::disable())
        .with_state(shared)
}

/// Permits of [`Shared::memory`].
pub(crate) fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

async fn logs(State(shared): State<Shared>, headers: HeaderMap, body: Body) -> Response {
    match receive(&shared, &headers, body).await {
        Ok(response) => response,
        Err(refusal) => {
            shared.status.reject(refusal.rejection, 1);
            refusal.into_response()
        }
    }
}

async fn receive(shared: &Shared, headers: &HeaderMap, body: Body) -> Result<Response, Refusal> {
    check_media(headers)?;
    let (bytes, permit) = read_body(shared, headers, body).await?;
    let converted = decode(shared, bytes).await?;
    let (rejected, reason) = (converted.rejected(), converted.reason());
    let status = &shared.status;
    status.redacted(&converted.finds);
    let stored = if converted.entries.is_empty() {
        Ok(Default::default())
    } else {
        let (reply, answer) = oneshot::channel();
        // The queue is bounded: a full one is an overload, not a wait.
        shared.requests.try_send(Request { entries: converted.entries, reply }).map_err(
            |error| match error {
                TrySendError::Full(_) => Refusal::overload("the queue of the write-ahead log is full"),
                TrySendError::Disconnected(_) => Refusal::overload("the collector is stopping"),
            },
        )?;
        answer.await.map_err(|_| Refusal::overload("the collector is stopping"))?
    };
    // Held until here: rows that wait for the log are memory, too.
    drop(permit);
    let stored = stored.map_err(|error| Refusal::new(Rejection::Storage, error.to_string()))?;
    status.requests.fetch_add(1, Relaxed);
    status.samples.fetch_add(stored.samples, Relaxed);
    status.scores.fetch_add(stored.scores, Relaxed);
    status.duplicates.fetch_add(stored.duplicates, Relaxed);
    status.reject(Rejection::BadRecord, converted.bad_records);
    status.reject(Rejection::OtherEvent, converted.other_events);
    let message = encode_response((rejected > 0).then_some((rejected, reason.as_str())));
    Ok((StatusCode::OK, [(CONTENT_TYPE, PROTOBUF)], message).into_response())
}

fn check_media(headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = text(CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case(PROTOBUF) {
        let shown: String = media.chars().take(60).collect();
        let message = format!(
            "content-type {shown:?} is not supported; allowed: {PROTOBUF}\n  hint: set the exporter's protocol to http/protobuf"
        );
        return Err(Refusal { plain: true, ..Refusal::new(Rejection::MediaType, message) });
    }
    let encoding = text(CONTENT_ENCODING).trim();
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") {
        let shown: String = encoding.chars().take(60).collect();
        let message = format!(
            "content-encoding {shown:?} is not supported; allowed: identity\n  hint: turn the exporter's compression off"
        );
        return Err(Refusal::new(Rejection::MediaType, message));
    }
    Ok(())
}

async fn read_body(
    shared: &Shared,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Bytes, OwnedSemaphorePermit), Refusal> {
    let limits = &shared.limits;
    if shared.status.wal_bytes() >= limits.wal_bytes_max {
        return Err(Refusal::overload("the write-ahead log is full; Parquet cannot be written fast enough"));
    }
    let too_large = || {
        let message = format!(
            "the body is larger than {} bytes\n  hint: send smaller batches (limits.batchBytesMax of the policy)",
            limits.body_bytes_max
        );
        Refusal::new(Rejection::TooLarge, message)
    };
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > limits.body_bytes_max) {
        return Err(too_large());
    }
    let reserved = permits(length.unwrap_or(limits.body_bytes_max));
    let permit = Arc::clone(&shared.memory)
        .try_acquire_many_owned(reserved)
        .map_err(|_| Refusal::overload("too many requests are in work"))?;
    // `to_bytes` tells a body that is too large and one that broke off by its error's source.
    match tokio::time::timeout(limits.body_timeout, to_bytes(body, limits.body_bytes_max)).await {
        Ok(Ok(bytes)) => Ok((bytes, permit)),
        Ok(Err(error)) if length.is_none() && is_length_limit(&error) => Err(too_large()),
        Ok(Err(_)) => Err(Refusal::new(Rejection::Malformed, "the body broke off".to_owned())),
        Err(_) => Err(Refusal::new(Rejection::Timeout, "the body did not arrive in time".to_owned())),
    }
}

fn is_length_limit(error: &axum::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if error.to_string().contains("length limit exceeded") {
            return true;
        }
        source = error.source();
    }
    false
}

async fn decode(shared: &Shared, bytes: Bytes) -> Result<Converted, Refusal> {
    let redactor = Arc::clone(&shared.redactor);
    let limits = DecodeLimits {
        request_bytes_max: shared.limits.body_bytes_max,
        messages_max: shared.limits.messages_max,
    };
    let work = move || {
        let request = decode_request(&bytes, limits).map_err(|error| {
            let rejection = match error {
                WireError::TooLarge { .. } | WireError::TooMany { .. } => Rejection::TooLarge,
                _ => Rejection::Malformed,
            };
            Refusal::new(rejection, error.to_string())
        })?;
        let received_us =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_micros();
        Ok(convert(request, &redactor, i64::try_from(received_us).unwrap_or(i64::MAX)))
    };
    // Off the network's threads: redaction of a full batch takes milliseconds.
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Refusal::overload("the request could not be worked on"))?
}

async fn ready(State(shared): State<Shared>) -> Response {
    let status = &shared.status;
    let unavailable = |why: &str| (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response();
    if status.wal_bytes() >= shared.limits.wal_bytes_max {
        return unavailable("the write-ahead log is full");
    }
    if status.drain_failing.load(Relaxed) {
        return unavailable("Parquet cannot be written; the log keeps the rows");
    }
    "ready\n".into_response()
}

async fn metrics(State(shared): State<Shared>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], shared.status.prometheus()).into_response()
}

/// A request that is not acknowledged.
struct Refusal {
    rejection: Rejection,
    message: String,
    /// The sender does not speak protobuf.
    plain: bool,
}

impl Refusal {
    fn new(rejection: Rejection, message: String) -> Self {
        Self { rejection, message, plain: false }
    }

    fn overload(message: &str) -> Self {
        Self::new(Rejection::Overload, message.to_owned())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let code = match self.rejection {
            Rejection::BadRecord | Rejection::OtherEvent | Rejection::Malformed => StatusCode::BAD_REQUEST,
            Rejection::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Rejection::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Rejection::Timeout => StatusCode::REQUEST_TIMEOUT,
            Rejection::Overload | Rejection::Storage => StatusCode::SERVICE_UNAVAILABLE,
        };
        let mut response = if self.plain {
            (code, format!("{}\n", self.message)).into_response()
        } else {
            (code, [(CONTENT_TYPE, PROTOBUF)], rpc_status(&self.message)).into_response()
        };
        if code == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, axum::http::HeaderValue::from_static(RETRY_AFTER_S));
        }
        response
    }
}

/// A `google.rpc.Status` with its message (field 2) only.
fn rpc_status(message: &str) -> Vec<u8> {
    let mut bytes = vec![0x12];
    let mut len = message.len();
    while len > 0x7f {
        bytes.push((len & 0x7f) as u8 | 0x80);
        len >>= 7;
    }
    bytes.push(len as u8);
    bytes.extend_from_slice(message.as_bytes());
    bytes
}
