//! The file system as everything durable sees it: one trait, so that tests can cut the power or break any single call.
//!
//! Contract of an implementation, and no more than that may be relied on:
//! - written bytes survive a power cut after [`DiskFile::sync`]; a name survives after [`Disk::sync_folder`] of its folder; anything
//!   else may survive whole, in part, or not at all, in any order;
//! - [`Disk::rename`] is atomic: afterwards, also after a power cut, the name is the old or the new file's, never neither;
//! - after a failed [`DiskFile::sync`] the bytes may be gone for good although a second sync succeeds: so there is no second one.
//!
//! Files are created 0600 and folders 0700.

use std::fmt::Debug;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use parquet::errors::Result as ParquetResult;
use parquet::file::reader::{ChunkReader, Length};

/// The calls that durable code makes.
pub trait Disk: Debug + Send + Sync {
    /// Opens a file for writing, empty, whether it was there or not.
    ///
    /// # Errors
    /// What the system said; so it is for all of these.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file for writing that was not there.
    ///
    /// # Errors
    /// Also when the name is taken.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// The whole content.
    ///
    /// # Errors
    /// What the system said.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// A file to be read here and there.
    ///
    /// # Errors
    /// What the system said.
    fn open(&self, path: &Path) -> io::Result<Source> {
        Ok(Source::Bytes(self.read(path)?.into()))
    }

    /// The size of a file, bytes.
    ///
    /// # Errors
    /// What the system said.
    fn size(&self, path: &Path) -> io::Result<u64>;

    /// Makes the content of a file durable that another process may have written.
    ///
    /// # Errors
    /// What the system said.
    fn sync_file(&self, path: &Path) -> io::Result<()>;

    /// Everything in a folder, in any order.
    ///
    /// # Errors
    /// What the system said.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;

    /// Creates one folder in a folder that is there.
    ///
    /// # Errors
    /// Also when the name is taken.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;

    /// Whether there is a folder of this name.
    fn is_folder(&self, path: &Path) -> bool;

    /// Whether a name is a folder itself, not a link to one.
    fn is_own_folder(&self, path: &Path) -> bool {
        self.is_folder(path)
    }

    /// Removes a folder in which nothing is.
    ///
    /// # Errors
    /// Also when something is in it.
    fn remove_folder(&self, folder: &Path) -> io::Result<()>;

    /// Time since a file was changed.
    ///
    /// # Errors
    /// What the system said.
    fn age(&self, path: &Path) -> io::Result<Duration>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// What the system said.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Gives a file another name in the same folder, replacing what has it.
    ///
    /// # Errors
    /// What the system said.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file's name.
    ///
    /// # Errors
    /// What the system said.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// What may still be written to the file system of a folder by this user, bytes.
    ///
    /// # Errors
    /// What the system said.
    fn free_bytes(&self, folder: &Path) -> io::Result<u64>;
}

/// A file that is being written.
pub trait DiskFile: io::Write + Send {
    /// Makes everything written so far durable, the size included.
    ///
    /// # Errors
    /// What the system said; see the contract above.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file off, or fills it up with zeros.
    ///
    /// # Errors
    /// What the system said.
    fn set_len(&mut self, bytes: u64) -> io::Result<()>;
}

/// A file that is open for reading.
#[derive(Debug)]
pub enum Source {
    /// Read where it is.
    File(File),
    /// All of it, in memory.
    Bytes(Bytes),
}

impl Length for Source {
    fn len(&self) -> u64 {
        match self {
            Self::File(file) => Length::len(file),
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }
}

impl ChunkReader for Source {
    type T = Box<dyn io::Read>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(match self {
            Self::File(file) => Box::new(file.get_read(start)?),
            Self::Bytes(bytes) => Box::new(bytes.get_read(start)?),
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        match self {
            Self::File(file) => file.get_bytes(start, length),
            Self::Bytes(bytes) => bytes.get_bytes(start, length),
        }
    }
}

/// The operating system's.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(private_file().create(true).truncate(true).open(path)?))
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(private_file().create_new(true).open(path)?))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn open(&self, path: &Path) -> io::Result<Source> {
        File::open(path).map(Source::File)
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        Ok(std::fs::metadata(path)?.len())
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_data()
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(folder)
    }

    fn is_folder(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn is_own_folder(&self, path: &Path) -> bool {
        std::fs::symlink_metadata(path).is_ok_and(|facts| facts.is_dir())
    }

    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        std::fs::remove_dir(folder)
    }

    fn age(&self, path: &Path) -> io::Result<Duration> {
        Ok(std::fs::metadata(path)?.modified()?.elapsed().unwrap_or_default())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn free_bytes(&self, folder: &Path) -> io::Result<u64> {
        let facts = rustix::fs::statvfs(folder)?;
        Ok(facts.f_bavail.saturating_mul(facts.f_frsize))
    }
}

impl DiskFile for File {
    fn sync(&mut self) -> io::Result<()> {
        // fdatasync: bytes and size, not the times.
        self.sync_data()
    }

    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        File::set_len(self, bytes)
    }
}

/// Options of a private file (0600), for callers that open their own.
pub fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}
