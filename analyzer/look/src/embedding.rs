//! Embeds new answers before a look.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use weir_meaning::{EmbedOptions, Embedder, EmbedderChoice, MeaningError};

/// Least time between two runs of the embedder.
const REFRESH: Duration = Duration::from_secs(2);
/// Error rate of the drift tests.
const ALPHA: f64 = 0.05;
/// Seed of the drift tests.
const SEED: u64 = 1;

/// An embedder that is ready.
pub struct Embedding {
    embedder: Embedder,
    last: Mutex<Option<Instant>>,
}

impl Embedding {
    /// Opens the embedder, so that a model that is not there is told before a rollout begins.
    ///
    /// # Errors
    /// No such model, or no runtime for it.
    pub fn open(choice: &EmbedderChoice, threads: usize) -> Result<Self, MeaningError> {
        Ok(Self { embedder: Embedder::open(choice, threads)?, last: Mutex::default() })
    }

    /// Embeds what is new, at most every two seconds; no answers yet is no failure.
    ///
    /// # Errors
    /// Samples that cannot be read, vectors that cannot be written, a model that fails.
    pub fn refresh(&self, data_dir: &Path, experiment: &str) -> Result<(), MeaningError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| last.elapsed() < REFRESH) {
            return Ok(());
        }
        let options = EmbedOptions {
            data_dir: data_dir.to_path_buf(),
            experiment: experiment.to_owned(),
            revision: None,
            alpha: ALPHA,
            seed: SEED,
        };
        let done = weir_meaning::embed(&options, &self.embedder, &mut |_, _| {});
        *last = Some(Instant::now());
        match done {
            Ok(_) | Err(MeaningError::NoSamples { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
