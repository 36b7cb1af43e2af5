//! Gemini's `generateContent`, whole and as chunks (`candidates`), and requests (`contents`).
//!
//! `completion_tokens` has the thoughts in it, as with other providers. A prompt that was blocked ends as `content_filter`.

use serde_json::Value;

use super::json::{arguments, count, index, items, str_of, text};
use super::reply::Reply;

/// Whether this is an answer or a chunk of one.
pub(super) fn is_reply(value: &Value) -> bool {
    let candidate =
        |candidate: &Value| candidate.get("content").is_some() || candidate.get("finishReason").is_some();
    items(value, "candidates").iter().any(candidate)
        || value.get("usageMetadata").is_some_and(Value::is_object)
        || value.get("promptFeedback").is_some_and(Value::is_object)
}

/// Reads an answer or a chunk; false when it is neither.
pub(super) fn read(value: &Value, reply: &mut Reply) -> bool {
    if !is_reply(value) {
        return false;
    }
    head(value, reply);
    for candidate in items(value, "candidates") {
        let at = index(candidate, "index");
        reply.choice(at);
        for part in candidate.get("content").map_or(&[][..], |content| items(content, "parts")) {
            read_part(part, at, reply);
        }
        reply.finish_reason(at, str_of(candidate, "finishReason"));
    }
    if let Some(reason) = value.pointer("/promptFeedback/blockReason").and_then(Value::as_str) {
        reply.finish_reason(0, "content_filter");
        Reply::remember(&mut reply.error_type, Some(format!("blocked: {reason}")));
    }
    true
}

fn head(value: &Value, reply: &mut Reply) {
    Reply::remember(&mut reply.model, text(value.get("modelVersion")));
    Reply::remember(&mut reply.response_id, text(value.get("responseId")));
    let usage = |name: &str| count(value, &["usageMetadata", name]);
    let thoughts = usage("thoughtsTokenCount");
    let answered = usage("candidatesTokenCount").or(thoughts.map(|_| 0));
    Reply::count(&mut reply.prompt_tokens, usage("promptTokenCount"));
    Reply::count(
        &mut reply.completion_tokens,
        answered.map(|count| count.saturating_add(thoughts.unwrap_or(0))),
    );
    Reply::count(&mut reply.cached_tokens, usage("cachedContentTokenCount"));
    Reply::count(&mut reply.reasoning_tokens, thoughts);
}

fn read_part(part: &Value, at: i64, reply: &mut Reply) {
    if let Some(call) = part.get("functionCall") {
        // Calls have no number: the next one.
        let next = i64::try_from(reply.calls(at)).unwrap_or(i64::MAX);
        reply.call(at, next, str_of(call, "name"), &arguments(call.get("args")));
    } else if part.get("thought").and_then(Value::as_bool) == Some(true) {
        reply.reasoning(at, str_of(part, "text"));
    } else {
        reply.text(at, &part_text(part));
    }
}

fn part_text(part: &Value) -> String {
    if let Some(text) = part.get("text").and_then(Value::as_str) {
        return text.to_owned();
    }
    if let Some(call) = part.get("functionCall") {
        return format!("[tool call: {}]", str_of(call, "name"));
    }
    if let Some(answer) = part.pointer("/functionResponse/response") {
        return arguments(Some(answer));
    }
    let other = part.as_object().and_then(|part| part.keys().find(|key| *key != "thoughtSignature"));
    other.map(|key| format!("[{key}]")).unwrap_or_default()
}

/// The contents of a request as text.
pub(super) fn question(value: &Value) -> Option<String> {
    let contents = value.get("contents")?.as_array()?;
    let parts = |content: &Value| items(content, "parts").iter().map(part_text).collect::<String>();
    let system = ["systemInstruction", "system_instruction"].iter().find_map(|name| value.get(name));
    let lines = contents.iter().map(|content| (str_of(content, "role"), parts(content)));
    Some(super::conversation(system.map(|system| ("system", parts(system))).into_iter().chain(lines)))
}
