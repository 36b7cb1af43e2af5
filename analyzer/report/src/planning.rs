//! Plans and rehearsals as text of at most 80 columns; a note may be wider.

use std::fmt::Write as _;

use weir_gate::{Frequency, GatePlan, Plan, Rehearsal};

use crate::escape::{shorten, terminal};
use crate::numbers::{self, count};
use crate::words;

const GATE_COLUMNS: usize = 24;
/// Columns of a gate's name beside its bar.
const NAME_COLUMNS: usize = 22;
/// Columns of the longest bar.
const PICTURE_COLUMNS: usize = 32;

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
        "{:<GATE_COLUMNS$} {:>8} {:>8} {:>9} {:>7} {:>8} {:>10}",
        "gate", "margin", "control", "needs", "time", "there is", "that shows"
    );
    for gate in &plan.gates {
        gate_line(&mut text, gate, plan.per_hour);
    }
    picture(&mut text, plan, what);
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
    let time =
        gate.needed.zip(per_hour).map_or_else(dash, |(needed, rate)| short_duration(needed as f64 / rate));
    let _ = writeln!(
        text,
        "{:<GATE_COLUMNS$} {:>8} {:>8} {:>9} {:>7} {:>8} {:>10}",
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

/// What each gate needs, drawn on one logarithmic line that starts at 10.
fn picture(text: &mut String, plan: &Plan, what: &str) {
    let most = plan.gates.iter().filter_map(|gate| gate.needed).max();
    let Some(most) = most else { return };
    let decades = (2..=12).find(|decades| 10_u64.pow(*decades) >= most).unwrap_or(12);
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    // places are within the line
    let column = |needed: u64| {
        let share = (needed.max(10) as f64).log10() - 1.0;
        (share / f64::from(decades - 1) * PICTURE_COLUMNS as f64).round() as usize
    };
    let _ = writeln!(text, "\n{} that each gate needs, on a logarithmic line:", first_upper(what));
    let mut axis = " ".repeat(NAME_COLUMNS + 1);
    for decade in 1..=decades {
        let at = NAME_COLUMNS + 1 + column(10_u64.pow(decade));
        let label = short(10_u64.pow(decade));
        // The label stands on its tick.
        let start = at.saturating_sub(label.len() / 2);
        axis.push_str(&" ".repeat(start.saturating_sub(axis.chars().count())));
        axis.push_str(&label);
    }
    let _ = writeln!(text, "{axis}");
    for gate in &plan.gates {
        let name = shorten(&terminal(&gate.gate), NAME_COLUMNS);
        let Some(needed) = gate.needed else {
            let _ = writeln!(text, "{name:<NAME_COLUMNS$} ? cannot be planned");
            continue;
        };
        let mut line: Vec<char> = vec![' '; PICTURE_COLUMNS + 1];
        for decade in 1..=decades {
            put(&mut line, column(10_u64.pow(decade)), '|');
        }
        for at in 0..=column(needed) {
            put(&mut line, at, '#');
        }
        let line: String = line.into_iter().collect();
        let time =
            plan.per_hour.map_or_else(String::new, |rate| format!(", {}", duration(needed as f64 / rate)));
        let _ = writeln!(text, "{name:<NAME_COLUMNS$} {line} {}{time}", count(needed));
    }
}

fn put(line: &mut [char], at: usize, sign: char) {
    if let Some(cell) = line.get_mut(at) {
        *cell = sign;
    }
}

fn first_upper(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// `100`, `10k`, `1M`.
fn short(number: u64) -> String {
    match number {
        number if number >= 1_000_000_000 => format!("{}G", number / 1_000_000_000),
        number if number >= 1_000_000 => format!("{}M", number / 1_000_000),
        number if number >= 1_000 => format!("{}k", number / 1_000),
        number => number.to_string(),
    }
}

/// `40 min`, `9.2 h`, `12 days`.
fn short_duration(hours: f64) -> String {
    duration(hours).replace(" minutes", " min").replace(" hours", " h")
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
