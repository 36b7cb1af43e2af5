//! The formats of the providers, over a corpus of bodies: each is read as its snapshot says, and a stream says what the whole
//! answer says, wherever its capture was split.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fmt::Write;
use std::path::PathBuf;

use weir_sample::ResponseFormat;
use weir_sample::text::{Answer, Body, Flag, answer, question};

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name)
}

fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path());
    let mut bodies: Vec<(String, Vec<u8>)> = files
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap()))
        .collect();
    bodies.sort();
    bodies
}

fn media(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("sse") => "text/event-stream",
        Some("json") => "application/json",
        _ => "text/plain",
    }
}

fn whole<'a>(name: &str, bytes: &'a [u8]) -> Body<'a> {
    Body { head: bytes, bytes: bytes.len() as u64, content_type: media(name), ..Body::default() }
}

fn read(name: &str) -> Answer {
    answer(whole(name, &std::fs::read(folder("answers").join(name)).unwrap()))
}

#[test]
fn every_answer_of_the_corpus_is_read_as_its_snapshot_says() {
    let mut text = String::new();
    for (name, bytes) in corpus("answers") {
        let read = answer(whole(&name, &bytes));
        writeln!(text, "## {name}: {}", read.format.as_str()).unwrap();
        let mut line = |label: &str, value: Option<String>| {
            if let Some(value) = value {
                writeln!(text, "{label}: {value:?}").unwrap();
            }
        };
        line("text", read.text.clone());
        line("other", read.other_choices_text());
        line("tools", read.tool_names());
        line("calls", read.tool_call_text());
        line("refusal", read.refusal.clone());
        line("reasoning", read.reasoning.clone());
        line("flags", read.flags.to_column());
        let (model, id, end, error) = (&read.model, &read.response_id, &read.finish_reason, &read.error_type);
        writeln!(text, "model {model:?}, id {id:?}, finish {end:?}, error {error:?}").unwrap();
        let tokens = (read.prompt_tokens, read.completion_tokens, read.cached_tokens, read.reasoning_tokens);
        writeln!(text, "tokens {tokens:?}, tool calls {:?}, choices {}\n", read.tool_calls, read.choices)
            .unwrap();
    }
    insta::assert_snapshot!(text);
}

#[test]
fn every_question_of_the_corpus_is_read_as_its_snapshot_says() {
    let mut text = String::new();
    for (name, bytes) in corpus("questions") {
        let read = question(whole(&name, &bytes));
        writeln!(text, "## {name}: {}, model {:?}\n{}\n", read.format, read.model, read.text.unwrap())
            .unwrap();
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_stream_says_what_the_whole_answer_says() {
    let pairs = [
        ("openai_chat.json", "openai_chat.sse", ResponseFormat::OpenaiChatSse),
        ("openai_tools.json", "openai_tools.sse", ResponseFormat::OpenaiChatSse),
        ("openai_completions.json", "openai_completions.sse", ResponseFormat::OpenaiCompletionsSse),
        ("openai_responses.json", "openai_responses.sse", ResponseFormat::OpenaiResponsesSse),
        (
            "openai_responses.json",
            "openai_responses_without_snapshot.sse",
            ResponseFormat::OpenaiResponsesSse,
        ),
        ("anthropic.json", "anthropic.sse", ResponseFormat::AnthropicSse),
        ("gemini.json", "gemini.sse", ResponseFormat::GeminiSse),
        ("gemini.json", "gemini_list.json", ResponseFormat::GeminiSse),
    ];
    for (one, streamed, format) in pairs {
        let expected = Answer { format, ..read(one) };
        assert_eq!(read(streamed), expected, "{streamed} and {one}");
    }
}

#[test]
fn where_head_and_tail_of_a_body_meet_is_irrelevant() {
    for (name, bytes) in corpus("answers") {
        let expected = answer(whole(&name, &bytes));
        for cut in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            assert_eq!(
                answer(Body { head, tail, ..whole(&name, &bytes) }),
                expected,
                "{name} split at {cut}"
            );
        }
    }
}

#[test]
fn a_stream_that_was_cut_anywhere_gives_a_beginning_of_its_text_and_says_so() {
    for (name, bytes) in corpus("answers").into_iter().filter(|(name, _)| name.ends_with(".sse")) {
        let expected = answer(whole(&name, &bytes));
        let understood = expected.format != ResponseFormat::Unparsed;
        let full = expected.text.unwrap();
        for cut in 0..bytes.len() {
            let (head, _) = bytes.split_at(cut);
            let read = answer(Body { head, tail: &[], ..whole(&name, &bytes) });
            assert!(read.truncated, "{name} cut at {cut}");
            let text = read.text.unwrap_or_default();
            if understood && read.format == expected.format {
                assert!(full.starts_with(&text), "{name} cut at {cut}: {text:?}");
            }
        }
    }
}

#[test]
fn a_stream_that_stops_without_an_end_is_flagged_and_one_that_ended_is_not() {
    let bytes = std::fs::read(folder("answers").join("anthropic.sse")).unwrap();
    let end = String::from_utf8(bytes.clone()).unwrap().find("event: message_delta").unwrap();
    assert!(answer(whole("x.sse", &bytes[..end])).flags.has(Flag::StreamUnfinished));
    assert_eq!(answer(whole("x.sse", &bytes)).flags.to_column(), None);
}

#[test]
fn the_last_event_of_a_responses_stream_gives_the_whole_text_of_a_cut_one() {
    let bytes = std::fs::read(folder("answers").join("openai_responses.sse")).unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    let tail = &bytes[text.find("event: response.completed").unwrap() - 2..];
    let read = answer(Body { head: &bytes[..400], tail, ..whole("x.sse", &bytes) });
    assert_eq!(read.text.as_deref(), Some("It left on Monday."));
    assert_eq!((read.tool_names().as_deref(), read.truncated), (Some("find_order,web_search_call"), true));
}

#[test]
fn a_json_body_with_too_many_values_is_kept_as_text_with_a_flag() {
    let wide = format!("[{}0]", "{},".repeat(weir_sample::text::VALUES_MAX / 20));
    let read = answer(whole("x.json", wide.as_bytes()));
    assert_eq!((read.format, read.text.as_deref()), (ResponseFormat::Unparsed, Some(wide.as_str())));
    assert_eq!(read.flags.to_column().as_deref(), Some("too_complex"));
}

#[test]
fn choices_and_calls_beyond_the_limits_are_counted_with_the_last_one() {
    let choice = |index| format!("{{\"index\":{index},\"message\":{{\"content\":\"x\"}}}}");
    let many: Vec<String> = (0..500).map(choice).collect();
    let read = answer(whole("x.json", format!("{{\"choices\":[{}]}}", many.join(",")).as_bytes()));
    assert_eq!(read.choices, weir_sample::text::CHOICES_MAX);
    let calls = "{\"function\":{\"name\":\"f\"}},".repeat(5_000);
    let body = format!("{{\"choices\":[{{\"message\":{{\"tool_calls\":[{calls}0]}}}}]}}");
    let read = answer(whole("x.json", body.as_bytes()));
    assert_eq!(read.tool_calls, Some(weir_sample::text::CALLS_MAX as i64));
}
