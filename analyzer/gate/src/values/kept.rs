//! Numbers as columns keep them: in one, two, four or eight bytes, each form including the ones before it.

/// Parts of one that four bytes count.
const THOUSAND: f64 = 1_000.0;

/// How wide a form is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Width {
    Byte,
    Short,
    Thousandth,
    Double,
}

/// A number as a form keeps it.
pub(super) trait Kept: Copy {
    /// What comes back as the number itself, bit for bit; nothing where it does not fit.
    fn of(value: f64) -> Option<Self>;

    fn value(self) -> f64;
}

impl Width {
    /// The narrowest that holds the number.
    pub(super) fn of(value: f64) -> Self {
        if u8::of(value).is_some() {
            Self::Byte
        } else if u16::of(value).is_some() {
            Self::Short
        } else if u32::of(value).is_some() {
            Self::Thousandth
        } else {
            Self::Double
        }
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // what is not the same when it comes back does not fit
impl Kept for u8 {
    fn of(value: f64) -> Option<Self> {
        fitting(value as Self, Self::MAX, value)
    }

    fn value(self) -> f64 {
        if self == Self::MAX { f64::NAN } else { f64::from(self) }
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // what is not the same when it comes back does not fit
impl Kept for u16 {
    fn of(value: f64) -> Option<Self> {
        fitting(value as Self, Self::MAX, value)
    }

    fn value(self) -> f64 {
        if self == Self::MAX { f64::NAN } else { f64::from(self) }
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // what is not the same when it comes back does not fit
impl Kept for u32 {
    fn of(value: f64) -> Option<Self> {
        fitting((value * THOUSAND).round() as Self, Self::MAX, value)
    }

    fn value(self) -> f64 {
        if self == Self::MAX { f64::NAN } else { f64::from(self) / THOUSAND }
    }
}

impl Kept for f64 {
    fn of(value: f64) -> Option<Self> {
        Some(value)
    }

    fn value(self) -> f64 {
        self
    }
}

/// The values that are kept, in memory that they fill. Every value is written, and one that is not kept overwritten by the next:
/// which ones are kept cannot be foretold, and a wrong guess of the processor costs more than a write.
pub(crate) fn chosen<T: Copy + Default>(values: &[T], kept: &[bool]) -> Vec<T> {
    let count = values.iter().zip(kept).filter(|(_, kept)| **kept).count();
    let mut chosen = Vec::with_capacity(count + 1);
    chosen.resize(count + 1, T::default());
    let mut next = 0;
    for (value, kept) in values.iter().zip(kept) {
        if let Some(place) = chosen.get_mut(next) {
            *place = *value;
        }
        next += usize::from(*kept);
    }
    chosen.truncate(count);
    chosen
}

/// The number as it is kept, where it comes back the same.
fn fitting<T: Kept>(kept: T, nan: T, value: f64) -> Option<T> {
    if value.is_nan() {
        return Some(nan);
    }
    (kept.value().to_bits() == value.to_bits()).then_some(kept)
}

/// Whether two numbers are the same to the bit, all NaN being alike.
pub(super) fn alike(one: f64, other: f64) -> bool {
    one.to_bits() == other.to_bits() || one.is_nan() && other.is_nan()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn what_is_kept_stays_in_order_whatever_is_kept() {
        let numbers = [1_u32, 2, 3, 4, 5];
        for bits in 0_u32..32 {
            for known in 0..=numbers.len() {
                let kept: Vec<bool> = (0..known).map(|at| bits >> at & 1 == 1).collect();
                let expected: Vec<u32> =
                    numbers.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(number, _)| *number).collect();
                assert_eq!(chosen(&numbers, &kept), expected, "{kept:?}");
            }
        }
    }
}
