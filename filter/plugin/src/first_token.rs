//! The first token of a stream of server-sent events: the first event that carries something of the answer.
//!
//! Providers begin with events that carry none: a role, an id, an empty text. An event counts when its `data` is not JSON and
//! not `[DONE]`, or when one of the keys in [`KEYS`] has a text in it that is not empty. That is read byte by byte in a fixed
//! amount of memory, up to the first token and no further, so that it costs nothing for the rest of the answer.
//!
//! Limits: what is not kept of a body (`bodyBytesMax`), compressed streams, and formats with other keys show no token; then the
//! time is not known, which is what the sample says.

/// Keys whose text is part of an answer, whoever the provider: chat and text completions, responses, messages, candidates;
/// reasoning and arguments of tool calls, too.
const KEYS: [&[u8]; 9] = [
    b"content",
    b"text",
    b"delta",
    b"reasoning_content",
    b"reasoning",
    b"thinking",
    b"arguments",
    b"partial_json",
    b"completion",
];
/// Longest of them.
const KEY_BYTES_MAX: usize = 17;
const DATA: &[u8] = b"data:";

/// Looks for the first token.
#[derive(Debug, Default)]
pub(crate) struct FirstToken {
    state: State,
    key: [u8; KEY_BYTES_MAX],
    /// Bytes of the text that is read; beyond the longest key only counted.
    key_len: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// At the beginning of a line.
    #[default]
    Begin,
    /// So many bytes of the field's name matched.
    Name(usize),
    /// Until the end of the line.
    Skip,
    /// At the value of the field.
    Value,
    /// In JSON, between texts.
    Json,
    /// In a text.
    Text,
    /// In a text, behind a backslash.
    Escaped,
    /// A text is over: a key, if a colon follows.
    AfterText,
    /// After the colon of one of the keys.
    AfterKey,
    /// At the first byte of its text.
    InValue,
    /// The first token was seen.
    Found,
}

impl FirstToken {
    /// Takes the next bytes; `true` when the first token is among them or was before.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            if self.state == State::Found {
                return true;
            }
            self.state = self.next(*byte);
        }
        self.state == State::Found
    }

    fn next(&mut self, byte: u8) -> State {
        if matches!(byte, b'\n' | b'\r') {
            return State::Begin;
        }
        let blank = matches!(byte, b' ' | b'\t');
        match self.state {
            State::Begin => Self::name(0, byte),
            State::Name(matched) => Self::name(matched, byte),
            State::Value if blank => State::Value,
            State::Value => match byte {
                b'{' => State::Json,
                // `[DONE]`, or a list, which no provider sends.
                b'[' => State::Skip,
                _ => State::Found,
            },
            State::Json => self.in_json(byte),
            State::Text => match byte {
                b'"' => State::AfterText,
                b'\\' => State::Escaped,
                _ => {
                    if let Some(place) = self.key.get_mut(self.key_len) {
                        *place = byte;
                    }
                    self.key_len = self.key_len.saturating_add(1);
                    State::Text
                }
            },
            // No key has escapes: it is none any more.
            State::Escaped => {
                self.key_len = KEY_BYTES_MAX + 1;
                State::Text
            }
            State::AfterText if blank => State::AfterText,
            State::AfterText if byte == b':' && self.is_key() => State::AfterKey,
            State::AfterText => self.in_json(byte),
            State::AfterKey if blank => State::AfterKey,
            State::AfterKey if byte == b'"' => State::InValue,
            State::AfterKey => self.in_json(byte),
            State::InValue if byte == b'"' => State::Json,
            State::InValue => State::Found,
            State::Skip => State::Skip,
            State::Found => State::Found,
        }
    }

    fn name(matched: usize, byte: u8) -> State {
        match DATA.get(matched) {
            Some(wanted) if *wanted == byte && matched + 1 == DATA.len() => State::Value,
            Some(wanted) if *wanted == byte => State::Name(matched + 1),
            _ => State::Skip,
        }
    }

    fn in_json(&mut self, byte: u8) -> State {
        if byte == b'"' {
            self.key_len = 0;
            return State::Text;
        }
        State::Json
    }

    fn is_key(&self) -> bool {
        self.key.get(..self.key_len).is_some_and(|key| KEYS.contains(&key))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    /// How many bytes it takes until the first token.
    fn at(stream: &str) -> Option<usize> {
        let mut first = FirstToken::default();
        (1..=stream.len()).find(|end| first.push(&stream.as_bytes()[end - 1..*end]))
    }

    fn token_is_at(stream: &str, text: &str) {
        assert_eq!(at(stream), stream.find(text).map(|place| place + 1), "{stream}");
    }

    #[test]
    fn the_first_text_of_every_providers_stream_is_found_and_not_what_comes_before() {
        token_is_at(
            "data: {\"id\":\"1\",\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"Hello\"}}]}\n\n",
            "Hello",
        );
        token_is_at(
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"content\":[]}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"Gern\"}}\n\n",
            "Gern",
        );
        token_is_at(
            "event: response.created\ndata: {\"type\":\"response.created\"}\n\ndata: {\"type\":\"response.output_text.delta\",\"delta\" : \"Si\"}\n\n",
            "Si",
        );
        token_is_at("data:{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Da\"}]}}]}\r\n\r\n", "Da");
        token_is_at(
            "data: {\"delta\":{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}}\n\ndata: {\"arguments\":\"{\\\"a\\\"\"}\n\n",
            "{\\\"a",
        );
        token_is_at(": ping\n\nevent: x\ndata:   plain words\n\n", "plain");
    }

    #[test]
    fn what_only_looks_like_a_token_is_none() {
        for stream in [
            "",
            "data: [DONE]\n\n",
            "data:\n\ndata: \n\n",
            "data: {\"content\":\"\"}\n\ndata: {\"content\":null,\"text\":{}}\n\n",
            "data: {\"role\":\"content\",\"x\":\"text\"}\n\n",
            "data: {\"a\":\"\\\"content\\\":\\\"x\"}\n\n",
            "datax: {\"content\":\"x\"}\n\nid: {\"content\":\"x\"}\n\n",
            "data: {\"con\\u0074ent\":\"x\", \"contentment_of_the_people\":\"x\"}\n\n",
        ] {
            assert_eq!(at(stream), None, "{stream}");
        }
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_stream_is_cut(bytes in proptest::collection::vec(any::<u8>(), 0..200), keys in proptest::collection::vec(0usize..KEYS.len(), 0..4), cut in 1usize..40) {
            let mut stream = bytes;
            for key in keys {
                stream.extend_from_slice(b"\ndata: {\"");
                stream.extend_from_slice(KEYS[key]);
                stream.extend_from_slice(b"\":\"a\"}\n");
            }
            let mut whole = FirstToken::default();
            let mut pieces = FirstToken::default();
            let mut found = false;
            for piece in stream.chunks(cut) {
                found = pieces.push(piece);
            }
            prop_assert_eq!(found, whole.push(&stream));
        }
    }
}
