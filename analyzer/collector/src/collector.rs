//! The running collector: its options, its start, its orderly stop.
//!
//! Threads: the caller's tokio runtime serves HTTP; one thread owns the log, one writes Parquet. Requests to the log wait in a queue
//! of [`Limits::queue_requests_max`].

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{channel, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use weir_sample::disk::{Disk, RealDisk};
use weir_sample::durable::DurableError;

use crate::access::{Access, AccessError, AccessOptions};
use crate::drain::Drain;
use crate::events::{EventKind, LogFormat};
use crate::listen::{ConnectionLimits, serve};
use crate::lock::DataLock;
use crate::otlp::RequestLimits;
use crate::pressure::Pressure;
use crate::redact::{Redactor, Rules};
use crate::server::{Shared, permits, router, workers};
use crate::status::{LogSink, Status};
use crate::store::{Store, StoreError, StoreOptions};
use crate::wal::FILE_BYTES_MAX;
use crate::wal::recovery::{Recovered, open_folder, recover};
use crate::wal::writer::{Rotation, Writer};

/// Bounds of the collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest request body on the wire, bytes.
    pub body_bytes_max: usize,
    /// Largest request body after undoing its content encoding, bytes.
    pub decoded_bytes_max: usize,
    /// Decoded bytes for each byte on the wire, beyond the first MiB.
    pub ratio_max: usize,
    /// Time for a request body to arrive.
    pub body_timeout: Duration,
    /// Resources, scopes, records, attributes and values of one request together.
    pub messages_max: usize,
    /// Records or spans of one request.
    pub records_max: usize,
    /// Request bodies in memory at once, bytes; beyond it requests get 429.
    pub inflight_bytes_max: usize,
    /// Requests that wait for the log; beyond it requests get 429.
    pub queue_requests_max: usize,
    /// Log that is not in Parquet yet, bytes; beyond it requests get 503.
    pub wal_bytes_max: u64,
    /// Free space of the data folder's disk, bytes; below it requests get 503.
    pub disk_free_bytes_min: u64,
    /// Size at which a segment is sealed, bytes, at most 256 MiB; it bounds the memory that becomes Parquet at once.
    pub segment_bytes_max: u64,
}

/// How a collector runs.
#[derive(Clone)]
pub struct CollectorOptions {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The data folder; created when it is missing.
    pub data_dir: PathBuf,
    /// Finished Parquet goes to this object store, and stays in the data folder only until it is there.
    pub store: Option<StoreOptions>,
    /// TLS and tokens; an address beyond loopback needs client certificates or tokens.
    pub access: AccessOptions,
    /// Allows addresses beyond loopback to everybody.
    pub insecure: bool,
    /// Bounds of connections.
    pub connections: ConnectionLimits,
    /// Rows become Parquet at latest after this.
    pub flush_interval: Duration,
    /// Rows that become Parquet together at most, about.
    pub flush_rows: usize,
    /// How long an orderly stop waits for requests, and for Parquet that cannot be written.
    pub stop_timeout: Duration,
    /// Bounds.
    pub limits: Limits,
    /// What is redacted, and how.
    pub rules: Rules,
    /// Where lines for the operator go.
    pub log: LogSink,
    /// How those lines look.
    pub log_format: LogFormat,
    /// The file system; another one than the system's only in tests that break it.
    pub disk: Arc<dyn Disk>,
}

/// Why a collector did not start.
#[derive(Debug, Error)]
pub enum CollectorError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {source}\n  hint: {hint}", hint = listen_hint(source))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not loopback, and writers are not known.
    #[error(
        "listening on {address} would let anyone on the network write samples; allowed: 127.0.0.1 and [::1], others with --tokens, or with --tls-certificate, --tls-key and --client-ca
  hint: give writers tokens or certificates, or accept it with --insecure"
    )]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// Another collector has the data folder.
    #[error("{}: another collector (process {owner}) uses this data folder\n  hint: stop it, or choose another folder with --data", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// The other's process number, where known.
        owner: String,
    },
    /// The object store's address.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Certificates or tokens cannot be used.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The data folder cannot be used.
    #[error(transparent)]
    Data(#[from] DurableError),
    /// The redaction did not load; nothing is collected then.
    #[error("the redaction patterns do not compile: {0}\n  hint: this is a defect of weir; please report it")]
    Redaction(#[from] regex::Error),
    /// The system gave no thread.
    #[error("cannot start a thread: {0}\n  hint: check the limits of processes and memory")]
    Thread(std::io::Error),
    /// The orderly stop left rows in the log.
    #[error(
        "{segments} segments of the log are not in Parquet yet\n  hint: nothing is lost; they are written at the next start"
    )]
    Undrained {
        /// How many.
        segments: usize,
    },
}

/// Starts collectors.
#[derive(Debug)]
pub struct Collector;

/// A collector that serves. Dropping it without [`RunningCollector::stop`] stops it without waiting.
#[derive(Debug)]
pub struct RunningCollector {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    server: tokio::task::JoinHandle<()>,
    writer: Option<JoinHandle<()>>,
    drain: Option<JoinHandle<usize>>,
    stop_at: Arc<OnceLock<Instant>>,
    stop_timeout: Duration,
    status: Arc<Status>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 16 << 20,
            decoded_bytes_max: 16 << 20,
            ratio_max: 100,
            body_timeout: Duration::from_secs(10),
            messages_max: 200_000,
            records_max: 50_000,
            inflight_bytes_max: 64 << 20,
            queue_requests_max: 1_024,
            wal_bytes_max: 1 << 30,
            disk_free_bytes_min: 256 << 20,
            segment_bytes_max: 64 << 20,
        }
    }
}

impl Limits {
    pub(crate) fn of_request(&self) -> RequestLimits {
        RequestLimits {
            decoded_bytes_max: self.decoded_bytes_max,
            ratio_max: self.ratio_max,
            messages_max: self.messages_max,
            records_max: self.records_max,
        }
    }
}

impl CollectorOptions {
    /// The usual options: Parquet every 5 seconds or 50,000 rows, lines to stderr.
    pub fn new(listen: SocketAddr, data_dir: impl Into<PathBuf>) -> Self {
        Self {
            listen,
            data_dir: data_dir.into(),
            store: None,
            access: AccessOptions::default(),
            insecure: false,
            connections: ConnectionLimits::default(),
            flush_interval: Duration::from_secs(5),
            flush_rows: 50_000,
            stop_timeout: Duration::from_secs(10),
            limits: Limits::default(),
            rules: Rules::default(),
            log: Arc::new(|line| eprintln!("collector: {line}")),
            log_format: LogFormat::Text,
            disk: Arc::new(RealDisk),
        }
    }
}

impl Collector {
    /// Takes the data folder, recovers the log, listens. What was recovered becomes Parquet in the background.
    ///
    /// # Errors
    /// The address, the data folder or its lock; nothing is left running then. Must be called within a tokio runtime.
    pub async fn start(options: CollectorOptions) -> Result<RunningCollector, CollectorError> {
        let reachable = !options.listen.ip().is_loopback();
        if reachable && !options.insecure && !options.access.knows_writers() {
            return Err(CollectorError::NotLoopback { address: options.listen });
        }
        let store = options.store.as_ref().map(Store::new).transpose()?;
        let (sink, format) = (Arc::clone(&options.log), options.log_format);
        let log: LogSink = Arc::new(move |line| sink(&format.line(EventKind::Access, line)));
        let access = Arc::new(Access::new(&options.access, &log)?);
        if reachable && access.tls.is_none() {
            log("no TLS: samples and tokens can be read on the network");
        }
        let redactor = Arc::new(Redactor::with(options.rules.clone())?);
        // Before the data folder is touched: a second start of the same command changes nothing.
        let listen_error = |source| CollectorError::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).await.map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;

        let status = Arc::new(
            Status::new(Arc::clone(&options.log))
                .with_format(options.log_format)
                .with_marks(options.limits.wal_bytes_max, options.limits.disk_free_bytes_min),
        );
        let wal_dir = open_folder(&*options.disk, &options.data_dir)?;
        let lock = Arc::new(DataLock::take(&wal_dir)?);
        let recovered = recover(&*options.disk, &wal_dir, &status)?;
        if !recovered.waiting.is_empty() {
            let (segments, bytes) = (recovered.waiting.len(), recovered.waiting_bytes);
            let text = format!("{segments} segments of the log wait for Parquet, {bytes} bytes");
            status.event(EventKind::Recovered, &text);
        }
        let stop_at = Arc::new(OnceLock::new());
        let (requests, writer, drain) =
            start_threads(&options, wal_dir, recovered, store, &status, &stop_at, &lock)?;

        let shared = Shared {
            status: Arc::clone(&status),
            redactor,
            requests,
            limits: options.limits,
            pressure: Arc::new(Pressure::new(
                Arc::clone(&options.disk),
                options.data_dir.clone(),
                &options.limits,
            )),
            access: Arc::clone(&access),
            workers: workers(),
            memory: Arc::new(Semaphore::new(permits(options.limits.inflight_bytes_max) as usize)),
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let serving =
            serve(listener, router(shared), access, options.connections, Arc::clone(&status), stopped);
        let server = tokio::spawn(serving);
        let (writer, drain) = (Some(writer), Some(drain));
        let stop_timeout = options.stop_timeout;
        Ok(RunningCollector {
            address,
            stop: Some(stop),
            server,
            writer,
            drain,
            stop_at,
            stop_timeout,
            status,
        })
    }
}

impl RunningCollector {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The text of `/metrics`.
    pub fn metrics(&self) -> String {
        self.status.prometheus()
    }

    /// Takes no more requests, finishes those in work, and writes everything acknowledged to Parquet.
    ///
    /// # Errors
    /// [`CollectorError::Undrained`] when Parquet could not be written in time; the log keeps the rows.
    pub async fn stop(mut self) -> Result<(), CollectorError> {
        let _ = self.stop_at.set(Instant::now() + self.stop_timeout);
        drop(self.stop.take());
        if tokio::time::timeout(self.stop_timeout, &mut self.server).await.is_err() {
            let text = "some clients did not finish their requests; they are cut off, unacknowledged";
            self.status.event(EventKind::Client, text);
            // Only here: a task that was awaited to its end cannot be awaited again.
            self.server.abort();
            let _ = (&mut self.server).await;
        }
        let (writer, drain) = (self.writer.take(), self.drain.take());
        let joined = tokio::task::spawn_blocking(move || {
            writer.map(JoinHandle::join);
            drain.map(JoinHandle::join)
        });
        match joined.await {
            Ok(Some(Ok(0))) => Ok(()),
            Ok(Some(Ok(segments))) => Err(CollectorError::Undrained { segments }),
            _ => Err(CollectorError::Thread(std::io::Error::other("a thread of the collector ended early"))),
        }
    }
}

impl std::fmt::Debug for CollectorOptions {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("CollectorOptions")
            .field("listen", &self.listen)
            .field("data_dir", &self.data_dir)
            .field("insecure", &self.insecure)
            .field("flush_interval", &self.flush_interval)
            .field("flush_rows", &self.flush_rows)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

type Threads = (std::sync::mpsc::SyncSender<crate::wal::writer::Request>, JoinHandle<()>, JoinHandle<usize>);

fn start_threads(
    options: &CollectorOptions,
    wal_dir: PathBuf,
    recovered: Recovered,
    store: Option<Store>,
    status: &Arc<Status>,
    stop_at: &Arc<OnceLock<Instant>>,
    lock: &Arc<DataLock>,
) -> Result<Threads, CollectorError> {
    let now_us = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_micros();
    let run = u64::try_from(now_us).unwrap_or(0).max(recovered.run_min);
    let (requests, waiting) = sync_channel(options.limits.queue_requests_max);
    let (sealed, to_drain) = channel();
    status.wal_grew(recovered.waiting_bytes);
    for segment in recovered.waiting {
        status.segment_opened(segment.id);
        // The receiver is at hand, so this cannot fail.
        let _ = sealed.send(segment);
    }
    let rotation = Rotation {
        age_max: options.flush_interval,
        rows_max: options.flush_rows,
        bytes_max: options.limits.segment_bytes_max.min(FILE_BYTES_MAX / 2),
    };
    let place = (Arc::clone(&options.disk), wal_dir.clone());
    let writer = Writer::new(place, recovered.keys, rotation, sealed, Arc::clone(status), run);
    let drain = Drain {
        disk: Arc::clone(&options.disk),
        data_dir: options.data_dir.clone(),
        wal_dir,
        seen: recovered.seen,
        status: Arc::clone(status),
        stop_at: Arc::clone(stop_at),
        written: None,
        store,
    };
    // Both threads hold the lock: it is free when the last of them is done.
    let (writer_lock, drain_lock) = (Arc::clone(lock), Arc::clone(lock));
    let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
    let drain = thread("weir-drain")
        .spawn(move || {
            let left = drain.run(&to_drain);
            drop(drain_lock);
            left
        })
        .map_err(CollectorError::Thread)?;
    let writer = thread("weir-log")
        .spawn(move || {
            writer.run(&waiting);
            drop(writer_lock);
        })
        .map_err(CollectorError::Thread)?;
    Ok((requests, writer, drain))
}

fn listen_hint(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::AddrInUse => {
            "another program has this port; choose another with --listen, or port 0 for a free one"
        }
        std::io::ErrorKind::PermissionDenied => "ports below 1024 need rights; choose another with --listen",
        std::io::ErrorKind::AddrNotAvailable => "this machine has no such address; 127.0.0.1 always works",
        _ => "choose another address with --listen",
    }
}
