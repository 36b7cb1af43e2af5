//! What was measured once, for evaluations of the same evidence by other gates.
//!
//! A comparison depends on the values, the part of alpha, a fixed bound, and whether the change is relative; not on a gate's margin,
//! severity or minimum evidence. So a trial that changes those measures nothing again, and one that changes alpha measures
//! the comparisons anew but cuts the segments out of the series only once.
//!
//! Invariants: a memory belongs to one list of series, whose names differ; what it gives is what would be measured, to the
//! bit. It holds at most [`KEPT_MAX`] comparisons and forgets all of them when they are more.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::labels::{self, Segment};
use crate::measure::Measured;
use crate::series::MetricSeries;

/// Comparisons that are kept; one takes about half a kilobyte.
const KEPT_MAX: usize = 20_000;

/// What was measured of one list of series.
#[derive(Debug, Default)]
pub struct Memory {
    measured: RefCell<BTreeMap<Key, Measured>>,
    parts: RefCell<BTreeMap<(String, Segment), Rc<MetricSeries>>>,
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
        Rc::clone(
            self.parts
                .borrow_mut()
                .entry(key)
                .or_insert_with(|| Rc::new(labels::restricted(series, segment))),
        )
    }
}
