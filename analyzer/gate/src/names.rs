//! Names of metrics, and how people call them.

use crate::words::trimmed;

/// Metrics without an argument, in alphabetical order.
pub const METRICS: [&str; 30] = [
    "abandonment",
    "cache_hit",
    "citation",
    "citation_valid",
    "completion_tokens",
    "conversation_length",
    "cost",
    "empty",
    "error",
    "headings",
    "hedging",
    "json_schema",
    "json_valid",
    "language_match",
    "latency_ms",
    "prompt_tokens",
    "refusal",
    "repetition",
    "reprompt",
    "response_chars",
    "response_words",
    "retry",
    "soft_error",
    "structured_refusal",
    "tokens_per_second",
    "tool_call_error",
    "tool_calls",
    "total_tokens",
    "truncated_answer",
    "ttft_ms",
];

/// Metrics with an argument behind a colon: a column of the sample record, a distance between answers, a reason to end,
/// fields of a JSON answer, a language, a metric of the metrics document, a criterion of a judge, a tag.
pub const FAMILIES: [&str; 8] =
    ["column", "distance", "finish", "json_fields", "language", "own", "score", "tag"];

/// Metrics of which a gate may take a percentile: `latency_ms:p95`.
pub const WITH_PERCENTILES: [&str; 11] = [
    "completion_tokens",
    "conversation_length",
    "cost",
    "latency_ms",
    "prompt_tokens",
    "response_chars",
    "response_words",
    "tokens_per_second",
    "tool_calls",
    "total_tokens",
    "ttft_ms",
];

/// Prefix of the metrics that are judges' scores: `score:CRITERION`.
pub const SCORE_PREFIX: &str = "score:";

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
        "{}, column:<name>, distance:embedding, finish:<reason>, json_fields:<a,b>, language:<code>, own:<name>, score:<criterion or *>, tag:<name> or tag:<name>=<value>, and <metric>:p95 of {percentiles}",
        METRICS.join(", ")
    )
}

/// What the metric's mean or percentile is, for people.
#[must_use]
pub fn phrase(id: &str) -> String {
    if let (base, Some(share)) = split_percentile(id) {
        return format!("{}th percentile of {}", trimmed(share * 100.0), phrase(base));
    }
    let plain = match id {
        "abandonment" => "share of sessions given up at a bad answer",
        "cache_hit" => "share of request tokens from the cache",
        "citation" => "share of answers that cite",
        "citation_valid" => "share of citations that are in the request",
        "completion_tokens" => "completion tokens",
        "conversation_length" => "requests of a session",
        "cost" => "cost of a request",
        "empty" => "share of empty answers",
        "error" => "error rate",
        "headings" => "share of required headings",
        "hedging" => "share of hedging answers",
        "json_schema" => "share of answers that keep their JSON Schema",
        "json_valid" => "share of answers that are valid JSON",
        "language_match" => "share of answers in the language of the request",
        "latency_ms" => "latency",
        "prompt_tokens" => "prompt tokens",
        "refusal" => "share of refusals",
        "repetition" => "share of repeated runs of words",
        "reprompt" => "share of answers that are asked again in other words",
        "retry" => "share of answers that are asked again",
        "soft_error" => "share of answers that say they failed",
        "structured_refusal" => "share of refusals in the provider's own field",
        "tokens_per_second" => "tokens per second",
        "tool_call_error" => "share of answers with a tool call that cannot run",
        "tool_calls" => "tool calls",
        "total_tokens" => "tokens of request and answer",
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
        Some(("column", name)) => format!("column {name}"),
        Some(("finish", reason)) => format!("share of answers that end by {reason}"),
        Some(("language", code)) => format!("share of answers in language {code}"),
        Some(("tag", label)) if label.contains('=') => format!("share of answers with tag {label}"),
        Some(("tag", name)) => format!("tag {name}"),
        Some(("own", name)) => name.to_owned(),
        Some(("distance", name)) => format!("{name} distance from control's answer"),
        Some(("score", criterion)) => format!("score {criterion}"),
        _ => id.to_owned(),
    }
}
