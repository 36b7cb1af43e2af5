//! The sections of the page, the most urgent first.

use std::fmt::Write as _;

use weir_gate::{GateResult, Outcome, Verdict};

use super::plots::{histogram, interval, tone};
use crate::escape::{Lines, html};
use crate::model::{Distribution, Exemplar, Report};
use crate::numbers::{self, count};
use crate::words;

/// Writes every section. Writing to a String cannot fail, so results of `write!` are dropped.
pub(super) fn all(page: &mut String, report: &Report) {
    head(page, report);
    page.push_str("<main>\n");
    reasons(page, report);
    gates(page, &report.evaluation.gates);
    open_questions(page, report);
    pairs(page, &report.exemplars);
    distributions(page, &report.distributions);
    timeline(page, report);
    health(page, report);
    provenance(page, report);
    page.push_str("</main>\n");
}

fn text(text: &str) -> String {
    html(text, Lines::Join)
}

fn head(page: &mut String, report: &Report) {
    let evaluation = &report.evaluation;
    let health = &evaluation.health;
    let tone = match evaluation.verdict {
        Verdict::Promote => "good",
        Verdict::Rollback => "bad",
        Verdict::Hold | Verdict::Investigate | Verdict::SignOff => "open",
    };
    let _ = write!(
        page,
        "<header class=\"{tone}\">\n<p class=\"who\">Experiment {}</p>\n<h1>{}</h1>\n<p class=\"what\">{}</p>\n<dl class=\"facts\">",
        text(&report.experiment),
        words::verdict(evaluation.verdict),
        words::verdict_sentence(evaluation.verdict)
    );
    let revisions: Vec<String> = report.revisions.iter().map(i64::to_string).collect();
    fact(page, "Control", &labels(&report.variants.control_snapshot));
    fact(page, "Candidate", &labels(&report.variants.candidate_snapshot));
    fact(page, "Compared pairs", &count(health.pairs));
    fact(page, "Served by control", &count(health.primary_control));
    fact(page, "Served by candidate", &count(health.primary_candidate));
    fact(page, "Revision", if revisions.is_empty() { "-".to_owned() } else { revisions.join(", ") }.as_str());
    page.push_str("</dl>\n</header>\n");
}

fn labels(labels: &[String]) -> String {
    if labels.is_empty() { "not named by the samples".to_owned() } else { labels.join("; ") }
}

fn fact(page: &mut String, name: &str, value: &str) {
    let _ = write!(page, "<div><dt>{name}</dt><dd>{}</dd></div>", text(value));
}

fn reasons(page: &mut String, report: &Report) {
    page.push_str("<section>\n<h2>Why</h2>\n<ol class=\"reasons\">\n");
    for reason in &report.evaluation.reasons {
        let _ = writeln!(page, "<li>{}</li>", text(&reason.text));
    }
    if report.evaluation.reasons.is_empty() {
        page.push_str("<li>No reason was given.</li>\n");
    }
    page.push_str("</ol>\n</section>\n");
}

fn gates(page: &mut String, gates: &[GateResult]) {
    page.push_str(
        "<section>\n<h2>Gates</h2>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Gates\">\n<table>\n<thead><tr><th>Outcome</th><th>Gate</th>\
         <th class=\"number\">Control</th><th class=\"number\">Candidate</th><th>Change, with interval</th><th>Against the margin</th><th>Evidence</th></tr></thead>\n<tbody>\n",
    );
    for gate in gates {
        row(page, gate);
    }
    if gates.is_empty() {
        page.push_str("<tr><td colspan=\"7\">No gate was judged.</td></tr>\n");
    }
    page.push_str(
        "</tbody>\n</table>\n</div>\n<p class=\"small\">The dot is the estimated change of the candidate against the control, the bar its interval; \
         shaded is past the margin. A gate is inside when the whole bar is outside the shade, and breached when the whole bar is in it.</p>\n</section>\n",
    );
}

fn row(page: &mut String, gate: &GateResult) {
    let change = match (gate.estimate, gate.interval) {
        (Some(estimate), Some(bounds)) => format!(
            "{}<br><span class=\"small\">{}</span>",
            text(&numbers::difference(&gate.unit, gate.relative, estimate)),
            text(&numbers::interval(&gate.unit, gate.relative, bounds))
        ),
        _ => "-".to_owned(),
    };
    let more =
        gate.needed_more.map_or_else(String::new, |more| format!("<br>about {} more needed", count(more)));
    let _ = writeln!(
        page,
        "<tr><td><span class=\"outcome {}\">{} {}</span></td><td><strong>{}</strong><br><span class=\"small\">{}{}, {}</span></td>\
         <td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"number\">{change}</td><td>{}</td><td class=\"small\">{}{more}</td></tr>",
        tone(gate.outcome),
        words::outcome_sign(gate.outcome),
        words::outcome(gate.outcome),
        text(&gate.gate),
        text(&gate.metric),
        match numbers::unit_word(&gate.unit) {
            "" => String::new(),
            unit => format!(" ({})", text(unit)),
        },
        words::severity(gate.severity),
        text(&numbers::value_or_dash(&gate.unit, gate.control)),
        text(&numbers::value_or_dash(&gate.unit, gate.candidate)),
        interval(gate),
        text(&words::evidence(gate)),
    );
}

/// What was not decided or not even measured.
fn open_questions(page: &mut String, report: &Report) {
    let open: Vec<&GateResult> = report
        .evaluation
        .gates
        .iter()
        .filter(|gate| matches!(gate.outcome, Outcome::Undecided | Outcome::NoData))
        .collect();
    if open.is_empty() && report.absent.is_empty() {
        return;
    }
    page.push_str("<section>\n<h2>Not decided, not measured</h2>\n<ul class=\"plain\">\n");
    for gate in open {
        let _ = writeln!(page, "<li><strong>{}</strong>: {}</li>", text(&gate.gate), text(&gate.explanation));
    }
    for (metric, reason) in &report.absent {
        let _ = writeln!(page, "<li>{}: <span class=\"small\">{}</span></li>", text(metric), text(reason));
    }
    page.push_str("</ul>\n</section>\n");
}

fn pairs(page: &mut String, exemplars: &[Exemplar]) {
    if exemplars.is_empty() {
        return;
    }
    page.push_str("<section>\n<h2>Worst pairs</h2>\n<p class=\"small\">Both answers to the same request. Characters that would steer a terminal or turn reading order round are written out.</p>\n");
    for exemplar in exemplars {
        let _ = write!(
            page,
            "<article>\n<h3>{} <span class=\"small\">{}: {} against {}, sample {}</span></h3>\n",
            text(&exemplar.gate),
            text(&exemplar.metric),
            text(&numbers::value("", exemplar.control_value)),
            text(&numbers::value("", exemplar.candidate_value)),
            text(&exemplar.sample_id)
        );
        block(page, "Request", &exemplar.request_text, "");
        page.push_str("<div class=\"sides\">\n");
        block(page, "Control", &exemplar.control_text, &scores(&exemplar.control_scores));
        block(page, "Candidate", &exemplar.candidate_text, &scores(&exemplar.candidate_scores));
        page.push_str("</div>\n</article>\n");
    }
    page.push_str("</section>\n");
}

fn block(page: &mut String, name: &str, captured: &str, scores: &str) {
    let shown = if captured.is_empty() { "<em>(empty)</em>".to_owned() } else { html(captured, Lines::Keep) };
    let _ = writeln!(
        page,
        "<div><span class=\"small\"><strong>{name}</strong>{scores}</span><pre tabindex=\"0\" dir=\"auto\">{shown}</pre></div>"
    );
}

fn scores(scores: &std::collections::BTreeMap<String, f64>) -> String {
    scores.iter().fold(String::new(), |mut line, (criterion, score)| {
        let _ = write!(line, " · {} {}", text(criterion), text(&numbers::value("score", *score)));
        line
    })
}

fn distributions(page: &mut String, distributions: &[Distribution]) {
    if distributions.is_empty() {
        return;
    }
    page.push_str(
        "<section>\n<h2>Distributions</h2>\n<p class=\"small\"><span class=\"key\"></span>control &nbsp; <span class=\"key candidate\"></span>candidate; \
         share of each variant's answers</p>\n<div class=\"histograms\">\n",
    );
    for distribution in distributions {
        let _ = write!(
            page,
            "<div><h3>{}</h3>{}<table class=\"small\"><thead><tr><th></th><th class=\"number\">n</th><th class=\"number\">mean</th><th class=\"number\">median</th><th class=\"number\">p95</th></tr></thead><tbody>",
            text(&distribution.metric),
            histogram(distribution)
        );
        for (name, side) in [("control", &distribution.control), ("candidate", &distribution.candidate)] {
            let value = |optional| text(&numbers::value_or_dash(&distribution.unit, optional));
            let _ = write!(
                page,
                "<tr><td>{name}</td><td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td></tr>",
                count(side.n),
                value(side.mean),
                value(side.p50),
                value(side.p95)
            );
        }
        page.push_str("</tbody></table></div>\n");
    }
    page.push_str("</div>\n</section>\n");
}

fn timeline(page: &mut String, report: &Report) {
    if report.timeline.is_empty() {
        return;
    }
    page.push_str("<section>\n<h2>Timeline</h2>\n<ul class=\"plain timeline\">\n");
    for entry in &report.timeline {
        let _ = writeln!(
            page,
            "<li><time>{}</time><strong>{}</strong> {}</li>",
            text(&entry.at),
            text(&entry.kind),
            text(&entry.text)
        );
    }
    page.push_str("</ul>\n</section>\n");
}

fn health(page: &mut String, report: &Report) {
    let health = &report.evaluation.health;
    page.push_str("<section>\n<h2>Capture</h2>\n");
    if health.problems.is_empty() {
        page.push_str("<p>✓ No problem was found that would bias the comparison.</p>\n");
    }
    for problem in &health.problems {
        let _ = writeln!(page, "<p class=\"problem\">✗ {}</p>", text(problem));
    }
    page.push_str("<dl class=\"facts\">");
    let answers_control = health.primary_control + health.noise;
    let answers_candidate = health.primary_candidate + health.shadow;
    let cut = |part, whole| format!("{} ({})", count(part), numbers::percent_of(part, whole));
    fact(page, "Pairs", &count(health.pairs));
    fact(page, "Half pairs", &count(health.half_pairs));
    fact(page, "Shadow answers", &count(health.shadow));
    fact(page, "Noise answers", &count(health.noise));
    fact(page, "Records lost", &count(health.sequence_gaps));
    fact(page, "Control answers cut", &cut(health.truncated_control, answers_control));
    fact(page, "Candidate answers cut", &cut(health.truncated_candidate, answers_candidate));
    page.push_str("</dl>\n</section>\n");
}

fn provenance(page: &mut String, report: &Report) {
    let from = &report.generated_from;
    page.push_str("<section>\n<h2>Made from, and how</h2>\n<dl class=\"facts\">");
    fact(page, "Data", &from.data);
    fact(page, "Legs", &count(from.samples));
    if from.duplicates > 0 {
        fact(page, "Duplicates left out", &count(from.duplicates));
    }
    fact(page, "From", from.first_ts.as_deref().unwrap_or("-"));
    fact(page, "To", from.last_ts.as_deref().unwrap_or("-"));
    fact(page, "Gates digest", &from.gates_digest);
    fact(page, "Weir", &from.weir_version);
    let _ = write!(
        page,
        "</dl>\n<p>All gates together err with a probability of at most {} (alpha), however often they are looked at ({}). \
         Each interval is a confidence sequence at its gate's part of alpha; paired comparisons use the two answers to the same request, \
         unpaired ones the answers within each cohort.</p>\n",
        numbers::probability(report.evaluation.alpha),
        text(&report.evaluation.looks)
    );
    let mut methods: Vec<&str> = report.evaluation.gates.iter().map(|gate| gate.method.as_str()).collect();
    methods.sort_unstable();
    methods.dedup();
    methods.retain(|method| !method.is_empty());
    if !methods.is_empty() {
        let methods: Vec<String> = methods.into_iter().map(text).collect();
        let _ = writeln!(page, "<p class=\"small\">Methods: {}.</p>", methods.join("; "));
    }
    page.push_str("</section>\n");
}
