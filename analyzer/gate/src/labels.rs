//! What exchanges are labelled with (tier, route, language, tags), and the part of a series that has certain labels.
//!
//! The sets of labels are listed once and named by their places, so that a series carries one small number per value.
//!
//! Invariant: the places of a series' sets are in order of first appearance among all exchanges, so that the sets of an
//! earlier look are the beginning of the sets of a later one.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::places::Places;
use crate::series::{MetricSeries, PersonLabel, Stratum};
use crate::settled;
use crate::values::chosen;

/// A part of the traffic: for each dimension (`tier`, `route`, `tag:region`, ...) the value that it must have.
pub type Segment = BTreeMap<String, String>;

/// The labels of the values of a series.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Labels {
    /// Sets of labels, each with its dimensions and their values; the same for every series of the same samples.
    pub sets: Vec<Vec<(String, String)>>,
    /// For each pair of the series the place of its set.
    pub pairs: Places,
    /// For each stratum, for each value of control and of the candidate, the place of its set.
    pub strata: Vec<(Places, Places)>,
}

impl Labels {
    /// Whether nothing is labelled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }
}

/// The part of a series whose exchanges have every label of `segment`; without labels nothing is left.
pub(crate) fn restricted(series: &MetricSeries, segment: &Segment) -> MetricSeries {
    part(series, segment, false)
}

/// The same to be judged: strata are empty where there are pairs enough, since nothing looks at them then.
pub(crate) fn restricted_to_judge(series: &MetricSeries, segment: &Segment) -> MetricSeries {
    part(series, segment, true)
}

fn part(series: &MetricSeries, segment: &Segment, to_judge: bool) -> MetricSeries {
    let labels = &series.labels;
    if let Some(settled) = &series.settled {
        let settled = Arc::new(settled::restricted(settled, &labels.sets, segment));
        return MetricSeries { settled: Some(settled), ..series.clone() };
    }
    let inside: Vec<bool> = labels.sets.iter().map(|set| has(set, segment)).collect();
    let kept = |places: &[u32]| -> Vec<bool> {
        let at = |place: &u32| usize::try_from(*place).ok().and_then(|place| inside.get(place)).copied();
        places.iter().map(|place| at(place) == Some(true)).collect()
    };
    let in_pairs = kept(&labels.pairs);
    let pairs = series.pairs.chosen(&in_pairs);
    let arms: Vec<(Vec<bool>, Vec<bool>)> = match to_judge && series.is_judged_by(&pairs) {
        true => vec![Default::default(); labels.strata.len()],
        false => labels.strata.iter().map(|(control, candidate)| (kept(control), kept(candidate))).collect(),
    };
    let people = people_inside(&series.people, &in_pairs, &arms);
    let strata = series.strata.iter().zip(arms);
    let strata = strata.map(|(stratum, (control, candidate))| Stratum {
        name: stratum.name.clone(),
        control: stratum.control.chosen(&control),
        candidate: stratum.candidate.chosen(&candidate),
        control_clusters: chosen(&stratum.control_clusters, &control).into(),
        candidate_clusters: chosen(&stratum.candidate_clusters, &candidate).into(),
    });
    MetricSeries {
        name: series.name.clone(),
        unit: series.unit.clone(),
        better: series.better,
        bounds: series.bounds,
        pairs,
        pair_clusters: chosen(&series.pair_clusters, &in_pairs).into(),
        strata: strata.collect(),
        people,
        ..MetricSeries::default()
    }
}

/// The series without the exchanges that are in any of these segments; labels stay, also where a segment is empty now,
/// so that the other segments keep their places.
#[must_use]
pub fn without(series: &MetricSeries, hidden: &[Segment]) -> MetricSeries {
    let labels = &series.labels;
    let hides = |set: &Vec<(String, String)>| hidden.iter().any(|segment| has(set, segment));
    if let Some(settled) = &series.settled {
        let settled = Arc::new(settled::without(settled, &labels.sets, hides));
        return MetricSeries { settled: Some(settled), ..series.clone() };
    }
    let outside: Vec<bool> = labels.sets.iter().map(|set| !hides(set)).collect();
    // What has no label is in no segment.
    let kept = |places: &[u32], all: usize| -> Vec<bool> {
        let at = |index: usize| {
            let place = places.get(index).and_then(|place| usize::try_from(*place).ok());
            place.and_then(|place| outside.get(place)).copied().unwrap_or(true)
        };
        (0..all).map(at).collect()
    };
    let pairs = kept(&labels.pairs, series.pairs.len());
    let none = (Places::default(), Places::default());
    let arms = series.strata.iter().enumerate().map(|(index, stratum)| {
        let (old, new) = labels.strata.get(index).unwrap_or(&none);
        (kept(old, stratum.control.len()), kept(new, stratum.candidate.len()))
    });
    let arms: Vec<_> = arms.collect();
    self::kept(series, &pairs, &arms)
}

/// The values that are kept, and what stands beside them.
pub(crate) fn kept(series: &MetricSeries, pairs: &[bool], arms: &[(Vec<bool>, Vec<bool>)]) -> MetricSeries {
    let labels = &series.labels;
    let none = (Places::default(), Places::default());
    let mut strata = Vec::with_capacity(series.strata.len());
    let mut places = Vec::with_capacity(series.strata.len());
    for (index, (stratum, (control, candidate))) in series.strata.iter().zip(arms).enumerate() {
        let (old, new) = labels.strata.get(index).unwrap_or(&none);
        places.push((chosen(old, control).into(), chosen(new, candidate).into()));
        strata.push(Stratum {
            name: stratum.name.clone(),
            control: stratum.control.chosen(control),
            candidate: stratum.candidate.chosen(candidate),
            control_clusters: chosen(&stratum.control_clusters, control).into(),
            candidate_clusters: chosen(&stratum.candidate_clusters, candidate).into(),
        });
    }
    MetricSeries {
        name: series.name.clone(),
        unit: series.unit.clone(),
        better: series.better,
        bounds: series.bounds,
        pairs: series.pairs.chosen(pairs),
        pair_clusters: chosen(&series.pair_clusters, pairs).into(),
        noise_pairs: series.noise_pairs.clone(),
        strata,
        missing: series.missing,
        labels: Labels {
            sets: labels.sets.clone(),
            pairs: chosen(&labels.pairs, pairs).into(),
            strata: places,
        },
        people: people_inside(&series.people, pairs, arms),
        settled: None,
    }
}

/// Labels of answers that are kept, at their new places.
fn people_inside(
    people: &[PersonLabel],
    pairs: &[bool],
    strata: &[(Vec<bool>, Vec<bool>)],
) -> Vec<PersonLabel> {
    let moved = |kept: &[bool], place: u32| {
        let place = usize::try_from(place).ok()?;
        let before = kept.get(..place)?.iter().filter(|kept| **kept).count();
        u32::try_from(before).ok().filter(|_| kept.get(place) == Some(&true))
    };
    let of = |label: &PersonLabel| {
        let pair = label.pair.and_then(|place| moved(pairs, place));
        let stratum = label.stratum.and_then(|(stratum, place)| {
            let (control, candidate) = strata.get(usize::try_from(stratum).ok()?)?;
            Some((stratum, moved(if label.candidate { candidate } else { control }, place)?))
        });
        (pair.is_some() || stratum.is_some()).then_some(PersonLabel { pair, stratum, ..*label })
    };
    people.iter().filter_map(of).collect()
}

/// Whether a set of labels has all labels of a segment.
pub(crate) fn has(set: &[(String, String)], segment: &Segment) -> bool {
    let label = |dimension: &String, value: &String| set.iter().any(|(d, v)| d == dimension && v == value);
    segment.iter().all(|(dimension, value)| label(dimension, value))
}

/// `tier=internal, route=/v1/chat`.
pub(crate) fn name(segment: &Segment) -> String {
    let labels: Vec<String> =
        segment.iter().map(|(dimension, value)| format!("{dimension}={value}")).collect();
    labels.join(", ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::gates::Gates;
    use crate::judge::judge;
    use crate::memory::Memory;

    const GATES: &str = "apiVersion: weir/v1
kind: Gates
gates:
- {name: difference, metric: response_chars, margin: {absolute: 0.1}, severity: major}
- {name: ratio, metric: response_chars, margin: {relative: 0.1}, severity: major}
- {name: percentile, metric: 'response_chars:p50', margin: {relative: 0.1}, severity: major}
- {name: bound, metric: response_chars, margin: {bound: 1}, direction: higher, severity: major}
- {name: bounded-percentile, metric: 'response_chars:p50', margin: {bound: 1}, direction: lower, severity: major}
";

    fn number(odd: bool) -> impl Strategy<Value = f64> {
        (0_u8..60).prop_map(move |drawn| if odd && drawn == 0 { f64::NAN } else { f64::from(drawn % 3) })
    }

    fn arm(odd: bool) -> impl Strategy<Value = Vec<(f64, u32)>> {
        vec((number(odd), 0_u32..2), 0..40)
    }

    fn any_series() -> impl Strategy<Value = MetricSeries> {
        let numbers = |odd| (vec((number(odd), number(odd), 0_u32..2), 0..90), arm(odd), arm(odd));
        let drawn = (any::<bool>(), any::<bool>(), any::<bool>());
        drawn.prop_flat_map(move |(odd, bounded, said)| (numbers(odd), Just(bounded), Just(said))).prop_map(
            |((pairs, control, candidate), bounded, said)| {
                let set = |tier: &str| vec![("tier".to_owned(), tier.to_owned())];
                let places = |arm: &[(f64, u32)]| arm.iter().map(|(_, place)| *place).collect::<Places>();
                let person = PersonLabel { score: 1.0, weight: 1.0, pair: Some(0), ..PersonLabel::default() };
                MetricSeries {
                    name: "response_chars".to_owned(),
                    bounds: bounded.then_some((0.0, 2.0)),
                    pairs: pairs.iter().map(|(control, candidate, _)| (*control, *candidate)).collect(),
                    strata: vec![Stratum {
                        name: "general".to_owned(),
                        control: control.iter().map(|(value, _)| *value).collect(),
                        candidate: candidate.iter().map(|(value, _)| *value).collect(),
                        ..Stratum::default()
                    }],
                    labels: Labels {
                        sets: vec![set("beta"), set("general")],
                        pairs: pairs.iter().map(|(.., place)| *place).collect(),
                        strata: vec![(places(&control), places(&candidate))],
                    },
                    people: if said { vec![person] } else { Vec::new() },
                    ..MetricSeries::default()
                }
            },
        )
    }

    proptest! {
        #[test]
        fn a_part_without_the_strata_that_nothing_looks_at_is_judged_as_with_them(series in any_series()) {
            let segment = Segment::from([("tier".to_owned(), "beta".to_owned())]);
            let (all, short) = (restricted(&series, &segment), restricted_to_judge(&series, &segment));
            let left_out = short.strata[0].control.is_empty() && !all.strata[0].control.is_empty();
            prop_assert!(!left_out || all.pairs.len() >= 30);
            prop_assert!(left_out || all.strata[0].control.is_empty() || !series.is_judged_by(&all.pairs));
            for gate in Gates::parse("gates", GATES).unwrap().gates {
                let said = |series: &MetricSeries| {
                    let result = judge(&gate, gate.name.clone(), series, 0.01, &segment, &Memory::default());
                    serde_json::to_string(&result).unwrap()
                };
                prop_assert_eq!(said(&all), said(&short));
            }
        }
    }
}
