//! Memory of bodies that are being captured, per worker (`captureBytesMax`).
//!
//! A leg reserves what legs took lately, on average, and grows beyond it while there is room. An exchange begins only
//! where its legs' reservations fit; where a body finds no more room, what is kept of it ends there (its true size goes on
//! being counted, so that it is known to be cut), and the leg is counted. Estimated by the capacity of the buffers.

/// What a leg is thought to need before any has ended.
const EXPECTED_BYTES_FIRST: usize = 64 * 1024;
/// How many legs it takes to forget an old average.
const MEMORY_OF_LEGS: usize = 16;

/// Bytes in use and in reserve.
#[derive(Debug)]
pub(crate) struct Memory {
    taken: usize,
    expected: usize,
}

/// A leg's part; given back by [`Memory::end`].
#[derive(Debug, Default)]
pub(crate) struct Charge {
    bytes: usize,
}

impl Default for Memory {
    fn default() -> Self {
        Self { taken: 0, expected: EXPECTED_BYTES_FIRST }
    }
}

impl Memory {
    /// Whether this many more legs fit.
    pub(crate) fn fits(&self, legs: usize, bytes_max: usize) -> bool {
        self.taken.saturating_add(self.expected.saturating_mul(legs)) <= bytes_max
    }

    /// A leg begins.
    pub(crate) fn begin(&mut self) -> Charge {
        self.taken = self.taken.saturating_add(self.expected);
        Charge { bytes: self.expected }
    }

    /// By how much a leg that holds so much may grow.
    pub(crate) fn room(&self, charge: &Charge, held: usize, bytes_max: usize) -> usize {
        let reserved = charge.bytes.saturating_sub(held);
        bytes_max.saturating_sub(self.taken).saturating_add(reserved)
    }

    /// A leg holds so much now.
    pub(crate) fn hold(&mut self, charge: &mut Charge, held: usize) {
        let more = held.saturating_sub(charge.bytes);
        self.taken = self.taken.saturating_add(more);
        charge.bytes += more;
    }

    /// A leg is over, having held so much.
    pub(crate) fn end(&mut self, charge: Charge, held: usize) {
        self.taken = self.taken.saturating_sub(charge.bytes);
        self.expected = (self.expected * (MEMORY_OF_LEGS - 1) + held) / MEMORY_OF_LEGS;
    }

    /// Bytes in use and in reserve.
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_taken_is_what_the_legs_hold_or_reserve_and_never_too_much(steps in proptest::collection::vec((0usize..4, 0usize..40_000), 0..300)) {
            const MAX: usize = 200_000;
            let mut memory = Memory::default();
            let mut legs: Vec<(Charge, usize)> = Vec::new();
            for (what, size) in steps {
                match what {
                    0 if memory.fits(1, MAX) => legs.push((memory.begin(), 0)),
                    3 => if let Some((charge, held)) = legs.pop() { memory.end(charge, held) },
                    _ => if let Some((charge, held)) = legs.last_mut() {
                        *held += size.min(memory.room(charge, *held, MAX));
                        memory.hold(charge, *held);
                    },
                }
                let sum: usize = legs.iter().map(|(charge, held)| charge.bytes.max(*held)).sum();
                prop_assert_eq!(memory.taken(), sum);
                prop_assert!(memory.taken() <= MAX);
            }
            for (charge, held) in legs { memory.end(charge, held); }
            prop_assert_eq!(memory.taken(), 0);
        }
    }
}
