//! The JUnit view: one test case for each gate, so that a build server lists gates as it lists tests, and in a suite of
//! their own one for each segment.
//!
//! A breach or divergence is a failure, an undecided gate or one without data is skipped. Advisory gates never fail. A segment
//! fails by any of its gates, and is skipped where none of them is decided.

use std::fmt::Write as _;

use weir_gate::{GateResult, Outcome, SegmentResult, Severity};

use crate::escape::xml;
use crate::model::Report;
use crate::words;

/// Draws the report.
pub(crate) fn render(report: &Report) -> String {
    let (gates, segments) = (&report.evaluation.gates, &report.evaluation.segments);
    let of_gates = Tally::of(gates.iter().map(state));
    let of_segments = Tally::of(segments.iter().map(segment_state));
    let name = xml(&report.experiment);
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "<testsuites name=\"weir\" {}>\n  <testsuite name=\"{name}\" {} errors=\"0\">\n    \
         <properties>\n      <property name=\"verdict\" value=\"{}\"/>\n    </properties>",
        of_gates.and(of_segments).attributes(),
        of_gates.attributes(),
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
    text.push_str("  </testsuite>\n");
    if !segments.is_empty() {
        let attributes = of_segments.attributes();
        let _ = writeln!(text, "  <testsuite name=\"{name}: segments\" {attributes} errors=\"0\">");
        for segment in segments {
            segment_case(&mut text, &name, segment);
        }
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

/// Cases of a suite.
#[derive(Clone, Copy, Default)]
struct Tally {
    tests: usize,
    failures: usize,
    skipped: usize,
}

impl Tally {
    fn of(states: impl Iterator<Item = State>) -> Self {
        states.fold(Self::default(), |tally, state| Self {
            tests: tally.tests + 1,
            failures: tally.failures + usize::from(state == State::Failed),
            skipped: tally.skipped + usize::from(state == State::Skipped),
        })
    }

    fn and(self, other: Self) -> Self {
        Self {
            tests: self.tests + other.tests,
            failures: self.failures + other.failures,
            skipped: self.skipped + other.skipped,
        }
    }

    fn attributes(self) -> String {
        format!("tests=\"{}\" failures=\"{}\" skipped=\"{}\"", self.tests, self.failures, self.skipped)
    }
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

fn segment_state(segment: &SegmentResult) -> State {
    let has = |wanted| segment.gates.iter().any(|gate| state(gate) == wanted);
    if has(State::Failed) {
        State::Failed
    } else if has(State::Passed) {
        State::Passed
    } else {
        State::Skipped
    }
}

fn segment_case(text: &mut String, experiment: &str, segment: &SegmentResult) {
    let failed = segment.gates.iter().filter(|gate| state(gate) == State::Failed);
    let said: Vec<String> = failed.map(|gate| format!("{}: {}", gate.gate, words::finding(gate))).collect();
    let worst = segment.worst_gate().map(|gate| format!("worst: {}", gate.explanation)).unwrap_or_default();
    let name = xml(&segment.name());
    let (message, worst) = (xml(&said.join("; ")), xml(&worst));
    let inside = match segment_state(segment) {
        State::Passed => format!("<system-out>{worst}</system-out>"),
        State::Failed => format!("<failure type=\"segment\" message=\"{message}\">{worst}</failure>"),
        State::Skipped => format!(
            "<skipped message=\"no gate is decided in this segment yet\"/>\n      <system-out>{worst}</system-out>"
        ),
    };
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "    <testcase classname=\"weir.{experiment}.segments\" name=\"{name}\">\n      {inside}\n    </testcase>"
    );
}
