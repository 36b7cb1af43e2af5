//! Values that come in clusters: several requests of one identity say less than as many of different ones.
//!
//! The design effect is the factor by which clustering raises the variance of a mean (L. Kish, "Survey Sampling", 1965,
//! section 5.4). `n` values with effect `d` are worth `n / d` independent ones, so a capital is worth its `d`-th root: a
//! sequence at [`tempered`] alpha is about as wide as one over the independent values. The effect is estimated, so this holds
//! to first order and not at every n; the tests of `weir-gate` simulate it.

use std::collections::BTreeMap;

use crate::real::{exp, ln};

/// Below this number of clusters their variance is not trusted, and values of a cluster count as copies.
const CLUSTERS_MIN: usize = 10;
/// No error probability below this is asked for.
const ALPHA_MIN: f64 = 1e-290;

/// Design effect of a mean, at least 1, of groups of values with the number of the cluster that each is of; residuals are
/// taken from each group's own mean.
///
/// `d = G / (G - 1) * sum_c (sum_i r_ci)^2 / sum r^2`: the ratio of the clustered to the plain variance.
///
/// Limit: values that never vary say nothing about their correlation, and count as independent: that no request of sixty
/// identities failed is taken for as many requests, not for sixty. Fewer than ten clusters count once each.
///
/// Cluster numbers are dense: the greatest is about their count.
///
/// `clusters` is room for them; what it held does not matter.
#[must_use]
pub fn design_effect<G: Iterator<Item = (f64, u32)> + Clone>(
    clusters: &mut Sums,
    groups: impl IntoIterator<Item = G> + Clone,
) -> f64 {
    clusters.clear();
    let (mut all, mut plain) = (0_usize, 0.0);
    for group in groups.clone() {
        let start = (0_usize, 0.0, 0);
        let (n, sum, last) = group
            .clone()
            .fold(start, |(n, sum, last), (value, cluster)| (n + 1, sum + value, last.max(cluster)));
        if n == 0 {
            continue;
        }
        clusters.reach(last as usize);
        let mean = sum / n as f64;
        all += n;
        for (value, cluster) in group {
            let residual = value - mean;
            plain += residual * residual;
            clusters.add(cluster as usize, residual);
        }
    }
    let n = all as f64;
    let used = clusters.used();
    if used < CLUSTERS_MIN {
        // The effect of copies: sum of squared sizes over n.
        let mut sizes: BTreeMap<u32, f64> = BTreeMap::new();
        for (_, cluster) in groups.into_iter().flatten() {
            *sizes.entry(cluster).or_default() += 1.0;
        }
        let squares: f64 = sizes.values().map(|size| size * size).sum();
        return (squares / n.max(1.0)).max(1.0);
    }
    let correction = used as f64 / (used as f64 - 1.0);
    let between = correction * clusters.residuals.iter().map(|sum| sum * sum).sum::<f64>();
    let effect = if plain > 0.0 { between / plain } else { 1.0 };
    if effect.is_finite() { effect.clamp(1.0, n.max(1.0)) } else { n.max(1.0) }
}

/// Room for the sums of clusters. As small as can be: they are looked for in no order, and each that is not near to the processor costs
/// as much as everything else that is done with a value.
#[derive(Debug, Default)]
pub struct Sums {
    residuals: Vec<f64>,
    /// A bit for each cluster that has values.
    used: Vec<u64>,
}

impl Sums {
    fn clear(&mut self) {
        self.residuals.clear();
        self.used.clear();
    }

    /// Makes room up to a cluster.
    fn reach(&mut self, last: usize) {
        if self.residuals.len() <= last {
            self.residuals.resize(last + 1, 0.0);
            self.used.resize(last / 64 + 1, 0);
        }
    }

    fn add(&mut self, cluster: usize, residual: f64) {
        if let (Some(sum), Some(bits)) = (self.residuals.get_mut(cluster), self.used.get_mut(cluster / 64)) {
            *sum += residual;
            *bits |= 1 << (cluster % 64);
        }
    }

    fn used(&self) -> usize {
        self.used.iter().map(|bits| bits.count_ones() as usize).sum()
    }
}

/// `alpha` to the power of a design effect: what a sequence over clustered values has to be asked for.
#[must_use]
pub fn tempered(alpha: f64, effect: f64) -> f64 {
    exp(effect.max(1.0) * ln(alpha)).max(ALPHA_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effect(values: &[(f64, u32)]) -> f64 {
        design_effect(&mut Sums::default(), [values.iter().copied()])
    }

    /// Two values in each of twenty clusters: copies, opposites, unrelated.
    fn pairs(second: impl Fn(usize, f64) -> f64) -> Vec<(f64, u32)> {
        (0..20_u32)
            .flat_map(|cluster| {
                let first = if cluster % 2 == 0 { 1.0 } else { -1.0 };
                [(first, cluster), (second(cluster as usize, first), cluster)]
            })
            .collect()
    }

    #[test]
    fn copies_count_once_and_opposites_are_no_gain() {
        let close =
            |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        close(effect(&pairs(|_, first| first)), 2.0 * 20.0 / 19.0);
        close(effect(&pairs(|_, first| -first)), 1.0);
        let unrelated = pairs(|cluster, _| if cluster % 4 < 2 { 1.0 } else { -1.0 });
        close(effect(&unrelated), 20.0 / 19.0);
    }

    #[test]
    fn few_clusters_count_as_copies_and_values_that_never_vary_as_independent() {
        let constant: Vec<(f64, u32)> = (0..60).map(|index| (0.0, index / 3)).collect();
        assert!((effect(&constant) - 1.0).abs() < 1e-9);
        let few: Vec<(f64, u32)> = (0..12).map(|index| (f64::from(index % 2), index / 4)).collect();
        assert!((effect(&few) - 4.0).abs() < 1e-9);
        assert!((effect(&[]) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_tempered_alpha_is_a_power() {
        assert!((tempered(0.05, 2.0) - 0.0025).abs() < 1e-12);
        assert!((tempered(0.05, 0.5) - 0.05).abs() < 1e-12);
        assert!(tempered(1e-3, 1e6) > 0.0);
    }
}
