//! What an exchange asks of its host: each call costs about a microsecond of Envoy's time, more than all else that the filter does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod double;

use double::proxy::{INTERNAL, POLICY_ROOT, Proxy, SHADOW_ROOT, USER, pairs};

const NOTHING: &str = "shadow: {percent: 0}\nnoise: {percent: 0}\n";
const SHADOW: &str = "shadow: {percent: 100}\nnoise: {percent: 0}\nrouting: {upstreamHeaders: []}\n";
const UNTOLD: &str = "responseHeaders: {variant: false, revision: false}\n";

/// Host calls of a stream's parts: headers and body of the request, headers and body of the response, its end.
fn calls(proxy: &mut Proxy, root: u32, headers: &[(&str, &str)]) -> [usize; 5] {
    let counted = |proxy: &Proxy| proxy.host.0.calls.replace(0);
    counted(proxy);
    let stream = proxy.open(root, headers, false);
    let request_headers = counted(proxy);
    proxy.request_body(stream, b"question", false);
    proxy.request_body(stream, b"", true);
    let request_body = counted(proxy);
    // As Envoy passes an answer that says its length: all bytes, then an end without bytes.
    *proxy.host.0.response.borrow_mut() =
        pairs(&[(":status", "200"), ("content-type", "application/json"), ("content-length", "6")]);
    proxy.filter.on_response_headers(stream, false);
    let response_headers = counted(proxy);
    *proxy.host.0.chunk.borrow_mut() = b"answer".to_vec();
    proxy.filter.on_response_body(stream, 6, false);
    proxy.filter.on_response_body(stream, 0, true);
    let response_body = counted(proxy);
    proxy.filter.on_delete(stream);
    [request_headers, request_body, response_headers, response_body, counted(proxy)]
}

#[test]
fn an_exchange_that_is_only_routed_reads_its_headers_once_and_sets_what_it_has_to_say() {
    let mut told = Proxy::new(NOTHING);
    assert_eq!(calls(&mut told, POLICY_ROOT, USER), [1, 0, 2, 0, 0], "control");
    let mut untold = Proxy::new(&format!("{NOTHING}{UNTOLD}"));
    assert_eq!(calls(&mut untold, POLICY_ROOT, USER), [1, 0, 0, 0, 0], "control, and nobody is told");
    let mut candidate = Proxy::new(&format!("{NOTHING}{UNTOLD}routing: {{upstreamHeaders: []}}\n"));
    assert_eq!(calls(&mut candidate, POLICY_ROOT, INTERNAL), [2, 0, 0, 0, 0], "the candidate's mark");
}

#[test]
fn a_pair_of_captured_answers_takes_thirteen_calls() {
    let mut proxy = Proxy::new(SHADOW);
    let copy = &[("x-request-id", "r-1"), ("x-weir-leg", "shadow")];
    // The time and the copy's mark; the question; the headers, and two of its own; the time and the answer.
    assert_eq!(calls(&mut proxy, POLICY_ROOT, USER), [3, 1, 3, 2, 0]);
    // The id of its original; nothing of the question; the headers; the time and the answer.
    assert_eq!(calls(&mut proxy, SHADOW_ROOT, copy), [1, 0, 1, 2, 0]);
}

#[test]
fn a_filter_that_is_off_asks_nothing() {
    let mut proxy = Proxy::new("mode: off\n");
    assert_eq!(calls(&mut proxy, POLICY_ROOT, USER), [0; 5]);
}
