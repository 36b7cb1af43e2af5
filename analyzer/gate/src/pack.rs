//! The gates that are used where nobody wrote any.

use crate::gates::{Direction, Gate, Gates, Margin, Severity};
use crate::names::{SCORE, base_metric};
use crate::series::MetricSeries;

/// Name, metric, margin and severity of the built-in gates; scores come on top.
const PACK: [(&str, &str, Margin, Severity); 9] = [
    ("errors", "error", Margin::Absolute(0.01), Severity::Critical),
    ("empty-answers", "empty", Margin::Absolute(0.01), Severity::Critical),
    ("cut-answers", "truncated_answer", Margin::Absolute(0.02), Severity::Major),
    ("refusals", "refusal", Margin::Absolute(0.02), Severity::Major),
    ("valid-json", "json_valid", Margin::Absolute(0.02), Severity::Critical),
    ("answer-length", "response_chars", Margin::Relative(0.2), Severity::Major),
    ("latency-p95", "latency_ms:p95", Margin::Relative(0.1), Severity::Major),
    ("latency-p95-doubled", "latency_ms:p95", Margin::Relative(1.0), Severity::Critical),
    ("tokens", "completion_tokens", Margin::Relative(0.2), Severity::Advisory),
];

/// Metrics of the pack that are judged both ways.
const BOTH_WAYS: [&str; 2] = ["response_chars", "completion_tokens"];

/// Pairs or samples per variant before a built-in gate is inside.
const MINIMUM_EVIDENCE: u64 = 100;

impl Gates {
    /// The built-in gates for the metrics that have values: errors, empty, cut and refused answers, JSON validity,
    /// answer length either way, 95th percentile of latency (10 percent more counts, twice as much rolls back), tokens (shown only), and every score column no worse than 2 percent of its
    /// scale. Gates without values are left out, so that they neither block nor take a share of alpha.
    #[must_use]
    pub fn default_pack(series: &[MetricSeries]) -> Self {
        let here = |metric: &str| {
            series.iter().any(|series| series.name == base_metric(metric) && has_values(series))
        };
        let mut gates: Vec<Gate> = PACK
            .iter()
            .filter(|(_, metric, ..)| here(metric))
            .map(|(name, metric, margin, severity)| gate((*name).to_owned(), metric, *margin, *severity))
            .collect();
        for score in series.iter().filter(|series| series.name.starts_with(SCORE) && has_values(series)) {
            let name = score.name.replacen(':', "-", 1);
            gates.push(gate(name, &score.name, Margin::OfScale(0.02), Severity::Critical));
        }
        Self { alpha: 0.05, gates }
    }
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
    let both =
        |stratum: &crate::series::Stratum| !stratum.control.is_empty() && !stratum.candidate.is_empty();
    !series.pairs.is_empty() || series.strata.iter().any(both)
}
