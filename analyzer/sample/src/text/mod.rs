//! Text out of captured bodies: what was asked, what was answered, and how the answer ended.
//!
//! Understood, whole and as server-sent events: OpenAI's chat, completions and responses, Anthropic's messages, Gemini; and
//! other JSON and plain text; encoded with gzip, deflate, br or zstd, also where the header does not say so. Anything else is `unparsed`: its text is the body as it is. Nothing is dropped silently:
//! [`Flags`] say what is wrong or missing in a text.
//! Limits: [`TEXT_BYTES_MAX`] for a text, [`WORD_BYTES_MAX`] for model, finish reason and the like, [`VALUES_MAX`] values of a
//! JSON document, 128 levels, [`DECODED_BYTES_MAX`] and [`DECODED_RATIO_MAX`] of an encoded body.
//! Invariants: nothing here fails or panics; control characters except line feed, carriage return and tab are removed,
//! nothing else is; where a body was split into head and tail does not matter as long as they meet.

mod anthropic;
mod flags;
mod gemini;
mod gen_ai;
mod json;
mod openai_chat;
mod openai_completions;
mod openai_responses;
mod reply;
mod sse;
mod whole;

use std::cell::Cell;

use serde_json::Value;

pub use flags::{Flag, Flags};
pub use gen_ai::{gen_ai_answer, gen_ai_question};
pub use json::{OBJECT_VALUES, VALUES_MAX};
pub(crate) use reply::common_finish_reason;
pub use reply::{CALLS_MAX, CHOICES_MAX};
pub use whole::{DECODED_BYTES_MAX, DECODED_RATIO_MAX};

use crate::record::ResponseFormat;
use reply::Reply;
use whole::Whole;

/// Longest text that is kept, bytes; the rest is cut at a character's end and the text counts as truncated.
pub const TEXT_BYTES_MAX: usize = 1 << 20;
/// Longest model name or finish reason that is kept, bytes.
pub const WORD_BYTES_MAX: usize = 256;

/// A captured body: its beginning and, where the two do not meet, its end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Body<'a> {
    /// The first bytes that were kept.
    pub head: &'a [u8],
    /// The last bytes that were kept, beyond the head.
    pub tail: &'a [u8],
    /// True size, bytes.
    pub bytes: u64,
    /// The media type header, or empty.
    pub content_type: &'a str,
    /// The content encoding header, or empty.
    pub content_encoding: &'a str,
    /// Bytes that decoding may still produce, for all bodies of one request together; it is counted down. `None`: no
    /// bound beyond [`DECODED_BYTES_MAX`] of each.
    pub budget: Option<&'a Cell<usize>>,
}

/// A tool call of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// The tool's name; empty where none was captured.
    pub name: String,
    /// The arguments as the model wrote them, mostly JSON.
    pub arguments: String,
}

/// What a response body says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The first choice's text; `None` only where no readable text was captured.
    pub text: Option<String>,
    /// What the body was.
    pub format: ResponseFormat,
    /// The model that answered.
    pub model: Option<String>,
    /// The provider's identifier of the answer.
    pub response_id: Option<String>,
    /// Why the first choice ended: `stop`, `length`, `tool_calls`, `content_filter`, `error`, or the provider's own word.
    pub finish_reason: Option<String>,
    /// Kind of error that the body names.
    pub error_type: Option<String>,
    /// As the provider counts, with what came from a cache.
    pub prompt_tokens: Option<i64>,
    /// As the provider counts, with reasoning.
    pub completion_tokens: Option<i64>,
    /// Part of `prompt_tokens`.
    pub cached_tokens: Option<i64>,
    /// Part of `completion_tokens`.
    pub reasoning_tokens: Option<i64>,
    /// Number of tool calls of the first choice; `None` where the format has none.
    pub tool_calls: Option<i64>,
    /// The tool calls of the first choice, in order.
    pub calls: Vec<ToolCall>,
    /// Text of the provider's own refusal field.
    pub refusal: Option<String>,
    /// What the model thought aloud.
    pub reasoning: Option<String>,
    /// Choices in the answer.
    pub choices: usize,
    /// Texts of the choices after the first.
    pub other_choices: Vec<String>,
    /// Whether less than the whole text is here.
    pub truncated: bool,
    /// What is wrong or missing.
    pub flags: Flags,
}

/// What a request body says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// One message: its text. Several: each as `role: text`, in order.
    pub text: Option<String>,
    /// `openai_chat`, `openai_completions`, `openai_responses`, `anthropic`, `gemini`, `json`, `text`, `unparsed` or `empty`.
    pub format: &'static str,
    /// The model that was asked for.
    pub model: Option<String>,
    /// Whether less than the whole text is here.
    pub truncated: bool,
    /// What is wrong or missing.
    pub flags: Flags,
}

/// Reads a response body.
pub fn answer(body: Body<'_>) -> Answer {
    let whole = Whole::of(body);
    let mut answer = match whole.is_empty() {
        true => Answer::of(ResponseFormat::Empty, Some(String::new())),
        false => read_answer(body, &whole),
    };
    answer.tidy();
    answer.truncated |= whole.is_cut();
    answer.flags.add_all(whole.flags());
    answer
}

/// Reads a request body.
pub fn question(body: Body<'_>) -> Question {
    let whole = Whole::of(body);
    let mut question = match whole.is_empty() {
        true => Question::of(ResponseFormat::Empty, Some(String::new())),
        false => read_question(body, &whole),
    };
    let cut = question.text.as_mut().is_some_and(|text| clean_in_place(text, TEXT_BYTES_MAX));
    if let Some(model) = &mut question.model {
        clean_in_place(model, WORD_BYTES_MAX);
    }
    question.truncated = whole.is_cut() || cut;
    question.flags.add_if(cut, Flag::TextCut);
    question.flags.add_all(whole.flags());
    question
}

/// Text without control characters, cut to a size; for headers and names.
pub fn clean(text: &str, bytes_max: usize) -> String {
    let mut text = text.to_owned();
    clean_in_place(&mut text, bytes_max);
    text
}

impl Answer {
    fn of(format: ResponseFormat, text: Option<String>) -> Self {
        Self {
            text,
            format,
            model: None,
            response_id: None,
            finish_reason: None,
            error_type: None,
            prompt_tokens: None,
            completion_tokens: None,
            cached_tokens: None,
            reasoning_tokens: None,
            tool_calls: None,
            calls: Vec::new(),
            refusal: None,
            reasoning: None,
            choices: 0,
            other_choices: Vec::new(),
            truncated: false,
            flags: Flags::default(),
        }
    }

    /// The names of the tools that are called, joined by commas; `None` without calls.
    pub fn tool_names(&self) -> Option<String> {
        let names: Vec<&str> = self.calls.iter().map(|call| call.name.as_str()).collect();
        (!names.is_empty()).then(|| names.join(","))
    }

    /// Each tool call as `name(arguments)`, one per line; `None` without calls.
    pub fn tool_call_text(&self) -> Option<String> {
        let lines = self.calls.iter().map(|call| format!("{}({})", call.name, call.arguments));
        (!self.calls.is_empty()).then(|| lines.collect::<Vec<_>>().join("\n"))
    }

    /// The texts of the other choices, each after `[choice N]`; `None` without them.
    pub fn other_choices_text(&self) -> Option<String> {
        let lines = (2..).zip(&self.other_choices).map(|(number, text)| format!("[choice {number}] {text}"));
        (!self.other_choices.is_empty()).then(|| lines.collect::<Vec<_>>().join("\n"))
    }

    /// Cleans and bounds everything.
    fn tidy(&mut self) {
        let mut room = TEXT_BYTES_MAX;
        let mut cut = self.text.as_mut().is_some_and(|text| clean_in_place(text, TEXT_BYTES_MAX));
        for text in [&mut self.refusal, &mut self.reasoning].into_iter().flatten() {
            cut |= clean_in_place(text, TEXT_BYTES_MAX);
        }
        for text in &mut self.other_choices {
            cut |= clean_in_place(text, room);
            room = room.saturating_sub(text.len());
        }
        room = TEXT_BYTES_MAX;
        for call in &mut self.calls {
            clean_in_place(&mut call.name, WORD_BYTES_MAX);
            cut |= clean_in_place(&mut call.arguments, room);
            room = room.saturating_sub(call.arguments.len());
        }
        let words = [&mut self.model, &mut self.finish_reason, &mut self.response_id, &mut self.error_type];
        for word in words.into_iter().flatten() {
            clean_in_place(word, WORD_BYTES_MAX);
        }
        self.truncated |= cut;
        self.flags.add_if(cut, Flag::TextCut);
    }
}

impl Question {
    fn of(format: ResponseFormat, text: Option<String>) -> Self {
        Self { text, format: format.as_str(), model: None, truncated: false, flags: Flags::default() }
    }
}

fn read_answer(body: Body<'_>, whole: &Whole<'_>) -> Answer {
    if !whole.is_readable() {
        return Answer::of(ResponseFormat::Unparsed, None);
    }
    if is_event_stream(body, whole) {
        let (head, tail) = whole.parts();
        return sse::answer(head, tail, whole.is_cut())
            .unwrap_or_else(|| Answer::of(ResponseFormat::Unparsed, Some(whole.text())));
    }
    match whole.json() {
        Some(Ok(value)) => read_json(&value).unwrap_or_else(|error_type| {
            let mut answer = Answer::of(ResponseFormat::Json, Some(whole.text()));
            answer.error_type = error_type;
            answer
        }),
        other => plain(body, whole, other.and_then(Result::err)),
    }
}

/// The answer; or of JSON that is none, the kind of error that it names.
fn read_json(value: &Value) -> Result<Answer, Option<String>> {
    let mut reply = Reply::default();
    let format = if openai_chat::is_reply(value) {
        openai_chat::read(value, &mut reply);
        ResponseFormat::OpenaiChat
    } else if openai_completions::is_reply(value) {
        openai_completions::read(value, &mut reply);
        ResponseFormat::OpenaiCompletions
    } else if openai_responses::is_reply(value) {
        openai_responses::read(value, &mut reply);
        ResponseFormat::OpenaiResponses
    } else if anthropic::is_reply(value) {
        anthropic::read(value, &mut reply);
        ResponseFormat::Anthropic
    } else if gemini::is_reply(value) {
        gemini::read(value, &mut reply);
        ResponseFormat::Gemini
    } else if let Some(chunks) =
        value.as_array().filter(|list| !list.is_empty() && list.iter().all(gemini::is_reply))
    {
        for chunk in chunks {
            gemini::read(chunk, &mut reply);
        }
        ResponseFormat::GeminiSse
    } else {
        error_in(value, &mut reply);
        return Err(reply.error_type);
    };
    Ok(reply.into_answer(format, false))
}

/// Reads the `error` that all providers put into their answers; false when there is none.
fn error_in(value: &Value, reply: &mut Reply) -> bool {
    let Some(error) = value.get("error").filter(|error| !error.is_null()) else { return false };
    let kind = ["type", "status", "code"].iter().find_map(|name| match error.get(name)? {
        Value::String(word) if !word.is_empty() => Some(word.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    });
    let message = error.as_str().unwrap_or_else(|| json::str_of(error, "message"));
    reply.error(kind, message);
    true
}

fn read_question(body: Body<'_>, whole: &Whole<'_>) -> Question {
    if !whole.is_readable() {
        return Question::of(ResponseFormat::Unparsed, None);
    }
    match whole.json() {
        Some(Ok(value)) => {
            let (format, text) =
                json_question(&value).unwrap_or_else(|| (ResponseFormat::Json, whole.text()));
            Question { model: json::text(value.get("model")), ..Question::of(format, Some(text)) }
        }
        other => {
            let answer = plain(body, whole, other.and_then(Result::err));
            Question { flags: answer.flags, ..Question::of(answer.format, answer.text) }
        }
    }
}

fn json_question(value: &Value) -> Option<(ResponseFormat, String)> {
    if let Some(text) = openai_chat::question(value) {
        let anthropic = value.get("system").is_some() || value.get("anthropic_version").is_some();
        let format = if anthropic { ResponseFormat::Anthropic } else { ResponseFormat::OpenaiChat };
        return Some((format, text));
    }
    if let Some(text) = gemini::question(value) {
        return Some((ResponseFormat::Gemini, text));
    }
    // `input` and `prompt` are ordinary words; with a model beside them they are these APIs.
    value.get("model").and_then(Value::as_str)?;
    if let Some(text) = openai_responses::question(value) {
        return Some((ResponseFormat::OpenaiResponses, text));
    }
    openai_completions::question(value).map(|text| (ResponseFormat::OpenaiCompletions, text))
}

/// One line: its text. Several: each as `role: text`.
fn conversation<'a>(lines: impl Iterator<Item = (&'a str, String)>) -> String {
    let mut lines: Vec<(&str, String)> = lines.collect();
    if let [(_, text)] = lines.as_mut_slice() {
        return std::mem::take(text);
    }
    let line = |(role, text): &(&str, String)| {
        let role = if role.is_empty() { "unknown" } else { role };
        format!("{role}: {text}")
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn plain(body: Body<'_>, whole: &Whole<'_>, flag: Option<Flag>) -> Answer {
    let media = media_type(body);
    let text = media.is_empty() || media.starts_with("text/");
    let known = whole.is_utf8() && text && flag != Some(Flag::TooComplex);
    let format = if known { ResponseFormat::Text } else { ResponseFormat::Unparsed };
    let mut answer = Answer::of(format, Some(whole.text()));
    answer.flags.add_if(!whole.is_utf8(), Flag::InvalidUtf8);
    if let Some(flag) = flag.filter(|_| !known) {
        answer.flags.add(flag);
    }
    answer
}

fn is_event_stream(body: Body<'_>, whole: &Whole<'_>) -> bool {
    let media = media_type(body);
    let (head, _) = whole.parts();
    media == "text/event-stream"
        || (media.is_empty() && (head.starts_with(b"data:") || head.starts_with(b"event:")))
}

fn media_type(body: Body<'_>) -> String {
    body.content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Returns whether text was cut.
fn clean_in_place(text: &mut String, bytes_max: usize) -> bool {
    // Controls are below a space, DEL, or behind 0xc2; without a branch per byte a processor looks at many at once.
    let may_be = |byte: u8| {
        (byte < b' ') & (byte != b'\n') & (byte != b'\r') & (byte != b'\t') | (byte == 0x7f) | (byte == 0xc2)
    };
    if text.bytes().fold(false, |any, byte| any | may_be(byte)) {
        text.retain(|character| !character.is_control() || matches!(character, '\n' | '\r' | '\t'));
    }
    if text.len() <= bytes_max {
        return false;
    }
    text.truncate(text.floor_char_boundary(bytes_max));
    true
}
