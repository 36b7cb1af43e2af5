//! Envoy as Weir uses it: its configuration, the process, and its admin interface.
//!
//! - [`Bootstrap`] renders the bootstrap and [`ecds_response`] the file that carries one policy revision to the filter.
//!   The texts themselves are the files in `envoy/templates/`.
//! - [`Envoy`] runs the real binary as a child that does not outlive this process.
//! - [`Admin`] asks a running Envoy: ready, stats, the ECDS revision that it serves.
//! - [`render`] writes what each environment needs from one policy and [`render_experiments`] from several experiments, [`oci`] the module as an image.
//! - [`find_envoy`] and [`find_filter`] say where the binary and the module are, or what to do when they are not there.
//!
//! Invariant: nothing here knows statistics or the collector, and nothing here runs on a request's path.

mod admin;
mod bootstrap;
mod ecds;
mod find;
mod manifest;
pub mod oci;
mod process;
mod template;

pub use admin::{Admin, AdminError};
pub use bootstrap::{Bootstrap, FilterSource, Names, Routing, Upstreams};
pub use ecds::{ecds_response, write_ecds};
pub use find::{FindError, find_envoy, find_filter};
pub use manifest::{Environment, ManifestFile, Place, render, render_experiments};
pub use process::{Envoy, EnvoyError, StartOptions, validate};
pub use template::render as render_template;
