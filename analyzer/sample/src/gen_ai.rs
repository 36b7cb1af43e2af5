//! A call of a model that somebody else observed (a GenAI span or event of OpenTelemetry) to its row.
//!
//! Limits: as for captured legs (`capture`). Invariant: a row that comes out has a valid experiment, variant and time.

use serde_json::Value;

use crate::capture::{self, CaptureError, add_answer, duration, header, label};
use crate::record::{Leg, Sample, Variant};
use crate::text::{common_finish_reason, gen_ai_answer, gen_ai_question};

/// A call, as far as it was observed. Texts are empty where nothing is known.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "each field is the column of its name, see the table of columns")]
pub struct Call {
    pub experiment: String,
    pub sample_id: String,
    /// `primary`, `shadow` or `noise`; empty is primary.
    pub leg: String,
    /// `control` or `candidate`.
    pub variant: String,
    /// Start of the call, nanoseconds since 1970; 0 when not known.
    pub start_unix_nano: u64,
    pub inclusion_probability: Option<f64>,
    pub revision: Option<i64>,
    pub policy_digest: String,
    pub snapshot: String,
    pub cohort: String,
    pub tier: String,
    pub autonomy: String,
    pub identity_hash: String,
    pub session_id: String,
    pub request_id: String,
    pub status: Option<i32>,
    pub latency_ms: Option<f64>,
    pub ttft_ms: Option<f64>,
    /// Whether the call failed.
    pub failed: bool,
    pub streamed: Option<bool>,
    pub provider: String,
    pub request_model: String,
    pub response_model: String,
    pub response_id: String,
    /// Of the first choice.
    pub finish_reason: String,
    pub error_type: String,
    pub prompt_tokens: Option<i64>,
    pub completion_tokens: Option<i64>,
    pub cached_tokens: Option<i64>,
    pub reasoning_tokens: Option<i64>,
    /// `gen_ai.system_instructions`.
    pub system: Option<Value>,
    /// `gen_ai.input.messages`.
    pub input: Option<Value>,
    /// `gen_ai.output.messages`.
    pub output: Option<Value>,
    pub trace_id: String,
    pub span_id: String,
    /// Free labels; empty ones are left out.
    pub tags: Vec<(String, String)>,
}

/// Turns a call into a row. `received_us` stands in for a start time of 0.
///
/// # Errors
/// Names the first attribute that no row may have.
pub fn sample_from_call(call: Call, received_us: i64) -> Result<Sample, CaptureError> {
    let mut sample = Sample {
        experiment: capture::experiment(&call.experiment)?,
        sample_id: capture::identifier(weir_wire::names::SAMPLE_ID, &call.sample_id)?,
        leg: leg(&call.leg)?,
        variant: word(
            weir_wire::names::VARIANT,
            Variant::parse(&call.variant),
            &call.variant,
            "control, candidate",
        )?,
        ts_us: capture::time(call.start_unix_nano, received_us)?,
        inclusion_probability: probability(call.inclusion_probability)?,
        revision: call.revision,
        policy_digest: label(&call.policy_digest),
        snapshot: label(&call.snapshot),
        cohort: label(&call.cohort),
        tier: label(&call.tier),
        autonomy: label(&call.autonomy),
        identity_hash: label(&call.identity_hash),
        session_id: label(&call.session_id),
        request_id: header(&call.request_id),
        status: call.status,
        latency_ms: duration(call.latency_ms),
        ttft_ms: duration(call.ttft_ms),
        complete: Some(!call.failed),
        streamed: call.streamed,
        provider: header(&call.provider),
        trace_id: label(&call.trace_id),
        span_id: label(&call.span_id),
        ..Sample::default()
    };
    add_answer(&mut sample, gen_ai_answer(call.output.as_ref()));
    if let Some(question) = gen_ai_question(call.system.as_ref(), call.input.as_ref()) {
        sample.request_truncated = Some(question.truncated);
        sample.request_flags = question.flags.to_column();
        sample.request_text = question.text;
        sample.request_format = Some(question.format.to_owned());
    }
    // What the caller says counts more than what its messages say.
    sample.model = header(&call.response_model).or_else(|| header(&call.request_model));
    sample.response_id = header(&call.response_id);
    sample.error_type = header(&call.error_type);
    sample.finish_reason =
        header(&call.finish_reason).map(|word| common_finish_reason(&word)).or(sample.finish_reason);
    sample.prompt_tokens = call.prompt_tokens;
    sample.completion_tokens = call.completion_tokens;
    sample.cached_tokens = call.cached_tokens;
    sample.reasoning_tokens = call.reasoning_tokens;
    if call.output.is_none() {
        // Without messages nothing is known of calls; it is not that there were none.
        sample.tool_calls = None;
        sample.response_truncated = None;
    }
    for (name, value) in call.tags {
        if let Some(value) = label(&value) {
            sample.tags.insert(name, value);
        }
    }
    Ok(sample)
}

fn leg(text: &str) -> Result<Leg, CaptureError> {
    if text.is_empty() {
        return Ok(Leg::Primary);
    }
    word(weir_wire::names::LEG, Leg::parse(text), text, "primary, shadow, noise")
}

fn word<T>(
    name: &'static str,
    parsed: Option<T>,
    found: &str,
    allowed: &'static str,
) -> Result<T, CaptureError> {
    parsed.ok_or_else(|| CaptureError { name, found: capture::shortened(found), allowed })
}

fn probability(given: Option<f64>) -> Result<f64, CaptureError> {
    let probability = given.unwrap_or(1.0);
    if probability > 0.0 && probability <= 1.0 {
        return Ok(probability);
    }
    let name = weir_wire::names::INCLUSION_PROBABILITY;
    Err(CaptureError { name, found: probability.to_string(), allowed: "above 0 and at most 1" })
}
