//! What holds for every input: order of the ends, symmetry, refusals, forecasts that keep their word.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use proptest::prelude::*;
use weir_stats::forecast::{FORECAST_MAX, Shape, needed_more};
use weir_stats::{Arms, StatsError, Stratified, asymptotic, bounded};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_betting_interval_is_ordered_finite_and_mirrors(values in prop::collection::vec(0.0_f64..=1.0, 1..300)) {
        let found = bounded::betting(&values, 0.01).unwrap();
        prop_assert!(0.0 <= found.low && found.low <= found.value && found.value <= found.high && found.high <= 1.0);
        let mirrored: Vec<f64> = values.iter().map(|value| 1.0 - value).collect();
        let mirror = bounded::betting(&mirrored, 0.01).unwrap();
        prop_assert!((found.low - (1.0 - mirror.high)).abs() < 1e-9);
        prop_assert!((found.high - (1.0 - mirror.low)).abs() < 1e-9);
    }

    #[test]
    fn a_smaller_alpha_gives_a_wider_interval(values in prop::collection::vec(-50.0_f64..50.0, 60..200)) {
        let wide = asymptotic::mean(&values, 0.001, 500.0).unwrap();
        let narrow = asymptotic::mean(&values, 0.05, 500.0).unwrap();
        prop_assert!(wide.low <= narrow.low && narrow.high <= wide.high);
    }

    #[test]
    fn a_ratio_does_not_depend_on_the_unit(
        pairs in prop::collection::vec((10.0_f64..500.0, 10.0_f64..500.0), 60..150),
        unit in 0.001_f64..1000.0,
    ) {
        let scaled: Vec<(f64, f64)> = pairs.iter().map(|(x, y)| (x * unit, y * unit)).collect();
        let (plain, other) =
            (asymptotic::paired_ratio(&pairs, 0.01, 500.0).unwrap(), asymptotic::paired_ratio(&scaled, 0.01, 500.0).unwrap());
        prop_assert!((plain.low - other.low).abs() < 1e-9 && (plain.high - other.high).abs() < 1e-9);
    }

    #[test]
    fn a_forecast_is_zero_exactly_when_the_interval_fits(half in 0.001_f64..1.0, room in 0.001_f64..1.0, n in 20_u64..5_000) {
        for shape in [Shape::Bounded { sd: 0.3, range: 2.0, alpha: 0.01 }, Shape::Asymptotic { alpha: 0.01, tuned_n: 500.0 }] {
            match needed_more(shape, n, half, room) {
                Some(0) => prop_assert!(half <= room && has_interval(shape, n)),
                Some(more) => prop_assert!(half > room && more <= FORECAST_MAX && has_interval(shape, n)),
                None => prop_assert!(half > room || !has_interval(shape, n)),
            }
        }
    }

    #[test]
    fn nothing_is_forecast_from_so_few_values_that_they_have_no_interval(n in 0_u64..60, room in 0.001_f64..1.0) {
        let shape = Shape::Asymptotic { alpha: 0.01, tuned_n: 500.0 };
        prop_assert_eq!(needed_more(shape, n, room, room), has_interval(shape, n).then_some(0));
    }
}

/// Is there an interval of this shape from `n` values? Its width is then once itself.
fn has_interval(shape: Shape, n: u64) -> bool {
    shape.shrink(n, n) == 1.0
}

#[test]
fn values_that_never_vary_never_get_an_interval_of_zero_width() {
    let lengths = vec![(700.0, 700.0); 100];
    let ratio = asymptotic::paired_ratio(&lengths, 0.01, 500.0).unwrap();
    assert_eq!(ratio.value, 0.0);
    assert!(ratio.low < -0.03 && ratio.high > 0.03, "{ratio:?}");
    let zeros = asymptotic::mean(&[0.0; 50], 0.01, 500.0).unwrap();
    assert!(zeros.low < -0.03 && zeros.high > 0.03, "{zeros:?}");
    let flags = bounded::paired_difference(&[(1.0, 1.0); 5], (0.0, 1.0), 0.01).unwrap();
    assert!(flags.low < -0.5 && flags.high > 0.5, "{flags:?}");
}

#[test]
fn a_handful_of_unbounded_values_has_no_interval() {
    let error = asymptotic::mean(&[1.0, 2.0, 3.0], 0.01, 500.0).unwrap_err();
    let StatsError::TooFew { n: 3, minimum } = error else { panic!("{error}") };
    assert!(asymptotic::mean(&vec![1.0; minimum], 0.01, 500.0).is_ok());
    assert!(asymptotic::mean(&vec![1.0; minimum - 1], 0.01, 500.0).is_err());
}

#[test]
fn the_asymptotic_boundary_approaches_the_normal_one_from_above() {
    let rho = asymptotic::rho_squared(0.01, 500.0);
    let ratio = |n: f64| {
        asymptotic::student_boundary(n, 0.01, rho).unwrap() / asymptotic::normal_boundary(n, 0.01, rho)
    };
    assert!(ratio(50.0) > ratio(500.0) && ratio(500.0) > ratio(50_000.0));
    assert!((1.0..1.001).contains(&ratio(50_000.0)), "{}", ratio(50_000.0));
}

#[test]
fn bad_input_is_refused_with_its_place() {
    let refused = |values: &[f64]| bounded::betting(values, 0.05).unwrap_err();
    assert_eq!(refused(&[]), StatsError::TooFew { n: 0, minimum: 1 });
    assert_eq!(refused(&[0.5, f64::NAN]), StatsError::NotFinite { index: 1 });
    assert_eq!(refused(&[0.5, 1.5]), StatsError::OutOfBounds { index: 1, value: 1.5, low: 0.0, high: 1.0 });
    assert_eq!(bounded::betting(&[0.5], 0.0).unwrap_err(), StatsError::Alpha(0.0));
    assert_eq!(
        bounded::mean(&[0.5], (1.0, 1.0), 0.05).unwrap_err(),
        StatsError::Bounds { low: 1.0, high: 1.0 }
    );
    let zero = asymptotic::paired_ratio(&[(0.0, 1.0); 60], 0.05, 500.0).unwrap_err();
    assert_eq!(zero, StatsError::NoRatio { mean: 0.0 });
    let empty: [f64; 0] = [];
    let one_sided = [Arms { control: &[1.0], candidate: &empty }];
    assert_eq!(Stratified::new(&one_sided).unwrap_err(), StatsError::NoStratum);
}

#[test]
fn a_stratum_with_one_arm_is_skipped_and_named() {
    let empty: [f64; 0] = [];
    let strata =
        [Arms { control: &[1.0, 1.0], candidate: &empty }, Arms { control: &[1.0, 0.0], candidate: &[1.0] }];
    let kept = Stratified::new(&strata).unwrap();
    assert_eq!((kept.len(), kept.skipped(), kept.n_control(), kept.n_candidate()), (1, &[0][..], 2, 1));
}

#[test]
fn weights_are_the_shares_of_the_strata_and_not_of_the_candidate() {
    // The candidate is mostly in the cohort with low values; within each cohort nothing differs.
    let (high, low) = (vec![0.9; 90], vec![0.1; 10]);
    let (few, many) = (vec![0.9; 10], vec![0.1; 90]);
    let strata = Stratified::new(&[
        Arms { control: &high, candidate: &few },
        Arms { control: &low, candidate: &many },
    ])
    .unwrap();
    let found = bounded::unpaired_difference(&strata, (0.0, 1.0), 0.05).unwrap();
    assert!(found.value.abs() < 1e-12 && found.low < 0.0 && found.high > 0.0, "{found:?}");
}

#[test]
fn the_order_of_bounded_values_does_not_matter() {
    let values: Vec<f64> = (0..2_000).map(|index| if index < 1_000 { 1.0 } else { 0.0 }).collect();
    let mixed: Vec<f64> = (0..2_000).map(|index| f64::from(index % 2)).collect();
    let (found, other) = (bounded::betting(&values, 0.01).unwrap(), bounded::betting(&mixed, 0.01).unwrap());
    assert_eq!((found.low, found.high), (other.low, other.high));
    assert!(found.low < 0.5 && 0.5 < found.high, "{found:?}");
}
