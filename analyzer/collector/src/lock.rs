//! One collector per data folder: an advisory lock that the system releases with the process, however it ends.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use weir_sample::durable::DurableError;

use crate::CollectorError;

/// The name of the lock file in `DATA/wal`; it holds the owner's process number.
pub(crate) const LOCK_FILE: &str = "lock";

/// Held as long as it lives.
#[derive(Debug)]
pub(crate) struct DataLock(#[allow(dead_code, reason = "closing the file releases the lock")] File);

impl DataLock {
    pub(crate) fn take(folder: &Path) -> Result<Self, CollectorError> {
        let path = folder.join(LOCK_FILE);
        let wrap = |source| DurableError { path: path.clone(), action: "open the lock file", source };
        let mut file = weir_sample::durable::private_file()
            .read(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(wrap)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                let _ = (&mut file).take(20).read_to_string(&mut owner);
                return Err(CollectorError::Locked { path, owner: owner.trim().to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(wrap(source).into()),
        }
        // Only told in the error above; a lock without a number is a lock too.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self(file))
    }
}
