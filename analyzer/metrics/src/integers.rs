//! Columns of whole numbers in the smallest form that gives each back.

use crate::packed::{Reader, Writer};

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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

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
        Integers::of(vec![Some(1), Some(2)]).write(&mut to);
        assert_eq!(Integers::read(&mut Reader::new(&to.into_bytes()), 3), None);
    }
}
