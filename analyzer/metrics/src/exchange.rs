//! Legs of one request put together by sample id.
//!
//! - Of a leg that is there twice the first one counts (by time, then sequence number, then file and row).
//! - Order is by the primary leg's time, then sample id.
//! - An exchange takes 32 bytes: where its legs are, and when it began. What is known of a leg stays in the columns of its file.

use std::cmp::Ordering;
use std::collections::BTreeMap;

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
    kinds: Vec<(&'a Facts, u64)>,
    /// Legs that were there twice.
    pub(crate) duplicates: u64,
    /// Only exchanges that began at or after the first and before the second time are kept.
    window: Option<(i64, i64)>,
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

/// A leg before it has found the others of its exchange: what that takes, so that few columns are looked into out of order.
#[derive(Clone, Copy, Debug)]
struct Keyed {
    hash: u64,
    ts_us: i64,
    place: Place,
    leg: Leg,
}

/// Legs of an exchange begin so much apart at most, where exchanges of a window are looked at: the filter gives all of them one start,
/// clocks may not.
pub(crate) const APART_US_MAX: i64 = 120_000_000;

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
    /// Puts legs together, in whatever order they come: `most` of them at most.
    pub(crate) fn new(legs: impl Iterator<Item = LegRef<'a>>, most: usize) -> Self {
        Self::within(legs, most, None)
    }

    /// The same, and keeps those exchanges that began within a window: at its first time or later, and before its second one. Legs that
    /// begin more than [`APART_US_MAX`] apart are of two exchanges then.
    pub(crate) fn within(
        legs: impl Iterator<Item = LegRef<'a>>,
        most: usize,
        window: Option<(i64, i64)>,
    ) -> Self {
        let mut exchanges = Self { window, ..Self::default() };
        // At once and no more: what nothing is written to costs nothing.
        let mut keyed: Vec<Keyed> = Vec::with_capacity(most);
        keyed.extend(legs.map(|leg| exchanges.keyed(leg)));
        keyed.sort_unstable_by_key(|keyed| keyed.hash);
        // At once and no more: an exchange for each id, if no two have one hash.
        let ids = keyed.chunk_by(|one, other| one.hash == other.hash).count();
        exchanges.all.reserve_exact(ids);
        for group in keyed.chunk_by(|one, other| one.hash == other.hash) {
            let id = |keyed: &Keyed| exchanges.leg(keyed.place).map_or("", LegRef::sample_id);
            if let Some((first, others)) = group.split_first()
                && others.iter().all(|other| id(other) == id(first))
            {
                exchanges.push(group.iter());
                continue;
            }
            // Two ids with one hash.
            let ids: BTreeMap<&str, Vec<&Keyed>> = group.iter().fold(BTreeMap::new(), |mut ids, keyed| {
                ids.entry(id(keyed)).or_insert_with(Vec::new).push(keyed);
                ids
            });
            ids.into_values().for_each(|same| exchanges.push(same.into_iter()));
        }
        drop(keyed);
        let Self { files, all, .. } = &mut exchanges;
        let id = |kept: &Kept| at(files, *kept).sample_id();
        all.sort_unstable_by(|one, other| one.ts_us.cmp(&other.ts_us).then_with(|| id(one).cmp(id(other))));
        exchanges.count_kinds();
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

    fn keyed(&mut self, leg: LegRef<'a>) -> Keyed {
        let hash = xxh3_64(leg.sample_id().as_bytes());
        Keyed { hash, ts_us: leg.ts_us(), place: self.place(leg), leg: leg.leg() }
    }

    /// Appends an exchange of legs of one id, in whatever order they come.
    fn push<'k>(&mut self, legs: impl Iterator<Item = &'k Keyed>) {
        let mut duplicates = 0;
        let mut own: [Option<&Keyed>; 3] = [None; 3];
        let [primary, shadow, noise] = &mut own;
        for new in legs {
            let kept = match new.leg {
                Leg::Primary => &mut *primary,
                Leg::Shadow => &mut *shadow,
                Leg::Noise => &mut *noise,
            };
            let Some(old) = kept else {
                *kept = Some(new);
                continue;
            };
            duplicates += 1;
            let both = (leg_at(&self.files, new.place), leg_at(&self.files, old.place));
            if let (Some(new_leg), Some(old_leg)) = both
                && first_of(new_leg, old_leg) == Ordering::Less
            {
                *kept = Some(new);
            }
        }
        // Which legs beyond a window are seen must make no difference.
        let apart_us_max = self.window.map_or(u64::MAX, |_| APART_US_MAX.unsigned_abs());
        while let Some(ts_us) = own.iter().flatten().next().map(|keyed| keyed.ts_us) {
            let together = own.each_mut().map(|leg| {
                leg.take_if(|keyed| keyed.ts_us.abs_diff(ts_us) <= apart_us_max).map(|keyed| keyed.place)
            });
            let inside = self.window.is_none_or(|(from_us, until_us)| (from_us..until_us).contains(&ts_us));
            if inside {
                let [primary, shadow, noise] = together.map(|place| place.unwrap_or(NOWHERE));
                self.all.push(Kept { ts_us, primary, shadow, noise });
                self.duplicates += std::mem::take(&mut duplicates);
            }
        }
    }

    /// Drops shadow and noise legs that passed a revision filter only because they name none, and whose primary leg,
    /// which would say, did not pass it.
    pub(crate) fn drop_foreign(&mut self) {
        let Self { files, all, .. } = self;
        all.retain(|kept| {
            let exchange = at(files, *kept);
            exchange.primary.is_some() || exchange.legs().any(|found| found.revision().is_some())
        });
        self.count_kinds();
    }

    /// Every leg.
    pub(crate) fn legs(&self) -> impl Iterator<Item = LegRef<'a>> {
        self.iter().flat_map(Exchange::legs)
    }

    /// For each exchange its primary leg, with a number of its file and of what it has alike with others, below
    /// [`Self::kind_places`].
    pub(crate) fn primaries(&self) -> impl Iterator<Item = Option<(usize, LegRef<'a>)>> {
        let mut next = 0;
        let kinds = |file: &&'a Figures| {
            next += file.kinds().len();
            next - file.kinds().len()
        };
        let before: Vec<usize> = self.files.iter().map(kinds).collect();
        self.all.iter().map(move |kept| {
            let leg = self.leg(kept.primary)?;
            Some((before.get(kept.primary.file as usize)? + leg.kind(), leg))
        })
    }

    /// Kinds of legs of all files.
    pub(crate) fn kind_places(&self) -> usize {
        self.files.iter().map(|file| file.kinds().len()).sum()
    }

    /// What legs of each of these kinds have alike, by their numbers.
    pub(crate) fn kinds_by_place(&self) -> impl Iterator<Item = &'a Facts> {
        self.files.iter().flat_map(|file| file.kinds())
    }

    /// What legs have alike, each once for a file, and how many legs do: a few, however many legs there are.
    pub(crate) fn kinds(&self) -> &[(&'a Facts, u64)] {
        &self.kinds
    }

    /// The same without counts.
    pub(crate) fn facts(&self) -> Vec<&'a Facts> {
        self.kinds.iter().map(|(facts, _)| *facts).collect()
    }

    fn count_kinds(&mut self) {
        let mut counts: Vec<Vec<u64>> = self.files.iter().map(|file| vec![0; file.kinds().len()]).collect();
        for place in self.all.iter().flat_map(|kept| [kept.primary, kept.shadow, kept.noise]) {
            if let (Some(leg), Some(counts)) = (self.leg(place), counts.get_mut(place.file as usize)) {
                counts.get_mut(leg.kind()).into_iter().for_each(|count| *count += 1);
            }
        }
        let kinds = self.kinds_by_place().zip(counts.into_iter().flatten());
        self.kinds = kinds.filter(|(_, count)| *count > 0).collect();
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
