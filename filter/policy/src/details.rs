//! What is kept of a leg besides bodies, sizes, times and status. Each detail becomes a tag of the sample.

use weir_document::{Collector, Items, Path, document};

use crate::HeaderName;
use crate::check::check_kept_header;

document! {
    /// What is kept of an exchange besides bodies, sizes, times and status.
    pub struct Details {
        /// Request headers that are kept, of the primary leg; 256 bytes of each.
        pub request_headers: Option<Vec<HeaderName>> => Items(1..=32),
        /// Response headers that are kept, of every leg; 256 bytes of each.
        pub response_headers: Option<Vec<HeaderName>> => Items(1..=32),
        /// Envoy's response flags, the upstream's address and the attempt; costs three questions to the host per leg.
        pub upstream: bool = false,
    }
    check check_request_headers(request_headers);
    check check_response_headers(response_headers);
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
