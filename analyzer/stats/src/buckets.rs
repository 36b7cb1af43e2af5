//! How many values there are of about each size, for percentiles of more values than can be kept. Counts of parts add up.
//!
//! A bucket holds what agrees in sign, exponent and the first ten bits of the fraction: less than a thousandth of the value. Whole
//! numbers up to 2,048 have one each, and are its lower edge.

/// Bits of a number that buckets do not tell apart.
const DROPPED_BITS: u32 = 42;
/// Buckets that are counted side by side: those of one power of two.
const PAGE: usize = 1 << 10;

/// The buckets that have values, ascending, each with their number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buckets(Vec<(i32, u32)>);

/// Values that are counted.
#[derive(Clone, Debug, Default)]
pub struct Counting {
    /// By the bucket's upper bits, in order of first appearance: a few.
    pages: Vec<(i32, Box<[u32; PAGE]>)>,
}

impl Counting {
    /// One more finite value.
    pub fn add(&mut self, value: f64) {
        let bucket = bucket(value);
        let (upper, place) = (bucket >> PAGE.ilog2(), bucket as usize % PAGE);
        // Values that follow each other are often on one page, which is then the first.
        let page = match self.pages.iter().position(|(page, _)| *page == upper) {
            Some(page) => page,
            None => {
                self.pages.push((upper, Box::new([0; PAGE])));
                self.pages.len() - 1
            }
        };
        let count = self.pages.get_mut(page).and_then(|(_, counts)| counts.get_mut(place));
        count.into_iter().for_each(|count| *count = count.saturating_add(1));
    }

    /// What was counted.
    #[must_use]
    pub fn buckets(mut self) -> Buckets {
        self.pages.sort_unstable_by_key(|(upper, _)| *upper);
        let of_page = |(upper, counts): &(i32, Box<[u32; PAGE]>)| {
            let first = upper << PAGE.ilog2();
            let counts = (first..).zip(counts.iter().copied()).filter(|(_, count)| *count > 0);
            counts.collect::<Vec<_>>()
        };
        Buckets(self.pages.iter().flat_map(of_page).collect())
    }
}

impl Buckets {
    /// Takes in the values of another part.
    pub fn append(&mut self, other: &Self) {
        let mut both = Vec::with_capacity(self.0.len() + other.0.len());
        let (mut own, mut others) = (self.0.iter().copied().peekable(), other.0.iter().copied().peekable());
        loop {
            let next = match (own.peek(), others.peek()) {
                (Some(one), Some(two)) if one.0 == two.0 => {
                    let added = one.1.saturating_add(two.1);
                    others.next();
                    own.next().map(|(bucket, _)| (bucket, added))
                }
                (Some(one), Some(two)) if two.0 < one.0 => others.next(),
                (None, _) => others.next(),
                _ => own.next(),
            };
            match next {
                Some(next) => both.push(next),
                None => break,
            }
        }
        self.0 = both;
    }

    /// How many values there are.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.0.iter().map(|(_, count)| u64::from(*count)).sum()
    }

    /// The buckets that have values, ascending: the least value that each may hold, and how many there are.
    pub fn counts(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        self.0.iter().map(|(bucket, count)| (lower_edge(*bucket), u64::from(*count)))
    }

    /// The edges of the bucket that has the value at a place of their order, counted from 0: nothing where there are not so many.
    #[must_use]
    pub fn at(&self, place: u64) -> Option<(f64, f64)> {
        let mut before = 0;
        let found = self.0.iter().find(|(_, count)| {
            before += u64::from(*count);
            place < before
        })?;
        Some((lower_edge(found.0), upper_edge(found.0)))
    }

    /// Buckets by their numbers, with their counts.
    #[must_use]
    pub fn numbers(&self) -> &[(i32, u32)] {
        &self.0
    }

    /// Nothing where these are no counts of buckets in ascending order.
    #[must_use]
    pub fn of_numbers(numbers: Vec<(i32, u32)>) -> Option<Self> {
        let ascending = numbers.is_sorted_by(|one, other| one.0 < other.0);
        let possible = |(number, count): &(i32, u32)| {
            let edge = lower_edge(*number);
            *count > 0 && edge.is_finite() && bucket(edge) == *number
        };
        (ascending && numbers.iter().all(possible)).then_some(Self(numbers))
    }
}

/// The bucket of a value; buckets have the order of their values.
fn bucket(value: f64) -> i32 {
    // Both zeros are one.
    (ordered((value + 0.0).to_bits().cast_signed()) >> DROPPED_BITS) as i32
}

fn lower_edge(bucket: i32) -> f64 {
    number(i64::from(bucket) << DROPPED_BITS)
}

/// The greatest value that a bucket holds.
fn upper_edge(bucket: i32) -> f64 {
    number(((i64::from(bucket) + 1) << DROPPED_BITS) - 1)
}

/// Bits of numbers in the order of the numbers; its own inverse.
fn ordered(bits: i64) -> i64 {
    if bits < 0 { bits ^ i64::MAX } else { bits }
}

fn number(bits: i64) -> f64 {
    f64::from_bits(ordered(bits).cast_unsigned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_value() -> impl Strategy<Value = f64> {
        prop_oneof![
            (-3_000_i32..3_000).prop_map(f64::from),
            -1e3_f64..1e3,
            1.0_f64..60_000.0,
            Just(0.0),
            Just(-0.0),
            Just(f64::MAX),
            Just(f64::MIN),
            Just(f64::MIN_POSITIVE),
        ]
    }

    fn of(values: &[f64]) -> Buckets {
        let mut counting = Counting::default();
        values.iter().for_each(|value| counting.add(*value));
        counting.buckets()
    }

    proptest! {
        #[test]
        fn a_place_of_the_order_is_in_the_bucket_of_its_value(values in prop::collection::vec(any_value(), 1..200)) {
            let buckets = of(&values);
            let mut sorted = values.clone();
            sorted.sort_unstable_by(f64::total_cmp);
            for (place, value) in sorted.iter().enumerate() {
                let (low, high) = buckets.at(place as u64).unwrap_or((f64::NAN, f64::NAN));
                prop_assert!(low <= *value && *value <= high, "{value} in {low} to {high}");
                prop_assert!(high - low <= value.abs() / 1_000.0 || value.abs() < 1e-300, "{low} to {high}");
                if value.fract() == 0.0 && (0.0..=2_048.0).contains(value) {
                    prop_assert_eq!(low, *value);
                }
            }
            prop_assert_eq!(buckets.at(values.len() as u64), None);
            prop_assert_eq!(buckets.n(), values.len() as u64);
            prop_assert_eq!(Buckets::of_numbers(buckets.numbers().to_vec()), Some(buckets));
        }

        #[test]
        fn counts_of_parts_add_up(values in prop::collection::vec(any_value(), 0..200), cut in 0_usize..200) {
            let (one, other) = values.split_at(cut.min(values.len()));
            let mut parts = of(one);
            parts.append(&of(other));
            prop_assert_eq!(parts, of(&values));
        }
    }

    #[test]
    fn numbers_that_are_no_buckets_are_refused() {
        for damaged in [vec![(3, 1), (3, 1)], vec![(4, 1), (3, 1)], vec![(0, 0)], vec![(i32::MAX, 1)]] {
            assert_eq!(Buckets::of_numbers(damaged.clone()), None, "{damaged:?}");
        }
    }
}
