//! What is left of a series that has more values than can be looked at again and again: sums that add up, and all values of some
//! identities.
//!
//! - Sums are kept for each set of labels and each stretch between two earlier looks, so that the whole, a segment and an earlier look
//!   are sums of the same parts. Means, differences and ratios come out as from the values, up to rounding; the interval of a bounded
//!   metric is as wide as from the values where they lie on 1,024 steps between the bounds (flags do), and a hair wider otherwise; a
//!   percentile is right up to a thousandth of it, and its interval is rounded outwards.
//! - How much less values say because several are of one identity ([`crate::cluster`]) is estimated from the sample, which
//!   has all values of the identities that it has; where few of a part are in the sample, also from that of the whole.
//!
//! Invariant: what a series is settled in, how many parts at a time, changes last digits only.

mod kept;
pub(crate) mod measure;
mod part;
mod sample;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::iter;
use std::sync::Arc;

pub use part::{Arm, Part, PartPairs};
use part::{PartAdder, counts_sizes};

use crate::labels::{self, Segment};
use crate::measure::PAIRS_MIN;
use crate::places::Places;
use crate::series::MetricSeries;

/// Numbers of a sample below which a part of the evidence is taken to be as clustered as all of it, if that is more.
const SAMPLE_NUMBERS_MIN: usize = 2_000;

/// Labels that exchanges have together.
type LabelSet = Vec<(String, String)>;

/// How many values a series had at some time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lengths {
    /// Pairs.
    pub pairs: usize,
    /// Values of control and of the candidate in each stratum.
    pub strata: Vec<(usize, usize)>,
}

/// Which values of a series are in its sample.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sampled {
    /// For each pair whether it is.
    pub pairs: Vec<bool>,
    /// For each stratum, for each value of control and of the candidate.
    pub strata: Vec<(Vec<bool>, Vec<bool>)>,
}

/// Sums of a series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settled {
    strata: Vec<String>,
    stretches: Vec<Stretch>,
    sample: Box<MetricSeries>,
    /// The sample of all of it, where this is a part.
    wider: Option<Arc<MetricSeries>>,
}

/// What was measured between two earlier looks.
#[derive(Clone, Debug, Default, PartialEq)]
struct Stretch {
    /// By the place of the set of labels; 0 where nothing is labelled.
    parts: BTreeMap<u32, Part>,
    /// How long the sample was at its end.
    sample: Lengths,
}

impl Settled {
    /// Sums of a series up to each of these lengths, the last of which is its own.
    #[must_use]
    pub fn of(series: &MetricSeries, lengths: &[Lengths], sampled: &Sampled) -> Self {
        let mut settled = Self {
            strata: series.strata.iter().map(|stratum| stratum.name.clone()).collect(),
            stretches: Vec::with_capacity(lengths.len()),
            sample: Box::new(sample::chosen(series, sampled)),
            wider: None,
        };
        let mut before = Lengths::default();
        for until in lengths {
            let parts = added(series, &before, until);
            settled.stretches.push(Stretch { parts, sample: sampled.first(until) });
            before.clone_from(until);
        }
        settled
    }

    /// Takes in what was measured in the stretches that follow. `sets` and `identities` say for each set of labels and each identity of
    /// the later ones which it is of these; strata that were not there before are put behind the others.
    pub fn append(&mut self, later: Self, sets: &[u32], identities: &[u32]) {
        let mut strata = Vec::with_capacity(later.strata.len());
        // A name that comes twice is one stratum.
        for name in &later.strata {
            let known = self.strata.iter().position(|known| known == name);
            strata.push(known.unwrap_or(self.strata.len()));
            if known.is_none() {
                self.strata.push(name.clone());
            }
        }
        let before = self.sample_lengths();
        sample::append(&mut self.sample, &later.sample, sets, &strata, identities);
        for stretch in later.stretches {
            let mut parts: BTreeMap<u32, Part> = BTreeMap::new();
            for (place, part) in stretch.parts {
                let place = sets.get(place as usize).copied().unwrap_or(place);
                parts.entry(place).or_default().append(&part.with_strata(&strata));
            }
            let sample = before.and(&stretch.sample, &strata);
            self.stretches.push(Stretch { parts, sample });
        }
    }

    /// Makes one stretch of all.
    pub fn join(&mut self) {
        let sample = self.sample_lengths();
        let mut parts: BTreeMap<u32, Part> = BTreeMap::new();
        for stretch in std::mem::take(&mut self.stretches) {
            for (place, part) in stretch.parts {
                parts.entry(place).or_default().append(&part);
            }
        }
        self.stretches.push(Stretch { parts, sample });
    }

    /// Keeps these strata only, by their places.
    pub fn keep_strata(&mut self, kept: &[usize]) {
        let those = |lengths: &Lengths| Lengths {
            pairs: lengths.pairs,
            strata: kept.iter().map(|at| lengths.strata.get(*at).copied().unwrap_or_default()).collect(),
        };
        self.strata = kept.iter().filter_map(|at| self.strata.get(*at).cloned()).collect();
        sample::keep_strata(&mut self.sample, kept);
        for stretch in &mut self.stretches {
            stretch.sample = those(&stretch.sample);
            stretch.parts.values_mut().for_each(|part| part.keep_strata(kept));
        }
    }

    /// How many values there were at the end of each stretch.
    #[must_use]
    pub fn lengths(&self) -> Vec<Lengths> {
        let mut now = Lengths { pairs: 0, strata: vec![(0, 0); self.strata.len()] };
        let ends = self.stretches.iter().map(|stretch| {
            stretch.parts.values().for_each(|part| part.count(&mut now));
            now.clone()
        });
        ends.collect()
    }

    /// Names of the strata.
    #[must_use]
    pub fn strata(&self) -> &[String] {
        &self.strata
    }

    /// All of it, in one part.
    #[must_use]
    pub fn whole(&self) -> Part {
        let mut whole = Part::default();
        self.parts().for_each(|(_, part)| whole.append(part));
        whole
    }

    /// The same to be judged: of unpaired values only how many are left out, where there are pairs enough.
    pub(crate) fn to_judge(&self) -> Part {
        let mut judged = Part::default();
        self.parts().for_each(|(_, part)| judged.pairs.append(&part.pairs));
        let enough = judged.pairs.sums.differences.n >= PAIRS_MIN;
        for (_, part) in self.parts() {
            if enough { judged.append_left_out(part) } else { judged.append_strata(part) }
        }
        judged
    }

    /// All values of some identities.
    #[must_use]
    pub fn sample(&self) -> &MetricSeries {
        &self.sample
    }

    /// What there was at the end of the first so many stretches.
    #[must_use]
    pub(crate) fn until(&self, stretches: usize) -> Self {
        let kept: Vec<Stretch> = self.stretches.iter().take(stretches).cloned().collect();
        let lengths = kept.last().map(|stretch| stretch.sample.clone()).unwrap_or_default();
        Self {
            strata: self.strata.clone(),
            stretches: kept,
            sample: Box::new(sample::first(&self.sample, &lengths)),
            wider: Some(self.widest()),
        }
    }

    /// What has the labels of sets for which `keep` is true, by their places.
    fn of_sets(&self, keep: impl Fn(u32) -> bool) -> Self {
        let sampled = sample::of_sets(&self.sample, &keep);
        let stretch = |stretch: &Stretch| {
            let kept = stretch.parts.iter().filter(|(place, _)| keep(**place));
            let parts = kept.map(|(place, part)| (*place, part.clone())).collect();
            Stretch { parts, sample: sampled.first(&stretch.sample) }
        };
        Self {
            strata: self.strata.clone(),
            stretches: self.stretches.iter().map(stretch).collect(),
            sample: Box::new(sample::chosen(&self.sample, &sampled)),
            wider: Some(self.widest()),
        }
    }

    /// The samples to go by: its own, and that of all of it where its own is small and does not have all values.
    pub(crate) fn samples(&self) -> impl Iterator<Item = &MetricSeries> {
        let own = self.sample();
        let strata = own.strata.iter().map(|stratum| (stratum.control.len(), stratum.candidate.len()));
        let sampled = Lengths { pairs: own.pairs.len(), strata: strata.collect() };
        let few =
            own.numbers() < SAMPLE_NUMBERS_MIN && self.lengths().pop().is_some_and(|all| all != sampled);
        iter::once(own).chain(self.wider.as_deref().filter(|_| few))
    }

    fn widest(&self) -> Arc<MetricSeries> {
        self.wider.clone().unwrap_or_else(|| Arc::new(self.sample().clone()))
    }

    fn sample_lengths(&self) -> Lengths {
        self.stretches.last().map(|stretch| stretch.sample.clone()).unwrap_or_default()
    }
}

/// The part of the traffic that has the labels of a segment.
pub(crate) fn restricted(settled: &Settled, sets: &[LabelSet], segment: &Segment) -> Settled {
    let inside: Vec<bool> = sets.iter().map(|set| labels::has(set, segment)).collect();
    settled.of_sets(|place| inside.get(place as usize).copied().unwrap_or(false))
}

/// The part of the traffic whose labels are not hidden.
pub(crate) fn without(settled: &Settled, sets: &[LabelSet], hides: impl Fn(&LabelSet) -> bool) -> Settled {
    let hidden: Vec<bool> = sets.iter().map(hides).collect();
    settled.of_sets(|place| !hidden.get(place as usize).copied().unwrap_or(false))
}

impl Lengths {
    /// Whether there are pairs, or values of both variants in a stratum.
    pub(crate) fn can_be_compared(&self) -> bool {
        self.pairs > 0 || self.strata.iter().any(|(control, candidate)| *control > 0 && *candidate > 0)
    }

    /// Together with those of what follows, whose strata are at these places.
    fn and(&self, later: &Self, strata: &[usize]) -> Self {
        let mut both = self.clone();
        both.pairs += later.pairs;
        for ((control, candidate), place) in later.strata.iter().zip(strata) {
            if both.strata.len() <= *place {
                both.strata.resize(place + 1, (0, 0));
            }
            if let Some(known) = both.strata.get_mut(*place) {
                *known = (known.0 + control, known.1 + candidate);
            }
        }
        both
    }
}

impl Sampled {
    /// How many of the first values are in the sample.
    fn first(&self, lengths: &Lengths) -> Lengths {
        let count =
            |sampled: &[bool], until: usize| sampled.iter().take(until).filter(|sampled| **sampled).count();
        let strata = self.strata.iter().zip(&lengths.strata);
        Lengths {
            pairs: count(&self.pairs, lengths.pairs),
            strata: strata.map(|((old, new), (m, n))| (count(old, *m), count(new, *n))).collect(),
        }
    }
}

/// What a series has between two lengths, by the place of its set of labels.
fn added(series: &MetricSeries, from: &Lengths, to: &Lengths) -> BTreeMap<u32, Part> {
    let of_strata = series.labels.strata.iter().flat_map(|(control, candidate)| [control, candidate]);
    let places = of_strata.chain([&series.labels.pairs]).flat_map(|places| places.iter().copied());
    let sizes = counts_sizes(series);
    let new = |_| PartAdder::new(series.bounds, sizes, series.strata.len());
    let mut parts: Vec<PartAdder> = (0..=places.max().unwrap_or(0)).map(new).collect();
    let pairs = series.pairs.part(from.pairs, to.pairs).to_vec();
    for (pair, place) in pairs.into_iter().zip(beside(&series.labels.pairs, from.pairs)) {
        parts.get_mut(place).into_iter().for_each(|part| part.pair(pair));
    }
    let none = (Places::default(), Places::default());
    for (number, stratum) in series.strata.iter().enumerate() {
        let (of_control, of_candidate) = series.labels.strata.get(number).unwrap_or(&none);
        let (old, new) = from.strata.get(number).copied().unwrap_or_default();
        let (old_to, new_to) = to.strata.get(number).copied().unwrap_or_default();
        let control = stratum.control.part(old, old_to).to_vec();
        for (value, place) in control.into_iter().zip(beside(of_control, old)) {
            parts.get_mut(place).into_iter().for_each(|part| part.single(number, false, value));
        }
        let candidate = stratum.candidate.part(new, new_to).to_vec();
        for (value, place) in candidate.into_iter().zip(beside(of_candidate, new)) {
            parts.get_mut(place).into_iter().for_each(|part| part.single(number, true, value));
        }
    }
    let parts = (0..).zip(parts).map(|(place, part)| (place, part.part()));
    parts.filter(|(_, part)| !part.is_empty()).collect()
}

/// The places of sets of labels from one value on; 0 where nothing is labelled.
fn beside(places: &[u32], from: usize) -> impl Iterator<Item = usize> + '_ {
    places.iter().map(|place| *place as usize).skip(from).chain(iter::repeat(0))
}
