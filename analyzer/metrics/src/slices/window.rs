//! Time cut into slices of equal width, at round times: a slice stays the same while others come.

use crate::exchange::APART_US_MAX;

/// Slices of a look at most; more of them are made wider. Fewer where they would have few legs each: putting a slice to the others
/// costs about as much as looking at some thousand legs.
const SLICES_MAX: usize = 64;
const SLICES_MIN: usize = 8;
const SLICE_LEGS: usize = 1 << 16;
const MINUTE_US: i64 = 60_000_000;
/// Widths, each a divisor of a later one or of a day.
const WIDTHS_MINUTES: [i64; 12] = [1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 720, 1_440];
/// Legs of exchanges that began in a window may begin so much before or after it.
pub(super) const MARGIN_US: i64 = APART_US_MAX;

/// From a time on, up to before another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Window {
    pub(super) from_us: i64,
    pub(super) until_us: i64,
}

impl Window {
    /// Windows that hold every time from the first to the last one, for so many legs.
    pub(super) fn all(first_us: i64, last_us: i64, legs: usize) -> Vec<Self> {
        let width_us = width_us(first_us, last_us, legs);
        let (first, last) = (first_us.div_euclid(width_us), last_us.div_euclid(width_us));
        // Both ends from places, so that windows follow each other at the ends of time as well.
        let begin_us = |place: i64| place.saturating_mul(width_us);
        let window =
            |place: i64| Self { from_us: begin_us(place), until_us: begin_us(place.saturating_add(1)) };
        (first..=last).map(window).collect()
    }

    pub(super) fn holds(self, ts_us: i64) -> bool {
        (self.from_us..self.until_us).contains(&ts_us)
    }

    /// The window with what legs of its exchanges may be off.
    pub(super) fn with_margin(self) -> Self {
        Self {
            from_us: self.from_us.saturating_sub(MARGIN_US),
            until_us: self.until_us.saturating_add(MARGIN_US),
        }
    }

    /// Whether any time from the first to the last one is in it.
    pub(super) fn meets(self, first_us: i64, last_us: i64) -> bool {
        first_us < self.until_us && last_us >= self.from_us
    }
}

/// The least of the widths with which there are few enough slices; twice as many legs may make it another one.
fn width_us(first_us: i64, last_us: i64, legs: usize) -> i64 {
    let most = (legs / SLICE_LEGS).next_power_of_two().clamp(SLICES_MIN, SLICES_MAX);
    let few = |width_us: &i64| {
        let slices = last_us.div_euclid(*width_us).saturating_sub(first_us.div_euclid(*width_us));
        usize::try_from(slices).is_ok_and(|slices| slices < most)
    };
    let days = std::iter::successors(Some(2 * 1_440), |minutes: &i64| minutes.checked_mul(2));
    let widths = WIDTHS_MINUTES.into_iter().chain(days).map_while(|minutes| minutes.checked_mul(MINUTE_US));
    widths.into_iter().find(few).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn windows_follow_each_other_and_hold_every_time(
            first_us in -(1_i64 << 60)..1 << 60,
            span_us in 0_i64..1 << 60,
            legs in 0_usize..1 << 40,
        ) {
            let last_us = first_us.saturating_add(span_us);
            let windows = Window::all(first_us, last_us, legs);
            prop_assert!((1..=64).contains(&windows.len()), "{}", windows.len());
            prop_assert!(windows[0].from_us <= first_us && windows.last().unwrap().until_us >= last_us);
            for both in windows.windows(2) {
                prop_assert_eq!(both[0].until_us, both[1].from_us);
            }
        }
    }

    #[test]
    fn a_later_look_has_the_same_windows_and_one_more() {
        let start_us = 1_790_000_000_000_000;
        let hour_us = 60 * MINUTE_US;
        let all = |until_us: i64| Window::all(start_us, until_us, 10_000_000);
        let (one, other) = (all(start_us + 10 * hour_us), all(start_us + 10 * hour_us + 8 * MINUTE_US));
        let few = Window::all(start_us, start_us + 10 * hour_us, 1_000_000);
        assert_eq!((one.len(), few.len()), (61, 11));
        assert_eq!(one[0].until_us - one[0].from_us, 10 * MINUTE_US);
        assert_eq!(one[..], other[..one.len()]);
        assert_eq!(other.len(), one.len() + 1);
        let window = one[3];
        assert!(window.holds(window.from_us) && !window.holds(window.until_us));
        assert!(window.meets(window.until_us - 1, i64::MAX) && !window.meets(window.until_us, i64::MAX));
        assert!(window.meets(0, window.from_us) && !window.meets(0, window.from_us - 1));
    }
}
