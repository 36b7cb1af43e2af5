//! Server-sent events: bytes to events, and the events of a captured stream to an answer.
//!
//! Events are read by the rules of the HTML standard (LF, CR, CRLF, several `data:` lines, comments, byte order mark), but the
//! last event counts without its blank line where the stream is whole: servers forget it. Of a cut body the head's whole
//! events give the text; the tail gives finish reason and usage, and the text only where the provider repeats all of it.

use std::borrow::Cow;

use serde_json::Value;

use super::reply::Reply;
use super::{Answer, anthropic, gemini, json, openai_chat, openai_completions, openai_responses};
use crate::record::ResponseFormat;

/// The protocol of a stream, by its first telling event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Chat,
    Completions,
    Responses,
    Anthropic,
    Gemini,
}

/// Reads a stream; `None` when no event is of a known protocol.
pub(super) fn answer(head: &[u8], tail: &[u8], truncated: bool) -> Option<Answer> {
    let mut stream = Stream::default();
    for_each(head, !truncated, |data| stream.event(data));
    if truncated {
        stream.reply.closed = true;
        // The tail begins somewhere within a line.
        let start =
            tail.iter().position(|byte| matches!(byte, b'\n' | b'\r')).map_or(tail.len(), |at| at + 1);
        for_each(tail.get(start..).unwrap_or_default(), true, |data| stream.event(data));
    }
    let format = match stream.protocol? {
        Protocol::Chat => ResponseFormat::OpenaiChatSse,
        Protocol::Completions => ResponseFormat::OpenaiCompletionsSse,
        Protocol::Responses => ResponseFormat::OpenaiResponsesSse,
        Protocol::Anthropic => ResponseFormat::AnthropicSse,
        Protocol::Gemini => ResponseFormat::GeminiSse,
    };
    Some(stream.reply.into_answer(format, !truncated))
}

#[derive(Default)]
struct Stream {
    protocol: Option<Protocol>,
    reply: Reply,
}

impl Stream {
    fn event(&mut self, data: &[u8]) {
        if data == b"[DONE]" {
            self.reply.ended = true;
            return;
        }
        if data.is_empty() {
            return;
        }
        let Ok(value) = json::parse(data) else {
            self.reply.foreign(data);
            return;
        };
        self.protocol = self.protocol.or_else(|| protocol(&value));
        let reply = &mut self.reply;
        let known = match self.protocol {
            Some(Protocol::Chat) => openai_chat::read(&value, reply),
            Some(Protocol::Completions) => openai_completions::read(&value, reply),
            Some(Protocol::Responses) => openai_responses::event(&value, reply),
            Some(Protocol::Anthropic) => anthropic::event(&value, reply),
            Some(Protocol::Gemini) => gemini::read(&value, reply),
            None => false,
        };
        if !known && !super::error_in(&value, reply) {
            reply.foreign(data);
        }
    }
}

fn protocol(value: &Value) -> Option<Protocol> {
    let kind = json::str_of(value, "type");
    if kind.starts_with("response.") {
        return Some(Protocol::Responses);
    }
    if kind.starts_with("message_") || kind.starts_with("content_block_") {
        return Some(Protocol::Anthropic);
    }
    if gemini::is_reply(value) {
        return Some(Protocol::Gemini);
    }
    if openai_completions::is_reply(value) {
        return Some(Protocol::Completions);
    }
    openai_chat::is_reply(value).then_some(Protocol::Chat)
}

/// Calls for the data of each event; events without data are none.
pub(super) fn for_each(bytes: &[u8], whole: bool, mut each: impl FnMut(&[u8])) {
    let mut rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut data: Option<Cow<'_, [u8]>> = None;
    while !rest.is_empty() {
        let (line, after) = match rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            Some(end) => {
                let (line, after) = rest.split_at(end);
                let crlf = if after.starts_with(b"\r\n") { 2 } else { 1 };
                (line, after.get(crlf..).unwrap_or_default())
            }
            // What follows the last line end is a line only where nothing was cut.
            None if whole => (rest, Default::default()),
            None => return,
        };
        rest = after;
        if line.is_empty() {
            if let Some(data) = data.take() {
                each(&data);
            }
        } else if let Some(value) = field_data(line) {
            data = Some(match data {
                None => value.into(),
                Some(before) => [before.as_ref(), b"\n", value].concat().into(),
            });
        }
    }
    if let (true, Some(data)) = (whole, data) {
        each(&data);
    }
}

/// The value of a `data` field. A line `data` without a colon is the field with an empty value.
fn field_data(line: &[u8]) -> Option<&[u8]> {
    let value = line.strip_prefix(b"data")?;
    match value.split_first() {
        None => Some(value),
        Some((b':', value)) => Some(value.strip_prefix(b" ").unwrap_or(value)),
        Some(_) => None,
    }
}
