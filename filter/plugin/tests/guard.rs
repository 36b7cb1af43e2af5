//! The guard, against a host in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod double;

use double::proxy::{INTERNAL, POLICY_ROOT, Proxy, policy};

const GUARD: &str = "shadow: {percent: 0}\nnoise: {percent: 0}\nguard: {answers: 10, answersMin: 5, failurePercentMax: 40, slowMs: 1000, slowPercentMax: 60}\n";

#[derive(Clone, Copy)]
enum Answer {
    Status(&'static str),
    /// Begins, and then the stream is gone.
    BreaksOff,
    /// Begins after this many milliseconds.
    After(u64),
    /// Never begins; the client leaves after this many milliseconds.
    Never(u64),
}

/// An exchange of a user that the candidate serves; tells whether the candidate did.
fn served(proxy: &mut Proxy, answer: Answer) -> bool {
    let stream = proxy.open(POLICY_ROOT, INTERNAL, true);
    let candidate = proxy.routed().variant.is_some();
    match answer {
        Answer::Status(status) => proxy.answer(stream, status, &[b"a", b"b"]),
        Answer::BreaksOff => {
            proxy.answer(stream, "200", &[b"a", b"b"]);
            // Once more, this time without an end.
            proxy.filter.on_delete(stream);
            let stream = proxy.open(POLICY_ROOT, INTERNAL, true);
            proxy.filter.on_response_headers(stream, false);
            proxy.filter.on_response_body(stream, 1, false);
            proxy.filter.on_delete(stream);
            return candidate;
        }
        Answer::After(milliseconds) => {
            proxy.host.advance_ms(milliseconds);
            proxy.answer(stream, "200", &[b"x"]);
        }
        Answer::Never(milliseconds) => proxy.host.advance_ms(milliseconds),
    }
    proxy.filter.on_delete(stream);
    candidate
}

fn trips(proxy: &mut Proxy, reason: &str) -> i64 {
    proxy.tick();
    proxy.host.metric(&format!("weir_guard_trips_total;cohort=internal;reason={reason}"))
}

#[test]
fn a_failing_candidate_is_taken_away_from_the_cohort_at_once_counted_and_reported() {
    for sampling in ["sampling: {percent: 0}\n", "sampling: {percent: 100}\n"] {
        let mut proxy = Proxy::new(&format!("{sampling}{GUARD}"));
        for status in ["200", "503", "200", "429", "200"] {
            assert!(served(&mut proxy, Answer::Status(status)));
        }
        assert!(served(&mut proxy, Answer::Status("500")), "2 of 5 are not more than 40 %");
        assert!(!served(&mut proxy, Answer::Status("500")), "3 of 6 are, and the next request is control's");
        assert_eq!(proxy.host.response_header("x-weir-variant").as_deref(), Some("control"));
        assert_eq!(proxy.host.request_header("x-weir-snapshot"), None);
        assert_eq!(trips(&mut proxy, "failures"), 1);
        assert_eq!(proxy.host.metric("weir_guard_held_total"), 1);
        assert_eq!(proxy.host.metric("weir_guard_held_cohorts"), 1);
        let events = proxy.events();
        assert_eq!(events.len(), 1, "{events:?}");
        let event = &events[0];
        assert_eq!(
            (event.kind.as_str(), event.cohort.as_str(), event.reason.as_str()),
            ("guard-tripped", "internal", "failures")
        );
        assert_eq!((event.answers, event.failures, event.slow), (6, 3, 0));
        assert_eq!((event.experiment.as_str(), event.revision), ("trial", 7));
        assert!(event.time_unix_nano > 0 && event.policy_digest.len() == 16);
        let log = proxy.host.0.log.borrow();
        assert!(log.iter().any(|line| line.contains("guard tripped (failures): cohort internal")), "{log:?}");
    }
}

#[test]
fn a_candidate_that_keeps_users_waiting_is_taken_away_even_when_they_leave_first() {
    for slow in [Answer::After(1001), Answer::Never(1001)] {
        let mut proxy = Proxy::new(&format!("sampling: {{percent: 0}}\n{GUARD}"));
        for _ in 0..10 {
            assert!(served(&mut proxy, Answer::After(10)));
        }
        for _ in 0..7 {
            assert!(served(&mut proxy, slow));
        }
        assert!(!served(&mut proxy, slow), "7 of the latest 10");
        assert_eq!(trips(&mut proxy, "slow"), 1);
    }
}

#[test]
fn a_client_that_leaves_early_says_nothing_about_the_candidate() {
    for sampling in ["sampling: {percent: 0}\n", "sampling: {percent: 100}\n"] {
        let mut proxy = Proxy::new(&format!("{sampling}{GUARD}"));
        let flags = |proxy: &Proxy, flags: Option<u64>| {
            let mut properties = proxy.host.0.properties.borrow_mut();
            properties.remove("response.flags");
            properties.extend(flags.map(|flags| ("response.flags".to_owned(), flags.to_le_bytes().to_vec())));
        };
        for _ in 0..20 {
            assert!(served(&mut proxy, Answer::Never(999)));
            for left in [None, Some(0), Some(1 << 14), Some(1 << 28)] {
                flags(&proxy, left);
                assert!(served(&mut proxy, Answer::BreaksOff));
            }
        }
        assert_eq!(trips(&mut proxy, "failures"), 0);
        // The upstream ended its connection (UC): half of these answers are cut off.
        flags(&proxy, Some(1 << 6));
        for _ in 0..10 {
            served(&mut proxy, Answer::BreaksOff);
        }
        assert_eq!(trips(&mut proxy, "failures"), 1);
    }
}

#[test]
fn only_another_policy_gives_the_candidate_back() {
    let text = format!("sampling: {{percent: 0}}\n{GUARD}");
    let mut proxy = Proxy::new(&text);
    for _ in 0..6 {
        served(&mut proxy, Answer::Status("500"));
    }
    assert!(!served(&mut proxy, Answer::Status("200")));
    proxy.host.advance_ms(3_600_000);
    assert!(!served(&mut proxy, Answer::Status("200")), "time does not");
    assert!(proxy.configure(POLICY_ROOT, &policy(&text)));
    assert!(!served(&mut proxy, Answer::Status("200")), "the same policy delivered again does not");
    proxy.configure(POLICY_ROOT, "nonsense: [");
    assert!(!served(&mut proxy, Answer::Status("200")), "a refused one does not");
    assert!(proxy.configure(POLICY_ROOT, &policy(&format!("revision: 8\n{text}"))));
    assert!(served(&mut proxy, Answer::Status("200")));
    proxy.tick();
    assert_eq!(proxy.host.metric("weir_guard_held_cohorts"), 0);
}

#[test]
fn what_control_answers_never_trips_a_guard() {
    let mut proxy = Proxy::new(&format!("sampling: {{percent: 0}}\n{GUARD}"));
    for _ in 0..50 {
        let stream = proxy.open(POLICY_ROOT, &[("x-user-id", "ada")], true);
        proxy.answer(stream, "500", &[b"x"]);
        proxy.filter.on_delete(stream);
    }
    assert!(served(&mut proxy, Answer::Status("200")));
    assert_eq!(trips(&mut proxy, "failures"), 0);
}

#[test]
fn a_guard_costs_control_no_host_call_and_a_policy_without_one_nobody() {
    let calls = |changes: &str, headers: &[(&str, &str)]| {
        let mut proxy = Proxy::new(&format!(
            "sampling: {{percent: 0}}\nshadow: {{percent: 0}}\nnoise: {{percent: 0}}\n{changes}"
        ));
        let before = proxy.host.0.calls.get();
        proxy.exchange(headers);
        proxy.host.0.calls.get() - before
    };
    let guard = "guard: {failurePercentMax: 10, slowMs: 1000, slowPercentMax: 10}\n";
    let user: &[(&str, &str)] = &[("x-user-id", "ada")];
    assert_eq!(calls(guard, user), calls("", user));
    assert_eq!(calls(guard, INTERNAL), calls("", INTERNAL) + 3);
    assert_eq!(calls("guard: {failurePercentMax: 10}\n", INTERNAL), calls("", INTERNAL) + 1);
}
