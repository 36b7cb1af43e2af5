//! OpenAI's older text completions: whole and as chunks (`choices` with `text`), and requests (`prompt`).

use serde_json::Value;

use super::json::{index, str_of};
use super::openai_chat;
use super::reply::Reply;

/// Whether this is such an answer or a chunk of one.
pub(super) fn is_reply(value: &Value) -> bool {
    let first = value.get("choices").and_then(Value::as_array).and_then(|choices| choices.first());
    first.is_some_and(|choice| {
        choice.get("text").is_some_and(Value::is_string)
            && choice.get("message").is_none()
            && choice.get("delta").is_none()
    })
}

/// Reads an answer or a chunk; false when it is neither.
pub(super) fn read(value: &Value, reply: &mut Reply) -> bool {
    let Some(choices) = value.get("choices").and_then(Value::as_array) else { return false };
    reply.without_calls = true;
    openai_chat::head(value, reply);
    for choice in choices {
        let at = index(choice, "index");
        reply.text(at, str_of(choice, "text"));
        reply.finish_reason(at, str_of(choice, "finish_reason"));
    }
    super::error_in(value, reply);
    true
}

/// The prompt of a request; several prompts are one per line.
pub(super) fn question(value: &Value) -> Option<String> {
    match value.get("prompt")? {
        Value::String(prompt) => Some(prompt.clone()),
        Value::Array(prompts) => {
            let prompts: Option<Vec<&str>> = prompts.iter().map(Value::as_str).collect();
            Some(prompts?.join("\n"))
        }
        _ => None,
    }
}
