//! Identities by small numbers, which sums, sets and clusters are kept by: found in a table once for all that ask who it was.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use xxhash_rust::xxh3::xxh3_64;

use crate::exchange::{Exchange, Exchanges};

/// The identities of all exchanges, numbered in order of first appearance.
#[derive(Debug)]
pub(crate) struct Identities {
    /// By exchange; where no identity is known a number of its own.
    numbers: Vec<u32>,
    count: u32,
}

/// Some of the identities, a bit for each.
#[derive(Clone, Debug)]
pub(crate) struct Group(Vec<u64>);

impl Identities {
    pub(crate) fn of(exchanges: &Exchanges<'_>) -> Self {
        let mut known: HashMap<u64, u32, RandomState> = HashMap::default();
        let mut count = 0_u32;
        let of = |exchange: Exchange<'_>| exchange.legs().find_map(|found| found.identity());
        let numbers = exchanges
            .iter()
            .map(|exchange| {
                let fresh = count;
                let number = of(exchange).map_or(fresh, |identity| *known.entry(identity).or_insert(fresh));
                count = count.saturating_add(u32::from(number == fresh));
                number
            })
            .collect();
        Self { numbers, count }
    }

    /// By exchange.
    pub(crate) fn numbers(&self) -> &[u32] {
        &self.numbers
    }

    /// The hash of each identity, by its number; of the exchange's id where none is known. Never 0.
    pub(crate) fn hashes(&self, exchanges: &Exchanges<'_>) -> Vec<u64> {
        let mut hashes = vec![0; self.count as usize];
        for (exchange, number) in exchanges.iter().zip(&self.numbers) {
            if let Some(hash) = hashes.get_mut(*number as usize).filter(|hash| **hash == 0) {
                let own = exchange.legs().find_map(|found| found.identity());
                *hash = own.unwrap_or_else(|| xxh3_64(exchange.sample_id().as_bytes())).max(1);
            }
        }
        hashes
    }

    /// Whether any has several exchanges.
    pub(crate) fn repeat(&self) -> bool {
        (self.count as usize) < self.numbers.len()
    }

    /// None of them.
    pub(crate) fn none(&self) -> Group {
        Group(vec![0; self.count as usize / 64 + 1])
    }
}

impl Group {
    /// Takes one in; whether it was not there before.
    pub(crate) fn insert(&mut self, number: u32) -> bool {
        let bit = 1 << (number % 64);
        self.0.get_mut(number as usize / 64).is_some_and(|bits| {
            let fresh = *bits & bit == 0;
            *bits |= bit;
            fresh
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_takes_each_identity_once() {
        let identities = Identities { numbers: vec![0, 1, 0], count: 200 };
        let mut one = identities.none();
        for number in [0, 63, 64, 199] {
            assert!(one.insert(number) && !one.insert(number), "{number}");
        }
        assert!(!one.insert(100_000), "that is nobody");
    }
}
