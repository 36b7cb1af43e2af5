//! The metric definitions, one file per family.

pub(crate) mod delivery;
pub(crate) mod format;
pub(crate) mod latency;
pub(crate) mod phrases;
pub(crate) mod text;
pub(crate) mod tokens;

use weir_gate::Better;

use crate::answer::Answer;
use crate::metric::{Metric, SHARE, ValueOf};

/// Every metric that needs no parameter, in the order of the series.
pub(crate) fn always() -> Vec<Metric> {
    let mut metrics = delivery::metrics();
    metrics.extend(text::metrics());
    metrics.extend(format::metrics());
    metrics.extend(latency::metrics());
    metrics.extend(tokens::metrics());
    metrics
}

/// A yes-or-no metric of which less is better.
pub(crate) fn fault(name: &str, value: fn(&Answer<'_>) -> Option<f64>) -> Metric {
    Metric {
        name: name.to_owned(),
        unit: "share",
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
        unit,
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
