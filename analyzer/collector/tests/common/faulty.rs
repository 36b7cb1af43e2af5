//! The operating system's files, of which one chosen call fails.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, RwLock};

use weir_sample::disk::{Disk, DiskFile, RealDisk};

pub const EIO: i32 = 5;
pub const EMFILE: i32 = 24;
pub const ENOSPC: i32 = 28;
pub const EROFS: i32 = 30;
pub const EDQUOT: i32 = 122;

/// Which call fails, how often, and how.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub call: &'static str,
    /// A part of the path.
    pub path: &'static str,
    pub errno: i32,
    pub times: u64,
}

#[derive(Clone, Debug)]
pub struct FaultyDisk {
    /// With the number of calls so far.
    faults: Arc<Mutex<Vec<(Fault, u64)>>>,
    pub free_bytes: Arc<AtomicU64>,
    /// Syncs of files wait while somebody holds it for writing.
    pub stuck: Arc<RwLock<()>>,
}

struct FaultyFile {
    disk: FaultyDisk,
    path: PathBuf,
    file: Box<dyn DiskFile>,
}

impl FaultyDisk {
    pub fn new(faults: &[Fault]) -> Self {
        let disk = Self {
            faults: Arc::default(),
            free_bytes: Arc::new(AtomicU64::new(u64::MAX)),
            stuck: Arc::default(),
        };
        faults.iter().for_each(|fault| disk.arm(*fault));
        disk
    }

    /// One more fault, from now on.
    pub fn arm(&self, fault: Fault) {
        self.faults.lock().unwrap().push((fault, 0));
    }

    /// How often calls failed.
    pub fn hits(&self) -> u64 {
        self.faults.lock().unwrap().iter().map(|(fault, made)| *made.min(&fault.times)).sum()
    }

    fn call(&self, call: &str, path: &Path) -> io::Result<()> {
        let path = path.to_str().unwrap();
        let mut faults = self.faults.lock().unwrap();
        let Some((fault, made)) =
            faults.iter_mut().find(|(fault, _)| fault.call == call && path.contains(fault.path))
        else {
            return Ok(());
        };
        *made += 1;
        if *made > fault.times { Ok(()) } else { Err(io::Error::from_raw_os_error(fault.errno)) }
    }

    fn file(&self, path: &Path, file: io::Result<Box<dyn DiskFile>>) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(FaultyFile { disk: self.clone(), path: path.to_path_buf(), file: file? }))
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.call("create", path)?;
        self.file(path, RealDisk.create(path))
    }
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.call("create", path)?;
        self.file(path, RealDisk.create_new(path))
    }
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.call("read", path)?;
        RealDisk.read(path)
    }
    fn size(&self, path: &Path) -> io::Result<u64> {
        RealDisk.size(path)
    }
    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.call("sync_file", path)?;
        RealDisk.sync_file(path)
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        self.call("list", folder)?;
        RealDisk.list(folder)
    }
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        self.call("create_folder", folder)?;
        RealDisk.create_folder(folder)
    }
    fn is_folder(&self, path: &Path) -> bool {
        RealDisk.is_folder(path)
    }
    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        self.call("remove_folder", folder)?;
        RealDisk.remove_folder(folder)
    }
    fn age(&self, path: &Path) -> io::Result<std::time::Duration> {
        RealDisk.age(path)
    }
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.call("sync_folder", folder)?;
        RealDisk.sync_folder(folder)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call("rename", to)?;
        RealDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call("remove", path)?;
        RealDisk.remove(path)
    }
    fn free_bytes(&self, folder: &Path) -> io::Result<u64> {
        self.call("free_bytes", folder)?;
        Ok(RealDisk.free_bytes(folder)?.min(self.free_bytes.load(Relaxed)))
    }
}

impl Write for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.disk.call("write", &self.path) {
            // A short write: half of it arrives before the error.
            self.file.write_all(&bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        self.file.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl DiskFile for FaultyFile {
    fn sync(&mut self) -> io::Result<()> {
        drop(self.disk.stuck.read().unwrap());
        self.disk.call("sync", &self.path)?;
        self.file.sync()
    }
    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        self.disk.call("set_len", &self.path)?;
        self.file.set_len(bytes)
    }
}
