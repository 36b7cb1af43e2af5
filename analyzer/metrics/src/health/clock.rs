//! Clocks: windows, looks and the order of values rest on them.
//!
//! The filter measures both legs of a pair from the same start, and a worker numbers its records in the order in which
//! they ended. So the copy must not begin before its original, and ends must grow with the numbers. Imported legs may have
//! been made at any time and are not looked at.

//! A step is looked for within each stretch: one that happens between two of them is not seen, and the next one is.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::workers::Record;
use super::{number, percent, share};
use crate::exchange::{Exchange, Exchanges};
use crate::packed::{Reader, Writer};

/// Clocks of one pair may differ by this much.
const SKEW_US_MAX: u64 = 2_000_000;
const SKEWED_MIN: u64 = 20;
const SKEWED_SHARE_MAX: f64 = 0.01;
/// A record that ended this much before an earlier one was numbered after a step back of the clock.
const STEP_US_MIN: i64 = 5_000_000;
const STEPPED_MIN: u64 = 5;

/// Copies that begin at another time than their original.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Order {
    pairs: u64,
    skewed: u64,
    most_us: u64,
}

/// For each worker whose clock went back the records that say so, and by how much at most.
#[derive(Clone, Debug, Default)]
pub(super) struct Steps(BTreeMap<Arc<str>, (u64, u64)>);

impl Order {
    pub(super) fn of(exchanges: &Exchanges<'_>) -> Self {
        let pairs = exchanges.iter().filter_map(Exchange::pair);
        let mut order = Self::default();
        for (control, candidate) in pairs {
            if control.emitter().is_some() && candidate.emitter().is_some() {
                let distance_us = candidate.ts_us().abs_diff(control.ts_us());
                order.append(Self {
                    pairs: 1,
                    skewed: u64::from(distance_us > SKEW_US_MAX),
                    most_us: distance_us,
                });
            }
        }
        order
    }

    pub(super) fn append(&mut self, later: Self) {
        self.pairs = self.pairs.saturating_add(later.pairs);
        self.skewed = self.skewed.saturating_add(later.skewed);
        self.most_us = self.most_us.max(later.most_us);
    }

    pub(super) fn problem(self) -> Option<String> {
        let Self { pairs, skewed, most_us } = self;
        (skewed >= SKEWED_MIN && share(skewed, pairs) > SKEWED_SHARE_MAX).then(|| {
            format!(
                "clocks disagree: {skewed} of {pairs} pairs ({} %) have answers that began up to {} s apart, where the filter gives \
                 both the same start; hint: synchronise the clocks of the proxies (NTP), and analyse from then on with --since",
                percent(share(skewed, pairs)),
                most_us / 1_000_000
            )
        })
    }

    pub(super) fn write(&self, to: &mut Writer) {
        [self.pairs, self.skewed, self.most_us].into_iter().for_each(|value| to.number(value));
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self { pairs: from.number()?, skewed: from.number()?, most_us: from.number()? })
    }
}

impl Steps {
    pub(super) fn of(records: &[(&str, Vec<Record>)]) -> Self {
        let mut steps = BTreeMap::new();
        for (worker, records) in records {
            let (mut latest_us, mut stepped, mut most_us) = (i64::MIN, 0_u64, 0_u64);
            for end_us in records.iter().filter_map(|record| record.end_us()) {
                let back_us = latest_us.saturating_sub(end_us);
                if back_us > STEP_US_MIN {
                    stepped += 1;
                    most_us = most_us.max(back_us.unsigned_abs());
                }
                latest_us = latest_us.max(end_us);
            }
            if stepped > 0 {
                steps.insert(Arc::from(*worker), (stepped, most_us));
            }
        }
        Self(steps)
    }

    pub(super) fn append(&mut self, later: Self) {
        for (worker, (stepped, most_us)) in later.0 {
            let (all_stepped, all_most_us) = self.0.entry(worker).or_default();
            *all_stepped = all_stepped.saturating_add(stepped);
            *all_most_us = most_us.max(*all_most_us);
        }
    }

    pub(super) fn problems(&self) -> impl Iterator<Item = String> {
        let stepped = self.0.iter().filter(|(_, (stepped, _))| *stepped >= STEPPED_MIN);
        stepped.map(|(worker, (stepped, most_us))| {
            format!(
                "the clock of {worker} went back by up to {} s: {stepped} records ended before ones that were captured earlier, so that \
                 order and time windows are wrong; hint: synchronise that proxy's clock without steps, and analyse from then on with --since",
                most_us / 1_000_000
            )
        })
    }

    pub(super) fn write(&self, to: &mut Writer) {
        to.number(number(self.0.len()));
        for (worker, (stepped, most_us)) in &self.0 {
            to.text(worker);
            to.number(*stepped);
            to.number(*most_us);
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let mut steps = BTreeMap::new();
        for _ in 0..from.count()? {
            let worker = Arc::from(from.text()?);
            if steps.insert(worker, (from.number()?, from.number()?)).is_some() {
                return None;
            }
        }
        Some(Self(steps))
    }
}
