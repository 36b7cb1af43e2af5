//! The words that every view uses for verdicts, outcomes and comparisons, and the geometry of interval plots.

use weir_gate::{Better, Comparison, Evaluation, GateResult, Outcome, SegmentResult, Severity, Verdict};

use crate::meaning::{Meaning, MeaningPeriod, MeaningTest};
use crate::model::Exemplar;
use crate::numbers;

/// The verdict in one or two words.
pub(crate) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Promote => "Promote",
        Verdict::Hold => "Hold",
        Verdict::Investigate => "Investigate",
        Verdict::SignOff => "Sign-off needed",
        Verdict::Rollback => "Roll back",
    }
}

/// The verdict as a sentence for somebody who has never seen this tool.
pub(crate) fn verdict_sentence(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Promote => "The candidate stays within the margin of every gate: it may take more traffic.",
        Verdict::Hold => "The evidence does not decide yet: keep the present share and collect more.",
        Verdict::Investigate => "Something moved that a person must look at before the candidate goes on.",
        Verdict::SignOff => {
            "The candidate answers differently, and for the better as far as measured: a person must agree."
        }
        Verdict::Rollback => "The candidate is worse than the control: send all traffic back to the control.",
    }
}

/// Assignment against the policy, in one line.
pub(crate) fn assignment(check: &weir_gate::AssignmentCheck) -> String {
    let revision = check.revision.map(|revision| format!(", revision {revision}")).unwrap_or_default();
    let says = if check.mismatch { "not what" } else { "as" };
    let sample = match check.one_in {
        1 => String::new(),
        many => format!(" (of one in {})", numbers::count(many)),
    };
    format!(
        "assignment in cohort {}{revision}: {} of {} identities{sample} have the candidate, {says} the policy says ({} %)",
        if check.cohort.is_empty() { "none" } else { &check.cohort },
        numbers::count(check.candidate),
        numbers::count(check.candidate + check.control),
        numbers::trimmed_percent(check.expected_share),
    )
}

/// The files that were passed over, in one line.
pub(crate) fn skipped(health: &weir_gate::CaptureHealth) -> String {
    let (files, are) = if health.skipped_files == 1 { ("file", "is") } else { ("files", "are") };
    let more = health.skipped_files.saturating_sub(health.skipped.len() as u64);
    let more = if more > 0 { format!("; and {} more", numbers::count(more)) } else { String::new() };
    format!(
        "{} {files} in the data folder {are} not read: {}{more}",
        numbers::count(health.skipped_files),
        health.skipped.join("; ")
    )
}

/// The verdict as a machine writes it.
pub(crate) fn verdict_id(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Promote => "promote",
        Verdict::Hold => "hold",
        Verdict::Investigate => "investigate",
        Verdict::SignOff => "sign-off",
        Verdict::Rollback => "rollback",
    }
}

/// What became of a gate; upper case where it speaks against the candidate.
pub(crate) fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Inside => "inside",
        Outcome::Improved => "better",
        Outcome::Breach => "BREACH",
        Outcome::Diverged => "DIVERGED",
        Outcome::Undecided => "undecided",
        Outcome::NoData => "no data",
    }
}

/// A sign that carries the outcome without colour.
pub(crate) fn outcome_sign(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Inside => "✓",
        Outcome::Improved => "▲",
        Outcome::Breach => "✗",
        Outcome::Diverged => "≠",
        Outcome::Undecided => "?",
        Outcome::NoData => "–",
    }
}

/// The gate's severity.
pub(crate) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::Major => "major",
        Severity::Advisory => "advisory",
    }
}

/// `412 pairs`, or `1,204 control and 66 candidate answers`.
pub(crate) fn evidence(gate: &GateResult) -> String {
    match gate.comparison {
        Comparison::Paired => format!("{} pairs", numbers::count(gate.n_pairs)),
        Comparison::Unpaired => format!(
            "{} control and {} candidate answers",
            numbers::count(gate.n_control),
            numbers::count(gate.n_candidate)
        ),
        Comparison::None => "nothing to compare".to_owned(),
    }
}

/// `-4.1 pt (-6.0 pt to -2.2 pt), margin 2.0 pt`.
pub(crate) fn finding(gate: &GateResult) -> String {
    let margin =
        format!("margin {}{}", direction(gate), numbers::margin(&gate.unit, gate.relative, gate.margin));
    let (Some(estimate), Some(bounds)) = (gate.estimate, gate.interval) else {
        return margin;
    };
    format!(
        "{} ({}), {margin}",
        numbers::difference(&gate.unit, gate.relative, estimate),
        numbers::interval(&gate.unit, gate.relative, bounds),
    )
}

/// Gates in the order in which somebody with ten seconds reads them; where nothing tells them apart, as in the document.
pub(crate) fn urgent_first(gates: &[GateResult]) -> Vec<&GateResult> {
    let mut gates: Vec<&GateResult> = gates.iter().collect();
    gates.sort_by_key(|gate| urgency(gate));
    gates
}

/// What speaks against the candidate first, then what is open; the graver gates before the others.
fn urgency(gate: &GateResult) -> (u8, u8) {
    let severity = match gate.severity {
        Severity::Critical => 0,
        Severity::Major => 1,
        Severity::Advisory => 2,
    };
    (outcome_rank(gate.outcome), severity)
}

/// What speaks against the candidate first, what is inside last.
pub(crate) fn outcome_rank(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Breach => 0,
        Outcome::Diverged => 1,
        Outcome::Undecided => 2,
        Outcome::NoData => 3,
        Outcome::Improved => 4,
        Outcome::Inside => 5,
    }
}

/// The sign of the allowed change for the worse: `-`, `+` or `±`.
pub(crate) fn direction(gate: &GateResult) -> &'static str {
    match gate.better {
        Better::Higher => "-",
        Better::Lower => "+",
        Better::Neither => "±",
    }
}

/// `score 74 of 100 (the weighted share of gates inside their margins; it decides nothing)`.
pub(crate) fn score(score: u8) -> String {
    format!("score {score} of 100 (the weighted share of gates inside their margins; it decides nothing)")
}

/// `a rollback without cause at most 5 %, a promotion past a margin at most 1.3 %, a human called without cause at most
/// 8.8 %`.
pub(crate) fn promises(evaluation: &Evaluation) -> String {
    let rates = evaluation.error_rates;
    let at_most = |chance: f64| format!("at most {} %", numbers::trimmed_percent(chance));
    let segments = match rates.segments > 0.0 {
        true => format!(" ({} of it because of a segment)", at_most(rates.segments)),
        false => String::new(),
    };
    format!(
        "a rollback without cause {}, a promotion past a margin {}, a human called without cause {}{segments}",
        at_most(rates.rollback),
        at_most(rates.promotion),
        at_most(rates.investigate)
    )
}

/// The segments that moved most, with the worst gate of each; those without any interval are left out.
pub(crate) fn moved_most(
    segments: &[SegmentResult],
    most: usize,
) -> impl Iterator<Item = (&SegmentResult, &GateResult)> {
    segments.iter().filter_map(|segment| Some((segment, segment.worst_gate()?))).take(most)
}

/// Where an interval, the margin and no change lie on a line from 0 (left) to 1 (right).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Plot {
    /// No change.
    pub zero: f64,
    /// The margin on the low side, if a change downwards is bad.
    pub margin_low: Option<f64>,
    /// The margin on the high side, if a change upwards is bad.
    pub margin_high: Option<f64>,
    /// The interval's ends, cut to the line, and whether each was cut.
    pub low: (f64, bool),
    /// See `low`.
    pub high: (f64, bool),
    /// The estimate, cut to the line.
    pub estimate: f64,
}

/// The plot of a gate, or nothing where there is no interval.
///
/// The line is symmetric about no change; it shows at least 1.6 and at most 6 margins to each side, so that the margin
/// is always in sight.
pub(crate) fn plot(gate: &GateResult) -> Option<Plot> {
    let (low, high) = gate.interval?;
    let estimate = gate.estimate?;
    if low.is_nan() || high.is_nan() || estimate.is_nan() {
        return None;
    }
    let margin = if gate.margin.is_finite() { gate.margin.abs() } else { 0.0 };
    let reach = low.abs().max(high.abs());
    let half = if margin > 0.0 {
        (reach * 1.1).clamp(margin * 1.6, margin * 6.0)
    } else if reach > 0.0 && reach.is_finite() {
        reach * 1.1
    } else {
        1.0
    };
    let place = |value: f64| (value / half).clamp(-1.0, 1.0) / 2.0 + 0.5;
    Some(Plot {
        zero: 0.5,
        margin_low: (gate.better != Better::Lower).then(|| place(-margin)),
        margin_high: (gate.better != Better::Higher).then(|| place(margin)),
        low: (place(low), low < -half),
        high: (place(high), high > half),
        estimate: place(estimate),
    })
}

/// What a test of meaning found.
pub(crate) fn meaning_test(test: &MeaningTest) -> String {
    let (Some(p), Some(level)) = (test.p, test.level) else {
        return "too little data for a first look".to_owned();
    };
    format!(
        "{} at n = {} (p {}, level {})",
        if test.detected { "moved" } else { "not found" },
        numbers::count(test.n),
        numbers::probability(p),
        numbers::probability(level)
    )
}

/// Distances in the parts of the time, the candidate's and control's own; none where there is one part or none.
pub(crate) fn meaning_over_time(meaning: &Meaning) -> Option<String> {
    let all = |value: fn(&MeaningPeriod) -> Option<f64>| -> String {
        let values: Vec<String> =
            meaning.over_time.iter().map(|period| numbers::value_or_dash("score", value(period))).collect();
        values.join(" ")
    };
    let noise = if meaning.over_time.iter().any(|period| period.noise_distance.is_some()) {
        format!("; control to itself {}", all(|period| period.noise_distance))
    } else {
        String::new()
    };
    (meaning.over_time.len() > 1).then(|| format!("{}{noise}", all(|period| Some(period.distance))))
}

/// Judges' scores of a pair's answers: `control helpful 0.92, candidate helpful 0.31`; nothing where there are none.
pub(crate) fn pair_scores(exemplar: &Exemplar) -> Option<String> {
    let sides = [("control", &exemplar.control_scores), ("candidate", &exemplar.candidate_scores)];
    let scores = sides.into_iter().flat_map(|(side, scores)| {
        let said = move |(criterion, score): (&String, &f64)| {
            format!("{side} {criterion} {}", numbers::value("score", *score))
        };
        scores.iter().map(said)
    });
    let scores: Vec<String> = scores.collect();
    (!scores.is_empty()).then(|| scores.join(", "))
}
