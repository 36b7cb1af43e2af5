//! Details of a leg that a policy asks for: headers by name, and what the host knows of the upstream. Each is a tag.
//!
//! Headers cost no host call: they are read from the maps that are read anyway. Bounds: names by the policy, 256 bytes of
//! each value.

use std::rc::Rc;

use weir_policy::{HeaderName, flag_names};

use crate::active::Active;
use crate::captured::Captured;
use crate::filter::Filter;
use crate::headers::Headers;
use crate::host::Host;
use crate::texts::TEXT_BYTES_MAX;

/// A tag of a sample: its name, which all legs of a policy share, and its value.
pub(crate) type Tag = (Rc<str>, Box<str>);

/// A header that is kept, with its tag's name.
#[derive(Debug)]
pub(crate) struct Kept {
    header: HeaderName,
    tag: Rc<str>,
}

/// The tags' names of the host's details.
const UPSTREAM: [(&str, &[&str]); 2] = [
    ("envoy.upstream_host", &["upstream", "address"]),
    ("envoy.attempt", &["upstream", "request_attempt_count"]),
];
const FLAGS: &str = "envoy.response_flags";

/// What to keep, ready to be compared.
pub(crate) fn kept(prefix: &str, headers: Option<&Vec<HeaderName>>) -> Vec<Kept> {
    let kept =
        |header: &HeaderName| Kept { tag: format!("{prefix}.{header}").into(), header: header.clone() };
    headers.into_iter().flatten().map(kept).collect()
}

/// The tags of the headers that are there.
pub(crate) fn tags(kept: &[Kept], headers: Headers<'_>, into: &mut Vec<Tag>) {
    for Kept { header, tag } in kept {
        if let Some(value) = headers.get(header.as_bytes()) {
            let value = value.get(..TEXT_BYTES_MAX).unwrap_or(value);
            into.push((Rc::clone(tag), String::from_utf8_lossy(value).into()));
        }
    }
}

impl<H: Host> Filter<H> {
    /// Asks the host what it knows of the upstream, where the policy wants it.
    pub(crate) fn upstream_details(&mut self, captured: &mut Captured) {
        let active: &Active = &captured.exchange.active;
        if !active.policy.capture.as_ref().is_some_and(|details| details.upstream) {
            return;
        }
        if let Some(flags) = self.response_flags().filter(|flags| *flags != 0) {
            captured.tags.push((FLAGS.into(), flag_names(flags).into()));
        }
        for (tag, path) in UPSTREAM {
            let mut bytes = self.take_scratch();
            if self.host.property(path, &mut bytes) == Ok(true) {
                let value = match (tag, bytes.first_chunk::<8>()) {
                    ("envoy.attempt", Some(number)) => u64::from_le_bytes(*number).to_string(),
                    _ => String::from_utf8_lossy(bytes.get(..TEXT_BYTES_MAX).unwrap_or(&bytes)).into_owned(),
                };
                captured.tags.push((tag.into(), value.into()));
            }
            self.return_scratch(bytes);
        }
    }
}
