//! The filter of one VM: its roots, its streams, and what they share.
//!
//! One VM per worker serves the listener's filter (a root with a policy) and the clusters' filters (roots that capture
//! copies). A policy push makes a new root in the same VM; the old one lives until its streams are gone. Everything
//! that has to survive a push is here: pending exchanges, outbox, counters, numbers.
//!
//! Callbacks of a stream are in `stream.rs` (listener) and `upstream.rs` (cluster), those of a root in `root.rs`.
//! No callback stops a stream or changes a body, and none can fail.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use weir_policy::Newest;
use weir_wire::{LegKind, Resource};

use crate::active::Active;
use crate::callouts::Callouts;
use crate::captured::Captured;
use crate::copying::Copying;
use crate::guarding::Watched;
use crate::host::Host;
use crate::memory::Memory;
use crate::metrics::{Count, Metrics};
use crate::outbox::Outbox;
use crate::pairing::Pending;
use crate::rewrite::Rewrites;
use crate::sampling::Sampler;
use crate::texts::Texts;

/// Above this, the buffer for header maps is given back.
const SCRATCH_BYTES_MAX: usize = 256 * 1024;

/// All state of a VM.
#[derive(Debug)]
pub struct Filter<H> {
    pub(crate) host: H,
    pub(crate) metrics: Metrics,
    pub(crate) pending: Pending,
    pub(crate) outbox: Outbox,
    pub(crate) copying: Copying,
    pub(crate) sampler: Sampler,
    pub(crate) memory: Memory,
    pub(crate) callouts: Callouts,
    pub(crate) roots: Vec<(u32, Role)>,
    pub(crate) streams: HashMap<u32, Stream, BuildHasherDefault<IdHasher>>,
    /// The root that ticks and sends, with its policy: the latest that was configured.
    pub(crate) latest: Option<(u32, Rc<Active>)>,
    /// The newest revisions that were taken.
    pub(crate) newest: Newest,
    pub(crate) resource: Option<Resource>,
    /// Unique per VM start; drawn with the first use.
    pub(crate) epoch: Option<u64>,
    pub(crate) next_number: u64,
    /// Legs that are being captured.
    pub(crate) capturing: usize,
    /// Bodies that are being rewritten for the candidate.
    pub(crate) rewrites: Rewrites,
    /// Texts that most exchanges share.
    pub(crate) texts: Texts,
    /// Reused for header maps.
    pub(crate) scratch: Vec<u8>,
    pub(crate) latest_time: u64,
}

/// What a root is for.
#[derive(Debug, Clone)]
pub(crate) enum Role {
    /// Not configured, or refused.
    None,
    /// The listener's filter.
    Policy(Rc<Active>),
    /// A cluster's filter.
    Capture(LegKind),
}

/// What is known of a stream. Streams that pass untouched are not in the table.
#[derive(Debug)]
pub(crate) enum Stream {
    /// Created by this root; no headers yet.
    Fresh(u32),
    /// Assigned, not captured.
    Assigned { active: Rc<Active>, variant: weir_policy::Variant, watched: Option<Watched> },
    /// A leg that is being captured.
    Captured(Box<Captured>),
}

/// Spreads numbers that are counted up, or hashes, over a table.
#[derive(Debug, Default)]
pub(crate) struct IdHasher(u64);

impl<H: Host> Filter<H> {
    /// A filter without roots.
    pub fn new(host: H) -> Self {
        Self {
            host,
            metrics: Metrics::default(),
            pending: Pending::default(),
            outbox: Outbox::default(),
            copying: Copying::default(),
            sampler: Sampler::default(),
            memory: Memory::default(),
            callouts: Callouts::default(),
            roots: Vec::new(),
            streams: HashMap::default(),
            latest: None,
            newest: Newest::default(),
            resource: None,
            epoch: None,
            next_number: 0,
            capturing: 0,
            rewrites: Rewrites::default(),
            texts: Texts::default(),
            scratch: Vec::new(),
            latest_time: 0,
        }
    }

    /// A root (`root` is 0) or a stream of a root begins.
    pub fn on_create(&mut self, context: u32, root: u32) {
        if root == 0 {
            self.roots.push((context, Role::None));
        } else {
            self.streams.insert(context, Stream::Fresh(root));
        }
    }

    /// Request headers of a stream.
    pub fn on_request_headers(&mut self, context: u32, end: bool) {
        let Some(Stream::Fresh(root)) = self.streams.get(&context) else {
            return;
        };
        let role = self.roots.iter().find(|(id, _)| id == root);
        match role {
            Some((_, Role::Policy(active))) if !active.is_off() => {
                let active = Rc::clone(active);
                self.begin_exchange(context, active, end);
            }
            Some((_, Role::Capture(leg))) => {
                let leg = *leg;
                self.begin_copy(context, leg, end);
            }
            _ => {
                self.streams.remove(&context);
            }
        }
    }

    /// A chunk of a request's body.
    pub fn on_request_body(&mut self, context: u32, size: usize, end: bool) {
        if let Some(Stream::Captured(captured)) = self.streams.get_mut(&context) {
            captured.request_body(&self.host, &mut self.metrics, &mut self.memory, size, end);
        }
        if !self.rewrites.is_empty() {
            self.rewrite_body(context, size, end);
        }
    }

    /// Trailers end a request whose body had no end.
    pub fn on_request_trailers(&mut self, context: u32) {
        if let Some(Stream::Captured(captured)) = self.streams.get_mut(&context) {
            captured.seen.request_ended = true;
        }
    }

    /// Response headers of a stream.
    pub fn on_response_headers(&mut self, context: u32, end: bool) {
        match self.streams.get(&context) {
            Some(Stream::Assigned { active, variant, watched }) => {
                let watched = watched.is_some();
                let refused = crate::stream::tell_client(&self.host, active, *variant);
                self.count_refusals(refused);
                if watched {
                    self.watch_headers(context, end);
                }
            }
            Some(Stream::Captured(captured)) => {
                if captured.kind == LegKind::Primary {
                    let exchange = &captured.exchange;
                    let refused = crate::stream::tell_client(&self.host, &exchange.active, exchange.assigned);
                    self.count_refusals(refused);
                }
                self.capture_response_headers(context, end);
            }
            _ => {}
        }
    }

    /// A chunk of a response's body.
    pub fn on_response_body(&mut self, context: u32, size: usize, end: bool) {
        let captured = match self.streams.get_mut(&context) {
            Some(Stream::Captured(captured)) => captured,
            Some(Stream::Assigned { watched: Some(watched), .. }) => {
                watched.ended |= end;
                return;
            }
            _ => return,
        };
        // Every question to the host costs about a microsecond: this one only where its answer is not known.
        let now = match captured.ended_with_last_chunk(size, end) {
            true => captured.seen.last_chunk,
            false => self.now(),
        };
        if let Some(Stream::Captured(captured)) = self.streams.get_mut(&context) {
            captured.response_body(&self.host, &mut self.metrics, &mut self.memory, size, end, now);
        }
    }

    /// Trailers end a response whose body had no end.
    pub fn on_response_trailers(&mut self, context: u32) {
        match self.streams.get_mut(&context) {
            Some(Stream::Captured(_)) => {}
            Some(Stream::Assigned { watched: Some(watched), .. }) => {
                watched.ended = true;
                return;
            }
            _ => return,
        }
        let now = self.now();
        if let Some(Stream::Captured(captured)) = self.streams.get_mut(&context) {
            captured.response_end(&mut self.metrics, now);
        }
    }

    /// A stream or a root is gone.
    pub fn on_delete(&mut self, context: u32) {
        if !self.rewrites.is_empty() {
            self.rewrites.remove(&context);
        }
        match self.streams.remove(&context) {
            Some(Stream::Captured(captured)) => self.end_leg(*captured),
            Some(Stream::Assigned { active, watched: Some(watched), .. }) => {
                self.end_watched(&active, watched)
            }
            Some(_) => {}
            None => self.delete_root(context),
        }
    }

    /// The filter's counters, for tests.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn capture_response_headers(&mut self, context: u32, end: bool) {
        let mut bytes = self.take_scratch();
        if self.host.headers(crate::host::Map::Response, &mut bytes).is_err() {
            self.metrics.count(Count::HostRefusals);
        }
        let mut time_is_known_later = false;
        if let Some(Stream::Captured(captured)) = self.streams.get_mut(&context) {
            captured.response_headers(&mut self.texts, crate::headers::Headers::new(&bytes));
            time_is_known_later = !end && captured.body_follows_at_once();
        }
        self.return_scratch(bytes);
        if time_is_known_later {
            return;
        }
        let now = self.now();
        if let Some(Stream::Captured(captured)) = self.streams.get_mut(&context) {
            captured.response_began(&mut self.metrics, now);
            if end {
                captured.response_end(&mut self.metrics, now);
            }
        }
    }

    pub(crate) fn end_leg(&mut self, mut captured: Captured) {
        self.capturing = self.capturing.saturating_sub(1);
        // A response that ended has its time; asking the host again would only cost.
        let now = match captured.seen.end {
            0 => self.now(),
            end => end,
        };
        captured.close(&mut self.metrics, now);
        captured.release(&mut self.metrics, &mut self.memory);
        self.watch_captured(&captured);
        if !self.keep(&mut captured) {
            return;
        }
        self.upstream_details(&mut captured);
        self.queue_callouts(&mut captured, now);
        let leg = captured.into_leg(&mut self.copying);
        if !self.pending.ended(&leg.exchange, leg.kind, &mut self.metrics) {
            self.metrics.count(Count::Unmatched(leg.kind));
            return;
        }
        let active = match &self.latest {
            Some((_, active)) => Rc::clone(active),
            None => Rc::clone(&leg.exchange.active),
        };
        self.outbox.push(leg, now, &active.terms, &mut self.metrics);
    }

    /// The time, or the latest known one when the host refuses. 0 when there never was one.
    pub(crate) fn now(&mut self) -> u64 {
        match self.host.now() {
            Ok(now) => self.latest_time = now,
            Err(_) => self.metrics.count(Count::HostRefusals),
        }
        self.latest_time
    }

    /// The epoch of this VM.
    pub(crate) fn epoch(&mut self) -> u64 {
        match self.epoch {
            Some(epoch) => epoch,
            None => {
                let epoch = self.host.random();
                self.outbox.seed(epoch);
                self.epoch = Some(epoch);
                epoch
            }
        }
    }

    pub(crate) fn count_refusals(&mut self, refused: u64) {
        if refused > 0 {
            self.metrics.count_many(Count::HostRefusals, refused);
        }
    }

    pub(crate) fn take_scratch(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        bytes
    }

    pub(crate) fn return_scratch(&mut self, bytes: Vec<u8>) {
        if bytes.capacity() <= SCRATCH_BYTES_MAX {
            self.scratch = bytes;
        }
    }
}

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte) ^ (self.0 as u32));
        }
    }

    fn write_u32(&mut self, id: u32) {
        self.write_u64(u64::from(id));
    }

    fn write_u64(&mut self, id: u64) {
        // Fibonacci hashing: both ends of the word vary.
        self.0 = id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
