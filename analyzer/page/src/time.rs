//! Evidence as it was at earlier times, and gates over time.

use weir_gate::{GateResult, Gates, Labels, MetricSeries, Spending, Stratum};
use weir_report::{Look, Prefix, Report, Trajectory, TrajectoryPoint};

/// Takes the gates into a report and draws out how each gate's interval closed.
///
/// The report keeps the gates that were judged by, the alpha that could be spent, and the trajectories; its evidence and
/// looks must be in it.
pub fn complete(report: &mut Report, gates: &Gates, spending: Spending) {
    // The document is JSON that was just written.
    report.gates = serde_json::from_str(&gates.to_json()).unwrap_or_default();
    report.spending = spending.share();
    report.trajectories = trajectories(report, &report.evidence, gates);
}

/// Each gate of the evaluation with its interval at each look; gates without any interval are left out.
#[must_use]
pub fn trajectories(report: &Report, evidence: &[MetricSeries], gates: &Gates) -> Vec<Trajectory> {
    let spending = Spending::new(report.spending);
    let looks: Vec<(&Look, Vec<GateResult>)> = report
        .looks
        .iter()
        .map(|look| {
            let earlier = until(evidence, look);
            (look, weir_gate::gate_results(gates, &earlier, spending))
        })
        .collect();
    report.evaluation.gates.iter().filter_map(|gate| trajectory(gate, &looks)).collect()
}

fn trajectory(gate: &GateResult, looks: &[(&Look, Vec<GateResult>)]) -> Option<Trajectory> {
    let points: Vec<TrajectoryPoint> = looks
        .iter()
        .filter_map(|(look, results)| {
            let then = results.iter().find(|then| then.gate == gate.gate)?;
            let (low, high) = then.interval?;
            Some(TrajectoryPoint {
                at: look.at.clone(),
                n: then.n_control.min(then.n_candidate),
                estimate: then.estimate?,
                low,
                high,
            })
        })
        .collect();
    (!points.is_empty()).then(|| Trajectory {
        gate: gate.gate.clone(),
        unit: gate.unit.clone(),
        relative: gate.relative,
        better: gate.better,
        margin: gate.margin,
        points,
    })
}

/// The evidence as it was at a look.
pub(crate) fn until(evidence: &[MetricSeries], look: &Look) -> Vec<MetricSeries> {
    let first = |values: &[f64], length: usize| values.iter().copied().take(length).collect();
    evidence
        .iter()
        .zip(&look.prefixes)
        .map(|(series, prefix)| MetricSeries {
            name: series.name.clone(),
            unit: series.unit.clone(),
            better: series.better,
            bounds: series.bounds,
            pairs: series.pairs.iter().copied().take(prefix.pairs).collect(),
            pair_clusters: series.pair_clusters.iter().copied().take(prefix.pairs).collect(),
            noise_pairs: series.noise_pairs.iter().copied().take(prefix.noise_pairs).collect(),
            strata: series
                .strata
                .iter()
                .zip(&prefix.strata)
                .map(|(stratum, (control, candidate))| Stratum {
                    name: stratum.name.clone(),
                    control: first(&stratum.control, *control),
                    candidate: first(&stratum.candidate, *candidate),
                    control_clusters: stratum.control_clusters.iter().copied().take(*control).collect(),
                    candidate_clusters: stratum.candidate_clusters.iter().copied().take(*candidate).collect(),
                })
                .collect(),
            missing: series.missing,
            labels: labels_until(&series.labels, prefix),
        })
        .collect()
}

/// Sets stay as they are: those that had not appeared yet label nothing.
fn labels_until(labels: &Labels, prefix: &Prefix) -> Labels {
    let first = |places: &[u32], length: usize| places.iter().copied().take(length).collect();
    let strata = labels.strata.iter().zip(&prefix.strata);
    Labels {
        sets: labels.sets.clone(),
        pairs: first(&labels.pairs, prefix.pairs),
        strata: strata
            .map(|((control, candidate), (n, m))| (first(control, *n), first(candidate, *m)))
            .collect(),
    }
}
