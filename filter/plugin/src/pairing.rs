//! Exchanges whose copies are on their way: how an upstream stream finds the exchange that its request is a copy of.
//!
//! A copy has the `x-request-id` of its original, which the proxy makes where the client sent none; no header of our
//! own is needed for it. Invariant: no two exchanges in the table have the same request id, so an id means one exchange;
//! a client that repeats an id while the first exchange is still waited for gets no copies ([`Pending::waits_for`]).
//!
//! Legs are sent as they end, each for itself; this table only knows which legs are still to come. Bounds: entries
//! (`pendingPairsMax`, the oldest goes first) and age (`sampleAgeMsMax`). An entry that is given up is counted as half
//! a pair for every leg that was missing; a stream that already found its exchange still ends and sends its leg.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;
use std::rc::Rc;

use weir_wire::LegKind;

use crate::exchange::Exchange;
use crate::filter::IdHasher;
use crate::metrics::{Count, Half, Metrics};

/// Exchanges by number, which is also their order in time.
#[derive(Debug, Default)]
pub struct Pending {
    entries: BTreeMap<u64, Entry>,
    /// Numbers by the request id's hash.
    numbers: HashMap<u64, u64, BuildHasherDefault<IdHasher>>,
}

#[derive(Debug)]
struct Entry {
    exchange: Rc<Exchange>,
    since: u64,
}

impl Pending {
    /// Waits for the legs of an exchange. `now` in nanoseconds.
    pub fn insert(&mut self, exchange: Rc<Exchange>, now: u64, entries_max: usize, metrics: &mut Metrics) {
        while self.entries.len() >= entries_max.max(1) {
            let Some((_, entry)) = self.entries.pop_first() else { break };
            self.unname(&entry.exchange);
            give_up(&entry.exchange, Half::Full, metrics);
        }
        self.numbers.insert(exchange.request_id_hash, exchange.number);
        self.entries.insert(exchange.number, Entry { exchange, since: now });
    }

    /// The exchange of a request id with its hash, while it is waited for.
    pub fn find(&self, request_id_hash: u64, request_id: &[u8]) -> Option<Rc<Exchange>> {
        let exchange = &self.entries.get(self.numbers.get(&request_id_hash)?)?.exchange;
        (exchange.request_id.as_bytes() == request_id).then(|| Rc::clone(exchange))
    }

    /// Whether an exchange with this hash of its request id is waited for.
    pub fn waits_for(&self, request_id_hash: u64) -> bool {
        self.numbers.contains_key(&request_id_hash)
    }

    /// Notes that a leg ended. `false` when the same leg of the exchange ended before.
    pub fn ended(&mut self, exchange: &Exchange, leg: LegKind, metrics: &mut Metrics) -> bool {
        if !exchange.end(leg) {
            return false;
        }
        if exchange.has_ended(LegKind::Primary) {
            let pairs = match leg {
                LegKind::Primary => [LegKind::Shadow, LegKind::Noise].as_slice(),
                LegKind::Shadow => [LegKind::Shadow].as_slice(),
                LegKind::Noise => [LegKind::Noise].as_slice(),
            };
            for copy in pairs {
                if exchange.expects(*copy) && exchange.has_ended(*copy) {
                    metrics.count(Count::Pairs(*copy));
                }
            }
        }
        if exchange.missing().next().is_none() {
            self.unname(exchange);
            self.entries.remove(&exchange.number);
        }
        true
    }

    /// No longer waits for a leg that was never begun.
    pub(crate) fn forget(&mut self, exchange: &Exchange, leg: LegKind) {
        drop(exchange.places.take(leg));
        exchange.end(leg);
        if exchange.missing().next().is_none() {
            self.unname(exchange);
            self.entries.remove(&exchange.number);
        }
    }

    /// Gives up what has waited longer than `age_max` nanoseconds.
    pub fn expire(&mut self, now: u64, age_max: u64, metrics: &mut Metrics) {
        while let Some(entry) = self.entries.first_entry() {
            if now.saturating_sub(entry.get().since) <= age_max {
                return;
            }
            let entry = entry.remove();
            self.unname(&entry.exchange);
            give_up(&entry.exchange, Half::Age, metrics);
        }
    }

    /// The id may belong to a later exchange by now.
    fn unname(&mut self, exchange: &Exchange) {
        if self.numbers.get(&exchange.request_id_hash) == Some(&exchange.number) {
            self.numbers.remove(&exchange.request_id_hash);
        }
    }

    /// Exchanges waited for.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn give_up(exchange: &Exchange, why: Half, metrics: &mut Metrics) {
    for leg in exchange.missing() {
        // A copy whose stream never came is no longer under way; one that came has taken its place with it.
        drop(exchange.places.take(leg));
        metrics.count(Count::HalfPairs(leg, why));
    }
}
