//! The rubric: what a judge looks at, and on which scale.

use serde_json::{Map, Value, json};
use weir_document::{Collector, Items, Name, Path, Problems, names_differ};

/// Where a judge says why.
pub(crate) const REASON: &str = "reason";

weir_document::document! {
    /// What a score means.
    pub struct Anchor {
        /// The score.
        pub score: i64,
        /// An answer that gets it.
        pub text: String,
    }
}

weir_document::document! {
    /// One thing to look at.
    pub struct Criterion {
        /// Unique name; the metric is `score:NAME`.
        pub name: String => Name,
        /// What a good answer is.
        pub description: String,
        /// What single scores mean.
        pub anchors: Vec<Anchor> = Vec::new() => Items(0..=11),
    }
}

weir_document::document! {
    /// Least and greatest score.
    pub struct Scale {
        /// The worst score.
        pub minimum: i64 = 1 => 0..=1,
        /// The best score.
        pub maximum: i64 = 5 => 2..=100,
    }
}

weir_document::document! {
    /// What a judge looks at, and on which scale.
    pub struct Rubric kind "Rubric" {
        /// Its name.
        pub name: String => Name,
        /// What the assistant is for, and what the judge should go by.
        pub instructions: String,
        /// Least and greatest score.
        pub scale: Scale,
        /// The criteria, up to five: more than that and a judge mixes them up.
        pub criteria: Vec<Criterion> => Items(1..=5),
    }
    check sound(scale, criteria);
}

/// What a criterion is called where pairs are judged.
pub(crate) fn pairwise_name(criterion: &str) -> String {
    format!("{criterion}-pairwise")
}

impl Rubric {
    /// Reads a rubric; `name` is what problems call it, usually the file.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its path.
    pub fn parse(name: &str, text: &str) -> Result<Self, Problems> {
        weir_document::read(name, text)
    }

    /// Sixteen hex digits that change when anything that a judge sees changes.
    #[must_use]
    pub fn digest(&self) -> String {
        let text = serde_json::to_value(self).map(weir_document::canonical).unwrap_or_default().to_string();
        format!("{:016x}", xxhash_rust::xxh3::xxh3_64(text.as_bytes()))
    }

    /// The same criteria by the names that they have where pairs are judged.
    #[must_use]
    pub fn of_pairs(&self) -> Self {
        let mut rubric = self.clone();
        for criterion in &mut rubric.criteria {
            criterion.name = pairwise_name(&criterion.name);
        }
        rubric
    }

    /// A raw score as a share of the scale.
    #[must_use]
    pub fn share(&self, score: f64) -> f64 {
        (score - self.scale.minimum as f64) / (self.scale.maximum - self.scale.minimum) as f64
    }

    /// Whether a judge gives a reason: not where a criterion has that name.
    #[must_use]
    pub fn asks_why(&self) -> bool {
        self.criteria.iter().all(|criterion| criterion.name != REASON)
    }

    /// The JSON Schema of a judgement: every criterion with a value of `of`, a reason, and nothing else.
    #[must_use]
    pub fn judgement_schema(&self, of: &Value) -> Value {
        let mut properties: Map<String, Value> =
            self.criteria.iter().map(|criterion| (criterion.name.clone(), of.clone())).collect();
        let mut required: Vec<&str> = self.criteria.iter().map(|criterion| criterion.name.as_str()).collect();
        if self.asks_why() {
            properties.insert(REASON.to_owned(), json!({"type": "string"}));
            required.push(REASON);
        }
        json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        })
    }
}

fn sound(scale: &Scale, criteria: &[Criterion], at: &Path<'_>, problems: &mut Collector) {
    let list = at.key("criteria");
    names_differ(criteria.iter().map(|criterion| criterion.name.as_str()), &list, problems);
    for (index, criterion) in criteria.iter().enumerate() {
        let here = list.index(index);
        for (place, anchor) in criterion.anchors.iter().enumerate() {
            if !(scale.minimum..=scale.maximum).contains(&anchor.score) {
                problems
                    .report(&here.key("anchors").index(place).key("score"), "is not on the scale")
                    .allowed(format!("{} to {}", scale.minimum, scale.maximum));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    const EXAMPLE: &str = include_str!("../../../examples/rubrics/support.yaml");

    #[test]
    fn the_example_reads_and_scores_become_shares() {
        let rubric = Rubric::parse("support.yaml", EXAMPLE).unwrap();
        assert_eq!(rubric.criteria.len(), 3);
        assert_eq!((rubric.share(1.0), rubric.share(3.0), rubric.share(5.0)), (0.0, 0.5, 1.0));
        assert_ne!(rubric.digest(), Rubric::parse("x", &EXAMPLE.replace("calm", "warm")).unwrap().digest());
    }

    #[test]
    fn no_criteria_six_criteria_and_anchors_off_the_scale_are_refused_at_once() {
        let head = "apiVersion: weir/v1\nkind: Rubric\nname: r\ninstructions: i\n";
        let error = Rubric::parse("r", &format!("{head}criteria: []\n")).unwrap_err().to_string();
        assert_eq!(error, "error: r: criteria: [] is empty; allowed: 1 to 5 items");
        let six: String = (0..6).map(|at| format!("  - {{name: c{at}, description: d}}\n")).collect();
        let error = Rubric::parse("r", &format!("{head}criteria:\n{six}")).unwrap_err().to_string();
        assert_eq!(error, "error: r: criteria: [...] has 6 items; allowed: 1 to 5 items");
        let bad = "criteria:\n  - {name: a, description: d, anchors: [{score: 9, text: t}]}\n  - {name: a, description: d}\n";
        let error = Rubric::parse("r", &format!("{head}{bad}")).unwrap_err().to_string();
        assert!(
            error.contains("criteria[0].anchors[0].score: is not on the scale; allowed: 1 to 5"),
            "{error}"
        );
        assert!(error.contains("criteria[1].name: \"a\" is used twice"), "{error}");
    }
}
