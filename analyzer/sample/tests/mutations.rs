//! Mutants of committed bodies: answers and questions of all providers, whole and streamed, plain and encoded.
//!
//! Whatever the bytes: no panic, bounded texts, nothing dropped without a flag, and the split into head and tail does not matter.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../../filter/plugin/tests/mutation/mod.rs"]
mod mutation;

use std::io::{Read, Write};

use mutation::{Random, corpus, over_mutants};
use weir_sample::ResponseFormat;
use weir_sample::encoding::{DecodeLimits, Encoding, End, decode};
use weir_sample::text::{
    Answer, Body, CALLS_MAX, CHOICES_MAX, TEXT_BYTES_MAX, WORD_BYTES_MAX, answer, question,
};

const MEDIA: [&str; 4] = ["text/event-stream", "application/json", "text/plain", ""];

const WORDS: [&[u8]; 44] = [
    b"data: ",
    b"data",
    b"event: message_start",
    b"\n\n",
    b"\r\n\r\n",
    b"\r",
    b": ping\n",
    b"id: 1\n",
    b"[DONE]",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\xc3",
    b"\\ud83d",
    b"\\u0000",
    b"\\\"",
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    b",",
    b":",
    b"null",
    b"true",
    b"-1",
    b"1e999",
    b"9223372036854775808",
    b"\"choices\":",
    b"\"delta\":",
    b"\"message\":",
    b"\"content\":",
    b"\"parts\":",
    b"\"output\":",
    b"\"tool_calls\":",
    b"\"index\":",
    b"\"type\":\"response.completed\"",
    b"\"type\":\"content_block_delta\"",
    b"\"candidates\":",
    b"\"usageMetadata\":{}",
    b"\"error\":{\"message\":\"m\"}",
    b"\"input\":",
    b"\"prompt\":",
    b"\"text\":\"\"",
];

fn body<'a>(head: &'a [u8], tail: &'a [u8], content_type: &'a str) -> Body<'a> {
    Body { head, tail, bytes: (head.len() + tail.len()) as u64, content_type, ..Body::default() }
}

fn is_clean(text: &str) -> bool {
    text.len() <= TEXT_BYTES_MAX && !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
}

fn cleaned(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t')).collect()
}

fn check_answer(read: &Answer, bytes: &[u8]) {
    let texts = [&read.text, &read.refusal, &read.reasoning].into_iter().flatten();
    assert!(texts.chain(&read.other_choices).all(|text| is_clean(text)));
    let words = [&read.model, &read.finish_reason, &read.response_id, &read.error_type].into_iter().flatten();
    assert!(words.into_iter().all(|word| is_clean(word) && word.len() <= WORD_BYTES_MAX));
    assert!(read.choices <= CHOICES_MAX && read.calls.len() <= CALLS_MAX);
    assert!(read.tool_calls.is_none_or(|calls| calls == read.calls.len() as i64));
    let tokens = [read.prompt_tokens, read.completion_tokens, read.cached_tokens, read.reasoning_tokens];
    assert!(tokens.into_iter().flatten().all(|count| count >= 0));
    assert!(!read.truncated, "nothing was cut");
    // What is not understood is kept as it is.
    if matches!(read.format, ResponseFormat::Unparsed | ResponseFormat::Json | ResponseFormat::Text) {
        assert_eq!(read.text.as_deref(), Some(cleaned(bytes).as_str()));
    }
}

#[test]
fn mutants_of_answers_are_read_within_bounds_and_the_same_wherever_they_were_split() {
    let corpus = corpus("answers");
    over_mutants(&corpus, &WORDS, 6_000, |bytes| {
        let mut random = Random(bytes.len() as u64);
        let media = MEDIA[random.below(MEDIA.len())];
        let read = answer(body(bytes, b"", media));
        // Bytes that begin like an encoding are decoded, and are no text of their own then.
        if weir_sample::encoding::sniff(bytes).is_none() {
            check_answer(&read, bytes);
        }
        let (head, tail) = bytes.split_at(random.below(bytes.len() + 1));
        assert_eq!(answer(body(head, tail, media)), read, "split at {}", head.len());
        let cut = answer(Body { bytes: bytes.len() as u64 + 1, ..body(head, tail, media) });
        assert!(cut.truncated && cut.text.is_none_or(|text| is_clean(&text)));
    });
}

#[test]
fn mutants_of_questions_are_read_within_bounds() {
    let mut corpus = corpus("questions");
    corpus.extend(mutation::corpus("answers").into_iter().take(3));
    over_mutants(&corpus, &WORDS, 3_000, |bytes| {
        let read = question(body(bytes, b"", "application/json"));
        let text = read.text.unwrap_or_default();
        assert!(is_clean(&text) && !read.truncated);
        if matches!(read.format, "unparsed" | "json" | "text")
            && weir_sample::encoding::sniff(bytes).is_none()
        {
            assert_eq!(text, cleaned(bytes));
        }
    });
}

#[test]
fn mutants_of_encoded_bodies_decode_within_the_limits_and_say_how_far() {
    let plain = corpus("answers");
    let limits = DecodeLimits { bytes_max: 100_000, ratio_max: 50 };
    for (word, encoding) in [
        ("gzip", Encoding::Gzip),
        ("deflate", Encoding::Deflate),
        ("br", Encoding::Brotli),
        ("zstd", Encoding::Zstd),
    ] {
        let encoded: Vec<Vec<u8>> = plain.iter().map(|bytes| encode(encoding, bytes)).collect();
        over_mutants(
            &encoded,
            &[b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\xff\xff\xff\xff"],
            1_500,
            |bytes| {
                let decoded = decode(bytes, &[encoding], limits);
                assert!(decoded.bytes.len() <= limits.bytes_max);
                let read = answer(Body { content_encoding: word, ..body(bytes, b"", "text/event-stream") });
                // The limits of bodies are higher than these.
                if bytes.is_empty() || decoded.end == End::Limit {
                    return;
                }
                let whole = decoded.end == End::Whole;
                assert_eq!(whole, !read.flags.to_string().contains("encoding_"), "{:?}", decoded.end);
                assert!(whole || read.truncated || read.text.is_some());
            },
        );
    }
}

fn encode(encoding: Encoding, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let level = flate2::Compression::default();
    match encoding {
        Encoding::Gzip => flate2::write::GzEncoder::new(&mut out, level).write_all(bytes).unwrap(),
        Encoding::Deflate => flate2::write::ZlibEncoder::new(&mut out, level).write_all(bytes).unwrap(),
        Encoding::Brotli => {
            brotli::CompressorReader::new(bytes, 4096, 5, 22).read_to_end(&mut out).unwrap();
        }
        Encoding::Zstd => out = zstd::encode_all(bytes, 3).unwrap(),
    }
    out
}
