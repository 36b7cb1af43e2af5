//! From series to a verdict.

use crate::gates::Gates;
use crate::result::{Evaluation, Reason, Verdict};
use crate::series::{CaptureHealth, MetricSeries};

/// The share of the gates' alpha that this evaluation may spend, in (0, 1]: one over the number of steps of a rollout.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spending(f64);

impl Spending {
    /// All of it: an evaluation that stands alone.
    pub const ALL: Self = Self(1.0);

    /// A share; clamped to (0, 1], and all of it where `share` is not a number.
    #[must_use]
    pub fn new(share: f64) -> Self {
        if share.is_nan() { Self::ALL } else { Self(share.clamp(1e-6, 1.0)) }
    }

    /// An equal share of `steps` steps (at least one).
    #[must_use]
    pub fn one_of(steps: usize) -> Self {
        Self::new(1.0 / steps.max(1) as f64)
    }

    /// The share.
    #[must_use]
    pub fn share(self) -> f64 {
        self.0
    }
}

/// Judges every gate and gives the verdict.
#[must_use]
pub fn evaluate(
    gates: &Gates,
    _series: &[MetricSeries],
    health: &CaptureHealth,
    spending: Spending,
) -> Evaluation {
    Evaluation {
        verdict: Verdict::Hold,
        reasons: vec![Reason { text: "gates are not judged yet in this build".into(), gate: None }],
        gates: Vec::new(),
        alpha: gates.alpha * spending.share(),
        looks: "any number".into(),
        health: health.clone(),
    }
}
