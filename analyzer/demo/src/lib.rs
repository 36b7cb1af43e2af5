//! The whole loop on one machine: model servers, traffic, a real Envoy, the rollout.

pub mod answers;
pub mod corpus;
pub mod model;
pub mod openai;
pub mod quality;
pub mod random;
pub mod tally;
mod topics;
pub mod traffic;
pub mod voice;
