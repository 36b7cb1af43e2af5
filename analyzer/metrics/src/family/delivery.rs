//! Whether an answer arrived at all: `error`, `empty`, `truncated_answer`, and `soft_error`, a failure that came with a
//! status of success.

use super::{fault, flag};
use crate::answer::{Answer, fold};
use crate::metric::Metric;

pub(crate) fn metrics() -> Vec<Metric> {
    vec![
        fault("error", |answer| answer.failed().map(flag)),
        fault("empty", empty),
        fault("truncated_answer", truncated),
    ]
}

/// An answer that says it failed: an error field in JSON, an error that the provider names, or a short text that opens
/// as error pages do.
pub(crate) fn soft_error() -> Metric {
    fault("soft_error", |answer| {
        if answer.failed() == Some(true) {
            return None;
        }
        if answer.error_type.is_some_and(|kind| !kind.trim().is_empty())
            || answer.finish_reason == Some("error")
        {
            return Some(1.0);
        }
        let text = answer.text.as_ref()?;
        let in_json = text.json.as_ref().is_some_and(says_error);
        let opens = || {
            let (folded, _) = fold(answer.body.unwrap_or_default());
            ERROR_OPENINGS.iter().any(|opening| folded.trim_start().starts_with(opening))
        };
        Some(flag(in_json || (text.characters <= ERROR_CHARACTERS_MAX && opens())))
    })
}

fn says_error(json: &serde_json::Value) -> bool {
    ["error", "errors"].iter().any(|name| match json.get(name) {
        None | Some(serde_json::Value::Null | serde_json::Value::Bool(false)) => false,
        Some(serde_json::Value::Array(errors)) => !errors.is_empty(),
        Some(serde_json::Value::String(error)) => !error.trim().is_empty(),
        Some(_) => true,
    })
}

/// An error that is told in a sentence is short.
const ERROR_CHARACTERS_MAX: usize = 500;
/// How error pages and wrapped exceptions begin, folded.
const ERROR_OPENINGS: [&str; 16] = [
    "error:",
    "error code:",
    "an error occurred",
    "an error has occurred",
    "an unexpected error",
    "internal server error",
    "bad gateway",
    "gateway timeout",
    "service unavailable",
    "service temporarily unavailable",
    "upstream connect error",
    "upstream request timeout",
    "rate limit exceeded",
    "too many requests",
    "request timed out",
    "traceback (most recent call last)",
];

/// No text and nothing in its place (tool calls, a structured refusal).
fn empty(answer: &Answer<'_>) -> Option<f64> {
    let no_words = match (&answer.text, answer.counted) {
        (Some(text), _) => text.words == 0,
        (None, counted) => counted?.1 == 0,
    };
    let nothing_else = answer.tool_calls.unwrap_or(0) == 0 && !answer.refused();
    Some(flag(no_words && nothing_else))
}

/// The model stopped at its token limit, or a streamed answer ended without saying why.
///
/// Broken transfers are `error`; what the capture cut is no fault of the answer.
fn truncated(answer: &Answer<'_>) -> Option<f64> {
    if answer.failed() == Some(true) {
        return None;
    }
    match (answer.finish_reason, answer.response_format) {
        (Some("length" | "max_tokens" | "MAX_TOKENS" | "model_length"), _) => Some(1.0),
        (Some(_), _) => Some(0.0),
        (None, Some(format))
            if format.ends_with("_sse") && !answer.truncated && answer.complete == Some(true) =>
        {
            Some(1.0)
        }
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;
    use crate::family::always;

    fn value(name: &str, answer: &Answer<'_>) -> Option<f64> {
        always().iter().find(|metric| metric.name == name).unwrap().value(answer)
    }

    #[test]
    fn an_error_is_a_bad_status_no_status_or_an_answer_that_broke_off() {
        let cases = [
            (Some(200), Some(true), Some(0.0)),
            (Some(200), None, Some(0.0)),
            (Some(302), Some(true), Some(0.0)),
            (Some(400), Some(true), Some(1.0)),
            (Some(429), Some(true), Some(1.0)),
            (Some(503), Some(true), Some(1.0)),
            (Some(0), None, Some(1.0)),
            (Some(200), Some(false), Some(1.0)),
            (None, Some(false), Some(1.0)),
            (None, Some(true), Some(0.0)),
            (None, None, None),
        ];
        for (status, complete, expected) in cases {
            let answer = Answer { status, complete, ..Answer::default() };
            assert_eq!(value("error", &answer), expected, "{status:?} {complete:?}");
        }
    }

    #[test]
    fn an_answer_that_says_it_failed_is_a_soft_error() {
        let metric = soft_error();
        let cases = [
            ("{\"error\": {\"message\": \"overloaded\"}}", Some(1.0)),
            ("{\"errors\": [\"late\"], \"data\": null}", Some(1.0)),
            ("{\"error\": null, \"answer\": \"x\"}", Some(0.0)),
            ("{\"errors\": []}", Some(0.0)),
            ("Internal Server Error", Some(1.0)),
            ("Error: model not loaded", Some(1.0)),
            ("An error occurred at the border in 1998, and the treaty was changed.", Some(1.0)),
            ("Errors are what we learn from.", Some(0.0)),
            ("", Some(0.0)),
        ];
        for (text, expected) in cases {
            assert_eq!(metric.value(&Answer::default().with_text(Some(text))), expected, "{text}");
        }
        let named = Answer { error_type: Some("overloaded_error"), status: Some(200), ..Answer::default() };
        assert_eq!(metric.value(&named), Some(1.0));
        assert_eq!(
            metric.value(&Answer { status: Some(500), ..Answer::default() }),
            None,
            "that is an error"
        );
    }

    #[test]
    fn an_empty_answer_has_no_text_no_tool_call_and_no_refusal() {
        let plain = || Answer { status: Some(200), ..Answer::default() };
        assert_eq!(value("empty", &plain().with_text(Some(" \n"))), Some(1.0));
        assert_eq!(value("empty", &plain().with_text(Some("yes"))), Some(0.0));
        assert_eq!(value("empty", &plain().with_text(None)), None);
        let nothing = Answer { response_format: Some("empty"), ..plain() };
        assert_eq!(value("empty", &nothing.with_text(None)), Some(1.0));
        let calls = Answer { tool_calls: Some(2), ..plain() };
        assert_eq!(value("empty", &calls.with_text(None)), Some(0.0));
        let refusal = Answer { refusal: Some("I can't"), ..plain() };
        assert_eq!(value("empty", &refusal.with_text(Some(""))), Some(0.0));
    }

    #[test]
    fn a_truncated_answer_says_so_or_ends_without_a_reason() {
        let cases = [
            (Some("length"), None, None, Some(1.0)),
            (Some("max_tokens"), None, None, Some(1.0)),
            (Some("stop"), Some("openai_chat_sse"), Some(true), Some(0.0)),
            (None, Some("openai_chat_sse"), Some(true), Some(1.0)),
            (None, Some("anthropic_sse"), Some(true), Some(1.0)),
            (None, Some("openai_chat"), Some(true), None),
            (None, Some("text"), Some(true), None),
            (None, None, None, None),
        ];
        for (finish_reason, response_format, complete, expected) in cases {
            let answer = Answer { finish_reason, response_format, complete, ..Answer::default() };
            assert_eq!(value("truncated_answer", &answer), expected, "{finish_reason:?} {response_format:?}");
        }
    }

    #[test]
    fn an_error_page_is_not_judged_as_an_answer() {
        let answer = Answer { status: Some(503), ..Answer::default() }.with_text(Some("no healthy upstream"));
        assert_eq!(value("response_chars", &answer), None);
        assert_eq!(value("empty", &answer), None);
    }

    #[test]
    fn a_text_that_was_only_counted_has_lengths_and_nothing_else() {
        let counted = |characters, words| {
            Answer { status: Some(200), ..Answer::default() }.with_counts(characters, words)
        };
        let answer = counted(Some(11), Some(2));
        assert_eq!(value("response_chars", &answer), Some(11.0));
        assert_eq!(value("response_words", &answer), Some(2.0));
        assert_eq!(value("empty", &answer), Some(0.0));
        assert_eq!(value("empty", &counted(Some(1), Some(0))), Some(1.0));
        assert_eq!((value("hedging", &answer), value("refusal", &answer)), (None, None));
        assert_eq!(value("response_chars", &counted(None, Some(1))), None);
    }

    #[test]
    fn a_text_that_the_capture_cut_is_not_judged() {
        let answer = Answer { truncated: true, ..Answer::default() }.with_text(Some("{\"a\": 1"));
        assert_eq!(value("json_valid", &answer), None);
        assert_eq!(value("response_chars", &answer), None);
    }
}
