//! Why samples cannot be read. Every text names the place, says what is wrong and how to go on.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const LISTED_MAX: usize = 20;

/// Why samples cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// A folder cannot be listed.
    #[error(
        "data folder {}: cannot be read: {source}\n  hint: give the folder that `weir collect --data` or `weir import --data` writes to, and check its permissions",
        path.display()
    )]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// There are no samples at all.
    #[error(
        "data folder {}: holds no samples\n  hint: `weir collect --data {}` and `weir import --data {}` write them to samples/experiment=NAME/",
        path.display(), path.display(), path.display()
    )]
    NoSamples {
        /// The data folder.
        path: PathBuf,
    },
    /// The experiment is not there.
    #[error(
        "experiment {wanted:?}: is not in data folder {}; allowed: {}\n  hint: the name is the policy's `experiment`",
        path.display(), existing.join(", ")
    )]
    NoSuchExperiment {
        /// What was asked for.
        wanted: String,
        /// The data folder.
        path: PathBuf,
        /// The experiments that are there.
        existing: Vec<String>,
    },
    /// There are several and none was named.
    #[error(
        "data folder {}: holds {} experiments: {}\n  hint: name one with --experiment",
        path.display(), existing.len(), existing.join(", ")
    )]
    SeveralExperiments {
        /// The data folder.
        path: PathBuf,
        /// The experiments that are there.
        existing: Vec<String>,
    },
    /// Files or folders that do not belong there.
    #[error(
        "data folder {}: holds {} that do not belong there:{}\n  hint: move them away; samples are experiment=NAME/date=YYYY-MM-DD/hour=HH/part-*.parquet",
        path.display(), counted(paths.len(), "file", "files"), listed(paths)
    )]
    ForeignFiles {
        /// The data folder.
        path: PathBuf,
        /// All of them, sorted.
        paths: Vec<PathBuf>,
    },
    /// Part files that cannot be used.
    #[error(
        "{} cannot be used:{}\n  hint: move them away, or write them again with this version of weir",
        counted(files.len(), "part file", "part files"), explained(files)
    )]
    BadFiles {
        /// Each file with what is wrong with it, sorted.
        files: Vec<(PathBuf, String)>,
    },
    /// A metric id that does not exist.
    #[error("metric {name:?}: does not exist; allowed: {}{}", known.join(", "), hinted(hint.as_deref()))]
    UnknownMetric {
        /// What was asked for.
        name: String,
        /// The ids there are.
        known: Vec<String>,
        /// What may have been meant.
        hint: Option<String>,
    },
    /// A metric that needs a part of the metrics document.
    #[error(
        "metric {name:?}: the metrics document has no {part} for it\n  hint: give one with --metrics FILE; `weir validate --schema metrics` says what it may hold"
    )]
    Undefined {
        /// The metric.
        name: String,
        /// The part that is missing.
        part: &'static str,
    },
    /// The query failed although every file looked right.
    #[error("{}: {source}\n  hint: a file may be cut short; check the disk", path.display())]
    Query {
        /// The file or folder that was read.
        path: PathBuf,
        /// What polars says.
        source: polars::error::PolarsError,
    },
}

impl MetricsError {
    pub(crate) fn folder(path: &Path, source: std::io::Error) -> Self {
        Self::Folder { path: path.to_path_buf(), source }
    }

    pub(crate) fn query(path: &Path, source: polars::error::PolarsError) -> Self {
        Self::Query { path: path.to_path_buf(), source }
    }
}

fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn listed(paths: &[PathBuf]) -> String {
    let mut text = String::new();
    for path in paths.iter().take(LISTED_MAX) {
        let _ = write!(text, "\n  {}", path.display());
    }
    rest(&mut text, paths.len());
    text
}

fn explained(files: &[(PathBuf, String)]) -> String {
    let mut text = String::new();
    for (path, problem) in files.iter().take(LISTED_MAX) {
        let _ = write!(text, "\n  {}: {problem}", path.display());
    }
    rest(&mut text, files.len());
    text
}

fn rest(text: &mut String, number: usize) {
    if number > LISTED_MAX {
        let _ = write!(text, "\n  and {} more", number - LISTED_MAX);
    }
}

fn hinted(hint: Option<&str>) -> String {
    hint.map_or_else(String::new, |hint| format!("\n  hint: {hint}"))
}
