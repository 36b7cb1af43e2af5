//! When a verdict of hold may end: the slowest gate that has a forecast, in hours of the present traffic.

use crate::gates::Severity;
use crate::result::{Comparison, GateResult, Outcome, Reason, Verdict};
use crate::series::CaptureHealth;
use crate::words::{rounded, thousands};

/// Above this shadow share there is nothing to gain by copying more.
const SHADOW_FULL: f64 = 0.95;

/// The forecast of a hold, as a reason; nothing where no gate has one, or where one is not expected to be decided at all.
pub(crate) fn reason(verdict: Verdict, results: &[GateResult], health: &CaptureHealth) -> Option<Reason> {
    if verdict != Verdict::Hold {
        return None;
    }
    let open = || {
        let decides = |result: &&GateResult| result.severity != Severity::Advisory;
        results.iter().filter(decides).filter(|result| result.outcome == Outcome::Undecided)
    };
    let labels = |result: &&GateResult| result.correction.as_ref()?.needed_labels.filter(|more| *more > 0);
    if let Some((gate, more)) =
        open().filter_map(|result| Some((&result.gate, labels(&result)?))).max_by_key(|(_, more)| *more)
    {
        let text = format!(
            "forecast: {gate} needs about {} more labels of each variant (`weir label`)",
            thousands(rounded(more))
        );
        return Some(Reason { text, gate: Some(gate.clone()) });
    }
    if open().any(|result| result.needed_more.is_none()) {
        return None;
    }
    let slowest = open().max_by_key(|result| result.needed_more)?;
    let more = slowest.needed_more.filter(|more| *more > 0)?;
    let n = slowest.n_control.min(slowest.n_candidate);
    let paired = slowest.comparison == Comparison::Paired;
    let what = if paired { "pairs" } else { "samples of each variant" };
    let mut text = format!("forecast: {} needs about {} more {what}", slowest.gate, thousands(rounded(more)));
    let span_hours =
        health.span_seconds.filter(|seconds| *seconds > 0).map(|seconds| seconds as f64 / 3_600.0);
    if let Some(span_hours) = span_hours.filter(|_| n > 0) {
        let hours = more as f64 / n as f64 * span_hours;
        text.push_str(&format!(", about {} at present traffic", duration(hours)));
        let share = health.pairs as f64 / health.primary_control.max(1) as f64;
        if paired && let Some((faster, hours)) = more_copies(share, hours, span_hours) {
            let (now, then) = ((100.0 * share).max(1.0), 100.0 * faster);
            text.push_str(&format!(
                ", or {} with a shadow share of {then:.0} % instead of {now:.0} %",
                duration(hours)
            ));
        }
    }
    Some(Reason { text, gate: Some(slowest.gate.clone()) })
}

/// The shadow share that brings what is missing as fast as what is there came, rounded up to whole percent; everything where that is
/// not enough, or where the wait is shorter than that already. With it the hours that it takes; nothing where it changes little.
fn more_copies(share: f64, hours: f64, span_hours: f64) -> Option<(f64, f64)> {
    if !(share > 0.0 && share < SHADOW_FULL) {
        return None;
    }
    let needed = (100.0 * share * hours / span_hours).ceil() / 100.0;
    let faster = if needed > share && needed < 1.0 { needed } else { 1.0 };
    Some((faster, hours * share / faster))
}

/// `40 seconds`, `12 minutes`, `9.2 hours`, `12 days`.
fn duration(hours: f64) -> String {
    match hours {
        hours if hours < 1.0 / 40.0 => format!("{:.0} seconds", (hours * 3_600.0).ceil().max(1.0)),
        hours if hours < 1.5 => format!("{:.0} minutes", (hours * 60.0).ceil()),
        hours if hours < 72.0 => format!("{hours:.1} hours"),
        hours => format!("{:.0} days", (hours / 24.0).ceil()),
    }
}
