//! What can go wrong with a look.

use thiserror::Error;
use weir_judge::labels::LabelError;
use weir_meaning::MeaningError;
use weir_metrics::MetricsError;

/// Why there was no look.
#[derive(Debug, Error)]
pub enum LookError {
    /// Samples, scores or gates.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// Embeddings and what was found with them.
    #[error(transparent)]
    Meaning(#[from] MeaningError),
    /// What is known of the judges.
    #[error(transparent)]
    Labels(#[from] LabelError),
    /// A revision that no sample can carry.
    #[error("revision {0} is too large; allowed: up to 9223372036854775807")]
    Revision(u64),
}
