//! What the built-in pack asks of the data.

use weir_gate::MetricSeries;
use weir_metrics::{MetricsFile, check_metrics};

/// The metrics of the built-in pack that a metrics document makes possible: cost where it has prices, JSON Schema and headings where
/// its routes have them. What costs time without one (citations, retries) is computed where the document's `compute` says so.
#[must_use]
pub fn pack_metrics(definitions: Option<&MetricsFile>) -> Vec<String> {
    let possible = |id: &String| {
        let id = std::slice::from_ref(id);
        check_metrics(id, None).is_err() && check_metrics(id, definitions).is_ok()
    };
    weir_gate::pack_metrics().map(str::to_owned).filter(possible).collect()
}

/// What of the built-in pack has no values, for the report; nothing where all of it has.
pub(crate) fn unmeasured(series: &[MetricSeries]) -> Option<(String, String)> {
    let missing = weir_gate::unmeasured(series);
    (!missing.is_empty())
        .then(|| ("built-in gates".to_owned(), format!("no values for {}", missing.join(", "))))
}
