//! What a run of `embed` found about the whole set: `DATA/meaning/experiment=E/drift.json`, schema [`SCHEMA`].

use serde::{Deserialize, Serialize};
use weir_tripwire::Fired;

use crate::drift::Sequential;

/// The document's schema.
pub const SCHEMA: &str = "weir.meaning/2";
/// Schemas that are read: the first version had no map.
pub const SCHEMAS_READ: [&str; 2] = [SCHEMA, "weir.meaning/1"];

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Findings {
    /// [`SCHEMA`].
    pub schema: String,
    /// The experiment.
    pub experiment: String,
    /// What made the vectors.
    pub embedder: String,
    /// The revision looked at; all of them where absent.
    pub revision: Option<i64>,
    /// Level of each test over all its looks.
    pub alpha: f64,
    /// Pairs (control's answer and the candidate's copy) with text.
    pub pairs: usize,
    /// Pairs of control's answer and its own second answer, with text.
    pub noise_pairs: usize,
    /// Answers without text: no distance.
    pub without_text: usize,
    /// Mean cosine distance of the candidate's copies.
    pub distance: Option<f64>,
    /// Mean cosine distance of control's second answers: the model's disagreement with itself.
    pub noise_distance: Option<f64>,
    /// Whether the candidate is farther from control than control from itself, where both copies are there.
    pub beyond_noise: Sequential,
    /// The same between exchanges: copies for the candidate and copies for noise are drawn apart, and few exchanges have both.
    #[serde(default)]
    pub beyond_noise_apart: Sequential,
    /// Whether the candidate's answers are spread otherwise than control's: the kernel test.
    pub systematic: Sequential,
    /// Whether the candidate's answers moved in a common direction: the mean difference.
    #[serde(default)]
    pub mean_shift: Sequential,
    /// Whether the cohorts that were served can be told apart.
    pub cohorts: Sequential,
    /// Prompt clusters and segments, the largest shift first.
    pub moved: Vec<Moved>,
    /// Distances over time, in equal parts.
    pub over_time: Vec<Period>,
    /// The prompts on a plane.
    #[serde(default)]
    pub map: Option<Map>,
    /// What no score may override.
    pub tripwires: Vec<Fired>,
    /// Tripwires that could not be looked at, and why.
    pub not_looked_at: Vec<String>,
}

impl Findings {
    /// One sentence: does the candidate mean something else than control?
    #[must_use]
    pub fn sentence(&self) -> String {
        let Some(distance) = self.distance else {
            return format!("no pairs with text; embedded with {}", self.embedder);
        };
        let noise = self.noise_distance.map_or_else(
            || "no noise copies to compare with".to_owned(),
            |noise| format!("control to itself {noise:.3}"),
        );
        let beyond = self.beyond_noise.detected || self.beyond_noise_apart.detected;
        let common = self.systematic.detected || self.mean_shift.detected;
        let answer = match (beyond, common, self.noise_distance) {
            (true, true, _) => "answers moved beyond the model's own noise, in a common direction",
            (true, false, _) => "answers moved beyond the model's own noise",
            (false, true, Some(_)) => {
                "answers moved in a common direction, no farther than the model's own noise"
            }
            (false, true, None) => "answers moved in a common direction",
            (false, false, _) => "no change of meaning was found",
        };
        format!("{answer} (cosine distance {distance:.3}, {noise}, {} pairs, {})", self.pairs, self.embedder)
    }

    /// Whether answers moved. Better or worse is for scores to say.
    #[must_use]
    pub fn diverged(&self) -> bool {
        if self.noise_pairs >= crate::drift::FIRST_LOOK {
            self.beyond_noise.detected || self.beyond_noise_apart.detected
        } else {
            self.systematic.detected || self.mean_shift.detected || self.cohorts.detected
        }
    }
}

/// A group of exchanges and how far its answers moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moved {
    /// `cluster`, or a segment's dimension: `tier`, `path`, `tag:NAME`.
    pub dimension: String,
    /// Which one.
    pub value: String,
    /// Pairs.
    pub pairs: usize,
    /// Mean distance of the candidate's copies.
    pub distance: f64,
    /// Mean distance of control's second answers.
    pub noise_distance: Option<f64>,
    /// The pairs that are farthest apart.
    pub exemplars: Vec<Exemplar>,
}

impl Moved {
    /// Distance beyond noise (beyond 0, where there is none).
    #[must_use]
    pub fn shift(&self) -> f64 {
        self.distance - self.noise_distance.unwrap_or(0.0)
    }
}

/// Two answers to one prompt. Texts are as captured: hostile, escape them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exemplar {
    /// The exchange.
    pub sample_id: String,
    /// Cosine distance.
    pub distance: f64,
    /// The beginning of the prompt.
    pub request: String,
    /// The beginning of control's answer.
    pub control: String,
    /// The beginning of the candidate's answer.
    pub candidate: String,
}

/// A part of the time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// Where it begins, microseconds since 1970.
    pub from_us: i64,
    /// Pairs in it.
    pub pairs: usize,
    /// Mean distance of the candidate's copies.
    pub distance: f64,
    /// Mean distance of control's second answers.
    pub noise_distance: Option<f64>,
}

/// Prompts by likeness, along the two directions in which they differ most.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Map {
    /// Names of the clusters.
    pub clusters: Vec<String>,
    /// The prompts, in the order of time.
    pub points: Vec<Point>,
}

/// A prompt on the map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// The exchange.
    pub sample_id: String,
    /// Place along the first direction.
    pub x: f64,
    /// Place along the second.
    pub y: f64,
    /// Distance of the candidate's copy.
    pub distance: f64,
    /// Distance of control's second answer.
    pub noise_distance: Option<f64>,
    /// Its cluster's place in the list, from 0.
    pub cluster: usize,
    /// The beginning of the prompt; hostile, escape it.
    pub request: String,
}
