//! What is kept of a leg besides bodies, sizes, times and status. Each detail becomes a tag of the sample.

use weir_document::{Collector, Items, Path, document};

use crate::check::check_kept_header;
use crate::hash::session_hash;
use crate::{HeaderName, IdentitySource, Policy, RequestView};

document! {
    /// What is kept of an exchange besides bodies, sizes, times and status.
    pub struct Details {
        /// Request headers that are kept, of the primary leg; 256 bytes of each.
        pub request_headers: Option<Vec<HeaderName>> => Items(1..=32),
        /// Response headers that are kept, of every leg; 256 bytes of each.
        pub response_headers: Option<Vec<HeaderName>> => Items(1..=32),
        /// Where the session is found, in order; samples carry its salted hash as `session_id`. Where it is left away, the header
        /// of `sampling.always.sessionHeader` is taken, if there is one.
        pub session: Option<Vec<IdentitySource>> => Items(1..=8),
        /// Envoy's response flags, the upstream's address and the attempt; costs three questions to the host per leg.
        pub upstream: bool = false,
    }
    check check_request_headers(request_headers);
    check check_response_headers(response_headers);
}

impl Policy {
    /// Whether it says where a session is found.
    #[must_use]
    pub fn knows_sessions(&self) -> bool {
        self.session_sources().is_some() || self.session_header().is_some()
    }

    /// Stands for the session of a request; none where it has none, or the policy does not say where it is found.
    #[must_use]
    pub fn session_hash<V: RequestView + ?Sized>(&self, request: &V) -> Option<u64> {
        let hash = |session: &[u8]| session_hash(self.salt(), session);
        if let Some(sources) = self.session_sources() {
            return sources.iter().find_map(|source| source.find(request)).map(|session| hash(&session));
        }
        let session = request.header(self.session_header()?)?;
        (!session.is_empty()).then(|| hash(session))
    }

    fn session_sources(&self) -> Option<&[IdentitySource]> {
        self.capture.as_ref()?.session.as_deref()
    }

    fn session_header(&self) -> Option<&str> {
        self.sampling.always.as_ref()?.session_header.as_deref()
    }
}

fn check_request_headers(headers: &Option<Vec<HeaderName>>, at: &Path<'_>, problems: &mut Collector) {
    check_headers(headers, &at.key("requestHeaders"), problems);
}

fn check_response_headers(headers: &Option<Vec<HeaderName>>, at: &Path<'_>, problems: &mut Collector) {
    check_headers(headers, &at.key("responseHeaders"), problems);
}

fn check_headers(headers: &Option<Vec<HeaderName>>, at: &Path<'_>, problems: &mut Collector) {
    let headers = headers.as_deref().unwrap_or_default();
    for (index, header) in headers.iter().enumerate() {
        let at = at.index(index);
        check_kept_header(header, &at, problems);
        if headers.iter().take(index).any(|earlier| earlier == header) {
            problems.report(&at, "stands there twice").text_value(header);
        }
    }
}
