//! Overrides: who may choose, who is left alone, what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{parse, policy_with, refusal};
use weir_policy::{CaptureDecision, Policy, Reason, UpstreamHeader, Variant};

const OVERRIDES: &str =
    "overrides: {forceHeader: X-Force, forceTiers: [internal, power], deny: [eve, 'mal lory']}";

fn policy(mode: &str) -> Policy {
    parse(&policy_with(mode, OVERRIDES))
}

fn answer(policy: &Policy, headers: &[(&str, &str)]) -> (Variant, Reason) {
    let assignment = policy.assign(headers);
    (assignment.variant, assignment.reason)
}

#[test]
fn only_named_tiers_choose_and_only_while_the_candidate_serves() {
    for (mode, tier, wanted, expected) in [
        ("canary", "internal", "candidate", Some(Variant::Candidate)),
        ("canary", "internal", "control", Some(Variant::Control)),
        ("full", "internal", "control", Some(Variant::Control)),
        ("canary", "partner", "candidate", Some(Variant::Candidate)),
        ("canary", "internal", "Candidate", None),
        ("canary", "internal", "", None),
        ("canary", "general", "candidate", None),
        ("shadow", "internal", "candidate", None),
        ("rolled-back", "internal", "candidate", None),
        ("off", "internal", "candidate", None),
    ] {
        let policy = policy(mode);
        let headers = [("x-tier", tier), ("x-user-id", "user-5")];
        let plain = answer(&policy, &headers);
        let forced = answer(&policy, &[headers[0], headers[1], ("x-force", wanted)]);
        match expected {
            Some(variant) => assert_eq!(forced, (variant, Reason::Forced), "{mode} {tier} {wanted}"),
            None => assert_eq!(forced, plain, "{mode} {tier} {wanted}"),
        }
    }
    // A choice needs no identity: it is repeated with every request.
    let chosen = answer(&policy("canary"), &[("x-tier", "internal"), ("x-force", "candidate")]);
    assert_eq!(chosen, (Variant::Candidate, Reason::Forced));
}

#[test]
fn denied_identities_stay_with_control_in_every_mode_and_cannot_choose() {
    for mode in ["shadow", "canary", "full", "rolled-back"] {
        let policy = policy(mode);
        for identity in [("x-user-id", "eve"), ("cookie", "session=mal lory")] {
            let assignment = policy.assign(&[identity, ("x-tier", "internal"), ("x-force", "candidate")]);
            assert_eq!((assignment.variant, assignment.reason), (Variant::Control, Reason::Denied), "{mode}");
            assert_eq!(policy.capture_decision(&assignment, b"1"), CaptureDecision::NOTHING);
        }
        assert_ne!(answer(&policy, &[("x-user-id", "eve2")]).1, Reason::Denied);
    }
}

#[test]
fn what_was_chosen_is_not_captured() {
    let mut policy = policy("canary");
    policy.sampling.percent = weir_policy::Share::ALL;
    let headers = [("x-tier", "internal"), ("x-user-id", "ada"), ("x-force", "control")];
    assert_eq!(policy.capture_decision(&policy.assign(&headers), b"1"), CaptureDecision::NOTHING);
    assert!(policy.capture_decision(&policy.assign(&headers[..2]), b"1").sample);
}

#[test]
fn overrides_explain_themselves() {
    let policy = policy("canary");
    let why = |headers: &[(&str, &str)]| policy.explain(&policy.assign(headers)).why;
    insta::assert_snapshot!(
        [
            why(&[("x-tier", "internal"), ("x-user-id", "ada"), ("x-force", "candidate")]),
            why(&[("x-user-id", "eve")]),
        ]
        .join("\n")
    );
}

#[test]
fn overrides_that_choose_nothing_or_let_anybody_choose_are_refused() {
    let refused = |overrides: &str| refusal(&policy_with("canary", overrides));
    insta::assert_snapshot!(
        [
            refused("overrides: {forceHeader: x-weir-force, forceTiers: [internal, staff, none, general]}"),
            refused("overrides: {forceHeader: x-force}"),
            refused("overrides: {forceTiers: [internal]}"),
            refused(
                "overrides: {forceHeader: content-type, forceTiers: [internal], deny: ['', \"a\\u0000\"]}"
            ),
            refusal(
                &policy_with("shadow", "overrides: {deny: [eve]}")
                    .replace("[{header: x-user-id}, {cookie: session}]", "[]")
            ),
        ]
        .join("\n\n")
    );
}

#[test]
fn upstream_headers_are_few_unless_asked_for() {
    assert_eq!(policy("canary").upstream_headers(), [UpstreamHeader::Autonomy]);
    let all = parse(&policy_with("canary", "routing: {upstreamHeaders: [experiment, variant, snapshot]}"));
    assert_eq!(
        all.upstream_headers(),
        [UpstreamHeader::Experiment, UpstreamHeader::Variant, UpstreamHeader::Snapshot]
    );
    assert!(parse(&policy_with("canary", "routing: {upstreamHeaders: []}")).upstream_headers().is_empty());
}
