//! What was captured and never arrived, and answers that the capture cut.

use std::collections::BTreeMap;

use weir_gate::CaptureHealth;
use weir_sample::Variant;

use super::{differ, flag, number, share};
use crate::exchange::Exchanges;
use crate::figures::LegRef;

const GAP_SHARE_MAX: f64 = 0.05;
const GAPS_MIN: u64 = 20;
const TRUNCATED_MIN: u64 = 20;

/// Numbers of a worker that never arrived, between the first and the last record that is looked at.
pub(super) fn gaps<'a>(
    exchanges: &Exchanges<'_>,
    numbered: impl Iterator<Item = LegRef<'a>>,
    health: &mut CaptureHealth,
) -> Option<String> {
    let mut spans: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for found in exchanges.legs() {
        if let (Some(emitter), Some(sequence)) = (found.emitter(), found.sequence()) {
            let (first, last) = spans.entry(emitter).or_insert((sequence, sequence));
            (*first, *last) = (sequence.min(*first), sequence.max(*last));
        }
    }
    let mut arrived: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for leg in numbered {
        let (Some(emitter), Some(sequence)) = (leg.emitter(), leg.sequence()) else { continue };
        if spans.get(emitter).is_some_and(|(first, last)| (*first..=*last).contains(&sequence)) {
            arrived.entry(emitter).or_default().push(sequence);
        }
    }
    for sequences in arrived.values_mut() {
        sequences.sort_unstable();
        sequences.dedup();
    }
    let mut numbered = 0_u64;
    let mut worst: Option<(u64, &str)> = None;
    for (emitter, (first, last)) in &spans {
        let span = last.abs_diff(*first).saturating_add(1);
        let here = arrived.get(emitter).map_or(0, |sequences| number(sequences.len()));
        let lost = span.saturating_sub(here);
        numbered = numbered.saturating_add(span);
        health.sequence_gaps = health.sequence_gaps.saturating_add(lost);
        if lost > worst.map_or(0, |(most, _)| most) {
            worst = Some((lost, emitter));
        }
    }
    let lost = health.sequence_gaps;
    let (most, emitter) = worst?;
    (lost >= GAPS_MIN && share(lost, numbered) > GAP_SHARE_MAX).then(|| {
        let mostly = if spans.len() > 1 { format!(", {most} of them by {emitter}") } else { String::new() };
        format!(
            "{lost} of {numbered} records ({:.0} %) were captured and never arrived{mostly}; hint: check that the collector \
             is reachable and keeps up, and raise limits.outboxBytesMax in the policy",
            share(lost, numbered) * 100.0
        )
    })
}

/// Answers that were cut, more of one variant than of the other: their texts are not judged, so that the comparison
/// would leave out the long answers of one side.
pub(super) fn truncation(exchanges: &Exchanges<'_>, health: &mut CaptureHealth) -> Option<String> {
    let (mut control, mut candidate) = (0, 0);
    for found in exchanges.legs() {
        let (answers, truncated) = match found.variant() {
            Variant::Control => (&mut control, &mut health.truncated_control),
            Variant::Candidate => (&mut candidate, &mut health.truncated_candidate),
        };
        *answers += 1;
        *truncated += u64::from(found.truncated());
    }
    let of_control = share(health.truncated_control, control);
    let of_candidate = share(health.truncated_candidate, candidate);
    let enough = health.truncated_control + health.truncated_candidate >= TRUNCATED_MIN;
    let flags = |variant: Variant| -> Vec<f64> {
        let of_variant = exchanges.legs().filter(|found| found.variant() == variant);
        of_variant.map(|found| flag(found.truncated())).collect()
    };
    (enough && differ(&flags(Variant::Control), &flags(Variant::Candidate))).then(|| {
        format!(
            "the capture cut {:.0} % of the control's and {:.0} % of the candidate's answers, and what is cut is not \
             judged; hint: raise limits.bodyBytesMax in the policy",
            of_control * 100.0,
            of_candidate * 100.0
        )
    })
}
