//! A judge's score corrected by what people say of some of the answers.
//!
//! The estimate is `t d + r`: `d` the difference by the judge over all answers, `r` the mean of what people's difference has
//! beyond `t` times the judge's over the labelled ones, `t` chosen from earlier labels ([`weir_stats::powered`]). The interval
//! is the sum of two confidence sequences, one over all judged answers in order of time at [`JUDGE_SHARE`] of the alpha of
//! the comparison, one over the labels in the order in which they were given at the rest. Each holds at every length of its
//! own sequence, so any number of looks at any mixture of answers and labels is covered, whatever the dependence.
//!
//! Labels are taken by twos, one of each variant: the two answers of an exchange where both are labelled, else the n-th
//! label left of control with the n-th of the candidate. With equal weights the sum does not depend on how they are
//! matched, so that a partner that is labelled later rewrites nothing but the spread. Unpaired comparisons weigh each label
//! to its cohort's share of the comparison.
//!
//! What is assumed: which answers were labelled was drawn by chance with the recorded probabilities, and without one all
//! had the same. Labels of one identity count as independent. Relative margins: [`crate::correct_ratio`]. Not corrected: percentiles.
//! Before there are [`LABELS_MIN`] of each variant the gate goes by the judge's scores alone, at its full alpha; if the
//! labels come in the middle of a rollout, that has spent up to an eighth of the gate's alpha more.

use weir_stats::forecast::Shape;
use weir_stats::powered::{Known, TUNED_N, rectifier};

use crate::correct_ratio::powered_ratio;
use crate::measure::{LabelledPart, Measured, measure};
use crate::result::{Comparison, Correction};
use crate::series::{MetricSeries, PersonLabel};
use crate::values::Values;

/// Labels of each variant from which on a gate is corrected.
const LABELS_MIN: usize = 30;
/// Part of a comparison's alpha that the judge's scores have; the labels have the rest.
const JUDGE_SHARE: f64 = 0.75;

/// A label with the judge's score of the same answer.
#[derive(Clone, Copy, Debug)]
struct Row {
    order: usize,
    pair: Option<u32>,
    person: f64,
    judge: f64,
    weight: f64,
}

/// Compares candidate with control, by people where there are enough labels; nothing to say where there are none.
pub(crate) fn corrected(series: &MetricSeries, relative: bool, alpha: f64) -> Measured {
    let raw = measure(series, relative, alpha);
    if series.people.is_empty() {
        return raw;
    }
    let (control, candidate) = rows(series, raw.comparison);
    let mut correction = Correction {
        raw_control: raw.control,
        raw_candidate: raw.candidate,
        raw_estimate: raw.estimate,
        raw_interval: raw.interval,
        labels_control: control.len() as u64,
        labels_candidate: candidate.len() as u64,
        ..Correction::default()
    };
    let events = events(&control, &candidate);
    if events.len() < LABELS_MIN {
        correction.text = format!("not corrected: {LABELS_MIN} labels of each variant are needed");
        return Measured { correction: Some(correction), ..raw };
    }
    let found = if relative { powered_ratio(series, alpha) } else { powered(series, alpha) };
    let Some((measured, corrected)) = found else {
        correction.text = "not corrected: there is no interval yet".to_owned();
        return Measured { correction: Some(correction), ..raw };
    };
    correction.applied = true;
    correction.judge_weight = Some(corrected.judge_weight);
    correction.text = corrected.text;
    Measured { correction: Some(correction), ..measured }
}

/// A corrected difference of means.
#[derive(Clone, Debug)]
pub(crate) struct Corrected {
    pub(crate) control: Option<f64>,
    pub(crate) estimate: f64,
    pub(crate) interval: (f64, f64),
    pub(crate) judge_weight: f64,
    pub(crate) rectifier: LabelledPart,
    pub(crate) text: String,
    judged: Measured,
}

fn powered(series: &MetricSeries, alpha: f64) -> Option<(Measured, Corrected)> {
    let corrected = difference(series, alpha)?;
    let measured = Measured {
        control: corrected.control,
        candidate: corrected.control.map(|control| control + corrected.estimate),
        estimate: Some(corrected.estimate),
        interval: Some(corrected.interval),
        exact: false,
        method: "prediction-powered confidence sequence",
        rectifier: Some(corrected.rectifier),
        ..corrected.judged.clone()
    };
    Some((measured, corrected))
}

/// The corrected difference of the means; nothing while there is no interval.
pub(crate) fn difference(series: &MetricSeries, alpha: f64) -> Option<Corrected> {
    let judged = measure(series, false, alpha * JUDGE_SHARE);
    let (control, candidate) = rows(series, judged.comparison);
    let events = events(&control, &candidate);
    let labels_alpha = alpha / 2.0 * (1.0 - JUDGE_SHARE);
    let rest = rectifier(&events, labels_alpha, TUNED_N).ok()?;
    let t = rest.score_weight;
    let (low, high) = judged.interval?;
    let n = events.len();
    let of_control = weighted(&control, |row| row.person - t * row.judge);
    Some(Corrected {
        control: Some(of_control? + t * judged.control?),
        estimate: t * judged.estimate? + rest.estimate.value,
        interval: (t * low + rest.estimate.low, t * high + rest.estimate.high),
        judge_weight: t,
        text: format!(
            "prediction-powered: {t:.2} of the judge's difference counts, and what {n} labels of each variant add to it is {:+.3}",
            rest.estimate.value
        ),
        rectifier: LabelledPart {
            n: n as u64,
            half: rest.estimate.width() / 2.0,
            shape: Shape::Asymptotic { alpha: labels_alpha, tuned_n: TUNED_N },
        },
        judged,
    })
}

/// Labels of control and of the candidate that belong to what is compared, in the order in which they were given.
fn rows(series: &MetricSeries, comparison: Comparison) -> (Vec<Row>, Vec<Row>) {
    let shares = Shares::of(series);
    let row = |(order, label): (usize, &PersonLabel)| {
        let (judge, share) = match comparison {
            Comparison::Paired => {
                let pair = series.pairs.get(usize::try_from(label.pair?).ok()?)?;
                (if label.candidate { pair.1 } else { pair.0 }, 1.0)
            }
            Comparison::Unpaired => {
                let (stratum, place) = label.stratum?;
                let stratum = usize::try_from(stratum).ok()?;
                let of = series.strata.get(stratum)?;
                let values = if label.candidate { &of.candidate } else { &of.control };
                (values.get(usize::try_from(place).ok()?)?, shares.importance(stratum, label.candidate)?)
            }
            Comparison::None => return None,
        };
        let weight = label.weight * share;
        let usable = judge.is_finite() && label.score.is_finite() && weight.is_finite() && weight > 0.0;
        let pair = label.pair.filter(|_| comparison == Comparison::Paired);
        usable.then_some((label.candidate, Row { order, pair, person: label.score, judge, weight }))
    };
    let (mut control, mut candidate) = (Vec::new(), Vec::new());
    for (of_candidate, row) in series.people.iter().enumerate().filter_map(row) {
        if of_candidate { candidate.push(row) } else { control.push(row) }
    }
    (control, candidate)
}

/// How much the labels of a cohort have to count so that cohorts have the shares of the comparison.
struct Shares {
    counts: Vec<(f64, f64)>,
    control: f64,
    candidate: f64,
}

impl Shares {
    fn of(series: &MetricSeries) -> Self {
        let finite = |values: &Values| values.iter().filter(|value| value.is_finite()).count() as f64;
        let both = |(control, candidate): (f64, f64)| {
            if control > 0.0 && candidate > 0.0 { (control, candidate) } else { (0.0, 0.0) }
        };
        let strata = series.strata.iter();
        let counts: Vec<(f64, f64)> =
            strata.map(|stratum| both((finite(&stratum.control), finite(&stratum.candidate)))).collect();
        Self {
            control: counts.iter().map(|(control, _)| control).sum(),
            candidate: counts.iter().map(|(_, candidate)| candidate).sum(),
            counts,
        }
    }

    /// The cohort's share of the comparison over its share of the variant; nothing where it is left out.
    fn importance(&self, stratum: usize, candidate: bool) -> Option<f64> {
        let (n, m) = *self.counts.get(stratum)?;
        let share = (n + m) / (self.control + self.candidate);
        let own = if candidate { m / self.candidate } else { n / self.control };
        (own > 0.0).then(|| share / own)
    }
}

/// Differences that are known, in the order in which they became known.
fn events(control: &[Row], candidate: &[Row]) -> Vec<Known> {
    let known = |left: &Row, right: &Row, weight: f64| {
        let known = Known { truth: right.person - left.person, score: right.judge - left.judge, weight };
        (left.order.max(right.order), known)
    };
    let partner: std::collections::BTreeMap<u32, usize> =
        control.iter().enumerate().filter_map(|(place, row)| Some((row.pair?, place))).collect();
    let mut taken = vec![false; control.len()];
    let (mut all, mut alone) = (Vec::new(), Vec::new());
    for right in candidate {
        let place = right.pair.and_then(|pair| partner.get(&pair)).copied();
        match place.and_then(|place| Some((control.get(place)?, taken.get_mut(place)?))) {
            // An exchange is drawn as a whole.
            Some((left, taken)) => {
                *taken = true;
                all.push(known(left, right, left.weight.max(right.weight)));
            }
            None => alone.push(right),
        }
    }
    let left = control.iter().zip(&taken).filter(|(_, taken)| !**taken).map(|(row, _)| row);
    all.extend(left.zip(alone).map(|(left, right)| known(left, right, left.weight * right.weight)));
    all.sort_by_key(|(order, _)| *order);
    all.into_iter().map(|(_, known)| known).collect()
}

fn weighted(rows: &[Row], value: impl Fn(&Row) -> f64) -> Option<f64> {
    let weights: f64 = rows.iter().map(|row| row.weight).sum();
    (weights > 0.0).then(|| rows.iter().map(|row| row.weight * value(row)).sum::<f64>() / weights)
}
