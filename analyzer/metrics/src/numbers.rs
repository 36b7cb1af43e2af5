//! Columns of numbers in the smallest form that gives each back bit for bit.

use crate::packed::{Reader, Writer};

/// Numbers that may be unknown (NaN, whichever: it comes back as the usual one).
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Numbers {
    /// All rows have this one.
    Same(f64),
    /// Whole numbers below 255; 255 is unknown.
    Bytes(Vec<u8>),
    /// Whole numbers below 65,535; 65,535 is unknown.
    Shorts(Vec<u16>),
    /// Anything.
    Doubles(Vec<f64>),
}

/// Whole numbers that may be unknown.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Integers {
    /// Distances from the least; `u32::MAX` is unknown.
    Near(i64, Vec<u32>),
    /// Anything but [`UNKNOWN`], which is that.
    Far(Vec<i64>),
}

/// An unknown integer.
const UNKNOWN: i64 = i64::MIN;

impl Numbers {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked by `fits`
    pub(crate) fn of(values: Vec<f64>) -> Self {
        if let Some(first) = values.first()
            && values.iter().all(|value| alike(*value, *first))
        {
            return Self::Same(*first);
        }
        let fits = |most: f64| values.iter().all(|value| value.is_nan() || whole_below(*value, most));
        if fits(255.0) {
            return Self::Bytes(values.iter().map(|v| if v.is_nan() { u8::MAX } else { *v as u8 }).collect());
        }
        if fits(65_535.0) {
            return Self::Shorts(
                values.iter().map(|v| if v.is_nan() { u16::MAX } else { *v as u16 }).collect(),
            );
        }
        Self::Doubles(values)
    }

    /// The number of a row; NaN where it is unknown or there is no such row.
    pub(crate) fn at(&self, row: usize) -> f64 {
        match self {
            Self::Same(value) => *value,
            Self::Bytes(values) => {
                values.get(row).filter(|value| **value != u8::MAX).map_or(f64::NAN, |value| f64::from(*value))
            }
            Self::Shorts(values) => values
                .get(row)
                .filter(|value| **value != u16::MAX)
                .map_or(f64::NAN, |value| f64::from(*value)),
            Self::Doubles(values) => values.get(row).copied().unwrap_or(f64::NAN),
        }
    }

    pub(crate) fn write(&self, to: &mut Writer) {
        match self {
            Self::Same(value) => {
                to.number(0);
                to.number(value.to_bits());
            }
            Self::Bytes(values) => {
                to.number(1);
                to.bytes(values);
            }
            Self::Shorts(values) => {
                to.number(2);
                to.column(values, |value| value.to_le_bytes());
            }
            Self::Doubles(values) => {
                to.number(3);
                to.column(values, |value| value.to_bits().to_le_bytes());
            }
        }
    }

    /// Nothing where it is not a column of so many rows.
    pub(crate) fn read(from: &mut Reader<'_>, rows: usize) -> Option<Self> {
        let read = match from.number()? {
            0 => return Some(Self::Same(f64::from_bits(from.number()?))),
            1 => Self::Bytes(from.bytes()?.to_vec()),
            2 => Self::Shorts(from.column(u16::from_le_bytes)?),
            3 => Self::Doubles(from.column(|bytes| f64::from_bits(u64::from_le_bytes(bytes)))?),
            _ => return None,
        };
        let length = match &read {
            Self::Same(_) => rows,
            Self::Bytes(values) => values.len(),
            Self::Shorts(values) => values.len(),
            Self::Doubles(values) => values.len(),
        };
        (length == rows).then_some(read)
    }
}

impl Integers {
    pub(crate) fn of(values: Vec<Option<i64>>) -> Self {
        let least = values.iter().flatten().min().copied().unwrap_or(0);
        let near = |value: &Option<i64>| match value {
            None => Some(u32::MAX),
            Some(value) => u32::try_from(value.checked_sub(least)?).ok().filter(|near| *near != u32::MAX),
        };
        match values.iter().map(near).collect::<Option<Vec<u32>>>() {
            Some(near) => Self::Near(least, near),
            None => Self::Far(values.into_iter().map(|value| value.unwrap_or(UNKNOWN)).collect()),
        }
    }

    pub(crate) fn at(&self, row: usize) -> Option<i64> {
        match self {
            Self::Near(least, values) => values
                .get(row)
                .filter(|near| **near != u32::MAX)
                .map(|near| least.saturating_add(i64::from(*near))),
            Self::Far(values) => values.get(row).copied().filter(|value| *value != UNKNOWN),
        }
    }

    pub(crate) fn write(&self, to: &mut Writer) {
        match self {
            Self::Near(least, values) => {
                to.number(0);
                to.number(least.cast_unsigned());
                to.column(values, |value| value.to_le_bytes());
            }
            Self::Far(values) => {
                to.number(1);
                to.column(values, |value| value.to_le_bytes());
            }
        }
    }

    /// Nothing where it is not a column of so many rows.
    pub(crate) fn read(from: &mut Reader<'_>, rows: usize) -> Option<Self> {
        let (read, length) = match from.number()? {
            0 => {
                let least = from.number()?.cast_signed();
                let values = from.column(u32::from_le_bytes)?;
                let length = values.len();
                (Self::Near(least, values), length)
            }
            1 => {
                let values = from.column(i64::from_le_bytes)?;
                let length = values.len();
                (Self::Far(values), length)
            }
            _ => return None,
        };
        (length == rows).then_some(read)
    }
}

fn alike(one: f64, other: f64) -> bool {
    one.to_bits() == other.to_bits() || one.is_nan() && other.is_nan()
}

/// A whole number from 0 to below `most`, not minus zero.
fn whole_below(value: f64, most: f64) -> bool {
    value >= 0.0 && value < most && value.fract() == 0.0 && !value.is_sign_negative()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    fn again(numbers: &Numbers, rows: usize) -> Numbers {
        let mut to = Writer::default();
        numbers.write(&mut to);
        Numbers::read(&mut Reader::new(&to.into_bytes()), rows).unwrap()
    }

    #[test]
    fn every_number_comes_back_bit_for_bit() {
        let columns: [&[f64]; 7] = [
            &[0.0, 1.0, f64::NAN, 254.0],
            &[0.0, 255.0, f64::NAN, 65_534.0],
            &[0.0, 65_535.0],
            &[0.0, -0.0, 1.0],
            &[f64::NAN, f64::NAN],
            &[0.1, 1e300, f64::MIN_POSITIVE, f64::INFINITY, f64::NAN],
            &[],
        ];
        for values in columns {
            let numbers = Numbers::of(values.to_vec());
            let read = again(&numbers, values.len());
            for (row, value) in values.iter().enumerate() {
                assert!(alike(numbers.at(row), *value) && alike(read.at(row), *value), "{values:?} {row}");
            }
        }
        assert!(matches!(Numbers::of(vec![0.0, 1.0]), Numbers::Bytes(_)));
        assert!(matches!(Numbers::of(vec![0.0, -0.0]), Numbers::Doubles(_)));
    }

    #[test]
    fn every_integer_comes_back() {
        let columns: [&[Option<i64>]; 5] = [
            &[Some(5), None, Some(5 + i64::from(u32::MAX) - 1)],
            &[Some(5), Some(5 + i64::from(u32::MAX))],
            &[Some(i64::MIN + 1), Some(i64::MAX)],
            &[None, None],
            &[Some(i64::MAX)],
        ];
        for values in columns {
            let integers = Integers::of(values.to_vec());
            for (row, value) in values.iter().enumerate() {
                assert_eq!(integers.at(row), *value, "{values:?}");
            }
        }
    }

    #[test]
    fn a_column_of_another_length_is_refused() {
        let mut to = Writer::default();
        Numbers::of(vec![1.0, 2.0]).write(&mut to);
        assert_eq!(Numbers::read(&mut Reader::new(&to.into_bytes()), 3), None);
    }
}
