//! Agreement and corrected estimates against other implementations (`reference/agreement.py`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use serde::Deserialize;
use weir_judge::agreement::{alpha, kappa, prediction_powered};

#[derive(Deserialize)]
struct Reference {
    agreement: Vec<Agreement>,
    powered: Vec<Powered>,
}

#[derive(Deserialize)]
struct Agreement {
    person: Vec<f64>,
    judge: Vec<f64>,
    kappa: f64,
    alpha: f64,
}

#[derive(Deserialize)]
struct Powered {
    person: Vec<f64>,
    judge: Vec<f64>,
    judged: Vec<f64>,
    mean: f64,
    interval: (f64, f64),
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("reference/agreement.json")).unwrap()
}

fn pairs(person: &[f64], judge: &[f64]) -> Vec<(f64, f64)> {
    person.iter().copied().zip(judge.iter().copied()).collect()
}

#[track_caller]
fn same(seen: f64, expected: f64) {
    assert!((seen - expected).abs() <= 1e-12 * expected.abs().max(1.0), "{seen} {expected}");
}

#[test]
fn kappa_and_alpha_equal_those_of_scikit_learn_and_krippendorff() {
    for case in reference().agreement {
        let pairs = pairs(&case.person, &case.judge);
        let categories: Vec<(i64, i64)> =
            pairs.iter().map(|(one, other)| (*one as i64, *other as i64)).collect();
        same(kappa(&categories).unwrap().1.unwrap(), case.kappa);
        same(alpha(&pairs).unwrap(), case.alpha);
    }
}

#[test]
fn prediction_powered_means_equal_those_of_ppi_python() {
    for case in reference().powered {
        let seen = prediction_powered(&pairs(&case.person, &case.judge), &case.judged).unwrap();
        same(seen.mean, case.mean);
        // ppi-python divides variances by n, we by n - 1: ours is wider by half a share of 1 in n of the labels.
        let ((low, high), n) = (seen.interval(), case.person.len() as f64);
        let wider = (high - low) / (case.interval.1 - case.interval.0);
        assert!((1.0..=(n / (n - 1.0)).sqrt() + 1e-12).contains(&wider), "{wider}");
    }
}
