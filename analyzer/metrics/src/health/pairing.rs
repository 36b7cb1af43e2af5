//! Whether the pairs that should be there are there.
//!
//! A primary leg says whether a copy was asked for. Samples of older filters do not, but they carry the chance: an exchange
//! was shadowed with probability (inclusion of its shadow) / (inclusion of its primary). Imported legs carry neither, so
//! for them only shadows without their primary are looked for.
//!
//! Outcomes of one chance are kept as counts of batches that follow each other: the evidence is looked at after each batch. That is
//! less often than after each outcome, so that a fault may be named some exchanges later, and never where the other would
//! not have named one.

use std::collections::BTreeMap;

use weir_sample::Variant;
use weir_stats::share::ShareTest;

use super::chances::{Chance, Usual};
use super::flags::Flags;
use super::groups::Groups;
use super::latencies::{Counting, Latencies};
use super::{ALPHA, number};
use crate::exchange::{Exchange, Exchanges};
use crate::figures::LegRef;
use crate::packed::{Reader, Writer};

/// Pairs that should be there before their rate says something.
const EXPECTED_PAIRS_MIN: f64 = 100.0;
const PAIRING_RATE_MIN: f64 = 0.9;
/// Batches of one chance that are kept at most; of more of them neighbours become one.
const BATCHES_MAX: usize = 256;

/// Primaries of control that may have had a shadow, and shadows without a primary.
#[derive(Clone, Debug, Default)]
pub(super) struct Pairing {
    /// Shadow answers without their primary.
    orphans: u64,
    /// Those of them whose primary is not under way any more.
    alone: u64,
    /// By the bits of the chance of a shadow: primaries, and those that have one.
    outcomes: BTreeMap<u64, Vec<Flags>>,
    pub(super) latencies: Latencies,
}

impl Pairing {
    /// Exchanges with a leg at `settled_before_us` or later are not expected to be pairs yet.
    pub(super) fn of(
        exchanges: &Exchanges<'_>,
        groups: &Groups,
        chances: &[Option<Chance>],
        settled_before_us: i64,
    ) -> Self {
        let (mut orphans, mut alone) = (0, 0);
        let mut outcomes: BTreeMap<u64, Vec<bool>> = BTreeMap::new();
        let mut latencies = Counting::default();
        for (exchange, primary) in exchanges.iter().zip(exchanges.primaries()) {
            let settled = exchange.legs().all(|found| found.ts_us() < settled_before_us);
            let orphan = exchange.shadow.is_some() && exchange.primary.is_none();
            orphans += u64::from(orphan);
            alone += u64::from(orphan && settled);
            let control = primary.filter(|(_, found)| settled && found.variant() == Variant::Control);
            let Some((kind, primary)) = control else { continue };
            let of_group = groups.of_kind(kind).and_then(|group| chances.get(group).copied().flatten());
            let chance = chance(exchange, primary, of_group.and_then(|chance| chance.usual));
            if chance > 0.0 {
                let paired = exchange.pair().is_some();
                outcomes.entry(chance.to_bits()).or_default().push(paired);
                primary.latency_ms().into_iter().for_each(|latency_ms| latencies.count(latency_ms, paired));
            }
        }
        let outcomes = outcomes.into_iter().map(|(chance, outcomes)| (chance, batches(&outcomes))).collect();
        Self { orphans, alone, outcomes, latencies: latencies.latencies() }
    }

    pub(super) fn append(&mut self, later: Self) {
        self.orphans = self.orphans.saturating_add(later.orphans);
        self.alone = self.alone.saturating_add(later.alone);
        for (chance, batches) in later.outcomes {
            let known = self.outcomes.entry(chance).or_default();
            known.extend(batches);
            while known.len() > BATCHES_MAX {
                *known = known.chunks(2).map(sum).collect();
            }
        }
        self.latencies.append(later.latencies);
    }

    /// Exchanges that have one leg where they should have two.
    pub(super) fn half_pairs(&self) -> u64 {
        let missing = self.of_chances().filter(|(chance, _)| *chance >= 1.0);
        missing.map(|(_, outcomes)| outcomes.all - outcomes.yes).fold(self.orphans, u64::saturating_add)
    }

    /// Shadow answers without their primary, and primaries whose shadow answer is missing.
    pub(super) fn arrival(&self) -> Option<String> {
        let alone = self.alone as f64;
        let (mut expected, mut paired, mut certain) = (alone, 0.0, self.alone > 0);
        for (chance, outcomes) in self.of_chances() {
            expected += chance * outcomes.all as f64;
            paired += outcomes.yes as f64;
            certain |= chance >= 1.0 && outcomes.yes < outcomes.all;
        }
        let rate = paired / expected;
        // A copy that was drawn by chance may be absent by chance; one that was certain may not.
        let told =
            expected >= EXPECTED_PAIRS_MIN && rate < PAIRING_RATE_MIN && (certain || self.refute_a_chance());
        told.then(|| {
            let missing = expected - paired;
            let side = if alone > missing / 2.0 { "control's" } else { "the candidate's" };
            format!(
                "only {:.0} % of the expected pairs arrived ({paired:.0} of about {expected:.0}; mostly {side} answer is missing), \
                 and those that did may be the easy ones; hint: see whether the candidate answers its shadow copies in time, and look at the \
                 filter's dropped and expired counters",
                rate * 100.0
            )
        })
    }

    /// Whether the outcomes of a chance rule it out.
    fn refute_a_chance(&self) -> bool {
        let each = ALPHA / self.outcomes.len().max(1) as f64;
        self.outcomes.iter().any(|(chance, batches)| {
            ShareTest::new(f64::from_bits(*chance)).is_ok_and(|mut test| {
                batches.iter().for_each(|batch| test.observe_many(batch.yes, batch.all - batch.yes));
                test.refuted(each)
            })
        })
    }

    /// Every chance with all its outcomes.
    fn of_chances(&self) -> impl Iterator<Item = (f64, Flags)> {
        self.outcomes.iter().map(|(chance, batches)| (f64::from_bits(*chance), sum(batches)))
    }

    pub(super) fn write(&self, to: &mut Writer) {
        to.number(self.orphans);
        to.number(self.alone);
        to.number(number(self.outcomes.len()));
        for (chance, batches) in &self.outcomes {
            to.number(*chance);
            to.number(number(batches.len()));
            batches.iter().for_each(|batch| batch.write(to));
        }
        self.latencies.write(to);
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let (orphans, alone) = (from.number()?, from.number()?);
        let mut outcomes = BTreeMap::new();
        for _ in 0..from.count()? {
            let chance = from.number()?;
            let count = from.count()?;
            let is_chance = f64::from_bits(chance) > 0.0 && f64::from_bits(chance) <= 1.0;
            if !is_chance || count > BATCHES_MAX {
                return None;
            }
            let batches = (0..count).map(|_| Flags::read(from)).collect::<Option<Vec<_>>>()?;
            if outcomes.insert(chance, batches).is_some() {
                return None;
            }
        }
        Some(Self { orphans, alone, outcomes, latencies: Latencies::read(from)? })
    }
}

/// The chance that an exchange has a shadow, by its primary leg; 0 where it cannot have one.
fn chance(exchange: Exchange<'_>, primary: LegRef<'_>, usual: Option<Usual>) -> f64 {
    let paired = exchange.pair().is_some();
    let flag = |yes: bool| f64::from(u8::from(yes));
    let own = primary.inclusion_probability();
    match usual.filter(|_| primary.emitter().is_some()) {
        _ if primary.shadowed().is_some() => flag(primary.shadowed() == Some(true) || paired),
        // A cap or a filter of the policy kept this exchange from being copied: it was captured for its own sake.
        Some(usual) if own < usual.primary && !paired => 0.0,
        Some(usual) => (usual.shadow / own).min(1.0),
        None => flag(paired),
    }
}

/// Outcomes in [`BATCHES_MAX`] batches of the same size at most.
fn batches(outcomes: &[bool]) -> Vec<Flags> {
    let batch = |outcomes: &[bool]| Flags {
        yes: number(outcomes.iter().filter(|paired| **paired).count()),
        all: number(outcomes.len()),
    };
    outcomes.chunks(outcomes.len().div_ceil(BATCHES_MAX).max(1)).map(batch).collect()
}

fn sum(batches: &[Flags]) -> Flags {
    batches.iter().fold(Flags::default(), |mut sum, batch| {
        sum.append(*batch);
        sum
    })
}
