//! What the candidate's requests have other than control's: path, host, headers, fields of a JSON body.
//!
//! It is applied to requests that the candidate serves and to copies that it gets; control always gets what the client sent.

use std::collections::BTreeMap;

use serde_json::Value;
use weir_document::{Allowed, Collector, Path, document};

use crate::check::{PROTOCOL_HEADERS, is_credential};
use crate::fields::NAME_BYTES_MAX;
use crate::headers::is_reserved;
use crate::{HeaderName, Mode, Policy, Text};

/// Most headers, and most fields.
const ENTRIES_MAX: usize = 16;

document! {
    /// What the candidate's requests have other than control's.
    pub struct CandidateRequest {
        /// Replaces the path; the query stays.
        pub path: Option<String> => Text::UrlPath,
        /// Replaces the host.
        pub host: Option<String> => Text::Authority,
        /// Headers that are set.
        pub headers: BTreeMap<String, String> = BTreeMap::new(),
        /// Fields at the top of a JSON body that are set, whether or not they are there: `model`, parameters.
        pub body: BTreeMap<String, Value> = BTreeMap::new(),
        /// Bytes of the largest body in which fields are set. A larger one, or one whose length is not known, that is not JSON
        /// or that is compressed, stays on control, takes no part in the comparison and is counted.
        pub body_bytes_max: u64 = 1_048_576 => 1..=16_777_216,
    }
    validate check_request;
}

impl Policy {
    /// What the candidate's requests have other than control's, while the candidate gets any.
    #[must_use]
    pub fn candidate_request(&self) -> Option<&CandidateRequest> {
        let serves = matches!(self.mode, Mode::Shadow | Mode::Canary | Mode::Full);
        self.candidate.as_ref().filter(|_| serves)?.request.as_ref()
    }
}

fn check_request(request: &CandidateRequest, at: &Path<'_>, problems: &mut Collector) {
    if request.path.is_none()
        && request.host.is_none()
        && request.headers.is_empty()
        && request.body.is_empty()
    {
        problems
            .report(at, "changes nothing")
            .hint("set path, host, headers or body, for example body: {model: NAME}");
    }
    if let Some(path) = request.path.as_ref().filter(|path| path.contains(['?', '#'])) {
        problems
            .report(&at.key("path"), "has a query or a fragment")
            .text_value(path)
            .hint("the query of the client's request stays as it is");
    }
    for (key, length) in [("headers", request.headers.len()), ("body", request.body.len())] {
        if length > ENTRIES_MAX {
            problems
                .report(&at.key(key), format!("has {length} entries"))
                .allowed(format!("0 to {ENTRIES_MAX} entries"));
        }
    }
    for (name, value) in &request.headers {
        let at = at.key("headers");
        check_header(name, value, &at.key(name), problems);
    }
    for name in request.body.keys() {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        if !(1..=NAME_BYTES_MAX).contains(&name.len()) || !name.bytes().all(plain) {
            problems
                .report(&at.key("body").key(name), "has a name that is not allowed")
                .allowed(format!("1 to {NAME_BYTES_MAX} of letters, digits, _, - and ."));
        }
    }
}

fn check_header(name: &str, value: &str, at: &Path<'_>, problems: &mut Collector) {
    let Some(header) = HeaderName::new(name) else {
        problems.report(at, "is not a header name");
        return;
    };
    if is_credential(&header) {
        problems
            .report(at, "carries credentials, which do not belong in a policy")
            .hint("let the candidate's route or cluster add them");
    } else if is_reserved(&header) {
        problems.report(at, "is the filter's own").allowed("a header that does not start with x-weir-");
    } else if header.is_pseudo() || PROTOCOL_HEADERS.contains(&header.as_str()) {
        problems.report(at, "is needed by the request itself").hint("path and host have fields of their own");
    }
    if let Err(refusal) = Text::HeaderValue.check(&value.to_owned()) {
        problems.report(at, refusal.message).text_value(value).allowed(refusal.allowed.unwrap_or_default());
    }
}
