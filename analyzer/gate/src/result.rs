//! What a verdict says: the result of each gate, the verdict, the reasons in order of importance.
//!
//! Invariant: every number in here is finite, so that JSON carries it.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::gates::Severity;
use crate::series::{Better, CaptureHealth};

/// What the gates say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every gate that counts is inside its margin.
    Promote,
    /// Undecided: more evidence is needed.
    Hold,
    /// Something is off; a human looks.
    Investigate,
    /// Better than expected; a human signs off.
    SignOff,
    /// Worse: back to control.
    Rollback,
}

/// What was compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// Both answers to the same request.
    Paired,
    /// Answers to different requests, within cohorts.
    Unpaired,
    /// Nothing: there was no data.
    None,
}

/// What one gate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The whole interval is inside the margin.
    Inside,
    /// The whole interval is past the margin, on the bad side.
    Breach,
    /// The interval contains the margin, or the evidence is below the gate's minimum.
    Undecided,
    /// The metric has no usable values.
    NoData,
    /// Inside, and the interval excludes no change on the good side.
    Improved,
    /// A metric without a better direction (or a gate with `direction: both`) is outside its margin.
    Diverged,
}

/// One gate on one metric, judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateResult {
    /// The gate's name; a wildcard gate gives one result per metric, named `gate (metric)`.
    pub gate: String,
    /// Metric id.
    pub metric: String,
    /// Unit of the metric.
    pub unit: String,
    /// Which way is better, as judged: `Neither` for a gate with `direction: both`.
    pub better: Better,
    /// How much the gate counts.
    pub severity: Severity,
    /// What was compared.
    pub comparison: Comparison,
    /// Pairs with finite values.
    pub n_pairs: u64,
    /// Values of control that were used (pairs: the same number).
    pub n_control: u64,
    /// Values of the candidate that were used.
    pub n_candidate: u64,
    /// Mean of control over the values used; for a fixed bound the bound.
    pub control: Option<f64>,
    /// Mean of the candidate over the values used.
    pub candidate: Option<f64>,
    /// Candidate minus control, or the relative change (0.1 = ten percent more) when `relative`.
    pub estimate: Option<f64>,
    /// Interval of what `estimate` estimates; holds at every look at once, at level `1 - alpha`.
    pub interval: Option<(f64, f64)>,
    /// The margin, the estimate and the interval are relative to control.
    pub relative: bool,
    /// Size of the allowed change, positive; 0 for a fixed bound, which `control` then holds.
    pub margin: f64,
    /// Error probability that the interval spends, over all looks.
    pub alpha: f64,
    /// Name of the statistical method.
    pub method: String,
    /// What the gate says.
    pub outcome: Outcome,
    /// About how many more pairs (or samples per arm) until the gate is inside, at the present estimate and spread.
    pub needed_more: Option<u64>,
    /// The result in one sentence.
    pub explanation: String,
    /// The part of the traffic that it is about: for each dimension its value; empty for all of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub segment: BTreeMap<String, String>,
    /// For a judge's score that people have labelled: what the judge alone says, and how it was corrected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correction: Option<Correction>,
}

/// A judge's score, held against people's labels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Correction {
    /// Whether the gate's estimate and interval are corrected; otherwise they are the judge's, for the reason in `text`.
    pub applied: bool,
    /// Mean of the judge's scores of control.
    pub raw_control: Option<f64>,
    /// Mean of the judge's scores of the candidate.
    pub raw_candidate: Option<f64>,
    /// Candidate minus control by the judge alone.
    pub raw_estimate: Option<f64>,
    /// Its interval, at the gate's alpha.
    pub raw_interval: Option<(f64, f64)>,
    /// Labelled answers of control.
    pub labels_control: u64,
    /// Labelled answers of the candidate.
    pub labels_candidate: u64,
    /// How much of the judge's difference counts, 0 to 1: the weight of prediction-powered inference; where applied.
    pub judge_weight: Option<f64>,
    /// About how many more labels of each variant until the gate is inside, where more pairs alone do not get it there.
    pub needed_labels: Option<u64>,
    /// How it was corrected, or why not.
    pub text: String,
}

/// One reason for the verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// In plain words.
    pub text: String,
    /// The gate that it comes from, if it comes from one.
    pub gate: Option<String>,
}

/// What the verdict rule promises for its set of gates, over all looks together, whatever the dependence of the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorRates {
    /// Greatest chance of a rollback where no gate's metric is past its margin.
    pub rollback: f64,
    /// Greatest chance of a promotion where some gate's metric is past its margin.
    pub promotion: f64,
    /// Greatest chance that a human is called, or more, where no gate's metric is past its margin.
    pub investigate: f64,
    /// Of it the part that segments have: the greatest chance that any gate in any segment is called past its margin where
    /// none is; 0 as long as there are no segments.
    #[serde(default)]
    pub segments: f64,
}

/// A segment and every gate in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SegmentResult {
    /// What it is a part by: `tier`, `route`, `language`, `tag:region`, ...
    pub dimension: String,
    /// The dimension's value.
    pub value: String,
    /// Pairs, or values of the smaller arm, of the gate that has the most.
    pub n: u64,
    /// The greatest harm of a gate that decides that its interval leaves no doubt about, in margins: how far the near end lies on the
    /// bad side of no change (for a gate both ways, on either side); 0 where no change is still possible.
    pub damage: f64,
    /// How far that gate's estimate lies on the bad side, in margins; negative where it is better.
    pub harm: f64,
    /// The deciding gate with the greatest damage, and of those without damage the one with the greatest harm.
    pub worst: Option<String>,
    /// Every gate that has values here, in the order of the gates.
    pub gates: Vec<GateResult>,
}

impl SegmentResult {
    /// `tier=internal`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}={}", self.dimension, self.value)
    }

    /// The result of the gate named in `worst`.
    #[must_use]
    pub fn worst_gate(&self) -> Option<&GateResult> {
        self.gates.iter().find(|result| Some(&result.gate) == self.worst.as_ref())
    }
}

/// How a segment contradicts the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Better than control overall, worse in the segment (both beyond doubt).
    WorseInSegment,
    /// Worse than control overall, better in the segment.
    BetterInSegment,
    /// Better overall, and worse in every segment of the dimension: Simpson's paradox.
    WorseInAll,
    /// Worse overall, and better in every segment of the dimension.
    BetterInAll,
    /// Past the margin in the segment, and not overall.
    Hidden,
}

/// A segment that contradicts the whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SegmentFinding {
    /// How.
    pub kind: FindingKind,
    /// The gate.
    pub gate: String,
    /// The segment's dimension.
    pub dimension: String,
    /// The segment's value; of a dimension all of whose segments contradict, the surest one.
    pub value: String,
    /// The finding in words.
    pub text: String,
}

/// The verdict with everything that led to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evaluation {
    /// What the gates say together.
    pub verdict: Verdict,
    /// Why, the most important first.
    pub reasons: Vec<Reason>,
    /// Every gate, in the order of the gates document.
    pub gates: Vec<GateResult>,
    /// Error probability of this evaluation's family of gates, over all looks.
    pub alpha: f64,
    /// What the rule promises for exactly these gates.
    pub error_rates: ErrorRates,
    /// One number from 0 to 100 for those who want one: the share of gates inside their margins, where critical gates weigh
    /// 3, major ones 2, advisory ones 1, and an undecided gate counts half. None without a gate that has values. It
    /// decides nothing: one critical breach rolls back at any score.
    #[serde(default)]
    pub score: Option<u8>,
    /// Every gate in every segment, the worst segment first; empty where the exchanges have no labels that differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<SegmentResult>,
    /// Where segments contradict the whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<SegmentFinding>,
    /// How often one may look: "any number".
    pub looks: String,
    /// The capture that the verdict rests on.
    pub health: CaptureHealth,
}

impl Verdict {
    /// Exit code of the command line.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Promote => 0,
            Self::Rollback => 1,
            Self::Hold => 3,
            Self::Investigate | Self::SignOff => 4,
        }
    }

    /// The word for people and for JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::Hold => "hold",
            Self::Investigate => "investigate",
            Self::SignOff => "sign-off",
            Self::Rollback => "rollback",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Outcome {
    /// The word for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inside => "inside",
            Self::Breach => "breach",
            Self::Undecided => "undecided",
            Self::NoData => "no data",
            Self::Improved => "improved",
            Self::Diverged => "diverged",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
