//! Tripwires of a look: those of the answers that it has seen, with or without an embedding, and those of the last embedding.

use std::path::Path;

use weir_gate::{MetricSeries, SCORE_PREFIX, Severity, Tripwire};
use weir_meaning::MeaningError;
use weir_metrics::Loaded;
use weir_tripwire::Fired;

/// What no score may override; one that both found is told as the look found it.
///
/// # Errors
/// Findings that cannot be read.
pub(crate) fn tripwires(data_dir: &Path, loaded: &Loaded) -> Result<Vec<Tripwire>, MeaningError> {
    let mut seen = loaded.seen.clone();
    seen.scores = mean_scores(&loaded.series);
    let (mut fired, _) = weir_tripwire::look(&seen);
    if let Some(findings) = weir_meaning::read_findings(data_dir, &loaded.experiment)? {
        for of_embedding in findings.tripwires {
            if fired.iter().all(|of_look| of_look.name != of_embedding.name) {
                fired.push(of_embedding);
            }
        }
    }
    Ok(fired.into_iter().map(tripwire).collect())
}

/// A tripwire as a verdict heeds it.
#[must_use]
pub fn tripwire(fired: Fired) -> Tripwire {
    Tripwire {
        name: fired.name,
        text: fired.text,
        severity: if fired.critical { Severity::Critical } else { Severity::Major },
    }
}

/// Mean of all judges' scores of control and of the candidate.
fn mean_scores(series: &[MetricSeries]) -> Option<(f64, f64)> {
    let mut sums = [(0.0, 0_u32); 2];
    let mut add = |candidate: bool, score: f64| {
        let [of_control, of_candidate] = &mut sums;
        let sum = if candidate { of_candidate } else { of_control };
        if score.is_finite() {
            *sum = (sum.0 + score, sum.1 + 1);
        }
    };
    for series in series.iter().filter(|series| series.name.starts_with(SCORE_PREFIX)) {
        for (control, candidate) in series.pairs.iter() {
            add(false, control);
            add(true, candidate);
        }
        for stratum in &series.strata {
            stratum.control.iter().for_each(|score| add(false, score));
            stratum.candidate.iter().for_each(|score| add(true, score));
        }
    }
    let [(control, m), (candidate, n)] = sums;
    (m > 0 && n > 0).then(|| (control / f64::from(m), candidate / f64::from(n)))
}
