//! Problems of a document: what is wrong, where, and what would be right.
//!
//! A [`Collector`] keeps at most [`PROBLEMS_MAX`] problems and counts the rest, so that a hostile document cannot make a
//! large message. Values are shortened and escaped before they are kept.

use std::fmt;

use serde_json::Value;

/// Most problems that are kept for one document; the rest is counted.
pub const PROBLEMS_MAX: usize = 100;

/// Longest value that a problem repeats, in characters.
const VALUE_CHARACTERS_MAX: usize = 60;

/// One thing that is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, as in `cohorts[2].candidatePercent`; empty for the document as a whole.
    pub path: String,
    /// The offending value, shortened and escaped; none where a value is missing or says nothing.
    pub value: Option<String>,
    /// Lowercase fragment that follows the value, as in `is not a number`.
    pub message: String,
    /// What is allowed, as in `0 to 100`.
    pub allowed: Option<String>,
    /// How to put it right.
    pub hint: Option<String>,
}

/// Everything that is wrong with one document.
///
/// Its text has one block per problem, separated by line breaks, without a line break at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// Name of the document: a file name, or a word such as `policy`.
    pub document: String,
    /// The problems in the order of the document type's fields; never empty.
    pub problems: Vec<Problem>,
    /// How many further problems were found beyond [`PROBLEMS_MAX`].
    pub further: usize,
}

/// Place in a document, borrowed from the caller's stack so that a document without problems costs no allocation.
#[derive(Clone, Copy, Debug)]
pub enum Path<'a> {
    /// The document itself.
    Root,
    /// A field of a mapping.
    Key(&'a Path<'a>, &'a str),
    /// An element of a list, from 0.
    Index(&'a Path<'a>, usize),
}

/// Collects problems while a document is decoded.
#[derive(Debug, Default)]
pub struct Collector {
    problems: Vec<Problem>,
    further: usize,
}

/// Completes a problem that was just reported.
#[derive(Debug)]
pub struct ProblemBuilder<'a> {
    problem: Option<&'a mut Problem>,
}

impl Collector {
    /// Without problems.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reports a problem; `message` is a lowercase fragment such as `is missing`.
    pub fn report(&mut self, at: &Path<'_>, message: impl Into<String>) -> ProblemBuilder<'_> {
        if self.problems.len() >= PROBLEMS_MAX {
            self.further += 1;
            return ProblemBuilder { problem: None };
        }
        self.problems.push(Problem {
            path: at.to_string(),
            value: None,
            message: message.into(),
            allowed: None,
            hint: None,
        });
        ProblemBuilder { problem: self.problems.last_mut() }
    }

    /// Whether nothing was reported.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// How many problems were reported.
    #[must_use]
    pub fn len(&self) -> usize {
        self.problems.len() + self.further
    }

    /// The reported problems as an error about `document`.
    #[must_use]
    pub fn into_problems(self, document: &str) -> Problems {
        Problems { document: document.to_owned(), problems: self.problems, further: self.further }
    }
}

impl ProblemBuilder<'_> {
    /// Adds the offending value.
    pub fn value(self, value: &Value) -> Self {
        let shown = match value {
            Value::Null => "null".to_owned(),
            Value::Bool(flag) => flag.to_string(),
            Value::Number(number) => number.to_string(),
            Value::String(text) => return self.text_value(text),
            Value::Array(items) if items.is_empty() => "[]".to_owned(),
            Value::Array(_) => "[...]".to_owned(),
            Value::Object(fields) if fields.is_empty() => "{}".to_owned(),
            Value::Object(_) => "{...}".to_owned(),
        };
        self.shown_value(shown)
    }

    /// Adds the offending value where it is text: it is quoted, escaped and shortened.
    pub fn text_value(self, text: &str) -> Self {
        let mut shown: String = text.chars().take(VALUE_CHARACTERS_MAX).collect();
        if shown.len() < text.len() {
            shown.push_str("...");
        }
        self.shown_value(format!("{shown:?}"))
    }

    /// Adds the offending value where it is a number.
    pub fn number_value(self, number: impl fmt::Display) -> Self {
        self.shown_value(number.to_string())
    }

    /// Adds what is allowed.
    pub fn allowed(mut self, allowed: impl Into<String>) -> Self {
        if let Some(problem) = &mut self.problem {
            problem.allowed = Some(allowed.into());
        }
        self
    }

    /// Adds how to put it right.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Some(problem) = &mut self.problem {
            problem.hint = Some(hint.into());
        }
        self
    }

    fn shown_value(mut self, shown: String) -> Self {
        if let Some(problem) = &mut self.problem {
            problem.value = Some(shown);
        }
        self
    }
}

impl Problems {
    /// One problem about `document` as a whole.
    #[must_use]
    pub fn whole(document: &str, message: impl Into<String>) -> Self {
        let mut collector = Collector::new();
        collector.report(&Path::Root, message);
        collector.into_problems(document)
    }

    /// Everything in one line, problems separated by ` | `, for logs that have one line per entry.
    #[must_use]
    pub fn one_line(&self) -> String {
        let blocks: Vec<String> = self
            .problems
            .iter()
            .map(|problem| match &problem.hint {
                Some(hint) => format!("{problem} (hint: {hint})"),
                None => problem.to_string(),
            })
            .collect();
        let rest = if self.further > 0 { format!(" | and {} more", self.further) } else { String::new() };
        format!("{}: {}{rest}", self.document, blocks.join(" | "))
    }
}

impl<'a> Path<'a> {
    /// The field `key` of this place.
    #[must_use]
    pub fn key(&'a self, key: &'a str) -> Path<'a> {
        Path::Key(self, key)
    }

    /// The element `index` of this place, from 0.
    #[must_use]
    pub fn index(&'a self, index: usize) -> Path<'a> {
        Path::Index(self, index)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Key(parent, key) => {
                parent.fmt(f)?;
                if !matches!(parent, Path::Root) {
                    f.write_str(".")?;
                }
                write_key(key, f)
            }
            Path::Index(parent, index) => {
                parent.fmt(f)?;
                write!(f, "[{index}]")
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        if let Some(value) = &self.value {
            write!(f, "{value} ")?;
        }
        f.write_str(&self.message)?;
        if let Some(allowed) = &self.allowed {
            write!(f, "; allowed: {allowed}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "error: {}: {problem}", self.document)?;
            if let Some(hint) = &problem.hint {
                write!(f, "\n  hint: {hint}")?;
            }
        }
        if self.further > 0 {
            write!(f, "\nerror: {}: and {} more", self.document, self.further)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Keys come from the document: odd ones are quoted, escaped and shortened.
fn write_key(key: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let plain = key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/'));
    if plain && !key.is_empty() && key.len() <= VALUE_CHARACTERS_MAX {
        return f.write_str(key);
    }
    let mut shown: String = key.chars().take(VALUE_CHARACTERS_MAX).collect();
    if shown.len() < key.len() {
        shown.push_str("...");
    }
    write!(f, "{shown:?}")
}
