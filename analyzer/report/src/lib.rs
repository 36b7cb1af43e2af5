//! Views of one report: table, JSON, Markdown, JUnit, Prometheus text, HTML.
//!
//! A [`Report`] holds everything that was decided and what it was decided from; this crate only draws it and computes
//! nothing statistical. The JSON is the source, every other format is a view of it.
//!
//! Invariants:
//! - The same report gives the same bytes: no clock, no locale, no map with a random order.
//! - Captured text is hostile. Each view escapes for its own medium (module `escape`), and nothing reaches a view unescaped.
//! - Meaning is never carried by colour alone.

mod diff;
mod escape;
mod html;
mod json;
mod judges;
mod junit;
mod live;
mod markdown;
mod meaning;
mod model;
mod numbers;
mod planning;
mod prometheus;
mod screen;
mod table;
mod words;

use std::fmt;
use std::str::FromStr;

pub use crate::html::{fragments, outcomes};
pub use crate::live::{Closing, LiveEvidence, LiveNext, LiveProxies, LiveView, live_lines};
pub use crate::meaning::{Meaning, MeaningExemplar, MeaningGroup, MeaningPeriod, MeaningTest};
pub use crate::model::{
    Distribution, Exemplar, ExemplarKind, Histogram, JudgeCalibration, JudgePart, Look, Prefix, PromptMap,
    PromptPoint, Provenance, Report, SCHEMA, Step, TimelineEntry, Trajectory, TrajectoryPoint, Variants,
};
pub use crate::planning::{plan_text, rehearsal_text};
pub use crate::screen::{Progress, Screen, Unit};

/// A view of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Plain text for a terminal of at least 80 columns.
    Table,
    /// The report itself, laid out for people, with a final newline.
    Json,
    /// Fits a pull-request comment (below 60,000 characters).
    Markdown,
    /// JUnit XML: one test case for each gate.
    Junit,
    /// Prometheus text: verdict and gates as gauges.
    Prometheus,
    /// One self-contained page: no request to anywhere.
    Html,
}

/// How a report is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderOptions {
    /// ANSI colours in the table view. Ask only when the output is a terminal and `NO_COLOR` is not set.
    pub colour: bool,
    /// Columns of the table view; below 60 counts as 60, above 200 as 200.
    pub width: usize,
    /// The HTML view carries the live page, where that was built (`make page`).
    pub live: bool,
}

/// Why a report cannot be drawn or read.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The report cannot be written as JSON.
    #[error("the report cannot be written as JSON: {0}")]
    Write(#[source] serde_json::Error),
    /// The text is no report.
    #[error(
        "the report cannot be read: {0}\n  hint: give the file that `weir analyze --output json` wrote, whole and unchanged"
    )]
    Read(#[source] serde_json::Error),
    /// The text ends before the report does.
    #[error(
        "the report is cut off at line {line}, column {column}: {source}\n  hint: give the file that `weir analyze --output json` wrote, whole and unchanged"
    )]
    Cut {
        /// Line of the end, from 1; 1 where there is nothing at all.
        line: usize,
        /// Column of the end.
        column: usize,
        /// What was under way.
        source: serde_json::Error,
    },
    /// The text is JSON and says nothing of being a report.
    #[error(
        "this is JSON, but no report: it names no schema\n  hint: give the file that `weir analyze --output json` wrote"
    )]
    NoReport,
    /// The report was written by another version.
    #[error(
        "the report has schema {found:?}, this version reads {SCHEMA:?}\n  hint: run `weir analyze` again, or use the weir version that wrote it"
    )]
    Schema {
        /// The schema that the report names.
        found: String,
    },
    /// No such view.
    #[error(
        "unknown output format {found:?}\n  hint: use one of table, json, markdown, junit, prometheus, html"
    )]
    Format {
        /// What was asked for.
        found: String,
    },
}

/// Draws `report` as `format`. The text ends with a newline.
///
/// # Errors
/// [`ReportError::Write`] when the JSON view cannot be serialised.
pub fn render(report: &Report, format: Format, options: &RenderOptions) -> Result<String, ReportError> {
    match format {
        Format::Table => Ok(table::render(report, options)),
        Format::Json => json::render(report).map_err(ReportError::Write),
        Format::Markdown => Ok(markdown::render(report)),
        Format::Junit => Ok(junit::render(report)),
        Format::Prometheus => Ok(prometheus::render(report)),
        Format::Html => Ok(html::render(report, options.live)),
    }
}

/// Reads a report that the JSON view wrote.
///
/// # Errors
/// [`ReportError::Schema`] for a report of another schema (named), [`ReportError::NoReport`] without one,
/// [`ReportError::Cut`] where the text ends too early, [`ReportError::Read`] with line and column otherwise.
pub fn parse(text: &str) -> Result<Report, ReportError> {
    #[derive(serde::Deserialize)]
    struct Head {
        #[serde(default)]
        schema: String,
    }
    let head: Head = serde_json::from_str(text).map_err(unreadable)?;
    if head.schema.is_empty() {
        return Err(ReportError::NoReport);
    }
    if head.schema != SCHEMA {
        return Err(ReportError::Schema { found: head.schema });
    }
    serde_json::from_str(text).map_err(unreadable)
}

fn unreadable(error: serde_json::Error) -> ReportError {
    match error.is_eof() {
        true => ReportError::Cut { line: error.line(), column: error.column(), source: error },
        false => ReportError::Read(error),
    }
}

/// JSON Schema of a report's JSON.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Report);
    schema.insert("title".to_owned(), format!("Weir report, schema {SCHEMA}").into());
    schema.to_value()
}

/// Captured or configured text made fit for a line of an HTML page.
#[must_use]
pub fn escape_html(text: &str) -> String {
    escape::html(text, escape::Lines::Join)
}

impl Format {
    /// Every view, in the order in which help texts list them.
    pub const ALL: [Self; 6] =
        [Self::Table, Self::Json, Self::Markdown, Self::Junit, Self::Prometheus, Self::Html];

    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Json => "json",
            Self::Markdown => "markdown",
            Self::Junit => "junit",
            Self::Prometheus => "prometheus",
            Self::Html => "html",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = ReportError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|format| format.name() == text)
            .ok_or_else(|| ReportError::Format { found: text.to_owned() })
    }
}

impl Default for RenderOptions {
    fn default() -> Self {
        Self { colour: false, width: 80, live: true }
    }
}
