//! Pairs side by side, with the words marked that differ.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{head, text};
use crate::diff::{self, Stretch};
use crate::escape::{Lines, html};
use crate::model::{Exemplar, ExemplarKind, Report};
use crate::numbers;

/// Below this share of common letters marks would cover everything and say nothing.
const COMMON_MIN: f64 = 0.3;

/// Worst pairs first, typical ones behind them.
pub(super) fn all(page: &mut String, report: &Report) {
    if report.exemplars.is_empty() {
        return;
    }
    page.push_str(
        "<section id=\"pairs\">\n<h2>Pairs</h2>\n<p class=\"note\">Both answers to the same request, redacted before they were stored. \
         <del>Struck</del>: only control says it; <ins>underlined</ins>: only the candidate does. Characters that would \
         steer a terminal or turn reading order round are written out.</p>\n",
    );
    for (kind, heading) in [(ExemplarKind::Worst, "Worst"), (ExemplarKind::Typical, "Most typical")] {
        let mut some = report.exemplars.iter().filter(|exemplar| exemplar.kind == kind).peekable();
        if some.peek().is_some() {
            let _ = writeln!(page, "<h3>{heading}</h3>");
        }
        for (number, exemplar) in some.enumerate() {
            pair(page, report, exemplar, number < 3);
        }
    }
    page.push_str("</section>\n");
}

fn pair(page: &mut String, report: &Report, exemplar: &Exemplar, open: bool) {
    let of_metric = report.evaluation.gates.iter().find(|gate| gate.metric == exemplar.metric);
    let unit = of_metric.map_or("", |gate| gate.unit.as_str());
    let _ = write!(
        page,
        "<details class=\"pair-of-answers\"{}>\n<summary><strong>{}</strong> <span class=\"small\">{}: {} against {}, sample {}</span></summary>\n",
        if open { " open" } else { "" },
        text(&exemplar.gate),
        text(&exemplar.metric),
        text(&numbers::value(unit, exemplar.control_value)),
        text(&numbers::value(unit, exemplar.candidate_value)),
        text(&exemplar.sample_id)
    );
    let request = [Stretch { text: &exemplar.request_text, changed: false }];
    block(page, "Request", &request, "", "");
    let (control, candidate) = diff::words(&exemplar.control_text, &exemplar.candidate_text);
    let (control, candidate, note) = if common(&control).max(common(&candidate)) < COMMON_MIN {
        (plain(&exemplar.control_text), plain(&exemplar.candidate_text), true)
    } else {
        (control, candidate, false)
    };
    page.push_str("<div class=\"sides\">\n");
    block(page, "Control", &control, "del", &scores(&exemplar.control_scores));
    block(page, "Candidate", &candidate, "ins", &scores(&exemplar.candidate_scores));
    page.push_str("</div>\n");
    if note {
        page.push_str(
            "<p class=\"note\">The answers have few words in common: differences are not marked.</p>\n",
        );
    }
    for remark in &exemplar.remarks {
        let _ = writeln!(page, "<p class=\"remark\">{}</p>", html(remark, Lines::Join));
    }
    page.push_str("</details>\n");
}

/// The share of a side's letters that the other side has, too.
#[allow(clippy::cast_precision_loss)] // texts are shortened
fn common(side: &[Stretch<'_>]) -> f64 {
    let letters = |text: &str| text.chars().filter(|letter| !letter.is_whitespace()).count();
    let all: usize = side.iter().map(|stretch| letters(stretch.text)).sum();
    let same: usize =
        side.iter().filter(|stretch| !stretch.changed).map(|stretch| letters(stretch.text)).sum();
    if all == 0 { 1.0 } else { same as f64 / all as f64 }
}

fn plain(text: &str) -> Vec<Stretch<'_>> {
    vec![Stretch { text, changed: false }]
}

fn block(page: &mut String, name: &str, side: &[Stretch<'_>], mark: &str, scores: &str) {
    let _ = write!(
        page,
        "<div><p class=\"small\"><strong>{name}</strong>{scores}</p><pre tabindex=\"0\" dir=\"auto\">"
    );
    if side.iter().all(|stretch| stretch.text.is_empty()) {
        page.push_str("<em>(empty)</em>");
    }
    head::stretches(page, side, mark, Lines::Keep);
    page.push_str("</pre></div>\n");
}

fn scores(scores: &BTreeMap<String, f64>) -> String {
    scores.iter().fold(String::new(), |mut line, (criterion, score)| {
        let _ = write!(line, " · {} {}", text(criterion), text(&numbers::value("score", *score)));
        line
    })
}
