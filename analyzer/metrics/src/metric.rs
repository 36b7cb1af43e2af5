//! What a metric is, and which ones there are.
//!
//! A metric is one small definition: name, unit, better direction, bounds, value of an answer. The definitions are in
//! [`crate::family`], one file per family; judge scores are the exception, they come from their own table.

use weir_gate::{Better, MetricSeries};

use crate::answer::Answer;
use crate::error::MetricsError;
use crate::family;

/// Prefix of the metrics that are judge scores: `score:helpful`.
pub(crate) const SCORE: &str = "score:";
/// Prefix of the metrics that are distances of answers: `distance:embedding`.
pub(crate) const DISTANCE: &str = "distance:";
/// Prefix of the metrics that name fields: `json_fields:answer,order_id`.
pub(crate) const JSON_FIELDS: &str = "json_fields:";

/// Bounds of a yes-or-no metric and of a share.
pub(crate) const SHARE: Option<(f64, f64)> = Some((0.0, 1.0));

/// One metric of answers.
#[derive(Clone, Debug)]
pub(crate) struct Metric {
    pub(crate) name: String,
    /// `share` for yes-or-no metrics, else the unit's name.
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    pub(crate) bounds: Option<(f64, f64)>,
    pub(crate) value: ValueOf,
    /// Where no answer of the control has it, the metric says nothing about the candidate.
    pub(crate) needs_control: Option<NeedsControl>,
}

/// How a metric's value follows from an answer; nothing where it does not apply.
#[derive(Clone, Debug)]
pub(crate) enum ValueOf {
    /// A function of the answer.
    Answer(fn(&Answer<'_>) -> Option<f64>),
    /// Whether the text is a JSON object that has all these fields, not null.
    JsonFields(Vec<String>),
}

/// A metric that makes sense only where some answer of the control has a positive value of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NeedsControl {
    /// The metric that some control answer must have: `json_valid`.
    pub(crate) metric: &'static str,
    /// Why there is no series otherwise.
    pub(crate) otherwise: &'static str,
}

impl Metric {
    /// The metric's value of an answer; finite.
    pub(crate) fn value(&self, answer: &Answer<'_>) -> Option<f64> {
        let value = match &self.value {
            ValueOf::Answer(function) => function(answer),
            ValueOf::JsonFields(fields) => family::format::has_fields(answer, fields),
        };
        value.filter(|value| value.is_finite())
    }
}

/// The ids of all metrics that need no parameter, in the order of the series, and the patterns of the others.
#[must_use]
pub fn known_metrics() -> Vec<String> {
    let mut names: Vec<String> = family::always().into_iter().map(|metric| metric.name).collect();
    names.push(format!("{JSON_FIELDS}FIELD,..."));
    names.push(format!("{DISTANCE}embedding"));
    names.push(format!("{SCORE}CRITERION"));
    names.push(format!("{SCORE}*"));
    names
}

/// The series of a metric without any value: its unit, direction and bounds. Scores are taken as bounded by 0 and 1;
/// nothing where there is no such metric.
#[must_use]
pub fn blank_series(id: &str) -> Option<MetricSeries> {
    let id = weir_gate::base_metric(id);
    let series = |unit: &str, better, bounds| MetricSeries {
        name: id.to_owned(),
        unit: unit.to_owned(),
        better,
        bounds,
        ..MetricSeries::default()
    };
    if id.strip_prefix(SCORE).is_some_and(|criterion| !criterion.is_empty() && criterion != "*") {
        return Some(series("score", Better::Higher, SHARE));
    }
    let metrics = registry(&[id.to_owned()]).ok()?;
    metrics
        .into_iter()
        .find(|metric| metric.name == id)
        .map(|metric| series(metric.unit, metric.better, metric.bounds))
}

/// Whether a gate may name `id`.
#[must_use]
pub fn metric_exists(id: &str) -> bool {
    registry(&[id.to_owned()]).is_ok()
}

/// The metrics to compute: those that need no parameter, and what `wanted` adds.
pub(crate) fn registry(wanted: &[String]) -> Result<Vec<Metric>, MetricsError> {
    let mut metrics = family::always();
    for id in wanted.iter().map(|id| weir_gate::base_metric(id)) {
        if metrics.iter().any(|metric| metric.name == *id) {
            continue;
        }
        if let Some(fields) = id.strip_prefix(JSON_FIELDS).and_then(fields) {
            metrics.push(family::format::json_fields(id, fields));
        } else if [SCORE, DISTANCE].iter().all(|prefix| id.strip_prefix(prefix).is_none_or(str::is_empty)) {
            return Err(unknown(id));
        }
    }
    Ok(metrics)
}

/// `answer,order_id` as names; nothing where one is empty.
fn fields(list: &str) -> Option<Vec<String>> {
    let fields: Vec<String> = list.split(',').map(|field| field.trim().to_owned()).collect();
    (!fields.iter().any(String::is_empty)).then_some(fields)
}

fn unknown(id: &str) -> MetricsError {
    let folded = id.to_lowercase().replace('-', "_");
    let near = family::always()
        .into_iter()
        .map(|metric| metric.name)
        .find(|name| folded.contains(name.as_str()) || name.contains(&folded) && folded.len() > 3);
    MetricsError::UnknownMetric {
        name: id.to_owned(),
        known: known_metrics(),
        hint: near.map(|name| format!("did you mean {name}?")),
    }
}
