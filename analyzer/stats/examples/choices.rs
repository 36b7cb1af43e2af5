//! What two corrections would gain that Weir does without: covariate adjustment by a pre-period, and weights instead of thinning.
//! ARCHITECTURE.md quotes the figures.
//!
//! `cargo run --release -p weir-stats --example choices [RUNS]` (400 without); the same RUNS give the same output.

/// SplitMix64 (S. Vigna, public domain).
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.unit()).ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }
}

fn main() {
    let runs = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(400);
    adjustment(runs);
    weights(runs);
}

/// Standard errors of a difference of means over identities, adjusted by the mean of each identity's values of a pre-period with the
/// best coefficient there is (chosen with hindsight, so that a predictable one gains less), over those without adjustment.
fn adjustment(runs: u64) {
    println!("pre-period: standard error with adjustment over that without, {runs} runs of 800 identities");
    println!("{:>34} {:>10} {:>10} {:>10}", "correlation within an identity", "1 request", "3", "10");
    for likeness in [0.05, 0.2, 0.5] {
        let cells: Vec<String> = [1, 3, 10]
            .into_iter()
            .map(|requests| {
                let ratios: f64 = (0..runs).map(|run| adjusted(&mut Random(run), likeness, requests)).sum();
                format!("{:>10.3}", ratios / runs as f64)
            })
            .collect();
        println!("{likeness:>34} {}", cells.join(" "));
    }
}

fn adjusted(random: &mut Random, likeness: f64, requests: usize) -> f64 {
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for _ in 0..800 {
        let user = random.normal() * f64::sqrt(likeness);
        let mut mean = || {
            let noise = (0..requests).map(|_| random.normal()).sum::<f64>() / requests as f64;
            user + noise * (1.0 - likeness).sqrt()
        };
        let (before, after) = (mean(), mean());
        (xx, xy, yy) = (xx + before * before, xy + before * after, yy + after * after);
    }
    f64::sqrt(1.0 - xy * xy / (xx * yy))
}

/// Chance of capture of a request that failed or did not, from a number in 0 to 1 of its own.
type Chance = fn(bool, f64) -> f64;

/// Root mean square errors of an estimated mean by thinning to the least chance, over those by weights (Hajek).
fn weights(runs: u64) {
    println!(
        "\nunequal chances: error of a mean by thinning over that by weights, {runs} runs of 40,000 requests"
    );
    let cases: [(&str, Chance); 4] = [
        ("one in twenty always, others 10 %", |_, own| if own < 0.05 { 1.0 } else { 0.1 }),
        ("half always, others 10 %", |_, own| if own < 0.5 { 1.0 } else { 0.1 }),
        ("failures always, others 10 %", |failed, _| if failed { 1.0 } else { 0.1 }),
        ("failures always, others 1 %", |failed, _| if failed { 1.0 } else { 0.01 }),
    ];
    println!("{:>34} {:>10} {:>10}", "captured", "failures", "a score");
    for (name, chance) in cases {
        let mut squares = [[0.0; 2]; 2];
        for run in 0..runs {
            for (squares, errors) in squares.iter_mut().zip(errors(&mut Random(run), chance)) {
                for (square, error) in squares.iter_mut().zip(errors) {
                    *square += error * error;
                }
            }
        }
        let [[thin_flag, flag], [thin_score, score]] = squares;
        println!("{name:>34} {:>10.2} {:>10.2}", f64::sqrt(thin_flag / flag), f64::sqrt(thin_score / score));
    }
}

/// Errors of the share of failures (2 % in truth) and of the mean score (0 in truth), each by thinning and by weights.
fn errors(random: &mut Random, chance: Chance) -> [[f64; 2]; 2] {
    let least = chance(false, 1.0);
    // Sums of weights, of failures and of scores; thinned first, weighted second.
    let mut sums = [[0.0; 3]; 2];
    for _ in 0..40_000 {
        let (failed, own, score) = (random.unit() < 0.02, random.unit(), random.normal());
        let chance = chance(failed, own);
        let (captured, kept) = (random.unit() < chance, random.unit() * chance < least);
        if !captured {
            continue;
        }
        let flag = f64::from(u8::from(failed));
        for (sums, weight) in sums.iter_mut().zip([f64::from(u8::from(kept)), 1.0 / chance]) {
            for (sum, part) in sums.iter_mut().zip([weight, weight * flag, weight * score]) {
                *sum += part;
            }
        }
    }
    let mean = |[weight, flags, scores]: [f64; 3]| [flags / weight - 0.02, scores / weight];
    let [thinned, weighted] = sums;
    let ([thin_flag, thin_score], [flag, score]) = (mean(thinned), mean(weighted));
    [[thin_flag, flag], [thin_score, score]]
}
