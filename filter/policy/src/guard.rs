//! When the filter itself takes the candidate away from a cohort, without asking anybody.
//!
//! A guard is for what cannot wait for the gates: a candidate that fails or hangs. It looks at the candidate's latest
//! answers to users, per cohort and worker. It is a threshold, not a test: choose it so far from what is usual that
//! chance does not reach it (with `answersMin` 20 and 50 %, eleven failures of twenty).

use weir_document::{Collector, Items, Path, document};

use crate::{Share, StatusMatch};

document! {
    /// When the filter takes the candidate away from a cohort, per worker; a later policy gives it back.
    pub struct Guard {
        /// How many of the candidate's latest answers to a cohort are looked at.
        pub answers: u64 = 100 => 10..=10_000,
        /// How many there have to be before anything is decided.
        pub answers_min: u64 = 20 => 5..=10_000,
        /// Share of them that may fail, in percent.
        pub failure_percent_max: Option<Share>,
        /// Statuses that are failures; an answer that breaks off is one too.
        pub failure_statuses: Vec<StatusMatch> = vec![StatusMatch::Class(5), StatusMatch::One(429)] => Items(1..=32),
        /// Milliseconds until the answer begins, after which it is slow.
        pub slow_ms: Option<u64> => 1..=3_600_000,
        /// Share of them that may be slow, in percent.
        pub slow_percent_max: Option<Share>,
    }
    check check_answers(answers, answers_min);
    check check_budgets(failure_percent_max, slow_ms, slow_percent_max);
}

impl Guard {
    /// Whether a status is a failure. 0 is no answer: no status, and no failure by itself.
    #[must_use]
    pub fn fails(&self, status: u16) -> bool {
        self.failure_statuses.iter().any(|failure| failure.matches(status))
    }
}

fn check_answers(answers: &u64, answers_min: &u64, at: &Path<'_>, problems: &mut Collector) {
    if answers_min > answers {
        problems
            .report(&at.key("answersMin"), "is more than answers")
            .number_value(answers_min)
            .allowed(format!("5 to {answers}"));
    }
}

fn check_budgets(
    failure_percent_max: &Option<Share>,
    slow_ms: &Option<u64>,
    slow_percent_max: &Option<Share>,
    at: &Path<'_>,
    problems: &mut Collector,
) {
    if failure_percent_max.is_none() && slow_ms.is_none() && slow_percent_max.is_none() {
        problems
            .report(at, "has no budget")
            .allowed("failurePercentMax, or slowMs with slowPercentMax, or both")
            .hint("remove guard to have none");
    } else if slow_ms.is_some() != slow_percent_max.is_some() {
        let missing = if slow_ms.is_some() { "slowPercentMax" } else { "slowMs" };
        problems.report(&at.key(missing), "is missing").hint("slowMs and slowPercentMax belong together");
    }
}
