//! Plans and rehearsals as text of at most 100 columns.

use std::fmt::Write as _;

use weir_gate::{Frequency, GatePlan, Plan, Rehearsal};

use crate::escape::{shorten, terminal};
use crate::numbers::{self, count};
use crate::words;

const GATE_COLUMNS: usize = 28;

/// A plan: what each gate needs, how long that takes and what the copies cost.
#[must_use]
pub fn plan_text(plan: &Plan) -> String {
    let mut text = String::new();
    let what = if plan.paired { "pairs" } else { "answers of each variant" };
    let _ = writeln!(
        text,
        "Needed: {what}, so that a gate is inside with {} % chance if nothing changed,\nand breached with the same chance by a change of two margins; alpha {} over all gates and looks.\n",
        numbers::trimmed_percent(plan.power),
        numbers::probability(plan.alpha)
    );
    let _ = writeln!(
        text,
        "{:<GATE_COLUMNS$} {:>10} {:>10} {:>12} {:>11} {:>10} {:>12}",
        "gate", "margin", "control", "needs", "time", "there is", "that shows"
    );
    for gate in &plan.gates {
        gate_line(&mut text, gate, plan.per_hour);
    }
    text.push('\n');
    match (plan.needed, plan.per_hour, plan.hours) {
        (None, ..) => text.push_str("Not every gate that decides can be decided: see the notes.\n"),
        (Some(needed), Some(rate), Some(hours)) => {
            let _ = writeln!(
                text,
                "All gates that decide: {} {what}, about {} at {} an hour.",
                count(needed),
                duration(hours),
                count(rate.round().max(0.0) as u64)
            );
        }
        (Some(needed), ..) => {
            let _ = writeln!(text, "All gates that decide: {} {what}.", count(needed));
        }
    }
    if let Some(copies) = plan.copies {
        let cost = plan.cost.map_or_else(String::new, |cost| format!(", which cost about {cost:.2}"));
        let _ = writeln!(text, "Shadowing: {} copies answered by the candidate{cost}.", count(copies));
    }
    text
}

fn gate_line(text: &mut String, gate: &GatePlan, per_hour: Option<f64>) {
    let known = gate.control.is_some();
    let size = |value: f64| numbers::margin(&gate.unit, gate.relative, value);
    let dash = || "-".to_owned();
    let time = gate.needed.zip(per_hour).map_or_else(dash, |(needed, rate)| duration(needed as f64 / rate));
    let _ = writeln!(
        text,
        "{:<GATE_COLUMNS$} {:>10} {:>10} {:>12} {:>11} {:>10} {:>12}",
        shorten(&terminal(&gate.gate), GATE_COLUMNS),
        if known { size(gate.margin) } else { dash() },
        numbers::value_or_dash(&gate.unit, gate.control),
        gate.needed.map_or_else(dash, count),
        time,
        count(gate.available),
        gate.smallest_effect.map_or_else(dash, size),
    );
    if gate.needed.is_none() {
        let _ = writeln!(text, "    {} ({})", terminal(&gate.note), words::severity(gate.severity));
    }
}

/// `40 minutes`, `9.2 hours`, `12 days`.
fn duration(hours: f64) -> String {
    match hours {
        hours if hours < 1.5 => format!("{:.0} minutes", (hours * 60.0).ceil().max(1.0)),
        hours if hours < 72.0 => format!("{hours:.1} hours"),
        hours => format!("{:.0} days", (hours / 24.0).ceil()),
    }
}

/// A rehearsal: how often the rule and each gate fired where nothing changed.
#[must_use]
pub fn rehearsal_text(rehearsal: &Rehearsal) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{} false candidates out of control's own history ({} answers), {} looks at each.\n",
        count(rehearsal.splits),
        count(rehearsal.values),
        rehearsal.looks
    );
    heading(&mut text, "");
    let promised = format!("at most {} %", numbers::trimmed_percent(rehearsal.promised));
    line(&mut text, "rolled back", &rehearsal.rollback, &promised);
    line(&mut text, "a human called", &rehearsal.human, "");
    line(&mut text, "because of a segment", &rehearsal.segment, &promised);
    line(&mut text, "promoted in the end", &rehearsal.promoted, "");
    text.push('\n');
    heading(&mut text, "gate fired");
    for gate in &rehearsal.gates {
        let promised = format!("at most {} %", numbers::trimmed_percent(gate.alpha));
        line(&mut text, &gate.gate, &gate.fired, &promised);
    }
    text
}

fn heading(text: &mut String, what: &str) {
    let _ = writeln!(
        text,
        "{what:<GATE_COLUMNS$} {:>8} {:>9}  {:<20} promised",
        "splits", "share", "95 % interval"
    );
}

fn line(text: &mut String, name: &str, frequency: &Frequency, promised: &str) {
    let percent = |share: f64| format!("{:.2} %", share * 100.0);
    let (low, high) = frequency.interval;
    let line = format!(
        "{:<GATE_COLUMNS$} {:>8} {:>9}  {:<20} {promised}",
        shorten(&terminal(name), GATE_COLUMNS),
        count(frequency.splits),
        percent(frequency.share),
        format!("{} to {}", percent(low), percent(high)),
    );
    let _ = writeln!(text, "{}", line.trim_end());
}
