//! Every status that a host may answer with, from every host call, in every callback of a life with everything in it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod double;

use double::Refuse;
use double::proxy::{INTERNAL, POLICY_ROOT, Proxy, SHADOW_ROOT, USER, pairs, policy};

/// The ABI's statuses but 0 (worked), and two that it does not have.
const STATUSES: [u32; 14] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, u32::MAX];

const EVERYTHING: &str = "routing: {clusterHeader: x-weir-cluster, upstreamHeaders: [experiment, variant, snapshot, autonomy]}\n\
    shadow: {percent: 100, methods: [POST], inFlightMax: 5, perMinuteMax: 50, tokensPerMinuteMax: 1000}\n\
    sampling: {percent: 50, perSecondMax: 5, always: {candidate: true, sessionHeader: x-chat, statuses: [5xx], responseFlags: [UF], slowMs: 1000, truncated: true}}\n\
    capture: {requestHeaders: [x-user-id], responseHeaders: [content-type], upstream: true}\n\
    guard: {answers: 10, answersMin: 5, failurePercentMax: 10, slowMs: 1000, slowPercentMax: 10}\n";

/// Every callback at least once; tells how many host calls there were.
fn life(text: &str, refuse: Refuse, status: u32) -> (Proxy, usize) {
    let mut proxy = Proxy::new(text);
    proxy.host.0.properties.borrow_mut().insert("response.flags".to_owned(), 64_u64.to_le_bytes().to_vec());
    proxy.host.0.calls.set(0);
    proxy.host.0.status.set(status);
    proxy.host.0.refuse.set(refuse);
    for number in 0..3 {
        proxy.exchange(&[USER, &[("x-chat", "a")]].concat());
        proxy.exchange(INTERNAL);
        let broken = proxy.open(POLICY_ROOT, INTERNAL, false);
        proxy.request_body(broken, b"x", false);
        proxy.filter.on_request_trailers(broken);
        *proxy.host.0.response.borrow_mut() = pairs(&[(":status", if number == 0 { "500" } else { "200" })]);
        proxy.filter.on_response_headers(broken, false);
        proxy.filter.on_response_body(broken, 1, false);
        if number == 1 {
            proxy.filter.on_response_trailers(broken);
        }
        proxy.filter.on_delete(broken);
        let copy = proxy.open(SHADOW_ROOT, &[("x-request-id", "r-1"), ("x-weir-leg", "shadow")], true);
        proxy.filter.on_delete(copy);
        proxy.exchange(&[("x-weir-variant", "candidate"), (":method", "GET")]);
        proxy.tick();
        proxy.sink_answers(["503", "200", "400"][number]);
    }
    proxy.filter.on_create(9, 0);
    proxy.configure(9, &policy(&format!("revision: 8\n{text}")));
    proxy.configure(9, "nonsense: [");
    proxy.configure(SHADOW_ROOT, "{apiVersion: weir/v1, kind: Capture, leg: shadow}");
    proxy.exchange(USER);
    proxy.filter.on_delete(POLICY_ROOT);
    proxy.filter.on_tick(9);
    proxy.filter.on_call_response(9, 99, 0, 0);
    let calls = proxy.host.0.calls.get();
    (proxy, calls)
}

#[test]
fn no_status_of_any_host_call_in_any_callback_harms_an_exchange() {
    let calling_out =
        EVERYTHING.replace("percent: 100, methods", "percent: 100, transport: callout, methods");
    assert_ne!(calling_out, EVERYTHING);
    for text in [EVERYTHING, &calling_out] {
        survives(text);
    }
}

fn survives(text: &str) {
    let (_, calls) = life(text, Refuse::Nothing, 0);
    assert!(calls > 150, "{calls}");
    for nth in 0..calls {
        // Whether one call or all from it on: the statuses take turns, and each meets each call in the long run.
        let statuses = if std::env::var_os("WEIR_MUTATION_SECONDS").is_some() { STATUSES.len() } else { 1 };
        for turn in 0..statuses {
            let status = STATUSES[(nth + turn * 5) % STATUSES.len()];
            for refuse in [Refuse::Nth(nth), Refuse::From(nth)] {
                let (mut proxy, _) = life(text, refuse, status);
                proxy.host.0.refuse.set(Refuse::Nothing);
                // Whatever happened, the filter still works.
                let routed = proxy.exchange_on(9, INTERNAL);
                let wanted = routed.variant.is_some();
                assert_eq!(
                    routed.cluster.as_deref() == Some("candidate"),
                    wanted,
                    "call {nth}, status {status}"
                );
            }
        }
    }
    for status in STATUSES {
        life(text, Refuse::Everything, status);
    }
}
