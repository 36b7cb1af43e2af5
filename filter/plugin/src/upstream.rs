//! The cluster's side of a copy: finds the exchange that a request is a copy of, and captures the answer.
//!
//! The filter runs once per attempt. Envoy does not retry copies, so that the first attempt that ends is the leg, with
//! or without an answer; an attempt that ends after it (a proxy that does retry) is counted as unmatched and dropped.
//! A request without a sample id of this worker's epoch is not a copy and passes.

use std::rc::Rc;

use weir_policy::headers as names;
use weir_wire::LegKind;

use crate::captured::Captured;
use crate::exchange::{Exchange, parse_sample_id};
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

    fn find_exchange(&mut self, leg: LegKind) -> Option<Rc<Exchange>> {
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
        self.return_scratch(bytes);
        if found != Ok(true) {
            return None;
        }
        let exchange = number.and_then(|number| self.pending.find(number));
        let Some(exchange) = exchange.filter(|exchange| exchange.expects(leg)) else {
            self.metrics.count(Count::Unmatched(leg));
            return None;
        };
        if exchange.active.shares_cluster(leg) && !self.is_marked(leg) {
            return None;
        }
        Some(exchange)
    }

    /// The primary request has the same id as its copies; where it passes here too, the route's mark tells them apart.
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
