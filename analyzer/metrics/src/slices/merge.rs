//! Slices put together: what a look has loaded.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::fast::RandomState;
use weir_gate::{Arm, CaptureHealth, Lengths, MetricSeries, Settled};
use weir_report::{Look, Prefix, Variants};
use weir_tripwire::Seen;

use super::Frame;
use super::slice::{Named, Slice, SliceMetric};
use crate::Loaded;
use crate::assemble::time;
use crate::health::Observed;
use crate::histogram::distribution_of_sums;
use crate::labels::{LabelSets, together};
use crate::pairs::PairIndex;
use crate::parallel;
use crate::series::{empty_series, unscored};

/// Earlier times at which the gates are judged again.
const LOOKS: usize = 6;

/// Everything but series, added up.
#[derive(Default)]
struct Sums {
    legs: u64,
    ends: Option<(i64, i64)>,
    duplicates: u64,
    thinned: u64,
    named: Named,
    observed: Observed,
    seen: Seen,
    left_out: Vec<(String, String)>,
    control_has: Vec<bool>,
}

/// A metric's series, put together.
struct Merged {
    series: MetricSeries,
    noise: Arm,
    absent: Option<String>,
}

/// What slices that follow each other need to be put together.
struct Together {
    /// Slices between one earlier look and the next.
    groups: Vec<Range<usize>>,
    /// For each slice, for each of its sets of labels the place among all.
    places: Vec<Vec<u32>>,
    /// For each slice, for each of its identities the number among all.
    numbers: Vec<Vec<u32>>,
    /// For each slice its legs.
    legs: Vec<u64>,
    several_revisions: bool,
}

/// What the slices say together, which follow each other.
pub(super) fn loaded(frame: &Frame<'_>, experiment: &str, slices: Vec<Slice>) -> Loaded {
    let with_exchanges = || slices.iter().filter(|slice| slice.times.ends.is_some());
    let sets: Vec<&LabelSets> = with_exchanges().map(|slice| &slice.sets).collect();
    let left_out = slices.iter().flat_map(|slice| slice.left_out.iter().cloned()).collect();
    let (labels, places, left_out) = together(&sets, left_out);
    let numbers = numbered(with_exchanges());
    let lasts: Vec<i64> = with_exchanges().filter_map(|slice| Some(slice.times.ends?.1)).collect();
    let legs: Vec<u64> = with_exchanges().map(|slice| slice.times.legs).collect();
    let groups = groups(lasts.len());
    let mut columns: Vec<Vec<Option<SliceMetric>>> = frame.metrics.iter().map(|_| Vec::new()).collect();
    let mut sums = Sums { left_out, ..Sums::default() };
    let (mut pairs, mut shown) = (PairIndex::default(), Vec::<MetricSeries>::new());
    let mut of_slices = places.iter();
    for slice in slices {
        let places = slice.times.ends.and_then(|_| of_slices.next());
        let (metrics, of_slice) = sums.add(slice);
        let Some(places) = places else { continue };
        for (column, metric) in columns.iter_mut().zip(metrics) {
            column.push(metric);
        }
        super::shown::append(&mut pairs, &mut shown, of_slice, places);
    }
    shown.iter_mut().for_each(|series| series.labels.sets.clone_from(&labels));
    let ends: Vec<i64> =
        groups.iter().filter_map(|group| lasts.get(..group.end)?.iter().copied().max()).collect();
    let together =
        Together { groups, places, numbers, legs, several_revisions: sums.named.revisions.len() > 1 };
    let work: Vec<(usize, Mutex<Vec<Option<SliceMetric>>>)> =
        columns.into_iter().map(Mutex::new).enumerate().collect();
    let merge = |(place, column): &(usize, Mutex<Vec<Option<SliceMetric>>>)| {
        let metric = frame.metrics.get(*place)?;
        let column = std::mem::take(&mut *column.lock().unwrap_or_else(PoisonError::into_inner));
        let mut series = empty_series(metric);
        series.labels.sets.clone_from(&labels);
        let merged = merged(series, column, &together);
        let without_control =
            metric.needs_control.as_ref().filter(|_| sums.control_has.get(*place) != Some(&true));
        Some(match without_control {
            Some(needs) => Merged { absent: Some(needs.otherwise.to_owned()), ..merged },
            None => merged,
        })
    };
    let all: Vec<Merged> = parallel::map(&work, merge, |_| {}).into_iter().flatten().collect();
    finished(frame, experiment, all, sums, &ends, (pairs, shown))
}

/// The slices' identities by numbers that hold for all of them: for each slice those of its own.
fn numbered<'s>(slices: impl Iterator<Item = &'s Slice>) -> Vec<Vec<u32>> {
    let mut known: HashMap<u64, u32, RandomState> = HashMap::default();
    let numbers = slices.map(|slice| {
        let number = |hash: &u64| {
            let fresh = u32::try_from(known.len()).unwrap_or(u32::MAX);
            *known.entry(*hash).or_insert(fresh)
        };
        slice.identities.iter().map(number).collect()
    });
    numbers.collect()
}

/// Slices between one earlier look and the next.
fn groups(slices: usize) -> Vec<Range<usize>> {
    let looks = LOOKS.min(slices);
    (0..looks).map(|look| slices * look / looks..slices * (look + 1) / looks).collect()
}

fn merged(mut series: MetricSeries, column: Vec<Option<SliceMetric>>, together: &Together) -> Merged {
    let mut noise = Arm::default();
    let mut all = Settled::default();
    let mut column = column.into_iter().enumerate();
    for group in &together.groups {
        let mut of_group = Settled::default();
        for (at, metric) in column.by_ref().take(group.len()) {
            let Some(mut metric) = metric else {
                series.missing += together.legs.get(at).copied().unwrap_or_default();
                continue;
            };
            let of_slice = |of: &'_ [Vec<u32>]| of.get(at).cloned().unwrap_or_default();
            noise.append(&metric.noise);
            series.missing += metric.missing;
            if !together.several_revisions {
                metric.settled.rename_strata(|name| without_revision(name).to_owned());
            }
            of_group.append(metric.settled, &of_slice(&together.places), &of_slice(&together.numbers));
        }
        of_group.join();
        all.append(of_group, &[], &[]);
    }
    let lengths = all.lengths().pop().unwrap_or_default();
    let compared = |(_, (control, candidate)): &(usize, &(usize, usize))| *control > 0 && *candidate > 0;
    let kept: Vec<usize> = lengths.strata.iter().enumerate().filter(compared).map(|(at, _)| at).collect();
    let values =
        lengths.pairs > 0 || lengths.strata.iter().any(|(control, candidate)| control + candidate > 0);
    all.keep_strata(&kept);
    series.settled = Some(Arc::new(all));
    let absent = (!values).then(|| "no sample has a value for it".to_owned());
    Merged { series, noise, absent }
}

impl Sums {
    /// Takes a slice's sums in and gives its series back.
    fn add(&mut self, slice: Slice) -> (Vec<Option<SliceMetric>>, super::shown::Shown) {
        self.legs += slice.times.legs;
        self.ends = match (self.ends, slice.times.ends) {
            (Some((first, last)), Some((from, to))) => Some((first.min(from), last.max(to))),
            (known, new) => known.or(new),
        };
        self.duplicates += slice.duplicates;
        self.thinned += slice.thinned;
        self.named.append(&slice.named);
        self.observed.append(slice.observed);
        self.seen.control.extend(slice.seen.control);
        self.seen.candidate.extend(slice.seen.candidate);
        self.seen.pairs.extend(slice.seen.pairs);
        self.seen.noise.extend(slice.seen.noise);
        self.control_has.resize(slice.control_has.len(), false);
        self.control_has.iter_mut().zip(slice.control_has).for_each(|(known, has)| *known |= has);
        (slice.metrics, slice.shown)
    }
}

fn finished(
    frame: &Frame<'_>,
    experiment: &str,
    all: Vec<Merged>,
    sums: Sums,
    ends: &[i64],
    (pairs, shown): (PairIndex, Vec<MetricSeries>),
) -> Loaded {
    let mut absent: Vec<(String, String)> = Vec::new();
    let (mut series, mut noise) = (Vec::new(), Vec::new());
    for merged in all {
        match merged.absent {
            Some(why) => absent.push((merged.series.name, why)),
            None => {
                series.push(merged.series);
                noise.push(merged.noise);
            }
        }
    }
    absent.extend(unscored(frame.options, |id| series.iter().any(|series: &MetricSeries| series.name == id)));
    absent
        .extend(sums.left_out.into_iter().map(|(dimension, why)| (format!("segments by {dimension}"), why)));
    let distributions =
        series.iter().zip(&noise).filter_map(|(series, noise)| distribution_of_sums(series, noise));
    let health = sums.observed.health(&frame.options.expected_shares);
    Loaded {
        experiment: experiment.to_owned(),
        looks: looks(&series, ends),
        distributions: distributions.collect(),
        series,
        health: CaptureHealth {
            thinned: sums.thinned,
            span_seconds: sums.ends.map(|(first, last)| last.abs_diff(first) / 1_000_000),
            ..health
        },
        absent,
        variants: Variants {
            control_snapshot: sums.named.control_snapshots.into_iter().collect(),
            candidate_snapshot: sums.named.candidate_snapshots.into_iter().collect(),
        },
        revisions: sums.named.revisions.into_iter().collect(),
        policy_digests: sums.named.policy_digests.into_iter().collect(),
        samples: sums.legs,
        duplicates: sums.duplicates,
        first_ts_us: sums.ends.map(|(first, _)| first),
        last_ts_us: sums.ends.map(|(_, last)| last),
        seen: sums.seen,
        pairs,
        shown: Some(shown),
        data_dir: frame.options.data_dir.clone(),
    }
}

/// What each look saw of each series.
fn looks(series: &[MetricSeries], ends: &[i64]) -> Vec<Look> {
    let lengths: Vec<Vec<Lengths>> = series
        .iter()
        .map(|series| series.settled.as_ref().map(|own| own.lengths()).unwrap_or_default())
        .collect();
    let prefix = |lengths: Option<&Lengths>| {
        let lengths = lengths.cloned().unwrap_or_default();
        Prefix { pairs: lengths.pairs, noise_pairs: 0, strata: lengths.strata }
    };
    let look = |(number, end): (usize, &i64)| {
        let prefixes = lengths.iter().map(|own| prefix(own.get(number))).collect();
        Some(Look { at: time(*end)?, prefixes })
    };
    ends.iter().enumerate().filter_map(look).collect()
}

/// `general` for `general, revision 7`.
fn without_revision(name: &str) -> &str {
    let known = name.rsplit_once(", revision ");
    known.filter(|(_, number)| number.parse::<i64>().is_ok()).map_or(name, |(cohort, _)| cohort)
}
