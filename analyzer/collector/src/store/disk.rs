//! A bucket as a file system: what upkeep does to a data folder it does to a bucket in the same way.
//!
//! A file that is written is held in memory, and one PUT lets it appear under its final name, whole: that is the rename.
//! There is nothing to sync, and no folder to make. A listing of `samples` or `scores` asks the store; below it the answer counts.
//! Limits: [`super::TRY_TIME_MAX`] per call; a file that is read or written is in memory as a whole.
//! Not here: the write-ahead log, which is never in a store.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use object_store::ObjectMeta;
use weir_sample::disk::{Disk, DiskFile};

use super::Store;

/// The bucket's prefix, as the data folder of upkeep.
pub(crate) const ROOT: &str = "/";

/// A prefix of a bucket.
#[derive(Debug)]
pub(crate) struct StoreDisk {
    store: Store,
    listed: Mutex<BTreeMap<PathBuf, ObjectMeta>>,
    /// Files under way, by their temporary names.
    written: Written,
}

type Written = Arc<Mutex<BTreeMap<PathBuf, Vec<u8>>>>;

struct Buffer {
    written: Written,
    path: PathBuf,
}

impl StoreDisk {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, listed: Mutex::default(), written: Arc::default() }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    fn begin(&self, path: &Path) -> Box<dyn DiskFile> {
        lock(&self.written).insert(path.to_path_buf(), Vec::new());
        Box::new(Buffer { written: Arc::clone(&self.written), path: path.to_path_buf() })
    }

    fn known(&self, path: &Path) -> io::Result<ObjectMeta> {
        lock(&self.listed).get(path).cloned().ok_or(io::ErrorKind::NotFound.into())
    }

    /// Asks the store what is below a folder.
    fn refresh(&self, folder: &Path) -> io::Result<()> {
        let found = self.store.list(&name(folder)).map_err(io::Error::other)?;
        let mut listed = lock(&self.listed);
        listed.retain(|path, _| !path.starts_with(folder));
        listed.extend(found.into_iter().map(|(name, meta)| (Path::new(ROOT).join(name), meta)));
        Ok(())
    }
}

impl Disk for StoreDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.begin(path))
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        if self.known(path).is_ok() { Err(io::ErrorKind::AlreadyExists.into()) } else { Ok(self.begin(path)) }
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.store.get(&name(path)).map(Into::into)
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        self.known(path).map(|meta| meta.size)
    }

    fn sync_file(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        if folder.parent() == Some(Path::new(ROOT)) {
            self.refresh(folder)?;
        }
        let listed = lock(&self.listed);
        let below = listed.keys().filter_map(|path| {
            let first = path.strip_prefix(folder).ok()?.components().next()?;
            Some(folder.join(first))
        });
        let mut found: Vec<PathBuf> = below.collect();
        found.dedup();
        Ok(found)
    }

    fn create_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    /// There are no folders, so none is missing; what is a file is none.
    fn is_folder(&self, path: &Path) -> bool {
        self.known(path).is_err()
    }

    fn remove_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn age(&self, path: &Path) -> io::Result<Duration> {
        let changed: SystemTime = self.known(path)?.last_modified.into();
        Ok(changed.elapsed().unwrap_or_default())
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let Some(bytes) = lock(&self.written).remove(from) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        self.store.put(&name(to), bytes, || false).map_err(io::Error::other)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if lock(&self.written).remove(path).is_some() {
            return Ok(());
        }
        self.store.delete(&name(path))?;
        lock(&self.listed).remove(path);
        Ok(())
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = lock(&self.written);
        written.get_mut(&self.path).ok_or(io::ErrorKind::NotFound)?.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for Buffer {
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        let length = usize::try_from(bytes).map_err(io::Error::other)?;
        lock(&self.written).get_mut(&self.path).ok_or(io::ErrorKind::NotFound)?.resize(length, 0);
        Ok(())
    }
}

/// A path as the name of an object below the prefix.
fn name(path: &Path) -> String {
    path.strip_prefix(ROOT).unwrap_or(path).to_string_lossy().into_owned()
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
