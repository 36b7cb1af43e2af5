//! Whole numbers as runs of consecutive ones: a few where nothing is missing.
//!
//! Limit: each run takes 16 bytes, and there is one more for each place at which something is missing: where every second
//! number is, as much as eight bytes for each number.

use crate::packed::{Reader, Writer};

/// Runs from a first to a last number, in order, with something missing between any two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges(Vec<(i64, i64)>);

impl Ranges {
    /// Of numbers in order; some may be there several times.
    pub(super) fn of(numbers: impl Iterator<Item = i64>) -> Self {
        let mut ranges = Self::default();
        numbers.for_each(|number| ranges.push((number, number)));
        ranges
    }

    /// Takes in all that the other has; fast where most of it comes after all that is here.
    pub(super) fn append(&mut self, later: Self) {
        let Some((first, _)) = later.0.first() else { return };
        let apart = |(_, last): &(i64, i64)| last.checked_add(1).is_some_and(|next| next < *first);
        let mut near = self.0.split_off(self.0.partition_point(apart));
        near.extend(later.0);
        near.sort();
        near.into_iter().for_each(|range| self.push(range));
    }

    /// How many numbers there are from the first to the last one of a span.
    pub(super) fn within(&self, (first, last): (i64, i64)) -> u64 {
        let common = |range: &(i64, i64)| {
            let (first, last) = (range.0.max(first), range.1.min(last));
            if first > last { 0 } else { last.abs_diff(first).saturating_add(1) }
        };
        self.0.iter().map(common).fold(0, u64::saturating_add)
    }

    /// One that begins no earlier than the last one that is there.
    fn push(&mut self, (first, last): (i64, i64)) {
        match self.0.last_mut() {
            Some((_, end)) if end.checked_add(1).is_none_or(|next| first <= next) => *end = last.max(*end),
            _ => self.0.push((first, last)),
        }
    }

    pub(super) fn write(&self, to: &mut Writer) {
        to.column(&self.0, |(first, _)| first.to_le_bytes());
        to.column(&self.0, |(_, last)| last.to_le_bytes());
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let (first, last) = (from.column(i64::from_le_bytes)?, from.column(i64::from_le_bytes)?);
        let fits = first.len() == last.len()
            && first.iter().zip(&last).all(|(first, last)| first <= last)
            && last.iter().zip(first.iter().skip(1)).all(|(last, next)| last.checked_add(1) < Some(*next))
            && last.iter().rev().skip(1).all(|last| *last < i64::MAX);
        fits.then(|| Self(first.into_iter().zip(last).collect()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn numbers_count_once_and_only_between_the_first_and_the_last() {
        for (first, last) in [(-5, 200), (i64::MAX - 205, i64::MAX), (-5, i64::MAX - 1), (i64::MIN, i64::MAX)]
        {
            let mut numbers: Vec<i64> = [0, 1, 63, 64, 64, 65, 205, 0].map(|place| first + place).to_vec();
            numbers.extend([first.checked_sub(1), last.checked_add(1)].into_iter().flatten());
            numbers.sort_unstable();
            assert_eq!(Ranges::of(numbers.into_iter()).within((first, last)), 6, "{first} to {last}");
        }
        assert_eq!(Ranges::default().within((i64::MIN, i64::MAX)), 0);
        let all = Ranges(vec![(i64::MIN, i64::MAX)]);
        assert_eq!((all.within((i64::MIN, i64::MAX)), all.within((7, 7))), (u64::MAX, 1));
    }

    #[test]
    fn ranges_of_parts_are_those_of_the_whole_in_whatever_order_they_come() {
        let mut state = 1_u64;
        let mut random = |below: i64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            i64::try_from(state >> 33).unwrap() % below
        };
        for start in [-50, i64::MIN, i64::MAX - 99] {
            for _ in 0..200 {
                let mut whole: Vec<i64> = (0..random(120)).map(|_| start + random(100)).collect();
                let mut parts = Ranges::default();
                for part in whole.chunks_mut(17) {
                    part.sort_unstable();
                    parts.append(Ranges::of(part.iter().copied()));
                }
                whole.sort_unstable();
                assert_eq!(parts, Ranges::of(whole.iter().copied()), "{whole:?}");
                let mut to = Writer::default();
                parts.write(&mut to);
                assert_eq!(Ranges::read(&mut Reader::new(&to.into_bytes())), Some(parts));
            }
        }
    }

    #[test]
    fn ranges_that_touch_overlap_or_run_backwards_are_damaged() {
        for ranges in [vec![(1, 2), (3, 4)], vec![(1, 5), (4, 6)], vec![(2, 1)], vec![(0, i64::MAX), (1, 2)]]
        {
            let mut to = Writer::default();
            Ranges(ranges.clone()).write(&mut to);
            assert_eq!(Ranges::read(&mut Reader::new(&to.into_bytes())), None, "{ranges:?}");
        }
    }
}
