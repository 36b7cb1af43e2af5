//! Every estimator against an independent implementation (`reference/generate.py`, numpy and scipy).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use serde::Deserialize;
use weir_stats::asymptotic::{self, rho_squared, student_boundary};
use weir_stats::{Arms, Estimate, Stratified, bounded};

#[derive(Deserialize)]
struct Reference {
    means: Vec<MeanCase>,
    boundaries: Vec<BoundaryCase>,
    pairs: Vec<PairCase>,
    strata: Vec<StrataCase>,
}

#[derive(Deserialize)]
struct Expected {
    value: f64,
    low: f64,
    high: f64,
}

#[derive(Deserialize)]
struct MeanCase {
    name: String,
    alpha: f64,
    values: Vec<f64>,
    betting: Expected,
    /// By each value as it is.
    unshared: Expected,
    bernstein: Expected,
}

#[derive(Deserialize)]
struct BoundaryCase {
    n: f64,
    alpha: f64,
    tuned: f64,
    student: Option<f64>,
}

#[derive(Deserialize)]
struct PairCase {
    name: String,
    alpha: f64,
    first: Vec<f64>,
    second: Vec<f64>,
    difference: Expected,
    ratio: Expected,
}

#[derive(Deserialize)]
struct StrataCase {
    name: String,
    alpha: f64,
    strata: Vec<StratumCase>,
    difference: Expected,
    ratio: Expected,
    bounded: Option<Expected>,
}

#[derive(Deserialize)]
struct StratumCase {
    control: Vec<f64>,
    candidate: Vec<f64>,
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("reference/reference.json")).unwrap()
}

/// Agreement to 1e-10 of the size of the numbers (at least of one, for values in the unit interval).
fn assert_close(what: &str, found: Estimate, expected: &Expected) {
    let ends = [(found.value, expected.value), (found.low, expected.low), (found.high, expected.high)];
    for (found, expected) in ends {
        let tolerance = 1e-10 * expected.abs().max(1.0);
        assert!((found - expected).abs() <= tolerance, "{what}: {found} is not {expected}");
    }
}

#[test]
fn bounded_means_agree_with_the_reference() {
    let cases = reference().means;
    assert_eq!(cases.len(), 16);
    for case in &cases {
        let what = format!("{} at {}", case.name, case.alpha);
        let found = bounded::betting(&case.values, case.alpha).unwrap();
        assert_close(&what, found, &case.betting);
        let unshared = &case.unshared;
        assert!(found.low <= unshared.low + 1e-12 && found.high >= unshared.high - 1e-12, "{what}");
        assert!(found.width() <= 1.001 * (unshared.high - unshared.low), "{what}");
        assert_close(&what, bounded::empirical_bernstein(&case.values, case.alpha).unwrap(), &case.bernstein);
    }
}

#[test]
fn the_student_boundary_agrees_with_a_numerical_solution() {
    let cases = reference().boundaries;
    assert_eq!(cases.len(), 24);
    for case in cases {
        let found = student_boundary(case.n, case.alpha, rho_squared(case.alpha, case.tuned));
        match (found, case.student) {
            (Some(found), Some(expected)) => {
                assert!((found / expected - 1.0).abs() < 1e-10, "n {}: {found} is not {expected}", case.n);
            }
            (found, expected) => assert_eq!(found, expected, "n {} alpha {}", case.n, case.alpha),
        }
    }
}

#[test]
fn paired_differences_and_ratios_agree_with_the_reference() {
    for case in reference().pairs {
        let pairs: Vec<(f64, f64)> = case.first.into_iter().zip(case.second).collect();
        let difference = asymptotic::paired_difference(&pairs, case.alpha, 500.0).unwrap();
        assert_close(&case.name, difference, &case.difference);
        let ratio = asymptotic::paired_ratio(&pairs, case.alpha, 500.0).unwrap();
        assert_close(&case.name, ratio, &case.ratio);
    }
}

#[test]
fn stratified_comparisons_agree_with_the_reference() {
    let mut bounded_cases = 0;
    for case in reference().strata {
        let arms: Vec<Arms<'_>> =
            case.strata.iter().map(|s| Arms { control: &s.control, candidate: &s.candidate }).collect();
        let strata = Stratified::new(&arms).unwrap();
        let difference = asymptotic::unpaired_difference(&strata, case.alpha, 500.0).unwrap();
        assert_close(&case.name, difference, &case.difference);
        assert_close(
            &case.name,
            asymptotic::unpaired_ratio(&strata, case.alpha, 500.0).unwrap(),
            &case.ratio,
        );
        if let Some(expected) = case.bounded {
            bounded_cases += 1;
            assert_close(
                &case.name,
                bounded::unpaired_difference(&strata, (0.0, 1.0), case.alpha).unwrap(),
                &expected,
            );
        }
    }
    assert_eq!(bounded_cases, 1);
}
