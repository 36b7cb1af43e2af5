//! Messages of OpenTelemetry's GenAI conventions: `gen_ai.input.messages`, `gen_ai.output.messages` and
//! `gen_ai.system_instructions`, as structures or as JSON text.
//!
//! A message has `parts`: text and reasoning become text, tool calls are calls, results of tools their content, others `[type]`.
//! Each output message is a choice. What has another shape is kept as its JSON with a flag.

use serde_json::Value;

use super::json::{self, arguments, items, str_of};
use super::reply::Reply;
use super::{Answer, Flag, Flags, Question, TEXT_BYTES_MAX, clean_in_place, conversation};
use crate::record::ResponseFormat;

/// Reads `gen_ai.output.messages`; `None` where there is no such attribute.
pub fn gen_ai_answer(messages: Option<&Value>) -> Answer {
    let Some(messages) = messages else { return Answer::of(ResponseFormat::GenAi, None) };
    let mut flags = Flags::default();
    let mut answer = match list(messages, &mut flags) {
        Ok(list) => {
            let mut reply = Reply::default();
            for (at, message) in (0i64..).zip(&list) {
                reply.choice(at);
                reply.finish_reason(at, str_of(message, "finish_reason"));
                for part in parts(message) {
                    read_part(&part, at, &mut reply);
                }
            }
            reply.into_answer(ResponseFormat::GenAi, false)
        }
        Err(text) => Answer::of(ResponseFormat::GenAi, Some(text)),
    };
    answer.flags.add_all(flags);
    answer.tidy();
    answer
}

/// Reads `gen_ai.system_instructions` and `gen_ai.input.messages`; `None` where there is neither.
pub fn gen_ai_question(system: Option<&Value>, messages: Option<&Value>) -> Option<Question> {
    let mut flags = Flags::default();
    let mut lines: Vec<(String, String)> = Vec::new();
    if let Some(system) = system {
        let text = match list(system, &mut flags) {
            Ok(parts) => parts.iter().map(part_text).collect(),
            Err(text) => text,
        };
        lines.push(("system".to_owned(), text));
    }
    match messages.map(|messages| list(messages, &mut flags)) {
        None if lines.is_empty() => return None,
        None => {}
        Some(Err(text)) => lines.push(("user".to_owned(), text)),
        Some(Ok(messages)) => lines.extend(messages.iter().map(|message| {
            let text = parts(message).iter().map(part_text).collect();
            (str_of(message, "role").to_owned(), text)
        })),
    }
    let mut text = conversation(lines.iter().map(|(role, text)| (role.as_str(), text.clone())));
    let cut = clean_in_place(&mut text, TEXT_BYTES_MAX);
    flags.add_if(cut, Flag::TextCut);
    Some(Question { truncated: cut, flags, ..Question::of(ResponseFormat::GenAi, Some(text)) })
}

/// The items of a list, which may be written as JSON text; else what there is, as text.
fn list(value: &Value, flags: &mut Flags) -> Result<Vec<Value>, String> {
    let mut unusable = |text: &str, flag| {
        flags.add(flag);
        Err(text.to_owned())
    };
    match value {
        Value::Array(items) => Ok(items.clone()),
        Value::Object(_) => Ok(vec![value.clone()]),
        Value::String(text) => match json::parse(text.as_bytes()) {
            Ok(Value::Array(items)) => Ok(items),
            Ok(object @ Value::Object(_)) => Ok(vec![object]),
            Ok(_) => unusable(text, Flag::UnparsedJson),
            Err(flag) => unusable(text, flag),
        },
        other => unusable(&other.to_string(), Flag::UnparsedJson),
    }
}

/// The parts of a message; older writers have one `content` instead.
fn parts(message: &Value) -> Vec<Value> {
    match (message.get("parts"), message.get("content")) {
        (Some(Value::Array(parts)), _) => parts.clone(),
        (_, Some(content)) => vec![serde_json::json!({"type": "text", "content": content})],
        _ => Vec::new(),
    }
}

fn read_part(part: &Value, at: i64, reply: &mut Reply) {
    match str_of(part, "type") {
        "tool_call" | "server_tool_call" => {
            // Calls have no number: the next one.
            let next = i64::try_from(reply.calls(at)).unwrap_or(i64::MAX);
            let given = part.get("arguments").or_else(|| part.get("server_tool_call"));
            reply.call(at, next, str_of(part, "name"), &arguments(given));
        }
        "reasoning" => reply.reasoning(at, &content(part)),
        _ => reply.text(at, &part_text(part)),
    }
}

fn part_text(part: &Value) -> String {
    match str_of(part, "type") {
        "text" | "reasoning" => content(part),
        "tool_call" => format!("[tool call: {}]", str_of(part, "name")),
        "tool_call_response" => arguments(["response", "result"].iter().find_map(|name| part.get(name))),
        "" => content(part),
        kind => format!("[{kind}]"),
    }
}

fn content(part: &Value) -> String {
    match part {
        Value::String(text) => text.clone(),
        _ if !items(part, "content").is_empty() => items(part, "content").iter().map(part_text).collect(),
        _ => arguments(part.get("content")),
    }
}
