//! Secrets of all kinds, planted into legs in every way in which they travel: the same for the same number.
//!
//! Whether one is still there is asked of what a reader would see: the text, its strings as a JSON parser gives them (nested
//! ones too), the strings of a stream put together, and the text with its percent encoding resolved.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use serde_json::{Value, json};
use weir_collector::redact::Secret;
use weir_wire::{Leg, LegKind, Variant};

/// Ways of travelling.
pub const WAYS: usize = 14;
const START_NANO: u64 = 1_790_000_000_000_000_000;

/// A secret.
#[derive(Clone, Debug)]
pub struct Planted {
    pub kind: Secret,
    /// As it is written into the text.
    pub text: String,
    /// None of these may be seen anywhere.
    pub needles: Vec<String>,
}

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn of(&mut self, alphabet: &str, len: usize) -> String {
        (0..len).map(|_| char::from(alphabet.as_bytes()[self.below(alphabet.len())])).collect()
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

const DIGITS: &str = "0123456789";
const HEX: &str = "0123456789abcdef";
const ALPHANUMERIC: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";

/// The secret of a number.
pub fn planted(number: u64) -> Planted {
    let random = &mut Random(number.wrapping_mul(0x5851_f42d_4c95_7f2d));
    let kind = KINDS[number as usize % KINDS.len()];
    let (text, needles) = match kind {
        Secret::Email => email(random),
        Secret::Phone => phone(random),
        Secret::Card => card(random),
        Secret::Iban => iban(random),
        Secret::Ip => ip(random),
        Secret::Mac => {
            let pairs: Vec<String> =
                (0..6).map(|n| format!("{}{n:x}", random.of("123456789abcde", 1))).collect();
            whole(pairs.join(random.pick(&[":", "-"])))
        }
        Secret::ApiKey => api_key(random),
        Secret::Bearer => {
            let token = format!("{}7{}", random.of(ALPHANUMERIC, 12), random.of(ALPHANUMERIC, 20));
            (format!("Authorization: Bearer {token}"), vec![token])
        }
        Secret::Basic => {
            // Base64 of `user:password`, three bytes at a time.
            let token = base64(format!("{}:{}", random.of(LOWER, 5), random.of(ALPHANUMERIC, 12)).as_bytes());
            (format!("Authorization: Basic {token}"), vec![token])
        }
        Secret::Password => {
            let password = random.of(ALPHANUMERIC, 14);
            (format!("postgres://app:{password}@db.internal/main"), vec![password])
        }
        Secret::Jwt => {
            let token = format!(
                "eyJ{}.eyJ{}.{}",
                random.of(ALPHANUMERIC, 20),
                random.of(ALPHANUMERIC, 40),
                random.of(ALPHANUMERIC, 43)
            );
            let body = token[4..24].to_owned();
            (token, vec![body])
        }
        _ => private_key(random),
    };
    Planted { kind, text, needles }
}

pub const KINDS: [Secret; 12] = [
    Secret::Email,
    Secret::Phone,
    Secret::Card,
    Secret::Iban,
    Secret::Ip,
    Secret::Mac,
    Secret::ApiKey,
    Secret::Bearer,
    Secret::Basic,
    Secret::Password,
    Secret::Jwt,
    Secret::PrivateKey,
];

type Written = (String, Vec<String>);

fn whole(text: String) -> Written {
    (text.clone(), vec![text])
}

fn email(random: &mut Random) -> Written {
    let local = format!("{}.{}{}", random.of(LOWER, 6), random.of(LOWER, 8), random.of(DIGITS, 2));
    let host =
        random.pick(&["example.com", "mail.example.co.uk", "firma.example.de", "sub-domain.example.org"]);
    (format!("{local}@{host}"), vec![local])
}

fn phone(random: &mut Random) -> Written {
    let (area, exchange, line) = (
        format!("4{}", random.of("2345678", 2)),
        format!("5{}", random.of("2345678", 2)),
        random.of(DIGITS, 4),
    );
    let long = random.of("23456789", 7);
    let text = match random.below(8) {
        0 => format!("+1{area}{exchange}{line}"),
        1 => format!("+1 ({area}) {exchange}-{line}"),
        2 => format!("({area}) {exchange}-{line}"),
        3 => format!("{area}-{exchange}-{line}"),
        4 => format!("+49 170 {long}"),
        5 => format!("0170 {long}"),
        6 => format!("+44 20 7{} {line}", random.of(DIGITS, 3)),
        _ => format!("phone: {area}{exchange}{line}"),
    };
    let tail = if text.ends_with(&line) { format!("{exchange}-{line}") } else { long };
    (text.clone(), vec![text, tail])
}

fn card(random: &mut Random) -> Written {
    let (prefix, len) = [("4", 16), ("51", 16), ("37", 15), ("6011", 16), ("3530", 16)][random.below(5)];
    let mut digits = format!("{prefix}{}", random.of(DIGITS, len - prefix.len() - 1));
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| match u32::from(digit - b'0') * (2 - place as u32 % 2) {
            large if large > 9 => large - 9,
            small => small,
        })
        .sum();
    digits.push(char::from(b'0' + ((10 - sum % 10) % 10) as u8));
    let separator = random.pick(&["", " ", "-"]);
    let cuts: &[usize] = if len == 15 { &[4, 10] } else { &[4, 8, 12] };
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if cuts.contains(&place) {
            text.push_str(separator);
        }
        text.push(digit);
    }
    (text.clone(), vec![text, digits])
}

fn iban(random: &mut Random) -> Written {
    let (country, body) = [("DE", 18), ("GB", 0), ("FR", 23), ("NL", 0)][random.below(4)];
    let body = match country {
        "GB" => format!("{}{}", random.of("ABCDEFGHIJ", 4), random.of(DIGITS, 14)),
        "NL" => format!("{}{}", random.of("ABCDEFGHIJ", 4), random.of(DIGITS, 10)),
        _ => random.of(DIGITS, body),
    };
    let number: String =
        format!("{body}{country}00").chars().map(|c| c.to_digit(36).unwrap().to_string()).collect();
    let remainder = number.bytes().fold(0, |rest, digit| (rest * 10 + u32::from(digit - b'0')) % 97);
    let plain = format!("{country}{:02}{body}", 98 - remainder);
    let text = match random.below(2) {
        0 => plain.clone(),
        _ => plain
            .as_bytes()
            .chunks(4)
            .map(|group| std::str::from_utf8(group).unwrap())
            .collect::<Vec<_>>()
            .join(" "),
    };
    (text.clone(), vec![text, plain])
}

fn ip(random: &mut Random) -> Written {
    let four = |random: &mut Random| {
        format!(
            "{}.{}.{}.{}",
            11 + random.below(200),
            10 + random.below(240),
            10 + random.below(240),
            10 + random.below(240)
        )
    };
    whole(match random.below(3) {
        0 => four(random),
        1 => format!(
            "2001:db8:{}:{}:{}::{}",
            random.of("123456789a", 4),
            random.of("123456789a", 4),
            random.of("123456789a", 4),
            random.of("123456789", 3)
        ),
        _ => (0..8).map(|_| random.of("123456789abcdef", 4)).collect::<Vec<_>>().join(":"),
    })
}

fn api_key(random: &mut Random) -> Written {
    let long = random.of(ALPHANUMERIC, 40);
    let text = match random.below(18) {
        0 => format!("sk-proj-{long}"),
        1 => format!("sk-ant-api03-{long}"),
        2 => format!("AKIA{}", random.of(UPPER, 16)),
        3 => format!("aws_secret_access_key = 1a{}", random.of(ALPHANUMERIC, 38)),
        4 => format!("AIza{}", random.of(ALPHANUMERIC, 35)),
        5 => format!("AccountKey=1a{}==;", random.of(ALPHANUMERIC, 84)),
        6 => format!("ghp_{}", random.of(ALPHANUMERIC, 36)),
        7 => format!("github_pat_{}", random.of(ALPHANUMERIC, 50)),
        8 => format!("glpat-{}", random.of(ALPHANUMERIC, 20)),
        9 => format!("xoxb-{}-{}", random.of(DIGITS, 12), random.of(ALPHANUMERIC, 24)),
        10 => format!("sk_live_{}", random.of(ALPHANUMERIC, 24)),
        11 => format!("hf_{}", random.of(ALPHANUMERIC, 34)),
        12 => format!("ya29.{long}"),
        13 => format!("{}8Q~{}", random.of(ALPHANUMERIC, 3), random.of(ALPHANUMERIC, 34)),
        14 => format!("api-key: 1a{}", random.of(HEX, 30)),
        15 => format!("gsk_{long}"),
        16 => format!("npm_{}", random.of(ALPHANUMERIC, 36)),
        _ => format!("SG.{}.{}", random.of(ALPHANUMERIC, 22), random.of(ALPHANUMERIC, 43)),
    };
    let core = text.trim_end_matches([';', '=']);
    let core = core[core.len() - 14..].to_owned();
    (text, vec![core])
}

fn private_key(random: &mut Random) -> Written {
    let label = random.pick(&["RSA PRIVATE KEY", "PRIVATE KEY", "OPENSSH PRIVATE KEY", "EC PRIVATE KEY"]);
    let lines: Vec<String> = (0..3).map(|_| random.of(ALPHANUMERIC, 40)).collect();
    let (body, needles) = (lines.join("\n"), lines.iter().map(|line| line[5..25].to_owned()).collect());
    let text = match random.below(3) {
        // Cut off at its end, and at its beginning.
        0 => format!("-----BEGIN {label}-----\n{body}"),
        1 => format!("{body}\n-----END {label}-----"),
        _ => format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----"),
    };
    (text, needles)
}

fn base64(bytes: &[u8]) -> String {
    const TABLE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let number = group
            .iter()
            .chain([0, 0].iter())
            .take(3)
            .fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        for place in 0..4 {
            let letter = char::from(TABLE[(number >> (18 - 6 * place)) as usize & 63]);
            text.push(if place > group.len() { '=' } else { letter });
        }
    }
    text
}

/// A leg that carries the secret in one of the [`WAYS`].
pub fn leg(number: u64, secret: &Planted, way: usize) -> Leg {
    let random = &mut Random(number ^ 0xabcd);
    let said = format!("Well, {} it is.", secret.text);
    let chat = |text: &str| {
        json!({"model": "m", "choices": [{"message": {"content": text}, "finish_reason": "stop"}]})
            .to_string()
    };
    let mut leg = Leg {
        sequence: number,
        start_unix_nano: START_NANO + number * 1_000,
        status: 200,
        complete: true,
        response_content_type: "application/json".into(),
        request_content_type: "application/json".into(),
        ..Leg::new(format!("sample-{number}"), LegKind::Primary, Variant::Control, "e-1")
    };
    let mut answer = chat("Yes.");
    let mut question = json!({"messages": [{"role": "user", "content": "Hello?"}]}).to_string();
    match way {
        0 => question = json!({"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": said}]}).to_string(),
        1 => answer = chat(&said),
        2 => answer = stream(&mut leg, &said, random, |piece| json!({"choices": [{"index": 0, "delta": {"content": piece}}]})),
        // A format that nobody knows: its text is the body as it is.
        3 => answer = stream(&mut leg, &said, random, |piece| json!({"token": {"text": piece, "id": 7}})),
        4 => question = format!("{{\"q\":\"{}\"}}", escaped(&said, random)),
        5 => {
            let inner = json!({"note": said}).to_string().replace('/', "\\/");
            answer = json!({"result": {"arguments": inner}}).to_string();
        }
        6 => leg.path = format!("/v1/chat?q={}", percent(&said)),
        7 => leg.tags.push(("header.x-note".into(), said.replace('\n', "\\n"))),
        8 => {
            leg.response_content_type = "text/plain".into();
            answer = said;
        }
        // The arguments of a tool call, whose own escapes are split as well.
        9 => {
            let inner = format!("{{\"note\":\"{}\"}}", escaped(&said, random));
            answer = stream(&mut leg, &inner, random, |piece| {
                json!({"type": "arguments", "index": 1, "delta": {"partial": piece}})
            });
        }
        10 => {
            leg.request_content_type = "application/x-www-form-urlencoded".into();
            question = format!("q={}&lang=en", percent(&said).replace("%20", "+"));
        }
        11 => leg.request_id = said.replace('\n', " "),
        // Two choices at once, of a format that nobody knows.
        12 => {
            answer = stream(&mut leg, &said, random, |piece| {
                json!({"outs": [{"index": 0, "text": piece}, {"text": "la", "index": 1}]})
            });
        }
        _ => {
            leg.response_content_type = "text/event-stream".into();
            answer = pieces(&said.replace('\n', " "), random).iter().map(|piece| format!("data: {piece}\n\n")).collect();
        }
    }
    leg.request_body_bytes = Some(question.len() as u64);
    leg.request_body = question.into_bytes();
    leg.response_body_bytes = answer.len() as u64;
    leg.response_body = answer.into_bytes();
    leg
}

fn stream(leg: &mut Leg, text: &str, random: &mut Random, event: impl Fn(&str) -> Value) -> String {
    leg.response_content_type = "text/event-stream".into();
    let events: String =
        pieces(text, random).iter().map(|piece| format!("data: {}\n\n", event(piece))).collect();
    events + "data: [DONE]\n\n"
}

fn pieces(text: &str, random: &mut Random) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < characters.len() {
        let end = (at + 1 + random.below(5)).min(characters.len());
        pieces.push(characters[at..end].iter().collect());
        at = end;
    }
    pieces
}

/// A JSON string's content, with half of the characters as escapes.
fn escaped(text: &str, random: &mut Random) -> String {
    let escape = |character: char| format!("\\u{:04x}", u32::from(character));
    text.chars().map(|c| if c == '\n' || random.below(2) == 0 { escape(c) } else { c.to_string() }).collect()
}

fn percent(text: &str) -> String {
    text.bytes()
        .map(
            |byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            },
        )
        .collect()
}

/// What a reader sees in a text.
pub fn readings(text: &str) -> Vec<String> {
    let mut readings = vec![text.to_owned(), text.replace("\\n", "\n"), unpercent(text)];
    let mut said: Vec<Vec<String>> = Vec::new();
    let mut plain = String::new();
    for line in text.lines() {
        let line = line.strip_prefix("data: ").unwrap_or(line);
        match serde_json::from_str::<Value>(line) {
            Ok(value) if value.is_object() || value.is_array() => {
                let mut strings = Vec::new();
                collect(&value, &mut strings);
                said.push(strings);
            }
            _ => plain.push_str(line),
        }
    }
    readings.push(plain);
    // The strings at one place of all events, one behind the other.
    for place in 0..said.iter().map(Vec::len).max().unwrap_or(0) {
        let joined: String =
            said.iter().filter_map(|strings| strings.get(place)).map(String::as_str).collect();
        if serde_json::from_str::<Value>(&joined).is_ok_and(|value| value.is_object()) && joined != text {
            readings.extend(self::readings(&joined));
        }
        readings.push(joined);
    }
    readings
}

fn collect(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
        Value::Object(fields) => fields.values().for_each(|field| collect(field, into)),
        _ => {}
    }
}

fn unpercent(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (first, code) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether a reader of the text sees the secret.
pub fn is_seen(readings: &[String], secret: &Planted) -> bool {
    readings.iter().any(|reading| secret.needles.iter().any(|needle| reading.contains(needle.as_str())))
}
