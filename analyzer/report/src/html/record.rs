//! What happened and how it is known: timeline, capture, methods, provenance.

use std::fmt::Write as _;

use super::head::fact;
use super::text;
use crate::model::Report;
use crate::numbers::{self, count};
use crate::words;

/// A method's name as gates give it, what it is, and where it comes from.
const SOURCES: [(&str, &str); 4] = [
    (
        "betting",
        "Betting confidence sequences for bounded values: Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting, JRSS B 86 (2024).",
    ),
    (
        "asymptotic",
        "Asymptotic confidence sequences: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, Time-uniform central limit theory and asymptotic confidence sequences, Annals of Statistics 52 (2024).",
    ),
    (
        "quantile",
        "Quantile confidence sequences: Howard and Ramdas, Sequential estimation of quantiles, Bernoulli 28 (2022).",
    ),
    (
        "mixture",
        "Mixtures over fixed bets: Cover, Universal portfolios, Mathematical Finance 1 (1991); Ville's inequality makes them valid at any look.",
    ),
];

/// Steps, pushes and decisions.
pub(super) fn timeline(page: &mut String, report: &Report) {
    if report.timeline.is_empty() {
        return;
    }
    page.push_str("<section id=\"timeline\">\n<h2>Timeline</h2>\n<ol class=\"timeline\">\n");
    for entry in &report.timeline {
        let _ = writeln!(
            page,
            "<li><time>{}</time> <strong>{}</strong> {}</li>",
            text(&seconds(&entry.at)),
            text(&entry.kind),
            text(&entry.text)
        );
    }
    page.push_str("</ol>\n</section>\n");
}

/// An RFC 3339 time without more than milliseconds.
fn seconds(at: &str) -> String {
    match at.strip_suffix('Z').and_then(|at| at.split_once('.')) {
        Some((whole, fraction)) if fraction.is_ascii() => {
            format!("{whole}.{}Z", fraction.get(..3).unwrap_or(fraction))
        }
        _ => at.to_owned(),
    }
}

/// How well the capture worked.
pub(super) fn health(page: &mut String, report: &Report) {
    let health = &report.evaluation.health;
    page.push_str("<section id=\"capture\">\n<h2>Capture</h2>\n");
    if health.problems.is_empty() {
        page.push_str("<p>✓ No problem was found that would bias the comparison.</p>\n");
    }
    for problem in &health.problems {
        let _ = writeln!(page, "<p class=\"problem\">✗ {}</p>", text(problem));
    }
    for check in &health.assignments {
        let _ = writeln!(page, "<p>{}</p>", text(&words::assignment(check)));
    }
    if health.skipped_files > 0 {
        let _ = writeln!(page, "<p>{}</p>", text(&words::skipped(health)));
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

/// What the intervals promise, and where that comes from.
pub(super) fn methods(page: &mut String, report: &Report) {
    let evaluation = &report.evaluation;
    let _ = write!(
        page,
        "<section id=\"methods\">\n<h2>Method</h2>\n<p>Alpha is {}, over all gates and however often they are looked at ({}). For exactly these \
         gates and the rule \u{201c}one critical breach or two breaches roll back\u{201d} that means: {}. Each interval is a confidence sequence \
         at its gate's part of alpha; paired comparisons use the two answers to the same request, unpaired ones the answers within each cohort.</p>\n",
        numbers::probability(evaluation.alpha),
        text(&evaluation.looks),
        text(&words::promises(evaluation))
    );
    let mut methods: Vec<&str> = evaluation.gates.iter().map(|gate| gate.method.as_str()).collect();
    methods.sort_unstable();
    methods.dedup();
    methods.retain(|method| !method.is_empty() && *method != "none");
    if !methods.is_empty() {
        let named: Vec<String> = methods.iter().map(|method| text(method)).collect();
        let _ = writeln!(page, "<p>In this report: {}.</p>\n<ul>", named.join("; "));
        for (_, source) in
            SOURCES.iter().filter(|(word, _)| methods.iter().any(|method| method.contains(word)))
        {
            let _ = writeln!(page, "<li>{source}</li>");
        }
        page.push_str("</ul>\n");
    }
    page.push_str("</section>\n");
}

/// What the report was made from, and how to make it again.
pub(super) fn provenance(page: &mut String, report: &Report) {
    let from = &report.generated_from;
    page.push_str("<section id=\"provenance\">\n<h2>Made from</h2>\n<dl class=\"facts\">");
    fact(page, "Data", &from.data);
    fact(page, "Legs", &count(from.samples));
    if from.duplicates > 0 {
        fact(page, "Duplicates left out", &count(from.duplicates));
    }
    fact(page, "From", from.first_ts.as_deref().unwrap_or("-"));
    fact(page, "To", from.last_ts.as_deref().unwrap_or("-"));
    if !from.left_out.is_empty() {
        fact(page, "Left out afterwards", &from.left_out.join("; "));
    }
    fact(page, "Gates digest", &from.gates_digest);
    if !from.policy_digests.is_empty() {
        fact(page, "Policy digests", &from.policy_digests.join(", "));
    }
    let seed = from.seed.map_or("none: nothing in it is drawn".to_owned(), |seed| seed.to_string());
    fact(page, "Seed", &seed);
    fact(page, "Weir", &from.weir_version);
    fact(page, "Schema", &report.schema);
    page.push_str("</dl>\n");
    if !from.command.is_empty() {
        let words: Vec<String> = from.command.iter().map(|word| shell_word(word)).collect();
        let _ =
            writeln!(page, "<p>To make it again:</p>\n<pre tabindex=\"0\">{}</pre>", text(&words.join(" ")));
    }
    page.push_str("<p class=\"note\" id=\"live\">Shown as it was made; without scripts and WebAssembly, gates and policy cannot be tried.</p>\n</section>\n");
}

/// A word as a POSIX shell reads it back.
fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}
