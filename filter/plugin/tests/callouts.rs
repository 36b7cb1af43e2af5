//! Copies that the filter sends itself, against a host in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod double;

use double::proxy::{POLICY_ROOT, Proxy, pairs, policy};
use weir_filter::headers::Headers;
use weir_wire::LegKind;

const CALLOUT: &str = "shadow: {percent: 100, transport: callout}\nnoise: {percent: 0}\nlimits: {bodyBytesMax: 1024, bodyTailBytesMax: 64, sampleAgeMsMax: 5000}\n";
const ASKS: &[(&str, &str)] = &[
    (":method", "POST"),
    (":path", "/v1/chat?x=1"),
    (":authority", "weir.test"),
    ("x-user-id", "ada"),
    ("x-request-id", "r-1"),
    ("content-type", "application/json"),
    ("content-length", "8"),
    ("te", "trailers"),
    ("te", "deflate"),
    ("x-envoy-internal", "true"),
    ("authorization", "kept as a mirror keeps it"),
];

fn primary(proxy: &mut Proxy, body: &[u8]) {
    let stream = proxy.open(POLICY_ROOT, ASKS, false);
    assert_eq!((proxy.routed().shadow, proxy.routed().noise), (None, None), "no mirror is asked for");
    proxy.request_body(stream, body, true);
    proxy.answer(stream, "200", &[b"an", b"swer"]);
    proxy.filter.on_delete(stream);
}

/// The candidate answers the latest call; status 0: never.
fn answered(proxy: &mut Proxy, token: u32, status: &str, body: &[u8]) {
    *proxy.host.0.call_response.borrow_mut() = pairs(&[(":status", status), ("content-type", "text/plain")]);
    *proxy.host.0.chunk.borrow_mut() = body.to_vec();
    proxy.filter.on_call_response(POLICY_ROOT, token, u32::from(status != "0"), body.len());
}

/// Tokens of the calls so far: they share their numbers with the batches.
fn last_token(proxy: &Proxy) -> u32 {
    proxy.host.0.next_token.get() - 1
}

#[test]
fn a_question_is_sent_from_the_tick_with_what_the_client_asked_and_its_answer_is_paired() {
    let mut proxy = Proxy::new(CALLOUT);
    primary(&mut proxy, b"question");
    assert!(proxy.host.0.called.borrow().is_empty(), "not from the exchange");
    proxy.tick();
    let called = proxy.host.0.called.borrow().clone();
    assert_eq!(called.len(), 1);
    let (cluster, headers, body) = &called[0];
    assert_eq!((cluster.as_str(), body.as_slice()), ("candidate-shadow", &b"question"[..]));
    let headers = Headers::new(headers);
    let names: Vec<_> = headers.pairs().map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect();
    assert_eq!(
        names,
        [
            ":method",
            ":path",
            ":authority",
            "x-user-id",
            "x-request-id",
            "content-type",
            "te",
            "authorization",
            "x-weir-leg"
        ]
    );
    assert_eq!(headers.get(b"x-weir-leg"), Some(&b"shadow"[..]));
    let token = last_token(&proxy);
    // The batch with the primary leg left first.
    answered(&mut proxy, token - 1, "200", b"");
    answered(&mut proxy, token, "200", b"another answer");
    proxy.tick();
    proxy.sink_answers("200");
    proxy.tick();
    let legs = proxy.posted();
    let shadow = legs.iter().find(|leg| leg.leg == LegKind::Shadow).unwrap();
    let primary = legs.iter().find(|leg| leg.leg == LegKind::Primary).unwrap();
    assert_eq!(shadow.sample_id, primary.sample_id);
    assert_eq!(
        (shadow.status, shadow.complete, shadow.response_body.as_slice()),
        (200, true, &b"another answer"[..])
    );
    assert_eq!((shadow.ttfb_ms, shadow.ttft_ms, shadow.chunks, shadow.longest_gap_ms), (None, None, 0, None));
    assert!(shadow.latency_ms.unwrap() > 0.0 && shadow.start_unix_nano > primary.start_unix_nano);
    assert_eq!(proxy.host.metric("weir_pairs_total;leg=shadow"), 1);
    assert_eq!(proxy.host.metric("weir_pending_pairs"), 0);
}

#[test]
fn a_call_without_an_answer_is_a_leg_without_one() {
    let mut proxy = Proxy::new(CALLOUT);
    primary(&mut proxy, b"question");
    proxy.tick();
    let token = last_token(&proxy);
    answered(&mut proxy, token - 1, "200", b"");
    answered(&mut proxy, token, "0", b"");
    for _ in 0..3 {
        proxy.tick();
        proxy.sink_answers("200");
    }
    let legs = proxy.posted();
    let shadow = legs.iter().find(|leg| leg.leg == LegKind::Shadow).unwrap();
    assert_eq!((shadow.status, shadow.complete), (0, false));
    assert_eq!(proxy.host.metric("weir_pairs_total;leg=shadow"), 1);
}

#[test]
fn a_question_that_is_not_kept_whole_has_no_copy_and_is_counted() {
    let mut proxy = Proxy::new(CALLOUT);
    primary(&mut proxy, &[b'x'; 1025]);
    let huge = "y".repeat(20_000);
    proxy.open(POLICY_ROOT, &[ASKS, &[("x-huge", &huge)]].concat(), true);
    let broken = proxy.open(POLICY_ROOT, ASKS, false);
    proxy.filter.on_delete(broken);
    proxy.tick();
    assert!(proxy.host.0.called.borrow().is_empty());
    assert_eq!(proxy.host.metric("weir_skipped_total;leg=shadow;reason=too_large"), 3);
    assert_eq!(proxy.host.metric("weir_pending_pairs"), 0, "nothing is waited for");
}

#[test]
fn calls_are_bounded_and_a_push_loses_only_what_is_on_its_way() {
    let mut proxy = Proxy::new(CALLOUT);
    for _ in 0..300 {
        primary(&mut proxy, b"question");
    }
    proxy.tick();
    assert_eq!(proxy.host.0.called.borrow().len(), 100);
    assert_eq!(proxy.host.metric("weir_skipped_total;leg=shadow;reason=busy"), 44);
    proxy.filter.on_create(9, 0);
    assert!(proxy.configure(9, &policy(&format!("revision: 8\n{CALLOUT}"))));
    proxy.filter.on_delete(POLICY_ROOT);
    proxy.host.advance_ms(500);
    proxy.filter.on_tick(9);
    assert_eq!(proxy.host.0.called.borrow().len(), 200, "what waited is sent by the next root");
    assert_eq!(proxy.host.metric("weir_half_pairs_total;leg=shadow;reason=push"), 100);
    proxy.host.advance_ms(6_000);
    proxy.filter.on_tick(9);
    assert_eq!(proxy.host.metric("weir_half_pairs_total;leg=shadow;reason=age"), 156);
    assert_eq!(proxy.host.metric("weir_pending_pairs"), 0);
}

#[test]
fn an_answer_makes_place_for_the_next_question_at_once() {
    let mut proxy = Proxy::new(CALLOUT);
    for _ in 0..102 {
        primary(&mut proxy, b"question");
    }
    proxy.tick();
    let token = last_token(&proxy);
    for (answers, calls) in [(1, 101), (2, 102), (3, 102)] {
        answered(&mut proxy, token + 1 - answers, "200", b"answer");
        assert_eq!(proxy.host.0.called.borrow().len(), calls);
    }
}

#[test]
fn a_host_that_refuses_the_call_is_counted_and_nothing_waits() {
    let mut proxy = Proxy::new(CALLOUT);
    primary(&mut proxy, b"question");
    proxy.host.0.refuse.set(double::Refuse::Everything);
    proxy.tick();
    proxy.host.0.refuse.set(double::Refuse::Nothing);
    proxy.tick();
    assert_eq!(proxy.host.metric("weir_skipped_total;leg=shadow;reason=host"), 1);
    assert_eq!(proxy.host.metric("weir_pending_pairs"), 0);
}
