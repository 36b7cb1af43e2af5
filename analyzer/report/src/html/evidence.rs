//! What the figures look like: segments, distributions, cost and latency, judges.

use std::fmt::Write as _;

use weir_gate::{GateResult, SegmentResult};

use super::{plots, text};
use crate::judges as words_of;
use crate::model::{Distribution, Report};
use crate::numbers::{self, count};
use crate::words;

/// Metrics whose distribution is a matter of time or money, not of content.
const COSTS: [&str; 6] =
    ["latency_ms", "ttfb_ms", "ttft_ms", "prompt_tokens", "completion_tokens", "total_tokens"];

/// Segments that are drawn.
const SEGMENTS_MAX: usize = 20;
/// Findings that are listed.
const FINDINGS_MAX: usize = 20;

/// Whether there is anything to say about segments.
pub(super) fn has_segments(report: &Report) -> bool {
    !report.evaluation.segments.is_empty()
}

/// Where the candidate does most damage.
pub(super) fn segments(page: &mut String, report: &Report) {
    let segments = &report.evaluation.segments;
    if segments.is_empty() {
        return;
    }
    page.push_str(
        "<section id=\"segments\">\n<h2>Segments</h2>\n<p class=\"note\">Every gate in every segment, each with its worst gate; \
         the most damage first: how far past no change, in margins, the interval leaves no doubt about.</p>\n",
    );
    let findings = &report.evaluation.findings;
    if !findings.is_empty() {
        page.push_str("<ul>\n");
        for finding in findings.iter().take(FINDINGS_MAX) {
            let _ = writeln!(page, "<li>{}</li>", text(&finding.text));
        }
        page.push_str("</ul>\n");
    }
    page.push_str(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table of segments\">\n<table class=\"gates\">\n\
         <thead><tr><th scope=\"col\">Outcome</th><th scope=\"col\">Segment</th><th scope=\"col\" class=\"number\">Control</th>\
         <th scope=\"col\" class=\"number\">Candidate</th><th scope=\"col\" class=\"number\">Change, interval</th>\
         <th scope=\"col\">Against the margin</th><th scope=\"col\">Evidence</th></tr></thead>\n<tbody>\n",
    );
    for (segment, gate) in words::moved_most(segments, SEGMENTS_MAX) {
        segment_row(page, segment, gate);
    }
    page.push_str("</tbody>\n</table>\n</div>\n");
    if segments.len() > SEGMENTS_MAX {
        let _ = writeln!(
            page,
            "<p class=\"note\">{} segments in all; the JSON has every gate in each.</p>",
            segments.len()
        );
    }
    page.push_str("</section>\n");
}

fn segment_row(page: &mut String, segment: &SegmentResult, gate: &GateResult) {
    let change = match (gate.estimate, gate.interval) {
        (Some(estimate), Some(bounds)) => format!(
            "<strong>{}</strong><br><span class=\"small\">{}</span>",
            text(&numbers::difference(&gate.unit, gate.relative, estimate)),
            text(&numbers::interval(&gate.unit, gate.relative, bounds))
        ),
        _ => "-".to_owned(),
    };
    let _ = writeln!(
        page,
        "<tr><td><span class=\"outcome {}\">{} {}</span></td>\
         <th scope=\"row\">{}<br><span class=\"small\">{}, damage {}</span></th>\
         <td class=\"number\" data-label=\"Control\">{}</td><td class=\"number\" data-label=\"Candidate\">{}</td>\
         <td class=\"number\" data-label=\"Change\">{change}</td><td class=\"plot\">{}</td><td class=\"small\">{}</td></tr>",
        plots::tone(gate.outcome),
        words::outcome_sign(gate.outcome),
        words::outcome(gate.outcome),
        text(&segment.name()),
        text(&gate.gate),
        numbers::margins(segment.damage),
        text(&numbers::value_or_dash(&gate.unit, gate.control)),
        text(&numbers::value_or_dash(&gate.unit, gate.candidate)),
        plots::interval(gate),
        text(&words::evidence(gate)),
    );
}

/// Histogram and empirical distribution function of each metric.
pub(super) fn distributions(page: &mut String, report: &Report) {
    if report.distributions.is_empty() {
        return;
    }
    page.push_str(
        "<section id=\"distributions\">\n<h2>Distributions</h2>\n<p class=\"note\"><span class=\"key control\"></span> control \
         <span class=\"key candidate\"></span> candidate <span class=\"key noise\"></span> noise floor: control's second answers. \
         Left: share of answers in each bin. Right: share of answers up to each value.</p>\n<div class=\"charts wide\">\n",
    );
    for distribution in &report.distributions {
        let _ = write!(
            page,
            "<figure><figcaption><strong>{}</strong>{}</figcaption>\n<div class=\"pair\">{}{}</div>\n",
            text(&distribution.metric),
            match numbers::unit_word(&distribution.unit) {
                "" => String::new(),
                unit => format!(" <span class=\"small\">{}</span>", text(unit)),
            },
            plots::histogram(distribution),
            plots::cumulative(distribution)
        );
        figures(page, distribution);
        page.push_str("</figure>\n");
    }
    page.push_str("</div>\n</section>\n");
}

fn figures(page: &mut String, distribution: &Distribution) {
    page.push_str(
        "<table class=\"small\"><thead><tr><td></td><th scope=\"col\" class=\"number\">n</th><th scope=\"col\" class=\"number\">mean</th>\
         <th scope=\"col\" class=\"number\">median</th><th scope=\"col\" class=\"number\">p95</th></tr></thead><tbody>",
    );
    let noise = distribution.noise.as_ref().map(|noise| ("noise", noise));
    let sides = [("control", &distribution.control), ("candidate", &distribution.candidate)];
    for (name, side) in sides.into_iter().chain(noise) {
        let value = |optional| text(&numbers::value_or_dash(&distribution.unit, optional));
        let _ = write!(
            page,
            "<tr><th scope=\"row\">{name}</th><td class=\"number\">{}</td><td class=\"number\">{}</td>\
             <td class=\"number\">{}</td><td class=\"number\">{}</td></tr>",
            count(side.n),
            value(side.mean),
            value(side.p50),
            value(side.p95)
        );
    }
    page.push_str("</tbody></table>\n");
}

/// Latency and tokens in one table.
pub(super) fn cost(page: &mut String, report: &Report) {
    let costs: Vec<&Distribution> =
        report.distributions.iter().filter(|one| COSTS.contains(&one.metric.as_str())).collect();
    if costs.is_empty() {
        return;
    }
    page.push_str(
        "<section id=\"cost\">\n<h2>Cost and latency</h2>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Cost and latency\">\n\
         <table><thead><tr><th scope=\"col\">Metric</th><th scope=\"col\"></th><th scope=\"col\" class=\"number\">Control</th>\
         <th scope=\"col\" class=\"number\">Candidate</th><th scope=\"col\" class=\"number\">Change</th></tr></thead><tbody>\n",
    );
    for distribution in costs {
        let (control, candidate) = (&distribution.control, &distribution.candidate);
        let rows = [
            ("mean", control.mean, candidate.mean),
            ("median", control.p50, candidate.p50),
            ("95th percentile", control.p95, candidate.p95),
        ];
        for (name, control, candidate) in rows {
            let change = match (control, candidate) {
                (Some(control), Some(candidate)) if control != 0.0 => {
                    numbers::difference("", true, candidate / control - 1.0)
                }
                _ => "-".to_owned(),
            };
            let _ = writeln!(
                page,
                "<tr><th scope=\"row\">{}</th><td>{name}</td><td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td></tr>",
                text(&distribution.metric),
                text(&numbers::value_or_dash(&distribution.unit, control)),
                text(&numbers::value_or_dash(&distribution.unit, candidate)),
                text(&change)
            );
        }
    }
    page.push_str("</tbody></table>\n</div>\n</section>\n");
}

/// Which judges may be believed.
pub(super) fn judges(page: &mut String, report: &Report) {
    if report.judges.is_empty() {
        return;
    }
    page.push_str(
        "<section id=\"judges\">\n<h2>Judges</h2>\n<p class=\"note\">A judge that is not calibrated against people can roll back, never promote.</p>\n\
         <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Judges\">\n<table><thead><tr><th scope=\"col\">Criterion</th>\
         <th scope=\"col\">Judge</th><th scope=\"col\">State</th><th scope=\"col\" class=\"number\">Labels</th><th scope=\"col\" class=\"number\">Agreement</th>\
         <th scope=\"col\">Error</th></tr></thead><tbody>\n",
    );
    for judge in &report.judges {
        let interval = judge.interval.map_or_else(String::new, |(low, high)| {
            format!(" ({} to {})", numbers::value("score", low), numbers::value("score", high))
        });
        let agreement = judge.agreement.map_or_else(
            || "-".to_owned(),
            |agreement| format!("{} {}{interval}", judge.measure, numbers::value("score", agreement)),
        );
        let (tone, sign) =
            if judge.calibrated { ("good", "✓ calibrated") } else { ("open", "? not calibrated") };
        let mut told = text(&words_of::agreement(judge));
        for part in judge.parts.iter().take(SEGMENTS_MAX) {
            let _ = write!(told, "<br><span class=\"small\">{}</span>", text(&words_of::part(part)));
        }
        let _ = writeln!(
            page,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td><span class=\"outcome {tone}\">{sign}</span> {}</td><td class=\"number\">{}</td><td class=\"number\">{}</td><td>{told}</td></tr>",
            text(&judge.criterion),
            text(&judge.judge),
            text(&judge.text),
            count(judge.labels),
            text(&agreement)
        );
    }
    page.push_str("</tbody></table>\n</div>\n</section>\n");
}
