//! The whole loop on one machine: model servers, traffic, a real Envoy, the rollout.
