//! Texts with a form: names, clusters, header names. What is accepted here can be written into a header, a metric's name or a
//! folder's name without escaping.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};
use serde_json::Value;
use weir_document::{Allowed, Collector, Decode, Path, Refusal};

/// Longest header name, in bytes.
const HEADER_BYTES_MAX: usize = 128;

/// The form of a text field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// 1 to 63 of `a-z`, `0-9` and `-`.
    Label,
    /// 1 to 255 visible ASCII characters: the name of an Envoy cluster.
    Cluster,
    /// 1 to 128 visible ASCII characters.
    Visible,
    /// 1 to 128 of letters, digits and `._:/@+-`: the name or version of a part of a snapshot.
    Component,
    /// 1 to 128 characters of an HTTP token: the name of a cookie.
    Token,
    /// 1 to 255 visible ASCII characters without `/`: a host, with or without port.
    Authority,
    /// `/` and up to 1,023 visible ASCII characters.
    UrlPath,
    /// Up to 1,024 bytes without control characters: compared with header values.
    HeaderValue,
}

/// Name of a header in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeaderName(Cow<'static, str>);

impl Text {
    /// Regular expression of the form, as JSON Schema wants it.
    #[must_use]
    pub const fn pattern(self) -> &'static str {
        match self {
            Text::Label => "^[a-z0-9-]{1,63}$",
            Text::Cluster => "^[!-~]{1,255}$",
            Text::Visible => "^[!-~]{1,128}$",
            Text::Component => "^[A-Za-z0-9._:/@+-]{1,128}$",
            Text::Token => "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$",
            Text::Authority => "^[!-.0-~]{1,255}$",
            Text::UrlPath => "^/[!-~]{0,1023}$",
            Text::HeaderValue => "^[^\\u0000-\\u001f\\u007f]{0,1024}$",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Text::Label => "1 to 63 of a-z, 0-9 and -",
            Text::Cluster => "1 to 255 visible ASCII characters",
            Text::Visible => "1 to 128 visible ASCII characters",
            Text::Component => "1 to 128 of letters, digits and . _ : / @ + -",
            Text::Token => "1 to 128 of letters, digits and ! # $ % & ' * + - . ^ _ ` | ~",
            Text::Authority => "1 to 255 visible ASCII characters without /",
            Text::UrlPath => "/ and up to 1023 visible ASCII characters",
            Text::HeaderValue => "up to 1024 bytes without control characters",
        }
    }

    fn accepts(self, text: &str) -> bool {
        let all = |max: usize, byte: fn(&u8) -> bool| {
            (1..=max).contains(&text.len()) && text.as_bytes().iter().all(byte)
        };
        match self {
            Text::Label => all(63, |b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-'),
            Text::Cluster => all(255, u8::is_ascii_graphic),
            Text::Visible => all(128, u8::is_ascii_graphic),
            Text::Component => all(128, |b| b.is_ascii_alphanumeric() || b"._:/@+-".contains(b)),
            Text::Token => all(128, is_token_byte),
            Text::Authority => all(255, |b| b.is_ascii_graphic() && *b != b'/'),
            Text::UrlPath => text.starts_with('/') && all(1_024, u8::is_ascii_graphic),
            Text::HeaderValue => text.len() <= 1_024 && !text.bytes().any(|b| b.is_ascii_control()),
        }
    }
}

impl Allowed<String> for Text {
    fn check(&self, value: &String) -> Result<(), Refusal> {
        if self.accepts(value) {
            return Ok(());
        }
        let message =
            if value.is_empty() { "is empty" } else { "has characters or a length that are not allowed" };
        Err(Refusal::new(message, self.description()))
    }

    fn describe(&self, schema: &mut Schema) {
        schema.insert("pattern".to_owned(), Value::from(self.pattern()));
    }
}

impl HeaderName {
    /// A name that stands in the code, in lower case.
    #[must_use]
    pub const fn fixed(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// A name in any case; none where it is not a header name. Pseudo-headers such as `:path` count.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let token = name.strip_prefix(':').unwrap_or(name);
        let valid =
            !token.is_empty() && name.len() <= HEADER_BYTES_MAX && token.as_bytes().iter().all(is_token_byte);
        valid.then(|| Self(Cow::Owned(name.to_ascii_lowercase())))
    }

    /// The name in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is a pseudo-header such as `:path`.
    #[must_use]
    pub fn is_pseudo(&self) -> bool {
        self.0.starts_with(':')
    }
}

impl Deref for HeaderName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Decode for HeaderName {
    fn decode(node: &Value, at: &Path<'_>, problems: &mut Collector) -> Option<Self> {
        let text = String::decode(node, at, problems)?;
        let name = Self::new(&text);
        if name.is_none() {
            problems
                .report(at, "is not a header name")
                .value(node)
                .allowed("1 to 128 of letters, digits and ! # $ % & ' * + - . ^ _ ` | ~");
        }
        name
    }
}

impl Serialize for HeaderName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl JsonSchema for HeaderName {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("HeaderName")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "string",
            "maxLength": HEADER_BYTES_MAX,
            "pattern": "^:?[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
        })
    }
}

/// Characters of a token, RFC 9110 section 5.6.2.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "goes into `all` over bytes by reference")]
fn is_token_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
}
