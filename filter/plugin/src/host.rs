//! What the filter asks of its host, as one trait. Every call can fail, and no failure may disturb the exchange.
//!
//! The real host is in `wasm.rs`; unit tests use a double that can refuse every call.

/// A refused host call. The code is the host's; what to do about it never depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused(pub u32);

/// The host's answer.
pub type Answer<T> = Result<T, Refused>;

/// Which headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Map {
    /// Of the request.
    Request,
    /// Of the response.
    Response,
    /// Of the reply to a call that the filter made.
    CallResponse,
}

/// Which body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// Of the request.
    Request,
    /// Of the response.
    Response,
    /// Of the reply to a call that the filter made.
    CallResponse,
}

/// Kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// Severity of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something that an operator may want to know.
    Info,
    /// Something that went wrong without harm.
    Warn,
    /// Something that an operator has to repair.
    Error,
}

/// The proxy that runs the filter. Calls that return bytes append them to the vector that is handed in.
pub trait Host {
    /// Writes a line to the proxy's log. Cannot fail as far as the filter is concerned.
    fn log(&self, level: Level, line: &str);

    /// Wall clock in nanoseconds since 1970; may go backwards.
    fn now(&self) -> Answer<u64>;

    /// 64 random bits, for names that have to be unique.
    fn random(&self) -> u64;

    /// Asks for a tick every so many milliseconds.
    fn set_tick_period(&self, period_ms: u32) -> Answer<()>;

    /// The configuration of the root that is being configured.
    fn configuration(&self, into: &mut Vec<u8>) -> Answer<()>;

    /// All headers, in the host's encoding (see `headers.rs`).
    fn headers(&self, map: Map, into: &mut Vec<u8>) -> Answer<()>;

    /// One header. `false` when it is not there.
    fn header(&self, map: Map, name: &str, into: &mut Vec<u8>) -> Answer<bool>;

    /// Sets a header, replacing what is there.
    fn set_header(&self, map: Map, name: &str, value: &[u8]) -> Answer<()>;

    /// Removes every header of this name.
    fn remove_header(&self, map: Map, name: &[u8]) -> Answer<()>;

    /// `len` bytes from `start` of the chunk that is being passed.
    fn body(&self, body: Body, start: usize, len: usize, into: &mut Vec<u8>) -> Answer<()>;

    /// Puts these bytes in place of the chunk of a request's body that is being passed.
    fn set_request_body(&self, bytes: &[u8]) -> Answer<()>;

    /// A property of the proxy, such as `["node", "id"]`. `false` when it is not there.
    fn property(&self, path: &[&str], into: &mut Vec<u8>) -> Answer<bool>;

    /// Bytes of memory that this VM has; it never gives any back.
    fn memory_bytes(&self) -> u64;

    /// Writes a filter state of the stream, which the proxy knows as `wasm.` and the path.
    fn set_property(&self, path: &[&str], value: &[u8]) -> Answer<()>;

    /// Sends a request with encoded headers; the answer comes with the token that is returned.
    fn call(&self, cluster: &str, headers: &[u8], body: &[u8], timeout_ms: u32) -> Answer<u32>;

    /// Sends a POST; the answer comes with the token that is returned.
    fn post(&self, call: &Call<'_>) -> Answer<u32>;

    /// Defines a metric, or finds it when it is there.
    fn define_metric(&self, kind: MetricKind, name: &str) -> Answer<u32>;

    /// Adds to a metric. 0 is refused by real hosts, and so is a negative offset of a counter.
    fn add_metric(&self, id: u32, offset: i64) -> Answer<()>;

    /// Sets a gauge.
    fn set_metric(&self, id: u32, value: u64) -> Answer<()>;
}

/// A POST that the filter makes.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The cluster to send it to.
    pub cluster: &'a str,
    /// The `:authority`.
    pub authority: &'a str,
    /// The `:path`.
    pub path: &'a str,
    /// Content type of the body.
    pub content_type: &'a str,
    /// The body.
    pub body: &'a [u8],
    /// When the host gives up.
    pub timeout_ms: u32,
}
