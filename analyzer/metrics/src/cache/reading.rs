//! Files of a cache that are read: which ones, side by side, and what becomes of those that cannot be.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use polars::prelude::PolarsError;

use super::{Cached, FileState, Outcome, Part};
use crate::LoadOptions;
use crate::error::MetricsError;
use crate::figures::Figures;
use crate::kept::{self, Identity, Kept};
use crate::legs;
use crate::metric::Metric;
use crate::parallel;
use crate::scan::Refusal;
use crate::spans::Spans;

/// Where figures of samples come from.
pub(super) struct Source<'a> {
    options: &'a LoadOptions,
    experiment: &'a str,
    metrics: &'a [Metric],
    pub(super) kept: Option<Kept>,
}

/// A file that is to be read.
pub(super) struct Unread {
    pub(super) path: PathBuf,
    pub(super) state: FileState,
    /// Where it was checked before, and has not changed.
    pub(super) identity: Option<Identity>,
}

impl Part {
    fn of(figures: Figures, identity: Option<Identity>) -> Self {
        Self { identity, span: figures.span(), figures: Some(figures) }
    }
}

impl<'a> Source<'a> {
    pub(super) fn new(options: &'a LoadOptions, experiment: &'a str, metrics: &'a [Metric]) -> Self {
        Self { options, experiment, metrics, kept: Kept::of(options, experiment, metrics) }
    }

    /// One part file: its kept figures, or those of its samples.
    pub(super) fn part(&self, file: &Unread) -> Outcome<Part> {
        let path = &file.path;
        if let (Some(kept), Some(identity)) = (&self.kept, file.identity)
            && let Some(figures) = kept.read(path, identity)
        {
            return Ok(Ok(Part::of(figures, Some(identity))));
        }
        if let Err(refusal) = legs::check(path, self.experiment) {
            return Ok(Err(refusal));
        }
        let read = || legs::read(path, self.options, self.metrics);
        let Some(kept) = &self.kept else {
            return Ok(read()?.map(|figures| Part::of(figures, None)));
        };
        let identity = kept::identity(path).map_err(|source| MetricsError::folder(path, source))?;
        if let Some(figures) = kept.read(path, identity) {
            return Ok(Ok(Part::of(figures, Some(identity))));
        }
        let read = read()?;
        // The figures of a time window are not those of the file.
        if let (Ok(figures), None, None) = (&read, self.options.since_us, self.options.until_us) {
            kept.write(path, identity, figures);
        }
        Ok(read.map(|figures| Part::of(figures, Some(identity))))
    }
}

/// Forgets the files that are gone, and gives those that are new or have changed.
pub(super) fn changed<T>(
    known: &mut BTreeMap<PathBuf, Cached<T>>,
    paths: &[PathBuf],
) -> Result<Vec<Unread>, MetricsError> {
    let wanted: BTreeSet<&PathBuf> = paths.iter().collect();
    known.retain(|path, _| wanted.contains(path));
    let mut changed = Vec::new();
    for path in paths {
        let metadata = fs::metadata(path).map_err(|source| MetricsError::folder(path, source))?;
        let state = (metadata.len(), metadata.modified().ok());
        if known.get(path).is_none_or(|file| file.state != state) {
            changed.push(Unread { path: path.clone(), state, identity: None });
        }
    }
    Ok(changed)
}

/// Makes those of the files known whose figures are kept and whose spans say what is to be known; the others stay unread.
pub(super) fn recognise(
    known: &mut BTreeMap<PathBuf, Cached<Part>>,
    unread: &mut Vec<Unread>,
    kept: &Kept,
    spans: &Spans,
) {
    if spans.is_empty() {
        return;
    }
    let of_span = |file: &Unread| {
        // A file that cannot be read here is an error where it is read.
        let identity = kept::identity(&file.path).ok()?;
        let span = spans.get(identity)?;
        let part = Part { identity: Some(identity), span, figures: None };
        kept.has(&file.path, identity).then_some(part)
    };
    let parts = parallel::map(unread, of_span, |_| {});
    for (file, part) in std::mem::take(unread).into_iter().zip(parts) {
        match part {
            Some(content) => {
                known.insert(file.path, Cached { state: file.state, content });
            }
            None => unread.push(file),
        }
    }
}

/// Reads files side by side. Gives those that cannot be used, which are not known any more.
pub(super) fn read_all<T: Send>(
    known: &mut BTreeMap<PathBuf, Cached<T>>,
    unread: &[Unread],
    read: impl Fn(&Unread) -> Outcome<T> + Sync,
    told: Option<fn(u64, u64)>,
) -> Result<Vec<(PathBuf, Refusal)>, MetricsError> {
    let all = if told.is_some() { unread.iter().map(|file| bytes(&file.path)).sum() } else { 0 };
    let mut done = 0;
    let progress = |file: &Unread| {
        if let Some(told) = told {
            done += bytes(&file.path);
            told(done, all);
        }
    };
    let mut refused = Vec::new();
    for (Unread { path, state, .. }, outcome) in unread.iter().zip(parallel::map(unread, read, progress)) {
        let outcome = match outcome {
            // Gone since it was listed: no damage.
            Err(MetricsError::Query { source, .. }) if path.exists() => Ok(Err(damage(&source))),
            Ok(Err(_)) if !path.exists() => Err(MetricsError::folder(path, ErrorKind::NotFound.into())),
            outcome => outcome,
        };
        match outcome? {
            Ok(content) => {
                known.insert(path.clone(), Cached { state: *state, content });
            }
            Err(refusal) => {
                known.remove(path);
                refused.push((path.clone(), refusal));
            }
        }
    }
    Ok(refused)
}

/// Bytes of a file, if it is there.
fn bytes(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// What polars says of a file whose footer was good.
fn damage(source: &PolarsError) -> Refusal {
    let text = source.to_string();
    format!("is damaged: {}", text.lines().next().unwrap_or_default())
}
