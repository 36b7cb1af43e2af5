//! Whether the capture can carry a comparison: counts, and the problems that would bias it, each with its remedy.
//!
//! A problem is named only where there is enough to see it by: a handful of legs is always incomplete somewhere.

use std::collections::{BTreeMap, BTreeSet};

use weir_gate::CaptureHealth;
use weir_sample::{Leg, Variant};

use crate::legs::LegFigures;
use crate::series::{Exchange, Exchanges, Located};

/// Pairs that should be there before their rate says something.
const EXPECTED_PAIRS_MIN: f64 = 100.0;
const PAIRING_RATE_MIN: f64 = 0.9;
/// A shadow answer may still be under way: exchanges this close to the newest one are not expected to be pairs yet.
const PAIRING_GRACE_US: i64 = 5_000_000;
const GAP_SHARE_MAX: f64 = 0.05;
const GAPS_MIN: u64 = 20;
const TRUNCATION_DIFFERENCE_MAX: f64 = 0.05;
const TRUNCATED_MIN: u64 = 20;

/// Looks at the capture of all exchanges. `numbered` is every leg that was read, also those of other revisions and of
/// probes: the numbers of one worker run through all of them.
pub(crate) fn capture_health<'a>(
    exchanges: &Exchanges<'_>,
    numbered: impl Iterator<Item = &'a LegFigures>,
) -> CaptureHealth {
    let mut health = counts(exchanges);
    let mut problems = Vec::new();
    problems.extend(pairing(exchanges, &mut health));
    problems.extend(gaps(exchanges, numbered, &mut health));
    problems.extend(truncation(exchanges, &mut health));
    problems.extend(snapshots(exchanges));
    health.problems = problems;
    health
}

fn counts(exchanges: &Exchanges<'_>) -> CaptureHealth {
    let mut health = CaptureHealth::default();
    for found in exchanges.legs() {
        match (found.leg.leg, found.leg.variant) {
            (Leg::Primary, Variant::Control) => health.primary_control += 1,
            (Leg::Primary, Variant::Candidate) => health.primary_candidate += 1,
            (Leg::Shadow, _) => health.shadow += 1,
            (Leg::Noise, _) => health.noise += 1,
        }
    }
    health.pairs = number(exchanges.all.iter().filter(|exchange| exchange.pair().is_some()).count());
    health
}

/// Shadow answers without their primary, and primaries whose shadow answer is missing.
///
/// Which primaries were shadowed is not recorded, but the chance is: an exchange that the filter captured was shadowed
/// with probability (inclusion of its shadow) / (inclusion of its primary). Legs that were imported carry no such
/// probability, so for them only the first kind is looked for.
fn pairing(exchanges: &Exchanges<'_>, health: &mut CaptureHealth) -> Option<String> {
    let newest_us = exchanges.legs().map(|found| found.leg.ts_us).max()?;
    let settled = |exchange: &&Exchange<'_>| {
        exchange.legs().all(|found| found.leg.ts_us < newest_us.saturating_sub(PAIRING_GRACE_US))
    };
    let orphans =
        exchanges.all.iter().filter(|exchange| exchange.shadow.is_some() && exchange.primary.is_none());
    health.half_pairs = number(orphans.clone().count());
    let shadow_inclusion = shadow_inclusions(exchanges);
    let mut expected = 0.0;
    let mut paired = 0.0;
    for exchange in exchanges.all.iter().filter(settled) {
        let Some(primary) = exchange.primary.filter(|found| found.leg.variant == Variant::Control) else {
            if exchange.shadow.is_some() && exchange.primary.is_none() {
                expected += 1.0;
            }
            continue;
        };
        let both = exchange.pair().is_some();
        let chance = shadow_inclusion
            .get(&group(primary))
            .filter(|_| primary.leg.emitter.is_some())
            .map_or(f64::from(u8::from(both)), |shadow| {
                (shadow / primary.leg.inclusion_probability).min(1.0)
            });
        expected += chance;
        paired += f64::from(u8::from(both));
        if chance >= 1.0 && !both {
            health.half_pairs += 1;
        }
    }
    let rate = paired / expected;
    (expected >= EXPECTED_PAIRS_MIN && rate < PAIRING_RATE_MIN).then(|| {
        format!(
            "only {:.0} % of the expected pairs arrived ({paired:.0} of about {expected:.0}), and those that did may \
             be the easy ones; hint: see whether the candidate answers its shadow copies in time, and look at the \
             filter's dropped and expired counters",
            rate * 100.0
        )
    })
}

type Group<'a> = (Option<i64>, Option<&'a str>);

fn group<'a>(found: Located<'a>) -> Group<'a> {
    (found.leg.revision, found.leg.cohort.as_deref())
}

/// The chance of a shadow copy by revision and cohort, where any was captured by the filter.
fn shadow_inclusions<'a>(exchanges: &Exchanges<'a>) -> BTreeMap<Group<'a>, f64> {
    exchanges
        .all
        .iter()
        .filter_map(|exchange| {
            let primary = exchange.primary?;
            let shadow = exchange.shadow.filter(|found| found.leg.emitter.is_some())?;
            Some((group(primary), shadow.leg.inclusion_probability))
        })
        .collect()
}

/// Numbers of a worker that never arrived, between the first and the last record that is looked at.
fn gaps<'a>(
    exchanges: &Exchanges<'_>,
    numbered: impl Iterator<Item = &'a LegFigures>,
    health: &mut CaptureHealth,
) -> Option<String> {
    let mut spans: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for found in exchanges.legs() {
        if let (Some(emitter), Some(sequence)) = (found.leg.emitter.as_deref(), found.leg.sequence) {
            let (first, last) = spans.entry(emitter).or_insert((sequence, sequence));
            (*first, *last) = (sequence.min(*first), sequence.max(*last));
        }
    }
    let mut arrived: BTreeMap<&str, BTreeSet<i64>> = BTreeMap::new();
    for leg in numbered {
        let (Some(emitter), Some(sequence)) = (leg.emitter.as_deref(), leg.sequence) else { continue };
        if spans.get(emitter).is_some_and(|(first, last)| (*first..=*last).contains(&sequence)) {
            arrived.entry(emitter).or_default().insert(sequence);
        }
    }
    let mut numbered = 0_u64;
    for (emitter, (first, last)) in &spans {
        let span = last.abs_diff(*first).saturating_add(1);
        let here = arrived.get(emitter).map_or(0, |sequences| number(sequences.len()));
        numbered = numbered.saturating_add(span);
        health.sequence_gaps = health.sequence_gaps.saturating_add(span.saturating_sub(here));
    }
    let lost = health.sequence_gaps;
    (lost >= GAPS_MIN && share(lost, numbered) > GAP_SHARE_MAX).then(|| {
        format!(
            "{lost} of {numbered} records ({:.0} %) were captured and never arrived; hint: check that the collector \
             is reachable and keeps up, and raise limits.outboxBytesMax in the policy",
            share(lost, numbered) * 100.0
        )
    })
}

/// Answers that were cut, more of one variant than of the other: their texts are not judged, so that the comparison
/// would leave out the long answers of one side.
fn truncation(exchanges: &Exchanges<'_>, health: &mut CaptureHealth) -> Option<String> {
    let (mut control, mut candidate) = (0_u64, 0_u64);
    for found in exchanges.legs() {
        let (answers, truncated) = match found.leg.variant {
            Variant::Control => (&mut control, &mut health.truncated_control),
            Variant::Candidate => (&mut candidate, &mut health.truncated_candidate),
        };
        *answers += 1;
        *truncated += u64::from(found.leg.truncated);
    }
    let of_control = share(health.truncated_control, control);
    let of_candidate = share(health.truncated_candidate, candidate);
    let enough = health.truncated_control + health.truncated_candidate >= TRUNCATED_MIN;
    (enough && (of_control - of_candidate).abs() > TRUNCATION_DIFFERENCE_MAX).then(|| {
        format!(
            "the capture cut {:.0} % of the control's and {:.0} % of the candidate's answers, and what is cut is not \
             judged; hint: raise limits.bodyBytesMax in the policy",
            of_control * 100.0,
            of_candidate * 100.0
        )
    })
}

/// A variant that changed under way is two variants.
fn snapshots(exchanges: &Exchanges<'_>) -> Vec<String> {
    let mut labels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for found in exchanges.legs() {
        if let Some(label) = found.leg.snapshot.as_deref() {
            labels.entry(found.leg.variant.as_str()).or_default().insert(label);
        }
    }
    labels
        .into_iter()
        .filter(|(_, labels)| labels.len() > 1)
        .map(|(variant, labels)| {
            let labels: Vec<&str> = labels.into_iter().collect();
            format!(
                "the {variant} served {} snapshots in this data ({}), whose figures are mixed here; hint: look at \
                 one revision or time window only",
                labels.len(),
                labels.join("; ")
            )
        })
        .collect()
}

#[allow(clippy::cast_precision_loss)] // counts are far below 2^53
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
