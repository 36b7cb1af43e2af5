//! What answers mean: embeddings, the distance between the legs of a pair, drift, tripwires.
//!
//! [`embed`] reads the texts of an experiment, embeds each distinct one once (`cache`), writes `distance:embedding` of every
//! shadow and noise leg into the scores table (the distance of that leg's answer to control's primary answer) and the whole
//! set's findings into `DATA/meaning/experiment=E/drift.json` ([`Findings`]).
//! What is not here: verdicts; networks, but for fetching a model that was asked for by name ([`hub`]). Divergence alone is never better or worse; the gates and the scores decide.
//!
//! Invariants: the embedder is the one that was asked for, never another; an answer without text has no distance and is
//! counted; same samples, embedder and seed give the same findings.

pub mod cache;
pub mod clusters;
pub mod drift;
pub mod embedder;
mod error;
pub mod findings;
pub mod hub;
pub mod legs;
mod measured;
pub mod moved;
pub mod plane;
mod run;
mod runtime;

pub use embedder::{Embedder, EmbedderChoice};
pub use error::MeaningError;
pub use findings::Findings;
pub use run::{EmbedOptions, Progress, embed, read_findings};

/// The criterion under which distances stand in the scores table.
pub const DISTANCE_CRITERION: &str = "distance:embedding";
