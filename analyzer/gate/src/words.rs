//! Results in plain words.
//!
//! Numbers have one digit more than the margin needs, so that a reader sees on which side of it they are. Shares are in
//! percent and their differences in points (`pt`), as in every other view; a relative change is in percent of control.

use crate::judge::worse;
use crate::labels;
use crate::names;
use crate::result::{Comparison, GateResult, Outcome};
use crate::series::Better;

/// The result of one gate in one sentence.
pub(crate) fn explain(result: &GateResult, minimum_evidence: u64, notes: &[String]) -> String {
    let mut text = match result.segment.is_empty() {
        true => format!("{}: {}", result.gate, names::phrase(&result.metric)),
        false => {
            format!("{} in {}: {}", result.gate, labels::name(&result.segment), names::phrase(&result.metric))
        }
    };
    if result.outcome == Outcome::NoData {
        text.push_str(&no_data(result));
    } else {
        text.push_str(&change(result));
        text.push_str(": ");
        text.push_str(&conclusion(result, minimum_evidence));
    }
    for note in notes {
        text.push_str("; ");
        text.push_str(note);
    }
    text
}

fn no_data(result: &GateResult) -> String {
    let metric = &result.metric;
    if metric.strip_prefix(names::SCORE_PREFIX) == Some("*") {
        ": there is no score column yet".to_owned()
    } else if result.segment.is_empty() {
        format!(": there are no values of {metric}")
    } else {
        format!(": there are no values of {metric} with these labels")
    }
}

/// " fell from 100.0 to 62.0 % (difference -38.0 pt, interval -45.0 pt to -30.0 pt, margin 2 pt, 412 pairs)".
fn change(result: &GateResult) -> String {
    let digits = digits(result);
    if is_bound(result) {
        return at_bound(result, digits);
    }
    let level =
        |value: Option<f64>| value.map_or_else(|| "none".to_owned(), |value| level(value, digits, result));
    let (control, candidate) = (level(result.control), level(result.candidate));
    let unit = match result.unit.as_str() {
        "" => String::new(),
        "share" => " %".to_owned(),
        unit => format!(" {unit}"),
    };
    let moved = match (result.control, result.candidate) {
        _ if control == candidate => format!(" stayed at {control}{unit}"),
        (Some(x), Some(y)) if y < x => format!(" fell from {control} to {candidate}{unit}"),
        _ => format!(" rose from {control} to {candidate}{unit}"),
    };
    let kind = if result.relative { "change" } else { "difference" };
    let estimate =
        result.estimate.map_or_else(|| "unknown".to_owned(), |value| signed(value, digits, result));
    let interval = result.interval.map_or_else(
        || "no interval yet".to_owned(),
        |(low, high)| format!("interval {} to {}", signed(low, digits, result), signed(high, digits, result)),
    );
    let margin = format!("{}{}", trimmed(result.margin * scale(result)), difference_unit(result));
    format!("{moved} ({kind} {estimate}, {interval}, margin {margin}, {})", counts(result))
}

fn is_share(result: &GateResult) -> bool {
    result.unit == "share"
}

/// What differences and margins are multiplied by to be shown.
fn scale(result: &GateResult) -> f64 {
    if result.relative || is_share(result) { 100.0 } else { 1.0 }
}

fn difference_unit(result: &GateResult) -> &'static str {
    match (result.relative, is_share(result)) {
        (true, _) => " %",
        (false, true) => " pt",
        (false, false) => "",
    }
}

/// Whether the candidate's own level is held against a fixed bound.
fn is_bound(result: &GateResult) -> bool {
    result.margin == 0.0
}

/// " is 81.2 % (bound 85 %, interval 79.0 % to 83.1 %, 412 pairs)".
fn at_bound(result: &GateResult, digits: usize) -> String {
    let bound = result.control.unwrap_or(0.0);
    let (scale, each) = if is_share(result) { (100.0, " %") } else { (1.0, "") };
    let shown = |value: f64| format!("{}{each}", unsigned_zero(format!("{:.digits$}", value * scale)));
    let level = result.candidate.map_or_else(|| "unknown".to_owned(), shown);
    let interval = result.interval.map_or_else(
        || "no interval yet".to_owned(),
        |(low, high)| format!("interval {} to {}", shown(low + bound), shown(high + bound)),
    );
    let unit = match result.unit.as_str() {
        "" | "share" | "score" => String::new(),
        unit => format!(" {unit}"),
    };
    let trimmed_bound = trimmed(bound * scale);
    let n = thousands(result.n_candidate);
    let values = if result.comparison == Comparison::Paired { "pairs" } else { "samples of the candidate" };
    format!(" is {level}{unit} (bound {trimmed_bound}{each}, {interval}, {n} {values})")
}

fn conclusion(result: &GateResult, minimum_evidence: u64) -> String {
    match result.outcome {
        Outcome::Breach if is_bound(result) => "past the bound".to_owned(),
        Outcome::Inside if is_bound(result) => "on the good side of the bound".to_owned(),
        Outcome::Undecided if is_bound(result) => undecided(result, minimum_evidence),
        Outcome::Breach => "worse than the margin allows".to_owned(),
        Outcome::Diverged => "differs by more than the margin allows".to_owned(),
        Outcome::Inside if worse(result) => "inside the margin, though worse than control".to_owned(),
        Outcome::Inside => "inside the margin".to_owned(),
        Outcome::Improved => "better than control".to_owned(),
        Outcome::NoData => "no values".to_owned(),
        Outcome::Undecided if worse(result) => {
            format!(
                "worse than control, by more than the margin or not: {}",
                undecided(result, minimum_evidence)
            )
        }
        Outcome::Undecided => undecided(result, minimum_evidence),
    }
}

fn undecided(result: &GateResult, minimum_evidence: u64) -> String {
    let what = match result.comparison {
        Comparison::Paired => "pairs",
        _ if is_bound(result) => "samples of the candidate",
        _ => "samples of each variant",
    };
    let evidence = result.n_control.min(result.n_candidate);
    if result.relative && result.estimate.is_none() {
        return "undecided, the mean of control is not above zero: use an absolute margin".to_owned();
    }
    let correction = result.correction.as_ref().filter(|correction| correction.applied);
    if let Some(more) = correction.and_then(|correction| correction.needed_labels).filter(|more| *more > 0) {
        return format!("undecided, about {} more labels of each variant", thousands(rounded(more)));
    }
    match result.needed_more {
        None if correction.is_some() && !at_margin(result) => {
            "undecided, both more labels and more answers are needed".to_owned()
        }
        Some(0) => "undecided, about to be decided".to_owned(),
        Some(more) if evidence < minimum_evidence => format!(
            "undecided, about {} more {what} (at least {} in all)",
            thousands(rounded(more)),
            thousands(minimum_evidence)
        ),
        Some(more) => format!("undecided, about {} more {what}", thousands(rounded(more))),
        None if at_margin(result) => "undecided, cannot become inside at the present estimate".to_owned(),
        None => "undecided, no forecast".to_owned(),
    }
}

/// Whether the estimate is at or past the margin on a side that counts.
fn at_margin(result: &GateResult) -> bool {
    let Some(estimate) = result.estimate else { return false };
    match result.better {
        Better::Higher => estimate <= -result.margin,
        Better::Lower => estimate >= result.margin,
        Better::Neither => estimate.abs() >= result.margin,
    }
}

fn counts(result: &GateResult) -> String {
    let answers = answers(result);
    match result.correction.as_ref().filter(|correction| correction.applied) {
        None => answers,
        Some(correction) => format!(
            "{answers}, {} and {} of them labelled by people",
            thousands(correction.labels_control),
            thousands(correction.labels_candidate)
        ),
    }
}

fn answers(result: &GateResult) -> String {
    match result.comparison {
        Comparison::Paired => format!("{} pairs", thousands(result.n_pairs)),
        _ => format!(
            "{} samples of control and {} of the candidate",
            thousands(result.n_control),
            thousands(result.n_candidate)
        ),
    }
}

/// Decimals for differences: one more than the first digit of the margin; relative changes and shares against a bound
/// have one decimal of a percent.
fn digits(result: &GateResult) -> usize {
    if result.relative || (is_bound(result) && is_share(result)) {
        return 1;
    }
    if is_bound(result) {
        let size = result.control.unwrap_or(0.0).abs();
        return if size >= 100.0 { 0 } else { 3 };
    }
    (0..8)
        .find(|digits| result.margin * scale(result) * 10_f64.powi(*digits) >= 0.999_999)
        .map_or(8, |digits| digits as usize + 1)
}

/// A mean, with the digits of the differences, or with its own where the margin is relative.
fn level(value: f64, digits: usize, result: &GateResult) -> String {
    if is_share(result) {
        return unsigned_zero(format!("{:.digits$}", value * 100.0));
    }
    let digits = match value.abs() {
        _ if !result.relative => digits,
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        _ => 3,
    };
    unsigned_zero(format!("{value:.digits$}"))
}

fn signed(value: f64, digits: usize, result: &GateResult) -> String {
    let text = format!("{:+.digits$}{}", value * scale(result), difference_unit(result));
    // A rounded zero has no sign.
    if text.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) { text } else { text.replace(['+', '-'], "") }
}

/// Without trailing zeros and without the noise of a product.
pub(crate) fn trimmed(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn unsigned_zero(text: String) -> String {
    if text.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) { text } else { text.replace('-', "") }
}

/// Two significant digits: a forecast is no better than that.
pub(crate) fn rounded(value: u64) -> u64 {
    let mut unit = 1;
    while value / unit >= 100 {
        unit *= 10;
    }
    value.div_ceil(unit) * unit
}

/// 12,345.
pub(crate) fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
