//! Encoded bodies: decoded whole, as far as they go, and never beyond the limits.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::cell::Cell;
use std::io::{Read, Write};

use proptest::prelude::*;
use weir_sample::ResponseFormat;
use weir_sample::encoding::*;
use weir_sample::text::{Answer, Body, DECODED_BYTES_MAX, answer, question};

const WORDS: [(&str, Encoding); 4] = [
    ("gzip", Encoding::Gzip),
    ("deflate", Encoding::Deflate),
    ("br", Encoding::Brotli),
    ("zstd", Encoding::Zstd),
];
const LIMITS: DecodeLimits = DecodeLimits { bytes_max: 8 << 20, ratio_max: 200 };

fn encode(encoding: Encoding, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match encoding {
        Encoding::Gzip => {
            let mut to = flate2::write::GzEncoder::new(&mut out, flate2::Compression::default());
            to.write_all(bytes).unwrap();
            to.finish().unwrap();
        }
        Encoding::Deflate => {
            let mut to = flate2::write::ZlibEncoder::new(&mut out, flate2::Compression::default());
            to.write_all(bytes).unwrap();
            to.finish().unwrap();
        }
        Encoding::Brotli => {
            brotli::CompressorReader::new(bytes, 4096, 5, 22).read_to_end(&mut out).unwrap();
        }
        Encoding::Zstd => out = zstd::encode_all(bytes, 3).unwrap(),
    }
    out
}

fn flushed_zstd(bytes: &[u8]) -> Vec<u8> {
    let mut to = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    for part in bytes.chunks(500) {
        to.write_all(part).unwrap();
        to.flush().unwrap();
    }
    to.finish().unwrap()
}

fn sse(words: usize) -> String {
    let chunk =
        |n| format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"word{n} \"}}}}]}}\n\n");
    (0..words).map(chunk).collect::<String>() + "data: [DONE]\n\n"
}

fn read(bytes: &[u8], encoding: &str) -> Answer {
    let content_type = "text/event-stream";
    answer(Body {
        head: bytes,
        bytes: bytes.len() as u64,
        content_type,
        content_encoding: encoding,
        ..Body::default()
    })
}

#[test]
fn a_body_in_each_encoding_says_what_the_plain_one_says() {
    let text = sse(50);
    let expected = read(text.as_bytes(), "");
    assert_eq!(expected.format, ResponseFormat::OpenaiChatSse);
    for (word, encoding) in WORDS {
        let encoded = encode(encoding, text.as_bytes());
        assert_eq!(read(&encoded, word), expected, "{word}");
        assert_eq!(read(&encoded, &format!(" {} ", word.to_uppercase())), expected, "{word}");
    }
    let twice = encode(Encoding::Brotli, &encode(Encoding::Gzip, text.as_bytes()));
    assert_eq!(read(&twice, "gzip, br"), expected);
}

#[test]
fn a_bare_deflate_stream_and_a_forgotten_header_are_understood() {
    let text = sse(5);
    let mut bare = Vec::new();
    let mut to = flate2::write::DeflateEncoder::new(&mut bare, flate2::Compression::default());
    to.write_all(text.as_bytes()).unwrap();
    to.finish().unwrap();
    let expected = read(text.as_bytes(), "");
    assert_eq!(read(&bare, "deflate"), expected);
    for encoding in [Encoding::Gzip, Encoding::Zstd] {
        assert_eq!(read(&encode(encoding, text.as_bytes()), ""), expected, "{encoding:?}");
    }
}

#[test]
fn a_body_that_is_not_encoded_although_its_header_says_so_is_read_with_a_flag() {
    for word in ["gzip", "zstd"] {
        let read = read(sse(3).as_bytes(), word);
        assert_eq!(read.text.as_deref(), Some("word0 word1 word2 "), "{word}");
        assert_eq!(read.flags.to_column().as_deref(), Some("encoding_damaged"));
    }
}

#[test]
fn a_cut_encoded_body_gives_a_beginning_of_its_text_wherever_it_was_cut() {
    let text = sse(400);
    let full = read(text.as_bytes(), "").text.unwrap();
    for (word, encoding) in WORDS {
        let encoded = match encoding {
            // zstd compresses whole blocks; servers that stream flush after each event.
            Encoding::Zstd => flushed_zstd(text.as_bytes()),
            _ => encode(encoding, text.as_bytes()),
        };
        let mut longest = 0;
        for cut in (1..encoded.len()).step_by(7) {
            let (head, tail) = encoded.split_at(cut);
            let tail = &tail[tail.len().saturating_sub(5)..];
            let body = Body { head, tail, bytes: encoded.len() as u64 + 1, ..Body::default() };
            let read = answer(Body { content_encoding: word, content_type: "text/event-stream", ..body });
            assert!(
                read.truncated && read.flags.to_column().unwrap().contains("encoding_cut"),
                "{word} {cut}"
            );
            if read.format == ResponseFormat::OpenaiChatSse {
                let text = read.text.unwrap();
                assert!(full.starts_with(&text), "{word} {cut}");
                longest = longest.max(text.len());
            }
        }
        assert!(longest > full.len() / 2, "{word}: only {longest} of {} bytes came out", full.len());
    }
}

#[test]
fn a_bomb_ends_at_the_limit_of_size_or_of_ratio() {
    let zeros = vec![b' '; 24 << 20];
    for (word, encoding) in WORDS {
        let bomb = encode(encoding, &zeros);
        let decoded = decode(&bomb, &[encoding], LIMITS);
        assert_eq!(decoded.end, End::Limit, "{word}");
        let by_ratio = (bomb.len() * LIMITS.ratio_max).max(RATIO_FREE_BYTES);
        assert_eq!(decoded.bytes.len(), LIMITS.bytes_max.min(by_ratio), "{word}");
        let read = read(&bomb, word);
        assert!(read.text.unwrap().len() <= 1 << 20 && read.truncated, "{word}");
        assert!(read.flags.to_column().unwrap().contains("encoding_limit"), "{word}");
    }
}

#[test]
fn a_nested_bomb_is_bounded_in_every_layer() {
    let inner = encode(Encoding::Gzip, &vec![0; 24 << 20]);
    let nested = encode(Encoding::Zstd, &encode(Encoding::Gzip, &inner));
    let decoded = decode(&nested, &[Encoding::Gzip, Encoding::Gzip, Encoding::Zstd], LIMITS);
    assert_eq!((decoded.end, decoded.bytes.len()), (End::Limit, RATIO_FREE_BYTES));
    assert_eq!(parse_header("gzip,gzip,gzip,gzip,gzip"), Err("gzip,gzip,gzip,gzip,gzip"));
}

#[test]
fn a_huge_window_claims_no_memory() {
    // A zstd frame header that asks for a window of 2 GiB, then one empty last block.
    let zstd = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0x01, 0x00, 0x00];
    assert_eq!(decode(&zstd, &[Encoding::Zstd], LIMITS).end, End::Limit);
    // The first bytes of brotli's extension for large windows: 30 bits.
    assert_eq!(decode(&[0x11, 30, 0x03], &[Encoding::Brotli], LIMITS).end, End::Damaged);
}

#[test]
fn all_bodies_of_a_request_share_a_budget() {
    let encoded = encode(Encoding::Gzip, sse(400).as_bytes());
    let budget = Cell::new(sse(400).len() + 100);
    let next = || {
        let body =
            Body { head: &encoded, bytes: encoded.len() as u64, budget: Some(&budget), ..Body::default() };
        answer(Body { content_encoding: "gzip", ..body }).flags.to_column()
    };
    assert_eq!(
        [next(), next(), next()],
        [None, Some("encoding_limit".into()), Some("encoding_limit".into())]
    );
    assert_eq!(budget.get(), 0);
    assert!(DECODED_BYTES_MAX > sse(400).len());
}

proptest! {
    #[test]
    fn any_bytes_in_any_encoding_decode_within_the_limits(
        bytes in proptest::collection::vec(any::<u8>(), 0..400), layers in proptest::collection::vec(0usize..4, 0..5),
    ) {
        let limits = DecodeLimits { bytes_max: 10_000, ratio_max: 10 };
        let layers: Vec<Encoding> = layers.into_iter().map(|at| WORDS[at].1).collect();
        prop_assert!(decode(&bytes, &layers, limits).bytes.len() <= 10_000);
    }

    #[test]
    fn a_damaged_body_never_panics_and_gives_a_text_or_a_flag(
        kind in 0usize..4, at in 0usize..300, byte: u8, words in 0usize..60,
    ) {
        let (word, encoding) = WORDS[kind];
        let mut encoded = encode(encoding, sse(words).as_bytes());
        if let Some(slot) = encoded.get_mut(at) { *slot = byte; }
        let read = read(&encoded, word);
        prop_assert!(read.text.is_some() || read.flags.to_column().is_some());
    }
}

#[test]
fn a_request_in_br_is_read_by_its_header_or_by_what_it_becomes_and_other_bytes_stay_what_they_are() {
    let json = br#"{"model":"m","messages":[{"role":"user","content":"Where is order A-17?"}]}"#;
    let packed = encode(Encoding::Brotli, json);
    let read = |bytes: &[u8], encoding: &str| {
        question(Body {
            head: bytes,
            bytes: bytes.len() as u64,
            content_type: "application/json",
            content_encoding: encoding,
            ..Body::default()
        })
    };
    let plain = read(json, "");
    for encoding in ["br", ""] {
        let asked = read(&packed, encoding);
        assert_eq!(
            (asked.format, &asked.text, &asked.model),
            (plain.format, &plain.text, &plain.model),
            "{encoding}"
        );
    }
    // Half of it is no text, and no damage is hidden.
    let half = read(&packed[..packed.len() / 2], "");
    assert_ne!(half.text, plain.text);
    // Bytes that are something else, and a bomb, change nothing.
    let noise: Vec<u8> = (0..2_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8 | 0x80).collect();
    assert_eq!(read(&noise, "").format, read(&noise, "identity").format);
    let bomb = encode(Encoding::Brotli, &vec![b'a'; DECODED_BYTES_MAX + 1]);
    assert_eq!(read(&bomb, "").text, read(&bomb, "identity").text);
}
