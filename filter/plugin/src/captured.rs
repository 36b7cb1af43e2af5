//! A leg while it is being captured: what its stream has shown so far.

use std::rc::Rc;

use weir_wire::LegKind;

use crate::capture::HeadTail;
use crate::exchange::{EndedLeg, Exchange, Seen};
use crate::headers::Headers;
use crate::host::{Body, Host};
use crate::metrics::{Count, Metrics};
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
}

impl Captured {
    pub(crate) fn new(exchange: Rc<Exchange>, kind: LegKind, request_ended: bool) -> Self {
        let active = &exchange.active;
        let keep = || HeadTail::new(active.body_bytes_max, active.body_tail_bytes_max);
        Self {
            request: (kind == LegKind::Primary).then(keep),
            response: keep(),
            kind,
            seen: Seen { start: exchange.start, request_ended, ..Seen::default() },
            exchange,
        }
    }

    pub(crate) fn request_body(&mut self, host: &impl Host, metrics: &mut Metrics, size: usize, end: bool) {
        self.seen.request_ended |= end;
        if let Some(request) = &mut self.request {
            push(request, host, metrics, Body::Request, size);
        }
    }

    pub(crate) fn response_headers(
        &mut self,
        texts: &mut Texts,
        metrics: &mut Metrics,
        headers: Headers<'_>,
        end: bool,
        now: u64,
    ) {
        self.seen.headers = self.not_before_start(metrics, now);
        self.seen.status = headers
            .get(b":status")
            .and_then(|status| std::str::from_utf8(status).ok())
            .and_then(|status| status.parse().ok())
            .filter(|status| (100..1000).contains(status))
            .unwrap_or(0);
        self.seen.content_type = texts.of(headers, b"content-type", TEXT_BYTES_MAX);
        self.seen.content_encoding = texts.of(headers, b"content-encoding", TEXT_BYTES_MAX);
        if end {
            self.response_end(metrics, now);
        }
    }

    pub(crate) fn response_body(
        &mut self,
        host: &impl Host,
        metrics: &mut Metrics,
        size: usize,
        end: bool,
        now: u64,
    ) {
        if size > 0 {
            if self.seen.first_byte == 0 {
                self.seen.first_byte = self.not_before_start(metrics, now);
            } else if now < self.seen.last_chunk {
                metrics.count(Count::ClockBackwards);
            } else {
                self.seen.longest_gap = self.seen.longest_gap.max(now - self.seen.last_chunk);
            }
            self.seen.last_chunk = now;
            self.seen.chunks += 1;
            push(&mut self.response, host, metrics, Body::Response, size);
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
    }

    pub(crate) fn into_leg(self) -> EndedLeg {
        EndedLeg {
            exchange: self.exchange,
            kind: self.kind,
            seen: self.seen,
            request: self.request.map(HeadTail::finish),
            response: self.response.finish(),
        }
    }

    fn not_before_start(&self, metrics: &mut Metrics, now: u64) -> u64 {
        if now < self.seen.start {
            metrics.count(Count::ClockBackwards);
            return self.seen.start;
        }
        now
    }
}

fn push(keep: &mut HeadTail, host: &impl Host, metrics: &mut Metrics, body: Body, size: usize) {
    let complete = keep.push(size, |start, len, into| host.body(body, start, len, into));
    if !complete {
        metrics.count(Count::HostRefusals);
    }
}
