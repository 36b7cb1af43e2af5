//! Pairs that a report may show: of each metric and set of labels those that differ most either way, and those of the sample, of which
//! a few are typical.

use weir_gate::{Labels, MetricSeries};

use crate::exemplar::{FEW, first};
use crate::pairs::{Origins, PairIndex};
use crate::series::AllSeries;

/// Of so many identities of the sample one has pairs among which typical ones are looked for.
const TYPICAL_ONE_IN: u32 = 8;

/// Pairs, and which of them each metric has.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    pub(super) origins: Origins,
    /// Each with the places of its pairs in `origins`, in order of time.
    pub(super) series: Vec<(MetricSeries, Vec<u32>)>,
}

/// Puts a slice's pairs behind others; `sets` are the places of its sets of labels among all.
pub(super) fn append(pairs: &mut PairIndex, series: &mut Vec<MetricSeries>, shown: Shown, sets: &[u32]) {
    let before = u32::try_from(pairs.origins.len()).unwrap_or(u32::MAX);
    pairs.origins.append(&shown.origins);
    for (own, places) in shown.series {
        let known = series.iter().position(|known| known.name == own.name).unwrap_or_else(|| {
            series.push(MetricSeries { name: own.name.clone(), ..MetricSeries::default() });
            series.len() - 1
        });
        let Some(all) = series.get_mut(known) else { continue };
        all.pairs.extend(own.pairs.iter());
        let sets = (0..own.pairs.len()).map(|at| {
            let place = own.labels.pairs.get(at).copied().unwrap_or(0);
            sets.get(place as usize).copied().unwrap_or(place)
        });
        all.labels.pairs.extend(sets);
        let places = places.into_iter().map(|place| before.saturating_add(place));
        pairs.of_metric.entry(own.name).or_default().extend(places);
    }
}

/// The pairs of a slice that may be shown; `numbers` says of each identity whether it is in the sample.
pub(super) fn shown(all: &AllSeries, numbers: &[Option<u32>]) -> Shown {
    let mut chosen = vec![false; all.pairs.origins.len()];
    let mut choose = |place: Option<&u32>| {
        let found = place.and_then(|place| chosen.get_mut(*place as usize));
        found.into_iter().for_each(|chosen| *chosen = true);
    };
    for series in &all.series {
        let Some(places) = all.pairs.of_metric.get(&series.name) else { continue };
        for (cluster, place) in series.pair_clusters.iter().zip(places) {
            let number = numbers.get(*cluster as usize).copied().flatten();
            if number.is_some_and(|number| number % TYPICAL_ONE_IN == 0) {
                choose(Some(place));
            }
        }
        extremes(series).into_iter().for_each(|at| choose(places.get(at)));
    }
    let mut shown = Shown::default();
    let mut new = vec![u32::MAX; chosen.len()];
    for (place, _) in chosen.iter().enumerate().filter(|(_, chosen)| **chosen) {
        if let Some(number) = new.get_mut(place) {
            *number = u32::try_from(shown.origins.len()).unwrap_or(u32::MAX);
        }
        shown.origins.copy(&all.pairs.origins, place);
    }
    for series in &all.series {
        let places =
            all.pairs.of_metric.get(&series.name).map(|places| places.as_slice()).unwrap_or_default();
        shown.series.push(those(series, places, &new));
    }
    shown
}

/// The pairs of a series that have a new place, and these places.
fn those(series: &MetricSeries, places: &[u32], new: &[u32]) -> (MetricSeries, Vec<u32>) {
    let mut kept =
        MetricSeries { name: series.name.clone(), labels: Labels::default(), ..MetricSeries::default() };
    let mut kept_places = Vec::new();
    for (at, place) in places.iter().enumerate() {
        let number = new.get(*place as usize).copied().filter(|number| *number != u32::MAX);
        if let (Some(number), Some(pair)) = (number, series.pairs.get(at)) {
            kept.pairs.push(pair);
            kept.labels.pairs.extend(series.labels.pairs.get(at).copied());
            kept_places.push(number);
        }
    }
    (kept, kept_places)
}

/// The places of the pairs of each set of labels that differ most either way, among equals the first.
fn extremes(series: &MetricSeries) -> Vec<usize> {
    let mut by_set: Vec<Vec<(f64, usize)>> = Vec::new();
    for (at, (control, candidate)) in series.pairs.iter().enumerate() {
        let difference = candidate - control;
        if difference == 0.0 || difference.is_nan() {
            continue;
        }
        let set = series.labels.pairs.get(at).map_or(0, |set| *set as usize);
        if by_set.len() <= set {
            by_set.resize_with(set + 1, Vec::new);
        }
        by_set.get_mut(set).into_iter().for_each(|pairs| pairs.push((difference, at)));
    }
    let of_sign = |sign: f64| {
        let order = move |one: &(f64, usize), other: &(f64, usize)| {
            (sign * other.0).total_cmp(&(sign * one.0)).then(one.1.cmp(&other.1))
        };
        let of_set = move |pairs: &Vec<(f64, usize)>| {
            let on_side = pairs.iter().copied().filter(|pair| sign * pair.0 > 0.0);
            first(on_side, FEW, order)
        };
        by_set.iter().flat_map(of_set).map(|(_, at)| at).collect::<Vec<usize>>()
    };
    let mut places = of_sign(1.0);
    places.extend(of_sign(-1.0));
    places
}
