//! Answers to OTLP requests, in the request's encoding: acknowledgements with what was rejected, and refusals as
//! `google.rpc.Status`, told apart by their HTTP status: 429 (senders want more than their bounds allow) and 503 (the collector
//! cannot: log, disk, stop) may be sent again after `Retry-After`, the others may not.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use prost::Message;
use weir_wire::{Signal, encode_response};

use super::Format;
use crate::status::Rejection;

/// Seconds after which a refused sender may try again.
pub(crate) const RETRY_AFTER_S: u16 = 2;

/// `google.rpc.Status`, without details.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// A request that is not acknowledged.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) rejection: Rejection,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(rejection: Rejection, message: String) -> Self {
        Self { rejection, message }
    }

    /// The collector cannot take anything at the moment.
    pub(crate) fn overload(message: &str) -> Self {
        Self::new(Rejection::Overload, message.to_owned())
    }

    /// Senders want more at once than their bounds allow.
    pub(crate) fn too_many(message: &str) -> Self {
        Self::new(Rejection::TooMany, message.to_owned())
    }

    /// The answer. Where the request's encoding is not known it is plain text.
    pub(crate) fn into_response(self, format: Option<Format>) -> Response {
        let (code, rpc_code) = codes(self.rejection);
        let mut response = match format {
            None => (code, format!("{}\n", self.message)).into_response(),
            Some(format) => {
                let status = RpcStatus { code: rpc_code, message: self.message };
                let body = match format {
                    Format::Protobuf => status.encode_to_vec(),
                    Format::Json => {
                        let message = serde_json::Value::from(status.message);
                        format!("{{\"code\":{rpc_code},\"message\":{message}}}").into_bytes()
                    }
                };
                (code, [(CONTENT_TYPE, format.media_type())], body).into_response()
            }
        };
        if code == StatusCode::SERVICE_UNAVAILABLE || code == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
        }
        if code == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// HTTP status and gRPC code.
fn codes(rejection: Rejection) -> (StatusCode, i32) {
    const INVALID_ARGUMENT: i32 = 3;
    const DEADLINE_EXCEEDED: i32 = 4;
    const RESOURCE_EXHAUSTED: i32 = 8;
    const UNAVAILABLE: i32 = 14;
    const UNAUTHENTICATED: i32 = 16;
    match rejection {
        Rejection::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, INVALID_ARGUMENT),
        Rejection::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, INVALID_ARGUMENT),
        Rejection::Unknown => (StatusCode::UNAUTHORIZED, UNAUTHENTICATED),
        Rejection::Timeout => (StatusCode::REQUEST_TIMEOUT, DEADLINE_EXCEEDED),
        Rejection::TooMany => (StatusCode::TOO_MANY_REQUESTS, RESOURCE_EXHAUSTED),
        Rejection::Overload | Rejection::Storage => (StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE),
        _ => (StatusCode::BAD_REQUEST, INVALID_ARGUMENT),
    }
}

/// 200, with the number of refused items and why, if any.
pub(crate) fn acknowledged(format: Format, signal: Signal, rejected: u64, reason: &str) -> Response {
    let body = match format {
        // Logs and traces have the same fields here.
        Format::Protobuf => encode_response((rejected > 0).then_some((rejected, reason))),
        Format::Json if rejected == 0 => b"{}".to_vec(),
        Format::Json => {
            let name = match signal {
                Signal::Logs => "rejectedLogRecords",
                Signal::Traces => "rejectedSpans",
            };
            let reason = serde_json::Value::from(reason);
            let text =
                format!("{{\"partialSuccess\":{{\"{name}\":\"{rejected}\",\"errorMessage\":{reason}}}}}");
            text.into_bytes()
        }
    };
    (StatusCode::OK, [(CONTENT_TYPE, format.media_type())], body).into_response()
}
