//! A captured leg on the wire: OTLP log records and the attribute names that both ends use.
//!
//! - [`otlp`]: the messages of OTLP/HTTP logs (protobuf), with the official field numbers.
//! - [`Leg`], [`Score`] and [`Event`]: what a record means; [`encode_record`] and [`Leg::from_record`] are inverses.
//! - [`encode_batch`]: joins records that were encoded earlier into one export request, without decoding them.
//! - [`decode_request`]: reads a request that a stranger sent, within [`DecodeLimits`].
//!
//! Invariants: no I/O, no clock, no randomness; nothing here panics, whatever the bytes.

mod batch;
mod budget;
mod event;
mod leg;
pub mod names;
pub mod otlp;
mod record;
mod score;

pub use batch::{
    DecodeLimits, Resource, Scope, Shared, batch_len, check_request, decode_request, encode_batch,
    encode_response, encode_scope, encode_scopes, share_scopes,
};
pub use budget::Signal;
pub use event::{Event, GUARD_TRIPPED, encode_event};
pub use leg::{Leg, LegKind, LegView, Variant, encode_leg, encode_record};
pub use score::{Score, encode_score};

/// Why bytes were not what they should be. The text is a lowercase fragment.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WireError {
    /// The request is larger than the limit.
    #[error(
        "request: {bytes} bytes is more than the limit of {bytes_max} bytes\n  hint: send smaller batches"
    )]
    TooLarge {
        /// Size of the request.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The request has more messages (resources, scopes, records, attributes) than the limit.
    #[error(
        "request: more than {messages_max} resources, scopes, records and attributes\n  hint: send smaller batches"
    )]
    TooMany {
        /// The limit.
        messages_max: usize,
    },
    /// Not such a message.
    #[error(
        "request: not an OTLP request: {0}\n  hint: the content-type says protobuf (application/x-protobuf) or JSON (application/json); is it true?"
    )]
    Malformed(String),
    /// The record is another kind of event.
    #[error("record: event name {found:?} is not {expected:?}")]
    OtherEvent {
        /// The event name that was wanted.
        expected: &'static str,
        /// The event name of the record.
        found: String,
    },
    /// A required attribute is not there.
    #[error("record: attribute {0} is missing")]
    Missing(&'static str),
    /// An attribute has a type or a value that is not allowed.
    #[error("record: attribute {name}: {found} is not {allowed}")]
    Invalid {
        /// The attribute.
        name: &'static str,
        /// What was found, shortened.
        found: String,
        /// What is allowed.
        allowed: &'static str,
    },
}
