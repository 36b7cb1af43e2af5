//! The gates document: which metrics count, how far each may move, and how much a breach weighs.
//!
//! Limits: 1 to 200 gates. Everything that can be known without data is checked here, so that `weir validate` and
//! `weir watch` cannot disagree.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use weir_document::{Allowed, Collector, Decode, Items, Path, Problems, Refusal};

use crate::labels::Segment;
use crate::names;

/// Most gates in a document.
const GATES_MAX: usize = 200;

weir_document::choice! {
    /// How much a gate counts.
    pub enum Severity {
        /// Shown, never decides.
        Advisory = "advisory",
        /// Two breaches roll back, one is investigated.
        Major = "major",
        /// One breach rolls back.
        Critical = "critical",
    }
}

weir_document::choice! {
    /// Which way a gate's metric should move.
    pub enum Direction {
        /// Higher is better: a fall past the margin is a breach.
        Higher = "higher",
        /// Lower is better: a rise past the margin is a breach.
        Lower = "lower",
        /// A change past the margin either way is a divergence.
        Both = "both",
    }
}

weir_document::document! {
    /// One gate: a metric, a direction, a margin and a severity.
    pub struct Gate {
        /// Unique name.
        pub name: String => Name,
        /// Metric id such as `json_valid`, `latency_ms:p95`, `json_fields:answer,order_id` or `score:helpful`; `score:*` is every score column that is there.
        pub metric: String => Metric,
        /// Which way is better; without it the metric's own way.
        pub direction: Option<Direction>,
        /// Largest change that is accepted.
        pub margin: Margin,
        /// How much a breach weighs.
        pub severity: Severity = Severity::Major,
        /// Only the part of the traffic with these labels: `{tier: internal}`; dimensions are `tier`, `cohort`, `autonomy`, `route`, `language`, `cluster` and `tag:NAME`. Without it the whole traffic, and each of its segments besides.
        pub segment: Option<Segment> => Labelled,
        /// Pairs (or samples per variant) below which the gate is never inside its margin.
        pub minimum_evidence: u64 = 50 => 1..=1_000_000_000,
    }
    check bound_has_side(margin, direction);
}

weir_document::document! {
    /// The gates of an experiment.
    pub struct Gates kind "Gates" {
        /// Chance of a rollback without cause, and of a promotion past a margin, over all gates and all looks.
        pub alpha: f64 = 0.05 => 0.000_001..=0.5,
        /// The gates.
        pub gates: Vec<Gate> => Items(1..=GATES_MAX),
    }
    check names_differ(gates);
}

/// Largest change that is accepted: exactly one of `absolute`, `relative` and `ofScale` in a document.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Margin {
    /// In the metric's unit.
    Absolute(f64),
    /// As a share of control's mean.
    Relative(f64),
    /// As a share of the metric's scale: its bounds, 0 to 1 where none are declared.
    OfScale(f64),
    /// No change at all: the candidate's own level may not be past this one, in the metric's unit, whatever control's is.
    Bound(f64),
}

weir_document::document! {
    /// Largest change that is accepted; exactly one of the fields.
    struct MarginFields {
        /// In the metric's unit, for shares and scores between 0 and 1.
        pub absolute: Option<f64> => 0.000_000_001..=1_000_000_000.0,
        /// As a share of control's mean: 0.25 is 25 percent.
        pub relative: Option<f64> => 0.000_001..=100.0,
        /// As a share of the metric's scale, which is 0 to 1 where the metric declares none.
        pub of_scale: Option<f64> => 0.000_001..=1.0,
        /// A fixed bound of the candidate's own level, in the metric's unit: at least this with `direction: higher`, at most this with `direction: lower`.
        pub bound: Option<f64> => -1_000_000_000.0..=1_000_000_000.0,
    }
    check one_margin(absolute, relative, of_scale, bound);
}

impl Gates {
    /// Reads a gates document; `name` is what problems call it, usually the file.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its path.
    pub fn parse(name: &str, text: &str) -> Result<Self, Problems> {
        weir_document::read(name, text)
    }

    /// JSON Schema of the document.
    #[must_use]
    pub fn json_schema() -> Value {
        weir_document::json_schema::<Self>()
    }

    /// The document as JSON with defaults filled in and keys sorted; reads back as the same gates.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Only a map with keys that are not text could fail; there is none.
        serde_json::to_value(self).map(weir_document::canonical).unwrap_or_default().to_string()
    }

    /// Sixteen hex digits that change when anything that decides changes.
    #[must_use]
    pub fn digest(&self) -> String {
        format!("{:016x}", xxhash_rust::xxh3::xxh3_64(self.to_json().as_bytes()))
    }
}

impl Margin {
    fn fields(self) -> MarginFields {
        let blank = MarginFields { absolute: None, relative: None, of_scale: None, bound: None };
        match self {
            Self::Absolute(size) => MarginFields { absolute: Some(size), ..blank },
            Self::Relative(size) => MarginFields { relative: Some(size), ..blank },
            Self::OfScale(size) => MarginFields { of_scale: Some(size), ..blank },
            Self::Bound(level) => MarginFields { bound: Some(level), ..blank },
        }
    }
}

impl Decode for Margin {
    fn decode(node: &Value, at: &Path<'_>, problems: &mut Collector) -> Option<Self> {
        if let Some(size) = node.as_f64() {
            problems
                .report(at, "is a bare number")
                .value(node)
                .hint(format!("write {{absolute: {size}}} or {{relative: {size}}}"));
            return None;
        }
        let fields = MarginFields::decode(node, at, problems)?;
        let absolute = fields.absolute.map(Self::Absolute);
        let of_control = absolute.or(fields.relative.map(Self::Relative));
        of_control.or(fields.of_scale.map(Self::OfScale)).or(fields.bound.map(Self::Bound))
    }
}

impl Serialize for Margin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.fields().serialize(serializer)
    }
}

impl JsonSchema for Margin {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Margin".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = MarginFields::json_schema(generator);
        schema.insert("minProperties".to_owned(), Value::from(1));
        schema.insert("maxProperties".to_owned(), Value::from(1));
        schema
    }
}

impl<'de> Deserialize<'de> for Severity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        let known = Self::ALL.iter().find(|severity| severity.as_str() == word);
        known.copied().ok_or_else(|| serde::de::Error::custom(format!("{word:?} is not a severity")))
    }
}

/// Names that can stand in a report's table and in a file name.
struct Name;

impl Allowed<String> for Name {
    fn check(&self, value: &String) -> Result<(), Refusal> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        if (1..=63).contains(&value.len()) && value.bytes().all(fits) {
            return Ok(());
        }
        Err(Refusal::new("is not a gate name", "1 to 63 of a to z, 0 to 9, - _ ."))
    }

    fn describe(&self, schema: &mut Schema) {
        schema.insert("pattern".to_owned(), Value::from("^[a-z0-9._-]{1,63}$"));
    }
}

/// Metrics that exist.
struct Metric;

impl Allowed<String> for Metric {
    fn check(&self, value: &String) -> Result<(), Refusal> {
        if names::is_metric(value) {
            return Ok(());
        }
        let refusal = Refusal::new("is not a metric", names::list());
        Err(match weir_document::closest(value, names::METRICS.iter().copied()) {
            Some(similar) => refusal.hint(format!("did you mean `{similar}`?")),
            None => refusal,
        })
    }

    fn describe(&self, schema: &mut Schema) {
        let alternatives = [
            names::METRICS.join("|"),
            format!("({}):p[0-9.]+", names::WITH_PERCENTILES.join("|")),
            names::FAMILIES.map(|family| format!("{family}:.+")).join("|"),
        ];
        schema.insert("pattern".to_owned(), Value::from(format!("^({})$", alternatives.join("|"))));
    }
}

/// Labels that samples can have.
struct Labelled;

/// Dimensions of segments besides tags.
const DIMENSIONS: [&str; 6] = ["autonomy", "cluster", "cohort", "language", "route", "tier"];

impl Allowed<Segment> for Labelled {
    fn check(&self, value: &Segment) -> Result<(), Refusal> {
        let allowed = format!("1 to 4 of {}, tag:NAME, each with a value", DIMENSIONS.join(", "));
        if !(1..=4).contains(&value.len()) {
            return Err(Refusal::new("is no segment", allowed));
        }
        for (dimension, label) in value {
            let tag = dimension.strip_prefix("tag:").is_some_and(|name| !name.is_empty());
            if !tag && !DIMENSIONS.contains(&dimension.as_str()) {
                let refusal = Refusal::new(format!("has the unknown dimension {dimension:?}"), allowed);
                return Err(match weir_document::closest(dimension, DIMENSIONS) {
                    Some(similar) => refusal.hint(format!("did you mean `{similar}`?")),
                    None => refusal.hint(format!("a tag is `tag:{dimension}`")),
                });
            }
            if label.is_empty() {
                return Err(Refusal::new(format!("has no value for {dimension}"), allowed));
            }
        }
        Ok(())
    }

    fn describe(&self, schema: &mut Schema) {
        schema.insert("minProperties".to_owned(), Value::from(1));
        schema.insert("maxProperties".to_owned(), Value::from(4));
        let names = format!("^({}|tag:.+)$", DIMENSIONS.join("|"));
        schema.insert("propertyNames".to_owned(), serde_json::json!({ "pattern": names }));
    }
}

fn bound_has_side(margin: &Margin, direction: &Option<Direction>, at: &Path<'_>, problems: &mut Collector) {
    let one_side = matches!(direction, Some(Direction::Higher | Direction::Lower));
    if matches!(margin, Margin::Bound(_)) && !one_side {
        problems
            .report(&at.key("direction"), "is needed with a bound")
            .allowed("higher (at least the bound), lower (at most the bound)");
    }
}

fn names_differ(gates: &[Gate], at: &Path<'_>, problems: &mut Collector) {
    for (index, gate) in gates.iter().enumerate() {
        if gates.iter().take(index).any(|earlier| earlier.name == gate.name) {
            problems
                .report(&at.key("gates").index(index).key("name"), "is used twice")
                .text_value(&gate.name);
        }
    }
}

fn one_margin(
    absolute: &Option<f64>,
    relative: &Option<f64>,
    of_scale: &Option<f64>,
    bound: &Option<f64>,
    at: &Path<'_>,
    problems: &mut Collector,
) {
    let given = [absolute, relative, of_scale, bound].iter().filter(|size| size.is_some()).count();
    if given != 1 {
        let message = if given == 0 { "has no size" } else { "has more than one size" };
        problems.report(at, message).allowed("one of absolute, relative, ofScale, bound");
    }
}
