//! The terminal view: verdict first, then reasons, gates with small interval plots, capture health, provenance.
//!
//! Every line fits the width that was asked for. Colour only repeats what a word or a sign says already.

use std::fmt::Write as _;

use weir_gate::{CaptureHealth, GateResult, Outcome, Verdict};

use crate::RenderOptions;
use crate::escape::{shorten, terminal};
use crate::judges;
use crate::model::{Exemplar, ExemplarKind, Report};
use crate::numbers::{self, count};
use crate::words::{self, Plot};

const GATE_COLUMNS: usize = 20;
const OUTCOME_COLUMNS: usize = 11;
const VALUE_COLUMNS: usize = 10;
const SEGMENTS_MAX: usize = 8;
const EXEMPLARS_MAX: usize = 3;
/// Variants and segments of a judge's agreement.
const PARTS_MAX: usize = 8;
const GROUPS_MAX: usize = 5;

/// Draws the report.
pub(crate) fn render(report: &Report, options: &RenderOptions) -> String {
    let mut page = Page { text: String::new(), width: options.width.clamp(60, 200), colour: options.colour };
    head(&mut page, report);
    reasons(&mut page, report);
    gates(&mut page, &report.evaluation.gates);
    segments(&mut page, report);
    judging(&mut page, report);
    meaning(&mut page, report);
    absent(&mut page, report);
    let worst = report.exemplars.iter().filter(|one| one.kind == ExemplarKind::Worst);
    exemplars(&mut page, &worst.collect::<Vec<_>>());
    timeline(&mut page, report);
    health(&mut page, &report.evaluation.health);
    provenance(&mut page, report);
    page.text
}

/// The text under way and how it is drawn.
pub(crate) struct Page {
    pub(crate) text: String,
    pub(crate) width: usize,
    pub(crate) colour: bool,
}

impl Page {
    pub(crate) fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn heading(&mut self, heading: &str) {
        let heading = self.paint(heading, Paint::Bold);
        self.text.push('\n');
        self.line(&heading);
    }

    /// A paragraph, wrapped, every line indented; the first one starts with `lead`.
    pub(crate) fn wrapped(&mut self, lead: &str, text: &str) {
        let indent = lead.chars().count();
        let mut line = lead.to_owned();
        let mut empty = true;
        for word in text.split(' ') {
            for piece in pieces(word, self.width.saturating_sub(indent).max(8)) {
                let used = line.chars().count() + usize::from(!empty);
                if !empty && used + piece.chars().count() > self.width {
                    self.line(&line);
                    line = " ".repeat(indent);
                    empty = true;
                }
                if !empty {
                    line.push(' ');
                }
                line.push_str(&piece);
                empty = false;
            }
        }
        self.line(&line);
    }

    pub(crate) fn paint(&self, text: &str, paint: Paint) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match paint {
            Paint::Bold => "1",
            Paint::Good => "32",
            Paint::Bad => "1;31",
            Paint::Open => "33",
            Paint::Quiet => "2",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

#[derive(Clone, Copy)]
pub(crate) enum Paint {
    Bold,
    Good,
    Bad,
    Open,
    Quiet,
}

impl Paint {
    pub(crate) fn of(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Promote => Self::Good,
            Verdict::Rollback => Self::Bad,
            Verdict::Hold | Verdict::Investigate | Verdict::SignOff => Self::Open,
        }
    }
}

fn head(page: &mut Page, report: &Report) {
    let verdict = report.evaluation.verdict;
    let word = words::verdict(verdict).to_uppercase();
    let name = shorten(&terminal(&report.experiment), page.width.saturating_sub(word.len() + 2));
    let line = format!("{}  {name}", page.paint(&word, Paint::of(verdict)));
    page.line(&line);
    page.wrapped("", words::verdict_sentence(verdict));
    page.line("");
    page.wrapped("control    ", &snapshots(&report.variants.control_snapshot));
    page.wrapped("candidate  ", &snapshots(&report.variants.candidate_snapshot));
    page.wrapped("evidence   ", &evidence(report));
    if let Some(step) = &report.step {
        let share = numbers::trimmed_percent(step.candidate_percent / 100.0);
        let name = terminal(&step.name);
        page.wrapped(
            "step       ",
            &format!("{} of {} ({name}), the candidate serves {share} %", step.number, step.of),
        );
    }
    let left_out: Vec<String> = report.generated_from.left_out.iter().map(|what| terminal(what)).collect();
    if !left_out.is_empty() {
        page.wrapped("without    ", &left_out.join("; "));
    }
    if let Some(meaning) = &report.meaning {
        page.wrapped("meaning    ", &terminal(&meaning.sentence));
    }
}

fn snapshots(labels: &[String]) -> String {
    if labels.is_empty() {
        return "(not named by the samples)".to_owned();
    }
    let labels: Vec<String> = labels.iter().map(|label| terminal(label)).collect();
    labels.join("; ")
}

fn evidence(report: &Report) -> String {
    let health = &report.evaluation.health;
    let revisions: Vec<String> = report.revisions.iter().map(i64::to_string).collect();
    let mut text = format!(
        "{} pairs; served: {} by control, {} by candidate",
        count(health.pairs),
        count(health.primary_control),
        count(health.primary_candidate)
    );
    if !revisions.is_empty() {
        let _ = write!(text, "; revision {}", revisions.join(", "));
    }
    text
}

fn reasons(page: &mut Page, report: &Report) {
    page.heading("Reasons");
    if report.evaluation.reasons.is_empty() {
        page.line("  none given");
    }
    for (number, reason) in report.evaluation.reasons.iter().enumerate() {
        page.wrapped(&format!("  {}. ", number + 1), &terminal(&reason.text));
    }
}

fn gates(page: &mut Page, gates: &[GateResult]) {
    page.heading("Gates");
    let columns = plot_columns(page.width);
    let header = page.paint(gate_header(columns).trim_end(), Paint::Quiet);
    page.line(&header);
    for gate in words::urgent_first(gates) {
        gate_lines(page, gate, columns);
    }
    page.line("");
    page.wrapped(
        "  ",
        "Plots: ( ) interval, o estimate, : no change, ! margin; < or > goes on beyond the plot.",
    );
}

/// The heading of the gates' columns.
pub(crate) fn gate_header(columns: usize) -> String {
    format!(
        "  {:<GATE_COLUMNS$} {:<OUTCOME_COLUMNS$} {:>VALUE_COLUMNS$} {:>VALUE_COLUMNS$}  {:^columns$}",
        "gate", "outcome", "control", "candidate", "candidate - control"
    )
}

/// A gate in a line with its interval drawn in so many columns.
pub(crate) fn gate_row(page: &Page, gate: &GateResult, columns: usize) -> String {
    let outcome = format!("{:<OUTCOME_COLUMNS$}", words::outcome(gate.outcome));
    let outcome = page.paint(
        &outcome,
        match gate.outcome {
            Outcome::Inside | Outcome::Improved => Paint::Good,
            Outcome::Breach | Outcome::Diverged => Paint::Bad,
            Outcome::Undecided | Outcome::NoData => Paint::Open,
        },
    );
    format!(
        "  {:<GATE_COLUMNS$} {outcome} {:>VALUE_COLUMNS$} {:>VALUE_COLUMNS$}  {}",
        shorten(&terminal(&gate.gate), GATE_COLUMNS),
        numbers::value_or_dash(&gate.unit, gate.control),
        numbers::value_or_dash(&gate.unit, gate.candidate),
        words::plot(gate).map_or_else(String::new, |plot| drawn(&plot, columns)),
    )
}

fn gate_lines(page: &mut Page, gate: &GateResult, columns: usize) {
    let line = gate_row(page, gate, columns);
    page.line(&line);
    let mut detail = words::finding(gate);
    let _ = write!(detail, "; {}, {}", words::evidence(gate), words::severity(gate.severity));
    if let Some(more) = gate.needed_more {
        let _ = write!(detail, "; needs about {} more", numbers::about(more));
    }
    if let Some(labels) = judges::labels_needed(gate) {
        let _ = write!(detail, "; needs about {} more labels of each variant", count(labels));
    }
    if let Some(correction) = judges::correction(gate) {
        let _ = write!(detail, "; {correction}");
    }
    page.wrapped("      ", &detail);
}

/// Columns left for the plot; odd, so that no change has a column of its own.
pub(crate) fn plot_columns(width: usize) -> usize {
    let left = width.saturating_sub(row_columns(0));
    let columns = left.clamp(9, 41);
    columns - (columns + 1) % 2
}

/// Columns of a gate's row with a plot of so many.
pub(crate) fn row_columns(plot: usize) -> usize {
    2 + GATE_COLUMNS + 1 + OUTCOME_COLUMNS + 2 * (1 + VALUE_COLUMNS) + 2 + plot
}

/// An interval against its margin in `columns` characters.
fn drawn(plot: &Plot, columns: usize) -> String {
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    // places are within 0 to 1 and columns below 41
    let column = |place: f64| (place * (columns.saturating_sub(1)) as f64).round() as usize;
    let mut cells = vec![' '; columns];
    let mut put = |at: usize, sign: char| {
        if let Some(cell) = cells.get_mut(at) {
            *cell = sign;
        }
    };
    for inner in column(plot.low.0)..=column(plot.high.0) {
        put(inner, '-');
    }
    put(column(plot.zero), ':');
    for margin in [plot.margin_low, plot.margin_high].into_iter().flatten() {
        put(column(margin), '!');
    }
    put(column(plot.low.0), '(');
    put(column(plot.high.0), ')');
    put(column(plot.estimate), 'o');
    // What goes on beyond the plot is at its edge, where the arrow says more than the sign under it.
    for ((place, cut), arrow) in [(plot.low, '<'), (plot.high, '>')] {
        if cut {
            put(column(place), arrow);
        }
    }
    cells.into_iter().collect()
}

fn segments(page: &mut Page, report: &Report) {
    let segments = &report.evaluation.segments;
    if segments.is_empty() {
        return;
    }
    page.heading("Segments that moved most");
    for finding in report.evaluation.findings.iter().take(SEGMENTS_MAX) {
        page.wrapped("  ! ", &terminal(&finding.text));
    }
    let columns = plot_columns(page.width);
    for (segment, gate) in words::moved_most(segments, SEGMENTS_MAX) {
        let named = GateResult { gate: segment.name(), ..gate.clone() };
        let line = gate_row(page, &named, columns);
        page.line(&line);
        let detail = format!(
            "{}: {}; {}; damage {}",
            terminal(&gate.gate),
            words::finding(gate),
            words::evidence(gate),
            numbers::margins(segment.damage)
        );
        page.wrapped("      ", &detail);
    }
    if segments.len() > SEGMENTS_MAX {
        page.line(&format!("  {} segments in all; the JSON report has each", segments.len()));
    }
}

fn judging(page: &mut Page, report: &Report) {
    if report.judges.is_empty() {
        return;
    }
    page.heading("Judges");
    for judge in &report.judges {
        let state =
            if judge.calibrated { "calibrated" } else { "not calibrated: can roll back, not promote" };
        page.wrapped(
            "  ",
            &format!(
                "{} by {}: {state}; {} labels; {}",
                terminal(&judge.criterion),
                terminal(&judge.judge),
                count(judge.labels),
                terminal(&judge.text)
            ),
        );
        page.wrapped("      ", &terminal(&judges::agreement(judge)));
        for part in judge.parts.iter().take(PARTS_MAX) {
            page.wrapped("      ", &terminal(&judges::part(part)));
        }
    }
}

fn meaning(page: &mut Page, report: &Report) {
    let Some(meaning) = &report.meaning else { return };
    page.heading("Meaning");
    for test in &meaning.tests {
        page.wrapped(&format!("  {:<19} ", shorten(&terminal(&test.name), 19)), &words::meaning_test(test));
    }
    let groups = &meaning.moved;
    if !groups.is_empty() {
        page.line("  what moved most: distance, control to itself, pairs");
    }
    for group in groups.iter().take(GROUPS_MAX) {
        let lead = format!(
            "  {:>6} {:>6} {:>7}  ",
            numbers::value("score", group.distance),
            numbers::value_or_dash("score", group.noise_distance),
            count(group.pairs)
        );
        page.wrapped(&lead, &terminal(&format!("{} {}", group.dimension, group.value)));
    }
    if let Some(exemplar) = groups.first().and_then(|group| group.exemplars.first()) {
        let distance = numbers::value("score", exemplar.distance);
        page.wrapped(
            "  ",
            &format!("furthest apart there: sample {}, {distance}", terminal(&exemplar.sample_id)),
        );
        let (request, control) = (&exemplar.request_text, &exemplar.control_text);
        for (side, text) in
            [("request", request), ("control", control), ("candidate", &exemplar.candidate_text)]
        {
            let text = shorten(&terminal(text), 2 * page.width.saturating_sub(16));
            page.wrapped(&format!("    {side:<10}"), if text.is_empty() { "(empty)" } else { &text });
        }
    }
    if let Some(line) = words::meaning_over_time(meaning) {
        page.wrapped("  over time  ", &line);
    }
    for wire in &report.tripwires {
        let line = format!("{} ({}): {}", wire.name, words::severity(wire.severity), wire.text);
        page.wrapped("  tripwire ", &terminal(&line));
    }
    for what in &meaning.not_looked_at {
        page.wrapped("  not looked at: ", &terminal(what));
    }
    if meaning.without_text > 0 {
        page.line(&format!("  {} answers without text have no distance", count(meaning.without_text)));
    }
}

fn absent(page: &mut Page, report: &Report) {
    if report.absent.is_empty() {
        return;
    }
    page.heading("Not measured");
    for (metric, reason) in &report.absent {
        page.wrapped("  ", &format!("{}: {}", terminal(metric), terminal(reason)));
    }
}

fn exemplars(page: &mut Page, exemplars: &[&Exemplar]) {
    if exemplars.is_empty() {
        return;
    }
    page.heading("Worst pairs");
    for exemplar in exemplars.iter().take(EXEMPLARS_MAX) {
        let line = format!(
            "  {} (sample {})",
            shorten(&terminal(&exemplar.gate), 28),
            shorten(&terminal(&exemplar.sample_id), 38)
        );
        page.line(&line);
        for (side, text) in [
            ("request", &exemplar.request_text),
            ("control", &exemplar.control_text),
            ("candidate", &exemplar.candidate_text),
        ] {
            let text = shorten(&terminal(text), 2 * page.width.saturating_sub(16));
            page.wrapped(&format!("    {side:<10}"), if text.is_empty() { "(empty)" } else { &text });
        }
        if let Some(scores) = words::pair_scores(exemplar) {
            page.wrapped("    scores    ", &shorten(&terminal(&scores), 2 * page.width.saturating_sub(16)));
        }
        for remark in &exemplar.remarks {
            page.wrapped("    judged    ", &shorten(&terminal(remark), 2 * page.width.saturating_sub(16)));
        }
    }
    if exemplars.len() > EXEMPLARS_MAX {
        page.line(&format!("  {} more in the HTML and JSON reports", exemplars.len() - EXEMPLARS_MAX));
    }
}

fn timeline(page: &mut Page, report: &Report) {
    if report.timeline.is_empty() {
        return;
    }
    page.heading("Timeline");
    for entry in &report.timeline {
        page.wrapped(
            &format!("  {}  ", shorten(&terminal(&entry.at), 30)),
            &format!("{}: {}", terminal(&entry.kind), terminal(&entry.text)),
        );
    }
}

fn health(page: &mut Page, health: &CaptureHealth) {
    page.heading("Capture");
    page.wrapped(
        "  ",
        &format!(
            "{} pairs, {} half pairs, {} shadow and {} noise answers; {} records lost; cut short: {} of control, {} of candidate",
            count(health.pairs),
            count(health.half_pairs),
            count(health.shadow),
            count(health.noise),
            count(health.sequence_gaps),
            count(health.truncated_control),
            count(health.truncated_candidate),
        ),
    );
    if health.thinned > 0 {
        let left_out = format!(
            "{} answers left out of unpaired comparisons: they were captured more easily than others",
            count(health.thinned)
        );
        page.wrapped("  ", &left_out);
    }
    for check in &health.assignments {
        page.wrapped("  ", &terminal(&words::assignment(check)));
    }
    if health.skipped_files > 0 {
        page.wrapped("  ", &terminal(&words::skipped(health)));
    }
    if health.problems.is_empty() {
        page.line("  no problem found that would bias the comparison");
    }
    for problem in &health.problems {
        let line = format!("problem: {}", terminal(problem));
        page.wrapped("  ", &line);
    }
}

fn provenance(page: &mut Page, report: &Report) {
    let from = &report.generated_from;
    page.heading("Promised");
    let promises = words::promises(&report.evaluation);
    page.wrapped("  ", &format!("However often looked at: {promises}."));
    if let Some(score) = report.evaluation.score {
        page.wrapped("  ", &format!("In one number: {}.", words::score(score)));
    }
    page.heading("Made from");
    let time = match (&from.first_ts, &from.last_ts) {
        (Some(first), Some(last)) => format!(", {} to {}", terminal(first), terminal(last)),
        _ => String::new(),
    };
    page.wrapped(
        "  ",
        &format!(
            "{}: {} legs{time}; gates {}; alpha {} over all gates and any number of looks; weir {}",
            terminal(&from.data),
            count(from.samples),
            terminal(&from.gates_digest),
            numbers::probability(report.evaluation.alpha),
            terminal(&from.weir_version),
        ),
    );
}

/// A word in pieces that fit a line.
fn pieces(word: &str, columns: usize) -> Vec<String> {
    if word.chars().count() <= columns {
        return vec![word.to_owned()];
    }
    let characters: Vec<char> = word.chars().collect();
    characters.chunks(columns).map(|piece| piece.iter().collect()).collect()
}
