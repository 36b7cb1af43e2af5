//! The Prometheus view: the verdict, every gate and every segment as gauges, in the text format 0.0.4, for a textfile collector or a push gateway.
//!
//! Time is left out: whoever scrapes the file knows when. Numbers that a gate has not are left out, too.

use std::fmt::Write as _;

use weir_gate::{GateResult, Outcome, SegmentResult, Severity, Verdict};

use crate::escape::visible;
use crate::model::Report;
use crate::words;

/// A gauge of each gate: name, help, value.
type Gauge = (&'static str, &'static str, fn(&GateResult) -> Option<f64>);

#[allow(clippy::cast_precision_loss)] // counts are far below 2^53
const GAUGES: [Gauge; 8] = [
    ("weir_gate_control", "Mean of control.", |gate| gate.control),
    ("weir_gate_candidate", "Mean of the candidate.", |gate| gate.candidate),
    ("weir_gate_change", "Estimated change of the candidate against control.", |gate| gate.estimate),
    ("weir_gate_change_low", "Lower end of the change's interval.", |gate| {
        gate.interval.map(|interval| interval.0)
    }),
    ("weir_gate_change_high", "Upper end of the change's interval.", |gate| {
        gate.interval.map(|interval| interval.1)
    }),
    ("weir_gate_margin", "Size of the allowed change.", |gate| Some(gate.margin)),
    ("weir_gate_pairs", "Pairs that the gate rests on.", |gate| Some(gate.n_pairs as f64)),
    ("weir_gate_needed_more", "About how many more pairs the gate needs.", |gate| {
        gate.needed_more.map(|more| more as f64)
    }),
];

/// Draws the report. Writing to a String cannot fail, so results of `writeln!` are dropped.
pub(crate) fn render(report: &Report) -> String {
    let mut text = String::new();
    let experiment = label(&report.experiment);
    family(&mut text, "weir_verdict", "1 for the verdict that holds, 0 for the others.");
    for verdict in
        [Verdict::Promote, Verdict::Hold, Verdict::Investigate, Verdict::SignOff, Verdict::Rollback]
    {
        let holds = u8::from(verdict == report.evaluation.verdict);
        let _ = writeln!(
            text,
            "weir_verdict{{experiment=\"{experiment}\",verdict=\"{}\"}} {holds}",
            words::verdict_id(verdict)
        );
    }
    let health = &report.evaluation.health;
    for (name, help, value) in [
        ("weir_analysis_pairs", "Pairs that were captured whole.", health.pairs),
        ("weir_analysis_lost_records", "Records that were numbered and never arrived.", health.sequence_gaps),
        (
            "weir_analysis_capture_problems",
            "Problems that make the capture unfit for a promotion.",
            health.problems.len() as u64,
        ),
    ] {
        family(&mut text, name, help);
        let _ = writeln!(text, "{name}{{experiment=\"{experiment}\"}} {value}");
    }
    gates(&mut text, &experiment, &report.evaluation.gates);
    if !report.evaluation.segments.is_empty() {
        segments(&mut text, &experiment, &report.evaluation.segments);
    }
    text
}

fn segments(text: &mut String, experiment: &str, segments: &[SegmentResult]) {
    let outside = |segment: &SegmentResult| {
        let outside = segment.gates.iter().filter(|gate| {
            matches!(gate.outcome, Outcome::Breach | Outcome::Diverged) && gate.severity != Severity::Advisory
        });
        outside.count() as f64
    };
    type Gauge<'a> = (&'a str, &'a str, &'a dyn Fn(&SegmentResult) -> f64);
    let gauges: [Gauge<'_>; 3] = [
        ("weir_segment_answers", "Pairs, or answers of the smaller variant, of the segment.", &|segment| {
            segment.n as f64
        }),
        ("weir_segment_gates_outside", "Gates that are past their margin in the segment.", &outside),
        ("weir_segment_damage", "How much worse its worst gate is for certain, in margins.", &|segment| {
            segment.damage
        }),
    ];
    for (name, help, value) in gauges {
        family(text, name, help);
        for segment in segments {
            let _ = writeln!(
                text,
                "{name}{{experiment=\"{experiment}\",dimension=\"{}\",value=\"{}\"}} {}",
                label(&segment.dimension),
                label(&segment.value),
                value(segment)
            );
        }
    }
}

fn gates(text: &mut String, experiment: &str, gates: &[GateResult]) {
    family(text, "weir_gate_outcome", "1 for the outcome that the gate has, 0 for the others.");
    let outcomes = [
        Outcome::Inside,
        Outcome::Improved,
        Outcome::Undecided,
        Outcome::NoData,
        Outcome::Diverged,
        Outcome::Breach,
    ];
    for gate in gates {
        for outcome in outcomes {
            let _ = writeln!(
                text,
                "weir_gate_outcome{{{},severity=\"{}\",outcome=\"{}\"}} {}",
                labels(experiment, gate),
                words::severity(gate.severity),
                outcome.as_str().replace(' ', "_"),
                u8::from(outcome == gate.outcome)
            );
        }
    }
    for (name, help, value) in GAUGES {
        family(text, name, help);
        for gate in gates {
            if let Some(value) = value(gate).filter(|value| value.is_finite()) {
                let _ = writeln!(text, "{name}{{{}}} {value}", labels(experiment, gate));
            }
        }
    }
}

fn family(text: &mut String, name: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
}

fn labels(experiment: &str, gate: &GateResult) -> String {
    format!(
        "experiment=\"{experiment}\",gate=\"{}\",metric=\"{}\",unit=\"{}\"",
        label(&gate.gate),
        label(&gate.metric),
        label(&gate.unit)
    )
}

/// A label's value: what steers is written out, backslash, quote and line break as the format asks for.
fn label(value: &str) -> String {
    visible(value, crate::escape::Lines::Join).replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
