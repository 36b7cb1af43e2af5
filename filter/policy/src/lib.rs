//! The policy: schema, parser, validator, assignment, sampling decision, header rules, limits.
//!
//! One parser and one assignment serve the filter, `weir validate`, `weir assign` and the browser, so that they cannot
//! disagree. Everything here is a pure function of the policy and the request's headers: no I/O, no clocks, no randomness.
//!
//! Invariants:
//! - A policy that was parsed is valid as a whole; a policy with any problem is refused as a whole, with all its problems.
//! - Assignment is sticky (same salt, identity and share: same variant) and monotone (a growing share never takes the
//!   candidate away from an identity that has it).
//! - Routing, shadowing, noise and sampling are decided by independent hashes, and so are different experiments.
//! - [`Policy::assign`] and [`Policy::capture_decision`] do not panic, whatever bytes the headers hold, and do not allocate,
//!   but for an identity that the host gives or that has escapes.
//!
//! ```
//! use weir_policy::{Policy, Variant};
//!
//! let policy = Policy::parse("policy.yaml", "
//! apiVersion: weir/v1
//! kind: Policy
//! experiment: support-answers
//! revision: 7
//! mode: canary
//! control: {cluster: control, snapshot: {model: {name: gpt-x, version: \"1\"}}}
//! candidate: {cluster: candidate, snapshot: {model: {name: gpt-x, version: \"2\"}}}
//! identity: [{header: x-user-id}]
//! cohorts:
//!   - {name: internal, match: {header: x-tier, exact: internal}, candidatePercent: 100}
//!   - {name: general, candidatePercent: 0}
//! ")?;
//! let request = [("x-tier", "internal"), ("x-user-id", "ada")];
//! let assignment = policy.assign(&request);
//! assert_eq!(assignment.variant, Variant::Candidate);
//! assert_eq!(policy.cohort_name(&assignment), "internal");
//! # Ok::<(), weir_policy::Problems>(())
//! ```

mod assign;
mod candidate_request;
mod capture;
mod check;
mod configuration;
mod cookie;
mod details;
mod experiments;
mod explain;
mod fields;
mod flags;
mod guard;
mod hash;
pub mod headers;
mod identity;
mod newest;
mod overrides;
mod policy;
mod request;
mod rule;
mod sampling;
mod shadow;
mod share;
mod snapshot;
mod status;
mod text;

pub use assign::{Assignment, Reason, RequestView};
pub use candidate_request::CandidateRequest;
pub use capture::CaptureDecision;
pub use configuration::{Capture, PluginConfiguration};
pub use cookie::cookie_value;
pub use details::Details;
pub use experiments::{Experiments, Layer};
pub use explain::Explanation;
pub use fields::{FieldSetter, Fields, NAME_BYTES_MAX};
pub use flags::{flag_bit, flag_names};
pub use guard::Guard;
pub use hash::{BUCKETS, Purpose, bucket_ppm, identity_hash, table_hash};
pub use identity::{Claim, IdentityFrom, IdentitySource, query_value};
pub use newest::{EXPERIMENTS_MAX, Newest};
pub use overrides::Overrides;
pub use policy::{
    Autonomy, Candidate, Cohort, Control, Leg, Limits, Mode, NO_COHORT, Noise, Policy, ResponseHeaders,
    Routing, Sink, UpstreamHeader, Variant,
};
pub use request::Request;
pub use rule::Match;
pub use sampling::{Always, Sampling};
pub use shadow::{Shadow, Transport};
pub use share::Share;
pub use snapshot::{Component, Snapshot};
pub use status::StatusMatch;
pub use text::{HeaderName, Text};
pub use weir_document::{Problem, Problems};
