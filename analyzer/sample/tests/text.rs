//! Text out of bodies: what is understood, what is kept as it is, and what hostile bodies do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use proptest::prelude::*;
use weir_sample::ResponseFormat;
use weir_sample::text::{Answer, Body, answer, question};

const JSON: &str = "application/json; charset=utf-8";
const SSE: &str = "text/event-stream";

fn body<'a>(bytes: &'a [u8], content_type: &'a str) -> Body<'a> {
    Body { head: bytes, bytes: bytes.len() as u64, content_type, ..Body::default() }
}

fn chunk(delta: &str, rest: &str) -> String {
    format!("data: {{\"model\":\"m-1\",\"choices\":[{{\"index\":0,\"delta\":{delta}{rest}}}]}}\n\n")
}

fn stream(words: &[&str]) -> String {
    let mut text = chunk(r#"{"role":"assistant","content":""}"#, "");
    for word in words {
        text += &chunk(&format!("{{\"content\":{}}}", serde_json::to_string(word).unwrap()), "");
    }
    text += &chunk("{}", r#","finish_reason":"stop""#);
    text +=
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5}}\n\ndata: [DONE]\n\n";
    text
}

fn bare() -> Answer {
    Answer { format: ResponseFormat::Text, text: None, ..answer(body(b"x", "")) }
}

#[test]
fn a_chat_completion_gives_text_tokens_finish_reason_and_model() {
    let json = r#"{"model":"m-1","choices":[{"index":0,"message":{"role":"assistant","content":"Hi\u0007 you"},"finish_reason":"stop"},
        {"index":1,"message":{"content":"other"}}],"usage":{"prompt_tokens":7,"completion_tokens":2}}"#;
    let expected = Answer {
        text: Some("Hi you".into()),
        format: ResponseFormat::OpenaiChat,
        model: Some("m-1".into()),
        finish_reason: Some("stop".into()),
        prompt_tokens: Some(7),
        completion_tokens: Some(2),
        tool_calls: Some(0),
        choices: 2,
        other_choices: vec!["other".into()],
        ..bare()
    };
    assert_eq!(answer(body(json.as_bytes(), JSON)), expected);
}

#[test]
fn tool_calls_refusals_and_parts_are_read_where_there_is_no_plain_content() {
    let json = r#"{"choices":[{"message":{"content":null,"refusal":"no","tool_calls":[{},{}]},"finish_reason":"tool_calls"}]}"#;
    let read = answer(body(json.as_bytes(), JSON));
    assert_eq!(
        (read.text.as_deref(), read.tool_calls, read.refusal.as_deref()),
        (Some(""), Some(2), Some("no"))
    );
    let json = r#"{"choices":[{"message":{"content":[{"type":"text","text":"a"},{"type":"audio"}]}}]}"#;
    assert_eq!(answer(body(json.as_bytes(), JSON)).text.as_deref(), Some("a[audio]"));
}

#[test]
fn a_stream_is_put_together_again_whatever_its_line_ends() {
    for text in [stream(&["Grüße", ", ", "du"]), stream(&["Grüße", ", ", "du"]).replace('\n', "\r\n")] {
        let read = answer(body(text.as_bytes(), SSE));
        assert_eq!(read.text.as_deref(), Some("Grüße, du"));
        assert_eq!(read.format, ResponseFormat::OpenaiChatSse);
        assert_eq!((read.prompt_tokens, read.completion_tokens), (Some(3), Some(5)));
        assert_eq!((read.finish_reason.as_deref(), read.model.as_deref()), (Some("stop"), Some("m-1")));
    }
}

#[test]
fn tool_calls_of_a_stream_are_counted_by_index_and_only_the_first_choice_is_text() {
    let text = [
        chunk(r#"{"tool_calls":[{"index":0,"function":{"name":"f"}}]}"#, ""),
        chunk(r#"{"tool_calls":[{"index":0},{"index":1}],"refusal":"sor"}"#, ""),
        chunk(r#"{"refusal":"ry","content":"x"}"#, ""),
        "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"other\"}}]}\n\n".into(),
    ]
    .concat();
    let read = answer(body(text.as_bytes(), SSE));
    assert_eq!((read.tool_calls, read.refusal.as_deref(), read.choices), (Some(2), Some("sorry"), 2));
    assert_eq!(read.text.as_deref(), Some("x"));
}

#[test]
fn a_cut_stream_gives_the_heads_text_and_the_tails_end() {
    let words: Vec<String> = (0..100).map(|n| format!("w{n} ")).collect();
    let text = stream(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let (head, tail) = (&text.as_bytes()[..1_000], &text.as_bytes()[text.len() - 400..]);
    let read = answer(Body { head, tail, bytes: text.len() as u64, content_type: SSE, ..Body::default() });
    assert!(read.truncated);
    let joined = words.concat();
    let kept = read.text.unwrap();
    assert!(kept.len() > 20 && joined.starts_with(&kept), "{kept}");
    assert_eq!((read.finish_reason.as_deref(), read.completion_tokens), (Some("stop"), Some(5)));
    assert_eq!(read.format, ResponseFormat::OpenaiChatSse);
}

#[test]
fn head_and_tail_that_meet_are_one_body() {
    let text = stream(&["a", "b"]);
    for cut in 0..text.len() {
        let (head, tail) = text.as_bytes().split_at(cut);
        let read =
            answer(Body { head, tail, bytes: text.len() as u64, content_type: SSE, ..Body::default() });
        assert_eq!((read.text.as_deref(), read.truncated), (Some("ab"), false), "cut at {cut}");
    }
}

#[test]
fn what_is_not_understood_is_kept_with_a_flag() {
    use ResponseFormat::*;
    let cases: [(&[u8], &str, ResponseFormat, &str); 8] = [
        (b"", JSON, Empty, ""),
        (b"{\"a\":1}", JSON, Json, "{\"a\":1}"),
        (b"{\"a\":1", JSON, Unparsed, "{\"a\":1"),
        (b"plain", "text/plain", Text, "plain"),
        (b"plain", "", Text, "plain"),
        (b"plain \xff", "text/plain", Unparsed, "plain \u{fffd}"),
        (b"data: hello\n\n", SSE, Unparsed, "data: hello\n\n"),
        (b"upstream connect error", JSON, Unparsed, "upstream connect error"),
    ];
    for (bytes, content_type, format, text) in cases {
        let read = answer(body(bytes, content_type));
        assert_eq!((read.format, read.text.as_deref()), (format, Some(text)), "{bytes:?} as {content_type}");
    }
}

#[test]
fn a_body_in_an_unknown_encoding_is_unparsed_and_not_empty() {
    let read = answer(Body { content_encoding: "compress", ..body(b"\x1f\x9dgarbage", JSON) });
    assert_eq!((read.format, read.text), (ResponseFormat::Unparsed, None));
    assert_eq!(read.flags.to_column().as_deref(), Some("encoding_unknown"));
}

#[test]
fn a_cut_json_body_says_how_much_is_missing() {
    let read = answer(Body {
        head: b"{\"choices\":[",
        tail: b"]}",
        bytes: 1_000,
        content_type: JSON,
        ..Body::default()
    });
    assert_eq!(read.text.as_deref(), Some("{\"choices\":[\n[... 986 bytes not captured ...]\n]}"));
    assert!(read.truncated);
    assert_eq!(read.format, ResponseFormat::Unparsed);
}

#[test]
fn a_question_is_its_message_or_the_whole_conversation_with_roles() {
    let one = question(body(br#"{"model":"m","messages":[{"role":"user","content":"why?"}]}"#, JSON));
    assert_eq!(
        (one.text.as_deref(), one.format, one.model.as_deref()),
        (Some("why?"), "openai_chat", Some("m"))
    );
    let more = question(body(
        br#"{"messages":[{"role":"system","content":"be nice"},{"role":"user","content":[{"type":"text","text":"why"}]},
            {"role":"assistant","content":null,"tool_calls":[{"function":{"name":"look"}}]}]}"#,
        JSON,
    ));
    assert_eq!(more.text.as_deref(), Some("system: be nice\nuser: why\nassistant: [tool call: look]"));
    assert_eq!(question(body(b"{\"q\":1}", JSON)).format, "json");
    assert_eq!(question(body(b"hello", "text/plain")).format, "text");
    assert_eq!(question(body(b"", "")).format, "empty");
}

proptest! {
    #[test]
    fn any_body_gives_an_answer_within_bounds(
        head in proptest::collection::vec(any::<u8>(), 0..300), tail in proptest::collection::vec(any::<u8>(), 0..100),
        extra in 0u64..50, kind in 0..4usize,
    ) {
        let content_type = [JSON, SSE, "text/plain", ""][kind];
        let bytes = (head.len() + tail.len()) as u64 + extra;
        let read = answer(Body { head: &head, tail: &tail, bytes, content_type, ..Body::default() });
        prop_assert_eq!(read.truncated, extra > 0);
        let text = read.text.unwrap_or_default();
        prop_assert!(!text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')));
        let asked = question(Body { head: &head, tail: &tail, bytes, content_type, ..Body::default() });
        prop_assert_eq!(asked.truncated, extra > 0);
    }

    #[test]
    fn any_words_come_back_from_a_stream(words in proptest::collection::vec("[^\\p{Cc}]{0,20}", 0..20)) {
        let text = stream(&words.iter().map(String::as_str).collect::<Vec<_>>());
        prop_assert_eq!(answer(body(text.as_bytes(), SSE)).text.unwrap(), words.concat());
    }
}
