//! A captured leg or score from the wire to its row.
//!
//! Limits: [`LABEL_BYTES_MAX`] for names and identifiers, [`HEADER_BYTES_MAX`] for headers and paths; longer ones are cut, except
//! for the sample id and the criterion, on which joins rest: those are refused. Integers above 2^63-1 become 2^63-1.
//! Invariant: a row that comes out has a valid experiment and a time between 1970 and 9999.

use std::cell::Cell;

use thiserror::Error;
use weir_wire::names;

use crate::layout::is_experiment;
use crate::record::{Leg, ResponseFormat, Sample, Score, TS_US_MAX, Variant};
use crate::text::{self, Answer, Body, clean};

/// Longest name or identifier, bytes.
pub const LABEL_BYTES_MAX: usize = 256;
/// Longest header or path that is kept, bytes.
pub const HEADER_BYTES_MAX: usize = 1_024;
/// Why a record on the wire is no row.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("attribute {name}: {found} is not allowed; allowed: {allowed}")]
pub struct CaptureError {
    /// The attribute, or `time_unix_nano`.
    pub name: &'static str,
    /// What was there, shortened.
    pub found: String,
    /// What may be there.
    pub allowed: &'static str,
}

/// Turns a captured leg into a row. `received_us` stands in for a start time of 0; `budget` is what decoding the bodies of
/// all legs of the request may still produce, bytes.
///
/// # Errors
/// Names the first attribute that no row may have.
pub fn sample_from_wire(
    leg: weir_wire::Leg,
    proxy: &str,
    worker: &str,
    received_us: i64,
    budget: &Cell<usize>,
) -> Result<Sample, CaptureError> {
    let encoding = clean(&leg.response_content_encoding, LABEL_BYTES_MAX);
    let answer = text::answer(Body {
        head: &leg.response_body,
        tail: &leg.response_body_tail,
        bytes: leg.response_body_bytes,
        content_type: &leg.response_content_type,
        content_encoding: &encoding,
        budget: Some(budget),
    });
    let mut sample = Sample {
        experiment: experiment(&leg.experiment)?,
        sample_id: identifier(names::SAMPLE_ID, &leg.sample_id)?,
        leg: leg_kind(leg.leg),
        variant: variant(leg.variant),
        ts_us: time(leg.start_unix_nano, received_us)?,
        revision: Some(integer(leg.revision)),
        policy_digest: label(&leg.policy_digest),
        snapshot: label(&leg.snapshot),
        cohort: label(&leg.cohort),
        tier: label(&leg.tier),
        autonomy: label(&leg.autonomy),
        identity_hash: label(&leg.identity_hash),
        session_id: label(&leg.session_id),
        request_id: header(&leg.request_id),
        proxy: label(proxy),
        worker: label(worker),
        sequence: Some(integer(leg.sequence)),
        inclusion_probability: leg.inclusion_probability,
        candidate_share: leg.candidate_share.filter(|share| (0.0..=1.0).contains(share)),
        copies: label(&leg.copies),
        method: header(&leg.method),
        path: header(&leg.path),
        status: Some(i32::from(leg.status)),
        latency_ms: duration(leg.latency_ms),
        ttfb_ms: duration(leg.ttfb_ms),
        ttft_ms: duration(leg.ttft_ms),
        chunks: Some(integer(leg.chunks)),
        longest_gap_ms: duration(leg.longest_gap_ms),
        request_content_type: header(&leg.request_content_type),
        response_content_type: header(&leg.response_content_type),
        streamed: Some(is_streamed(&leg.response_content_type, answer.format)),
        complete: Some(leg.complete),
        response_bytes: Some(integer(leg.response_body_bytes)),
        response_content_encoding: label(&encoding),
        ..Sample::default()
    };
    add_answer(&mut sample, answer);
    if !(sample.inclusion_probability > 0.0 && sample.inclusion_probability <= 1.0) {
        return Err(CaptureError {
            name: names::INCLUSION_PROBABILITY,
            found: sample.inclusion_probability.to_string(),
            allowed: "above 0 and at most 1",
        });
    }
    add_question(&mut sample, &leg, budget);
    let tags =
        leg.tags.iter().map(|(name, value)| (clean(name, LABEL_BYTES_MAX), clean(value, HEADER_BYTES_MAX)));
    sample.tags.extend(tags);
    Ok(sample)
}

/// Turns a score into a row. `received_us` stands in for a time of 0.
///
/// # Errors
/// Names the first attribute that no row may have.
pub fn score_from_wire(score: weir_wire::Score, received_us: i64) -> Result<Score, CaptureError> {
    if !score.score.is_finite() {
        let found = score.score.to_string();
        return Err(CaptureError { name: names::SCORE, found, allowed: "a finite number" });
    }
    Ok(Score {
        experiment: experiment(&score.experiment)?,
        sample_id: identifier(names::SAMPLE_ID, &score.sample_id)?,
        leg: leg_kind(score.leg),
        variant: variant(score.variant),
        ts_us: time(score.time_unix_nano, received_us)?,
        criterion: criterion(&score.criterion)?,
        score: score.score,
        judge: label(&score.judge),
        reason: None,
    })
}

/// Whether an identifier may join legs and scores: 1 to 256 bytes, no white space and no control characters.
pub fn is_identifier(text: &str) -> bool {
    (1..=LABEL_BYTES_MAX).contains(&text.len()) && !text.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// Whether text may name a criterion: 1 to 256 bytes without control characters.
pub fn is_criterion(text: &str) -> bool {
    (1..=LABEL_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Fills the columns that the answer's body gives.
pub(crate) fn add_answer(sample: &mut Sample, answer: Answer) {
    sample.tool_names = answer.tool_names();
    sample.tool_call_text = answer.tool_call_text();
    sample.other_choices = answer.other_choices_text();
    sample.choices = i64::try_from(answer.choices).ok().filter(|count| *count > 0);
    sample.response_truncated = Some(answer.truncated);
    sample.response_text = answer.text;
    sample.response_format = Some(answer.format);
    sample.response_flags = answer.flags.to_column();
    sample.response_id = answer.response_id;
    sample.model = answer.model;
    sample.finish_reason = answer.finish_reason;
    sample.error_type = answer.error_type;
    sample.prompt_tokens = answer.prompt_tokens;
    sample.completion_tokens = answer.completion_tokens;
    sample.cached_tokens = answer.cached_tokens;
    sample.reasoning_tokens = answer.reasoning_tokens;
    sample.reasoning_text = answer.reasoning;
    sample.tool_calls = answer.tool_calls;
    sample.refusal = answer.refusal;
}

fn add_question(sample: &mut Sample, leg: &weir_wire::Leg, budget: &Cell<usize>) {
    let Some(bytes) = leg.request_body_bytes else { return };
    // Where the policy has it captured; else the bytes tell.
    let encoding = leg.tags.iter().find(|(name, _)| name == "request.header.content-encoding");
    let question = text::question(Body {
        head: &leg.request_body,
        tail: &leg.request_body_tail,
        bytes,
        content_type: &leg.request_content_type,
        content_encoding: encoding.map_or("", |(_, encoding)| encoding),
        budget: Some(budget),
    });
    sample.request_bytes = Some(integer(bytes));
    sample.request_truncated = Some(question.truncated);
    sample.request_text = question.text;
    sample.request_flags = question.flags.to_column();
    // Requests to Anthropic and to OpenAI can look alike; their answers do not.
    let anthropic =
        matches!(sample.response_format, Some(ResponseFormat::Anthropic | ResponseFormat::AnthropicSse));
    let format = if anthropic && question.format == "openai_chat" { "anthropic" } else { question.format };
    sample.request_format = Some(format.to_owned());
    sample.model = sample.model.take().or(question.model);
}

fn is_streamed(content_type: &str, format: ResponseFormat) -> bool {
    format.as_str().ends_with("_sse")
        || content_type.get(..17).is_some_and(|media| media.eq_ignore_ascii_case("text/event-stream"))
}

pub(crate) fn experiment(name: &str) -> Result<String, CaptureError> {
    if is_experiment(name) {
        return Ok(name.to_owned());
    }
    Err(CaptureError {
        name: names::EXPERIMENT,
        found: shortened(name),
        allowed: "1 to 63 of a-z, 0-9 and -",
    })
}

pub(crate) fn identifier(name: &'static str, text: &str) -> Result<String, CaptureError> {
    if is_identifier(text) {
        return Ok(text.to_owned());
    }
    Err(CaptureError { name, found: shortened(text), allowed: "1 to 256 bytes without white space" })
}

fn criterion(text: &str) -> Result<String, CaptureError> {
    if is_criterion(text) {
        return Ok(text.to_owned());
    }
    let allowed = "1 to 256 bytes without control characters";
    Err(CaptureError { name: names::CRITERION, found: shortened(text), allowed })
}

pub(crate) fn time(unix_nano: u64, received_us: i64) -> Result<i64, CaptureError> {
    if unix_nano == 0 {
        return Ok(received_us.clamp(0, TS_US_MAX));
    }
    // Fits: 2^64 nanoseconds end in the year 2554.
    i64::try_from(unix_nano / 1_000).map_err(|_| CaptureError {
        name: "time_unix_nano",
        found: unix_nano.to_string(),
        allowed: "nanoseconds since 1970",
    })
}

fn leg_kind(leg: weir_wire::LegKind) -> Leg {
    match leg {
        weir_wire::LegKind::Primary => Leg::Primary,
        weir_wire::LegKind::Shadow => Leg::Shadow,
        weir_wire::LegKind::Noise => Leg::Noise,
    }
}

fn variant(variant: weir_wire::Variant) -> Variant {
    match variant {
        weir_wire::Variant::Control => Variant::Control,
        weir_wire::Variant::Candidate => Variant::Candidate,
    }
}

pub(crate) fn label(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| clean(text, LABEL_BYTES_MAX))
}

pub(crate) fn header(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| clean(text, HEADER_BYTES_MAX))
}

fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(crate) fn duration(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite() && *value >= 0.0)
}

pub(crate) fn shortened(text: &str) -> String {
    let short: String = text.chars().take(40).collect();
    format!("{short:?}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn details_of_a_leg_become_tags_within_bounds() {
        let mut leg =
            weir_wire::Leg::new("s-1", weir_wire::LegKind::Primary, weir_wire::Variant::Control, "e");
        leg.tags = vec![
            ("envoy.response_flags".to_owned(), "UF,URX".to_owned()),
            ("n".repeat(300), "v".repeat(2_000)),
            ("request.header.x-app".to_owned(), "a\0b".to_owned()),
        ];
        let tags = sample_from_wire(leg, "proxy", "worker", 1, &std::cell::Cell::new(1 << 20)).unwrap().tags;
        assert_eq!(tags["envoy.response_flags"], "UF,URX");
        assert_eq!(tags[&"n".repeat(LABEL_BYTES_MAX)].len(), HEADER_BYTES_MAX);
        assert!(!tags["request.header.x-app"].contains('\0'));
    }
}
