//! Ranks with ties at their average.

/// The average ranks of values, from 1, in the values' order.
pub(super) fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<(usize, f64)> = values.iter().copied().enumerate().collect();
    order.sort_by(|left, right| left.1.total_cmp(&right.1));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0.0;
    for tied in order.chunk_by(|left, right| left.1 == right.1) {
        let count = tied.len() as f64;
        for (place, _) in tied {
            if let Some(rank) = ranks.get_mut(*place) {
                *rank = before + (count + 1.0) / 2.0;
            }
        }
        before += count;
    }
    ranks
}

/// `sum(t^3 - t)` over groups of `t` tied values.
pub(super) fn ties(values: &[f64]) -> f64 {
    let sorted = super::sorted(values);
    let cubes = sorted.chunk_by(|left, right| left == right).map(|tied| tied.len() as f64);
    cubes.map(|count| count * count * count - count).sum()
}
