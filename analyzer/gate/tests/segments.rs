//! Gates in segments: what the average hides is found and named, the promises stay, and named segments decide.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Random, healthy, share, stratum};
use weir_gate::{
    Better, Evaluation, FindingKind, Gate, Gates, Labels, Margin, MetricSeries, Outcome, Places, Segment,
    Severity, Spending, Verdict, evaluate,
};

fn gate(severity: Severity) -> Gate {
    Gate {
        name: "success".into(),
        metric: "score:success".into(),
        direction: None,
        margin: Margin::Absolute(0.05),
        severity,
        segment: None,
        minimum_evidence: 50,
    }
}

fn judged(gates: Vec<Gate>, series: &[MetricSeries]) -> Evaluation {
    evaluate(&Gates { alpha: 0.05, gates }, series, &healthy(), Spending::ALL)
}

fn labels(sets: &[(&str, &str)]) -> Vec<Vec<(String, String)>> {
    sets.iter().map(|(dimension, value)| vec![((*dimension).to_owned(), (*value).to_owned())]).collect()
}

/// Pairs of flags; for each tier its share of the traffic and the success rates of control and candidate.
fn tiers(requests: usize, tiers: &[(&str, f64, f64, f64)], seed: u64) -> MetricSeries {
    let mut random = Random(seed);
    let (mut pairs, mut places) = (Vec::new(), Vec::new());
    for _ in 0..requests {
        let mut at = random.unit();
        let place = tiers
            .iter()
            .position(|tier| {
                at -= tier.1;
                at < 0.0
            })
            .unwrap_or(tiers.len() - 1);
        // One piece of luck for both, so that pairs go together.
        let luck = random.unit();
        let flag = |rate: f64| f64::from(u8::from(luck < rate));
        pairs.push((flag(tiers[place].2), flag(tiers[place].3)));
        places.push(place as u32);
    }
    let sets = labels(&tiers.iter().map(|tier| ("tier", tier.0)).collect::<Vec<_>>());
    MetricSeries {
        labels: Labels { sets, pairs: places.into(), strata: Vec::new() },
        ..share("score:success", Better::Higher, pairs)
    }
}

/// Better for the many, far worse for the few.
fn planted() -> MetricSeries {
    tiers(4_000, &[("general", 0.88, 0.70, 0.80), ("internal", 0.12, 0.90, 0.60)], 11)
}

#[test]
fn a_segment_that_is_worse_while_the_whole_is_better_is_found_named_and_never_promoted() {
    let evaluation = judged(vec![gate(Severity::Critical)], &[planted()]);
    assert_eq!(evaluation.gates[0].outcome, Outcome::Improved);
    assert_eq!(evaluation.verdict, Verdict::Investigate);
    let finding = &evaluation.findings[0];
    assert_eq!((finding.kind, finding.value.as_str()), (FindingKind::WorseInSegment, "internal"));
    let worst = &evaluation.segments[0];
    assert_eq!((worst.name().as_str(), worst.worst.as_deref()), ("tier=internal", Some("success")));
    assert!(worst.damage > 1.0 && worst.harm > worst.damage, "{worst:?}");
    assert!(evaluation.segments[1].damage == 0.0 && evaluation.segments[1].harm < 0.0);
    let lines: Vec<&str> = evaluation.reasons.iter().map(|reason| reason.text.as_str()).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn without_labels_the_same_evidence_is_promoted() {
    let plain = MetricSeries { labels: Labels::default(), ..planted() };
    let evaluation = judged(vec![gate(Severity::Critical)], &[plain]);
    assert_eq!(evaluation.verdict, Verdict::Promote);
    assert!(evaluation.segments.is_empty() && evaluation.error_rates.segments == 0.0);
}

#[test]
fn a_segment_that_is_better_while_the_whole_is_worse_is_named() {
    let series = tiers(4_000, &[("general", 0.85, 0.80, 0.60), ("beta", 0.15, 0.50, 0.80)], 12);
    let evaluation = judged(vec![gate(Severity::Critical)], &[series]);
    assert_eq!(evaluation.verdict, Verdict::Rollback);
    assert_eq!(evaluation.findings[0].kind, FindingKind::BetterInSegment);
    assert_eq!(evaluation.findings[0].value, "beta");
}

#[test]
fn simpsons_paradox_of_different_mixtures_is_named_as_such() {
    // The candidate gets the easy questions: worse in both languages, better on the whole.
    let mut random = Random(13);
    let mut arm = |easy: f64, rates: [f64; 2]| {
        let (mut values, mut places) = (Vec::new(), Vec::new());
        for _ in 0..3_000 {
            let hard = random.unit() >= easy;
            values.push(random.flag(rates[usize::from(hard)]));
            places.push(u32::from(hard));
        }
        (values, places)
    };
    let (control, of_control) = arm(0.2, [0.95, 0.55]);
    let (candidate, of_candidate) = arm(0.8, [0.85, 0.40]);
    let series = MetricSeries {
        strata: vec![stratum("all", control, candidate)],
        labels: Labels {
            sets: labels(&[("language", "en"), ("language", "fi")]),
            pairs: Places::default(),
            strata: vec![(of_control.into(), of_candidate.into())],
        },
        ..share("score:success", Better::Higher, Vec::new())
    };
    let evaluation = judged(vec![gate(Severity::Major)], &[series]);
    assert!(evaluation.gates[0].estimate.unwrap() > 0.0);
    assert_eq!(evaluation.findings.len(), 1, "{:#?}", evaluation.findings);
    assert_eq!(evaluation.findings[0].kind, FindingKind::WorseInAll);
    assert!(evaluation.findings[0].text.contains("worse in every language"));
    assert_ne!(evaluation.verdict, Verdict::Promote);
}

#[test]
fn a_breach_that_the_whole_hides_calls_a_human_where_all_gates_are_inside() {
    let series = tiers(6_000, &[("general", 0.95, 0.90, 0.90), ("beta", 0.05, 0.90, 0.50)], 14);
    let evaluation = judged(vec![gate(Severity::Critical)], &[series]);
    assert_eq!(evaluation.gates[0].outcome, Outcome::Inside);
    assert_eq!(evaluation.verdict, Verdict::Investigate);
    assert_eq!(evaluation.findings[0].kind, FindingKind::Hidden);
}

#[test]
fn a_length_that_changes_in_every_segment_as_on_the_whole_leaves_the_sign_off_alone() {
    let better = tiers(4_000, &[("general", 0.5, 0.70, 0.80), ("internal", 0.5, 0.70, 0.80)], 11);
    let mut length = better.clone();
    length.name = "response_chars".into();
    length.better = Better::Neither;
    length.bounds = None;
    let mut random = Random(5);
    length.pairs = (0..4_000).map(|_| (450.0 + 50.0 * random.unit(), 600.0 + 50.0 * random.unit())).collect();
    let mut of_length = gate(Severity::Major);
    (of_length.name, of_length.metric) = ("length".into(), "response_chars".into());
    of_length.margin = Margin::Relative(0.15);
    let evaluation = judged(vec![gate(Severity::Critical), of_length], &[better, length]);
    let of = |name: &str| evaluation.gates.iter().find(|found| found.gate == name).unwrap().outcome;
    assert_eq!((of("success"), of("length")), (Outcome::Improved, Outcome::Diverged));
    let in_segments = evaluation.segments.iter().flat_map(|segment| &segment.gates);
    assert!(in_segments.filter(|found| found.outcome == Outcome::Diverged).count() > 0);
    assert_eq!(evaluation.verdict, Verdict::SignOff);
}

#[test]
fn the_tenth_segment_gets_its_part_of_alpha_and_all_parts_together_are_no_more_than_alpha() {
    let tiers_of: Vec<String> = (0..40).map(|tier| format!("t{tier}")).collect();
    let parts: Vec<(&str, f64, f64, f64)> =
        tiers_of.iter().map(|tier| (tier.as_str(), 1.0 / 40.0, 0.9, 0.9)).collect();
    let other = Gate { name: "other".into(), ..gate(Severity::Major) };
    let advisory = Gate { name: "shown".into(), ..gate(Severity::Advisory) };
    let series = tiers(8_000, &parts, 15);
    let evaluation = judged(vec![gate(Severity::Critical), other, advisory], &[series]);
    let alpha = |name: &str| {
        let segment = evaluation.segments.iter().find(|segment| segment.value == name).unwrap();
        segment.gates[0].alpha
    };
    assert!((alpha("t0") - 0.05 / 2.0 / 2.0).abs() < 1e-15);
    assert!((alpha("t9") - 0.05 / 110.0 / 2.0).abs() < 1e-15);
    let deciding = |result: &&weir_gate::GateResult| result.severity != Severity::Advisory;
    let spent: f64 = evaluation
        .segments
        .iter()
        .flat_map(|segment| segment.gates.iter().filter(deciding))
        .map(|g| g.alpha)
        .sum();
    assert!(spent < 0.05 && spent > 0.048, "{spent}");
    assert_eq!(evaluation.error_rates.segments, 0.05);
    assert_eq!(evaluation.error_rates.rollback, 0.05);
}

#[test]
fn a_gate_that_names_a_segment_is_about_that_part_only_and_rolls_back() {
    let named = Gate {
        name: "internal-success".into(),
        segment: Some(Segment::from([("tier".to_owned(), "internal".to_owned())])),
        ..gate(Severity::Critical)
    };
    let evaluation = judged(vec![named], &[planted()]);
    assert_eq!(evaluation.verdict, Verdict::Rollback);
    assert!(evaluation.gates[0].n_pairs < 700 && evaluation.gates[0].n_pairs > 300);
    assert!(evaluation.segments.is_empty());
    insta::assert_snapshot!(evaluation.gates[0].explanation);
}

#[test]
fn a_gate_on_a_segment_that_nobody_is_in_has_no_data_and_never_promotes() {
    let named = Gate {
        segment: Some(Segment::from([("tier".to_owned(), "nobody".to_owned())])),
        ..gate(Severity::Major)
    };
    let same = tiers(2_000, &[("general", 0.5, 0.9, 0.9), ("beta", 0.5, 0.9, 0.9)], 16);
    for series in [same.clone(), MetricSeries { labels: Labels::default(), ..same }] {
        let evaluation =
            judged(vec![gate(Severity::Critical), Gate { name: "n".into(), ..named.clone() }], &[series]);
        assert_eq!(evaluation.gates[1].outcome, Outcome::NoData);
        assert_eq!(evaluation.verdict, Verdict::Hold);
    }
}

#[test]
fn a_dimension_with_one_value_is_no_segment() {
    let evaluation =
        judged(vec![gate(Severity::Critical)], &[tiers(2_000, &[("general", 1.0, 0.9, 0.9)], 17)]);
    assert!(evaluation.segments.is_empty());
    assert_eq!(evaluation.verdict, Verdict::Promote);
}

#[test]
fn what_is_no_segment_is_refused_in_the_document() {
    let parse = |segment: &str| {
        let text = format!(
            "apiVersion: weir/v1\nkind: Gates\ngates:\n- {{name: a, metric: error, margin: {{absolute: 1}}, segment: {segment}}}\n"
        );
        Gates::parse("gates", &text)
    };
    let gates = parse("{tier: internal, 'tag:region': eu}").unwrap();
    assert_eq!(gates.gates[0].segment.as_ref().unwrap().len(), 2);
    assert_eq!(Gates::parse("again", &gates.to_json()).unwrap(), gates);
    let refused: Vec<String> = ["{}", "{teir: a}", "{region: eu}", "{tier: ''}", "internal"]
        .map(|segment| parse(segment).unwrap_err().to_string())
        .into();
    insta::assert_snapshot!(refused.join("\n\n"));
}

#[test]
fn unchanged_rollouts_with_segments_call_nobody_in_more_than_alpha_of_the_runs() {
    // Forty looks at eight segments, each truly at its margin: the hardest case.
    let (runs, alpha) = (120, 0.2);
    let mut called = 0;
    for seed in 0..runs {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let all = tiers(800, &names.map(|name| (name, 0.125, 0.90, 0.85)), 100 + seed);
        let breached = |look: usize| {
            let n = 20 * look;
            let seen = MetricSeries { pairs: all.pairs.part(0, n), ..all.clone() };
            let gates = Gates { alpha, gates: vec![gate(Severity::Major)] };
            let evaluation = evaluate(&gates, &[seen], &healthy(), Spending::ALL);
            evaluation
                .segments
                .iter()
                .flat_map(|segment| &segment.gates)
                .any(|gate| gate.outcome == Outcome::Breach)
        };
        called += usize::from((1..=40).any(breached));
    }
    // Binomial(120, 0.2): more than 38 with probability 0.001.
    assert!(called <= 38, "{called} of {runs}");
}

#[test]
fn a_cohort_that_is_the_tier_by_another_name_is_not_judged_again() {
    let mut series = planted();
    for set in &mut series.labels.sets {
        let cohort = format!("cohort of {}", set[0].1);
        set.push(("cohort".to_owned(), cohort));
    }
    let evaluation = judged(vec![gate(Severity::Critical)], &[series.clone()]);
    let dimensions: Vec<&str> =
        evaluation.segments.iter().map(|segment| segment.dimension.as_str()).collect();
    assert_eq!(dimensions, ["tier", "tier"]);
    series.labels.sets[1][1].1 = series.labels.sets[0][1].1.clone();
    series.labels.sets.push(vec![("cohort".to_owned(), "third".to_owned())]);
    let evaluation = judged(vec![gate(Severity::Critical)], &[series]);
    assert_eq!(evaluation.segments.len(), 3, "{:#?}", evaluation.segments);
}
