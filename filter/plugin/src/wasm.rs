//! The module's edges: the real host behind [`Host`], and the callbacks that the host enters by.
//!
//! A callback that arrives while another one runs (which no host does) finds the filter taken, and passes.

#![allow(unsafe_code)] // `no_mangle` alone counts as unsafe; there is nothing else of the kind here.

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};

use crate::abi;
use crate::filter::Filter;
use crate::headers;
use crate::host::{Answer, Body, Call, Host, Level, Map, MetricKind, Refused};

/// `Action::Continue`: there is no other answer to give.
const CONTINUE: u32 = 0;
const REQUEST_BODY: u32 = 0;
const PLUGIN_CONFIGURATION: u32 = 7;

thread_local! {
    /// Everything that this VM knows. It survives policy pushes, which make new roots in the same VM.
    static FILTER: RefCell<Filter<WasmHost>> = RefCell::new(Filter::new(WasmHost));
}

struct WasmHost;

fn with<T>(otherwise: T, action: impl FnOnce(&mut Filter<WasmHost>) -> T) -> T {
    FILTER.with(|filter| match filter.try_borrow_mut() {
        Ok(mut filter) => action(&mut filter),
        Err(_) => otherwise,
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(context: u32, root: u32) {
    with((), |filter| filter.on_create(context, root));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root: u32, size: usize) -> u32 {
    with(0, |filter| u32::from(filter.on_configure(root, size)))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(root: u32) {
    with((), |filter| filter.on_tick(root));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(
    root: u32,
    token: u32,
    headers: u32,
    body_size: usize,
    _trailers: u32,
) {
    with((), |filter| filter.on_call_response(root, token, headers, body_size));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(context: u32, _count: u32, end: u32) -> u32 {
    with((), |filter| filter.on_request_headers(context, end != 0));
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(context: u32, size: usize, end: u32) -> u32 {
    with((), |filter| filter.on_request_body(context, size, end != 0));
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(context: u32, _count: u32) -> u32 {
    with((), |filter| filter.on_request_trailers(context));
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(context: u32, _count: u32, end: u32) -> u32 {
    with((), |filter| filter.on_response_headers(context, end != 0));
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_body(context: u32, size: usize, end: u32) -> u32 {
    with((), |filter| filter.on_response_body(context, size, end != 0));
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_trailers(context: u32, _count: u32) -> u32 {
    with((), |filter| filter.on_response_trailers(context));
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(context: u32) {
    with((), |filter| filter.on_delete(context));
}

impl Host for WasmHost {
    fn log(&self, level: Level, line: &str) {
        let level = match level {
            Level::Info => 2,
            Level::Warn => 3,
            Level::Error => 4,
        };
        abi::log(level, line);
    }

    fn now(&self) -> Answer<u64> {
        abi::current_time().map_err(Refused)
    }

    fn random(&self) -> u64 {
        // The standard library's hasher is seeded by the host's random numbers; on wasi there is no shorter way.
        RandomState::new().hash_one(abi::current_time().unwrap_or_default())
    }

    fn set_tick_period(&self, period_ms: u32) -> Answer<()> {
        abi::set_tick_period(period_ms).map_err(Refused)
    }

    fn configuration(&self, into: &mut Vec<u8>) -> Answer<()> {
        abi::buffer(PLUGIN_CONFIGURATION, 0, usize::MAX, into).map_err(Refused)
    }

    fn headers(&self, map: Map, into: &mut Vec<u8>) -> Answer<()> {
        abi::header_map(map_type(map), into).map_err(Refused)
    }

    fn header(&self, map: Map, name: &str, into: &mut Vec<u8>) -> Answer<bool> {
        abi::header(map_type(map), name, into).map_err(Refused)
    }

    fn set_header(&self, map: Map, name: &str, value: &[u8]) -> Answer<()> {
        abi::replace_header(map_type(map), name, value).map_err(Refused)
    }

    fn remove_header(&self, map: Map, name: &[u8]) -> Answer<()> {
        abi::remove_header(map_type(map), name).map_err(Refused)
    }

    fn body(&self, body: Body, start: usize, len: usize, into: &mut Vec<u8>) -> Answer<()> {
        let buffer = match body {
            Body::Request => REQUEST_BODY,
            Body::Response => 1,
            Body::CallResponse => 4,
        };
        abi::buffer(buffer, start, len, into).map_err(Refused)
    }

    fn set_request_body(&self, bytes: &[u8]) -> Answer<()> {
        abi::replace_buffer(REQUEST_BODY, bytes).map_err(Refused)
    }

    fn property(&self, path: &[&str], into: &mut Vec<u8>) -> Answer<bool> {
        abi::property(path.join("\0").as_bytes(), into).map_err(Refused)
    }

    fn memory_bytes(&self) -> u64 {
        const PAGE_BYTES: u64 = 65_536;
        core::arch::wasm32::memory_size(0) as u64 * PAGE_BYTES
    }

    fn set_property(&self, path: &[&str], value: &[u8]) -> Answer<()> {
        abi::set_property(path.join("\0").as_bytes(), value).map_err(Refused)
    }

    fn call(&self, cluster: &str, headers: &[u8], body: &[u8], timeout_ms: u32) -> Answer<u32> {
        abi::http_call(cluster, headers, body, timeout_ms).map_err(Refused)
    }

    fn post(&self, call: &Call<'_>) -> Answer<u32> {
        let headers = headers::encode(&[
            (":method", "POST"),
            (":scheme", "http"),
            (":path", call.path),
            (":authority", call.authority),
            ("content-type", call.content_type),
        ]);
        abi::http_call(call.cluster, &headers, call.body, call.timeout_ms).map_err(Refused)
    }

    fn define_metric(&self, kind: MetricKind, name: &str) -> Answer<u32> {
        let kind = match kind {
            MetricKind::Counter => 0,
            MetricKind::Gauge => 1,
        };
        abi::define_metric(kind, name).map_err(Refused)
    }

    fn add_metric(&self, id: u32, offset: i64) -> Answer<()> {
        abi::increment_metric(id, offset).map_err(Refused)
    }

    fn set_metric(&self, id: u32, value: u64) -> Answer<()> {
        abi::record_metric(id, value).map_err(Refused)
    }
}

fn map_type(map: Map) -> u32 {
    match map {
        Map::Request => 0,
        Map::Response => 2,
        Map::CallResponse => 6,
    }
}
