//! Captured legs on their way to the sink.
//!
//! - Bounds: estimated bytes (`outboxBytesMax`, the batch in flight included) and age (`sampleAgeMsMax`).
//! - Drop order when full: the oldest leg without copies (they are many, and any of them stands for the others), then
//!   the oldest leg of a pair. Every loss is counted by variant and reason, and leaves a hole in the sequence.
//! - Sequence numbers are given in the order of arrival, dropped legs included, and survive policy pushes.
//! - One batch is in flight at a time. A 2xx answer is the end of it. 400, 413, 415 and 422 mean that the same bytes
//!   will never be taken: dropped. Everything else, no answer included, sends the same records with the same numbers
//!   again after an exponential backoff with jitter, or what `Retry-After` of a 429 or 503 says where that is later (in
//!   seconds, up to [`RETRY_AFTER_MS_MAX`]), so the receiver removes duplicates by proxy, worker and sequence.
//! - A root that is deleted after a policy push takes the answer that it waits for with it: its batch is sent again at
//!   once by the next root, without counting as a failure. Should an answer get lost in another way, a deadline decides.
//!
//! - A batch holds legs of one policy, which is said once; after a push, the legs of the old policy go first.
//!
//! - Events of the filter itself go with the next batch, up to [`EVENTS_MAX`] of them; the oldest go first.
//!
//! Encoding happens when a batch is made, in the tick or behind an answer, never in an exchange.

use std::collections::VecDeque;
use std::rc::Rc;

use weir_wire::{Event, LegKind, Resource, Variant};

use crate::active::Active;
use crate::batch::Batch;
use crate::exchange::EndedLeg;
use crate::host::{Call, Host};
use crate::metrics::{Count, Loss, Metrics};

/// Longest wait between two attempts.
pub const BACKOFF_MS_MAX: u64 = 30_000;
/// Longest wait that a sink's `Retry-After` is heeded for.
pub const RETRY_AFTER_MS_MAX: u64 = 60_000;
/// How much later than the host's own timeout an answer is given up.
const ANSWER_GRACE_MS: u64 = 1_000;
/// Events that wait to be sent.
pub const EVENTS_MAX: usize = 64;
/// Bytes of a batch around its records: resource, scope, lengths. Node ids are short.
const BATCH_OVERHEAD_BYTES: usize = 512;
/// Legs that are looked at for one of the same policy.
const SCAN_MAX: usize = 256;

/// Where batches go, and the bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The sink's cluster.
    pub cluster: String,
    /// The sink's authority.
    pub authority: String,
    /// The sink's path.
    pub path: String,
    /// Bound of the whole outbox.
    pub bytes_max: usize,
    /// Bound of a batch.
    pub batch_bytes_max: usize,
    /// Bound of a leg's time in the outbox.
    pub age_ms_max: u64,
    /// When a batch without an answer has failed.
    pub timeout_ms: u32,
    /// First wait after a failure.
    pub backoff_ms_min: u64,
}

/// The queue of one worker.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Legs of exchanges without copies.
    single: VecDeque<Item>,
    /// Legs of exchanges with copies.
    paired: VecDeque<Item>,
    events: VecDeque<(Rc<Active>, Event)>,
    attempt: Option<Attempt>,
    bytes: usize,
    next_sequence: u64,
    failures: u32,
    not_before: u64,
    random: u64,
}

#[derive(Debug)]
struct Item {
    sequence: u64,
    since: u64,
    bytes: usize,
    leg: EndedLeg,
}

/// The batch that goes to the sink next, or is on its way.
#[derive(Debug)]
struct Attempt {
    batch: Batch,
    /// It was sent before, so that the sink may have it.
    sent: bool,
    flight: Option<Flight>,
}

/// An attempt that waits for its answer.
#[derive(Debug, Clone, Copy)]
struct Flight {
    root: u32,
    token: u32,
    deadline: u64,
}

impl Outbox {
    /// Takes a leg that ended. Times in nanoseconds.
    pub fn push(&mut self, leg: EndedLeg, now: u64, terms: &Terms, metrics: &mut Metrics) {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let variant = leg.variant();
        metrics.count(Count::Samples(leg.kind, variant));
        let bytes = leg.bytes();
        if bytes > terms.bytes_max {
            metrics.count(Count::Drops(variant, Loss::TooLarge));
            return;
        }
        while self.bytes + bytes > terms.bytes_max {
            let Some(item) = self.single.pop_front().or_else(|| self.paired.pop_front()) else {
                // What is left is in flight, and may be with the sink already.
                metrics.count(Count::Drops(variant, Loss::OutboxFull));
                return;
            };
            self.bytes = self.bytes.saturating_sub(item.bytes);
            metrics.count(Count::Drops(item.leg.variant(), Loss::OutboxFull));
        }
        self.bytes += bytes;
        let item = Item { sequence, since: now, bytes, leg };
        if item.leg.kind != LegKind::Primary || item.leg.exchange.paired() {
            self.paired.push_back(item);
        } else {
            self.single.push_back(item);
        }
    }

    /// Takes an event of a policy; of too many, the oldest is lost (it is also counted and logged).
    pub fn push_event(&mut self, active: Rc<Active>, event: Event) {
        if self.events.len() >= EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back((active, event));
    }

    /// Gives up what is too old, and sends the next batch when the time has come; `root` is the one that sends.
    pub fn pump(
        &mut self,
        host: &impl Host,
        root: u32,
        resource: &Resource,
        terms: &Terms,
        now: u64,
        metrics: &mut Metrics,
    ) {
        self.expire(now, terms, metrics);
        if let Some(flight) = self.flight() {
            if now < flight.deadline {
                return;
            }
            self.failed(now, terms, metrics);
        }
        if now < self.not_before {
            return;
        }
        if self.attempt.is_none() {
            self.attempt = self.next_batch(terms, now, metrics);
        }
        let Some(attempt) = &mut self.attempt else { return };
        let sent = host.post(&Call {
            cluster: &terms.cluster,
            authority: &terms.authority,
            path: &terms.path,
            content_type: "application/x-protobuf",
            body: &attempt.batch.encode(resource),
            timeout_ms: terms.timeout_ms,
        });
        match sent {
            Ok(token) => {
                if attempt.sent {
                    metrics.count_many(Count::Resent, attempt.batch.records().count() as u64);
                }
                attempt.sent = true;
                let wait_ms = u64::from(terms.timeout_ms) + ANSWER_GRACE_MS;
                attempt.flight =
                    Some(Flight { root, token, deadline: now.saturating_add(nanoseconds(wait_ms)) });
            }
            Err(_) => self.failed(now, terms, metrics),
        }
    }

    /// The sink answered (status 0: the host gave up), and said perhaps after how many seconds it wants to be asked again.
    /// `false` when the answer is of no batch that is waited for.
    pub fn answered(
        &mut self,
        token: u32,
        status: u16,
        retry_after_s: Option<u64>,
        now: u64,
        terms: &Terms,
        metrics: &mut Metrics,
    ) -> bool {
        if self.flight().is_none_or(|flight| flight.token != token) {
            return false;
        }
        match status {
            200..=299 => {
                self.failures = 0;
                self.not_before = 0;
                self.finish(Count::Sent, metrics);
            }
            400 | 413 | 415 | 422 => {
                metrics.count(Count::SinkFailures);
                self.finish(|variant| Count::Drops(variant, Loss::Refused), metrics);
            }
            _ => {
                self.failed(now, terms, metrics);
                let wait_ms = retry_after_s.unwrap_or(0).saturating_mul(1_000).min(RETRY_AFTER_MS_MAX);
                // Not at once when the wait is over: workers that were told the same come back apart.
                let apart_ms = self.next_random() % (wait_ms / 8 + 1);
                let asked_for = now.saturating_add(nanoseconds(wait_ms + apart_ms));
                self.not_before = self.not_before.max(asked_for);
            }
        }
        true
    }

    /// A root is gone, and with it the answer that it may have waited for.
    pub fn root_gone(&mut self, root: u32) {
        if let Some(attempt) = &mut self.attempt {
            attempt.flight = attempt.flight.filter(|flight| flight.root != root);
        }
    }

    /// Estimated bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the oldest leg belongs to another policy than this one.
    pub(crate) fn is_behind(&self, active: &Rc<Active>) -> bool {
        let mut oldest = [self.single.front(), self.paired.front()].into_iter().flatten();
        oldest.any(|item| !Rc::ptr_eq(&item.leg.exchange.active, active))
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.attempt.is_none() && self.single.is_empty() && self.paired.is_empty() && self.events.is_empty()
    }

    /// Seeds the jitter.
    pub fn seed(&mut self, random: u64) {
        self.random = random;
    }

    fn flight(&self) -> Option<Flight> {
        self.attempt.as_ref()?.flight
    }

    fn finish(&mut self, count: impl Fn(Variant) -> Count, metrics: &mut Metrics) {
        let Some(Attempt { batch, .. }) = self.attempt.take() else {
            return;
        };
        self.bytes = self.bytes.saturating_sub(batch.bytes());
        for variant in batch.records().filter_map(|record| record.variant) {
            metrics.count(count(variant));
        }
    }

    fn failed(&mut self, now: u64, terms: &Terms, metrics: &mut Metrics) {
        metrics.count(Count::SinkFailures);
        if let Some(attempt) = &mut self.attempt {
            attempt.flight = None;
        }
        let ceiling =
            terms.backoff_ms_min.max(1).saturating_mul(1 << self.failures.min(16)).min(BACKOFF_MS_MAX);
        self.failures = self.failures.saturating_add(1);
        // Half fixed, half random: workers that failed together do not come back together.
        let wait_ms = ceiling / 2 + self.next_random() % (ceiling / 2 + 1);
        self.not_before = now.saturating_add(nanoseconds(wait_ms));
    }

    fn expire(&mut self, now: u64, terms: &Terms, metrics: &mut Metrics) {
        let age_max = nanoseconds(terms.age_ms_max);
        let too_old = |since: u64| now.saturating_sub(since) > age_max;
        let mut freed = 0;
        for queue in [&mut self.single, &mut self.paired] {
            while queue.front().is_some_and(|item| too_old(item.since)) {
                if let Some(item) = queue.pop_front() {
                    freed += item.bytes;
                    metrics.count(Count::Drops(item.leg.variant(), Loss::TooOld));
                }
            }
        }
        // A batch in flight may have arrived: it is given up only between attempts.
        if let Some(attempt) = self.attempt.as_mut().filter(|attempt| attempt.flight.is_none()) {
            let before = attempt.batch.bytes();
            attempt.batch.retain(
                |record| !too_old(record.since),
                |record| {
                    if let Some(variant) = record.variant {
                        metrics.count(Count::Drops(variant, Loss::TooOld));
                    }
                },
            );
            freed += before - attempt.batch.bytes();
            if attempt.batch.is_empty() {
                self.attempt = None;
            }
        }
        self.bytes = self.bytes.saturating_sub(freed);
    }

    /// Encodes the oldest legs, as many as fit.
    fn next_batch(&mut self, terms: &Terms, now: u64, metrics: &mut Metrics) -> Option<Attempt> {
        let oldest = [self.single.front(), self.paired.front()].into_iter().flatten();
        let oldest = oldest.min_by_key(|item| item.sequence).map(|item| &item.leg.exchange.active);
        let mut batch = Batch::new(Rc::clone(oldest.or(self.events.back().map(|(active, _)| active))?));
        for (_, event) in self.events.drain(..) {
            batch.push_event(&event, now);
        }
        let bytes_max = terms.batch_bytes_max.saturating_sub(BATCH_OVERHEAD_BYTES);
        let mut first = true;
        loop {
            // The first leg is taken in any case: nothing else could become of it.
            let left = if first { usize::MAX } else { bytes_max.saturating_sub(batch.bytes()) };
            let Some(item) = self.pop_oldest(left, batch.active()) else { break };
            self.bytes = self.bytes.saturating_sub(item.bytes);
            if batch.push(&item.leg, item.sequence, item.since, bytes_max) {
                first = false;
            } else {
                metrics.count(Count::Drops(item.leg.variant(), Loss::TooLarge));
            }
        }
        self.bytes += batch.bytes();
        (!batch.is_empty()).then_some(Attempt { batch, sent: false, flight: None })
    }

    /// The oldest leg of a policy, if its estimate (which is above its encoded size) fits. Legs of several experiments
    /// stand mixed, so that it need not be at the front.
    fn pop_oldest(&mut self, bytes_max: usize, policy: &Rc<Active>) -> Option<Item> {
        let find = |queue: &VecDeque<Item>| {
            let of_policy = |(_, item): &(usize, &Item)| Rc::ptr_eq(policy, &item.leg.exchange.active);
            let (index, item) = queue.iter().take(SCAN_MAX).enumerate().find(of_policy)?;
            Some((item.sequence, item.bytes, index))
        };
        let (queue, (_, bytes, index)) = match (find(&self.single), find(&self.paired)) {
            (None, None) => return None,
            (Some(single), None) => (&mut self.single, single),
            (None, Some(paired)) => (&mut self.paired, paired),
            (Some(single), Some(paired)) if single.0 < paired.0 => (&mut self.single, single),
            (Some(_), Some(paired)) => (&mut self.paired, paired),
        };
        if bytes > bytes_max { None } else { queue.remove(index) }
    }

    /// Xorshift: good enough to spread retries.
    fn next_random(&mut self) -> u64 {
        let mut state = self.random | 1;
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.random = state;
        state
    }
}

fn nanoseconds(milliseconds: u64) -> u64 {
    milliseconds.saturating_mul(1_000_000)
}
