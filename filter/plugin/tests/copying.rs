//! Limits of shadowing, against a host in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod double;

use double::proxy::{POLICY_ROOT, Proxy, SHADOW_ROOT, USER};
use weir_wire::LegKind;

/// Opens an exchange with these headers besides a user's, and tells which copies were asked for.
fn asked(proxy: &mut Proxy, number: usize, headers: &[(&str, &str)]) -> (bool, bool) {
    let id = format!("limited-{number}");
    let all = [&[("x-user-id", "ada"), ("x-request-id", &id)], headers].concat();
    proxy.open(POLICY_ROOT, &all, false);
    (proxy.routed().shadow.is_some(), proxy.routed().noise.is_some())
}

fn skipped(proxy: &Proxy, leg: &str, reason: &str) -> u64 {
    proxy.filter.metrics().unsent(&format!("weir_skipped_total;leg={leg};reason={reason}"))
}

#[test]
fn only_allowed_methods_and_content_types_are_copied() {
    let mut proxy =
        Proxy::new("shadow: {percent: 100, methods: [POST, PUT], contentTypes: [application/json]}\n");
    let json = ("content-type", "application/json; charset=utf-8");
    for (number, (headers, copied)) in [
        (vec![(":method", "POST"), json], true),
        (vec![(":method", "DELETE"), json], false),
        (vec![(":method", "POST"), ("content-type", "text/plain")], false),
        (vec![(":method", "PUT")], false),
        (vec![json], false),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(asked(&mut proxy, number, &headers), (copied, copied), "{headers:?}");
    }
    assert_eq!((skipped(&proxy, "shadow", "method"), skipped(&proxy, "noise", "method")), (2, 2));
    assert_eq!((skipped(&proxy, "shadow", "content_type"), skipped(&proxy, "noise", "content_type")), (2, 2));
}

#[test]
fn an_exchange_whose_copy_is_skipped_is_captured_only_if_sampling_drew_it_and_says_with_which_chance() {
    let mut proxy =
        Proxy::new("shadow: {percent: 100, methods: [POST]}\nnoise: {percent: 0}\nsampling: {percent: 50}\n");
    for number in 0..40 {
        let id = format!("r-{number}");
        let method = if number % 2 == 0 { "GET" } else { "POST" };
        proxy.exchange(&[("x-user-id", "ada"), ("x-request-id", &id), (":method", method)]);
    }
    proxy.tick();
    let legs = proxy.posted();
    let primaries = |method: &str| {
        let of_method = |leg: &&weir_wire::Leg| leg.leg == LegKind::Primary && leg.method == method;
        legs.iter().filter(of_method).map(|leg| leg.inclusion_probability).collect::<Vec<_>>()
    };
    assert_eq!(primaries("POST"), vec![1.0; 20]);
    let sampled = primaries("GET");
    assert!((3..18).contains(&sampled.len()), "{}", sampled.len());
    assert!(sampled.iter().all(|probability| *probability == 0.5), "{sampled:?}");
}

#[test]
fn copies_under_way_are_bounded_and_make_room_when_they_end_or_are_given_up() {
    let mut proxy = Proxy::new(
        "shadow: {percent: 100, inFlightMax: 2}\nnoise: {percent: 0}\nlimits: {sampleAgeMsMax: 1000}\n",
    );
    let asks: Vec<_> = (0..3).map(|number| asked(&mut proxy, number, &[]).0).collect();
    assert_eq!(asks, [true, true, false]);
    assert_eq!(skipped(&proxy, "shadow", "in_flight"), 1);
    // The first copy's stream comes and ends; the second one's never comes.
    let copy = proxy.open(SHADOW_ROOT, &[("x-request-id", "limited-0")], true);
    assert_eq!(asked(&mut proxy, 3, &[]), (false, false), "a copy that came is still under way");
    proxy.answer(copy, "200", &[b"x"]);
    proxy.filter.on_delete(copy);
    assert!(asked(&mut proxy, 4, &[]).0);
    assert!(!asked(&mut proxy, 5, &[]).0);
    proxy.host.advance_ms(2_000);
    proxy.tick();
    assert!(asked(&mut proxy, 6, &[]).0 && asked(&mut proxy, 7, &[]).0, "both were given up");
    assert!(!asked(&mut proxy, 8, &[]).0);
}

#[test]
fn copies_of_a_minute_are_bounded_over_policy_pushes() {
    let limited = "shadow: {percent: 100, perMinuteMax: 3}\nnoise: {percent: 100, cluster: control-noise}\n";
    let mut proxy = Proxy::new(limited);
    assert_eq!(asked(&mut proxy, 0, &[]), (true, true));
    proxy.filter.on_create(9, 0);
    assert!(proxy.configure(9, &double::proxy::policy(&format!("revision: 8\n{limited}"))));
    assert_eq!(asked(&mut proxy, 1, &[]), (true, false), "the last place is the candidate's");
    assert_eq!(asked(&mut proxy, 2, &[]), (false, false));
    assert_eq!((skipped(&proxy, "shadow", "per_minute"), skipped(&proxy, "noise", "per_minute")), (1, 2));
    proxy.host.advance_ms(60_000);
    assert_eq!(asked(&mut proxy, 3, &[]), (true, true));
}

#[test]
fn tokens_of_questions_and_answers_are_spent_until_the_next_minute() {
    let mut proxy = Proxy::new("shadow: {percent: 100, tokensPerMinuteMax: 30}\nnoise: {percent: 0}\n");
    let copied = |proxy: &mut Proxy, id: &str, length: &str, answer: &[u8]| {
        let headers = [("x-user-id", "ada"), ("x-request-id", id), ("content-length", length)];
        proxy.open(POLICY_ROOT, &headers, false);
        if proxy.routed().shadow.is_none() {
            return false;
        }
        let copy = proxy.open(SHADOW_ROOT, &[("x-request-id", id)], true);
        proxy.answer(copy, "200", &[answer]);
        proxy.filter.on_delete(copy);
        true
    };
    assert!(copied(&mut proxy, "a", "40", &[b'x'; 40]), "20 of 30");
    assert!(copied(&mut proxy, "b", "4", &[b'x'; 36]), "30 of 30");
    assert!(!copied(&mut proxy, "c", "4", b""));
    assert_eq!(skipped(&proxy, "shadow", "tokens"), 1);
    proxy.host.advance_ms(60_000);
    assert!(copied(&mut proxy, "d", "4", b""));
    assert!(copied(&mut proxy, "e", "huge", b"x"), "a length that is no number is not charged in advance");
}

#[test]
fn limits_cost_no_host_call() {
    let calls = |policy: &str| {
        let mut proxy = Proxy::new(policy);
        let before = proxy.host.0.calls.get();
        proxy.exchange(USER);
        proxy.host.0.calls.get() - before
    };
    let limited =
        "shadow: {percent: 100, methods: [POST], inFlightMax: 9, perMinuteMax: 9, tokensPerMinuteMax: 99}\n";
    assert_eq!(calls(limited), calls("shadow: {percent: 100}\n"));
}
