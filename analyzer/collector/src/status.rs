//! What the collector knows about itself: counters, the backlog, and the text of `/metrics` (Prometheus).
//!
//! Invariant: no captured text is ever in here; labels come from closed sets, but for the names of proxies.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::events::{EventKind, LogFormat};
use crate::gaps::Gaps;
use crate::redact::{Finds, Secret};
use crate::wal::SegmentId;

/// Receives one line about something that an operator should know.
pub type LogSink = Arc<dyn Fn(&str) + Send + Sync>;

/// A gauge that is left out.
pub(crate) const NOT_KNOWN: u64 = u64::MAX;
/// Between two lines about failed commits.
const REPEAT_INTERVAL: Duration = Duration::from_secs(1);

/// Why something was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// A record of a good request has a wrong attribute.
    BadRecord,
    /// A record of another kind.
    OtherEvent,
    /// A request that is not OTLP logs.
    Malformed,
    /// A request beyond the limits.
    TooLarge,
    /// A request in another format or encoding.
    MediaType,
    /// A request while the log or the disk was full, or the collector about to stop.
    Overload,
    /// A request while senders had more in work than memory and queue allow.
    TooMany,
    /// A request that the log could not make durable.
    Storage,
    /// A request whose body did not arrive in time.
    Timeout,
    /// A request without a good token.
    Unknown,
}

const REJECTIONS: [(Rejection, &str); 10] = [
    (Rejection::BadRecord, "bad_record"),
    (Rejection::OtherEvent, "other_event"),
    (Rejection::Malformed, "malformed"),
    (Rejection::TooLarge, "too_large"),
    (Rejection::MediaType, "media_type"),
    (Rejection::Overload, "overload"),
    (Rejection::TooMany, "too_many"),
    (Rejection::Storage, "storage"),
    (Rejection::Timeout, "timeout"),
    (Rejection::Unknown, "unknown_writer"),
];

/// An event that comes often.
#[derive(Debug, Default)]
struct Repeated {
    told: Option<Instant>,
    untold: u64,
}

pub(crate) struct Status {
    log: LogSink,
    format: LogFormat,
    pub(crate) samples: AtomicU64,
    pub(crate) scores: AtomicU64,
    pub(crate) duplicates: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) other_spans: AtomicU64,
    rejected: [AtomicU64; REJECTIONS.len()],
    redacted: [AtomicU64; Secret::ALL.len()],
    wal_bytes: AtomicU64,
    pub(crate) files: AtomicU64,
    pub(crate) file_bytes: AtomicU64,
    pub(crate) rows: AtomicU64,
    pub(crate) drain_failures: AtomicU64,
    pub(crate) drain_failing: AtomicBool,
    recovered: AtomicU64,
    damaged: AtomicU64,
    torn: AtomicU64,
    /// Group commits, and the time that their writes and syncs took.
    commits: AtomicU64,
    commit_us: AtomicU64,
    foreign: AtomicU64,
    /// [`NOT_KNOWN`] until the system says it.
    pub(crate) disk_free_bytes: AtomicU64,
    wal_bytes_max: AtomicU64,
    disk_free_bytes_min: AtomicU64,
    pub(crate) inflight_bytes: AtomicU64,
    waiting: Mutex<VecDeque<(SegmentId, Instant)>>,
    gaps: Mutex<Gaps>,
    commit_failures: Mutex<Repeated>,
}

impl Status {
    pub(crate) fn new(log: LogSink) -> Self {
        Self {
            log,
            format: LogFormat::Text,
            samples: AtomicU64::new(0),
            scores: AtomicU64::new(0),
            duplicates: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            other_spans: AtomicU64::new(0),
            rejected: Default::default(),
            redacted: Default::default(),
            wal_bytes: AtomicU64::new(0),
            files: AtomicU64::new(0),
            file_bytes: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            drain_failures: AtomicU64::new(0),
            drain_failing: AtomicBool::new(false),
            recovered: AtomicU64::new(0),
            damaged: AtomicU64::new(0),
            torn: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            commit_us: AtomicU64::new(0),
            foreign: AtomicU64::new(0),
            disk_free_bytes: AtomicU64::new(NOT_KNOWN),
            wal_bytes_max: AtomicU64::new(0),
            disk_free_bytes_min: AtomicU64::new(0),
            inflight_bytes: AtomicU64::new(0),
            waiting: Mutex::default(),
            gaps: Mutex::default(),
            commit_failures: Mutex::default(),
        }
    }

    /// With another format of its lines.
    pub(crate) fn with_format(self, format: LogFormat) -> Self {
        Self { format, ..self }
    }

    /// The high-water marks, for who watches the distance.
    pub(crate) fn with_marks(self, wal_bytes_max: u64, disk_free_bytes_min: u64) -> Self {
        self.wal_bytes_max.store(wal_bytes_max, Relaxed);
        self.disk_free_bytes_min.store(disk_free_bytes_min, Relaxed);
        self
    }

    /// Tells the operator.
    pub(crate) fn event(&self, kind: EventKind, message: &str) {
        (self.log)(&self.format.line(kind, message));
    }

    /// A file of the log's folder that is left alone.
    pub(crate) fn foreign(&self, message: &str) {
        self.foreign.fetch_add(1, Relaxed);
        self.event(EventKind::Foreign, message);
    }

    pub(crate) fn committed(&self, took: Duration) {
        self.commits.fetch_add(1, Relaxed);
        self.commit_us.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Told at most once in [`REPEAT_INTERVAL`], with the number of those in between: a full disk fails every batch.
    pub(crate) fn commit_failed(&self, message: &str) {
        let mut repeated = self.commit_failures.lock().unwrap_or_else(PoisonError::into_inner);
        repeated.untold += 1;
        if repeated.told.is_some_and(|told| told.elapsed() < REPEAT_INTERVAL) {
            return;
        }
        let untold = std::mem::take(&mut repeated.untold);
        repeated.told = Some(Instant::now());
        drop(repeated);
        let more =
            if untold > 1 { format!(" ({untold} batches since the last line)") } else { String::new() };
        self.event(EventKind::CommitFailed, &format!("{message}{more}"));
    }

    pub(crate) fn reject(&self, rejection: Rejection, count: u64) {
        let mut slots = REJECTIONS.iter().zip(&self.rejected);
        if let Some((_, slot)) = slots.find(|((name, _), _)| *name == rejection) {
            slot.fetch_add(count, Relaxed);
        }
    }

    pub(crate) fn redacted(&self, finds: &Finds) {
        for (secret, slot) in Secret::ALL.into_iter().zip(&self.redacted) {
            slot.fetch_add(finds.of(secret), Relaxed);
        }
    }

    pub(crate) fn recovered(&self, records: u64, damaged: u64, torn: bool) {
        self.recovered.fetch_add(records, Relaxed);
        self.damaged.fetch_add(damaged, Relaxed);
        self.torn.fetch_add(u64::from(torn), Relaxed);
    }

    pub(crate) fn damaged(&self, records: u64) {
        self.damaged.fetch_add(records, Relaxed);
    }

    /// Bytes of segments that are not in Parquet yet.
    pub(crate) fn wal_bytes(&self) -> u64 {
        self.wal_bytes.load(Relaxed)
    }

    pub(crate) fn wal_grew(&self, bytes: u64) {
        self.wal_bytes.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn segment_opened(&self, id: SegmentId) {
        self.waiting().push_back((id, Instant::now()));
    }

    pub(crate) fn segment_finished(&self, id: SegmentId, bytes: u64) {
        self.waiting().retain(|(waiting, _)| *waiting != id);
        let shrink = |wal_bytes: u64| Some(wal_bytes.saturating_sub(bytes));
        let _ = self.wal_bytes.fetch_update(Relaxed, Relaxed, shrink);
    }

    /// The metrics, in Prometheus' text format.
    pub(crate) fn prometheus(&self) -> String {
        let mut text = String::new();
        let load = |counter: &AtomicU64| counter.load(Relaxed);
        let lag = self.waiting().front().map_or(0.0, |(_, since)| since.elapsed().as_secs_f64());
        let segments = self.waiting().len() as u64;
        family(&mut text, "weir_collector_accepted_total", "counter", "Records made durable, by kind.");
        line(&mut text, "weir_collector_accepted_total{kind=\"samples\"}", load(&self.samples));
        line(&mut text, "weir_collector_accepted_total{kind=\"scores\"}", load(&self.scores));
        family(
            &mut text,
            "weir_collector_rejected_total",
            "counter",
            "Records (bad_record, other_event) and requests (the rest) that were refused.",
        );
        for ((_, name), count) in REJECTIONS.iter().zip(&self.rejected) {
            line(&mut text, &format!("weir_collector_rejected_total{{reason=\"{name}\"}}"), load(count));
        }
        family(&mut text, "weir_collector_redactions_total", "counter", "Secrets that were masked, by kind.");
        for (secret, count) in Secret::ALL.into_iter().zip(&self.redacted) {
            let name = format!("weir_collector_redactions_total{{kind=\"{}\"}}", secret.as_str());
            line(&mut text, &name, load(count));
        }
        let plain: [(&str, &str, &str, u64); 20] = [
            (
                "weir_collector_requests_total",
                "counter",
                "Requests that were answered with 200.",
                load(&self.requests),
            ),
            (
                "weir_collector_other_spans_total",
                "counter",
                "Spans and events that are no call of a model; they are not kept.",
                load(&self.other_spans),
            ),
            (
                "weir_collector_duplicates_total",
                "counter",
                "Retries that were recognised.",
                load(&self.duplicates),
            ),
            ("weir_collector_wal_bytes", "gauge", "Log that is not in Parquet yet.", self.wal_bytes()),
            ("weir_collector_wal_segments", "gauge", "Segments that are not in Parquet yet.", segments),
            ("weir_collector_files_written_total", "counter", "Parquet files.", load(&self.files)),
            ("weir_collector_file_bytes_total", "counter", "Bytes of Parquet files.", load(&self.file_bytes)),
            ("weir_collector_rows_written_total", "counter", "Rows in Parquet files.", load(&self.rows)),
            (
                "weir_collector_drain_failures_total",
                "counter",
                "Tries to write Parquet that failed.",
                load(&self.drain_failures),
            ),
            (
                "weir_collector_recovered_records_total",
                "counter",
                "Records found in the log at start.",
                load(&self.recovered),
            ),
            (
                "weir_collector_damaged_records_total",
                "counter",
                "Stretches of the log that were damaged.",
                load(&self.damaged),
            ),
            (
                "weir_collector_torn_tails_total",
                "counter",
                "Segments with an interrupted end.",
                load(&self.torn),
            ),
            (
                "weir_collector_drain_failing",
                "gauge",
                "1 while Parquet cannot be written.",
                u64::from(self.drain_failing.load(Relaxed)),
            ),
            (
                "weir_collector_commits_total",
                "counter",
                "Group commits that were made durable.",
                load(&self.commits),
            ),
            (
                "weir_collector_commit_microseconds_total",
                "counter",
                "Time that writing and syncing group commits took.",
                load(&self.commit_us),
            ),
            (
                "weir_collector_foreign_files",
                "gauge",
                "Files in the log's folder that were left alone.",
                load(&self.foreign),
            ),
            (
                "weir_collector_wal_bytes_max",
                "gauge",
                "Log beyond which requests are refused.",
                load(&self.wal_bytes_max),
            ),
            (
                "weir_collector_disk_free_bytes",
                "gauge",
                "Free space of the data folder's disk; left out when not known.",
                load(&self.disk_free_bytes),
            ),
            (
                "weir_collector_disk_free_bytes_min",
                "gauge",
                "Free space below which requests are refused.",
                load(&self.disk_free_bytes_min),
            ),
            (
                "weir_collector_inflight_bytes",
                "gauge",
                "Memory reserved for requests in work.",
                load(&self.inflight_bytes),
            ),
        ];
        for (name, kind, help, value) in plain.into_iter().filter(|(_, _, _, value)| *value != NOT_KNOWN) {
            family(&mut text, name, kind, help);
            line(&mut text, name, value);
        }
        let name = "weir_collector_durable_lag_seconds";
        family(&mut text, name, "gauge", "Age of the oldest record that is not in Parquet yet.");
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name} {lag:.3}");
        self.gaps().prometheus(&mut text);
        text
    }

    /// What is known about the numbers of workers.
    pub(crate) fn gaps(&self) -> std::sync::MutexGuard<'_, Gaps> {
        self.gaps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, VecDeque<(SegmentId, Instant)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Status {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("Status").finish_non_exhaustive()
    }
}

fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

fn line(text: &mut String, name: &str, value: u64) {
    let _ = writeln!(text, "{name} {value}");
}
