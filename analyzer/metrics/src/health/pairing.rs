//! Whether the pairs that should be there are there, and whether the slow ones are missing.
//!
//! A primary leg says whether a copy was asked for. Samples of older filters do not, but they carry the chance: an exchange
//! was shadowed with probability (inclusion of its shadow) / (inclusion of its primary). Imported legs carry neither, so
//! for them only shadows without their primary are looked for.

use std::collections::BTreeMap;

use weir_gate::CaptureHealth;
use weir_sample::Variant;
use weir_stats::share::ShareTest;

use super::groups::Groups;
use super::{ALPHA, differ, flag, number, percent};
use crate::exchange::{Exchange, Exchanges};

/// Pairs that should be there before their rate says something.
const EXPECTED_PAIRS_MIN: f64 = 100.0;
const PAIRING_RATE_MIN: f64 = 0.9;
/// A shadow answer may still be under way: exchanges this close to the newest one are not expected to be pairs yet.
const PAIRING_GRACE_US: i64 = 5_000_000;
/// Primaries with a latency in each half before the halves are compared.
const HALF_MIN: usize = 100;

/// A primary leg of control that may have had a shadow.
pub(super) struct Candidate {
    chance: f64,
    paired: bool,
    latency_ms: Option<f64>,
}

/// Shadow answers without their primary, and primaries whose shadow answer is missing.
pub(super) fn arrival(
    exchanges: &Exchanges<'_>,
    shadowed: &[Candidate],
    health: &mut CaptureHealth,
) -> Option<String> {
    let orphans = exchanges.iter().filter(|exchange| exchange.shadow.is_some() && exchange.primary.is_none());
    health.half_pairs = number(orphans.count());
    let settled = settled(exchanges);
    let alone = exchanges
        .iter()
        .filter(|exchange| settled(exchange) && exchange.shadow.is_some() && exchange.primary.is_none())
        .count();
    let (mut expected, mut paired, mut certain) = (alone as f64, 0.0, alone > 0);
    let mut tests: BTreeMap<u64, ShareTest> = BTreeMap::new();
    for primary in shadowed {
        expected += primary.chance;
        paired += flag(primary.paired);
        if primary.chance >= 1.0 && !primary.paired {
            health.half_pairs += 1;
            certain = true;
        }
        if let Ok(test) = ShareTest::new(primary.chance) {
            tests.entry(primary.chance.to_bits()).or_insert(test).observe(primary.paired);
        }
    }
    let each = ALPHA / tests.len().max(1) as f64;
    // A copy that was drawn by chance may be absent by chance; one that was certain may not.
    let beyond_chance = certain || tests.values().any(|test| test.refuted(each));
    let rate = paired / expected;
    (expected >= EXPECTED_PAIRS_MIN && rate < PAIRING_RATE_MIN && beyond_chance).then(|| {
        let missing = expected - paired;
        let side = if alone as f64 > missing / 2.0 { "control's" } else { "the candidate's" };
        format!(
            "only {:.0} % of the expected pairs arrived ({paired:.0} of about {expected:.0}; mostly {side} answer is missing), \
             and those that did may be the easy ones; hint: see whether the candidate answers its shadow copies in time, and look at the \
             filter's dropped and expired counters",
            rate * 100.0
        )
    })
}

/// Whether pairs are missing more often where control was slow: what is hard is slow, so the hard requests are missing.
///
/// The slow half has a latency above the median of all; the shares that are paired are compared. Copies that were not
/// made are missing in both halves alike.
pub(super) fn slow_loss(shadowed: &[Candidate]) -> Option<String> {
    let all: Vec<&Candidate> =
        shadowed.iter().filter(|found| found.chance < 1.0 || found.latency_ms.is_some()).collect();
    let mut latencies: Vec<f64> =
        all.iter().filter_map(|found| found.latency_ms).filter(|latency_ms| latency_ms.is_finite()).collect();
    let middle = latencies.len() / 2;
    if latencies.is_empty() {
        return None;
    }
    let median_ms = *latencies.select_nth_unstable_by(middle, f64::total_cmp).1;
    let half = |slow: bool| -> Vec<f64> {
        let in_half = |found: &&&Candidate| {
            found.latency_ms.is_some_and(|latency_ms| (latency_ms >= median_ms) == slow)
        };
        all.iter().filter(in_half).map(|found| flag(found.paired)).collect()
    };
    let (slow, fast) = (half(true), half(false));
    let mean = |flags: &[f64]| flags.iter().sum::<f64>() / flags.len().max(1) as f64;
    let enough = slow.len() >= HALF_MIN && fast.len() >= HALF_MIN;
    (enough && differ(&fast, &slow)).then(|| {
        format!(
            "loss goes with latency: {} % of the requests that control answered in less than {median_ms:.0} ms are pairs, and \
             {} % of the slower ones, so that the hard requests are missing; hint: give the copies as much time as the original \
             (the mirror route's timeout, limits.pendingPairsMax), and look at the filter's dropped and expired counters",
            percent(mean(&fast)),
            percent(mean(&slow)),
        )
    })
}

fn settled<'a>(exchanges: &Exchanges<'a>) -> impl Fn(&Exchange<'a>) -> bool + use<'a> {
    let newest_us = exchanges.legs().map(|found| found.ts_us()).max().unwrap_or(i64::MAX);
    let before_us = newest_us.saturating_sub(PAIRING_GRACE_US);
    move |exchange| exchange.legs().all(|found| found.ts_us() < before_us)
}

/// Control's settled primaries, each with its chance of a shadow; those that cannot have one are left out.
pub(super) fn shadowed(exchanges: &Exchanges<'_>) -> Vec<Candidate> {
    let groups = Groups::of(exchanges);
    let usual = usual(exchanges, &groups);
    let settled = settled(exchanges);
    exchanges
        .iter()
        .zip(exchanges.primaries())
        .filter(|(exchange, _)| settled(exchange))
        .filter_map(|(exchange, primary)| {
            let (kind, primary) = primary.filter(|(_, found)| found.variant() == Variant::Control)?;
            let paired = exchange.pair().is_some();
            let own = primary.inclusion_probability();
            let usual = groups.of_kind(kind).and_then(|group| usual.get(group)?.as_ref());
            let chance = match usual.filter(|_| primary.emitter().is_some()) {
                _ if primary.shadowed().is_some() => flag(primary.shadowed() == Some(true) || paired),
                // A cap or a filter of the policy kept this exchange from being copied: it was captured for its own sake.
                Some(usual) if own < usual.primary && !paired => 0.0,
                Some(usual) => (usual.shadow / own).min(1.0),
                None => flag(paired),
            };
            (chance > 0.0).then_some(Candidate { chance, paired, latency_ms: primary.latency_ms() })
        })
        .collect()
}

/// Inclusion probabilities of exchanges that have a shadow.
#[derive(Clone)]
struct Usual {
    primary: f64,
    shadow: f64,
}

/// For each group the chance of a shadow copy, where any was captured by the filter: that of the last one.
fn usual(exchanges: &Exchanges<'_>, groups: &Groups<'_>) -> Vec<Option<Usual>> {
    let mut usual = vec![None; groups.names.len()];
    for (exchange, primary) in exchanges.iter().zip(exchanges.primaries()) {
        let (Some((kind, primary)), Some(shadow)) = (primary, exchange.shadow) else { continue };
        let of_group = groups.of_kind(kind).and_then(|group| usual.get_mut(group));
        if let Some(usual) = of_group.filter(|_| shadow.emitter().is_some()) {
            *usual = Some(Usual {
                primary: primary.inclusion_probability(),
                shadow: shadow.inclusion_probability(),
            });
        }
    }
    usual
}
