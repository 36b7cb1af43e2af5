//! Names of metrics, and how people call them.

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

/// Prefix of score metrics.
pub(crate) const SCORE: &str = "score:";

/// Whether a metric of this id can exist; scores depend on the data.
pub(crate) fn is_metric(id: &str) -> bool {
    let argument =
        |(family, argument): (&str, &str)| FAMILIES.contains(&family) && !argument.trim().is_empty();
    METRICS.contains(&id) || id.split_once(':').is_some_and(argument)
}

/// All ids, for messages.
pub(crate) fn list() -> String {
    format!("{}, distance:embedding, json_fields:<a,b>, score:<criterion or *>", METRICS.join(", "))
}

/// What the metric's mean is, for people.
pub(crate) fn phrase(id: &str) -> String {
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
