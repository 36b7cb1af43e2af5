//! OpenAI chat completions as server-sent events, put together again.
//!
//! Events are read by the rules of the HTML standard (LF, CRLF, several `data:` lines, comments). Of a cut body the head's whole
//! events give the text; the tail gives finish reason and usage only, because what lies between is unknown.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Answer, openai};
use crate::record::ResponseFormat;

/// Distinct tool calls and choices that are told apart, each.
const DISTINCT_MAX: usize = 1_024;

/// Reads a stream; `None` when no event is a chat completion chunk.
pub(super) fn answer(head: &[u8], tail: &[u8], truncated: bool) -> Option<Answer> {
    let mut assembly = Assembly::default();
    for data in events(head, !truncated) {
        assembly.chunk(&data, true);
    }
    // The tail begins somewhere within a line.
    let start = tail.iter().position(|byte| *byte == b'\n').map_or(tail.len(), |at| at + 1);
    for data in events(tail.get(start..).unwrap_or_default(), true) {
        assembly.chunk(&data, false);
    }
    assembly.finish()
}

#[derive(Default)]
struct Assembly {
    chunks: usize,
    text: String,
    refusal: String,
    model: Option<String>,
    finish_reason: Option<String>,
    usage: (Option<i64>, Option<i64>),
    tool_calls: BTreeSet<i64>,
    choices: BTreeSet<i64>,
    failed: bool,
}

impl Assembly {
    fn chunk(&mut self, data: &[u8], with_text: bool) {
        let Ok(value) = serde_json::from_slice::<Value>(data) else { return };
        self.failed |= value.get("error").is_some_and(|error| !error.is_null());
        let Some(choices) = value.get("choices").and_then(Value::as_array) else { return };
        self.chunks += 1;
        self.model = self.model.take().or_else(|| openai::text(value.get("model")));
        let (prompt, completion) = openai::usage(&value);
        self.usage = (prompt.or(self.usage.0), completion.or(self.usage.1));
        for choice in choices {
            let index = choice.get("index").and_then(Value::as_i64).unwrap_or(0);
            remember(&mut self.choices, index);
            if index == 0 {
                self.first_choice(choice, with_text);
            }
        }
    }

    fn first_choice(&mut self, choice: &Value, with_text: bool) {
        self.finish_reason = openai::text(choice.get("finish_reason")).or(self.finish_reason.take());
        let Some(delta) = choice.get("delta") else { return };
        for call in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            remember(&mut self.tool_calls, call.get("index").and_then(Value::as_i64).unwrap_or(0));
        }
        if delta.get("function_call").is_some_and(Value::is_object) {
            remember(&mut self.tool_calls, 0);
        }
        if with_text {
            self.text.push_str(&openai::content(delta.get("content")));
            self.refusal.push_str(delta.get("refusal").and_then(Value::as_str).unwrap_or_default());
        }
    }

    fn finish(self) -> Option<Answer> {
        if self.chunks == 0 {
            return None;
        }
        let mut answer = Answer::of(ResponseFormat::OpenaiChatSse, Some(self.text));
        answer.refusal = Some(self.refusal).filter(|refusal| !refusal.is_empty());
        answer.model = self.model;
        // An error event in the middle of a stream has no finish reason of its own.
        answer.finish_reason = self.finish_reason.or(self.failed.then(|| "error".to_owned()));
        (answer.prompt_tokens, answer.completion_tokens) = self.usage;
        answer.tool_calls = i64::try_from(self.tool_calls.len()).ok();
        answer.choices = self.choices.len();
        Some(answer)
    }
}

fn remember(set: &mut BTreeSet<i64>, index: i64) {
    if set.len() < DISTINCT_MAX {
        set.insert(index);
    }
}

/// The data of each event; the last event counts without its blank line only if the stream is whole.
fn events(bytes: &[u8], whole: bool) -> Vec<Vec<u8>> {
    let mut events = Vec::new();
    let mut data: Option<Vec<u8>> = None;
    let mut lines = bytes.split(|byte| *byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        // What follows the last line feed is a line only where nothing was cut.
        if lines.peek().is_none() && !whole {
            return events;
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            events.extend(data.take());
        } else if let Some(value) = line.strip_prefix(b"data:") {
            let value = value.strip_prefix(b" ").unwrap_or(value);
            let event = data.get_or_insert_with(Vec::new);
            if !event.is_empty() {
                event.push(b'\n');
            }
            event.extend_from_slice(value);
        }
    }
    if whole {
        events.extend(data);
    }
    events
}
