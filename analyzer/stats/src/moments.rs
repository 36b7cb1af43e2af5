//! Sums that means and variances are made from.
//!
//! Two passes over the slice (mean first, then squared deviations), which keeps full precision for values that are
//! large against their spread.

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
}
