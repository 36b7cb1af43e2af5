//! How many legs each kept part file has and when they began, in one small file: a look knows every file by it, and reads the
//! figures of only those that it needs.
//!
//! `DEFINITIONS/parts.spans`, beside the figures ([`crate::kept`]): the identity of each part file with its span. What is
//! missing, damaged or of another version is as if empty, and is written anew by the next look.

use std::collections::BTreeMap;

use crate::kept::Identity;
use crate::packed::{Reader, Writer};

/// The legs of a part file: how many, and when the first and the last began, whatever their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) rows: usize,
    /// Microseconds since 1970 UTC, as the last; later than that where there are no legs.
    pub(crate) first_us: i64,
    pub(crate) last_us: i64,
}

/// Spans of part files by their identities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spans(BTreeMap<Identity, Span>);

impl FromIterator<(Identity, Span)> for Spans {
    fn from_iter<I: IntoIterator<Item = (Identity, Span)>>(spans: I) -> Self {
        Self(spans.into_iter().collect())
    }
}

impl Spans {
    pub(crate) fn get(&self, identity: Identity) -> Option<Span> {
        self.0.get(&identity).copied()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn write(&self, to: &mut Writer) {
        let numbers = |(identity, span): (&Identity, &Span)| {
            let rows = u64::try_from(span.rows).unwrap_or(u64::MAX);
            [*identity, rows, span.first_us.cast_unsigned(), span.last_us.cast_unsigned()]
        };
        let numbers: Vec<u64> = self.0.iter().flat_map(numbers).collect();
        to.column(&numbers, u64::to_le_bytes);
    }

    /// Nothing where the bytes are no spans.
    pub(crate) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let numbers = from.column(u64::from_le_bytes)?;
        let (spans, rest) = numbers.as_chunks::<4>();
        let span = |[identity, rows, first, last]: &[u64; 4]| {
            let rows = usize::try_from(*rows).ok()?;
            let span = Span { rows, first_us: first.cast_signed(), last_us: last.cast_signed() };
            Some((*identity, span))
        };
        let read = spans.iter().map(span).collect::<Option<Self>>()?;
        (rest.is_empty() && from.is_empty()).then_some(read)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    #[test]
    fn spans_come_back_and_what_is_cut_short_or_too_long_does_not() {
        let some = Span { rows: 3, first_us: -5, last_us: 9 };
        let none = Span { rows: 0, first_us: i64::MAX, last_us: i64::MIN };
        let spans: Spans = [(7, some), (u64::MAX, none)].into_iter().collect();
        let mut to = Writer::default();
        spans.write(&mut to);
        let bytes = to.into_bytes();
        assert_eq!(Spans::read(&mut Reader::new(&bytes)).unwrap(), spans);
        for length in 0..bytes.len() {
            assert_eq!(Spans::read(&mut Reader::new(&bytes[..length])), None, "{length} bytes");
        }
        let longer = [bytes, vec![0]].concat();
        assert_eq!(Spans::read(&mut Reader::new(&longer)), None);
        let mut to = Writer::default();
        to.column(&[1, 2, 3], u64::to_le_bytes);
        assert_eq!(Spans::read(&mut Reader::new(&to.into_bytes())), None, "three numbers");
    }
}
