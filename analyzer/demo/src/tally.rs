//! What the users saw: every answer and every failure, from the client's side of the mesh.
//!
//! Memory: one small record per request, at most [`ANSWERS_MAX`]; later answers are counted but not kept.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Answers that are kept one by one.
pub const ANSWERS_MAX: usize = 1_000_000;
/// Failures whose text is kept.
pub const FAILURES_KEPT_MAX: usize = 5;

/// Who gave an answer, as the response header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnsweredBy {
    /// `x-weir-variant: control`
    Control,
    /// `x-weir-variant: candidate`
    Candidate,
    /// No such header: the filter was not there, or is told not to say.
    Unknown,
}

/// One answer that a user got.
#[derive(Clone, Copy, Debug)]
pub struct Served {
    /// When its last byte arrived.
    pub at: Instant,
    /// Who gave it.
    pub by: AnsweredBy,
    /// It has what the consumer behind the user needs.
    pub usable: bool,
}

/// The counts so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that were sent.
    pub sent: u64,
    /// Complete answers with status 200.
    pub answered: u64,
    /// Answers by the candidate among them.
    pub by_candidate: u64,
    /// Answers by nobody that says so.
    pub by_unknown: u64,
    /// Everything else: no answer, another status, a body that breaks off.
    pub failed: u64,
    /// Requests that were due but not sent because too many were open.
    pub skipped: u64,
}

/// The record of a run; shared by all its users.
#[derive(Debug, Default)]
pub struct Tally {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    counts: Counts,
    answers: Vec<Served>,
    failures: Vec<String>,
}

/// What the candidate did after a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CandidateAfter {
    /// Its answers to users.
    pub answers: u64,
    /// Those that a consumer could not use.
    pub unusable: u64,
    /// From the moment to the end of its last answer.
    pub last: Option<Duration>,
}

impl Tally {
    /// A request is on its way.
    pub fn sent(&self) {
        self.lock().counts.sent += 1;
    }

    /// A request was due but not sent.
    pub fn skipped(&self) {
        self.lock().counts.skipped += 1;
    }

    /// A user has got an answer.
    pub fn answered(&self, served: Served) {
        let mut inner = self.lock();
        inner.counts.answered += 1;
        match served.by {
            AnsweredBy::Candidate => inner.counts.by_candidate += 1,
            AnsweredBy::Unknown => inner.counts.by_unknown += 1,
            AnsweredBy::Control => {}
        }
        if inner.answers.len() < ANSWERS_MAX {
            inner.answers.push(served);
        }
    }

    /// A user's request failed.
    pub fn failed(&self, why: String) {
        let mut inner = self.lock();
        inner.counts.failed += 1;
        if inner.failures.len() < FAILURES_KEPT_MAX {
            inner.failures.push(why);
        }
    }

    /// The counts so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.lock().counts.clone()
    }

    /// The first failures, in words.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        self.lock().failures.clone()
    }

    /// What the candidate answered after `moment`.
    #[must_use]
    pub fn candidate_after(&self, moment: Instant) -> CandidateAfter {
        let mut after = CandidateAfter::default();
        for served in &self.lock().answers {
            if served.by != AnsweredBy::Candidate {
                continue;
            }
            let Some(since) = served.at.checked_duration_since(moment) else { continue };
            after.answers += 1;
            after.unusable += u64::from(!served.usable);
            after.last = after.last.max(Some(since));
        }
        after
    }

    // A panic of another thread cannot leave a count half-written: go on with it.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn only_the_candidates_answers_after_the_moment_count() {
        let tally = Tally::default();
        let start = Instant::now();
        let answer = |seconds, by, usable| Served { at: start + Duration::from_secs(seconds), by, usable };
        for (seconds, by, usable) in [
            (1, AnsweredBy::Candidate, true),
            (3, AnsweredBy::Candidate, false),
            (4, AnsweredBy::Candidate, true),
            (5, AnsweredBy::Control, false),
            (6, AnsweredBy::Unknown, true),
        ] {
            tally.answered(answer(seconds, by, usable));
        }
        let after = tally.candidate_after(start + Duration::from_secs(2));
        assert_eq!(after, CandidateAfter { answers: 2, unusable: 1, last: Some(Duration::from_secs(2)) });
        assert_eq!(tally.candidate_after(start + Duration::from_secs(9)), CandidateAfter::default());
        let counts = tally.counts();
        assert_eq!((counts.answered, counts.by_candidate, counts.by_unknown), (5, 3, 1));
    }

    #[test]
    fn every_failure_is_counted_and_the_first_few_are_kept() {
        let tally = Tally::default();
        for number in 0..9 {
            tally.failed(format!("failure {number}"));
        }
        assert_eq!(tally.counts().failed, 9);
        assert_eq!(tally.failures().len(), FAILURES_KEPT_MAX);
        assert_eq!(tally.failures()[0], "failure 0");
    }
}
