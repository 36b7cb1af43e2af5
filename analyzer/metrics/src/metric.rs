//! What a metric is, and which ones there are.
//!
//! A metric is one small definition: name, unit, better direction, bounds, value of an answer. The definitions are in
//! [`crate::family`], one file per family; judge scores are the exception, they come from their own table. Some metrics are
//! always computed; the others, which cost time or memory or need a parameter, where a gate or the metrics document names them.

use std::borrow::Cow;
use std::sync::Arc;

use weir_gate::{Better, MetricSeries, SCORE_PREFIX};
use whatlang::Lang;

use crate::answer::Answer;
use crate::definition::{MetricsFile, Price, Route};
use crate::error::MetricsError;
use crate::expression::{self, Expression, Kind};
use crate::family;

/// Prefix of the metrics that are distances of answers: `distance:embedding`.
pub(crate) const DISTANCE: &str = "distance:";
/// Prefix of the metrics that name fields: `json_fields:answer,order_id`.
pub(crate) const JSON_FIELDS: &str = "json_fields:";

/// Prefix of the metrics that are a column of the sample record: `column:chunks`.
pub(crate) const COLUMN: &str = "column:";
/// Prefix of the metrics that the metrics document defines: `own:slow`.
pub(crate) const OWN: &str = "own:";

/// Bounds of a yes-or-no metric and of a share.
pub(crate) const SHARE: Option<(f64, f64)> = Some((0.0, 1.0));

/// One metric of answers.
#[derive(Clone, Debug)]
pub(crate) struct Metric {
    pub(crate) name: String,
    /// `share` for yes-or-no metrics, else the unit's name.
    pub(crate) unit: Cow<'static, str>,
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
    /// Whether the answer keeps the JSON Schema of its route.
    JsonSchema(Arc<[Route]>),
    /// How many of its route's headings the answer has.
    Headings(Arc<[Route]>),
    /// What the tokens cost.
    Cost(Arc<[Price]>),
    /// Whether the answer is in this language.
    Language(Lang),
    /// Whether the answer ended for this reason.
    Finish(String),
    /// A tag: its number, or whether it has this value.
    Tag(String, Option<String>),
    /// An expression over the columns, computed with the scan.
    Own(Expression),
    /// What takes more than the answer.
    Assembled(Assembled),
}

/// Metrics that need other legs of the exchange or of the session; computed when all legs are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Assembled {
    CitationValid,
    LanguageMatch,
    Retry,
    Reprompt,
    Abandonment,
    ConversationLength,
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
    /// What the scan computes for this metric, with its name.
    pub(crate) fn expression(&self) -> Option<(&str, &Expression)> {
        match &self.value {
            ValueOf::Own(expression) => Some((&self.name, expression)),
            _ => None,
        }
    }

    /// The metric's value of an answer; finite.
    pub(crate) fn value(&self, answer: &Answer<'_>) -> Option<f64> {
        let value = match &self.value {
            ValueOf::Answer(function) => function(answer),
            ValueOf::JsonFields(fields) => family::format::has_fields(answer, fields),
            ValueOf::JsonSchema(routes) => family::structure::keeps_schema(answer, routes),
            ValueOf::Headings(routes) => family::structure::has_headings(answer, routes),
            ValueOf::Cost(prices) => family::cost::of(answer, prices),
            ValueOf::Language(wanted) => family::language::is(answer, *wanted),
            ValueOf::Finish(reason) => family::labels::finished(answer, reason),
            ValueOf::Tag(name, value) => family::labels::tag(answer, name, value.as_deref()),
            ValueOf::Own(_) => answer.own.get(self.name.as_str()).copied(),
            ValueOf::Assembled(_) => None,
        };
        value.filter(|value| value.is_finite())
    }
}

/// Prefixes of the metrics with a parameter, and what stands for it in messages.
const PATTERNS: [(&str, &str); 8] = [
    (JSON_FIELDS, "FIELD,..."),
    (family::language::LANGUAGE, "CODE"),
    (family::labels::FINISH, "REASON"),
    (family::labels::TAG, "NAME or tag:NAME=VALUE"),
    (COLUMN, "NAME"),
    (OWN, "NAME"),
    (DISTANCE, "embedding"),
    (SCORE_PREFIX, "CRITERION or score:*"),
];

/// The ids of all metrics that need no parameter, in the order of the series, and the patterns of the others.
#[must_use]
pub fn known_metrics() -> Vec<String> {
    let plain = family::always().into_iter().chain(family::on_demand(None));
    let mut names: Vec<String> = plain.map(|metric| metric.name).collect();
    names.extend(PATTERNS.iter().map(|(prefix, parameter)| format!("{prefix}{parameter}")));
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
    if id.strip_prefix(SCORE_PREFIX).is_some_and(|criterion| !criterion.is_empty() && criterion != "*") {
        return Some(series("score", Better::Higher, SHARE));
    }
    // What a document would define has its unit and direction all the same.
    let metrics = registry(&[id.to_owned()], None).unwrap_or_else(|_| family::on_demand(None));
    metrics
        .into_iter()
        .find(|metric| metric.name == id)
        .map(|metric| series(&metric.unit, metric.better, metric.bounds))
}

/// Whether a gate may name `id`. Whether a metrics document defines it is another question.
#[must_use]
pub fn metric_exists(id: &str) -> bool {
    let own = id.strip_prefix(OWN).is_some_and(|name| !name.is_empty());
    let of_document = family::on_demand(None).iter().any(|metric| metric.name == weir_gate::base_metric(id));
    own || of_document || registry(&[id.to_owned()], None).is_ok()
}

/// Whether all of `ids` can be computed with a metrics document, or without one.
///
/// # Errors
/// The first metric that does not exist, or that the document does not define.
pub fn check_metrics(ids: &[String], definitions: Option<&MetricsFile>) -> Result<(), MetricsError> {
    registry(ids, definitions).map(|_| ())
}

/// The metrics to compute: those that are always computed, and what `wanted` and the document's `compute` add.
pub(crate) fn registry(wanted: &[String], file: Option<&MetricsFile>) -> Result<Vec<Metric>, MetricsError> {
    let mut metrics = family::always();
    let compute = file.map(|file| file.compute.as_slice()).unwrap_or_default();
    for id in wanted.iter().chain(compute).map(|id| weir_gate::base_metric(id)) {
        if metrics.iter().any(|metric| metric.name == *id) {
            continue;
        }
        if let Some(metric) = family::on_demand(file).into_iter().find(|metric| metric.name == id) {
            if let Some(part) = missing_part(&metric, file) {
                return Err(MetricsError::Undefined { name: id.to_owned(), part });
            }
            metrics.push(metric);
        } else if let Some(metric) = with_parameter(id, file)? {
            metrics.push(metric);
        } else if [SCORE_PREFIX, DISTANCE]
            .iter()
            .all(|prefix| id.strip_prefix(prefix).is_none_or(str::is_empty))
        {
            return Err(unknown(id));
        }
    }
    Ok(metrics)
}

/// A metric with a parameter; nothing where the id is of another form.
fn with_parameter(id: &str, file: Option<&MetricsFile>) -> Result<Option<Metric>, MetricsError> {
    if let Some(fields) = id.strip_prefix(JSON_FIELDS).and_then(fields) {
        return Ok(Some(family::format::json_fields(id, fields)));
    }
    if let Some(language) = id.strip_prefix(family::language::LANGUAGE).and_then(family::language::of_code) {
        return Ok(Some(family::language::language(id, language)));
    }
    if let Some(label) = family::labels::of(id) {
        return Ok(Some(label));
    }
    if let Some((name, kind)) =
        id.strip_prefix(COLUMN).and_then(expression::column).filter(|(_, kind)| *kind != Kind::Text)
    {
        let expression = Expression::of_column(name, kind);
        let bounds = if expression.flag { SHARE } else { None };
        let unit = if expression.flag { "share" } else { "" };
        return Ok(Some(own(id, unit.into(), Better::Neither, bounds, expression)));
    }
    let Some(name) = id.strip_prefix(OWN).filter(|name| !name.is_empty()) else { return Ok(None) };
    let defined = file.and_then(|file| file.metrics.iter().find(|metric| metric.name == name));
    let Some(metric) = defined else {
        return Err(MetricsError::Undefined { name: id.to_owned(), part: "metrics" });
    };
    // The document was checked when it was read.
    let Ok(expression) = Expression::parse(&metric.value) else { return Ok(None) };
    let declared = metric.minimum.zip(metric.maximum);
    let bounds = if expression.flag { SHARE } else { declared };
    let unit = match (&metric.unit, expression.flag) {
        (Some(unit), _) => Cow::Owned(unit.clone()),
        (None, flag) => Cow::Borrowed(if flag { "share" } else { "" }),
    };
    Ok(Some(own(id, unit, metric.better.into(), bounds, expression)))
}

fn own(
    id: &str,
    unit: Cow<'static, str>,
    better: Better,
    bounds: Option<(f64, f64)>,
    expression: Expression,
) -> Metric {
    Metric { name: id.to_owned(), unit, better, bounds, value: ValueOf::Own(expression), needs_control: None }
}

/// The part of the metrics document that a metric rests on and that is not there.
fn missing_part(metric: &Metric, file: Option<&MetricsFile>) -> Option<&'static str> {
    let empty = |part: Option<bool>| part.unwrap_or(true);
    match &metric.value {
        ValueOf::Cost(_) => empty(file.map(|file| file.prices.is_empty())).then_some("prices"),
        ValueOf::JsonSchema(_) => {
            let none = |file: &MetricsFile| file.routes.iter().all(|route| route.json_schema.is_none());
            empty(file.map(none)).then_some("routes with a jsonSchema")
        }
        ValueOf::Headings(_) => {
            let none = |file: &MetricsFile| file.routes.iter().all(|route| route.headings.is_empty());
            empty(file.map(none)).then_some("routes with headings")
        }
        _ => None,
    }
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
        .chain(family::on_demand(None))
        .map(|metric| metric.name)
        .find(|name| folded.contains(name.as_str()) || name.contains(&folded) && folded.len() > 3);
    MetricsError::UnknownMetric {
        name: id.to_owned(),
        known: known_metrics(),
        hint: near.map(|name| format!("did you mean {name}?")),
    }
}
