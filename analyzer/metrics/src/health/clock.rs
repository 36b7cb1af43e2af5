//! Clocks: windows, looks and the order of values rest on them.
//!
//! The filter measures both legs of a pair from the same start, and a worker numbers its records in the order in which
//! they ended. So the copy must not begin before its original, and ends must grow with the numbers. Imported legs may have
//! been made at any time and are not looked at.

use super::emitters::Emitters;
use super::{number, percent, share};
use crate::exchange::{Exchange, Exchanges};
use crate::figures::LegRef;

/// Clocks of one pair may differ by this much.
const SKEW_US_MAX: i64 = 2_000_000;
const SKEWED_MIN: u64 = 20;
const SKEWED_SHARE_MAX: f64 = 0.01;
/// A record that ended this much before an earlier one was numbered after a step back of the clock.
const STEP_US_MIN: i64 = 5_000_000;
const STEPPED_MIN: u64 = 5;

/// Copies that begin at another time than their original.
pub(super) fn order(exchanges: &Exchanges<'_>) -> Option<String> {
    let distances: Vec<i64> = exchanges
        .iter()
        .filter_map(Exchange::pair)
        .filter(|(control, candidate)| control.emitter().is_some() && candidate.emitter().is_some())
        .map(|(control, candidate)| candidate.ts_us().saturating_sub(control.ts_us()))
        .collect();
    let skewed = |distance: &&i64| distance.unsigned_abs() > SKEW_US_MAX.unsigned_abs();
    let count = number(distances.iter().filter(skewed).count());
    let most_us = distances.iter().map(|distance| distance.unsigned_abs()).max()?;
    (count >= SKEWED_MIN && share(count, number(distances.len())) > SKEWED_SHARE_MAX).then(|| {
        format!(
            "clocks disagree: {count} of {} pairs ({} %) have answers that began up to {} s apart, where the filter gives \
             both the same start; hint: synchronise the clocks of the proxies (NTP), and analyse from then on with --since",
            distances.len(),
            percent(share(count, number(distances.len()))),
            most_us / 1_000_000
        )
    })
}

/// Workers whose clock went back.
pub(super) fn steps<'a>(numbered: impl Iterator<Item = LegRef<'a>>) -> Vec<String> {
    let mut emitters = Emitters::default();
    let mut ends: Vec<Vec<(i64, i64)>> = Vec::new();
    for leg in numbered {
        let (Some(emitter), Some(sequence)) = (emitters.of(leg), leg.sequence()) else { continue };
        let Some(latency_ms) = leg.latency_ms().filter(|latency_ms| (0.0..1e9).contains(latency_ms)) else {
            continue;
        };
        #[allow(clippy::cast_possible_truncation)] // below 1e12 microseconds
        let end_us = leg.ts_us().saturating_add((latency_ms * 1e3) as i64);
        ends.resize(emitters.names.len(), Vec::new());
        ends.get_mut(emitter).into_iter().for_each(|ends| ends.push((sequence, end_us)));
    }
    let mut problems = Vec::new();
    let mut ends: Vec<_> = emitters.names.iter().zip(ends).collect();
    ends.sort_unstable_by_key(|(name, _)| **name);
    for (emitter, mut ends) in ends {
        ends.sort_unstable();
        let (mut latest_us, mut stepped, mut most_us) = (i64::MIN, 0_u64, 0_i64);
        for (_, end_us) in ends {
            let back_us = latest_us.saturating_sub(end_us);
            if back_us > STEP_US_MIN {
                stepped += 1;
                most_us = most_us.max(back_us);
            }
            latest_us = latest_us.max(end_us);
        }
        if stepped >= STEPPED_MIN {
            problems.push(format!(
                "the clock of {emitter} went back by up to {} s: {stepped} records ended before ones that were captured earlier, so that \
                 order and time windows are wrong; hint: synchronise that proxy's clock without steps, and analyse from then on with --since",
                most_us / 1_000_000
            ));
        }
    }
    problems
}
