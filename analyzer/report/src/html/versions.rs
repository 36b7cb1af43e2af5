//! What the two variants serve, component by component, and who gets it.
//!
//! The samples name their snapshots in one line; the policy, where it is known, says what they are made of.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use super::{head, text};
use crate::diff;
use crate::escape::Lines;
use crate::model::Report;
use crate::numbers;

/// The parts of a snapshot in the policy, with their names for people.
const PARTS: [(&str, &str); 4] =
    [("model", "Model"), ("prompt", "Prompt"), ("tools", "Tools"), ("knowledgeBase", "Knowledge base")];
/// Cohorts that a share is said of.
const COHORTS_MAX: usize = 6;

/// What exactly differs.
pub(super) fn table(page: &mut String, report: &Report) {
    page.push_str("<table class=\"snapshots\">\n<caption>What exactly differs</caption>\n<tbody>\n");
    let control = labels(&report.variants.control_snapshot);
    let candidate = labels(&report.variants.candidate_snapshot);
    let (old, new) = diff::words(&control, &candidate);
    for (name, side, mark) in [("Control", old, "del"), ("Candidate", new, "ins")] {
        let _ = write!(page, "<tr><th scope=\"row\">{name}</th><td>");
        head::stretches(page, &side, mark, Lines::Join);
        page.push_str("</td></tr>\n");
    }
    let (changed, same) = parts(&report.policy);
    for (name, control, candidate) in changed {
        let _ = writeln!(
            page,
            "<tr><th scope=\"row\">{}</th><td><del>{}</del> → <ins>{}</ins></td></tr>",
            text(&name),
            text(&control),
            text(&candidate)
        );
    }
    for what in edits(&report.policy) {
        let _ = writeln!(page, "<tr><th scope=\"row\">Request</th><td>{}</td></tr>", text(&what));
    }
    if !same.is_empty() {
        let _ = writeln!(page, "<tr><th scope=\"row\">The same</th><td>{}</td></tr>", text(&same.join("; ")));
    }
    page.push_str("</tbody>\n</table>\n");
}

/// A part that differs: its name, control's and the candidate's.
type Changed = (String, String, String);

/// The parts of the policy's snapshots that differ, and those that do not.
fn parts(policy: &Value) -> (Vec<Changed>, Vec<String>) {
    let (mut changed, mut same) = (Vec::new(), Vec::new());
    let snapshot = |variant: &str| policy.get(variant).and_then(|side| side.get("snapshot"));
    let (Some(control), Some(candidate)) = (snapshot("control"), snapshot("candidate")) else {
        return (changed, same);
    };
    let mut compare = |name: String, old: Option<String>, new: Option<String>| match (old, new) {
        (None, None) => {}
        (Some(old), Some(new)) if old == new => same.push(format!("{} {old}", name.to_lowercase())),
        (old, new) => {
            let shown = |side: Option<String>| side.unwrap_or_else(|| "(none)".to_owned());
            changed.push((name, shown(old), shown(new)));
        }
    };
    for (key, name) in PARTS {
        compare(name.to_owned(), component(control.get(key)), component(candidate.get(key)));
    }
    let parameters = |snapshot: &'_ Value| {
        snapshot.get("parameters").and_then(Value::as_object).cloned().unwrap_or_default()
    };
    let (old, new) = (parameters(control), parameters(candidate));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        compare(name.clone(), old.get(name).map(plain), new.get(name).map(plain));
    }
    (changed, same)
}

/// `support@14`.
fn component(part: Option<&Value>) -> Option<String> {
    let part = part.filter(|part| !part.is_null())?;
    let word = |key: &str| part.get(key).map(plain).unwrap_or_default();
    Some(format!("{}@{}", word("name"), word("version")))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What the candidate's requests have other than control's.
fn edits(policy: &Value) -> Vec<String> {
    let request = policy.get("candidate").and_then(|candidate| candidate.get("request"));
    let fields = request.and_then(Value::as_object).into_iter().flatten();
    fields
        .filter(|(name, value)| *name != "bodyBytesMax" && !value.is_null() && !is_empty(value))
        .map(|(name, value)| format!("the candidate's {name}: {}", plain(value)))
        .collect()
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

fn labels(labels: &[String]) -> String {
    if labels.is_empty() { "not named by the samples".to_owned() } else { labels.join("; ") }
}

/// Who gets the candidate: `5 % of users (step 2 of 3)`, or the policy's cohorts, or the share that was measured.
pub(super) fn share(report: &Report) -> String {
    let percent = |share: f64| numbers::trimmed_percent(share);
    if let Some(step) = &report.step {
        let share = percent(step.candidate_percent / 100.0);
        return format!("{share} % (step {} of {}: {})", step.number, step.of, step.name);
    }
    let cohorts = report.policy.get("cohorts").and_then(Value::as_array).into_iter().flatten();
    let said: Vec<String> = cohorts
        .filter_map(|cohort| {
            let share = cohort.get("candidatePercent").and_then(Value::as_f64).unwrap_or(0.0);
            Some(format!("{} {} %", cohort.get("name")?.as_str()?, percent(share / 100.0)))
        })
        .take(COHORTS_MAX)
        .collect();
    let mode = report.policy.get("mode").and_then(Value::as_str);
    match (mode, said.is_empty()) {
        (Some("canary"), false) => return said.join(", "),
        (Some(mode), _) if mode != "canary" => return format!("mode {mode}"),
        _ => {}
    }
    let health = &report.evaluation.health;
    let all = health.primary_control + health.primary_candidate;
    match (all, health.primary_candidate) {
        (0, _) => return "nothing was served".to_owned(),
        (_, 0) => return "nobody: copies only".to_owned(),
        _ => {}
    }
    format!("{} of answers", numbers::percent_of(health.primary_candidate, all))
}
