//! The worst pairs of the gates that speak against the candidate, with their texts read again and shortened.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use polars::prelude::{Expr, col, lit};
use weir_gate::{Better, Evaluation, GateResult, MetricSeries, Outcome};
use weir_report::Exemplar;
use weir_sample::Leg;

use crate::Loaded;
use crate::error::MetricsError;
use crate::files::heirs;
use crate::scan::scan;
use crate::series::PairOrigin;

/// Characters of a text that are shown.
const TEXT_CHARACTERS_MAX: usize = 2_000;
/// Pairs that are shown in all.
const EXEMPLARS_MAX: usize = 24;

impl Loaded {
    /// The worst pairs of each gate that breached or diverged, on the whole or in a segment that contradicts it, `per_gate` of each (24 in all at most).
    ///
    /// Worst is the largest difference in the bad direction; among equals the earlier exchange. A pair is shown once,
    /// for the first gate that it is among the worst of.
    ///
    /// # Errors
    /// A part file that can no longer be read.
    pub fn exemplars(&self, evaluation: &Evaluation, per_gate: usize) -> Result<Vec<Exemplar>, MetricsError> {
        let mut chosen: Vec<(usize, Exemplar)> = Vec::new();
        let mut shown = BTreeSet::new();
        for gate in evaluation.gates.iter().chain(in_segments(evaluation)) {
            if !matches!(gate.outcome, Outcome::Breach | Outcome::Diverged) {
                continue;
            }
            for (place, values) in self.worst(gate) {
                if chosen.len() >= EXEMPLARS_MAX
                    || chosen.iter().filter(|(_, one)| one.gate == name(gate)).count() >= per_gate
                {
                    break;
                }
                let Some(origin) = self.pairs.pairs.get(place).filter(|_| shown.insert(place)) else {
                    continue;
                };
                chosen.push((place, without_text(gate, origin, values)));
            }
        }
        self.fill_in(chosen)
    }

    /// The pairs of a gate's metric that differ in the bad direction, the worst first.
    fn worst(&self, gate: &GateResult) -> Vec<(usize, (f64, f64))> {
        let Some(series) =
            self.series.iter().find(|series| series.name == weir_gate::base_metric(&gate.metric))
        else {
            return Vec::new();
        };
        let Some(places) = self.pairs.of_metric.get(weir_gate::base_metric(&gate.metric)) else {
            return Vec::new();
        };
        ranked(series, places, gate)
    }

    fn fill_in(&self, chosen: Vec<(usize, Exemplar)>) -> Result<Vec<Exemplar>, MetricsError> {
        let mut wanted: BTreeMap<&PathBuf, BTreeSet<&str>> = BTreeMap::new();
        for (place, _) in &chosen {
            if let Some(origin) = self.pairs.pairs.get(*place) {
                wanted.entry(&origin.control_file).or_default().insert(&origin.sample_id);
                wanted.entry(&origin.candidate_file).or_default().insert(&origin.sample_id);
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
            exemplar
        };
        Ok(chosen.into_iter().map(fill).collect())
    }
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

fn ranked(series: &MetricSeries, places: &[usize], gate: &GateResult) -> Vec<(usize, (f64, f64))> {
    let harm = |(control, candidate): (f64, f64)| match gate.better {
        Better::Higher => control - candidate,
        Better::Lower => candidate - control,
        Better::Neither => (candidate - control).abs(),
    };
    let mut pairs: Vec<(usize, (f64, f64))> = places
        .iter()
        .copied()
        .zip(series.pairs.iter().copied())
        .enumerate()
        .filter(|(index, (_, pair))| harm(*pair) > 0.0 && inside(series, *index, gate))
        .map(|(_, pair)| pair)
        .collect();
    // Stable: pairs are in order of time.
    pairs.sort_by(|one, other| harm(other.1).total_cmp(&harm(one.1)));
    pairs
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

fn without_text(gate: &GateResult, origin: &PairOrigin, (control, candidate): (f64, f64)) -> Exemplar {
    Exemplar {
        sample_id: origin.sample_id.clone(),
        gate: name(gate),
        metric: gate.metric.clone(),
        control_value: control,
        candidate_value: candidate,
        control_scores: origin.control_scores.clone(),
        candidate_scores: origin.candidate_scores.clone(),
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
