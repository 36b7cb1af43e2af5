//! Numbers as they are calculated with, in memory that a thread uses again and again.
//!
//! A gate on millions of pairs takes as many times sixteen bytes, and the next gate the same: memory that comes anew from the system
//! each time costs as much as the calculation.

use std::cell::RefCell;
use std::ops::Deref;

use weir_stats::clusters::Sums;

use super::Pairs;

/// Pairs that are decoded together: few enough to stay near to the processor.
const PART: usize = 512;

thread_local! {
    static PAIRS: RefCell<Vec<(f64, f64)>> = const { RefCell::new(Vec::new()) };
    static SUMS: RefCell<Sums> = RefCell::default();
}

/// Pairs, sixteen bytes each.
#[derive(Debug)]
pub(crate) struct Decoded(Vec<(f64, f64)>);

impl Decoded {
    /// Every pair.
    pub(crate) fn of(pairs: &Pairs) -> Self {
        let mut decoded = PAIRS.take();
        decoded.clear();
        decoded.reserve_exact(pairs.len());
        let (mut control, mut candidate) = ([0.0; PART], [0.0; PART]);
        for from in (0..pairs.len()).step_by(PART) {
            let count = (pairs.len() - from).min(PART);
            if let (Some(control), Some(candidate)) = (control.get_mut(..count), candidate.get_mut(..count)) {
                pairs.control().read(from, control);
                pairs.candidate().read(from, candidate);
                decoded.extend(control.iter().copied().zip(candidate.iter().copied()));
            }
        }
        Self(decoded)
    }

    /// Leaves those out that are not to be kept.
    pub(crate) fn retain(&mut self, keep: impl Fn(&(f64, f64)) -> bool) {
        // Every pair is looked at: without a way out a processor takes many at once.
        if !self.0.iter().fold(true, |all, pair| all & keep(pair)) {
            self.0.retain(keep);
        }
    }
}

impl Deref for Decoded {
    type Target = [(f64, f64)];

    fn deref(&self) -> &[(f64, f64)] {
        &self.0
    }
}

impl Drop for Decoded {
    fn drop(&mut self) {
        let own = std::mem::take(&mut self.0);
        PAIRS.with_borrow_mut(|spare| {
            if own.capacity() > spare.capacity() {
                *spare = own;
            }
        });
    }
}

/// Room for sums of clusters; what it holds does not matter.
pub(crate) fn with_sums<R>(take: impl FnOnce(&mut Sums) -> R) -> R {
    let mut sums = SUMS.take();
    let taken = take(&mut sums);
    SUMS.set(sums);
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded_whatever_was_there_before_and_while_others_are() {
        let pairs = |from: u32, count: u32| -> Pairs {
            (from..from + count).map(|number| (f64::from(number), f64::from(number) / 8.0)).collect()
        };
        for (from, count) in [(0, 3_000), (70_000, 512), (5, 1), (0, 0), (9, 513)] {
            let (one, other) = (pairs(from, count), pairs(from + 1, count + 1));
            let (of_one, mut of_other) = (Decoded::of(&one), Decoded::of(&other));
            assert_eq!((of_one.to_vec(), of_other.to_vec()), (one.to_vec(), other.to_vec()));
            of_other.retain(|(control, _)| *control > f64::from(from + 1));
            assert_eq!(of_other.len(), count as usize);
        }
    }
}
