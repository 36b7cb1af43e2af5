//! What embeddings say: how far answers moved in meaning, where, over time, and the map of the prompts.

use std::fmt::Write as _;

use super::{places, text};
use crate::escape::shorten;
use crate::meaning::{Meaning, MeaningGroup, MeaningTest};
use crate::model::{PromptMap, PromptPoint, Report};
use crate::numbers::{self, count};

/// Groups that are listed.
const GROUPS_MAX: usize = 6;
/// Characters of an example's texts.
const SHOWN_CHARACTERS_MAX: usize = 110;
/// Prompts that are listed beside the map.
const FURTHEST_MAX: usize = 5;

/// Whether anything was embedded.
pub(super) fn is_there(report: &Report) -> bool {
    report.meaning.is_some() || map_of(report).is_some()
}

fn map_of(report: &Report) -> Option<&PromptMap> {
    report.prompts.as_ref().filter(|map| !map.points.is_empty())
}

/// The section.
pub(super) fn section(page: &mut String, report: &Report) {
    if !is_there(report) {
        return;
    }
    page.push_str("<section id=\"meaning\">\n<h2>Meaning</h2>\n");
    if let Some(meaning) = &report.meaning {
        sentence(page, meaning);
    }
    if let Some(map) = map_of(report) {
        self::map(page, map);
    }
    if let Some(meaning) = &report.meaning {
        groups(page, &meaning.moved);
        if meaning.over_time.len() > 1 {
            page.push_str("<h3>Distance over time</h3>\n<div class=\"charts\"><figure>");
            page.push_str(&places::distances(&meaning.over_time));
            page.push_str(
                "<figcaption class=\"small\"><span class=\"key candidate\"></span>candidate from control \
                 <span class=\"key noise\"></span>control from itself (noise floor)</figcaption></figure></div>\n",
            );
        }
    }
    page.push_str("</section>\n");
}

fn sentence(page: &mut String, meaning: &Meaning) {
    let (tone, sign) = if meaning.diverged { ("open", "≠ moved") } else { ("good", "✓ not moved") };
    let _ = write!(
        page,
        "<p><span class=\"outcome {tone}\">{sign}</span> {}</p>\n<p class=\"note\">By {}; {} pairs, {} of control with itself. \
         Another meaning is neither better nor worse: this changes no verdict.</p>\n",
        text(&meaning.sentence),
        text(&meaning.embedder),
        count(meaning.pairs),
        count(meaning.noise_pairs)
    );
    page.push_str("<ul class=\"plain\">\n");
    for test in &meaning.tests {
        let _ = writeln!(page, "<li>{}</li>", self::test(test));
    }
    for what in &meaning.not_looked_at {
        let _ = writeln!(page, "<li><span class=\"outcome\">– not looked at</span> {}</li>", text(what));
    }
    page.push_str("</ul>\n");
}

fn test(test: &MeaningTest) -> String {
    let (tone, sign) = match (test.n, test.detected) {
        (0, _) => ("open", "– too little data"),
        (_, true) => ("open", "≠ moved"),
        (_, false) => ("good", "✓ not found"),
    };
    let figures = match (test.p, test.level) {
        (Some(p), Some(level)) => format!(
            ": p {} against {} at {} pairs",
            numbers::probability(p),
            numbers::probability(level),
            count(test.n)
        ),
        _ => String::new(),
    };
    format!("<span class=\"outcome {tone}\">{sign}</span> {}{}", text(&test.name), text(&figures))
}

/// The prompts as dots, and those whose answers are furthest apart in words.
fn map(page: &mut String, map: &PromptMap) {
    let _ = write!(
        page,
        "<h3 id=\"prompts\">Map of the prompts</h3>\n<p class=\"note\">Prompts near each other are alike ({}). The larger, darker and more \
         orange a dot, the further the candidate's answer is from the control's. Names are words that are typical of a cluster of prompts.</p>\n",
        text(&map.method)
    );
    page.push_str("<div class=\"mapped\"><div>");
    page.push_str(&places::scatter(map));
    page.push_str("<p class=\"legend\">the same");
    for level in 0..places::LEVELS {
        let _ = write!(page, " <span class=\"dot shift{level}\"></span>");
    }
    page.push_str(" nothing in common</p></div>\n<div><h4>Furthest apart</h4>\n<ol class=\"plain\">\n");
    let mut furthest: Vec<&PromptPoint> = map.points.iter().filter(|point| point.shift.is_finite()).collect();
    furthest.sort_by(|one, other| other.shift.total_cmp(&one.shift));
    for point in furthest.into_iter().take(FURTHEST_MAX) {
        let noise = point.noise.map_or_else(String::new, |noise| {
            format!(", control from itself {}", numbers::value("score", noise))
        });
        let _ = writeln!(
            page,
            "<li><strong>{}</strong> {} <span class=\"small\">sample {}{}</span></li>",
            text(&numbers::value("score", point.shift)),
            text(&point.text),
            text(&point.sample_id),
            text(&noise)
        );
    }
    page.push_str("</ol></div></div>\n");
}

fn groups(page: &mut String, moved: &[MeaningGroup]) {
    if moved.is_empty() {
        return;
    }
    page.push_str(
        "<h3>What moved most</h3>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"What moved most\">\n<table>\n<thead><tr>\
         <th scope=\"col\">Prompts</th><th scope=\"col\" class=\"number\">Pairs</th><th scope=\"col\" class=\"number\">Distance</th>\
         <th scope=\"col\" class=\"number\">Control from itself</th><th scope=\"col\">For example</th></tr></thead>\n<tbody>\n",
    );
    for group in moved.iter().take(GROUPS_MAX) {
        let example = group.exemplars.first().map_or_else(String::new, |one| {
            format!(
                "<strong>{}</strong><br>control: {}<br>candidate: {}",
                text(&shorten(&one.request_text, SHOWN_CHARACTERS_MAX)),
                text(&shorten(&one.control_text, SHOWN_CHARACTERS_MAX)),
                text(&shorten(&one.candidate_text, SHOWN_CHARACTERS_MAX))
            )
        });
        let _ = writeln!(
            page,
            "<tr><th scope=\"row\">{} {}</th><td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td>\
             <td class=\"small words\">{example}</td></tr>",
            text(&group.dimension),
            text(&group.value),
            count(group.pairs),
            text(&numbers::value("score", group.distance)),
            text(&numbers::value_or_dash("score", group.noise_distance)),
        );
    }
    page.push_str("</tbody>\n</table>\n</div>\n");
}
