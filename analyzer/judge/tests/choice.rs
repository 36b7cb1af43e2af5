//! Which answers people are asked about: where the judge errs, with probabilities that keep the estimate unbiased.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use weir_judge::Rubric;
use weir_judge::choice::{ChoiceOptions, Row, choose, choose_pairs};
use weir_judge::labels::Label;
use weir_sample::{Leg, Sample, Score, Variant, write_samples};

const RUBRIC: &str = "apiVersion: weir/v1\nkind: Rubric\nname: r\ninstructions: i\nscale: {minimum: 0, maximum: 2}\ncriteria:\n  - {name: good, description: d}\n";
const PAIRS: usize = 600;

/// Of every fourth exchange the judge says that the candidate is better, and of half of these it is wrong.
fn judged(at: usize) -> (f64, f64) {
    (0.0, if at.is_multiple_of(4) { 1.0 } else { 0.0 })
}

fn truth(at: usize) -> (f64, f64) {
    (0.0, if at.is_multiple_of(8) { 1.0 } else { 0.0 })
}

fn id(at: usize) -> String {
    format!("s{at:04}")
}

fn data() -> tempfile::TempDir {
    let data = tempfile::tempdir().unwrap();
    let (mut rows, mut scores) = (Vec::new(), Vec::new());
    for at in 0..PAIRS {
        for (leg, variant, score) in
            [(Leg::Primary, Variant::Control, judged(at).0), (Leg::Shadow, Variant::Candidate, judged(at).1)]
        {
            let ts_us = 1_700_000_000_000_000 + at as i64;
            rows.push(Sample {
                experiment: "e".into(),
                sample_id: id(at),
                leg,
                variant,
                ts_us,
                inclusion_probability: 1.0,
                tier: Some(if at < 100 { "internal" } else { "general" }.into()),
                request_text: Some(format!("question {at}")),
                response_text: Some(format!("answer {at}\u{7}")),
                ..Sample::default()
            });
            scores.push(Score {
                experiment: "e".into(),
                sample_id: id(at),
                leg,
                variant,
                ts_us,
                criterion: "good".into(),
                score,
                judge: Some("j".into()),
                reason: None,
            });
        }
    }
    write_samples(data.path(), "part-1", rows).unwrap();
    write_samples(data.path(), "part-2", scores).unwrap();
    data
}

fn options(data: &Path, count: usize, seed: u64) -> ChoiceOptions {
    ChoiceOptions {
        pairs_only: false,
        data_dir: data.into(),
        experiment: "e".into(),
        count,
        seed,
        criteria: Vec::new(),
        segments: Vec::new(),
    }
}

fn label(row: &Row) -> Label {
    let truth = truth(row.sample_id[1..].parse().unwrap());
    Label {
        sample_id: row.sample_id.clone(),
        leg: row.leg.clone(),
        criterion: "good".into(),
        score: if row.leg == "shadow" { truth.1 } else { truth.0 },
        by: "ann".into(),
        probability: Some(row.probability),
    }
}

fn asked(data: &Path) -> String {
    std::fs::read_to_string(data.join("judge/experiment=e/asked.jsonl")).unwrap()
}

#[test]
fn both_answers_of_an_exchange_are_asked_about_blindly_and_what_was_drawn_is_finished_first() {
    let data = data();
    let rubric = Rubric::parse("r", RUBRIC).unwrap();
    let first = choose(&options(data.path(), 40, 7), &rubric, &[]).unwrap();
    assert_eq!(first.len(), 40);
    let ids: BTreeSet<&str> = first.iter().map(|row| row.sample_id.as_str()).collect();
    assert_eq!(ids.len(), 20, "both answers of twenty exchanges");
    let half = first.iter().take(20).filter(|row| row.leg == "primary").count();
    assert!((5..=15).contains(&half), "the place says nothing about the variant: {half} of 20");
    assert!(first.iter().all(|row| !row.answer.contains('\u{7}')));
    let record = asked(data.path());
    assert_eq!(choose(&options(data.path(), 40, 7), &rubric, &[]).unwrap(), first, "nothing new is drawn");
    assert_eq!(asked(data.path()), record);
    let labels: Vec<Label> = first.iter().take(15).map(label).collect();
    let rest = choose(&options(data.path(), 40, 7), &rubric, &labels).unwrap();
    assert!(
        first.iter().skip(15).all(|row| rest.contains(row)),
        "what was drawn and not answered comes again"
    );
    assert!(first.iter().take(15).all(|row| !rest.contains(row)));
    assert!(asked(data.path()).starts_with(&record), "draws are never made twice");
}

#[test]
fn pairs_are_asked_about_together_in_an_order_that_is_drawn_and_never_twice() {
    let data = data();
    let alone = Sample {
        experiment: "e".into(),
        sample_id: "alone".into(),
        leg: Leg::Primary,
        variant: Variant::Control,
        ts_us: 1_700_000_000_000_000,
        inclusion_probability: 1.0,
        request_text: Some("question".into()),
        response_text: Some("answer".into()),
        ..Sample::default()
    };
    write_samples(data.path(), "part-3", vec![alone]).unwrap();
    let rubric = Rubric::parse("r", RUBRIC).unwrap();
    let pairs = choose_pairs(&options(data.path(), 400, 7), &rubric, &[]).unwrap();
    assert!(pairs.len() >= 400, "{}", pairs.len());
    for [first, second] in &pairs {
        assert_eq!((&first.sample_id, first.probability), (&second.sample_id, second.probability));
        assert_ne!(first.leg, second.leg);
        assert_ne!(first.sample_id, "alone", "there is nothing to compare it with");
    }
    let control_first = pairs.iter().filter(|[first, _]| first.leg == "primary").count();
    assert!(
        (150..=250).contains(&control_first),
        "the order says nothing: {control_first} of {}",
        pairs.len()
    );
    let labels: Vec<Label> = pairs[0]
        .iter()
        .map(|row| Label { criterion: "good-pairwise".into(), score: 0.5, ..label(row) })
        .collect();
    let again = choose_pairs(&options(data.path(), 400, 7), &rubric, &labels).unwrap();
    assert!(again.iter().all(|[first, _]| first.sample_id != pairs[0][0].sample_id));
    let answers = choose(&options(data.path(), 400, 7), &rubric, &labels).unwrap();
    let labelled = |row: &&Row| row.sample_id == pairs[0][0].sample_id;
    assert_eq!(answers.iter().filter(labelled).count(), 2, "a preference is no score");
}

#[test]
fn answers_on_which_the_judge_errs_are_asked_about_more_often_and_the_weighted_estimate_stays_unbiased() {
    let rubric = Rubric::parse("r", RUBRIC).unwrap();
    let (mut weighted, mut plain, mut hard) = (Vec::new(), Vec::new(), Vec::new());
    for seed in 0..24 {
        let data = data();
        // A first session teaches where the judge errs, a second one goes there.
        let first = choose(&options(data.path(), 80, seed), &rubric, &[]).unwrap();
        let labels: Vec<Label> = first.iter().map(label).collect();
        let second = choose(&options(data.path(), 160, seed), &rubric, &labels).unwrap();
        let chances: BTreeMap<&str, f64> =
            second.iter().map(|row| (row.sample_id.as_str(), row.probability)).collect();
        let (mut sum, mut of, mut bare) = (0.0, 0.0, 0.0);
        for (id, chance) in &chances {
            let at: usize = id[1..].parse().unwrap();
            let error = (truth(at).1 - truth(at).0) - (judged(at).1 - judged(at).0);
            sum += error / chance;
            of += 1.0 / chance;
            bare += error / chances.len() as f64;
        }
        weighted.push(sum / of);
        plain.push(bare);
        let at = |id: &str| id[1..].parse::<usize>().unwrap();
        hard.push(chances.keys().filter(|id| at(id).is_multiple_of(4)).count() as f64 / chances.len() as f64);
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (weighted, plain, hard) = (mean(&weighted), mean(&plain), mean(&hard));
    println!("weighted {weighted:.4}, plain {plain:.4}, truth -0.125; share of the hard {hard:.2}");
    assert!(hard > 0.4, "a quarter of the exchanges, asked about more often: {hard}");
    assert!((weighted + 0.125).abs() < 0.025, "{weighted}");
    assert!((plain + 0.125).abs() > 0.05, "without the probabilities this test must fail: {plain}");
}

#[test]
fn the_segment_of_an_undecided_gate_comes_first_and_the_others_are_not_left_out() {
    let data = data();
    let rubric = Rubric::parse("r", RUBRIC).unwrap();
    let segments = vec![BTreeMap::from([("tier".to_owned(), "internal".to_owned())])];
    let rows = choose(&ChoiceOptions { segments, ..options(data.path(), 100, 3) }, &rubric, &[]).unwrap();
    let internal = |row: &Row| row.sample_id[1..].parse::<usize>().unwrap() < 100;
    let inside = rows.iter().filter(|row| internal(row)).count();
    // A sixth of the traffic, at four times the chance of the rest.
    assert!((30..=65).contains(&inside), "{inside}");
    assert!(rows.iter().all(|row| row.probability == if internal(row) { 1.0 } else { 0.25 }));
}
