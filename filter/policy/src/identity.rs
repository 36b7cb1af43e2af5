//! Where a request's identity is found: header, cookie, query parameter, claim, trace id, client address.
//!
//! Sources are asked in the policy's order and the first that gives something counts. A value borrows from the request
//! where it can; claims and addresses come from the host, and a query parameter with escapes is decoded, so those allocate.
//! Empty values do not count.

use std::borrow::Cow;
use std::fmt;

use weir_document::{choice, document};

use crate::check::{check_claim, check_identity};
use crate::{HeaderName, RequestView, Text, cookie_value};

/// Dynamic metadata of Envoy's JWT filter.
const JWT_NAMESPACE: &str = "envoy.filters.http.jwt_authn";

/// Longest text that a claim's number can have, and more than a double needs.
const NUMBER_BYTES: usize = 8;

document! {
    /// One place where a request's identity may be found: exactly one of its fields.
    pub struct IdentitySource {
        /// Header that holds the identity.
        pub header: Option<HeaderName>,
        /// Cookie that holds the identity.
        pub cookie: Option<String> => Text::Token,
        /// Parameter of the path's query that holds the identity; escapes are decoded.
        pub query: Option<String> => Text::Visible,
        /// Claim of a token that an earlier filter has verified.
        pub claim: Option<Claim>,
        /// What every request has or may have, whoever sends it.
        pub from: Option<IdentityFrom>,
    }
    validate check_identity;
}

document! {
    /// A claim in Envoy's dynamic metadata, where the filter `jwt_authn` puts the payload of a verified token. A number is
    /// taken as its digits; lists, objects and truth values are no identity.
    pub struct Claim {
        /// Name of the claim, such as `sub`.
        pub name: String => Text::Visible,
        /// Key under which the payload is stored: `payload_in_metadata` of the JWT provider.
        pub payload: String = "payload".to_owned() => Text::Visible,
        /// Namespace of the metadata.
        pub namespace: String = JWT_NAMESPACE.to_owned() => Text::Visible,
    }
    validate check_claim;
}

choice! {
    /// An identity that needs no name.
    pub enum IdentityFrom {
        /// The trace id of a W3C `traceparent` header: sticky for one trace only.
        TraceId = "trace-id",
        /// The client's address without port, as Envoy determines it (`x-forwarded-for` of trusted hops counts).
        ClientAddress = "client-address",
    }
}

impl IdentitySource {
    /// The identity that this source gives; empty values do not count.
    #[must_use]
    pub fn find<'r, V: RequestView + ?Sized>(&self, request: &'r V) -> Option<Cow<'r, [u8]>> {
        let value = if let Some(header) = &self.header {
            Cow::Borrowed(request.header(header)?)
        } else if let Some(cookie) = &self.cookie {
            Cow::Borrowed(cookie_value(request.header("cookie")?, cookie)?)
        } else if let Some(name) = &self.query {
            query_value(request.header(":path")?, name.as_bytes())?
        } else if let Some(claim) = &self.claim {
            claim_text(request.claim(claim)?)?
        } else {
            match self.from? {
                IdentityFrom::TraceId => Cow::Borrowed(trace_id(request.header("traceparent")?)?),
                IdentityFrom::ClientAddress => without_port(request.client_address()?),
            }
        };
        (!value.is_empty()).then_some(value)
    }

    /// The request header that this source reads; none where it asks the host.
    #[must_use]
    pub fn header_read(&self) -> Option<&str> {
        let pseudo = |there: bool, name: &'static str| there.then_some(name);
        self.header
            .as_deref()
            .or_else(|| pseudo(self.cookie.is_some(), "cookie"))
            .or_else(|| pseudo(self.query.is_some(), ":path"))
            .or_else(|| pseudo(self.from == Some(IdentityFrom::TraceId), "traceparent"))
    }
}

impl fmt::Display for IdentitySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(header) = &self.header {
            write!(f, "header {header}")
        } else if let Some(cookie) = &self.cookie {
            write!(f, "cookie {cookie}")
        } else if let Some(name) = &self.query {
            write!(f, "query parameter {name}")
        } else if let Some(claim) = &self.claim {
            write!(f, "claim {}", claim.name)
        } else {
            match self.from {
                Some(IdentityFrom::TraceId) => f.write_str("trace id"),
                Some(IdentityFrom::ClientAddress) => f.write_str("client address"),
                None => f.write_str("nothing"),
            }
        }
    }
}

/// The first value of a parameter in the query of a path, `%XX` and `+` decoded; names are compared after decoding. An
/// empty value counts as no parameter. A `%` that two hex digits do not follow stands for itself.
#[must_use]
pub fn query_value<'v>(path: &'v [u8], name: &[u8]) -> Option<Cow<'v, [u8]>> {
    let path = path.split(|byte| *byte == b'#').next()?;
    let start = path.iter().position(|byte| *byte == b'?')?;
    path.get(start + 1..)?.split(|byte| *byte == b'&').find_map(|pair| {
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (key, value) = pair.split_at_checked(equals)?;
        let value = value.get(1..).filter(|value| !value.is_empty())?;
        (unescape(key) == name).then(|| unescape(value))
    })
}

fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        match (first, escaped(behind)) {
            (b'%', Some(byte)) => {
                plain.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            (b'+', _) => plain.push(b' '),
            _ => plain.push(*first),
        }
    }
    Cow::Owned(plain)
}

fn escaped(behind: &[u8]) -> Option<u8> {
    let digit = |index: usize| char::from(*behind.get(index)?).to_digit(16);
    u8::try_from(16 * digit(0)? + digit(1)?).ok()
}

/// The trace id of a `traceparent` (W3C Trace Context, version 00 and later): 32 lowercase hex digits, not all zero.
fn trace_id(value: &[u8]) -> Option<&[u8]> {
    let hex = |digits: &[u8]| digits.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let (version, rest) = value.split_at_checked(2)?;
    let (id, behind) = rest.strip_prefix(b"-")?.split_at_checked(32)?;
    let valid = hex(version)
        && version != b"ff"
        && hex(id)
        && id.iter().any(|byte| *byte != b'0')
        && behind.first() == Some(&b'-');
    valid.then_some(id)
}

/// Envoy writes `192.0.2.1:80` and `[2001:db8::1]:80`.
fn without_port(address: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let colons = address.iter().filter(|byte| **byte == b':').count();
    let (start, end) = if address.first() == Some(&b'[') {
        (1, address.iter().position(|byte| *byte == b']').unwrap_or(address.len()))
    } else if colons == 1 {
        (0, address.iter().position(|byte| *byte == b':').unwrap_or(address.len()))
    } else {
        (0, address.len())
    };
    match address {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(start..end).unwrap_or_default()),
        Cow::Owned(text) => Cow::Owned(text.get(start..end).unwrap_or_default().to_vec()),
    }
}

/// The host gives text as it is and a number as eight bytes of a double. A number of this size always has a byte that is
/// no text, unless it is beyond 2^44, where it could be mistaken for one.
fn claim_text(value: Cow<'_, [u8]>) -> Option<Cow<'_, [u8]>> {
    if !value.iter().any(u8::is_ascii_control) && std::str::from_utf8(&value).is_ok() {
        return Some(value);
    }
    let bytes: [u8; NUMBER_BYTES] = value.as_ref().try_into().ok()?;
    let number = f64::from_le_bytes(bytes);
    let whole = number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0;
    whole.then(|| Cow::Owned(format!("{number:.0}").into_bytes()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_claim_is_text_or_a_whole_number() {
        let text = |value: &[u8]| {
            claim_text(Cow::Borrowed(value)).map(|text| String::from_utf8_lossy(&text).into_owned())
        };
        assert_eq!(text(b"auth0|5f7c"), Some("auth0|5f7c".to_owned()));
        assert_eq!(text("zo\u{eb}".as_bytes()), Some("zo\u{eb}".to_owned()));
        assert_eq!(text(&42.0_f64.to_le_bytes()), Some("42".to_owned()));
        assert_eq!(text(&1_700_000_000_123.0_f64.to_le_bytes()), Some("1700000000123".to_owned()));
        for none in [&1.5_f64.to_le_bytes()[..], &[1], &[0], b"\x02\0\0\0ab", &f64::NAN.to_le_bytes()] {
            assert_eq!(text(none), None, "{none:?}");
        }
    }

    #[test]
    fn the_port_of_an_address_does_not_count() {
        for (address, host) in [
            ("192.0.2.7:40312", "192.0.2.7"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("192.0.2.7", "192.0.2.7"),
            ("2001:db8::1", "2001:db8::1"),
            ("[::1", "::1"),
            ("", ""),
        ] {
            assert_eq!(without_port(Cow::Borrowed(address.as_bytes())).as_ref(), host.as_bytes());
            assert_eq!(without_port(Cow::Owned(address.as_bytes().to_vec())).as_ref(), host.as_bytes());
        }
    }

    #[test]
    fn a_trace_id_is_taken_from_a_well_formed_traceparent_only() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let found =
            |text: String| trace_id(text.as_bytes()).map(|id| String::from_utf8_lossy(id).into_owned());
        assert_eq!(found(format!("00-{id}-00f067aa0ba902b7-01")).as_deref(), Some(id));
        assert_eq!(found(format!("cc-{id}-00f067aa0ba902b7-01-later")).as_deref(), Some(id));
        for text in [
            format!("ff-{id}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", id.to_uppercase()),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{id}0-00f067aa0ba902b7-01"),
            format!("00-{id}"),
            id.to_owned(),
            String::new(),
        ] {
            assert_eq!(found(text.clone()), None, "{text}");
        }
    }
}
