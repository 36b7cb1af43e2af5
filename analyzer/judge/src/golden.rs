//! Golden sets: prompts with what an answer must be, as JSON lines.
//!
//! A line is `{"id", "prompt", "expect": [...], "tags": [...], "origin"}`; an expectation is one of `{"exact": text}`,
//! `{"contains": text}`, `{"pattern": regular expression}`, `{"json_schema": schema}`, `{"similar_to": text, "at_least":
//! cosine}` and `{"judge": criterion, "at_least": 0 to 1}`. Of JSON Schema what [`weir_document::conform`] checks; any other keyword
//! is an error, not passed over.
//! Limits: [`CASES_MAX`] cases. Patterns run in linear time.

use std::collections::BTreeSet;
use std::path::Path;

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;
use weir_document::conform;

/// Cases of a set.
pub const CASES_MAX: usize = 10_000;

/// A set that cannot be read.
#[derive(Debug, Error)]
#[error("{path}: {}\n  hint: each line is {{\"id\": ..., \"prompt\": ..., \"expect\": [{{\"contains\": ...}}]}}; examples are in examples/golden", problems.join("\n  "))]
pub struct GoldenError {
    /// The file.
    pub path: String,
    /// Everything that is wrong.
    pub problems: Vec<String>,
}

/// What an answer must be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// Exactly this, without blanks around it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact: Option<String>,
    /// This somewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// A match of this somewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// JSON of this shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json_schema: Option<Value>,
    /// As near to this text as `at_least` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub similar_to: Option<String>,
    /// At least `at_least` at this criterion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<String>,
    /// Cosine similarity or score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
}

impl Expectation {
    /// Its kind; none unless there is exactly one.
    #[must_use]
    pub fn kind(&self) -> Option<&'static str> {
        let kinds = [
            ("exact", self.exact.is_some()),
            ("contains", self.contains.is_some()),
            ("pattern", self.pattern.is_some()),
            ("json_schema", self.json_schema.is_some()),
            ("similar_to", self.similar_to.is_some()),
            ("judge", self.judge.is_some()),
        ];
        let mut given = kinds.into_iter().filter(|(_, there)| *there);
        match (given.next(), given.next()) {
            (Some((kind, _)), None) => Some(kind),
            _ => None,
        }
    }

    fn problem(&self) -> Option<String> {
        let Some(kind) = self.kind() else {
            return Some(
                "an expectation has exactly one of exact, contains, pattern, json_schema, similar_to, judge"
                    .into(),
            );
        };
        let limit = self.at_least;
        if matches!(kind, "similar_to" | "judge") != limit.is_some_and(|limit| (0.0..=1.0).contains(&limit)) {
            return Some(format!(
                "{kind}: at_least {limit:?}; similar_to and judge need one between 0 and 1, others have none"
            ));
        }
        if let Some(error) = self.pattern.as_ref().and_then(|pattern| Regex::new(pattern).err()) {
            return Some(format!("pattern: {}", error.to_string().replace('\n', " ")));
        }
        let (place, what) = conform::problems(self.json_schema.as_ref()?).into_iter().next()?;
        Some(format!("json_schema{place}: {what}"))
    }

    /// Whether an answer is as expected; `similarity` and `score` are asked where they are needed, and say nothing where
    /// there is no embedder or judge.
    pub fn holds(
        &self,
        answer: &str,
        similarity: &mut dyn FnMut(&str, &str) -> Option<f64>,
        score: &mut dyn FnMut(&str) -> Option<f64>,
    ) -> Option<bool> {
        let limit = self.at_least.unwrap_or(1.0);
        if let Some(text) = &self.exact {
            return Some(answer.trim() == text.trim());
        }
        if let Some(text) = &self.contains {
            return Some(answer.contains(text.as_str()));
        }
        if let Some(pattern) = &self.pattern {
            return Regex::new(pattern).ok().map(|pattern| pattern.is_match(answer));
        }
        if let Some(schema) = &self.json_schema {
            return Some(serde_json::from_str(answer).is_ok_and(|value| conform::conforms(schema, &value)));
        }
        if let Some(text) = &self.similar_to {
            return similarity(text, answer).map(|near| near >= limit);
        }
        self.judge.as_ref().and_then(|criterion| score(criterion)).map(|score| score >= limit)
    }
}

/// A prompt with what an answer must be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Unique.
    pub id: String,
    /// What is asked.
    pub prompt: String,
    /// All of them must hold.
    pub expect: Vec<Expectation>,
    /// Groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Where it comes from.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub origin: String,
}

/// Reads a golden set; every problem at once.
///
/// # Errors
/// See [`GoldenError`].
pub fn read_golden(path: &Path) -> Result<Vec<Case>, GoldenError> {
    let wrong = |problems: Vec<String>| GoldenError { path: path.display().to_string(), problems };
    let text =
        std::fs::read_to_string(path).map_err(|error| wrong(vec![format!("cannot be read: {error}")]))?;
    parse(&text).map_err(wrong)
}

/// Reads the lines of a golden set.
///
/// # Errors
/// Everything that is wrong, each with its line.
pub fn parse(text: &str) -> Result<Vec<Case>, Vec<String>> {
    let (mut cases, mut problems, mut ids) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (line, row) in text.lines().enumerate().filter(|(_, row)| !row.trim().is_empty()) {
        let line = line + 1;
        match serde_json::from_str::<Case>(row) {
            Err(error) => problems.push(format!("line {line}: {error}")),
            Ok(case) => {
                problems.extend(
                    case.expect.iter().filter_map(Expectation::problem).map(|p| format!("line {line}: {p}")),
                );
                if case.expect.is_empty() {
                    problems.push(format!("line {line}: expects nothing"));
                }
                if !ids.insert(case.id.clone()) {
                    problems.push(format!("line {line}: id {:?} is used twice", case.id));
                }
                cases.push(case);
            }
        }
    }
    if cases.len() > CASES_MAX {
        problems.push(format!("has {} cases; allowed: up to {CASES_MAX}", cases.len()));
    }
    if cases.is_empty() && problems.is_empty() {
        problems.push("holds no case".to_owned());
    }
    if problems.is_empty() { Ok(cases) } else { Err(problems) }
}

/// How a case went: the share of expectations that held, by repeat; absent where the version did not answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Went {
    /// The case.
    pub id: String,
    /// Control's repeats.
    pub control: Vec<Option<f64>>,
    /// The candidate's repeats.
    pub candidate: Vec<Option<f64>>,
    /// Expectations of the candidate's first answer that did not hold.
    pub missed: Vec<String>,
}

impl Went {
    /// Control holds all in most repeats, and the candidate does not.
    #[must_use]
    pub fn regressed(&self) -> bool {
        passes(&self.control) == Some(true) && passes(&self.candidate) == Some(false)
    }

    /// The candidate holds all in most repeats, and control does not.
    #[must_use]
    pub fn improved(&self) -> bool {
        passes(&self.control) == Some(false) && passes(&self.candidate) == Some(true)
    }

    /// Whether both versions answered.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.control.iter().chain(&self.candidate).all(Option::is_some)
    }
}

/// Whether most repeats hold all.
#[must_use]
pub fn passes(repeats: &[Option<f64>]) -> Option<bool> {
    let known: Vec<f64> = repeats.iter().flatten().copied().collect();
    let full = known.iter().filter(|share| **share >= 1.0).count();
    (!known.is_empty()).then_some(full * 2 > known.len())
}

/// A case from a captured failure; the prompt is as it was captured, so redacted.
#[must_use]
pub fn from_failure(experiment: &str, sample_id: &str, prompt: &str, wanted: &str, at_least: f64) -> Case {
    Case {
        id: format!("{experiment}-{sample_id}"),
        prompt: prompt.to_owned(),
        expect: vec![Expectation {
            exact: None,
            contains: None,
            pattern: None,
            json_schema: None,
            similar_to: Some(wanted.to_owned()),
            judge: None,
            at_least: Some(at_least),
        }],
        tags: vec!["captured".to_owned()],
        origin: format!("experiment {experiment}, sample {sample_id}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    fn holds(expectation: &str, answer: &str) -> Option<bool> {
        let expectation: Expectation = serde_json::from_str(expectation).unwrap();
        assert_eq!(expectation.problem(), None);
        expectation.holds(answer, &mut |_, _| Some(0.8), &mut |_| None)
    }

    #[test]
    fn the_example_reads_and_each_expectation_holds_where_it_should() {
        assert_eq!(parse(include_str!("../../../examples/golden/support.jsonl")).unwrap().len(), 3);
        assert_eq!(holds(r#"{"exact": "Hi"}"#, " Hi\n"), Some(true));
        assert_eq!(holds(r#"{"contains": "30 days"}"#, "within 3 days"), Some(false));
        assert_eq!(holds(r#"{"pattern": "(?i)^yes\\b"}"#, "Yes, sure"), Some(true));
        let schema = r#"{"json_schema": {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}, "additionalProperties": false}}"#;
        assert_eq!(holds(schema, r#"{"a": 1}"#), Some(true));
        for bad in [r#"{"a": "1"}"#, r#"{"b": 1}"#, r#"{"a": 1, "b": 2}"#, "no json"] {
            assert_eq!(holds(schema, bad), Some(false), "{bad}");
        }
        assert_eq!(holds(r#"{"similar_to": "x", "at_least": 0.9}"#, "y"), Some(false));
        assert_eq!(holds(r#"{"judge": "correct", "at_least": 0.5}"#, "y"), None, "no judge, no score");
    }

    #[test]
    fn every_problem_of_a_set_is_told_with_its_line() {
        let text = concat!(
            "{\"id\": \"a\", \"prompt\": \"p\", \"expect\": [{\"pattern\": \"(\"}]}\n",
            "{\"id\": \"a\", \"prompt\": \"p\", \"expect\": []}\n",
            "{\"id\": \"b\", \"prompt\": \"p\", \"expect\": [{\"exact\": \"x\", \"contains\": \"y\"}]}\n",
            "{\"id\": \"c\", \"prompt\": \"p\", \"expect\": [{\"json_schema\": {\"pattern\": 3}}]}\n",
            "{\"id\": \"d\", \"prompt\": \"p\", \"expect\": [{\"similar_to\": \"x\"}]}\nnothing\n",
        );
        let problems = parse(text).unwrap_err();
        assert_eq!(problems.len(), 7, "{problems:#?}");
        assert!(problems[3].starts_with("line 3: an expectation has exactly one of"), "{problems:#?}");
        assert!(problems[4].starts_with("line 4: json_schema"), "{problems:#?}");
        assert_eq!(parse("").unwrap_err(), ["holds no case"]);
    }

    #[test]
    fn a_case_regresses_where_most_repeats_of_control_alone_hold() {
        let went = |control: &[f64], candidate: &[f64]| Went {
            id: "x".into(),
            control: control.iter().map(|share| Some(*share)).collect(),
            candidate: candidate.iter().map(|share| Some(*share)).collect(),
            missed: Vec::new(),
        };
        assert!(went(&[1.0, 1.0, 0.5], &[0.5, 0.5, 1.0]).regressed());
        assert!(!went(&[1.0, 0.5, 0.5], &[0.0, 0.0, 0.0]).regressed(), "control fails too");
        assert!(went(&[0.0], &[1.0]).improved());
        let silent = Went { candidate: vec![None], ..went(&[1.0], &[]) };
        assert!(!silent.regressed() && !silent.complete(), "no answer is missing, not a failure");
    }
}
