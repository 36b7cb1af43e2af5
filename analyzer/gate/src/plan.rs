//! How much evidence a set of gates needs before it can say anything.
//!
//! [`plan`] takes gates and a pool of values of each metric in which nothing changed, and judges the pool by the gates' own
//! code: pairs whose sides are swapped at random, or control against control. The width of the interval at the pool's size
//! is carried to other sizes by the sequence's own shape, and the spread of the estimate by the root of n. A gate needs the n
//! at which `half width + z * standard error` fits into the margin: then it is inside with the asked power if nothing
//! changed, and breached with the same power by a change of two margins.
//!
//! Pure and seeded. A plan is a forecast: what it says about another distribution than that of the pool is nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_stats::forecast::FORECAST_MAX;

use crate::evaluate::{Spending, deciding_share};
use crate::gates::{Gate, Gates, Margin, Severity};
use crate::judge::{better_of, judge_measured};
use crate::labels::{self, Segment};
use crate::memory::Memory;
use crate::names::base_metric;
use crate::random::Random;
use crate::result::Comparison;
use crate::series::{Better, MetricSeries, Stratum};
use crate::values::Pairs;

/// Values of a pool that are judged; more make a plan slower and hardly better.
const POOL_MAX: usize = 2_000;
/// Times that a pool is judged, each with other sides swapped.
const ROUNDS: u64 = 16;
/// Fewest values that make a pool.
const POOL_MIN: usize = 30;

/// What a plan is made for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlanOptions {
    /// Both answers to the same requests, or answers to different ones.
    pub paired: bool,
    /// The chance that a gate is decided at the planned n, 0.5 to 0.999.
    pub power: f64,
    /// The share of alpha that a step may spend.
    pub spending: Spending,
    /// Seed of the swaps.
    pub seed: u64,
}

/// What one gate needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GatePlan {
    /// The gate; a wildcard gate gives one plan per metric, named `gate (metric)`.
    pub gate: String,
    /// Metric id.
    pub metric: String,
    /// Unit of the metric.
    pub unit: String,
    /// How much the gate counts.
    pub severity: Severity,
    /// Size of the allowed change.
    pub margin: f64,
    /// The margin and the effect are relative to control.
    pub relative: bool,
    /// The gate's share of alpha.
    pub alpha: f64,
    /// Control's mean or percentile in the pool.
    pub control: Option<f64>,
    /// Pairs (or values of each variant) in the pool.
    pub available: u64,
    /// Pairs (or values of each variant) that the gate needs; nothing where that is more than a thousand million, or where
    /// there is no pool.
    pub needed: Option<u64>,
    /// The smallest change for the worse that would be told from no change, with the pool's n and the asked power.
    pub smallest_effect: Option<f64>,
    /// What has to be said about it, in words.
    pub note: String,
}

/// The traffic that a plan is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Traffic {
    /// Requests in an hour, if known.
    pub requests_per_hour: Option<f64>,
    /// Percent of control's requests that are copied to the candidate.
    pub shadow_percent: f64,
    /// Percent of users that the candidate serves.
    pub candidate_percent: f64,
    /// What the candidate's answer to one copy costs, in any currency.
    pub price_per_copy: Option<f64>,
}

/// What a set of gates needs, and what that takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Both answers to the same requests, or answers to different ones.
    pub paired: bool,
    /// The chance that a gate is decided at the planned n.
    pub power: f64,
    /// Error probability of all gates together.
    pub alpha: f64,
    /// The traffic.
    pub traffic: Traffic,
    /// Pairs, or answers of the variant that serves less, in an hour.
    pub per_hour: Option<f64>,
    /// Pairs (or answers of each variant) until every gate that decides has enough; nothing where one never has.
    pub needed: Option<u64>,
    /// Hours until then.
    pub hours: Option<f64>,
    /// Copies sent to the candidate until then.
    pub copies: Option<u64>,
    /// What they cost.
    pub cost: Option<f64>,
    /// Every gate, in the order of the gates.
    pub gates: Vec<GatePlan>,
}

impl Plan {
    /// Adds up what the gates need.
    #[must_use]
    pub fn new(gates: Vec<GatePlan>, options: &PlanOptions, alpha: f64, traffic: Traffic) -> Self {
        let deciding: Vec<&GatePlan> =
            gates.iter().filter(|gate| gate.severity != Severity::Advisory).collect();
        let needed: Option<Vec<u64>> = deciding.iter().map(|gate| gate.needed).collect();
        let needed = needed.and_then(|needed| needed.into_iter().max());
        let candidate = traffic.candidate_percent / 100.0;
        let share = match options.paired {
            true => traffic.shadow_percent / 100.0 * (1.0 - candidate),
            false => candidate.min(1.0 - candidate),
        };
        let per_hour = traffic.requests_per_hour.map(|requests| requests * share).filter(|rate| *rate > 0.0);
        let copies = needed.filter(|_| options.paired);
        Self {
            paired: options.paired,
            power: options.power,
            alpha,
            traffic,
            per_hour,
            needed,
            hours: needed.zip(per_hour).map(|(needed, rate)| needed as f64 / rate),
            copies,
            cost: copies.zip(traffic.price_per_copy).map(|(copies, price)| copies as f64 * price),
            gates,
        }
    }
}

/// What each gate needs, in the order of the gates.
#[must_use]
pub fn plan(gates: &Gates, pools: &[MetricSeries], options: &PlanOptions) -> Vec<GatePlan> {
    plan_telling(gates, pools, options, |_, _| ())
}

/// As [`plan`]; tells how many gates of how many are done.
#[must_use]
pub fn plan_telling(
    gates: &Gates,
    pools: &[MetricSeries],
    options: &PlanOptions,
    tell: impl Fn(u64, u64),
) -> Vec<GatePlan> {
    let share = deciding_share(gates, pools, options.spending);
    let mut plans = Vec::new();
    for (done, gate) in gates.gates.iter().enumerate() {
        tell(done as u64, gates.gates.len() as u64);
        let wildcard = gate.metric.strip_suffix('*');
        let of_gate: Vec<&MetricSeries> = pools
            .iter()
            .filter(|pool| match wildcard {
                Some(prefix) => pool.name.starts_with(prefix),
                None => pool.name == base_metric(&gate.metric),
            })
            .collect();
        if of_gate.is_empty() {
            plans.push(without_pool(gate, gate.name.clone(), share, "no values of the metric to plan from"));
        }
        for pool in of_gate {
            let name = match wildcard {
                Some(_) => format!("{} ({})", gate.name, pool.name),
                None => gate.name.clone(),
            };
            plans.push(of_pool(gate, name, pool, share, options));
        }
    }
    tell(gates.gates.len() as u64, gates.gates.len() as u64);
    plans
}

fn without_pool(gate: &Gate, name: String, alpha: f64, note: &str) -> GatePlan {
    GatePlan {
        gate: name,
        metric: gate.metric.clone(),
        unit: String::new(),
        severity: gate.severity,
        margin: 0.0,
        relative: false,
        alpha,
        control: None,
        available: 0,
        needed: None,
        smallest_effect: None,
        note: note.to_owned(),
    }
}

fn of_pool(gate: &Gate, name: String, pool: &MetricSeries, alpha: f64, options: &PlanOptions) -> GatePlan {
    let restricted = gate.segment.as_ref().map(|segment| labels::restricted(pool, segment));
    let pool = restricted.as_ref().unwrap_or(pool);
    let nothing = Segment::new();
    let rounds: Vec<_> = (0..ROUNDS)
        .filter_map(|round| {
            let drawn = drawn(pool, options.paired, &mut Random::new(options.seed.wrapping_add(round)))?;
            Some(judge_measured(gate, name.clone(), &drawn, alpha, &nothing, &Memory::default()))
        })
        .collect();
    let Some((first, _)) = rounds.first() else {
        return without_pool(gate, name, alpha, "too few values of the metric to plan from");
    };
    let n = first.n_control.min(first.n_candidate);
    let estimates: Vec<f64> = rounds.iter().filter_map(|(result, _)| result.estimate).collect();
    // Nothing changed, so that estimates scatter about no change; about the pool's distance to it for a fixed bound.
    let mean = estimates.iter().sum::<f64>() / estimates.len().max(1) as f64;
    let (centre, room) = match (gate.margin, first.better) {
        (Margin::Bound(_), Better::Lower) => (mean, -mean),
        (Margin::Bound(_), _) => (mean, mean),
        _ => (0.0, first.margin),
    };
    let squares = estimates.iter().map(|estimate| (estimate - centre) * (estimate - centre));
    let error = (squares.sum::<f64>() / estimates.len().max(1) as f64).sqrt();
    let half = half_width(rounds.iter().filter_map(|(result, _)| Some((result.interval?, result.better))));
    let z = normal_quantile(options.power);
    let shape = rounds.iter().find_map(|(_, shape)| *shape);
    let mut plan = GatePlan {
        unit: first.unit.clone(),
        metric: first.metric.clone(),
        margin: first.margin,
        relative: first.relative,
        control: first.control,
        available: n,
        ..without_pool(gate, name, alpha, "")
    };
    let (Some(half), Some(shape)) = (half, shape) else {
        plan.note = "too few values for any interval".to_owned();
        return plan;
    };
    plan.smallest_effect = Some(half + z * error);
    let needs = |at: u64| half * shape.shrink(n, at) + z * error * (n as f64 / at as f64).sqrt();
    plan.needed = first_that(|at| needs(at) <= room).map(|at| at.max(gate.minimum_evidence));
    let better = better_of(gate.direction, pool.better);
    plan.note = match (plan.needed, first.comparison) {
        (None, _) if room <= 0.0 => "control itself is past the bound".to_owned(),
        (None, _) => "more than there will ever be: widen the margin".to_owned(),
        (_, Comparison::Paired) if better == Better::Neither => "pairs, judged both ways".to_owned(),
        (_, Comparison::Paired) => "pairs".to_owned(),
        _ => "answers of each variant".to_owned(),
    };
    plan
}

/// The median half width; for a gate with one bad side the half that counts.
fn half_width(intervals: impl Iterator<Item = ((f64, f64), Better)>) -> Option<f64> {
    let mut halves: Vec<f64> = intervals.map(|((low, high), _)| (high - low) / 2.0).collect();
    halves.sort_unstable_by(f64::total_cmp);
    halves.get(halves.len() / 2).copied()
}

/// A series without a change, drawn from the pool: its pairs with sides swapped by identity, control's two answers likewise,
/// or control's values dealt out. Nothing where there are too few.
fn drawn(pool: &MetricSeries, paired: bool, random: &mut Random) -> Option<MetricSeries> {
    let seed = random.below(usize::MAX >> 12) as u64;
    let swapped = |pairs: &Pairs, clusters: &[u32]| -> Pairs {
        let of = |(index, (x, y)): (usize, (f64, f64))| {
            let identity = clusters.get(index).map_or(index as u64, |cluster| u64::from(*cluster));
            if crate::random::hashed(seed, identity) < 0.5 { (x, y) } else { (y, x) }
        };
        pairs.iter().enumerate().take(POOL_MAX).map(of).collect()
    };
    let blank = || MetricSeries {
        name: pool.name.clone(),
        unit: pool.unit.clone(),
        better: pool.better,
        bounds: pool.bounds,
        ..MetricSeries::default()
    };
    if paired && pool.pairs.len() >= POOL_MIN {
        let pairs = swapped(&pool.pairs, &pool.pair_clusters);
        let pair_clusters = pool.pair_clusters.iter().copied().take(pairs.len()).collect();
        return Some(MetricSeries { pairs, pair_clusters, ..blank() });
    }
    if paired && pool.noise_pairs.len() >= POOL_MIN {
        return Some(MetricSeries { pairs: swapped(&pool.noise_pairs, &[]), ..blank() });
    }
    let mut values: Vec<f64> = pool.pairs.iter().map(|pair| pair.0).collect();
    values.extend(pool.strata.iter().flat_map(|stratum| stratum.control.to_vec()));
    if values.len() < 2 * POOL_MIN {
        return None;
    }
    values.truncate(2 * POOL_MAX);
    // Fisher and Yates.
    for last in (1..values.len()).rev() {
        values.swap(last, random.below(last + 1));
    }
    let (control, candidate) = values.split_at(values.len() / 2);
    if paired {
        let pairs = control.iter().copied().zip(candidate.iter().copied()).collect();
        return Some(MetricSeries { pairs, ..blank() });
    }
    let stratum = Stratum {
        name: "pool".to_owned(),
        control: control.iter().copied().collect(),
        candidate: candidate.iter().copied().take(control.len()).collect(),
        ..Stratum::default()
    };
    Some(MetricSeries { strata: vec![stratum], ..blank() })
}

/// A pool of values for a metric whose mean, and spread if it is no share, are only stated: 0 and 1 for shares, two points
/// for other bounded values, a lognormal distribution for amounts (so that tails are as heavy as those of times).
/// Values are independent, so that a plan with pairs from it is on the safe side.
#[must_use]
pub fn stated_pool(metric: MetricSeries, mean: f64, spread: Option<f64>, seed: u64) -> MetricSeries {
    let mut random = Random::new(seed);
    let value = |random: &mut Random| match (metric.bounds, spread) {
        (Some((low, high)), Some(spread)) => {
            let sign = if random.unit() < 0.5 { -1.0 } else { 1.0 };
            (mean + sign * spread).clamp(low, high)
        }
        (Some((low, high)), None) => {
            let share = (mean - low) / (high - low);
            if random.unit() < share { high } else { low }
        }
        (None, spread) => {
            let ratio = spread.unwrap_or(mean) / mean.abs().max(f64::MIN_POSITIVE);
            let variance = ratio.mul_add(ratio, 1.0).ln();
            mean * (variance.sqrt() * random.normal() - variance / 2.0).exp()
        }
    };
    let control = (0..2 * POOL_MAX).map(|_| value(&mut random)).collect();
    let stratum = Stratum { name: "stated".to_owned(), control, ..Stratum::default() };
    MetricSeries { strata: vec![stratum], ..metric }
}

/// The first n from 1 on that holds, where all after it do; nothing up to the greatest forecast.
fn first_that(holds: impl Fn(u64) -> bool) -> Option<u64> {
    if !holds(FORECAST_MAX) {
        return None;
    }
    let (mut below, mut above) = (0, FORECAST_MAX);
    while above - below > 1 {
        let middle = below + (above - below) / 2;
        if holds(middle) {
            above = middle;
        } else {
            below = middle;
        }
    }
    Some(above)
}

/// The standard normal quantile, for 0.5 to 0.999: bisection of the distribution function (Abramowitz and Stegun 7.1.26,
/// error below 1.5e-7; a plan has two digits).
fn normal_quantile(share: f64) -> f64 {
    let below = |z: f64| {
        let x = z / std::f64::consts::SQRT_2;
        let t = 1.0 / 0.327_591_1_f64.mul_add(x, 1.0);
        let polynomial = t
            * (0.254_829_592
                + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
        0.5 * (2.0 - polynomial * (-x * x).exp())
    };
    let (mut low, mut high) = (0.0, 4.0);
    for _ in 0..50 {
        let middle = 0.5 * (low + high);
        if below(middle) < share {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}
