//! Load on one proxy over keep-alive connections, as a closed loop or at a fixed rate, and the upstream that answers it.
//!
//! Both do as little per request as they can, because they share the machine with the proxy that is measured.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a round of load measured.
pub(crate) struct Round {
    /// Answers that came whole, status 200.
    pub(crate) requests: u64,
    /// Latencies in microseconds, sorted.
    pub(crate) latencies_us: Vec<u32>,
    /// How long it took.
    pub(crate) elapsed: Duration,
}

impl Round {
    /// The latency that this share of the answers did not exceed.
    pub(crate) fn latency_us(&self, share: f64) -> f64 {
        let index = (self.latencies_us.len() as f64 * share) as usize;
        self.latencies_us.get(index).map_or(0.0, |latency| f64::from(*latency))
    }
}

/// When a connection sends its requests.
#[derive(Clone, Copy)]
enum Pace {
    /// The next one behind the answer.
    Closed,
    /// The first one then, the next ones this far apart, whether or not the proxy keeps up; latency counts from there.
    Open(Instant, Duration),
}

/// Sends requests at a fixed rate, spread evenly over the connections, for this long.
///
/// # Errors
/// As [`run`].
pub(crate) async fn paced(
    address: SocketAddr,
    requests: Arc<Vec<Vec<u8>>>,
    connections: usize,
    rate_per_s: f64,
    length: Duration,
) -> io::Result<Round> {
    let start = Instant::now() + Duration::from_millis(20);
    let apart = Duration::from_secs_f64(connections as f64 / rate_per_s.max(1.0));
    let pace = |index: usize| Pace::Open(start + apart.mul_f64(index as f64 / connections as f64), apart);
    spread_over(address, requests, connections, start + length, pace).await
}

/// Sends these requests in turn over this many connections for this long.
///
/// # Errors
/// A connection that breaks or an answer that is not 200: the figures would be worthless.
pub(crate) async fn run(
    address: SocketAddr,
    requests: Arc<Vec<Vec<u8>>>,
    connections: usize,
    length: Duration,
) -> io::Result<Round> {
    spread_over(address, requests, connections, Instant::now() + length, |_| Pace::Closed).await
}

async fn spread_over(
    address: SocketAddr,
    requests: Arc<Vec<Vec<u8>>>,
    connections: usize,
    until: Instant,
    pace: impl Fn(usize) -> Pace,
) -> io::Result<Round> {
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..connections {
        tasks.spawn(connection(address, Arc::clone(&requests), index * 7, until, pace(index)));
    }
    let mut latencies_us = Vec::new();
    while let Some(task) = tasks.join_next().await {
        latencies_us.extend(task.map_err(io::Error::other)??);
    }
    latencies_us.sort_unstable();
    Ok(Round { requests: latencies_us.len() as u64, latencies_us, elapsed: start.elapsed() })
}

async fn connection(
    address: SocketAddr,
    requests: Arc<Vec<Vec<u8>>>,
    first: usize,
    until: Instant,
    pace: Pace,
) -> io::Result<Vec<u32>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut latencies = Vec::with_capacity(1 << 16);
    let mut buffer = Vec::with_capacity(1 << 14);
    let mut due = match pace {
        Pace::Closed => None,
        Pace::Open(first, _) => Some(first),
    };
    for request in requests.iter().cycle().skip(first % requests.len().max(1)) {
        let start = match due {
            Some(due) => wait_for(due).await,
            None => Instant::now(),
        };
        if let (Some(due), Pace::Open(_, apart)) = (&mut due, pace) {
            *due += apart;
        }
        if start >= until {
            break;
        }
        stream.write_all(request).await?;
        read_message(&mut stream, &mut buffer).await?;
        if !buffer.starts_with(b"HTTP/1.1 200") {
            let first_line =
                String::from_utf8_lossy(buffer.split(|byte| *byte == b'\r').next().unwrap_or_default())
                    .into_owned();
            return Err(io::Error::other(format!("the proxy answered {first_line}")));
        }
        latencies.push(u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok(latencies)
}

/// Waits until then by asking again and again: a timer is a thousand times too coarse.
async fn wait_for(due: Instant) -> Instant {
    while Instant::now() < due {
        tokio::task::yield_now().await;
    }
    due
}

/// Starts an upstream that gives every request the same answer.
///
/// # Errors
/// When no port can be bound.
pub(crate) async fn upstream(answer: Vec<u8>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let answer: Arc<[u8]> = answer.into();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&answer)));
        }
    });
    Ok(address)
}

async fn serve(mut stream: TcpStream, answer: Arc<[u8]>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(1 << 14);
    loop {
        read_message(&mut stream, &mut buffer).await?;
        stream.write_all(&answer).await?;
    }
}

/// Reads one message with a content length (or chunked, which only this bench's answers may be when the proxy rewrites
/// them) into the buffer. Nothing is pipelined here, so nothing is read ahead.
async fn read_message(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(head) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let (head, body) = buffer.split_at(head + 4);
            let complete = match content_length(head) {
                Some(length) => body.len() >= length,
                None => body.ends_with(b"0\r\n\r\n"),
            };
            if complete {
                return Ok(());
            }
        }
    }
}

fn content_length(head: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"\r\ncontent-length: ";
    let start = head.windows(NAME.len()).position(|window| window == NAME)? + NAME.len();
    let digits = head.get(start..)?.split(|byte| *byte == b'\r').next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
