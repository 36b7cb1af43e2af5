//! The cluster's side of a copy: finds the exchange that a request is a copy of, and captures the answer.
//!
//! The filter runs once per attempt. Envoy does not retry copies, so that the first attempt that ends is the leg, with
//! or without an answer; an attempt that ends after it (a proxy that does retry) is counted as unmatched and dropped.
//! A request without a sample id of this worker's epoch is not a copy and passes.

use weir_policy::headers as names;
use weir_wire::LegKind;

use crate::captured::Captured;
use crate::exchange::parse_sample_id;
use crate::filter::{Filter, Stream};
use crate::host::{Host, Map};
use crate::metrics::Count;

impl<H: Host> Filter<H> {
    /// Request headers on the cluster's side.
    pub(crate) fn begin_copy(&mut self, context: u32, leg: LegKind, end: bool) {
        let exchange = self.find_exchange(leg);
        let Some(exchange) = exchange else {
            self.streams.remove(&context);
            return;
        };
        let now = self.now();
        self.capturing += 1;
        let captured = Captured::new(exchange, leg, now, end);
        self.streams.insert(context, Stream::Captured(Box::new(captured)));
    }

    fn find_exchange(&mut self, leg: LegKind) -> Option<std::rc::Rc<crate::exchange::Exchange>> {
        let mut bytes = self.take_scratch();
        let found = self.host.header(Map::Request, names::SAMPLE_ID, &mut bytes);
        let number = match (found, self.epoch) {
            (Ok(true), Some(epoch)) => parse_sample_id(&bytes, epoch),
            (Ok(_), _) => None,
            (Err(_), _) => {
                self.metrics.count(Count::HostRefusals);
                None
            }
        };
        let carries_id = found == Ok(true);
        self.return_scratch(bytes);
        if !carries_id || !self.is_marked(leg) {
            return None;
        }
        let exchange =
            number.and_then(|number| self.pending.find(number)).filter(|exchange| exchange.expects(leg));
        if exchange.is_none() {
            self.metrics.count(Count::Unmatched(leg));
        }
        exchange
    }

    /// A cluster may serve both primary requests and copies, and primary requests with a copy carry the same id.
    fn is_marked(&mut self, leg: LegKind) -> bool {
        let mut bytes = self.take_scratch();
        let marked = match self.host.header(Map::Request, names::LEG, &mut bytes) {
            Ok(found) => found && bytes == leg.as_str().as_bytes(),
            Err(_) => {
                self.metrics.count(Count::HostRefusals);
                false
            }
        };
        self.return_scratch(bytes);
        marked
    }
}
