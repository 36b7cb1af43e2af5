//! The write-ahead log: a request is acknowledged when its rows are in here, synced.
//!
//! # Format
//! A segment is a file `<run>-<number>.wal` (16 and 8 hex digits) in `DATA/wal`. All integers are little-endian.
//! - Header, 32 bytes: magic `WEIRWAL\n`, format version (u32), run (u64), number (u64), CRC-32 of the 28 bytes before (u32).
//! - Record: marker `FF 57 FE 52`, payload length (u32), CRC-32 (u32) of run, number, length and payload; payload: kind (u8: 0 sample,
//!   1 score), deduplication key (16 bytes), the row (`weir_sample::row`).
//!
//! `<run>-<number>.seen` (magic `WEIRSEEN`, keys of 16 bytes, CRC-32 of everything before) says that the segment of that name is wholly
//! in Parquet, and keeps its keys for the recognition of late retries.
//!
//! # Limits
//! [`RECORD_BYTES_MAX`] per record, [`GROUP_BYTES_MAX`] and the length of the queue per group commit, [`KEYS_MAX`] keys in memory,
//! [`SEEN_FILES_MAX`] key files on disk; segment and log sizes are options of the collector. A start reads no file above
//! [`FILE_BYTES_MAX`], and one file at a time.
//!
//! # Invariants
//! - An acknowledgement follows the fdatasync of its records, and the fsync of the folder when the segment is new.
//! - After a failed write or sync nothing is written to that segment any more; its batch is not acknowledged, its keys are forgotten.
//! - Segments become Parquet in the order of their names, under file names that derive from the segment's: doing it again after a
//!   crash replaces, never doubles. A run's number is larger than every run's before, so no name is used twice.
//! - A segment is deleted only after its Parquet files and its key file are durable. Damaged ones are kept, renamed to `.damaged`.
//! - A start syncs what it finds before it builds on it: without that a retry of a record that the process before never synced would
//!   be taken for a duplicate and acknowledged.
//! - Every call goes through `weir_sample::disk::Disk`; `simulation` cuts the power at each of them and shows that no sync can be left out.
//! - Reading never panics; one damaged record costs no other, because every record begins with the marker, which is not UTF-8.
//!   The checksum covers the run, so text that imitates a record is not taken for one.

pub(crate) mod keys;
pub(crate) mod recovery;
pub(crate) mod segment;
pub(crate) mod writer;

pub(crate) use segment::{Entry, SegmentId};

/// Largest payload of a record, bytes.
pub(crate) const RECORD_BYTES_MAX: usize = 32 << 20;
/// A group commit takes no further request beyond this size, bytes.
pub(crate) const GROUP_BYTES_MAX: usize = 16 << 20;
/// Keys that are remembered to recognise retries; the oldest are forgotten first.
pub(crate) const KEYS_MAX: usize = 1_000_000;
/// Key files that are kept, so that retries are recognised across a restart.
pub(crate) const SEEN_FILES_MAX: usize = 256;
/// Largest file of the log that is read, bytes; a larger one is not ours. Segments are sealed at half of it at the latest.
pub(crate) const FILE_BYTES_MAX: u64 = 512 << 20;
/// Version of the segments' format.
pub(crate) const FORMAT_VERSION: u32 = 1;
