//! From series to a verdict.
//!
//! Error control: every gate is a confidence sequence at a share of `alpha * spending`, half of it for the paired and
//! half for the unpaired comparison. The shares follow from the rule, for exactly this set of gates:
//!
//! - A rollback takes one critical breach or two breaches. With `c` critical and `m` major gates that can breach, each
//!   at `a`, one false critical breach has probability at most `c a` (union bound), and two false major breaches at most
//!   `m a / 2` (Markov's inequality for their number), whatever the dependence. One of each is a critical breach already.
//!   So `a = alpha * spending / (c + m / 2)` keeps a rollback without cause within `alpha * spending`. A single major
//!   gate cannot roll back and does not count.
//! - A promotion takes every gate: one that is truly past its margin must look inside, which has probability at most `a`,
//!   and `a` is never above `alpha * spending`.
//! - A gate with `direction: both` never rolls back; it shares `a`, and a human is called without cause with probability
//!   at most `a` times all gates that decide. Advisory gates get the same interval and never decide.
//!
//! [`ErrorRates`] says all three for the gates at hand.
//!
//! - A gate on a judge's score that people have labelled is about people's scores, at the same share (`correct`).
//!
//! Segments have an alpha of their own, and call a human at most (`segments`).
//!
//! The promise needs a set of gates that is fixed: a score column that appears during a rollout makes every gate's
//! share smaller from then on, and what was spent before is not taken back.
//!
//! Limit: all values given count alike, so that a candidate that turns worse after a long healthy time is noticed later
//! than one that is worse from the start (`tests/rollout.rs` prints by how much). Give the values of one step, not of
//! the whole rollout.

use crate::beside::Judging;
use crate::forecast;
use crate::gates::{Gate, Gates, Severity};
use crate::judge::{absent, better_of, judge};
use crate::labels::Segment;
use crate::memory::Memory;
use crate::names::base_metric;
use crate::result::{ErrorRates, Evaluation, GateResult, Outcome};
use crate::segments;
use crate::series::{Better, CaptureHealth, MetricSeries};
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
    evaluated(gates, series, health, spending, Judging::Beside)
}

/// [`evaluate`] for series that `memory` has seen already, or sees for the first time: other gates on the same evidence,
/// and only what they change is measured again. The result is that of [`evaluate`], to the bit.
#[must_use]
pub fn evaluate_again(
    gates: &Gates,
    series: &[MetricSeries],
    health: &CaptureHealth,
    spending: Spending,
    memory: &Memory,
) -> Evaluation {
    evaluated(gates, series, health, spending, Judging::With(memory))
}

fn evaluated(
    gates: &Gates,
    series: &[MetricSeries],
    health: &CaptureHealth,
    spending: Spending,
    judging: Judging<'_>,
) -> Evaluation {
    let expanded = expanded(gates, series);
    let alpha = gates.alpha * spending.share();
    let counts = Counts::of(&expanded);
    let share = counts.share(alpha);
    let results = whole(&expanded, share, judging);
    let segments = segments::judged(&expanded, series, alpha, counts.deciding(), judging, results_of);
    let findings = segments::findings(&results, &segments);
    let mut error_rates = counts.error_rates(share);
    if !segments.is_empty() && counts.deciding() > 0 {
        error_rates.segments = alpha;
        error_rates.investigate = (error_rates.investigate + alpha).min(1.0);
    }
    let (verdict, mut reasons) = segments::heed(decide(&results, health), &segments, &findings, &results);
    reasons.extend(forecast::reason(verdict, &results, health));
    let score = score(&results);
    Evaluation {
        verdict,
        reasons,
        gates: results,
        alpha,
        error_rates,
        score,
        segments,
        findings,
        looks: "any number".to_owned(),
        health: health.clone(),
    }
}

/// The gates' results alone, as [`evaluate`] gives them for what `cut` leaves of each series: for an earlier look of which only
/// the intervals count. What is cut is in memory for one gate at a time.
#[must_use]
pub fn gate_results(
    gates: &Gates,
    series: &[MetricSeries],
    cut: impl Fn(&MetricSeries) -> MetricSeries,
    spending: Spending,
    memory: &Memory,
) -> Vec<GateResult> {
    let expanded = expanded(gates, series);
    let share = Counts::of(&expanded).share(gates.alpha * spending.share());
    let of = |(gate, metrics): &Expanded<'_>| {
        let left: Vec<MetricSeries> = metrics.iter().map(|series| cut(series)).collect();
        whole(&[(gate, left.iter().collect())], share, Judging::With(memory))
    };
    expanded.iter().flat_map(of).collect()
}

/// Each gate's share of alpha for exactly these gates and metrics.
pub(crate) fn deciding_share(gates: &Gates, series: &[MetricSeries], spending: Spending) -> f64 {
    Counts::of(&expanded(gates, series)).share(gates.alpha * spending.share())
}

/// A gate and the series that it is about.
type Expanded<'a> = (&'a Gate, Vec<&'a MetricSeries>);

fn expanded<'a>(gates: &'a Gates, series: &'a [MetricSeries]) -> Vec<Expanded<'a>> {
    gates.gates.iter().map(|gate| (gate, metrics_of(gate, series))).collect()
}

/// Every gate on all of the traffic, or on the segment that it names.
fn whole(expanded: &[Expanded<'_>], alpha: f64, judging: Judging<'_>) -> Vec<GateResult> {
    let of = |(gate, metrics): &Expanded<'_>, memory: &Memory| match &gate.segment {
        None => results_of(gate, metrics, alpha, &Segment::new(), memory),
        Some(segment) => {
            let parts: Vec<_> = metrics.iter().map(|series| memory.part(series, segment)).collect();
            let parts: Vec<&MetricSeries> = parts.iter().map(AsRef::as_ref).collect();
            results_of(gate, &parts, alpha, segment, memory)
        }
    };
    judging.map(expanded, of).into_iter().flatten().collect()
}

/// How many gates can do what without cause, wildcards expanded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counts {
    critical: usize,
    major: usize,
    /// Critical or major with `direction: both`: they diverge, and never breach.
    both: usize,
}

impl Counts {
    fn of(expanded: &[Expanded<'_>]) -> Self {
        let mut counts = Self::default();
        for (gate, metrics) in expanded {
            // A metric that is not there yet may come, and counts as one that can breach.
            for metric in metrics.iter().map(Some).chain(metrics.is_empty().then_some(None)) {
                let own = metric.map_or(Better::Lower, |series| series.better);
                match (gate.severity, better_of(gate.direction, own)) {
                    (Severity::Advisory, _) => {}
                    (_, Better::Neither) => counts.both += 1,
                    (Severity::Critical, _) => counts.critical += 1,
                    (Severity::Major, _) => counts.major += 1,
                }
            }
        }
        counts
    }

    /// Bound of the chance of a rollback without cause, in units of a gate's own.
    fn false_rollbacks_per_share(self) -> f64 {
        let pairs_of_majors = if self.major > 1 { self.major as f64 / 2.0 } else { 0.0 };
        self.critical as f64 + pairs_of_majors
    }

    /// Each gate's share of alpha.
    fn share(self, alpha: f64) -> f64 {
        alpha / self.false_rollbacks_per_share().max(1.0)
    }

    /// Gates that are not advisory.
    fn deciding(self) -> usize {
        self.critical + self.major + self.both
    }

    fn error_rates(self, share: f64) -> ErrorRates {
        ErrorRates {
            rollback: (share * self.false_rollbacks_per_share()).min(1.0),
            promotion: share.min(1.0),
            investigate: (share * self.deciding() as f64).min(1.0),
            segments: 0.0,
        }
    }
}

/// Weighted share of gates that are inside, in whole percent; see [`Evaluation::score`].
fn score(results: &[GateResult]) -> Option<u8> {
    let (mut reached, mut possible) = (0.0_f64, 0.0_f64);
    for result in results {
        let weight = match result.severity {
            Severity::Critical => 3.0,
            Severity::Major => 2.0,
            Severity::Advisory => 1.0,
        };
        let part = match result.outcome {
            Outcome::Inside | Outcome::Improved => 1.0,
            Outcome::Undecided => 0.5,
            Outcome::Breach | Outcome::Diverged => 0.0,
            Outcome::NoData => continue,
        };
        reached += weight * part;
        possible += weight;
    }
    // At most 100 by construction.
    (possible > 0.0).then(|| (100.0 * reached / possible).round() as u8)
}

/// The series that a gate is about: one by name, or all that a trailing `*` covers.
fn metrics_of<'s>(gate: &Gate, series: &'s [MetricSeries]) -> Vec<&'s MetricSeries> {
    let most = if gate.metric.ends_with('*') { usize::MAX } else { 1 };
    series.iter().filter(|series| concerns(gate, series)).take(most).collect()
}

fn concerns(gate: &Gate, series: &MetricSeries) -> bool {
    match gate.metric.strip_suffix('*') {
        Some(prefix) => series.name.starts_with(prefix),
        None => series.name == base_metric(&gate.metric),
    }
}

fn results_of(
    gate: &Gate,
    metrics: &[&MetricSeries],
    alpha: f64,
    segment: &Segment,
    memory: &Memory,
) -> Vec<GateResult> {
    if metrics.is_empty() {
        return vec![absent(gate, alpha, segment)];
    }
    let wildcard = gate.metric.ends_with('*');
    let name = |series: &MetricSeries| {
        if wildcard { format!("{} ({})", gate.name, series.name) } else { gate.name.clone() }
    };
    metrics.iter().map(|series| judge(gate, name(series), series, alpha, segment, memory)).collect()
}
