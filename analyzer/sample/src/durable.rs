//! Files and folders that survive a power cut, private to their owner, and never seen half-written.
//!
//! Invariants: a file appears under its name only after its bytes are on the disk (temporary `.<name>.tmp` in the same
//! folder, fsync, rename, fsync of the folder); folders are synced up to the first one that was there; files 0600, folders 0700.
//! A failed try leaves nothing under the name, and the next one writes a new file: a failed fsync is never repeated.
//! The functions that end in `_on` take the file system; the others use the operating system's.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::disk::{Disk, DiskFile, RealDisk};

pub use crate::disk::private_file;

/// What could not be done to which path.
#[derive(Debug, Error)]
#[error("{path}: cannot {action}: {source}\n  hint: {hint}", path = path.display(), hint = hint(source))]
pub struct DurableError {
    /// The file or folder.
    pub path: PathBuf,
    /// What was tried: "create the folder", "sync".
    pub action: &'static str,
    /// What the system said.
    pub source: io::Error,
}

/// Creates `folder` below `root` with every missing parent, and syncs each level from the first one that was there.
///
/// # Errors
/// The first level that could not be created or synced.
pub fn create_folder(root: &Path, folder: &Path) -> Result<(), DurableError> {
    create_folder_on(&RealDisk, root, folder)
}

/// [`create_folder`] on a given file system.
///
/// # Errors
/// The first level that could not be created or synced.
pub fn create_folder_on(disk: &dyn Disk, root: &Path, folder: &Path) -> Result<(), DurableError> {
    let missing = |level: &&Path| !level.as_os_str().is_empty() && !disk.is_folder(level);
    let missing: Vec<&Path> = root.ancestors().take_while(missing).collect();
    for level in missing.into_iter().rev() {
        make(disk, level)?;
        sync_folder_on(disk, parent(level))?;
    }
    let relative = folder.strip_prefix(root).unwrap_or(folder);
    let mut level = root.to_path_buf();
    for part in relative.components() {
        let parent = level.clone();
        level.push(part);
        make(disk, &level)?;
        // Synced even when it was there: the process may have died between mkdir and fsync.
        sync_folder_on(disk, &parent)?;
    }
    Ok(())
}

/// Makes the entries of a folder durable.
///
/// # Errors
/// The folder cannot be opened or synced.
pub fn sync_folder(folder: &Path) -> Result<(), DurableError> {
    sync_folder_on(&RealDisk, folder)
}

/// [`sync_folder`] on a given file system.
///
/// # Errors
/// The folder cannot be opened or synced.
pub fn sync_folder_on(disk: &dyn Disk, folder: &Path) -> Result<(), DurableError> {
    let wrap = |source| DurableError { path: folder.to_path_buf(), action: "sync the folder", source };
    disk.sync_folder(folder).map_err(wrap)
}

/// Writes a file through `fill` and lets it appear under its name, durable, replacing what was there.
///
/// # Errors
/// Whatever `fill` returned, or the step that failed; the temporary file is removed then.
pub fn write_atomically<T, E: From<DurableError>>(
    path: &Path,
    fill: impl FnOnce(&mut dyn DiskFile) -> Result<T, E>,
) -> Result<T, E> {
    write_atomically_on(&RealDisk, path, fill)
}

/// [`write_atomically`] on a given file system.
///
/// # Errors
/// Whatever `fill` returned, or the step that failed; the temporary file is removed then.
pub fn write_atomically_on<T, E: From<DurableError>>(
    disk: &dyn Disk,
    path: &Path,
    fill: impl FnOnce(&mut dyn DiskFile) -> Result<T, E>,
) -> Result<T, E> {
    let temporary = temporary_path(path);
    let result = fill_and_rename(disk, path, &temporary, fill);
    if result.is_err() {
        // Best effort: the name begins with a dot and is never read; the next try overwrites it.
        let _ = disk.remove(&temporary);
    }
    result
}

/// The folder that a name is in.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

fn fill_and_rename<T, E: From<DurableError>>(
    disk: &dyn Disk,
    path: &Path,
    temporary: &Path,
    fill: impl FnOnce(&mut dyn DiskFile) -> Result<T, E>,
) -> Result<T, E> {
    let wrap = |action| move |source| DurableError { path: path.to_path_buf(), action, source };
    let mut file = disk.create(temporary).map_err(wrap("create the temporary file of"))?;
    let value = fill(&mut *file)?;
    file.sync().map_err(wrap("sync"))?;
    drop(file);
    disk.rename(temporary, path).map_err(wrap("rename to"))?;
    sync_folder_on(disk, parent(path))?;
    Ok(value)
}

fn temporary_path(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".tmp");
    path.with_file_name(name)
}

fn make(disk: &dyn Disk, folder: &Path) -> Result<(), DurableError> {
    match disk.create_folder(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && disk.is_folder(folder) => Ok(()),
        result => result.map_err(|source| DurableError {
            path: folder.to_path_buf(),
            action: "create the folder",
            source,
        }),
    }
}

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            "the user that runs weir needs read and write access to this folder"
        }
        io::ErrorKind::NotFound => "check the path; --data names the data folder",
        io::ErrorKind::StorageFull => "free space on this file system",
        io::ErrorKind::ReadOnlyFilesystem => "choose a folder on a writable file system with --data",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "a file is in the way; choose another folder with --data"
        }
        _ => "check the disk and the path",
    }
}
