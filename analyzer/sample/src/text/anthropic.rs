//! Anthropic's messages: whole (`content` blocks) and as events. Requests are read as chat requests: they have `messages`, too.
//!
//! `prompt_tokens` is all that went in: Anthropic counts what was read from or written to its cache apart, here it is
//! part of the sum, as with other providers.

use serde_json::Value;

use super::json::{arguments, count, index, items, str_of, text};
use super::reply::Reply;

/// Whether this is a whole message.
pub(super) fn is_reply(value: &Value) -> bool {
    str_of(value, "type") == "message" && value.get("content").is_some_and(Value::is_array)
}

/// Reads a whole message.
pub(super) fn read(value: &Value, reply: &mut Reply) {
    head(value, reply);
    reply.choice(0);
    for (at, block) in (0i64..).zip(items(value, "content")) {
        start_block(block, at, reply);
    }
    reply.finish_reason(0, str_of(value, "stop_reason"));
}

/// Reads one event; false when it is none of this API.
pub(super) fn event(value: &Value, reply: &mut Reply) -> bool {
    let at = index(value, "index");
    match str_of(value, "type") {
        "message_start" => {
            reply.choice(0);
            if let Some(message) = value.get("message") {
                head(message, reply);
            }
        }
        "content_block_start" => {
            if let Some(block) = value.get("content_block") {
                start_block(block, at, reply);
            }
        }
        "content_block_delta" => {
            if let Some(delta) = value.get("delta") {
                grow_block(delta, at, reply);
            }
        }
        "message_delta" => {
            usage(value, reply);
            if let Some(delta) = value.get("delta") {
                reply.finish_reason(0, str_of(delta, "stop_reason"));
            }
        }
        "message_stop" => reply.ended = true,
        "content_block_stop" | "ping" => {}
        _ => return false,
    }
    true
}

fn head(message: &Value, reply: &mut Reply) {
    Reply::remember(&mut reply.model, text(message.get("model")));
    Reply::remember(&mut reply.response_id, text(message.get("id")));
    usage(message, reply);
}

fn usage(value: &Value, reply: &mut Reply) {
    let read = count(value, &["usage", "cache_read_input_tokens"]);
    let written = count(value, &["usage", "cache_creation_input_tokens"]);
    let sum = count(value, &["usage", "input_tokens"])
        .map(|fresh| fresh.saturating_add(read.unwrap_or(0)).saturating_add(written.unwrap_or(0)));
    Reply::count(&mut reply.prompt_tokens, sum);
    Reply::count(&mut reply.cached_tokens, read);
    Reply::count(&mut reply.completion_tokens, count(value, &["usage", "output_tokens"]));
}

fn start_block(block: &Value, at: i64, reply: &mut Reply) {
    match str_of(block, "type") {
        "text" => reply.text(0, str_of(block, "text")),
        "thinking" => reply.reasoning(0, str_of(block, "thinking")),
        "redacted_thinking" => reply.reasoning(0, "[redacted_thinking]"),
        kind if kind.ends_with("tool_use") => {
            // A stream begins a call with an empty object and sends the arguments after it.
            let input =
                block.get("input").filter(|input| input.as_object().is_none_or(|map| !map.is_empty()));
            reply.call(0, at, str_of(block, "name"), &arguments(input));
        }
        "" => {}
        kind => reply.text(0, &format!("[{kind}]")),
    }
}

fn grow_block(delta: &Value, at: i64, reply: &mut Reply) {
    match str_of(delta, "type") {
        "text_delta" => reply.text(0, str_of(delta, "text")),
        "thinking_delta" => reply.reasoning(0, str_of(delta, "thinking")),
        "input_json_delta" => reply.call(0, at, "", str_of(delta, "partial_json")),
        // Signatures and citations are no text of the answer.
        _ => {}
    }
}
