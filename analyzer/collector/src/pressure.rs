//! High-water marks: while the log or the disk is too full, nothing is taken, so nothing is acknowledged that may not become durable.
//!
//! Limits: `wal_bytes_max` and `disk_free_bytes_min` of the collector. The free space is asked for at most every
//! [`ASK_INTERVAL`]; what arrives in between is bounded by `inflight_bytes_max`, and a disk that is full before that fails the
//! write, which refuses the batch.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use thiserror::Error;
use weir_sample::disk::Disk;

use crate::events::EventKind;
use crate::status::{NOT_KNOWN, Status};

/// Time for which the free space counts as known.
pub(crate) const ASK_INTERVAL: Duration = Duration::from_millis(200);

/// Why nothing is taken at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Full {
    #[error(
        "the write-ahead log is full: {bytes} bytes wait for Parquet, allowed: {max}\n  hint: see weir_collector_drain_failing and the collector's log for what holds Parquet up"
    )]
    Log { bytes: u64, max: u64 },
    #[error(
        "the disk of the data folder is full: {free} bytes are free, needed: {min}\n  hint: free space, or let `weir compact` and its retention do it"
    )]
    Disk { free: u64, min: u64 },
}

/// Watches log and disk.
#[derive(Debug)]
pub(crate) struct Pressure {
    disk: Arc<dyn Disk>,
    data_dir: PathBuf,
    wal_bytes_max: u64,
    disk_free_bytes_min: u64,
    /// When it was asked for, and what the system said; `None` when it did not.
    free: Mutex<Option<(Instant, Option<u64>)>>,
    refusing: AtomicBool,
}

impl Pressure {
    pub(crate) fn new(disk: Arc<dyn Disk>, data_dir: PathBuf, limits: &crate::Limits) -> Self {
        Self {
            disk,
            data_dir,
            wal_bytes_max: limits.wal_bytes_max,
            disk_free_bytes_min: limits.disk_free_bytes_min,
            free: Mutex::default(),
            refusing: AtomicBool::new(false),
        }
    }

    /// `Err` while nothing may be taken. Begin and end of that are told once.
    pub(crate) fn check(&self, status: &Status) -> Result<(), Full> {
        let result = self.state(status);
        let refusing = result.is_err();
        if self.refusing.swap(refusing, Relaxed) != refusing {
            match &result {
                Err(full) => status.event(EventKind::Full, &format!("samples are refused: {full}")),
                Ok(()) => status.event(EventKind::Resumed, "samples are accepted again"),
            }
        }
        result
    }

    fn state(&self, status: &Status) -> Result<(), Full> {
        let (bytes, max) = (status.wal_bytes(), self.wal_bytes_max);
        if bytes >= max {
            return Err(Full::Log { bytes, max });
        }
        let min = self.disk_free_bytes_min;
        match self.free_bytes(status) {
            Some(free) if free < min => Err(Full::Disk { free, min }),
            // Not known: a write that finds no space is refused on its own.
            _ => Ok(()),
        }
    }

    fn free_bytes(&self, status: &Status) -> Option<u64> {
        let mut known = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, free)) = known.filter(|(asked, _)| asked.elapsed() < ASK_INTERVAL) {
            return free;
        }
        let free = self.disk.free_bytes(&self.data_dir);
        if let (Err(error), true) = (&free, known.is_none_or(|(_, free)| free.is_some())) {
            let text = format!("{}: free space is not known: {error}", self.data_dir.display());
            status.event(EventKind::Disk, &text);
        }
        let free = free.ok();
        status.disk_free_bytes.store(free.unwrap_or(NOT_KNOWN), Relaxed);
        *known = Some((Instant::now(), free));
        free
    }
}
