//! Legs of one request put together by sample id.
//!
//! - Of a leg that is there twice the first one counts (by time, then sequence number, then file and row).
//! - Order is by the primary leg's time, then sample id.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashSet};

use weir_sample::{Leg, Variant};
use xxhash_rust::xxh3::xxh3_64;

use crate::figures::{Facts, LegRef};

/// The legs of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange<'a> {
    pub(crate) primary: Option<LegRef<'a>>,
    pub(crate) shadow: Option<LegRef<'a>>,
    pub(crate) noise: Option<LegRef<'a>>,
    /// When it began: the time of the primary leg, else of the first that is there.
    pub(crate) ts_us: i64,
}

/// All exchanges, in order of time.
#[derive(Debug, Default)]
pub(crate) struct Exchanges<'a> {
    pub(crate) all: Vec<Exchange<'a>>,
    /// Legs that were there twice.
    pub(crate) duplicates: u64,
}

impl<'a> Exchange<'a> {
    /// Control's and candidate's answer to the same request.
    pub(crate) fn pair(&self) -> Option<(LegRef<'a>, LegRef<'a>)> {
        let primary = self.primary.filter(|found| found.variant() == Variant::Control)?;
        let shadow = self.shadow.filter(|found| found.variant() == Variant::Candidate)?;
        Some((primary, shadow))
    }

    /// Control's two answers to the same request.
    pub(crate) fn noise_pair(&self) -> Option<(LegRef<'a>, LegRef<'a>)> {
        let primary = self.primary.filter(|found| found.variant() == Variant::Control)?;
        let noise = self.noise.filter(|found| found.variant() == Variant::Control)?;
        Some((primary, noise))
    }

    /// Every leg there is.
    pub(crate) fn legs(&self) -> impl Iterator<Item = LegRef<'a>> + use<'a> {
        [self.primary, self.shadow, self.noise].into_iter().flatten()
    }

    /// Of legs of one id, in whatever order they come.
    fn of(legs: impl Iterator<Item = LegRef<'a>>, duplicates: &mut u64) -> Self {
        let mut exchange = Self { primary: None, shadow: None, noise: None, ts_us: i64::MAX };
        for leg in legs {
            let place = match leg.leg() {
                Leg::Primary => &mut exchange.primary,
                Leg::Shadow => &mut exchange.shadow,
                Leg::Noise => &mut exchange.noise,
            };
            match place {
                None => *place = Some(leg),
                Some(old) => {
                    *duplicates += 1;
                    if first_of(leg, *old) == Ordering::Less {
                        *old = leg;
                    }
                }
            }
        }
        exchange.ts_us = exchange.legs().next().map_or(i64::MAX, LegRef::ts_us);
        exchange
    }

    pub(crate) fn sample_id(&self) -> &'a str {
        self.legs().next().map_or("", LegRef::sample_id)
    }
}

impl<'a> Exchanges<'a> {
    /// Puts legs together, in whatever order they come.
    pub(crate) fn new(legs: impl Iterator<Item = LegRef<'a>>) -> Self {
        let mut keyed: Vec<(u64, LegRef<'a>)> =
            legs.map(|leg| (xxh3_64(leg.sample_id().as_bytes()), leg)).collect();
        keyed.sort_unstable_by_key(|(hash, _)| *hash);
        let mut all = Vec::new();
        let mut duplicates = 0;
        for group in keyed.chunk_by(|one, other| one.0 == other.0) {
            let legs = || group.iter().map(|(_, leg)| *leg);
            let first = legs().next().map(LegRef::sample_id);
            if legs().all(|leg| Some(leg.sample_id()) == first) {
                all.push(Exchange::of(legs(), &mut duplicates));
                continue;
            }
            // Two ids with one hash.
            let ids: BTreeSet<&str> = legs().map(LegRef::sample_id).collect();
            all.extend(
                ids.into_iter()
                    .map(|id| Exchange::of(legs().filter(|leg| leg.sample_id() == id), &mut duplicates)),
            );
        }
        drop(keyed);
        all.sort_unstable_by(|one: &Exchange<'a>, other| {
            one.ts_us.cmp(&other.ts_us).then_with(|| one.sample_id().cmp(other.sample_id()))
        });
        Self { all, duplicates }
    }

    /// Drops shadow and noise legs that passed a revision filter only because they name none, and whose primary leg,
    /// which would say, did not pass it.
    pub(crate) fn drop_foreign(&mut self) {
        self.all.retain(|exchange| {
            exchange.primary.is_some() || exchange.legs().any(|found| found.revision().is_some())
        });
    }

    /// Every leg.
    pub(crate) fn legs(&self) -> impl Iterator<Item = LegRef<'a>> {
        self.all.iter().flat_map(Exchange::legs)
    }

    /// What legs have alike, each once for a file: a few, however many legs there are.
    pub(crate) fn facts(&self) -> Vec<&'a Facts> {
        let mut seen = HashSet::new();
        self.legs()
            .filter_map(LegRef::facts)
            .filter(|facts| seen.insert(std::ptr::from_ref(*facts)))
            .collect()
    }
}

/// Which of two legs that are the same counts: the first by time, number, file and row.
fn first_of(one: LegRef<'_>, other: LegRef<'_>) -> Ordering {
    let key = |leg: LegRef<'_>| (leg.ts_us(), leg.sequence());
    let place = || (one.path(), one.row()).cmp(&(other.path(), other.row()));
    key(one).cmp(&key(other)).then_with(place)
}
