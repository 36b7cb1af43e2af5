//! The rule from gates to a verdict, the reasons, and what bad input does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Random, healthy, series, share, stratum};
use weir_gate::{
    Better, CaptureHealth, Comparison, Direction, Evaluation, Gate, Gates, Margin, MetricSeries, Outcome,
    Severity, Spending, Verdict, evaluate,
};

fn gate(name: &str, metric: &str, margin: Margin, severity: Severity) -> Gate {
    Gate {
        name: name.into(),
        metric: metric.into(),
        direction: None,
        margin,
        severity,
        segment: None,
        minimum_evidence: 50,
    }
}

fn gates(gates: Vec<Gate>) -> Gates {
    Gates { alpha: 0.05, gates }
}

fn judged(list: Vec<Gate>, series: &[MetricSeries]) -> Evaluation {
    evaluate(&gates(list), series, &healthy(), Spending::ALL)
}

/// 400 pairs of flags; control always 1, the candidate 1 in this share (in percent), spread evenly.
fn flags(metric: &str, percent: u32) -> MetricSeries {
    let one = |index: u32| u32::from((index + 1) * percent / 100 > index * percent / 100);
    share(metric, Better::Higher, (0..400).map(|index| (1.0, f64::from(one(index)))).collect())
}

/// 400 pairs of scores around 0.6 with a shift.
fn scores(metric: &str, shift: f64) -> MetricSeries {
    let mut random = Random(3);
    let noise = |random: &mut Random| 0.1 * (random.unit() - 0.5);
    let pairs = (0..400).map(|_| (0.6 + noise(&mut random), 0.6 + shift + noise(&mut random))).collect();
    share(metric, Better::Higher, pairs)
}

/// 400 pairs of lengths with a factor.
fn lengths(factor: f64) -> MetricSeries {
    let mut random = Random(5);
    let pairs = (0..400)
        .map(|_| {
            let base = random.lognormal(500.0, 0.5);
            (base, base * factor * random.lognormal(1.0, 0.05))
        })
        .collect();
    series("response_chars", Better::Neither, None, pairs)
}

fn reasons(evaluation: &Evaluation) -> String {
    let lines: Vec<&str> = evaluation.reasons.iter().map(|reason| reason.text.as_str()).collect();
    format!("{}\n{}", evaluation.verdict, lines.join("\n"))
}

fn valid(severity: Severity) -> Gate {
    gate("json-valid", "json_valid", Margin::Absolute(0.03), severity)
}

fn fields(severity: Severity) -> Gate {
    gate("json-fields", "json_fields:answer,order_id", Margin::Absolute(0.03), severity)
}

fn length() -> Gate {
    gate("length", "response_chars", Margin::Relative(0.25), Severity::Major)
}

fn score() -> Gate {
    gate("scores", "score:*", Margin::Absolute(0.05), Severity::Critical)
}

#[test]
fn one_critical_breach_rolls_back() {
    let evaluation = judged(
        vec![valid(Severity::Critical), fields(Severity::Critical), length()],
        &[flags("json_valid", 100), flags("json_fields:answer,order_id", 62), lengths(1.0)],
    );
    insta::assert_snapshot!(reasons(&evaluation));
}

#[test]
fn one_major_breach_is_investigated_and_two_roll_back() {
    let list = || vec![valid(Severity::Major), fields(Severity::Major)];
    let one = judged(list(), &[flags("json_valid", 100), flags("json_fields:answer,order_id", 60)]);
    assert_eq!(one.verdict, Verdict::Investigate);
    let two = judged(list(), &[flags("json_valid", 70), flags("json_fields:answer,order_id", 60)]);
    assert_eq!(two.verdict, Verdict::Rollback);
}

#[test]
fn an_advisory_breach_never_decides_but_is_told() {
    let evaluation = judged(
        vec![valid(Severity::Critical), fields(Severity::Advisory)],
        &[flags("json_valid", 100), flags("json_fields:answer,order_id", 60)],
    );
    insta::assert_snapshot!(reasons(&evaluation));
    assert_eq!(evaluation.gates[0].alpha, 0.05, "the advisory gate takes no share of alpha");
}

#[test]
fn only_advisory_gates_never_promote() {
    let evaluation = judged(vec![valid(Severity::Advisory)], &[flags("json_valid", 100)]);
    assert_eq!(evaluation.verdict, Verdict::Hold);
    assert!(reasons(&evaluation).contains("no gate decides"));
}

#[test]
fn divergence_alone_is_investigated() {
    let evaluation = judged(vec![length()], &[lengths(0.5)]);
    assert_eq!(evaluation.gates[0].outcome, Outcome::Diverged);
    assert_eq!(evaluation.verdict, Verdict::Investigate);
}

#[test]
fn divergence_with_worse_scores_is_investigated_and_with_better_ones_signed_off() {
    let worse = judged(vec![length(), score()], &[lengths(0.5), scores("score:helpful", -0.03)]);
    assert_eq!(worse.verdict, Verdict::Investigate);
    insta::assert_snapshot!(reasons(&worse));
    let better = judged(vec![length(), score()], &[lengths(1.6), scores("score:helpful", 0.03)]);
    assert_eq!(better.verdict, Verdict::SignOff);
    let mixed = judged(
        vec![length(), score()],
        &[lengths(1.6), scores("score:helpful", 0.03), scores("score:safe", -0.03)],
    );
    assert_eq!(mixed.verdict, Verdict::Investigate);
}

#[test]
fn a_score_that_improved_past_its_margin_waits_for_a_human() {
    let evaluation = judged(vec![length(), score()], &[lengths(1.0), scores("score:helpful", 0.1)]);
    insta::assert_snapshot!(reasons(&evaluation));
    let less = judged(vec![length(), score()], &[lengths(1.0), scores("score:helpful", 0.02)]);
    assert_eq!(less.verdict, Verdict::Promote, "an improvement inside the margin is no reason to wait");
}

#[test]
fn too_little_data_holds_with_a_forecast() {
    let mut few = flags("json_valid", 100);
    few.pairs = few.pairs.part(0, 60);
    let evaluation = judged(vec![valid(Severity::Critical), length()], &[few.clone(), lengths(1.0)]);
    insta::assert_snapshot!(reasons(&evaluation));
    let more = evaluation.gates[0].needed_more.unwrap();
    few.pairs.extend(vec![(1.0, 1.0); more as usize + 20]);
    let later = judged(vec![valid(Severity::Critical), length()], &[few, lengths(1.0)]);
    assert_eq!(later.verdict, Verdict::Promote, "the forecast of {more} more pairs was kept");
}

#[test]
fn an_estimate_at_the_margin_has_no_forecast() {
    let mut pairs = vec![(1.0, 1.0); 97];
    pairs.extend([(1.0, 0.0); 3]);
    let evaluation = judged(vec![valid(Severity::Critical)], &[share("json_valid", Better::Higher, pairs)]);
    assert_eq!(evaluation.gates[0].needed_more, None);
    assert!(reasons(&evaluation).contains("cannot become inside at the present estimate"));
}

#[test]
fn a_critical_gate_without_values_never_promotes() {
    let evaluation = judged(vec![valid(Severity::Critical), score()], &[flags("json_valid", 100)]);
    assert_eq!(evaluation.gates[1].outcome, Outcome::NoData);
    insta::assert_snapshot!(reasons(&evaluation));
}

#[test]
fn unfit_capture_refuses_a_promotion_but_not_a_rollback() {
    let unfit =
        CaptureHealth { problems: vec!["12 % of the candidate's answers were lost".into()], ..healthy() };
    let list = gates(vec![valid(Severity::Critical)]);
    let good = evaluate(&list, &[flags("json_valid", 100)], &unfit, Spending::ALL);
    insta::assert_snapshot!(reasons(&good));
    let bad = evaluate(&list, &[flags("json_valid", 60)], &unfit, Spending::ALL);
    assert_eq!(bad.verdict, Verdict::Rollback);
    let mut few = flags("json_valid", 100);
    few.pairs = few.pairs.part(0, 40);
    assert_eq!(evaluate(&list, &[few], &unfit, Spending::ALL).verdict, Verdict::Hold);
}

#[test]
fn values_that_are_not_numbers_are_left_out_and_counted() {
    let mut latency = lengths(1.0);
    latency.name = "latency_ms".into();
    latency.better = Better::Lower;
    latency.pairs.push((f64::NAN, 1.0));
    latency.pairs.push((1.0, f64::INFINITY));
    let evaluation =
        judged(vec![gate("latency", "latency_ms", Margin::Relative(0.5), Severity::Major)], &[latency]);
    assert_eq!(evaluation.gates[0].n_pairs, 400);
    assert!(evaluation.gates[0].explanation.ends_with("; 2 pairs left out: a value is not a finite number"));
    assert!(!serde_json::to_string(&evaluation).unwrap().contains("null,null"));
}

#[test]
fn scores_outside_their_bounds_use_the_method_without_bounds() {
    let mut score_of_ten = scores("score:helpful", 0.0);
    score_of_ten.pairs = score_of_ten.pairs.iter().map(|pair| (pair.0 * 10.0, pair.1 * 10.0)).collect();
    let evaluation = judged(vec![score()], &[score_of_ten]);
    assert_eq!(evaluation.gates[0].method, "asymptotic confidence sequence");
    assert!(evaluation.gates[0].explanation.contains("800 values are outside 0 to 1"));
}

#[test]
fn a_margin_of_the_scale_follows_the_declared_bounds() {
    let mut stars = scores("score:stars", 0.0);
    stars.bounds = Some((1.0, 5.0));
    stars.pairs = stars.pairs.iter().map(|pair| (1.0 + 4.0 * pair.0, 1.0 + 4.0 * pair.1)).collect();
    let list = vec![gate("stars", "score:stars", Margin::OfScale(0.02), Severity::Critical)];
    let evaluation = judged(list, &[stars]);
    assert!((evaluation.gates[0].margin - 0.08).abs() < 1e-12);
}

#[test]
fn a_relative_margin_on_a_mean_of_zero_says_what_to_do() {
    let list = vec![gate("errors", "error", Margin::Relative(0.1), Severity::Critical)];
    let evaluation = judged(list, &[share("error", Better::Lower, vec![(0.0, 0.0); 200])]);
    assert_eq!(evaluation.verdict, Verdict::Hold);
    assert!(reasons(&evaluation).contains("use an absolute margin"));
}

#[test]
fn direction_both_makes_a_rise_of_a_share_a_divergence() {
    let mut both = valid(Severity::Critical);
    both.direction = Some(Direction::Both);
    let up = share("json_valid", Better::Higher, (0..400).map(|i| (f64::from(i % 2), 1.0)).collect());
    let evaluation = judged(vec![both], &[up]);
    assert_eq!(evaluation.gates[0].outcome, Outcome::Diverged);
    assert_eq!(evaluation.gates[0].better, Better::Neither);
}

#[test]
fn without_pairs_the_cohorts_are_compared_and_one_sided_cohorts_named() {
    let mut random = Random(11);
    let mut ones = |n: usize, p: f64| -> Vec<f64> { (0..n).map(|_| random.flag(p)).collect() };
    let mut series = share("json_valid", Better::Higher, Vec::new());
    series.strata = vec![
        stratum("internal", ones(200, 0.98), ones(200, 0.4)),
        stratum("general", ones(900, 0.98), ones(60, 0.4)),
        stratum("partners", ones(50, 0.98), Vec::new()),
    ];
    let evaluation = judged(vec![valid(Severity::Critical)], &[series]);
    assert_eq!(evaluation.gates[0].comparison, Comparison::Unpaired);
    assert_eq!(evaluation.verdict, Verdict::Rollback);
    insta::assert_snapshot!(reasons(&evaluation));
}

#[test]
fn a_tenth_of_alpha_gives_wider_intervals() {
    let list = gates(vec![valid(Severity::Critical), length()]);
    let series = [flags("json_valid", 100), lengths(1.0)];
    let all = evaluate(&list, &series, &healthy(), Spending::ALL);
    let tenth = evaluate(&list, &series, &healthy(), Spending::one_of(10));
    assert!((tenth.alpha - 0.005).abs() < 1e-15);
    for (wide, narrow) in tenth.gates.iter().zip(&all.gates) {
        assert!((wide.alpha - narrow.alpha / 10.0).abs() < 1e-15);
        assert!(wide.interval.unwrap().0 < narrow.interval.unwrap().0);
    }
}

#[test]
fn the_evaluation_survives_json_byte_for_byte() {
    let evaluation = judged(
        vec![valid(Severity::Critical), length(), score()],
        &[flags("json_valid", 90), lengths(1.1), scores("score:helpful", 0.0)],
    );
    let text = serde_json::to_string(&evaluation).unwrap();
    let back: Evaluation = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&back).unwrap(), text);
    assert!(text.starts_with(r#"{"verdict":"rollback""#), "{text}");
}

#[test]
fn the_built_in_pack_has_gates_for_what_is_there_only() {
    let series =
        [flags("json_valid", 100), lengths(1.0), scores("score:helpful", 0.0), scores("score:safe", 0.0)];
    let pack = Gates::default_pack(&series);
    let names: Vec<&str> = pack.gates.iter().map(|gate| gate.name.as_str()).collect();
    assert_eq!(names, ["valid-json", "answer-length", "score-helpful", "score-safe"]);
    assert_eq!(pack.gates[1].direction, Some(Direction::Both));
    assert_eq!(pack.gates[2].severity, Severity::Critical);
    assert_eq!(Gates::default_pack(&[]).gates, Vec::new());
    let nothing = evaluate(&Gates::default_pack(&[]), &[], &healthy(), Spending::ALL);
    assert_eq!(nothing.verdict, Verdict::Hold);
}

#[test]
fn the_built_in_pack_knows_the_fields_usual_table_and_names_what_is_not_measured() {
    let judged_by = |name: &str, level: f64| scores(name, level);
    let series = [
        judged_by("score:task_success", 0.0),
        judged_by("score:quality", 0.0),
        judged_by("score:hallucination", 0.0),
        judged_by("score:severe_policy_failure", 0.0),
        flags("citation_valid", 100),
    ];
    let pack = Gates::default_pack(&series);
    let of = |name: &str| pack.gates.iter().find(|gate| gate.name == name).unwrap();
    assert_eq!(of("score-task_success").margin, Margin::OfScale(0.01));
    assert_eq!(of("score-severe_policy_failure").direction, Some(Direction::Lower));
    assert_eq!(of("hallucination-ceiling").margin, Margin::Bound(0.05));
    assert_eq!(of("quality-floor").margin, Margin::Bound(0.85));
    // These scores are about one half: control is past both bounds, which then say nothing about the candidate.
    assert_eq!(of("quality-floor").severity, Severity::Advisory);
    assert_eq!(of("hallucination-ceiling").severity, Severity::Advisory);
    assert_eq!(of("citations-valid").margin, Margin::Absolute(0.02));
    let missing = weir_gate::unmeasured(&series);
    assert_eq!(missing.len(), 4, "{missing:?}");
    assert!(missing[0].starts_with("cost per request"), "{missing:?}");
    assert_eq!(weir_gate::unmeasured(&[]).len(), 9);
}

#[test]
fn below_the_minimum_evidence_nothing_is_inside() {
    let mut patient = valid(Severity::Critical);
    patient.minimum_evidence = 500;
    let evaluation = judged(vec![patient.clone()], &[flags("json_valid", 100)]);
    assert_eq!(
        evaluation.gates[0].outcome,
        Outcome::Undecided,
        "the interval fits, the evidence is too little"
    );
    assert_eq!(evaluation.gates[0].needed_more, Some(100));
    assert!(reasons(&evaluation).contains("about 100 more pairs (at least 500 in all)"));
    patient.minimum_evidence = 400;
    assert_eq!(judged(vec![patient], &[flags("json_valid", 100)]).verdict, Verdict::Promote);
}

#[test]
fn below_the_minimum_evidence_a_breach_counts_only_if_its_interval_holds_at_every_n() {
    let mut exact = valid(Severity::Critical);
    exact.minimum_evidence = 500;
    assert_eq!(judged(vec![exact], &[flags("json_valid", 60)]).verdict, Verdict::Rollback);
    let mut asymptotic = length();
    asymptotic.minimum_evidence = 500;
    assert_eq!(judged(vec![asymptotic], &[lengths(0.5)]).gates[0].outcome, Outcome::Undecided);
}

#[test]
fn a_change_while_it_is_watched_leaves_the_estimate_inside_its_interval() {
    let mut moved = flags("json_valid", 100);
    let late: Vec<(f64, f64)> = moved.pairs.iter().map(|(control, _)| (control, 0.0)).collect();
    moved.pairs.extend(late);
    let evaluation = judged(vec![valid(Severity::Critical)], &[moved]);
    let result = &evaluation.gates[0];
    let (estimate, (low, high)) = (result.estimate.unwrap(), result.interval.unwrap());
    assert!(low < estimate && estimate < high, "{estimate} {low} {high}");
    assert_eq!(result.outcome, Outcome::Breach);
}
