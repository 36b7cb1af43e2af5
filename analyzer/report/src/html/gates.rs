//! Gates: each interval against its margin, and how it closed over time.

use std::fmt::Write as _;

use weir_gate::GateResult;

use super::places;
use super::plots::{self, tone};
use super::text;
use crate::judges;
use crate::model::Report;
use crate::numbers::{self, count};
use crate::words;

/// Every gate in a row.
pub(super) fn table(page: &mut String, report: &Report) {
    let gates = words::urgent_first(&report.evaluation.gates);
    page.push_str(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table of gates\">\n<table class=\"gates\">\n\
         <thead><tr><th scope=\"col\">Outcome</th><th scope=\"col\">Gate</th><th scope=\"col\" class=\"number\">Control</th>\
         <th scope=\"col\" class=\"number\">Candidate</th><th scope=\"col\" class=\"number\">Change, interval</th>\
         <th scope=\"col\">Against the margin</th><th scope=\"col\">Evidence</th></tr></thead>\n<tbody>\n",
    );
    for gate in &gates {
        row(page, gate);
    }
    if gates.is_empty() {
        page.push_str("<tr><td colspan=\"7\">No gate was judged.</td></tr>\n");
    }
    page.push_str(
        "</tbody>\n</table>\n</div>\n<p class=\"note\">The dot is the estimated change of the candidate against the control, \
         the bar its interval; shaded is past the margin. A gate is inside when the whole bar is outside the shade, and \
         breached when the whole bar is in it.</p>\n",
    );
}

fn row(page: &mut String, gate: &GateResult) {
    let change = match (gate.estimate, gate.interval) {
        (Some(estimate), Some(bounds)) => format!(
            "<strong>{}</strong><br><span class=\"small\">{}</span>",
            text(&numbers::difference(&gate.unit, gate.relative, estimate)),
            text(&numbers::interval(&gate.unit, gate.relative, bounds))
        ),
        _ => "-".to_owned(),
    };
    let more = gate
        .needed_more
        .map_or_else(String::new, |more| format!("<br>about {} more needed", numbers::about(more)));
    let labels = judges::labels_needed(gate).map_or_else(String::new, |more| {
        format!("<br>about {} more labels of each variant needed", count(more))
    });
    let corrected = judges::correction(gate).map_or_else(String::new, |told| format!("<br>{}", text(&told)));
    let more = format!("{more}{labels}{corrected}");
    let unit = match numbers::unit_word(&gate.unit) {
        "" => String::new(),
        unit => format!(" ({})", text(unit)),
    };
    let _ = writeln!(
        page,
        "<tr><td><span class=\"outcome {}\">{} {}</span></td>\
         <th scope=\"row\">{}<br><span class=\"small\">{}{unit}, {}</span></th>\
         <td class=\"number\" data-label=\"Control\">{}</td><td class=\"number\" data-label=\"Candidate\">{}</td>\
         <td class=\"number\" data-label=\"Change\">{change}</td><td class=\"plot\">{}</td><td class=\"small\">{}{more}</td></tr>",
        tone(gate.outcome),
        words::outcome_sign(gate.outcome),
        words::outcome(gate.outcome),
        text(&gate.gate),
        text(&gate.metric),
        words::severity(gate.severity),
        text(&numbers::value_or_dash(&gate.unit, gate.control)),
        text(&numbers::value_or_dash(&gate.unit, gate.candidate)),
        plots::interval(gate),
        text(&words::evidence(gate)),
    );
}

/// Every gate's interval look by look.
pub(super) fn trajectories(page: &mut String, report: &Report) {
    if report.trajectories.is_empty() {
        return;
    }
    page.push_str(
        "<section id=\"over-time\">\n<h2>Over time</h2>\n<p class=\"note\">The interval of each gate at each look; it may be looked at \
         any number of times. Shaded red is past the margin. Numbered lines are revisions and decisions of the timeline.</p>\n\
         <div class=\"charts\">\n",
    );
    for trajectory in &report.trajectories {
        let _ = write!(page, "<figure><figcaption><strong>{}</strong></figcaption>", text(&trajectory.gate));
        page.push_str(&places::trajectory(trajectory, &report.timeline));
        page.push_str("</figure>\n");
    }
    page.push_str("</div>\n</section>\n");
}
