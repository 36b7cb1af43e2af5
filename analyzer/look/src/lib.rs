//! One look at the evidence, the same for `weir analyze`, `weir watch` and `weir demo`: answers are embedded and judged where
//! that is asked for, samples and scores are loaded, gates evaluated, and what no score may override is heeded.
//!
//! Invariants: a look never waits for a judge ([`Judging`] works beside it, within its budget, and scores count once they
//! are in the table); a judge or an embedder that fails makes a look hold or fail, never promote.

mod embedding;
mod error;
mod heed;
mod judging;
mod looker;
mod meaning;
mod pack;
mod tripwires;
mod undecided;

pub use embedding::Embedding;
pub use error::LookError;
pub use heed::{calibrations, judges, people};
pub use judging::{Judging, JudgingOptions, Spent};
pub use looker::{Look, Looker};
pub use meaning::{meaning, prompt_map};
pub use pack::pack_metrics;
pub use tripwires::tripwire;
pub use undecided::Undecided;
