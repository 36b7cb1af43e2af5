//! Evidence as it was at earlier times, and gates over time.

#[cfg(not(target_arch = "wasm32"))]
use std::num::NonZero;
#[cfg(not(target_arch = "wasm32"))]
use std::panic::resume_unwind;
#[cfg(not(target_arch = "wasm32"))]
use std::thread::{self, available_parallelism};

use weir_gate::{GateResult, Gates, Labels, Memory, MetricSeries, PersonLabel, Segment, Spending, Stratum};
use weir_report::{Look, Prefix, Report, Trajectory, TrajectoryPoint};

/// Threads that look at once: each has one cut series in memory.
#[cfg(not(target_arch = "wasm32"))]
const THREADS_MAX: usize = 4;

/// Takes the gates into a report and draws out how each gate's interval closed.
///
/// The report keeps the gates that were judged by, the alpha that could be spent, and the trajectories; its evidence and
/// looks must be in it.
pub fn complete(report: &mut Report, gates: &Gates, spending: Spending) {
    let evidence = std::mem::take(&mut report.evidence);
    complete_over(report, &evidence, gates, spending);
    report.evidence = evidence;
}

/// As [`complete`], for a report that may not carry its evidence.
pub fn complete_over(report: &mut Report, evidence: &[MetricSeries], gates: &Gates, spending: Spending) {
    // The document is JSON that was just written.
    report.gates = serde_json::from_str(&gates.to_json()).unwrap_or_default();
    report.spending = spending.share();
    let looks = report.looks.iter().zip(at_every_look(report, evidence, gates)).collect();
    report.trajectories = trajectories(report, looks);
}

/// The gates at each look of the report, side by side.
#[cfg(not(target_arch = "wasm32"))]
fn at_every_look(report: &Report, evidence: &[MetricSeries], gates: &Gates) -> Vec<Vec<GateResult>> {
    let threads = available_parallelism().map_or(1, NonZero::get).min(THREADS_MAX);
    let one = |look: &Look| {
        if saw_all(look, evidence) {
            return report.evaluation.gates.clone();
        }
        results_at(report, evidence, gates, look, &[], &Memory::default())
    };
    // Every so manieth look for each thread: later ones cost more.
    let share = |thread: usize| -> Vec<(usize, Vec<GateResult>)> {
        let looks = report.looks.iter().enumerate().skip(thread).step_by(threads);
        looks.map(|(place, look)| (place, one(look))).collect()
    };
    let share = &share;
    let mut results: Vec<(usize, Vec<GateResult>)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|thread| scope.spawn(move || share(thread))).collect();
        // A panic of another thread is one of this.
        let joined =
            workers.into_iter().map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)));
        joined.flatten().collect()
    });
    results.sort_by_key(|(place, _)| *place);
    results.into_iter().map(|(_, results)| results).collect()
}

/// The gates at each look of the report; the page has one thread.
#[cfg(target_arch = "wasm32")]
fn at_every_look(report: &Report, evidence: &[MetricSeries], gates: &Gates) -> Vec<Vec<GateResult>> {
    let one = |look: &Look| results_at(report, evidence, gates, look, &[], &Memory::default());
    report.looks.iter().map(one).collect()
}

/// What there was of a settled series at a look.
fn settled_until(series: &MetricSeries, prefix: &Prefix) -> Option<MetricSeries> {
    let settled = series.settled.as_ref()?;
    let then =
        settled.lengths().iter().position(|then| then.pairs == prefix.pairs && then.strata == prefix.strata);
    Some(series.until(then.map_or(0, |place| place + 1)))
}

/// Whether a look saw all of the evidence: what the gates say of it is known then.
#[cfg(not(target_arch = "wasm32"))]
fn saw_all(look: &Look, evidence: &[MetricSeries]) -> bool {
    evidence.len() == look.prefixes.len()
        && evidence.iter().zip(&look.prefixes).all(|(series, prefix)| *prefix == all(series))
}

/// The gates over what there was at a look, without the hidden segments.
fn results_at(
    report: &Report,
    evidence: &[MetricSeries],
    gates: &Gates,
    look: &Look,
    hidden: &[Segment],
    memory: &Memory,
) -> Vec<GateResult> {
    let whole = hidden.is_empty() && gates.gates.iter().all(|gate| gate.segment.is_none());
    let cut_series = |series: &MetricSeries| {
        let prefix =
            evidence.iter().position(|one| one.name == series.name).and_then(|at| look.prefixes.get(at));
        let nothing = Prefix::default();
        let prefix = prefix.unwrap_or(&nothing);
        if let Some(then) = settled_until(series, prefix) {
            return weir_gate::without(&then, hidden);
        }
        let pairs = series.pairs.part(0, prefix.pairs);
        // Most of a series are its strata, which nothing would look at.
        if whole && series.is_judged_by(&pairs) {
            let clusters = cut(&series.pair_clusters, 0, prefix.pairs).into();
            return MetricSeries { pairs, pair_clusters: clusters, ..described(series) };
        }
        cut_out(series, &nothing, prefix, hidden)
    };
    weir_gate::gate_results(gates, evidence, cut_series, Spending::new(report.spending), memory)
}

/// What was measured at each look, kept for the next drawing over the same evidence.
#[derive(Debug, Default)]
pub(crate) struct OverTime {
    /// What is hidden from all looks.
    hidden: Vec<Segment>,
    memories: Vec<Memory>,
}

impl OverTime {
    /// Over evidence without these segments.
    pub(crate) fn without(hidden: &[Segment]) -> Self {
        Self { hidden: hidden.to_vec(), memories: Vec::new() }
    }

    /// Whether it is over evidence without these segments.
    pub(crate) fn is_without(&self, hidden: &[Segment]) -> bool {
        self.hidden == hidden
    }

    /// Each gate of the report's evaluation with its interval at each look; gates without any interval are left out.
    pub(crate) fn trajectories(
        &mut self,
        report: &Report,
        evidence: &[MetricSeries],
        gates: &Gates,
    ) -> Vec<Trajectory> {
        let looks: Vec<(&Look, Vec<GateResult>)> = report
            .looks
            .iter()
            .enumerate()
            .map(|(index, look)| (look, self.at(report, evidence, gates, index)))
            .collect();
        trajectories(report, looks)
    }

    /// The gates at one look of the report, counted from 0; none where there is no such look.
    pub(crate) fn at(
        &mut self,
        report: &Report,
        evidence: &[MetricSeries],
        gates: &Gates,
        index: usize,
    ) -> Vec<GateResult> {
        let Some(look) = report.looks.get(index) else { return Vec::new() };
        self.memories.resize_with(report.looks.len(), Memory::default);
        let Some(memory) = self.memories.get(index) else { return Vec::new() };
        results_at(report, evidence, gates, look, &self.hidden, memory)
    }
}

fn trajectories(report: &Report, looks: Vec<(&Look, Vec<GateResult>)>) -> Vec<Trajectory> {
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

/// The evidence that came after the look `after` and up to the look `until`, without the hidden segments.
pub(crate) fn part(
    evidence: &[MetricSeries],
    after: Option<&Look>,
    until: Option<&Look>,
    hidden: &[Segment],
) -> Vec<MetricSeries> {
    let nothing = Prefix::default();
    let prefix = |look: Option<&Look>, at: usize| look.and_then(|look| look.prefixes.get(at)).cloned();
    let of = |(at, series): (usize, &MetricSeries)| {
        let from = prefix(after, at).unwrap_or_else(|| nothing.clone());
        let to = match until {
            Some(_) => prefix(until, at).unwrap_or_else(|| nothing.clone()),
            None => all(series),
        };
        cut_out(series, &from, &to, hidden)
    };
    evidence.iter().enumerate().map(of).collect()
}

/// What a series has between two lengths, without the hidden segments.
fn cut_out(series: &MetricSeries, from: &Prefix, to: &Prefix, hidden: &[Segment]) -> MetricSeries {
    let cut = between(series, from, to);
    if hidden.is_empty() { cut } else { weir_gate::without(&cut, hidden) }
}

/// All of a series.
fn all(series: &MetricSeries) -> Prefix {
    if let Some(settled) = &series.settled {
        let all = settled.lengths().pop().unwrap_or_default();
        return Prefix { pairs: all.pairs, noise_pairs: 0, strata: all.strata };
    }
    Prefix {
        pairs: series.pairs.len(),
        noise_pairs: series.noise_pairs.len(),
        strata: series.strata.iter().map(|s| (s.control.len(), s.candidate.len())).collect(),
    }
}

fn between(series: &MetricSeries, from: &Prefix, to: &Prefix) -> MetricSeries {
    let counts = |prefix: &Prefix, at: usize| prefix.strata.get(at).copied().unwrap_or_default();
    let strata = series.strata.iter().enumerate().map(|(at, stratum)| {
        let ((old_from, new_from), (old_to, new_to)) = (counts(from, at), counts(to, at));
        Stratum {
            name: stratum.name.clone(),
            control: stratum.control.part(old_from, old_to),
            candidate: stratum.candidate.part(new_from, new_to),
            control_clusters: cut(&stratum.control_clusters, old_from, old_to).into(),
            candidate_clusters: cut(&stratum.candidate_clusters, new_from, new_to).into(),
        }
    });
    let places = series.labels.strata.iter().enumerate().map(|(at, (control, candidate))| {
        let ((old_from, new_from), (old_to, new_to)) = (counts(from, at), counts(to, at));
        (cut(control, old_from, old_to).into(), cut(candidate, new_from, new_to).into())
    });
    MetricSeries {
        pairs: series.pairs.part(from.pairs, to.pairs),
        pair_clusters: cut(&series.pair_clusters, from.pairs, to.pairs).into(),
        noise_pairs: series.noise_pairs.part(from.noise_pairs, to.noise_pairs),
        strata: strata.collect(),
        missing: series.missing,
        // Sets stay as they are: those that had not appeared yet label nothing.
        labels: Labels {
            sets: series.labels.sets.clone(),
            pairs: cut(&series.labels.pairs, from.pairs, to.pairs).into(),
            strata: places.collect(),
        },
        people: people_between(&series.people, from, to),
        ..described(series)
    }
}

/// The series without its values.
fn described(series: &MetricSeries) -> MetricSeries {
    MetricSeries {
        name: series.name.clone(),
        unit: series.unit.clone(),
        better: series.better,
        bounds: series.bounds,
        ..MetricSeries::default()
    }
}

/// Labels of the answers that came between two looks, at their new places; when people gave them is not known.
fn people_between(people: &[PersonLabel], from: &Prefix, to: &Prefix) -> Vec<PersonLabel> {
    let moved = |place: u32, from: usize, to: usize| {
        let place = usize::try_from(place).ok().filter(|place| *place < to)?;
        place.checked_sub(from).and_then(|place| u32::try_from(place).ok())
    };
    let of = |label: &PersonLabel| {
        let pair = label.pair.and_then(|place| moved(place, from.pairs, to.pairs));
        let stratum = label.stratum.and_then(|(stratum, place)| {
            let counts = |prefix: &Prefix| {
                let counts = usize::try_from(stratum).ok().and_then(|at| prefix.strata.get(at));
                counts.map_or(0, |(n, m)| if label.candidate { *m } else { *n })
            };
            Some((stratum, moved(place, counts(from), counts(to))?))
        });
        (pair.is_some() || stratum.is_some()).then_some(PersonLabel { pair, stratum, ..*label })
    };
    people.iter().filter_map(of).collect()
}

fn cut<T: Copy>(values: &[T], from: usize, to: usize) -> Vec<T> {
    values.get(from..to.min(values.len())).unwrap_or_default().to_vec()
}
