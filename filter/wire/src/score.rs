//! A score of a leg, and its form as a log record. Scores may arrive long after their leg.

use crate::names;
use crate::otlp::LogRecord;
use crate::record::{Attributes, RecordWriter};
use crate::{LegKind, Variant, WireError};

/// What a judge said about one leg by one criterion.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// The exchange.
    pub sample_id: String,
    /// The leg that was judged.
    pub leg: LegKind,
    /// Who gave the answer.
    pub variant: Variant,
    /// The experiment.
    pub experiment: String,
    /// What was judged.
    pub criterion: String,
    /// The score, a finite number.
    pub score: f64,
    /// Who judged; empty when not known.
    pub judge: String,
    /// When, nanoseconds since 1970.
    pub time_unix_nano: u64,
}

/// Encodes a score as a `LogRecord` message (without the outer tag and length).
pub fn encode_score(score: &Score) -> Vec<u8> {
    let mut record = RecordWriter::new(score.time_unix_nano, names::EVENT_SCORE, 256);
    record.text(names::SAMPLE_ID, &score.sample_id);
    record.text(names::LEG, score.leg.as_str());
    record.text(names::VARIANT, score.variant.as_str());
    record.text(names::EXPERIMENT, &score.experiment);
    record.text(names::CRITERION, &score.criterion);
    record.number(names::SCORE, Some(score.score));
    record.text(names::JUDGE, &score.judge);
    record.finish()
}

impl Score {
    /// Reads a record whose event name is `weir.score`.
    pub fn from_record(record: LogRecord) -> Result<Self, WireError> {
        let time_unix_nano = record.time_unix_nano;
        let mut from = Attributes::of(record, names::EVENT_SCORE)?;
        Ok(Self {
            sample_id: from.required_text(names::SAMPLE_ID)?,
            leg: LegKind::parse(&from.required_text(names::LEG)?)?,
            variant: Variant::parse(&from.required_text(names::VARIANT)?)?,
            experiment: from.required_text(names::EXPERIMENT)?,
            criterion: from.required_text(names::CRITERION)?,
            score: from.number(names::SCORE)?.ok_or(WireError::Missing(names::SCORE))?,
            judge: from.text(names::JUDGE)?,
            time_unix_nano,
        })
    }
}
