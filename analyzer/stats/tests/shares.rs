//! The test of a share: reference values, the level under constant looking, power, and what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Random, most_events};
use proptest::prelude::{ProptestConfig, prop, prop_assert, prop_assert_eq, proptest};
use serde::Deserialize;
use weir_stats::StatsError;
use weir_stats::share::{LN_EVIDENCE_MAX, ShareTest};

#[derive(Deserialize)]
struct Case {
    expected: f64,
    flags: String,
    hits: u64,
    ln_evidence: f64,
}

fn tested(expected: f64, flags: impl Iterator<Item = bool>) -> ShareTest {
    let mut test = ShareTest::new(expected).unwrap();
    flags.for_each(|flag| test.observe(flag));
    test
}

#[test]
fn the_evidence_agrees_with_the_reference() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("reference/shares.json")).unwrap();
    assert!(cases.len() >= 40);
    for case in cases {
        let test = tested(case.expected, case.flags.bytes().map(|byte| byte == b'1'));
        assert_eq!((test.hits(), test.n()), (case.hits, case.flags.len() as u64));
        let found = test.ln_evidence();
        let allowed = 1e-9 * case.ln_evidence.abs().max(1.0);
        assert!((found - case.ln_evidence).abs() < allowed, "{found} {}", case.ln_evidence);
    }
}

/// Runs of 2,000 observations in which a true share is refuted, looked at after every one; a chi-squared test at the
/// same level, looked at after every hundredth, breaks the promise: this test can fail.
#[test]
fn a_true_share_is_refuted_by_any_look_in_fewer_runs_than_alpha() {
    let (runs, alpha) = (500, 0.05);
    for expected in [0.01, 0.2, 0.5] {
        let mut random = Random(7);
        let (mut refuted, mut chi_squared) = (0, 0);
        for _ in 0..runs {
            let mut test = ShareTest::new(expected).unwrap();
            let mut ever = false;
            for n in 1..=2_000_u32 {
                test.observe(random.unit() < expected);
                let deviation = test.hits() as f64 - f64::from(n) * expected;
                let spread = f64::from(n) * expected * (1.0 - expected);
                ever |= n % 100 == 0 && deviation * deviation / spread > 3.841;
            }
            refuted += usize::from(test.refuted(alpha));
            chi_squared += usize::from(ever);
        }
        let most = most_events(runs, alpha);
        println!("share {expected}: {refuted} of {runs} runs, at most {most}; chi-squared: {chi_squared}");
        assert!(refuted <= most, "{refuted} of {runs}");
        assert!(chi_squared > most, "the test of this test: {chi_squared}");
    }
}

/// What a loss of a fifth of the candidate's identities takes to be seen.
#[test]
fn a_false_share_is_refuted_after_a_few_thousand_observations() {
    for (expected, truth, within) in [(0.5, 0.444, 4_000), (0.2, 0.167, 8_000), (0.5, 0.25, 200)] {
        let mut random = Random(3);
        let mut test = ShareTest::new(expected).unwrap();
        while !test.refuted(0.001) && test.n() < within {
            test.observe(random.unit() < truth);
        }
        println!("{expected} for {truth}: refuted after {}", test.n());
        assert!(test.refuted(0.001), "{expected} for {truth}");
    }
}

#[test]
fn a_share_of_nothing_or_everything_is_refuted_by_one_exception() {
    assert!(!tested(0.0, (0..1_000).map(|_| false)).refuted(0.001));
    assert!(!tested(1.0, (0..1_000).map(|_| true)).refuted(0.001));
    for (expected, hit) in [(0.0, true), (1.0, false)] {
        let test = tested(expected, (0..10).map(|at| if at == 5 { hit } else { !hit }));
        assert!(test.refuted(0.001));
        assert!((0.0..=LN_EVIDENCE_MAX).contains(&test.ln_evidence()));
    }
}

#[test]
fn a_share_that_is_none_is_refused() {
    for share in [-0.1, 1.1, f64::NAN] {
        assert!(matches!(ShareTest::new(share), Err(StatsError::Probability(_))));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_batch_has_the_evidence_of_its_observations(
        expected in prop::sample::select(vec![0.0, 0.001, 0.2, 0.5, 0.9, 1.0]),
        batches in prop::collection::vec((0_u64..400, 0_u64..400), 1..8),
    ) {
        let (mut single, mut batched) = (ShareTest::new(expected).unwrap(), ShareTest::new(expected).unwrap());
        for (hits, misses) in batches {
            let singles = [(true, hits), (false, misses)];
            let order = if expected >= 0.5 { [0, 1] } else { [1, 0] };
            for (hit, count) in order.map(|place: usize| singles[place]) {
                (0..count).for_each(|_| single.observe(hit));
            }
            batched.observe_many(hits, misses);
            prop_assert_eq!((single.hits(), single.n()), (batched.hits(), batched.n()));
            let (one, other) = (single.ln_evidence(), batched.ln_evidence());
            prop_assert!((one - other).abs() <= 1e-9 * one.abs().max(1.0), "{} {}", one, other);
            // Looked at less often: never refuted where single observations do not refute.
            prop_assert!(single.refuted(0.001) || !batched.refuted(0.001));
        }
    }
}

#[test]
fn a_batch_with_an_exception_refutes_a_share_of_nothing_or_everything() {
    for (expected, (hits, misses)) in [(0.0, (1, 1_000_000)), (1.0, (1_000_000, 1))] {
        let mut test = ShareTest::new(expected).unwrap();
        test.observe_many(if hits > 1 { hits } else { 0 }, if misses > 1 { misses } else { 0 });
        assert!(!test.refuted(0.001), "{expected}");
        let mut test = ShareTest::new(expected).unwrap();
        test.observe_many(hits, misses);
        assert!(test.refuted(0.001), "{expected}");
        assert!((0.0..=LN_EVIDENCE_MAX).contains(&test.ln_evidence()));
    }
}
