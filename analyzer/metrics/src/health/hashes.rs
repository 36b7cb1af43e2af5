//! Identities by their hashes: which of them are looked at, those that were seen, and those that were seen first.
//!
//! - Lists of stretches are put one after the other, and what is in them twice is left out now and then: a list is never more
//!   than twice as long as it must be, and a stretch costs what is in it, not what came before it.
//! - Hashes that come from a file may be there twice; that costs a sort and changes nothing.

use std::collections::HashSet;

use foldhash::fast::RandomState;

use crate::packed::{Reader, Writer};

/// Lists below this length are not looked through for what is there twice before it is asked.
const LOOSE_MIN: usize = 1_024;
/// More powers of two than a hash that is not 0 can be divided by.
const HALVINGS_MAX: u32 = 63;

/// Which identities are looked at: one in two to the power of this. Who is chosen by a larger one is by a smaller one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Choice(pub(crate) u32);

/// Hashes without an order, each once.
#[derive(Clone, Debug, Default)]
pub(super) struct Hashes {
    all: Vec<u64>,
    /// So many at the beginning are sorted, and there once.
    sorted: usize,
}

/// Hashes in order of first appearance, each with whether the candidate served it then.
#[derive(Clone, Debug, Default)]
pub(super) struct Firsts {
    all: Vec<(u64, bool)>,
    /// So many at the beginning are there once.
    once: usize,
}

impl Choice {
    pub(crate) fn takes(self, hash: u64) -> bool {
        hash.trailing_zeros() >= self.0
    }

    /// One in so many identities is looked at.
    pub(crate) fn one_in(self) -> u64 {
        1_u64.checked_shl(self.0).unwrap_or(u64::MAX)
    }

    /// `, of one in 64 identities`, where not all are looked at.
    pub(super) fn told(self) -> String {
        if self == Self(0) { String::new() } else { format!(", of one in {} identities", self.one_in()) }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Option<Self> {
        u32::try_from(from.number()?).ok().filter(|halvings| *halvings <= HALVINGS_MAX).map(Self)
    }

    pub(super) fn write(self, to: &mut Writer) {
        to.number(u64::from(self.0));
    }
}

impl Hashes {
    pub(super) fn push(&mut self, hash: u64) {
        self.all.push(hash);
    }

    pub(super) fn append(&mut self, later: Self) {
        self.all.extend(later.all);
        if self.all.len() > 2 * self.sorted.max(LOOSE_MIN) {
            self.settle();
        }
    }

    /// Each once from now on.
    pub(super) fn settle(&mut self) {
        if self.sorted < self.all.len() {
            // Finds what is sorted already.
            self.all.sort();
            self.all.dedup();
            self.sorted = self.all.len();
        }
    }

    pub(super) fn thin(&mut self, choice: Choice) {
        self.settle();
        self.all.retain(|hash| choice.takes(*hash));
        self.sorted = self.all.len();
    }

    /// How many are in both, and how many in one of them at least; both have been settled.
    pub(super) fn both_and_either(&self, other: &Self) -> (u64, u64) {
        let mut others = other.all.iter().peekable();
        let is_in_both = |hash: &&u64| {
            while others.next_if(|other| other < hash).is_some() {}
            others.next_if(|other| other == hash).is_some()
        };
        let both = self.all.iter().filter(is_in_both).count();
        (super::number(both), super::number(self.all.len() + other.all.len() - both))
    }

    pub(super) fn write(&self, to: &mut Writer) {
        to.column(&self.all, u64::to_le_bytes);
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self { all: from.column(u64::from_le_bytes)?, sorted: 0 })
    }
}

impl Firsts {
    /// Takes in one that is not there yet.
    pub(super) fn push(&mut self, hash: u64, candidate: bool) {
        self.all.push((hash, candidate));
        self.once = self.all.len();
    }

    /// Those that are not known yet follow, in their order.
    pub(super) fn append(&mut self, later: Self) {
        if self.all.is_empty() {
            *self = later;
            return;
        }
        self.all.extend(later.all);
        if self.all.len() > 2 * self.once.max(LOOSE_MIN) {
            self.settle();
        }
    }

    /// Whether the candidate served them, each identity once.
    pub(super) fn served_by_candidate(&mut self) -> impl Iterator<Item = bool> {
        self.settle();
        self.all.iter().map(|(_, candidate)| *candidate)
    }

    pub(super) fn thin(&mut self, choice: Choice) {
        self.settle();
        self.all.retain(|(hash, _)| choice.takes(*hash));
        self.once = self.all.len();
    }

    fn settle(&mut self) {
        if self.once < self.all.len() {
            let mut known: HashSet<u64, RandomState> = HashSet::default();
            self.all.retain(|(hash, _)| known.insert(*hash));
            self.once = self.all.len();
        }
    }

    pub(super) fn write(&self, to: &mut Writer) {
        to.column(&self.all, |(hash, _)| hash.to_le_bytes());
        to.column(&self.all, |(_, candidate)| [u8::from(candidate)]);
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let hashes = from.column(u64::from_le_bytes)?;
        let served = from.column(|[flag]: [u8; 1]| flag)?;
        if served.len() != hashes.len() || served.iter().any(|flag| *flag > 1) {
            return None;
        }
        Some(Self {
            all: hashes.into_iter().zip(served.into_iter().map(|flag| flag == 1)).collect(),
            once: 0,
        })
    }
}
