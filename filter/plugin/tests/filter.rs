//! The filter against a host in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod double;

use double::Refuse;
use double::proxy::{INTERNAL, NOISE_ROOT, POLICY_ROOT, Proxy, Routed, SHADOW_ROOT, USER, pairs, policy};
use proptest::prelude::*;
use weir_wire::{LegKind, Variant};

#[test]
fn control_gets_no_variant_header_and_asks_for_both_copies() {
    let mut proxy = Proxy::new("");
    let routed = proxy.exchange(USER);
    assert_eq!(routed.variant, None);
    assert_eq!(routed.shadow.as_deref(), Some("candidate-shadow"));
    assert_eq!(routed.noise.as_deref(), Some("control-noise"));
    assert_eq!(
        proxy.host.response_header("x-weir-variant"),
        None,
        "the last response is a copy's and stays as it is"
    );
}

#[test]
fn the_candidate_is_marked_and_never_copied() {
    let mut proxy = Proxy::new("");
    let stream = proxy.open(POLICY_ROOT, INTERNAL, true);
    assert_eq!(
        proxy.routed(),
        Routed { variant: Some("candidate".to_owned()), cluster: None, shadow: None, noise: None }
    );
    assert_eq!(proxy.host.request_header("x-weir-autonomy").as_deref(), Some("suggest"));
    proxy.answer(stream, "200", &[b"x"]);
    assert_eq!(proxy.host.response_header("x-weir-variant").as_deref(), Some("candidate"));
    assert_eq!(proxy.host.response_header("x-weir-revision").as_deref(), Some("7"));
}

#[test]
fn all_legs_of_an_exchange_are_shipped_under_one_id() {
    let mut proxy = Proxy::new("");
    proxy.exchange(USER);
    proxy.tick();
    let legs = proxy.posted();
    assert_eq!(
        legs.iter().map(|leg| (leg.leg, leg.variant)).collect::<Vec<_>>(),
        [
            (LegKind::Primary, Variant::Control),
            (LegKind::Shadow, Variant::Candidate),
            (LegKind::Noise, Variant::Control)
        ]
    );
    for leg in &legs {
        assert_eq!(leg.sample_id, "000000000000feed-1");
        assert_eq!(leg.response_body, b"answer");
        assert_eq!(leg.response_body_bytes, 6);
        assert_eq!((leg.status, leg.chunks, leg.complete), (200, 2, true));
        assert_eq!((leg.path.as_str(), leg.method.as_str()), ("/v1/chat?x=1", "POST"));
        assert!(leg.latency_ms.unwrap() > leg.ttft_ms.unwrap());
        assert!(leg.ttft_ms.unwrap() > leg.ttfb_ms.unwrap());
        assert!(leg.longest_gap_ms.is_some());
    }
    assert_eq!(legs[0].request_body, b"question");
    assert_eq!(legs[1].request_body_bytes, None);
    assert_eq!(legs[1].snapshot, "m@2");
    assert_eq!(legs[2].snapshot, "m@1");
    assert_eq!(legs.iter().map(|leg| leg.sequence).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(proxy.host.metric("weir_pairs_total;leg=shadow"), 1);
    assert_eq!(proxy.host.metric("weir_pairs_total;leg=noise"), 1);
    assert_eq!(proxy.host.metric("weir_pending_pairs"), 0);
}

#[test]
fn forged_headers_are_removed_and_decide_nothing() {
    let mut proxy = Proxy::new("shadow: {percent: 0}\nnoise: {percent: 0}\n");
    proxy.open(
        POLICY_ROOT,
        &[
            ("x-user-id", "ada"),
            ("x-weir-variant", "candidate"),
            ("x-weir-shadow", "control"),
            ("x-weir-anything", "1"),
        ],
        true,
    );
    assert_eq!(*proxy.host.0.request.borrow(), pairs(&[("x-user-id", "ada")]));
    proxy.tick();
    assert_eq!(proxy.host.metric("weir_forged_headers_total"), 3);
    assert_eq!(proxy.host.metric("weir_requests_total;variant=control;cohort=general;tier=general"), 1);
}

#[test]
fn a_forged_header_of_the_operators_own_name_does_not_choose_the_cohort() {
    let mut proxy = Proxy::new(
        "routing: {variantHeader: x-cohort}\n\
         cohorts: [{name: insiders, match: {header: x-cohort, exact: me}, candidatePercent: 100}, {name: general}]\n\
         shadow: {percent: 0}\nnoise: {percent: 0}\n",
    );
    proxy.open(POLICY_ROOT, &[("x-user-id", "ada"), ("x-cohort", "me")], true);
    assert_eq!(*proxy.host.0.request.borrow(), pairs(&[("x-user-id", "ada")]));
    proxy.tick();
    assert_eq!(proxy.host.metric("weir_requests_total;variant=control;cohort=general;tier=general"), 1);
}

#[test]
fn a_copy_that_the_exchange_did_not_ask_for_is_not_captured() {
    let mut proxy = Proxy::new("shadow: {percent: 100}\nnoise: {percent: 0}\n");
    proxy.open(POLICY_ROOT, USER, true);
    let copy = proxy.open(NOISE_ROOT, &[("x-request-id", "r-1"), ("x-weir-leg", "noise")], true);
    proxy.answer(copy, "200", &[b"x"]);
    proxy.filter.on_delete(copy);
    assert_eq!(proxy.filter.metrics().unsent("weir_unmatched_total;leg=noise"), 1);
    proxy.tick();
    assert!(proxy.posted().is_empty());
}

#[test]
fn a_copy_is_matched_only_with_the_id_of_an_exchange_that_asked_for_it() {
    let mut proxy = Proxy::new("");
    proxy.open(POLICY_ROOT, USER, true);
    for (headers, unmatched) in [
        (vec![("x-request-id", "r-2"), ("x-weir-leg", "shadow")], 1),
        (vec![("x-weir-leg", "shadow")], 1),
        (vec![("x-request-id", "r-2")], 0),
        (vec![], 0),
    ] {
        let before = proxy.filter.metrics().unsent("weir_unmatched_total;leg=shadow");
        let copy = proxy.open(SHADOW_ROOT, &headers, true);
        proxy.answer(copy, "200", &[b"x"]);
        proxy.filter.on_delete(copy);
        let after = proxy.filter.metrics().unsent("weir_unmatched_total;leg=shadow");
        assert_eq!(after - before, unmatched, "{headers:?}");
    }
    proxy.tick();
    assert!(proxy.posted().is_empty());
}

#[test]
fn on_a_cluster_that_serves_clients_too_only_marked_requests_are_copies() {
    for (cluster, expected) in [("control", [false, false, true]), ("control-noise", [true, true, true])] {
        for (headers, captured) in
            [&[][..], &[("x-weir-leg", "shadow")], &[("x-weir-leg", "noise")]].into_iter().zip(expected)
        {
            let mut proxy =
                Proxy::new(&format!("shadow: {{percent: 0}}\nnoise: {{percent: 100, cluster: {cluster}}}\n"));
            proxy.open(POLICY_ROOT, USER, true);
            let copy = proxy.open(NOISE_ROOT, &[&[("x-request-id", "r-1")], headers].concat(), true);
            proxy.answer(copy, "200", &[b"x"]);
            proxy.filter.on_delete(copy);
            proxy.tick();
            assert_eq!(!proxy.posted().is_empty(), captured, "{cluster} {headers:?}");
        }
    }
}

#[test]
fn an_exchange_whose_copies_could_not_be_told_apart_gets_none() {
    let mut proxy = Proxy::new("");
    proxy.open(POLICY_ROOT, USER, true);
    let unnamed = &USER[..3];
    let long = "r".repeat(257);
    let too_long = [unnamed, &[("x-request-id", long.as_str())]].concat();
    for (headers, reason) in
        [(USER, "repeated_request_id"), (unnamed, "no_request_id"), (&too_long, "no_request_id")]
    {
        let counter = |leg| format!("weir_skipped_total;leg={leg};reason={reason}");
        let before = ["shadow", "noise"].map(|leg| proxy.filter.metrics().unsent(&counter(leg)));
        proxy.open(POLICY_ROOT, headers, true);
        assert_eq!((proxy.routed().shadow, proxy.routed().noise), (None, None));
        let after = ["shadow", "noise"].map(|leg| proxy.filter.metrics().unsent(&counter(leg)));
        assert_eq!(after, before.map(|count| count + 1), "{reason}");
    }
}

#[test]
fn a_request_id_may_come_again_when_its_exchange_is_done() {
    let mut proxy = Proxy::new("");
    for _ in 0..2 {
        assert!(proxy.exchange(USER).shadow.is_some());
    }
    proxy.tick();
    assert_eq!(proxy.host.metric("weir_pairs_total;leg=shadow"), 2);
}

#[test]
fn a_batch_holds_one_policy_and_says_it_for_every_leg() {
    let mut proxy = Proxy::new("noise: {percent: 0}\n");
    proxy.exchange(USER);
    proxy.filter.on_create(9, 0);
    assert!(proxy.configure(9, &policy("revision: 8\nnoise: {percent: 0}\n")));
    proxy.exchange_on(9, USER);
    let revisions = |proxy: &Proxy| proxy.posted().iter().map(|leg| leg.revision).collect::<Vec<_>>();
    proxy.filter.on_tick(9);
    assert_eq!(revisions(&proxy), [7, 7]);
    proxy.sink_answers("200");
    proxy.filter.on_tick(9);
    assert_eq!(revisions(&proxy), [7, 7, 8, 8]);
    assert!(proxy.posted().iter().all(|leg| leg.experiment == "trial" && leg.policy_digest.len() == 16));
}

#[test]
fn a_repeated_attempt_of_a_copy_is_not_shipped_twice() {
    let mut proxy = Proxy::new("noise: {percent: 0}\n");
    let primary = proxy.open(POLICY_ROOT, USER, true);
    let attempts =
        [(); 2].map(|()| proxy.open(SHADOW_ROOT, &[("x-request-id", "r-1"), ("x-weir-leg", "shadow")], true));
    for stream in attempts.into_iter().chain([primary]) {
        proxy.answer(stream, "200", &[b"x"]);
        proxy.filter.on_delete(stream);
    }
    proxy.tick();
    assert_eq!(proxy.posted().len(), 2);
    assert_eq!(proxy.host.metric("weir_unmatched_total;leg=shadow"), 1);
}

#[test]
fn a_leg_without_an_answer_is_shipped_as_such() {
    let mut proxy = Proxy::new("noise: {percent: 0}\n");
    let primary = proxy.open(POLICY_ROOT, USER, true);
    let shadow = proxy.open(SHADOW_ROOT, &[("x-request-id", "r-1"), ("x-weir-leg", "shadow")], true);
    proxy.filter.on_delete(shadow);
    proxy.answer(primary, "200", &[b"x"]);
    proxy.filter.on_delete(primary);
    proxy.tick();
    let legs = proxy.posted();
    assert_eq!(
        (legs[0].leg, legs[0].status, legs[0].complete, legs[0].ttfb_ms),
        (LegKind::Shadow, 0, false, None)
    );
}

#[test]
fn an_exchange_whose_copy_never_comes_is_half_a_pair_in_time() {
    let mut proxy = Proxy::new("noise: {percent: 0}\nlimits: {sampleAgeMsMax: 1000}\n");
    let primary = proxy.open(POLICY_ROOT, USER, true);
    proxy.answer(primary, "200", &[b"x"]);
    proxy.filter.on_delete(primary);
    proxy.tick();
    assert_eq!(proxy.host.metric("weir_pending_pairs"), 1);
    proxy.host.advance_ms(1_000);
    proxy.tick();
    assert_eq!(proxy.host.metric("weir_pending_pairs"), 0);
    assert_eq!(proxy.host.metric("weir_half_pairs_total;leg=shadow;reason=age"), 1);
}

#[test]
fn a_failing_sink_gets_the_same_records_again_and_nothing_is_lost_or_doubled() {
    let mut proxy = Proxy::new("");
    proxy.exchange(USER);
    proxy.tick();
    proxy.sink_answers("503");
    for _ in 0..4 {
        proxy.tick();
    }
    // No answer at all: the deadline decides.
    for _ in 0..30 {
        proxy.tick();
    }
    proxy.sink_answers("200");
    for _ in 0..10 {
        proxy.tick();
    }
    let posts = proxy.host.0.posts.borrow();
    assert!(posts.len() >= 3, "{}", posts.len());
    assert!(posts.iter().all(|post| post == &posts[0]));
    assert_eq!(proxy.host.metric("weir_sent_total;variant=control"), 2);
    assert_eq!(proxy.host.metric("weir_sent_total;variant=candidate"), 1);
    assert_eq!(proxy.host.metric("weir_outbox_bytes"), 0);
}

#[test]
fn a_policy_push_keeps_what_is_waiting() {
    let mut proxy = Proxy::new("");
    let primary = proxy.open(POLICY_ROOT, USER, true);
    proxy.filter.on_create(9, 0);
    assert!(proxy.configure(9, &policy("revision: 8\n")));
    let shadow = proxy.open(SHADOW_ROOT, &[("x-request-id", "r-1"), ("x-weir-leg", "shadow")], true);
    proxy.answer(shadow, "200", &[b"x"]);
    proxy.answer(primary, "200", &[b"x"]);
    assert_eq!(
        proxy.host.response_header("x-weir-revision").as_deref(),
        Some("7"),
        "a stream keeps the policy that it started with"
    );
    proxy.filter.on_delete(shadow);
    proxy.filter.on_delete(primary);
    proxy.filter.on_delete(POLICY_ROOT);
    proxy.filter.on_tick(POLICY_ROOT);
    assert!(proxy.posted().is_empty(), "the old root is silent");
    proxy.filter.on_tick(9);
    assert_eq!(
        proxy.posted().iter().map(|leg| (leg.leg, leg.revision)).collect::<Vec<_>>(),
        [(LegKind::Shadow, 7), (LegKind::Primary, 7)]
    );
    assert_eq!(proxy.host.metric("weir_config_revision"), 8);
}

#[test]
fn a_batch_whose_root_is_gone_is_sent_again_at_once_with_the_same_numbers() {
    let mut proxy = Proxy::new("");
    proxy.exchange(USER);
    proxy.tick();
    proxy.filter.on_create(9, 0);
    assert!(proxy.configure(9, &policy("revision: 8\n")));
    proxy.filter.on_tick(9);
    assert_eq!(proxy.host.0.posts.borrow().len(), 1, "the old root still waits for the answer");
    proxy.filter.on_delete(POLICY_ROOT);
    proxy.filter.on_tick(9);
    let posts = proxy.host.0.posts.borrow().clone();
    assert_eq!(posts.len(), 2);
    assert_eq!(posts[0], posts[1]);
    assert_eq!(proxy.host.metric("weir_sink_failures_total"), 0);
}

#[test]
fn mode_off_makes_no_host_call() {
    let mut proxy = Proxy::new("mode: off\n");
    let before = proxy.host.0.calls.get();
    let stream = proxy.open(POLICY_ROOT, INTERNAL, false);
    proxy.request_body(stream, b"x", true);
    proxy.answer(stream, "200", &[b"x"]);
    proxy.filter.on_delete(stream);
    assert_eq!(proxy.host.0.calls.get(), before);
}

#[test]
fn routing_alone_costs_one_host_call_for_the_request_and_two_for_the_response() {
    let mut proxy = Proxy::new("mode: rolled-back\n");
    let before = proxy.host.0.calls.get();
    let stream = proxy.open(POLICY_ROOT, USER, false);
    assert_eq!(proxy.host.0.calls.get() - before, 1);
    proxy.request_body(stream, b"x", true);
    proxy.answer(stream, "200", &[b"x"]);
    proxy.filter.on_delete(stream);
    assert_eq!(proxy.host.0.calls.get() - before, 3);
}

#[test]
fn a_bad_policy_is_refused_with_a_line_per_problem_and_the_old_one_stays() {
    let mut proxy = Proxy::new("");
    proxy.filter.on_create(9, 0);
    assert!(!proxy.configure(9, &policy("revision: 0\nmode: sideways\nshaddow: {}\n")));
    let log = proxy.host.0.log.borrow().clone();
    assert_eq!(log.len(), 3, "{log:#?}");
    for (line, path) in log.iter().zip(["revision", "mode", "shaddow"]) {
        assert!(!line.contains('\n'));
        assert!(log.iter().any(|line| line.contains(path)), "no line names {path}: {log:#?}");
    }
    assert_eq!(proxy.host.metric("weir_config_rejected_total"), 1);
    proxy.exchange(USER);
    proxy.tick();
    assert_eq!(proxy.posted()[0].revision, 7);
}

#[test]
fn a_full_outbox_drops_single_legs_first_and_counts_them() {
    // General users are sampled without copies; the others have copies.
    let mut proxy = Proxy::new(
        "cohorts: [{name: copied, match: {header: x-tier, exact: copied}}, {name: other, match: {header: x-other, present: true}, candidatePercent: 1}, {name: general, shadowPercent: 0, samplingPercent: 100}]\n\
         noise: {percent: 0}\nsampling: {percent: 100}\nlimits: {outboxBytesMax: 65536, bodyBytesMax: 1024, bodyTailBytesMax: 0, batchBytesMax: 16384}\n",
    );
    let copied: &[(&str, &str)] =
        &[(":method", "POST"), (":path", "/"), ("x-tier", "copied"), ("x-request-id", "r-2")];
    for _ in 0..10 {
        proxy.exchange(copied);
    }
    for _ in 0..200 {
        proxy.exchange(USER);
    }
    proxy.tick();
    let dropped = proxy.host.metric("weir_drops_total;variant=control;reason=outbox_full");
    assert!(dropped > 100, "{dropped}");
    assert_eq!(proxy.host.metric("weir_drops_total;variant=candidate;reason=outbox_full"), 0);
    while proxy.host.0.posts.borrow().len() < 100 && proxy.host.metric("weir_outbox_bytes") > 0 {
        proxy.sink_answers("200");
        proxy.tick();
    }
    let legs = proxy.posted();
    assert_eq!(legs.iter().filter(|leg| leg.cohort == "copied").count(), 20);
    assert_eq!(legs.len() as i64 + dropped, 220);
    assert_eq!(legs.iter().map(|leg| leg.sequence).max(), Some(219));
}

#[test]
fn too_many_captures_at_a_time_are_skipped_and_counted() {
    let mut proxy = Proxy::new("limits: {pendingPairsMax: 2}\n");
    let asked: Vec<bool> = (0..3)
        .map(|number| {
            let id = format!("r-{number}");
            proxy.open(POLICY_ROOT, &[("x-user-id", "ada"), ("x-request-id", &id)], true);
            proxy.routed().shadow.is_some()
        })
        .collect();
    assert_eq!(asked, [true, true, false]);
    proxy.tick();
    assert_eq!(proxy.host.metric("weir_skipped_total;leg=primary;reason=busy"), 1);
}

/// Everything that can happen, with refusals; returns what the router saw of a candidate and of a control exchange.
fn whole_life(refuse: Refuse) -> (Proxy, Routed, Routed) {
    let mut proxy = Proxy::new("routing: {clusterHeader: x-weir-cluster}\nsampling: {percent: 100}\n");
    proxy.host.0.calls.set(0);
    proxy.host.0.refuse.set(refuse);
    let control = proxy.exchange(USER);
    let candidate = proxy.exchange(INTERNAL);
    proxy.exchange(&[("x-weir-variant", "candidate"), ("x-weir-noise", "x")]);
    proxy.tick();
    proxy.sink_answers("500");
    for _ in 0..5 {
        proxy.tick();
    }
    proxy.sink_answers("200");
    proxy.filter.on_create(9, 0);
    proxy.configure(9, &policy("revision: 8\n"));
    proxy.configure(9, "nonsense: [");
    proxy.exchange(USER);
    proxy.filter.on_delete(POLICY_ROOT);
    proxy.filter.on_tick(9);
    (proxy, control, candidate)
}

#[test]
fn any_single_refusal_leaves_a_safe_exchange() {
    let calls = whole_life(Refuse::Nothing).0.host.0.calls.get();
    assert!(calls > 80, "{calls}");
    for nth in 0..calls {
        let (proxy, control, candidate) = whole_life(Refuse::Nth(nth));
        // Whatever could not be said, no exchange says candidate in one place and something else in the other.
        assert_eq!(control.variant, None, "call {nth}");
        assert_ne!(control.cluster.as_deref(), Some("candidate"), "call {nth}");
        let said_candidate = candidate.variant.is_some();
        assert_eq!(candidate.cluster.as_deref() == Some("candidate"), said_candidate, "call {nth}");
        drop(proxy);
    }
}

#[test]
fn a_host_that_refuses_everything_is_survived() {
    let (proxy, control, candidate) = whole_life(Refuse::Everything);
    for routed in [control, candidate] {
        assert_eq!((routed.variant, routed.shadow, routed.noise), (None, None, None));
    }
    assert!(proxy.posted().is_empty());
    let calls = whole_life(Refuse::Nothing).0.host.0.calls.get();
    for first in 0..calls {
        whole_life(Refuse::From(first));
    }
}

#[derive(Debug, Clone)]
enum Step {
    Create(u32, u32),
    RequestHeaders(u32, bool),
    RequestBody(u32, usize, bool),
    RequestTrailers(u32),
    ResponseHeaders(u32, bool),
    ResponseBody(u32, usize, bool),
    ResponseTrailers(u32),
    Delete(u32),
    Tick(u32),
    CallResponse(u32, u32),
    Refuse(bool),
    Clock(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let context = 0..6u32;
    prop_oneof![
        (context.clone(), 0..5u32).prop_map(|(a, b)| Step::Create(a, b)),
        (context.clone(), any::<bool>()).prop_map(|(a, b)| Step::RequestHeaders(a, b)),
        (context.clone(), 0..100_000usize, any::<bool>()).prop_map(|(a, b, c)| Step::RequestBody(a, b, c)),
        context.clone().prop_map(Step::RequestTrailers),
        (context.clone(), any::<bool>()).prop_map(|(a, b)| Step::ResponseHeaders(a, b)),
        (context.clone(), 0..100_000usize, any::<bool>()).prop_map(|(a, b, c)| Step::ResponseBody(a, b, c)),
        context.clone().prop_map(Step::ResponseTrailers),
        context.clone().prop_map(Step::Delete),
        context.prop_map(Step::Tick),
        (0..4u32, 0..2u32).prop_map(|(a, b)| Step::CallResponse(a, b)),
        any::<bool>().prop_map(Step::Refuse),
        any::<u64>().prop_map(Step::Clock),
    ]
}

proptest! {
    /// Callbacks in any order, of contexts that exist or not, with lying sizes and a wild clock.
    #[test]
    fn no_order_of_callbacks_panics(steps in proptest::collection::vec(step(), 0..120)) {
        let mut proxy = Proxy::new("limits: {pendingPairsMax: 3}\n");
        *proxy.host.0.request.borrow_mut() = pairs(USER);
        *proxy.host.0.response.borrow_mut() = pairs(&[(":status", "2x0")]);
        let filter = &mut proxy.filter;
        for step in steps {
            match step {
                Step::Create(context, root) => filter.on_create(context, root),
                Step::RequestHeaders(context, end) => filter.on_request_headers(context, end),
                Step::RequestBody(context, size, end) => filter.on_request_body(context, size, end),
                Step::RequestTrailers(context) => filter.on_request_trailers(context),
                Step::ResponseHeaders(context, end) => filter.on_response_headers(context, end),
                Step::ResponseBody(context, size, end) => filter.on_response_body(context, size, end),
                Step::ResponseTrailers(context) => filter.on_response_trailers(context),
                Step::Delete(context) => filter.on_delete(context),
                Step::Tick(root) => filter.on_tick(root),
                Step::CallResponse(token, headers) => filter.on_call_response(1, token, headers, 0),
                Step::Refuse(all) => proxy.host.0.refuse.set(if all { Refuse::Everything } else { Refuse::Nothing }),
                Step::Clock(now) => proxy.host.0.now.set(now.min(u64::MAX / 2)),
            }
        }
    }
}

#[test]
fn a_new_roots_first_tick_comes_early_and_what_earlier_policies_left_behind_goes_without_waiting() {
    let mut proxy = Proxy::new("noise: {percent: 0}\n");
    let policy_of = |revision: u32| policy(&format!("revision: {revision}\nnoise: {{percent: 0}}\n"));
    for revision in 8..12 {
        proxy.exchange_on(if revision == 8 { POLICY_ROOT } else { revision - 1 }, USER);
        proxy.filter.on_create(revision, 0);
        assert!(proxy.configure(revision, &policy_of(revision)));
        assert_eq!(proxy.host.0.tick_period_ms.get(), 10);
    }
    assert!(proxy.posted().is_empty());
    proxy.host.advance_ms(10);
    proxy.filter.on_tick(11);
    assert_eq!(proxy.host.0.tick_period_ms.get(), 500);
    for _ in 0..3 {
        *proxy.host.0.call_response.borrow_mut() = pairs(&[(":status", "200")]);
        let token = proxy.host.0.next_token.get() - 1;
        proxy.filter.on_call_response(11, token, 1, 0);
    }
    let revisions: Vec<_> = proxy.posted().iter().map(|leg| leg.revision).collect();
    assert_eq!(revisions, [7, 7, 8, 8, 9, 9, 10, 10]);
}
