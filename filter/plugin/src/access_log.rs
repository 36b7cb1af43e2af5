//! What access logs can show of an exchange: one filter state, `%FILTER_STATE(wasm.weir:PLAIN)%`.
//!
//! Written only where the policy asks for it (`filterState`), because it costs a host call per exchange:
//! `experiment=support revision=7 variant=control cohort=beta tier=beta reason=outside-share sample=9c…-2a`, without `sample`
//! where the exchange is not captured. No value has a space.

use std::fmt::Write as _;

use weir_policy::Assignment;

use crate::active::Active;
use crate::exchange::Exchange;
use crate::filter::Filter;
use crate::host::Host;
use crate::metrics::Count;

/// Name of the filter state, without the host's prefix `wasm.`.
const NAME: &str = "weir";

impl<H: Host> Filter<H> {
    /// Tells what became of an exchange.
    pub(crate) fn tell_access_log(
        &mut self,
        active: &Active,
        assignment: &Assignment,
        captured: Option<&Exchange>,
    ) {
        if active.policy.filter_state != Some(true) {
            return;
        }
        let policy = &active.policy;
        let (cohort, tier, _) = active.cohort(assignment.cohort);
        let mut text = format!(
            "experiment={} revision={} variant={} cohort={cohort} tier={tier} reason={}",
            policy.experiment, policy.revision, assignment.variant, assignment.reason
        );
        if let Some(exchange) = captured {
            // Writing into text cannot fail.
            let _ = write!(text, " sample={}", exchange.sample_id());
        }
        if self.host.set_property(&[NAME], text.as_bytes()).is_err() {
            self.metrics.count(Count::HostRefusals);
        }
    }
}
