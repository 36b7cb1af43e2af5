//! Sums that means and variances are made from.
//!
//! Two passes over the slice (mean first, then squared deviations), which keeps full precision for values that are
//! large against their spread. Sums of parts add up to those of the whole (T. Chan, G. Golub, R. LeVeque, "Updating formulae and a
//! pairwise algorithm for computing sample variances", 1979, equation 2.1), up to rounding.

/// Mean and squared deviations of one column.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    /// Number of values.
    pub n: usize,
    /// Mean; 0 without values.
    pub mean: f64,
    /// Sum of squared deviations from the mean.
    pub squares: f64,
}

/// Means, squared deviations and their product of two columns.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PairMoments {
    /// The first of each pair.
    pub first: Moments,
    /// The second of each pair.
    pub second: Moments,
    /// Sum of products of the deviations.
    pub products: f64,
}

/// The mean of values; 0 without values.
pub fn mean(values: impl Iterator<Item = f64>) -> f64 {
    counted(values).1
}

/// How many there are, and their mean.
fn counted(values: impl Iterator<Item = f64>) -> (usize, f64) {
    let (n, sum) = values.fold((0_usize, 0.0), |(n, sum), value| (n + 1, sum + value));
    (n, if n == 0 { 0.0 } else { sum / n as f64 })
}

impl Moments {
    /// Of the values of an iterator that can be run twice.
    pub fn of<I: Iterator<Item = f64> + Clone>(values: I) -> Self {
        let (n, mean) = counted(values.clone());
        if n == 0 {
            return Self::default();
        }
        let squares = values.map(|value| (value - mean) * (value - mean)).sum();
        Self { n, mean, squares }
    }

    /// Unbiased variance; 0 below two values.
    #[must_use]
    pub fn variance(&self) -> f64 {
        if self.n < 2 { 0.0 } else { self.squares / (self.n - 1) as f64 }
    }

    /// Takes in the values of another part.
    pub fn append(&mut self, other: &Self) {
        let (distance, share) = self.apart(other);
        self.squares += other.squares + distance * distance * share * self.n as f64;
        self.mean += distance * share;
        self.n += other.n;
    }

    /// How far the other's mean is from this one, and the other's share of all values.
    fn apart(&self, other: &Self) -> (f64, f64) {
        (other.mean - self.mean, other.n as f64 / (self.n + other.n).max(1) as f64)
    }
}

impl PairMoments {
    /// Of pairs.
    #[must_use]
    pub fn of(pairs: &[(f64, f64)]) -> Self {
        let first = Moments::of(pairs.iter().map(|pair| pair.0));
        let second = Moments::of(pairs.iter().map(|pair| pair.1));
        let products = pairs.iter().map(|&(x, y)| (x - first.mean) * (y - second.mean)).sum();
        Self { first, second, products }
    }

    /// Takes in the pairs of another part.
    pub fn append(&mut self, other: &Self) {
        let (of_first, share) = self.first.apart(&other.first);
        let (of_second, _) = self.second.apart(&other.second);
        self.products += other.products + of_first * of_second * share * self.first.n as f64;
        self.first.append(&other.first);
        self.second.append(&other.second);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn moments_of_parts_add_up_to_those_of_the_whole(
            pairs in prop::collection::vec((900.0_f64..1_100.0, -3.0_f64..3.0), 0..60),
            cuts in prop::collection::vec(0_usize..60, 0..4),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(pairs.len())).chain([0, pairs.len()]).collect();
            cuts.sort_unstable();
            let mut sums = PairMoments::default();
            for ends in cuts.windows(2) {
                sums.append(&PairMoments::of(&pairs[ends[0]..ends[1]]));
            }
            let whole = PairMoments::of(&pairs);
            prop_assert_eq!((sums.first.n, sums.second.n), (whole.first.n, whole.second.n));
            let close = |one: f64, other: f64| (one - other).abs() <= 1e-9 * other.abs().max(1.0);
            prop_assert!(close(sums.first.mean, whole.first.mean) && close(sums.second.mean, whole.second.mean));
            prop_assert!(close(sums.first.squares, whole.first.squares), "{} {}", sums.first.squares, whole.first.squares);
            prop_assert!(close(sums.second.squares, whole.second.squares));
            prop_assert!(close(sums.products, whole.products), "{} {}", sums.products, whole.products);
        }
    }
}
