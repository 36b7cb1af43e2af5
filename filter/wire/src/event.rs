//! What the filter reports about itself, and its form as a log record. Events have no sequence number: they are also
//! counted, and a lost one is no hole in the samples.

use crate::WireError;
use crate::names;
use crate::otlp::LogRecord;
use crate::record::{Attributes, RecordWriter};

/// Kind of the event that a guard tripped.
pub const GUARD_TRIPPED: &str = "guard-tripped";

/// Something that the filter did by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// What happened, such as [`GUARD_TRIPPED`].
    pub kind: String,
    /// The experiment.
    pub experiment: String,
    /// The policy's revision.
    pub revision: u64,
    /// The policy's digest, 16 hex digits.
    pub policy_digest: String,
    /// The cohort.
    pub cohort: String,
    /// Why, as in the label `reason` of the metric.
    pub reason: String,
    /// Answers that were looked at.
    pub answers: u64,
    /// How many of them had failed.
    pub failures: u64,
    /// How many of them were slow.
    pub slow: u64,
    /// When, nanoseconds since 1970.
    pub time_unix_nano: u64,
}

/// Encodes an event as a `LogRecord` message (without the outer tag and length) that says everything itself.
pub fn encode_event(event: &Event) -> Vec<u8> {
    let mut record = RecordWriter::new(event.time_unix_nano, names::EVENT_FILTER, 512);
    record.text(names::KIND, &event.kind);
    record.text(names::EXPERIMENT, &event.experiment);
    record.integer(names::REVISION, event.revision);
    record.text(names::POLICY_DIGEST, &event.policy_digest);
    record.text(names::COHORT, &event.cohort);
    record.text(names::REASON, &event.reason);
    record.integer(names::ANSWERS, event.answers);
    record.integer(names::FAILURES, event.failures);
    record.integer(names::SLOW, event.slow);
    record.finish()
}

impl Event {
    /// Reads a record whose event name is `weir.event`.
    pub fn from_record(record: LogRecord) -> Result<Self, WireError> {
        let time_unix_nano = record.time_unix_nano;
        let mut from = Attributes::of(record, names::EVENT_FILTER)?;
        Ok(Self {
            kind: from.required_text(names::KIND)?,
            experiment: from.required_text(names::EXPERIMENT)?,
            revision: from.integer(names::REVISION)?.unwrap_or(0),
            policy_digest: from.text(names::POLICY_DIGEST)?,
            cohort: from.text(names::COHORT)?,
            reason: from.text(names::REASON)?,
            answers: from.integer(names::ANSWERS)?.unwrap_or(0),
            failures: from.integer(names::FAILURES)?.unwrap_or(0),
            slow: from.integer(names::SLOW)?.unwrap_or(0),
            time_unix_nano,
        })
    }
}
