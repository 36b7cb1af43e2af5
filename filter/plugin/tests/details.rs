//! Sessions, the time of the first token, and a sink that says when it wants to be asked again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod double;

use double::proxy::{POLICY_ROOT, Proxy, pairs};
use weir_wire::{Leg, LegKind};

const ALONE: &str = "mode: shadow\nshadow: {percent: 100}\nnoise: {percent: 0}\n";

/// A stream of events: 10 ms before its headers and before each of its chunks.
fn streamed(proxy: &mut Proxy, headers: &[(&str, &str)], chunks: &[&str]) -> Option<f64> {
    let user = [("x-user-id", "ada"), ("x-request-id", "r-1")];
    let stream = proxy.open(POLICY_ROOT, &user, true);
    *proxy.host.0.response.borrow_mut() = pairs(&[[(":status", "200")].as_slice(), headers].concat());
    proxy.host.advance_ms(10);
    proxy.filter.on_response_headers(stream, false);
    for (index, chunk) in chunks.iter().enumerate() {
        proxy.host.advance_ms(10);
        *proxy.host.0.chunk.borrow_mut() = chunk.as_bytes().to_vec();
        proxy.filter.on_response_body(stream, chunk.len(), index + 1 == chunks.len());
    }
    proxy.filter.on_delete(stream);
    proxy.tick();
    let leg = proxy.posted().pop().unwrap();
    // The double's clock moves a little with every question.
    let whole = |time_ms: Option<f64>| time_ms.map(f64::round);
    let latency_ms = 10.0 + 10.0 * chunks.len() as f64;
    assert_eq!((whole(leg.ttfb_ms), whole(leg.latency_ms)), (Some(10.0), Some(latency_ms)));
    whole(leg.ttft_ms)
}

#[test]
fn the_first_token_of_a_stream_is_its_first_event_with_content_and_not_its_first_byte() {
    const EVENTS: (&str, &str) = ("content-type", "text/event-stream; charset=utf-8");
    const CHUNKS: &[&str] = &[
        ": connected\n\ndata: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"cont",
        "ent\":\"Hel\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"lo\"}}]}\n\n",
        "data: [DONE]\n\n",
    ];
    let of = |headers: &[(&str, &str)], chunks: &[&str]| streamed(&mut Proxy::new(ALONE), headers, chunks);
    assert_eq!(of(&[EVENTS], CHUNKS), Some(30.0));
    assert_eq!(of(&[EVENTS], &["data: {\"choices\":[]}\n\n", "data: [DONE]\n\n"]), None, "no token");
    assert_eq!(of(&[EVENTS, ("content-encoding", "gzip")], CHUNKS), None, "not to be read here");
    assert_eq!(of(&[("content-type", "application/json")], &["{\"content\":", "\"x\"}"]), Some(20.0));
}

fn sessions(changes: &str, requests: &[&[(&str, &str)]]) -> Vec<Leg> {
    let mut proxy = Proxy::new(&format!("{ALONE}{changes}"));
    for (number, headers) in requests.iter().enumerate() {
        let id = format!("r-{number}");
        let known = [("x-user-id", "ada"), ("x-request-id", id.as_str())];
        proxy.exchange(&[known.as_slice(), headers].concat());
    }
    proxy.tick();
    proxy.posted()
}

#[test]
fn primary_legs_carry_the_hash_of_their_session_where_the_policy_says_where_it_stands() {
    let requests: &[&[(&str, &str)]] = &[
        &[("cookie", "theme=dark; chat=one"), ("x-chat", "two")],
        &[("x-chat", "one")],
        &[("x-chat", "three")],
        &[],
    ];
    let legs = sessions("capture: {session: [{cookie: chat}, {header: x-chat}]}\n", requests);
    assert_eq!(legs.len(), 8);
    let copies = legs.iter().filter(|leg| leg.leg != LegKind::Primary);
    assert!(copies.into_iter().all(|leg| leg.session_id.is_empty()), "said once");
    let ids: Vec<&str> =
        legs.iter().filter(|leg| leg.leg == LegKind::Primary).map(|leg| leg.session_id.as_str()).collect();
    assert_eq!(ids[0], ids[1], "the same session, wherever it stands");
    assert!(ids[0].len() == 16 && ids[0] != ids[2] && !ids[0].contains("one"), "{ids:?}");
    assert_eq!(ids[3], "");
    let by_rule = sessions("sampling: {percent: 0, always: {sessionHeader: x-chat}}\n", requests);
    let of_rule = by_rule.iter().filter(|leg| !leg.session_id.is_empty()).count();
    assert_eq!(of_rule, 3, "the header that first exchanges are known by is a session, too");
    assert!(sessions("", requests).iter().all(|leg| leg.session_id.is_empty()));
}

#[test]
fn a_sink_that_names_its_time_is_asked_again_then_and_not_for_ever_later() {
    let posts_after = |retry_after: Option<&str>, status: &str, waited_ms: u64| {
        let mut proxy =
            Proxy::new(&format!("{ALONE}limits: {{flushIntervalMs: 50, sampleAgeMsMax: 3600000}}\n"));
        proxy.exchange(&[("x-user-id", "ada"), ("x-request-id", "r-1")]);
        proxy.tick();
        assert_eq!(proxy.host.0.posts.borrow().len(), 1);
        let said = retry_after.map(|value| ("retry-after", value));
        let answer: Vec<_> = [(":status", status)].into_iter().chain(said).collect();
        *proxy.host.0.call_response.borrow_mut() = pairs(&answer);
        let token = proxy.host.0.next_token.get() - 1;
        proxy.filter.on_call_response(POLICY_ROOT, token, 1, 0);
        proxy.host.advance_ms(waited_ms);
        proxy.filter.on_tick(POLICY_ROOT);
        proxy.host.0.posts.borrow().len()
    };
    for status in ["429", "503"] {
        assert_eq!(posts_after(Some("5"), status, 4_990), 1, "{status}: not before");
        assert_eq!(posts_after(Some("5"), status, 5_700), 2, "{status}: with an eighth of jitter");
    }
    assert_eq!(posts_after(None, "503", 60), 2, "backoff alone");
    assert_eq!(posts_after(Some("5"), "500", 60), 2, "only of the statuses that mean it");
    assert_eq!(posts_after(Some("Sat, 21 Nov 2026 10:00:00 GMT"), "503", 60), 2, "dates are not read");
    assert_eq!(posts_after(Some("99999999999999999999"), "503", 60), 2);
    assert_eq!(posts_after(Some("4000000"), "503", 59_990), 1);
    assert_eq!(posts_after(Some("4000000"), "503", 68_000), 2, "a minute at most");
}
