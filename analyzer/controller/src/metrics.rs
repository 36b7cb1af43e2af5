//! Where a rollout stands, as Prometheus' text: for node_exporter's textfile collector or any other reader of files.
//!
//! Invariants: one experiment per file; a file is replaced by a rename, so that no reader sees half of one; only what events
//! say is in here, no clock of its own.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use weir_gate::Verdict;

use crate::event::{Event, What};
use crate::rollout::Rollout;

const VERDICTS: [Verdict; 5] =
    [Verdict::Promote, Verdict::Hold, Verdict::Investigate, Verdict::SignOff, Verdict::Rollback];

/// What a watch has seen so far.
#[derive(Clone, Debug)]
pub struct RolloutMetrics {
    experiment: String,
    /// Name and the candidate's share of each step, in percent.
    steps: Vec<(String, f64)>,
    step: usize,
    revision: u64,
    confirmed: bool,
    verdict: Option<Verdict>,
    undecided_since: Option<Timestamp>,
    last_look: Option<Timestamp>,
    pairs: u64,
    rolled_back: bool,
    ended: bool,
    rollbacks: u64,
    push_failures: u64,
    look_failures: u64,
}

impl RolloutMetrics {
    /// Before the first event.
    #[must_use]
    pub fn new(rollout: &Rollout) -> Self {
        let steps = rollout
            .steps
            .iter()
            .map(|step| (step.name.clone(), step.candidate_percent.map_or(0.0, |share| share.percent())));
        Self {
            experiment: rollout.experiment.clone(),
            steps: steps.collect(),
            step: 0,
            revision: 0,
            confirmed: false,
            verdict: None,
            undecided_since: None,
            last_look: None,
            pairs: 0,
            rolled_back: false,
            ended: false,
            rollbacks: 0,
            push_failures: 0,
            look_failures: 0,
        }
    }

    /// Takes an event in.
    pub fn take(&mut self, event: &Event) {
        match &event.what {
            What::Started { position, .. } => self.step = position.0,
            What::Pushed { revision, step, .. } => {
                self.revision = *revision;
                self.confirmed = false;
                let entered = self.steps.iter().position(|(name, _)| name == step).unwrap_or(self.step);
                if entered != self.step {
                    self.undecided_since = None;
                }
                self.step = entered;
            }
            What::Confirmed { revision, .. } => {
                self.revision = *revision;
                self.confirmed = true;
            }
            What::NotConfirmed { .. } => self.push_failures += 1,
            What::Looked { evaluation, .. } => {
                self.verdict = Some(evaluation.verdict);
                self.last_look = Some(event.at);
                self.pairs = evaluation.health.pairs;
                let undecided = matches!(evaluation.verdict, Verdict::Hold | Verdict::Investigate);
                self.undecided_since = undecided.then(|| self.undecided_since.unwrap_or(event.at));
            }
            What::LookFailed { .. } => self.look_failures += 1,
            What::RolledBack { .. } => {
                self.rollbacks += 1;
                self.rolled_back = true;
                self.ended = true;
                self.undecided_since = None;
            }
            What::Finished { .. } => {
                self.ended = true;
                self.undecided_since = None;
            }
            What::Stopped(_) => self.ended = true,
            What::Advanced { .. } | What::SignOffRequested { .. } | What::Noticed(_) | What::Trouble(_) => {}
        }
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let seconds = |at: Option<Timestamp>| at.map_or(0.0, |at| at.as_millisecond() as f64 / 1_000.0);
        let flag = |set: bool| if set { 1.0 } else { 0.0 };
        // A rolled-back rollout gives the candidate nothing, whatever its step says.
        let share = self.steps.get(self.step).map_or(0.0, |(_, percent)| *percent);
        let share = if self.rolled_back { 0.0 } else { share };
        let families: [(&str, &str, &str, f64); 12] = [
            ("weir_rollout_step", "gauge", "Index of the step, from 0.", self.step as f64),
            ("weir_rollout_steps", "gauge", "How many steps there are.", self.steps.len() as f64),
            (
                "weir_rollout_candidate_percent",
                "gauge",
                "Share that the candidate answers, in percent.",
                share,
            ),
            ("weir_rollout_revision", "gauge", "Policy revision that was pushed last.", self.revision as f64),
            (
                "weir_rollout_confirmed",
                "gauge",
                "1 when all proxies confirmed that revision.",
                flag(self.confirmed),
            ),
            ("weir_rollout_pairs", "gauge", "Pairs of answers at the last look.", self.pairs as f64),
            (
                "weir_rollout_undecided_since_timestamp_seconds",
                "gauge",
                "Since when looks say hold or investigate; 0 when they do not.",
                seconds(self.undecided_since),
            ),
            (
                "weir_rollout_last_look_timestamp_seconds",
                "gauge",
                "Time of the last look; 0 before.",
                seconds(self.last_look),
            ),
            ("weir_rollout_ended", "gauge", "1 when the watch has ended.", flag(self.ended)),
            ("weir_rollout_rollbacks_total", "counter", "Confirmed rollbacks.", self.rollbacks as f64),
            (
                "weir_rollout_push_failures_total",
                "counter",
                "Pushes that were not confirmed.",
                self.push_failures as f64,
            ),
            ("weir_rollout_look_failures_total", "counter", "Looks that failed.", self.look_failures as f64),
        ];
        let experiment = escaped(&self.experiment);
        for (name, kind, help, value) in families {
            // Writing to a String cannot fail.
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
            let _ = writeln!(text, "{name}{{experiment=\"{experiment}\"}} {value}");
        }
        let name = "weir_rollout_verdict";
        let _ = write!(text, "# HELP {name} 1 for the verdict of the last look.\n# TYPE {name} gauge\n");
        for verdict in VERDICTS {
            let value = flag(self.verdict == Some(verdict));
            let _ = writeln!(text, "{name}{{experiment=\"{experiment}\",verdict=\"{verdict}\"}} {value}");
        }
        text
    }

    /// Puts the text in place of the file, by a rename in its folder.
    ///
    /// # Errors
    /// What the file system says; then the old file still stands.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let temporary = path.with_extension("prom.tmp");
        fs::write(&temporary, self.text())?;
        fs::rename(&temporary, path)
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;
    use crate::state::{Action, Advice};
    use crate::testing::{evaluation, rollout};

    fn at(second: i64, what: What) -> Event {
        Event { at: Timestamp::from_second(second).unwrap(), what }
    }

    fn looked(verdict: Verdict) -> What {
        let advice = Advice { action: Action::Stay, reasons: Vec::new() };
        let evaluation = Box::new(evaluation(verdict));
        What::Looked { revision: 8, step: rollout().steps[1].name.clone(), evaluation, advice, look_ms: 1.0 }
    }

    fn pushed(step: usize) -> What {
        let step = rollout().steps[step].name.clone();
        What::Pushed { revision: 8, mode: "canary".to_owned(), step, written_ms: 1.0 }
    }

    fn value(metrics: &RolloutMetrics, name: &str) -> f64 {
        let text = metrics.text();
        let line =
            text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{')));
        line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
    }

    #[test]
    fn undecided_counts_from_the_first_such_look_and_ends_with_a_decision() {
        let mut metrics = RolloutMetrics::new(&rollout());
        let since =
            |metrics: &RolloutMetrics| value(metrics, "weir_rollout_undecided_since_timestamp_seconds");
        assert_eq!(since(&metrics), 0.0);
        metrics.take(&at(100, looked(Verdict::Hold)));
        metrics.take(&at(110, looked(Verdict::Investigate)));
        assert_eq!(since(&metrics), 100.0);
        assert_eq!(value(&metrics, "weir_rollout_last_look_timestamp_seconds"), 110.0);
        metrics.take(&at(120, looked(Verdict::Promote)));
        assert_eq!(since(&metrics), 0.0);
        assert!(metrics.text().contains("verdict=\"promote\"} 1\n"));
        assert!(metrics.text().contains("verdict=\"hold\"} 0\n"));
    }

    #[test]
    fn a_push_is_unconfirmed_until_the_proxies_say_so_and_a_rollback_takes_the_share_away() {
        let mut metrics = RolloutMetrics::new(&rollout());
        metrics.take(&at(1, pushed(1)));
        assert_eq!(value(&metrics, "weir_rollout_confirmed"), 0.0);
        assert_eq!(value(&metrics, "weir_rollout_step"), 1.0);
        metrics.take(&at(2, What::Confirmed { revision: 8, proxies: Vec::new(), confirmed_ms: 1.0 }));
        assert_eq!(value(&metrics, "weir_rollout_confirmed"), 1.0);
        assert_eq!(value(&metrics, "weir_rollout_revision"), 8.0);
        let share = rollout().steps[1].candidate_percent.unwrap().percent();
        assert!(share > 0.0);
        assert_eq!(value(&metrics, "weir_rollout_candidate_percent"), share);
        metrics.take(&at(3, looked(Verdict::Rollback)));
        metrics.take(&at(3, What::RolledBack { reasons: Vec::new(), written_ms: None, confirmed_ms: None }));
        assert_eq!(value(&metrics, "weir_rollout_candidate_percent"), 0.0);
        assert_eq!(value(&metrics, "weir_rollout_rollbacks_total"), 1.0);
        assert_eq!(value(&metrics, "weir_rollout_ended"), 1.0);
    }

    #[test]
    fn the_file_is_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weir.prom");
        let metrics = RolloutMetrics::new(&rollout());
        metrics.write(&path).unwrap();
        metrics.write(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), metrics.text());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
