//! A proxy around the filter: roots, streams in order, what the router and the sink would see.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use weir_filter::filter::Filter;
use weir_wire::otlp::LogRecord;
use weir_wire::{DecodeLimits, Event, Leg, decode_request, names};

use super::{Double, Pairs};

pub(crate) const POLICY_ROOT: u32 = 1;
pub(crate) const SHADOW_ROOT: u32 = 2;
pub(crate) const NOISE_ROOT: u32 = 3;

pub(crate) struct Proxy {
    pub(crate) host: Double,
    pub(crate) filter: Filter<Double>,
    pub(crate) next_stream: u32,
}

/// What became of an exchange, as the router would see it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Routed {
    pub(crate) variant: Option<String>,
    pub(crate) cluster: Option<String>,
    pub(crate) shadow: Option<String>,
    pub(crate) noise: Option<String>,
}

pub(crate) fn policy(changes: &str) -> String {
    let mut text = String::from(
        "apiVersion: weir/v1\nkind: Policy\nexperiment: trial\ncontrol: {cluster: control, snapshot: {model: {name: m, version: \"1\"}}}\n\
         candidate: {cluster: candidate, shadowCluster: candidate-shadow, snapshot: {model: {name: m, version: \"2\"}}}\n\
         identity: [{header: x-user-id}]\n",
    );
    for (field, default) in [
        ("revision", "revision: 7"),
        ("mode", "mode: canary"),
        (
            "cohorts",
            "cohorts: [{name: internal, match: {header: x-tier, exact: internal}, candidatePercent: 100, autonomy: suggest}, {name: general}]",
        ),
        ("shadow", "shadow: {percent: 100}"),
        ("noise", "noise: {percent: 100, cluster: control-noise}"),
        ("sampling", "sampling: {percent: 0}"),
    ] {
        if !changes.lines().any(|line| line.starts_with(&format!("{field}:"))) {
            text.push_str(default);
            text.push('\n');
        }
    }
    text + changes
}

impl Proxy {
    pub(crate) fn new(changes: &str) -> Self {
        let mut proxy = Self::unconfigured();
        proxy.filter.on_create(POLICY_ROOT, 0);
        assert!(proxy.configure(POLICY_ROOT, &policy(changes)), "{:?}", proxy.host.0.log.borrow());
        for (root, leg) in [(SHADOW_ROOT, "shadow"), (NOISE_ROOT, "noise")] {
            proxy.filter.on_create(root, 0);
            assert!(proxy.configure(root, &format!("{{apiVersion: weir/v1, kind: Capture, leg: {leg}}}")));
        }
        proxy
    }

    pub(crate) fn unconfigured() -> Self {
        let host = Double::new();
        Self { filter: Filter::new(host.clone()), host, next_stream: 100 }
    }

    pub(crate) fn configure(&mut self, root: u32, text: &str) -> bool {
        *self.host.0.configuration.borrow_mut() = text.as_bytes().to_vec();
        self.filter.on_configure(root, text.len())
    }

    pub(crate) fn open(&mut self, root: u32, headers: &[(&str, &str)], end: bool) -> u32 {
        self.next_stream += 1;
        self.filter.on_create(self.next_stream, root);
        *self.host.0.request.borrow_mut() = pairs(headers);
        self.filter.on_request_headers(self.next_stream, end);
        self.next_stream
    }

    pub(crate) fn routed(&self) -> Routed {
        Routed {
            variant: self.host.request_header("x-weir-variant"),
            cluster: self.host.request_header("x-weir-cluster"),
            shadow: self.host.request_header("x-weir-shadow"),
            noise: self.host.request_header("x-weir-noise"),
        }
    }

    pub(crate) fn request_body(&mut self, stream: u32, chunk: &[u8], end: bool) {
        *self.host.0.chunk.borrow_mut() = chunk.to_vec();
        self.filter.on_request_body(stream, chunk.len(), end);
    }

    pub(crate) fn answer(&mut self, stream: u32, status: &str, chunks: &[&[u8]]) {
        *self.host.0.response.borrow_mut() =
            pairs(&[(":status", status), ("content-type", "application/json")]);
        self.filter.on_response_headers(stream, chunks.is_empty());
        for (index, chunk) in chunks.iter().enumerate() {
            *self.host.0.chunk.borrow_mut() = chunk.to_vec();
            self.filter.on_response_body(stream, chunk.len(), index + 1 == chunks.len());
        }
    }

    /// An exchange with its copies, from the first header to the last byte.
    pub(crate) fn exchange(&mut self, headers: &[(&str, &str)]) -> Routed {
        self.exchange_on(POLICY_ROOT, headers)
    }

    pub(crate) fn exchange_on(&mut self, root: u32, headers: &[(&str, &str)]) -> Routed {
        let primary = self.open(root, headers, false);
        let routed = self.routed();
        self.request_body(primary, b"question", true);
        let id = headers.iter().find(|(name, _)| *name == "x-request-id").map_or("", |(_, id)| id);
        let mut copies = Vec::new();
        for (root, leg, asked) in
            [(SHADOW_ROOT, "shadow", &routed.shadow), (NOISE_ROOT, "noise", &routed.noise)]
        {
            if asked.is_some() {
                copies.push(self.open(root, &[("x-request-id", id), ("x-weir-leg", leg)], true));
            }
        }
        for stream in std::iter::once(primary).chain(copies) {
            self.answer(stream, "200", &[b"an", b"swer"]);
            self.filter.on_delete(stream);
        }
        routed
    }

    pub(crate) fn tick(&mut self) {
        self.host.advance_ms(500);
        self.filter.on_tick(POLICY_ROOT);
    }

    pub(crate) fn sink_answers(&mut self, status: &str) {
        *self.host.0.call_response.borrow_mut() = pairs(&[(":status", status)]);
        let token = self.host.0.next_token.get() - 1;
        self.filter.on_call_response(POLICY_ROOT, token, 1, 0);
    }

    /// Legs of all posts, repeated ones included.
    pub(crate) fn posted(&self) -> Vec<Leg> {
        let posts = self.host.0.posts.borrow();
        posts.iter().flat_map(|post| legs(post)).collect()
    }

    /// Events of all posts, repeated ones included.
    pub(crate) fn events(&self) -> Vec<Event> {
        let posts = self.host.0.posts.borrow();
        let records = posts.iter().flat_map(|post| records(post));
        let events = records.filter(|record| record.event_name == names::EVENT_FILTER);
        events.map(|record| Event::from_record(record).unwrap()).collect()
    }
}

fn records(post: &[u8]) -> Vec<LogRecord> {
    let request = decode_request(post, DecodeLimits::default()).unwrap();
    let scopes = request.resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
    scopes.flat_map(|scope| scope.log_records).collect()
}

pub(crate) fn legs(post: &[u8]) -> Vec<Leg> {
    let records = records(post).into_iter().filter(|record| record.event_name == names::EVENT_LEG);
    records.map(|record| Leg::from_record(record).unwrap()).collect()
}

pub(crate) fn pairs(headers: &[(&str, &str)]) -> Pairs {
    headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

pub(crate) const USER: &[(&str, &str)] =
    &[(":method", "POST"), (":path", "/v1/chat?x=1"), ("x-user-id", "ada"), ("x-request-id", "r-1")];
pub(crate) const INTERNAL: &[(&str, &str)] =
    &[(":method", "POST"), (":path", "/"), ("x-user-id", "ada"), ("x-tier", "internal")];
