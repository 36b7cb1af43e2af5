//! Reads one cookie from a `cookie` header, borrowed from the header's value.

/// The value of the first cookie called `name` (exact case, as RFC 6265 has it) in the value of a `cookie` header. Quotes
/// around the value are left away; an empty value counts as no cookie.
#[must_use]
pub fn cookie_value<'v>(header: &'v [u8], name: &str) -> Option<&'v [u8]> {
    header.split(|byte| *byte == b';').find_map(|pair| {
        let pair = pair.trim_ascii();
        let value =
            pair.strip_prefix(name.as_bytes())?.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
        let bare = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value);
        (!bare.is_empty()).then_some(bare)
    })
}
