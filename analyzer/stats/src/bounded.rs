//! Confidence sequences for means of bounded values; they hold at every n for every distribution within the bounds.
//!
//! Source: I. Waudby-Smith, A. Ramdas, "Estimating means of bounded random variables by betting", JRSS-B 86 (2024).
//!
//! - [`betting`]: the hedged capital sequence (their section 4) of gamblers who never change their bets, a fixed mixture of them
//!   (their diversified Kelly bets; F. Orabona, K.-S. Jun, "Tight concentrations and confidence sequences from the regret of
//!   universal portfolio", IEEE Transactions on Information Theory 70 (2024), say what such a mixture loses); the one in use.
//! - [`empirical_bernstein`]: the predictable plug-in sequence (their Theorem 2, equations 13 to 15), closed form.
//!
//! Why bets that never change: their capital does not depend on the order of the values, so that it is found from how many
//! values there are of each size, at a cost that does not grow with n once they are counted. From some hundred to some million
//! values the interval is at most 1.3 times as wide as that of the bet that hindsight would choose.
//! Why betting at all: with values that never vary (flags of a healthy service) its interval has 0.3 times the length of the
//! other, and with values that vary at most 1.15 times; `tests/widths.rs` measures it.

use crate::error::{StatsError, check_alpha, check_bounds};
use crate::estimate::Estimate;
use crate::moments::Moments;
use crate::real::{exp, ln, ln_1p};
use crate::strata::Stratified;

/// Largest share of the capital that a bet may lose in one step.
const STAKE_MAX: f64 = 0.9;
/// The boldest gambler bets [`STAKE_MAX`] always, with this weight in the mixture.
const BOLDEST_WEIGHT: f64 = 0.25;
/// The bets of the others, each half of the one before: the best ones at some ten to some hundred million values.
const BETS: usize = 14;
const LARGEST_BET: f64 = 4.0;
/// The weight of each of them is this part of the one's before.
const WEIGHT_DECAY: f64 = 0.85;
/// Largest bet of the empirical-Bernstein sequence, as the paper recommends.
const BERNSTEIN_BET_MAX: f64 = 0.5;
/// Values are shared out to the points between the least and the greatest one.
const INTERVALS: usize = 128;
/// Ends of the search for the bounds, in the unit scale.
const SMALLEST: f64 = 1e-12;
const TOLERANCE: f64 = 1e-13;

/// Hedged capital confidence sequence for the mean of values in 0 to 1.
///
/// The capital of a gambler who bets that the mean is above `m` is the mixture of `prod_t (1 + min(bet, 0.9 / m) (x_t - m))` over
/// bets that are fixed: 4, 2, 1, ... `4 / 2^13`, with weights in the ratio 0.85 from each to the next that sum to 0.75, and one
/// without end, with weight 0.25. Each is a martingale if the mean is `m`, and falls as `m` grows, so that the values of
/// `m` at which it stays below `2 / alpha` form an interval. The other end mirrors it.
///
/// The capital is taken from a tally of the values (each shared out to the two nearest of 129 points) and is at most the one above,
/// so that the sequence holds as well; of values on the tally's points (flags, differences of flags) it is the same.
///
/// # Errors
/// No values, values that are not finite or outside 0 to 1, `alpha` outside (0, 1).
pub fn betting(values: &[f64], alpha: f64) -> Result<Estimate, StatsError> {
    check_unit(values, alpha)?;
    Ok(Tally::of(values.iter().copied()).interval(alpha))
}

/// Predictable plug-in empirical-Bernstein confidence sequence for the mean of values in 0 to 1.
///
/// # Errors
/// No values, values that are not finite or outside 0 to 1, `alpha` outside (0, 1).
pub fn empirical_bernstein(values: &[f64], alpha: f64) -> Result<Estimate, StatsError> {
    check_unit(values, alpha)?;
    let level = ln(2.0 / alpha);
    let (mut bets, mut weighted, mut penalty) = (0.0, 0.0, 0.0);
    let mut plug_in = PlugIn::default();
    for &value in values {
        let t = plug_in.seen + 1.0;
        let bet = (2.0 * level / (plug_in.variance() * t * ln(1.0 + t))).sqrt().min(BERNSTEIN_BET_MAX);
        let deviation = value - plug_in.mean();
        bets += bet;
        weighted += bet * value;
        // v_t psi_E(bet), with v_t = 4 deviation^2 and psi_E(bet) = (-ln(1 - bet) - bet) / 4.
        penalty += deviation * deviation * (-ln_1p(-bet) - bet);
        plug_in.add(value);
    }
    let (centre, half) = (weighted / bets, (level + penalty) / bets);
    let mean = Moments::of(values.iter().copied()).mean;
    Ok(Estimate {
        value: mean,
        low: (centre - half).max(0.0),
        high: (centre + half).min(1.0),
        n: values.len(),
    })
}

/// [`betting`] for values in `low..=high`.
///
/// # Errors
/// As [`betting`]; bounds that are not an interval.
pub fn mean(values: &[f64], (low, high): (f64, f64), alpha: f64) -> Result<Estimate, StatsError> {
    check_bounds(values.iter().copied(), low, high)?;
    let scale = high - low;
    check_alpha(alpha)?;
    check_some(values.len())?;
    let unit = values.iter().map(|value| to_unit((value - low) / scale));
    Ok(Tally::of(unit).interval(alpha).affine(scale, low))
}

/// [`betting`] for the mean of `second - first` of pairs of values in `low..=high`.
///
/// # Errors
/// As [`mean`].
pub fn paired_difference(
    pairs: &[(f64, f64)],
    (low, high): (f64, f64),
    alpha: f64,
) -> Result<Estimate, StatsError> {
    check_bounds(pairs.iter().flat_map(|pair| [pair.0, pair.1]), low, high)?;
    let scale = high - low;
    check_alpha(alpha)?;
    check_some(pairs.len())?;
    let unit = pairs.iter().map(|(x, y)| to_unit(0.5 + (y - x) / (2.0 * scale)));
    Ok(Tally::of(unit).interval(alpha).affine(2.0 * scale, -scale))
}

/// Difference of stratified means, candidate minus control, of values in `low..=high`: [`betting`] for each arm of
/// each stratum at `alpha / (2 strata)`, joined by the union bound. Holds for any weights and any difference between
/// the strata; the price is that the widths add up.
///
/// # Errors
/// As [`mean`].
pub fn unpaired_difference(
    strata: &Stratified<'_>,
    bounds: (f64, f64),
    alpha: f64,
) -> Result<Estimate, StatsError> {
    check_alpha(alpha)?;
    let share = alpha / (2.0 * strata.len() as f64);
    let mut sum =
        Estimate { value: 0.0, low: 0.0, high: 0.0, n: strata.n_control().min(strata.n_candidate()) };
    for (arms, weight) in strata.weighted() {
        let control = mean(arms.control, bounds, share)?;
        let candidate = mean(arms.candidate, bounds, share)?;
        sum.value += weight * (candidate.value - control.value);
        sum.low += weight * (candidate.low - control.high);
        sum.high += weight * (candidate.high - control.low);
    }
    Ok(sum)
}

/// How many values in 0 to 1 there are of each size.
///
/// A value between two points is shared out to both in parts that keep its place. The logarithm of what a bet makes of a value is
/// concave in it, so that the parts together never win more than the value itself.
#[derive(Clone, Debug, PartialEq)]
struct Tally {
    n: usize,
    mean: f64,
    /// Points in ascending order, each with its weight, which is above zero.
    points: Vec<(f64, f64)>,
}

impl Tally {
    /// Of at least one value, all of them in 0 to 1.
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let start = (0_usize, 0.0, 1.0_f64, 0.0_f64);
        let (n, sum, least, greatest) = values.clone().fold(start, |(n, sum, least, greatest), value| {
            (n + 1, sum + value, least.min(value), greatest.max(value))
        });
        let step = (greatest - least) / INTERVALS as f64;
        let per_step = if step > 0.0 { step.recip() } else { 0.0 };
        // One more, for what is shared out beyond the last point: nothing.
        let mut weights = [0.0; INTERVALS + 2];
        for value in values {
            let place = (value - least) * per_step;
            let below = place.floor();
            let above = place - below;
            if let Some([first, second]) =
                weights.get_mut(below as usize..).and_then(<[f64]>::first_chunk_mut)
            {
                *first += 1.0 - above;
                *second += above;
            }
        }
        let points = weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0);
        let at = |place: usize| (least + place as f64 * step).min(greatest);
        Self {
            n,
            mean: sum / n.max(1) as f64,
            points: points.map(|(place, weight)| (at(place), *weight)).collect(),
        }
    }

    fn interval(&self, alpha: f64) -> Estimate {
        let threshold = ln(2.0 / alpha);
        let mirrored: Vec<(f64, f64)> =
            self.points.iter().map(|(value, weight)| (1.0 - value, *weight)).collect();
        let low = Gamblers { points: &self.points, n: self.n, mean: self.mean }.lower_end(threshold);
        let high = Gamblers { points: &mirrored, n: self.n, mean: 1.0 - self.mean }.lower_end(threshold);
        Estimate { value: self.mean, low, high: 1.0 - high, n: self.n }
    }
}

/// Gamblers who bet on a mean above the one that is tested.
struct Gamblers<'a> {
    points: &'a [(f64, f64)],
    n: usize,
    mean: f64,
}

impl Gamblers<'_> {
    /// Logarithm of their capital, together.
    fn log_capital(&self, m: f64) -> f64 {
        let most = STAKE_MAX / m;
        // Those who are held back to the same bet are one.
        let mut logs = [f64::NEG_INFINITY; BETS + 1];
        let mut held_back = BOLDEST_WEIGHT;
        let mut rest = logs.iter_mut();
        for (bet, weight) in bets() {
            if bet >= most {
                held_back += weight;
            } else if let Some(log) = rest.next() {
                *log = ln(weight) + self.log_product(bet, m);
            }
        }
        if let Some(log) = rest.next() {
            *log = ln(held_back) + self.log_product(most, m);
        }
        let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        top + ln(logs.iter().map(|log| exp(log - top)).sum::<f64>())
    }

    fn log_product(&self, bet: f64, m: f64) -> f64 {
        self.points.iter().map(|(value, weight)| weight * ln_1p(bet * (value - m))).sum()
    }

    /// The least mean that they cannot rule out. At the values' own mean their capital is at most 1, so that the end is below.
    fn lower_end(&self, threshold: f64) -> f64 {
        let excess = |m: f64| self.log_capital(m) - threshold;
        let squares: f64 = self
            .points
            .iter()
            .map(|(value, weight)| weight * (value - self.mean) * (value - self.mean))
            .sum();
        let n = self.n as f64;
        // About where it is: the spread's part of the half width and the range's.
        let mut reach = ((2.0 * threshold * squares).sqrt() + threshold) / n;
        let mut above = self.mean.clamp(SMALLEST, 1.0);
        let mut excess_above = excess(above);
        loop {
            if above <= SMALLEST {
                return 0.0;
            }
            let below = (above - reach).max(SMALLEST);
            let excess_below = excess(below);
            if excess_below >= 0.0 {
                return crossing(excess, (below, excess_below), (above, excess_above));
            }
            (above, excess_above) = (below, excess_below);
            reach *= 2.0;
        }
    }
}

/// The bets that are not the boldest, with their weights.
fn bets() -> impl Iterator<Item = (f64, f64)> {
    let powers = |factor: f64| std::iter::successors(Some(1.0), move |power| Some(power * factor));
    let sum: f64 = powers(WEIGHT_DECAY).take(BETS).sum();
    let scale = (1.0 - BOLDEST_WEIGHT) / sum;
    powers(0.5)
        .zip(powers(WEIGHT_DECAY))
        .take(BETS)
        .map(move |(half, weight)| (LARGEST_BET * half, weight * scale))
}

/// Mean and variance of the values so far, each with one imagined value (a half, and a variance of a quarter), so that
/// they exist before the first value. Always uses only what was seen before the bet.
#[derive(Default)]
struct PlugIn {
    seen: f64,
    sum: f64,
    squares: f64,
}

impl PlugIn {
    fn mean(&self) -> f64 {
        (0.5 + self.sum) / (self.seen + 1.0)
    }

    fn variance(&self) -> f64 {
        (0.25 + self.squares) / (self.seen + 1.0)
    }

    fn add(&mut self, value: f64) {
        self.seen += 1.0;
        self.sum += value;
        let deviation = value - self.mean();
        self.squares += deviation * deviation;
    }
}

/// Where a falling function crosses zero, by the Illinois variant of false position with a bisection guard; returns
/// the end of the last bracket at which the function is not negative.
fn crossing(function: impl Fn(f64) -> f64, at_least: (f64, f64), negative: (f64, f64)) -> f64 {
    let ((mut a, mut fa), (mut b, mut fb)) = (at_least, negative);
    let mut last_side = 0;
    for round in 0..200 {
        if b - a <= TOLERANCE {
            break;
        }
        let secant = a + (b - a) * fa / (fa - fb);
        let guard = round % 4 == 3 || !(secant > a && secant < b);
        let middle = if guard { 0.5 * (a + b) } else { secant };
        if middle <= a || middle >= b {
            break;
        }
        let value = function(middle);
        if value >= 0.0 {
            (a, fa) = (middle, value);
            if last_side == 1 {
                fb *= 0.5;
            }
            last_side = 1;
        } else {
            (b, fb) = (middle, value);
            if last_side == -1 {
                fa *= 0.5;
            }
            last_side = -1;
        }
    }
    a
}

/// Rounding may leave the unit interval by a last digit.
fn to_unit(value: f64) -> f64 {
    value.clamp(0.0, 1.0)
}

fn check_unit(values: &[f64], alpha: f64) -> Result<(), StatsError> {
    check_alpha(alpha)?;
    check_some(values.len())?;
    check_bounds(values.iter().copied(), 0.0, 1.0)
}

fn check_some(n: usize) -> Result<(), StatsError> {
    if n == 0 { Err(StatsError::TooFew { n, minimum: 1 }) } else { Ok(()) }
}
