//! Names of metrics, and how people call them.

use crate::words::trimmed;

/// Metrics without an argument, in alphabetical order.
pub const METRICS: [&str; 12] = [
    "completion_tokens",
    "empty",
    "error",
    "hedging",
    "json_valid",
    "latency_ms",
    "prompt_tokens",
    "refusal",
    "response_chars",
    "response_words",
    "truncated_answer",
    "ttft_ms",
];

/// Metrics with an argument behind a colon: a distance between answers, fields of a JSON answer, a criterion of a judge.
pub const FAMILIES: [&str; 3] = ["distance", "json_fields", "score"];

/// Metrics of which a gate may take a percentile: `latency_ms:p95`.
pub const WITH_PERCENTILES: [&str; 6] =
    ["completion_tokens", "latency_ms", "prompt_tokens", "response_chars", "response_words", "ttft_ms"];

/// Prefix of score metrics.
pub(crate) const SCORE: &str = "score:";

/// Whether a metric of this id can exist; scores depend on the data.
pub(crate) fn is_metric(id: &str) -> bool {
    let argument =
        |(family, argument): (&str, &str)| FAMILIES.contains(&family) && !argument.trim().is_empty();
    METRICS.contains(&id) || split_percentile(id).1.is_some() || id.split_once(':').is_some_and(argument)
}

/// The metric whose values a metric id is about: `latency_ms` for `latency_ms:p95`, otherwise the id itself.
#[must_use]
pub fn base_metric(id: &str) -> &str {
    split_percentile(id).0
}

/// The metric, and the percentile as a share: `latency_ms:p99.9` is `latency_ms` and 0.999. The id itself and nothing
/// where it is no percentile above 0 and below 100.
pub(crate) fn split_percentile(id: &str) -> (&str, Option<f64>) {
    let parsed = id.split_once(":p").filter(|(base, _)| WITH_PERCENTILES.contains(base));
    let share = |digits: &str| {
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && digits.len() <= 6;
        digits.parse::<f64>().ok().filter(|percent| plain && *percent > 0.0 && *percent < 100.0)
    };
    match parsed.and_then(|(base, digits)| Some((base, share(digits)?))) {
        Some((base, percent)) => (base, Some(percent / 100.0)),
        None => (id, None),
    }
}

/// All ids, for messages.
pub(crate) fn list() -> String {
    let percentiles = WITH_PERCENTILES.join(", ");
    format!(
        "{}, distance:embedding, json_fields:<a,b>, score:<criterion or *>, and <metric>:p95 of {percentiles}",
        METRICS.join(", ")
    )
}

/// What the metric's mean or percentile is, for people.
pub(crate) fn phrase(id: &str) -> String {
    if let (base, Some(share)) = split_percentile(id) {
        return format!("{}th percentile of {}", trimmed(share * 100.0), phrase(base));
    }
    let plain = match id {
        "completion_tokens" => "completion tokens",
        "empty" => "share of empty answers",
        "error" => "error rate",
        "hedging" => "share of hedging answers",
        "json_valid" => "share of answers that are valid JSON",
        "latency_ms" => "latency",
        "prompt_tokens" => "prompt tokens",
        "refusal" => "share of refusals",
        "response_chars" => "answer length",
        "response_words" => "answer length in words",
        "truncated_answer" => "share of answers that were cut short",
        "ttft_ms" => "time to first token",
        other => return family_phrase(other),
    };
    plain.to_owned()
}

fn family_phrase(id: &str) -> String {
    match id.split_once(':') {
        Some(("json_fields", fields)) => {
            let list: Vec<&str> = fields.split(',').map(str::trim).collect();
            let word = if list.len() == 1 { "field" } else { "fields" };
            format!("share of answers with the {word} {}", list.join(", "))
        }
        Some(("distance", name)) => format!("{name} distance from control's answer"),
        Some(("score", criterion)) => format!("score {criterion}"),
        _ => id.to_owned(),
    }
}
