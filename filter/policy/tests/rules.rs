//! Header rules: each test, their combinations, and values of any bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use proptest::prelude::*;
use weir_policy::Match;

fn rule(text: &str) -> Match {
    weir_document::read("rule", text).unwrap_or_else(|problems| panic!("{problems}"))
}

fn matches(text: &str, headers: &[(&str, &[u8])]) -> bool {
    rule(text).matches(headers)
}

#[test]
fn every_test_compares_bytes() {
    let value: &[u8] = b"Beta-7\xff";
    for (test, expected) in [
        ("exact: beta", false),
        ("prefix: Beta", true),
        ("prefix: beta", false),
        ("contains: a-7", true),
        ("contains: A-7", false),
        ("contains: a-7-and-more-than-the-value-has", false),
        ("suffix: '7'", false),
        ("oneOf: [Beta, beta]", false),
        ("present: true", true),
        ("present: false", false),
    ] {
        assert_eq!(matches(&format!("{{header: x-tier, {test}}}"), &[("x-tier", value)]), expected, "{test}");
    }
    assert!(matches("{header: x-tier, exact: beta}", &[("x-tier", b"beta")]));
    assert!(matches("{header: x-tier, exact: ''}", &[("x-tier", b"")]));
    assert!(matches("{header: x-tier, suffix: ta}", &[("x-tier", b"beta")]));
    assert!(matches("{header: x-tier, oneOf: [alpha, beta]}", &[("x-tier", b"beta")]));
    assert!(matches("{header: x-tier, exact: grün}", &[("x-tier", "grün".as_bytes())]));
}

#[test]
fn names_are_compared_without_case() {
    assert!(matches("{header: X-TIER, exact: beta}", &[("x-tier", b"beta")]));
    assert!(matches("{header: x-tier, exact: beta}", &[("X-Tier", b"beta")]));
    assert!(!matches("{header: x-tier, exact: beta}", &[("x-tiers", b"beta")]));
}

#[test]
fn a_header_that_is_not_there_matches_only_its_absence() {
    for test in ["exact: ''", "prefix: a", "suffix: a", "contains: a", "oneOf: ['']", "present: true"] {
        assert!(!matches(&format!("{{header: x-tier, {test}}}"), &[]), "{test}");
    }
    assert!(matches("{header: x-tier, present: false}", &[]));
}

#[test]
fn rules_combine() {
    let text = "
all:
  - any:
      - {header: x-tier, exact: beta}
      - {header: x-tier, prefix: int}
  - not: {header: user-agent, contains: bot}
";
    let tier_and_agent = |tier: &str, agent: &str| {
        matches(text, &[("x-tier", tier.as_bytes()), ("user-agent", agent.as_bytes())])
    };
    assert!(tier_and_agent("beta", "curl"));
    assert!(tier_and_agent("internal", "curl"));
    assert!(!tier_and_agent("general", "curl"));
    assert!(!tier_and_agent("beta", "robot"));
    assert!(matches(text, &[("x-tier", b"beta")]), "no user-agent is no bot");
}

#[test]
fn rules_say_what_they_match() {
    let texts = [
        "{header: x-tier, exact: beta}",
        "{header: x-tier, oneOf: [a, b]}",
        "{header: x-tier, present: false}",
        "{all: [{header: a, prefix: x}, {any: [{header: b, suffix: y}, {header: c, contains: z}]}, {not: {header: d, present: true}}]}",
    ];
    insta::assert_snapshot!(texts.map(|text| rule(text).to_string()).join("\n"));
}

#[test]
fn rules_that_are_not_one_rule_are_refused() {
    let texts = [
        "{}",
        "{header: x-tier}",
        "{header: x-tier, exact: a, prefix: b}",
        "{exact: a}",
        "{all: []}",
        "{all: [{header: a, exact: b}], header: c, exact: d}",
        "{not: {header: a, exact: b}, suffix: c}",
        "{header: x-tier, contains: ''}",
        "{header: 'x tier', exact: a}",
        "{header: x-tier, exakt: a}",
        "{header: x-weir-variant, exact: candidate}",
        "{header: Authorization, prefix: Bearer}",
        "{header: x-tier, exact: \"a\\nb\"}",
        "{header: x-tier, oneOf: []}",
        "{header: x-tier, oneOf: [a, \"b\\u0000\"]}",
        "{header: x-tier, exact: 7}",
    ];
    let refusal = |text: &str| weir_document::read::<Match>("rule", text).unwrap_err().to_string();
    insta::assert_snapshot!(texts.map(|text| format!("{text:?}\n{}", refusal(text))).join("\n\n"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tests_agree_with_their_meaning_on_any_bytes(value in prop::collection::vec(prop_oneof![Just(b'a'), Just(b'b'), any::<u8>()], 0..12), text in "[ab]{1,4}") {
        let of = |test: &str| matches(&format!("{{header: x, {test}: '{text}'}}"), &[("x", &value)]);
        let lossless: String = value.iter().map(|byte| char::from(*byte)).collect();
        prop_assert_eq!(of("exact"), lossless == text);
        prop_assert_eq!(of("prefix"), lossless.starts_with(&text));
        prop_assert_eq!(of("suffix"), lossless.ends_with(&text));
        prop_assert_eq!(of("contains"), lossless.contains(&text));
    }
}
