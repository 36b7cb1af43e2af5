//! The sink: OTLP/HTTP logs in, redacted, made durable in a write-ahead log, acknowledged, and written as Parquet.
//!
//! ```text
//! POST /v1/logs -> server -> convert (rows, redacted) -> wal::writer (append, fdatasync, then 200)
//!                                                            | sealed segments, in order
//!                                                            v
//!                            drain -> DATA/samples|scores/.../part-<segment>.parquet -> segment deleted
//! ```
//!
//! Invariants: an acknowledgement follows durability; nothing is written before it is redacted; every queue, body and file has a
//! named bound; a crash at any moment loses nothing acknowledged and doubles nothing (see `wal`).

mod access;
mod collector;
pub mod configuration;
mod convert;
mod drain;
mod events;
mod gaps;
mod gen_ai;
pub mod import;
mod listen;
mod lock;
mod otlp;
mod pressure;
pub mod redact;
mod server;
#[cfg(test)]
mod simulation;
mod status;
mod store;
pub mod upkeep;
mod wal;

pub use access::{AccessError, AccessOptions, TOKEN_CHARS_MAX, TOKEN_CHARS_MIN, TOKENS_MAX, TlsFiles};
pub use collector::{Collector, CollectorError, CollectorOptions, Limits, RunningCollector};
pub use events::{EventKind, LogFormat};
pub use import::{ImportError, ImportOptions, ImportSummary, import_jsonl};
pub use listen::ConnectionLimits;
pub use status::LogSink;
pub use store::{Mirrored, StoreError, StoreOptions, mirror};
