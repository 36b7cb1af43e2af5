//! Some of the values of a series, with what stands beside them.

use std::iter;

use super::{Lengths, Sampled};
use crate::labels::{self, Labels};
use crate::places::Places;
use crate::series::{MetricSeries, Stratum};

/// The values that are in the sample, with their labels.
pub(super) fn chosen(series: &MetricSeries, sampled: &Sampled) -> MetricSeries {
    let kept = labels::kept(series, &sampled.pairs, &sampled.strata);
    MetricSeries { noise_pairs: Default::default(), missing: 0, people: Vec::new(), ..kept }
}

/// Which values have one of the sets of labels that are kept.
pub(super) fn of_sets(sample: &MetricSeries, keep: impl Fn(u32) -> bool) -> Sampled {
    let kept = |places: &[u32], all: usize| -> Vec<bool> {
        (0..all).map(|at| keep(places.get(at).copied().unwrap_or(0))).collect()
    };
    let nothing = (Places::default(), Places::default());
    let strata = sample.strata.iter().enumerate().map(|(number, stratum)| {
        let (control, candidate) = sample.labels.strata.get(number).unwrap_or(&nothing);
        (kept(control, stratum.control.len()), kept(candidate, stratum.candidate.len()))
    });
    Sampled { pairs: kept(&sample.labels.pairs, sample.pairs.len()), strata: strata.collect() }
}

/// The first values, so many.
pub(super) fn first(sample: &MetricSeries, lengths: &Lengths) -> MetricSeries {
    let upto = |length: usize, all: usize| (0..all).map(|at| at < length).collect::<Vec<bool>>();
    let lengths_of = |at: usize| lengths.strata.get(at).copied().unwrap_or_default();
    let strata = sample.strata.iter().enumerate().map(|(at, stratum)| {
        let (control, candidate) = lengths_of(at);
        (upto(control, stratum.control.len()), upto(candidate, stratum.candidate.len()))
    });
    let sampled = Sampled { pairs: upto(lengths.pairs, sample.pairs.len()), strata: strata.collect() };
    chosen(sample, &sampled)
}

/// Puts later values behind earlier ones. Their sets of labels, strata and identities are those at these places.
pub(super) fn append(
    sample: &mut MetricSeries,
    later: &MetricSeries,
    sets: &[u32],
    strata: &[usize],
    identities: &[u32],
) {
    let pairs = (sample.pairs.len(), later.pairs.len());
    extend_sets(&mut sample.labels.pairs, &later.labels.pairs, pairs, sets);
    sample.pairs.extend(later.pairs.iter());
    extend(&mut sample.pair_clusters, &later.pair_clusters, identities);
    let wanted = strata.iter().max().map_or(0, |most| most + 1);
    if sample.strata.len() < wanted {
        sample.strata.resize_with(wanted, Stratum::default);
        sample.labels.strata.resize_with(wanted, Default::default);
    }
    let nothing = (Places::default(), Places::default());
    for (number, (new, place)) in later.strata.iter().zip(strata).enumerate() {
        let (Some(old), Some(old_sets)) =
            (sample.strata.get_mut(*place), sample.labels.strata.get_mut(*place))
        else {
            continue;
        };
        let (of_control, of_candidate) = later.labels.strata.get(number).unwrap_or(&nothing);
        extend_sets(&mut old_sets.0, of_control, (old.control.len(), new.control.len()), sets);
        extend_sets(&mut old_sets.1, of_candidate, (old.candidate.len(), new.candidate.len()), sets);
        new.name.clone_into(&mut old.name);
        new.control.iter().for_each(|value| old.control.push(value));
        new.candidate.iter().for_each(|value| old.candidate.push(value));
        extend(&mut old.control_clusters, &new.control_clusters, identities);
        extend(&mut old.candidate_clusters, &new.candidate_clusters, identities);
    }
}

/// Keeps these strata only.
pub(super) fn keep_strata(sample: &mut MetricSeries, kept: &[usize]) {
    let Labels { strata: sets, .. } = &sample.labels;
    let sets = kept.iter().map(|at| sets.get(*at).cloned().unwrap_or_default()).collect();
    sample.strata = kept.iter().map(|at| sample.strata.get(*at).cloned().unwrap_or_default()).collect();
    sample.labels.strata = sets;
}

fn extend(places: &mut Places, later: &Places, new: &[u32]) {
    places.extend(later.iter().map(|place| new.get(*place as usize).copied().unwrap_or(*place)));
}

/// Puts the sets of labels of later values behind those of earlier ones, so many. Where nothing is labelled the set is the first one,
/// which has to be said as soon as other values have others.
fn extend_sets(places: &mut Places, later: &Places, (before, count): (usize, usize), sets: &[u32]) {
    let first = sets.first().copied().unwrap_or(0);
    if later.is_empty() && places.is_empty() && first == 0 {
        return;
    }
    let unsaid = before.saturating_sub(places.len());
    places.extend(iter::repeat_n(0, unsaid));
    match later.is_empty() {
        true => places.extend(iter::repeat_n(first, count)),
        false => extend(places, later, sets),
    }
}
