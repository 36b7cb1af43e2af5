//! Equal chances: legs that were captured with different probabilities, made comparable.
//!
//! Rules may capture every failed or slow request and one in a hundred of the others, and an exchange with a copy is always
//! captured. Plain means of such legs describe the rules. Of each group in which one mean is taken (revision, cohort, variant; primary
//! legs) every leg is therefore kept with the chance (least inclusion probability of the group) / (its own), drawn by a
//! hash of its sample id. What is kept was captured with one probability, whatever it is: means, percentiles, segments and
//! confidence sequences then need no weights, which are a sample's version of the same correction (D. Horvitz, D. Thompson, "A
//! generalization of sampling without replacement from a finite universe", 1952). The price is the evidence that is left
//! out, where weights would only count it less; the report says how many.
//!
//! - The draw depends on sample id and probability only: the same data gives the same legs, and a leg stays in or out from
//!   look to look, except where a leg with a smaller probability than any before arrives.
//! - Pairs are those of the copies, and within a group all copies have the same chance. Cohorts with different chances of
//!   a copy count as often as they were copied; gates per segment tell them apart.
//! - Control and candidate may differ: each variant's mean stands for itself.

use std::collections::BTreeMap;

use weir_sample::Variant;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::exchange::Exchanges;
use crate::figures::LegRef;
use crate::packed::{Reader, Writer};

/// Separates these draws from whatever else is drawn by sample id.
const SEED: u64 = 0x7765_6972_2073_726d;

/// Whether a leg stays, where legs with the chance `least` of capture stay all.
#[allow(clippy::cast_precision_loss)] // a chance needs no more than 53 bits
pub(crate) fn stays(leg: LegRef<'_>, least: f64) -> bool {
    if leg.inclusion_probability() <= least {
        return true;
    }
    let drawn = xxh3_64_with_seed(leg.sample_id().as_bytes(), SEED) as f64 / 2.0_f64.powi(64);
    drawn * leg.inclusion_probability() < least
}

/// The least chance of capture of each group: of a revision, a cohort and a variant.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Least(BTreeMap<(Option<i64>, Option<String>, bool), f64>);

impl Least {
    pub(crate) fn of(exchanges: &Exchanges<'_>) -> Self {
        // Of each kind of leg in a file first, of which there are few, then of each group.
        let mut of_kind: Vec<Option<(LegRef<'_>, f64)>> = vec![None; exchanges.kind_places()];
        for (place, leg) in exchanges.primaries().flatten() {
            let own = leg.inclusion_probability();
            if let Some(known) = of_kind.get_mut(place) {
                let (leg, least) = known.unwrap_or((leg, own));
                *known = Some((leg, own.min(least)));
            }
        }
        let mut least = Self::default();
        of_kind.into_iter().flatten().for_each(|(leg, own)| least.take(group(leg), own));
        least
    }

    /// Takes in the legs of another stretch of time.
    pub(crate) fn append(&mut self, other: &Self) {
        other.0.iter().for_each(|(group, own)| self.take(group.clone(), *own));
    }

    /// Those of the groups that another has.
    pub(crate) fn of_groups(&self, other: &Self) -> Self {
        let own = self.0.iter().filter(|(group, _)| other.0.contains_key(*group));
        Self(own.map(|(group, least)| (group.clone(), *least)).collect())
    }

    /// For each exchange whether its primary leg stays among those of its revision, cohort and variant.
    pub(crate) fn kept(&self, exchanges: &Exchanges<'_>) -> Vec<bool> {
        let mut of_kind: Vec<Option<f64>> = vec![None; exchanges.kind_places()];
        let mut stays = |(place, leg): (usize, LegRef<'_>)| {
            let least = of_kind
                .get_mut(place)
                .map(|known| *known.get_or_insert_with(|| self.0.get(&group(leg)).copied().unwrap_or(1.0)));
            stays(leg, least.unwrap_or(1.0))
        };
        exchanges.primaries().map(|primary| primary.is_none_or(&mut stays)).collect()
    }

    pub(crate) fn write(&self, to: &mut Writer) {
        to.number(u64::try_from(self.0.len()).unwrap_or(u64::MAX));
        for ((revision, cohort, of_candidate), least) in &self.0 {
            to.option(*revision, |to, revision| to.number(revision.cast_unsigned()));
            to.option(cohort.as_deref(), Writer::text);
            to.flag(*of_candidate);
            to.number(least.to_bits());
        }
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let mut least = BTreeMap::new();
        for _ in 0..from.count()? {
            let revision = from.option(Reader::number)?.map(u64::cast_signed);
            let cohort = from.option(Reader::text)?.map(str::to_owned);
            let of_candidate = from.flag()?;
            least.insert((revision, cohort, of_candidate), f64::from_bits(from.number()?));
        }
        Some(Self(least))
    }

    fn take(&mut self, group: (Option<i64>, Option<String>, bool), own: f64) {
        let known = self.0.entry(group).or_insert(own);
        *known = own.min(*known);
    }
}

fn group(leg: LegRef<'_>) -> (Option<i64>, Option<String>, bool) {
    (leg.revision(), leg.cohort().map(str::to_owned), leg.variant() == Variant::Candidate)
}
