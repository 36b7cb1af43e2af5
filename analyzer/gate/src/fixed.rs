//! One look with fixed-n tests, and Kayenta's rule: to read a comparison that is over, and to compare with other tools.
//!
//! Nothing here decides a rollout; gates do. Values of pairs count in both: as pairs, and as two samples. Where identities are
//! known, the difference of means of two samples is that of ratios of sums, so that answers to one identity count together;
//! the other tests take values as independent. p values that are printed as adjusted hold over all metrics (Holm).

use std::collections::BTreeMap;

use serde::Serialize;
use weir_stats::StatsError;
use weir_stats::fixed::{
    Effect, KayentaClass, Tested, brunner_munzel, clustered_ratio, cramer_von_mises, holm, kayenta,
    kolmogorov_smirnov, mann_whitney, mcnemar, newcombe, paired_ratio, quantile_difference, sign_flip,
    stability_index, wasserstein, welch, wilcoxon_pratt,
};

use crate::series::{Better, MetricSeries};
use crate::values::Values;

/// Kayenta's default tolerance.
pub const KAYENTA_TOLERANCE: f64 = 0.25;
/// Kayenta's default confidence.
pub const KAYENTA_CONFIDENCE: f64 = 0.98;
/// Random assignments of signs.
const FLIPS: u32 = 9_999;

/// One test of one metric.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FixedTest {
    /// Its name.
    pub test: &'static str,
    /// Its statistic; none for an interval.
    pub statistic: Option<f64>,
    /// Two-sided p; none for an interval or a figure to look at.
    pub p: Option<f64>,
    /// Estimate, lower and upper end; none for a test without one.
    pub effect: Option<(f64, f64, f64)>,
}

/// What the tests say about one metric.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FixedMetric {
    /// The metric.
    pub metric: String,
    /// Pairs.
    pub pairs: usize,
    /// Values of control, those of pairs included.
    pub control: usize,
    /// Values of the candidate, those of pairs included.
    pub candidate: usize,
    /// Tests of pairs.
    pub paired: Vec<FixedTest>,
    /// Tests of two samples.
    pub unpaired: Vec<FixedTest>,
    /// The first test's p (of pairs where there are some), adjusted over all metrics.
    pub adjusted_p: Option<f64>,
}

/// What Kayenta's rule says about one metric.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KayentaMetric {
    /// The metric.
    pub metric: String,
    /// `pass`, `high`, `low` or `nodata`.
    pub class: &'static str,
    /// Whether that is a failure, by the metric's better direction.
    pub fails: bool,
    /// Hodges-Lehmann estimate of the shift with its interval.
    pub shift: Option<(f64, f64, f64)>,
}

/// What Kayenta's rule says about all of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KayentaScore {
    /// Share of the metrics with data that pass, 0 to 100.
    pub score: f64,
    /// Metrics in order of name.
    pub metrics: Vec<KayentaMetric>,
}

/// Tests every metric once. `alpha` is that of the intervals, `seed` that of the random sign flips.
#[must_use]
pub fn fixed_tests(series: &[MetricSeries], alpha: f64, seed: u64) -> Vec<FixedMetric> {
    let mut metrics: Vec<FixedMetric> =
        series.iter().map(|metric| fixed_metric(metric, alpha, seed)).collect();
    let first = |metric: &FixedMetric| metric.paired.iter().chain(&metric.unpaired).find_map(|test| test.p);
    let known: Vec<f64> = metrics.iter().filter_map(first).collect();
    let mut adjusted = holm(&known).into_iter();
    for metric in &mut metrics {
        metric.adjusted_p = first(metric).and_then(|_| adjusted.next());
    }
    metrics
}

/// Kayenta's rule over all metrics.
#[must_use]
pub fn kayenta_score(series: &[MetricSeries], tolerance: f64, confidence: f64) -> KayentaScore {
    let metrics: Vec<KayentaMetric> =
        series.iter().map(|metric| kayenta_metric(metric, tolerance, confidence)).collect();
    let with_data = metrics.iter().filter(|metric| metric.class != "nodata").count();
    let passed = metrics.iter().filter(|metric| metric.class != "nodata" && !metric.fails).count();
    let score = if with_data == 0 { 0.0 } else { 100.0 * passed as f64 / with_data as f64 };
    KayentaScore { score, metrics }
}

fn fixed_metric(metric: &MetricSeries, alpha: f64, seed: u64) -> FixedMetric {
    let (control, candidate) = (arm(metric, false), arm(metric, true));
    let flags = metric.bounds == Some((0.0, 1.0))
        && control.iter().chain(&candidate).all(|value| *value == 0.0 || *value == 1.0);
    let pairs = &metric.pairs.to_vec();
    let paired = if flags {
        vec![tested(
            "McNemar mid-p",
            mcnemar(pairs).map(|found| Tested { statistic: found.only_second as f64, p: found.mid_p }),
        )]
    } else {
        vec![
            tested("Wilcoxon signed-rank (Pratt)", wilcoxon_pratt(pairs)),
            tested("sign flips", sign_flip(pairs, FLIPS, seed)),
            interval("ratio of means", paired_ratio(pairs, alpha)),
        ]
    };
    let mut unpaired = if flags {
        let count = |values: &[f64]| (values.iter().sum::<f64>() as u64, values.len() as u64);
        vec![
            tested("Welch", welch(&control, &candidate)),
            interval("Newcombe", newcombe(count(&control), count(&candidate), alpha)),
        ]
    } else {
        vec![
            tested("Welch", welch(&control, &candidate)),
            tested("Mann-Whitney", mann_whitney(&control, &candidate)),
            tested("Brunner-Munzel", brunner_munzel(&control, &candidate)),
            tested("Kolmogorov-Smirnov", kolmogorov_smirnov(&control, &candidate)),
            tested("Cramer-von Mises", cramer_von_mises(&control, &candidate)),
            interval("difference of p95", quantile_difference(&control, &candidate, 0.95, alpha)),
            figure("Wasserstein", wasserstein(&control, &candidate)),
            figure("population stability", stability_index(&control, &candidate)),
        ]
    };
    if let Some((control, candidate)) = clusters(metric) {
        unpaired.push(interval("difference by identity", clustered_ratio(&control, &candidate, alpha)));
    }
    let known = |tests: Vec<Option<FixedTest>>| tests.into_iter().flatten().collect();
    FixedMetric {
        metric: metric.name.clone(),
        pairs: pairs.len(),
        control: control.len(),
        candidate: candidate.len(),
        paired: known(paired),
        unpaired: known(unpaired),
        adjusted_p: None,
    }
}

fn kayenta_metric(metric: &MetricSeries, tolerance: f64, confidence: f64) -> KayentaMetric {
    let found = kayenta(&arm(metric, false), &arm(metric, true), tolerance, confidence).ok();
    let (class, fails) = match (found.map(|found| found.class), metric.better) {
        (None, _) => ("nodata", false),
        (Some(KayentaClass::Pass), _) => ("pass", false),
        (Some(KayentaClass::High), better) => ("high", better != Better::Higher),
        (Some(KayentaClass::Low), better) => ("low", better != Better::Lower),
    };
    let shift = found.map(|found| (found.estimate, found.low, found.high));
    KayentaMetric { metric: metric.name.clone(), class, fails, shift }
}

/// All values of a variant, those of pairs first.
fn arm(metric: &MetricSeries, candidate: bool) -> Vec<f64> {
    let of_pair = if candidate { metric.pairs.candidate() } else { metric.pairs.control() };
    let of_strata =
        metric.strata.iter().map(|stratum| if candidate { &stratum.candidate } else { &stratum.control });
    let all = std::iter::once(of_pair).chain(of_strata);
    all.flat_map(Values::to_vec).filter(|value| value.is_finite()).collect()
}

/// Sum and count of the unpaired values of each identity, where all of them are known.
#[allow(clippy::type_complexity)]
fn clusters(metric: &MetricSeries) -> Option<(Vec<(f64, f64)>, Vec<(f64, f64)>)> {
    let mut arms: [BTreeMap<(usize, u32), (f64, f64)>; 2] = Default::default();
    let [control, candidate] = &mut arms;
    for (number, stratum) in metric.strata.iter().enumerate() {
        let arms = [
            (&mut *control, &stratum.control, &stratum.control_clusters),
            (&mut *candidate, &stratum.candidate, &stratum.candidate_clusters),
        ];
        for (sums, values, identities) in arms {
            if values.len() != identities.len() {
                return None;
            }
            for (value, identity) in values.iter().zip(identities.iter()) {
                let sum = sums.entry((number, *identity)).or_default();
                *sum = (sum.0 + value, sum.1 + 1.0);
            }
        }
    }
    Some((control.values().copied().collect(), candidate.values().copied().collect()))
}

/// What a test refuses (too few values, no spread) is left out.
fn tested(test: &'static str, found: Result<Tested, StatsError>) -> Option<FixedTest> {
    let found = found.ok().filter(|found| found.p.is_finite())?;
    Some(FixedTest { test, statistic: Some(found.statistic), p: Some(found.p), effect: None })
}

fn interval(test: &'static str, found: Result<Effect, StatsError>) -> Option<FixedTest> {
    let found = found.ok()?;
    Some(FixedTest { test, statistic: None, p: None, effect: Some((found.value, found.low, found.high)) })
}

fn figure(test: &'static str, found: Result<f64, StatsError>) -> Option<FixedTest> {
    Some(FixedTest { test, statistic: Some(found.ok()?), p: None, effect: None })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use crate::series::Stratum;

    fn series(name: &str, better: Better, pairs: Vec<(f64, f64)>) -> MetricSeries {
        MetricSeries { name: name.to_owned(), better, pairs: pairs.into(), ..MetricSeries::default() }
    }

    #[test]
    fn a_shift_is_seen_by_every_test_and_adjusted_over_the_metrics() {
        let shifted =
            (0..60).map(|at| (f64::from(at % 7), f64::from(at % 7) + 2.0 + f64::from(at % 3))).collect();
        let same = (0..60).map(|at| (f64::from(at % 7), f64::from((at + 3) % 7))).collect();
        let found =
            fixed_tests(&[series("a", Better::Lower, shifted), series("b", Better::Lower, same)], 0.05, 1);
        for test in found[0].paired.iter().chain(&found[0].unpaired).filter(|test| test.p.is_some()) {
            assert!(test.p.unwrap() < 0.01, "{test:?}");
        }
        assert!(found[0].adjusted_p.unwrap() >= found[0].paired[0].p.unwrap());
        assert!(found[1].adjusted_p.unwrap() > 0.05);
    }

    #[test]
    fn flags_get_mcnemar_and_newcombe_and_known_identities_count_together() {
        let mut metric = series("error", Better::Lower, vec![(0.0, 1.0), (0.0, 0.0), (1.0, 1.0)]);
        metric.bounds = Some((0.0, 1.0));
        metric.strata = vec![Stratum {
            control: vec![0.0, 0.0, 1.0].into(),
            candidate: vec![1.0, 1.0, 0.0].into(),
            control_clusters: vec![0, 0, 1].into(),
            candidate_clusters: vec![2, 2, 3].into(),
            ..Stratum::default()
        }];
        let found = &fixed_tests(&[metric], 0.05, 1)[0];
        let names: Vec<&str> = found.paired.iter().chain(&found.unpaired).map(|test| test.test).collect();
        assert_eq!(names, ["McNemar mid-p", "Welch", "Newcombe", "difference by identity"]);
    }

    #[test]
    fn kayentas_score_is_the_share_that_passes_and_a_move_to_the_better_does_not_fail() {
        let up: Vec<(f64, f64)> = (0..40).map(|at| (f64::from(at), f64::from(at) + 100.0)).collect();
        let found = kayenta_score(
            &[
                series("latency", Better::Lower, up.clone()),
                series("quality", Better::Higher, up.clone()),
                series("length", Better::Neither, up),
                series("nothing", Better::Neither, Vec::new()),
            ],
            KAYENTA_TOLERANCE,
            KAYENTA_CONFIDENCE,
        );
        let fails: Vec<bool> = found.metrics.iter().map(|metric| metric.fails).collect();
        assert_eq!((fails, found.metrics[3].class), (vec![true, false, true, false], "nodata"));
        assert!((found.score - 100.0 / 3.0).abs() < 1e-12);
    }
}
