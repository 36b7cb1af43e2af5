//! Sums that comparisons of means are made from, and that add up: those of two parts of the values give those of both, up to
//! rounding, so that what is closed need not be looked at again.
//!
//! Values that are no finite numbers, or outside their bounds, are the caller's to leave out or to count.

use crate::moments::{Moments, PairMoments};

/// Intervals between the points of a [`Grid`].
const INTERVALS: usize = 1024;

/// How many values in 0 to 1 there are near each of 1,025 points at equal distances.
///
/// A value between two points is shared out to both in parts that keep its place; whole parts of 1,024 stay what they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grid(Vec<(u16, f64)>);

/// What is to be known of a column of values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Column {
    /// Their number, mean and squared deviations.
    pub moments: Moments,
    /// Sum of their sizes, `|value|`.
    pub sizes: f64,
    /// Where they lie between their bounds; empty where there are none.
    pub grid: Grid,
}

/// What is to be known of pairs of values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PairSums {
    /// Of both columns, and their products.
    pub moments: PairMoments,
    /// Of the second minus the first.
    pub differences: Moments,
    /// Sums of the sizes of the first and of the second.
    pub sizes: (f64, f64),
    /// Where differences lie between the least and the greatest possible one; empty where values have no bounds.
    pub grid: Grid,
}

/// A column that is added up value by value.
#[derive(Clone, Debug, Default)]
pub struct ColumnAdder {
    near: Near,
    sizes: f64,
    grid: Grid,
}

/// Pairs that are added up one by one.
#[derive(Clone, Debug, Default)]
pub struct PairAdder {
    first: Near,
    second: Near,
    differences: Near,
    products: f64,
    sizes: (f64, f64),
    grid: Grid,
}

/// Sums of what values differ by from the first one, which is near enough to their mean to lose few digits.
#[derive(Clone, Copy, Debug, Default)]
struct Near {
    n: usize,
    first: f64,
    sum: f64,
    squares: f64,
}

impl Near {
    /// One more value; how far it is from the first.
    fn add(&mut self, value: f64) -> f64 {
        if self.n == 0 {
            self.first = value;
        }
        let off = value - self.first;
        self.n += 1;
        self.sum += off;
        self.squares += off * off;
        off
    }

    fn moments(&self) -> Moments {
        let mean_off = self.sum / self.n.max(1) as f64;
        let squares = (self.squares - self.sum * mean_off).max(0.0);
        Moments { n: self.n, mean: self.first + mean_off, squares }
    }
}

impl ColumnAdder {
    /// One more finite value, and where it lies between its bounds, 0 to 1, where it has any.
    pub fn add(&mut self, value: f64, within: Option<f64>) {
        self.near.add(value);
        self.sizes += value.abs();
        within.into_iter().for_each(|within| self.grid.add(within));
    }

    /// What was added up.
    #[must_use]
    pub fn column(self) -> Column {
        Column { moments: self.near.moments(), sizes: self.sizes, grid: self.grid }
    }
}

impl PairAdder {
    /// One more pair of finite values, and where its difference lies between the least and the greatest possible one, 0 to 1, where
    /// there are such.
    pub fn add(&mut self, (first, second): (f64, f64), within: Option<f64>) {
        self.products += self.first.add(first) * self.second.add(second);
        self.differences.add(second - first);
        self.sizes.0 += first.abs();
        self.sizes.1 += second.abs();
        within.into_iter().for_each(|within| self.grid.add(within));
    }

    /// What was added up.
    #[must_use]
    pub fn pairs(self) -> PairSums {
        let products = self.products - self.first.sum * self.second.sum / self.first.n.max(1) as f64;
        PairSums {
            moments: PairMoments { first: self.first.moments(), second: self.second.moments(), products },
            differences: self.differences.moments(),
            sizes: self.sizes,
            grid: self.grid,
        }
    }
}

impl Grid {
    /// One more value; what is outside 0 to 1 counts as the nearer end.
    pub fn add(&mut self, value: f64) {
        let place = value.clamp(0.0, 1.0) * INTERVALS as f64;
        let below = place as u16;
        let above = place - f64::from(below);
        self.weigh(below, 1.0 - above);
        if above > 0.0 {
            self.weigh(below + 1, above);
        }
    }

    /// Takes in the values of another part.
    pub fn append(&mut self, other: &Self) {
        other.0.iter().for_each(|(point, weight)| self.weigh(*point, *weight));
    }

    /// The points that have values, ascending, each in 0 to 1 with its weight.
    pub fn points(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.0.iter().map(|(point, weight)| (f64::from(*point) / INTERVALS as f64, *weight))
    }

    /// The places of the points that have values, ascending, each with its weight.
    #[must_use]
    pub fn weights(&self) -> &[(u16, f64)] {
        &self.0
    }

    /// Nothing where these are no weights of points in ascending order.
    #[must_use]
    pub fn of_weights(weights: Vec<(u16, f64)>) -> Option<Self> {
        let ascending = weights.is_sorted_by(|one, other| one.0 < other.0);
        let inside = weights.last().is_none_or(|(point, _)| usize::from(*point) <= INTERVALS);
        let whole = weights.iter().all(|(_, weight)| weight.is_finite() && *weight > 0.0);
        (ascending && inside && whole).then_some(Self(weights))
    }

    fn weigh(&mut self, point: u16, weight: f64) {
        match self.0.binary_search_by_key(&point, |(known, _)| *known) {
            Ok(place) => self.0.get_mut(place).into_iter().for_each(|(_, known)| *known += weight),
            Err(place) => self.0.insert(place, (point, weight)),
        }
    }
}

impl Column {
    /// Takes in the values of another part.
    pub fn append(&mut self, other: &Self) {
        self.moments.append(&other.moments);
        self.sizes += other.sizes;
        self.grid.append(&other.grid);
    }
}

impl PairSums {
    /// Takes in the pairs of another part.
    pub fn append(&mut self, other: &Self) {
        self.moments.append(&other.moments);
        self.differences.append(&other.differences);
        self.sizes.0 += other.sizes.0;
        self.sizes.1 += other.sizes.1;
        self.grid.append(&other.grid);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_grid_keeps_number_and_mean_and_parts_add_up(
            values in prop::collection::vec(prop_oneof![Just(0.0), Just(0.5), Just(1.0), 0.0_f64..=1.0], 1..80),
            cut in 0_usize..80,
        ) {
            let of = |values: &[f64]| {
                let mut grid = Grid::default();
                values.iter().for_each(|value| grid.add(*value));
                grid
            };
            let (whole, cut) = (of(&values), cut.min(values.len()));
            let n: f64 = whole.points().map(|(_, weight)| weight).sum();
            let sum: f64 = whole.points().map(|(point, weight)| point * weight).sum();
            prop_assert!((n - values.len() as f64).abs() < 1e-9);
            prop_assert!((sum - values.iter().sum::<f64>()).abs() < 1e-9);
            let (one, other) = values.split_at(cut);
            let mut parts = of(one);
            parts.append(&of(other));
            prop_assert_eq!(parts.weights().len(), whole.weights().len());
            for (part, whole) in parts.weights().iter().zip(whole.weights()) {
                prop_assert!(part.0 == whole.0 && (part.1 - whole.1).abs() < 1e-9);
            }
            prop_assert_eq!(Grid::of_weights(whole.weights().to_vec()), Some(whole));
        }
    }

    #[test]
    fn weights_that_are_no_grid_are_refused() {
        for damaged in [
            vec![(3, 1.0), (3, 1.0)],
            vec![(4, 1.0), (3, 1.0)],
            vec![(1_025, 1.0)],
            vec![(0, f64::NAN)],
            vec![(0, 0.0)],
        ] {
            assert_eq!(Grid::of_weights(damaged.clone()), None, "{damaged:?}");
        }
        let mut outside = Grid::default();
        [-1.0, 2.0].into_iter().for_each(|value| outside.add(value));
        assert_eq!(outside.weights(), [(0, 1.0), (1_024, 1.0)]);
    }
}
