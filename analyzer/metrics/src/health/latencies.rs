//! Whether pairs are missing more often where control was slow: what is hard is slow, so the hard requests are missing.
//!
//! The slow half has a latency at or above the median of all; the shares that are paired are compared. Copies that were not
//! made are missing in both halves alike.
//!
//! Latencies of stretches add up as a histogram whose buckets are less than 0.1 % wide: the first ten bits of the mantissa.
//! The median is the lower edge of its bucket.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;

use super::flags::{Flags, differ};
use super::{number, percent};
use crate::packed::{Reader, Writer};

/// Primaries with a latency in each half before the halves are compared.
const HALF_MIN: u64 = 100;
/// Bits of a number that do not tell its bucket.
const BUCKET_BITS: u32 = 42;

/// By latency how many exchanges may have been pairs, and how many are.
#[derive(Clone, Debug, Default)]
pub(super) struct Latencies(BTreeMap<i64, Flags>);

/// The same while it is counted.
#[derive(Default)]
pub(super) struct Counting(HashMap<i64, Flags, RandomState>);

impl Counting {
    pub(super) fn count(&mut self, latency_ms: f64, paired: bool) {
        let flags = self.0.entry(bucket(latency_ms)).or_default();
        flags.append(Flags { yes: u64::from(paired), all: 1 });
    }

    pub(super) fn latencies(self) -> Latencies {
        Latencies(self.0.into_iter().collect())
    }
}

impl Latencies {
    pub(super) fn append(&mut self, later: Self) {
        for (bucket, flags) in later.0 {
            self.0.entry(bucket).or_default().append(flags);
        }
    }

    pub(super) fn slow_loss(&self) -> Option<String> {
        let median = self.median()?;
        let half = |buckets: &mut dyn Iterator<Item = (&i64, &Flags)>| {
            let mut half = Flags::default();
            buckets.for_each(|(_, flags)| half.append(*flags));
            half
        };
        let (fast, slow) = (half(&mut self.0.range(..median)), half(&mut self.0.range(median..)));
        let enough = slow.all >= HALF_MIN && fast.all >= HALF_MIN;
        (enough && differ(fast, slow)).then(|| {
            format!(
                "loss goes with latency: {} % of the requests that control answered in less than {:.0} ms are pairs, and \
                 {} % of the slower ones, so that the hard requests are missing; hint: give the copies as much time as the original \
                 (the mirror route's timeout, limits.pendingPairsMax), and look at the filter's dropped and expired counters",
                percent(fast.share()),
                lower_edge_ms(median),
                percent(slow.share()),
            )
        })
    }

    /// The bucket of the middle one of all finite latencies.
    fn median(&self) -> Option<i64> {
        let finite = || self.0.iter().filter(|(bucket, _)| lower_edge_ms(**bucket).is_finite());
        let mut before = finite().map(|(_, flags)| flags.all).fold(0, u64::saturating_add) / 2;
        for (bucket, flags) in finite() {
            if before < flags.all {
                return Some(*bucket);
            }
            before -= flags.all;
        }
        None
    }

    pub(super) fn write(&self, to: &mut Writer) {
        to.number(number(self.0.len()));
        for (bucket, flags) in &self.0 {
            to.number(bucket.cast_unsigned());
            flags.write(to);
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let mut latencies = BTreeMap::new();
        for _ in 0..from.count()? {
            let bucket = from.number()?.cast_signed();
            let is_one = bucket << BUCKET_BITS >> BUCKET_BITS == bucket;
            if !is_one || latencies.insert(bucket, Flags::read(from)?).is_some() {
                return None;
            }
        }
        Some(Self(latencies))
    }
}

fn bucket(latency_ms: f64) -> i64 {
    mirrored(latency_ms.to_bits().cast_signed()) >> BUCKET_BITS
}

fn lower_edge_ms(bucket: i64) -> f64 {
    f64::from_bits(mirrored(bucket << BUCKET_BITS).cast_unsigned())
}

/// From the bits of a number to an integer of the same order (see [`f64::total_cmp`]), and back.
fn mirrored(bits: i64) -> i64 {
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_latency_is_in_a_bucket_that_begins_just_below_it() {
        for latency_ms in [0.0, 1e-300, 0.37, 1.0, 99.999, 100.0, 3.6e6, 1e300, -5.0] {
            let (edge_ms, next_ms) =
                (lower_edge_ms(bucket(latency_ms)), lower_edge_ms(bucket(latency_ms) + 1));
            assert!(edge_ms <= latency_ms && latency_ms < next_ms, "{edge_ms} {latency_ms} {next_ms}");
            assert!((latency_ms - edge_ms).abs() <= 1e-3 * latency_ms.abs(), "{edge_ms} {latency_ms}");
        }
        for infinite in [f64::INFINITY, f64::NEG_INFINITY] {
            assert!(!lower_edge_ms(bucket(infinite)).is_finite());
        }
        assert!(bucket(f64::MAX) < bucket(f64::INFINITY) && bucket(f64::MIN) > bucket(f64::NEG_INFINITY));
    }

    #[test]
    fn the_median_is_the_middle_one_of_those_that_end() {
        let median_ms = |latencies_ms: &[f64]| {
            let mut counting = Counting::default();
            latencies_ms.iter().for_each(|latency_ms| counting.count(*latency_ms, true));
            counting.latencies().median().map(lower_edge_ms)
        };
        assert_eq!(median_ms(&[1.0, 2.0, 4.0]), Some(2.0));
        assert_eq!(median_ms(&[8.0, 4.0, 2.0, 1.0]), Some(4.0));
        assert_eq!(median_ms(&[f64::INFINITY, f64::INFINITY, 2.0]), Some(2.0));
        assert_eq!((median_ms(&[]), median_ms(&[f64::INFINITY])), (None, None));
    }
}
