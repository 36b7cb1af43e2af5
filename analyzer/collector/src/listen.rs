//! Connections: taken one by one, with TLS where it is asked for, each with its limits.
//!
//! Limits: [`ConnectionLimits`]. A connection beyond the largest number waits in the system's queue until another ends. A connection on
//! which nothing moves is closed; so is one whose TLS handshake or request head takes too long.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::{Instant, Sleep, sleep};

use crate::access::Access;
use crate::events::EventKind;
use crate::status::Status;

/// Bounds of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections at once.
    pub connections_max: usize,
    /// Time for a TLS handshake, and for the head of the next request.
    pub header_timeout: Duration,
    /// Time in which nothing is read or written.
    pub idle_timeout: Duration,
    /// Largest head of a request, bytes.
    pub header_bytes_max: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections_max: 1_024,
            header_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            header_bytes_max: 64 << 10,
        }
    }
}

/// Pause after the system refused a connection, for example for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` says so, and then until every request in work is answered.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    access: Arc<Access>,
    limits: ConnectionLimits,
    status: Arc<Status>,
    stop: oneshot::Receiver<()>,
) {
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let (ending, ends) = watch::channel(false);
    let mut stop = pin!(stop);
    loop {
        let next = async {
            // Never closed, so this cannot fail.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            _ = &mut stop => break,
            next = next => next,
        };
        match accepted {
            Ok((stream, _)) => {
                let work = connection(stream, router.clone(), Arc::clone(&access), limits, ends.clone());
                tokio::spawn(async move {
                    work.await;
                    drop(place);
                });
            }
            Err(error) => {
                status.event(EventKind::Server, &format!("a connection could not be taken: {error}"));
                sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    // Nobody listens any more when there is no connection.
    let _ = ending.send(true);
    drop(ends);
    ending.closed().await;
}

async fn connection(
    stream: TcpStream,
    router: Router,
    access: Arc<Access>,
    limits: ConnectionLimits,
    ends: watch::Receiver<bool>,
) {
    // Answers are small: they go out at once.
    let _ = stream.set_nodelay(true);
    let stream = Watchdog::new(stream, limits.idle_timeout);
    match &access.tls {
        None => http(stream, router, limits, ends).await,
        Some(tls) => {
            let handshake = tokio::time::timeout(limits.header_timeout, tls.acceptor().accept(stream));
            // A client that cannot show what is asked for gets TLS's own alert.
            if let Ok(Ok(stream)) = handshake.await {
                http(stream, router, limits, ends).await;
            }
        }
    }
}

async fn http<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: T,
    router: Router,
    limits: ConnectionLimits,
    mut ends: watch::Receiver<bool>,
) {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.header_bytes_max.max(8 << 10));
    let serving = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut serving = pin!(serving);
    tokio::select! {
        // What went wrong with a connection is its client's to know.
        _ = serving.as_mut() => return,
        _ = ends.wait_for(|ending| *ending) => serving.as_mut().graceful_shutdown(),
    }
    let _ = serving.await;
}

/// A stream that fails when nothing moved for a time.
struct Watchdog<T> {
    stream: T,
    patience: Duration,
    sleep: Pin<Box<Sleep>>,
}

impl<T> Watchdog<T> {
    fn new(stream: T, patience: Duration) -> Self {
        Self { stream, patience, sleep: Box::pin(sleep(patience)) }
    }

    /// After a look at the stream: time starts again when something moved, and may be over when nothing did.
    fn judge<R>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if result.is_ready() {
            self.sleep.as_mut().reset(Instant::now() + self.patience);
        } else if self.sleep.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        result
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watchdog<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.judge(cx, result)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watchdog<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.judge(cx, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
