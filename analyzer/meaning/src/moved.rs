//! What moved: prompt clusters and segments ordered by shift, distances over time, and the prompts on a map.
//!
//! Limits: [`CLUSTERS_MAX`] clusters, one for every [`CLUSTER_PROMPTS`] prompts; a segment dimension with more than
//! [`VALUES_MAX`] values names individuals and is left out; [`MAP_POINTS_MAX`] prompts on the map, evenly spread in time.

use std::collections::{BTreeMap, BTreeSet};

use crate::cache::Vectors;
use crate::clusters::{self, NAME_TEXTS};
use crate::findings::{Exemplar, Map, Moved, Period, Point};
use crate::measured::{Measured, mean};
use crate::plane::plane;

/// Prompt clusters at most.
pub const CLUSTERS_MAX: usize = 12;
/// Prompts for each cluster.
pub const CLUSTER_PROMPTS: usize = 25;
/// Values of a segment's dimension at most.
pub const VALUES_MAX: usize = 24;
/// Parts of the time.
const PERIODS: usize = 12;
/// Pairs shown of each group.
const EXEMPLARS: usize = 2;
/// Characters of an exemplar's texts.
const EXEMPLAR_CHARS: usize = 240;
/// Prompts on the map.
pub const MAP_POINTS_MAX: usize = 1_000;
/// Characters of a prompt on the map.
const POINT_CHARS: usize = 160;

/// Paired exchanges whose prompt has a vector, in clusters.
pub(crate) struct Prompts<'a> {
    all: Vec<Prompt<'a>>,
    /// Names of the clusters; each has a prompt.
    names: Vec<String>,
}

struct Prompt<'a> {
    one: &'a Measured<'a>,
    text: &'a str,
    vector: &'a [f32],
    cluster: usize,
}

impl<'a> Prompts<'a> {
    /// Puts the prompts of pairs into clusters and names these.
    pub(crate) fn new(measured: &'a [Measured<'a>], vectors: &'a Vectors) -> Self {
        let found = measured.iter().filter(|one| one.shadow.is_some()).filter_map(|one| {
            let text = one.exchange.request.as_deref().unwrap_or_default();
            Some(Prompt { one, text, vector: vectors.of_request(one.exchange)?, cluster: 0 })
        });
        let mut all: Vec<Prompt<'_>> = found.collect();
        let k = (all.len() / CLUSTER_PROMPTS).clamp(1, CLUSTERS_MAX);
        let of = clusters::assign(&all.iter().map(|prompt| prompt.vector).collect::<Vec<_>>(), k);
        // Numbers without holes, whatever clusters stayed empty.
        let used: BTreeSet<usize> = of.iter().copied().collect();
        let numbers: BTreeMap<usize, usize> = used.into_iter().zip(0..).collect();
        for (prompt, cluster) in all.iter_mut().zip(&of) {
            prompt.cluster = numbers.get(cluster).copied().unwrap_or(0);
        }
        let names = (0..numbers.len())
            .map(|cluster| {
                let part = |inside: bool| -> Vec<&str> {
                    let chosen = all.iter().filter(|prompt| (prompt.cluster == cluster) == inside);
                    chosen.take(NAME_TEXTS).map(|prompt| prompt.text).collect()
                };
                format!("{}: {}", cluster + 1, clusters::name(&part(true), &part(false)))
            })
            .collect();
        Self { all, names }
    }

    /// The map; none without prompts.
    pub(crate) fn map(&self, seed: u64) -> Option<Map> {
        let step = self.all.len().div_ceil(MAP_POINTS_MAX).max(1);
        let chosen: Vec<&Prompt<'_>> = self.all.iter().step_by(step).collect();
        let places = plane(&chosen.iter().map(|prompt| prompt.vector).collect::<Vec<_>>(), seed);
        let points = chosen.iter().zip(places).filter_map(|(prompt, (x, y))| {
            Some(Point {
                sample_id: prompt.one.id.to_owned(),
                x,
                y,
                distance: prompt.one.shadow?,
                noise_distance: prompt.one.noise,
                cluster: prompt.cluster,
                request: prompt.text.chars().take(POINT_CHARS).collect(),
            })
        });
        (!chosen.is_empty()).then(|| Map { clusters: self.names.clone(), points: points.collect() })
    }
}

/// Clusters and segments, the largest shift first.
pub(crate) fn moved(measured: &[Measured<'_>], prompts: &Prompts<'_>) -> Vec<Moved> {
    let mut groups: BTreeMap<(&str, &str), Vec<&Measured<'_>>> = BTreeMap::new();
    for prompt in &prompts.all {
        if let Some(name) = prompts.names.get(prompt.cluster) {
            groups.entry(("cluster", name)).or_default().push(prompt.one);
        }
    }
    let mut segments: BTreeMap<&str, BTreeMap<&str, Vec<&Measured<'_>>>> = BTreeMap::new();
    for one in measured.iter().filter(|one| one.shadow.is_some()) {
        for (dimension, value) in &one.exchange.segments {
            segments.entry(dimension).or_default().entry(value).or_default().push(one);
        }
    }
    segments.retain(|_, values| values.len() <= VALUES_MAX);
    for (dimension, values) in segments {
        groups.extend(values.into_iter().map(|(value, members)| ((dimension, value), members)));
    }
    let mut moved: Vec<Moved> =
        groups.into_iter().map(|((dimension, value), members)| group(dimension, value, members)).collect();
    moved.sort_by(|left, right| right.shift().total_cmp(&left.shift()).then(left.value.cmp(&right.value)));
    moved
}

fn group(dimension: &str, value: &str, mut members: Vec<&Measured<'_>>) -> Moved {
    let noise_distance = mean(members.iter().filter_map(|one| one.noise));
    let distance = mean(members.iter().filter_map(|one| one.shadow)).unwrap_or(0.0);
    let far = |one: &Measured<'_>| one.shadow.unwrap_or(0.0);
    members.sort_by(|left, right| far(right).total_cmp(&far(left)).then(left.id.cmp(right.id)));
    Moved {
        dimension: dimension.to_owned(),
        value: value.to_owned(),
        pairs: members.len(),
        distance,
        noise_distance,
        exemplars: members.iter().take(EXEMPLARS).filter_map(|one| exemplar(one)).collect(),
    }
}

/// None where the texts were not kept.
fn exemplar(one: &Measured<'_>) -> Option<Exemplar> {
    let (control, candidate) = one.exchange.pair()?;
    let short = |text: &str| text.chars().take(EXEMPLAR_CHARS).collect::<String>();
    Some(Exemplar {
        sample_id: one.id.to_owned(),
        distance: one.shadow?,
        request: short(one.exchange.request.as_deref().unwrap_or_default()),
        control: short(control.text.as_deref()?),
        candidate: short(candidate.text.as_deref()?),
    })
}

/// Distances in equal parts of the pairs, in the order of time.
pub(crate) fn over_time(measured: &[Measured<'_>]) -> Vec<Period> {
    let paired: Vec<&Measured<'_>> = measured.iter().filter(|one| one.shadow.is_some()).collect();
    let size = paired.len().div_ceil(PERIODS).max(1);
    paired
        .chunks(size)
        .map(|part| Period {
            from_us: part.first().map_or(0, |one| one.exchange.ts_us()),
            pairs: part.len(),
            distance: mean(part.iter().filter_map(|one| one.shadow)).unwrap_or(0.0),
            noise_distance: mean(part.iter().filter_map(|one| one.noise)),
        })
        .collect()
}
