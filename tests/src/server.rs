//! An upstream that does exactly what a test says, and remembers what it was asked.
//!
//! The reply to a request is a list of steps on the socket, so that a test decides every byte, pause and reset.
//! A server can be stopped and started again on the same port.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::http::{Message, Reader, Side, chunk, chunked_head};

/// One step of a reply.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends these bytes.
    Write(Vec<u8>),
    /// Waits.
    Pause(Duration),
    /// Never sends anything again but keeps the connection.
    Hang,
    /// Ends the connection with a TCP reset.
    Reset,
}

type Handler = Box<dyn Fn(&Message) -> Vec<Step> + Send + Sync>;

struct Shared {
    handler: Mutex<Arc<Handler>>,
    /// `None` where nothing is recorded.
    requests: Option<Mutex<Vec<Message>>>,
}

/// A running server; dropping it closes its port and its connections.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<tokio::task::JoinHandle<()>>,
}

impl Server {
    /// Starts on a free loopback port and records every request.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(handler: impl Fn(&Message) -> Vec<Step> + Send + Sync + 'static) -> io::Result<Self> {
        Self::bind(handler, Some(Mutex::default())).await
    }

    /// The same without recording: for load.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start_unrecorded(
        handler: impl Fn(&Message) -> Vec<Step> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::bind(handler, None).await
    }

    async fn bind(
        handler: impl Fn(&Message) -> Vec<Step> + Send + Sync + 'static,
        requests: Option<Mutex<Vec<Message>>>,
    ) -> io::Result<Self> {
        let handler: Handler = Box::new(handler);
        let shared = Arc::new(Shared { handler: Mutex::new(Arc::new(handler)), requests });
        let mut server = Self { address: SocketAddr::from(([127, 0, 0, 1], 0)), shared, accepting: None };
        server.restart().await?;
        Ok(server)
    }

    /// Where it listens, also while it is stopped.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it was asked so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Message> {
        self.shared.requests.as_ref().map(|requests| locked(requests).clone()).unwrap_or_default()
    }

    /// Forgets what it was asked so far; for long runs.
    pub fn forget(&self) {
        if let Some(requests) = &self.shared.requests {
            locked(requests).clear();
        }
    }

    /// Replies differently from the next request on.
    pub fn reply_with(&self, handler: impl Fn(&Message) -> Vec<Step> + Send + Sync + 'static) {
        *locked(&self.shared.handler) = Arc::new(Box::new(handler));
    }

    /// Closes the port and every connection.
    pub async fn stop(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            // Cancelled is the only way it ends; the port is closed when it has.
            let _ = accepting.await;
        }
    }

    /// Listens again on the same port.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn restart(&mut self) -> io::Result<()> {
        self.stop().await;
        let listener = TcpListener::bind(self.address).await?;
        self.address = listener.local_addr()?;
        self.accepting = Some(tokio::spawn(accept(listener, Arc::clone(&self.shared))));
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
        }
    }
}

/// A reply of one JSON document.
#[must_use]
pub fn json_reply(status: u16, body: &str) -> Vec<Step> {
    vec![Step::Write(crate::http::response(status, &[("content-type", "application/json")], body.as_bytes()))]
}

/// A chunked reply, one socket write per chunk with a pause between them.
#[must_use]
pub fn chunked_reply(content_type: &str, chunks: &[&[u8]], pause: Duration) -> Vec<Step> {
    let mut steps = vec![Step::Write(chunked_head(200, content_type))];
    for bytes in chunks.iter().filter(|bytes| !bytes.is_empty()) {
        steps.push(Step::Pause(pause));
        steps.push(Step::Write(chunk(bytes)));
    }
    steps.push(Step::Write(chunk(b"")));
    steps
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, which ends every connection.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    // Small writes must leave at once, or Nagle's algorithm decides about the chunks.
    let _ = stream.set_nodelay(true);
    let (read, mut write) = stream.split();
    let mut reader = Reader::new(read);
    let mut reset = false;
    'requests: while let Ok(Some(request)) = reader.message(Side::Server).await {
        let handler = Arc::clone(&locked(&shared.handler));
        let steps = handler(&request);
        if let Some(requests) = &shared.requests {
            locked(requests).push(request);
        }
        for step in steps {
            match step {
                Step::Write(bytes) => {
                    if write.write_all(&bytes).await.is_err() {
                        break 'requests;
                    }
                }
                Step::Pause(pause) => tokio::time::sleep(pause).await,
                Step::Hang => std::future::pending().await,
                Step::Reset => {
                    reset = true;
                    break 'requests;
                }
            }
        }
    }
    if reset {
        // Without it the close is an orderly end, which is a different failure.
        let _ = stream.set_zero_linger();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
