//! Assignment: who gets which variant, sticky and monotone, in every mode; and what it says about itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{parse, policy, policy_with};
use proptest::prelude::*;
use weir_policy::{Autonomy, Mode, NO_COHORT, Policy, Reason, Share, Variant, cookie_value};

fn user(number: usize) -> [(&'static str, String); 1] {
    [("x-user-id", format!("user-{number}"))]
}

#[test]
fn the_first_matching_cohort_counts() {
    let policy = policy("canary");
    for (tier, cohort, expected_tier, autonomy) in [
        ("internal", "internal", "internal", Some(Autonomy::Autonomous)),
        ("partner", "partners", "power", None),
        ("Internal", "general", "general", None),
        ("", "general", "general", None),
    ] {
        let assignment = policy.assign(&[("X-Tier", tier), ("x-user-id", "ada")]);
        assert_eq!(policy.cohort_name(&assignment), cohort);
        assert_eq!(policy.tier(&assignment), expected_tier);
        assert_eq!(policy.autonomy(&assignment), autonomy);
    }
}

#[test]
fn a_request_that_no_cohort_matches_goes_to_control() {
    let mut policy = policy("canary");
    policy.cohorts.truncate(1);
    let assignment = policy.assign(&user(1));
    assert_eq!((assignment.variant, assignment.reason), (Variant::Control, Reason::NoCohort));
    assert_eq!((policy.cohort_name(&assignment), policy.tier(&assignment)), (NO_COHORT, NO_COHORT));
}

#[test]
fn identity_comes_from_the_first_source_that_has_one() {
    let policy = policy("canary");
    let found = |headers: &[(&str, &str)]| {
        let assignment = policy.assign(headers);
        policy.identity_source(&assignment).map(|source| source.to_string())
    };
    assert_eq!(found(&[("x-user-id", "ada"), ("cookie", "session=1")]).as_deref(), Some("header x-user-id"));
    assert_eq!(found(&[("x-user-id", ""), ("cookie", "a=b; session=1")]).as_deref(), Some("cookie session"));
    assert_eq!(found(&[("cookie", "session=; sessions=2")]), None);
    assert_eq!(found(&[]), None);
    // The same identity from another source is the same user.
    let by_header = policy.assign(&[("x-user-id", "ada")]);
    let by_cookie = policy.assign(&[("cookie", "session=ada")]);
    assert_eq!(by_header.bucket_ppm, by_cookie.bucket_ppm);
}

#[test]
fn a_request_without_identity_goes_to_control_also_when_everybody_gets_the_candidate() {
    for mode in ["canary", "full"] {
        let assignment = policy(mode).assign(&[("x-tier", "internal")]);
        assert_eq!((assignment.variant, assignment.reason), (Variant::Control, Reason::NoIdentity));
        assert_eq!((assignment.identity_hash, assignment.bucket_ppm), (None, None));
    }
}

#[test]
fn every_mode_serves_whom_it_says() {
    let candidates = |mode: &str, tier: &str| {
        let policy = policy(mode);
        (0..2_000)
            .filter(|number| {
                let headers = [("x-tier", tier.to_owned()), ("x-user-id", format!("user-{number}"))];
                policy.assign(&headers).variant == Variant::Candidate
            })
            .count()
    };
    for mode in ["off", "shadow", "rolled-back"] {
        assert_eq!(candidates(mode, "internal"), 0, "{mode}");
    }
    assert!((900..1_100).contains(&candidates("canary", "internal")));
    assert!((60..140).contains(&candidates("canary", "general")));
    assert_eq!(candidates("canary", "partner"), 0);
    assert_eq!(candidates("full", "internal"), 2_000);
    assert_eq!(candidates("full", "general"), 2_000);
    assert_eq!(candidates("full", "partner"), 0, "a cohort without a share stays with control");
}

#[test]
fn salt_separates_experiments_and_defaults_to_the_name() {
    let named = policy("canary");
    let salted = parse(&policy_with("canary", "salt: support-answers"));
    let other = parse(&policy_with("canary", "salt: other"));
    let buckets =
        |policy: &Policy| (0..50).map(|number| policy.assign(&user(number)).bucket_ppm).collect::<Vec<_>>();
    assert_eq!(buckets(&named), buckets(&salted));
    assert_ne!(buckets(&named), buckets(&other));
    assert_ne!(named.assign(&user(1)).identity_hash, other.assign(&user(1)).identity_hash);
}

#[test]
fn explanations_say_which_rule_which_bucket_and_why() {
    let explain =
        |policy: &Policy, headers: &[(&str, &str)]| policy.explain(&policy.assign(headers)).to_string();
    let canary = policy("canary");
    let mut without_rest = canary.clone();
    without_rest.cohorts.truncate(2);
    let texts = [
        explain(&canary, &[("x-tier", "internal"), ("x-user-id", "grace")]),
        explain(&canary, &[("x-user-id", "ada")]),
        explain(&canary, &[("cookie", "session=ada"), ("x-tier", "partner")]),
        explain(&canary, &[]),
        explain(&without_rest, &[("x-user-id", "ada")]),
        explain(&policy("full"), &[("x-user-id", "ada")]),
        explain(&policy("shadow"), &[("x-user-id", "ada")]),
        explain(&policy("rolled-back"), &[("x-user-id", "ada")]),
        explain(&policy("off"), &[("x-user-id", "ada")]),
    ];
    insta::assert_snapshot!(texts.join("\n\n"));
    let explanation = canary.explain(&canary.assign(&[("x-user-id", "ada")]));
    insta::assert_snapshot!("explanation_json", serde_json::to_string_pretty(&explanation).unwrap());
}

#[test]
fn the_filter_knows_which_headers_it_has_to_read() {
    let policy = parse(&policy_with("canary", "").replace(
        "{header: x-tier, exact: partner}",
        "{any: [{header: ':path', prefix: /v1}, {not: {header: X-Tier, present: true}}]}",
    ));
    assert_eq!(policy.headers_read(), ["x-user-id", "cookie", "x-tier", ":path"]);
}

#[test]
fn cookies_are_found_whatever_stands_around_them() {
    let value = |header: &'static str| {
        cookie_value(header.as_bytes(), "id").map(|value| String::from_utf8_lossy(value))
    };
    assert_eq!(value("id=7").as_deref(), Some("7"));
    assert_eq!(value(" a=1;id=7 ; b=2").as_deref(), Some("7"));
    assert_eq!(value("id=\"7\"").as_deref(), Some("7"));
    assert_eq!(value("id=a=b==").as_deref(), Some("a=b=="));
    assert_eq!(value("id = 7").as_deref(), Some("7"));
    assert_eq!(value("id=; id=8").as_deref(), Some("8"));
    for without in ["", "id", "ID=7", "xid=7", "idx=7", "id;=7", "a=id=7", "; ;;"] {
        assert_eq!(value(without), None, "{without}");
    }
    assert_eq!(cookie_value(b"\xff\xfe; id=\xff\x00", "id"), Some(&b"\xff\x00"[..]));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_growing_share_never_takes_the_candidate_away(
        identity in "[ -~]{1,40}", smaller in 1_u32..=1_000_000, growth in 0_u32..=1_000_000,
    ) {
        let larger = smaller.saturating_add(growth).min(1_000_000);
        let variant = |ppm: u32| {
            let mut policy = policy("canary");
            policy.cohorts[2].candidate_percent = Share::from_ppm(ppm).unwrap();
            policy.assign(&[("x-user-id", &identity)]).variant
        };
        if variant(smaller) == Variant::Candidate {
            prop_assert_eq!(variant(larger), Variant::Candidate);
        }
    }

    #[test]
    fn assignment_is_sticky_over_revisions_and_other_headers(
        identity in prop::collection::vec(any::<u8>(), 1..60), noise in prop::collection::vec(any::<u8>(), 0..60), revision in 1_u64..1000,
    ) {
        let first = policy("canary");
        let mut later = first.clone();
        later.revision = revision;
        later.shadow.percent = Share::ALL;
        let alone = first.assign(&[("x-user-id", identity.as_slice())]);
        let among = later.assign(&[("user-agent", noise.as_slice()), ("x-user-id", identity.as_slice()), ("x-weir-variant", b"candidate")]);
        prop_assert_eq!(alone, among);
    }

    #[test]
    fn arbitrary_header_bytes_never_panic(
        headers in prop::collection::vec(("x-user-id|x-tier|cookie|:path", prop::collection::vec(any::<u8>(), 0..80)), 0..6),
    ) {
        for mode in Mode::ALL {
            let policy = policy(mode.as_str());
            let assignment = policy.assign(headers.as_slice());
            let decision = policy.capture_decision(&assignment, headers.first().map_or(&[], |(_, value)| value));
            prop_assert!((0.0..=1.0).contains(&decision.inclusion_probability_primary));
            prop_assert!(!policy.explain(&assignment).to_string().is_empty());
        }
    }
}
