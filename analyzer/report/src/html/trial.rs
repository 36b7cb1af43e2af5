//! What the live page adds: forms to try other gates and another policy. Hidden until the script has found everything it
//! needs, so that nobody types into a form that does nothing.

use std::fmt::Write as _;

use serde_json::Value;

use super::plots::tone;
use super::text;
use crate::model::Report;
use crate::words;

const KINDS: [(&str, &str); 4] =
    [("absolute", "absolute"), ("relative", "of control"), ("ofScale", "of scale"), (BOUND, "a bound")];
/// Needs a side as well, so that only a gate that has one can be switched to it.
const BOUND: &str = "bound";
/// Segments that can be hidden one by one.
const SEGMENTS_MAX: usize = 24;
const SEVERITIES: [&str; 3] = ["critical", "major", "advisory"];

/// The gates as a form.
pub(super) fn gates(page: &mut String, report: &Report) {
    let Some(gates) = report.gates.get("gates").and_then(Value::as_array) else { return };
    let alpha = report.gates.get("alpha").map(Value::to_string).unwrap_or_default();
    let _ = write!(
        page,
        "<section id=\"try\" data-live hidden>\n<h2>What if</h2>\n<p class=\"note\">Change anything: verdict, reasons and gates above follow at once, \
         computed by the code that made this report. Nothing is sent anywhere, and nothing changes in the rollout.</p>\n\
         <form id=\"gates-form\">\n<p id=\"trial\" role=\"status\"></p>\n<div class=\"fields\">\n\
         <label>Alpha, all gates and looks together <input name=\"alpha\" type=\"number\" min=\"0.000001\" max=\"0.5\" step=\"any\" value=\"{}\"></label>\n",
        text(&alpha)
    );
    looks(page, report);
    page.push_str("</div>\n");
    segments(page, report);
    page.push_str(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Gates to try\">\n<table>\n<thead><tr><th scope=\"col\">Gate</th>\
         <th scope=\"col\">Margin</th><th scope=\"col\">Is</th><th scope=\"col\">Severity</th><th scope=\"col\">Least evidence</th>\
         <th scope=\"col\">Counts</th><th scope=\"col\">Outcome</th></tr></thead>\n<tbody>\n",
    );
    let outcomes = outcomes(report);
    for (index, gate) in gates.iter().enumerate() {
        let outcome = outcomes.get(index).map_or("", |(_, outcome)| outcome);
        row(page, index, gate, outcome);
    }
    page.push_str(
        "</tbody>\n</table>\n</div>\n<p class=\"buttons\"><button type=\"reset\">Back to the report's gates</button> \
         <button type=\"button\" id=\"export\">Export these gates as YAML</button></p>\n\
         <pre id=\"problems\" class=\"problem\" tabindex=\"0\" hidden></pre>\n\
         <textarea id=\"yaml\" aria-label=\"Gates as YAML\" readonly rows=\"12\" hidden></textarea>\n</form>\n</section>\n",
    );
}

/// The time range: from the end of one look to the end of another.
fn looks(page: &mut String, report: &Report) {
    if report.looks.len() < 2 {
        return;
    }
    for (name, label, all) in
        [("after", "Only what came after", "the beginning"), ("until", "Only what was known at", "the end")]
    {
        let _ = write!(page, "<label>{label} <select name=\"{name}\"><option value=\"\">{all}</option>");
        let looks = report.looks.iter().enumerate();
        // After the last look nothing came, and up to the last one is everything.
        for (index, look) in looks.take(report.looks.len() - 1) {
            let _ =
                write!(page, "<option value=\"{index}\">{}</option>", text(&super::head::clock(&look.at)));
        }
        page.push_str("</select></label>\n");
    }
}

/// A box for each segment of the evidence, in the order of the report's damage where there is one.
fn segments(page: &mut String, report: &Report) {
    let judged = report.evaluation.segments.iter().take(SEGMENTS_MAX);
    let boxes: Vec<String> = judged
        .map(|segment| {
            let value = serde_json::json!({ &segment.dimension: &segment.value }).to_string();
            format!(
                "<label><input type=\"checkbox\" name=\"shown\" value=\"{}\" checked> {}</label>",
                text(&value),
                text(&segment.name())
            )
        })
        .collect();
    if boxes.is_empty() {
        return;
    }
    let more = match report.evaluation.segments.len().saturating_sub(SEGMENTS_MAX) {
        0 => String::new(),
        more => format!(" <span class=\"small\">{more} more are in the JSON only</span>"),
    };
    let _ = writeln!(
        page,
        "<fieldset class=\"segments\">\n<legend>Segments that count (clear one to judge without it)</legend>\n{}{more}\n</fieldset>",
        boxes.join("\n")
    );
}

fn row(page: &mut String, index: usize, gate: &Value, outcome: &str) {
    let word = |key: &str| gate.get(key).and_then(Value::as_str).unwrap_or_default();
    let name = text(word("name"));
    let margin = gate.get("margin");
    let (kind, size) = KINDS
        .iter()
        .find_map(|(kind, _)| Some((*kind, margin?.get(*kind)?.to_string())))
        .unwrap_or(("absolute", String::new()));
    let least = gate.get("minimumEvidence").map(Value::to_string).unwrap_or_default();
    let _ = write!(
        page,
        "<tr data-gate=\"{index}\"><th scope=\"row\">{name}<br><span class=\"small\">{}</span></th>\
         <td><input name=\"margin\" aria-label=\"Margin of {name}\" type=\"number\" min=\"0\" step=\"any\" value=\"{}\"></td>\
         <td><select name=\"kind\" aria-label=\"What the margin of {name} is\">",
        text(word("metric")),
        text(&size)
    );
    for (value, label) in KINDS.into_iter().filter(|(value, _)| *value != BOUND || kind == BOUND) {
        option(page, value, label, value == kind);
    }
    let _ = write!(page, "</select></td><td><select name=\"severity\" aria-label=\"Severity of {name}\">");
    for severity in SEVERITIES {
        option(page, severity, severity, severity == word("severity"));
    }
    let _ = writeln!(
        page,
        "</select></td><td><input name=\"least\" aria-label=\"Least evidence of {name}\" type=\"number\" min=\"1\" step=\"1\" value=\"{}\"></td>\
         <td><input name=\"counts\" aria-label=\"{name} counts\" type=\"checkbox\" checked></td>\
         <td data-outcome=\"{name}\">{outcome}</td></tr>",
        text(&least)
    );
}

fn option(page: &mut String, value: &str, label: &str, selected: bool) {
    let selected = if selected { " selected" } else { "" };
    let _ = write!(page, "<option value=\"{value}\"{selected}>{label}</option>");
}

/// For each gate of the document its name and its outcome as HTML; a wildcard has one for each metric that it covers.
#[must_use]
pub fn outcomes(report: &Report) -> Vec<(String, String)> {
    let gates = report.gates.get("gates").and_then(Value::as_array).into_iter().flatten();
    let names = gates.filter_map(|gate| gate.get("name").and_then(Value::as_str));
    names
        .map(|name| {
            let covered = format!("{name} (");
            let results = report.evaluation.gates.iter();
            let mine = results.filter(|result| result.gate == name || result.gate.starts_with(&covered));
            let badges: Vec<String> = mine
                .map(|result| {
                    let (sign, word) = (words::outcome_sign(result.outcome), words::outcome(result.outcome));
                    format!("<span class=\"outcome {}\">{sign} {word}</span>", tone(result.outcome))
                })
                .collect();
            (name.to_owned(), badges.join(" "))
        })
        .collect()
}

/// Headers and a policy as a form.
pub(super) fn policy(page: &mut String, report: &Report) {
    let policy = if report.policy.is_null() {
        String::new()
    } else {
        serde_json::to_string_pretty(&report.policy).unwrap_or_default()
    };
    let _ = write!(
        page,
        "<section id=\"policy\" data-live hidden>\n<h2>Policy playground</h2>\n<p class=\"note\">Who gets what, and why, by the filter's own code. \
         The same on the command line: <code>weir assign</code>.</p>\n<form id=\"policy-form\">\n<div class=\"sides\">\n\
         <label>Policy, YAML or JSON <textarea name=\"policy\" rows=\"14\" spellcheck=\"false\">{}</textarea></label>\n\
         <div><label>Headers of a request, one to a line <textarea name=\"headers\" rows=\"5\" spellcheck=\"false\">x-user-id: ada\nx-tier: internal</textarea></label>\n\
         <div id=\"assignment\" role=\"status\"></div></div>\n</div>\n</form>\n</section>\n",
        crate::escape::entities(&policy)
    );
}
