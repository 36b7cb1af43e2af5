//! Judges in words: how far each agrees with people, and what a gate's score was before it was corrected.

use weir_gate::GateResult;

use crate::model::{JudgeCalibration, JudgePart};
use crate::numbers::{self, count};

/// `judge alone -0.117 (-0.167 to -0.068), corrected by 80 and 80 labels of people (0.62 of the judge counts)`; nothing for
/// a metric that nobody labelled.
pub(crate) fn correction(gate: &GateResult) -> Option<String> {
    let correction = gate.correction.as_ref()?;
    let labels =
        format!("{} and {} labels", count(correction.labels_control), count(correction.labels_candidate));
    if !correction.applied {
        return Some(format!("{labels} of people: {}", correction.text));
    }
    let raw = correction
        .raw_estimate
        .map_or_else(|| "-".to_owned(), |raw| numbers::difference(&gate.unit, gate.relative, raw));
    let interval = correction.raw_interval.map_or_else(String::new, |bounds| {
        format!(" ({})", numbers::interval(&gate.unit, gate.relative, bounds))
    });
    let weight = correction.judge_weight.map_or_else(String::new, |weight| {
        format!(" ({} of the judge's difference counts)", numbers::value("", weight))
    });
    Some(format!("by the judge alone {raw}{interval}, corrected by {labels} of people{weight}"))
}

/// How many more labels a gate needs.
pub(crate) fn labels_needed(gate: &GateResult) -> Option<u64> {
    gate.correction.as_ref()?.needed_labels.filter(|more| *more > 0)
}

/// `agreement 0.85, kappa 0.69, alpha 0.70; bias: control +0.02, candidate +0.11, error with length +0.30`; only what is known.
pub(crate) fn agreement(judge: &JudgeCalibration) -> String {
    let number = |name: &str, value: Option<f64>| {
        value
            .filter(|value| value.is_finite())
            .map(|value| format!("{name} {}", numbers::value("score", value)))
    };
    let signed = |name: &str, value: Option<f64>| {
        let known = value.filter(|value| value.is_finite());
        known.map(|value| format!("{name} {}", numbers::difference("score", false, value)))
    };
    let order = judge.first_preferred.filter(|_| judge.pairs_both_orders > 0).map(|first| {
        format!(
            "order: {} of {} pairs changed with it, the first preferred by {}",
            count(judge.flips),
            count(judge.pairs_both_orders),
            numbers::value("score", first)
        )
    });
    let parts = [
        number("agreement", judge.share),
        number(if judge.measure.is_empty() { "agreement" } else { &judge.measure }, judge.agreement),
        number("alpha", judge.alpha),
        signed("bias on control", judge.bias_control),
        signed("bias on candidate", judge.bias_candidate),
        signed("error with length", judge.length_bias),
        order,
        (judge.asked_twice > 0).then(|| {
            format!("asked twice: the same for {} of {}", count(judge.same_twice), count(judge.asked_twice))
        }),
    ];
    let known: Vec<String> = parts.into_iter().flatten().collect();
    if known.is_empty() { "no labels".to_owned() } else { known.join("; ") }
}

/// `tier=internal: 40 labels, agreement 0.80, kappa 0.61, bias +0.04`.
pub(crate) fn part(part: &JudgePart) -> String {
    let mut text = format!("{}: {} labels", part.of, count(part.labels));
    for (name, value) in [("agreement", part.share), ("kappa", part.kappa)] {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            text.push_str(&format!(", {name} {}", numbers::value("score", value)));
        }
    }
    for (name, value) in [("bias", part.bias), ("error with length", part.length_bias)] {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            text.push_str(&format!(", {name} {}", numbers::difference("score", false, value)));
        }
    }
    text
}
