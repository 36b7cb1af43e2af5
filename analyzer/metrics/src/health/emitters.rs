//! Which worker numbered a leg, without comparing names leg by leg.

use std::collections::HashMap;

use crate::figures::{Figures, LegRef};

/// Workers by place, in order of first appearance.
#[derive(Debug, Default)]
pub(super) struct Emitters<'a> {
    pub(super) names: Vec<&'a str>,
    places: HashMap<&'a str, usize>,
    /// For each file and each kind of leg in it the place of the worker.
    of_kind: HashMap<*const Figures, Vec<Option<usize>>>,
}

impl<'a> Emitters<'a> {
    /// The place of a leg's worker, where one is known.
    pub(super) fn of(&mut self, leg: LegRef<'a>) -> Option<usize> {
        let file = std::ptr::from_ref(leg.file());
        if !self.of_kind.contains_key(&file) {
            let kinds = leg.file().kinds().iter();
            let places = kinds.map(|facts| facts.emitter.as_deref().map(|name| self.place(name))).collect();
            self.of_kind.insert(file, places);
        }
        self.of_kind.get(&file)?.get(leg.kind()).copied().flatten()
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
