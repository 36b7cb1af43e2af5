//! Seeded values for simulations, and short ways to make series.
#![allow(dead_code, unreachable_pub)]

pub mod traffic;

use weir_gate::{Better, CaptureHealth, MetricSeries, Stratum};

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

pub fn series(
    name: &str,
    better: Better,
    bounds: Option<(f64, f64)>,
    pairs: Vec<(f64, f64)>,
) -> MetricSeries {
    let unit = match name {
        "response_chars" => "characters",
        "latency_ms" => "ms",
        _ => "",
    };
    MetricSeries {
        name: name.to_owned(),
        unit: unit.to_owned(),
        better,
        bounds,
        pairs: pairs.into(),
        ..MetricSeries::default()
    }
}

pub fn share(name: &str, better: Better, pairs: Vec<(f64, f64)>) -> MetricSeries {
    series(name, better, Some((0.0, 1.0)), pairs)
}

pub fn stratum(name: &str, control: Vec<f64>, candidate: Vec<f64>) -> Stratum {
    Stratum {
        name: name.to_owned(),
        control: control.into(),
        candidate: candidate.into(),
        ..Stratum::default()
    }
}

pub fn healthy() -> CaptureHealth {
    CaptureHealth::default()
}
