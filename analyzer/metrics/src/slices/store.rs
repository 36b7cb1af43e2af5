//! Slices kept beside the figures that they were made of: `slices/REVISION/FROM-UNTIL.slice` in the folder of the definitions.
//!
//! - A slice holds the hash of what it depends on: the window, the files that reach into it, which of many are looked at, and up to
//!   when exchanges count as whole. What is missing, damaged, or of something else is made anew; a checksum over everything tells.
//! - Slices of other windows and of earlier revisions are deleted. Where nothing can be written a look costs more, and is the same.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::Frame;
use super::slice::{Slice, SliceChances};
use super::window::Window;
use crate::kept::{self, Identity, put, sealed, unsealed};

const MAGIC: u64 = u64::from_le_bytes(*b"weirslc1");
const ALL_REVISIONS: &str = "all";

/// Where the slices of a look are.
pub(super) struct Store {
    slices: PathBuf,
    folder: PathBuf,
    revision: Option<i64>,
    metrics: usize,
}

/// A slice, and the chances that it was made by.
pub(super) struct Kept {
    pub(super) slice: Slice,
    pub(super) used: SliceChances,
}

impl Store {
    /// Beside the figures of a look.
    pub(super) fn new(figures: &kept::Kept, frame: &Frame<'_>) -> Self {
        let slices = figures.slices();
        let revision = frame.options.revision;
        let name = revision.map_or(ALL_REVISIONS.to_owned(), |revision| revision.to_string());
        Self { folder: slices.join(name), slices, revision, metrics: frame.metrics.len() }
    }

    /// A slice of these files, where it is kept.
    pub(super) fn read(
        &self,
        frame: &Frame<'_>,
        window: Window,
        files: &[(PathBuf, Option<Identity>)],
    ) -> Option<Kept> {
        let key = key(frame, window, files)?;
        let bytes = fs::read(self.place(window)).ok()?;
        let mut from = unsealed(&bytes, &[MAGIC, key])?;
        let used = SliceChances::read(&mut from)?;
        let slice = Slice::read(self.metrics, &mut from)?;
        from.is_empty().then_some(Kept { slice, used })
    }

    /// Keeps a slice, if the folder can be written.
    pub(super) fn write(
        &self,
        frame: &Frame<'_>,
        window: Window,
        files: &[(PathBuf, Option<Identity>)],
        used: &SliceChances,
        slice: &Slice,
    ) {
        let Some(key) = key(frame, window, files) else { return };
        let bytes = sealed(&[MAGIC, key], |to| {
            used.write(to);
            slice.write(to);
        });
        // Documented: a look does not depend on it.
        let _ = put(&self.folder, &self.place(window), &bytes);
    }

    /// Deletes slices of other windows, and those of earlier revisions.
    pub(super) fn tidy(&self, windows: impl Iterator<Item = Window>) {
        let wanted: BTreeSet<PathBuf> = windows.map(|window| self.place(window)).collect();
        for path in entries(&self.folder) {
            if path.extension().is_some_and(|extension| extension == "slice") && !wanted.contains(&path) {
                let _ = fs::remove_file(path);
            }
        }
        let earlier = |path: &Path| {
            let number = path.file_name().and_then(|name| name.to_str()?.parse::<i64>().ok());
            self.revision.zip(number).is_some_and(|(own, other)| other < own)
        };
        for folder in entries(&self.slices).into_iter().filter(|path| earlier(path)) {
            let _ = fs::remove_dir_all(folder);
        }
    }

    fn place(&self, window: Window) -> PathBuf {
        self.folder.join(format!("{}-{}.slice", window.from_us, window.until_us))
    }
}

/// What a slice depends on, besides the definitions and the chances; nothing where a file has no identity.
fn key(frame: &Frame<'_>, window: Window, files: &[(PathBuf, Option<Identity>)]) -> Option<u64> {
    let mut hasher = Xxh3::new();
    for time_us in [window.from_us, window.until_us, frame.settled_before_us(window)] {
        hasher.update(&time_us.to_le_bytes());
    }
    let choices = frame.choices;
    for halvings in [choices.sample.0, choices.identities.0, choices.marks.0] {
        hasher.update(&halvings.to_le_bytes());
    }
    for (_, identity) in files {
        hasher.update(&(*identity)?.to_le_bytes());
    }
    Some(hasher.digest())
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}
