//! What the page offers, natively: the same functions that the module exports.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use proptest::prelude::*;
use serde_json::{Value, json};
use weir_gate::{
    Better, CaptureHealth, Gates, Labels, MetricSeries, Outcome, Severity, Spending, Stratum, Tripwire,
    Verdict,
};
use weir_page::{Change, Sitting, complete, difference, playground, to_yaml, what_if};
use weir_report::{Look, Prefix, Provenance, Report};

const POLICY: &str = include_str!("../../../examples/policies/canary.yaml");

fn gates(margin: f64) -> Gates {
    let text = format!(
        "apiVersion: weir/v1\nkind: Gates\ngates:\n- {{name: fields, metric: 'json_fields:a', margin: {{absolute: {margin}}}, severity: critical}}\n"
    );
    Gates::parse("gates", &text).unwrap()
}

/// Two answers in ten of the candidate lack the field.
fn report() -> Report {
    let pairs = (0..600).map(|n| (1.0, if n % 5 == 0 { 0.0 } else { 1.0 })).collect();
    let series = MetricSeries {
        name: "json_fields:a".into(),
        unit: "share".into(),
        better: Better::Higher,
        bounds: Some((0.0, 1.0)),
        pairs,
        ..MetricSeries::default()
    };
    let gates = gates(0.05);
    let evaluation = weir_gate::evaluate(
        &gates,
        std::slice::from_ref(&series),
        &CaptureHealth::default(),
        Spending::one_of(3),
    );
    let mut report = Report::new("test", Provenance::default(), evaluation);
    report.evidence = vec![series];
    report.looks = [20, 100, 600]
        .into_iter()
        .map(|pairs| Look {
            at: format!("2026-02-11T09:{:02}:00Z", pairs / 20),
            prefixes: vec![Prefix { pairs, ..Prefix::default() }],
        })
        .collect();
    complete(&mut report, &gates, Spending::one_of(3));
    report
}

/// As [`report`], with answers that are in no pair: at the first look there are too few pairs to go by.
fn report_with_strata() -> (Report, Vec<MetricSeries>) {
    let flags = |n: usize| (0..n).map(|n| f64::from(u8::from(n % 7 != 0))).collect();
    let report = report();
    let mut series = report.evidence[0].clone();
    series.strata = vec![Stratum {
        name: "general".into(),
        control: flags(300),
        candidate: flags(280),
        ..Stratum::default()
    }];
    let looks = [(20, (90, 80)), (100, (200, 170)), (600, (300, 280))];
    let cut = |(pairs, (control, candidate)): (usize, (usize, usize))| {
        let mut cut = series.clone();
        cut.pairs = cut.pairs.part(0, pairs);
        cut.strata[0].control = cut.strata[0].control.part(0, control);
        cut.strata[0].candidate = cut.strata[0].candidate.part(0, candidate);
        cut
    };
    let cuts = looks.into_iter().map(cut).collect();
    let mut report = Report { evidence: vec![series], ..report };
    for (look, (_, arms)) in report.looks.iter_mut().zip(looks) {
        look.prefixes[0].strata = vec![arms];
    }
    (report, cuts)
}

#[test]
fn a_trajectory_is_what_the_gates_said_at_each_look() {
    let gates = gates(0.05);
    let (mut report, cuts) = report_with_strata();
    let judged = |series: &MetricSeries| {
        let series = std::slice::from_ref(series);
        weir_gate::evaluate(&gates, series, &CaptureHealth::default(), Spending::one_of(3))
    };
    report.evaluation = judged(&report.evidence[0]);
    complete(&mut report, &gates, Spending::one_of(3));
    let drawn: Vec<(u64, (f64, f64))> =
        report.trajectories[0].points.iter().map(|point| (point.n, (point.low, point.high))).collect();
    let said: Vec<(u64, (f64, f64))> = cuts
        .iter()
        .map(|cut| judged(cut).gates.remove(0))
        .map(|gate| (gate.n_control.min(gate.n_candidate), gate.interval.unwrap()))
        .collect();
    assert_eq!(drawn, said);
    assert_eq!(said[0].0, 80, "the first look goes by the answers that are in no pair");
}

fn document(gates: &Gates) -> Value {
    serde_json::from_str(&gates.to_json()).unwrap()
}

#[test]
fn without_a_change_the_evidence_gives_the_evaluation_of_the_report() {
    let report = report();
    assert_eq!(report.evaluation.verdict, Verdict::Rollback);
    assert_eq!(what_if(&report, &Change::default()).unwrap(), {
        let mut same = report.clone();
        same.generated_from.gates_digest = gates(0.05).digest();
        same
    });
}

#[test]
fn a_wider_margin_changes_the_verdict_and_spends_the_alpha_of_the_report() {
    let report = report();
    let change = Change { gates: Some(document(&gates(0.5))), ..Change::default() };
    let changed = what_if(&report, &change).unwrap();
    assert_eq!(changed.evaluation.verdict, Verdict::Promote);
    assert_eq!(changed.evaluation.alpha, report.evaluation.alpha);
    assert_eq!(changed.gates["gates"][0]["margin"], json!({"absolute": 0.5}));
    assert_eq!(changed.trajectories[0].margin, 0.5);
    let said = difference(&report.evaluation, &changed.evaluation);
    assert_eq!(said, "Promote instead of rollback. Fields inside (was breach).");
}

#[test]
fn a_tripwire_is_heeded_whatever_gates_are_tried() {
    let mut report = report();
    report.tripwires = vec![Tripwire {
        name: "canary-word".into(),
        text: "a secret was answered".into(),
        severity: Severity::Critical,
    }];
    let change = Change { gates: Some(document(&gates(0.5))), ..Change::default() };
    let changed = what_if(&report, &change).unwrap();
    assert_eq!(changed.evaluation.verdict, Verdict::Rollback);
    assert!(changed.evaluation.reasons[0].text.contains("a secret was answered"), "{:?}", changed.evaluation);
}

#[test]
fn what_was_known_at_an_earlier_look_decides_less() {
    let report = report();
    let early = what_if(&report, &Change { until: Some(0), ..Change::default() }).unwrap();
    assert_eq!(early.evaluation.gates[0].outcome, Outcome::Undecided);
    assert_eq!(early.evaluation.gates[0].n_pairs, 20);
    let error = what_if(&report, &Change { until: Some(9), ..Change::default() }).unwrap_err();
    assert_eq!(error.to_string(), "look 9 is not in the report, which has 3");
}

#[test]
fn a_trajectory_has_a_point_for_each_look_and_its_interval_closes() {
    let report = report();
    let points = &report.trajectories[0].points;
    assert_eq!(points.iter().map(|point| point.n).collect::<Vec<_>>(), [20, 100, 600]);
    assert!(points.windows(2).all(|two| two[1].high - two[1].low < two[0].high - two[0].low));
    let last = points.last().unwrap();
    assert_eq!(Some((last.low, last.high)), report.evaluation.gates[0].interval);
}

#[test]
fn gates_with_problems_are_refused_with_all_of_them() {
    let mut wrong = document(&gates(0.05));
    wrong["gates"][0]["severity"] = json!("criticl");
    wrong["gates"][0]["margin"] = json!({"absolute": -1});
    let error =
        what_if(&report(), &Change { gates: Some(wrong), ..Change::default() }).unwrap_err().to_string();
    assert!(
        error.contains("did you mean `critical`?") && error.contains("gates[0].margin.absolute"),
        "{error}"
    );
}

#[test]
fn a_report_without_evidence_or_gates_says_so() {
    let mut report = report();
    report.gates = Value::Null;
    let error = what_if(&report, &Change::default()).unwrap_err().to_string();
    assert!(error.starts_with("the report does not name its gates"), "{error}");
    report.evidence.clear();
    let error = what_if(&report, &Change::default()).unwrap_err().to_string();
    assert!(error.starts_with("the report carries no evidence"), "{error}");
}

#[test]
fn exported_gates_read_back_as_the_same_gates() {
    let gates = gates(0.125);
    let yaml = to_yaml(&document(&gates));
    assert!(
        yaml.starts_with(
            "apiVersion: \"weir/v1\"\nkind: \"Gates\"\nalpha: 0.05\ngates:\n  - name: \"fields\"\n"
        ),
        "{yaml}"
    );
    assert_eq!(Gates::parse("exported", &yaml).unwrap(), gates);
}

#[test]
fn the_playground_assigns_as_the_filter_does_and_says_who_moves() {
    let headers = "x-user-id: ada\n\n  X-Tier :internal\n";
    let after = POLICY.replace("candidatePercent: 50", "candidatePercent: 80");
    assert_ne!(after, POLICY, "the example's share is as this test knows it");
    let result = playground(&after, POLICY, headers).unwrap();
    assert_eq!(result.explanation.bucket_ppm, Some(69_186));
    let moves = result.moves.unwrap();
    assert_eq!(moves.to_control, 0, "a share that grows takes nobody back");
    assert_eq!(moves.candidate_before + moves.to_candidate, moves.candidate_after);
    assert!((2_800..3_200).contains(&moves.to_candidate), "{moves:?}");
    assert!((4_800..5_200).contains(&moves.candidate_before), "{moves:?}");
    assert!(result.to_html().contains("the share 80 % of cohort internal"));
}

#[test]
fn a_line_that_is_no_header_and_a_policy_that_is_none_are_refused() {
    let error = playground(POLICY, "", "x-user-id: ada\nno header").unwrap_err();
    assert_eq!(error, "headers line 2: no colon\n  hint: write `name: value`");
    assert!(playground("kind: Policy", "", "").unwrap_err().contains("experiment: is missing"));
}

#[test]
fn hostile_headers_stay_text() {
    let html =
        playground(POLICY, POLICY, "x-user-id: <img src=x onerror=alert(1)>\u{202e}").unwrap().to_html();
    assert!(!html.contains("<img") && !html.contains('\u{202e}'));
}

fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-1_000_000_i64..1_000_000).prop_map(Value::from),
        (-1.0e6_f64..1.0e6).prop_map(Value::from),
        "[ -~äß€\\n\\t]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z0-9 :#-]{0,8}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn every_tree_reads_back_from_its_yaml(map in prop::collection::btree_map("[a-z]{1,6}", tree(), 1..5)) {
        let tree = Value::Object(map.into_iter().collect());
        let yaml = to_yaml(&tree);
        let read = weir_document::parse("yaml", &yaml);
        prop_assert_eq!(read.map_err(|problems| format!("{problems}\n{yaml}")), Ok(tree));
    }
}

#[test]
fn segments_are_judged_again_from_the_evidence_and_at_earlier_looks_from_what_was_there() {
    let mut plain = report();
    let series = &mut plain.evidence[0];
    let tier = |name: &str| vec![("tier".to_owned(), name.to_owned())];
    // Everything that is worse is in one tier.
    series.labels = Labels {
        sets: vec![tier("beta"), tier("general")],
        pairs: (0..600).map(|n| u32::from(n % 5 != 0)).collect(),
        strata: Vec::new(),
    };
    let health = CaptureHealth { span_seconds: Some(3_600), ..CaptureHealth::default() };
    let gates = gates(0.5);
    plain.evaluation = weir_gate::evaluate(&gates, &plain.evidence, &health, Spending::one_of(3));
    complete(&mut plain, &gates, Spending::one_of(3));
    assert_eq!(plain.evaluation.verdict, Verdict::Investigate);
    assert_eq!(plain.evaluation.segments[0].name(), "tier=beta");

    let earlier = what_if(&plain, &Change { until: Some(0), ..Change::default() }).unwrap();
    assert_eq!(earlier.evaluation.segments[0].n, 4);
    let again = what_if(&earlier, &Change::default()).unwrap();
    assert_eq!(again.evaluation, plain.evaluation);
}

/// Everything that is worse is in tier beta, one answer in five.
fn with_tiers() -> Report {
    let mut report = report();
    let series = &mut report.evidence[0];
    let tier = |name: &str| vec![("tier".to_owned(), name.to_owned())];
    series.labels = Labels {
        sets: vec![tier("beta"), tier("general")],
        pairs: (0..600).map(|n| u32::from(n % 5 != 0)).collect(),
        strata: Vec::new(),
    };
    let gates = gates(0.5);
    report.evaluation =
        weir_gate::evaluate(&gates, &report.evidence, &CaptureHealth::default(), Spending::one_of(3));
    complete(&mut report, &gates, Spending::one_of(3));
    report
}

fn beta() -> weir_gate::Segment {
    [("tier".to_owned(), "beta".to_owned())].into()
}

#[test]
fn a_hidden_segment_takes_no_part_in_verdict_trajectories_or_segments_and_the_report_says_so() {
    let report = with_tiers();
    assert_eq!(report.evaluation.verdict, Verdict::Investigate);
    let hidden = what_if(&report, &Change { without: vec![beta()], ..Change::default() }).unwrap();
    assert_eq!(hidden.evaluation.verdict, Verdict::Promote);
    assert_eq!(hidden.evaluation.gates[0].n_pairs, 480);
    assert_eq!(
        hidden.evaluation.segments.iter().map(|one| one.value.as_str()).collect::<Vec<_>>(),
        ["general"]
    );
    assert_eq!(hidden.trajectories[0].points.iter().map(|point| point.n).collect::<Vec<_>>(), [16, 80, 480]);
    assert_eq!(hidden.generated_from.left_out, ["tier=beta"]);
    let html =
        weir_report::render(&hidden, weir_report::Format::Html, &weir_report::RenderOptions::default());
    assert!(html.unwrap().contains("Judged without: tier=beta"));
}

#[test]
fn a_time_range_counts_what_came_between_two_looks() {
    let report = report();
    let between = Change { after: Some(0), until: Some(1), ..Change::default() };
    let part = what_if(&report, &between).unwrap();
    assert_eq!(part.evaluation.gates[0].n_pairs, 80);
    assert_eq!(
        part.generated_from.left_out,
        ["everything up to 2026-02-11T09:01:00Z", "everything after 2026-02-11T09:05:00Z"]
    );
}

#[test]
fn a_sitting_answers_as_a_fresh_report_does_in_whatever_order_it_is_asked() {
    let report = with_tiers();
    let gates = |margin: f64, alpha: f64, severity: &str| {
        let mut gates = document(&gates(margin));
        gates["alpha"] = json!(alpha);
        gates["gates"][0]["severity"] = json!(severity);
        Some(gates)
    };
    let changes = [
        Change::default(),
        Change { gates: gates(0.02, 0.05, "critical"), ..Change::default() },
        Change { gates: gates(0.02, 0.2, "major"), ..Change::default() },
        Change { without: vec![beta()], ..Change::default() },
        Change { gates: gates(0.3, 0.05, "advisory"), until: Some(1), ..Change::default() },
        Change {
            gates: gates(0.3, 0.05, "critical"),
            until: Some(1),
            without: vec![beta()],
            ..Change::default()
        },
    ];
    let mut sitting = Sitting::new(report.clone());
    for round in 0..3 {
        for (index, change) in changes.iter().enumerate().rev().chain(changes.iter().enumerate()) {
            let fresh = what_if(&report, change).unwrap();
            assert_eq!(sitting.whole(change).unwrap(), fresh, "round {round}, change {index}");
        }
    }
}
