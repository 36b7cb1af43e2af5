//! What an answer cost: `prompt_tokens` and `completion_tokens`, as the model's server counted them.

use weir_gate::Better;

use super::amount;
use crate::metric::Metric;

pub(crate) fn metrics() -> Vec<Metric> {
    vec![
        amount("prompt_tokens", "tokens", Better::Lower, |answer| count(answer.prompt_tokens)),
        amount("completion_tokens", "tokens", Better::Neither, |answer| count(answer.completion_tokens)),
    ]
}

#[allow(clippy::cast_precision_loss)] // token counts are far below 2^53
fn count(tokens: Option<i64>) -> Option<f64> {
    tokens.filter(|tokens| *tokens >= 0).map(|tokens| tokens as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Answer;

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
