//! A disk in memory whose power can be cut at any call, whose syncs can be left out, and whose calls can be made to fail.
//!
//! The model is meaner than any real file system: after a power cut a change that was not synced is there, half there, there as
//! zeros, or not there, each on its own, in any combination (a file's later write without its earlier one, a rename without the
//! creation before it). A failed sync of a file drops what it should have made durable: the bytes can still be read, but no later
//! sync makes them durable. A failed sync of a folder keeps its changes pending: file systems journal those, and stop when the
//! journal fails.

mod disk;
mod faults;
mod power;
mod state;
mod upkeep;
mod world;

pub(crate) use disk::{Call, Class, Fault, SimDisk};

/// SplitMix64: a seed gives the same schedule again.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end.max(1) as u64) as usize
    }

    /// True once in `of` times.
    pub(crate) fn once_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }
}

/// A number from the environment, for the long runs.
pub(crate) fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
