//! What has been read, by file: for the next look in memory, and where it is wanted beside the data ([`crate::kept`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use polars::prelude::PolarsError;

use crate::LoadOptions;
use crate::error::MetricsError;
use crate::figures::{Figures, LegRef};
use crate::kept::{self, Identity, Kept};
use crate::legs;
use crate::metric::Metric;
use crate::parallel;
use crate::scan::Refusal;
use crate::scores::{self, Judgement};

/// What has been read, by file. Give the same cache to the next look and only new files are read.
///
/// A file is read again when its size or time of change differs, and everything when the
/// options differ in more than revision and shares: a rollout goes from revision to revision and need not read again.
#[derive(Debug, Default)]
pub struct Cache {
    key: Option<(LoadOptions, String)>,
    samples: BTreeMap<PathBuf, Cached<(Figures, Option<Identity>)>>,
    scores: BTreeMap<PathBuf, Cached<Vec<Judgement>>>,
    /// Told how many of how many bytes of new files are read.
    progress: Option<fn(u64, u64)>,
}

#[derive(Debug)]
struct Cached<T> {
    state: FileState,
    content: T,
}

type FileState = (u64, Option<SystemTime>);

/// The inner error is a file that does not belong.
pub(crate) type Outcome<T> = Result<Result<T, Refusal>, MetricsError>;

impl Cache {
    /// An empty cache; `progress` is called with the bytes of new files that are read, and with all of them.
    #[must_use]
    pub fn with_progress(progress: fn(u64, u64)) -> Self {
        Self { progress: Some(progress), ..Self::default() }
    }

    /// Reads what is new and forgets what is gone. Gives the files that cannot be used, each with what is wrong with it.
    ///
    /// # Errors
    /// A file that is gone, or that the system does not let us read.
    pub(crate) fn refresh(
        &mut self,
        options: &LoadOptions,
        experiment: &str,
        metrics: &[Metric],
        samples: &[PathBuf],
        scores: &[PathBuf],
    ) -> Result<Vec<(PathBuf, Refusal)>, MetricsError> {
        let key = (
            LoadOptions {
                revision: None,
                expected_shares: Vec::new(),
                people: Vec::new(),
                ..options.clone()
            },
            experiment.to_owned(),
        );
        if self.key.as_ref() != Some(&key) {
            *self = Self { key: Some(key), progress: self.progress, ..Self::default() };
        }
        let mut refused = Vec::new();
        let kept = Kept::of(options, experiment, metrics);
        let read = |path: &Path| figures(path, experiment, options, metrics, kept.as_ref());
        update(&mut self.samples, samples, &mut refused, read, self.progress)?;
        update(&mut self.scores, scores, &mut refused, |path| scores::read(path, experiment), None)?;
        if let Some(kept) = kept {
            let identity =
                |(path, file): (_, &Cached<(Figures, Option<Identity>)>)| Some((path, file.content.1?));
            kept.tidy(self.samples.iter().map(|(path, file)| (path.as_path(), file)).filter_map(identity));
        }
        Ok(refused)
    }

    /// Whether any file of samples was read.
    pub(crate) fn has_samples(&self) -> bool {
        !self.samples.is_empty()
    }

    /// How many legs there are in all files, whatever the window.
    pub(crate) fn rows(&self) -> usize {
        self.samples.values().map(|file| file.content.0.rows()).sum()
    }

    /// Every leg of the time window, in the order of the files.
    pub(crate) fn legs(&self) -> impl Iterator<Item = LegRef<'_>> + Clone {
        let window = self.key.as_ref().map(|(options, _)| (options.since_us, options.until_us));
        let (since_us, until_us) = window.unwrap_or_default();
        let inside = move |leg: &LegRef<'_>| {
            since_us.is_none_or(|since_us| leg.ts_us() >= since_us)
                && until_us.is_none_or(|until_us| leg.ts_us() < until_us)
        };
        self.samples.values().flat_map(|file| file.content.0.legs()).filter(inside)
    }

    /// Every judgement.
    pub(crate) fn judgements(&self) -> impl Iterator<Item = &Judgement> {
        self.scores.values().flat_map(|file| &file.content)
    }
}

/// The figures of one part file: those that were kept, or those of its samples.
fn figures(
    path: &Path,
    experiment: &str,
    options: &LoadOptions,
    metrics: &[Metric],
    kept: Option<&Kept>,
) -> Outcome<(Figures, Option<Identity>)> {
    if let Err(refusal) = legs::check(path, experiment) {
        return Ok(Err(refusal));
    }
    let Some(kept) = kept else {
        return Ok(legs::read(path, options, metrics)?.map(|figures| (figures, None)));
    };
    let identity = kept::identity(path).map_err(|source| MetricsError::folder(path, source))?;
    if let Some(figures) = kept.read(path, identity) {
        return Ok(Ok((figures, Some(identity))));
    }
    let read = legs::read(path, options, metrics)?;
    // The figures of a time window are not those of the file.
    if let (Ok(figures), None, None) = (&read, options.since_us, options.until_us) {
        kept.write(path, identity, figures);
    }
    Ok(read.map(|figures| (figures, Some(identity))))
}

/// Bytes of files, as far as they are there.
fn bytes<P: AsRef<Path>>(paths: &[P]) -> u64 {
    paths.iter().filter_map(|path| fs::metadata(path).ok()).map(|metadata| metadata.len()).sum()
}

fn update<T: Send>(
    known: &mut BTreeMap<PathBuf, Cached<T>>,
    paths: &[PathBuf],
    refused: &mut Vec<(PathBuf, Refusal)>,
    read: impl Fn(&Path) -> Outcome<T> + Sync,
    told: Option<fn(u64, u64)>,
) -> Result<(), MetricsError> {
    let wanted: BTreeSet<&PathBuf> = paths.iter().collect();
    known.retain(|path, _| wanted.contains(path));
    let mut new: Vec<(&PathBuf, FileState)> = Vec::new();
    for path in paths {
        let metadata = fs::metadata(path).map_err(|source| MetricsError::folder(path, source))?;
        let state = (metadata.len(), metadata.modified().ok());
        if known.get(path).is_none_or(|file| file.state != state) {
            new.push((path, state));
        }
    }
    let fresh: Vec<&Path> = new.iter().map(|(path, _)| path.as_path()).collect();
    let all = if told.is_some() { bytes(&fresh) } else { 0 };
    let mut done = 0;
    let mut progress = |path: &Path| {
        if let Some(told) = told {
            done += bytes(&[path]);
            told(done, all);
        }
    };
    for ((path, state), outcome) in
        new.iter().zip(parallel::map(&fresh, |path| read(path), |path| progress(path)))
    {
        let outcome = match outcome {
            // Gone since it was listed: no damage.
            Err(MetricsError::Query { source, .. }) if path.exists() => Ok(Err(damage(&source))),
            Ok(Err(_)) if !path.exists() => Err(MetricsError::folder(path, ErrorKind::NotFound.into())),
            outcome => outcome,
        };
        match outcome? {
            Ok(content) => {
                known.insert((*path).clone(), Cached { state: *state, content });
            }
            Err(refusal) => {
                known.remove(*path);
                refused.push(((*path).clone(), refusal));
            }
        }
    }
    Ok(())
}

/// What polars says of a file whose footer was good.
fn damage(source: &PolarsError) -> Refusal {
    let text = source.to_string();
    format!("is damaged: {}", text.lines().next().unwrap_or_default())
}
