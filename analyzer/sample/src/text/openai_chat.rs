//! OpenAI's chat completions: whole (`message`), as chunks (`delta`), and requests (`messages`).
//!
//! Content may be a string, null or a list of parts; parts that are not text become `[type]`. Unknown fields are ignored.

use serde_json::Value;

use super::json::{arguments, count, index, items, str_of, text};
use super::reply::Reply;

/// Number of the call in the older `function_call` field.
const LEGACY_CALL: i64 = -1;

/// Whether this is a completion or a chunk of one; a chunk may have no choices, only usage.
pub(super) fn is_reply(value: &Value) -> bool {
    let Some(choices) = value.get("choices").and_then(Value::as_array) else { return false };
    let part = |choice: &Value| {
        let has = |name| choice.get(name).is_some_and(Value::is_object);
        has("message") || has("delta")
    };
    choices.iter().any(part)
        || (choices.is_empty()
            && (value.get("usage").is_some() || value.get("prompt_filter_results").is_some()))
}

/// Reads a completion or a chunk; false when it is neither.
pub(super) fn read(value: &Value, reply: &mut Reply) -> bool {
    let Some(choices) = value.get("choices").and_then(Value::as_array) else { return false };
    head(value, reply);
    for choice in choices {
        let at = index(choice, "index");
        reply.choice(at);
        reply.finish_reason(at, str_of(choice, "finish_reason"));
        let message = choice.get("message").or_else(|| choice.get("delta"));
        if let Some(message) = message.filter(|message| message.is_object()) {
            read_message(message, at, reply);
        }
    }
    super::error_in(value, reply);
    true
}

/// Model, identifier and usage, which both of OpenAI's older formats have.
pub(super) fn head(value: &Value, reply: &mut Reply) {
    Reply::remember(&mut reply.model, text(value.get("model")));
    Reply::remember(&mut reply.response_id, text(value.get("id")));
    Reply::count(&mut reply.prompt_tokens, count(value, &["usage", "prompt_tokens"]));
    Reply::count(&mut reply.completion_tokens, count(value, &["usage", "completion_tokens"]));
    let cached = count(value, &["usage", "prompt_tokens_details", "cached_tokens"]);
    Reply::count(&mut reply.cached_tokens, cached);
    let reasoning = count(value, &["usage", "completion_tokens_details", "reasoning_tokens"]);
    Reply::count(&mut reply.reasoning_tokens, reasoning);
}

fn read_message(message: &Value, at: i64, reply: &mut Reply) {
    reply.text(at, &content(message.get("content")));
    if let Some(transcript) = message.pointer("/audio/transcript").and_then(Value::as_str) {
        reply.text(at, transcript);
    }
    reply.refusal(at, str_of(message, "refusal"));
    // Not OpenAI's own: DeepSeek and vLLM, OpenRouter.
    for name in ["reasoning_content", "reasoning"] {
        reply.reasoning(at, str_of(message, name));
    }
    for (position, call) in (0i64..).zip(items(message, "tool_calls")) {
        let call_at = call.get("index").and_then(Value::as_i64).unwrap_or(position);
        let (name, arguments) = name_and_arguments(call);
        reply.call(at, call_at, name, &arguments);
    }
    if let Some(call) = message.get("function_call").filter(|call| call.is_object()) {
        reply.call(at, LEGACY_CALL, str_of(call, "name"), &arguments(call.get("arguments")));
    }
}

fn name_and_arguments(call: &Value) -> (&str, String) {
    match (call.get("function"), call.get("custom")) {
        (Some(function), _) => (str_of(function, "name"), arguments(function.get("arguments"))),
        (None, Some(custom)) => (str_of(custom, "name"), arguments(custom.get("input"))),
        (None, None) => ("", String::new()),
    }
}

/// The messages of a request as text.
pub(super) fn question(value: &Value) -> Option<String> {
    let messages = value.get("messages")?.as_array()?;
    let lines = messages.iter().map(|message| {
        let mut text = content(message.get("content"));
        for call in items(message, "tool_calls") {
            text.push_str(&format!("[tool call: {}]", some_name(name_and_arguments(call).0)));
        }
        (str_of(message, "role"), text)
    });
    let system = value.get("system").map(|system| ("system", content(Some(system))));
    Some(super::conversation(system.into_iter().chain(lines)))
}

fn some_name(name: &str) -> &str {
    if name.is_empty() { "unknown" } else { name }
}

/// The text of a `content` field.
pub(super) fn content(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts.iter().map(part).collect(),
        _ => String::new(),
    }
}

fn part(part: &Value) -> String {
    if let Some(text) = part.as_str().or_else(|| part.get("text")?.as_str()) {
        return text.to_owned();
    }
    match str_of(part, "type") {
        "" => String::new(),
        "tool_use" => format!("[tool call: {}]", some_name(str_of(part, "name"))),
        "tool_result" => content(part.get("content")),
        kind => format!("[{kind}]"),
    }
}
