//! What is known of an exchange that is captured, and what a leg of it looked like when it ended.

use std::cell::Cell;
use std::rc::Rc;

use weir_wire::{Leg, LegKind, Variant};

use crate::active::Active;
use crate::capture::Kept;

/// Estimated bytes of a captured leg besides its bodies: its texts, its record's attribute names, its places in queues.
const LEG_OVERHEAD_BYTES: usize = 2048;

/// Shared by the legs of a captured exchange.
#[derive(Debug)]
pub struct Exchange {
    /// The policy that decided.
    pub active: Rc<Active>,
    /// Number within the worker's epoch; with the epoch, the sample id.
    pub number: u64,
    /// Epoch of the worker.
    pub epoch: u64,
    /// Index of the cohort in the policy; `None` when none matched.
    pub cohort: Option<u16>,
    /// Who serves the primary leg.
    pub assigned: weir_policy::Variant,
    /// Hash of the identity, if there was one.
    pub identity_hash: Option<u64>,
    /// Chance that the primary leg was captured.
    pub probability_primary: f64,
    /// Chance that the shadow leg was captured.
    pub probability_shadow: f64,
    /// Chance that the noise leg was captured.
    pub probability_noise: f64,
    /// A copy goes to the candidate.
    pub shadow: bool,
    /// A copy goes to control.
    pub noise: bool,
    /// Request method.
    pub method: String,
    /// Request path with query.
    pub path: String,
    /// `x-request-id`.
    pub request_id: String,
    /// Content type of the request.
    pub request_content_type: String,
    /// Legs that ended.
    pub ended: Ended,
}

/// Which legs of an exchange ended.
#[derive(Debug, Default)]
pub struct Ended(Cell<u8>);

/// A leg that ended.
#[derive(Debug)]
pub struct EndedLeg {
    /// Its exchange.
    pub exchange: Rc<Exchange>,
    /// Which leg.
    pub kind: LegKind,
    /// Times, status and what else the stream showed.
    pub seen: Seen,
    /// The request's body; only of the primary leg.
    pub request: Option<Kept>,
    /// The response's body.
    pub response: Kept,
}

/// What a stream showed of a leg. Times in nanoseconds since 1970; 0: not seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Request headers.
    pub start: u64,
    /// Response headers.
    pub headers: u64,
    /// First byte of the response's body.
    pub first_byte: u64,
    /// The latest chunk of the response's body.
    pub last_chunk: u64,
    /// End of the response.
    pub end: u64,
    /// Longest time between two chunks, nanoseconds.
    pub longest_gap: u64,
    /// Chunks of the response's body.
    pub chunks: u64,
    /// Response status, 0 without a response.
    pub status: u16,
    /// Content type of the response.
    pub content_type: String,
    /// Content encoding of the response.
    pub content_encoding: String,
    /// The end of the request was seen.
    pub request_ended: bool,
    /// The end of the response was seen.
    pub response_ended: bool,
}

impl Exchange {
    /// The sample id: epoch and number, in hex.
    pub fn sample_id(&self) -> String {
        sample_id(self.epoch, self.number)
    }

    /// Whether there are copies that belong to the primary leg.
    pub fn paired(&self) -> bool {
        self.shadow || self.noise
    }

    /// Whether the exchange has such a leg.
    pub fn expects(&self, leg: LegKind) -> bool {
        match leg {
            LegKind::Primary => true,
            LegKind::Shadow => self.shadow,
            LegKind::Noise => self.noise,
        }
    }

    /// Notes the end of a leg; `false` when it had ended before.
    pub fn end(&self, leg: LegKind) -> bool {
        let new = !self.has_ended(leg);
        self.ended.0.set(self.ended.0.get() | 1 << leg as u8);
        new
    }

    /// Whether a leg ended.
    pub fn has_ended(&self, leg: LegKind) -> bool {
        self.ended.0.get() & 1 << leg as u8 != 0
    }

    /// Legs that are expected and have not ended.
    pub fn missing(&self) -> impl Iterator<Item = LegKind> {
        [LegKind::Primary, LegKind::Shadow, LegKind::Noise]
            .into_iter()
            .filter(|leg| self.expects(*leg) && !self.has_ended(*leg))
    }
}

/// The sample id of a number in an epoch.
pub fn sample_id(epoch: u64, number: u64) -> String {
    format!("{epoch:016x}-{number:x}")
}

/// The number, when the sample id is of this epoch.
pub fn parse_sample_id(text: &[u8], epoch: u64) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let (found, number) = text.split_once('-')?;
    if found.len() != 16 || u64::from_str_radix(found, 16).ok()? != epoch {
        return None;
    }
    u64::from_str_radix(number, 16).ok()
}

impl EndedLeg {
    /// Who answered this leg.
    pub fn variant(&self) -> Variant {
        match self.kind {
            LegKind::Primary => crate::stream::to_wire(self.exchange.assigned),
            LegKind::Shadow => Variant::Candidate,
            LegKind::Noise => Variant::Control,
        }
    }

    /// Estimated bytes in memory and, roughly, on the wire.
    pub fn bytes(&self) -> usize {
        let kept = |kept: &Kept| kept.head.capacity() + kept.tail.capacity();
        LEG_OVERHEAD_BYTES
            + self.exchange.path.len()
            + kept(&self.response)
            + self.request.as_ref().map_or(0, kept)
    }

    /// The record to send.
    pub fn into_leg(self, sequence: u64) -> Leg {
        let variant = self.variant();
        let exchange = &self.exchange;
        let active = &exchange.active;
        let mut leg = Leg::new(exchange.sample_id(), self.kind, variant, active.policy.experiment.clone());
        leg.revision = active.policy.revision;
        leg.policy_digest.clone_from(&active.digest);
        leg.snapshot.clone_from(active.snapshot(variant));
        let (cohort, tier, autonomy) = active.cohort(exchange.cohort);
        leg.cohort = cohort.to_owned();
        leg.tier = tier.to_owned();
        leg.autonomy = autonomy.to_owned();
        if let Some(hash) = exchange.identity_hash {
            leg.identity_hash = format!("{hash:016x}");
        }
        leg.inclusion_probability = match self.kind {
            LegKind::Primary => exchange.probability_primary,
            LegKind::Shadow => exchange.probability_shadow,
            LegKind::Noise => exchange.probability_noise,
        };
        leg.sequence = sequence;
        leg.method.clone_from(&exchange.method);
        leg.path.clone_from(&exchange.path);
        leg.request_id.clone_from(&exchange.request_id);
        leg.request_content_type.clone_from(&exchange.request_content_type);
        self.seen.write_to(&mut leg);
        if let Some(request) = self.request {
            leg.request_body_bytes = Some(request.total);
            leg.request_body = request.head;
            leg.request_body_tail = request.tail;
        }
        leg.response_body_bytes = self.response.total;
        leg.response_body = self.response.head;
        leg.response_body_tail = self.response.tail;
        leg
    }
}

impl Seen {
    fn write_to(self, leg: &mut Leg) {
        leg.start_unix_nano = self.start;
        leg.status = self.status;
        leg.latency_ms = self.since_start_ms(self.end);
        leg.ttfb_ms = self.since_start_ms(self.headers);
        leg.ttft_ms = self.since_start_ms(self.first_byte);
        leg.chunks = self.chunks;
        leg.longest_gap_ms = (self.chunks > 1).then(|| milliseconds(self.longest_gap));
        leg.complete = self.request_ended && self.response_ended;
        leg.response_content_type = self.content_type;
        leg.response_content_encoding = self.content_encoding;
    }

    /// `None` when one of the two was not seen; 0 when the clock went backwards (which the stream has counted).
    fn since_start_ms(&self, then: u64) -> Option<f64> {
        (self.start != 0 && then != 0).then(|| milliseconds(then.saturating_sub(self.start)))
    }
}

fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}
