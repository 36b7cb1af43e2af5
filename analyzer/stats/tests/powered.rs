//! The prediction-powered sequence keeps its promise however often it is looked at, also with unequal chances to be labelled.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::Random;
use weir_stats::bounded;
use weir_stats::powered::{Known, TUNED_N, combined, rectifier};

const ALPHA: f64 = 0.05;
const RUNS: u64 = 300;

/// A person's yes or no, and a judge that is wrong in `wrong` of the cases and then mostly says yes.
fn answer(random: &mut Random, wrong: f64) -> (f64, f64) {
    let truth = f64::from(u8::from(random.unit() < 0.4));
    let lean = f64::from(u8::from(random.unit() < 0.8));
    (truth, if random.unit() < wrong { lean } else { truth })
}

/// Misses of the truth at any of ten looks: the sequence, and the plain 95 % interval of the labels alone.
fn misses(run: u64, chosen: bool) -> (bool, bool) {
    let mut random = Random(9_000 + run);
    let (mut known, mut scores) = (Vec::new(), Vec::new());
    let (mut missed, mut naive) = (false, false);
    while known.len() < 300 {
        let (truth, score) = answer(&mut random, 0.3);
        scores.push(score);
        // Answers that the judge likes are asked about less often, where they are chosen.
        let chance = if !chosen {
            0.2
        } else if score > 0.5 {
            0.1
        } else {
            0.3
        };
        if random.unit() >= chance {
            continue;
        }
        known.push(Known { truth, score, weight: 1.0 / chance });
        if known.len() >= 30 && known.len() % 30 == 0 {
            let all = bounded::betting(&scores, ALPHA / 2.0).unwrap();
            let whole = combined(all, &rectifier(&known, ALPHA / 2.0, TUNED_N).unwrap());
            missed |= whole.low > 0.4 || whole.high < 0.4;
            let n = known.len() as f64;
            let mean = known.iter().map(|one| one.truth).sum::<f64>() / n;
            naive |= (mean - 0.4).abs() > 1.96 * (mean * (1.0 - mean) / n).sqrt();
        }
    }
    (missed, naive)
}

#[test]
fn at_every_look_it_covers_what_people_would_say() {
    for chosen in [false, true] {
        let all: Vec<(bool, bool)> = (0..RUNS).map(|run| misses(run, chosen)).collect();
        let count = |of: fn(&(bool, bool)) -> bool| all.iter().filter(|one| of(one)).count();
        let (missed, naive) = (count(|one| one.0), count(|one| one.1));
        println!("chosen {chosen}: missed in {missed} of {RUNS} runs, a plain interval in {naive}");
        // 5 % and three standard errors.
        assert!(missed <= 26, "{missed}");
        assert!(naive > 36, "a fixed-n interval must fail this test: {naive}");
    }
}

#[test]
fn a_good_judge_gives_a_shorter_interval_than_the_labels_alone_and_a_useless_one_is_not_believed() {
    let mut random = Random(3);
    let mut of = |wrong: f64| -> Vec<Known> {
        let one = |_| {
            let (truth, score) = answer(&mut random, wrong);
            Known { truth, score, weight: 1.0 }
        };
        (0..300).map(one).collect()
    };
    let (good, useless) = (of(0.05), of(1.0));
    let alone: Vec<Known> = good.iter().map(|one| Known { score: 0.0, ..*one }).collect();
    let width = |known: &[Known]| rectifier(known, ALPHA, TUNED_N).unwrap().estimate.width();
    assert!(width(&good) < 0.7 * width(&alone), "{} {}", width(&good), width(&alone));
    assert!(rectifier(&good, ALPHA, TUNED_N).unwrap().score_weight > 0.8);
    assert!(rectifier(&useless, ALPHA, TUNED_N).unwrap().score_weight < 0.15);
}

#[test]
fn only_the_ratios_of_weights_matter_and_a_weight_of_nothing_is_refused() {
    let mut random = Random(4);
    let known: Vec<Known> = (0..60)
        .map(|at| {
            let (truth, score) = answer(&mut random, 0.2);
            Known { truth, score, weight: 1.0 + f64::from(at % 3) }
        })
        .collect();
    let scaled: Vec<Known> = known.iter().map(|one| Known { weight: 8.0 * one.weight, ..*one }).collect();
    let (one, other) =
        (rectifier(&known, ALPHA, TUNED_N).unwrap(), rectifier(&scaled, ALPHA, TUNED_N).unwrap());
    assert!((one.estimate.low - other.estimate.low).abs() < 1e-9, "{one:?} {other:?}");
    let none = [Known { truth: 1.0, score: 1.0, weight: 0.0 }; 60];
    assert!(rectifier(&none, ALPHA, TUNED_N).is_err());
    assert!(rectifier(&known[..3], ALPHA, TUNED_N).is_err(), "three values say nothing");
}
