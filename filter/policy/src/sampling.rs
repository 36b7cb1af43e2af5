//! Which exchanges without copies are captured: a share, some in any case, and no more than so many.
//!
//! Every sample says with which probability it was captured, given the request and what came before it:
//!
//! - an exchange that an always-rule takes: 1, also where the draw alone would have taken it;
//! - any other: `1 - (1 - shadow)(1 - noise)(1 - share x scale)`, where `scale` is 1 without a cap.
//!
//! A cap sets the scale at every tick: the places that are left over the exchanges that the share would have taken since
//! the tick before, at most 1. Places are filled up at every tick, at most to those of a second. Where they run out all the
//! same, exchanges are skipped and counted (`weir_skipped_total`, reason `per_second`), and the probabilities of that tick are
//! upper bounds. Always-rules may use the places of the next second in advance.

use weir_document::{Collector, Items, Path, document};

use crate::check::check_kept_header;
use crate::flags::{allowed, flag_bit};
use crate::{HeaderName, Share, StatusMatch};

document! {
    /// Capture of exchanges without copies; exchanges with copies are always captured.
    pub struct Sampling {
        /// Share of the exchanges that is captured, in percent.
        pub percent: Share = Share::from_whole_percent(10),
        /// How many exchanges without copies are captured in a second, per worker.
        pub per_second_max: Option<u64> => 1..=1_000_000,
        /// What is captured in any case.
        pub always: Option<Always>,
    }
}

document! {
    /// Exchanges that are captured whatever the share is. The rules from `statuses` on are known only at the end, so that
    /// with one of them every exchange is captured first, and forgotten then.
    pub struct Always {
        /// Exchanges that the candidate answers.
        pub candidate: bool = false,
        /// Header with the session: its first exchange on each worker.
        pub session_header: Option<HeaderName>,
        /// Statuses of the response.
        pub statuses: Option<Vec<StatusMatch>> => Items(1..=32),
        /// Envoy's response flags, such as UF; costs a question to the host per exchange.
        pub response_flags: Option<Vec<String>> => Items(1..=32),
        /// Milliseconds after which an exchange is slow.
        pub slow_ms: Option<u64> => 1..=3_600_000,
        /// Exchanges that broke off, and those with a body longer than what is kept of it.
        pub truncated: bool = false,
    }
    check check_session_header(session_header);
    check check_flags(response_flags);
    validate check_rules;
}

impl Sampling {
    /// Whether it is known only at the end of an exchange if it is captured.
    #[must_use]
    pub fn decides_at_the_end(&self) -> bool {
        self.always.as_ref().is_some_and(Always::decides_at_the_end)
    }
}

impl Always {
    /// Whether a rule is known only at the end of an exchange.
    #[must_use]
    pub fn decides_at_the_end(&self) -> bool {
        self.statuses.is_some() || self.response_flags.is_some() || self.slow_ms.is_some() || self.truncated
    }

    /// Whether a status is among those that are captured in any case.
    #[must_use]
    pub fn takes_status(&self, status: u16) -> bool {
        self.statuses.iter().flatten().any(|wanted| wanted.matches(status))
    }

    /// The bits of the response flags that are captured in any case.
    #[must_use]
    pub fn flags(&self) -> u64 {
        self.response_flags.iter().flatten().filter_map(|name| flag_bit(name)).fold(0, |bits, bit| bits | bit)
    }
}

fn check_session_header(header: &Option<HeaderName>, at: &Path<'_>, problems: &mut Collector) {
    if let Some(header) = header {
        check_kept_header(header, &at.key("sessionHeader"), problems);
    }
}

fn check_flags(flags: &Option<Vec<String>>, at: &Path<'_>, problems: &mut Collector) {
    for (index, flag) in flags.iter().flatten().enumerate() {
        if flag_bit(flag).is_none() {
            problems
                .report(&at.key("responseFlags").index(index), "is not a response flag of Envoy")
                .text_value(flag)
                .allowed(allowed());
        }
    }
}

fn check_rules(always: &Always, at: &Path<'_>, problems: &mut Collector) {
    let at_the_start = always.candidate || always.session_header.is_some();
    if !at_the_start && !always.decides_at_the_end() {
        problems
            .report(at, "has no rule")
            .allowed("candidate, sessionHeader, statuses, responseFlags, slowMs, truncated")
            .hint("remove always to capture the share only");
    }
}
