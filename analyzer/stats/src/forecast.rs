//! How many more values until an interval is narrow enough, at the present spread.

use crate::asymptotic::{rho_squared, student_boundary};
use crate::real::ln;

/// No forecast is larger than this: beyond it the answer is "not in practice".
pub const FORECAST_MAX: u64 = 1_000_000_000;

/// How the half width of an interval falls with n.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// A bounded mean: `sd sqrt(2 L / n) + range L / n`, `L = ln(2 / alpha)`: the two leading terms of the betting and
    /// of the Bernstein sequence.
    Bounded {
        /// Standard deviation of a value.
        sd: f64,
        /// Greatest minus least possible value.
        range: f64,
        /// Error probability.
        alpha: f64,
    },
    /// The asymptotic boundary.
    Asymptotic {
        /// Error probability.
        alpha: f64,
        /// The n at which it is narrowest.
        tuned_n: f64,
    },
}

impl Shape {
    /// Half width at `to` as a multiple of that at `from`; infinite where there is no interval at either.
    #[must_use]
    pub fn shrink(self, from: u64, to: u64) -> f64 {
        let now = self.at(from as f64);
        if now.is_finite() && now > 0.0 { self.at(to as f64) / now } else { f64::INFINITY }
    }

    /// Half width at `n`, up to a constant factor; infinite where there is no interval.
    fn at(self, n: f64) -> f64 {
        match self {
            Self::Bounded { sd, range, alpha } => {
                let level = ln(2.0 / alpha);
                sd * (2.0 * level / n).sqrt() + 0.5 * range * level / n
            }
            Self::Asymptotic { alpha, tuned_n } => {
                student_boundary(n, alpha, rho_squared(alpha, tuned_n)).unwrap_or(f64::INFINITY)
            }
        }
    }
}

/// How many more values until a half width of `half_now` at `n_now` has shrunk to `room` (the distance between
/// estimate and margin). `Some(0)` where it fits already; None where `room` is not positive (the estimate is at or
/// past the margin: more values do not help), where `n_now` values are too few for any interval of this shape, or
/// where it would take more than [`FORECAST_MAX`].
#[must_use]
pub fn needed_more(shape: Shape, n_now: u64, half_now: f64, room: f64) -> Option<u64> {
    if !(room > 0.0 && half_now.is_finite()) || n_now == 0 {
        return None;
    }
    let now = shape.at(n_now as f64);
    if !(now.is_finite() && now > 0.0) {
        return None;
    }
    let fits = |n: u64| shape.at(n as f64) / now * half_now <= room;
    if fits(n_now) {
        return Some(0);
    }
    if !fits(FORECAST_MAX) {
        return None;
    }
    // The shapes fall with n, so that bisection finds the first n that fits.
    let (mut below, mut above) = (n_now, FORECAST_MAX);
    while above - below > 1 {
        let middle = below + (above - below) / 2;
        if fits(middle) {
            above = middle;
        } else {
            below = middle;
        }
    }
    Some(above - n_now)
}
