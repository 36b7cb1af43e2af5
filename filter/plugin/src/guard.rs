//! Takes the candidate away from a cohort that it fails or keeps waiting, at once and by this worker alone.
//!
//! The state belongs to a policy: another policy starts anew, the same one delivered again does not. Per cohort: the
//! latest `answers` outcomes, a byte each. A tripped guard stays tripped.
//!
//! What counts: the candidate's answers to users. An answer whose status is a failure, or that breaks off without the
//! client having left, has failed. A client that leaves before the answer begins tells nothing, unless it had waited
//! longer than `slowMs`.

use std::cell::Cell;
use std::collections::VecDeque;

use weir_policy::{Guard, Share};

/// How an answer of the candidate went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) failed: bool,
    pub(crate) slow: bool,
}

/// What was exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Too many failures.
    Failures,
    /// Too many slow answers.
    Slow,
}

/// The news that a guard tripped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trip {
    pub(crate) reason: Reason,
    pub(crate) answers: u64,
    pub(crate) failures: u64,
    pub(crate) slow: u64,
}

/// The guards of a policy's cohorts.
#[derive(Debug)]
pub(crate) struct Guards {
    cohorts: Vec<Watch>,
}

#[derive(Default)]
struct Watch {
    latest: Cell<VecDeque<Outcome>>,
    failures: Cell<u64>,
    slow: Cell<u64>,
    tripped: Cell<bool>,
}

impl Reason {
    /// The word for labels and events.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Failures => "failures",
            Self::Slow => "slow",
        }
    }
}

impl Guards {
    pub(crate) fn new(cohorts: usize) -> Self {
        Self { cohorts: std::iter::repeat_with(Watch::default).take(cohorts).collect() }
    }

    /// Whether the cohort was taken from the candidate.
    pub(crate) fn tripped(&self, cohort: u16) -> bool {
        self.cohorts.get(usize::from(cohort)).is_some_and(|watch| watch.tripped.get())
    }

    /// How many cohorts were.
    pub(crate) fn tripped_count(&self) -> usize {
        self.cohorts.iter().filter(|watch| watch.tripped.get()).count()
    }

    /// Notes an answer. The trip comes back once.
    pub(crate) fn note(&self, guard: &Guard, cohort: u16, outcome: Outcome) -> Option<Trip> {
        let watch = self.cohorts.get(usize::from(cohort))?;
        if watch.tripped.get() {
            return None;
        }
        watch.push(outcome, usize::try_from(guard.answers).unwrap_or(usize::MAX));
        let trip = watch.exceeded(guard)?;
        watch.tripped.set(true);
        watch.latest.set(VecDeque::new());
        Some(trip)
    }
}

impl Watch {
    fn push(&self, outcome: Outcome, answers_max: usize) {
        let mut latest = self.latest.take();
        latest.push_back(outcome);
        let gone = if latest.len() > answers_max { latest.pop_front() } else { None };
        let changed = |count: &Cell<u64>, of: fn(&Outcome) -> bool| {
            let gone = gone.as_ref().is_some_and(of);
            count.set((count.get() + u64::from(of(&outcome))).saturating_sub(u64::from(gone)));
        };
        changed(&self.failures, |outcome| outcome.failed);
        changed(&self.slow, |outcome| outcome.slow);
        self.latest.set(latest);
    }

    fn exceeded(&self, guard: &Guard) -> Option<Trip> {
        let latest = self.latest.take();
        let answers = latest.len() as u64;
        self.latest.set(latest);
        if answers < guard.answers_min {
            return None;
        }
        let (failures, slow) = (self.failures.get(), self.slow.get());
        // In whole numbers: count / answers > share.
        let above = |count: u64, max: Option<Share>| {
            max.is_some_and(|max| count * u64::from(Share::PPM_MAX) > answers * u64::from(max.ppm()))
        };
        let reason = if above(failures, guard.failure_percent_max) {
            Reason::Failures
        } else if above(slow, guard.slow_percent_max) {
            Reason::Slow
        } else {
            return None;
        };
        Some(Trip { reason, answers, failures, slow })
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Watch {{ tripped: {} }}", self.tripped.get())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;
    use weir_policy::StatusMatch;

    fn guard(answers: u64, answers_min: u64, failures: u32, slow: u32) -> Guard {
        Guard {
            answers,
            answers_min,
            failure_percent_max: Some(Share::from_whole_percent(failures)),
            failure_statuses: vec![StatusMatch::Class(5)],
            slow_ms: Some(100),
            slow_percent_max: Some(Share::from_whole_percent(slow)),
        }
    }

    const GOOD: Outcome = Outcome { failed: false, slow: false };
    const FAILED: Outcome = Outcome { failed: true, slow: false };
    const SLOW: Outcome = Outcome { failed: false, slow: true };

    #[test]
    fn a_guard_trips_once_by_the_answer_that_exceeds_the_budget_and_stays_so() {
        let guards = Guards::new(2);
        let guard = guard(10, 5, 40, 100);
        for outcome in [FAILED, FAILED, GOOD, GOOD, GOOD] {
            assert_eq!(guards.note(&guard, 1, outcome), None, "2 of 5 are not more than 40 %");
        }
        let trip = guards.note(&guard, 1, FAILED).unwrap();
        assert_eq!(trip, Trip { reason: Reason::Failures, answers: 6, failures: 3, slow: 0 });
        for _ in 0..50 {
            assert_eq!(guards.note(&guard, 1, GOOD), None);
        }
        assert!(guards.tripped(1) && !guards.tripped(0) && !guards.tripped(7));
        assert_eq!(guards.tripped_count(), 1);
    }

    #[test]
    fn nothing_is_decided_before_there_are_enough_answers() {
        let guards = Guards::new(1);
        let guard = guard(10, 5, 0, 0);
        for _ in 0..4 {
            assert_eq!(guards.note(&guard, 0, FAILED), None);
        }
        assert_eq!(guards.note(&guard, 0, SLOW).unwrap().reason, Reason::Failures);
    }

    proptest! {
        /// Against a plain count over the last answers.
        #[test]
        fn only_the_latest_answers_count(outcomes in proptest::collection::vec(0u8..8, 1..200), answers in 10u64..40, failures in 0u32..60, slow in 0u32..60) {
            let guards = Guards::new(1);
            let guard = guard(answers, 5, failures, slow);
            let mut seen: Vec<Outcome> = Vec::new();
            for outcome in outcomes {
                let outcome = match outcome { 0 => FAILED, 1 | 2 => SLOW, _ => GOOD };
                seen.push(outcome);
                let from = seen.len().saturating_sub(answers as usize);
                let latest = &seen[from..];
                let share = |of: fn(&&Outcome) -> bool| 100.0 * latest.iter().filter(of).count() as f64 / latest.len() as f64;
                let expected = latest.len() >= 5 && (share(|o| o.failed) > f64::from(failures) || share(|o| o.slow) > f64::from(slow));
                prop_assert_eq!(guards.note(&guard, 0, outcome).is_some(), expected);
                if expected { break; }
            }
        }
    }
}
