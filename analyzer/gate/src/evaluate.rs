//! From series to a verdict.
//!
//! Error control: every gate that decides (critical or major, wildcards expanded) is a confidence sequence at
//! `alpha * spending / number of such gates`, half of it for the paired and half for the unpaired comparison. By the
//! union bound all their intervals hold together, at every look, with probability at least `1 - alpha * spending`,
//! whatever the dependence; so that is also a bound on the chance of a rollback without cause and of a promotion past
//! a margin. Advisory gates get an interval of the same size and are not counted, since they never decide.
//!
//! The promise needs a set of gates that is fixed: a score column that appears during a rollout makes every gate's
//! share smaller from then on, and what was spent before is not taken back.
//!
//! Limit: all values given count alike, so that a candidate that turns worse after a long healthy time is noticed later
//! than one that is worse from the start (`tests/rollout.rs` prints by how much). Give the values of one step, not of
//! the whole rollout.

use crate::gates::{Gate, Gates, Severity};
use crate::judge::{absent, judge};
use crate::result::{Evaluation, GateResult};
use crate::series::{CaptureHealth, MetricSeries};
use crate::verdict::decide;

/// The share of the gates' alpha that this evaluation may spend, in (0, 1]: one over the number of steps of a rollout.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spending(f64);

impl Spending {
    /// All of it: an evaluation that stands alone.
    pub const ALL: Self = Self(1.0);

    /// A share, clamped to one millionth to 1; all of it where `share` is not a number.
    #[must_use]
    pub fn new(share: f64) -> Self {
        if share.is_nan() { Self::ALL } else { Self(share.clamp(1e-6, 1.0)) }
    }

    /// An equal share of `steps` steps (at least one).
    #[must_use]
    pub fn one_of(steps: usize) -> Self {
        Self::new(1.0 / steps.max(1) as f64)
    }

    /// The share.
    #[must_use]
    pub fn share(self) -> f64 {
        self.0
    }
}

/// Judges every gate and gives the verdict.
///
/// May be called at every look with all values so far; values must keep their order from look to look.
#[must_use]
pub fn evaluate(
    gates: &Gates,
    series: &[MetricSeries],
    health: &CaptureHealth,
    spending: Spending,
) -> Evaluation {
    let expanded: Vec<(&Gate, Vec<&MetricSeries>)> =
        gates.gates.iter().map(|gate| (gate, metrics_of(gate, series))).collect();
    let deciding: usize = expanded
        .iter()
        .filter(|(gate, _)| gate.severity != Severity::Advisory)
        .map(|(_, metrics)| metrics.len().max(1))
        .sum();
    let alpha = gates.alpha * spending.share();
    let share = alpha / deciding.max(1) as f64;
    let results: Vec<GateResult> =
        expanded.into_iter().flat_map(|(gate, metrics)| results_of(gate, &metrics, share)).collect();
    let (verdict, reasons) = decide(&results, health);
    Evaluation {
        verdict,
        reasons,
        gates: results,
        alpha,
        looks: "any number".to_owned(),
        health: health.clone(),
    }
}

/// The series that a gate is about: one by name, or all that a trailing `*` covers.
fn metrics_of<'s>(gate: &Gate, series: &'s [MetricSeries]) -> Vec<&'s MetricSeries> {
    match gate.metric.strip_suffix('*') {
        Some(prefix) => series.iter().filter(|series| series.name.starts_with(prefix)).collect(),
        None => series.iter().filter(|series| series.name == gate.metric).take(1).collect(),
    }
}

fn results_of(gate: &Gate, metrics: &[&MetricSeries], alpha: f64) -> Vec<GateResult> {
    if metrics.is_empty() {
        return vec![absent(gate, alpha)];
    }
    let wildcard = gate.metric.ends_with('*');
    let name = |series: &MetricSeries| {
        if wildcard { format!("{} ({})", gate.name, series.name) } else { gate.name.clone() }
    };
    metrics.iter().map(|series| judge(gate, name(series), series, alpha)).collect()
}
