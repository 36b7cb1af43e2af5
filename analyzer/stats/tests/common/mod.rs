//! Seeded values and a count test for simulations.
#![allow(dead_code, unreachable_pub)]

/// SplitMix64 (S. Vigna, public domain): small, seeded, good enough for simulations.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// In [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn flag(&mut self, p: f64) -> f64 {
        f64::from(u8::from(self.unit() < p))
    }

    /// Box-Muller.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    pub fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        median * (sigma * self.normal()).exp()
    }
}

/// Most events that `runs` runs may show if their probability is at most `p`: the 99.9 % point of the binomial, by its
/// normal approximation with a continuity correction.
pub fn most_events(runs: usize, p: f64) -> usize {
    let (mean, sd) = (runs as f64 * p, (runs as f64 * p * (1.0 - p)).sqrt());
    (mean + 3.09 * sd + 0.5).floor() as usize
}

/// Forty looks, evenly spaced.
pub fn looks(last: usize) -> impl Iterator<Item = usize> {
    (1..=40).map(move |look| look * last / 40)
}
