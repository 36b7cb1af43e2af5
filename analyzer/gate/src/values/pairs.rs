//! Pairs of numbers: two columns of the same length.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Values;

/// Pairs of numbers in order: control's and the candidate's.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema)]
#[schemars(with = "Vec<(f64, f64)>")]
pub struct Pairs {
    control: Values,
    candidate: Values,
}

impl Pairs {
    /// Of control's numbers and the candidate's; nothing where there are not as many of both.
    #[must_use]
    pub fn of_columns(control: Values, candidate: Values) -> Option<Self> {
        (control.len() == candidate.len()).then_some(Self { control, candidate })
    }

    /// How many pairs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.control.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.control.is_empty()
    }

    /// The pair at a place; nothing where there is no such place.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<(f64, f64)> {
        Some((self.control.get(place)?, self.candidate.get(place)?))
    }

    /// Every pair; for many passes over them [`Self::to_vec`] is faster.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (f64, f64)> + Clone + '_ {
        self.control.iter().zip(self.candidate.iter())
    }

    /// Every pair, sixteen bytes each.
    #[must_use]
    pub fn to_vec(&self) -> Vec<(f64, f64)> {
        self.control.to_vec().into_iter().zip(self.candidate.to_vec()).collect()
    }

    /// Control's numbers.
    #[must_use]
    pub fn control(&self) -> &Values {
        &self.control
    }

    /// The candidate's numbers.
    #[must_use]
    pub fn candidate(&self) -> &Values {
        &self.candidate
    }

    /// Appends a pair.
    pub fn push(&mut self, pair: (f64, f64)) {
        self.push_within(pair, 0);
    }

    /// Appends a pair to what will be so many: see [`Values::push_within`].
    pub fn push_within(&mut self, (control, candidate): (f64, f64), most: usize) {
        self.control.push_within(control, most);
        self.candidate.push_within(candidate, most);
    }

    /// The pairs from one place to below another, as far as there are any.
    #[must_use]
    pub fn part(&self, from: usize, to: usize) -> Self {
        Self { control: self.control.part(from, to), candidate: self.candidate.part(from, to) }
    }

    /// The pairs that are kept.
    pub(crate) fn chosen(&self, kept: &[bool]) -> Self {
        Self { control: self.control.chosen(kept), candidate: self.candidate.chosen(kept) }
    }

    /// Gives back memory that was taken for more.
    pub fn shrink_to_fit(&mut self) {
        self.control.shrink_to_fit();
        self.candidate.shrink_to_fit();
    }
}

impl<const N: usize> PartialEq<[(f64, f64); N]> for Pairs {
    fn eq(&self, other: &[(f64, f64); N]) -> bool {
        self.iter().eq(other.iter().copied())
    }
}

impl From<Vec<(f64, f64)>> for Pairs {
    fn from(pairs: Vec<(f64, f64)>) -> Self {
        pairs.into_iter().collect()
    }
}

impl FromIterator<(f64, f64)> for Pairs {
    fn from_iter<I: IntoIterator<Item = (f64, f64)>>(pairs: I) -> Self {
        let (control, candidate): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        Self { control: control.into(), candidate: candidate.into() }
    }
}

impl Extend<(f64, f64)> for Pairs {
    fn extend<I: IntoIterator<Item = (f64, f64)>>(&mut self, pairs: I) {
        pairs.into_iter().for_each(|pair| self.push(pair));
    }
}

impl Serialize for Pairs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<(f64, f64)>::deserialize(deserializer).map(Self::from)
    }
}
