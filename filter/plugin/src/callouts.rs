//! Copies that the filter sends itself (`shadow.transport: callout`), where no filter can be put on a cluster.
//!
//! The question is kept until its primary leg is over, and sent from the root's tick: a call that an exchange makes loses
//! its answer when the exchange is over. What a mirror does better, and why it is the default:
//!
//! - A question longer than `bodyBytesMax` has no copy (it is not kept whole), nor one with more than
//!   [`HEADERS_BYTES_MAX`] of headers; both are counted as skipped.
//! - A copy leaves at the next tick, up to `flushIntervalMs` later; its time counts from there.
//! - An answer comes whole: no time to its first byte, no chunks. Envoy gives up beyond some 32 MiB, and after
//!   `shadow.timeoutMs`; both are legs without an answer.
//! - A policy push loses the answers that are on their way: half pairs, counted as such at once. They are not asked for
//!   again: the candidate has seen the question.
//! - A question's trailers are not copied, and an answer's are not seen (nor does a mirror's leg hold them). gRPC is copied
//!   where the whole question is there before its answer; an upgrade never is, by either transport.
//! - Nothing is known of the upstream host and the attempt.
//!
//! Bounds: [`WAITING_MAX`] copies that wait and [`BYTES_MAX`] of them, [`FLIGHTS_MAX`] under way (fewer by
//! `shadow.inFlightMax`), `sampleAgeMsMax` of waiting.

use std::collections::VecDeque;
use std::rc::Rc;

use weir_policy::{FieldSetter, Variant, headers as names};
use weir_wire::LegKind;

use crate::active::Active;
use crate::captured::Captured;
use crate::copying::Place;
use crate::exchange::Exchange;
use crate::filter::Filter;
use crate::headers::{Headers, encode};
use crate::host::{Host, Map};
use crate::metrics::{Count, Half, Skip};

/// Largest header map of a question that is copied.
pub(crate) const HEADERS_BYTES_MAX: usize = 16 * 1024;
/// Copies that wait for a tick.
pub(crate) const WAITING_MAX: usize = 256;
/// Bytes of them.
pub(crate) const BYTES_MAX: usize = 2 << 20;
/// Copies under way.
pub(crate) const FLIGHTS_MAX: usize = 100;

/// Headers that belong to a connection, or to Envoy.
const NOT_COPIED: [&str; 8] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-connection",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Copies of one worker.
#[derive(Debug, Default)]
pub(crate) struct Callouts {
    waiting: VecDeque<Waiting>,
    flights: Vec<Flight>,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting {
    exchange: Rc<Exchange>,
    leg: LegKind,
    headers: Rc<[u8]>,
    body: Rc<[u8]>,
    since: u64,
}

#[derive(Debug)]
struct Flight {
    token: u32,
    root: u32,
    exchange: Rc<Exchange>,
    leg: LegKind,
    start: u64,
    question_bytes: u64,
    place: Option<Place>,
}

impl Callouts {
    fn wait(&mut self, waiting: Waiting) -> bool {
        let bytes = waiting.headers.len() + waiting.body.len();
        let fits = self.waiting.len() < WAITING_MAX && self.bytes + bytes <= BYTES_MAX;
        if fits {
            self.bytes += bytes;
            self.waiting.push_back(waiting);
        }
        fits
    }

    fn next(&mut self) -> Option<Waiting> {
        if self.flights.len() >= FLIGHTS_MAX {
            return None;
        }
        let next = self.waiting.pop_front()?;
        self.bytes = self.bytes.saturating_sub(next.headers.len() + next.body.len());
        Some(next)
    }
}

impl<H: Host> Filter<H> {
    /// Keeps the question of an exchange that is over, for its copies.
    pub(crate) fn queue_callouts(&mut self, captured: &mut Captured, now: u64) {
        let Some(headers) = captured.question_headers.take() else { return };
        let exchange = Rc::clone(&captured.exchange);
        let body: Option<Rc<[u8]>> = captured.whole_question().map(Rc::from);
        for leg in [LegKind::Shadow, LegKind::Noise].into_iter().filter(|leg| exchange.expects(*leg)) {
            let waiting = body.as_ref().map(|body| Waiting {
                exchange: Rc::clone(&exchange),
                leg,
                headers: Rc::clone(&headers),
                body: Rc::clone(body),
                since: now,
            });
            let why = match waiting {
                None => Some(Skip::TooLarge),
                Some(waiting) => (!self.callouts.wait(waiting)).then_some(Skip::Busy),
            };
            if let Some(why) = why {
                self.metrics.count(Count::Skipped(leg, why));
                self.pending.forget(&exchange, leg);
            }
        }
    }

    /// Sends what waits; from the tick of the root that is named.
    pub(crate) fn send_callouts(&mut self, root: u32, now: u64) {
        while let Some(waiting) = self.callouts.next() {
            let Waiting { exchange, leg, headers, body, since } = waiting;
            let active = Rc::clone(&exchange.active);
            let age_max = active.terms.age_ms_max.saturating_mul(1_000_000);
            let cluster = match leg {
                LegKind::Noise => active.policy.noise.cluster.as_deref(),
                _ => active.policy.shadow_cluster(),
            };
            let timeout_ms = u32::try_from(active.policy.shadow.timeout_ms()).unwrap_or(u32::MAX);
            let (headers, body) = question(&active, &exchange, leg, Headers::new(&headers), &body);
            let fresh = now.saturating_sub(since) <= age_max;
            let sent = cluster
                .filter(|_| fresh)
                .and_then(|cluster| self.host.call(cluster, &headers, &body, timeout_ms).ok());
            let place = exchange.places.take(leg);
            match sent {
                Some(token) => self.callouts.flights.push(Flight {
                    token,
                    root,
                    leg,
                    start: now,
                    question_bytes: body.len() as u64,
                    place,
                    exchange,
                }),
                None => {
                    self.metrics.count(Count::Skipped(leg, Skip::HostRefused));
                    self.pending.forget(&exchange, leg);
                }
            }
        }
    }

    /// A root is gone, and with it the answers that it waits for.
    pub(crate) fn callouts_lost(&mut self, root: u32) {
        for lost in self.callouts.flights.extract_if(.., |flight| flight.root == root) {
            self.metrics.count(Count::HalfPairs(lost.leg, Half::Push));
            self.pending.forget(&lost.exchange, lost.leg);
        }
    }

    /// The answer to a call, with its size. `false`: no copy has asked for it.
    pub(crate) fn callout_answered(&mut self, token: u32, headers: u32, body_size: usize) -> bool {
        let Some(place) = self.callouts.flights.iter().position(|flight| flight.token == token) else {
            return false;
        };
        let flight = self.callouts.flights.swap_remove(place);
        self.capturing += 1;
        let mut captured = Captured::new(flight.exchange, flight.leg, true, &mut self.memory);
        captured.place = flight.place;
        captured.called(flight.start, flight.question_bytes);
        if headers > 0 {
            let now = self.now();
            let mut bytes = self.take_scratch();
            if self.host.headers(Map::CallResponse, &mut bytes).is_err() {
                self.metrics.count(Count::HostRefusals);
            }
            captured.response_headers(&mut self.texts, Headers::new(&bytes));
            self.return_scratch(bytes);
            captured.response_began(&mut self.metrics, now);
            captured.response_body(&self.host, &mut self.metrics, &mut self.memory, body_size, true, now);
        }
        self.end_leg(captured);
        true
    }
}

/// The copy of a question: what the client asked, marked, and with what the candidate's own request has other.
fn question(
    active: &Active,
    exchange: &Exchange,
    leg: LegKind,
    headers: Headers<'_>,
    body: &[u8],
) -> (Vec<u8>, Vec<u8>) {
    let rewriting = active.rewriting.as_ref().filter(|_| leg == LegKind::Shadow);
    let copied = |name: &[u8], value: &[u8]| {
        !active.policy.owns_header(name)
            && (name != b"te" || value == b"trailers")
            && !name.starts_with(b"x-envoy-")
            && !NOT_COPIED.iter().any(|other| other.as_bytes() == name)
    };
    let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = headers
        .pairs()
        .filter(|(name, value)| copied(name, value))
        .map(|(name, value)| (name.to_vec(), value.to_vec()))
        .collect();
    let mut set = |name: &str, value: &[u8]| {
        pairs.retain(|(known, _)| known != name.as_bytes());
        pairs.push((name.as_bytes().to_vec(), value.to_vec()));
    };
    set(names::LEG, leg.as_str().as_bytes());
    if leg == LegKind::Shadow {
        let (_, _, autonomy) = active.cohort(exchange.cohort);
        for header in active.policy.upstream_headers() {
            let (name, value) = match header {
                weir_policy::UpstreamHeader::Experiment => {
                    (names::EXPERIMENT, active.policy.experiment.as_str())
                }
                weir_policy::UpstreamHeader::Variant => (names::VARIANT, Variant::Candidate.as_str()),
                weir_policy::UpstreamHeader::Snapshot => {
                    (names::SNAPSHOT, active.snapshot(weir_wire::Variant::Candidate).as_str())
                }
                weir_policy::UpstreamHeader::Autonomy => (names::AUTONOMY, autonomy),
            };
            if !value.is_empty() {
                set(name, value.as_bytes());
            }
        }
    }
    let mut rewritten = Vec::new();
    if let Some(rewriting) = rewriting {
        for (name, value) in rewriting.headers_for(headers.get(b":path").unwrap_or_default()) {
            set(&name, &value);
        }
        if let Some(fields) = rewriting.fields().filter(|_| !body.is_empty()) {
            FieldSetter::new(fields).push(body, &mut rewritten);
            return (encode(&pairs), rewritten);
        }
    }
    rewritten.extend_from_slice(body);
    (encode(&pairs), rewritten)
}
