//! OTLP log records and spans to rows, redacted and encoded, each for itself: a bad record does not take its request with it.
//!
//! The deduplication key of a leg is made of proxy, worker, sequence, sample id, leg, variant and start time; of a score, of all
//! its fields; of a call of a model that others observed, of experiment, sample id, leg and variant. So a retry is recognised, and workers whose epochs collide still lose nothing.

use std::cell::Cell;

use weir_sample::capture::{sample_from_wire, score_from_wire};
use weir_sample::gen_ai::{Call, sample_from_call};
use weir_sample::row::encode_row;
use weir_sample::text::clean;
use weir_sample::{Kind, Record, Sample};
use weir_wire::otlp::{KeyValue, LogRecord, any_value::Value};
use weir_wire::{Event, Leg, Score, names};
use xxhash_rust::xxh3::Xxh3;

use crate::gen_ai;
use crate::otlp::ItemGroup;
use crate::otlp::trace::Span;
use crate::redact::{Finds, Redactor};
use crate::wal::{Entry, RECORD_BYTES_MAX};

/// Reasons that are told per request; the rest is counted.
const REASONS_MAX: usize = 3;

/// Events that are told per request, and their size, bytes.
const EVENTS_MAX: usize = 16;
const EVENT_BYTES_MAX: usize = 512;
/// What the encoded bodies of one request may become together, bytes; later ones are cut, and flagged.
const DECODED_BODIES_BYTES_MAX: usize = 256 << 20;

/// What a request's records became.
#[derive(Debug, Default)]
pub(crate) struct Converted {
    pub(crate) entries: Vec<Entry>,
    pub(crate) finds: Finds,
    pub(crate) bad_records: u64,
    pub(crate) other_events: u64,
    /// Spans that are no call of a model.
    pub(crate) other_spans: u64,
    /// What the filter reports about itself, a line for the operator each.
    pub(crate) events: Vec<String>,
    reasons: Vec<String>,
    /// What is counted: `record` when empty.
    noun: &'static str,
    /// What decoding bodies may still produce, bytes.
    decode_budget: Cell<usize>,
}

impl Converted {
    pub(crate) fn rejected(&self) -> u64 {
        self.bad_records + self.other_events
    }

    fn new() -> Self {
        Self { decode_budget: Cell::new(DECODED_BODIES_BYTES_MAX), ..Self::default() }
    }

    /// Why records were refused, for the sender.
    pub(crate) fn reason(&self) -> String {
        let noun = if self.noun.is_empty() { "record" } else { self.noun };
        let reasons: Vec<String> = self.reasons.iter().map(|reason| format!("{noun} {reason}")).collect();
        let mut text = reasons.join("; ");
        let untold = self.rejected().saturating_sub(self.reasons.len() as u64);
        if untold > 0 {
            text.push_str(&format!("; and {untold} more"));
        }
        text
    }

    /// A record that no row can be made of.
    fn bad(&mut self, index: usize, why: &str) {
        self.bad_records += 1;
        self.refuse(index, why);
    }

    fn refuse(&mut self, index: usize, why: &str) {
        if self.reasons.len() < REASONS_MAX {
            self.reasons.push(format!("{index}: {why}"));
        }
    }
}

/// Converts every record; their numbers in reasons count through the request, from 0.
pub(crate) fn convert(groups: Vec<ItemGroup<LogRecord>>, redactor: &Redactor, received_us: i64) -> Converted {
    let mut converted = Converted::new();
    let mut index = 0;
    for group in groups {
        let attributes = &group.resource.attributes;
        let source =
            Source { proxy: text(attributes, names::PROXY), worker: text(attributes, names::WORKER) };
        let mut conversations = gen_ai::Conversations::default();
        for item in group.items {
            match item {
                Ok(record) if gen_ai::is_message(&record.event_name) => {
                    if let Err(why) = conversations.add(index, record) {
                        converted.bad(index, &why);
                    }
                }
                Ok(record) if record.event_name == gen_ai::EVENT => {
                    match gen_ai::from_event(&record, attributes) {
                        Some(call) => converted.call(index, call, redactor, received_us),
                        None => converted.other_spans += 1,
                    }
                }
                Ok(record) => converted.add(index, record, &source, redactor, received_us),
                Err(why) => converted.bad(index, &why),
            }
            index += 1;
        }
        for (index, call) in conversations.calls(attributes) {
            converted.call(index, call, redactor, received_us);
        }
    }
    converted
}

/// Converts every span that is a call of a model; the others are counted, and not refused: whoever sends spans sends all.
pub(crate) fn convert_spans(
    groups: Vec<ItemGroup<Span>>,
    redactor: &Redactor,
    received_us: i64,
) -> Converted {
    let mut converted = Converted::new();
    let mut index = 0;
    for group in groups {
        for item in group.items {
            let call = item.map(|span| gen_ai::from_span(span, &group.resource.attributes));
            match call {
                Ok(None) => converted.other_spans += 1,
                Ok(Some(call)) => converted.call(index, call, redactor, received_us),
                Err(why) => converted.bad(index, &why),
            }
            index += 1;
        }
    }
    converted.noun = "span";
    converted
}

struct Source {
    proxy: String,
    worker: String,
}

impl Converted {
    fn call(&mut self, index: usize, call: Result<Call, String>, redactor: &Redactor, received_us: i64) {
        let row =
            call.and_then(|call| sample_from_call(call, received_us).map_err(|error| error.to_string()));
        match row.map(|row| self.entry(Kind::Samples, call_key(&row), row, redactor)) {
            Ok(entry) => self.keep(index, entry),
            Err(why) => self.bad(index, &why),
        }
    }

    fn keep(&mut self, index: usize, entry: Entry) {
        if entry.row.len() + 64 <= RECORD_BYTES_MAX {
            self.entries.push(entry);
        } else {
            self.bad(index, &format!("is larger than {RECORD_BYTES_MAX} bytes"));
        }
    }

    fn add(
        &mut self,
        index: usize,
        record: LogRecord,
        source: &Source,
        redactor: &Redactor,
        received_us: i64,
    ) {
        let result = match record.event_name.as_str() {
            names::EVENT_LEG => self.leg(record, source, redactor, received_us),
            names::EVENT_FILTER => return self.event(index, record),
            names::EVENT_SCORE => self.score(record, redactor, received_us),
            other => {
                self.other_events += 1;
                let short: String = other.chars().take(40).collect();
                self.refuse(
                    index,
                    &format!("event name {short:?} is not kept; allowed: weir.leg, weir.score, weir.event, gen_ai.client.inference.operation.details, gen_ai.choice and the messages before it"),
                );
                return;
            }
        };
        match result {
            Ok(entry) => self.keep(index, entry),
            Err(why) => self.bad(index, &why),
        }
    }

    fn event(&mut self, index: usize, record: LogRecord) {
        match Event::from_record(record) {
            Ok(event) if self.events.len() < EVENTS_MAX => {
                let line = format!(
                    "{}: experiment {}, cohort {}, revision {}: {} ({} failed and {} slow of {} answers)",
                    event.kind,
                    event.experiment,
                    event.cohort,
                    event.revision,
                    event.reason,
                    event.failures,
                    event.slow,
                    event.answers,
                );
                self.events.push(clean(&line, EVENT_BYTES_MAX));
            }
            Ok(_) => {}
            Err(error) => self.bad(index, &error.to_string()),
        }
    }

    fn leg(
        &mut self,
        record: LogRecord,
        source: &Source,
        redactor: &Redactor,
        received_us: i64,
    ) -> Result<Entry, String> {
        let leg = Leg::from_record(record).map_err(|error| error.to_string())?;
        let key = leg_key(&leg, source);
        let row = sample_from_wire(leg, &source.proxy, &source.worker, received_us, &self.decode_budget)
            .map_err(|error| error.to_string())?;
        Ok(self.entry(Kind::Samples, key, row, redactor))
    }

    fn score(&mut self, record: LogRecord, redactor: &Redactor, received_us: i64) -> Result<Entry, String> {
        let score = Score::from_record(record).map_err(|error| error.to_string())?;
        let key = score_key(&score);
        let row = score_from_wire(score, received_us).map_err(|error| error.to_string())?;
        Ok(self.entry(Kind::Scores, key, row, redactor))
    }

    fn entry<R: Record>(&mut self, kind: Kind, key: u128, mut row: R, redactor: &Redactor) -> Entry {
        redactor.redact_row(&mut row, &mut self.finds);
        let mut bytes = Vec::new();
        encode_row(&row, &mut bytes);
        Entry { key, kind, row: bytes }
    }
}

fn leg_key(leg: &Leg, source: &Source) -> u128 {
    let mut key = Key::new("leg");
    key.text(&source.proxy);
    key.text(&source.worker);
    key.text(&leg.sample_id);
    key.text(leg.leg.as_str());
    key.text(leg.variant.as_str());
    key.number(leg.sequence);
    key.number(leg.start_unix_nano);
    key.finish()
}

/// A call is one row, whether it comes as a span, as an event, or as both: the first one counts.
fn call_key(row: &Sample) -> u128 {
    let mut key = Key::new("call");
    key.text(&row.experiment);
    key.text(&row.sample_id);
    key.text(row.leg.as_str());
    key.text(row.variant.as_str());
    key.finish()
}

fn score_key(score: &Score) -> u128 {
    let mut key = Key::new("score");
    key.text(&score.experiment);
    key.text(&score.sample_id);
    key.text(score.leg.as_str());
    key.text(score.variant.as_str());
    key.text(&score.criterion);
    key.text(&score.judge);
    key.number(score.score.to_bits());
    key.number(score.time_unix_nano);
    key.finish()
}

/// A hash over fields that cannot run into each other.
struct Key(Xxh3);

impl Key {
    fn new(kind: &str) -> Self {
        let mut key = Self(Xxh3::new());
        key.text(kind);
        key
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.update(text.as_bytes());
    }

    fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    fn finish(self) -> u128 {
        self.0.digest128()
    }
}

fn text(attributes: &[KeyValue], name: &str) -> String {
    let value =
        attributes.iter().find(|attribute| attribute.key == name).and_then(|found| found.value.as_ref());
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use crate::otlp::{Format, log_records};
    use proptest::prelude::*;
    use weir_wire::{LegKind, Resource, Variant, encode_batch, encode_record};

    fn converted(bytes: &[u8]) -> Converted {
        let limits = crate::Limits::default().of_request();
        let groups = log_records(Format::Protobuf, bytes, limits).unwrap();
        convert(groups, &Redactor::new().unwrap(), 5)
    }

    fn leg(sequence: u64) -> Leg {
        Leg { sequence, start_unix_nano: 9, ..Leg::new("s-1", LegKind::Primary, Variant::Control, "e") }
    }

    fn batch(worker: &str, legs: &[Leg]) -> Vec<u8> {
        let resource = Resource { proxy: "p".into(), worker: worker.into() };
        encode_batch(&resource, &legs.iter().map(encode_record).collect::<Vec<_>>())
    }

    #[test]
    fn a_bad_record_does_not_take_the_others_along_and_is_named() {
        let bad = Leg { experiment: "Not/valid".into(), ..leg(2) };
        let result = converted(&batch("w", &[leg(1), bad, leg(3)]));
        assert_eq!((result.entries.len(), result.rejected()), (2, 1));
        assert_eq!(
            result.reason(),
            "record 1: attribute weir.experiment: \"Not/valid\" is not allowed; allowed: 1 to 63 of a-z, 0-9 and -"
        );
    }

    #[test]
    fn only_the_first_reasons_are_told() {
        let bad = Leg { experiment: "A".into(), ..leg(2) };
        let reason = converted(&batch("w", &vec![bad; 10])).reason();
        assert!(reason.starts_with("record 0: ") && reason.ends_with("; and 7 more"), "{reason}");
    }

    #[test]
    fn a_retry_has_the_same_key_and_nothing_else_has() {
        let keys = |worker: &str, leg: Leg| converted(&batch(worker, &[leg])).entries[0].key;
        let first = keys("w", leg(1));
        assert_eq!(first, keys("w", leg(1)));
        assert_ne!(first, keys("w", leg(2)));
        assert_ne!(first, keys("w2", leg(1)));
        assert_ne!(first, keys("w", Leg { leg: LegKind::Shadow, ..leg(1) }));
        assert_ne!(first, keys("w", Leg { sample_id: "s-2".into(), ..leg(1) }));
    }

    #[test]
    fn rows_are_redacted_before_they_are_encoded() {
        let body = br#"{"choices":[{"message":{"content":"mail jane@example.com"}}]}"#.to_vec();
        let secret = Leg {
            response_body_bytes: body.len() as u64,
            response_body: body,
            response_content_type: "application/json".into(),
            ..leg(1)
        };
        let result = converted(&batch("w", &[secret]));
        assert_eq!(result.finds.total(), 1);
        let row: weir_sample::Sample = weir_sample::row::decode_row(&result.entries[0].row).unwrap();
        assert_eq!(row.response_text.as_deref(), Some("mail [redacted:email]"));
        assert_eq!((row.proxy.as_deref(), row.worker.as_deref()), (Some("p"), Some("w")));
    }

    proptest! {
        #[test]
        fn damaged_requests_never_panic(at in 0usize..400, byte: u8, cut in 0usize..600) {
            let mut bytes = batch("w", &[leg(1), leg(2)]);
            if let Some(slot) = bytes.get_mut(at) { *slot = byte; }
            bytes.truncate(cut);
            let limits = crate::Limits::default().of_request();
            if let Ok(groups) = log_records(Format::Protobuf, &bytes, limits) {
                let result = convert(groups, &Redactor::new().unwrap(), 5);
                prop_assert!(result.entries.len() as u64 + result.rejected() <= 2 + bytes.len() as u64);
            }
        }
    }
}
