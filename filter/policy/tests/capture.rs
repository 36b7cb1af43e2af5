//! Copies and capture: in which modes, with which probability, and that the stated probability is the true one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{parse, policy, policy_with};
use weir_policy::{CaptureDecision, Policy, Variant};

const EXCHANGES: usize = 20_000;

/// Decisions for exchanges of one user that control answers.
fn decisions(policy: &Policy, tier: &str) -> Vec<CaptureDecision> {
    let user = (0..).map(|number| format!("user-{number}"));
    let assignment = user
        .map(|user| policy.assign(&[("x-tier", tier), ("x-user-id", user.as_str())]))
        .find(|assignment| assignment.variant == Variant::Control)
        .unwrap();
    (0..EXCHANGES)
        .map(|number| policy.capture_decision(&assignment, format!("{number:08x}-request").as_bytes()))
        .collect()
}

fn share(decisions: &[CaptureDecision], what: impl Fn(&CaptureDecision) -> bool) -> f64 {
    decisions.iter().filter(|decision| what(decision)).count() as f64 / decisions.len() as f64
}

fn assert_near(observed: f64, probability: f64) {
    let deviation = (probability * (1.0 - probability) / EXCHANGES as f64).sqrt();
    assert!((observed - probability).abs() <= 4.5 * deviation + 1e-12, "{observed} is not {probability}");
}

#[test]
fn stated_probabilities_are_the_true_ones() {
    for mode in ["shadow", "canary"] {
        let decisions = decisions(&policy(mode), "general");
        let stated = decisions[0];
        assert_eq!(stated.inclusion_probability_shadow, 0.4);
        assert_eq!(stated.inclusion_probability_noise, 0.2);
        assert!((stated.inclusion_probability_primary - (1.0 - 0.6 * 0.8 * 0.9)).abs() < 1e-12);
        assert_near(share(&decisions, |decision| decision.shadow), 0.4);
        assert_near(share(&decisions, |decision| decision.noise), 0.2);
        assert_near(share(&decisions, |decision| decision.sample), 0.1);
        assert_near(
            share(&decisions, CaptureDecision::capture_primary),
            stated.inclusion_probability_primary,
        );
        assert_near(share(&decisions, |decision| decision.shadow && decision.noise), 0.4 * 0.2);
    }
}

#[test]
fn a_cohort_replaces_the_shares_of_the_policy() {
    let decisions = decisions(&policy("canary"), "partner");
    assert_eq!(share(&decisions, |decision| decision.shadow), 0.0);
    assert_eq!(share(&decisions, |decision| decision.sample), 1.0);
    assert_eq!(decisions[0].inclusion_probability_primary, 1.0);
}

#[test]
fn off_captures_nothing_and_rolled_back_only_samples() {
    assert!(
        decisions(&policy("off"), "general").iter().all(|decision| *decision == CaptureDecision::NOTHING)
    );
    let decisions = decisions(&policy("rolled-back"), "general");
    assert_eq!(share(&decisions, |decision| decision.shadow || decision.noise), 0.0);
    assert_near(share(&decisions, |decision| decision.sample), 0.1);
    assert!((decisions[0].inclusion_probability_primary - 0.1).abs() < 1e-12);
}

#[test]
fn what_the_candidate_answers_is_sampled_and_not_copied() {
    for mode in ["canary", "full"] {
        let policy = policy(mode);
        let assignment = (0..)
            .map(|number| policy.assign(&[("x-user-id", format!("user-{number}"))]))
            .find(|assignment| assignment.variant == Variant::Candidate)
            .unwrap();
        let decisions: Vec<CaptureDecision> = (0..EXCHANGES)
            .map(|number| policy.capture_decision(&assignment, format!("{number}").as_bytes()))
            .collect();
        assert_eq!(share(&decisions, |decision| decision.shadow || decision.noise), 0.0);
        assert_near(share(&decisions, |decision| decision.sample), 0.1);
    }
}

#[test]
fn full_makes_no_copies_of_what_control_still_answers() {
    let policy = policy("full");
    let assignment = policy.assign(&[("x-tier", "general")]);
    let decision = policy.capture_decision(&assignment, b"1");
    assert_eq!((assignment.variant, decision.shadow, decision.noise), (Variant::Control, false, false));
    assert_eq!(decision.inclusion_probability_shadow, 0.0);
}

#[test]
fn a_growing_shadow_share_keeps_the_exchanges_that_it_had() {
    let small = decisions(&policy("shadow"), "general");
    let large = decisions(
        &parse(&policy_with("shadow", "").replace("shadow: {percent: 40}", "shadow: {percent: 70}")),
        "general",
    );
    assert!(small.iter().zip(&large).all(|(small, large)| !small.shadow || large.shadow));
    assert!(small.iter().zip(&large).any(|(small, large)| !small.shadow && large.shadow));
}

#[test]
fn a_copy_that_is_not_possible_has_no_part_in_the_probability_of_the_primary_leg() {
    let decisions = decisions(&policy("canary"), "general");
    for (shadow, noise, missed) in [
        (true, true, 0.6 * 0.8 * 0.9),
        (false, true, 0.8 * 0.9),
        (true, false, 0.6 * 0.9),
        (false, false, 0.9),
    ] {
        let restricted: Vec<_> =
            decisions.iter().map(|decision| decision.restricted(shadow, noise)).collect();
        let stated = restricted[0].inclusion_probability_primary;
        assert!((stated - (1.0 - missed)).abs() < 1e-12, "{shadow} {noise}");
        assert_near(share(&restricted, CaptureDecision::capture_primary), stated);
        assert!(shadow || restricted.iter().all(|decision| !decision.shadow));
        assert!(noise || restricted.iter().all(|decision| !decision.noise));
    }
}

#[test]
fn methods_and_content_types_of_copies_are_compared_as_http_says() {
    let policy = parse(&policy_with("shadow", "").replace(
        "shadow: {percent: 40}",
        "shadow: {percent: 40, methods: [POST], contentTypes: [application/json, text/*]}",
    ));
    let shadow = &policy.shadow;
    assert!(shadow.is_limited() && !shadow.is_capped());
    assert!(shadow.allows_method(b"POST") && !shadow.allows_method(b"post") && !shadow.allows_method(b""));
    for allowed in ["application/json", "Application/JSON; charset=utf-8", "text/plain", "TEXT/x;y"] {
        assert!(shadow.allows_content_type(allowed.as_bytes()), "{allowed}");
    }
    for refused in
        ["", "application/jsonl", "application/json5", "application", "texts/plain", ";application/json"]
    {
        assert!(!shadow.allows_content_type(refused.as_bytes()), "{refused}");
    }
    let open = policy_with("shadow", "");
    assert!(parse(&open).shadow.allows_content_type(b"") && parse(&open).shadow.allows_method(b"\xff"));
}
