//! What was captured and never arrived: numbers of a worker's records that are nowhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ranges::Ranges;
use super::workers::{Record, Workers};
use super::{number, share};
use crate::exchange::Exchanges;
use crate::packed::{Reader, Writer};

const GAP_SHARE_MAX: f64 = 0.05;
const GAPS_MIN: u64 = 20;

/// The numbers of every worker.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers(BTreeMap<Arc<str>, OfWorker>);

#[derive(Clone, Debug, Default)]
struct OfWorker {
    /// The first and the last number of a record that is looked at.
    looked_at: Option<(i64, i64)>,
    /// All that arrived, since a later stretch may have more between the first and the last.
    arrived: Ranges,
}

impl Numbers {
    pub(super) fn of(exchanges: &Exchanges<'_>, records: &[(&str, Vec<Record>)]) -> Self {
        let arrived = |records: &Vec<Record>| Ranges::of(records.iter().map(|record| record.number));
        let of_worker = |(worker, records): &(&str, Vec<Record>)| {
            (Arc::from(*worker), OfWorker { looked_at: None, arrived: arrived(records) })
        };
        let mut numbers = Self(records.iter().map(of_worker).collect());
        let mut workers = Workers::default();
        let mut spans: Vec<Option<(i64, i64)>> = Vec::new();
        for found in exchanges.legs() {
            let (Some(worker), Some(sequence)) = (workers.of(found), found.sequence()) else { continue };
            if spans.len() <= worker {
                spans.resize(worker + 1, None);
            }
            if let Some(span) = spans.get_mut(worker) {
                *span = both(*span, Some((sequence, sequence)));
            }
        }
        for (worker, span) in workers.names.into_iter().zip(spans) {
            numbers.0.entry(Arc::from(worker)).or_default().looked_at = span;
        }
        numbers
    }

    pub(super) fn append(&mut self, later: Self) {
        for (worker, later) in later.0 {
            let known = self.0.entry(worker).or_default();
            known.looked_at = both(known.looked_at, later.looked_at);
            known.arrived.append(later.arrived);
        }
    }

    /// How many records were numbered and never arrived, between the first and the last record of a worker that is looked
    /// at, and the problem that this is.
    pub(super) fn judge(&self) -> (u64, Option<String>) {
        let (mut numbered, mut lost, mut workers) = (0_u64, 0_u64, 0);
        let mut worst: Option<(u64, &str)> = None;
        for (worker, found) in &self.0 {
            let Some((first, last)) = found.looked_at else { continue };
            let span = last.abs_diff(first).saturating_add(1);
            let of_worker = span.saturating_sub(found.arrived.within((first, last)));
            numbered = numbered.saturating_add(span);
            lost = lost.saturating_add(of_worker);
            workers += 1;
            if of_worker > worst.map_or(0, |(most, _)| most) {
                worst = Some((of_worker, worker));
            }
        }
        let told = worst.filter(|_| lost >= GAPS_MIN && share(lost, numbered) > GAP_SHARE_MAX);
        let problem = told.map(|(most, worker)| {
            let mostly = if workers > 1 { format!(", {most} of them by {worker}") } else { String::new() };
            format!(
                "{lost} of {numbered} records ({:.0} %) were captured and never arrived{mostly}; hint: check that the collector \
                 is reachable and keeps up, and raise limits.outboxBytesMax in the policy",
                share(lost, numbered) * 100.0
            )
        });
        (lost, problem)
    }

    pub(super) fn write(&self, to: &mut Writer) {
        to.number(number(self.0.len()));
        for (worker, found) in &self.0 {
            to.text(worker);
            to.option(found.looked_at, |to, (first, last)| {
                to.number(first.cast_unsigned());
                to.number(last.cast_unsigned());
            });
            found.arrived.write(to);
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let mut numbers = BTreeMap::new();
        for _ in 0..from.count()? {
            let worker = Arc::from(from.text()?);
            let looked_at =
                from.option(|from| Some((from.number()?.cast_signed(), from.number()?.cast_signed())))?;
            let found = OfWorker { looked_at, arrived: Ranges::read(from)? };
            let fits = looked_at.is_none_or(|(first, last)| first <= last);
            if numbers.insert(worker, found).is_some() || !fits {
                return None;
            }
        }
        Some(Self(numbers))
    }
}

/// From the first of two spans to the last.
fn both(one: Option<(i64, i64)>, other: Option<(i64, i64)>) -> Option<(i64, i64)> {
    let Some(((first, last), (other_first, other_last))) = one.zip(other) else { return one.or(other) };
    Some((first.min(other_first), last.max(other_last)))
}
