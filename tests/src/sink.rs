//! A collector that keeps every leg in memory, and can be slow, refusing or gone.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use weir_wire::otlp::ResourceLogs;
use weir_wire::{DecodeLimits, Event, Leg, LegKind, decode_request, encode_response, names};

use crate::http::{Message, response};
use crate::server::{Server, Step};

const POLL: Duration = Duration::from_millis(20);

/// A leg with the worker that sent it.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// `weir.worker` of the resource.
    pub worker: String,
    /// `weir.proxy` of the resource.
    pub proxy: String,
    /// The leg.
    pub leg: Leg,
}

/// How the sink answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkMode {
    /// Keeps and acknowledges.
    Accept,
    /// Keeps and acknowledges after this time.
    Slow(Duration),
    /// Keeps nothing and answers with this status.
    Status(u16),
    /// Keeps nothing and answers what is not HTTP.
    Nonsense,
    /// Keeps nothing and never answers.
    Silent,
}

#[derive(Default)]
struct State {
    mode: Option<SinkMode>,
    received: Vec<Received>,
    events: Vec<Event>,
    errors: Vec<String>,
    batches: u64,
    bytes: u64,
    /// Counts batches without reading them.
    unread: bool,
}

/// A running sink.
pub struct Sink {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl Sink {
    /// Starts on a free loopback port.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> io::Result<Self> {
        Self::with(State::default()).await
    }

    /// The same, but batches are only counted, see [`Sink::traffic`]: for load.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start_counting() -> io::Result<Self> {
        Self::with(State { unread: true, ..State::default() }).await
    }

    async fn with(state: State) -> io::Result<Self> {
        let state = Arc::new(Mutex::new(state));
        let of_server = Arc::clone(&state);
        let server =
            Server::start_unrecorded(move |request| receive(&mut locked(&of_server), request)).await?;
        Ok(Self { server, state })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Answers differently from the next batch on.
    pub fn set_mode(&self, mode: SinkMode) {
        locked(&self.state).mode = Some(mode);
    }

    /// Closes the port.
    pub async fn stop(&mut self) {
        self.server.stop().await;
    }

    /// Opens the port again.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn restart(&mut self) -> io::Result<()> {
        self.server.restart().await
    }

    /// What came so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        locked(&self.state).received.clone()
    }

    /// How many legs came so far.
    #[must_use]
    pub fn count(&self) -> usize {
        locked(&self.state).received.len()
    }

    /// What the filter reported about itself so far.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        locked(&self.state).events.clone()
    }

    /// Batches and bytes that came so far, whatever they were answered.
    #[must_use]
    pub fn traffic(&self) -> (u64, u64) {
        let state = locked(&self.state);
        (state.batches, state.bytes)
    }

    /// Bodies that were no batches of legs, each with the reason. A correct filter sends none.
    #[must_use]
    pub fn errors(&self) -> Vec<String> {
        locked(&self.state).errors.clone()
    }

    /// Forgets what came so far; for long runs.
    pub fn clear(&self) {
        locked(&self.state).received.clear();
    }

    /// Waits until this holds of what came; false when it did not within the time.
    pub async fn wait_until(&self, within: Duration, holds: impl Fn(&[Received]) -> bool) -> bool {
        let deadline = Instant::now() + within;
        loop {
            if holds(&locked(&self.state).received) {
                return true;
            }
            if Instant::now() > deadline {
                return false;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until this many legs came.
    pub async fn wait_for_legs(&self, within: Duration, legs: usize) -> bool {
        self.wait_until(within, |received| received.len() >= legs).await
    }
}

/// Legs of each exchange by sample id and kind.
#[must_use]
pub fn exchanges(received: &[Received]) -> BTreeMap<String, BTreeMap<&'static str, Leg>> {
    let mut exchanges: BTreeMap<String, BTreeMap<&'static str, Leg>> = BTreeMap::new();
    for Received { leg, .. } in received {
        exchanges.entry(leg.sample_id.clone()).or_default().insert(leg.leg.as_str(), leg.clone());
    }
    exchanges
}

/// How many legs of this kind.
#[must_use]
pub fn count_of(received: &[Received], kind: LegKind) -> usize {
    received.iter().filter(|received| received.leg.leg == kind).count()
}

fn receive(state: &mut State, request: &Message) -> Vec<Step> {
    state.batches += 1;
    state.bytes += request.body.len() as u64;
    let mode = state.mode.unwrap_or(SinkMode::Accept);
    if let SinkMode::Status(status) = mode {
        return vec![Step::Write(response(status, &[], b""))];
    }
    match mode {
        SinkMode::Nonsense => return vec![Step::Write(b"\0\x01what?\r\n\r\n".to_vec()), Step::Reset],
        SinkMode::Silent => return vec![Step::Hang],
        _ => {}
    }
    match if state.unread { Ok(Default::default()) } else { legs(&request.body) } {
        Ok((legs, events)) => {
            state.received.extend(legs);
            state.events.extend(events);
        }
        Err(error) => state.errors.push(error),
    }
    let acknowledgement =
        Step::Write(response(200, &[("content-type", "application/x-protobuf")], &encode_response(None)));
    match mode {
        SinkMode::Slow(pause) => vec![Step::Pause(pause), acknowledgement],
        _ => vec![acknowledgement],
    }
}

fn legs(body: &[u8]) -> Result<(Vec<Received>, Vec<Event>), String> {
    let limits = DecodeLimits { request_bytes_max: 64 << 20, messages_max: 10_000_000 };
    let request = decode_request(body, limits).map_err(|error| error.to_string())?;
    let (mut legs, mut events) = (Vec::new(), Vec::new());
    for logs in request.resource_logs {
        let (worker, proxy) = (attribute(&logs, names::WORKER), attribute(&logs, names::PROXY));
        for record in logs.scope_logs.into_iter().flat_map(|scope| scope.log_records) {
            if record.event_name == names::EVENT_FILTER {
                events.push(Event::from_record(record).map_err(|error| error.to_string())?);
                continue;
            }
            let leg = Leg::from_record(record).map_err(|error| error.to_string())?;
            legs.push(Received { worker: worker.clone(), proxy: proxy.clone(), leg });
        }
    }
    Ok((legs, events))
}

fn attribute(logs: &ResourceLogs, name: &str) -> String {
    use weir_wire::otlp::any_value::Value;
    let attributes = logs.resource.iter().flat_map(|resource| &resource.attributes);
    let found = attributes.filter(|attribute| attribute.key == name).find_map(|attribute| {
        match attribute.value.as_ref()?.value.as_ref()? {
            Value::StringValue(text) => Some(text.clone()),
            _ => None,
        }
    });
    found.unwrap_or_default()
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
