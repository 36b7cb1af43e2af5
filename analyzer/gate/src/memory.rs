//! What was measured once, for evaluations of the same evidence by other gates.
//!
//! A comparison depends on the values, the part of alpha, a fixed bound, and whether the change is relative; not on a gate's margin,
//! severity or minimum evidence. So a trial that changes those measures nothing again, and one that changes alpha measures
//! the comparisons anew but cuts the segments out of the series only once.
//!
//! Invariants: a memory belongs to one list of series, whose names differ; what it gives is what would be measured, to the
//! bit. It holds at most [`KEPT_MAX`] comparisons and forgets all of them when they are more; segments are as large as the series
//! that they are cut out of, so that a memory for one evaluation holds [`PARTS_OF_ONE`] of them.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use crate::labels::{self, Segment};
use crate::measure::Measured;
use crate::series::MetricSeries;

/// Comparisons that are kept; one takes about half a kilobyte.
const KEPT_MAX: usize = 20_000;

/// Segments that are kept for one evaluation: gates on one metric follow each other, and each segment comes once.
const PARTS_OF_ONE: usize = 4;

/// What was measured of one list of series.
#[derive(Debug, Default)]
pub struct Memory {
    measured: RefCell<BTreeMap<Key, Measured>>,
    parts: RefCell<Parts>,
}

/// Segments of series, the oldest first.
#[derive(Debug, Default)]
struct Parts {
    known: BTreeMap<(String, Segment), Rc<MetricSeries>>,
    order: VecDeque<(String, Segment)>,
    /// How many are kept; all without it.
    most: Option<usize>,
}

/// What a comparison depends on, beside the values.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) series: String,
    pub(crate) segment: Segment,
    /// Bits of the percentile's share.
    pub(crate) percentile: Option<u64>,
    /// Bits of the fixed bound.
    pub(crate) bound: Option<u64>,
    pub(crate) relative: bool,
    /// Bits of the gate's part of alpha.
    pub(crate) alpha: u64,
}

impl Memory {
    /// For one evaluation, after which it is dropped.
    pub(crate) fn of_one() -> Self {
        let parts = Parts { most: Some(PARTS_OF_ONE), ..Parts::default() };
        Self { parts: RefCell::new(parts), ..Self::default() }
    }

    /// The comparison, measured by `measure` where it is not known yet.
    pub(crate) fn measured(&self, key: Key, measure: impl FnOnce() -> Measured) -> Measured {
        if let Some(known) = self.measured.borrow().get(&key) {
            return known.clone();
        }
        let new = measure();
        let mut measured = self.measured.borrow_mut();
        if measured.len() >= KEPT_MAX {
            measured.clear();
        }
        measured.insert(key, new.clone());
        new
    }

    /// The part of a series that is in a segment.
    pub(crate) fn part(&self, series: &MetricSeries, segment: &Segment) -> Rc<MetricSeries> {
        let key = (series.name.clone(), segment.clone());
        let mut parts = self.parts.borrow_mut();
        if let Some(known) = parts.known.get(&key) {
            return Rc::clone(known);
        }
        let part = Rc::new(labels::restricted_to_judge(series, segment));
        parts.keep(key, &part);
        part
    }
}

impl Parts {
    fn keep(&mut self, key: (String, Segment), part: &Rc<MetricSeries>) {
        self.known.insert(key.clone(), Rc::clone(part));
        self.order.push_back(key);
        while self.most.is_some_and(|most| self.order.len() > most)
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn one_evaluation_keeps_the_latest_segments_and_others_keep_all() {
        let cut = |memory: &Memory, name: &str| {
            let series = MetricSeries { name: name.to_owned(), ..MetricSeries::default() };
            memory.part(&series, &Segment::new())
        };
        let names = ["a", "b", "c", "d", "e", "f"];
        for (memory, kept) in [(Memory::of_one(), PARTS_OF_ONE), (Memory::default(), names.len())] {
            let parts: Vec<_> = names.iter().map(|name| cut(&memory, name)).collect();
            let known: Vec<bool> = parts.iter().map(|part| Rc::strong_count(part) == 2).collect();
            let expected: Vec<bool> = (0..names.len()).map(|at| at + kept >= names.len()).collect();
            assert_eq!(known, expected);
            assert!(Rc::ptr_eq(&parts[5], &cut(&memory, "f")), "and what is kept is not cut again");
        }
    }
}
