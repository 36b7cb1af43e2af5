//! Gates, error control over all gates and all looks, verdict, reasons, forecast.
//!
//! [`evaluate`] takes a [`Gates`] document, one [`MetricSeries`] per metric and the [`CaptureHealth`], and gives an
//! [`Evaluation`]: the verdict, every gate with its interval, and the reasons in plain words.
//!
//! Invariants: pure (no files, clocks, threads or randomness), so that the same input gives the same bytes; too little
//! data is [`Verdict::Hold`] with a forecast; a critical or major gate without values never promotes; every number in
//! a result is finite.

mod beside;
mod cluster;
mod correct;
mod correct_ratio;
mod evaluate;
mod fixed;
mod forecast;
mod gates;
mod judge;
mod labels;
mod level;
mod measure;
mod memory;
mod names;
mod pack;
mod places;
mod plan;
mod random;
mod rehearse;
mod restrain;
mod result;
mod segments;
mod series;
mod settled;
mod values;
mod verdict;
mod words;

pub use evaluate::{Spending, evaluate, evaluate_again, gate_results};
pub use fixed::{
    FixedMetric, FixedTest, KAYENTA_CONFIDENCE, KAYENTA_TOLERANCE, KayentaMetric, KayentaScore, fixed_tests,
    kayenta_score,
};
pub use gates::{Direction, Gate, Gates, Margin, Severity};
pub use labels::{Labels, Segment, without};
pub use memory::Memory;
pub use names::{FAMILIES, METRICS, SCORE_PREFIX, WITH_PERCENTILES, base_metric, phrase};
pub use pack::{pack_metrics, unmeasured};
pub use places::Places;
pub use plan::{GatePlan, Plan, PlanOptions, Traffic, plan, plan_telling, stated_pool};
pub use rehearse::{
    Frequency, GateRehearsal, Rehearsal, RehearseOptions, Rehearsed, rehearsal, rehearse_one,
};
pub use restrain::{JudgeTrust, Tripwire, restrain};
pub use result::{
    Comparison, Correction, ErrorRates, Evaluation, FindingKind, GateResult, Outcome, Reason, SegmentFinding,
    SegmentResult, Verdict,
};
pub use series::{AssignmentCheck, Better, CaptureHealth, MetricSeries, PersonLabel, Stratum};
pub use settled::{Arm, Lengths, Part, PartPairs, Sampled, Settled};
pub use values::{Pairs, Values};
