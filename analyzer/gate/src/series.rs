//! What a verdict is made from: one series per metric, and how well the capture worked.
//!
//! Invariant: nothing in here is a statistic; values are as they were measured, in time order.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::labels::Labels;
use crate::measure::PAIRS_MIN;
use crate::places::Places;
use crate::settled::Settled;
use crate::values::{Pairs, Values};

/// Which way a metric should move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// More is better: a score, a success rate.
    Higher,
    /// Less is better: an error rate, a latency.
    Lower,
    /// Neither: a length; a change either way is a divergence.
    #[default]
    Neither,
}

/// The unpaired values of one cohort, each variant in time order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stratum {
    /// The cohort.
    pub name: String,
    /// Values of primary legs that control served.
    pub control: Values,
    /// Values of primary legs that the candidate served.
    pub candidate: Values,
    /// For each value of control the number of the identity that it is of; empty where none is known.
    #[serde(default, skip_serializing_if = "nowhere")]
    pub control_clusters: Places,
    /// The same for the candidate.
    #[serde(default, skip_serializing_if = "nowhere")]
    pub candidate_clusters: Places,
}

/// What a person says of one answer, on the scale of the metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PersonLabel {
    /// Whether the candidate gave the answer.
    pub candidate: bool,
    /// The person's score.
    pub score: f64,
    /// How much it counts: one over the probability that this answer was asked about, up to a factor.
    pub weight: f64,
    /// The answer's place among the pairs, where it is in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pair: Option<u32>,
    /// Its stratum and its place among that variant's values there, where it is in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stratum: Option<(u32, u32)>,
}

/// Every value of one metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetricSeries {
    /// Metric id, for example `json_valid` or `score:helpful`.
    pub name: String,
    /// Unit for people: `ms`, `characters`, `share`; may be empty.
    pub unit: String,
    /// Which way is better.
    pub better: Better,
    /// The least and the greatest value that the metric can have, if it is bounded; for 0/1 flags `(0.0, 1.0)`.
    pub bounds: Option<(f64, f64)>,
    /// `(control, candidate)` of the same exchange, in time order.
    pub pairs: Pairs,
    /// For each pair the number of the identity that it is of (dense numbers, from 0); empty where none is known, and
    /// pairs then count as independent.
    #[serde(default, skip_serializing_if = "nowhere")]
    pub pair_clusters: Places,
    /// `(control, second answer of control)` of the same exchange, in time order.
    pub noise_pairs: Pairs,
    /// Unpaired values by cohort.
    pub strata: Vec<Stratum>,
    /// Samples for which the metric has no value.
    pub missing: u64,
    /// What the exchanges are labelled with; empty where nothing is.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// What people say of some of the answers, in the order in which they said it; empty for metrics that no judge made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<PersonLabel>,
    /// What is left of the values where there are too many to keep: pairs, strata and their labels are empty then, and nobody has
    /// labelled anything. It is not put into a report.
    #[serde(skip)]
    pub settled: Option<Arc<Settled>>,
}

impl MetricSeries {
    /// The same as it was at the end of the first so many stretches; only of one that is settled.
    #[must_use]
    pub fn until(&self, stretches: usize) -> Self {
        let settled = self.settled.as_ref().map(|settled| Arc::new(settled.until(stretches)));
        Self { settled, ..self.clone() }
    }

    /// How many numbers it is made of, in all.
    #[must_use]
    pub fn numbers(&self) -> usize {
        let stratum = |stratum: &Stratum| {
            stratum.control.len()
                + stratum.candidate.len()
                + stratum.control_clusters.len()
                + stratum.candidate_clusters.len()
        };
        let labels = self.labels.strata.iter().map(|(control, candidate)| control.len() + candidate.len());
        2 * self.pairs.len()
            + self.pair_clusters.len()
            + 2 * self.noise_pairs.len()
            + self.strata.iter().map(stratum).sum::<usize>()
            + self.labels.pairs.len()
            + labels.sum::<usize>()
    }

    /// Whether a gate on these pairs of the series looks at nothing but them: there are enough, every value is a finite number, and
    /// people have said nothing.
    #[must_use]
    pub fn is_judged_by(&self, pairs: &Pairs) -> bool {
        let all_finite = |values: &Values| values.not_finite() == 0;
        pairs.len() >= PAIRS_MIN
            && self.people.is_empty()
            && all_finite(pairs.control())
            && all_finite(pairs.candidate())
            && self
                .strata
                .iter()
                .all(|stratum| all_finite(&stratum.control) && all_finite(&stratum.candidate))
    }
}

/// How many identities each variant has within one revision and cohort, and how many it should have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AssignmentCheck {
    /// The cohort; empty where none is known.
    pub cohort: String,
    /// The policy's revision, where known.
    pub revision: Option<i64>,
    /// The candidate's share of the identities by policy, 0 to 1.
    pub expected_share: f64,
    /// Distinct identities whose first answer came from control.
    pub control: u64,
    /// Distinct identities whose first answer came from the candidate.
    pub candidate: u64,
    /// Natural logarithm of the evidence against the expected share; below 0 where it fits.
    pub ln_evidence: f64,
    /// Whether the expected share is refuted, whatever the number of looks.
    pub mismatch: bool,
    /// One in so many identities was looked at: with very many of them a sample is enough.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub one_in: u64,
}

/// How well the capture worked; a verdict on biased capture is never a promotion.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CaptureHealth {
    /// Primary legs served by control.
    pub primary_control: u64,
    /// Primary legs served by the candidate.
    pub primary_candidate: u64,
    /// Shadow legs.
    pub shadow: u64,
    /// Noise legs.
    pub noise: u64,
    /// Exchanges with a primary control leg and a shadow candidate leg.
    pub pairs: u64,
    /// Exchanges that should have been a pair and have one leg only.
    pub half_pairs: u64,
    /// Legs of control whose answer was cut by the capture limits.
    pub truncated_control: u64,
    /// Legs of the candidate whose answer was cut by the capture limits.
    pub truncated_candidate: u64,
    /// Records that were numbered by the filter and never arrived.
    pub sequence_gaps: u64,
    /// Identities that were served by both variants within one revision and cohort.
    #[serde(default)]
    pub served_by_both: u64,
    /// Primary legs left out of unpaired comparisons, so that all that are left had the same chance to be captured.
    #[serde(default)]
    pub thinned: u64,
    /// Assignment against the policy, for each revision and cohort whose share is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assignments: Vec<AssignmentCheck>,
    /// Seconds from the first sample to the last one; nothing where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span_seconds: Option<u64>,
    /// Files in the data folder that were not read, because they are foreign, damaged or of another schema.
    #[serde(default, skip_serializing_if = "is_none")]
    pub skipped_files: u64,
    /// The first of them, each with its path within the data folder and what is wrong with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<String>,
    /// What makes the capture unfit for a promotion, in words.
    pub problems: Vec<String>,
}

fn nowhere(places: &Places) -> bool {
    places.is_empty()
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's way
fn is_none(number: &u64) -> bool {
    *number == 0
}

fn one() -> u64 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's way
fn is_one(number: &u64) -> bool {
    *number == 1
}
