//! A report that is asked many times: what was measured for one trial is not measured again for the next.
//!
//! Invariant: a sitting answers as [`crate::what_if`] does, to the byte, in whatever order it is asked.

use weir_gate::{Evaluation, Gates, Memory, MetricSeries, Segment, Spending};
use weir_report::{Look, Report, Trajectory};

use crate::change::{Change, Refused};
use crate::time::{OverTime, part};

/// A report with its evidence, and what was measured of it.
#[derive(Debug)]
pub struct Sitting {
    /// Without its evidence.
    report: Report,
    evidence: Vec<MetricSeries>,
    /// Of the whole evidence.
    memory: Memory,
    /// The part of the evidence that was looked at last.
    part: Option<Part>,
    over_time: OverTime,
}

/// A part of the evidence and what was measured of it.
#[derive(Debug)]
struct Part {
    after: Option<usize>,
    until: Option<usize>,
    without: Vec<Segment>,
    evidence: Vec<MetricSeries>,
    memory: Memory,
}

impl Sitting {
    /// Takes the report with its evidence.
    #[must_use]
    pub fn new(mut report: Report) -> Self {
        let evidence = std::mem::take(&mut report.evidence);
        Self { report, evidence, memory: Memory::default(), part: None, over_time: OverTime::default() }
    }

    /// The report as it was made, without its evidence.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The report as it would be with `change`, without evidence and trajectories, and its gates.
    ///
    /// # Errors
    /// [`Refused`]: no evidence, no gates, a gates document with problems, a look that is not there.
    pub fn changed(&mut self, change: &Change) -> Result<(Report, Gates), Refused> {
        let gates = self.gates(change)?;
        let evaluation = self.evaluation(&gates, change)?;
        // Only what is drawn again; a report can be large.
        let trajectories = std::mem::take(&mut self.report.trajectories);
        let mut changed = self.report.clone();
        self.report.trajectories = trajectories;
        changed.evaluation = evaluation;
        changed.gates = serde_json::from_str(&gates.to_json())?;
        changed.generated_from.gates_digest = gates.digest();
        changed.generated_from.left_out = left_out(&self.report.looks, change);
        Ok((changed, gates))
    }

    /// Each gate's interval look by look with `change`; the time range does not shorten it.
    ///
    /// # Errors
    /// As [`Sitting::changed`].
    pub fn trajectories(&mut self, change: &Change) -> Result<(Report, Vec<Trajectory>), Refused> {
        let (changed, gates) = self.changed(change)?;
        self.over_time_of(change);
        let trajectories = self.over_time.trajectories(&changed, &self.evidence, &gates);
        Ok((changed, trajectories))
    }

    /// Measures one look of [`Sitting::trajectories`] ahead, so that a page stays awake between looks.
    ///
    /// # Errors
    /// As [`Sitting::changed`].
    pub fn measure_look(&mut self, change: &Change, look: usize) -> Result<(), Refused> {
        let gates = self.gates(change)?;
        self.over_time_of(change);
        let _measured = self.over_time.at(&self.report, &self.evidence, &gates, look);
        Ok(())
    }

    /// The whole report with a change, evidence included: what `weir report --gates` writes.
    ///
    /// # Errors
    /// As [`Sitting::changed`].
    pub fn whole(&mut self, change: &Change) -> Result<Report, Refused> {
        let (mut changed, trajectories) = self.trajectories(change)?;
        changed.trajectories = trajectories;
        changed.evidence.clone_from(&self.evidence);
        Ok(changed)
    }

    fn over_time_of(&mut self, change: &Change) {
        if !self.over_time.is_without(&change.without) {
            self.over_time = OverTime::without(&change.without);
        }
    }

    fn gates(&self, change: &Change) -> Result<Gates, Refused> {
        let document = change.gates.as_ref().unwrap_or(&self.report.gates);
        if self.evidence.is_empty() {
            return Err(Refused::NoEvidence);
        }
        if document.is_null() {
            return Err(Refused::NoGates);
        }
        Gates::parse("gates", &document.to_string()).map_err(|problems| Refused::Gates(problems.to_string()))
    }

    fn evaluation(&mut self, gates: &Gates, change: &Change) -> Result<Evaluation, Refused> {
        let spending = Spending::new(self.report.spending);
        // How long a part of the evidence took is not in the report.
        let mut health = self.report.evaluation.health.clone();
        let span_seconds = health.span_seconds.take();
        let evaluation = if change.is_whole() {
            health.span_seconds = span_seconds;
            weir_gate::evaluate_again(gates, &self.evidence, &health, spending, &self.memory)
        } else {
            let part = self.part(change)?;
            let mut evaluation =
                weir_gate::evaluate_again(gates, &part.evidence, &health, spending, &part.memory);
            evaluation.health.span_seconds = span_seconds;
            evaluation
        };
        Ok(weir_gate::restrain(evaluation, &self.report.tripwires, &self.report.trust))
    }

    fn part(&mut self, change: &Change) -> Result<&Part, Refused> {
        let wanted = |part: &Part| {
            part.after == change.after && part.until == change.until && part.without == change.without
        };
        let part = match self.part.take() {
            Some(part) if wanted(&part) => part,
            _ => {
                let (after, until) = (look(&self.report, change.after)?, look(&self.report, change.until)?);
                Part {
                    after: change.after,
                    until: change.until,
                    without: change.without.clone(),
                    evidence: part(&self.evidence, after, until, &change.without),
                    memory: Memory::default(),
                }
            }
        };
        Ok(self.part.insert(part))
    }
}

fn look(report: &Report, index: Option<usize>) -> Result<Option<&Look>, Refused> {
    let Some(look) = index else { return Ok(None) };
    let looks = report.looks.len();
    report.looks.get(look).map(Some).ok_or(Refused::NoLook { look, looks })
}

/// What a change leaves out of the evidence, in words.
fn left_out(looks: &[Look], change: &Change) -> Vec<String> {
    let at = |index: Option<usize>| index.and_then(|index| looks.get(index)).map(|look| look.at.as_str());
    let mut left_out = Vec::new();
    left_out.extend(at(change.after).map(|at| format!("everything up to {at}")));
    left_out.extend(at(change.until).map(|at| format!("everything after {at}")));
    for segment in &change.without {
        let labels: Vec<String> =
            segment.iter().map(|(dimension, value)| format!("{dimension}={value}")).collect();
        left_out.push(labels.join(", "));
    }
    left_out
}
