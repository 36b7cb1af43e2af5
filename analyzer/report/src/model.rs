//! The report: the one structure that every view draws.
//!
//! It holds no wall-clock time: every time in it comes from the samples or from the decision record, so that the same
//! data, gates and record give the same bytes. Times are RFC 3339 in UTC.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use weir_gate::{Better, Evaluation, JudgeTrust, MetricSeries, Tripwire};

use crate::meaning::Meaning;

/// The schema that [`Report::schema`] names. It changes when a field changes its meaning or goes away.
pub const SCHEMA: &str = "weir.report/2";

/// Everything that was decided about one experiment, and what it was decided from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The experiment's name.
    pub experiment: String,
    /// Where the figures come from.
    pub generated_from: Provenance,
    /// What the two variants served.
    pub variants: Variants,
    /// The policy revisions of the samples, ascending.
    pub revisions: Vec<i64>,
    /// Verdict, reasons, gates and capture health.
    pub evaluation: Evaluation,
    /// The step of the rollout that was looked at.
    #[serde(default)]
    pub step: Option<Step>,
    /// The gates document that was judged by, canonical; null where it is not known, and nothing can be tried then.
    #[serde(default)]
    pub gates: Value,
    /// The share of the gates' alpha that this evaluation could spend, above 0 and at most 1.
    #[serde(default = "all")]
    pub spending: f64,
    /// What the evaluation was made from, so that other gates can be tried on it; empty where it was not kept.
    #[serde(default)]
    pub evidence: Vec<MetricSeries>,
    /// What no score may override; heeded by the evaluation, and by every other that is tried.
    #[serde(default)]
    pub tripwires: Vec<Tripwire>,
    /// How far each judge was trusted; heeded likewise.
    #[serde(default)]
    pub trust: Vec<JudgeTrust>,
    /// How much of the evidence there was at earlier times, in order of time; at most a few dozen.
    #[serde(default)]
    pub looks: Vec<Look>,
    /// The policy in force, canonical; null where it is not known.
    #[serde(default)]
    pub policy: Value,
    /// Metrics that were asked for but are not there, with the reason: `("json_valid", "no control answer is JSON")`.
    #[serde(default)]
    pub absent: Vec<(String, String)>,
    /// Each gate's interval look by look.
    #[serde(default)]
    pub trajectories: Vec<Trajectory>,
    /// Histograms, control beside candidate.
    #[serde(default)]
    pub distributions: Vec<Distribution>,
    /// The worst pairs of the gates that breached or diverged, and the most typical ones.
    #[serde(default)]
    pub exemplars: Vec<Exemplar>,
    /// The prompts on a plane, by how far the answers to them moved.
    #[serde(default)]
    pub prompts: Option<PromptMap>,
    /// How far answers moved in meaning, and where; absent where nothing was embedded.
    #[serde(default)]
    pub meaning: Option<Meaning>,
    /// How well each judge agrees with people.
    #[serde(default)]
    pub judges: Vec<JudgeCalibration>,
    /// Steps, pushes and decisions in order of time; empty for a report outside a rollout.
    #[serde(default)]
    pub timeline: Vec<TimelineEntry>,
}

/// Where a report's figures come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Provenance {
    /// The data folder, as it was given.
    pub data: String,
    /// Digest of the gates document (hex).
    pub gates_digest: String,
    /// Legs read, without duplicates.
    pub samples: u64,
    /// Legs that were there twice and counted once.
    #[serde(default)]
    pub duplicates: u64,
    /// Time of the first leg, RFC 3339 UTC.
    pub first_ts: Option<String>,
    /// Time of the last leg, RFC 3339 UTC.
    pub last_ts: Option<String>,
    /// The version of Weir that made the report.
    pub weir_version: String,
    /// The words of a command line that makes the same report again; empty if nobody noted it.
    #[serde(default)]
    pub command: Vec<String>,
    /// The seed, where a method draws numbers.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Digests of the policies of the samples (hex), sorted.
    #[serde(default)]
    pub policy_digests: Vec<String>,
    /// What was hidden from the evaluation afterwards (`weir report --without`), in words; empty for a report as it was made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// Where a rollout stood.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// The step's name.
    pub name: String,
    /// Its number, from 1.
    pub number: u32,
    /// How many steps there are.
    pub of: u32,
    /// Percent of users that the candidate serves, 0 to 100.
    pub candidate_percent: f64,
}

/// The snapshots that the two variants served, as the samples name them; more than one means a mixture.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Variants {
    /// Labels of the control's snapshots, sorted.
    pub control_snapshot: Vec<String>,
    /// Labels of the candidate's snapshots, sorted.
    pub candidate_snapshot: Vec<String>,
}

/// How much of the evidence there was at some time: values are in order of time, so that a length says which.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Look {
    /// When, RFC 3339 UTC.
    pub at: String,
    /// One for each series of the evidence, in its order.
    pub prefixes: Vec<Prefix>,
}

/// How many values of a series there were.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Prefix {
    /// Pairs.
    pub pairs: usize,
    /// Noise pairs.
    pub noise_pairs: usize,
    /// Values of control and candidate in each stratum, in the series' order.
    pub strata: Vec<(usize, usize)>,
}

/// A gate's interval over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trajectory {
    /// The gate.
    pub gate: String,
    /// Unit of the metric.
    pub unit: String,
    /// The margin and the points are relative to control.
    pub relative: bool,
    /// Which way is better, as judged.
    pub better: Better,
    /// Size of the allowed change, positive.
    pub margin: f64,
    /// The looks that had an interval, in order of time.
    pub points: Vec<TrajectoryPoint>,
}

/// One look at a gate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrajectoryPoint {
    /// When, RFC 3339 UTC.
    pub at: String,
    /// Pairs, or values of the smaller variant, up to then.
    pub n: u64,
    /// The estimated change.
    pub estimate: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

/// One metric's distribution for both variants over the same bins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distribution {
    /// Metric name.
    pub metric: String,
    /// Unit of the edges.
    pub unit: String,
    /// Ascending bin edges, one more than there are bins; the last bin includes its upper edge.
    pub edges: Vec<f64>,
    /// The control's answers.
    pub control: Histogram,
    /// The candidate's answers.
    pub candidate: Histogram,
    /// Second answers of the control: what varies without any change.
    #[serde(default)]
    pub noise: Option<Histogram>,
}

/// Counts over the bins of a [`Distribution`], and a few figures of the same values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Histogram {
    /// Values in each bin.
    pub counts: Vec<u64>,
    /// Values in all.
    pub n: u64,
    /// Their mean.
    pub mean: Option<f64>,
    /// Their median.
    pub p50: Option<f64>,
    /// Their 95th percentile (nearest rank).
    pub p95: Option<f64>,
}

/// Why a pair is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExemplarKind {
    /// Among the largest changes for the worse.
    #[default]
    Worst,
    /// Close to the median change.
    Typical,
}

/// One pair of answers to the same request, shown because of a gate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Exemplar {
    /// The pair's sample id.
    pub sample_id: String,
    /// Why it is shown.
    #[serde(default)]
    pub kind: ExemplarKind,
    /// The gate that it is an example of.
    pub gate: String,
    /// The gate's metric, with the value of each side.
    pub metric: String,
    /// The metric's value for the control's answer.
    pub control_value: f64,
    /// The metric's value for the candidate's answer.
    pub candidate_value: f64,
    /// The request, shortened.
    pub request_text: String,
    /// The control's answer, shortened.
    pub control_text: String,
    /// The candidate's answer, shortened.
    pub candidate_text: String,
    /// Judge scores of the control's answer by criterion.
    #[serde(default)]
    pub control_scores: BTreeMap<String, f64>,
    /// Judge scores of the candidate's answer by criterion.
    #[serde(default)]
    pub candidate_scores: BTreeMap<String, f64>,
    /// What judges said about the two answers, each with who said it.
    #[serde(default)]
    pub remarks: Vec<String>,
}

/// The prompts on a plane: near means alike.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PromptMap {
    /// How the places were found: the embedding and the projection, in words.
    pub method: String,
    /// Names of the prompt clusters.
    #[serde(default)]
    pub clusters: Vec<String>,
    /// The prompts; at most a few thousand.
    pub points: Vec<PromptPoint>,
}

/// One prompt of a [`PromptMap`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PromptPoint {
    /// The pair's sample id.
    pub sample_id: String,
    /// Place to the right; any scale, the same for all points.
    pub x: f64,
    /// Place upwards.
    pub y: f64,
    /// How far the candidate's answer is from the control's: 0 the same, 1 nothing in common.
    pub shift: f64,
    /// How far control's second answer is from its first, where there is one.
    #[serde(default)]
    pub noise: Option<f64>,
    /// Its cluster's place in the map's list, from 0.
    #[serde(default)]
    pub cluster: Option<usize>,
    /// The prompt, shortened and redacted.
    pub text: String,
}

/// How well a judge agrees with people on a criterion.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JudgeCalibration {
    /// What is judged.
    pub criterion: String,
    /// Who judges: the model and its prompt's version.
    pub judge: String,
    /// Whether it may take part in a promotion.
    pub calibrated: bool,
    /// The state of the calibration in words.
    pub text: String,
    /// Labels of people that it was held against.
    #[serde(default)]
    pub labels: u64,
    /// The measure of agreement, by name: `kappa`, `accuracy`, `correlation`.
    #[serde(default)]
    pub measure: String,
    /// The agreement, if there are labels.
    #[serde(default)]
    pub agreement: Option<f64>,
    /// Its interval.
    #[serde(default)]
    pub interval: Option<(f64, f64)>,
    /// Share of labelled answers on which judge and people are on the same side of the middle of the scale.
    #[serde(default)]
    pub share: Option<f64>,
    /// Krippendorff's alpha of the scores.
    #[serde(default)]
    pub alpha: Option<f64>,
    /// Mean of judge minus people, on control's answers.
    #[serde(default)]
    pub bias_control: Option<f64>,
    /// The same on the candidate's.
    #[serde(default)]
    pub bias_candidate: Option<f64>,
    /// Correlation of the judge's error with the answer's length.
    #[serde(default)]
    pub length_bias: Option<f64>,
    /// Pairs that it judged in both orders.
    #[serde(default)]
    pub pairs_both_orders: u64,
    /// Pairs on which it changed its mind with the order.
    #[serde(default)]
    pub flips: u64,
    /// Its mean preference for the answer that it saw first, 0.5 without bias.
    #[serde(default)]
    pub first_preferred: Option<f64>,
    /// Answers that it was asked about twice.
    #[serde(default)]
    pub asked_twice: u64,
    /// Of those, with the same score.
    #[serde(default)]
    pub same_twice: u64,
    /// The same by variant and segment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<JudgePart>,
}

/// How well a judge agrees with people in a part of the answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JudgePart {
    /// `variant=candidate`, `tier=internal`, `route=/v1/chat`.
    pub of: String,
    /// Labelled answers.
    pub labels: u64,
    /// Share on the same side of the middle of the scale.
    pub share: Option<f64>,
    /// Cohen's kappa of that.
    pub kappa: Option<f64>,
    /// Mean of judge minus people.
    pub bias: Option<f64>,
    /// Correlation of the judge's error with the answer's length.
    pub length_bias: Option<f64>,
}

/// Something that happened during the rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimelineEntry {
    /// When, RFC 3339 UTC.
    pub at: String,
    /// What kind: `step`, `decision`, `push`, `confirmed`, `rollback` or any other word.
    pub kind: String,
    /// What happened, in words.
    pub text: String,
}

impl Report {
    /// A report of `evaluation` with nothing else in it yet.
    #[must_use]
    pub fn new(experiment: &str, generated_from: Provenance, evaluation: Evaluation) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            experiment: experiment.to_owned(),
            generated_from,
            variants: Variants::default(),
            revisions: Vec::new(),
            step: None,
            evaluation,
            gates: Value::Null,
            spending: 1.0,
            evidence: Vec::new(),
            tripwires: Vec::new(),
            trust: Vec::new(),
            looks: Vec::new(),
            policy: Value::Null,
            absent: Vec::new(),
            trajectories: Vec::new(),
            distributions: Vec::new(),
            exemplars: Vec::new(),
            prompts: None,
            meaning: None,
            judges: Vec::new(),
            timeline: Vec::new(),
        }
    }
}

/// A report that does not say so could spend all of its alpha.
fn all() -> f64 {
    1.0
}
