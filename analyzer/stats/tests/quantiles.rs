//! Quantiles: reference values, the level under constant looking, ties, and what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Random, most_events};
use proptest::prelude::*;
use serde::Deserialize;
use weir_stats::{StatsError, quantile};

#[derive(Deserialize)]
struct Case {
    values: Vec<f64>,
    p: f64,
    alpha: f64,
    value: f64,
    low: Option<f64>,
    high: Option<f64>,
    values_needed: usize,
}

#[test]
fn quantiles_agree_with_the_reference() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("reference/quantiles.json")).unwrap();
    assert!(cases.len() >= 20);
    for case in cases {
        assert_eq!(quantile::values_needed(case.p, case.alpha), case.values_needed, "p {}", case.p);
        let found = quantile::quantile(&case.values, case.p, case.alpha);
        match (case.low, case.high) {
            (Some(low), Some(high)) => {
                let found = found.unwrap();
                assert_eq!((found.value, found.low, found.high), (case.value, low, high));
            }
            _ => assert!(matches!(found, Err(StatsError::TooFew { .. })), "{found:?}"),
        }
    }
}

/// Looks after every tenth value; the truth may be left out in at most a share alpha of the runs.
#[test]
fn a_quantile_is_left_out_by_any_look_in_fewer_runs_than_alpha() {
    let (runs, alpha) = (400, 0.1);
    for (p, truth, ties) in [(0.5, 0.5, false), (0.95, 0.95, false), (0.95, 0.9, true)] {
        let mut random = Random(11);
        let mut missed = 0;
        for _ in 0..runs {
            // With ties: the last fifth of the values is 0.9, so that the quantile is inside an atom.
            let draw = |random: &mut Random| {
                let value = random.unit();
                if ties && value > 0.8 { 0.9 } else { value }
            };
            let mut values: Vec<f64> = Vec::new();
            let mut out = false;
            while values.len() < 1_500 && !out {
                values.extend((0..25).map(|_| draw(&mut random)));
                let interval = quantile::quantile(&values, p, alpha);
                out = interval.is_ok_and(|found| truth < found.low || truth > found.high);
            }
            missed += usize::from(out);
        }
        assert!(missed <= most_events(runs, alpha), "p {p}: {missed} of {runs}");
    }
}

#[test]
fn an_interval_closes_as_values_come() {
    let mut random = Random(3);
    let values: Vec<f64> = (0..20_000).map(|_| random.unit()).collect();
    let width = |n: usize| quantile::quantile(&values[..n], 0.95, 0.05).unwrap().width();
    assert!(width(500) > 1.5 * width(2_000) && width(2_000) > 2.0 * width(20_000));
}

#[test]
fn a_ratio_needs_a_control_above_zero() {
    let zeros = vec![0.0; 500];
    let ones = vec![1.0; 500];
    assert!(matches!(quantile::ratio(&zeros, &ones, 0.5, 0.05), Err(StatsError::NoRatio { .. })));
    let same = quantile::ratio(&ones, &ones, 0.5, 0.05).unwrap();
    assert_eq!((same.low, same.value, same.high), (0.0, 0.0, 0.0));
    let double = quantile::difference(&ones, &[2.0; 500], 0.5, 0.05).unwrap();
    assert_eq!((double.low, double.value, double.high), (1.0, 1.0, 1.0));
}

#[test]
fn what_is_no_quantile_is_refused() {
    assert_eq!(quantile::quantile(&[1.0; 300], 1.0, 0.05), Err(StatsError::Probability(1.0)));
    assert_eq!(quantile::quantile(&[1.0; 300], 0.5, 0.0), Err(StatsError::Alpha(0.0)));
    assert_eq!(quantile::quantile(&[f64::NAN], 0.5, 0.05), Err(StatsError::NotFinite { index: 0 }));
    let few = quantile::quantile(&[1.0; 3], 0.95, 0.05);
    assert!(matches!(few, Err(StatsError::TooFew { n: 3, minimum }) if minimum > 50), "{few:?}");
}

proptest! {
    #[test]
    fn the_interval_holds_the_estimate_and_moves_with_the_values(
        values in proptest::collection::vec(-1e3..1e3f64, 300..600), p in 0.1..0.9f64, shift in -10.0..10.0f64,
    ) {
        let found = quantile::quantile(&values, p, 0.05).unwrap();
        prop_assert!(found.low <= found.value && found.value <= found.high);
        let moved: Vec<f64> = values.iter().map(|value| value + shift).collect();
        let moved = quantile::quantile(&moved, p, 0.05).unwrap();
        prop_assert!((moved.low - found.low - shift).abs() < 1e-9 && (moved.high - found.high - shift).abs() < 1e-9);
    }
}
