//! Names of Weir's own headers. All start with `x-weir-`; clients cannot send them.

/// Prefix of all of them.
pub const PREFIX: &str = "x-weir-";
/// Request and response: `control` or `candidate`.
pub const VARIANT: &str = "x-weir-variant";
/// Response: revision of the policy, or of the document of several experiments, that handled the exchange.
pub const REVISION: &str = "x-weir-revision";
/// Request: cluster of the shadow copy; a route that matches it has the mirror policy.
pub const SHADOW: &str = "x-weir-shadow";
/// Request: cluster of the noise copy; a route that matches it has the mirror policy.
pub const NOISE: &str = "x-weir-noise";
/// Request: which leg a copy is.
pub const LEG: &str = "x-weir-leg";
/// Request: name of the experiment.
pub const EXPERIMENT: &str = "x-weir-experiment";
/// Request: label of the snapshot that should answer.
pub const SNAPSHOT: &str = "x-weir-snapshot";
/// Request: autonomy level of the cohort.
pub const AUTONOMY: &str = "x-weir-autonomy";
/// Request: cluster that should answer, for `cluster_header` routes.
pub const CLUSTER: &str = "x-weir-cluster";

/// Path of a probe: a request that is sent only to read the revision in its answer, and that is no exchange to compare.
pub const PROBE_PATH: &str = "/weir-probe";

/// All of them.
pub const ALL: &[&str] = &[VARIANT, REVISION, SHADOW, NOISE, LEG, EXPERIMENT, SNAPSHOT, AUTONOMY, CLUSTER];

/// Whether a header name, in any case, is one of Weir's own.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    is_reserved_bytes(name.as_bytes())
}

/// Whether a header name as it came from the wire, in any case, is one of Weir's own.
#[must_use]
pub fn is_reserved_bytes(name: &[u8]) -> bool {
    name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX.as_bytes()))
}
