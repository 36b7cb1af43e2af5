//! Messages in other forms than the conventions' own, as the conventions have them: `{role, parts, finish_reason}`.
//!
//! | form | where |
//! |---|---|
//! | one attribute per field | `gen_ai.prompt.0.content`, `gen_ai.completion.0.tool_calls.0.name` |
//! | OpenInference | `llm.input_messages.0.message.content`, `llm.output_messages.…`, else `input.value`, `output.value` |
//! | one event per message, before 1.37 | `gen_ai.user.message`, `gen_ai.choice`, as log records or as events of a span |
//! | one event per side, before 1.28 | `gen_ai.content.prompt`, `gen_ai.content.completion`, as events of a span |

use std::collections::BTreeMap;

use serde_json::{Value as Tree, json};
use weir_wire::otlp::{KeyValue, any_value::Value};

use super::{find, text, tree};

/// The event that tells an answer.
pub(crate) const CHOICE: &str = "gen_ai.choice";

const ROLES: [(&str, &str); 4] = [
    ("gen_ai.system.message", "system"),
    ("gen_ai.user.message", "user"),
    ("gen_ai.assistant.message", "assistant"),
    ("gen_ai.tool.message", "tool"),
];

/// Whether an event's name is that of one message.
pub(crate) fn is_message(name: &str) -> bool {
    name == CHOICE || ROLES.iter().any(|(event, _)| *event == name)
}

/// What the events of one call tell.
#[derive(Debug, Default)]
pub(crate) struct Told {
    input: Vec<Tree>,
    output: Vec<Tree>,
    /// A whole side at once, as JSON text or structure.
    prompt: Option<Tree>,
    completion: Option<Tree>,
}

impl Told {
    /// Takes an event; what is no message is passed over. The content is the body, else what attributes say.
    pub(crate) fn event(&mut self, name: &str, body: Option<Tree>, attributes: &[KeyValue]) {
        let given = |name: &str| find(attributes, name).map(|value| tree(value, 0));
        match name {
            "gen_ai.content.prompt" => self.prompt = given("gen_ai.prompt"),
            "gen_ai.content.completion" => self.completion = given("gen_ai.completion"),
            _ if is_message(name) => {
                let body = body.or_else(|| given("gen_ai.event.content")).map(parsed);
                let body = body.filter(Tree::is_object).unwrap_or_else(|| {
                    let field =
                        |field: &KeyValue| Some((field.key.clone(), parsed(tree(field.value.as_ref()?, 0))));
                    Tree::Object(attributes.iter().filter_map(field).collect())
                });
                match ROLES.iter().find(|(event, _)| *event == name) {
                    Some((_, role)) => self.input.push(message(&body, role, &Tree::Null)),
                    None => {
                        let said = body.get("message").unwrap_or(&body);
                        let said =
                            message(said, "assistant", body.get("finish_reason").unwrap_or(&Tree::Null));
                        self.output.push(said);
                    }
                }
            }
            _ => {}
        }
    }

    /// Whether it tells an answer.
    pub(crate) fn has_answer(&self) -> bool {
        !self.output.is_empty() || self.completion.is_some()
    }

    /// Request and answer.
    pub(crate) fn sides(self) -> (Option<Tree>, Option<Tree>) {
        let list = |list: Vec<Tree>| (!list.is_empty()).then_some(Tree::Array(list));
        (list(self.input).or(self.prompt), list(self.output).or(self.completion))
    }
}

/// JSON text that is an object, as what it says.
fn parsed(value: Tree) -> Tree {
    match &value {
        Tree::String(text) if text.trim_start().starts_with('{') => {
            serde_json::from_str(text).unwrap_or(value)
        }
        _ => value,
    }
}

/// A message of the events: `{role, content, tool_calls: [{function: {name, arguments}}]}`.
fn message(body: &Tree, role: &str, finish_reason: &Tree) -> Tree {
    let role = body.get("role").and_then(Tree::as_str).unwrap_or(role);
    let content = body.get("content").filter(|content| !content.is_null());
    // A plain string for the answer itself.
    let content = content.or(Some(body).filter(|body| body.is_string()));
    let text = content.map(|content| json!({"type": "text", "content": content}));
    let calls = body.get("tool_calls").and_then(Tree::as_array).into_iter().flatten().map(|call| {
        let function = call.get("function").unwrap_or(call);
        let field = |name: &str| function.get(name).cloned().unwrap_or(Tree::from(""));
        json!({"type": "tool_call", "name": field("name"), "arguments": field("arguments")})
    });
    let parts: Vec<Tree> = text.into_iter().chain(calls).collect();
    json!({"role": role, "parts": parts, "finish_reason": finish_reason.as_str().unwrap_or_default()})
}

/// Messages in single attributes, as instrumentations before the conventions have them: `gen_ai.prompt.0.role`,
/// `gen_ai.completion.0.content`, `gen_ai.completion.0.tool_calls.0.name`.
pub(super) fn flattened(own: &[KeyValue], prefix: &str) -> Option<Tree> {
    numbered_messages(own, prefix, |message, field, text| match field {
        "role" => message.role.clone_from(text),
        "content" => message.content.clone_from(text),
        "finish_reason" => message.finish_reason.clone_from(text),
        _ => match field.strip_prefix("tool_calls.").and_then(numbered) {
            Some((call, "name")) => message.calls.entry(call).or_default().0.clone_from(text),
            Some((call, "arguments")) => message.calls.entry(call).or_default().1.clone_from(text),
            _ => {}
        },
    })
}

/// OpenInference's: `llm.input_messages.0.message.role`, `.message.content` or `.message.contents.0.message_content.text`,
/// `.message.tool_calls.0.tool_call.function.name`; where there are none, the whole `input.value` is what was said.
pub(super) fn open_inference(own: &[KeyValue], side: &str, role: &str) -> Option<Tree> {
    let messages = numbered_messages(own, &format!("llm.{side}_messages."), |message, field, text| {
        let Some(field) = field.strip_prefix("message.") else { return };
        match field {
            "role" => message.role.clone_from(text),
            "content" => message.content.clone_from(text),
            _ => {
                if let Some((call, field)) = field.strip_prefix("tool_calls.").and_then(numbered) {
                    match field {
                        "tool_call.function.name" => {
                            message.calls.entry(call).or_default().0.clone_from(text)
                        }
                        "tool_call.function.arguments" => {
                            message.calls.entry(call).or_default().1.clone_from(text)
                        }
                        _ => {}
                    }
                } else if let Some((part, "message_content.text")) =
                    field.strip_prefix("contents.").and_then(numbered)
                {
                    message.contents.insert(part, text.clone());
                }
            }
        }
    });
    messages.or_else(|| {
        let whole = text(own, &format!("{side}.value"));
        (!whole.is_empty()).then(
            || json!([{"role": role, "parts": [{"type": "text", "content": whole}], "finish_reason": ""}]),
        )
    })
}

fn numbered_messages(
    own: &[KeyValue],
    prefix: &str,
    mut take: impl FnMut(&mut Message, &str, &String),
) -> Option<Tree> {
    let mut messages: BTreeMap<u16, Message> = BTreeMap::new();
    for attribute in own {
        let Some((number, field)) = attribute.key.strip_prefix(prefix).and_then(numbered) else { continue };
        let Some(Value::StringValue(text)) = attribute.value.as_ref().and_then(|value| value.value.as_ref())
        else {
            continue;
        };
        take(messages.entry(number).or_default(), field, text);
    }
    let list: Vec<Tree> = messages.into_values().map(Message::tree).collect();
    (!list.is_empty()).then_some(Tree::Array(list))
}

fn numbered(text: &str) -> Option<(u16, &str)> {
    let (number, rest) = text.split_once('.')?;
    Some((number.parse().ok()?, rest))
}

/// A message in single attributes.
#[derive(Default)]
struct Message {
    role: String,
    content: String,
    /// Where the content is in parts.
    contents: BTreeMap<u16, String>,
    finish_reason: String,
    /// Name and arguments.
    calls: BTreeMap<u16, (String, String)>,
}

impl Message {
    /// The message as the conventions have it.
    fn tree(self) -> Tree {
        let text = |text: String| (!text.is_empty()).then(|| json!({"type": "text", "content": text}));
        let contents = std::iter::once(self.content).chain(self.contents.into_values()).filter_map(text);
        let call = |(name, arguments)| json!({"type": "tool_call", "name": name, "arguments": arguments});
        let parts: Vec<Tree> = contents.chain(self.calls.into_values().map(call)).collect();
        json!({"role": self.role, "parts": parts, "finish_reason": self.finish_reason})
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn messages_in_single_attributes_are_messages() {
        let own = [
            KeyValue::string("gen_ai.completion.1.content", "other"),
            KeyValue::string("gen_ai.completion.0.role", "assistant"),
            KeyValue::string("gen_ai.completion.0.finish_reason", "tool_calls"),
            KeyValue::string("gen_ai.completion.0.tool_calls.0.name", "look"),
            KeyValue::string("gen_ai.completion.0.tool_calls.0.arguments", "{}"),
            KeyValue::string("gen_ai.completion.x.content", "ignored"),
        ];
        let expected = json!([
            {"role": "assistant", "parts": [{"type": "tool_call", "name": "look", "arguments": "{}"}],
                "finish_reason": "tool_calls"},
            {"role": "", "parts": [{"type": "text", "content": "other"}], "finish_reason": ""},
        ]);
        assert_eq!(flattened(&own, "gen_ai.completion."), Some(expected));
        assert_eq!(flattened(&own, "gen_ai.prompt."), None);
    }

    #[test]
    fn messages_of_openinference_are_messages_and_its_values_where_there_are_none() {
        let own = [
            KeyValue::string("input.value", "{\"messages\": []}"),
            KeyValue::string("llm.input_messages.0.message.role", "user"),
            KeyValue::string("llm.input_messages.0.message.contents.1.message_content.text", "is A-17?"),
            KeyValue::string("llm.input_messages.0.message.contents.0.message_content.text", "Where "),
            KeyValue::string("llm.output_messages.0.message.tool_calls.0.tool_call.function.name", "look"),
            KeyValue::string("llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments", "{}"),
        ];
        let parts = |tree: Option<Tree>| tree.unwrap()[0]["parts"].clone();
        let expected =
            json!([{"type": "text", "content": "Where "}, {"type": "text", "content": "is A-17?"}]);
        assert_eq!(parts(open_inference(&own, "input", "user")), expected);
        let expected = json!([{"type": "tool_call", "name": "look", "arguments": "{}"}]);
        assert_eq!(parts(open_inference(&own, "output", "assistant")), expected);
        let expected = json!([{"type": "text", "content": "{\"messages\": []}"}]);
        assert_eq!(parts(open_inference(&own[..1], "input", "user")), expected);
        assert_eq!(open_inference(&own[..1], "output", "assistant"), None);
    }

    #[test]
    fn events_of_before_1_37_are_messages_in_every_form_that_they_come_in() {
        let body = |body: Tree| Some(body);
        let mut told = Told::default();
        told.event("gen_ai.system.message", body(json!({"content": "Be kind."})), &[]);
        told.event("gen_ai.user.message", None, &[KeyValue::string("content", "Hello")]);
        told.event("gen_ai.event.other", body(json!({"content": "no message"})), &[]);
        assert!(!told.has_answer());
        let content = r#"{"index": 0, "finish_reason": "tool_calls", "message": {"tool_calls": [{"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}]}}"#;
        told.event(CHOICE, None, &[KeyValue::string("gen_ai.event.content", content)]);
        told.event(CHOICE, body(json!({"finish_reason": "stop", "message": {"content": "Hi"}})), &[]);
        assert!(told.has_answer());
        let (input, output) = told.sides();
        let said = |role: &str, text: &str, finish: &str| json!({"role": role, "parts": [{"type": "text", "content": text}], "finish_reason": finish});
        assert_eq!(input, Some(json!([said("system", "Be kind.", ""), said("user", "Hello", "")])));
        let call = json!({"role": "assistant", "finish_reason": "tool_calls",
            "parts": [{"type": "tool_call", "name": "look", "arguments": "{}"}]});
        assert_eq!(output, Some(json!([call, said("assistant", "Hi", "stop")])));

        let mut told = Told::default();
        told.event("gen_ai.content.prompt", None, &[KeyValue::string("gen_ai.prompt", "[1]")]);
        told.event("gen_ai.content.completion", None, &[KeyValue::string("gen_ai.completion", "[2]")]);
        assert_eq!(told.sides(), (Some(json!("[1]")), Some(json!("[2]"))));
    }
}
