//! The part of the OpenAI chat completion format that the demo speaks, as a server and as a client.
//!
//! Server side: one JSON document, or server-sent events whose last event is `data: [DONE]`, with a chunk of usage
//! before it. Client side: the checks that a user's program would make. An answer that fails one of them is a failed
//! client request of the demo. Limits: text content only, one choice; unknown fields are ignored.

use serde::Deserialize;
use serde_json::{Value, json};

/// What the servers read of a request.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ChatRequest {
    /// The model that the caller names; the server answers under its own name.
    #[serde(default)]
    pub model: String,
    /// Server-sent events instead of one document.
    #[serde(default)]
    pub stream: bool,
    /// The conversation, oldest first.
    #[serde(default)]
    pub messages: Vec<Message>,
}

/// One message of a conversation.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    #[serde(default)]
    pub role: String,
    /// The text.
    #[serde(default)]
    pub content: String,
}

impl ChatRequest {
    /// The text of the last user message, "" where there is none.
    #[must_use]
    pub fn prompt(&self) -> &str {
        self.messages
            .iter()
            .rev()
            .find(|message| message.role == "user")
            .map_or("", |message| &message.content)
    }

    /// About how many tokens the messages are (four characters each, at least one).
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.messages.iter().map(|message| tokens(&message.content)).sum()
    }
}

/// An answer before it is put on the wire.
#[derive(Clone, Debug)]
pub struct Answer {
    /// `chatcmpl-...`
    pub id: String,
    /// The name of the model that answers.
    pub model: String,
    /// The assistant's text.
    pub content: String,
    /// Tokens of the request.
    pub prompt_tokens: usize,
}

/// Why a client could not use an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Not JSON, or not the shape of a chat completion.
    #[error("the body is not a chat completion: {0}")]
    Shape(String),
    /// The stream ended before its last event.
    #[error("the event stream ended without data: [DONE] after {0} events")]
    Unfinished(usize),
    /// A finished answer without any text.
    #[error("the answer is empty")]
    Empty,
}

/// The body that asks `prompt`.
#[must_use]
pub fn request_body(system: &str, prompt: &str, stream: bool) -> String {
    let mut body = json!({
        "model": "support",
        "messages": [{"role": "system", "content": system}, {"role": "user", "content": prompt}],
        "stream": stream,
    });
    if let (true, Some(fields)) = (stream, body.as_object_mut()) {
        fields.insert("stream_options".to_owned(), json!({"include_usage": true}));
    }
    body.to_string()
}

impl Answer {
    /// The whole answer as one JSON document.
    #[must_use]
    pub fn json(&self) -> String {
        json!({
            "id": self.id, "object": "chat.completion", "created": CREATED, "model": self.model,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": self.content}, "finish_reason": "stop"}],
            "usage": self.usage(),
        })
        .to_string()
    }

    /// The answer as server-sent events: a role chunk, at most `pieces` chunks of text, the finish reason, the usage,
    /// `[DONE]`. Each item is one whole event with its empty line.
    #[must_use]
    pub fn events(&self, pieces: usize) -> Vec<String> {
        let mut events = vec![self.chunk(&json!({"role": "assistant", "content": ""}), &Value::Null)];
        for piece in split(&self.content, pieces) {
            events.push(self.chunk(&json!({"content": piece}), &Value::Null));
        }
        events.push(self.chunk(&json!({}), &json!("stop")));
        events.push(event(&json!({
            "id": self.id, "object": "chat.completion.chunk", "created": CREATED, "model": self.model,
            "choices": [], "usage": self.usage(),
        })));
        events.push("data: [DONE]\n\n".to_owned());
        events
    }

    fn chunk(&self, delta: &Value, finish_reason: &Value) -> String {
        event(&json!({
            "id": self.id, "object": "chat.completion.chunk", "created": CREATED, "model": self.model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
        }))
    }

    fn usage(&self) -> Value {
        let completion_tokens = tokens(&self.content);
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": self.prompt_tokens + completion_tokens,
        })
    }
}

/// The text of a whole JSON answer.
///
/// # Errors
/// [`BodyError::Shape`] when it is no chat completion, [`BodyError::Empty`] when its text is empty.
pub fn text_of_json(body: &[u8]) -> Result<String, BodyError> {
    let body: Value = serde_json::from_slice(body).map_err(|error| BodyError::Shape(error.to_string()))?;
    let Some(text) = body.pointer("/choices/0/message/content").and_then(Value::as_str) else {
        return Err(BodyError::Shape("choices[0].message.content is missing".to_owned()));
    };
    nonempty(text.to_owned())
}

/// The text of a finished event stream.
///
/// # Errors
/// [`BodyError::Shape`] on an event that is not JSON, [`BodyError::Unfinished`] without the last event,
/// [`BodyError::Empty`] when no chunk had text.
pub fn text_of_events(body: &[u8]) -> Result<String, BodyError> {
    let body = std::str::from_utf8(body).map_err(|error| BodyError::Shape(error.to_string()))?;
    let (mut text, mut events, mut done) = (String::new(), 0, false);
    for line in body.lines() {
        let Some(data) = line.strip_prefix("data:").map(str::trim_start) else { continue };
        events += 1;
        if data == "[DONE]" {
            done = true;
            break;
        }
        let chunk: Value = serde_json::from_str(data).map_err(|error| BodyError::Shape(error.to_string()))?;
        text.push_str(chunk.pointer("/choices/0/delta/content").and_then(Value::as_str).unwrap_or_default());
    }
    if done { nonempty(text) } else { Err(BodyError::Unfinished(events)) }
}

/// When every answer claims to have been made: the demo needs no clock in its answers.
const CREATED: u64 = 1_767_225_600;

fn nonempty(text: String) -> Result<String, BodyError> {
    if text.is_empty() { Err(BodyError::Empty) } else { Ok(text) }
}

fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

/// About how many tokens a text is: four characters each, at least one.
fn tokens(text: &str) -> usize {
    (text.len() / 4).max(1)
}

/// Cuts a text into at most `pieces` parts of about the same number of characters.
fn split(text: &str, pieces: usize) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let size = characters.len().div_ceil(pieces.max(1)).max(1);
    characters.chunks(size).map(|part| part.iter().collect()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    fn answer(content: &str) -> Answer {
        Answer {
            id: "chatcmpl-1".to_owned(),
            model: "m".to_owned(),
            content: content.to_owned(),
            prompt_tokens: 9,
        }
    }

    #[test]
    fn a_streamed_answer_reads_back_as_the_same_text_with_usage_and_an_end() {
        let text = "Grüße — \"quoted\"\nand a second line with 日本語.";
        for pieces in [1, 3, 8, 1000] {
            let events = answer(text).events(pieces);
            assert!(events.iter().all(|event| event.starts_with("data: ") && event.ends_with("\n\n")));
            assert!(events[events.len() - 2].contains("\"completion_tokens\":"));
            assert_eq!(text_of_events(events.concat().as_bytes()).unwrap(), text);
        }
    }

    #[test]
    fn a_stream_that_is_cut_or_empty_is_not_an_answer() {
        let events = answer("hello").events(2);
        let cut = events[..events.len() - 1].concat();
        assert_eq!(text_of_events(cut.as_bytes()), Err(BodyError::Unfinished(5)));
        assert_eq!(text_of_events(answer("").events(2).concat().as_bytes()), Err(BodyError::Empty));
        assert!(matches!(text_of_events(b"data: {\"cho\n\n"), Err(BodyError::Shape(_))));
        assert!(matches!(text_of_events(&[b'd', 0xff]), Err(BodyError::Shape(_))));
    }

    #[test]
    fn a_json_answer_reads_back_and_anything_else_is_refused() {
        assert_eq!(text_of_json(answer("hi").json().as_bytes()).unwrap(), "hi");
        assert_eq!(text_of_json(answer("").json().as_bytes()), Err(BodyError::Empty));
        assert!(matches!(text_of_json(b"{}"), Err(BodyError::Shape(_))));
        assert!(matches!(text_of_json(b"upstream connect error"), Err(BodyError::Shape(_))));
    }

    #[test]
    fn the_prompt_is_the_last_user_message() {
        let request: ChatRequest =
            serde_json::from_str(&request_body("be kind", "where is it?", true)).unwrap();
        assert!(request.stream);
        assert_eq!(request.prompt(), "where is it?");
        assert_eq!(ChatRequest::default().prompt(), "");
    }
}
