//! What the checks of the capture need to know of some stretch of time; stretches that follow each other add up.
//!
//! - A stretch has all legs of its exchanges, and `numbered` every leg that was read of it.
//! - Stretches put together say what one over all of them would, but for what the checks name as a limit: a clock's step is
//!   looked for within each stretch, and a duplicate or a pair across two of them is none.
//! - Stretches of different choices become one of the smaller sample.
//! - A reader trusts nothing, and what does not fit is nothing; whoever keeps the bytes adds a checksum.

use std::thread;

use weir_gate::CaptureHealth;

use super::assignment::{ExpectedShare, Shares};
use super::chances::Chances;
use super::clock::{Order, Steps};
use super::completeness::Numbers;
use super::counts::Counts;
use super::groups::Groups;
use super::hashes::Choice;
use super::mixture::Mixture;
use super::pairing::Pairing;
use super::stickiness::Served;
use super::workers;
use crate::exchange::Exchanges;
use crate::figures::LegRef;
use crate::identities::Identities;
use crate::packed::{Reader, Writer};

/// A part for each check.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    counts: Counts,
    choice: Choice,
    shares: Shares,
    served: Served,
    pairing: Pairing,
    mixture: Mixture,
    order: Order,
    numbers: Numbers,
    steps: Steps,
}

impl Observed {
    /// Looks at a stretch by the chances of all stretches. Exchanges with a leg at `settled_before_us` or later are not expected to
    /// be pairs yet. `numbered` is every leg that was read, also those of other revisions and of probes: the numbers
    /// of one worker run through all of them.
    pub(crate) fn of<'a>(
        exchanges: &Exchanges<'a>,
        identities: &Identities,
        chances: &Chances,
        settled_before_us: i64,
        choice: Choice,
        numbered: impl Iterator<Item = LegRef<'a>> + Send,
    ) -> Self {
        // What goes by the workers' numbers and what goes by exchanges take about as long.
        thread::scope(|scope| {
            let of_numbers = scope.spawn(|| {
                let records = workers::records(numbered);
                (Numbers::of(exchanges, &records), Steps::of(&records))
            });
            let groups = Groups::of(exchanges);
            let chances = chances.by_place(&groups);
            let observed = Self {
                counts: Counts::of(exchanges),
                choice,
                shares: Shares::of(exchanges, identities, &groups, &chances, choice),
                served: Served::of(exchanges, identities, &groups, choice),
                pairing: Pairing::of(exchanges, &groups, &chances, settled_before_us),
                mixture: Mixture::of(exchanges),
                order: Order::of(exchanges),
                ..Self::default()
            };
            // A panic of the other thread is one of this.
            let (numbers, steps) = of_numbers.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Self { numbers, steps, ..observed }
        })
    }

    /// Takes in the stretch that follows.
    pub(crate) fn append(&mut self, mut later: Self) {
        let choice = self.choice.max(later.choice);
        for observed in [&mut *self, &mut later] {
            if observed.choice != choice {
                observed.choice = choice;
                observed.shares.thin(choice);
                observed.served.thin(choice);
            }
        }
        self.counts.append(later.counts);
        self.shares.append(later.shares);
        self.served.append(later.served);
        self.pairing.append(later.pairing);
        self.mixture.append(later.mixture);
        self.order.append(later.order);
        self.numbers.append(later.numbers);
        self.steps.append(later.steps);
    }

    /// Counts and problems.
    pub(crate) fn health(self, expected: &[ExpectedShare]) -> CaptureHealth {
        let (assignments, mut problems) = self.shares.judge(expected, self.choice);
        let (served_by_both, stickiness) = self.served.judge(self.choice);
        let (sequence_gaps, gaps) = self.numbers.judge();
        problems.extend(stickiness);
        problems.extend(self.pairing.arrival());
        problems.extend(self.pairing.latencies.slow_loss());
        problems.extend(gaps);
        problems.extend(self.counts.truncation());
        problems.extend(self.mixture.problems());
        problems.extend(self.order.problem());
        problems.extend(self.steps.problems());
        let mut health = CaptureHealth {
            pairs: self.mixture.pairs(),
            half_pairs: self.pairing.half_pairs(),
            sequence_gaps,
            served_by_both,
            assignments,
            problems,
            ..CaptureHealth::default()
        };
        self.counts.tell(&mut health);
        health
    }

    pub(crate) fn write(&self, to: &mut Writer) {
        self.counts.write(to);
        self.choice.write(to);
        self.shares.write(to);
        self.served.write(to);
        self.pairing.write(to);
        self.mixture.write(to);
        self.order.write(to);
        self.numbers.write(to);
        self.steps.write(to);
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            counts: Counts::read(from)?,
            choice: Choice::read(from)?,
            shares: Shares::read(from)?,
            served: Served::read(from)?,
            pairing: Pairing::read(from)?,
            mixture: Mixture::read(from)?,
            order: Order::read(from)?,
            numbers: Numbers::read(from)?,
            steps: Steps::read(from)?,
        })
    }
}
