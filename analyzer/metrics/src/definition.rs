//! The metrics document: what answers have to look like, what tokens cost, and metrics of the operator's own.
//!
//! Limits: 100 entries of each kind. Everything that can be known without data is checked here: JSON Schemas are looked through,
//! expressions read against the columns of the sample record.

use serde_json::Value;
use weir_document::{
    Allowed, Collector, Items, Name, Path, Problems, Refusal, choice, conform, document, names_differ,
};
use weir_gate::Better;

use crate::expression::Expression;

/// Most entries of a kind.
const ENTRIES_MAX: usize = 100;

choice! {
    /// Which way a metric of the operator's own should move.
    pub enum BetterWay {
        /// More is better.
        Higher = "higher",
        /// Less is better.
        Lower = "lower",
        /// A change either way is a divergence.
        Neither = "neither",
    }
}

document! {
    /// What answers are measured by beside the built-in metrics.
    pub struct MetricsFile kind "Metrics" {
        /// Metrics that are computed although no gate names them.
        pub compute: Vec<String> = Vec::new() => Items(0..=ENTRIES_MAX),
        /// What answers have to look like, by route; the first that matches counts.
        pub routes: Vec<Route> = Vec::new() => Items(0..=ENTRIES_MAX),
        /// What tokens cost, by model; the first that matches counts.
        pub prices: Vec<Price> = Vec::new() => Items(0..=ENTRIES_MAX),
        /// Unit of the prices.
        pub currency: String = "USD".to_owned() => Short,
        /// Metrics of your own; a gate names them `own:NAME`.
        pub metrics: Vec<OwnMetric> = Vec::new() => Items(0..=ENTRIES_MAX),
    }
    check metrics_differ(metrics);
}

document! {
    /// What answers of a route have to look like.
    pub struct Route {
        /// The path begins with this; without it every path matches.
        pub path_prefix: Option<String>,
        /// JSON Schema that the whole answer has to keep: the metric `json_schema`.
        pub json_schema: Option<Schema>,
        /// Lines that have to be there as Markdown headings, whatever their level: the metric `headings`.
        pub headings: Vec<String> = Vec::new() => Items(0..=ENTRIES_MAX),
    }
}

document! {
    /// What a model's tokens cost.
    pub struct Price {
        /// The model's name begins with this; without it every model matches.
        pub model: Option<String>,
        /// A million tokens of requests.
        pub input_per_million: f64 => 0.0..=1_000_000.0,
        /// A million tokens of requests that came from the provider's cache; as others where it is left away.
        pub cached_input_per_million: Option<f64> => 0.0..=1_000_000.0,
        /// A million tokens of answers.
        pub output_per_million: f64 => 0.0..=1_000_000.0,
    }
}

document! {
    /// A metric of the operator's own.
    pub struct OwnMetric {
        /// A gate names it `own:NAME`.
        pub name: String => Name,
        /// For people: `ms`, `characters`; a yes or no has none.
        pub unit: Option<String> => Short,
        /// Which way is better.
        pub better: BetterWay,
        /// Its value for a leg: `completion_tokens / (latency_ms / 1000)`, `latency_ms > 2000 and not streamed`.
        pub value: String => OfColumns,
        /// Least value that it can have; together with `maximum` this gives sharper intervals.
        pub minimum: Option<f64>,
        /// Greatest value that it can have.
        pub maximum: Option<f64>,
    }
    check bounds_fit(minimum, maximum);
}

impl MetricsFile {
    /// Reads a metrics document; `name` is what problems call it, usually the file.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its path.
    pub fn parse(name: &str, text: &str) -> Result<Self, Problems> {
        let file: Self = weir_document::read(name, text)?;
        let mut problems = Collector::new();
        let root = Path::Root;
        let others = Self { compute: Vec::new(), ..file.clone() };
        for (index, id) in file.compute.iter().enumerate() {
            if let Err(error) = crate::metric::registry(std::slice::from_ref(id), Some(&others)) {
                let text = error.to_string();
                let known = crate::metric::known_metrics().join(", ");
                let hint = text.split_once("hint: ").map(|(_, hint)| hint.to_owned());
                let report = problems
                    .report(&root.key("compute").index(index), "is not a metric")
                    .text_value(id)
                    .allowed(known);
                if let Some(hint) = hint {
                    report.hint(hint);
                }
            }
        }
        if problems.is_empty() { Ok(file) } else { Err(problems.into_problems(name)) }
    }

    /// JSON Schema of the document.
    #[must_use]
    pub fn json_schema() -> Value {
        weir_document::json_schema::<Self>()
    }
}

impl Route {
    pub(crate) fn matches(&self, path: Option<&str>) -> bool {
        self.path_prefix.as_deref().is_none_or(|prefix| path.is_some_and(|path| path.starts_with(prefix)))
    }
}

impl Price {
    pub(crate) fn matches(&self, model: Option<&str>) -> bool {
        self.model.as_deref().is_none_or(|prefix| model.is_some_and(|model| model.starts_with(prefix)))
    }
}

impl From<BetterWay> for Better {
    fn from(way: BetterWay) -> Self {
        match way {
            BetterWay::Higher => Self::Higher,
            BetterWay::Lower => Self::Lower,
            BetterWay::Neither => Self::Neither,
        }
    }
}

/// A JSON Schema of which every keyword is checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema(Value);

impl Schema {
    /// Whether a value conforms.
    #[must_use]
    pub fn keeps(&self, value: &Value) -> bool {
        conform::conforms(&self.0, value)
    }
}

impl serde::Serialize for Schema {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl schemars::JsonSchema for Schema {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AnySchema".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["object", "boolean"], "description": "a JSON Schema" })
    }
}

impl weir_document::Decode for Schema {
    fn decode(node: &Value, at: &Path<'_>, problems: &mut Collector) -> Option<Self> {
        let found = conform::problems(node);
        for (place, what) in &found {
            let (what, allowed) = what.split_once("; allowed: ").unwrap_or((what, ""));
            let place = if place.is_empty() { String::new() } else { format!("{place} ") };
            let report = problems.report(at, format!("as a JSON Schema: {place}{what}"));
            if !allowed.is_empty() {
                report.allowed(allowed);
            }
        }
        found.is_empty().then(|| Self(node.clone()))
    }
}

/// A unit or a currency.
struct Short;

impl Allowed<String> for Short {
    fn check(&self, value: &String) -> Result<(), Refusal> {
        if (1..=16).contains(&value.chars().count()) && !value.chars().any(char::is_control) {
            return Ok(());
        }
        Err(Refusal::new("is not a unit", "1 to 16 characters"))
    }

    fn describe(&self, schema: &mut schemars::Schema) {
        schema.insert("minLength".to_owned(), Value::from(1));
        schema.insert("maxLength".to_owned(), Value::from(16));
    }
}

/// An expression over the columns of a leg.
struct OfColumns;

impl Allowed<String> for OfColumns {
    fn check(&self, value: &String) -> Result<(), Refusal> {
        Expression::parse(value).map(|_| ()).map_err(|error| {
            let (what, allowed) = error.split_once("; allowed: ").unwrap_or((
                &error,
                "columns, numbers, 'text', or and not, = != < <= > >= + - * /, length() contains() known()",
            ));
            Refusal::new(what.to_owned(), allowed.to_owned())
        })
    }

    fn describe(&self, schema: &mut schemars::Schema) {
        schema.insert("maxLength".to_owned(), Value::from(crate::expression::TEXT_BYTES_MAX));
    }
}

fn metrics_differ(metrics: &[OwnMetric], at: &Path<'_>, problems: &mut Collector) {
    names_differ(metrics.iter().map(|metric| metric.name.as_str()), &at.key("metrics"), problems);
}

fn bounds_fit(minimum: &Option<f64>, maximum: &Option<f64>, at: &Path<'_>, problems: &mut Collector) {
    match (minimum, maximum) {
        (Some(minimum), Some(maximum)) if minimum >= maximum => {
            problems.report(&at.key("maximum"), format!("is {maximum}, not above minimum {minimum}"));
        }
        (Some(_), None) | (None, Some(_)) => {
            problems.report(at, "has one of minimum and maximum").hint("give both, or neither");
        }
        _ => {}
    }
}
