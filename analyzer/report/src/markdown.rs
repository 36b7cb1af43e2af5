//! The Markdown view: fits a pull-request comment (GitHub's limit is 65,536 characters) and a job summary.
//!
//! Captured text appears in fenced blocks only; everything else is escaped for a line of GitHub-flavoured Markdown.

use std::fmt::Write as _;

use crate::escape::{markdown, markdown_block, shorten};
use crate::judges;
use crate::model::{Exemplar, ExemplarKind, Report};
use crate::numbers::{self, count};
use crate::words;

const GATES_MAX: usize = 100;
const SEGMENTS_MAX: usize = 10;
const EXEMPLARS_MAX: usize = 3;
const GROUPS_MAX: usize = 5;
const EXEMPLAR_CHARACTERS_MAX: usize = 600;
const TIMELINE_MAX: usize = 40;
const LINE_CHARACTERS_MAX: usize = 300;
const JUDGE_CHARACTERS_MAX: usize = 1_200;

/// Draws the report. Writing to a String cannot fail, so results of `writeln!` are dropped.
pub(crate) fn render(report: &Report) -> String {
    let mut text = String::new();
    let evaluation = &report.evaluation;
    let _ = writeln!(
        text,
        "## {}: {}\n\n{}\n",
        words::verdict(evaluation.verdict),
        line(&report.experiment),
        words::verdict_sentence(evaluation.verdict)
    );
    for (number, reason) in evaluation.reasons.iter().take(GATES_MAX).enumerate() {
        let _ = writeln!(text, "{}. {}", number + 1, line(&reason.text));
    }
    gates(&mut text, report);
    segments(&mut text, report);
    judging(&mut text, report);
    meaning(&mut text, report);
    facts(&mut text, report);
    not_measured(&mut text, &report.absent);
    let worst = || report.exemplars.iter().filter(|one| one.kind == ExemplarKind::Worst);
    if worst().next().is_some() {
        text.push_str("\n<details><summary>Worst pairs</summary>\n");
        for exemplar in worst().take(EXEMPLARS_MAX) {
            pair(&mut text, exemplar);
        }
        text.push_str("\n</details>\n");
    }
    if !report.timeline.is_empty() {
        text.push_str("\n<details><summary>Timeline</summary>\n\n");
        let skipped = report.timeline.len().saturating_sub(TIMELINE_MAX);
        if skipped > 0 {
            let _ = writeln!(text, "- {skipped} earlier entries are in the JSON report");
        }
        for entry in report.timeline.iter().skip(skipped) {
            let _ = writeln!(text, "- {} **{}** {}", line(&entry.at), line(&entry.kind), line(&entry.text));
        }
        text.push_str("\n</details>\n");
    }
    text
}

/// The metrics without values by name, and folded why.
fn not_measured(text: &mut String, absent: &[(String, String)]) {
    if absent.is_empty() {
        return;
    }
    // A count only: names in a summary could call people or things by their names, which GitHub reads there as well.
    let count = absent.len();
    let _ = writeln!(text, "\n<details><summary>Not measured: {count}</summary>\n");
    for (metric, reason) in absent.iter().take(GATES_MAX) {
        let _ = writeln!(text, "- {}: {}", line(metric), line(reason));
    }
    text.push_str("\n</details>\n");
}

fn gates(text: &mut String, report: &Report) {
    let gates = &report.evaluation.gates;
    text.push_str(
        "\n| | gate | severity | control | candidate | change (interval) | margin | evidence |\n\
         |---|---|---|--:|--:|---|--:|---|\n",
    );
    for gate in words::urgent_first(gates).into_iter().take(GATES_MAX) {
        let change = match (gate.estimate, gate.interval) {
            (Some(estimate), Some(bounds)) => format!(
                "{} ({})",
                numbers::difference(&gate.unit, gate.relative, estimate),
                numbers::interval(&gate.unit, gate.relative, bounds)
            ),
            _ => "-".to_owned(),
        };
        let more = gate
            .needed_more
            .map_or_else(String::new, |more| format!(", about {} more needed", numbers::about(more)));
        let labels = judges::labels_needed(gate).map_or_else(String::new, |more| {
            format!(", about {} more labels of each variant needed", count(more))
        });
        let corrected = judges::correction(gate).map_or_else(String::new, |told| format!("; {told}"));
        let corrected = format!("{labels}{corrected}");
        let _ = writeln!(
            text,
            "| {} {} | {} | {} | {} | {} | {} | {}{} | {}{more}{corrected} |",
            words::outcome_sign(gate.outcome),
            words::outcome(gate.outcome),
            line(&gate.gate),
            words::severity(gate.severity),
            numbers::value_or_dash(&gate.unit, gate.control),
            numbers::value_or_dash(&gate.unit, gate.candidate),
            change,
            words::direction(gate),
            numbers::margin(&gate.unit, gate.relative, gate.margin),
            words::evidence(gate),
        );
    }
    if gates.len() > GATES_MAX {
        let _ = writeln!(text, "\n{} more gates are in the JSON report.", gates.len() - GATES_MAX);
    }
    text.push('\n');
}

fn segments(text: &mut String, report: &Report) {
    let segments = &report.evaluation.segments;
    if segments.is_empty() {
        return;
    }
    text.push_str("### Segments that moved most\n\n");
    for finding in report.evaluation.findings.iter().take(SEGMENTS_MAX) {
        let _ = writeln!(text, "- **Finding**: {}", line(&finding.text));
    }
    text.push_str("\n| Segment | Worst gate | Outcome | Control | Candidate | Change | Evidence | Damage |\n|---|---|---|--:|--:|---|---|---|\n");
    for (segment, gate) in words::moved_most(segments, SEGMENTS_MAX) {
        let change = gate.estimate.map_or_else(
            || "-".to_owned(),
            |estimate| numbers::difference(&gate.unit, gate.relative, estimate),
        );
        let _ = writeln!(
            text,
            "| {} | {} | {} {} | {} | {} | {change} | {} | {} |",
            line(&segment.name()),
            line(&gate.gate),
            words::outcome_sign(gate.outcome),
            words::outcome(gate.outcome),
            numbers::value_or_dash(&gate.unit, gate.control),
            numbers::value_or_dash(&gate.unit, gate.candidate),
            words::evidence(gate),
            numbers::margins(segment.damage),
        );
    }
    text.push('\n');
}

fn judging(text: &mut String, report: &Report) {
    if report.judges.is_empty() {
        return;
    }
    text.push_str("### Judges\n\n| criterion | judge | state | labels | agreement with people |\n|---|---|---|--:|---|\n");
    for judge in report.judges.iter().take(GATES_MAX) {
        let state =
            if judge.calibrated { "calibrated" } else { "not calibrated: can roll back, not promote" };
        let mut told = judges::agreement(judge);
        for part in judge.parts.iter().take(SEGMENTS_MAX) {
            told.push_str("; ");
            told.push_str(&judges::part(part));
        }
        let _ = writeln!(
            text,
            "| {} | {} | {state}: {} | {} | {} |",
            line(&judge.criterion),
            line(&judge.judge),
            line(&judge.text),
            count(judge.labels),
            markdown(&shorten(&told, JUDGE_CHARACTERS_MAX))
        );
    }
    text.push('\n');
}

fn meaning(text: &mut String, report: &Report) {
    let Some(meaning) = &report.meaning else { return };
    text.push_str("### Meaning\n\n");
    for test in &meaning.tests {
        let _ = writeln!(text, "- {}: {}", line(&test.name), words::meaning_test(test));
    }
    if let Some(over_time) = words::meaning_over_time(meaning) {
        let _ = writeln!(text, "- over time: {over_time}");
    }
    for wire in &report.tripwires {
        let (name, severity) = (line(&wire.name), words::severity(wire.severity));
        let _ = writeln!(text, "- **Tripwire** {name} ({severity}): {}", line(&wire.text));
    }
    for what in &meaning.not_looked_at {
        let _ = writeln!(text, "- Not looked at: {}", line(what));
    }
    if !meaning.moved.is_empty() {
        text.push_str(
            "\n| What moved most | Pairs | Distance | Control to itself | Shift |\n|---|--:|--:|--:|--:|\n",
        );
    }
    for group in meaning.moved.iter().take(GROUPS_MAX) {
        let _ = writeln!(
            text,
            "| {} {} | {} | {} | {} | {} |",
            line(&group.dimension),
            line(&group.value),
            count(group.pairs),
            numbers::value("score", group.distance),
            numbers::value_or_dash("score", group.noise_distance),
            numbers::value("score", group.shift)
        );
    }
    if let Some(exemplar) = meaning.moved.first().and_then(|group| group.exemplars.first()) {
        text.push_str("\n<details><summary>Furthest apart there</summary>\n");
        let title = format!("distance {}", numbers::value("score", exemplar.distance));
        let texts = [&exemplar.request_text, &exemplar.control_text, &exemplar.candidate_text];
        sides(text, &title, &exemplar.sample_id, texts);
        text.push_str("\n</details>\n");
    }
    text.push('\n');
}

fn facts(text: &mut String, report: &Report) {
    let health = &report.evaluation.health;
    let from = &report.generated_from;
    for (variant, labels) in
        [("Control", &report.variants.control_snapshot), ("Candidate", &report.variants.candidate_snapshot)]
    {
        if !labels.is_empty() {
            let _ = writeln!(text, "- {variant}: {}", line(&labels.join("; ")));
        }
    }
    if !from.left_out.is_empty() {
        let _ = writeln!(text, "- **Judged without**: {}", line(&from.left_out.join("; ")));
    }
    if let Some(meaning) = &report.meaning {
        let _ = writeln!(text, "- Meaning: {}", line(&meaning.sentence));
    }
    let _ = writeln!(
        text,
        "- Capture: {} pairs, {} half pairs, {} records lost; served {} by control and {} by candidate",
        count(health.pairs),
        count(health.half_pairs),
        count(health.sequence_gaps),
        count(health.primary_control),
        count(health.primary_candidate)
    );
    for problem in health.problems.iter().take(GATES_MAX) {
        let _ = writeln!(text, "- **Capture problem**: {}", line(problem));
    }
    if health.skipped_files > 0 {
        let _ = writeln!(text, "- {}", line(&words::skipped(health)));
    }
    let _ = writeln!(text, "- However often looked at: {}", words::promises(&report.evaluation));
    if let Some(score) = report.evaluation.score {
        let _ = writeln!(text, "- In one number: {}", words::score(score));
    }
    let _ = writeln!(
        text,
        "- Made from {} legs, gates {}, alpha {} over all gates and looks, weir {}",
        count(from.samples),
        line(&from.gates_digest),
        numbers::probability(report.evaluation.alpha),
        line(&from.weir_version)
    );
}

fn pair(text: &mut String, exemplar: &Exemplar) {
    let texts = [&exemplar.request_text, &exemplar.control_text, &exemplar.candidate_text];
    sides(text, &exemplar.gate, &exemplar.sample_id, texts);
    let said = words::pair_scores(exemplar).map(|scores| format!("scores: {scores}"));
    for remark in said.iter().chain(&exemplar.remarks) {
        let _ = writeln!(text, "- {}", line(remark));
    }
}

/// Request, control's answer and the candidate's.
fn sides(text: &mut String, title: &str, sample_id: &str, texts: [&String; 3]) {
    let _ = writeln!(text, "\n**{}**, sample {}\n", line(title), line(sample_id));
    for (side, side_text) in ["Request", "Control", "Candidate"].into_iter().zip(texts) {
        let _ = writeln!(text, "{side}:\n\n{}", markdown_block(&shorten(side_text, EXEMPLAR_CHARACTERS_MAX)));
    }
}

fn line(text: &str) -> String {
    markdown(&shorten(text, LINE_CHARACTERS_MAX))
}
