//! Reads a YAML or JSON document into types and reports every problem at once.
//!
//! Text becomes a tree ([`parse`]), the tree becomes a type ([`Decode`]), and whatever is wrong on the way is collected as a
//! list of [`Problem`]s with path, value, allowed values and a hint, instead of stopping at the first one. A document type is
//! defined once with [`document!`] (structs) and [`choice!`] (enums of words); decoder, JSON Schema and serialiser come from
//! that one definition. Keys are the camelCase form of the field names.
//!
//! Limits: [`TEXT_BYTES_MAX`], [`DEPTH_MAX`], [`NODES_MAX`] and [`PROBLEMS_MAX`]. No I/O, no clocks, no randomness; builds
//! for wasm32.
//!
//! ```
//! use weir_document::{Collector, Path};
//!
//! weir_document::choice! {
//!     /// How much a breach of a gate weighs.
//!     pub enum Severity {
//!         /// One breach is enough.
//!         Critical = "critical",
//!         /// Two breaches are needed.
//!         Major = "major",
//!     }
//! }
//!
//! weir_document::document! {
//!     /// One gate.
//!     pub struct Gate {
//!         /// Name, shown in reports.
//!         pub name: String,
//!         /// Largest change that is accepted.
//!         pub margin: f64 => 0.0..=1.0,
//!         /// How much a breach weighs.
//!         pub severity: Severity = Severity::Major,
//!         /// Samples that are needed before the gate says anything.
//!         pub minimum_evidence: u64 = 30 => 1..=1_000_000_000,
//!         /// Free text; an `Option` needs no default.
//!         pub note: Option<String>,
//!     }
//! }
//!
//! weir_document::document! {
//!     /// A file of gates: a struct with a `kind` also has the fields `apiVersion` and `kind`.
//!     pub struct Gates kind "Gates" {
//!         /// The gates.
//!         pub gates: Vec<Gate>,
//!     }
//!     check names_differ(gates);
//! }
//!
//! // A check sees only fields that were read without a problem, and runs as soon as all of its fields are there.
//! fn names_differ(gates: &[Gate], at: &Path<'_>, problems: &mut Collector) {
//!     for (index, gate) in gates.iter().enumerate() {
//!         if gates.iter().take(index).any(|earlier| earlier.name == gate.name) {
//!             problems.report(&at.key("gates").index(index).key("name"), "is used twice").text_value(&gate.name);
//!         }
//!     }
//! }
//!
//! let gates: Gates = weir_document::read("gates.yaml", "
//! apiVersion: weir/v1
//! kind: Gates
//! gates:
//!   - {name: json-valid, margin: 0.02, severity: critical}
//! ")?;
//! assert_eq!(gates.gates.len(), 1);
//!
//! let problems = weir_document::read::<Gates>("gates.yaml", "
//! apiVersion: weir/v1
//! kind: Gates
//! gates:
//!   - {name: json-valid, margin: 2, sevrity: critical}
//! ").unwrap_err();
//! assert_eq!(problems.to_string(), "\
//! error: gates.yaml: gates[0].margin: 2 is out of range; allowed: 0 to 1
//! error: gates.yaml: gates[0].sevrity: is not a known field
//!   hint: did you mean `severity`?");
//! # Ok::<(), weir_document::Problems>(())
//! ```

mod allowed;
pub mod conform;
mod decode;
mod fields;
mod macros;
mod problem;
mod read;
mod schema;
mod suggest;
mod tree;

pub use allowed::{Allowed, Items, Name, Refusal, names_differ};
pub use decode::Decode;
pub use fields::{Fields, camel_case};
pub use problem::{Collector, PROBLEMS_MAX, Path, Problem, ProblemBuilder, Problems};
pub use read::{DEPTH_MAX, NODES_MAX, TEXT_BYTES_MAX, decode, parse, read};
pub use schema::{ObjectSchema, canonical, json_schema, words_schema};
pub use suggest::closest;

/// Value of the field `apiVersion` in every document.
pub const API_VERSION: &str = "weir/v1";

/// What the macros need at their place of use.
#[doc(hidden)]
pub mod macro_support {
    pub use schemars;
    pub use serde;
    pub use serde_json;
}
