//! A leg while it is being captured: what its stream has shown so far.

use std::rc::Rc;

use weir_wire::LegKind;

use crate::capture::HeadTail;
use crate::copying::{Copying, Place, tokens_of_answer};
use crate::details::{Tag, tags};
use crate::exchange::{EndedLeg, Exchange, Seen};
use crate::first_token::FirstToken;
use crate::headers::Headers;
use crate::host::{Body, Host};
use crate::memory::{Charge, Memory};
use crate::metrics::{Count, Metrics};
use crate::sampling::Sampled;
use crate::texts::{TEXT_BYTES_MAX, Texts};

/// One leg in progress.
#[derive(Debug)]
pub(crate) struct Captured {
    pub(crate) exchange: Rc<Exchange>,
    pub(crate) kind: LegKind,
    pub(crate) seen: Seen,
    /// Only of the primary leg.
    request: Option<HeadTail>,
    response: HeadTail,
    /// Looks for the first token, in a stream of events until it has found it.
    first_token: Option<FirstToken>,
    /// `content-length` of the response: such an answer is written in one go, and is over with its last byte.
    declared_bytes: Option<u64>,
    /// Of a copy, where copies are capped.
    pub(crate) place: Option<Place>,
    request_bytes: u64,
    pub(crate) sampled: Sampled,
    pub(crate) tags: Vec<Tag>,
    charge: Charge,
    /// The request's headers, where the filter itself sends the copies.
    pub(crate) question_headers: Option<Rc<[u8]>>,
    /// The answer to a call: it came whole, and nothing is known of its parts.
    called: bool,
}

impl Captured {
    pub(crate) fn new(
        exchange: Rc<Exchange>,
        kind: LegKind,
        request_ended: bool,
        memory: &mut Memory,
    ) -> Self {
        let active = &exchange.active;
        let keep = || HeadTail::new(active.body_bytes_max, active.body_tail_bytes_max);
        Self {
            request: (kind == LegKind::Primary).then(keep),
            response: keep(),
            first_token: None,
            declared_bytes: None,
            kind,
            place: exchange.places.take(kind),
            request_bytes: 0,
            sampled: Sampled::default(),
            tags: Vec::new(),
            charge: memory.begin(),
            question_headers: None,
            called: false,
            seen: Seen { start: exchange.start, request_ended, ..Seen::default() },
            exchange,
        }
    }

    pub(crate) fn request_body(
        &mut self,
        host: &impl Host,
        metrics: &mut Metrics,
        memory: &mut Memory,
        size: usize,
        end: bool,
    ) {
        self.seen.request_ended |= end;
        self.request_bytes = self.request_bytes.saturating_add(size as u64);
        let room = self.room(memory);
        if let Some(request) = &mut self.request {
            push(request, host, metrics, Body::Request, size, room);
            self.hold(memory);
        }
    }

    /// Takes the headers of the response, but not their time.
    pub(crate) fn response_headers(&mut self, texts: &mut Texts, headers: Headers<'_>) {
        tags(&self.exchange.active.response_headers, headers, &mut self.tags);
        self.declared_bytes = headers.get(b"content-length").and_then(number);
        self.seen.status = headers
            .get(b":status")
            .and_then(number)
            .and_then(|status| u16::try_from(status).ok())
            .filter(|status| (100..1000).contains(status))
            .unwrap_or(0);
        self.seen.content_type = texts.of(headers, b"content-type", TEXT_BYTES_MAX);
        self.seen.content_encoding = texts.of(headers, b"content-encoding", TEXT_BYTES_MAX);
        self.seen.of_events = self.seen.content_type.starts_with("text/event-stream");
        let readable = self.seen.of_events && self.seen.content_encoding.is_empty();
        self.first_token = readable.then(FirstToken::default);
    }

    /// Whether the first byte of the body can stand for the response's headers.
    pub(crate) fn body_follows_at_once(&self) -> bool {
        self.declared_bytes.is_some_and(|bytes| bytes > 0)
    }

    /// Notes when the response's headers came.
    pub(crate) fn response_began(&mut self, metrics: &mut Metrics, now: u64) {
        self.seen.headers = self.not_before_start(metrics, now);
    }

    /// Whether an end without bytes came with the last chunk.
    pub(crate) fn ended_with_last_chunk(&self, size: usize, end: bool) -> bool {
        size == 0 && end && self.seen.last_chunk != 0 && self.declared_bytes == Some(self.response.total())
    }

    pub(crate) fn response_body(
        &mut self,
        host: &impl Host,
        metrics: &mut Metrics,
        memory: &mut Memory,
        size: usize,
        end: bool,
        now: u64,
    ) {
        if size > 0 {
            if self.seen.first_byte == 0 {
                self.seen.first_byte = self.not_before_start(metrics, now);
                if self.seen.headers == 0 {
                    self.seen.headers = self.seen.first_byte;
                }
            } else if now < self.seen.last_chunk {
                metrics.count(Count::ClockBackwards);
            } else {
                self.seen.longest_gap = self.seen.longest_gap.max(now - self.seen.last_chunk);
            }
            self.seen.last_chunk = now;
            self.seen.chunks += 1;
            let room = self.room(memory);
            let body = if self.called { Body::CallResponse } else { Body::Response };
            let known = self.response.head_from(0).len();
            push(&mut self.response, host, metrics, body, size, room);
            let new = self.response.head_from(known);
            if self.first_token.as_mut().is_some_and(|first| first.push(new)) {
                self.seen.first_token = self.seen.first_byte.max(now);
                self.first_token = None;
            }
            self.hold(memory);
        }
        if end {
            self.response_end(metrics, now);
        }
    }

    pub(crate) fn response_end(&mut self, metrics: &mut Metrics, now: u64) {
        self.seen.end = self.not_before_start(metrics, now);
        self.seen.response_ended = true;
    }

    /// The stream is gone, whether or not its response ended.
    pub(crate) fn close(&mut self, metrics: &mut Metrics, now: u64) {
        if self.seen.end == 0 {
            self.seen.end = self.not_before_start(metrics, now);
        }
        // Headers came, and the body that they promised did not.
        if self.seen.headers == 0 && self.seen.status != 0 {
            self.seen.headers = self.seen.end;
        }
    }

    /// Gives its memory back to those that are being captured; also where the leg is not kept.
    pub(crate) fn release(&mut self, metrics: &mut Metrics, memory: &mut Memory) {
        let held = self.held();
        memory.end(std::mem::take(&mut self.charge), held);
        if self.response.is_crowded() || self.request.as_ref().is_some_and(HeadTail::is_crowded) {
            metrics.count(Count::Crowded);
        }
    }

    fn held(&self) -> usize {
        self.response.held() + self.request.as_ref().map_or(0, HeadTail::held)
    }

    fn room(&self, memory: &Memory) -> usize {
        memory.room(&self.charge, self.held(), self.exchange.active.capture_bytes_max)
    }

    fn hold(&mut self, memory: &mut Memory) {
        let held = self.held();
        memory.hold(&mut self.charge, held);
    }

    /// This is the answer to a call.
    pub(crate) fn called(&mut self, start: u64, question_bytes: u64) {
        self.called = true;
        self.seen.start = start;
        self.request_bytes = question_bytes;
    }

    /// The body of the request, where all of it came and is kept.
    pub(crate) fn whole_question(&self) -> Option<&[u8]> {
        let request = self.request.as_ref().filter(|_| self.seen.request_ended)?;
        request.whole()
    }

    pub(crate) fn into_leg(mut self, copying: &mut Copying) -> EndedLeg {
        if self.called {
            self.seen.headers = 0;
            self.seen.first_byte = 0;
            self.seen.first_token = 0;
            self.seen.chunks = 0;
        }
        let response = self.response.finish();
        if let Some(place) = self.place {
            let tokens = tokens_of_answer(&response, &self.seen.content_type);
            copying.end(place, self.request_bytes, tokens, self.seen.end);
        }
        EndedLeg {
            exchange: self.exchange,
            kind: self.kind,
            seen: self.seen,
            request: self.request.map(HeadTail::finish),
            response,
            certain: self.sampled.certain,
            tags: self.tags,
        }
    }

    /// Whether more of a body has passed than is kept.
    pub(crate) fn is_cut(&self) -> bool {
        self.response.is_cut() || self.request.as_ref().is_some_and(HeadTail::is_cut)
    }

    fn not_before_start(&self, metrics: &mut Metrics, now: u64) -> u64 {
        if now < self.seen.start {
            metrics.count(Count::ClockBackwards);
            return self.seen.start;
        }
        now
    }
}

fn push(keep: &mut HeadTail, host: &impl Host, metrics: &mut Metrics, body: Body, size: usize, room: usize) {
    let complete = keep.push(size, room, |start, len, into| host.body(body, start, len, into));
    if !complete {
        metrics.count(Count::HostRefusals);
    }
}

/// A number in a header's value.
fn number(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}
