//! Every gate in every segment: what the average hides.
//!
//! A segment is one value of one dimension (`tier=internal`) where the dimension has at least two. Each gate that names
//! no segment of its own is judged in each of them as it is judged on the whole.
//!
//! Error control: segments have an alpha of their own, as large as that of the whole rule. With `G` gates that decide, the
//! n-th segment to appear is judged at `alpha / (G n (n + 1))` per gate. Since `1/2 + 1/6 + 1/12 + ...` is one, the
//! chance that any gate in any segment is ever called worse than its margin without cause is at most `alpha`: over all
//! gates, all looks and all segments, also those that appear later, whatever the dependence (union bound). A segment that
//! nobody named calls a human and never rolls back, and an outcome in a segment never makes a promotion possible: the
//! promises about rollback and promotion stay as they are, and only that about calling a human grows by `alpha`.
//!
//! Why not Bonferroni over the segments that are there or a step-up rule (e-BH): both change what was promised at earlier
//! looks when a segment appears. The price is small, because an interval's width grows with the root of the logarithm of
//! `1 / alpha`: the tenth segment's is about a tenth wider than with Bonferroni over ten.

use std::collections::BTreeSet;

use crate::beside::Judging;
use crate::gates::{Gate, Severity};
use crate::labels::Segment;
use crate::memory::Memory;
use crate::result::{FindingKind, GateResult, Outcome, Reason, SegmentFinding, SegmentResult, Verdict};
use crate::series::{Better, MetricSeries};

/// Reasons that come from segments; the others are counted.
const REASONS_MAX: usize = 5;

/// A dimension's value, and the alpha of each gate in it in units of the family's.
struct Slot {
    dimension: String,
    value: String,
    weight: f64,
}

/// The segments of the evidence, in order of appearance. Every value of every dimension takes a place in that order, also
/// while its dimension has no second one, so that weights do not change when it comes.
fn slots(series: &[MetricSeries]) -> Vec<Slot> {
    let sets = series.iter().map(|series| &series.labels.sets).max_by_key(|sets| sets.len());
    let mut seen = BTreeSet::new();
    let mut slots: Vec<Slot> = Vec::new();
    for (dimension, value) in sets.into_iter().flatten().flatten() {
        if seen.insert((dimension, value)) {
            let number = slots.len() as f64 + 1.0;
            let weight = 1.0 / (number * (number + 1.0));
            slots.push(Slot { dimension: dimension.clone(), value: value.clone(), weight });
        }
    }
    let kept = dimensions(&slots, sets.into_iter().flatten());
    slots.retain(|slot| kept.contains(&slot.dimension));
    slots
}

/// Dimensions with several values, of those that divide the traffic alike (cohort and tier, often) the first.
fn dimensions<'a>(
    slots: &[Slot],
    sets: impl Iterator<Item = &'a Vec<(String, String)>> + Clone,
) -> BTreeSet<String> {
    let mut kept = BTreeSet::new();
    let mut parts = BTreeSet::new();
    for dimension in slots.iter().map(|slot| &slot.dimension) {
        let value = |set: &'a Vec<(String, String)>| {
            set.iter().find(|(name, _)| name == dimension).map(|(_, value)| value.as_str())
        };
        let values: Vec<Option<&str>> = sets.clone().map(value).collect();
        // The place of the first set with the same value stands for the value, whatever it is called.
        let first = |value: &Option<&str>| value.and_then(|_| values.iter().position(|other| other == value));
        let part: Vec<Option<usize>> = values.iter().map(first).collect();
        let several = part.iter().flatten().collect::<BTreeSet<_>>().len() > 1;
        if several && !kept.contains(dimension) && parts.insert(part) {
            kept.insert(dimension.clone());
        }
    }
    kept
}

/// Judges gates in each segment; `judge` gives a gate's results on a part of the evidence at an alpha. The worst segment
/// comes first. `alpha` is the family's, `deciding` the number of gates that decide.
pub(crate) fn judged<'g>(
    gates: &[(&'g Gate, Vec<&MetricSeries>)],
    series: &[MetricSeries],
    alpha: f64,
    deciding: usize,
    judging: Judging<'_>,
    judge: impl Fn(&'g Gate, &[&MetricSeries], f64, &Segment, &Memory) -> Vec<GateResult> + Sync,
) -> Vec<SegmentResult> {
    let own: Vec<&(&Gate, Vec<&MetricSeries>)> =
        gates.iter().filter(|(gate, metrics)| gate.segment.is_none() && !metrics.is_empty()).collect();
    let of = |slot: &Slot, memory: &Memory| {
        let segment = Segment::from([(slot.dimension.clone(), slot.value.clone())]);
        let share = alpha * slot.weight / deciding.max(1) as f64;
        let mut results: Vec<GateResult> = Vec::new();
        for (gate, metrics) in &own {
            let parts: Vec<_> = metrics.iter().map(|series| memory.part(series, &segment)).collect();
            let parts: Vec<&MetricSeries> = parts.iter().map(AsRef::as_ref).collect();
            results.extend(judge(gate, &parts, share, &segment, memory));
        }
        results.retain(|result| result.outcome != Outcome::NoData);
        (!results.is_empty()).then(|| segment_result(slot, results))
    };
    let mut segments: Vec<SegmentResult> = judging.map(&slots(series), of).into_iter().flatten().collect();
    // A stable sort: of two that are alike the one that appeared first comes first.
    segments.sort_by(|one, other| other.damage.total_cmp(&one.damage).then(other.harm.total_cmp(&one.harm)));
    segments
}

fn segment_result(slot: &Slot, gates: Vec<GateResult>) -> SegmentResult {
    let key = |result: &&GateResult| (damage(result), harm(result));
    let deciding = || gates.iter().filter(|result| result.severity != Severity::Advisory);
    let worst = deciding().filter(|result| result.interval.is_some()).max_by(|one, other| {
        let ((a, b), (c, d)) = (key(one), key(other));
        a.total_cmp(&c).then(b.total_cmp(&d))
    });
    SegmentResult {
        damage: worst.map_or(0.0, damage),
        harm: worst.map_or(0.0, harm),
        worst: worst.map(|result| result.gate.clone()),
        n: gates.iter().map(|result| result.n_control.min(result.n_candidate)).max().unwrap_or(0),
        dimension: slot.dimension.clone(),
        value: slot.value.clone(),
        gates,
    }
}

/// How far the estimate lies on the bad side, in margins; for a gate both ways, how far off it is.
fn harm(result: &GateResult) -> f64 {
    let Some(estimate) = result.estimate else { return 0.0 };
    let size = match result.better {
        Better::Higher => -estimate,
        Better::Lower => estimate,
        Better::Neither => estimate.abs(),
    };
    finite(size / result.margin)
}

/// How much of the harm is certain: how far the near end of the interval lies on the bad side, in margins, at least 0.
fn damage(result: &GateResult) -> f64 {
    let Some((low, high)) = result.interval else { return 0.0 };
    let size = match result.better {
        Better::Higher => -high,
        Better::Lower => low,
        Better::Neither => low.max(-high),
    };
    finite(size / result.margin).max(0.0)
}

fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}

/// Certainly better than control, at the interval's alpha.
fn certainly_better(result: &GateResult) -> bool {
    match (result.better, result.interval) {
        (Better::Higher, Some((low, _))) => low > 0.0,
        (Better::Lower, Some((_, high))) => high < 0.0,
        _ => false,
    }
}

fn certainly_worse(result: &GateResult) -> bool {
    result.better != Better::Neither && damage(result) > 0.0
}

/// Where segments contradict the whole: gate by gate, in the order of the gates.
pub(crate) fn findings(whole: &[GateResult], segments: &[SegmentResult]) -> Vec<SegmentFinding> {
    let mut findings = Vec::new();
    for overall in whole.iter().filter(|result| result.segment.is_empty()) {
        let rows: Vec<(&SegmentResult, &GateResult)> = segments
            .iter()
            .filter_map(|segment| {
                segment
                    .gates
                    .iter()
                    .find(|result| result.gate == overall.gate)
                    .map(|result| (segment, result))
            })
            .collect();
        let turned = paradoxes(overall, &rows);
        for (segment, result) in rows {
            let told = turned.iter().any(|finding| finding.dimension == segment.dimension);
            if !told && let Some(kind) = contradiction(overall, result) {
                findings.push(finding(kind, overall, segment, result));
            }
        }
        findings.extend(turned);
    }
    findings
}

fn contradiction(overall: &GateResult, result: &GateResult) -> Option<FindingKind> {
    if certainly_better(overall) && certainly_worse(result) {
        Some(FindingKind::WorseInSegment)
    } else if certainly_worse(overall) && certainly_better(result) {
        Some(FindingKind::BetterInSegment)
    } else if outside(result) && !outside(overall) {
        Some(FindingKind::Hidden)
    } else {
        None
    }
}

fn outside(result: &GateResult) -> bool {
    matches!(result.outcome, Outcome::Breach | Outcome::Diverged)
}

/// Dimensions all of whose segments point against the whole: the variants got different mixtures.
fn paradoxes(overall: &GateResult, rows: &[(&SegmentResult, &GateResult)]) -> Vec<SegmentFinding> {
    let better = certainly_better(overall);
    if !better && !certainly_worse(overall) {
        return Vec::new();
    }
    let dimensions: BTreeSet<&str> = rows.iter().map(|(segment, _)| segment.dimension.as_str()).collect();
    let mut found = Vec::new();
    for dimension in dimensions {
        let of: Vec<&(&SegmentResult, &GateResult)> = rows
            .iter()
            .filter(|(segment, result)| segment.dimension == dimension && result.interval.is_some())
            .collect();
        let against = |result: &GateResult| if better { harm(result) > 0.0 } else { harm(result) < 0.0 };
        let certain =
            |result: &GateResult| if better { certainly_worse(result) } else { certainly_better(result) };
        let all = of.len() > 1 && of.iter().all(|(_, result)| against(result));
        let surest = of.iter().find(|(_, result)| certain(result)).filter(|_| all);
        if let Some((segment, result)) = surest {
            let kind = if better { FindingKind::WorseInAll } else { FindingKind::BetterInAll };
            found.push(finding(kind, overall, segment, result));
        }
    }
    found
}

fn finding(
    kind: FindingKind,
    overall: &GateResult,
    segment: &SegmentResult,
    result: &GateResult,
) -> SegmentFinding {
    let (dimension, name) = (&segment.dimension, segment.name());
    let gate = &overall.gate;
    let text = match kind {
        FindingKind::WorseInSegment => format!("Simpson: {gate} is better overall and worse in {name}"),
        FindingKind::BetterInSegment => format!("Simpson: {gate} is worse overall and better in {name}"),
        FindingKind::WorseInAll => format!(
            "Simpson: {gate} is better overall and worse in every {dimension}: the variants served different mixtures"
        ),
        FindingKind::BetterInAll => format!(
            "Simpson: {gate} is worse overall and better in every {dimension}: the variants served different mixtures"
        ),
        FindingKind::Hidden => format!("{name} is past the margin of {gate}, which the whole does not show"),
    };
    let text = format!("{text}; {}", result.explanation);
    SegmentFinding {
        kind,
        gate: gate.clone(),
        dimension: dimension.clone(),
        value: segment.value.clone(),
        text,
    }
}

/// The verdict with segments heeded: what would promote, hold or ask for a sign-off becomes investigate where a gate that
/// decides is past its margin in a segment and does not merely differ there as it does on the whole. It never becomes friendlier.
pub(crate) fn heed(
    (verdict, mut reasons): (Verdict, Vec<Reason>),
    segments: &[SegmentResult],
    findings: &[SegmentFinding],
    whole: &[GateResult],
) -> (Verdict, Vec<Reason>) {
    let decides =
        |gate: &str| whole.iter().any(|result| result.gate == gate && result.severity != Severity::Advisory);
    let mut said: Vec<Reason> = findings
        .iter()
        .filter(|finding| decides(&finding.gate))
        .map(|finding| Reason { text: finding.text.clone(), gate: Some(finding.gate.clone()) })
        .collect();
    if said.len() > REASONS_MAX {
        let more = said.len() - REASONS_MAX;
        said.truncate(REASONS_MAX);
        said.push(Reason { text: format!("{more} more findings in segments"), gate: None });
    }
    // A part that differs as the whole does says nothing that the whole has not said.
    let known = |result: &GateResult| {
        let same = |overall: &GateResult| overall.gate == result.gate && overall.segment.is_empty();
        result.outcome == Outcome::Diverged
            && whole.iter().any(|overall| same(overall) && overall.outcome == Outcome::Diverged)
    };
    let breached = |segment: &SegmentResult| {
        segment
            .gates
            .iter()
            .any(|result| outside(result) && !known(result) && result.severity != Severity::Advisory)
    };
    let worst: Vec<String> =
        segments.iter().filter(|segment| breached(segment)).map(SegmentResult::name).collect();
    let friendly = matches!(verdict, Verdict::Promote | Verdict::Hold | Verdict::SignOff);
    if friendly && !worst.is_empty() {
        said.push(Reason {
            text: format!(
                "a gate is past its margin in a segment: a human looks; the gates alone would say {verdict}"
            ),
            gate: None,
        });
        reasons.splice(0..0, said);
        return (Verdict::Investigate, reasons);
    }
    reasons.extend(said);
    (verdict, reasons)
}
