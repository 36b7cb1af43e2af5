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

use std::sync::LazyLock;

use crate::error::{StatsError, check_alpha, check_bounds};
use crate::estimate::Estimate;
use crate::moments::Moments;
use crate::real::{exp, ln, ln_1p};
use crate::strata::Stratified;
use crate::sums::{Column, Grid, PairSums};

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
/// Terms of the logarithm's series, enough for the last digit of what moves the capital by at most [`SERIES_REACH`].
const SERIES_TERMS: usize = 16;
const SERIES_REACH: f64 = 0.125;
/// A capital that is `e` to the power of this smaller than another adds nothing to it in double precision.
const NEGLIGIBLE: f64 = 45.0;
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
    check_bounds(pairs.iter().map(|pair| pair.0), low, high)?;
    check_bounds(pairs.iter().map(|pair| pair.1), low, high)?;
    let scale = high - low;
    check_alpha(alpha)?;
    check_some(pairs.len())?;
    let unit = pairs.iter().map(|(x, y)| to_unit(0.5 + (y - x) / (2.0 * scale)));
    Ok(Tally::of(unit).interval(alpha).affine(2.0 * scale, -scale))
}

/// [`mean`] of values of which sums are left, all of them in `low..=high`: at most as narrow, and the same where they lie on the
/// points of the grid.
///
/// # Errors
/// No values, `alpha` outside (0, 1).
pub fn mean_of_sums(values: &Column, (low, high): (f64, f64), alpha: f64) -> Result<Estimate, StatsError> {
    let scale = high - low;
    let unit = to_unit((values.moments.mean - low) / scale);
    Ok(Tally::of_grid(&values.grid, values.moments.n, unit, alpha)?.interval(alpha).affine(scale, low))
}

/// [`paired_difference`] of pairs of which sums are left, as [`mean_of_sums`].
///
/// # Errors
/// As [`mean_of_sums`].
pub fn paired_difference_of_sums(
    pairs: &PairSums,
    (low, high): (f64, f64),
    alpha: f64,
) -> Result<Estimate, StatsError> {
    let scale = high - low;
    let unit = to_unit(0.5 + pairs.differences.mean / (2.0 * scale));
    let tally = Tally::of_grid(&pairs.grid, pairs.differences.n, unit, alpha)?;
    Ok(tally.interval(alpha).affine(2.0 * scale, -scale))
}

/// [`unpaired_difference`] of strata of which sums are left, each with its weight, as [`mean_of_sums`].
///
/// # Errors
/// As [`mean_of_sums`].
pub fn unpaired_difference_of_sums(
    strata: &[(&Column, &Column, f64)],
    bounds: (f64, f64),
    alpha: f64,
) -> Result<Estimate, StatsError> {
    let share = alpha / (2.0 * strata.len().max(1) as f64);
    let each = strata.iter().map(|(control, candidate, weight)| {
        Ok((mean_of_sums(control, bounds, share)?, mean_of_sums(candidate, bounds, share)?, *weight))
    });
    joined(each)
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
    let each = strata.weighted().map(|(arms, weight)| {
        Ok((mean(arms.control, bounds, share)?, mean(arms.candidate, bounds, share)?, weight))
    });
    joined(each)
}

/// Control's and the candidate's mean of each stratum, weighted; `n` is that of the smaller arm.
fn joined(
    strata: impl Iterator<Item = Result<(Estimate, Estimate, f64), StatsError>>,
) -> Result<Estimate, StatsError> {
    let mut sum = Estimate { value: 0.0, low: 0.0, high: 0.0, n: 0 };
    let (mut of_control, mut of_candidate) = (0, 0);
    for stratum in strata {
        let (control, candidate, weight) = stratum?;
        sum.value += weight * (candidate.value - control.value);
        sum.low += weight * (candidate.low - control.high);
        sum.high += weight * (candidate.high - control.low);
        of_control += control.n;
        of_candidate += candidate.n;
    }
    Ok(Estimate { n: of_control.min(of_candidate), ..sum })
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
            // Not below zero, so that this is the point below.
            let below = place as usize;
            let above = place - below as f64;
            if let Some([first, second]) = weights.get_mut(below..).and_then(<[f64]>::first_chunk_mut) {
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

    /// Of what is left of `n` values with that mean.
    fn of_grid(grid: &Grid, n: usize, mean: f64, alpha: f64) -> Result<Self, StatsError> {
        check_alpha(alpha)?;
        check_some(n)?;
        Ok(Self { n, mean, points: grid.points().collect() })
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

/// `sum weight (value - m)^k` for k from 1 on.
type Powers = [f64; SERIES_TERMS];

impl Gamblers<'_> {
    /// Logarithm of their capital, together.
    fn log_capital(&self, m: f64) -> f64 {
        let most = STAKE_MAX / m;
        let powers = self.powers(m);
        let ends = [self.points.first(), self.points.last()];
        let reach =
            ends.into_iter().flatten().fold(0.0_f64, |reach, (value, _)| reach.max((value - m).abs()));
        // Those who are held back to the same bet are one.
        let (held_back, free) =
            BETS_AND_WEIGHTS.split_at(BETS_AND_WEIGHTS.partition_point(|bet| bet.size >= most));
        let held_back = BOLDEST_WEIGHT + held_back.iter().map(|bet| bet.weight).sum::<f64>();
        let mut logs = [f64::NEG_INFINITY; BETS + 1];
        let mut top = f64::NEG_INFINITY;
        // The small bets first: most of the others are far below them then, which costs no logarithm to see.
        let free = free.iter().rev().map(|bet| (bet.size, bet.log_weight));
        for (log, (bet, weight)) in logs.iter_mut().zip(free.chain([(most, ln(held_back))])) {
            *log = if bet * reach <= SERIES_REACH {
                weight + series(&powers, bet)
            } else if weight + at_most(&powers, bet) < top - NEGLIGIBLE {
                continue;
            } else {
                weight + self.log_product(bet, m)
            };
            top = top.max(*log);
        }
        top + ln(logs.iter().map(|log| exp(log - top)).sum::<f64>())
    }

    fn log_product(&self, bet: f64, m: f64) -> f64 {
        self.points.iter().map(|(value, weight)| weight * ln_1p(bet * (value - m))).sum()
    }

    fn powers(&self, m: f64) -> Powers {
        let mut powers = [0.0; SERIES_TERMS];
        for (value, weight) in self.points {
            let distance = value - m;
            let mut power = *weight;
            for sum in &mut powers {
                power *= distance;
                *sum += power;
            }
        }
        powers
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

/// A bet of the mixture that is not the boldest.
struct Bet {
    size: f64,
    weight: f64,
    log_weight: f64,
}

/// From the largest bet to the smallest.
static BETS_AND_WEIGHTS: LazyLock<Vec<Bet>> = LazyLock::new(|| {
    let powers = |factor: f64| std::iter::successors(Some(1.0), move |power| Some(power * factor)).take(BETS);
    let scale = (1.0 - BOLDEST_WEIGHT) / powers(WEIGHT_DECAY).sum::<f64>();
    let bet = |(half, decayed): (f64, f64)| {
        let weight = decayed * scale;
        Bet { size: LARGEST_BET * half, weight, log_weight: ln(weight) }
    };
    powers(0.5).zip(powers(WEIGHT_DECAY)).map(bet).collect()
});

/// `sum weight ln(1 + bet (value - m))` by its Taylor series, for a bet that moves the capital by [`SERIES_REACH`] at most.
fn series(powers: &Powers, bet: f64) -> f64 {
    let terms = powers.iter().enumerate().rev();
    terms.fold(0.0, |rest, (place, power)| bet * (power / (place + 1) as f64 - rest))
}

/// What that is at most, for any bet: `ln(1 + y) <= y - y^2 / 2 + y^3 / 3`.
fn at_most(powers: &Powers, bet: f64) -> f64 {
    let [first, second, third, ..] = powers;
    bet * (first - bet * (second / 2.0 - bet * third / 3.0))
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

/// Where a falling function crosses zero; returns the end of the last bracket at which the function is not negative.
///
/// Source: T. R. Chandrupatla, "A new hybrid quadratic/bisection algorithm for finding the zero of a nonlinear function without
/// using derivatives", Advances in Engineering Software 28 (1997): inverse quadratic steps where they are safe, halves otherwise.
fn crossing(function: impl Fn(f64) -> f64, at_least: (f64, f64), negative: (f64, f64)) -> f64 {
    let (mut latest, mut opposite) = (negative, at_least);
    let mut part = latest.1 / (latest.1 - opposite.1);
    for _ in 0..200 {
        let width = opposite.0 - latest.0;
        let middle = latest.0 + part * width;
        if middle == latest.0 || middle == opposite.0 {
            break;
        }
        let found = (middle, function(middle));
        let before = if (found.1 >= 0.0) == (latest.1 >= 0.0) {
            latest
        } else {
            std::mem::replace(&mut opposite, latest)
        };
        latest = found;
        let width = (opposite.0 - latest.0).abs();
        if width <= TOLERANCE {
            break;
        }
        // Where the curve through the last three points is of one direction, it is followed.
        let (along, up) = (
            (latest.0 - opposite.0) / (before.0 - opposite.0),
            (latest.1 - opposite.1) / (before.1 - opposite.1),
        );
        part = 0.5;
        if up * up < along && (1.0 - up) * (1.0 - up) < 1.0 - along {
            let steepness = (before.0 - latest.0) / (opposite.0 - latest.0);
            part = latest.1 / (opposite.1 - latest.1) * before.1 / (opposite.1 - before.1)
                + steepness * latest.1 / (before.1 - latest.1) * opposite.1 / (before.1 - opposite.1);
        }
        let least = (0.5 * TOLERANCE / width).min(0.5);
        part = part.clamp(least, 1.0 - least);
    }
    if latest.1 >= 0.0 { latest.0 } else { opposite.0 }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every bet's product by its logarithms, one by one.
    fn slowly(gamblers: &Gamblers<'_>, m: f64) -> f64 {
        let most = STAKE_MAX / m;
        let bets = BETS_AND_WEIGHTS.iter().map(|bet| (bet.size, bet.weight)).chain([(most, BOLDEST_WEIGHT)]);
        let logs: Vec<f64> =
            bets.map(|(bet, weight)| ln(weight) + gamblers.log_product(bet.min(most), m)).collect();
        let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        top + ln(logs.iter().map(|log| exp(log - top)).sum::<f64>())
    }

    proptest! {
        #[test]
        fn the_capital_is_that_of_every_bet_on_every_value(
            values in prop::collection::vec(prop_oneof![0.0..=1.0, 0.4..0.6, Just(0.0), Just(0.5), Just(1.0)], 1..300),
            times in prop_oneof![Just(1.0), Just(100.0), Just(10_000.0)],
            m in prop_oneof![1e-12..1.0, 0.3..0.7],
        ) {
            let mut tally = Tally::of(values.iter().copied());
            tally.points.iter_mut().for_each(|(_, weight)| *weight *= times);
            let gamblers = Gamblers { points: &tally.points, n: tally.n, mean: tally.mean };
            let (fast, slow) = (gamblers.log_capital(m), slowly(&gamblers, m));
            prop_assert!((fast - slow).abs() <= 1e-12 * slow.abs().max(1.0), "{fast} is not {slow}");
        }

        #[test]
        fn a_crossing_is_where_the_sign_changes(root in 0.0001_f64..0.9999, bend in 0.1_f64..20.0) {
            let falling = |x: f64| (root - x) * (1.0 + bend * (1.0 - x).powi(3));
            let found = crossing(falling, (0.0, falling(0.0)), (1.0, falling(1.0)));
            prop_assert!(falling(found) >= 0.0 && falling(found + 2.0 * TOLERANCE) < 0.0, "{found} for {root}");
        }
    }
}
