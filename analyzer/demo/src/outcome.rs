//! How a demo ended, what it says about that, and its exit code. Pure.
//!
//! | scenario | exit code |
//! |---|---|
//! | worse, meaning | 0 only when the candidate was caught after it turned worse, the rollback was pushed and confirmed, and no client request failed; else 1, or 6 when only the confirmation is missing |
//! | same | that of the final verdict (0 promote, 3 hold; 1 means that it was rolled back without cause) |
//! | better | that of the final verdict (4: a human signs off) |
//! | recorded answers | that of the final verdict: 0 promote, 1 rollback, 3 hold, 4 sign-off or investigate |
//!
//! In the last three a failed client request makes it 5.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use weir_gate::{Outcome, Verdict};

use crate::tally::Counts;

/// What the candidate does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Healthy at first, then subtly worse.
    Worse,
    /// The same model under another name.
    Same,
    /// Better than control.
    Better,
    /// Healthy at first, then answers that look the same and are about something else.
    Meaning,
}

impl Scenario {
    /// The word on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Worse => "worse",
            Self::Same => "same",
            Self::Better => "better",
            Self::Meaning => "meaning",
        }
    }

    /// Whether the candidate turns worse while it serves.
    #[must_use]
    pub fn turns(self) -> bool {
        matches!(self, Self::Worse | Self::Meaning)
    }
}

/// What was shown: a scenario, or the recorded answers of two models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Synthetic models.
    Synthetic(Scenario),
    /// Recorded answers.
    Recorded {
        /// The model that serves today.
        control: String,
        /// The model that is tried.
        candidate: String,
    },
}

/// A gate that was not content at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caught {
    /// The gate's name.
    pub gate: String,
    /// Breach, diverged or improved.
    pub outcome: Outcome,
    /// What it saw, in one sentence.
    pub explanation: String,
}

/// The rollback, if there was one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollback {
    /// The revision that takes the candidate away.
    pub revision: u64,
    /// The proxy said that it serves it; the time counts from the verdict.
    pub confirmed_after: Option<Duration>,
    /// From the verdict to the end of the candidate's last answer to a user; none: there was no answer after it.
    pub last_answer_after: Option<Duration>,
}

/// What the candidate's turn to the worse did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// From the turn to the verdict; none when the verdict came before it, or never.
    pub to_verdict: Option<Duration>,
    /// Answers by the candidate to users after the turn.
    pub answers: u64,
    /// Those that lack the field that a consumer needs.
    pub unusable: u64,
}

/// How a demo ended.
#[derive(Clone, Debug, PartialEq)]
pub struct DemoOutcome {
    /// What was shown.
    pub subject: Subject,
    /// The verdict of the last look, or of the one that ended the rollout.
    pub verdict: Verdict,
    /// Why, the most important first.
    pub reasons: Vec<String>,
    /// Name of the step that the rollout reached.
    pub step: String,
    /// All steps were passed.
    pub finished: bool,
    /// The gates that made the verdict.
    pub caught: Vec<Caught>,
    /// Gates that said more once the answers and scores that were still under way had arrived.
    pub later: Vec<Caught>,
    /// The rollback, if there was one.
    pub rollback: Option<Rollback>,
    /// The turn to the worse, if there was one.
    pub turn: Option<Turn>,
    /// What users saw.
    pub counts: Counts,
    /// The first failures of client requests, in words.
    pub failures: Vec<String>,
    /// How long all of it took.
    pub took: Duration,
    /// The HTML report.
    pub report: PathBuf,
    /// The data folder (Parquet).
    pub data: PathBuf,
    /// The folder of policy, gates, rollout and everything else.
    pub folder: PathBuf,
}

/// A client request failed, in a scenario that says nothing about failures with its own codes.
const EXIT_CLIENTS_FAILED: u8 = 5;
/// Nobody confirmed the rollback.
const EXIT_NOT_CONFIRMED: u8 = 6;

impl DemoOutcome {
    /// The exit code, see the table in this file's header.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.subject {
            Subject::Synthetic(scenario) if scenario.turns() => self.exit_code_of_worse(),
            _ if self.counts.failed > 0 => EXIT_CLIENTS_FAILED,
            _ if self.rollback.as_ref().is_some_and(|rollback| rollback.confirmed_after.is_none()) => {
                EXIT_NOT_CONFIRMED
            }
            _ => self.verdict.exit_code(),
        }
    }

    fn exit_code_of_worse(&self) -> u8 {
        let caught_after_the_turn = self.turn.is_some_and(|turn| turn.to_verdict.is_some());
        match &self.rollback {
            Some(rollback)
                if caught_after_the_turn && self.counts.failed == 0 && self.counts.answered > 0 =>
            {
                if rollback.confirmed_after.is_some() { 0 } else { EXIT_NOT_CONFIRMED }
            }
            _ => 1,
        }
    }

    /// What is printed at the end.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut text = format!("\n{}\n", self.headline());
        let first = match self.verdict {
            Verdict::Rollback => "caught by the gates",
            _ => "gates that said more than \"inside\"",
        };
        let later = "and by these, once the answers and scores under way had arrived";
        for (title, gates) in [(first, &self.caught), (later, &self.later)] {
            if !gates.is_empty() {
                let _infallible = writeln!(text, "\n  {title}");
            }
            for caught in gates {
                let _infallible = writeln!(text, "    {:<9} {}", caught.outcome, caught.explanation);
            }
        }
        let told = |reason: &&String| self.caught.iter().any(|caught| caught.explanation == **reason);
        if self.verdict != Verdict::Rollback {
            let _infallible = writeln!(text, "\n  why {}", self.verdict);
            for reason in self.reasons.iter().filter(|reason| !told(reason)).take(3) {
                let _infallible = writeln!(text, "    {reason}");
            }
        }
        text.push('\n');
        for (name, value) in self.figures() {
            let _infallible = writeln!(text, "  {name:<44} {value}");
        }
        for failure in &self.failures {
            let _infallible = writeln!(text, "    failed: {failure}");
        }
        let _infallible = writeln!(text, "\n{}", self.meaning_of_exit_code());
        text
    }

    fn headline(&self) -> String {
        let candidate = match &self.subject {
            Subject::Recorded { control, candidate } => {
                format!("{candidate} (candidate) beside {control} (control)")
            }
            Subject::Synthetic(_) => "the candidate".to_owned(),
        };
        match (&self.rollback, self.turn.and_then(|turn| turn.to_verdict)) {
            (Some(_), Some(after)) => {
                format!(
                    "Caught: {candidate} was rolled back, {:.1} s after it had turned worse.",
                    after.as_secs_f64()
                )
            }
            (Some(_), None) => format!("Rolled back: {candidate}, at step {}.", self.step),
            (None, _) if self.verdict == Verdict::SignOff => {
                format!("Better: {candidate} waits at step {} for a human to sign off.", self.step)
            }
            (None, _) if self.finished => {
                format!("Passed: {candidate} went through every step without a rollback.")
            }
            (None, _) => {
                format!("Not decided: {candidate} is at step {}, the verdict is {}.", self.step, self.verdict)
            }
        }
    }

    fn figures(&self) -> Vec<(&'static str, String)> {
        let mut figures = vec![(
            "answers by the candidate to users",
            format!("{} of {}", self.counts.by_candidate, self.counts.answered),
        )];
        if let Some(turn) = self.turn {
            figures.push(("  of them after it had turned worse", turn.answers.to_string()));
            figures.push(("  of those without order_id", turn.unusable.to_string()));
        }
        if let Some(rollback) = &self.rollback {
            let confirmed = match rollback.confirmed_after {
                Some(after) => format!("{} (revision {})", milliseconds(after), rollback.revision),
                None => format!("never (revision {} was written)", rollback.revision),
            };
            figures.push(("from verdict to push confirmed by Envoy", confirmed));
            let last =
                rollback.last_answer_after.map_or_else(|| "none came after it".to_owned(), milliseconds);
            figures.push(("from verdict to the candidate's last answer", last));
        }
        figures.push(("failed client requests", format!("{} of {}", self.counts.failed, self.counts.sent)));
        if self.counts.skipped > 0 {
            figures.push(("requests not sent (too many open)", self.counts.skipped.to_string()));
        }
        figures.push(("took", format!("{:.0} s", self.took.as_secs_f64())));
        figures.push(("report", self.report.display().to_string()));
        figures.push(("samples and scores (Parquet)", self.data.display().to_string()));
        figures.push(("policy, gates, rollout, ecds, logs", self.folder.display().to_string()));
        figures
    }

    fn meaning_of_exit_code(&self) -> String {
        let code = self.exit_code();
        let meaning = match (&self.subject, code) {
            (Subject::Synthetic(scenario), 0) if scenario.turns() => {
                "caught, pushed and confirmed, and no client request failed"
            }
            (_, EXIT_CLIENTS_FAILED) => "client requests failed",
            (Subject::Synthetic(scenario), 1) if scenario.turns() && self.counts.failed > 0 => {
                "client requests failed"
            }
            (Subject::Synthetic(scenario), 1) if scenario.turns() => "the worse candidate was not caught",
            (_, EXIT_NOT_CONFIRMED) => "the rollback was not confirmed",
            (_, 0) => "the verdict is promote",
            (_, _) if self.verdict == Verdict::SignOff => "the verdict is sign-off: a human decides",
            (_, 1) => "the verdict is rollback",
            (_, 3) => "the verdict is hold: too little data to decide, and nothing worse was found",
            (_, _) => "a human has to look",
        };
        format!("exit code {code}: {meaning}")
    }
}

fn milliseconds(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    fn caught() -> DemoOutcome {
        DemoOutcome {
            subject: Subject::Synthetic(Scenario::Worse),
            verdict: Verdict::Rollback,
            reasons: vec!["fields breached".into()],
            step: "20 %".into(),
            finished: false,
            caught: vec![Caught {
                gate: "fields".into(),
                outcome: Outcome::Breach,
                explanation: "order_id: 39 points less".into(),
            }],
            later: vec![Caught {
                gate: "quality".into(),
                outcome: Outcome::Breach,
                explanation: "quality: 0.2 less".into(),
            }],
            rollback: Some(Rollback {
                revision: 5,
                confirmed_after: Some(Duration::from_millis(61)),
                last_answer_after: Some(Duration::from_millis(94)),
            }),
            turn: Some(Turn { to_verdict: Some(Duration::from_millis(2400)), answers: 44, unusable: 17 }),
            counts: Counts { sent: 3000, answered: 3000, by_candidate: 301, ..Counts::default() },
            failures: Vec::new(),
            took: Duration::from_secs(47),
            report: "out/report.html".into(),
            data: "out/data".into(),
            folder: "out".into(),
        }
    }

    #[test]
    fn worse_passes_only_when_caught_confirmed_and_without_a_failed_request() {
        assert_eq!(caught().exit_code(), 0);
        let mut failed = caught();
        failed.counts.failed = 1;
        assert_eq!(failed.exit_code(), 1);
        let mut unconfirmed = caught();
        unconfirmed.rollback.as_mut().unwrap().confirmed_after = None;
        assert_eq!(unconfirmed.exit_code(), 6);
        let missed = DemoOutcome { rollback: None, verdict: Verdict::Promote, ..caught() };
        assert_eq!(missed.exit_code(), 1);
        // A rollback while the candidate was still healthy is a false alarm, not a catch.
        let too_early = DemoOutcome { turn: None, ..caught() };
        assert_eq!(too_early.exit_code(), 1);
        let silent = DemoOutcome { counts: Counts::default(), ..caught() };
        assert_eq!(silent.exit_code(), 1);
    }

    #[test]
    fn the_other_subjects_end_with_the_verdicts_code() {
        let recorded = Subject::Recorded { control: "a".into(), candidate: "b".into() };
        for subject in [Subject::Synthetic(Scenario::Same), Subject::Synthetic(Scenario::Better), recorded] {
            for (verdict, code) in
                [(Verdict::Promote, 0), (Verdict::Hold, 3), (Verdict::SignOff, 4), (Verdict::Investigate, 4)]
            {
                let outcome =
                    DemoOutcome { subject: subject.clone(), verdict, rollback: None, turn: None, ..caught() };
                assert_eq!(outcome.exit_code(), code, "{subject:?} {verdict}");
            }
            let mut rolled_back = DemoOutcome { subject: subject.clone(), turn: None, ..caught() };
            assert_eq!(rolled_back.exit_code(), 1);
            rolled_back.counts.failed = 2;
            assert_eq!(rolled_back.exit_code(), 5);
        }
    }

    #[test]
    fn the_summary_of_a_catch_has_every_figure() {
        let summary = caught().summary();
        for part in [
            "Caught: the candidate was rolled back, 2.4 s after it had turned worse.",
            "    breach    order_id: 39 points less",
            "had arrived\n    breach    quality: 0.2 less",
            "answers by the candidate to users            301 of 3000",
            "  of them after it had turned worse          44",
            "  of those without order_id                  17",
            "from verdict to push confirmed by Envoy      61 ms (revision 5)",
            "from verdict to the candidate's last answer  94 ms",
            "failed client requests                       0 of 3000",
            "out/report.html",
            "exit code 0: caught, pushed and confirmed, and no client request failed",
        ] {
            assert!(summary.contains(part), "{part}\n{summary}");
        }
    }

    #[test]
    fn the_summary_of_a_sign_off_says_who_has_to_act() {
        let outcome = DemoOutcome {
            subject: Subject::Recorded { control: "a".into(), candidate: "b".into() },
            verdict: Verdict::SignOff,
            step: "shadow".into(),
            rollback: None,
            turn: None,
            ..caught()
        };
        let summary = outcome.summary();
        assert!(
            summary.contains("Better: b (candidate) beside a (control) waits at step shadow for a human"),
            "{summary}"
        );
        assert!(summary.contains("exit code 4: the verdict is sign-off: a human decides"), "{summary}");
    }
}
