//! The gates that are used where nobody wrote any.
//!
//! The field's usual table, as far as the values are there. A gate whose metric has no values is left out, so that it neither
//! blocks nor takes a share of alpha, and [`unmeasured`] names it.

use crate::gates::{Direction, Gate, Gates, Margin, Severity};
use crate::names::{SCORE_PREFIX, base_metric};
use crate::series::{MetricSeries, Stratum};
use crate::settled::Lengths;
use crate::values::Values;

/// Name, metric, margin and severity of the built-in gates; scores come on top.
const PACK: [(&str, &str, Margin, Severity); 14] = [
    ("errors", "error", Margin::Absolute(0.01), Severity::Critical),
    ("empty-answers", "empty", Margin::Absolute(0.01), Severity::Critical),
    ("cut-answers", "truncated_answer", Margin::Absolute(0.02), Severity::Major),
    ("refusals", "refusal", Margin::Absolute(0.02), Severity::Major),
    ("valid-json", "json_valid", Margin::Absolute(0.02), Severity::Critical),
    ("json-schema", "json_schema", Margin::Absolute(0.02), Severity::Critical),
    ("headings", "headings", Margin::Absolute(0.02), Severity::Major),
    ("citations-valid", "citation_valid", Margin::Absolute(0.02), Severity::Major),
    ("answer-length", "response_chars", Margin::Relative(0.2), Severity::Major),
    ("latency-p95", "latency_ms:p95", Margin::Relative(0.1), Severity::Major),
    ("latency-p95-doubled", "latency_ms:p95", Margin::Relative(1.0), Severity::Critical),
    // One gate: what costs more, and be it half as much again, is for a human.
    ("cost", "cost", Margin::Relative(0.08), Severity::Major),
    ("retries", "retry", Margin::Relative(0.05), Severity::Major),
    ("tokens", "completion_tokens", Margin::Relative(0.2), Severity::Advisory),
];

/// Metrics of the pack that are judged both ways.
const BOTH_WAYS: [&str; 2] = ["response_chars", "completion_tokens"];

/// Metrics of the pack that are computed only on demand, and what they need.
const ON_DEMAND: [(&str, &str); 5] = [
    ("cost", "cost per request (`prices` in a metrics document)"),
    ("retry", "retry rate (`compute: [retry]` in a metrics document)"),
    ("citation_valid", "citation validity (`compute: [citation_valid]` in a metrics document)"),
    ("json_schema", "JSON Schema (`jsonSchema` of a route in a metrics document)"),
    ("headings", "structure (`headings` of a route in a metrics document)"),
];

/// Criteria with a margin of their own, and what they are about.
const CRITERIA: [(&str, &str); 4] = [
    (TASK_SUCCESS, "task success"),
    (POLICY_FAILURE, "severe policy failures"),
    (QUALITY, "the quality floor"),
    (HALLUCINATION, "hallucination"),
];
const TASK_SUCCESS: &str = "task_success";
const POLICY_FAILURE: &str = "severe_policy_failure";
const QUALITY: &str = "quality";
const HALLUCINATION: &str = "hallucination";

/// "No increase" has to be a size that can be shown: one answer in a thousand.
const NO_INCREASE: f64 = 0.001;
const QUALITY_FLOOR: f64 = 0.85;
const HALLUCINATION_CEILING: f64 = 0.05;

/// Pairs or samples per variant before a built-in gate is inside.
const MINIMUM_EVIDENCE: u64 = 100;

impl Gates {
    /// The built-in gates for the metrics that have values:
    ///
    /// - errors and empty answers +1 point, cut and refused answers +2 points, JSON validity, JSON Schema, headings and citation
    ///   validity -2 points;
    /// - answer length 20 percent either way, 95th percentile of latency +10 percent (twice as much rolls back), cost +8 percent,
    ///   retries +5 percent, tokens (shown only);
    /// - every score column no worse than 2 percent of its scale, `score:task_success` 1 percent, `score:severe_policy_failure`
    ///   (less is better, as for `score:hallucination`) no increase, which is at most one answer in a thousand;
    /// - `score:quality` at least 0.85 and `score:hallucination` at most 0.05. Where control itself misses such a bound it says
    ///   nothing about the candidate, and is shown only.
    ///
    /// Gates without values are left out, so that they neither block nor take a share of alpha.
    #[must_use]
    pub fn default_pack(series: &[MetricSeries]) -> Self {
        let mut gates: Vec<Gate> = PACK
            .iter()
            .filter(|(_, metric, ..)| measured(series, metric))
            .map(|(name, metric, margin, severity)| gate((*name).to_owned(), metric, *margin, *severity))
            .collect();
        for score in series.iter().filter(|series| has_values(series)) {
            if let Some(criterion) = score.name.strip_prefix(SCORE_PREFIX) {
                gates.extend(of_score(score, criterion));
            }
        }
        Self { alpha: 0.05, gates }
    }
}

/// The metrics that the built-in gates would name if they could be computed; what they rest on may not be there.
pub fn pack_metrics() -> impl Iterator<Item = &'static str> {
    ON_DEMAND.iter().map(|(metric, _)| *metric)
}

/// The parts of the built-in pack that have no values here, each with what it needs.
#[must_use]
pub fn unmeasured(series: &[MetricSeries]) -> Vec<String> {
    let on_demand = ON_DEMAND.iter().filter(|(metric, _)| !measured(series, metric));
    let criteria =
        CRITERIA.iter().filter(|(criterion, _)| !measured(series, &format!("{SCORE_PREFIX}{criterion}")));
    let criteria = criteria.map(|(criterion, about)| format!("{about} (`{SCORE_PREFIX}{criterion}`)"));
    on_demand.map(|(_, needs)| (*needs).to_owned()).chain(criteria).collect()
}

fn measured(series: &[MetricSeries], metric: &str) -> bool {
    series.iter().any(|series| series.name == base_metric(metric) && has_values(series))
}

/// The gates of one score column.
fn of_score(score: &MetricSeries, criterion: &str) -> Vec<Gate> {
    let name = score.name.replacen(':', "-", 1);
    let less_is_better = [POLICY_FAILURE, HALLUCINATION].contains(&criterion);
    let direction = if less_is_better { Direction::Lower } else { Direction::Higher };
    let margin = match criterion {
        TASK_SUCCESS => 0.01,
        POLICY_FAILURE => NO_INCREASE,
        _ => 0.02,
    };
    let against_control = gate(name, &score.name, Margin::OfScale(margin), Severity::Critical);
    let mut gates = vec![Gate { direction: less_is_better.then_some(direction), ..against_control }];
    let bound = match criterion {
        QUALITY => Some((QUALITY_FLOOR, "floor")),
        HALLUCINATION => Some((HALLUCINATION_CEILING, "ceiling")),
        _ => None,
    };
    if let Some((bound, word)) = bound {
        let level = control_level(score);
        let kept = if less_is_better { level <= bound } else { level >= bound };
        let severity = if kept { Severity::Major } else { Severity::Advisory };
        let own = gate(format!("{criterion}-{word}"), &score.name, Margin::Bound(bound), severity);
        gates.push(Gate { direction: Some(direction), ..own });
    }
    gates
}

/// The mean of all values of control; of a judge's score, which is never settled.
fn control_level(series: &MetricSeries) -> f64 {
    let of_strata = series.strata.iter().map(|stratum| &stratum.control);
    let all = std::iter::once(series.pairs.control()).chain(of_strata).flat_map(Values::to_vec);
    let (sum, n) =
        all.filter(|value| value.is_finite()).fold((0.0, 0.0), |(sum, n), value| (sum + value, n + 1.0));
    if n > 0.0 { sum / n } else { 0.0 }
}

fn gate(name: String, metric: &str, margin: Margin, severity: Severity) -> Gate {
    // A length or a token count has no better direction: a change either way is a divergence.
    let direction = BOTH_WAYS.contains(&metric).then_some(Direction::Both);
    Gate {
        name,
        metric: metric.to_owned(),
        direction,
        margin,
        severity,
        segment: None,
        minimum_evidence: MINIMUM_EVIDENCE,
    }
}

/// Both variants have a value, or there is a pair.
fn has_values(series: &MetricSeries) -> bool {
    if let Some(settled) = &series.settled {
        return settled.lengths().last().is_some_and(Lengths::can_be_compared);
    }
    let both = |stratum: &Stratum| !stratum.control.is_empty() && !stratum.candidate.is_empty();
    !series.pairs.is_empty() || series.strata.iter().any(both)
}
