//! The gates document.

use crate::result::Severity;

/// The gates of an experiment.
#[derive(Clone, Debug, PartialEq)]
pub struct Gates {
    /// Chance of a rollback without cause, over all gates and all looks; in (0, 0.5].
    pub alpha: f64,
    /// The gates.
    pub gates: Vec<Gate>,
}

/// One gate: a metric, a direction, a margin and a severity.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// Unique name.
    pub name: String,
    /// Metric id, or `score:*` for every score column that is there.
    pub metric: String,
    /// Which way is better; without it, the metric's own.
    pub direction: Option<Direction>,
    /// Size of the allowed change.
    pub margin: Margin,
    /// How much the gate counts.
    pub severity: Severity,
    /// Pairs (or samples per arm) below which the gate is never inside.
    pub minimum_evidence: u64,
}

/// Which way a gate's metric should move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Higher is better: a fall past the margin is a breach.
    Higher,
    /// Lower is better: a rise past the margin is a breach.
    Lower,
    /// A change past the margin either way is a divergence.
    Both,
}

/// Size of the allowed change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Margin {
    /// In the metric's unit.
    Absolute(f64),
    /// As a share of control's mean.
    Relative(f64),
    /// As a share of the metric's scale (its bounds; 0 to 1 where none are declared).
    OfScale(f64),
}
