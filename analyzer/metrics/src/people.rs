//! What people say of answers, joined to the values of a judge's score.

use std::collections::{BTreeMap, HashMap};

use weir_gate::PersonLabel;
use weir_sample::Leg;

/// What people say of one answer by one criterion.
#[derive(Clone, Debug, PartialEq)]
pub struct PersonScore {
    /// The exchange.
    pub sample_id: String,
    /// Which answer.
    pub leg: Leg,
    /// The criterion.
    pub criterion: String,
    /// On the judge's scale.
    pub score: f64,
    /// One over the probability that the answer was asked about, up to a factor.
    pub weight: f64,
}

/// The labels of one criterion, to be found while its series is made.
#[derive(Debug, Default)]
pub(crate) struct People<'a> {
    by_answer: HashMap<(&'a str, Leg), (usize, &'a PersonScore)>,
    found: BTreeMap<usize, PersonLabel>,
}

impl<'a> People<'a> {
    /// The labels of `criterion`; of an answer that has several the first one.
    pub(crate) fn of(all: &'a [PersonScore], criterion: &str) -> Self {
        let mut people = Self::default();
        for (order, score) in all.iter().enumerate().filter(|(_, score)| score.criterion == criterion) {
            people.by_answer.entry((&score.sample_id, score.leg)).or_insert((order, score));
        }
        people
    }

    /// Whether nobody said anything of this criterion.
    pub(crate) fn are_silent(&self) -> bool {
        self.by_answer.is_empty()
    }

    /// An answer is in the pair at this place.
    pub(crate) fn paired(&mut self, sample_id: &str, leg: Leg, place: usize) {
        if let Some(label) = self.label(sample_id, leg, leg == Leg::Shadow) {
            label.pair = u32::try_from(place).ok();
        }
    }

    /// A primary answer is at this place of a stratum.
    pub(crate) fn unpaired(&mut self, sample_id: &str, candidate: bool, stratum: usize, place: usize) {
        if let Some(label) = self.label(sample_id, Leg::Primary, candidate) {
            label.stratum = u32::try_from(stratum).ok().zip(u32::try_from(place).ok());
        }
    }

    fn label(&mut self, sample_id: &str, leg: Leg, candidate: bool) -> Option<&mut PersonLabel> {
        let (order, score) = *self.by_answer.get(&(sample_id, leg))?;
        let label =
            PersonLabel { candidate, score: score.score, weight: score.weight, ..PersonLabel::default() };
        Some(self.found.entry(order).or_insert(label))
    }

    /// The labels in the order in which they were given; `kept` are the strata that the series has in the end.
    pub(crate) fn labels(self, kept: &[usize]) -> Vec<PersonLabel> {
        let moved = |stratum: u32| {
            let stratum = usize::try_from(stratum).ok()?;
            u32::try_from(kept.iter().position(|one| *one == stratum)?).ok()
        };
        let of = |label: PersonLabel| {
            let stratum = label.stratum.and_then(|(stratum, place)| Some((moved(stratum)?, place)));
            PersonLabel { stratum, ..label }
        };
        let labels = self.found.into_values().map(of);
        labels.filter(|label| label.pair.is_some() || label.stratum.is_some()).collect()
    }
}
