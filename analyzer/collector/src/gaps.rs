//! Numbers that never arrived: each worker numbers what it captures, so a hole in its numbers is a lost record.
//!
//! Counted over the samples that became Parquet since this start, by proxy and variant. A hole lies between two records; it counts for
//! their variant when both have the same, else for `either`. A late record fills its hole.
//! Limits: [`EMITTERS_MAX`] workers (those beyond are not looked at, and counted), [`RANGES_MAX`] stretches per worker (older holes
//! become final), [`PROXIES_TOLD_MAX`] proxies by name in the metrics, the others together as `other`.

use std::collections::BTreeMap;
use std::fmt::Write;

use weir_sample::{Sample, Variant};

/// Workers that are looked at.
pub(crate) const EMITTERS_MAX: usize = 4_096;
/// Stretches without a hole that are kept per worker.
pub(crate) const RANGES_MAX: usize = 1_024;
/// Proxies that the metrics name.
pub(crate) const PROXIES_TOLD_MAX: usize = 100;

/// The variant of a lost record: of both neighbours, or unknown.
type Whose = Option<Variant>;

/// What is known about all workers.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    emitters: BTreeMap<(String, String), Emitter>,
    /// Records of workers beyond [`EMITTERS_MAX`].
    unwatched: u64,
}

#[derive(Debug, Default)]
struct Emitter {
    /// Stretches without a hole, by their first number.
    ranges: BTreeMap<i64, Range>,
    /// Holes that are too old to be watched.
    given_up: BTreeMap<Whose, u64>,
    /// Numbers up to this are not looked at any more.
    floor: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
struct Range {
    last: i64,
    first_variant: Variant,
    last_variant: Variant,
}

impl Gaps {
    /// Takes note of a sample's number, if it has one.
    pub(crate) fn observe(&mut self, sample: &Sample) {
        let (Some(proxy), Some(worker), Some(sequence)) = (&sample.proxy, &sample.worker, sample.sequence)
        else {
            return;
        };
        let key = (proxy.clone(), worker.clone());
        if !self.emitters.contains_key(&key) && self.emitters.len() >= EMITTERS_MAX {
            self.unwatched += 1;
            return;
        }
        self.emitters.entry(key).or_default().observe(sequence, sample.variant);
    }

    /// Lost records by proxy and variant, without zeros.
    pub(crate) fn lost(&self) -> BTreeMap<(&str, Whose), u64> {
        let mut lost = BTreeMap::new();
        for ((proxy, _), emitter) in &self.emitters {
            for (whose, count) in emitter.lost() {
                *lost.entry((proxy.as_str(), whose)).or_insert(0) += count;
            }
        }
        lost
    }

    /// The families of `/metrics`.
    pub(crate) fn prometheus(&self, text: &mut String) {
        let lost = self.lost();
        let mut lines: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        let mut told: Vec<&str> = self.emitters.keys().map(|(proxy, _)| proxy.as_str()).collect();
        told.dedup();
        told.truncate(PROXIES_TOLD_MAX);
        for proxy in &told {
            for variant in [Variant::Control, Variant::Candidate] {
                lines.insert((proxy, variant.as_str()), 0);
            }
        }
        for ((proxy, whose), count) in lost {
            let proxy = if told.binary_search(&proxy).is_ok() { proxy } else { "other" };
            *lines.entry((proxy, whose.map_or("either", Variant::as_str))).or_insert(0) += count;
        }
        let name = "weir_collector_sequence_gaps";
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "# HELP {name} Records that a worker numbered and that never arrived, since this start.\n# TYPE {name} gauge\n"
        );
        for ((proxy, variant), count) in lines {
            let _ = writeln!(text, "{name}{{proxy=\"{}\",variant=\"{variant}\"}} {count}", escaped(proxy));
        }
        let name = "weir_collector_unwatched_records_total";
        let _ = write!(
            text,
            "# HELP {name} Records of workers beyond those whose numbers are watched.\n# TYPE {name} counter\n{name} {}\n",
            self.unwatched
        );
    }
}

impl Emitter {
    fn observe(&mut self, sequence: i64, variant: Variant) {
        if self.floor.is_some_and(|floor| sequence <= floor) {
            return;
        }
        let before = self.ranges.range(..=sequence).next_back().map(|(first, range)| (*first, *range));
        if before.is_some_and(|(_, range)| sequence <= range.last) {
            return;
        }
        let mut merged = Range { last: sequence, first_variant: variant, last_variant: variant };
        let mut first = sequence;
        if let Some((start, range)) = before.filter(|(_, range)| range.last.checked_add(1) == Some(sequence))
        {
            (first, merged.first_variant) = (start, range.first_variant);
        }
        if let Some(after) = sequence.checked_add(1).and_then(|next| self.ranges.remove(&next)) {
            (merged.last, merged.last_variant) = (after.last, after.last_variant);
        }
        self.ranges.insert(first, merged);
        if self.ranges.len() > RANGES_MAX {
            self.give_up_oldest();
        }
    }

    fn give_up_oldest(&mut self) {
        let Some((_, oldest)) = self.ranges.pop_first() else { return };
        if let Some((next, range)) = self.ranges.first_key_value() {
            let (whose, count) = hole(&oldest, *next, range);
            *self.given_up.entry(whose).or_insert(0) += count;
            self.floor = Some(next.saturating_sub(1));
        }
    }

    fn lost(&self) -> BTreeMap<Whose, u64> {
        let mut lost = self.given_up.clone();
        for ((_, range), (next, after)) in self.ranges.iter().zip(self.ranges.iter().skip(1)) {
            let (whose, count) = hole(range, *next, after);
            *lost.entry(whose).or_insert(0) += count;
        }
        lost
    }
}

fn hole(before: &Range, next: i64, after: &Range) -> (Whose, u64) {
    let whose = (before.last_variant == after.first_variant).then_some(after.first_variant);
    (whose, next.abs_diff(before.last).saturating_sub(1))
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn sample(proxy: &str, worker: &str, sequence: i64, variant: Variant) -> Sample {
        Sample {
            proxy: Some(proxy.into()),
            worker: Some(worker.into()),
            sequence: Some(sequence),
            variant,
            ..Sample::default()
        }
    }

    #[test]
    fn holes_count_for_the_variant_of_their_neighbours_and_late_records_fill_them() {
        let (control, candidate) = (Variant::Control, Variant::Candidate);
        let mut gaps = Gaps::default();
        for (sequence, variant) in [(1, control), (4, control), (5, candidate), (9, candidate), (10, control)]
        {
            gaps.observe(&sample("p", "w", sequence, variant));
        }
        gaps.observe(&sample("p", "other epoch", 700, control));
        gaps.observe(&sample("q\"", "w", 1, control));
        gaps.observe(&sample("q\"", "w", 3, candidate));
        let lost: Vec<_> = gaps.lost().into_iter().collect();
        assert_eq!(lost, [(("p", Some(control)), 2), (("p", Some(candidate)), 3), (("q\"", None), 1)]);
        gaps.observe(&sample("p", "w", 2, control));
        gaps.observe(&sample("p", "w", 2, control));
        assert_eq!(gaps.lost()[&("p", Some(control))], 1);
        let mut text = String::new();
        gaps.prometheus(&mut text);
        for line in [
            "weir_collector_sequence_gaps{proxy=\"p\",variant=\"candidate\"} 3\n",
            "weir_collector_sequence_gaps{proxy=\"q\\\"\",variant=\"either\"} 1\n",
            "weir_collector_sequence_gaps{proxy=\"q\\\"\",variant=\"control\"} 0\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn memory_is_bounded_and_what_is_given_up_stays_counted() {
        let mut gaps = Gaps::default();
        let odd = 3 * i64::try_from(RANGES_MAX).unwrap();
        for sequence in (1..=odd).step_by(2) {
            gaps.observe(&sample("p", "w", sequence, Variant::Control));
        }
        let emitter = gaps.emitters.values().next().unwrap();
        assert_eq!(emitter.ranges.len(), RANGES_MAX);
        assert_eq!(
            gaps.lost().values().sum::<u64>(),
            u64::try_from(odd / 2).unwrap() - 1 + u64::from(odd % 2 == 1)
        );
        for worker in 0..EMITTERS_MAX + 5 {
            gaps.observe(&sample("p", &worker.to_string(), 1, Variant::Control));
        }
        assert_eq!((gaps.emitters.len(), gaps.unwatched), (EMITTERS_MAX, 6));
    }

    proptest! {
        #[test]
        fn in_whatever_order_they_come_the_lost_are_those_of_the_span_that_are_not_there(
            numbers in proptest::collection::vec(0i64..200, 1..120)
        ) {
            let mut gaps = Gaps::default();
            numbers.iter().for_each(|number| gaps.observe(&sample("p", "w", *number, Variant::Control)));
            let there: BTreeSet<_> = numbers.iter().collect();
            let span = numbers.iter().max().unwrap() - numbers.iter().min().unwrap() + 1;
            let lost = u64::try_from(span).unwrap() - there.len() as u64;
            prop_assert_eq!(gaps.lost().values().sum::<u64>(), lost);
        }
    }
}
