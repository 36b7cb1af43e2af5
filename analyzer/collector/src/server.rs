//! The HTTP side: OTLP/HTTP logs in, health and metrics out.
//!
//! `POST /v1/logs` and `/v1/traces` (GenAI spans; others are counted and left out) take protobuf and JSON, as they are or with gzip or zstd. Answers: 200 with an
//! `ExportLogsServiceResponse` (partial success when records were refused), 400 malformed, 401 without a good token, 408 too slow, 413 too large, 415
//! another media type or encoding; 404 and 405 with what is here; 429 when senders want more at once than memory and queue allow, 503 when the log or the disk is
//! full or failed, both with `Retry-After`. OTLP senders try again on these two. Errors carry a `google.rpc.Status` in the request's encoding, see `otlp::answer`.
//! Limits: [`Limits`] of the collector; requests are decoded by a few threads at a time ([`workers`]), which bounds what
//! encoded bodies take. Invariant: 200 follows durability, never precedes it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::SystemTime;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use weir_sample::encoding::{self, Encoding};
use weir_wire::Signal;

use crate::Limits;
use crate::access::Access;
use crate::convert::{Converted, convert, convert_spans};
use crate::events::EventKind;
use crate::otlp::answer::{Refusal, acknowledged};
use crate::otlp::{self, Format, JSON, PROTOBUF};
use crate::pressure::Pressure;
use crate::redact::Redactor;
use crate::status::{Rejection, Status};
use crate::wal::writer::Request;

#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) status: Arc<Status>,
    pub(crate) redactor: Arc<Redactor>,
    pub(crate) requests: SyncSender<Request>,
    pub(crate) limits: Limits,
    pub(crate) pressure: Arc<Pressure>,
    pub(crate) access: Arc<Access>,
    /// One permit per request that is being decoded.
    pub(crate) workers: Arc<Semaphore>,
    /// One permit per KiB of bodies in memory.
    pub(crate) memory: Arc<Semaphore>,
}

pub(crate) fn router(shared: Shared) -> Router {
    Router::new()
        .route("/v1/logs", post(logs))
        .route("/v1/traces", post(traces))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .fallback(other_path)
        .method_not_allowed_fallback(other_method)
        // The handler bounds the body itself, with an answer that says so.
        .layer(DefaultBodyLimit::disable())
        .with_state(shared)
}

async fn other_path(uri: Uri) -> Response {
    let hint = match uri.path() {
        "/v1/metrics" => "metrics are not collected here: leave them out (OTEL_METRICS_EXPORTER=none)",
        path if path.starts_with("/opentelemetry.proto.") => {
            "gRPC is not spoken here: set the exporter's protocol to http/protobuf"
        }
        _ => {
            "an exporter's endpoint is this address alone, or with /v1/logs for logs and /v1/traces for traces"
        }
    };
    let path: String = uri.path().chars().take(60).collect();
    let text = format!(
        "path {path:?} is not here; allowed: POST /v1/logs and /v1/traces, GET /healthz, /readyz and /metrics\n  hint: {hint}\n"
    );
    (StatusCode::NOT_FOUND, text).into_response()
}

async fn other_method(method: Method, uri: Uri) -> Response {
    let path = uri.path();
    let (allowed, hint) = if path.starts_with("/v1/") {
        ("POST", "records come as the body of a POST; whether the collector is up is said by GET /healthz")
    } else {
        ("GET", "records go to /v1/logs or /v1/traces")
    };
    let text = format!("method {method} is not allowed at {path}; allowed: {allowed}\n  hint: {hint}\n");
    (StatusCode::METHOD_NOT_ALLOWED, text).into_response()
}

/// Permits of [`Shared::memory`].
pub(crate) fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

/// One permit, or two where there are processors for it: what a request takes while it is decoded is bounded, and so is this.
pub(crate) fn workers() -> Arc<Semaphore> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Arc::new(Semaphore::new(threads.clamp(1, 2)))
}

async fn logs(State(shared): State<Shared>, headers: HeaderMap, body: Body) -> Response {
    respond(shared, headers, body, Signal::Logs).await
}

async fn traces(State(shared): State<Shared>, headers: HeaderMap, body: Body) -> Response {
    respond(shared, headers, body, Signal::Traces).await
}

async fn respond(shared: Shared, headers: HeaderMap, body: Body, signal: Signal) -> Response {
    let format = Format::of(header(&headers, &CONTENT_TYPE));
    match receive(&shared, &headers, body, format, signal).await {
        Ok(response) => response,
        Err(refusal) => {
            shared.status.reject(refusal.rejection, 1);
            refusal.into_response(format)
        }
    }
}

async fn receive(
    shared: &Shared,
    headers: &HeaderMap,
    body: Body,
    format: Option<Format>,
    signal: Signal,
) -> Result<Response, Refusal> {
    if shared.access.tokens.as_ref().is_some_and(|tokens| !tokens.allow(header(headers, &AUTHORIZATION))) {
        let message = "the request carries no token that is known here\n  hint: send `authorization: Bearer TOKEN` with a token of the collector's --tokens file";
        return Err(Refusal::new(Rejection::Unknown, message.to_owned()));
    }
    let (format, layers) = check_media(headers, format)?;
    let (bytes, permit) = read_body(shared, headers, body).await?;
    let permits = (permit, reserve_decoded(shared, bytes.len(), &layers)?);
    let converted = decode(shared, bytes, format, layers, signal).await?;
    let (rejected, reason) = (converted.rejected(), converted.reason());
    let status = &shared.status;
    status.redacted(&converted.finds);
    for line in &converted.events {
        status.event(EventKind::Filter, line);
    }
    let stored = if converted.entries.is_empty() {
        Ok(Default::default())
    } else {
        let (reply, answer) = oneshot::channel();
        // The queue is bounded: a full one is an overload, not a wait.
        shared.requests.try_send(Request { entries: converted.entries, reply }).map_err(
            |error| match error {
                TrySendError::Full(_) => Refusal::too_many("the queue of the write-ahead log is full"),
                TrySendError::Disconnected(_) => Refusal::overload("the collector is stopping"),
            },
        )?;
        answer.await.map_err(|_| Refusal::overload("the collector is stopping"))?
    };
    // Held until here: rows that wait for the log are memory, too.
    drop(permits);
    let stored = stored.map_err(|error| Refusal::new(Rejection::Storage, error.to_string()))?;
    status.requests.fetch_add(1, Relaxed);
    status.samples.fetch_add(stored.samples, Relaxed);
    status.scores.fetch_add(stored.scores, Relaxed);
    status.duplicates.fetch_add(stored.duplicates, Relaxed);
    status.reject(Rejection::BadRecord, converted.bad_records);
    status.reject(Rejection::OtherEvent, converted.other_events);
    status.other_spans.fetch_add(converted.other_spans, Relaxed);
    Ok(acknowledged(format, signal, rejected, &reason))
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn check_media(headers: &HeaderMap, format: Option<Format>) -> Result<(Format, Vec<Encoding>), Refusal> {
    let shown = |text: &str| text.chars().take(60).collect::<String>();
    let refuse = |message| Refusal::new(Rejection::MediaType, message);
    let Some(format) = format else {
        let media = shown(header(headers, &CONTENT_TYPE));
        return Err(refuse(format!(
            "content-type {media:?} is not supported; allowed: {PROTOBUF}, {JSON}\n  hint: set the exporter's protocol to http/protobuf or http/json"
        )));
    };
    match encoding::parse_header(header(headers, &CONTENT_ENCODING)) {
        Ok(layers)
            if layers.iter().all(|layer| matches!(layer, Encoding::Gzip | Encoding::Zstd))
                && layers.len() <= 1 =>
        {
            Ok((format, layers))
        }
        _ => {
            let found = shown(header(headers, &CONTENT_ENCODING));
            Err(refuse(format!(
                "content-encoding {found:?} is not supported; allowed: identity, gzip, zstd\n  hint: set the exporter's compression to gzip, or turn it off"
            )))
        }
    }
}

/// Memory for what a body becomes when its content encoding is undone.
fn reserve_decoded(
    shared: &Shared,
    wire_bytes: usize,
    layers: &[Encoding],
) -> Result<Option<OwnedSemaphorePermit>, Refusal> {
    if layers.is_empty() {
        return Ok(None);
    }
    let by_ratio = wire_bytes.saturating_mul(shared.limits.ratio_max).max(encoding::RATIO_FREE_BYTES);
    let bytes = shared.limits.decoded_bytes_max.min(by_ratio);
    let permit = Arc::clone(&shared.memory).try_acquire_many_owned(permits(bytes));
    permit.map(Some).map_err(|_| Refusal::too_many("too many requests are in work"))
}

async fn read_body(
    shared: &Shared,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Bytes, OwnedSemaphorePermit), Refusal> {
    let limits = &shared.limits;
    shared.pressure.check(&shared.status).map_err(|full| Refusal::overload(&full.to_string()))?;
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
        .map_err(|_| Refusal::too_many("too many requests are in work"))?;
    // `to_bytes` tells a body that is too large and one that broke off by its error's source.
    match tokio::time::timeout(limits.body_timeout, to_bytes(body, limits.body_bytes_max)).await {
        Ok(Ok(bytes)) => Ok((bytes, permit)),
        Ok(Err(error)) if length.is_none() && is_length_limit(&error) => Err(too_large()),
        Ok(Err(_)) => {
            let message = "the body broke off\n  hint: send as many bytes as content-length says";
            Err(Refusal::new(Rejection::Malformed, message.to_owned()))
        }
        Err(_) => {
            let message = format!(
                "the body did not arrive in time; allowed: {} ms\n  hint: send smaller batches, or compress them",
                limits.body_timeout.as_millis()
            );
            Err(Refusal::new(Rejection::Timeout, message))
        }
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

async fn decode(
    shared: &Shared,
    bytes: Bytes,
    format: Format,
    layers: Vec<Encoding>,
    signal: Signal,
) -> Result<Converted, Refusal> {
    let gone = || Refusal::overload("the request could not be worked on");
    let worker = Arc::clone(&shared.workers).acquire_owned().await.map_err(|_| gone())?;
    let redactor = Arc::clone(&shared.redactor);
    let limits = shared.limits.of_request();
    let work = move || {
        let _worker = worker;
        let bytes = if layers.is_empty() { bytes } else { otlp::decoded(&bytes, &layers, limits)?.into() };
        let received_us =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_micros();
        let received_us = i64::try_from(received_us).unwrap_or(i64::MAX);
        match signal {
            Signal::Logs => Ok(convert(otlp::log_records(format, &bytes, limits)?, &redactor, received_us)),
            Signal::Traces => Ok(convert_spans(otlp::spans(format, &bytes, limits)?, &redactor, received_us)),
        }
    };
    // Off the network's threads: redaction of a full batch takes milliseconds.
    tokio::task::spawn_blocking(work).await.map_err(|_| gone())?
}

async fn ready(State(shared): State<Shared>) -> Response {
    let status = &shared.status;
    let unavailable = |why: &str| (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response();
    if let Err(full) = shared.pressure.check(status) {
        return unavailable(&full.to_string());
    }
    if status.drain_failing.load(Relaxed) {
        return unavailable("Parquet cannot be written; the log keeps the rows");
    }
    "ready\n".into_response()
}

async fn metrics(State(shared): State<Shared>) -> Response {
    // Asked for its gauge.
    let _ = shared.pressure.check(&shared.status);
    let free_bytes = shared.memory.available_permits().saturating_mul(1024);
    let inflight_bytes = shared.limits.inflight_bytes_max.saturating_sub(free_bytes);
    shared.status.inflight_bytes.store(inflight_bytes as u64, Relaxed);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], shared.status.prometheus()).into_response()
}
