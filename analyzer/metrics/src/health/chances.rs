//! Inclusion probabilities of each group: what has to be known of all stretches before one of them can be observed.
//!
//! What is observed with other chances than those of all stretches put together is worth nothing any more: chances are
//! compared, and a stretch is observed anew where they changed. They do so when a policy changes within a revision, and
//! while the first legs of a new one arrive.

use std::collections::BTreeMap;

use super::groups::{Group, Groups, read_group, write_group};
use super::number;
use crate::exchange::Exchanges;
use crate::packed::{Reader, Writer};

/// The chances of every group that has a primary leg.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Chances(BTreeMap<Group, Chance>);

/// The chances of one group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Chance {
    /// The least inclusion probability of its primary legs.
    pub(super) least: f64,
    /// Where any shadow was captured by the filter: what the last exchange with one had.
    pub(super) usual: Option<Usual>,
}

/// Inclusion probabilities of an exchange that has a shadow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Usual {
    pub(super) primary: f64,
    pub(super) shadow: f64,
}

impl Chances {
    pub(crate) fn of(exchanges: &Exchanges<'_>) -> Self {
        let groups = Groups::of(exchanges);
        let mut chances: Vec<Option<Chance>> = vec![None; groups.names.len()];
        for (exchange, primary) in exchanges.iter().zip(exchanges.primaries()) {
            let Some((kind, primary)) = primary else { continue };
            let Some(known) = groups.of_kind(kind).and_then(|group| chances.get_mut(group)) else { continue };
            let own = primary.inclusion_probability();
            let chance = known.get_or_insert(Chance { least: own, usual: None });
            chance.least = own.min(chance.least);
            if let Some(shadow) = exchange.shadow.filter(|shadow| shadow.emitter().is_some()) {
                chance.usual = Some(Usual { primary: own, shadow: shadow.inclusion_probability() });
            }
        }
        let known = groups.names.into_iter().zip(chances);
        Self(known.filter_map(|(group, chance)| Some((group, chance?))).collect())
    }

    /// The least chances of all stretches, and what was usual up to one of them: what comes later changes nothing that was observed,
    /// but for a least chance that is less than any before.
    pub(crate) fn with_usual(&self, so_far: &Self) -> Self {
        let of = |(group, chance): (&Group, &Chance)| {
            let usual = so_far.0.get(group).and_then(|so_far| so_far.usual);
            (group.clone(), Chance { usual, ..*chance })
        };
        Self(self.0.iter().map(of).collect())
    }

    /// Those of the groups that another has.
    pub(crate) fn of_groups(&self, other: &Self) -> Self {
        let own = self.0.iter().filter(|(group, _)| other.0.contains_key(*group));
        Self(own.map(|(group, chance)| (group.clone(), *chance)).collect())
    }

    /// Takes in those of the stretch that follows.
    pub(crate) fn append(&mut self, later: Self) {
        for (group, later) in later.0 {
            let chance = self.0.entry(group).or_insert(later);
            chance.least = later.least.min(chance.least);
            chance.usual = later.usual.or(chance.usual);
        }
    }

    pub(crate) fn write(&self, to: &mut Writer) {
        to.number(number(self.0.len()));
        for (group, chance) in &self.0 {
            write_group(group, to);
            to.number(chance.least.to_bits());
            to.option(chance.usual, |to, usual| {
                to.number(usual.primary.to_bits());
                to.number(usual.shadow.to_bits());
            });
        }
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let mut chances = BTreeMap::new();
        for _ in 0..from.count()? {
            let group = read_group(from)?;
            let least = probability(from)?;
            let usual =
                from.option(|from| Some(Usual { primary: probability(from)?, shadow: probability(from)? }))?;
            if chances.insert(group, Chance { least, usual }).is_some() {
                return None;
            }
        }
        Some(Self(chances))
    }

    /// The chances of each of these groups, by place; nothing for one that has no primary leg.
    pub(super) fn by_place(&self, groups: &Groups) -> Vec<Option<Chance>> {
        groups.names.iter().map(|group| self.0.get(group).copied()).collect()
    }
}

fn probability(from: &mut Reader<'_>) -> Option<f64> {
    Some(f64::from_bits(from.number()?)).filter(|probability| *probability > 0.0 && *probability <= 1.0)
}
