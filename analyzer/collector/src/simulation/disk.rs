//! The disk itself: counts the calls, lets chosen ones fail, leaves chosen syncs out, and loses its power.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use weir_sample::disk::{Disk, DiskFile};

use super::Random;
use super::state::{Change, Entry, File, Folder, Node, State};

pub(crate) use super::state::Survival;

/// A kind of call that changes something or reads content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Create,
    CreateNew,
    Write,
    Sync,
    SetLen,
    Read,
    SyncFile,
    List,
    CreateFolder,
    SyncFolder,
    Rename,
    Remove,
    RemoveFolder,
}

/// What a sync is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// The bytes of a segment, before the acknowledgement.
    SegmentData,
    /// The name of a segment, before the acknowledgement.
    SegmentFolder,
    /// The bytes of a segment that a start finds.
    RecoveredSegment,
    /// The bytes of a Parquet file, before its rename.
    ParquetFile,
    /// The names of Parquet files and of the folders that they are in.
    ParquetFolder,
    /// The name of the log's folder, and of the data folder.
    DataFolder,
    /// The bytes of a key file.
    KeyFile,
}

/// A call that fails: the `nth` of its kind, from 1.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    call: Call,
    nth: usize,
    errno: i32,
    /// The call takes effect before it fails.
    late: bool,
}

/// The disk is broken.
pub(crate) const EIO: i32 = 5;
/// The disk is full.
pub(crate) const ENOSPC: i32 = 28;

impl Fault {
    pub(crate) fn nth(call: Call, nth: usize) -> Self {
        Self { call, nth, errno: EIO, late: false }
    }

    pub(crate) fn with(self, errno: i32, late: bool) -> Self {
        Self { errno, late, ..self }
    }
}

struct Inner {
    state: State,
    random: Random,
    calls: Vec<Call>,
    faults: Vec<Fault>,
    ignored: Option<Class>,
    /// Calls that change something until the power is cut.
    power: Option<usize>,
    off: bool,
    /// An injected fault came to pass.
    hit: bool,
    changes: usize,
}

/// A handle; clones share the disk.
#[derive(Clone)]
pub(crate) struct SimDisk(Arc<Mutex<Inner>>);

struct SimFile {
    disk: SimDisk,
    file: usize,
    class: Option<Class>,
    /// After it nothing but a cut is allowed on this file.
    failed: bool,
}

impl SimDisk {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            state: State::new(),
            random: Random(seed),
            calls: Vec::new(),
            faults: Vec::new(),
            ignored: None,
            power: None,
            off: false,
            hit: false,
            changes: 0,
        })))
    }

    pub(crate) fn inject(&self, faults: &[Fault]) {
        let mut inner = self.lock();
        (inner.faults, inner.hit) = (faults.to_vec(), false);
    }

    /// Leaves every sync of a class out, as if the code did not have it.
    pub(crate) fn ignore(&self, class: Option<Class>) {
        self.lock().ignored = class;
    }

    /// Cuts the power at a call that changes something, counted from 0 from now on.
    pub(crate) fn cut_at(&self, call: usize) {
        self.lock().power = Some(call);
    }

    /// The power is off, or the process killed: nothing works until it is back.
    pub(crate) fn is_off(&self) -> bool {
        self.lock().off
    }

    /// Whether an injected fault came to pass.
    pub(crate) fn was_hit(&self) -> bool {
        self.lock().hit
    }

    /// Calls that changed something.
    pub(crate) fn changes(&self) -> usize {
        self.lock().changes
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    pub(crate) fn forget_calls(&self) {
        self.lock().calls.clear();
    }

    /// The process is started again; the system kept running.
    pub(crate) fn start_again(&self) {
        let mut inner = self.lock();
        (inner.off, inner.power) = (false, None);
        inner.faults.clear();
    }

    /// The power comes back; of what was not synced, some may be there.
    pub(crate) fn power_on(&self, survival: Survival) {
        let mut inner = self.lock();
        let mut random = inner.random.clone();
        inner.state = inner.state.cut(survival, &mut random);
        inner.random = random;
        drop(inner);
        self.start_again();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    /// Counts the call. `Err` when it fails; the flag says whether it takes effect all the same.
    fn call(&self, call: Call) -> Result<(), (io::Error, bool)> {
        let mut inner = self.lock();
        let off = || io::Error::other("the power is off");
        if inner.off {
            return Err((off(), false));
        }
        inner.calls.push(call);
        if !matches!(call, Call::Read | Call::List) {
            inner.changes += 1;
            if let Some(left) = inner.power {
                inner.power = left.checked_sub(1);
                inner.off = left == 0;
            }
            if inner.off {
                // The change may have been on its way; a sync was not.
                return Err((off(), !matches!(call, Call::Sync | Call::SyncFile | Call::SyncFolder)));
            }
        }
        let nth = inner.calls.iter().filter(|made| **made == call).count();
        let fault = inner.faults.iter().find(|fault| fault.call == call && fault.nth == nth).cloned();
        inner.hit |= fault.is_some();
        match fault {
            // A write that fails is a short one.
            Some(fault) => {
                Err((io::Error::from_raw_os_error(fault.errno), fault.late || call == Call::Write))
            }
            None => Ok(()),
        }
    }

    /// Makes a change, unless the call fails without effect.
    fn change<T>(&self, call: Call, change: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        match self.call(call) {
            Ok(()) => change(&mut self.lock().state),
            Err((error, takes_effect)) => {
                if takes_effect {
                    // What became of it, nobody is told.
                    let _ = change(&mut self.lock().state);
                }
                Err(error)
            }
        }
    }

    fn sync(&self, call: Call, file: usize, class: Option<Class>) -> io::Result<()> {
        let result = self.call(call).map_err(|(error, _)| error);
        let mut inner = self.lock();
        let ignored = class.is_some() && inner.ignored == class;
        let off = inner.off;
        let file = &mut inner.state.files[file];
        match &result {
            Ok(()) if !ignored => file.sync(),
            Err(_) if !off => file.fail_to_sync(),
            _ => {}
        }
        result
    }

    fn open(&self, call: Call, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = self.change(call, |state| {
            let (folder, name) = state.place(path)?;
            match state.folders[folder].live.get(&name) {
                Some(_) if call == Call::CreateNew => Err(io::ErrorKind::AlreadyExists.into()),
                Some(Node::File(file)) => {
                    let file = *file;
                    state.files[file].change(Change::SetLen(0));
                    Ok(file)
                }
                Some(Node::Folder(_)) => Err(io::ErrorKind::IsADirectory.into()),
                None => {
                    state.files.push(File::default());
                    let file = state.files.len() - 1;
                    state.folders[folder].change(Entry::Link(name, Node::File(file)));
                    Ok(file)
                }
            }
        })?;
        Ok(Box::new(SimFile { disk: self.clone(), file, class: class_of_file(path), failed: false }))
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.open(Call::Create, path)
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.open(Call::CreateNew, path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.call(Call::Read).map_err(|(error, _)| error)?;
        let inner = self.lock();
        Ok(inner.state.files[inner.state.file(path)?].live.clone())
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        let inner = self.lock();
        Ok(inner.state.files[inner.state.file(path)?].live.len() as u64)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        let file = self.lock().state.file(path)?;
        self.sync(Call::SyncFile, file, Some(Class::RecoveredSegment))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        self.call(Call::List).map_err(|(error, _)| error)?;
        let inner = self.lock();
        let found = &inner.state.folders[inner.state.folder(folder)?];
        Ok(found.live.keys().map(|name| folder.join(name)).collect())
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        self.change(Call::CreateFolder, |state| {
            let (parent, name) = state.place(folder)?;
            if state.folders[parent].live.contains_key(&name) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            state.folders.push(Folder::default());
            let node = Node::Folder(state.folders.len() - 1);
            state.folders[parent].change(Entry::Link(name, node));
            Ok(())
        })
    }

    fn is_folder(&self, path: &Path) -> bool {
        self.lock().state.folder(path).is_ok()
    }

    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        self.change(Call::RemoveFolder, |state| {
            let at = state.folder(folder)?;
            if !state.folders[at].live.is_empty() {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            let (parent, name) = state.place(folder)?;
            state.folders[parent].change(Entry::Unlink(name));
            Ok(())
        })
    }

    fn age(&self, path: &Path) -> io::Result<Duration> {
        // Nothing is old in a test.
        self.lock().state.file(path).map(|_| Duration::ZERO)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let result = self.call(Call::SyncFolder).map_err(|(error, _)| error);
        let mut inner = self.lock();
        let at = inner.state.folder(folder)?;
        if result.is_ok() && inner.ignored != Some(class_of_folder(folder)) {
            inner.state.folders[at].sync();
        }
        result
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(Call::Rename, |state| {
            let node = state.find(from)?;
            let ((folder, from), (other, to)) = (state.place(from)?, state.place(to)?);
            assert_eq!(folder, other, "only within one folder");
            state.folders[folder].change(Entry::Rename(from, to, node));
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change(Call::Remove, |state| {
            state.file(path)?;
            let (folder, name) = state.place(path)?;
            state.folders[folder].change(Entry::Unlink(name));
            Ok(())
        })
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

impl io::Write for SimFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The Parquet writer flushes what it has when it is dropped, into a temporary file that is removed.
        let is_segment = self.class == Some(Class::SegmentData);
        assert!(!self.failed || !is_segment || self.disk.is_off(), "a write after a failure");
        let write = |disk: &SimDisk, bytes: &[u8]| {
            let mut inner = disk.lock();
            let file = &mut inner.state.files[self.file];
            file.change(Change::Write { at: file.live.len(), bytes: bytes.to_vec() });
        };
        match self.disk.call(Call::Write) {
            Ok(()) => {
                write(&self.disk, bytes);
                Ok(bytes.len())
            }
            Err((error, takes_effect)) => {
                if takes_effect {
                    write(&self.disk, &bytes[..bytes.len() / 2]);
                }
                self.failed = true;
                Err(error)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for SimFile {
    fn sync(&mut self) -> io::Result<()> {
        assert!(!self.failed || self.disk.is_off(), "a sync after a failure");
        let result = self.disk.sync(Call::Sync, self.file, self.class);
        self.failed = result.is_err();
        result
    }

    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        let file = self.file;
        self.disk.change(Call::SetLen, |state| {
            state.files[file].change(Change::SetLen(bytes as usize));
            Ok(())
        })
    }
}

impl std::fmt::Debug for SimDisk {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("SimDisk").finish_non_exhaustive()
    }
}

fn class_of_file(path: &Path) -> Option<Class> {
    let name = path.to_str().unwrap();
    [(".wal", Class::SegmentData), (".parquet.tmp", Class::ParquetFile), (".seen.tmp", Class::KeyFile)]
        .into_iter()
        .find(|(ending, _)| name.ends_with(ending))
        .map(|(_, class)| class)
}

fn class_of_folder(folder: &Path) -> Class {
    let in_kind = |kind: &str| folder.components().any(|part| part.as_os_str() == kind);
    if folder.ends_with("wal") {
        Class::SegmentFolder
    } else if in_kind("samples") || in_kind("scores") {
        Class::ParquetFolder
    } else {
        Class::DataFolder
    }
}
