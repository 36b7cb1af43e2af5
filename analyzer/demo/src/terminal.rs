//! The demo in a terminal: the timeline scrolls on standard error, the status is redrawn below it, the summary goes to standard output.
//!
//! Without a terminal (a pipe, a CI log) there is no redrawing: the timeline's lines, and every five seconds one line of
//! status. Colour only underlines what a word says already, and `NO_COLOR` turns it off. A line of the status never
//! wraps: the terminal cuts it, so that the number of lines to go up is known.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use weir_gate::{GateResult, Outcome};
use weir_report::Screen;

use crate::ui::{About, Note, Status, Ui};

/// Time between two lines of status where nothing can be redrawn.
const PLAIN_STATUS_INTERVAL: Duration = Duration::from_secs(5);

/// Standard error and standard output.
pub struct Terminal {
    screen: Screen,
    last_plain: Mutex<Duration>,
}

impl Default for Terminal {
    fn default() -> Self {
        Self::new()
    }
}

impl Terminal {
    /// Redraws where standard error is a terminal that understands it.
    #[must_use]
    pub fn new() -> Self {
        Self { screen: Screen::new(), last_plain: Mutex::default() }
    }
}

impl Ui for Terminal {
    fn note(&self, note: &Note) {
        self.screen.say(&note_line(note, self.screen.colour()));
    }

    fn status(&self, status: &Status) {
        if self.screen.is_live() {
            self.screen.show(status_lines(status, self.screen.colour()));
            return;
        }
        let mut last_plain = self.last_plain.lock().unwrap_or_else(PoisonError::into_inner);
        if status.at >= *last_plain + PLAIN_STATUS_INTERVAL {
            *last_plain = status.at;
            self.screen.say(&plain_line(status));
        }
    }

    fn summary(&self, text: &str) {
        self.screen.clear();
        let mut out = std::io::stdout().lock();
        // The reader of a closed pipe does not want the rest.
        let _closed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

/// A line of the timeline.
#[must_use]
pub fn note_line(note: &Note, colour: bool) -> String {
    let word = format!("{:<8}", note.about.as_str());
    let word = match note.about {
        About::Verdict | About::Problem => painted(&word, "1;31", colour),
        About::Gate => painted(&word, "33", colour),
        About::Step => painted(&word, "1", colour),
        _ => word,
    };
    format!("{:>6.1} s  {word} {}", note.at.as_secs_f64(), printable(&note.text))
}

/// The status for a terminal, one item per line.
#[must_use]
pub fn status_lines(status: &Status, colour: bool) -> Vec<String> {
    let mut lines = vec!["─".repeat(78), where_it_is(status), what_users_see(status)];
    lines.extend(status.gates.iter().map(|gate| gate_line(gate, colour)));
    lines
}

/// The status where nothing can be redrawn.
#[must_use]
pub fn plain_line(status: &Status) -> String {
    let closed = status.gates.iter().filter(|gate| is_closed(gate)).count();
    let gates = match status.gates.len() {
        0 => "no look yet".to_owned(),
        all => format!("{closed} of {all} gates closed"),
    };
    format!(
        "{:>6.1} s  status   {}, {gates}; {}",
        status.at.as_secs_f64(),
        where_it_is(status),
        what_users_see(status)
    )
}

/// A gate that needs no more evidence.
#[must_use]
pub fn is_closed(gate: &GateResult) -> bool {
    !matches!(gate.outcome, Outcome::Undecided | Outcome::NoData)
}

/// How a figure is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// As it is.
    Plain,
    /// A share, or a change relative to control.
    Percent,
    /// A difference of shares.
    Points,
}

impl Scale {
    /// The scale of a gate's means.
    pub(crate) fn of_mean(gate: &GateResult) -> Self {
        if gate.unit == "share" { Self::Percent } else { Self::Plain }
    }

    /// The scale of a gate's change, its interval and its margin.
    pub(crate) fn of_change(gate: &GateResult) -> Self {
        match (gate.relative, gate.unit.as_str()) {
            (true, _) => Self::Percent,
            (false, "share") => Self::Points,
            (false, _) => Self::Plain,
        }
    }

    /// The figure with its unit.
    pub(crate) fn text(self, value: f64) -> String {
        match self {
            Self::Percent => format!("{:.1} %", value * 100.0),
            Self::Points => format!("{:.1} pt", value * 100.0),
            Self::Plain if value.abs() >= 1000.0 => format!("{value:.0}"),
            Self::Plain if value.abs() >= 10.0 => format!("{value:.1}"),
            Self::Plain => format!("{value:.3}"),
        }
    }

    /// The same with its sign.
    pub(crate) fn signed(self, value: f64) -> String {
        let text = self.text(value);
        if value > 0.0 { format!("+{text}") } else { text }
    }
}

fn where_it_is(status: &Status) -> String {
    let (step, steps) = status.step_of;
    let verdict = status.verdict.map(|verdict| format!(", verdict {verdict}")).unwrap_or_default();
    format!(
        "step {step} of {steps}: {} (revision {}), candidate serves {} %, {} pairs{verdict}",
        status.step, status.revision, status.candidate_percent, status.pairs
    )
}

fn what_users_see(status: &Status) -> String {
    format!(
        "users: {} answered, {} failed, {} by the candidate",
        status.answered, status.failed, status.by_candidate
    )
}

fn gate_line(gate: &GateResult, colour: bool) -> String {
    let scale = Scale::of_change(gate);
    let mean =
        |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| Scale::of_mean(gate).text(value));
    let change = match (gate.estimate, gate.interval) {
        (Some(estimate), Some((low, high))) => {
            format!("{} [{}, {}]", scale.signed(estimate), scale.signed(low), scale.signed(high))
        }
        _ => "no data yet".to_owned(),
    };
    // The words come first: a narrow terminal cuts figures, not meaning.
    let outcome = format!("{:<10}", gate.outcome.as_str());
    let outcome = match gate.outcome {
        Outcome::Breach | Outcome::Diverged => painted(&outcome, "1;31", colour),
        Outcome::Inside | Outcome::Improved => painted(&outcome, "32", colour),
        Outcome::Undecided | Outcome::NoData => outcome,
    };
    let more = match (gate.outcome, gate.needed_more) {
        (Outcome::Undecided, Some(more)) => format!(", about {more} more"),
        _ => String::new(),
    };
    format!(
        "  {outcome} {:<10} {:>8} (control {:>8})  {change}, margin {}{more}",
        printable(&gate.gate),
        mean(gate.candidate),
        mean(gate.control),
        scale.text(gate.margin),
    )
}

/// Captured text must not steer the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

fn painted(text: &str, code: &str, colour: bool) -> String {
    if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use weir_gate::{Better, Comparison, Severity, Verdict};

    use super::*;

    pub(crate) fn gate(name: &str, outcome: Outcome) -> GateResult {
        GateResult {
            gate: name.into(),
            metric: "json_fields:order_id".into(),
            unit: "share".into(),
            better: Better::Higher,
            severity: Severity::Critical,
            comparison: Comparison::Paired,
            n_pairs: 500,
            n_control: 500,
            n_candidate: 500,
            control: Some(1.0),
            candidate: Some(0.612),
            estimate: Some(-0.388),
            interval: Some((-0.452, -0.324)),
            relative: false,
            margin: 0.05,
            alpha: 0.001,
            method: "test".into(),
            outcome,
            needed_more: (outcome == Outcome::Undecided).then_some(240),
            explanation: "order_id is there in 61.2 % of the candidate's answers, 100.0 % of control's"
                .into(),
            segment: weir_gate::Segment::new(),
            correction: None,
        }
    }

    fn status() -> Status {
        Status {
            at: Duration::from_millis(31_400),
            step: "20 %".into(),
            step_of: (3, 3),
            revision: 4,
            candidate_percent: 20.0,
            answered: 2810,
            by_candidate: 301,
            samples: 900,
            pairs: 410,
            gates: vec![gate("fields", Outcome::Breach), gate("length", Outcome::Undecided)],
            verdict: Some(Verdict::Rollback),
            ..Status::default()
        }
    }

    #[test]
    fn the_status_names_every_outcome_in_words_without_colour() {
        let lines = status_lines(&status(), false);
        assert_eq!(
            lines[1..],
            [
                "step 3 of 3: 20 % (revision 4), candidate serves 20 %, 410 pairs, verdict rollback",
                "users: 2810 answered, 0 failed, 301 by the candidate",
                "  breach     fields       61.2 % (control  100.0 %)  -38.8 pt [-45.2 pt, -32.4 pt], margin 5.0 pt",
                "  undecided  length       61.2 % (control  100.0 %)  -38.8 pt [-45.2 pt, -32.4 pt], margin 5.0 pt, \
                 about 240 more",
            ]
        );
        assert!(lines.iter().all(|line| !line.contains('\x1b')));
    }

    #[test]
    fn colour_adds_nothing_but_colour() {
        let coloured = status_lines(&status(), true).join("\n");
        assert!(coloured.contains("\x1b[1;31mbreach    \x1b[0m"));
        assert_eq!(
            coloured.replace("\x1b[1;31m", "").replace("\x1b[0m", ""),
            status_lines(&status(), false).join("\n")
        );
    }

    #[test]
    fn without_a_terminal_the_status_is_one_line() {
        let line = plain_line(&status());
        assert_eq!(
            line,
            "  31.4 s  status   step 3 of 3: 20 % (revision 4), candidate serves 20 %, 410 pairs, verdict rollback, \
             1 of 2 gates closed; users: 2810 answered, 0 failed, 301 by the candidate"
        );
    }

    #[test]
    fn before_the_first_look_of_a_step_nothing_is_said_of_gates() {
        let line = plain_line(&Status { gates: Vec::new(), verdict: None, ..status() });
        assert!(line.contains("410 pairs, no look yet; users:"), "{line}");
    }

    #[test]
    fn a_note_is_one_line_whatever_is_in_it() {
        let note = Note { at: Duration::from_secs(3), about: About::Step, text: "5 %\n\x1b[2Jof all".into() };
        assert_eq!(note_line(&note, false), "   3.0 s  step     5 %  [2Jof all");
    }
}
