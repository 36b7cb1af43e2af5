//! The worst and the most typical pairs of the gates that speak against the candidate, or of those that come closest to it,
//! with their texts read again and shortened.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use polars::prelude::{Expr, col, lit};
use weir_gate::{Better, Evaluation, GateResult, MetricSeries, Outcome};
use weir_report::{Exemplar, ExemplarKind};
use weir_sample::Leg;

use crate::Loaded;
use crate::error::MetricsError;
use crate::files::heirs;
use crate::pairs::{Origin, PairScores};
use crate::remarks;
use crate::scan::scan;

/// Characters of a text that are shown.
const TEXT_CHARACTERS_MAX: usize = 2_000;
/// Pairs that are shown in all.
const EXEMPLARS_MAX: usize = 24;

/// Pairs that are kept before those that are not among the first are dropped, at least.
pub(crate) const FEW: usize = 32;
/// Gates that are shown where none speaks against the candidate.
const CLOSEST_MAX: usize = 3;
/// Typical pairs of a gate, and gates that have any.
const TYPICAL_PER_GATE: usize = 2;
const TYPICAL_GATES_MAX: usize = 3;

impl Loaded {
    /// The worst pairs of each gate that breached or diverged, on the whole or in a segment that contradicts it, `per_gate` of
    /// each (24 in all at most), or of the three gates that come closest to that; then the most typical pairs of the same gates.
    ///
    /// Worst is the largest difference in the bad direction; among equals the earlier exchange. Typical is the difference
    /// next to the median, among equals the answers whose lengths differ as is usual. A pair is shown once.
    ///
    /// # Errors
    /// A part file that can no longer be read.
    pub fn exemplars(&self, evaluation: &Evaluation, per_gate: usize) -> Result<Vec<Exemplar>, MetricsError> {
        let mut chosen: Vec<(usize, Exemplar)> = Vec::new();
        let mut shown = BTreeSet::new();
        let gates = speaking(evaluation);
        for gate in &gates {
            for (place, values) in self.worst(gate, per_gate + shown.len()) {
                if chosen.len() >= EXEMPLARS_MAX
                    || chosen.iter().filter(|(_, one)| one.gate == name(gate)).count() >= per_gate
                {
                    break;
                }
                let Some(origin) = self.pairs.origins.get(place).filter(|_| shown.insert(place)) else {
                    continue;
                };
                chosen.push((place, without_text(gate, origin, self.pairs.scores.get(&place), values)));
            }
        }
        for gate in gates.iter().filter(|gate| gate.segment.is_empty()).take(TYPICAL_GATES_MAX) {
            let typical = self.typical(gate, TYPICAL_PER_GATE + shown.len());
            let typical = typical.into_iter().filter(|(place, _)| shown.insert(*place));
            for (place, values) in typical.take(TYPICAL_PER_GATE) {
                let Some(origin) = self.pairs.origins.get(place) else { continue };
                let exemplar = without_text(gate, origin, self.pairs.scores.get(&place), values);
                chosen.push((place, Exemplar { kind: ExemplarKind::Typical, ..exemplar }));
            }
        }
        self.fill_in(chosen)
    }

    /// `most` pairs of a gate's metric, those that differ as is usual first.
    fn typical(&self, gate: &GateResult, most: usize) -> Vec<(usize, (f64, f64))> {
        let of = |metric: &str| {
            let series = self.pairs_of(metric);
            series.zip(self.pairs.of_metric.get(metric))
        };
        let differences = |series: &MetricSeries| {
            median(series.pairs.iter().map(|(control, candidate)| candidate - control))
        };
        let mut off_length = vec![f64::INFINITY; self.pairs.origins.len()];
        if let Some((series, places)) = of("response_chars") {
            let usual = differences(series);
            for (place, (control, candidate)) in places.iter().zip(series.pairs.iter()) {
                if let Some(off) = off_length.get_mut(*place as usize) {
                    *off = (candidate - control - usual).abs();
                }
            }
        }
        let Some((series, places)) = of(weir_gate::base_metric(&gate.metric)) else { return Vec::new() };
        let usual = differences(series);
        let pairs = places.iter().map(|place| *place as usize).zip(series.pairs.iter()).enumerate();
        let off = pairs.map(|(at, (place, (control, candidate)))| {
            let length = off_length.get(place).copied().unwrap_or(f64::INFINITY);
            ((candidate - control - usual).abs(), length, at)
        });
        // Of equal ones the earlier: pairs are in order of time.
        let order = |(a, b, at): &(f64, f64, usize), (c, d, other): &(f64, f64, usize)| {
            a.total_cmp(c).then(b.total_cmp(d)).then(at.cmp(other))
        };
        let pair = |(.., at): (f64, f64, usize)| Some((*places.get(at)? as usize, series.pairs.get(at)?));
        first(off, most, order).into_iter().filter_map(pair).collect()
    }

    /// `most` pairs of a gate's metric that differ in the bad direction, the worst first.
    fn worst(&self, gate: &GateResult, most: usize) -> Vec<(usize, (f64, f64))> {
        let Some(series) = self.pairs_of(weir_gate::base_metric(&gate.metric)) else { return Vec::new() };
        let Some(places) = self.pairs.of_metric.get(weir_gate::base_metric(&gate.metric)) else {
            return Vec::new();
        };
        ranked(series, places, gate, most)
    }

    /// The series with the pairs of a metric that can be shown.
    fn pairs_of(&self, metric: &str) -> Option<&MetricSeries> {
        self.shown.as_ref().unwrap_or(&self.series).iter().find(|series| series.name == metric)
    }

    fn fill_in(&self, chosen: Vec<(usize, Exemplar)>) -> Result<Vec<Exemplar>, MetricsError> {
        let mut wanted: BTreeMap<&Path, BTreeSet<&str>> = BTreeMap::new();
        for (place, _) in &chosen {
            if let Some(origin) = self.pairs.origins.get(*place) {
                wanted.entry(origin.control_file).or_default().insert(origin.sample_id);
                wanted.entry(origin.candidate_file).or_default().insert(origin.sample_id);
            }
        }
        let mut texts = BTreeMap::new();
        for (path, ids) in wanted {
            match read_texts(path, &ids, &mut texts) {
                // Merged into another file since it was loaded.
                Err(_) if !path.exists() => {
                    for heir in heirs(path)? {
                        read_texts(&heir, &ids, &mut texts)?;
                    }
                }
                done => done?,
            }
        }
        let ids = chosen.iter().map(|(_, exemplar)| exemplar.sample_id.as_str()).collect();
        let remarks = remarks::read(&self.data_dir, &self.experiment, &ids)?;
        let fill = |(_, mut exemplar): (usize, Exemplar)| {
            let text = |leg: Leg, request: bool| {
                let key = (exemplar.sample_id.clone(), leg.as_str(), request);
                texts.get(&key).cloned().unwrap_or_default()
            };
            let (request_text, control_text, candidate_text) =
                (text(Leg::Primary, true), text(Leg::Primary, false), text(Leg::Shadow, false));
            exemplar.request_text = request_text;
            exemplar.control_text = control_text;
            exemplar.candidate_text = candidate_text;
            exemplar.remarks = remarks.get(&exemplar.sample_id).cloned().unwrap_or_default();
            exemplar
        };
        Ok(chosen.into_iter().map(fill).collect())
    }
}

/// The gates that pairs are shown of: those that breached or diverged, also in a segment that contradicts the whole, else
/// those whose estimate is furthest on the bad side, in margins.
fn speaking(evaluation: &Evaluation) -> Vec<&GateResult> {
    let against = |gate: &&GateResult| matches!(gate.outcome, Outcome::Breach | Outcome::Diverged);
    let gates: Vec<&GateResult> =
        evaluation.gates.iter().chain(in_segments(evaluation)).filter(against).collect();
    if !gates.is_empty() {
        return gates;
    }
    let harm = |gate: &GateResult| {
        let estimate = gate.estimate.unwrap_or(0.0) / gate.margin.max(f64::MIN_POSITIVE);
        match gate.better {
            Better::Higher => -estimate,
            Better::Lower => estimate,
            Better::Neither => estimate.abs(),
        }
    };
    let mut closest: Vec<&GateResult> = evaluation.gates.iter().collect();
    closest.sort_by(|one, other| harm(other).total_cmp(&harm(one)));
    closest.truncate(CLOSEST_MAX);
    closest
}

/// The middle value, the lower one of two; 0 of none.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    let middle = values.len().saturating_sub(1) / 2;
    if values.is_empty() { 0.0 } else { *values.select_nth_unstable_by(middle, f64::total_cmp).1 }
}

/// Texts by sample id, leg, and whether it is the request's.
type Texts = BTreeMap<(String, &'static str, bool), String>;

fn read_texts(path: &Path, ids: &BTreeSet<&str>, texts: &mut Texts) -> Result<(), MetricsError> {
    let filter = ids.iter().map(|id| col("sample_id").eq(lit(*id))).reduce(Expr::or);
    let frame = scan(path, &["sample_id", "leg", "request_text", "response_text"], &[], filter)?;
    let (ids, legs) = (frame.text("sample_id")?, frame.text("leg")?);
    let (requests, responses) = (frame.text("request_text")?, frame.text("response_text")?);
    for row in 0..frame.rows() {
        let id = ids.and_then(|column| column.get(row)).unwrap_or_default();
        let Some(leg) = Leg::parse(legs.and_then(|column| column.get(row)).unwrap_or_default()) else {
            continue; // refused when the file was loaded
        };
        for (column, request) in [(requests, true), (responses, false)] {
            let text = column.and_then(|column| column.get(row)).unwrap_or_default();
            texts.entry((id.to_owned(), leg.as_str(), request)).or_insert_with(|| shortened(text));
        }
    }
    Ok(())
}

fn ranked(series: &MetricSeries, places: &[u32], gate: &GateResult, most: usize) -> Vec<(usize, (f64, f64))> {
    let harm = |(control, candidate): (f64, f64)| match gate.better {
        Better::Higher => control - candidate,
        Better::Lower => candidate - control,
        Better::Neither => (candidate - control).abs(),
    };
    let pairs = series.pairs.iter().enumerate();
    let bad = pairs.filter(|(index, pair)| harm(*pair) > 0.0 && inside(series, *index, gate));
    // Of two that are alike the earlier one.
    let order = |one: &(usize, (f64, f64)), other: &(usize, (f64, f64))| {
        harm(other.1).total_cmp(&harm(one.1)).then(one.0.cmp(&other.0))
    };
    let place = |(index, pair): (usize, (f64, f64))| Some((*places.get(index)? as usize, pair));
    first(bad, most, order).into_iter().filter_map(place).collect()
}

/// The first `most` of many by an order in which no two are equal.
pub(crate) fn first<T: Copy>(
    items: impl Iterator<Item = T>,
    most: usize,
    order: impl Fn(&T, &T) -> Ordering,
) -> Vec<T> {
    let mut kept: Vec<T> = Vec::new();
    let mut last: Option<T> = None;
    for item in items {
        if last.is_some_and(|last| order(&item, &last) == Ordering::Greater) {
            continue;
        }
        kept.push(item);
        if kept.len() >= 2 * most.max(FEW) {
            kept.sort_unstable_by(&order);
            kept.truncate(most);
            last = kept.last().copied();
        }
    }
    kept.sort_unstable_by(&order);
    kept.truncate(most);
    kept
}

/// The gates of segments that contradict the whole: what the average hides is shown.
fn in_segments(evaluation: &Evaluation) -> impl Iterator<Item = &GateResult> {
    evaluation.findings.iter().filter_map(|finding| {
        let segment = evaluation
            .segments
            .iter()
            .find(|segment| segment.dimension == finding.dimension && segment.value == finding.value)?;
        segment.gates.iter().find(|gate| gate.gate == finding.gate)
    })
}

/// Whether a pair of a series is in the gate's part of the traffic.
fn inside(series: &MetricSeries, index: usize, gate: &GateResult) -> bool {
    if gate.segment.is_empty() {
        return true;
    }
    let place = series.labels.pairs.get(index).and_then(|place| usize::try_from(*place).ok());
    let Some(set) = place.and_then(|place| series.labels.sets.get(place)) else { return false };
    gate.segment.iter().all(|label| set.iter().any(|(d, v)| (d, v) == label))
}

/// `errors`, `errors in tier=internal` for a gate in a segment.
fn name(gate: &GateResult) -> String {
    let labels: Vec<String> = gate.segment.iter().map(|(d, v)| format!("{d}={v}")).collect();
    if labels.is_empty() { gate.gate.clone() } else { format!("{} in {}", gate.gate, labels.join(", ")) }
}

fn without_text(
    gate: &GateResult,
    origin: Origin<'_>,
    scores: Option<&PairScores>,
    (control, candidate): (f64, f64),
) -> Exemplar {
    let (control_scores, candidate_scores) = scores.cloned().unwrap_or_default();
    Exemplar {
        sample_id: origin.sample_id.to_string(),
        gate: name(gate),
        metric: gate.metric.clone(),
        control_value: control,
        candidate_value: candidate,
        control_scores,
        candidate_scores,
        ..Exemplar::default()
    }
}

fn shortened(text: &str) -> String {
    let characters = text.chars().count();
    if characters <= TEXT_CHARACTERS_MAX {
        return text.to_owned();
    }
    let kept: String = text.chars().take(TEXT_CHARACTERS_MAX).collect();
    format!("{kept}… ({} more characters)", characters - TEXT_CHARACTERS_MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_of_many_are_those_that_a_sort_puts_first(
            numbers in prop::collection::vec(0_u8..20, 0..300),
            most in 0_usize..80,
        ) {
            let items: Vec<(u8, usize)> = numbers.into_iter().enumerate().map(|(at, number)| (number, at)).collect();
            let mut sorted = items.clone();
            sorted.sort_unstable();
            sorted.truncate(most);
            prop_assert_eq!(first(items.into_iter(), most, Ord::cmp), sorted);
        }

        #[test]
        fn a_median_is_the_middle_of_the_sorted_values(values in prop::collection::vec(-9.0..9.0_f64, 1..50)) {
            let mut sorted = values.clone();
            sorted.sort_unstable_by(f64::total_cmp);
            prop_assert_eq!(Some(median(values.into_iter())), sorted.get((sorted.len() - 1) / 2).copied());
        }
    }
}
