//! Gates, error control over all gates and all looks, verdict, reasons, forecast.
//!
//! Pure: no files, clocks, threads or randomness.

mod evaluate;
mod gates;
mod result;
mod series;

pub use evaluate::{Spending, evaluate};
pub use gates::{Direction, Gate, Gates, Margin};
pub use result::{Comparison, Evaluation, GateResult, Outcome, Reason, Severity, Verdict};
pub use series::{Better, CaptureHealth, MetricSeries, Stratum};
