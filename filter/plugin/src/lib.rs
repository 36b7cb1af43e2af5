//! The proxy-wasm module: a thin shell over weir-policy.
//!
//! One module in two places: in the listener (`kind: Policy`) it assigns, routes, asks for copies and captures; on the
//! clusters that get copies (`kind: Capture`) it captures their answers. Both share one VM per worker, and so the
//! table in which the legs of an exchange find each other, and the outbox that sends them.
//!
//! | file | what |
//! |---|---|
//! | `filter` | state of a VM, callbacks by stream |
//! | `root` | configuration, tick, answers of the sink |
//! | `stream` | an exchange in the listener |
//! | `upstream` | a copy on a cluster |
//! | `captured`, `capture`, `exchange` | what is kept of a leg |
//! | `sampling`, `details` | what is captured in any case, and what of it besides bodies and times |
//! | `memory` | room for bodies that are being captured |
//! | `callouts` | copies that the filter sends itself |
//! | `copying`, `guard` | caps on copies; a candidate that fails is taken away |
//! | `pairing`, `outbox`, `batch`, `metrics` | bounded tables between the legs, the sink and the host |
//! | `access_log` | what access logs can show of an exchange |
//! | `rewrite` | the candidate's own request |
//! | `host` | everything the host is asked for, as a trait |
//! | `abi`, `wasm` | the same for a real host; only in the module |
//!
//! Invariants: no callback pauses a stream, changes a body, waits or panics; every table has a bound that the policy
//! names; a host call that fails is counted and otherwise has no effect on the exchange.

pub mod active;
pub mod capture;
pub mod exchange;
pub mod filter;
mod first_token;
pub mod headers;
pub mod host;
pub mod metrics;
pub mod outbox;
pub mod pairing;

mod access_log;
mod batch;
mod callouts;
mod captured;
mod copying;
mod details;
mod guard;
mod guarding;
mod memory;
mod rewrite;
mod root;
mod sampling;
mod stream;
mod texts;
mod upstream;

#[cfg(target_arch = "wasm32")]
mod abi;
#[cfg(target_arch = "wasm32")]
mod wasm;
