//! Sampling and details, against a host in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod double;

use double::proxy::{INTERNAL, POLICY_ROOT, Proxy, pairs};
use weir_wire::Leg;

const NO_COPIES: &str = "shadow: {percent: 0}\nnoise: {percent: 0}\n";

/// One exchange without copies.
fn exchange(proxy: &mut Proxy, headers: &[(&str, &str)], status: &str, waits_ms: u64) {
    let stream = proxy.open(POLICY_ROOT, headers, true);
    proxy.host.advance_ms(waits_ms);
    proxy.answer(stream, status, &[b"an", b"swer"]);
    proxy.filter.on_delete(stream);
}

/// Everything that was captured so far.
fn shipped(proxy: &mut Proxy) -> Vec<Leg> {
    for _ in 0..50 {
        proxy.tick();
        proxy.sink_answers("200");
    }
    proxy.posted()
}

const USER: &[(&str, &str)] = &[(":path", "/"), ("x-user-id", "ada")];

#[test]
fn rules_at_the_end_keep_what_the_share_would_have_missed_with_certainty() {
    let mut proxy = Proxy::new(&format!(
        "{NO_COPIES}sampling: {{percent: 0, always: {{statuses: [5xx, 429], slowMs: 1000}}}}\n"
    ));
    exchange(&mut proxy, USER, "200", 0);
    exchange(&mut proxy, USER, "503", 0);
    exchange(&mut proxy, USER, "404", 0);
    exchange(&mut proxy, USER, "429", 0);
    exchange(&mut proxy, USER, "200", 1_001);
    exchange(&mut proxy, USER, "200", 900);
    let legs = shipped(&mut proxy);
    assert_eq!(legs.iter().map(|leg| leg.status).collect::<Vec<_>>(), [503, 429, 200]);
    assert!(legs[2].latency_ms.unwrap() > 1_000.0);
    for (number, leg) in legs.iter().enumerate() {
        assert_eq!(leg.inclusion_probability, 1.0);
        assert_eq!(leg.sequence, number as u64, "what is forgotten has no number");
        assert_eq!(leg.response_body, b"answer");
    }
}

#[test]
fn a_rule_makes_a_drawn_exchange_certain_too_and_leaves_the_others_their_share() {
    let mut proxy =
        Proxy::new(&format!("{NO_COPIES}sampling: {{percent: 50, always: {{statuses: [500]}}}}\n"));
    for number in 0..100 {
        exchange(&mut proxy, USER, if number % 2 == 0 { "500" } else { "200" }, 0);
    }
    let legs = shipped(&mut proxy);
    let (failed, good): (Vec<_>, Vec<_>) = legs.iter().partition(|leg| leg.status == 500);
    assert_eq!(failed.len(), 50);
    assert!(failed.iter().all(|leg| leg.inclusion_probability == 1.0));
    assert!((10..40).contains(&good.len()), "{}", good.len());
    assert!(good.iter().all(|leg| leg.inclusion_probability == 0.5));
}

#[test]
fn broken_off_and_cut_exchanges_are_kept_where_the_policy_says_so() {
    let limits = "limits: {bodyBytesMax: 1024, bodyTailBytesMax: 0}\n";
    let mut proxy =
        Proxy::new(&format!("{NO_COPIES}{limits}sampling: {{percent: 0, always: {{truncated: true}}}}\n"));
    exchange(&mut proxy, USER, "200", 0);
    let broken = proxy.open(POLICY_ROOT, USER, true);
    *proxy.host.0.response.borrow_mut() = pairs(&[(":status", "200")]);
    proxy.filter.on_response_headers(broken, false);
    proxy.filter.on_delete(broken);
    let long = proxy.open(POLICY_ROOT, USER, true);
    proxy.answer(long, "200", &[&[b'x'; 1025]]);
    proxy.filter.on_delete(long);
    let legs = shipped(&mut proxy);
    assert_eq!(
        legs.iter().map(|leg| (leg.complete, leg.response_body_bytes)).collect::<Vec<_>>(),
        [(false, 0), (true, 1025)]
    );
}

#[test]
fn response_flags_are_asked_for_only_where_a_rule_needs_them() {
    let mut proxy =
        Proxy::new(&format!("{NO_COPIES}sampling: {{percent: 0, always: {{responseFlags: [UF, UT]}}}}\n"));
    for flags in [0_u64, 1 << 5, 1 << 14, 1 << 2] {
        proxy
            .host
            .0
            .properties
            .borrow_mut()
            .insert("response.flags".to_owned(), flags.to_le_bytes().to_vec());
        exchange(&mut proxy, USER, "200", flags >> 2);
    }
    assert_eq!(shipped(&mut proxy).len(), 2);
}

#[test]
fn the_candidates_answers_and_the_first_of_a_session_are_known_at_once() {
    let mut proxy = Proxy::new(&format!(
        "{NO_COPIES}sampling: {{percent: 0, always: {{candidate: true, sessionHeader: x-chat}}}}\n"
    ));
    exchange(&mut proxy, USER, "200", 0);
    exchange(&mut proxy, INTERNAL, "200", 0);
    for chat in ["a", "a", "b", "", "a", "b"] {
        exchange(&mut proxy, &[("x-user-id", "ada"), ("x-chat", chat), (":path", chat)], "200", 0);
    }
    let legs = shipped(&mut proxy);
    let paths: Vec<_> = legs.iter().map(|leg| leg.path.as_str()).collect();
    assert_eq!(paths, ["/", "a", "b"]);
    assert_eq!(legs[0].variant, weir_wire::Variant::Candidate);
    assert!(legs.iter().all(|leg| leg.inclusion_probability == 1.0));
}

#[test]
fn a_cap_thins_what_is_drawn_and_says_so_and_a_rule_goes_before() {
    let mut proxy = Proxy::new(&format!(
        "{NO_COPIES}sampling: {{percent: 100, perSecondMax: 10, always: {{statuses: [500]}}}}\n"
    ));
    proxy.tick();
    // 100 a second for 20 seconds, of which two fail.
    for number in 0..2_000 {
        exchange(&mut proxy, USER, if number % 50 == 0 { "500" } else { "200" }, 0);
        if number % 50 == 49 {
            proxy.tick();
            proxy.sink_answers("200");
        }
    }
    let skipped = proxy.host.metric("weir_skipped_total;leg=primary;reason=per_second");
    let legs = shipped(&mut proxy);
    let (failed, good): (Vec<_>, Vec<_>) = legs.iter().partition(|leg| leg.status == 500);
    assert_eq!(failed.len(), 40, "rules use the places of the next second in advance");
    assert!(failed.iter().all(|leg| leg.inclusion_probability == 1.0));
    assert!(
        (120..=210).contains(&good.len()),
        "{} of 10 a second for 20 seconds, with {} failures",
        good.len(),
        failed.len()
    );
    // Horvitz-Thompson: the sum of 1 / probability estimates how many there were.
    let estimate: f64 = good.iter().map(|leg| 1.0 / leg.inclusion_probability).sum();
    assert!((1_200.0..=2_800.0).contains(&estimate), "{estimate} of 1960");
    assert!(skipped < 400, "most are thinned, few are skipped: {skipped}");
}

#[test]
fn a_policy_without_rules_asks_the_host_nothing_more_and_rules_at_the_start_neither() {
    let calls = |sampling: &str| {
        let mut proxy = Proxy::new(&format!("{NO_COPIES}sampling: {{percent: 0{sampling}}}\n"));
        let before = proxy.host.0.calls.get();
        exchange(&mut proxy, USER, "200", 0);
        proxy.host.0.calls.get() - before
    };
    assert_eq!(calls(""), 3);
    assert_eq!(calls(", perSecondMax: 5, always: {candidate: true, sessionHeader: x-chat}"), 3);
}

#[test]
fn details_that_were_asked_for_are_tags_and_headers_cost_no_host_call() {
    let sampled = format!("{NO_COPIES}sampling: {{percent: 100}}\n");
    let headers = &[
        ("x-user-id", "ada"),
        ("x-app", "shop"),
        ("x-long", &"y".repeat(300)),
        ("x-else", "z"),
        ("authorization", "secret"),
    ];
    let run = |capture: &str| {
        let mut proxy = Proxy::new(&format!("{sampled}{capture}"));
        for (name, value) in [
            ("response.flags", (1_u64 << 15 | 1 << 5).to_le_bytes().to_vec()),
            ("upstream.address", b"10.0.0.1:80".to_vec()),
            ("upstream.request_attempt_count", 2_u64.to_le_bytes().to_vec()),
        ] {
            proxy.host.0.properties.borrow_mut().insert(name.to_owned(), value);
        }
        let before = proxy.host.0.calls.get();
        exchange(&mut proxy, headers, "200", 0);
        let calls = proxy.host.0.calls.get() - before;
        (shipped(&mut proxy)[0].tags.clone(), calls)
    };
    let (none, plain) = run("");
    assert_eq!(none, []);
    let (tags, calls) =
        run("capture: {requestHeaders: [X-App, x-long, x-missing], responseHeaders: [content-type]}\n");
    let expected = [
        ("request.header.x-app", "shop"),
        ("request.header.x-long", &"y".repeat(256)),
        ("response.header.content-type", "application/json"),
    ];
    assert_eq!(tags, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(calls, plain);
    let (tags, calls) = run("capture: {upstream: true}\n");
    let expected =
        [("envoy.response_flags", "UF,URX"), ("envoy.upstream_host", "10.0.0.1:80"), ("envoy.attempt", "2")];
    assert_eq!(tags, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(calls, plain + 3);
}
