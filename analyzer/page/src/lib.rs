//! The live part of the HTML report: other gates tried on the report's evidence, and requests assigned by a policy.
//!
//! [`what_if`] and [`playground`] call the crates that the command line and the filter use, and nothing here computes a
//! statistic or an assignment of its own. `weir report --gates` is the same [`what_if`]; module `browser` gives both to
//! the page's script, compiled for `wasm32-unknown-unknown`.
//!
//! Invariants: no I/O, no clock, no randomness; the same report and change give the same bytes; nothing is sent anywhere.

mod change;
mod playground;
mod said;
mod sitting;
mod time;
mod yaml;

#[cfg(target_arch = "wasm32")]
mod browser;

pub use crate::change::{Change, Refused, what_if};
pub use crate::playground::{Moves, Playground, playground};
pub use crate::said::difference;
pub use crate::sitting::Sitting;
pub use crate::time::{complete, complete_over};
pub use crate::yaml::to_yaml;
