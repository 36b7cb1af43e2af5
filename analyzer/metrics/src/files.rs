//! Which files there are: `DATA/samples/experiment=E/date=YYYY-MM-DD/hour=HH/part-*.parquet`.
//!
//! Names that start with a dot or end in `.tmp` are writes under way and are passed over. Anything else that does not
//! fit is listed as foreign. Files that a merged one stands for do not count (`weir_sample::replaced`).

use std::fs::{self, DirEntry};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use weir_sample::replaced::{settled, without_replaced};

use crate::error::MetricsError;

/// Folder of the samples within the data folder.
pub(crate) const SAMPLES: &str = "samples";
/// Folder of the judge scores within the data folder.
pub(crate) const SCORES: &str = "scores";

const EXPERIMENT: &str = "experiment=";
const DATE: &str = "date=";
const HOUR: &str = "hour=";

/// The experiments that a data folder holds samples of, sorted.
///
/// # Errors
/// [`MetricsError::Folder`] when the folder cannot be listed, [`MetricsError::NoSamples`] when there is none.
pub fn experiments(data_dir: &Path) -> Result<Vec<String>, MetricsError> {
    // Told apart, so that a mistyped folder does not read as an empty one.
    entries(data_dir)?;
    let samples = data_dir.join(SAMPLES);
    if !samples.is_dir() {
        return Err(MetricsError::NoSamples { path: data_dir.to_path_buf() });
    }
    let mut found = Vec::new();
    for entry in entries(&samples)? {
        if let Some(name) = entry.name.strip_prefix(EXPERIMENT)
            && entry.path.is_dir()
        {
            found.push(name.to_owned());
        }
    }
    if found.is_empty() {
        return Err(MetricsError::NoSamples { path: data_dir.to_path_buf() });
    }
    Ok(found)
}

/// The experiment to read: `wanted`, or the only one there is.
pub(crate) fn experiment(data_dir: &Path, wanted: Option<&str>) -> Result<String, MetricsError> {
    let existing = experiments(data_dir)?;
    let path = data_dir.to_path_buf();
    match (wanted, existing.as_slice()) {
        (Some(wanted), _) if existing.iter().any(|name| name == wanted) => Ok(wanted.to_owned()),
        (Some(wanted), _) => {
            Err(MetricsError::NoSuchExperiment { wanted: wanted.to_owned(), path, existing })
        }
        (None, [only]) => Ok(only.clone()),
        (None, _) => Err(MetricsError::SeveralExperiments { path, existing }),
    }
}

/// What is in a folder; both lists are sorted.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Part files whose rows count.
    pub(crate) parts: Vec<PathBuf>,
    /// What has no business there.
    pub(crate) foreign: Vec<PathBuf>,
}

/// The files of one experiment in `samples` or `scores`; none where the folder is missing.
pub(crate) fn part_files(data_dir: &Path, kind: &str, experiment: &str) -> Result<Listing, MetricsError> {
    let mut foreign = Vec::new();
    let parts = settled(|| {
        foreign.clear();
        all_part_files(data_dir, kind, experiment, &mut foreign)
    })?;
    foreign.sort();
    Ok(Listing { parts: without_replaced(parts), foreign })
}

/// Where the rows of a part file that is gone may be now: the files of its folder.
pub(crate) fn heirs(path: &Path) -> Result<Vec<PathBuf>, MetricsError> {
    let folder = path.parent().unwrap_or(path);
    let list = || {
        let mut parts = Vec::new();
        level(folder, &[], &mut parts, &mut Vec::new())?;
        Ok::<_, MetricsError>(parts)
    };
    settled(list).map(without_replaced)
}

fn all_part_files(
    data_dir: &Path,
    kind: &str,
    experiment: &str,
    foreign: &mut Vec<PathBuf>,
) -> Result<Vec<PathBuf>, MetricsError> {
    let root = data_dir.join(kind);
    let mut parts = Vec::new();
    if root.is_dir() {
        for entry in entries(&root)? {
            if !entry.name.starts_with(EXPERIMENT) || !entry.path.is_dir() {
                foreign.push(entry.path);
            } else if entry.name.strip_prefix(EXPERIMENT) == Some(experiment) {
                level(&entry.path, &[DATE, HOUR], &mut parts, foreign)?;
            }
        }
    }
    Ok(parts)
}

/// Walks one level of folders whose names start with the first of `prefixes`; below the last one are the part files.
fn level(
    folder: &Path,
    prefixes: &[&str],
    parts: &mut Vec<PathBuf>,
    foreign: &mut Vec<PathBuf>,
) -> Result<(), MetricsError> {
    for entry in entries(folder)? {
        match prefixes.split_first() {
            Some((prefix, below)) if entry.name.starts_with(prefix) && entry.path.is_dir() => {
                level(&entry.path, below, parts, foreign)?;
            }
            None if entry.name.starts_with("part-")
                && entry.name.ends_with(".parquet")
                && entry.path.is_file() =>
            {
                parts.push(entry.path);
            }
            _ => foreign.push(entry.path),
        }
    }
    Ok(())
}

struct Entry {
    name: String,
    path: PathBuf,
}

/// The entries of a folder, sorted, without writes under way.
fn entries(folder: &Path) -> Result<Vec<Entry>, MetricsError> {
    let listing = fs::read_dir(folder).map_err(|source| MetricsError::folder(folder, source))?;
    let mut found = Vec::new();
    for entry in listing {
        let entry: DirEntry = match entry {
            Ok(entry) => entry,
            // A temporary file may get its final name between listing and looking.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(source) => return Err(MetricsError::folder(folder, source)),
        };
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && !name.ends_with(".tmp") {
            found.push(Entry { name, path: entry.path() });
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}
