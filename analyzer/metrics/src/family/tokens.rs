//! Tokens as the model's server counted them: `prompt_tokens`, `completion_tokens`, `total_tokens`, `cache_hit` (the share of
//! the request's tokens that came from the provider's cache) and `tokens_per_second` (of the answer, after its first byte).

use weir_gate::Better;

use super::amount;
use crate::answer::Answer;
use crate::metric::{Metric, SHARE};

pub(crate) fn metrics() -> Vec<Metric> {
    vec![
        amount("prompt_tokens", "tokens", Better::Lower, |answer| count(answer.prompt_tokens)),
        amount("completion_tokens", "tokens", Better::Neither, |answer| count(answer.completion_tokens)),
    ]
}

/// What is computed where a gate names it.
pub(crate) fn speed() -> Vec<Metric> {
    let mut hit = amount("cache_hit", "share", Better::Higher, |answer| {
        let prompt = count(answer.prompt_tokens).filter(|tokens| *tokens > 0.0)?;
        Some((count(answer.cached_tokens)? / prompt).min(1.0))
    });
    hit.bounds = SHARE;
    vec![
        amount("total_tokens", "tokens", Better::Lower, |answer| {
            Some(count(answer.prompt_tokens)? + count(answer.completion_tokens)?)
        }),
        amount("tokens_per_second", "tokens/s", Better::Higher, per_second),
        hit,
    ]
}

/// From the first byte on, if the answer came in pieces; a failed request has no speed.
fn per_second(answer: &Answer<'_>) -> Option<f64> {
    let latency_ms =
        answer.latency_ms.filter(|latency_ms| *latency_ms > 0.0 && answer.failed() != Some(true))?;
    let first_ms = answer.ttft_ms.filter(|ttft_ms| (0.0..latency_ms).contains(ttft_ms));
    // An answer that came at once was made before its first byte.
    let writing_ms = first_ms.map_or(latency_ms, |first_ms| latency_ms - first_ms);
    let duration_ms = if writing_ms < latency_ms / 10.0 { latency_ms } else { writing_ms };
    Some(count(answer.completion_tokens)? / duration_ms * 1e3)
}

#[allow(clippy::cast_precision_loss)] // token counts are far below 2^53
fn count(tokens: Option<i64>) -> Option<f64> {
    tokens.filter(|tokens| *tokens >= 0).map(|tokens| tokens as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_is_that_of_writing_and_the_cache_hit_a_share() {
        let answer = |latency_ms, ttft_ms, completion_tokens| Answer {
            latency_ms,
            ttft_ms,
            completion_tokens,
            prompt_tokens: Some(200),
            cached_tokens: Some(150),
            status: Some(200),
            ..Answer::default()
        };
        let cases = [
            (Some(2_000.0), Some(1_000.0), Some(50), Some(50.0)),
            (Some(2_000.0), None, Some(50), Some(25.0)),
            (Some(2_000.0), Some(1_999.0), Some(50), Some(25.0)),
            (Some(0.0), None, Some(50), None),
            (Some(-1.0), None, Some(50), None),
            (Some(2_000.0), None, None, None),
        ];
        for (latency_ms, ttft_ms, tokens, expected) in cases {
            assert_eq!(
                per_second(&answer(latency_ms, ttft_ms, tokens)),
                expected,
                "{latency_ms:?} {ttft_ms:?}"
            );
        }
        let values: Vec<Option<f64>> =
            speed().iter().map(|metric| metric.value(&answer(Some(1_000.0), None, Some(50)))).collect();
        assert_eq!(values, [Some(250.0), Some(50.0), Some(0.75)]);
    }

    #[test]
    fn tokens_are_as_counted_and_never_negative() {
        for (tokens, expected) in
            [(Some(0), Some(0.0)), (Some(17), Some(17.0)), (Some(-1), None), (None, None)]
        {
            let answer = Answer { prompt_tokens: tokens, completion_tokens: tokens, ..Answer::default() };
            for metric in metrics() {
                assert_eq!(metric.value(&answer), expected, "{}", metric.name);
            }
        }
    }
}
