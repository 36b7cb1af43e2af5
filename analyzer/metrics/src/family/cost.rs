//! What an answer cost: `cost`, by the metrics document's table of prices.

use std::sync::Arc;

use weir_gate::Better;

use crate::answer::Answer;
use crate::definition::Price;
use crate::metric::{Metric, ValueOf};

const MILLION: f64 = 1e6;

/// The cost of a request in the document's currency.
pub(crate) fn metric(prices: &Arc<[Price]>, currency: &str) -> Metric {
    Metric {
        name: "cost".to_owned(),
        unit: currency.to_owned().into(),
        better: Better::Lower,
        bounds: None,
        value: ValueOf::Cost(Arc::clone(prices)),
        needs_control: None,
    }
}

/// Nothing where a count of tokens or the model's price is not known: a part of the cost would look cheap.
#[allow(clippy::cast_precision_loss)] // token counts are far below 2^53
pub(crate) fn of(answer: &Answer<'_>, prices: &[Price]) -> Option<f64> {
    let price = prices.iter().find(|price| price.matches(answer.model))?;
    let known = |tokens: Option<i64>| tokens.filter(|tokens| *tokens >= 0).map(|tokens| tokens as f64);
    let (input, output) = (known(answer.prompt_tokens)?, known(answer.completion_tokens)?);
    let cached = known(answer.cached_tokens).unwrap_or(0.0).min(input);
    let of_cached = price.cached_input_per_million.unwrap_or(price.input_per_million);
    let total =
        (input - cached) * price.input_per_million + cached * of_cached + output * price.output_per_million;
    Some(total / MILLION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_costs_its_tokens_by_the_first_price_that_fits() {
        let price = |model: Option<&str>, input, cached, output| Price {
            model: model.map(str::to_owned),
            input_per_million: input,
            cached_input_per_million: cached,
            output_per_million: output,
        };
        let prices = [price(Some("gpt-x"), 2.0, Some(0.5), 10.0), price(Some("free"), 0.0, None, 0.0)];
        let cases = [
            (Some("gpt-x-mini"), Some(1_000), None, Some(100), Some(0.003)),
            (Some("gpt-x"), Some(1_000), Some(600), Some(100), Some(0.0021)),
            (Some("gpt-x"), Some(1_000), Some(5_000), Some(0), Some(0.0005)),
            (Some("free"), Some(1_000), None, Some(100), Some(0.0)),
            (Some("other"), Some(1_000), None, Some(100), None),
            (None, Some(1_000), None, Some(100), None),
            (Some("gpt-x"), Some(1_000), None, None, None),
            (Some("gpt-x"), Some(-1), None, Some(1), None),
        ];
        for (model, prompt_tokens, cached_tokens, completion_tokens, expected) in cases {
            let answer =
                Answer { model, prompt_tokens, cached_tokens, completion_tokens, ..Answer::default() };
            let found = of(&answer, &prices);
            let same =
                found.zip(expected).map_or(found == expected, |(one, other)| (one - other).abs() < 1e-12);
            assert!(same, "{model:?} {found:?} {expected:?}");
        }
    }
}
