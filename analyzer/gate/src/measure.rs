//! One metric compared: which values, which method, which interval.
//!
//! Paired where there are enough pairs, unpaired within cohorts otherwise. Each of the two is a confidence sequence at
//! half of the gate's alpha, so that it does not matter when one takes over from the other.

use std::borrow::Cow;

use weir_stats::clusters::tempered;
use weir_stats::forecast::Shape;
use weir_stats::{Arms, Estimate, Moments, StatsError, Stratified, asymptotic, bounded, mean, quantile};

use crate::cluster::{self, Quantity};
use crate::result::{Comparison, Correction};
use crate::series::{MetricSeries, Stratum};
use crate::settled;
use crate::values::{Decoded, Values};

/// Pairs from which the paired comparison is used.
pub(crate) const PAIRS_MIN: usize = 30;
/// How percentiles are compared.
pub(crate) const PERCENTILE: &str = "quantile confidence sequence";
/// What is said where percentiles of several cohorts cannot be added up.
pub(crate) const LARGEST_ONLY: &str = "the cohort with the most values only";

/// A comparison before it is held against a margin.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) comparison: Comparison,
    pub(crate) n_pairs: u64,
    pub(crate) n_control: u64,
    pub(crate) n_candidate: u64,
    pub(crate) control: Option<f64>,
    pub(crate) candidate: Option<f64>,
    pub(crate) estimate: Option<f64>,
    pub(crate) interval: Option<(f64, f64)>,
    /// The interval holds at every n, not only for large n.
    pub(crate) exact: bool,
    pub(crate) method: &'static str,
    pub(crate) shape: Option<Shape>,
    /// The part of the interval that comes from people's labels, where there is one.
    pub(crate) rectifier: Option<LabelledPart>,
    /// What people's labels did to it, where there are any.
    pub(crate) correction: Option<Correction>,
    /// Values from which there is an interval, where there is none yet.
    pub(crate) interval_from: Option<u64>,
    /// What has to be said about the values: left out, outside their bounds, cohorts without a counterpart.
    pub(crate) notes: Vec<String>,
}

/// What people's labels add to an interval.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LabelledPart {
    /// Labels of each variant.
    pub(crate) n: u64,
    /// Half of its width.
    pub(crate) half: f64,
    pub(crate) shape: Shape,
}

/// What is estimated and how.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) relative: bool,
    pub(crate) bounds: Option<(f64, f64)>,
    /// Of the comparison, paired or unpaired: half of the gate's.
    pub(crate) alpha: f64,
}

impl Measured {
    /// As percentiles are compared.
    pub(crate) fn by_percentiles(mut self) -> Self {
        self.method = PERCENTILE;
        // The first interval that exists ends at the largest value of all; with twice as many values it says something.
        self.interval_from = self.interval_from.map(|from| from.saturating_mul(2));
        self
    }
}

/// Compares candidate with control; `alpha` is the gate's, `relative` asks for the relative change of the means.
pub(crate) fn measure(series: &MetricSeries, relative: bool, alpha: f64) -> Measured {
    let bounds = series.bounds.filter(|_| !relative);
    let plan = Plan { relative, bounds, alpha: alpha / 2.0 };
    if let Some(settled) = &series.settled {
        return settled::measure::measure(settled, plan);
    }
    let clean = Clean::of(series);
    let unpaired_values = clean.strata_if_few_pairs(series);
    let mut notes = clean.notes;
    let arms: Vec<Arms<'_>> =
        unpaired_values.iter().map(|s| Arms { control: &s.0, candidate: &s.1 }).collect();
    let strata = Stratified::new(&arms).ok();
    let quantity = if relative { Quantity::Ratio } else { Quantity::Difference };
    let mut measured = match strata {
        Some(strata) => {
            note_skipped(&skipped(series, &strata), &mut notes);
            let alpha = clustered(plan.alpha, cluster::of_strata(series, quantity), &mut notes);
            unpaired(&strata, Plan { alpha, ..plan }, &mut notes)
        }
        _ if !clean.pairs.is_empty() => {
            let all_pairs = all_pairs(series, &clean.pairs);
            let alpha = clustered(
                plan.alpha,
                cluster::of_pairs(&all_pairs, &series.pair_clusters, quantity),
                &mut notes,
            );
            paired(&clean.pairs, Plan { alpha, ..plan }, &mut notes)
        }
        _ => nothing(),
    };
    measured.n_pairs = clean.pairs.len() as u64;
    measured.notes = notes;
    measured
}

/// The error probability to ask for, where values of one identity are alike.
pub(crate) fn clustered(alpha: f64, effect: f64, notes: &mut Vec<String>) -> f64 {
    if effect > 1.05 {
        notes.push(format!("answers to one identity are alike: {effect:.1} of them count as one"));
    }
    tempered(alpha, effect)
}

/// Compares a percentile of the candidate's values with control's: over the pairs, if there are enough, otherwise
/// within the cohort that has the most values, since percentiles of several cohorts cannot be added up.
pub(crate) fn measure_percentile(series: &MetricSeries, share: f64, relative: bool, alpha: f64) -> Measured {
    if let Some(settled) = &series.settled {
        return settled::measure::measure_percentile(settled, share, relative, alpha);
    }
    let clean = Clean::of(series);
    let strata = clean.strata_if_few_pairs(series);
    let mut notes = clean.notes;
    let n_pairs = clean.pairs.len() as u64;
    let smaller = |stratum: &&CleanArms| stratum.0.len().min(stratum.1.len());
    let largest = strata.iter().max_by_key(smaller).filter(|stratum| smaller(stratum) > 0);
    let (comparison, mut control, mut candidate) = match largest {
        Some((control, candidate)) => {
            if strata.len() > 1 {
                notes.push(LARGEST_ONLY.to_owned());
            }
            (Comparison::Unpaired, control.to_vec(), candidate.to_vec())
        }
        _ if n_pairs > 0 => {
            let (control, candidate) = clean.pairs.iter().copied().unzip();
            (Comparison::Paired, control, candidate)
        }
        _ => return Measured { notes, ..nothing() },
    };
    // Puts the values into another order, which no longer matters.
    let plain = |values: &mut [f64]| quantile::of_unsorted(values, share).unwrap_or(0.0);
    let levels = (plain(&mut control), plain(&mut candidate));
    let effect = match comparison {
        Comparison::Paired => {
            cluster::of_pairs_at(&all_pairs(series, &clean.pairs), &series.pair_clusters, levels)
        }
        _ => cluster::of_strata(series, Quantity::Percentile(share)),
    };
    let alpha = clustered(alpha / 2.0, effect, &mut notes);
    let estimate = match relative {
        true => quantile::ratio(&control, &candidate, share, alpha),
        false => quantile::difference(&control, &candidate, share, alpha),
    };
    let counts = (control.len(), candidate.len());
    let shape = Shape::Asymptotic { alpha, tuned_n: asymptotic::TUNED_N };
    let measured = finish(comparison, counts, levels, relative, true, shape, estimate);
    Measured { n_pairs, notes, ..measured.by_percentiles() }
}

fn paired(pairs: &[(f64, f64)], plan: Plan, notes: &mut Vec<String>) -> Measured {
    let means = (mean(pairs.iter().map(|pair| pair.0)), mean(pairs.iter().map(|pair| pair.1)));
    let bounds = usable_bounds(plan.bounds, pairs.iter().flat_map(|pair| [pair.0, pair.1]), notes);
    let tuned = asymptotic::TUNED_N;
    let estimate = match bounds {
        Some(bounds) => bounded::paired_difference(pairs, bounds, plan.alpha),
        None if plan.relative => asymptotic::paired_ratio(pairs, plan.alpha, tuned),
        None => asymptotic::paired_difference(pairs, plan.alpha, tuned),
    };
    let sd = Moments::of(pairs.iter().map(|(x, y)| y - x)).variance().sqrt();
    let shape = shape(bounds, sd, plan.alpha);
    let counts = (pairs.len(), pairs.len());
    finish(Comparison::Paired, counts, means, plan.relative, bounds.is_some(), shape, estimate)
}

fn unpaired(strata: &Stratified<'_>, plan: Plan, notes: &mut Vec<String>) -> Measured {
    let values =
        || strata.weighted().flat_map(|(arms, _)| arms.control.iter().chain(arms.candidate).copied());
    let bounds = usable_bounds(plan.bounds, values(), notes);
    let tuned = asymptotic::TUNED_N;
    let estimate = match bounds {
        Some(bounds) => bounded::unpaired_difference(strata, bounds, plan.alpha),
        None if plan.relative => asymptotic::unpaired_ratio(strata, plan.alpha, tuned),
        None => asymptotic::unpaired_difference(strata, plan.alpha, tuned),
    };
    // Both arms contribute; good enough for a forecast, which is scaled to the present width anyway.
    let sd = (2.0 * Moments::of(values()).variance()).sqrt();
    let shape = shape(bounds, sd, plan.alpha);
    let counts = (strata.n_control(), strata.n_candidate());
    finish(Comparison::Unpaired, counts, strata.means(), plan.relative, bounds.is_some(), shape, estimate)
}

pub(crate) fn finish(
    comparison: Comparison,
    (n_control, n_candidate): (usize, usize),
    (control, candidate): (f64, f64),
    relative: bool,
    exact: bool,
    shape: Shape,
    estimate: Result<Estimate, StatsError>,
) -> Measured {
    let plain = if !relative {
        Some(candidate - control)
    } else {
        (control > 0.0).then(|| candidate / control - 1.0)
    };
    let interval_from = match estimate {
        Err(StatsError::TooFew { minimum, .. }) => Some(minimum as u64),
        // The mean of control is still too uncertain to divide by: as much evidence again.
        Err(StatsError::NoRatio { mean }) if mean > 0.0 => Some(2 * n_control.min(n_candidate) as u64),
        _ => None,
    };
    let interval = estimate.ok().map(|estimate| (estimate.low, estimate.high));
    Measured {
        comparison,
        n_pairs: 0,
        n_control: n_control as u64,
        n_candidate: n_candidate as u64,
        control: Some(control),
        candidate: Some(candidate),
        estimate: plain,
        interval: interval.filter(|(low, high)| low.is_finite() && high.is_finite()),
        exact,
        method: if exact { "betting confidence sequence" } else { "asymptotic confidence sequence" },
        shape: Some(shape),
        rectifier: None,
        correction: None,
        interval_from,
        notes: Vec::new(),
    }
}

pub(crate) fn nothing() -> Measured {
    Measured {
        comparison: Comparison::None,
        n_pairs: 0,
        n_control: 0,
        n_candidate: 0,
        control: None,
        candidate: None,
        estimate: None,
        interval: None,
        exact: false,
        method: "none",
        shape: None,
        rectifier: None,
        correction: None,
        interval_from: None,
        notes: Vec::new(),
    }
}

pub(crate) fn shape(bounds: Option<(f64, f64)>, sd: f64, alpha: f64) -> Shape {
    match bounds {
        Some((low, high)) => Shape::Bounded { sd, range: 2.0 * (high - low), alpha },
        None => Shape::Asymptotic { alpha, tuned_n: asymptotic::TUNED_N },
    }
}

/// The bounds, if all values keep them; else the method that needs none, with a note.
pub(crate) fn usable_bounds(
    bounds: Option<(f64, f64)>,
    values: impl Iterator<Item = f64>,
    notes: &mut Vec<String>,
) -> Option<(f64, f64)> {
    let (low, high) = bounds?;
    let outside = values.map(|value| u64::from((value < low) | (value > high))).sum();
    note_outside((low, high), outside, notes).then_some((low, high))
}

/// Whether bounds can be used that so many values do not keep; a note where some do not.
pub(crate) fn note_outside((low, high): (f64, f64), outside: u64, notes: &mut Vec<String>) -> bool {
    if !(low.is_finite() && high.is_finite() && low < high) {
        return false;
    }
    if outside > 0 {
        notes.push(format!(
            "{outside} values are outside {low} to {high}, so that the method for unbounded values is used"
        ));
    }
    outside == 0
}

/// What is said of values that are no finite numbers.
pub(crate) fn note_left_out(pairs: u64, singles: u64) -> Vec<String> {
    let of_pairs = (pairs > 0).then(|| format!("{pairs} pairs left out: a value is not a finite number"));
    let of_singles =
        (singles > 0).then(|| format!("{singles} samples left out: the value is not a finite number"));
    of_pairs.into_iter().chain(of_singles).collect()
}

/// What is said of cohorts that only one variant has values in.
pub(crate) fn note_skipped(names: &[&str], notes: &mut Vec<String>) {
    if !names.is_empty() {
        notes.push(format!("left out, with one variant only: cohort {}", names.join(", ")));
    }
}

/// Strata that have values, and of one variant only.
fn skipped<'s>(series: &'s MetricSeries, strata: &Stratified<'_>) -> Vec<&'s str> {
    let skipped = strata.skipped().iter().filter_map(|index| series.strata.get(*index));
    skipped
        .filter(|stratum| !(stratum.control.is_empty() && stratum.candidate.is_empty()))
        .map(|stratum| stratum.name.as_str())
        .collect()
}

/// Values of control and of the candidate.
pub(crate) type CleanArms = (Vec<f64>, Vec<f64>);

/// Finite values only.
pub(crate) struct Clean {
    pub(crate) pairs: Decoded,
    pub(crate) notes: Vec<String>,
}

impl Clean {
    pub(crate) fn of(series: &MetricSeries) -> Self {
        let mut pairs = Decoded::of(&series.pairs);
        pairs.retain(|(x, y)| x.is_finite() & y.is_finite());
        let not_finite = |stratum: &Stratum| stratum.control.not_finite() + stratum.candidate.not_finite();
        let singles: usize = series.strata.iter().map(not_finite).sum();
        let notes = note_left_out((series.pairs.len() - pairs.len()) as u64, singles as u64);
        Self { pairs, notes }
    }

    /// The values of each stratum, where there are too few pairs to go by; nothing where there are enough.
    pub(crate) fn strata_if_few_pairs(&self, series: &MetricSeries) -> Vec<CleanArms> {
        if self.pairs.len() >= PAIRS_MIN {
            return Vec::new();
        }
        let finite = |values: &Values| those(values.to_vec(), |value| value.is_finite());
        series.strata.iter().map(|s| (finite(&s.control), finite(&s.candidate))).collect()
    }
}

/// Every pair of a series, of which `clean` are the finite ones: decoded again only where some were left out.
pub(crate) fn all_pairs<'a>(series: &MetricSeries, clean: &'a [(f64, f64)]) -> Cow<'a, [(f64, f64)]> {
    if clean.len() == series.pairs.len() { Cow::Borrowed(clean) } else { Cow::Owned(series.pairs.to_vec()) }
}

fn those<T>(mut values: Vec<T>, keep: impl Fn(&T) -> bool) -> Vec<T> {
    // Every value is looked at: without a way out a processor takes many at once.
    if !values.iter().fold(true, |all, value| all & keep(value)) {
        values.retain(keep);
    }
    values
}
