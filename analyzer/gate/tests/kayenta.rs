//! Kayenta's rule over metrics, as its project publishes it: spinnaker/kayenta, `ClassifierSuite` (directions, missing data) and
//! `ScorerSuite` (one group of equal weight); not-a-number values are left out, which is one of its two ways to treat them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Random, stratum};
use weir_gate::{Better, KAYENTA_CONFIDENCE, KAYENTA_TOLERANCE, KayentaScore, MetricSeries, kayenta_score};

/// Thirty values about a mean.
fn about(mean: f64, seed: u64) -> Vec<f64> {
    let mut random = Random(seed);
    (0..30).map(|_| mean + 2.0 * random.normal()).collect()
}

fn metric(name: &str, better: Better, control: Vec<f64>, candidate: Vec<f64>) -> MetricSeries {
    MetricSeries {
        name: name.to_owned(),
        better,
        strata: vec![stratum("", control, candidate)],
        ..MetricSeries::default()
    }
}

fn scored(series: &[MetricSeries]) -> KayentaScore {
    kayenta_score(series, KAYENTA_TOLERANCE, KAYENTA_CONFIDENCE)
}

fn pass() -> MetricSeries {
    metric("pass", Better::Neither, about(10.0, 1), about(10.0, 2))
}

fn high() -> MetricSeries {
    metric("high", Better::Neither, about(10.0, 3), about(20.0, 4))
}

fn low() -> MetricSeries {
    metric("low", Better::Neither, about(20.0, 5), about(10.0, 6))
}

#[test]
fn the_score_is_the_published_one() {
    let cases = [
        (vec![pass()], 100.0),
        (vec![high()], 0.0),
        (vec![pass(), high()], 50.0),
        (vec![pass(), high(), low()], 100.0 / 3.0),
        (vec![metric("nothing", Better::Neither, about(10.0, 7), Vec::new())], 0.0),
    ];
    for (series, expected) in cases {
        let found = scored(&series);
        assert!((found.score - expected).abs() < 1e-9, "{found:?}");
    }
}

#[test]
fn a_metric_with_a_direction_fails_on_its_own_side_only() {
    // The project's direction "increase" is our "lower is better", its "decrease" our "higher is better".
    let classes = [
        (metric("a", Better::Lower, about(10.0, 1), about(20.0, 2)), "high", true),
        (metric("b", Better::Lower, about(20.0, 1), about(10.0, 2)), "low", false),
        (metric("c", Better::Higher, about(20.0, 1), about(10.0, 2)), "low", true),
        (metric("d", Better::Higher, about(10.0, 1), about(20.0, 2)), "high", false),
    ];
    for (series, class, fails) in classes {
        let found = &scored(&[series]).metrics[0];
        assert_eq!((found.class, found.fails), (class, fails), "{found:?}");
    }
}

#[test]
fn values_that_are_no_numbers_are_left_out_and_a_side_without_values_has_no_class() {
    let with_holes: Vec<f64> = about(10.0, 2).into_iter().flat_map(|value| [value, f64::NAN]).collect();
    let found = scored(&[metric("holes", Better::Neither, about(10.0, 1), with_holes), pass()]);
    assert_eq!(found.metrics[0].shift, found.metrics[1].shift);
    let nothing = scored(&[metric("nothing", Better::Neither, vec![f64::NAN; 30], about(10.0, 1)), pass()]);
    assert_eq!((nothing.metrics[0].class, nothing.score), ("nodata", 100.0));
}
