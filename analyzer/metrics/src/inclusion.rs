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

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::exchange::Exchanges;
use crate::figures::LegRef;

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

/// For each exchange whether its primary leg stays among those of its revision, cohort and variant.
pub(crate) fn kept(exchanges: &Exchanges<'_>) -> Vec<bool> {
    // Of each kind of leg in a file first, of which there are few, then of each group.
    let mut of_kind: Vec<Option<(LegRef<'_>, f64)>> = vec![None; exchanges.kind_places()];
    for (place, leg) in exchanges.primaries().flatten() {
        let own = leg.inclusion_probability();
        if let Some(known) = of_kind.get_mut(place) {
            let (leg, least) = known.unwrap_or((leg, own));
            *known = Some((leg, own.min(least)));
        }
    }
    let group = |leg: LegRef<'_>| (leg.revision(), leg.cohort().map(str::to_owned), leg.variant());
    let mut least = HashMap::new();
    for (leg, own) in of_kind.iter().flatten() {
        let known = least.entry(group(*leg)).or_insert(*own);
        *known = own.min(*known);
    }
    let least_of = |kind: &Option<(LegRef<'_>, f64)>| {
        kind.and_then(|(leg, _)| least.get(&group(leg)).copied()).unwrap_or(1.0)
    };
    let least: Vec<f64> = of_kind.iter().map(least_of).collect();
    let stays = |(place, leg): (usize, LegRef<'_>)| stays(leg, least.get(place).copied().unwrap_or(1.0));
    exchanges.primaries().map(|primary| primary.is_none_or(stays)).collect()
}
