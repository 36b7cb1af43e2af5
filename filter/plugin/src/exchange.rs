//! What is known of an exchange that is captured, and what a leg of it looked like when it ended.

use std::cell::Cell;
use std::rc::Rc;

use weir_wire::{LegKind, LegView, Variant};

use crate::active::Active;
use crate::capture::Kept;
use crate::copying::Places;
use crate::details::Tag;

/// Estimated bytes of a captured leg besides its bodies: its texts, its record's attribute names, its places in queues.
const LEG_OVERHEAD_BYTES: usize = 2048;

/// The same of a tag besides its name and value.
const TAG_OVERHEAD_BYTES: usize = 64;

/// Shared by the legs of a captured exchange.
#[derive(Debug)]
pub struct Exchange {
    /// The policy that decided.
    pub active: Rc<Active>,
    /// When the request's headers came, nanoseconds since 1970.
    pub start: u64,
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
    /// Hash of the session, if the policy says where it stands.
    pub session_hash: Option<u64>,
    /// The candidate's share of the cohort's identities, parts per million; none where something else decided.
    pub share_ppm: Option<u32>,
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
    pub method: Rc<str>,
    /// Request path with query.
    pub path: Rc<str>,
    /// `x-request-id`: its copies have the same.
    pub request_id: Rc<str>,
    /// Hash of the request id, as the table of pending exchanges knows it.
    pub request_id_hash: u64,
    /// Content type of the request.
    pub request_content_type: Rc<str>,
    /// Legs that ended.
    pub ended: Ended,
    /// Places of its copies among those under way.
    pub(crate) places: Places,
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
    /// A rule captured it whatever was drawn.
    pub certain: bool,
    /// Details that the policy asked for.
    pub(crate) tags: Vec<Tag>,
}

/// What a stream showed of a leg. Times in nanoseconds since 1970; 0: not seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Request headers.
    ///
    /// A copy counts from the start of its original, so that both legs of a pair are measured by the same clock.
    pub start: u64,
    /// Response headers; of an answer with a `content-length`, whose headers and body are written together, the first
    /// byte of its body (two questions to the host's clock less).
    pub headers: u64,
    /// First byte of the response's body.
    pub first_byte: u64,
    /// First token of a stream of events; 0 where none was recognised.
    pub first_token: u64,
    /// The response is a stream of events.
    pub of_events: bool,
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
    pub content_type: Rc<str>,
    /// Content encoding of the response.
    pub content_encoding: Rc<str>,
    /// The end of the request was seen.
    pub request_ended: bool,
    /// The end of the response was seen.
    pub response_ended: bool,
}

impl Exchange {
    /// The sample id: epoch and number, in hex.
    pub fn sample_id(&self) -> String {
        let mut id = hex(self.epoch);
        id.push('-');
        id.push_str(hex(self.number).trim_start_matches('0'));
        id
    }

    /// Whether there are copies that belong to the primary leg.
    pub fn paired(&self) -> bool {
        self.shadow || self.noise
    }

    /// The copies that go along, as the primary leg's record says them.
    fn copies(&self) -> &'static str {
        match (self.shadow, self.noise) {
            (true, true) => "shadow,noise",
            (true, false) => "shadow",
            (false, true) => "noise",
            (false, false) => "none",
        }
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
            + self
                .tags
                .iter()
                .map(|(name, value)| TAG_OVERHEAD_BYTES + name.len() + value.len())
                .sum::<usize>()
    }

    /// The chance that this leg was captured.
    pub(crate) fn inclusion_probability(&self) -> f64 {
        match self.kind {
            LegKind::Primary if self.certain => 1.0,
            LegKind::Primary => self.exchange.probability_primary,
            LegKind::Shadow => self.exchange.probability_shadow,
            LegKind::Noise => self.exchange.probability_noise,
        }
    }

    /// What `read` makes of the leg as it goes to the sink.
    pub(crate) fn with_view<T>(&self, sequence: u64, read: impl FnOnce(&LegView<'_>) -> T) -> T {
        let variant = self.variant();
        let (exchange, seen) = (&*self.exchange, &self.seen);
        let active = &exchange.active;
        let (cohort, tier, autonomy) = active.cohort(exchange.cohort);
        let identity_hash = exchange.identity_hash.map(hex).unwrap_or_default();
        let is_primary = self.kind == LegKind::Primary;
        let session_id = exchange.session_hash.filter(|_| is_primary).map(hex).unwrap_or_default();
        let tags: Vec<(&str, &str)> = self.tags.iter().map(|(name, value)| (&**name, &**value)).collect();
        read(&LegView {
            sample_id: &exchange.sample_id(),
            leg: self.kind,
            variant,
            snapshot: active.snapshot(variant),
            cohort,
            tier,
            autonomy,
            identity_hash: &identity_hash,
            session_id: &session_id,
            inclusion_probability: self.inclusion_probability(),
            candidate_share: exchange.share_ppm.filter(|_| is_primary).map(|ppm| f64::from(ppm) / 1e6),
            copies: if is_primary { exchange.copies() } else { "" },
            sequence,
            start_unix_nano: seen.start,
            method: &exchange.method,
            path: &exchange.path,
            request_id: &exchange.request_id,
            status: seen.status,
            latency_ms: seen.since_start_ms(seen.end),
            ttfb_ms: seen.since_start_ms(seen.headers),
            // An answer that comes in one piece is there with its first byte.
            ttft_ms: seen.since_start_ms(if seen.of_events { seen.first_token } else { seen.first_byte }),
            chunks: seen.chunks,
            longest_gap_ms: (seen.chunks > 1).then(|| milliseconds(seen.longest_gap)),
            request_content_type: &exchange.request_content_type,
            response_content_type: &seen.content_type,
            response_content_encoding: &seen.content_encoding,
            request_body: self.request.as_ref().map_or(&[], |request| &request.head),
            request_body_tail: self.request.as_ref().map_or(&[], |request| &request.tail),
            request_body_bytes: self.request.as_ref().map(|request| request.total),
            response_body: &self.response.head,
            response_body_tail: &self.response.tail,
            response_body_bytes: self.response.total,
            complete: seen.request_ended && seen.response_ended,
            tags: &tags,
        })
    }
}

impl Seen {
    /// `None` when one of the two was not seen; 0 when the clock went backwards (which the stream has counted).
    fn since_start_ms(&self, then: u64) -> Option<f64> {
        (self.start != 0 && then != 0).then(|| milliseconds(then.saturating_sub(self.start)))
    }
}

/// 16 hex digits; a tenth of the time that formatting takes.
fn hex(number: u64) -> String {
    let digit = |at: u32| char::from_digit((number >> (60 - 4 * at) & 0xf) as u32, 16).unwrap_or('0');
    (0..16).map(digit).collect()
}

fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}
