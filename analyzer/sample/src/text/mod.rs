//! Text out of captured bodies: what was asked, what was answered, and how the answer ended.
//!
//! Understood: OpenAI chat (whole and as server-sent events), other JSON and plain text. Anything else, and any body with
//! a content encoding, is `unparsed`; its text is the body as it is, except for encoded bodies, which have no
//! readable text. Limits: [`TEXT_BYTES_MAX`] for a text, [`WORD_BYTES_MAX`] for model, finish reason and the like; JSON is
//! at most 128 levels deep (serde_json's own limit).
//! Invariants: nothing here fails or panics; control characters except line feed, carriage return and tab are removed,
//! nothing else is.

mod openai;
mod sse;

use serde_json::Value;

use crate::record::ResponseFormat;

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
}

/// What a response body says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The answer's text; `None` only where no readable text was captured.
    pub text: Option<String>,
    /// What the body was.
    pub format: ResponseFormat,
    /// The model that answered.
    pub model: Option<String>,
    /// Why the first choice ended.
    pub finish_reason: Option<String>,
    /// As the provider counts.
    pub prompt_tokens: Option<i64>,
    /// As the provider counts.
    pub completion_tokens: Option<i64>,
    /// Tool calls of the first choice; `None` where the format has none.
    pub tool_calls: Option<i64>,
    /// Text of the provider's own refusal field.
    pub refusal: Option<String>,
    /// Choices in the answer.
    pub choices: usize,
    /// Whether less than the whole body was available.
    pub truncated: bool,
}

/// What a request body says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// One message: its text. Several: each as `role: text`, in order.
    pub text: Option<String>,
    /// `openai_chat`, `json`, `text`, `unparsed` or `empty`.
    pub format: &'static str,
    /// The model that was asked for.
    pub model: Option<String>,
    /// Whether less than the whole body was available.
    pub truncated: bool,
}

/// Reads a response body.
pub fn answer(body: Body<'_>) -> Answer {
    let whole = Whole::of(body);
    let mut answer = Answer::of(ResponseFormat::Empty, Some(String::new()));
    if body.bytes > 0 || !whole.bytes.is_empty() {
        answer = read_answer(body, &whole);
    }
    let cut = answer.text.as_mut().is_some_and(|text| clean_in_place(text, TEXT_BYTES_MAX));
    if let Some(refusal) = &mut answer.refusal {
        clean_in_place(refusal, TEXT_BYTES_MAX);
    }
    for word in [&mut answer.model, &mut answer.finish_reason].into_iter().flatten() {
        clean_in_place(word, WORD_BYTES_MAX);
    }
    answer.truncated = whole.truncated || cut;
    answer
}

/// Reads a request body.
pub fn question(body: Body<'_>) -> Question {
    let whole = Whole::of(body);
    let of = |format: ResponseFormat, text| Question {
        text,
        format: format.as_str(),
        model: None,
        truncated: false,
    };
    let mut question = if body.bytes == 0 && whole.bytes.is_empty() {
        of(ResponseFormat::Empty, Some(String::new()))
    } else if is_encoded(body) || whole.bytes.is_empty() {
        of(ResponseFormat::Unparsed, None)
    } else if let Some(value) = json(&whole) {
        match openai::question(&value) {
            Some((text, model)) => Question {
                text: Some(text),
                format: ResponseFormat::OpenaiChat.as_str(),
                model,
                truncated: false,
            },
            None => of(ResponseFormat::Json, Some(whole.text())),
        }
    } else {
        of(plain_format(body, &whole), Some(whole.text()))
    };
    let cut = question.text.as_mut().is_some_and(|text| clean_in_place(text, TEXT_BYTES_MAX));
    if let Some(model) = &mut question.model {
        clean_in_place(model, WORD_BYTES_MAX);
    }
    question.truncated = whole.truncated || cut;
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
            finish_reason: None,
            prompt_tokens: None,
            completion_tokens: None,
            tool_calls: None,
            refusal: None,
            choices: 0,
            truncated: false,
        }
    }
}

/// The kept bytes, joined where head and tail meet.
struct Whole<'a> {
    bytes: std::borrow::Cow<'a, [u8]>,
    tail: &'a [u8],
    missing: u64,
    truncated: bool,
}

impl<'a> Whole<'a> {
    fn of(body: Body<'a>) -> Self {
        let kept = (body.head.len() + body.tail.len()) as u64;
        if body.bytes > kept {
            let missing = body.bytes - kept;
            return Self { bytes: body.head.into(), tail: body.tail, missing, truncated: true };
        }
        let bytes =
            if body.tail.is_empty() { body.head.into() } else { [body.head, body.tail].concat().into() };
        Self { bytes, tail: &[], missing: 0, truncated: false }
    }

    /// The body as it is, with a mark where bytes are missing.
    fn text(&self) -> String {
        let head = String::from_utf8_lossy(&self.bytes);
        if !self.truncated {
            return head.into_owned();
        }
        let tail = String::from_utf8_lossy(self.tail);
        format!("{head}\n[... {} bytes not captured ...]\n{tail}", self.missing)
    }
}

fn read_answer(body: Body<'_>, whole: &Whole<'_>) -> Answer {
    if is_encoded(body) || whole.bytes.is_empty() {
        return Answer::of(ResponseFormat::Unparsed, None);
    }
    if is_event_stream(body) {
        return sse::answer(&whole.bytes, whole.tail, whole.truncated)
            .unwrap_or_else(|| Answer::of(ResponseFormat::Unparsed, Some(whole.text())));
    }
    match json(whole) {
        Some(value) => {
            openai::answer(&value).unwrap_or_else(|| Answer::of(ResponseFormat::Json, Some(whole.text())))
        }
        None => Answer::of(plain_format(body, whole), Some(whole.text())),
    }
}

fn json(whole: &Whole<'_>) -> Option<Value> {
    let first = whole.bytes.iter().find(|byte| !byte.is_ascii_whitespace())?;
    // Whatever the media type says: a number or a word alone is text, and a cut body cannot parse.
    if whole.truncated || !matches!(first, b'{' | b'[') {
        return None;
    }
    serde_json::from_slice(&whole.bytes).ok()
}

fn plain_format(body: Body<'_>, whole: &Whole<'_>) -> ResponseFormat {
    let media = media_type(body);
    let utf8 = match std::str::from_utf8(&whole.bytes) {
        Ok(_) => true,
        // A character cut by the end of the head does not make it binary.
        Err(error) => whole.truncated && error.error_len().is_none(),
    };
    if utf8 && (media.is_empty() || media.starts_with("text/")) {
        ResponseFormat::Text
    } else {
        ResponseFormat::Unparsed
    }
}

fn is_encoded(body: Body<'_>) -> bool {
    let encoding = body.content_encoding.trim();
    !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity")
}

fn is_event_stream(body: Body<'_>) -> bool {
    let media = media_type(body);
    media == "text/event-stream" || (media.is_empty() && body.head.starts_with(b"data:"))
}

fn media_type(body: Body<'_>) -> String {
    body.content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Returns whether text was cut.
fn clean_in_place(text: &mut String, bytes_max: usize) -> bool {
    text.retain(|character| !character.is_control() || matches!(character, '\n' | '\r' | '\t'));
    if text.len() <= bytes_max {
        return false;
    }
    text.truncate(text.floor_char_boundary(bytes_max));
    true
}
