//! What an answer says, gathered by the modules of the formats piece by piece, and turned into an [`Answer`] once.
//!
//! Limits: [`CHOICES_MAX`] choices, [`CALLS_MAX`] tool calls of a choice; what lies beyond is counted with the last one.
//! Of a cut stream the pieces after the gap add no text, because what lies between is unknown.

use std::collections::BTreeMap;

use super::{Answer, Flag, Flags, ToolCall, WORD_BYTES_MAX};
use crate::record::ResponseFormat;

/// Choices that are told apart.
pub const CHOICES_MAX: usize = 128;
/// Tool calls of one choice that are told apart.
pub const CALLS_MAX: usize = 1_024;
/// Bytes of foreign events that are kept of one stream.
const FOREIGN_BYTES_MAX: usize = 64 << 10;

#[derive(Debug, Default)]
pub(super) struct Reply {
    choices: BTreeMap<i64, Choice>,
    pub(super) model: Option<String>,
    pub(super) response_id: Option<String>,
    pub(super) error_type: Option<String>,
    pub(super) prompt_tokens: Option<i64>,
    pub(super) completion_tokens: Option<i64>,
    pub(super) cached_tokens: Option<i64>,
    pub(super) reasoning_tokens: Option<i64>,
    /// The protocol's own mark of the end was seen.
    pub(super) ended: bool,
    /// The stream reported an error.
    pub(super) failed: bool,
    /// After a gap: texts do not grow any more.
    pub(super) closed: bool,
    /// The format has no tool calls at all.
    pub(super) without_calls: bool,
    foreign: String,
    pub(super) flags: Flags,
}

#[derive(Debug, Default)]
pub(super) struct Choice {
    text: String,
    refusal: String,
    reasoning: String,
    finish_reason: Option<String>,
    calls: BTreeMap<i64, ToolCall>,
}

impl Reply {
    pub(super) fn text(&mut self, choice: i64, piece: &str) {
        if !self.closed {
            self.choice(choice).text.push_str(piece);
        }
    }

    pub(super) fn refusal(&mut self, choice: i64, piece: &str) {
        if !self.closed {
            self.choice(choice).refusal.push_str(piece);
        }
    }

    pub(super) fn reasoning(&mut self, choice: i64, piece: &str) {
        if !self.closed {
            self.choice(choice).reasoning.push_str(piece);
        }
    }

    pub(super) fn finish_reason(&mut self, choice: i64, word: &str) {
        if !word.is_empty() {
            self.choice(choice).finish_reason = Some(common_finish_reason(word));
        }
    }

    /// A piece of a tool call: its name once, its arguments in any number of pieces.
    pub(super) fn call(&mut self, choice: i64, call: i64, name: &str, arguments: &str) {
        let closed = self.closed;
        let calls = &mut self.choice(choice).calls;
        let full = calls.len() >= CALLS_MAX && !calls.contains_key(&call);
        let slot = if full { calls.values_mut().next_back() } else { Some(calls.entry(call).or_default()) };
        let Some(slot) = slot else { return };
        if slot.name.is_empty() {
            slot.name.push_str(name);
        }
        if !closed {
            slot.arguments.push_str(arguments);
        }
    }

    /// The call's arguments as a whole, where no pieces came.
    pub(super) fn whole_arguments(&mut self, choice: i64, call: i64, name: &str, arguments: &str) {
        let known = self.choice(choice).calls.get(&call).is_some_and(|call| !call.arguments.is_empty());
        self.call(choice, call, name, if known { "" } else { arguments });
    }

    pub(super) fn calls(&mut self, choice: i64) -> usize {
        self.choice(choice).calls.len()
    }

    /// A choice that is there, even if it says nothing.
    pub(super) fn choice(&mut self, index: i64) -> &mut Choice {
        let full = self.choices.len() >= CHOICES_MAX && !self.choices.contains_key(&index);
        let last = self.choices.keys().next_back().copied().unwrap_or(index);
        self.choices.entry(if full { last } else { index }).or_default()
    }

    /// The final state that a provider repeats at the end of a stream counts more than the pieces.
    pub(super) fn replace_choices(&mut self, other: Self) {
        if !other.choices.is_empty() {
            self.choices = other.choices;
        }
    }

    /// An event that is none of the protocol's: kept, since a client saw it, too.
    pub(super) fn foreign(&mut self, data: &[u8]) {
        self.flags.add(Flag::UnparsedEvents);
        if self.foreign.len() < FOREIGN_BYTES_MAX {
            self.foreign.push_str("\n[not understood] ");
            let room = FOREIGN_BYTES_MAX.saturating_sub(self.foreign.len());
            self.foreign.push_str(&String::from_utf8_lossy(data.get(..room).unwrap_or(data)));
        }
    }

    /// An error that came in the stream: its kind, and its message as text.
    pub(super) fn error(&mut self, kind: Option<String>, message: &str) {
        self.failed = true;
        self.error_type = self.error_type.take().or(kind).or_else(|| Some("error".to_owned()));
        if !message.is_empty() && self.foreign.len() + message.len() < FOREIGN_BYTES_MAX {
            self.foreign.push_str("\n[error] ");
            self.foreign.push_str(message);
        }
    }

    pub(super) fn remember(slot: &mut Option<String>, value: Option<String>) {
        *slot = slot.take().or(value);
    }

    /// Later counts replace earlier ones.
    pub(super) fn count(slot: &mut Option<i64>, value: Option<i64>) {
        *slot = value.or(*slot);
    }

    /// Whether the stream says in any way that it ended.
    fn is_finished(&self) -> bool {
        self.ended || self.failed || self.choices.values().any(|choice| choice.finish_reason.is_some())
    }

    pub(super) fn into_answer(self, format: ResponseFormat, whole_stream: bool) -> Answer {
        let mut flags = self.flags;
        flags.add_if(whole_stream && !self.is_finished(), Flag::StreamUnfinished);
        let mut choices = self.choices.into_values();
        let found = choices.len();
        let mut first = choices.next().unwrap_or_default();
        let foreign = if first.text.is_empty() { self.foreign.trim_start() } else { &self.foreign };
        first.text.push_str(foreign);
        let filled = |text: String| Some(text).filter(|text| !text.is_empty());
        let mut answer = Answer::of(format, Some(first.text));
        answer.refusal = filled(first.refusal);
        answer.reasoning = filled(first.reasoning);
        answer.finish_reason = first.finish_reason.or(self.failed.then(|| "error".to_owned()));
        answer.tool_calls =
            (!self.without_calls).then_some(()).and_then(|()| i64::try_from(first.calls.len()).ok());
        answer.calls = first.calls.into_values().collect();
        answer.choices = found;
        answer.other_choices = choices.map(|choice| choice.text).collect();
        answer.model = self.model;
        answer.response_id = self.response_id;
        answer.error_type = self.error_type;
        answer.prompt_tokens = self.prompt_tokens;
        answer.completion_tokens = self.completion_tokens;
        answer.cached_tokens = self.cached_tokens;
        answer.reasoning_tokens = self.reasoning_tokens;
        answer.flags = flags;
        answer
    }
}

/// Providers' words for the same ends, so that variants of different providers can be compared; others in lower case.
pub(crate) fn common_finish_reason(word: &str) -> String {
    let lower = super::clean(word, WORD_BYTES_MAX).to_ascii_lowercase();
    match lower.as_str() {
        "end_turn" | "stop_sequence" | "completed" | "eos" | "eos_token" => "stop",
        "max_tokens" | "max_output_tokens" | "model_length" | "model_context_window_exceeded" => "length",
        "tool_use" | "tool_call" | "function_call" => "tool_calls",
        "safety" | "blocklist" | "prohibited_content" | "spii" | "image_safety" | "recitation" => {
            "content_filter"
        }
        _ => return lower,
    }
    .to_owned()
}
