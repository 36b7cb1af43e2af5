//! Files and folders that survive a power cut, private to their owner, and never seen half-written.
//!
//! Invariants: a file appears under its name only after its bytes are on the disk (temporary `.<name>.tmp` in the same
//! folder, fsync, rename, fsync of the folder); folders are synced up to the data folder; files 0600, folders 0700.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

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

/// Creates `folder` below `root` with every missing parent, and syncs each level from `root` down.
///
/// # Errors
/// The first level that could not be created or synced.
pub fn create_folder(root: &Path, folder: &Path) -> Result<(), DurableError> {
    make(root)?;
    let relative = folder.strip_prefix(root).unwrap_or(folder);
    let mut level = root.to_path_buf();
    for part in relative.components() {
        let parent = level.clone();
        level.push(part);
        make(&level)?;
        // Synced even when it was there: the process may have died between mkdir and fsync.
        sync_folder(&parent)?;
    }
    Ok(())
}

/// Makes the entries of a folder durable.
///
/// # Errors
/// The folder cannot be opened or synced.
pub fn sync_folder(folder: &Path) -> Result<(), DurableError> {
    let wrap = |source| DurableError { path: folder.to_path_buf(), action: "sync the folder", source };
    File::open(folder).map_err(wrap)?.sync_all().map_err(wrap)
}

/// Writes a file through `fill` and lets it appear under its name, durable, replacing what was there.
///
/// # Errors
/// Whatever `fill` returned, or the step that failed; the temporary file is removed then.
pub fn write_atomically<T, E: From<DurableError>>(
    path: &Path,
    fill: impl FnOnce(&mut File) -> Result<T, E>,
) -> Result<T, E> {
    let temporary = temporary_path(path);
    let result = fill_and_rename(path, &temporary, fill);
    if result.is_err() {
        // Best effort: the name begins with a dot and is never read; the next try overwrites it.
        let _ = std::fs::remove_file(&temporary);
    }
    result
}

/// Options of a private file (0600), for callers that open their own.
pub fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

fn fill_and_rename<T, E: From<DurableError>>(
    path: &Path,
    temporary: &Path,
    fill: impl FnOnce(&mut File) -> Result<T, E>,
) -> Result<T, E> {
    let wrap = |action| move |source| DurableError { path: path.to_path_buf(), action, source };
    let mut file = private_file()
        .create(true)
        .truncate(true)
        .open(temporary)
        .map_err(wrap("create the temporary file of"))?;
    let value = fill(&mut file)?;
    file.sync_all().map_err(wrap("sync"))?;
    drop(file);
    std::fs::rename(temporary, path).map_err(wrap("rename to"))?;
    if let Some(folder) = path.parent() {
        sync_folder(folder)?;
    }
    Ok(value)
}

fn temporary_path(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".tmp");
    path.with_file_name(name)
}

fn make(folder: &Path) -> Result<(), DurableError> {
    let wrap = |source| DurableError { path: folder.to_path_buf(), action: "create the folder", source };
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    match builder.create(folder) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error)
            if error.kind() == io::ErrorKind::NotFound && folder.parent().is_some_and(|p| !p.exists()) =>
        {
            builder.recursive(true).create(folder).map_err(wrap)
        }
        Err(error) => Err(wrap(error)),
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
