//! Records by the worker that numbered them, without comparing names leg by leg.

use std::collections::HashMap;

use crate::figures::{Figures, LegRef};

/// When a record ended of which that is not known.
const NO_END: i64 = i64::MIN;

/// Workers by place, in order of first appearance.
#[derive(Debug, Default)]
pub(super) struct Workers<'a> {
    pub(super) names: Vec<&'a str>,
    places: HashMap<&'a str, usize>,
    /// For each kind of leg of the file whose leg was asked about last the place of the worker.
    of_kind: Vec<Option<usize>>,
    last: Option<*const Figures>,
    others: HashMap<*const Figures, Vec<Option<usize>>>,
}

/// A numbered record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Record {
    pub(super) number: i64,
    end_us: i64,
}

impl<'a> Workers<'a> {
    /// The place of a leg's worker, where one is known.
    pub(super) fn of(&mut self, leg: LegRef<'a>) -> Option<usize> {
        let file = std::ptr::from_ref(leg.file());
        if self.last != Some(file) {
            let known = self.others.remove(&file);
            let new = known.unwrap_or_else(|| {
                let kinds = leg.file().kinds().iter();
                kinds.map(|facts| facts.emitter.as_deref().map(|name| self.place(name))).collect()
            });
            let before = std::mem::replace(&mut self.of_kind, new);
            if let Some(last) = self.last.replace(file) {
                self.others.insert(last, before);
            }
        }
        self.of_kind.get(leg.kind()).copied().flatten()
    }

    fn place(&mut self, name: &'a str) -> usize {
        let fresh = self.names.len();
        let place = *self.places.entry(name).or_insert(fresh);
        if place == fresh {
            self.names.push(name);
        }
        place
    }
}

impl Record {
    fn of(leg: LegRef<'_>) -> Option<Self> {
        let latency_ms = leg.latency_ms().filter(|latency_ms| (0.0..1e9).contains(latency_ms));
        #[allow(clippy::cast_possible_truncation)] // below 1e12 microseconds
        let end_us = |latency_ms: f64| leg.ts_us().saturating_add((latency_ms * 1e3) as i64);
        Some(Self { number: leg.sequence()?, end_us: latency_ms.map_or(NO_END, end_us) })
    }

    pub(super) fn end_us(self) -> Option<i64> {
        Some(self.end_us).filter(|end_us| *end_us != NO_END)
    }
}

/// The records of each worker, in the order of their numbers.
pub(super) fn records<'a>(numbered: impl Iterator<Item = LegRef<'a>>) -> Vec<(&'a str, Vec<Record>)> {
    let mut workers = Workers::default();
    let mut records: Vec<Vec<Record>> = Vec::new();
    for leg in numbered {
        let (Some(worker), Some(record)) = (workers.of(leg), Record::of(leg)) else { continue };
        if records.len() <= worker {
            records.resize(worker + 1, Vec::new());
        }
        records.get_mut(worker).into_iter().for_each(|records| records.push(record));
    }
    records.iter_mut().for_each(|records| records.sort_unstable());
    workers.names.into_iter().zip(records).collect()
}
