//! One gate on one metric: the interval against the margin, and the forecast.

use weir_stats::forecast::{self, Shape};

use crate::correct::corrected;
use crate::gates::{Direction, Gate, Margin};
use crate::labels::Segment;
use crate::level::measure_level;
use crate::measure::{Measured, measure_percentile};
use crate::memory::{Key, Memory};
use crate::names::split_percentile;
use crate::result::{Comparison, GateResult, Outcome};
use crate::series::{Better, MetricSeries};
use crate::words;

/// Judges `gate` on a metric at error probability `alpha`; the series is that of the segment already.
pub(crate) fn judge(
    gate: &Gate,
    name: String,
    series: &MetricSeries,
    alpha: f64,
    segment: &Segment,
    memory: &Memory,
) -> GateResult {
    judge_measured(gate, name, series, alpha, segment, memory).0
}

/// The same, and how the interval's width falls with n.
pub(crate) fn judge_measured(
    gate: &Gate,
    name: String,
    series: &MetricSeries,
    alpha: f64,
    segment: &Segment,
    memory: &Memory,
) -> (GateResult, Option<Shape>) {
    let (margin, relative) = margin_of(gate.margin, series.bounds);
    let percentile = split_percentile(&gate.metric).1;
    let bound = match gate.margin {
        Margin::Bound(bound) => Some(bound),
        _ => None,
    };
    let key = Key {
        series: series.name.clone(),
        segment: segment.clone(),
        percentile: percentile.map(f64::to_bits),
        bound: bound.map(f64::to_bits),
        relative,
        alpha: alpha.to_bits(),
    };
    let measured = memory.measured(key, || match (bound, percentile) {
        (Some(bound), share) => measure_level(series, share, bound, alpha),
        (None, Some(share)) => measure_percentile(series, share, relative, alpha),
        (None, None) => corrected(series, relative, alpha),
    });
    let better = better_of(gate.direction, series.better);
    let n = evidence(&measured);
    let enough = n >= gate.minimum_evidence;
    let outcome = outcome(&measured, better, margin, enough);
    let needed_more = match outcome {
        Outcome::Undecided => needed_more(&measured, better, margin, n, gate.minimum_evidence),
        _ => None,
    };
    let mut correction = measured.correction.clone();
    if let Some(correction) = correction.as_mut().filter(|_| outcome == Outcome::Undecided) {
        correction.needed_labels = needed_labels(&measured, better, margin);
    }
    let mut result = GateResult {
        gate: name,
        metric: if gate.metric.ends_with('*') { series.name.clone() } else { gate.metric.clone() },
        unit: series.unit.clone(),
        better,
        severity: gate.severity,
        comparison: measured.comparison,
        n_pairs: measured.n_pairs,
        n_control: measured.n_control,
        n_candidate: measured.n_candidate,
        control: measured.control,
        candidate: measured.candidate,
        estimate: measured.estimate,
        interval: measured.interval,
        relative,
        margin,
        alpha,
        method: measured.method.to_owned(),
        outcome,
        needed_more,
        explanation: String::new(),
        segment: segment.clone(),
        correction,
    };
    result.explanation = words::explain(&result, gate.minimum_evidence, &measured.notes);
    (result, measured.shape)
}

/// The result of a gate whose metric is not there.
pub(crate) fn absent(gate: &Gate, alpha: f64, segment: &Segment) -> GateResult {
    let series = MetricSeries { name: gate.metric.clone(), ..MetricSeries::default() };
    judge(gate, gate.name.clone(), &series, alpha, segment, &Memory::default())
}

/// Whether the interval lies past the margin on the good side.
pub(crate) fn improved_past_margin(result: &GateResult) -> bool {
    let Some((low, high)) = result.interval.filter(|_| result.outcome == Outcome::Improved) else {
        return false;
    };
    match result.better {
        Better::Higher => low > result.margin,
        Better::Lower => high < -result.margin,
        Better::Neither => false,
    }
}

/// Whether the interval lies on the bad side of no change.
pub(crate) fn worse(result: &GateResult) -> bool {
    let Some((low, high)) = result.interval else { return false };
    match result.better {
        Better::Higher => high < 0.0,
        Better::Lower => low > 0.0,
        Better::Neither => false,
    }
}

fn margin_of(margin: Margin, bounds: Option<(f64, f64)>) -> (f64, bool) {
    match margin {
        Margin::Absolute(size) => (size, false),
        Margin::Relative(size) => (size, true),
        Margin::OfScale(share) => (share * bounds.map_or(1.0, |(low, high)| high - low), false),
        // No change for the worse: the difference is that to the bound.
        Margin::Bound(_) => (0.0, false),
    }
}

/// Which way is better for a gate.
pub(crate) fn better_of(direction: Option<Direction>, own: Better) -> Better {
    match direction {
        None => own,
        Some(Direction::Higher) => Better::Higher,
        Some(Direction::Lower) => Better::Lower,
        Some(Direction::Both) => Better::Neither,
    }
}

/// Pairs, or values of the smaller arm.
fn evidence(measured: &Measured) -> u64 {
    measured.n_control.min(measured.n_candidate)
}

/// Below the minimum evidence nothing is inside; a breach counts then only if its interval holds at every n.
fn outcome(measured: &Measured, better: Better, margin: f64, enough: bool) -> Outcome {
    if measured.comparison == Comparison::None {
        return Outcome::NoData;
    }
    let Some((low, high)) = measured.interval else { return Outcome::Undecided };
    let may_breach = enough || measured.exact;
    let (above, below) = (low > margin && may_breach, high < -margin && may_breach);
    let (floor, ceiling) = (low > -margin && enough, high < margin && enough);
    match better {
        // At a fixed bound there is nothing to improve on.
        Better::Higher if floor && margin == 0.0 => Outcome::Inside,
        Better::Lower if ceiling && margin == 0.0 => Outcome::Inside,
        Better::Higher if below => Outcome::Breach,
        Better::Higher if floor && low > 0.0 => Outcome::Improved,
        Better::Higher if floor => Outcome::Inside,
        Better::Lower if above => Outcome::Breach,
        Better::Lower if ceiling && high < 0.0 => Outcome::Improved,
        Better::Lower if ceiling => Outcome::Inside,
        Better::Neither if above || below => Outcome::Diverged,
        Better::Neither if floor && ceiling => Outcome::Inside,
        _ => Outcome::Undecided,
    }
}

/// Labels of each variant until the interval fits, with the judge's part as it is; None where it is not corrected, where
/// the estimate is past the margin, or where labels alone do not do it.
fn needed_labels(measured: &Measured, better: Better, margin: f64) -> Option<u64> {
    let rest = measured.rectifier?;
    let (estimate, (low, high)) = (measured.estimate?, measured.interval?);
    let sides = match better {
        Better::Higher => [Some((estimate + margin, estimate - low)), None],
        Better::Lower => [None, Some((margin - estimate, high - estimate))],
        Better::Neither => {
            [Some((estimate + margin, estimate - low)), Some((margin - estimate, high - estimate))]
        }
    };
    let mut most = 0;
    for (room, half) in sides.into_iter().flatten() {
        let judges_part = (half - rest.half).max(0.0);
        most = most.max(forecast::needed_more(rest.shape, rest.n, rest.half, room - judges_part)?);
    }
    Some(most)
}

/// None where the estimate itself is at or past the margin.
fn needed_more(measured: &Measured, better: Better, margin: f64, n: u64, minimum: u64) -> Option<u64> {
    let estimate = measured.estimate?;
    let to_minimum = minimum.saturating_sub(n);
    let rooms = match better {
        Better::Higher => [Some(estimate + margin), None],
        Better::Lower => [None, Some(margin - estimate)],
        Better::Neither => [Some(estimate + margin), Some(margin - estimate)],
    };
    if rooms.iter().flatten().any(|room| *room <= 0.0) {
        return None;
    }
    let Some((low, high)) = measured.interval else {
        return measured.interval_from.map(|from| from.max(minimum).saturating_sub(n).max(1));
    };
    let halves = [estimate - low, high - estimate];
    // More pairs do not narrow the part that comes from people's labels.
    let fixed = measured.rectifier.map_or(0.0, |rest| rest.half);
    let mut most = to_minimum;
    for (room, half) in rooms.into_iter().zip(halves) {
        if let Some(room) = room {
            most = most.max(forecast::needed_more(measured.shape?, n, half - fixed, room - fixed)?);
        }
    }
    Some(most)
}
