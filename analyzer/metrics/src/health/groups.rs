//! Revisions and cohorts of primary legs, found by the kind of a leg: by a small number, however many legs there are.

use super::{Group, group};
use crate::exchange::Exchanges;

/// Groups of primary legs, in order of first appearance.
pub(super) struct Groups<'a> {
    pub(super) names: Vec<Group<'a>>,
    /// The least chance of capture among the legs of each.
    pub(super) least: Vec<f64>,
    /// For each kind of leg the place of its group.
    of_kind: Vec<Option<usize>>,
}

impl<'a> Groups<'a> {
    pub(super) fn of(exchanges: &Exchanges<'a>) -> Self {
        let of_kind = vec![None; exchanges.kind_places()];
        let mut groups = Self { names: Vec::new(), least: Vec::new(), of_kind };
        for (kind, found) in exchanges.primaries().flatten() {
            let place = groups.of_kind(kind).unwrap_or_else(|| groups.place(kind, group(found)));
            if let Some(known) = groups.least.get_mut(place) {
                *known = found.inclusion_probability().min(*known);
            }
        }
        groups
    }

    pub(super) fn of_kind(&self, kind: usize) -> Option<usize> {
        self.of_kind.get(kind).copied().flatten()
    }

    /// The place of a group, which a kind has from now on.
    fn place(&mut self, kind: usize, group: Group<'a>) -> usize {
        let place = self.names.iter().position(|known| *known == group).unwrap_or_else(|| {
            self.names.push(group);
            self.least.push(f64::INFINITY);
            self.names.len() - 1
        });
        self.of_kind.get_mut(kind).into_iter().for_each(|of| *of = Some(place));
        place
    }
}
