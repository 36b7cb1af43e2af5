//! Judges: rubrics, a client that pays once, agreement with people, golden sets.
//!
//! A judge is any OpenAI-compatible endpoint ([`client::Endpoint`]), or recorded scores that are played back
//! ([`client::Replay`]). [`run::judge`] scores the answers of an experiment within a budget and writes them into the scores
//! table; [`agreement`] says how far a judge is to be trusted; [`labels`] are people's scores.
//!
//! Invariants: a failed or unparsable judgement is missing and counted, never a score; what was paid for is on disk before
//! the next call starts; captured text reaches a judge as a JSON string, never as an instruction.

pub mod agreement;
pub mod breakdown;
pub mod choice;
pub mod client;
pub mod golden;
pub mod history;
pub mod labels;
pub mod prompt;
pub mod rubric;
pub mod run;
pub mod store;

pub use rubric::Rubric;
