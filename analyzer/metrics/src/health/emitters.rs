//! Which worker numbered a leg, without comparing names leg by leg.

use std::collections::HashMap;

use crate::figures::{Figures, LegRef};

/// Workers by place, in order of first appearance.
#[derive(Debug, Default)]
pub(super) struct Emitters<'a> {
    pub(super) names: Vec<&'a str>,
    places: HashMap<&'a str, usize>,
    /// For each kind of leg of the file whose leg was asked about last the place of the worker.
    of_kind: Vec<Option<usize>>,
    last: Option<*const Figures>,
    others: HashMap<*const Figures, Vec<Option<usize>>>,
}

impl<'a> Emitters<'a> {
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
