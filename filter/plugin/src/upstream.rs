//! The cluster's side of a copy: finds the exchange that a request is a copy of, and captures the answer.
//!
//! A copy has the request id of its original, and the mirror policy marks it with its leg. The mark is asked for only
//! where primary requests pass, too, and where no exchange is found. The filter runs once per attempt. Envoy does not
//! retry copies, so that the first attempt that ends is the leg, with or without an answer; an attempt that ends after
//! it (a proxy that does retry) is counted as unmatched and dropped. A request without a mark is not a copy and passes.

use std::rc::Rc;

use weir_policy::{headers as names, table_hash};
use weir_wire::LegKind;

use crate::captured::Captured;
use crate::exchange::Exchange;
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
        if leg == LegKind::Shadow {
            let active = Rc::clone(&exchange.active);
            self.tell_upstream(&active, exchange.cohort, false);
            if let Some(rewriting) = &active.rewriting {
                self.rewrite(context, rewriting, None, end);
            }
        }
        self.capturing += 1;
        let captured = Captured::new(exchange, leg, end, &mut self.memory);
        self.streams.insert(context, Stream::Captured(Box::new(captured)));
    }

    fn find_exchange(&mut self, leg: LegKind) -> Option<Rc<Exchange>> {
        let found = self.with_header("x-request-id", |filter, id| {
            let hash = table_hash(filter.epoch(), id);
            filter.pending.find(hash, id)
        });
        let exchange = found.flatten().filter(|exchange| exchange.expects(leg));
        let shared = exchange.as_ref().is_some_and(|exchange| exchange.active.shares_cluster(leg));
        if exchange.is_some() && !shared {
            return exchange;
        }
        let marked = self.with_header(names::LEG, |_, mark| mark == leg.as_str().as_bytes()) == Some(true);
        if marked && exchange.is_none() {
            self.metrics.count(Count::Unmatched(leg));
        }
        exchange.filter(|_| marked)
    }

    /// What `read` makes of a request header; `None` without one.
    fn with_header<T>(&mut self, name: &str, read: impl FnOnce(&mut Self, &[u8]) -> T) -> Option<T> {
        let mut bytes = self.take_scratch();
        let found = self.host.header(Map::Request, name, &mut bytes);
        if found.is_err() {
            self.metrics.count(Count::HostRefusals);
        }
        let result = (found == Ok(true)).then(|| read(self, &bytes));
        self.return_scratch(bytes);
        result
    }
}
