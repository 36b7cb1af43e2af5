//! End-to-end tests against a real Envoy: the harness.
mod empty_module;

pub use empty_module::empty_module;
