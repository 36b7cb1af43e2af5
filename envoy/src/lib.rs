//! Envoy configuration rendered from a policy, and the process that runs it.
