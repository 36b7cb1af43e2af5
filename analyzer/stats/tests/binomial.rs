//! Exact binomial intervals against scipy (`reference/binomial.py`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use weir_stats::binomial::exact_interval;

#[test]
fn intervals_agree_with_scipy_to_ten_digits() {
    let text = include_str!("reference/binomial.json");
    let rows: Vec<(u64, u64, f64, f64, f64)> = serde_json::from_str(text).unwrap();
    assert!(rows.len() > 30);
    for (events, trials, alpha, low, high) in rows {
        let found = exact_interval(events, trials, alpha).unwrap();
        for (found, expected) in [(found.0, low), (found.1, high), (1.0 - found.1, 1.0 - high)] {
            let off = (found - expected).abs() / expected.abs().max(1e-9);
            assert!(off < 1e-8, "{events} of {trials} at {alpha}: {found} instead of {expected}");
        }
    }
}

#[test]
fn what_is_no_count_is_refused() {
    assert!(exact_interval(0, 0, 0.05).is_err());
    assert!(exact_interval(3, 2, 0.05).is_err());
    assert!(exact_interval(1, 2, 0.0).is_err());
}
