//! Legs of one request put together by sample id.
//!
//! - Of a leg that is there twice the first one counts (by time, then sequence number, then file and row).
//! - Order is by the primary leg's time, then sample id.
//! - An exchange takes 32 bytes: where its legs are, and when it began. What is known of a leg stays in the columns of its file.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use weir_sample::{Leg, Variant};
use xxhash_rust::xxh3::xxh3_64;

use crate::figures::{Facts, Figures, LegRef};

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
    files: Vec<&'a Figures>,
    all: Vec<Kept>,
    /// Legs that were there twice.
    pub(crate) duplicates: u64,
}

/// Where a leg is: the place of its file, and its row.
#[derive(Clone, Copy, Debug)]
struct Place {
    file: u32,
    row: u32,
}

/// An exchange as it is kept.
#[derive(Clone, Copy, Debug)]
struct Kept {
    ts_us: i64,
    primary: Place,
    shadow: Place,
    noise: Place,
}

/// Where no leg is.
const NOWHERE: Place = Place { file: u32::MAX, row: 0 };

impl<'a> Exchange<'a> {
    /// Control's and candidate's answer to the same request.
    pub(crate) fn pair(self) -> Option<(LegRef<'a>, LegRef<'a>)> {
        let primary = self.primary.filter(|found| found.variant() == Variant::Control)?;
        let shadow = self.shadow.filter(|found| found.variant() == Variant::Candidate)?;
        Some((primary, shadow))
    }

    /// Control's two answers to the same request.
    pub(crate) fn noise_pair(self) -> Option<(LegRef<'a>, LegRef<'a>)> {
        let primary = self.primary.filter(|found| found.variant() == Variant::Control)?;
        let noise = self.noise.filter(|found| found.variant() == Variant::Control)?;
        Some((primary, noise))
    }

    /// Every leg there is.
    pub(crate) fn legs(self) -> impl Iterator<Item = LegRef<'a>> + use<'a> {
        [self.primary, self.shadow, self.noise].into_iter().flatten()
    }

    pub(crate) fn sample_id(self) -> &'a str {
        self.legs().next().map_or("", LegRef::sample_id)
    }
}

impl<'a> Exchanges<'a> {
    /// Puts legs together, in whatever order they come.
    pub(crate) fn new(legs: impl Iterator<Item = LegRef<'a>>) -> Self {
        let mut exchanges = Self::default();
        let mut keyed: Vec<(u64, Place)> =
            legs.map(|leg| (xxh3_64(leg.sample_id().as_bytes()), exchanges.place(leg))).collect();
        keyed.sort_unstable_by_key(|(hash, _)| *hash);
        // At once and no more: an exchange for each id, if no two have one hash.
        let ids = keyed.chunk_by(|one, other| one.0 == other.0).count();
        exchanges.all.reserve_exact(ids);
        for group in keyed.chunk_by(|one, other| one.0 == other.0) {
            let legs: Vec<LegRef<'a>> = group.iter().filter_map(|(_, place)| exchanges.leg(*place)).collect();
            let first = legs.first().map(|leg| leg.sample_id());
            if legs.iter().all(|leg| Some(leg.sample_id()) == first) {
                exchanges.push(group.iter().map(|(_, place)| *place));
                continue;
            }
            // Two ids with one hash.
            let ids: BTreeSet<&str> = legs.iter().map(|leg| leg.sample_id()).collect();
            for id in ids {
                let same = legs.iter().zip(group).filter(|(leg, _)| leg.sample_id() == id);
                exchanges.push(same.map(|(_, (_, place))| *place));
            }
        }
        drop(keyed);
        let Self { files, all, .. } = &mut exchanges;
        let id = |kept: &Kept| at(files, *kept).sample_id();
        all.sort_unstable_by(|one, other| one.ts_us.cmp(&other.ts_us).then_with(|| id(one).cmp(id(other))));
        exchanges
    }

    /// Every exchange, in order.
    pub(crate) fn iter(
        &self,
    ) -> impl ExactSizeIterator<Item = Exchange<'a>> + DoubleEndedIterator + Clone + use<'a, '_> {
        self.all.iter().map(|kept| at(&self.files, *kept))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// The exchange at a place of the order.
    pub(crate) fn get(&self, place: usize) -> Option<Exchange<'a>> {
        self.all.get(place).map(|kept| at(&self.files, *kept))
    }

    /// The place of a leg; legs of one file come one after the other.
    fn place(&mut self, leg: LegRef<'a>) -> Place {
        if self.files.last().is_none_or(|file| !std::ptr::eq(*file, leg.file())) {
            self.files.push(leg.file());
        }
        Place { file: u32::try_from(self.files.len() - 1).unwrap_or(u32::MAX), row: leg.place() }
    }

    fn leg(&self, place: Place) -> Option<LegRef<'a>> {
        leg_at(&self.files, place)
    }

    /// Appends an exchange of legs of one id, in whatever order they come.
    fn push(&mut self, places: impl Iterator<Item = Place>) {
        let mut kept = Kept { ts_us: i64::MAX, primary: NOWHERE, shadow: NOWHERE, noise: NOWHERE };
        for place in places {
            let Some(leg) = self.leg(place) else { continue };
            let own = match leg.leg() {
                Leg::Primary => &mut kept.primary,
                Leg::Shadow => &mut kept.shadow,
                Leg::Noise => &mut kept.noise,
            };
            match leg_at(&self.files, *own) {
                None => *own = place,
                Some(old) => {
                    self.duplicates += 1;
                    if first_of(leg, old) == Ordering::Less {
                        *own = place;
                    }
                }
            }
        }
        kept.ts_us = at(&self.files, kept).legs().next().map_or(i64::MAX, LegRef::ts_us);
        self.all.push(kept);
    }

    /// Drops shadow and noise legs that passed a revision filter only because they name none, and whose primary leg,
    /// which would say, did not pass it.
    pub(crate) fn drop_foreign(&mut self) {
        let Self { files, all, .. } = self;
        all.retain(|kept| {
            let exchange = at(files, *kept);
            exchange.primary.is_some() || exchange.legs().any(|found| found.revision().is_some())
        });
    }

    /// Every leg.
    pub(crate) fn legs(&self) -> impl Iterator<Item = LegRef<'a>> {
        self.iter().flat_map(Exchange::legs)
    }

    /// What legs have alike, each once for a file: a few, however many legs there are. By file, in the order of the file.
    pub(crate) fn facts(&self) -> Vec<&'a Facts> {
        let mut seen: Vec<Vec<bool>> =
            self.files.iter().map(|file| vec![false; file.kinds().len()]).collect();
        for place in self.all.iter().flat_map(|kept| [kept.primary, kept.shadow, kept.noise]) {
            if let (Some(leg), Some(seen)) = (self.leg(place), seen.get_mut(place.file as usize))
                && let Some(seen) = seen.get_mut(leg.kind())
            {
                *seen = true;
            }
        }
        let kinds = self.files.iter().flat_map(|file| file.kinds());
        kinds.zip(seen.iter().flatten()).filter(|(_, seen)| **seen).map(|(facts, _)| facts).collect()
    }
}

fn leg_at<'a>(files: &[&'a Figures], place: Place) -> Option<LegRef<'a>> {
    files.get(place.file as usize).map(|file| file.leg(place.row))
}

fn at<'a>(files: &[&'a Figures], kept: Kept) -> Exchange<'a> {
    let leg = |place| leg_at(files, place);
    Exchange {
        primary: leg(kept.primary),
        shadow: leg(kept.shadow),
        noise: leg(kept.noise),
        ts_us: kept.ts_us,
    }
}

/// Which of two legs that are the same counts: the first by time, number, file and row.
fn first_of(one: LegRef<'_>, other: LegRef<'_>) -> Ordering {
    let key = |leg: LegRef<'_>| (leg.ts_us(), leg.sequence());
    let place = || (one.path(), one.row()).cmp(&(other.path(), other.row()));
    key(one).cmp(&key(other)).then_with(place)
}
