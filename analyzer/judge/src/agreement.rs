//! How far a judge agrees with people, and what a gate's estimate is once its error is known.
//!
//! Cohen's kappa (1960), Krippendorff's alpha for interval data (2011), the Rogan-Gladen estimate (1978), and
//! prediction-powered inference with power tuning (Angelopoulos et al. 2023): the judge's mean over all answers plus the
//! mean error on the labelled ones, where the weight of the judge minimises the variance.
//! Invariant: nothing here divides by nothing; what cannot be said is `None`.

use serde::{Deserialize, Serialize};

use crate::breakdown::{Part, Position, Twice};

/// Labels of each variant below which a judge is not calibrated.
pub const LABELS_MIN: usize = 30;
/// Kappa below which it is not.
pub const KAPPA_MIN: f64 = 0.4;

/// Agreement of two raters over categories: share and Cohen's kappa (none where chance alone would agree always).
#[must_use]
pub fn kappa<T: PartialEq + Ord + Copy>(pairs: &[(T, T)]) -> Option<(f64, Option<f64>)> {
    let n = pairs.len() as f64;
    if pairs.is_empty() {
        return None;
    }
    let agree = pairs.iter().filter(|(one, other)| one == other).count() as f64 / n;
    let mut categories: Vec<T> = pairs.iter().flat_map(|(one, other)| [*one, *other]).collect();
    categories.sort();
    categories.dedup();
    let share = |of: &dyn Fn(&(T, T)) -> bool| pairs.iter().filter(|pair| of(pair)).count() as f64 / n;
    let chance: f64 = categories
        .iter()
        .map(|category| share(&|pair| pair.0 == *category) * share(&|pair| pair.1 == *category))
        .sum();
    Some((agree, (chance < 1.0).then(|| (agree - chance) / (1.0 - chance))))
}

/// Krippendorff's alpha of interval data, two raters without gaps.
#[must_use]
pub fn alpha(pairs: &[(f64, f64)]) -> Option<f64> {
    let values: Vec<f64> = pairs.iter().flat_map(|(one, other)| [*one, *other]).collect();
    let n = values.len() as f64;
    let observed: f64 =
        pairs.iter().map(|(one, other)| (one - other).powi(2)).sum::<f64>() / pairs.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n.max(1.0);
    // The mean squared difference over all pairs of values, without replacement, is twice the sample variance.
    let expected = 2.0 * values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    (pairs.len() > 1 && expected > 0.0).then(|| 1.0 - observed / expected)
}

/// A mean with its standard error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Corrected {
    /// The estimate.
    pub mean: f64,
    /// Its standard error.
    pub standard_error: f64,
}

impl Corrected {
    /// The 95 % interval.
    #[must_use]
    pub fn interval(&self) -> (f64, f64) {
        let half = 1.959_963_984_540_054 * self.standard_error;
        (self.mean - half, self.mean + half)
    }
}

/// Rogan and Gladen: the true share from the judge's share, its sensitivity and its specificity, each `(positive, of)`.
/// None where the judge tells nothing apart, or a count is nothing.
#[must_use]
pub fn rogan_gladen(
    judged: (u64, u64),
    sensitivity: (u64, u64),
    specificity: (u64, u64),
) -> Option<Corrected> {
    let share = |(part, of): (u64, u64)| (of > 0).then(|| (part as f64 / of as f64, of as f64));
    let ((p, n), (se, n_se), (sp, n_sp)) = (share(judged)?, share(sensitivity)?, share(specificity)?);
    let youden = se + sp - 1.0;
    if youden <= 0.0 {
        return None;
    }
    let mean = (p + sp - 1.0) / youden;
    let variance = (p * (1.0 - p) / n
        + (1.0 - mean).powi(2) * sp * (1.0 - sp) / n_sp
        + mean.powi(2) * se * (1.0 - se) / n_se)
        / youden.powi(2);
    Some(Corrected { mean: mean.clamp(0.0, 1.0), standard_error: variance.sqrt() })
}

/// Prediction-powered mean: `labelled` holds (person, judge), `judged` the judge's scores of the answers without a label.
#[must_use]
pub fn prediction_powered(labelled: &[(f64, f64)], judged: &[f64]) -> Option<Corrected> {
    let (n, m) = (labelled.len() as f64, judged.len() as f64);
    if labelled.len() < 2 || judged.len() < 2 {
        return None;
    }
    let mean = |values: &mut dyn Iterator<Item = f64>, n: f64| values.sum::<f64>() / n;
    let person = mean(&mut labelled.iter().map(|pair| pair.0), n);
    let judge = mean(&mut labelled.iter().map(|pair| pair.1), n);
    let all = mean(&mut judged.iter().copied(), m);
    let covariance = labelled.iter().map(|(y, f)| (y - person) * (f - judge)).sum::<f64>() / n;
    let pooled: Vec<f64> = labelled.iter().map(|pair| pair.1).chain(judged.iter().copied()).collect();
    let centre = pooled.iter().sum::<f64>() / (n + m);
    let variance = pooled.iter().map(|f| (f - centre).powi(2)).sum::<f64>() / (n + m - 1.0);
    let weight = if variance > 0.0 { (covariance / (variance * (1.0 + n / m))).clamp(0.0, 1.0) } else { 0.0 };
    let rest = |(y, f): &(f64, f64)| y - weight * f;
    let residual = labelled.iter().map(rest).sum::<f64>() / n;
    let of_residuals = labelled.iter().map(|pair| (rest(pair) - residual).powi(2)).sum::<f64>() / (n - 1.0);
    let of_judged = judged.iter().map(|f| (f - all).powi(2)).sum::<f64>() / (m - 1.0);
    Some(Corrected {
        mean: weight * all + residual,
        standard_error: (of_residuals / n + weight * weight * of_judged / m).sqrt(),
    })
}

/// A judge on one criterion, against people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trust {
    /// The judge.
    pub judge: String,
    /// The criterion.
    pub criterion: String,
    /// Labelled answers of control, and of the candidate.
    pub labels: (usize, usize),
    /// Share of answers on which the judge is on the same side of the middle of the scale as people.
    pub agreement: Option<f64>,
    /// Cohen's kappa of that.
    pub kappa: Option<f64>,
    /// Krippendorff's alpha of the scores.
    pub alpha: Option<f64>,
    /// Mean of judge minus people: control, candidate.
    pub bias: (Option<f64>, Option<f64>),
    /// Correlation of the judge's error with the answer's length.
    pub length_bias: Option<f64>,
    /// Candidate minus control as people would score, by prediction-powered inference in each variant.
    pub corrected: Option<Corrected>,
    /// Whether its error is known well enough to promote on.
    pub calibrated: bool,
    /// Why, or why not.
    pub text: String,
    /// The same by variant and segment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// What the order of two answers did, where it was asked for pairs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// How far it agrees with itself, where it was asked twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twice: Option<Twice>,
}

/// One answer with a person's score, the judge's score and its length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rated {
    /// Whether the candidate gave it.
    pub candidate: bool,
    /// What people gave, 0 to 1.
    pub person: f64,
    /// What the judge gave, 0 to 1.
    pub judge: f64,
    /// Characters.
    pub length: f64,
}

/// A judge on one criterion: `rated` has labels, `control` and `candidate` are its scores of answers without.
#[must_use]
pub fn trust(judge: &str, criterion: &str, rated: &[Rated], control: &[f64], candidate: &[f64]) -> Trust {
    let of = |candidate: bool| -> Vec<(f64, f64)> {
        rated.iter().filter(|one| one.candidate == candidate).map(|one| (one.person, one.judge)).collect()
    };
    let (left, right) = (of(false), of(true));
    let all: Vec<(f64, f64)> = rated.iter().map(|one| (one.person, one.judge)).collect();
    let sides: Vec<(bool, bool)> = all.iter().map(|(person, judge)| (*person > 0.5, *judge > 0.5)).collect();
    let (agreement, kappa) = kappa(&sides).map_or((None, None), |(share, kappa)| (Some(share), kappa));
    let bias = |pairs: &[(f64, f64)]| {
        (!pairs.is_empty())
            .then(|| pairs.iter().map(|(person, judge)| judge - person).sum::<f64>() / pairs.len() as f64)
    };
    let corrected =
        prediction_powered(&left, control).zip(prediction_powered(&right, candidate)).map(|(left, right)| {
            Corrected {
                mean: right.mean - left.mean,
                standard_error: left.standard_error.hypot(right.standard_error),
            }
        });
    let enough = left.len().min(right.len()) >= LABELS_MIN;
    let agrees = kappa.is_some_and(|kappa| kappa >= KAPPA_MIN);
    let text = match (enough, kappa) {
        (false, _) => format!(
            "{} and {} labels of control and candidate, {LABELS_MIN} of each are needed",
            left.len(),
            right.len()
        ),
        (true, None) => "people and judge always say the same, so chance cannot be told apart".to_owned(),
        (true, Some(kappa)) => format!("kappa {kappa:.2} on {} labels; {KAPPA_MIN} is needed", all.len()),
    };
    Trust {
        judge: judge.to_owned(),
        criterion: criterion.to_owned(),
        labels: (left.len(), right.len()),
        agreement,
        kappa,
        alpha: alpha(&all),
        bias: (bias(&left), bias(&right)),
        length_bias: correlation(rated.iter().map(|one| (one.judge - one.person, one.length))),
        corrected,
        calibrated: enough && agrees,
        text,
        parts: Vec::new(),
        position: None,
        twice: None,
    }
}

pub(crate) fn correlation(pairs: impl Iterator<Item = (f64, f64)> + Clone) -> Option<f64> {
    let n = pairs.clone().count() as f64;
    let (a, b) = pairs.clone().fold((0.0, 0.0), |(a, b), (x, y)| (a + x / n, b + y / n));
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in pairs {
        xy += (x - a) * (y - b);
        xx += (x - a) * (x - a);
        yy += (y - b) * (y - b);
    }
    (xx > 0.0 && yy > 0.0).then(|| xy / (xx * yy).sqrt())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    fn near(one: f64, other: f64) {
        assert!((one - other).abs() < 1e-6, "{one} {other}");
    }

    #[test]
    fn agreement_has_the_values_of_independent_tools() {
        // sklearn.metrics.cohen_kappa_score; krippendorff.alpha(level_of_measurement="interval"): tests/reference/agreement.py
        let pairs = [(1, 1), (1, 0), (0, 0), (0, 0), (1, 1), (0, 1), (1, 1), (0, 0)];
        let (agree, kappa) = kappa(&pairs).unwrap();
        near(agree, 0.75);
        near(kappa.unwrap(), 0.5);
        near(
            alpha(&[(1.0, 2.0), (2.0, 2.0), (3.0, 3.0), (5.0, 4.0), (4.0, 4.0)]).unwrap(),
            0.871_428_571_428_571_4,
        );
        assert_eq!(super::kappa(&[(1, 1), (1, 1)]).unwrap().1, None);
    }

    #[test]
    fn a_judge_that_errs_in_known_ways_is_corrected() {
        // 1,000 answers, 50 % truly good, sensitivity .9, specificity .7: the judge says 60 %.
        let corrected = rogan_gladen((600, 1000), (90, 100), (70, 100)).unwrap();
        near(corrected.mean, 0.5);
        assert!((0.04..0.06).contains(&corrected.standard_error), "{corrected:?}");
        assert_eq!(rogan_gladen((5, 10), (5, 10), (5, 10)), None);
    }

    /// SplitMix64.
    struct Random(u64);
    impl Random {
        fn uniform(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        }
    }

    #[test]
    fn prediction_powered_intervals_cover_the_truth_and_are_shorter_than_labels_alone() {
        let (mut covered, mut shorter) = (0, 0);
        const RUNS: u64 = 1_000;
        for run in 0..RUNS {
            let mut random = Random(run);
            // People say yes in 40 %; the judge agrees in 85 % and leans to yes otherwise.
            let mut one = || {
                let person = f64::from(u8::from(random.uniform() < 0.4));
                let judge = if random.uniform() < 0.85 {
                    person
                } else {
                    f64::from(u8::from(random.uniform() < 0.8))
                };
                (person, judge)
            };
            let labelled: Vec<(f64, f64)> = (0..80).map(|_| one()).collect();
            let judged: Vec<f64> = (0..1_000).map(|_| one().1).collect();
            let estimate = prediction_powered(&labelled, &judged).unwrap();
            let (low, high) = estimate.interval();
            covered += usize::from(low <= 0.4 && 0.4 <= high);
            let mean = labelled.iter().map(|pair| pair.0).sum::<f64>() / 80.0;
            shorter += usize::from(estimate.standard_error < (mean * (1.0 - mean) / 80.0).sqrt());
        }
        // 95 % within three standard errors of 1,000 runs, a little less for the normal approximation at n = 80.
        assert!((920..=972).contains(&covered), "{covered}");
        assert!(shorter > 950, "{shorter}");
    }

    #[test]
    fn few_labels_and_a_judge_at_chance_are_not_calibrated() {
        let rated = |n: usize, right: usize| -> Vec<Rated> {
            (0..n)
                .map(|at| {
                    let person = f64::from(u8::from(at / 2 % 2 == 0));
                    let judge = if at % 10 < right { person } else { 1.0 - person };
                    Rated { candidate: at % 2 == 0, person, judge, length: at as f64 }
                })
                .collect()
        };
        let scores = [0.0, 1.0, 1.0, 0.0];
        assert!(!trust("j", "c", &rated(40, 10), &scores, &scores).calibrated);
        assert!(!trust("j", "c", &rated(100, 5), &scores, &scores).calibrated);
        let good = trust("j", "c", &rated(100, 9), &scores, &scores);
        assert!(good.calibrated, "{good:?}");
    }
}
