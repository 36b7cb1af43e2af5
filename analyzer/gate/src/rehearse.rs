//! How often a set of gates would have fired where nothing changed: control's own history split into false candidates.
//!
//! Each rehearsal sends every identity to "control" or "candidate" by a hash of it and a seed, as a rollout would, and then
//! looks again and again at what had come so far. Whatever fires is a false alarm by construction. Splits share the same
//! history, so that the shares found are those of this traffic, and their intervals count splits, not worlds.
//!
//! Pure and seeded; capture health is not part of a rehearsal.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_stats::binomial::exact_interval;

use crate::evaluate::{Spending, evaluate};
use crate::gates::{Gates, Severity};
use crate::labels::Labels;
use crate::random::hashed;
use crate::result::{Evaluation, GateResult, Outcome, Verdict};
use crate::series::{CaptureHealth, MetricSeries, Stratum};

/// Error probability of the intervals of a rehearsal.
const ALPHA: f64 = 0.05;

/// How a history is rehearsed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RehearseOptions {
    /// False candidates.
    pub splits: u64,
    /// Looks at each, at equal parts of the history.
    pub looks: usize,
    /// The share of the identities that a false candidate gets, above 0 and below 1.
    pub candidate_share: f64,
    /// The share of alpha that may be spent.
    pub spending: Spending,
    /// Seed of the splits.
    pub seed: u64,
}

/// How often something happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Frequency {
    /// Splits in which it did.
    pub splits: u64,
    /// Their share.
    pub share: f64,
    /// The exact binomial interval of the share, 95 percent.
    pub interval: (f64, f64),
}

/// How often a gate fired.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateRehearsal {
    /// The gate.
    pub gate: String,
    /// How much it counts.
    pub severity: Severity,
    /// The error probability that it may spend.
    pub alpha: f64,
    /// Breached or diverged at any look.
    pub fired: Frequency,
    /// Inside at the last look.
    pub inside: Frequency,
}

/// What came of all splits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rehearsal {
    /// False candidates.
    pub splits: u64,
    /// Looks at each.
    pub looks: u64,
    /// Values of the metric that has the most, both variants.
    pub values: u64,
    /// The alpha that the rule promises for a rollback.
    pub promised: f64,
    /// A rollback at any look.
    pub rollback: Frequency,
    /// A human called at any look: investigate, sign-off or rollback.
    pub human: Frequency,
    /// A gate past its margin in a segment at any look.
    pub segment: Frequency,
    /// Promotion at the last look.
    pub promoted: Frequency,
    /// Every gate, in the order of the gates.
    pub gates: Vec<GateRehearsal>,
}

/// What happened in one split.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rehearsed {
    rollback: bool,
    human: bool,
    segment: bool,
    promoted: bool,
    /// Name, severity, alpha, whether it fired, whether it is inside in the end.
    gates: Vec<(String, Severity, f64, bool, bool)>,
}

/// One split, numbered from 0: gates on control's history, of which `control` has the values as control's in every stratum.
#[must_use]
pub fn rehearse_one(
    gates: &Gates,
    control: &[MetricSeries],
    options: &RehearseOptions,
    split: u64,
) -> Rehearsed {
    let seed = options.seed.wrapping_mul(1_000_003).wrapping_add(split);
    let mut rehearsed = Rehearsed::default();
    for look in 1..=options.looks.max(1) {
        let share = look as f64 / options.looks.max(1) as f64;
        let seen: Vec<MetricSeries> =
            control.iter().map(|series| divided(series, seed, options.candidate_share, share)).collect();
        let evaluation = evaluate(gates, &seen, &CaptureHealth::default(), options.spending);
        rehearsed.heed(&evaluation, look == options.looks.max(1));
    }
    rehearsed
}

/// All splits counted.
#[must_use]
pub fn rehearsal(
    gates: &Gates,
    control: &[MetricSeries],
    options: &RehearseOptions,
    splits: &[Rehearsed],
) -> Rehearsal {
    let of = |happened: &dyn Fn(&Rehearsed) -> bool| frequency(splits, happened);
    let names = splits.first().map(|split| split.gates.as_slice()).unwrap_or_default();
    let in_gate = |name: &str, which: fn(&(String, Severity, f64, bool, bool)) -> bool| {
        of(&|split| split.gates.iter().any(|gate| gate.0 == name && which(gate)))
    };
    Rehearsal {
        splits: splits.len() as u64,
        looks: options.looks.max(1) as u64,
        values: control.iter().map(values).max().unwrap_or(0),
        promised: gates.alpha * options.spending.share(),
        rollback: of(&|split| split.rollback),
        human: of(&|split| split.human),
        segment: of(&|split| split.segment),
        promoted: of(&|split| split.promoted),
        gates: names
            .iter()
            .map(|(name, severity, alpha, ..)| GateRehearsal {
                gate: name.clone(),
                severity: *severity,
                alpha: *alpha,
                fired: in_gate(name, |gate| gate.3),
                inside: in_gate(name, |gate| gate.4),
            })
            .collect(),
    }
}

impl Rehearsed {
    fn heed(&mut self, evaluation: &Evaluation, last: bool) {
        let outside = |result: &GateResult| matches!(result.outcome, Outcome::Breach | Outcome::Diverged);
        let verdict = evaluation.verdict;
        self.rollback |= verdict == Verdict::Rollback;
        self.human |= !matches!(verdict, Verdict::Promote | Verdict::Hold);
        let mut in_segments = evaluation.segments.iter().flat_map(|segment| &segment.gates);
        self.segment |= in_segments.any(|result| outside(result) && result.severity != Severity::Advisory);
        self.promoted = last && verdict == Verdict::Promote;
        for result in &evaluation.gates {
            let inside = last && matches!(result.outcome, Outcome::Inside | Outcome::Improved);
            match self.gates.iter_mut().find(|gate| gate.0 == result.gate) {
                Some(gate) => {
                    gate.3 |= outside(result);
                    gate.4 = inside;
                }
                None => {
                    let gate = (result.gate.clone(), result.severity, result.alpha, outside(result), inside);
                    self.gates.push(gate);
                }
            }
        }
    }
}

fn frequency(splits: &[Rehearsed], happened: &dyn Fn(&Rehearsed) -> bool) -> Frequency {
    let (n, k) = (splits.len() as u64, splits.iter().filter(|split| happened(split)).count() as u64);
    let interval = exact_interval(k, n, ALPHA).unwrap_or((0.0, 1.0));
    Frequency { splits: k, share: k as f64 / n.max(1) as f64, interval }
}

fn values(series: &MetricSeries) -> u64 {
    series.strata.iter().map(|stratum| stratum.control.len() as u64).sum()
}

/// The first part of the history, its identities dealt out.
fn divided(series: &MetricSeries, seed: u64, candidate_share: f64, part: f64) -> MetricSeries {
    let mut labels = Labels { sets: series.labels.sets.clone(), ..Labels::default() };
    let mut strata = Vec::new();
    for (index, whole) in series.strata.iter().enumerate() {
        let places = series.labels.strata.get(index).map(|places| places.0.as_slice()).unwrap_or_default();
        let mut stratum = Stratum { name: whole.name.clone(), ..Stratum::default() };
        let mut own: (Vec<u32>, Vec<u32>) = Default::default();
        let n = (whole.control.len() as f64 * part).ceil() as usize;
        for (at, value) in whole.control.iter().enumerate().take(n) {
            let cluster = whole.control_clusters.get(at).copied();
            let identity = cluster.map_or(((index as u64) << 40) | at as u64, u64::from);
            let place = places.get(at).copied();
            if hashed(seed, identity) < candidate_share {
                stratum.candidate.push(value);
                stratum.candidate_clusters.extend(cluster);
                own.1.extend(place);
            } else {
                stratum.control.push(value);
                stratum.control_clusters.extend(cluster);
                own.0.extend(place);
            }
        }
        strata.push(stratum);
        if !labels.sets.is_empty() {
            labels.strata.push((own.0.into(), own.1.into()));
        }
    }
    MetricSeries {
        name: series.name.clone(),
        unit: series.unit.clone(),
        better: series.better,
        bounds: series.bounds,
        strata,
        labels,
        ..MetricSeries::default()
    }
}
