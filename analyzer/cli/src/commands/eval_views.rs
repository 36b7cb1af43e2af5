//! What `weir eval` found, as text, Markdown and JUnit XML.

use std::fmt::Write as _;
use std::path::Path;

use weir_gate::{Evaluation, Tripwire};
use weir_judge::golden::{Went, passes};

use crate::commands::eval::{Criteria, mean, series};
use crate::exit::{Exit, Failure, failure};

pub(crate) fn text(
    went: &[Went],
    criteria: &Criteria,
    wires: &[Tripwire],
    evaluation: Option<&Evaluation>,
) -> String {
    let count = |of: fn(&Went) -> bool| went.iter().filter(|went| of(went)).count();
    let mut text = format!(
        "{} cases: {} regressed, {} improved, {} without all answers\n",
        went.len(),
        count(Went::regressed),
        count(Went::improved),
        count(|went| !went.complete())
    );
    for series in series(went, criteria) {
        let (control, candidate) = (series.pairs.control().to_vec(), series.pairs.candidate().to_vec());
        if let (Some(control), Some(candidate)) = (mean(&control), mean(&candidate)) {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{:<24} control {control:.3}  candidate {candidate:.3}  difference {:+.3} ({} cases)",
                series.name,
                candidate - control,
                series.pairs.len()
            );
        }
    }
    for went in went.iter().filter(|went| went.regressed()) {
        let _ = writeln!(text, "regressed: {} (missed: {})", went.id, went.missed.join(", "));
    }
    if let Some(evaluation) = evaluation {
        let _ = writeln!(text, "verdict: {}", evaluation.verdict);
        for reason in &evaluation.reasons {
            let _ = writeln!(text, "  {}", reason.text);
        }
    } else {
        for wire in wires {
            let _ = writeln!(text, "tripwire {}: {}", wire.name, wire.text);
        }
    }
    text
}

fn word(went: &Went) -> &'static str {
    match went {
        went if went.regressed() => "regressed",
        went if went.improved() => "improved",
        went if !went.complete() => "no answer",
        went if passes(&went.candidate) == Some(true) => "passes",
        _ => "fails with both",
    }
}

pub(crate) fn markdown(went: &[Went], text: &str) -> String {
    let mut page = format!(
        "## Golden set\n\n```text\n{}```\n\n| case | result | missed |\n|---|---|---|\n",
        text.replace("```", "` ` `")
    );
    for went in went {
        let id: String =
            went.id.chars().map(|c| if c.is_control() || c == '|' || c == '<' { ' ' } else { c }).collect();
        let _ = writeln!(page, "| {id} | {} | {} |", word(went), went.missed.join(", "));
    }
    page
}

pub(crate) fn junit(went: &[Went], wires: &[Tripwire]) -> String {
    let escape = |text: &str| -> String {
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
    };
    let failures = went.iter().filter(|went| went.regressed()).count() + wires.len();
    let mut page = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"golden\" tests=\"{}\" failures=\"{failures}\">\n",
        went.len() + wires.len()
    );
    for wire in wires {
        let (name, text) = (escape(&wire.name), escape(&wire.text));
        let _ = writeln!(
            page,
            "  <testcase classname=\"tripwires\" name=\"{name}\"><failure message=\"{text}\"/></testcase>"
        );
    }
    for went in went {
        let _ = write!(page, "  <testcase classname=\"golden\" name=\"{}\"", escape(&went.id));
        let _ = if went.regressed() {
            writeln!(page, "><failure message=\"missed: {}\"/></testcase>", escape(&went.missed.join(", ")))
        } else if went.complete() {
            writeln!(page, "/>")
        } else {
            writeln!(page, "><skipped message=\"no answer\"/></testcase>")
        };
    }
    page + "</testsuite>\n"
}

pub(crate) fn write(path: Option<&Path>, text: &str) -> Result<(), Failure> {
    let Some(path) = path else { return Ok(()) };
    std::fs::write(path, text)
        .map_err(|error| failure(Exit::Data, format!("{}: cannot be written: {error}", path.display())))
}
