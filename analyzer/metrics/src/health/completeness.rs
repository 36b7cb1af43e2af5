//! What was captured and never arrived, and answers that the capture cut.

use std::collections::BTreeSet;

use weir_gate::CaptureHealth;
use weir_sample::Variant;

use super::emitters::Emitters;
use super::{differ, flag, number, share};
use crate::exchange::Exchanges;
use crate::figures::LegRef;

const GAP_SHARE_MAX: f64 = 0.05;
const GAPS_MIN: u64 = 20;
const TRUNCATED_MIN: u64 = 20;
/// Words of 64 numbers that are kept of a worker at most: some hundred million numbers.
const WORDS_MAX: usize = 1 << 21;
/// Of a worker of which nothing is looked at.
const NO_SPAN: (i64, i64) = (i64::MAX, i64::MIN);

/// How many records were numbered and never arrived, between the first and the last record of a worker that is looked at.
pub(super) fn gaps<'a>(
    exchanges: &Exchanges<'a>,
    numbered: impl Iterator<Item = LegRef<'a>>,
) -> (u64, Option<String>) {
    let mut emitters = Emitters::default();
    let mut spans: Vec<(i64, i64)> = Vec::new();
    for found in exchanges.legs() {
        if let (Some(emitter), Some(sequence)) = (emitters.of(found), found.sequence()) {
            spans.resize(emitters.names.len(), NO_SPAN);
            if let Some((first, last)) = spans.get_mut(emitter) {
                (*first, *last) = (sequence.min(*first), sequence.max(*last));
            }
        }
    }
    let mut arrived: Vec<Arrived> = spans.iter().map(|span| Arrived::within(*span)).collect();
    for leg in numbered {
        if let (Some(emitter), Some(sequence)) = (emitters.of(leg), leg.sequence())
            && let Some(arrived) = arrived.get_mut(emitter)
        {
            arrived.note(sequence);
        }
    }
    let seen =
        emitters.names.iter().zip(spans.iter().zip(&arrived)).filter(|(_, (span, _))| **span != NO_SPAN);
    let mut spans: Vec<_> = seen.map(|(name, (span, arrived))| (*name, span, arrived)).collect();
    spans.sort_unstable_by_key(|(name, ..)| *name);
    let (mut numbered, mut all_lost) = (0_u64, 0_u64);
    let mut worst: Option<(u64, &str)> = None;
    for (emitter, (first, last), arrived) in &spans {
        let span = last.abs_diff(*first).saturating_add(1);
        let here = arrived.different();
        let lost = span.saturating_sub(here);
        numbered = numbered.saturating_add(span);
        all_lost = all_lost.saturating_add(lost);
        if lost > worst.map_or(0, |(most, _)| most) {
            worst = Some((lost, emitter));
        }
    }
    let lost = all_lost;
    let told = worst.filter(|_| lost >= GAPS_MIN && share(lost, numbered) > GAP_SHARE_MAX);
    let problem = told.map(|(most, emitter)| {
        let mostly = if spans.len() > 1 { format!(", {most} of them by {emitter}") } else { String::new() };
        format!(
            "{lost} of {numbered} records ({:.0} %) were captured and never arrived{mostly}; hint: check that the collector \
             is reachable and keeps up, and raise limits.outboxBytesMax in the policy",
            share(lost, numbered) * 100.0
        )
    });
    (lost, problem)
}

/// Which of a worker's numbers arrived, between the first and the last one that is looked at.
struct Arrived {
    first: i64,
    last: i64,
    numbers: Numbers,
}

enum Numbers {
    /// A bit for each, from the first one on.
    Bits(Vec<u64>),
    /// Where there are too many between them: those that arrived.
    Listed(BTreeSet<i64>),
}

impl Arrived {
    fn within((first, last): (i64, i64)) -> Self {
        let words = last.checked_sub(first).and_then(|span| usize::try_from(span / 64 + 1).ok());
        let numbers = match words.filter(|words| *words <= WORDS_MAX) {
            Some(words) => Numbers::Bits(vec![0; words]),
            None => Numbers::Listed(BTreeSet::new()),
        };
        Self { first, last, numbers }
    }

    fn note(&mut self, number: i64) {
        if !(self.first..=self.last).contains(&number) {
            return;
        }
        match &mut self.numbers {
            Numbers::Bits(words) => {
                let place = number.abs_diff(self.first);
                let word = usize::try_from(place / 64).ok().and_then(|word| words.get_mut(word));
                word.into_iter().for_each(|bits| *bits |= 1 << (place % 64));
            }
            Numbers::Listed(numbers) => {
                numbers.insert(number);
            }
        }
    }

    /// How many different ones there are.
    fn different(&self) -> u64 {
        match &self.numbers {
            Numbers::Bits(words) => words.iter().map(|bits| u64::from(bits.count_ones())).sum(),
            Numbers::Listed(numbers) => number(numbers.len()),
        }
    }
}

/// Answers that were cut, more of one variant than of the other: their texts are not judged, so that the comparison
/// would leave out the long answers of one side.
pub(super) fn truncation(exchanges: &Exchanges<'_>, health: &mut CaptureHealth) -> Option<String> {
    let (mut control, mut candidate) = (0, 0);
    for (facts, legs) in exchanges.kinds() {
        let (answers, truncated) = match facts.variant {
            Variant::Control => (&mut control, &mut health.truncated_control),
            Variant::Candidate => (&mut candidate, &mut health.truncated_candidate),
        };
        *answers += legs;
        *truncated += if facts.truncated { *legs } else { 0 };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_once_and_only_between_the_first_and_the_last() {
        for (first, last) in [(-5, 200), (i64::MAX - 205, i64::MAX), (-5, i64::MAX - 1), (i64::MIN, i64::MAX)]
        {
            let mut arrived = Arrived::within((first, last));
            for place in [0, 1, 63, 64, 64, 65, 205, 0] {
                arrived.note(first + place);
            }
            let outside = [first.checked_sub(1), last.checked_add(1)];
            outside.into_iter().flatten().for_each(|outside| arrived.note(outside));
            assert_eq!(arrived.different(), 6, "{first} to {last}");
        }
        assert_eq!(Arrived::within(NO_SPAN).different(), 0);
    }
}
