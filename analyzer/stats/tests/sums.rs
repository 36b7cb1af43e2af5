//! Intervals from sums are those from the values that were added up, however they were parted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use proptest::prelude::*;
use weir_stats::{
    Arms, Buckets, Column, ColumnAdder, Counting, Estimate, PairAdder, PairSums, StatsError, Stratified,
    asymptotic, bounded, quantile, weights,
};

const TUNED_N: f64 = 500.0;
const BOUNDS: (f64, f64) = (-1.0, 3.0);

fn column(values: &[f64], parts: usize) -> Column {
    let mut whole = Column::default();
    for part in values.chunks(values.len().div_ceil(parts).max(1)) {
        let mut adder = ColumnAdder::default();
        part.iter().for_each(|value| adder.add(*value, Some((value - BOUNDS.0) / (BOUNDS.1 - BOUNDS.0))));
        whole.append(&adder.column());
    }
    whole
}

fn sums(pairs: &[(f64, f64)], parts: usize) -> PairSums {
    let mut whole = PairSums::default();
    for part in pairs.chunks(pairs.len().div_ceil(parts).max(1)) {
        let mut adder = PairAdder::default();
        for (x, y) in part {
            adder.add((*x, *y), Some(0.5 + (y - x) / (2.0 * (BOUNDS.1 - BOUNDS.0))));
        }
        whole.append(&adder.pairs());
    }
    whole
}

fn counts(values: &[f64], parts: usize) -> Buckets {
    let mut whole = Buckets::default();
    for part in values.chunks(values.len().div_ceil(parts).max(1)) {
        let mut counting = Counting::default();
        part.iter().for_each(|value| counting.add(*value));
        whole.append(&counting.buckets());
    }
    whole
}

fn same(one: Result<Estimate, StatsError>, other: Result<Estimate, StatsError>) {
    match (one, other) {
        (Ok(one), Ok(other)) => {
            let close = |one: f64, other: f64| (one - other).abs() <= 1e-7 * other.abs().max(1.0);
            assert!(close(one.value, other.value) && close(one.low, other.low), "{one:?} {other:?}");
            assert!(close(one.high, other.high) && one.n == other.n, "{one:?} {other:?}");
        }
        (Err(one), Err(other)) => {
            assert_eq!(std::mem::discriminant(&one), std::mem::discriminant(&other), "{one} {other}");
        }
        (one, other) => panic!("{one:?} {other:?}"),
    }
}

/// The ends of bounds are points of every grid, also of the one that is laid between the least and the greatest value.
fn on_points() -> impl Strategy<Value = f64> {
    (0_u32..=1).prop_map(|step| BOUNDS.0 + 4.0 * f64::from(step))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn pairs_are_compared_alike(
        pairs in prop::collection::vec((on_points(), on_points()), 0..200),
        parts in 1_usize..5,
        alpha in 0.001_f64..0.2,
    ) {
        let sums = sums(&pairs, parts);
        same(bounded::paired_difference_of_sums(&sums, BOUNDS, alpha), bounded::paired_difference(&pairs, BOUNDS, alpha));
        same(asymptotic::paired_difference_of_sums(&sums, alpha, TUNED_N), asymptotic::paired_difference(&pairs, alpha, TUNED_N));
        same(asymptotic::paired_ratio_of_sums(&sums, alpha, TUNED_N), asymptotic::paired_ratio(&pairs, alpha, TUNED_N));
    }

    #[test]
    fn strata_are_compared_alike(
        strata in prop::collection::vec((prop::collection::vec(on_points(), 0..60), prop::collection::vec(on_points(), 0..60)), 1..4),
        parts in 1_usize..5,
        alpha in 0.001_f64..0.2,
    ) {
        let arms: Vec<Arms<'_>> = strata.iter().map(|(control, candidate)| Arms { control, candidate }).collect();
        let sizes: Vec<_> = strata.iter().map(|(control, candidate)| (control.len(), candidate.len())).collect();
        let columns: Vec<_> = strata.iter().map(|(one, other)| (column(one, parts), column(other, parts))).collect();
        let (stratified, weights) = match (Stratified::new(&arms), weights(&sizes)) {
            (Ok(stratified), Ok(weights)) => (stratified, weights),
            (Err(_), Err(_)) => return Ok(()),
            other => panic!("{other:?}"),
        };
        let weighted: Vec<_> =
            columns.iter().zip(weights).filter_map(|((one, other), weight)| Some((one, other, weight?))).collect();
        same(bounded::unpaired_difference_of_sums(&weighted, BOUNDS, alpha), bounded::unpaired_difference(&stratified, BOUNDS, alpha));
        same(asymptotic::unpaired_difference_of_sums(&weighted, alpha, TUNED_N), asymptotic::unpaired_difference(&stratified, alpha, TUNED_N));
        same(asymptotic::unpaired_ratio_of_sums(&weighted, alpha, TUNED_N), asymptotic::unpaired_ratio(&stratified, alpha, TUNED_N));
        let (one, values) = (&columns[0].0, &strata[0].0);
        same(bounded::mean_of_sums(one, BOUNDS, alpha), bounded::mean(values, BOUNDS, alpha));
        same(asymptotic::mean_of_sums(one, alpha, TUNED_N), asymptotic::mean(values, alpha, TUNED_N));
    }

    #[test]
    fn an_interval_of_shared_out_values_is_wider_and_hardly_so(
        pairs in prop::collection::vec((-1.0_f64..=3.0, -1.0_f64..=3.0), 1..300),
        parts in 1_usize..5,
    ) {
        let exact = bounded::paired_difference(&pairs, BOUNDS, 0.01).unwrap();
        let found = bounded::paired_difference_of_sums(&sums(&pairs, parts), BOUNDS, 0.01).unwrap();
        prop_assert!((found.value - exact.value).abs() < 1e-9);
        prop_assert!(found.width() <= exact.width() * 1.01 + 1e-9, "{found:?} {exact:?}");
        prop_assert!(found.width() >= exact.width() * 0.99 - 1e-9, "{found:?} {exact:?}");
    }

    #[test]
    fn percentiles_of_counts_hold_those_of_the_values(
        control in prop::collection::vec(1.0_f64..9_000.0, 1..400),
        candidate in prop::collection::vec(1.0_f64..9_000.0, 1..400),
        parts in 1_usize..5,
        p in 0.05_f64..0.95,
    ) {
        let (of_control, of_candidate) = (counts(&control, parts), counts(&candidate, parts));
        let around = |exact: Result<Estimate, StatsError>, found: Result<Estimate, StatsError>| match (exact, found) {
            (Ok(exact), Ok(found)) => {
                assert!(found.low <= exact.low && exact.high <= found.high, "{found:?} {exact:?}");
                let near = |one: f64, other: f64, size: f64| (one - other).abs() <= size / 400.0;
                let size = if exact.value.abs() > 10.0 { 9_000.0 } else { 1.0 + exact.high.abs() };
                assert!(near(found.low, exact.low, size) && near(found.high, exact.high, size), "{found:?} {exact:?}");
                assert!(near(found.value, exact.value, size) && found.n == exact.n, "{found:?} {exact:?}");
            }
            (Err(one), Err(other)) => assert_eq!(one.to_string(), other.to_string()),
            (one, other) => panic!("{one:?} {other:?}"),
        };
        around(quantile::quantile(&control, p, 0.05), quantile::quantile_of_counts(&of_control, p, 0.05));
        around(
            quantile::difference(&control, &candidate, p, 0.05),
            quantile::difference_of_counts(&of_control, &of_candidate, p, 0.05),
        );
        around(
            quantile::ratio(&control, &candidate, p, 0.05),
            quantile::ratio_of_counts(&of_control, &of_candidate, p, 0.05),
        );
        let plain = quantile::at_counts(&of_control, p).unwrap();
        let mut sorted = control.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let exact = quantile::at(&sorted, p).unwrap();
        prop_assert!(plain <= exact && exact - plain <= exact / 1_000.0);
    }
}

#[test]
fn sums_of_nothing_are_refused_as_no_values_are() {
    let (none, nothing) = (PairSums::default(), Buckets::default());
    assert!(matches!(
        bounded::paired_difference_of_sums(&none, BOUNDS, 0.05),
        Err(StatsError::TooFew { n: 0, .. })
    ));
    assert!(matches!(
        asymptotic::paired_ratio_of_sums(&none, 0.05, TUNED_N),
        Err(StatsError::TooFew { n: 0, .. })
    ));
    assert!(matches!(
        quantile::quantile_of_counts(&nothing, 0.5, 0.05),
        Err(StatsError::TooFew { n: 0, .. })
    ));
    assert_eq!(quantile::at_counts(&nothing, 0.5), None);
    let some = sums(&[(0.0, 1.0); 50], 3);
    for alpha in [0.0, 1.0, f64::NAN] {
        assert!(bounded::paired_difference_of_sums(&some, BOUNDS, alpha).is_err());
        assert!(asymptotic::paired_difference_of_sums(&some, alpha, TUNED_N).is_err());
        assert!(asymptotic::paired_ratio_of_sums(&some, alpha, TUNED_N).is_err());
    }
}
