//! Shares of two groups of flags held against each other.

use weir_stats::{Arms, Stratified, bounded};

use super::{ALPHA, share};
use crate::packed::{Reader, Writer};

/// Shares of two groups that differ by less are no problem, however certain the difference is.
const SHARE_DIFFERENCE_MAX: f64 = 0.05;
/// Of more flags than this so many are looked at, with the same share: by then the interval of one group is about a fifth of
/// [`SHARE_DIFFERENCE_MAX`] wide, and more of them would take room only.
const FLAGS_MAX: u64 = 200_000;

/// How many flags there are, and how many of them say yes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    pub(super) yes: u64,
    pub(super) all: u64,
}

impl Flags {
    pub(super) fn append(&mut self, later: Self) {
        self.yes = self.yes.saturating_add(later.yes);
        self.all = self.all.saturating_add(later.all);
    }

    pub(super) fn share(self) -> f64 {
        share(self.yes, self.all)
    }

    /// As many as are looked at, in whatever order.
    fn values(self) -> Vec<f64> {
        let all = self.all.min(FLAGS_MAX);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // at most FLAGS_MAX
        let yes = if all == self.all { self.yes } else { (self.share() * all as f64).round() as u64 };
        (0..all).map(|place| f64::from(u8::from(place < yes))).collect()
    }

    pub(super) fn write(self, to: &mut Writer) {
        to.number(self.yes);
        to.number(self.all);
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self { yes: from.number()?, all: from.number()? }).filter(|flags| flags.yes <= flags.all)
    }
}

/// Whether two groups have shares that differ by more than [`SHARE_DIFFERENCE_MAX`], for certain enough that looking often
/// does not matter: a betting confidence sequence at [`ALPHA`], to which order is nothing, that leaves out no difference.
pub(super) fn differ(one: Flags, other: Flags) -> bool {
    if one.all == 0 || other.all == 0 || (one.share() - other.share()).abs() <= SHARE_DIFFERENCE_MAX {
        return false;
    }
    Stratified::new(&[Arms { control: &one.values(), candidate: &other.values() }])
        .and_then(|strata| bounded::unpaired_difference(&strata, (0.0, 1.0), ALPHA))
        .is_ok_and(|difference| difference.low > 0.0 || difference.high < 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_differ_where_that_is_large_and_certain() {
        let flags = |yes, all| Flags { yes, all };
        assert!(differ(flags(300, 1_000), flags(600, 1_000)));
        assert!(!differ(flags(3, 10), flags(6, 10)), "a few");
        assert!(!differ(flags(300_000, 1_000_000), flags(349_000, 1_000_000)), "by little");
        assert!(differ(flags(u64::MAX / 2, u64::MAX), flags(600_000, 1_000_000)), "very many");
        assert!(!differ(flags(0, 0), flags(600, 1_000)), "none");
    }

    #[test]
    fn of_very_many_flags_the_share_is_that_of_all() {
        let values = Flags { yes: 3 << 40, all: 4 << 40 }.values();
        assert_eq!((values.len() as u64, values.iter().sum::<f64>()), (FLAGS_MAX, 150_000.0));
        assert_eq!(Flags { yes: 2, all: 3 }.values(), [1.0, 1.0, 0.0]);
    }
}
