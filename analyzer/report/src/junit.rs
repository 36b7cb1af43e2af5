//! The JUnit view: one test case for each gate, so that a build server lists gates as it lists tests.
//!
//! A breach or divergence is a failure, an undecided gate or one without data is skipped. Advisory gates never fail.

use std::fmt::Write as _;

use weir_gate::{GateResult, Outcome, Severity};

use crate::escape::xml;
use crate::model::Report;
use crate::words;

/// Draws the report.
pub(crate) fn render(report: &Report) -> String {
    let gates = &report.evaluation.gates;
    let failures = gates.iter().filter(|gate| state(gate) == State::Failed).count();
    let skipped = gates.iter().filter(|gate| state(gate) == State::Skipped).count();
    let name = xml(&report.experiment);
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "<testsuites name=\"weir\" tests=\"{0}\" failures=\"{failures}\" skipped=\"{skipped}\">\n  \
         <testsuite name=\"{name}\" tests=\"{0}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\">\n    \
         <properties>\n      <property name=\"verdict\" value=\"{1}\"/>\n    </properties>",
        gates.len(),
        words::verdict_id(report.evaluation.verdict),
    );
    for gate in gates {
        case(&mut text, &name, gate);
    }
    if !report.evaluation.reasons.is_empty() {
        let reasons: Vec<&str> =
            report.evaluation.reasons.iter().map(|reason| reason.text.as_str()).collect();
        let _ = writeln!(text, "    <system-out>{}</system-out>", xml(&reasons.join("\n")));
    }
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Passed,
    Failed,
    Skipped,
}

fn state(gate: &GateResult) -> State {
    match gate.outcome {
        Outcome::Inside | Outcome::Improved => State::Passed,
        Outcome::Breach | Outcome::Diverged if gate.severity == Severity::Advisory => State::Passed,
        Outcome::Breach | Outcome::Diverged => State::Failed,
        Outcome::Undecided | Outcome::NoData => State::Skipped,
    }
}

fn case(text: &mut String, experiment: &str, gate: &GateResult) {
    let name = xml(&gate.gate);
    let message = xml(&format!("{} {}: {}", gate.gate, words::outcome(gate.outcome), words::finding(gate)));
    let explanation = xml(&format!("{} ({})", gate.explanation, words::evidence(gate)));
    let _ = match state(gate) {
        State::Passed => writeln!(
            text,
            "    <testcase classname=\"weir.{experiment}\" name=\"{name}\">\n      \
             <system-out>{explanation}</system-out>\n    </testcase>"
        ),
        State::Failed => writeln!(
            text,
            "    <testcase classname=\"weir.{experiment}\" name=\"{name}\">\n      \
             <failure type=\"{}\" message=\"{message}\">{explanation}</failure>\n    </testcase>",
            words::severity(gate.severity)
        ),
        State::Skipped => writeln!(
            text,
            "    <testcase classname=\"weir.{experiment}\" name=\"{name}\">\n      \
             <skipped message=\"{message}\"/>\n      <system-out>{explanation}</system-out>\n    </testcase>"
        ),
    };
}
