//! How many legs each kept part file has and when they began, in one small file: a look knows every file by it, and reads the
//! figures of only those that it needs.
//!
//! `DEFINITIONS/parts.spans`, beside the figures ([`crate::kept`]): the identity of each part file with its span. What is
//! missing, damaged or of another version is as if empty, and is written anew by the next look.

use std::collections::BTreeMap;

use crate::kept::Identity;
use crate::packed::{Reader, Writer};

/// The legs of a part file: how many, when the first and the last began, and between which revisions they are, whatever their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) rows: usize,
    /// Microseconds since 1970 UTC, as the last; later than that where there are no legs.
    pub(crate) first_us: i64,
    pub(crate) last_us: i64,
    /// The least, and the greatest; less than that where no leg has one.
    pub(crate) first_revision: i64,
    pub(crate) last_revision: i64,
}

impl Span {
    /// Whether there may be legs of a revision; any leg without one.
    pub(crate) fn may_have(&self, revision: Option<i64>) -> bool {
        let has = |revision| (self.first_revision..=self.last_revision).contains(&revision);
        self.rows > 0 && revision.is_none_or(has)
    }
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
            let ends = [span.first_us, span.last_us, span.first_revision, span.last_revision];
            let [first_us, last_us, first_revision, last_revision] = ends.map(i64::cast_unsigned);
            [*identity, rows, first_us, last_us, first_revision, last_revision]
        };
        let numbers: Vec<u64> = self.0.iter().flat_map(numbers).collect();
        to.column(&numbers, u64::to_le_bytes);
    }

    /// Nothing where the bytes are no spans.
    pub(crate) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let numbers = from.column(u64::from_le_bytes)?;
        let (spans, rest) = numbers.as_chunks::<6>();
        let span = |[identity, rows, ends @ ..]: &[u64; 6]| {
            let [first_us, last_us, first_revision, last_revision] = ends.map(u64::cast_signed);
            let rows = usize::try_from(*rows).ok()?;
            Some((*identity, Span { rows, first_us, last_us, first_revision, last_revision }))
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
        let some = Span { rows: 3, first_us: -5, last_us: 9, first_revision: 2, last_revision: 4 };
        let none = Span {
            rows: 0,
            first_us: i64::MAX,
            last_us: i64::MIN,
            first_revision: i64::MAX,
            last_revision: i64::MIN,
        };
        let may_have = |span: Span| [None, Some(1), Some(3), Some(4)].map(|revision| span.may_have(revision));
        assert_eq!((may_have(some), may_have(none)), ([true, false, true, true], [false; 4]));
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
