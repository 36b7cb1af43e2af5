//! The whole loop on one machine: model servers, traffic, a real Envoy, the rollout.
//!
//! [`run()`] is all of `weir demo`: two OpenAI-compatible model servers, some hundred users, a real Envoy with the filter,
//! the collector, a judge that is played back, and the rollout with its gates. No network beyond loopback.
//!
//! What is real: the filter, Envoy, the wire, the collector, Parquet, the statistics, the controller, the confirmation.
//! What is played: the models' texts (or recorded answers of real models), the users, the judge's scores.
//!
//! Invariants: a client request is never retried and every failure counts; no process outlives [`run()`]; nothing outside
//! the output folder is written.

pub mod answers;
mod board;
mod cast;
pub mod corpus;
pub mod documents;
mod error;
mod folder;
pub mod judge;
pub mod model;
pub mod openai;
mod options;
mod outcome;
pub mod quality;
pub mod random;
mod receiver;
mod run;
pub mod tally;
pub mod terminal;
mod topics;
pub mod traffic;
pub mod ui;
pub mod voice;

pub use documents::Pace;
pub use error::DemoError;
pub use options::DemoOptions;
pub use outcome::{Caught, DemoOutcome, Rollback, Scenario, Subject, Turn};
pub use run::run;
pub use terminal::Terminal;
pub use ui::Ui;
