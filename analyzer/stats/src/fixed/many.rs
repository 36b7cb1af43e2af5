//! Many tests at once.

/// Holm's adjusted p values, in the order given: rejecting those at or below alpha keeps the chance of any false rejection at alpha,
/// however the tests depend on each other.
///
/// Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979).
#[must_use]
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<(usize, f64)> = p.iter().copied().enumerate().collect();
    order.sort_by(|left, right| left.1.total_cmp(&right.1));
    let mut adjusted = vec![1.0; p.len()];
    let mut least: f64 = 0.0;
    for (rank, (place, value)) in order.into_iter().enumerate() {
        least = least.max((value * (p.len() - rank) as f64).min(1.0));
        if let Some(slot) = adjusted.get_mut(place) {
            *slot = least;
        }
    }
    adjusted
}

/// The e-Benjamini-Hochberg procedure: which hypotheses fall at a false discovery rate of alpha, however the e-values depend on each
/// other.
///
/// Source: R. Wang, A. Ramdas, "False discovery rate control with e-values", JRSS B 84 (2022): the greatest k for which the k
/// greatest e-values are all at least `m / (k alpha)`.
#[must_use]
pub fn e_benjamini_hochberg(e: &[f64], alpha: f64) -> Vec<bool> {
    let mut order = e.to_vec();
    order.sort_by(|left, right| right.total_cmp(left));
    let needed = |k: usize| e.len() as f64 / (k as f64 * alpha);
    let most = order
        .iter()
        .enumerate()
        .filter(|(at, value)| **value >= needed(at + 1))
        .map(|(at, _)| at + 1)
        .next_back();
    e.iter().map(|value| most.is_some_and(|k| *value >= needed(k))).collect()
}
