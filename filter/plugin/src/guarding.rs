//! How answers of the candidate reach the guard, and what happens when it trips.
//!
//! Host calls of an exchange that is watched and not captured, beside the others: the time twice where slowness is
//! watched, the status, and the response flags where an answer breaks off. A captured exchange has all but the flags.

use std::rc::Rc;

use weir_policy::Variant;
use weir_wire::{Event, GUARD_TRIPPED, LegKind};

use crate::active::Active;
use crate::captured::Captured;
use crate::filter::{Filter, Stream};
use crate::guard::{Outcome, Trip};
use crate::host::{Host, Level, Map};

/// Response flags that say that the client left: its connection ended (DC), or it reset its stream (DR).
const CLIENT_LEFT: u64 = 1 << 14 | 1 << 28;

/// An exchange of the candidate that is watched without being captured. Times in nanoseconds, 0: not known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watched {
    cohort: u16,
    start: u64,
    headers: u64,
    status: u16,
    pub(crate) ended: bool,
}

impl<H: Host> Filter<H> {
    /// Watches an exchange, where it is the candidate's and there is a guard.
    pub(crate) fn watched(
        &mut self,
        active: &Active,
        variant: Variant,
        cohort: Option<u16>,
    ) -> Option<Watched> {
        let guard = active.policy.guard.as_ref().filter(|_| variant == Variant::Candidate)?;
        let start = if guard.slow_ms.is_some() { self.now() } else { 0 };
        Some(Watched { cohort: cohort?, start, ..Watched::default() })
    }

    /// The response of a watched exchange begins.
    pub(crate) fn watch_headers(&mut self, context: u32, end: bool) {
        let status = self.status(Map::Response);
        let timed = matches!(self.streams.get(&context), Some(Stream::Assigned { watched: Some(it), .. }) if it.start != 0);
        let now = if timed { self.now() } else { 0 };
        if let Some(Stream::Assigned { watched: Some(watched), .. }) = self.streams.get_mut(&context) {
            watched.status = status;
            watched.headers = now;
            watched.ended |= end;
        }
    }

    /// A watched exchange is over.
    pub(crate) fn end_watched(&mut self, active: &Rc<Active>, watched: Watched) {
        self.judge(active, &watched);
    }

    /// A captured leg is over.
    pub(crate) fn watch_captured(&mut self, captured: &Captured) {
        let exchange = &captured.exchange;
        if captured.kind != LegKind::Primary
            || exchange.assigned != Variant::Candidate
            || exchange.active.guards.is_none()
        {
            return;
        }
        let Some(cohort) = exchange.cohort else { return };
        let seen = &captured.seen;
        let watched = Watched {
            cohort,
            start: seen.start,
            headers: seen.headers,
            status: seen.status,
            ended: seen.response_ended,
        };
        let active = Rc::clone(&exchange.active);
        self.judge(&active, &watched);
    }

    fn judge(&mut self, active: &Rc<Active>, watched: &Watched) {
        let Some((guard, guards)) = active.policy.guard.as_ref().zip(active.guards.as_ref()) else { return };
        let slow_after = guard.slow_ms.map(|slow_ms| slow_ms.saturating_mul(1_000_000));
        let is_slow = |then: u64| {
            slow_after.is_some_and(|limit| watched.start != 0 && then.saturating_sub(watched.start) > limit)
        };
        let outcome = if watched.status == 0 {
            // No answer, so the client left: whose fault that is, only its patience can tell.
            if slow_after.is_none() || !is_slow(self.now()) {
                return;
            }
            Outcome { failed: false, slow: true }
        } else {
            let failed = guard.fails(watched.status) || (!watched.ended && !self.client_left());
            Outcome { failed, slow: watched.headers != 0 && is_slow(watched.headers) }
        };
        if let Some(trip) = guards.note(guard, watched.cohort, outcome) {
            self.tripped(active, watched.cohort, trip);
        }
    }

    fn tripped(&mut self, active: &Rc<Active>, cohort: u16, trip: Trip) {
        let (cohort, _, _) = active.cohort(Some(cohort));
        let Trip { reason, answers, failures, slow } = trip;
        self.metrics.count_guard_trip(cohort, reason.as_str());
        self.host.log(
            Level::Warn,
            &format!(
                "weir: guard tripped ({}): cohort {cohort} goes to control on this worker until another policy comes; {failures} failed and {slow} slow of the candidate's latest {answers} answers",
                reason.as_str()
            ),
        );
        let event = Event {
            kind: GUARD_TRIPPED.to_owned(),
            experiment: active.policy.experiment.clone(),
            revision: active.policy.revision,
            policy_digest: active.digest.clone(),
            cohort: cohort.to_owned(),
            reason: reason.as_str().to_owned(),
            answers,
            failures,
            slow,
            time_unix_nano: self.now(),
        };
        self.outbox.push_event(Rc::clone(active), event);
    }

    /// Whether an answer broke off because the client left; also where the host does not say.
    fn client_left(&mut self) -> bool {
        self.response_flags().is_none_or(|flags| flags == 0 || flags & CLIENT_LEFT != 0)
    }

    /// Envoy's response flags, in the order of its documentation from bit 0 (LH) on.
    pub(crate) fn response_flags(&mut self) -> Option<u64> {
        let mut bytes = self.take_scratch();
        let found = self.host.property(&["response", "flags"], &mut bytes) == Ok(true);
        let flags = bytes.first_chunk::<8>().filter(|_| found).map(|bytes| u64::from_le_bytes(*bytes));
        self.return_scratch(bytes);
        flags
    }
}
