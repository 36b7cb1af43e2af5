//! The first screen: verdict with its reason, what was compared, what is promised, what is not known.

use std::fmt::Write as _;

use weir_gate::{GateResult, Outcome, Verdict};

use super::plots::tone;
use super::{text, versions};
use crate::diff;
use crate::escape::{Lines, html};
use crate::model::Report;
use crate::numbers::{self, count};
use crate::words;

/// The verdict in words, with its first reason.
pub(super) fn verdict(page: &mut String, report: &Report) {
    let evaluation = &report.evaluation;
    let (tone, sign) = match evaluation.verdict {
        Verdict::Promote => ("good", "✓"),
        Verdict::Rollback => ("bad", "✗"),
        Verdict::Hold => ("open", "○"),
        Verdict::Investigate | Verdict::SignOff => ("open", "?"),
    };
    let _ = write!(
        page,
        "<div class=\"verdict {tone}\">\n<p class=\"who\">{}</p>\n<h1><span aria-hidden=\"true\">{sign}</span> {}</h1>\n<p class=\"what\">{}</p>\n",
        place(report),
        words::verdict(evaluation.verdict),
        words::verdict_sentence(evaluation.verdict)
    );
    if !report.generated_from.left_out.is_empty() {
        let _ = writeln!(
            page,
            "<p class=\"problem\">Judged without: {}</p>",
            text(&report.generated_from.left_out.join("; "))
        );
    }
    let _ = writeln!(page, "<p class=\"tally\">{}</p>", tally(&evaluation.gates));
    if let Some(reason) = evaluation.reasons.first() {
        let gate = evaluation.gates.iter().find(|gate| Some(&gate.gate) == reason.gate.as_ref());
        let because = gate.and_then(because).unwrap_or_else(|| text(&reason.text));
        let _ = writeln!(page, "<p class=\"because\">{because}</p>");
    }
    page.push_str("</div>\n");
}

/// The gate that the verdict comes from, in the fewest words: what it measures, both sides, the change against the margin.
/// Every reason stands in full below.
fn because(gate: &GateResult) -> Option<String> {
    let (control, candidate) = (gate.control?, gate.candidate?);
    if gate.margin == 0.0 {
        return None;
    }
    let value = |value: f64| text(&numbers::value(&gate.unit, value));
    Some(format!(
        "{}: {}. Control {}, candidate {}: {}; {}",
        text(&gate.gate),
        text(&weir_gate::phrase(&gate.metric)),
        value(control),
        value(candidate),
        text(&words::finding(gate)),
        text(&words::evidence(gate))
    ))
}

/// How many gates there are of each outcome, the worst first.
fn tally(gates: &[GateResult]) -> String {
    let outcomes = [
        Outcome::Breach,
        Outcome::Diverged,
        Outcome::Undecided,
        Outcome::NoData,
        Outcome::Inside,
        Outcome::Improved,
    ];
    let counted = outcomes.into_iter().filter_map(|outcome| {
        let count = gates.iter().filter(|gate| gate.outcome == outcome).count();
        let (tone, sign, word) = (tone(outcome), words::outcome_sign(outcome), words::outcome(outcome));
        (count > 0)
            .then(|| format!("<span class=\"outcome {tone}\">{sign} {count} {}</span>", word.to_lowercase()))
    });
    counted.collect::<Vec<_>>().join(" ")
}

/// Experiment, step, revision.
fn place(report: &Report) -> String {
    let mut place = format!("Experiment <strong>{}</strong>", text(&report.experiment));
    if let Some(step) = &report.step {
        let _ = write!(
            place,
            " · step {} of {}: {}, the candidate serves {} %",
            step.number,
            step.of,
            text(&step.name),
            numbers::trimmed_percent(step.candidate_percent / 100.0)
        );
    }
    let revisions: Vec<String> = report.revisions.iter().map(i64::to_string).collect();
    match revisions.as_slice() {
        [] => {}
        [one] => {
            let _ = write!(place, " · policy revision {one}");
        }
        several => {
            let _ = write!(place, " · policy revisions {}", several.join(", "));
        }
    }
    place
}

/// What was compared and what it is worth.
pub(super) fn facts(page: &mut String, report: &Report) {
    let evaluation = &report.evaluation;
    let health = &evaluation.health;
    versions::table(page, report);
    page.push_str("<dl class=\"facts\">\n");
    fact(page, "Candidate's share", &versions::share(report));
    fact(page, "Compared pairs", &count(health.pairs));
    fact(page, "Served by control", &count(health.primary_control));
    fact(page, "Served by candidate", &count(health.primary_candidate));
    fact(page, "Alpha", &format!("{} %, all gates and looks", numbers::trimmed_percent(evaluation.alpha)));
    let capture = match health.problems.len() {
        0 => "✓ no problem found".to_owned(),
        1 => "✗ 1 problem".to_owned(),
        more => format!("✗ {more} problems"),
    };
    fact(page, "Capture", &capture);
    if let (Some(first), Some(last)) = (&report.generated_from.first_ts, &report.generated_from.last_ts) {
        fact(page, "Samples from", &period(first, last));
    }
    if let Some(score) = evaluation.score {
        fact(page, "Score (decides nothing)", &format!("{score} of 100"));
    }
    page.push_str("</dl>\n");
    let _ = writeln!(
        page,
        "<p class=\"promise\">Promised, however often looked at: {}.</p>",
        text(&words::promises(evaluation))
    );
}

/// Links to the sections that are there; those of the live page come with it.
pub(super) fn contents(page: &mut String, report: &Report) {
    let all: [(&str, &str, bool); 11] = [
        ("gates", "Gates", true),
        ("try", "What if", !report.gates.is_null()),
        ("over-time", "Over time", !report.trajectories.is_empty()),
        ("segments", "Segments", super::evidence::has_segments(report)),
        ("pairs", "Pairs", !report.exemplars.is_empty()),
        ("distributions", "Distributions", !report.distributions.is_empty()),
        ("meaning", "Meaning", super::meaning::is_there(report)),
        ("judges", "Judges", !report.judges.is_empty()),
        ("timeline", "Timeline", !report.timeline.is_empty()),
        ("policy", "Policy", true),
        ("provenance", "Provenance", true),
    ];
    page.push_str("<nav aria-label=\"Sections\">\n");
    for (id, name, _) in all.into_iter().filter(|(_, _, there)| *there) {
        let live = if ["try", "policy"].contains(&id) { " data-live hidden" } else { "" };
        let _ = writeln!(page, "<a href=\"#{id}\"{live}>{name}</a>");
    }
    page.push_str("</nav>\n");
}

/// Every reason, the most important first.
pub(super) fn reasons(page: &mut String, report: &Report) {
    page.push_str("<ol class=\"reasons\">\n");
    for reason in &report.evaluation.reasons {
        let _ = writeln!(page, "<li>{}</li>", text(&reason.text));
    }
    if report.evaluation.reasons.is_empty() {
        page.push_str("<li>No reason was given.</li>\n");
    }
    page.push_str("</ol>\n");
}

/// What was not decided or not even measured.
pub(super) fn open(page: &mut String, report: &Report) {
    let undecided = |gate: &&GateResult| matches!(gate.outcome, Outcome::Undecided | Outcome::NoData);
    let open: Vec<&GateResult> = report.evaluation.gates.iter().filter(undecided).collect();
    if open.is_empty() && report.absent.is_empty() {
        page.push_str("<p>Every gate is decided, and every metric was measured.</p>\n");
        return;
    }
    if !open.is_empty() {
        page.push_str("<ul class=\"plain\">\n");
    }
    for gate in &open {
        // Explanations of the gates begin with the gate's name already.
        let why = gate.explanation.strip_prefix(&format!("{}: ", gate.gate)).unwrap_or(&gate.explanation);
        let _ = writeln!(
            page,
            "<li><span class=\"outcome {}\">{} {}</span> <strong>{}</strong>: {}</li>",
            tone(gate.outcome),
            words::outcome_sign(gate.outcome),
            words::outcome(gate.outcome),
            text(&gate.gate),
            text(why)
        );
    }
    if !open.is_empty() {
        page.push_str("</ul>\n");
    }
    not_measured(page, &report.absent);
}

/// The metrics without values, by name; why is a click away.
fn not_measured(page: &mut String, absent: &[(String, String)]) {
    if absent.is_empty() {
        return;
    }
    let names: Vec<String> = absent.iter().map(|(metric, _)| text(metric)).collect();
    let _ = writeln!(
        page,
        "<details>\n<summary><span class=\"outcome\">– not measured</span> {}</summary>\n<ul class=\"plain\">",
        names.join(", ")
    );
    for (metric, reason) in absent {
        let _ = writeln!(page, "<li><strong>{}</strong>: {}</li>", text(metric), text(reason));
    }
    page.push_str("</ul>\n</details>\n");
}

/// One side of a comparison, with the words marked that the other side has not.
pub(super) fn stretches(page: &mut String, side: &[diff::Stretch<'_>], mark: &str, lines: Lines) {
    for stretch in side {
        let shown = html(stretch.text, lines);
        let _ = if stretch.changed && !stretch.text.trim().is_empty() {
            write!(page, "<{mark}>{shown}</{mark}>")
        } else {
            write!(page, "{shown}")
        };
    }
}

pub(super) fn fact(page: &mut String, name: &str, value: &str) {
    let _ = writeln!(page, "<div><dt>{name}</dt><dd>{}</dd></div>", text(value));
}

/// An RFC 3339 time without fractions of seconds: `2026-02-11 09:03:59`.
pub(super) fn clock(at: &str) -> String {
    match at.strip_suffix('Z').and_then(|at| at.split_once('T')) {
        Some((day, time)) => format!("{day} {}", time.split('.').next().unwrap_or(time)),
        None => at.to_owned(),
    }
}

/// Two RFC 3339 times as people read them: the day once where it is the same, no fractions of seconds.
fn period(first: &str, last: &str) -> String {
    let parts = |time: &str| -> Option<(String, String)> {
        let (day, rest) = time.strip_suffix('Z')?.split_once('T')?;
        Some((day.to_owned(), rest.split('.').next()?.to_owned()))
    };
    match (parts(first), parts(last)) {
        (Some((day, from)), Some((same, to))) if day == same => format!("{day}, {from} to {to} UTC"),
        (Some((day, from)), Some((other, to))) => format!("{day} {from} to {other} {to} UTC"),
        _ => format!("{first} to {last}"),
    }
}
