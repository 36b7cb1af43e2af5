//! Fixed reports: a rollback, a hold, and one whose every text is hostile.

mod meaning;

use weir_gate::{
    Better, CaptureHealth, Comparison, Evaluation, FindingKind, GateResult, Outcome, Reason, SegmentFinding,
    SegmentResult, Severity, Tripwire, Verdict,
};
use weir_report::{
    Distribution, Exemplar, ExemplarKind, Histogram, JudgeCalibration, JudgePart, PromptMap, PromptPoint,
    Provenance, Report, SCHEMA, Step, TimelineEntry, Trajectory, TrajectoryPoint, Variants,
};

/// Characters that turn reading order round.
pub(crate) const BIDI: [char; 4] = ['\u{202e}', '\u{202d}', '\u{2066}', '\u{200f}'];

const HOSTILE: &str = "</pre><script>alert(1)</script>\u{202e}evil\u{1b}[2J\u{1b}]0;t\u{7}]]> | `x` ``` **b** [l](https://e.example) @you \u{0} \"'><img src=x onerror=alert(1)>";

pub(crate) fn rollback() -> Report {
    let evaluation = evaluation();
    Report {
        schema: SCHEMA.to_owned(),
        experiment: "support-answers".into(),
        generated_from: Provenance {
            data: "data".into(),
            gates_digest: "5f2a90c1d7e84b36".into(),
            samples: 2_964,
            duplicates: 0,
            first_ts: Some("2025-10-09T08:53:20Z".into()),
            last_ts: Some("2025-10-09T08:55:02.5Z".into()),
            weir_version: "0.1.0".into(),
            command: ["weir", "analyze", "--data", "data"].map(String::from).to_vec(),
            ..Provenance::default()
        },
        variants: Variants {
            control_snapshot: vec!["model chat-large 2025-06, prompt support 12".into()],
            candidate_snapshot: vec!["model chat-small 2025-09, prompt support 12".into()],
        },
        revisions: vec![3],
        evaluation: evaluation.clone(),
        absent: vec![("score:helpful".into(), "no score of this criterion has arrived".into())],
        distributions: vec![lengths(), latencies()],
        exemplars: vec![
            exemplar("json-fields"),
            Exemplar {
                kind: ExemplarKind::Typical,
                remarks: vec!["judge-large: the order number is missing".into()],
                ..exemplar("hedging")
            },
        ],
        timeline: vec![
            entry("2025-10-09T08:53:20Z", "step", "shadow: 100 % of exchanges are shadowed"),
            entry("2025-10-09T08:54:01Z", "decision", "promote: every gate is inside its margin"),
            entry("2025-10-09T08:54:02Z", "push", "revision 3: candidate 5 %"),
            entry("2025-10-09T08:55:02Z", "rollback", "json-fields breached"),
            entry("2025-10-09T08:55:02.4Z", "confirmed", "revision 4 by Envoy and by a probe"),
        ],
        step: Some(Step { name: "5 %".into(), number: 2, of: 3, candidate_percent: 5.0 }),
        trajectories: vec![trajectory()],
        prompts: Some(prompts()),
        meaning: Some(meaning::meaning(None)),
        tripwires: vec![tripwire("refusals", "refusals: 21 % of the candidate's, 3 % of control's")],
        judges: vec![judge()],
        ..Report::new("", Provenance::default(), evaluation)
    }
}

fn trajectory() -> Trajectory {
    let point = |second: u32, half: f64, estimate: f64| TrajectoryPoint {
        at: format!("2025-10-09T08:54:{second:02}Z"),
        n: u64::from(second) * 20,
        estimate,
        low: estimate - half,
        high: estimate + half,
    };
    Trajectory {
        gate: "json-fields".into(),
        unit: "share".into(),
        relative: false,
        better: Better::Higher,
        margin: 0.02,
        points: vec![point(5, 0.4, 0.0), point(20, 0.2, -0.1), point(50, 0.05, -0.31)],
    }
}

fn prompts() -> PromptMap {
    let point = |x: f64, y: f64, shift: f64, text: &str| PromptPoint {
        sample_id: format!("s-{x}"),
        x,
        y,
        shift,
        text: text.into(),
        cluster: Some(0),
        ..PromptPoint::default()
    };
    PromptMap {
        method: "all-MiniLM-L6-v2, first two principal components".into(),
        clusters: vec!["1: order, money".into()],
        points: vec![
            point(0.1, 0.4, 0.05, "Where is my order?"),
            point(0.9, -0.4, 0.93, "I want my money back"),
            point(-0.2, 0.0, 0.5, "Where do I find my invoice?"),
        ],
    }
}

fn judge() -> JudgeCalibration {
    JudgeCalibration {
        criterion: "helpful".into(),
        judge: "judge-large, prompt 3".into(),
        calibrated: true,
        text: "agrees with people as people do with each other".into(),
        labels: 240,
        measure: "kappa".into(),
        agreement: Some(0.71),
        interval: Some((0.62, 0.8)),
        share: Some(0.86),
        alpha: Some(0.74),
        bias_control: Some(0.02),
        bias_candidate: Some(0.11),
        length_bias: Some(0.31),
        pairs_both_orders: 200,
        flips: 26,
        first_preferred: Some(0.56),
        asked_twice: 100,
        same_twice: 71,
        parts: vec![JudgePart {
            of: "variant=candidate".into(),
            labels: 120,
            share: Some(0.81),
            kappa: Some(0.63),
            bias: Some(0.11),
            length_bias: None,
        }],
    }
}

fn evaluation() -> Evaluation {
    Evaluation {
        verdict: Verdict::Rollback,
        reasons: vec![
            reason(
                "json-fields breached (critical): the share of answers with answer, order_id fell by 31.4 points (-36.0 to -26.8), margin 2.0 points",
                "json-fields",
            ),
            reason(
                "hedging breached (major): hedging answers rose by 22.1 points (+17.5 to +26.7), margin 5.0 points",
                "hedging",
            ),
            reason(
                "length diverged: answers are 38.2 % shorter (-42.0 % to -34.4 %), margin 25.0 %",
                "length",
            ),
        ],
        gates: gates(),
        alpha: 0.05,
        error_rates: weir_gate::ErrorRates {
            rollback: 0.05,
            promotion: 0.0125,
            investigate: 0.1375,
            segments: 0.05,
        },
        score: Some(41),
        segments: segments(),
        findings: vec![SegmentFinding {
            kind: FindingKind::WorseInSegment,
            gate: "latency".into(),
            dimension: "tag:region".into(),
            value: "eu".into(),
            text: "Simpson: latency is better overall and worse in tag:region=eu; latency rose by 31 %"
                .into(),
        }],
        looks: "any number".into(),
        health: CaptureHealth {
            primary_control: 1_391,
            primary_candidate: 71,
            shadow: 1_388,
            noise: 114,
            pairs: 1_388,
            half_pairs: 3,
            truncated_control: 2,
            truncated_candidate: 0,
            sequence_gaps: 0,
            span_seconds: None,
            problems: Vec::new(),
            ..CaptureHealth::default()
        },
    }
}

fn segments() -> Vec<SegmentResult> {
    let in_segment =
        |dimension: &str, value: &str, estimate: f64, interval: (f64, f64), outcome| GateResult {
            n_pairs: 171,
            n_control: 171,
            n_candidate: 171,
            control: Some(812.0),
            candidate: Some(812.0 * (1.0 + estimate)),
            estimate: Some(estimate),
            interval: Some(interval),
            relative: true,
            segment: [(dimension.to_owned(), value.to_owned())].into(),
            ..gate("latency", "latency_ms", "ms", Better::Lower, Severity::Major, 0.1, outcome)
        };
    let of = |dimension: &str, value: &str, damage, harm, result: GateResult| SegmentResult {
        dimension: dimension.into(),
        value: value.into(),
        n: 171,
        damage,
        harm,
        worst: Some("latency".into()),
        gates: vec![result],
    };
    let worse = in_segment("tag:region", "eu", 0.31, (0.18, 0.44), Outcome::Breach);
    let better = in_segment("tag:region", "us", -0.41, (-0.52, -0.3), Outcome::Improved);
    vec![of("tag:region", "eu", 1.8, 3.1, worse), of("tag:region", "us", 0.0, -4.1, better)]
}

fn gates() -> Vec<GateResult> {
    vec![
        GateResult {
            control: Some(0.998),
            candidate: Some(0.684),
            estimate: Some(-0.314),
            interval: Some((-0.36, -0.268)),
            ..gate(
                "json-fields",
                "json_fields:answer,order_id",
                "share",
                Better::Higher,
                Severity::Critical,
                0.02,
                Outcome::Breach,
            )
        },
        GateResult {
            control: Some(0.031),
            candidate: Some(0.252),
            estimate: Some(0.221),
            interval: Some((0.175, 0.267)),
            ..gate("hedging", "hedging", "share", Better::Lower, Severity::Major, 0.05, Outcome::Breach)
        },
        GateResult {
            control: Some(412.6),
            candidate: Some(255.0),
            estimate: Some(-0.382),
            interval: Some((-0.42, -0.344)),
            relative: true,
            ..gate(
                "length",
                "response_chars",
                "characters",
                Better::Neither,
                Severity::Major,
                0.25,
                Outcome::Diverged,
            )
        },
        GateResult {
            control: Some(0.004),
            candidate: Some(0.003),
            estimate: Some(-0.001),
            interval: Some((-0.009, 0.007)),
            ..gate("errors", "error", "share", Better::Lower, Severity::Critical, 0.01, Outcome::Inside)
        },
        GateResult {
            control: Some(1.0),
            candidate: Some(0.999),
            estimate: Some(-0.001),
            interval: Some((-0.021, 0.004)),
            needed_more: Some(240),
            explanation: "the interval (-2.1 to +0.4 points) contains the margin of 2.0 points".into(),
            ..gate(
                "json-valid",
                "json_valid",
                "share",
                Better::Higher,
                Severity::Critical,
                0.02,
                Outcome::Undecided,
            )
        },
        GateResult {
            control: Some(812.0),
            candidate: Some(604.0),
            estimate: Some(-0.256),
            interval: Some((-0.301, -0.211)),
            relative: true,
            ..gate("latency", "latency_ms", "ms", Better::Lower, Severity::Major, 0.1, Outcome::Improved)
        },
        GateResult {
            comparison: Comparison::None,
            n_pairs: 0,
            n_control: 0,
            n_candidate: 0,
            explanation: "no score of this criterion has arrived".into(),
            ..gate(
                "quality",
                "score:helpful",
                "score",
                Better::Higher,
                Severity::Critical,
                0.02,
                Outcome::NoData,
            )
        },
    ]
}

fn gate(
    name: &str,
    metric: &str,
    unit: &str,
    better: Better,
    severity: Severity,
    margin: f64,
    outcome: Outcome,
) -> GateResult {
    GateResult {
        gate: name.into(),
        metric: metric.into(),
        unit: unit.into(),
        better,
        severity,
        comparison: Comparison::Paired,
        n_pairs: 1_388,
        n_control: 1_388,
        n_candidate: 1_388,
        control: None,
        candidate: None,
        estimate: None,
        interval: None,
        relative: false,
        margin,
        alpha: 0.0021,
        method: "paired betting confidence sequence".into(),
        outcome,
        needed_more: None,
        explanation: format!("{name} was judged on all pairs"),
        segment: weir_gate::Segment::new(),
        correction: None,
    }
}

pub(crate) fn hold() -> Report {
    let mut report = rollback();
    report.evaluation.verdict = Verdict::Hold;
    report.evaluation.reasons = vec![reason("json-valid needs about 240 more pairs", "json-valid")];
    report
        .evaluation
        .gates
        .retain(|gate| matches!(gate.outcome, Outcome::Undecided | Outcome::Inside | Outcome::NoData));
    report.evaluation.health.problems = vec![
        "only 75 % of the expected pairs arrived (145 of about 194), and those that did may be the easy ones; hint: see whether the candidate answers its shadow copies in time".into(),
    ];
    report.distributions.clear();
    report.exemplars.clear();
    report.timeline.clear();
    report
}

pub(crate) fn hostile() -> Report {
    let mut report = rollback();
    report.experiment = HOSTILE.into();
    report.generated_from.data = HOSTILE.into();
    report.generated_from.gates_digest = HOSTILE.into();
    report.generated_from.weir_version = HOSTILE.into();
    report.generated_from.first_ts = Some(HOSTILE.into());
    report.variants.control_snapshot = vec![HOSTILE.into()];
    report.variants.candidate_snapshot = vec![HOSTILE.into()];
    report.evaluation.reasons = vec![reason(HOSTILE, HOSTILE)];
    report.evaluation.looks = HOSTILE.into();
    report.evaluation.health.problems = vec![HOSTILE.into()];
    report.evaluation.gates.truncate(1);
    for gate in &mut report.evaluation.gates {
        gate.gate = HOSTILE.into();
        gate.metric = HOSTILE.into();
        gate.unit = HOSTILE.into();
        gate.method = HOSTILE.into();
        gate.explanation = HOSTILE.into();
    }
    for finding in &mut report.evaluation.findings {
        finding.gate = HOSTILE.into();
        finding.value = HOSTILE.into();
        finding.text = HOSTILE.into();
    }
    report.evaluation.segments.truncate(1);
    for segment in &mut report.evaluation.segments {
        segment.dimension = HOSTILE.into();
        segment.value = HOSTILE.into();
        segment.worst = Some(HOSTILE.into());
        for gate in &mut segment.gates {
            gate.gate = HOSTILE.into();
            gate.explanation = HOSTILE.into();
        }
    }
    report.absent = vec![(HOSTILE.into(), HOSTILE.into())];
    report.distributions.truncate(1);
    for distribution in &mut report.distributions {
        distribution.metric = HOSTILE.into();
        distribution.unit = HOSTILE.into();
    }
    report.exemplars.truncate(1);
    for exemplar in &mut report.exemplars {
        exemplar.gate = HOSTILE.into();
        exemplar.metric = HOSTILE.into();
        exemplar.sample_id = HOSTILE.into();
        exemplar.request_text = HOSTILE.into();
        exemplar.control_text = HOSTILE.into();
        exemplar.candidate_text = HOSTILE.into();
        exemplar.candidate_scores = [(HOSTILE.to_owned(), f64::NAN)].into();
    }
    report.timeline = vec![entry(HOSTILE, HOSTILE, HOSTILE)];
    report.step = Some(Step { name: HOSTILE.into(), ..Step::default() });
    for trajectory in &mut report.trajectories {
        trajectory.gate = HOSTILE.into();
        trajectory.unit = HOSTILE.into();
        for point in &mut trajectory.points {
            point.at = HOSTILE.into();
        }
    }
    report.prompts = Some(PromptMap {
        clusters: vec![HOSTILE.into()],
        method: HOSTILE.into(),
        points: vec![PromptPoint {
            text: HOSTILE.into(),
            sample_id: HOSTILE.into(),
            ..PromptPoint::default()
        }],
    });
    report.judges = vec![JudgeCalibration {
        criterion: HOSTILE.into(),
        judge: HOSTILE.into(),
        text: HOSTILE.into(),
        measure: HOSTILE.into(),
        agreement: Some(f64::NAN),
        ..JudgeCalibration::default()
    }];
    report.meaning = Some(meaning::meaning(Some(HOSTILE)));
    report.tripwires = vec![tripwire(HOSTILE, HOSTILE)];
    for exemplar in &mut report.exemplars {
        exemplar.remarks = vec![HOSTILE.into()];
    }
    report.generated_from.command = vec![HOSTILE.into()];
    report
}

fn reason(text: &str, gate: &str) -> Reason {
    Reason { text: text.into(), gate: Some(gate.into()) }
}

fn tripwire(name: &str, text: &str) -> Tripwire {
    Tripwire { name: name.into(), text: text.into(), severity: Severity::Major }
}

fn entry(at: &str, kind: &str, text: &str) -> TimelineEntry {
    TimelineEntry { at: at.into(), kind: kind.into(), text: text.into() }
}

fn exemplar(gate: &str) -> Exemplar {
    Exemplar {
        sample_id: "0197f2a0c4d1".into(),
        gate: gate.into(),
        metric: "json_fields:answer,order_id".into(),
        control_value: 1.0,
        candidate_value: 0.0,
        request_text: "Where is my order 4711? It should have been here on Monday.".into(),
        control_text: "{\n  \"answer\": \"Your order 4711 left our warehouse on Friday and arrives today before 6 pm. You can follow it with the link in your confirmation mail.\",\n  \"order_id\": \"4711\"\n}".into(),
        candidate_text: "{\n  \"answer\": \"I'm not entirely sure, but it may arrive soon.\"\n}".into(),
        control_scores: [("helpful".to_owned(), 0.92)].into(),
        candidate_scores: [("helpful".to_owned(), 0.31)].into(),
        ..Exemplar::default()
    }
}

fn lengths() -> Distribution {
    let control = vec![0, 2, 9, 30, 74, 130, 190, 230, 222, 180, 140, 90, 50, 25, 11, 5];
    let candidate = vec![40, 130, 240, 290, 260, 180, 110, 70, 40, 16, 8, 3, 1, 0, 0, 0];
    distribution("response_chars", "characters", 50.0, 850.0, control, candidate)
}

fn latencies() -> Distribution {
    let control = vec![0, 10, 120, 310, 330, 240, 150, 90, 50, 30, 20, 12, 8, 6, 4, 8];
    let candidate = vec![30, 260, 410, 300, 160, 90, 50, 30, 20, 12, 8, 6, 4, 3, 2, 3];
    distribution("latency_ms", "ms", 210.0, 2_300.0, control, candidate)
}

fn distribution(
    metric: &str,
    unit: &str,
    low: f64,
    high: f64,
    control: Vec<u64>,
    candidate: Vec<u64>,
) -> Distribution {
    let bins = control.len();
    let noise = control.iter().map(|count| count / 8).collect();
    let histogram = |counts: Vec<u64>, middle: f64| Histogram {
        n: counts.iter().sum(),
        counts,
        mean: Some(middle),
        p50: Some(middle * 0.98),
        p95: Some(middle * 1.6),
    };
    Distribution {
        metric: metric.into(),
        unit: unit.into(),
        edges: (0..=bins).map(|bin| low + (high - low) / bins as f64 * bin as f64).collect(),
        control: histogram(control, low + (high - low) * 0.45),
        candidate: histogram(candidate, low + (high - low) * 0.25),
        noise: (metric == "latency_ms").then(|| histogram(noise, low + (high - low) * 0.44)),
    }
}
