//! Columns of numbers in the smallest form that gives each back bit for bit: flags and counts of a series take one or two bytes a
//! value instead of eight, milliseconds with three decimals four.
//!
//! The forms include each other in the order in which they stand here, so that a column that grows takes the next wider form where a
//! value does not fit. Limit: a NaN comes back as the usual one.

mod decoded;
mod kept;
mod pairs;

use std::iter;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) use decoded::{Decoded, with_sums};
pub(crate) use kept::chosen;
use kept::{Kept, Width, alike};
pub use pairs::Pairs;

/// Numbers in order.
#[derive(Clone, Debug, Default, JsonSchema)]
#[schemars(with = "Vec<f64>")]
pub struct Values(Form);

#[derive(Clone, Debug)]
enum Form {
    /// So many times the same.
    Same(f64, usize),
    /// Whole numbers below 255; 255 is NaN.
    Bytes(Vec<u8>),
    /// Whole numbers below 65,535; 65,535 is NaN.
    Shorts(Vec<u16>),
    /// Thousandths, up to some four millions; `u32::MAX` is NaN.
    Thousandths(Vec<u32>),
    /// Anything.
    Doubles(Vec<f64>),
}

impl Default for Form {
    fn default() -> Self {
        Self::Same(0.0, 0)
    }
}

impl Values {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Same(_, count) => *count,
            Form::Bytes(kept) => kept.len(),
            Form::Shorts(kept) => kept.len(),
            Form::Thousandths(kept) => kept.len(),
            Form::Doubles(kept) => kept.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number at a place; nothing where there is no such place.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<f64> {
        match &self.0 {
            Form::Same(value, count) => (place < *count).then_some(*value),
            Form::Bytes(kept) => kept.get(place).map(|kept| kept.value()),
            Form::Shorts(kept) => kept.get(place).map(|kept| kept.value()),
            Form::Thousandths(kept) => kept.get(place).map(|kept| kept.value()),
            Form::Doubles(kept) => kept.get(place).copied(),
        }
    }

    /// Every number; for many passes over them [`Self::to_vec`] is faster.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = f64> + Clone + '_ {
        (0..self.len()).map(|place| self.get(place).unwrap_or(f64::NAN))
    }

    /// Puts the numbers from a place on into a part of as many or fewer.
    fn read(&self, from: usize, into: &mut [f64]) {
        match &self.0 {
            Form::Same(value, _) => into.fill(*value),
            Form::Bytes(kept) => decode(kept, from, into),
            Form::Shorts(kept) => decode(kept, from, into),
            Form::Thousandths(kept) => decode(kept, from, into),
            Form::Doubles(kept) => decode(kept, from, into),
        }
    }

    /// How many are no finite numbers.
    pub(crate) fn not_finite(&self) -> usize {
        // What stands for NaN in a narrow form is its largest number; nothing else there is not finite.
        match &self.0 {
            Form::Same(value, count) => {
                if value.is_finite() {
                    0
                } else {
                    *count
                }
            }
            Form::Bytes(kept) => kept.iter().map(|kept| usize::from(*kept == u8::MAX)).sum(),
            Form::Shorts(kept) => kept.iter().map(|kept| usize::from(*kept == u16::MAX)).sum(),
            Form::Thousandths(kept) => kept.iter().map(|kept| usize::from(*kept == u32::MAX)).sum(),
            Form::Doubles(kept) => kept.iter().map(|kept| usize::from(!kept.is_finite())).sum(),
        }
    }

    /// Every number, eight bytes each.
    #[must_use]
    pub fn to_vec(&self) -> Vec<f64> {
        match &self.0 {
            Form::Same(value, count) => vec![*value; *count],
            Form::Bytes(kept) => kept.iter().map(|kept| kept.value()).collect(),
            Form::Shorts(kept) => kept.iter().map(|kept| kept.value()).collect(),
            Form::Thousandths(kept) => kept.iter().map(|kept| kept.value()).collect(),
            Form::Doubles(kept) => kept.clone(),
        }
    }

    /// Appends a number.
    pub fn push(&mut self, value: f64) {
        self.push_within(value, 0);
    }

    /// Appends a number to what will be so many: memory is taken at once, and [`Self::shrink_to_fit`] gives back what was too much.
    pub fn push_within(&mut self, value: f64, most: usize) {
        let fits = match &mut self.0 {
            Form::Same(same, count) if *count == 0 || alike(*same, value) => {
                (*same, *count) = (value, *count + 1);
                true
            }
            Form::Same(..) => false,
            Form::Bytes(kept) => pushed(kept, value),
            Form::Shorts(kept) => pushed(kept, value),
            Form::Thousandths(kept) => pushed(kept, value),
            Form::Doubles(kept) => pushed(kept, value),
        };
        if !fits {
            let room = most.max(self.len() + 1);
            let width = self.width().max(Width::of(value));
            *self = Self::kept(width, self.iter().chain(iter::once(value)), room);
        }
    }

    /// The numbers from one place to below another, as far as there are any.
    #[must_use]
    pub fn part(&self, from: usize, to: usize) -> Self {
        let to = to.min(self.len());
        let from = from.min(to);
        Self(match &self.0 {
            Form::Same(value, _) => Form::Same(*value, to - from),
            Form::Bytes(kept) => Form::Bytes(cut(kept, from, to)),
            Form::Shorts(kept) => Form::Shorts(cut(kept, from, to)),
            Form::Thousandths(kept) => Form::Thousandths(cut(kept, from, to)),
            Form::Doubles(kept) => Form::Doubles(cut(kept, from, to)),
        })
    }

    /// The numbers that are kept, in memory that they fill.
    pub(crate) fn chosen(&self, kept: &[bool]) -> Self {
        Self(match &self.0 {
            Form::Same(value, count) => {
                Form::Same(*value, kept.iter().take(*count).filter(|kept| **kept).count())
            }
            Form::Bytes(values) => Form::Bytes(chosen(values, kept)),
            Form::Shorts(values) => Form::Shorts(chosen(values, kept)),
            Form::Thousandths(values) => Form::Thousandths(chosen(values, kept)),
            Form::Doubles(values) => Form::Doubles(chosen(values, kept)),
        })
    }

    /// Gives back memory that was taken for more.
    pub fn shrink_to_fit(&mut self) {
        match &mut self.0 {
            Form::Same(..) => {}
            Form::Bytes(kept) => kept.shrink_to_fit(),
            Form::Shorts(kept) => kept.shrink_to_fit(),
            Form::Thousandths(kept) => kept.shrink_to_fit(),
            Form::Doubles(kept) => kept.shrink_to_fit(),
        }
    }

    /// As bytes: the form, then the numbers, little-endian.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.tag()];
        match &self.0 {
            Form::Same(value, count) => {
                bytes.extend(value.to_bits().to_le_bytes());
                bytes.extend(u64::try_from(*count).unwrap_or(u64::MAX).to_le_bytes());
            }
            Form::Bytes(kept) => bytes.extend(kept),
            Form::Shorts(kept) => bytes.extend(kept.iter().flat_map(|kept| kept.to_le_bytes())),
            Form::Thousandths(kept) => bytes.extend(kept.iter().flat_map(|kept| kept.to_le_bytes())),
            Form::Doubles(kept) => bytes.extend(kept.iter().flat_map(|kept| kept.to_bits().to_le_bytes())),
        }
        bytes
    }

    /// From [`Self::to_bytes`]; nothing where the bytes are no numbers.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        Some(Self(match *tag {
            0 => {
                let (value, count) = rest.split_first_chunk::<8>()?;
                let count = u64::from_le_bytes(count.try_into().ok()?);
                Form::Same(f64::from_bits(u64::from_le_bytes(*value)), usize::try_from(count).ok()?)
            }
            1 => Form::Bytes(rest.to_vec()),
            2 => Form::Shorts(read(rest, u16::from_le_bytes)?),
            3 => Form::Thousandths(read(rest, u32::from_le_bytes)?),
            4 => Form::Doubles(read(rest, |bytes| f64::from_bits(u64::from_le_bytes(bytes)))?),
            _ => return None,
        }))
    }

    /// Which form it is, in bytes.
    fn tag(&self) -> u8 {
        match &self.0 {
            Form::Same(..) => 0,
            Form::Bytes(_) => 1,
            Form::Shorts(_) => 2,
            Form::Thousandths(_) => 3,
            Form::Doubles(_) => 4,
        }
    }

    fn width(&self) -> Width {
        match &self.0 {
            Form::Same(value, _) => Width::of(*value),
            Form::Bytes(_) => Width::Byte,
            Form::Shorts(_) => Width::Short,
            Form::Thousandths(_) => Width::Thousandth,
            Form::Doubles(_) => Width::Double,
        }
    }

    /// Numbers that fit into a form of this width.
    fn kept(width: Width, values: impl Iterator<Item = f64>, room: usize) -> Self {
        Self(match width {
            Width::Byte => Form::Bytes(collected(values, room)),
            Width::Short => Form::Shorts(collected(values, room)),
            Width::Thousandth => Form::Thousandths(collected(values, room)),
            Width::Double => Form::Doubles(collected(values, room)),
        })
    }
}

impl PartialEq for Values {
    /// Number by number, as numbers are compared: a NaN is unlike everything.
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl<const N: usize> PartialEq<[f64; N]> for Values {
    fn eq(&self, other: &[f64; N]) -> bool {
        self.iter().eq(other.iter().copied())
    }
}

impl From<Vec<f64>> for Values {
    fn from(values: Vec<f64>) -> Self {
        let first = values.first().copied().unwrap_or_default();
        if values.iter().all(|value| alike(*value, first)) {
            return Self(Form::Same(first, values.len()));
        }
        let width = values.iter().fold(Width::Byte, |width, value| match width {
            Width::Double => width,
            narrower => narrower.max(Width::of(*value)),
        });
        match width {
            Width::Double => Self(Form::Doubles(values)),
            width => Self::kept(width, values.iter().copied(), values.len()),
        }
    }
}

impl FromIterator<f64> for Values {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Vec::from_iter(values).into()
    }
}

impl Extend<f64> for Values {
    fn extend<I: IntoIterator<Item = f64>>(&mut self, values: I) {
        values.into_iter().for_each(|value| self.push(value));
    }
}

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<f64>::deserialize(deserializer).map(Self::from)
    }
}

fn pushed<T: Kept>(kept: &mut Vec<T>, value: f64) -> bool {
    T::of(value).map(|value| kept.push(value)).is_some()
}

fn collected<T: Kept>(values: impl Iterator<Item = f64>, room: usize) -> Vec<T> {
    let mut kept = Vec::with_capacity(room);
    kept.extend(values.filter_map(T::of));
    kept
}

fn decode<T: Kept>(kept: &[T], from: usize, into: &mut [f64]) {
    let kept = kept.get(from..).unwrap_or_default();
    into.iter_mut().zip(kept).for_each(|(number, kept)| *number = kept.value());
}

fn cut<T: Copy>(kept: &[T], from: usize, to: usize) -> Vec<T> {
    kept.get(from..to).unwrap_or_default().to_vec()
}

fn read<T, const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> T) -> Option<Vec<T>> {
    let (values, rest) = bytes.as_chunks::<N>();
    rest.is_empty().then(|| values.iter().map(|bytes| value(*bytes)).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    fn same(one: &[f64], other: &[f64]) -> bool {
        one.len() == other.len() && one.iter().zip(other).all(|(one, other)| alike(*one, *other))
    }

    fn number() -> impl Strategy<Value = f64> {
        prop_oneof![
            4 => (0_u8..4).prop_map(f64::from),
            2 => (0_u32..70_000).prop_map(f64::from),
            2 => (0_u32..5_000_000).prop_map(|thousandths| f64::from(thousandths) / 1_000.0),
            1 => prop::sample::select(vec![254.0, 255.0, 65_534.0, 65_535.0, -0.0, f64::NAN, 4_294_967.294, 4_294_967.295, f64::INFINITY, -1.0, 0.1 + 0.2]),
            1 => any::<f64>(),
        ]
    }

    #[test]
    fn the_narrowest_form_is_taken() {
        let tag = |values: &[f64]| Values::from(values.to_vec()).tag();
        assert_eq!(tag(&[7.5, 7.5]), 0);
        assert_eq!(tag(&[0.0, 254.0, f64::NAN]), 1);
        assert_eq!(tag(&[0.0, 255.0, f64::NAN]), 2);
        assert_eq!(tag(&[0.0, 812.345, 65_535.0, f64::NAN]), 3);
        assert_eq!(tag(&[0.0, -0.0]), 4);
        assert_eq!(tag(&[0.0, 0.000_1]), 4);
    }

    #[test]
    fn bytes_that_are_no_numbers_are_refused() {
        assert_eq!(Values::from_bytes(&[]), None);
        assert_eq!(Values::from_bytes(&[9, 1]), None);
        assert_eq!(Values::from_bytes(&[2, 1]), None);
        assert_eq!(Values::from_bytes(&[0, 1, 2]), None);
    }

    proptest! {
        #[test]
        fn every_number_comes_back_bit_for_bit_however_the_column_was_made(
            numbers in prop::collection::vec(number(), 0..40), from in 0_usize..45, len in 0_usize..45, bits in any::<u64>(),
        ) {
            let values = Values::from(numbers.clone());
            prop_assert!(same(&values.to_vec(), &numbers));
            prop_assert_eq!(values.not_finite(), numbers.iter().filter(|number| !number.is_finite()).count());
            prop_assert!(same(&values.iter().collect::<Vec<_>>(), &numbers));
            let mut pushed = Values::default();
            pushed.extend(numbers.iter().copied());
            prop_assert!(same(&pushed.to_vec(), &numbers));
            prop_assert_eq!(pushed.tag(), values.tag(), "no wider than it has to be");
            let read = Values::from_bytes(&values.to_bytes()).unwrap();
            prop_assert!(same(&read.to_vec(), &numbers));
            let to = (from + len).min(numbers.len());
            prop_assert!(same(&values.part(from, from + len).to_vec(), &numbers[from.min(to)..to]));
            let kept: Vec<bool> = (0..numbers.len()).map(|at| bits >> (at % 64) & 1 == 1).collect();
            prop_assert!(same(&values.chosen(&kept).to_vec(), &chosen(&numbers, &kept)));
        }
    }
}
