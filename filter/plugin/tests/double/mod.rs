//! A host in memory: one proxy with one stream at a time, which can refuse any call.
#![allow(dead_code, clippy::indexing_slicing)]

pub(crate) mod proxy;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use weir_filter::headers::encode;
use weir_filter::host::{Answer, Body, Call, Host, Level, Map, MetricKind, Refused};

/// When calls are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refuse {
    Nothing,
    Everything,
    /// Only the call with this number, counted from 0.
    Nth(usize),
    /// Every call from this number on.
    From(usize),
}

/// Cluster, headers and body of a call.
pub(crate) type Called = (String, Vec<u8>, Vec<u8>);
pub(crate) type Pairs = Vec<(String, Vec<u8>)>;

/// What the host has seen and what it answers.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) refuse: Cell<Refuse>,
    /// What a refused call answers.
    pub(crate) status: Cell<u32>,
    pub(crate) calls: Cell<usize>,
    pub(crate) configuration: RefCell<Vec<u8>>,
    pub(crate) request: RefCell<Pairs>,
    pub(crate) response: RefCell<Pairs>,
    pub(crate) call_response: RefCell<Pairs>,
    pub(crate) chunk: RefCell<Vec<u8>>,
    pub(crate) filter_state: RefCell<BTreeMap<String, String>>,
    pub(crate) now: Cell<u64>,
    pub(crate) posts: RefCell<Vec<Vec<u8>>>,
    pub(crate) next_token: Cell<u32>,
    /// Cluster, headers and body of each call that is no POST to the sink.
    pub(crate) called: RefCell<Vec<Called>>,
    pub(crate) metric_names: RefCell<Vec<String>>,
    pub(crate) metrics: RefCell<BTreeMap<String, i64>>,
    pub(crate) log: RefCell<Vec<String>>,
    pub(crate) tick_period_ms: Cell<u32>,
    /// Properties by their path, parts joined by dots.
    pub(crate) properties: RefCell<BTreeMap<String, Vec<u8>>>,
}

/// Shares its state with the test.
#[derive(Debug, Clone)]
pub(crate) struct Double(pub(crate) Rc<State>);

impl Double {
    pub(crate) fn new() -> Self {
        Self(Rc::new(State {
            refuse: Cell::new(Refuse::Nothing),
            status: Cell::new(10),
            calls: Cell::new(0),
            configuration: RefCell::default(),
            request: RefCell::default(),
            response: RefCell::default(),
            call_response: RefCell::default(),
            chunk: RefCell::default(),
            filter_state: RefCell::default(),
            now: Cell::new(1_000_000_000_000),
            posts: RefCell::default(),
            next_token: Cell::new(1),
            called: RefCell::default(),
            metric_names: RefCell::default(),
            metrics: RefCell::default(),
            log: RefCell::default(),
            tick_period_ms: Cell::new(0),
            properties: RefCell::new([("xds.node.id".to_owned(), b"proxy-1".to_vec())].into()),
        }))
    }

    pub(crate) fn advance_ms(&self, milliseconds: u64) {
        self.0.now.set(self.0.now.get() + milliseconds * 1_000_000);
    }

    pub(crate) fn metric(&self, name: &str) -> i64 {
        self.0.metrics.borrow().get(name).copied().unwrap_or(0)
    }

    pub(crate) fn request_header(&self, name: &str) -> Option<String> {
        find(&self.0.request.borrow(), name)
    }

    pub(crate) fn response_header(&self, name: &str) -> Option<String> {
        find(&self.0.response.borrow(), name)
    }

    fn answer(&self) -> Answer<()> {
        let number = self.0.calls.get();
        self.0.calls.set(number + 1);
        let refused = match self.0.refuse.get() {
            Refuse::Nothing => false,
            Refuse::Everything => true,
            Refuse::Nth(nth) => number == nth,
            Refuse::From(first) => number >= first,
        };
        if refused { Err(Refused(self.0.status.get())) } else { Ok(()) }
    }

    fn map(&self, map: Map) -> &RefCell<Pairs> {
        match map {
            Map::Request => &self.0.request,
            Map::Response => &self.0.response,
            Map::CallResponse => &self.0.call_response,
        }
    }
}

impl Host for Double {
    fn log(&self, _: Level, line: &str) {
        self.0.log.borrow_mut().push(line.to_owned());
    }

    fn now(&self) -> Answer<u64> {
        self.answer()?;
        self.0.now.set(self.0.now.get() + 1_000);
        Ok(self.0.now.get())
    }

    fn random(&self) -> u64 {
        0xfeed
    }

    fn set_tick_period(&self, period_ms: u32) -> Answer<()> {
        self.answer()?;
        self.0.tick_period_ms.set(period_ms);
        Ok(())
    }

    fn configuration(&self, into: &mut Vec<u8>) -> Answer<()> {
        self.answer()?;
        into.extend_from_slice(&self.0.configuration.borrow());
        Ok(())
    }

    fn headers(&self, map: Map, into: &mut Vec<u8>) -> Answer<()> {
        self.answer()?;
        into.extend(encode(&self.map(map).borrow()));
        Ok(())
    }

    fn header(&self, map: Map, name: &str, into: &mut Vec<u8>) -> Answer<bool> {
        self.answer()?;
        let pairs = self.map(map).borrow();
        let found = pairs.iter().find(|(key, _)| key == name);
        if let Some((_, value)) = found {
            into.extend_from_slice(value);
        }
        Ok(found.is_some())
    }

    fn set_header(&self, map: Map, name: &str, value: &[u8]) -> Answer<()> {
        self.answer()?;
        let mut pairs = self.map(map).borrow_mut();
        pairs.retain(|(key, _)| key != name);
        pairs.push((name.to_owned(), value.to_vec()));
        Ok(())
    }

    fn remove_header(&self, map: Map, name: &[u8]) -> Answer<()> {
        self.answer()?;
        self.map(map).borrow_mut().retain(|(key, _)| key.as_bytes() != name);
        Ok(())
    }

    fn body(&self, _: Body, start: usize, len: usize, into: &mut Vec<u8>) -> Answer<()> {
        self.answer()?;
        let chunk = self.0.chunk.borrow();
        let end = (start + len).min(chunk.len());
        into.extend_from_slice(chunk.get(start..end).unwrap_or_default());
        Ok(())
    }

    fn set_request_body(&self, bytes: &[u8]) -> Answer<()> {
        self.answer()?;
        *self.0.chunk.borrow_mut() = bytes.to_vec();
        Ok(())
    }

    fn property(&self, path: &[&str], into: &mut Vec<u8>) -> Answer<bool> {
        self.answer()?;
        let properties = self.0.properties.borrow();
        let found = properties.get(&path.join("."));
        into.extend(found.into_iter().flatten());
        Ok(found.is_some())
    }

    fn memory_bytes(&self) -> u64 {
        1 << 20
    }

    fn set_property(&self, path: &[&str], value: &[u8]) -> Answer<()> {
        self.answer()?;
        let text = String::from_utf8(value.to_vec()).expect("text");
        self.0.filter_state.borrow_mut().insert(path.join("."), text);
        Ok(())
    }

    fn call(&self, cluster: &str, headers: &[u8], body: &[u8], _: u32) -> Answer<u32> {
        self.answer()?;
        self.0.called.borrow_mut().push((cluster.to_owned(), headers.to_vec(), body.to_vec()));
        let token = self.0.next_token.get();
        self.0.next_token.set(token + 1);
        Ok(token)
    }

    fn post(&self, call: &Call<'_>) -> Answer<u32> {
        self.answer()?;
        self.0.posts.borrow_mut().push(call.body.to_vec());
        let token = self.0.next_token.get();
        self.0.next_token.set(token + 1);
        Ok(token)
    }

    fn define_metric(&self, _: MetricKind, name: &str) -> Answer<u32> {
        self.answer()?;
        let mut names = self.0.metric_names.borrow_mut();
        if let Some(index) = names.iter().position(|known| known == name) {
            return Ok(index as u32);
        }
        names.push(name.to_owned());
        Ok(names.len() as u32 - 1)
    }

    fn add_metric(&self, id: u32, offset: i64) -> Answer<()> {
        self.answer()?;
        assert_ne!(offset, 0, "real hosts refuse an offset of 0");
        let name = self.0.metric_names.borrow()[id as usize].clone();
        *self.0.metrics.borrow_mut().entry(name).or_default() += offset;
        Ok(())
    }

    fn set_metric(&self, id: u32, value: u64) -> Answer<()> {
        self.answer()?;
        let name = self.0.metric_names.borrow()[id as usize].clone();
        self.0.metrics.borrow_mut().insert(name, value as i64);
        Ok(())
    }
}

fn find(pairs: &Pairs, name: &str) -> Option<String> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| String::from_utf8_lossy(value).into_owned())
}
