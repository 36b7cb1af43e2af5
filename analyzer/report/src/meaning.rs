//! What embeddings say about the answers, as a report carries it (`weir embed` finds it, this crate only draws it).
//!
//! Divergence alone is neither better nor worse: nothing here changes a verdict.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far answers moved in meaning, and where.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Meaning {
    /// What made the vectors: `lexical-...` (wording only) or `onnx-NAME-DIGEST`.
    pub embedder: String,
    /// Whether answers moved beyond what the model does by itself.
    pub diverged: bool,
    /// The answer in one sentence.
    pub sentence: String,
    /// The policy revision that was embedded; all of them where absent.
    pub revision: Option<i64>,
    /// Level of each test over all its looks.
    pub alpha: f64,
    /// Pairs (control's answer and the candidate's copy) with text.
    pub pairs: u64,
    /// Pairs of control's answer and its own second answer, with text.
    pub noise_pairs: u64,
    /// Answers without text: they have no distance.
    pub without_text: u64,
    /// Mean cosine distance of the candidate's copies from control's answers, 0 to 2.
    pub distance: Option<f64>,
    /// Mean cosine distance of control's second answers from its first ones.
    pub noise_distance: Option<f64>,
    /// The tests, each always valid over its looks.
    pub tests: Vec<MeaningTest>,
    /// Prompt clusters and segments, the largest shift first.
    pub moved: Vec<MeaningGroup>,
    /// Distances over time, in parts of equally many pairs.
    pub over_time: Vec<MeaningPeriod>,
    /// Tripwires that could not be looked at, and why.
    pub not_looked_at: Vec<String>,
}

/// One test at its last look.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MeaningTest {
    /// What it asks: `beyond noise`, `beyond noise, apart` (between exchanges), `other spread`, `common direction`, `served cohorts`.
    pub name: String,
    /// Whether it found a change at any look.
    pub detected: bool,
    /// Pairs at its last look (answers of the smaller cohort); 0 where there were too few for a first one.
    pub n: u64,
    /// The statistic of that look.
    pub statistic: Option<f64>,
    /// Its p value.
    pub p: Option<f64>,
    /// The level that this look could spend.
    pub level: Option<f64>,
}

/// A prompt cluster or a segment, and how far its answers moved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MeaningGroup {
    /// `cluster`, or the name of a segment's dimension (`tier`, `path`, `tag:NAME`).
    pub dimension: String,
    /// Which one; a cluster is named by its number and by words of its own.
    pub value: String,
    /// Pairs in it.
    pub pairs: u64,
    /// Mean distance of the candidate's copies.
    pub distance: f64,
    /// Mean distance of control's second answers.
    pub noise_distance: Option<f64>,
    /// Distance beyond control's distance from itself (beyond 0 where that is not known).
    pub shift: f64,
    /// The pairs that are furthest apart.
    pub exemplars: Vec<MeaningExemplar>,
}

/// The answers of both sides to one prompt, shortened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MeaningExemplar {
    /// The pair's sample id.
    pub sample_id: String,
    /// Cosine distance of the two answers.
    pub distance: f64,
    /// The beginning of the prompt.
    pub request_text: String,
    /// The beginning of control's answer.
    pub control_text: String,
    /// The beginning of the candidate's answer.
    pub candidate_text: String,
}

/// A part of the time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MeaningPeriod {
    /// When it begins, RFC 3339 UTC.
    pub from: String,
    /// Pairs in it.
    pub pairs: u64,
    /// Mean distance of the candidate's copies.
    pub distance: f64,
    /// Mean distance of control's second answers.
    pub noise_distance: Option<f64>,
}
