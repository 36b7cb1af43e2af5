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

#[test]
fn the_mixture_is_hardly_wider_than_the_bet_that_hindsight_would_choose() {
    let level = (2.0 / ALPHA).ln();
    for p in [0.01, 0.1, 0.5] {
        for n in [300_usize, 1_000, 5_000, 20_000, 100_000, 1_000_000] {
            let ones = (p * n as f64).round();
            let values: Vec<f64> = (0..n).map(|index| f64::from(u8::from((index as f64) < ones))).collect();
            let found = betting(&values, ALPHA).unwrap();
            // The least mean that no single bet rules out: each bet has the whole capital.
            let best = |m: f64| {
                let log =
                    |bet: f64| ones * (bet * (1.0 - m)).ln_1p() + (n as f64 - ones) * (-bet * m).ln_1p();
                (1..2_000).map(|step| log(0.9 / m * 0.99_f64.powi(step))).fold(0.0_f64, f64::max)
            };
            let (mut below, mut above) = (1e-9, p);
            for _ in 0..40 {
                let middle = (below + above) / 2.0;
                if best(middle) >= level { below = middle } else { above = middle }
            }
            let ratio = (p - found.low) / (p - below);
            println!("{p} of {n} flags: {ratio:.3} of the width below the mean");
            assert!((0.999..1.3).contains(&ratio), "{p} of {n}: {ratio}");
        }
    }
}
