//! The metric definitions, one file per family.

pub(crate) mod citations;
pub(crate) mod cost;
pub(crate) mod delivery;
pub(crate) mod format;
pub(crate) mod labels;
pub(crate) mod language;
pub(crate) mod latency;
pub(crate) mod phrases;
pub(crate) mod repetition;
pub(crate) mod search;
pub(crate) mod session;
pub(crate) mod structure;
pub(crate) mod text;
pub(crate) mod tokens;
pub(crate) mod tools;

use std::sync::Arc;

use weir_gate::Better;

use crate::answer::Answer;
use crate::definition::{MetricsFile, Price, Route};
use crate::metric::{Metric, SHARE, ValueOf};

/// Every metric that is always computed, in the order of the series.
pub(crate) fn always() -> Vec<Metric> {
    let mut metrics = delivery::metrics();
    metrics.extend(text::metrics());
    metrics.extend(format::metrics());
    metrics.extend(latency::metrics());
    metrics.extend(tokens::metrics());
    metrics
}

/// Every further metric without a parameter; those that rest on the metrics document are empty without one.
pub(crate) fn on_demand(file: Option<&MetricsFile>) -> Vec<Metric> {
    let routes: Arc<[Route]> = file.map(|file| file.routes.as_slice()).unwrap_or_default().into();
    let prices: Arc<[Price]> = file.map(|file| file.prices.as_slice()).unwrap_or_default().into();
    let currency = file.map_or("USD", |file| file.currency.as_str());
    let mut metrics = vec![
        delivery::soft_error(),
        text::structured_refusal(),
        structure::json_schema(&routes),
        structure::headings(&routes),
        cost::metric(&prices, currency),
        language::language_match(),
    ];
    metrics.extend(repetition::metrics());
    metrics.extend(tools::metrics());
    metrics.extend(tokens::speed());
    metrics.extend(citations::metrics());
    metrics.extend(session::metrics());
    metrics
}

/// A yes-or-no metric of which less is better.
pub(crate) fn fault(name: &str, value: fn(&Answer<'_>) -> Option<f64>) -> Metric {
    Metric {
        name: name.to_owned(),
        unit: "share".into(),
        better: Better::Lower,
        bounds: SHARE,
        value: ValueOf::Answer(value),
        needs_control: None,
    }
}

/// An amount without an upper bound.
pub(crate) fn amount(
    name: &str,
    unit: &'static str,
    better: Better,
    value: fn(&Answer<'_>) -> Option<f64>,
) -> Metric {
    Metric {
        name: name.to_owned(),
        unit: unit.into(),
        better,
        bounds: None,
        value: ValueOf::Answer(value),
        needs_control: None,
    }
}

/// Yes is 1, no is 0.
pub(crate) fn flag(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}
