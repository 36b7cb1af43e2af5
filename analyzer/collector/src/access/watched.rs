//! A value made from files that is made again when one of them changes.
//!
//! Looked at when it is asked for, at most every [`LOOK_INTERVAL`]; a change is another size, time or inode.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::AccessError;
use crate::status::LogSink;

/// Between two looks at the files.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_millis(500);

type Stamp = Vec<Option<(u64, u64, i64, i64)>>;

pub(super) struct Watched<T, F> {
    paths: Vec<PathBuf>,
    make: F,
    log: LogSink,
    state: Mutex<State<T>>,
}

struct State<T> {
    value: Arc<T>,
    stamp: Stamp,
    looked: Instant,
}

impl<T, F: Fn() -> Result<T, AccessError>> Watched<T, F> {
    pub(super) fn new(paths: Vec<PathBuf>, make: F, log: &LogSink) -> Result<Self, AccessError> {
        // Before reading: a change in between is seen by the next look.
        let stamp = stamp(&paths);
        let value = Arc::new(make()?);
        let state = Mutex::new(State { value, stamp, looked: Instant::now() });
        Ok(Self { paths, make, log: Arc::clone(log), state })
    }

    /// The newest value that could be made.
    pub(super) fn get(&self) -> Arc<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= LOOK_INTERVAL {
            state.looked = Instant::now();
            let now = stamp(&self.paths);
            if now != state.stamp {
                state.stamp = now;
                match (self.make)() {
                    Ok(value) => {
                        state.value = Arc::new(value);
                        let names: Vec<_> =
                            self.paths.iter().map(|path| path.display().to_string()).collect();
                        (self.log)(&format!("{}: read again", names.join(", ")));
                    }
                    Err(error) => (self.log)(&format!("what was read before stays in force: {error}")),
                }
            }
        }
        Arc::clone(&state.value)
    }
}

fn stamp(paths: &[PathBuf]) -> Stamp {
    let of = |path: &PathBuf| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.len(), metadata.ino(), metadata.mtime(), metadata.mtime_nsec()))
    };
    paths.iter().map(of).collect()
}
