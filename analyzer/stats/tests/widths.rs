//! Which sequence is narrower, and by how much: why betting is the one in use.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::Random;
use weir_stats::bounded::{betting, empirical_bernstein};

/// One gate of seven, paired half.
const ALPHA: f64 = 0.05 / 7.0 / 2.0;

#[test]
fn betting_is_much_narrower_for_values_that_never_vary() {
    for n in [100, 300, 600] {
        // Equal flags: the scaled difference is always a half.
        let values = vec![0.5; n];
        let (bet, bernstein) =
            (betting(&values, ALPHA).unwrap(), empirical_bernstein(&values, ALPHA).unwrap());
        let ratio = bet.width() / bernstein.width();
        println!(
            "n = {n}: half width of the difference {:.4}, Bernstein {:.4}, ratio {ratio:.2}",
            bet.width(),
            bernstein.width()
        );
        assert!(ratio < 0.65, "n = {n}: {ratio}");
        // 2 ln(2 / alpha) / (1.8 n): what no test of a bounded mean can beat by much; 10 % for the mixture.
        let ideal = 2.0 * (2.0 / ALPHA).ln() / (1.8 * n as f64);
        assert!(bet.width() / ideal < 1.2, "n = {n}: {} against {ideal}", bet.width());
    }
}

#[test]
fn betting_is_hardly_wider_for_values_that_vary() {
    for (name, p, n) in [
        ("1 % of flags", 0.01, 1_000),
        ("half of the flags", 0.5, 1_000),
        ("half of many flags", 0.5, 20_000),
    ] {
        let mut widths = (0.0, 0.0);
        for seed in 1..=10 {
            let mut random = Random(seed);
            let values: Vec<f64> = (0..n).map(|_| random.flag(p)).collect();
            widths.0 += betting(&values, ALPHA).unwrap().width();
            widths.1 += empirical_bernstein(&values, ALPHA).unwrap().width();
        }
        let ratio = widths.0 / widths.1;
        let errors = widths.0 / 20.0 / (p * (1.0 - p) / n as f64).sqrt();
        println!("{name}, n = {n}: half width {errors:.2} standard errors, ratio to Bernstein {ratio:.2}");
        assert!(ratio < 1.15, "{name}: {ratio}");
    }
}
