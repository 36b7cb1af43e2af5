//! The rollout state machine, the pushers, confirmation and the decision record.
//!
//! - [`Rollout`] is the document; [`State`] and [`advance`] are the pure state machine over its steps.
//! - [`step_policy`] and [`rollback_policy`] say which policy belongs to which step.
//! - [`Pusher`] puts a policy into the ECDS file that the proxies watch ([`EcdsFile`]) and waits until they show it
//!   ([`Confirmer`]). In a file of several experiments it changes the one and leaves the others byte for byte.
//! - [`RolloutFolder`] keeps `state.json` and `decisions.jsonl`.
//! - [`RolloutMetrics`] says where a rollout stands, for Prometheus.
//! - [`watch`] is the loop of all this; [`hands`] are the commands that people give.
//!
//! Invariants: no statistics and no Parquet in here; a push is done when the proxies say so.

mod confirm;
mod ecds_file;
mod error;
mod event;
pub mod hands;
mod metrics;
mod policies;
mod push;
mod record;
mod rollout;
mod splice;
mod state;
mod target;
#[cfg(test)]
mod testing;
mod watch;

pub use confirm::{
    ConfirmError, Confirmer, ExtensionStats, PROBES_PER_ROUND, ProxyConfirmation, ProxyReport, Shown,
    extension_stats,
};
pub use ecds_file::{Carried, EcdsError, EcdsFile, FILE_BYTES_MAX, Replaced, Which};
pub use error::ControllerError;
pub use event::{Event, What};
pub use metrics::RolloutMetrics;
pub use policies::{full_policy, next_policy, rollback_policy, step_policy};
pub use push::{Confirmed, Pusher, Written};
pub use record::{
    DECISION_SCHEMA, Decided, Decision, GateSummary, History, PushRecord, RecordError, RolloutFolder,
};
pub use rollout::{AdvanceOn, AfterLastStep, Rollout, Step, StepMode};
pub use state::{Action, Advice, STATE_SCHEMA, State, Status, advance};
pub use target::{CONFIRM_TIMEOUT, EXTENSION_NAME, EnvoyTarget, PROBE_PATH, Probe, ProxyTarget, TargetError};
pub use watch::{Ending, LookError, LookRequest, PUSH_ATTEMPTS, WatchOptions, WatchOutcome, watch};
