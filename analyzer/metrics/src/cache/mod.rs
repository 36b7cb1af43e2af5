//! What has been read, by file: for the next look in memory, and where it is wanted beside the data ([`crate::kept`]).
//!
//! A file whose figures are kept may be known by its span alone ([`crate::spans`]): its figures are read when something asks
//! for them, and may be let go again.

mod reading;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::LoadOptions;
use crate::error::MetricsError;
use crate::figures::{Figures, LegRef};
use crate::kept::{Identity, Kept};
use crate::metric::Metric;
use crate::scan::Refusal;
use crate::scores::{self, Judgement};
use crate::spans::{Span, Spans};
use reading::{Source, Unread};

/// What has been read, by file. Give the same cache to the next look and only new files are read.
///
/// A file is read again when its size or time of change differs, and everything when the
/// options differ in more than revision and shares: a rollout goes from revision to revision and need not read again.
#[derive(Debug, Default)]
pub struct Cache {
    key: Option<(LoadOptions, String)>,
    /// Where the figures of this key are kept.
    kept: Option<Kept>,
    samples: BTreeMap<PathBuf, Cached<Part>>,
    scores: BTreeMap<PathBuf, Cached<Vec<Judgement>>>,
    /// Told how many of how many bytes of new files are read.
    progress: Option<fn(u64, u64)>,
}

#[derive(Debug)]
struct Cached<T> {
    state: FileState,
    content: T,
}

/// What is known of a part file of samples.
#[derive(Debug)]
struct Part {
    /// Where figures are kept.
    identity: Option<Identity>,
    span: Span,
    /// Nothing where they can be read from those that are kept, and nobody asked for them.
    figures: Option<Figures>,
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
    /// `lazily`, a new file whose figures are kept is known by its span and not read, unless there is a time window; otherwise
    /// the figures of every file are in memory afterwards.
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
        lazily: bool,
    ) -> Result<Vec<(PathBuf, Refusal)>, MetricsError> {
        self.start_over_unless_of(options, experiment);
        let source = Source::new(options, experiment, metrics);
        self.kept.clone_from(&source.kept);
        // What is read of a window is not the span of the file.
        let kept = source.kept.as_ref().filter(|_| options.since_us.is_none() && options.until_us.is_none());
        let spans = kept.map(Kept::spans).unwrap_or_default();
        let mut unread = reading::changed(&mut self.samples, samples)?;
        match kept {
            Some(kept) if lazily => reading::recognise(&mut self.samples, &mut unread, kept, &spans),
            _ => {
                let changed: BTreeSet<PathBuf> = unread.iter().map(|file| file.path.clone()).collect();
                unread.extend(self.not_in_memory(|path| !changed.contains(path)));
            }
        }
        let mut refused =
            reading::read_all(&mut self.samples, &unread, |file| source.part(file), self.progress)?;
        let unread = reading::changed(&mut self.scores, scores)?;
        let judgements = |file: &Unread| scores::read(&file.path, experiment);
        refused.extend(reading::read_all(&mut self.scores, &unread, judgements, None)?);
        refused.sort();
        if let Some(kept) = &source.kept {
            kept.tidy(self.parts().filter_map(|(path, identity, _)| Some((path, identity?))));
        }
        let now: Spans = self.parts().filter_map(|(_, identity, span)| Some((identity?, span))).collect();
        if let Some(kept) = kept.filter(|_| now != spans) {
            kept.write_spans(&now);
        }
        Ok(refused)
    }

    /// Reads the figures of these files, those that the refresh found, where they are not in memory; with the arguments of
    /// that refresh. Gives the files that cannot be used, which are forgotten.
    ///
    /// A file that was changed since and whose kept figures are gone has another identity and span afterwards.
    ///
    /// # Errors
    /// As [`Self::refresh`].
    pub(crate) fn load(
        &mut self,
        wanted: &BTreeSet<PathBuf>,
        options: &LoadOptions,
        experiment: &str,
        metrics: &[Metric],
    ) -> Result<Vec<(PathBuf, Refusal)>, MetricsError> {
        let source = Source::new(options, experiment, metrics);
        let unread = self.not_in_memory(|path| wanted.contains(path));
        reading::read_all(&mut self.samples, &unread, |file| source.part(file), self.progress)
    }

    /// Drops the figures of the files that are not to be kept in memory, of those that can be read from the kept ones again.
    pub(crate) fn let_go(&mut self, keep: impl Fn(&Path) -> bool) {
        let Some(kept) = &self.kept else { return };
        for (path, file) in &mut self.samples {
            let part = &mut file.content;
            let again = |identity| kept.has(path, identity);
            if part.figures.is_some() && !keep(path) && part.identity.is_some_and(again) {
                part.figures = None;
            }
        }
    }

    /// Where figures are kept.
    pub(crate) fn kept(&self) -> Option<&Kept> {
        self.kept.as_ref()
    }

    /// Whether any file of samples was read.
    pub(crate) fn has_samples(&self) -> bool {
        !self.samples.is_empty()
    }

    /// How many legs there are in all files, whatever the window, and whether their figures are in memory or not.
    pub(crate) fn rows(&self) -> usize {
        self.samples.values().map(|file| file.content.span.rows).sum()
    }

    /// How many legs there are in the files that may have legs of a revision; of all files where none is asked for.
    pub(crate) fn rows_of(&self, revision: Option<i64>) -> usize {
        self.parts().filter(|(.., span)| span.may_have(revision)).map(|(.., span)| span.rows).sum()
    }

    /// Every part file of samples with its span, in the order of their paths.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (&Path, Option<Identity>, Span)> {
        self.samples.iter().map(|(path, file)| (path.as_path(), file.content.identity, file.content.span))
    }

    /// The figures of a file, if they are in memory.
    pub(crate) fn figures(&self, path: &Path) -> Option<&Figures> {
        self.samples.get(path)?.content.figures.as_ref()
    }

    /// Every leg of the time window whose figures are in memory, in the order of the files.
    pub(crate) fn legs(&self) -> impl Iterator<Item = LegRef<'_>> + Clone {
        let window = self.key.as_ref().map(|(options, _)| (options.since_us, options.until_us));
        let (since_us, until_us) = window.unwrap_or_default();
        let inside = move |leg: &LegRef<'_>| {
            since_us.is_none_or(|since_us| leg.ts_us() >= since_us)
                && until_us.is_none_or(|until_us| leg.ts_us() < until_us)
        };
        let figures = self.samples.values().filter_map(|file| file.content.figures.as_ref());
        figures.flat_map(Figures::legs).filter(inside)
    }

    /// Every judgement.
    pub(crate) fn judgements(&self) -> impl Iterator<Item = &Judgement> {
        self.scores.values().flat_map(|file| &file.content)
    }

    /// Whether any file of scores was read.
    pub(crate) fn has_scores(&self) -> bool {
        !self.scores.is_empty()
    }

    fn start_over_unless_of(&mut self, options: &LoadOptions, experiment: &str) {
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
    }

    /// Files that are known by their spans alone.
    fn not_in_memory(&self, wanted: impl Fn(&Path) -> bool) -> Vec<Unread> {
        let of_spans =
            self.samples.iter().filter(|(path, file)| file.content.figures.is_none() && wanted(path));
        let unread = |(path, file): (&PathBuf, &Cached<Part>)| Unread {
            path: path.clone(),
            state: file.state,
            identity: file.content.identity,
        };
        of_spans.map(unread).collect()
    }
}
