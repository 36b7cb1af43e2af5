//! OpenAI's responses API: whole (`output`), as events (`response.…`), and requests (`input`).
//!
//! The last event repeats the whole answer; where it was captured it counts, and the pieces before it do not.
//! Calls of the provider's own tools (web search and the like) count as tool calls by their item's type.

use serde_json::Value;

use super::json::{arguments, count, index, items, str_of, text};
use super::openai_chat::content;
use super::reply::Reply;

/// Whether this is a whole answer.
pub(super) fn is_reply(value: &Value) -> bool {
    value.get("output").is_some_and(Value::is_array)
        && (str_of(value, "object") == "response" || value.get("status").is_some_and(Value::is_string))
}

/// Reads a whole answer.
pub(super) fn read(value: &Value, reply: &mut Reply) {
    head(value, reply);
    reply.choice(0);
    for (at, item) in (0i64..).zip(items(value, "output")) {
        read_item(item, at, reply);
    }
    finish(value, reply);
}

/// Reads one event; false when it is none of this API.
pub(super) fn event(value: &Value, reply: &mut Reply) -> bool {
    let kind = str_of(value, "type");
    let at = index(value, "output_index");
    let delta = str_of(value, "delta");
    match kind {
        "response.output_text.delta" => reply.text(0, delta),
        "response.refusal.delta" => reply.refusal(0, delta),
        "response.reasoning_text.delta" | "response.reasoning_summary_text.delta" => {
            reply.reasoning(0, delta)
        }
        "response.function_call_arguments.delta"
        | "response.custom_tool_call_input.delta"
        | "response.mcp_call_arguments.delta" => reply.call(0, at, "", delta),
        "response.output_item.added" | "response.output_item.done" => {
            if let Some((name, arguments)) = value.get("item").and_then(call_of) {
                reply.whole_arguments(0, at, name, if kind.ends_with("done") { &arguments } else { "" });
            }
        }
        "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" => {
            reply.ended = true;
            if let Some(response) = value.get("response") {
                let mut last = Reply::default();
                read(response, &mut last);
                if !items(response, "output").is_empty() {
                    reply.replace_choices(last);
                }
                head(response, reply);
                finish(response, reply);
            }
        }
        "error" => {
            reply.error(text(value.get("code")), str_of(value, "message"));
        }
        _ if kind.starts_with("response.") => {
            if let Some(response) = value.get("response") {
                head(response, reply);
            }
        }
        _ => return false,
    }
    true
}

fn head(response: &Value, reply: &mut Reply) {
    Reply::remember(&mut reply.model, text(response.get("model")));
    Reply::remember(&mut reply.response_id, text(response.get("id")));
    Reply::count(&mut reply.prompt_tokens, count(response, &["usage", "input_tokens"]));
    Reply::count(&mut reply.completion_tokens, count(response, &["usage", "output_tokens"]));
    let cached = count(response, &["usage", "input_tokens_details", "cached_tokens"]);
    Reply::count(&mut reply.cached_tokens, cached);
    let reasoning = count(response, &["usage", "output_tokens_details", "reasoning_tokens"]);
    Reply::count(&mut reply.reasoning_tokens, reasoning);
}

fn finish(response: &Value, reply: &mut Reply) {
    match str_of(response, "status") {
        "completed" if reply.calls(0) > 0 => reply.finish_reason(0, "tool_calls"),
        "completed" => reply.finish_reason(0, "stop"),
        "incomplete" => {
            let reason = response.pointer("/incomplete_details/reason").and_then(Value::as_str);
            reply.finish_reason(0, reason.unwrap_or("incomplete"));
        }
        "failed" => {
            reply.finish_reason(0, "error");
            super::error_in(response, reply);
        }
        other => reply.finish_reason(0, other),
    }
}

fn read_item(item: &Value, at: i64, reply: &mut Reply) {
    match str_of(item, "type") {
        "message" => {
            for part in items(item, "content") {
                match str_of(part, "type") {
                    "refusal" => reply.refusal(0, str_of(part, "refusal")),
                    _ => reply.text(0, &content(Some(&Value::Array(vec![part.clone()])))),
                }
            }
        }
        "reasoning" => {
            for part in items(item, "summary").iter().chain(items(item, "content")) {
                reply.reasoning(0, str_of(part, "text"));
            }
        }
        _ => {
            if let Some((name, arguments)) = call_of(item) {
                reply.call(0, at, name, &arguments);
            }
        }
    }
}

/// Name and arguments of an item that is a call.
fn call_of(item: &Value) -> Option<(&str, String)> {
    let kind = str_of(item, "type");
    if !kind.ends_with("_call") {
        return None;
    }
    let name = Some(str_of(item, "name")).filter(|name| !name.is_empty()).unwrap_or(kind);
    let given = ["arguments", "input", "action", "code"].iter().find_map(|name| item.get(name));
    Some((name, arguments(given)))
}

/// The input of a request as text.
pub(super) fn question(value: &Value) -> Option<String> {
    let instructions =
        value.get("instructions").and_then(Value::as_str).map(|text| ("system", text.to_owned()));
    let lines: Vec<(&str, String)> = match value.get("input")? {
        Value::String(input) => vec![("user", input.clone())],
        Value::Array(input) => input.iter().map(line).collect(),
        _ => return None,
    };
    Some(super::conversation(instructions.into_iter().chain(lines)))
}

fn line(item: &Value) -> (&str, String) {
    if let Some(text) = item.as_str() {
        return ("user", text.to_owned());
    }
    match (call_of(item), item.get("output")) {
        (Some((name, _)), _) => ("assistant", format!("[tool call: {name}]")),
        (None, Some(output)) => ("tool", arguments(Some(output))),
        (None, None) => (str_of(item, "role"), content(item.get("content"))),
    }
}
