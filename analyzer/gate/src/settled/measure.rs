//! Comparisons from sums: what [`crate::measure`] and [`crate::level`] make from values.

use weir_stats::{Column, Moments, asymptotic, bounded, quantile, weights};

use super::{Arm, Part, Settled};
use crate::cluster::{self, Quantity};
use crate::level::Level;
use crate::measure::{
    LARGEST_ONLY, Measured, PAIRS_MIN, PERCENTILE, Plan, clustered, finish, note_left_out, note_outside,
    note_skipped, nothing, shape,
};
use crate::result::Comparison;
use crate::series::MetricSeries;

/// The strata that are compared, with their weights.
struct Weighted<'a> {
    arms: Vec<(&'a Arm, &'a Arm, f64)>,
    /// Those that are not, though they have values.
    skipped: Vec<&'a str>,
}

/// As [`crate::measure::measure`].
pub(crate) fn measure(settled: &Settled, plan: Plan) -> Measured {
    let part = settled.to_judge();
    let mut notes = left_out(&part);
    let quantity = if plan.relative { Quantity::Ratio } else { Quantity::Difference };
    let n_pairs = part.pairs.sums.differences.n;
    let mut measured = match Weighted::of(settled, &part, n_pairs) {
        Some(strata) => {
            note_skipped(&strata.skipped, &mut notes);
            let alpha = clustered(plan.alpha, of_strata(settled, quantity), &mut notes);
            unpaired(&strata, Plan { alpha, ..plan }, &mut notes)
        }
        None if n_pairs > 0 => {
            let alpha = clustered(plan.alpha, of_pairs(settled, quantity), &mut notes);
            paired(&part, Plan { alpha, ..plan }, &mut notes)
        }
        None => nothing(),
    };
    measured.n_pairs = n_pairs as u64;
    measured.notes = notes;
    measured
}

/// As [`crate::measure::measure_percentile`].
pub(crate) fn measure_percentile(settled: &Settled, share: f64, relative: bool, alpha: f64) -> Measured {
    let part = settled.to_judge();
    let mut notes = left_out(&part);
    let n_pairs = part.pairs.sums.differences.n;
    let strata = if n_pairs >= PAIRS_MIN { &[] } else { part.strata.as_slice() };
    let smaller = |arms: &&(Arm, Arm)| arms.0.column.moments.n.min(arms.1.column.moments.n);
    let largest = strata.iter().max_by_key(smaller).filter(|arms| smaller(arms) > 0);
    let (comparison, control, candidate) = match largest {
        Some((control, candidate)) => {
            if strata.len() > 1 {
                notes.push(LARGEST_ONLY.to_owned());
            }
            (Comparison::Unpaired, &control.sizes, &candidate.sizes)
        }
        None if n_pairs > 0 => (Comparison::Paired, &part.pairs.control, &part.pairs.candidate),
        None => return Measured { notes, ..nothing() },
    };
    let plain = |values| quantile::at_counts(values, share).unwrap_or(0.0);
    let levels = (plain(control), plain(candidate));
    let of_pairs_at =
        |sample: &MetricSeries| cluster::of_pairs_at(&sample.pairs.to_vec(), &sample.pair_clusters, levels);
    let effect = match comparison {
        Comparison::Paired => settled.samples().map(of_pairs_at).fold(1.0, f64::max),
        _ => of_strata(settled, Quantity::Percentile(share)),
    };
    let alpha = clustered(alpha / 2.0, effect, &mut notes);
    let estimate = match relative {
        true => quantile::ratio_of_counts(control, candidate, share, alpha),
        false => quantile::difference_of_counts(control, candidate, share, alpha),
    };
    let n = |values: &weir_stats::Buckets| usize::try_from(values.n()).unwrap_or(usize::MAX);
    let counts = (n(control), n(candidate));
    let measured = finish(comparison, counts, levels, relative, true, shape(None, 0.0, alpha), estimate);
    Measured { n_pairs: n_pairs as u64, notes, ..measured.by_percentiles() }
}

/// As [`crate::level::measure_level`].
pub(crate) fn measure_level(settled: &Settled, of: Level, alpha: f64) -> Measured {
    let part = settled.to_judge();
    let mut notes = left_out(&part);
    let n_pairs = part.pairs.sums.differences.n;
    let mut unpaired = Arm::default();
    if n_pairs < PAIRS_MIN {
        part.strata.iter().for_each(|(_, candidate)| unpaired.append(candidate));
    }
    let (comparison, values) = match unpaired.column.moments.n {
        0 if n_pairs == 0 => return Measured { notes, ..nothing() },
        0 => (Comparison::Paired, part.pairs.of_candidate()),
        _ => (Comparison::Unpaired, unpaired),
    };
    let effect = match (comparison, of.share) {
        (Comparison::Paired, None) => of_pairs(settled, Quantity::Candidate),
        (Comparison::Paired, Some(share)) => of_pairs(settled, Quantity::Percentile(share)),
        (_, None) => of_strata(settled, Quantity::Difference),
        (_, Some(share)) => of_strata(settled, Quantity::Percentile(share)),
    };
    let alpha = clustered(alpha / 2.0, effect, &mut notes);
    let bounds = of.bounds.filter(|_| of.share.is_none());
    let bounds = bounds.filter(|bounds| note_outside(*bounds, values.outside, &mut notes));
    let moments = values.column.moments;
    let tuned_n = asymptotic::TUNED_N;
    let (level, estimate) = match (of.share, bounds) {
        (Some(share), _) => {
            let level = quantile::at_counts(&values.sizes, share).unwrap_or(0.0);
            (level, quantile::quantile_of_counts(&values.sizes, share, alpha))
        }
        (None, Some(bounds)) => (moments.mean, bounded::mean_of_sums(&values.column, bounds, alpha)),
        (None, None) => (moments.mean, asymptotic::mean_of_sums(&values.column, alpha, tuned_n)),
    };
    let shape = shape(bounds, moments.variance().sqrt(), alpha);
    let exact = of.share.is_some() || bounds.is_some();
    let estimate = estimate.map(|estimate| estimate.affine(1.0, -of.bound));
    let counts = (moments.n, moments.n);
    let mut measured = finish(comparison, counts, (of.bound, level), false, exact, shape, estimate);
    if of.share.is_some() {
        measured.method = PERCENTILE;
    }
    Measured { n_pairs: n_pairs as u64, notes, ..measured }
}

impl<'a> Weighted<'a> {
    /// Nothing where there are pairs enough, or no stratum has values of both variants.
    fn of(settled: &'a Settled, part: &'a Part, n_pairs: usize) -> Option<Self> {
        if n_pairs >= PAIRS_MIN {
            return None;
        }
        let n = |arm: &Arm| arm.column.moments.n;
        let sizes: Vec<_> = part.strata.iter().map(|(old, new)| (n(old), n(new))).collect();
        let weights = weights(&sizes).ok()?;
        let known = part.strata.iter().zip(&weights);
        let all = |arm: &Arm| n(arm) as u64 + arm.left_out;
        let skipped = known
            .clone()
            .zip(settled.strata())
            .filter(|(((old, new), weight), _)| weight.is_none() && all(old) + all(new) > 0);
        Some(Self {
            skipped: skipped.map(|(_, name)| name.as_str()).collect(),
            arms: known.filter_map(|((old, new), weight)| Some((old, new, (*weight)?))).collect(),
        })
    }

    fn columns(&self) -> Vec<(&'a Column, &'a Column, f64)> {
        self.arms.iter().map(|(old, new, weight)| (&old.column, &new.column, *weight)).collect()
    }
}

fn paired(part: &Part, plan: Plan, notes: &mut Vec<String>) -> Measured {
    let (pairs, sums) = (&part.pairs, &part.pairs.sums);
    let outside = pairs.outside.0 + pairs.outside.1;
    let bounds = plan.bounds.filter(|bounds| note_outside(*bounds, outside, notes));
    let tuned = asymptotic::TUNED_N;
    let estimate = match bounds {
        Some(bounds) => bounded::paired_difference_of_sums(sums, bounds, plan.alpha),
        None if plan.relative => asymptotic::paired_ratio_of_sums(sums, plan.alpha, tuned),
        None => asymptotic::paired_difference_of_sums(sums, plan.alpha, tuned),
    };
    let shape = shape(bounds, sums.differences.variance().sqrt(), plan.alpha);
    let counts = (sums.moments.first.n, sums.moments.second.n);
    let means = (sums.moments.first.mean, sums.moments.second.mean);
    finish(Comparison::Paired, counts, means, plan.relative, bounds.is_some(), shape, estimate)
}

fn unpaired(strata: &Weighted<'_>, plan: Plan, notes: &mut Vec<String>) -> Measured {
    let outside = strata.arms.iter().map(|(old, new, _)| old.outside + new.outside).sum();
    let bounds = plan.bounds.filter(|bounds| note_outside(*bounds, outside, notes));
    let (tuned, columns) = (asymptotic::TUNED_N, strata.columns());
    let estimate = match bounds {
        Some(bounds) => bounded::unpaired_difference_of_sums(&columns, bounds, plan.alpha),
        None if plan.relative => asymptotic::unpaired_ratio_of_sums(&columns, plan.alpha, tuned),
        None => asymptotic::unpaired_difference_of_sums(&columns, plan.alpha, tuned),
    };
    let (mut counts, mut means, mut all) = ((0, 0), (0.0, 0.0), Moments::default());
    for (control, candidate, weight) in columns {
        counts = (counts.0 + control.moments.n, counts.1 + candidate.moments.n);
        means = (means.0 + weight * control.moments.mean, means.1 + weight * candidate.moments.mean);
        all.append(&control.moments);
        all.append(&candidate.moments);
    }
    let shape = shape(bounds, (2.0 * all.variance()).sqrt(), plan.alpha);
    finish(Comparison::Unpaired, counts, means, plan.relative, bounds.is_some(), shape, estimate)
}

fn of_pairs(settled: &Settled, quantity: Quantity) -> f64 {
    let of =
        |sample: &MetricSeries| cluster::of_pairs(&sample.pairs.to_vec(), &sample.pair_clusters, quantity);
    settled.samples().map(of).fold(1.0, f64::max)
}

fn of_strata(settled: &Settled, quantity: Quantity) -> f64 {
    settled.samples().map(|sample| cluster::of_strata(sample, quantity)).fold(1.0, f64::max)
}

fn left_out(part: &Part) -> Vec<String> {
    let singles = part.strata.iter().map(|(old, new)| old.left_out + new.left_out).sum();
    note_left_out(part.pairs.left_out, singles)
}
