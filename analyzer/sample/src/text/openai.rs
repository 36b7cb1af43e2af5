//! The OpenAI chat format, whole: requests (`messages`) and completions (`choices` with a `message`).
//!
//! Content may be a string, null or a list of parts; parts that are not text become `[type]`. Of several choices the first
//! one's text counts. Unknown fields are ignored.

use serde_json::Value;

use super::Answer;
use crate::record::ResponseFormat;

/// Reads a completion; `None` when the JSON is something else.
pub(super) fn answer(value: &Value) -> Option<Answer> {
    let choices = value.get("choices")?.as_array()?;
    let first =
        choices.iter().min_by_key(|choice| choice.get("index").and_then(Value::as_i64).unwrap_or(0))?;
    let message = first.get("message")?.as_object()?;
    let mut answer = Answer::of(ResponseFormat::OpenaiChat, Some(content(message.get("content"))));
    let calls = message.get("tool_calls").and_then(Value::as_array).map_or(0, Vec::len);
    let legacy = usize::from(message.get("function_call").is_some_and(Value::is_object));
    answer.tool_calls = i64::try_from(calls + legacy).ok();
    answer.refusal = text(message.get("refusal"));
    answer.finish_reason = text(first.get("finish_reason"));
    answer.choices = choices.len();
    answer.model = text(value.get("model"));
    (answer.prompt_tokens, answer.completion_tokens) = usage(value);
    Some(answer)
}

/// Reads a request's messages as text, and the model; `None` when the JSON is something else.
pub(super) fn question(value: &Value) -> Option<(String, Option<String>)> {
    let messages = value.get("messages")?.as_array()?;
    let model = text(value.get("model"));
    if let [message] = messages.as_slice() {
        return Some((content(message.get("content")), model));
    }
    let mut flat = String::new();
    for message in messages {
        if !flat.is_empty() {
            flat.push('\n');
        }
        flat.push_str(message.get("role").and_then(Value::as_str).unwrap_or("unknown"));
        flat.push_str(": ");
        flat.push_str(&content(message.get("content")));
        for call in message.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            let name = call.pointer("/function/name").and_then(Value::as_str).unwrap_or("unknown");
            flat.push_str(&format!("[tool call: {name}]"));
        }
    }
    Some((flat, model))
}

/// Prompt and completion tokens of the `usage` object.
pub(super) fn usage(value: &Value) -> (Option<i64>, Option<i64>) {
    let count = |name: &str| value.pointer(&format!("/usage/{name}"))?.as_i64().filter(|count| *count >= 0);
    (count("prompt_tokens"), count("completion_tokens"))
}

/// A string that is there and not empty.
pub(super) fn text(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
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
    match (part.get("text").and_then(Value::as_str), part.get("type").and_then(Value::as_str)) {
        (Some(text), _) => text.to_owned(),
        (None, Some(kind)) => format!("[{kind}]"),
        (None, None) => String::new(),
    }
}
