//! A bucket's data as a data folder of this machine, so that everything that reads folders can read it.
//!
//! A file is fetched again only when its entity tag differs (noted beside it as `.NAME.etag`), and goes when it is gone in the
//! store, so that the mirror holds exactly what the store does. Foreign objects are not fetched: an empty file of their name
//! stands for them, so that they are named where the folder is read.
//! Limits: one mirror of a folder at a time, the next one waits; a file is in memory as a whole. Files 0600, folders 0700.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use object_store::ObjectMeta;
use weir_sample::disk::{Disk as _, RealDisk, private_file};
use weir_sample::durable::{DurableError, create_folder, write_atomically};
use weir_sample::layout::FIGURES_FOLDER;
use xxhash_rust::xxh3::xxh3_64;

use super::{Store, StoreError, StoreOptions, with_store};

const FOLDERS: [&str; 2] = ["samples", "scores"];
const LOCK_FILE: &str = ".mirror.lock";

/// What [`mirror`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mirrored {
    /// The data folder.
    pub folder: PathBuf,
    /// Files that were fetched.
    pub fetched: u64,
    /// Their bytes.
    pub fetched_bytes: u64,
    /// Files that were there already.
    pub kept: u64,
    /// Files that went, because the store has them no more.
    pub removed: u64,
}

/// Brings the folder of a store below `cache_dir` up to date; `progress` is told how many of how many files are done.
/// Must not be called on a tokio runtime.
///
/// # Errors
/// The address, a store that cannot be listed or read, a file system that refuses. What was fetched before stays.
pub fn mirror(
    options: &StoreOptions,
    cache_dir: &Path,
    progress: impl Fn(u64, u64),
) -> Result<Mirrored, StoreError> {
    with_store(options, |store| mirror_of(&store, options, cache_dir, progress))?
}

fn mirror_of(
    store: &Store,
    options: &StoreOptions,
    cache_dir: &Path,
    progress: impl Fn(u64, u64),
) -> Result<Mirrored, StoreError> {
    let endpoint = options.settings.iter().find(|(name, _)| name.to_ascii_lowercase().contains("endpoint"));
    let digest = xxh3_64(format!("{}\n{endpoint:?}", options.url).as_bytes());
    let folder = cache_dir.join(format!("{digest:016x}"));
    create_folder(cache_dir, &folder)?;
    let lock = folder.join(LOCK_FILE);
    let wrap = |source| DurableError { path: lock.clone(), action: "lock", source };
    let held = private_file().create(true).truncate(false).open(&lock).map_err(wrap)?;
    held.lock().map_err(wrap)?;
    let mut done = Mirrored { folder, ..Mirrored::default() };
    let mut objects = Vec::new();
    for kind in FOLDERS {
        objects.extend(store.list(kind)?);
    }
    let (mut wanted, mut rewritten) = (BTreeSet::new(), false);
    let all = objects.len() as u64;
    for (count, (name, meta)) in (1..).zip(objects) {
        // A name that leads elsewhere is nobody's.
        if Path::new(&name).components().all(|part| matches!(part, Component::Normal(_))) {
            let path = done.folder.join(&name);
            rewritten |= fetch(store, &name, &meta, &path, &mut done)?;
            wanted.insert(note(&path));
            wanted.insert(path);
        }
        progress(count, all);
    }
    for kind in FOLDERS {
        remove_others(&done.folder.join(kind), &wanted, &mut done.removed)?;
    }
    let figures = done.folder.join(FIGURES_FOLDER);
    if (rewritten || done.removed > 0) && figures.exists() {
        // Somebody may have been forgotten; what looks have measured names the exchanges.
        std::fs::remove_dir_all(&figures).map_err(|source| DurableError {
            path: figures,
            action: "remove",
            source,
        })?;
    }
    Ok(done)
}

/// True when another file was there.
fn fetch(
    store: &Store,
    name: &str,
    meta: &ObjectMeta,
    path: &Path,
    done: &mut Mirrored,
) -> Result<bool, StoreError> {
    // Without a tag the time has to do.
    let tag = meta.e_tag.clone().unwrap_or_else(|| meta.last_modified.to_string());
    let tag = format!("{tag} {}", meta.size);
    let note = note(path);
    let was_there = path.exists();
    if was_there && std::fs::read_to_string(&note).is_ok_and(|noted| noted == tag) {
        done.kept += 1;
        return Ok(false);
    }
    let is_ours = name.ends_with(".parquet");
    let bytes = if is_ours {
        store.get(name).map_err(|error| StoreError::get(name, &error))?
    } else {
        bytes::Bytes::new()
    };
    let parent = path.parent().unwrap_or(&done.folder);
    create_folder(&done.folder, parent)?;
    for (path, content) in [(path, &*bytes), (&note, tag.as_bytes())] {
        write_atomically(path, |file| {
            file.write_all(content).map_err(|source| DurableError {
                path: path.to_path_buf(),
                action: "write",
                source,
            })
        })?;
    }
    done.fetched += u64::from(is_ours);
    done.fetched_bytes += bytes.len() as u64;
    Ok(was_there)
}

fn note(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.etag"))
}

/// Removes every file that the store does not have.
fn remove_others(folder: &Path, wanted: &BTreeSet<PathBuf>, removed: &mut u64) -> Result<(), DurableError> {
    if !RealDisk.is_own_folder(folder) {
        return Ok(());
    }
    let wrap = |source| DurableError { path: folder.to_path_buf(), action: "read the folder", source };
    for path in RealDisk.list(folder).map_err(wrap)? {
        if RealDisk.is_own_folder(&path) {
            remove_others(&path, wanted, removed)?;
        } else if !wanted.contains(&path) {
            RealDisk.remove(&path).map_err(|source| DurableError {
                path: path.clone(),
                action: "remove",
                source,
            })?;
            *removed += u64::from(path.extension().is_some_and(|ending| ending == "parquet"));
        }
    }
    // Only where nothing is left in it.
    let _ = RealDisk.remove_folder(folder);
    Ok(())
}
