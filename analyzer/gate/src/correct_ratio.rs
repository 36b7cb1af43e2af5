//! The relative change of the means, corrected by people's labels: Fieller's form.
//!
//! If the candidate's mean is `r` times control's, then `candidate - r control` has the mean zero. Its corrected confidence
//! sequence ([`crate::correct`], with control's scores and labels times `r`) either has zero in it or rules `r` out. Each `r` is
//! tested by itself at the alpha of the comparison, so that the set of those that are not ruled out leaves the true ratio out
//! with that probability at most, over all looks, and no bound over the two means is needed (E. Fieller, "Some problems in
//! interval estimation", 1954). The set is an interval where control's mean is surely above zero; elsewhere there is none.
//! Values count as unbounded, as for every relative margin.

use crate::correct::{Corrected, difference};
use crate::measure::{LabelledPart, Measured, measure};
use crate::series::{MetricSeries, PersonLabel, Stratum};

/// Steps outwards, each twice as long as the one before, until a ratio is ruled out.
const STEPS_MAX: u32 = 12;
/// Steps inwards; some eight are enough.
const INWARDS_MAX: u32 = 60;
/// How near to zero an end has to be, in control's mean.
const NEAR: f64 = 1e-10;

/// The corrected relative change, or nothing while control's mean is too uncertain to divide by.
pub(crate) fn powered_ratio(series: &MetricSeries, alpha: f64) -> Option<(Measured, Corrected)> {
    let at = |ratio: f64| difference(&scaled(series, ratio), alpha);
    let plain = at(1.0)?;
    let control = plain.control.filter(|control| *control > 0.0)?;
    let raw = measure(series, true, alpha);
    // All three fall as the ratio rises.
    let start = 1.0 + plain.estimate / control;
    let ratio = root(|ratio| Some(at(ratio)?.estimate), start, control)?;
    let low = root(|ratio| Some(at(ratio)?.interval.0), ratio, control)?;
    let high = root(|ratio| Some(at(ratio)?.interval.1), ratio, control)?;
    let mut corrected = at(ratio)?;
    let n = corrected.rectifier.n;
    corrected.text = format!(
        "prediction-powered: {:.2} of the judge's scores counts, and {n} labels of each variant add the rest",
        corrected.judge_weight
    );
    let part = corrected.rectifier;
    let measured = Measured {
        control: Some(control),
        candidate: Some(control * ratio),
        estimate: Some(ratio - 1.0),
        interval: Some((low - 1.0, high - 1.0)).filter(|(low, high)| low.is_finite() && high.is_finite()),
        exact: false,
        method: "prediction-powered confidence sequence",
        rectifier: Some(LabelledPart { half: part.half / control, ..part }),
        ..raw
    };
    Some((measured, corrected))
}

/// The series with control's values times `ratio`: only what a comparison of means reads.
fn scaled(series: &MetricSeries, ratio: f64) -> MetricSeries {
    let stratum = |stratum: &Stratum| Stratum {
        control: stratum.control.iter().map(|value| ratio * value).collect(),
        ..stratum.clone()
    };
    let label = |label: &PersonLabel| PersonLabel {
        score: if label.candidate { label.score } else { ratio * label.score },
        ..*label
    };
    MetricSeries {
        pairs: series.pairs.iter().map(|(control, candidate)| (ratio * control, candidate)).collect(),
        pair_clusters: series.pair_clusters.clone(),
        strata: series.strata.iter().map(stratum).collect(),
        people: series.people.iter().map(label).collect(),
        ..MetricSeries::default()
    }
}

/// Where a falling function crosses zero, searched from `start` (steps in proportion to it) and then between its
/// neighbours by the Illinois method; nothing where it does not cross within some thousand times the start.
fn root(value: impl Fn(f64) -> Option<f64>, start: f64, scale: f64) -> Option<f64> {
    let (mut a, mut of_a) = (start, value(start)?);
    let away = if of_a > 0.0 { 1.0 } else { -1.0 };
    let mut step = 0.25 * start.abs().max(0.25);
    let (mut b, mut of_b) = (a, of_a);
    for _ in 0..STEPS_MAX {
        if of_b == 0.0 || (of_b > 0.0) != (of_a > 0.0) {
            break;
        }
        (a, of_a) = (b, of_b);
        b = a + away * step;
        of_b = value(b)?;
        step *= 2.0;
    }
    if of_b != 0.0 && (of_b > 0.0) == (of_a > 0.0) {
        return None;
    }
    for _ in 0..INWARDS_MAX {
        if of_b.abs() <= NEAR * scale {
            return Some(b);
        }
        let c = b - of_b * (b - a) / (of_b - of_a);
        let of_c = value(c)?;
        if (of_c > 0.0) == (of_b > 0.0) {
            of_a /= 2.0;
        } else {
            (a, of_a) = (b, of_b);
        }
        (b, of_b) = (c, of_c);
    }
    Some(b)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn a_root_is_found_from_either_side_and_where_there_is_none_nothing_is() {
        let falling = |x: f64| Some(8.0 - x.powi(3));
        for start in [0.5, 2.0, 40.0, -1.0] {
            assert!((root(falling, start, 1.0).unwrap() - 2.0).abs() < 1e-9, "{start}");
        }
        assert_eq!(root(|x| Some(1.0 + (-x).exp()), 1.0, 1.0), None);
        assert_eq!(root(|_| None, 1.0, 1.0), None);
    }

    #[test]
    fn a_corrected_ratio_equals_that_of_an_independent_script() {
        let pairs: Vec<(f64, f64)> = (0..400)
            .map(|i| (f64::from(7 * i % 10) / 10.0 + 0.3, f64::from(3 * i % 10) / 10.0 + 0.2))
            .collect();
        let label = |i: u32, candidate: bool| {
            let (control, of_candidate) = pairs[i as usize];
            let control = control - f64::from(i % 3) / 30.0;
            let score = if candidate { of_candidate - f64::from(i % 5) / 20.0 } else { control };
            PersonLabel { candidate, score, weight: 1.0, pair: Some(i), stratum: None }
        };
        let people = (0..400).step_by(4).flat_map(|i| [label(i, false), label(i, true)]).collect();
        let series = MetricSeries { pairs: pairs.clone().into(), people, ..MetricSeries::default() };
        let (measured, _) = powered_ratio(&series, 0.05).unwrap();
        let (low, high) = measured.interval.unwrap();
        // tests/reference/ratio.py
        let expected = [-0.233729881036, -0.378658413624, -0.068764329239];
        for (found, expected) in [measured.estimate.unwrap(), low, high].into_iter().zip(expected) {
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        }
        assert_eq!(measured.rectifier.unwrap().n, 100);
    }
}
