//! GenAI spans and events of OpenTelemetry's semantic conventions to calls, by their attributes.
//!
//! What is a call: a span or an event `gen_ai.client.inference.operation.details` whose `gen_ai.operation.name` is `chat`,
//! `generate_content` or `text_completion`, or that has no operation and a `gen_ai.request.model`; and a span of OpenInference whose
//! `openinference.span.kind` is `LLM`. Agents, tools and embeddings
//! are none: what models said in them has spans of its own.
//!
//! Where it belongs: attributes of Weir count first, on the span or event, then on the resource.
//!
//! | column | from |
//! |---|---|
//! | experiment | `weir.experiment`, else `service.name` in lower case with `-` for what no experiment's name may hold |
//! | variant | `weir.variant`, else `feature_flag.result.variant`, else `deployment.environment.name`, by [`VARIANTS`] |
//! | leg | `weir.leg`, else `primary` |
//! | sample_id | `weir.sample_id`, else trace and span identifier, else `gen_ai.response.id` |
//! | inclusion_probability | `weir.inclusion_probability`, else the sampling threshold `ot=th:` of the trace state, else 1 |
//!
//! Messages are read from `gen_ai.input.messages`, `gen_ai.output.messages` and `gen_ai.system_instructions`, structures or JSON
//! text; else from `gen_ai.prompt` and `gen_ai.completion`, whole or in single attributes; else in the older forms of `messages`.
//! Log records of the older form, one per message, are one call where they name the same trace and span within one request.
//!
//! A call whose variant nothing names is refused: a guess would compare a model with itself.

mod messages;

use std::collections::HashMap;

use serde_json::{Map, Value as Tree};
use weir_sample::gen_ai::Call;
use weir_wire::names;
use weir_wire::otlp::{AnyValue, KeyValue, LogRecord, any_value::Value};

use crate::otlp::trace::Span;

pub(crate) use messages::{CHOICE, Told, is_message};
use messages::{flattened, open_inference};

/// Name of the event that tells one call.
pub(crate) const EVENT: &str = "gen_ai.client.inference.operation.details";

/// Words that name a variant, in lower case, where no attribute of Weir does.
pub(crate) const VARIANTS: [(&str, &str); 10] = [
    ("control", "control"),
    ("stable", "control"),
    ("baseline", "control"),
    ("production", "control"),
    ("prod", "control"),
    ("candidate", "candidate"),
    ("canary", "candidate"),
    ("treatment", "candidate"),
    ("preview", "candidate"),
    ("experiment", "candidate"),
];

const OPERATIONS: [&str; 3] = ["chat", "generate_content", "text_completion"];
/// Deeper values are left out; the decoder allows about as many.
const DEPTH_MAX: usize = 64;

/// Reads a span; `None` when it is no call of a model.
pub(crate) fn from_span(span: Span, resource: &[KeyValue]) -> Option<Result<Call, String>> {
    let attributes = Attributes { own: &span.attributes, resource };
    if !attributes.is_call() {
        return None;
    }
    let mut told = Told::default();
    span.events.iter().for_each(|event| told.event(&event.name, None, &event.attributes));
    let (input, output) = told.sides();
    let failed = span.status.as_ref().is_some_and(|status| status.code == 2);
    let lasted_ns = span.end_time_unix_nano.checked_sub(span.start_time_unix_nano);
    Some(attributes.call().map(|call| {
        let (trace_id, span_id) = (hex(&span.trace_id), hex(&span.span_id));
        Call {
            start_unix_nano: span.start_time_unix_nano,
            latency_ms: lasted_ns.map(|ns| ns as f64 / 1e6),
            failed: failed || call.failed,
            sample_id: sample_id(&call, &trace_id, &span_id),
            input: call.input.or(input),
            output: call.output.or(output),
            inclusion_probability: call.inclusion_probability.or_else(|| sampled(&span.trace_state)),
            trace_id,
            span_id,
            ..call
        }
    }))
}

/// Reads an event; `None` when it is no call of a model.
pub(crate) fn from_event(record: &LogRecord, resource: &[KeyValue]) -> Option<Result<Call, String>> {
    let attributes = Attributes { own: &record.attributes, resource };
    if !attributes.is_call() {
        return None;
    }
    Some(attributes.call().map(|call| {
        let (trace_id, span_id) = (hex(&record.trace_id), hex(&record.span_id));
        Call {
            start_unix_nano: started(record),
            sample_id: sample_id(&call, &trace_id, &span_id),
            trace_id,
            span_id,
            ..call
        }
    }))
}

/// The calls of a group's log records that tell one message each: by trace and span, in the order of their first records.
#[derive(Debug, Default)]
pub(crate) struct Conversations {
    calls: Vec<(LogRecord, usize, Told)>,
    places: HashMap<(Vec<u8>, Vec<u8>), usize>,
}

impl Conversations {
    /// Takes a record; `index` is its place in the request.
    ///
    /// # Errors
    /// A record that does not say which call it belongs to.
    pub(crate) fn add(&mut self, index: usize, mut record: LogRecord) -> Result<(), String> {
        if record.trace_id.is_empty() || record.span_id.is_empty() {
            let name = &record.event_name;
            return Err(format!(
                "event {name} has no trace and span identifier, so that its call is not known\n  hint: log it within the span of the call"
            ));
        }
        let body = record.body.take().map(|body| tree(&body, 0));
        let key = (record.trace_id.clone(), record.span_id.clone());
        let at = *self.places.entry(key).or_insert(self.calls.len());
        if at == self.calls.len() {
            self.calls.push((LogRecord { body: None, ..record.clone() }, index, Told::default()));
        }
        if let Some((_, _, told)) = self.calls.get_mut(at) {
            told.event(&record.event_name, body, &record.attributes);
        }
        Ok(())
    }

    /// The calls with the places of their first records.
    pub(crate) fn calls(self, resource: &[KeyValue]) -> impl Iterator<Item = (usize, Result<Call, String>)> {
        self.calls.into_iter().map(|(record, index, told)| {
            if !told.has_answer() {
                let why = format!(
                    "messages of a call came without {CHOICE}, which tells the answer\n  hint: let the exporter send what belongs to a call together (a longer delay of its batches), or send spans with messages"
                );
                return (index, Err(why));
            }
            let (input, output) = told.sides();
            let attributes = Attributes { own: &record.attributes, resource };
            let call = attributes.call().map(|call| {
                let (trace_id, span_id) = (hex(&record.trace_id), hex(&record.span_id));
                Call {
                    start_unix_nano: started(&record),
                    input,
                    output,
                    sample_id: sample_id(&call, &trace_id, &span_id),
                    trace_id,
                    span_id,
                    ..call
                }
            });
            (index, call)
        })
    }
}

fn started(record: &LogRecord) -> u64 {
    [record.time_unix_nano, record.observed_time_unix_nano].into_iter().find(|time| *time > 0).unwrap_or(0)
}

fn sample_id(call: &Call, trace_id: &str, span_id: &str) -> String {
    if !call.sample_id.is_empty() {
        return call.sample_id.clone();
    }
    if trace_id.is_empty() || span_id.is_empty() {
        return call.response_id.clone();
    }
    format!("{trace_id}-{span_id}")
}

/// Attributes of a span or an event, and of its resource.
struct Attributes<'a> {
    own: &'a [KeyValue],
    resource: &'a [KeyValue],
}

impl Attributes<'_> {
    fn is_call(&self) -> bool {
        match self.text("gen_ai.operation.name").as_str() {
            "" if self.is_open_inference() => true,
            "" => !self.text("gen_ai.request.model").is_empty(),
            operation => OPERATIONS.contains(&operation),
        }
    }

    fn is_open_inference(&self) -> bool {
        self.text("openinference.span.kind").eq_ignore_ascii_case("LLM")
    }

    /// A side of the conversation: by the conventions, or as those before and beside them have it.
    fn side(&self, names: &[&str], prefix: &str, side: &str, role: &str) -> Option<Tree> {
        self.tree(names)
            .or_else(|| flattened(self.own, prefix))
            .or_else(|| self.is_open_inference().then(|| open_inference(self.own, side, role)).flatten())
    }

    fn call(&self) -> Result<Call, String> {
        let finish_reasons = find(self.own, "gen_ai.response.finish_reasons").map(|value| tree(value, 0));
        let error_type = self.text("error.type");
        Ok(Call {
            experiment: self.experiment()?,
            variant: self.variant()?,
            sample_id: self.either(names::SAMPLE_ID),
            leg: self.either(names::LEG),
            inclusion_probability: self.number(names::INCLUSION_PROBABILITY)?,
            revision: self.integer(&[names::REVISION])?,
            policy_digest: self.either(names::POLICY_DIGEST),
            snapshot: self.either(names::SNAPSHOT),
            cohort: self.either(names::COHORT),
            tier: self.either(names::TIER),
            autonomy: self.either(names::AUTONOMY),
            identity_hash: self.either(names::IDENTITY_HASH),
            session_id: self.first(&["gen_ai.conversation.id", "session.id"]),
            request_id: self.text(names::REQUEST_ID),
            status: self.status()?,
            ttft_ms: self.number("gen_ai.response.time_to_first_chunk")?.map(|seconds| seconds * 1e3),
            failed: !error_type.is_empty(),
            streamed: self.boolean("gen_ai.request.stream"),
            provider: self.first(&["gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"]),
            request_model: self.first(&["gen_ai.request.model", "llm.model_name"]),
            response_model: self.text("gen_ai.response.model"),
            response_id: self.text("gen_ai.response.id"),
            finish_reason: finish_reasons.as_ref().map_or_else(|| self.text("llm.finish_reason"), first_word),
            error_type,
            prompt_tokens: self.integer(&[
                "gen_ai.usage.input_tokens",
                "gen_ai.usage.prompt_tokens",
                "llm.token_count.prompt",
            ])?,
            completion_tokens: self.integer(&[
                "gen_ai.usage.output_tokens",
                "gen_ai.usage.completion_tokens",
                "llm.token_count.completion",
            ])?,
            cached_tokens: self.integer(&[
                "gen_ai.usage.cache_read.input_tokens",
                "llm.token_count.prompt_details.cache_read",
            ])?,
            reasoning_tokens: self.integer(&[
                "gen_ai.usage.reasoning.output_tokens",
                "llm.token_count.completion_details.reasoning",
            ])?,
            system: self.tree(&["gen_ai.system_instructions"]),
            input: self.side(&["gen_ai.input.messages", "gen_ai.prompt"], "gen_ai.prompt.", "input", "user"),
            output: self.side(
                &["gen_ai.output.messages", "gen_ai.completion"],
                "gen_ai.completion.",
                "output",
                "assistant",
            ),
            tags: vec![
                ("gen_ai.operation.name".to_owned(), self.text("gen_ai.operation.name")),
                ("service.version".to_owned(), self.either("service.version")),
            ],
            ..Call::default()
        })
    }

    fn experiment(&self) -> Result<String, String> {
        let given = self.either(names::EXPERIMENT);
        if !given.is_empty() {
            return Ok(given);
        }
        let service = self.either("service.name");
        let name = experiment_of(&service);
        if name.is_empty() {
            return Err(format!(
                "attribute {} is missing, and so is service.name\n  hint: set one of them on the resource",
                names::EXPERIMENT
            ));
        }
        Ok(name)
    }

    fn variant(&self) -> Result<String, String> {
        let given = self.either(names::VARIANT);
        if !given.is_empty() {
            return Ok(given);
        }
        let flag = ["feature_flag.result.variant", "deployment.environment.name", "deployment.environment"];
        for word in flag.iter().map(|name| self.either(name).to_lowercase()) {
            if let Some((_, variant)) = VARIANTS.iter().find(|(name, _)| *name == word) {
                return Ok((*variant).to_owned());
            }
        }
        Err(format!(
            "attribute {} is missing, and neither feature_flag.result.variant nor deployment.environment.name is one of {}\n  hint: set it on the resource: OTEL_RESOURCE_ATTRIBUTES={}=candidate",
            names::VARIANT,
            VARIANTS.map(|(name, _)| name).join(", "),
            names::VARIANT
        ))
    }

    /// Its own, else the resource's.
    fn either(&self, name: &str) -> String {
        let own = self.text(name);
        if own.is_empty() { text(self.resource, name) } else { own }
    }

    fn text(&self, name: &str) -> String {
        text(self.own, name)
    }

    fn first(&self, list: &[&str]) -> String {
        list.iter().map(|name| self.text(name)).find(|text| !text.is_empty()).unwrap_or_default()
    }

    fn boolean(&self, name: &str) -> Option<bool> {
        match find(self.own, name)?.value {
            Some(Value::BoolValue(value)) => Some(value),
            _ => None,
        }
    }

    fn integer(&self, list: &[&str]) -> Result<Option<i64>, String> {
        let found = list.iter().find_map(|name| Some((name, find_either(self.own, self.resource, name)?)));
        let Some((name, value)) = found else { return Ok(None) };
        match &value.value {
            Some(Value::IntValue(number)) if *number >= 0 => Ok(Some(*number)),
            None => Ok(None),
            _ => Err(format!("attribute {name}: {} is not an integer of 0 or more", shown(value))),
        }
    }

    fn number(&self, name: &str) -> Result<Option<f64>, String> {
        let Some(value) = find_either(self.own, self.resource, name) else { return Ok(None) };
        match value.value {
            Some(Value::DoubleValue(number)) if number.is_finite() => Ok(Some(number)),
            Some(Value::IntValue(number)) => Ok(Some(number as f64)),
            None => Ok(None),
            _ => Err(format!("attribute {name}: {} is not a finite number", shown(value))),
        }
    }

    fn status(&self) -> Result<Option<i32>, String> {
        let status = self.integer(&[names::STATUS])?;
        match status.map(i32::try_from) {
            None => Ok(None),
            Some(Ok(status)) if status <= 999 => Ok(Some(status)),
            Some(_) => Err(format!("attribute {}: not a status; allowed: 0 to 999", names::STATUS)),
        }
    }

    fn tree(&self, list: &[&str]) -> Option<Tree> {
        list.iter().find_map(|name| find(self.own, name)).map(|value| tree(value, 0))
    }
}

fn find<'a>(list: &'a [KeyValue], name: &str) -> Option<&'a AnyValue> {
    list.iter().find(|attribute| attribute.key == name)?.value.as_ref()
}

fn find_either<'a>(own: &'a [KeyValue], resource: &'a [KeyValue], name: &str) -> Option<&'a AnyValue> {
    find(own, name).or_else(|| find(resource, name))
}

fn text(list: &[KeyValue], name: &str) -> String {
    match find(list, name).and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        _ => String::new(),
    }
}

fn shown(value: &AnyValue) -> String {
    tree(value, 0).to_string().chars().take(40).collect()
}

fn first_word(reasons: &Tree) -> String {
    let first = reasons.as_array().and_then(|list| list.first()).unwrap_or(reasons);
    first.as_str().unwrap_or_default().to_owned()
}

/// An attribute's value as JSON. Bytes become text.
fn tree(value: &AnyValue, depth: usize) -> Tree {
    match &value.value {
        _ if depth > DEPTH_MAX => Tree::Null,
        None => Tree::Null,
        Some(Value::StringValue(text)) => Tree::from(text.as_str()),
        Some(Value::BoolValue(value)) => Tree::from(*value),
        Some(Value::IntValue(value)) => Tree::from(*value),
        Some(Value::DoubleValue(value)) => Tree::from(*value),
        Some(Value::BytesValue(bytes)) => Tree::from(String::from_utf8_lossy(bytes)),
        Some(Value::ArrayValue(list)) => list.values.iter().map(|item| tree(item, depth + 1)).collect(),
        Some(Value::KvlistValue(list)) => {
            let field = |field: &KeyValue| {
                let value = field.value.as_ref().map_or(Tree::Null, |value| tree(value, depth + 1));
                (field.key.clone(), value)
            };
            Tree::Object(list.values.iter().map(field).collect::<Map<_, _>>())
        }
    }
}

/// A service's name as an experiment's: 1 to 63 of a-z, 0-9 and -.
fn experiment_of(service: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = service.chars().map(allowed).take(63).collect();
    name.trim_matches('-').to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(32).map(|byte| format!("{byte:02x}")).collect()
}

/// The chance of a sampled trace, from OpenTelemetry's threshold in the trace state: `ot=th:c` keeps a quarter.
fn sampled(trace_state: &str) -> Option<f64> {
    let ot = trace_state.split(',').find_map(|entry| entry.trim().strip_prefix("ot="))?;
    let digits = ot.split(';').find_map(|field| field.strip_prefix("th:"))?;
    if digits.is_empty() || digits.len() > 14 {
        return None;
    }
    let threshold = u64::from_str_radix(&format!("{digits:0<14}"), 16).ok()?;
    let space = (1u64 << 56) as f64;
    Some((space - threshold as f64) / space)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chance_of_a_trace_comes_from_its_threshold() {
        for (state, chance) in [
            ("ot=th:8", Some(0.5)),
            ("a=b, ot=rv:0123;th:c", Some(0.25)),
            ("ot=th:0", Some(1.0)),
            ("ot=rv:1", None),
            ("ot=th:zz", None),
            ("", None),
        ] {
            assert_eq!(sampled(state), chance, "{state}");
        }
    }

    #[test]
    fn a_services_name_becomes_an_experiments() {
        assert_eq!(experiment_of("Support Desk/v2_"), "support-desk-v2");
        assert_eq!(experiment_of(&"x".repeat(100)).len(), 63);
        assert_eq!(experiment_of("___"), "");
    }
}
