//! JSONL import: one leg per line, the columns by their names, so that logs of any other gateway can be analysed.
//!
//! Format: a JSON object; `sample_id`, `leg`, `variant` and `ts` (RFC 3339 text or integer milliseconds since 1970) are
//! required, any other column of the sample record may be there, null means absent. `scores: {criterion: number}` become
//! rows of the scores table, with the text of the same criterion in `reasons: {criterion: text}`, if there is one;
//! `tags: {name: text}` stay with the leg.
//! Limits: [`LINE_BYTES_MAX`] per line, [`PROBLEMS_MAX`] problems told per line, `text::TEXT_BYTES_MAX` per text.
//! Invariants: every problem of a line is told, not only the first; a line with a problem gives no row.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::capture::{LABEL_BYTES_MAX, is_criterion, is_identifier};
use crate::record::{Access, Column, REASON_BYTES_MAX, Record, ResponseFormat, Sample, Score, TS_US_MAX};
use crate::text::{TEXT_BYTES_MAX, clean};

/// Longest line, bytes.
pub const LINE_BYTES_MAX: usize = 8 << 20;
/// Problems that are told per line; a line of garbage has no more to say after these.
pub const PROBLEMS_MAX: usize = 16;
/// Longest vector, numbers.
pub const VECTOR_LENGTH_MAX: usize = 4_096;
/// Tags and scores of one line at most, each.
pub const ENTRIES_MAX: usize = 256;

/// What a line gave.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedLine {
    /// The leg.
    pub sample: Sample,
    /// Its scores, in the order of their criteria.
    pub scores: Vec<Score>,
}

/// One problem of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineProblem {
    /// The line, from 1.
    pub line: u64,
    /// The field, or `None` for the whole line.
    pub field: Option<String>,
    /// What is wrong, with the value: `"maybe" is not one of the words`.
    pub message: String,
    /// What is allowed.
    pub allowed: Option<String>,
    /// How to repair it.
    pub hint: Option<String>,
}

impl fmt::Display for LineProblem {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "line {}: ", self.line)?;
        if let Some(field) = &self.field {
            write!(to, "{field}: ")?;
        }
        write!(to, "{}", self.message)?;
        if let Some(allowed) = &self.allowed {
            write!(to, "; allowed: {allowed}")?;
        }
        match &self.hint {
            Some(hint) => write!(to, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Reads one line into rows of the experiment, whose name the caller has checked.
///
/// # Errors
/// All problems of the line.
pub fn parse_line(line: u64, text: &str, experiment: &str) -> Result<ImportedLine, Vec<LineProblem>> {
    let mut problems = Problems { line, list: Vec::new() };
    if text.len() > LINE_BYTES_MAX {
        problems.add(
            None,
            format!("{} bytes are too many", text.len()),
            Some(format!("{LINE_BYTES_MAX} bytes")),
        );
        return Err(problems.list);
    }
    let object = match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(object)) => object,
        Ok(other) => {
            problems.add(None, format!("{} is not a JSON object", shown(&other)), None);
            return Err(problems.list);
        }
        Err(error) => {
            let message = format!("is not JSON: {}", without_line(&error.to_string()));
            problems.add(None, message, Some("one JSON object per line".to_owned()));
            return Err(problems.list);
        }
    };
    let mut sample = Sample { experiment: experiment.to_owned(), ..Sample::default() };
    read_columns(&object, &mut sample, &mut problems);
    let mut scores = read_scores(object.get("scores"), &sample, &mut problems);
    read_reasons(object.get("reasons"), &mut scores, &mut problems);
    if !problems.list.is_empty() {
        return Err(problems.list);
    }
    complete(&mut sample);
    Ok(ImportedLine { sample, scores })
}

struct Problems {
    line: u64,
    list: Vec<LineProblem>,
}

impl Problems {
    fn add(&mut self, field: Option<&str>, message: String, allowed: Option<String>) {
        self.add_with_hint(field, message, allowed, None);
    }

    fn add_with_hint(
        &mut self,
        field: Option<&str>,
        message: String,
        allowed: Option<String>,
        hint: Option<String>,
    ) {
        if self.list.len() < PROBLEMS_MAX {
            let field = field.map(|name| clean(name, 64));
            self.list.push(LineProblem { line: self.line, field, message, allowed, hint });
        }
    }
}

fn read_columns(object: &Map<String, Value>, sample: &mut Sample, problems: &mut Problems) {
    for column in Sample::COLUMNS {
        match object.get(column.name) {
            None | Some(Value::Null) if column.required => {
                problems.add(Some(column.name), "is missing".to_owned(), Some(allowed(&column.access)));
            }
            None | Some(Value::Null) => {}
            Some(value) => {
                if let Err(message) = read_value(column, value, sample) {
                    problems.add(Some(column.name), message, Some(allowed(&column.access)));
                }
            }
        }
    }
    if object.get("sample_id").is_some_and(Value::is_string) && !is_identifier(&sample.sample_id) {
        let found = shown(&Value::String(sample.sample_id.clone()));
        let range = "1 to 256 bytes without white space".to_owned();
        problems.add(Some("sample_id"), format!("{found} cannot identify a sample"), Some(range));
    }
    for (vector, name) in
        [(&sample.request_vector, "request_vector"), (&sample.response_vector, "response_vector")]
    {
        if vector.is_some() && sample.embedder.is_none() {
            let hint = "vectors of two embedders cannot be compared: name the model in `embedder`".to_owned();
            problems.add_with_hint(Some(name), "has no embedder".to_owned(), None, Some(hint));
        }
    }
    for name in object.keys() {
        if !matches!(name.as_str(), "scores" | "reasons")
            && !Sample::COLUMNS.iter().any(|column| column.name == name)
        {
            let hint = nearest(name).map_or_else(
                || {
                    "put free labels into tags: {name: text} and judgements into scores: {criterion: number}"
                        .to_owned()
                },
                |near| format!("did you mean {near}?"),
            );
            problems.add_with_hint(Some(name), "is an unknown field".to_owned(), None, Some(hint));
        }
    }
}

/// The error is what is wrong with the value.
fn read_value(column: &Column<Sample>, value: &Value, sample: &mut Sample) -> Result<(), String> {
    let refuse = |what: &str| Err(format!("{} is not {what}", shown(value)));
    match &column.access {
        Access::Text { set, .. } => match value {
            Value::String(text) if text.len() > TEXT_BYTES_MAX => refuse("short enough"),
            Value::String(text) => {
                set(sample, clean(text, TEXT_BYTES_MAX));
                Ok(())
            }
            _ => refuse("text"),
        },
        Access::Label { set, .. } => match value {
            Value::String(text) if text.len() > LABEL_BYTES_MAX => refuse("short enough"),
            Value::String(text) => {
                set(sample, clean(text, LABEL_BYTES_MAX));
                Ok(())
            }
            _ => refuse("text"),
        },
        Access::Word { set, .. } => match value.as_str() {
            Some(word) if set(sample, word) => Ok(()),
            _ => refuse("one of the words"),
        },
        Access::Integer { set, min, max, .. } => match integer(value) {
            Some(number) if (*min..=*max).contains(&number) => {
                set(sample, number);
                Ok(())
            }
            Some(_) => refuse("in range"),
            None => refuse("an integer"),
        },
        Access::SmallInteger { set, min, max, .. } => match integer(value).map(i32::try_from) {
            Some(Ok(number)) if (*min..=*max).contains(&number) => {
                set(sample, number);
                Ok(())
            }
            Some(_) => refuse("in range"),
            None => refuse("an integer"),
        },
        Access::Float { set, min, max, .. } => match value.as_f64() {
            Some(number) if (*min..=*max).contains(&number) => {
                set(sample, number);
                Ok(())
            }
            Some(_) => refuse("in range"),
            None => refuse("a number"),
        },
        Access::Boolean { set, .. } => match value.as_bool() {
            Some(flag) => {
                set(sample, flag);
                Ok(())
            }
            None => refuse("true or false"),
        },
        Access::Timestamp { set, .. } => match timestamp_us(value) {
            Some(ts_us) => {
                set(sample, ts_us);
                Ok(())
            }
            None => refuse("a time"),
        },
        Access::Vector { set, .. } => match vector(value) {
            Some(numbers) => {
                set(sample, numbers);
                Ok(())
            }
            None => refuse("a vector"),
        },
        Access::Tags { set, .. } => tags(value).map(|tags| set(sample, tags)),
    }
}

fn vector(value: &Value) -> Option<Vec<f32>> {
    let numbers = value.as_array().filter(|numbers| (1..=VECTOR_LENGTH_MAX).contains(&numbers.len()))?;
    let number =
        |value: &Value| value.as_f64().map(|number| number as f32).filter(|number| number.is_finite());
    numbers.iter().map(number).collect()
}

fn tags(value: &Value) -> Result<BTreeMap<String, String>, String> {
    let Value::Object(object) = value else {
        return Err(format!("{} is not an object", shown(value)));
    };
    if object.len() > ENTRIES_MAX {
        return Err(format!("{} tags are too many", object.len()));
    }
    let mut tags = BTreeMap::new();
    for (name, value) in object {
        let text = match value {
            Value::String(text) => clean(text, TEXT_BYTES_MAX),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            _ => return Err(format!("{} of tag {name:?} is not text", shown(value))),
        };
        tags.insert(clean(name, LABEL_BYTES_MAX), text);
    }
    Ok(tags)
}

fn read_scores(value: Option<&Value>, sample: &Sample, problems: &mut Problems) -> Vec<Score> {
    let allowed = || Some("an object of criterion to number, at most 256".to_owned());
    let object = match value {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Object(object)) if object.len() <= ENTRIES_MAX => object,
        Some(other) => {
            problems.add(Some("scores"), format!("{} is not a set of scores", shown(other)), allowed());
            return Vec::new();
        }
    };
    let mut scores = Vec::with_capacity(object.len());
    for (criterion, value) in object {
        let Some(score) = value.as_f64().filter(|score| score.is_finite() && is_criterion(criterion)) else {
            let message = format!("{} is not a number", shown(value));
            problems.add(Some(&format!("scores.{criterion}")), message, allowed());
            continue;
        };
        scores.push(Score {
            experiment: sample.experiment.clone(),
            sample_id: sample.sample_id.clone(),
            leg: sample.leg,
            variant: sample.variant,
            ts_us: sample.ts_us,
            criterion: criterion.clone(),
            score,
            judge: None,
            reason: None,
        });
    }
    scores
}

/// Puts each reason to the score that it is for.
fn read_reasons(value: Option<&Value>, scores: &mut [Score], problems: &mut Problems) {
    let allowed =
        || Some(format!("an object of scored criterion to text of at most {REASON_BYTES_MAX} bytes"));
    let object = match value {
        None | Some(Value::Null) => return,
        Some(Value::Object(object)) if object.len() <= ENTRIES_MAX => object,
        Some(other) => {
            problems.add(Some("reasons"), format!("{} is not a set of reasons", shown(other)), allowed());
            return;
        }
    };
    for (criterion, value) in object {
        let field = format!("reasons.{criterion}");
        let score = scores.iter_mut().find(|score| score.criterion == *criterion);
        match (score, value.as_str()) {
            (None, _) => problems.add(Some(&field), "has no score".to_owned(), allowed()),
            (Some(score), Some(text)) if text.len() <= REASON_BYTES_MAX => {
                score.reason = Some(clean(text, REASON_BYTES_MAX));
            }
            (Some(_), _) => {
                problems.add(Some(&field), format!("{} is not a short text", shown(value)), allowed())
            }
        }
    }
}

/// A format is needed to tell an empty answer from an unknown one.
fn complete(sample: &mut Sample) {
    if sample.response_format.is_none() {
        sample.response_format = match sample.response_text.as_deref() {
            None => None,
            Some("") => Some(ResponseFormat::Empty),
            Some(_) => Some(ResponseFormat::Text),
        };
    }
}

/// 5.0 is an integer too: many tools write every number as a double.
fn integer(value: &Value) -> Option<i64> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    value.as_i64().or_else(|| {
        let number = value.as_f64()?;
        (number.fract() == 0.0 && number.abs() <= EXACT_MAX).then_some(number as i64)
    })
}

fn timestamp_us(value: &Value) -> Option<i64> {
    let ts_us = match value {
        Value::String(text) => text.parse::<Timestamp>().ok()?.as_microsecond(),
        other => integer(other)?.checked_mul(1_000)?,
    };
    (0..=TS_US_MAX).contains(&ts_us).then_some(ts_us)
}

fn allowed(access: &Access<Sample>) -> String {
    match access {
        Access::Text { .. } => format!("text of at most {TEXT_BYTES_MAX} bytes"),
        Access::Label { .. } => format!("text of at most {LABEL_BYTES_MAX} bytes"),
        Access::Word { allowed, .. } => allowed.join(", "),
        Access::Integer { min, max, .. } => range(*min, *max, i64::MAX),
        Access::SmallInteger { min, max, .. } => range(i64::from(*min), i64::from(*max), i64::from(i32::MAX)),
        Access::Float { max, .. } if *max == 1.0 => "a number above 0 and at most 1".to_owned(),
        Access::Float { .. } => "a number of 0 or more".to_owned(),
        Access::Boolean { .. } => "true, false".to_owned(),
        Access::Timestamp { .. } => {
            "RFC 3339 text with a zone, or integer milliseconds since 1970, before the year 10000".to_owned()
        }
        Access::Vector { .. } => format!("a list of 1 to {VECTOR_LENGTH_MAX} numbers"),
        Access::Tags { .. } => "an object of name to text, at most 256".to_owned(),
    }
}

fn range(min: i64, max: i64, unlimited: i64) -> String {
    if max == unlimited {
        format!("an integer of {min} or more")
    } else {
        format!("an integer from {min} to {max}")
    }
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    let short: String = text.chars().take(40).collect();
    if short.len() < text.len() { format!("{short}...") } else { short }
}

/// serde_json counts lines within the line that it was given.
fn without_line(message: &str) -> String {
    message.replacen(" at line 1 column ", " at column ", 1)
}

/// The column that a name probably means: the same letters without case and separators, or one edit away.
fn nearest(name: &str) -> Option<&'static str> {
    const KNOWN_AS: &[(&str, &str)] = &[
        ("timestamp", "ts"),
        ("time", "ts"),
        ("id", "sample_id"),
        ("prompt", "request_text"),
        ("request", "request_text"),
        ("input", "request_text"),
        ("response", "response_text"),
        ("answer", "response_text"),
        ("output", "response_text"),
        ("score", "scores"),
        ("latency", "latency_ms"),
        ("experiment", "tags (the experiment is named with --experiment)"),
    ];
    let plain = |text: &str| {
        text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
    };
    let wanted = plain(name);
    if let Some((_, column)) = KNOWN_AS.iter().find(|(alias, _)| *alias == wanted) {
        return Some(column);
    }
    let columns = || Sample::COLUMNS.iter().map(|column| column.name);
    columns()
        .find(|column| plain(column) == wanted)
        .or_else(|| columns().find(|column| name.len() <= 40 && one_edit_away(name, column)))
}

/// One letter more, less or other.
fn one_edit_away(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let prefix = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    let rest = left.len().min(right.len()) - prefix;
    let suffix = left.iter().rev().zip(right.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    left.len().max(right.len()) - prefix - suffix <= 1
}
