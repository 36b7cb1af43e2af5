//! A judge's score is corrected by people's labels: a judge that flatters the candidate no longer promotes, at any look.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Random, healthy};
use weir_gate::{
    Better, Comparison, Evaluation, GateResult, Gates, Labels, MetricSeries, Outcome, PersonLabel, Spending,
    Stratum, Verdict, evaluate,
};

const GATES: &str = "apiVersion: weir/v1\nkind: Gates\nalpha: 0.05\ngates:\n  - {name: quality, metric: 'score:good', margin: {absolute: 0.05}}\n";

/// Pairs of 0/1 judgements with what people would say: control is good in 60 %, the candidate in 60 % + `change`. The judge
/// is wrong in 15 % of the answers, and in those prefers the candidate by `flattery`.
struct World {
    pairs: Vec<(f64, f64)>,
    truth: Vec<(f64, f64)>,
}

fn world(n: usize, change: f64, flattery: f64, seed: u64) -> World {
    let mut random = Random(seed);
    let mut world = World { pairs: Vec::new(), truth: Vec::new() };
    for _ in 0..n {
        let truth = (random.flag(0.6), random.flag(0.6 + change));
        let mut judged = |truth: f64, candidate: bool| {
            let lean = if candidate { 0.6 + flattery } else { 0.6 - flattery };
            if random.unit() < 0.15 { random.flag(lean) } else { truth }
        };
        world.pairs.push((judged(truth.0, false), judged(truth.1, true)));
        world.truth.push(truth);
    }
    world
}

/// The first `n` pairs, of which every `every`-th is labelled.
fn series(world: &World, n: usize, every: usize) -> MetricSeries {
    let label = |at: usize, candidate: bool| PersonLabel {
        candidate,
        score: if candidate { world.truth[at].1 } else { world.truth[at].0 },
        weight: 1.0,
        pair: Some(at as u32),
        stratum: None,
    };
    let labelled = (0..n).filter(|at| at.is_multiple_of(every));
    MetricSeries {
        name: "score:good".into(),
        unit: "score".into(),
        better: Better::Higher,
        bounds: Some((0.0, 1.0)),
        pairs: world.pairs[..n].to_vec().into(),
        people: labelled.flat_map(|at| [label(at, false), label(at, true)]).collect(),
        ..MetricSeries::default()
    }
}

fn judged(series: &MetricSeries) -> Evaluation {
    judged_by(GATES, series)
}

fn judged_by(gates: &str, series: &MetricSeries) -> Evaluation {
    let gates = Gates::parse("gates", gates).unwrap();
    evaluate(&gates, std::slice::from_ref(series), &healthy(), Spending::ALL)
}

fn gate(series: &MetricSeries) -> GateResult {
    judged(series).gates.remove(0)
}

#[test]
fn a_judge_that_flatters_the_candidate_does_not_promote_it_and_both_estimates_are_told() {
    let world = world(6_000, -0.10, 1.0, 1);
    let mut labelled = series(&world, 6_000, 6);
    let people = std::mem::take(&mut labelled.people);
    let alone = judged(&labelled);
    assert!(matches!(alone.verdict, Verdict::Promote | Verdict::SignOff), "{:?}", alone.verdict);
    labelled.people = people;
    let result = gate(&labelled);
    assert_ne!(result.outcome, Outcome::Inside, "{}", result.explanation);
    assert_ne!(result.outcome, Outcome::Improved, "{}", result.explanation);
    let correction = result.correction.clone().unwrap();
    assert!(correction.applied && result.method.starts_with("prediction-powered"), "{result:?}");
    assert_eq!((correction.labels_control, correction.labels_candidate), (1_000, 1_000));
    assert!(correction.raw_estimate.unwrap() > 0.0 && result.estimate.unwrap() < -0.05, "{result:?}");
    assert!((0.5..=1.0).contains(&correction.judge_weight.unwrap()), "{correction:?}");
    let difference = result.candidate.unwrap() - result.control.unwrap();
    assert!((difference - result.estimate.unwrap()).abs() < 1e-9);
    assert!(
        result.explanation.contains("1,000 and 1,000 of them labelled by people"),
        "{}",
        result.explanation
    );
}

#[test]
fn the_chance_that_it_ever_promotes_past_the_margin_or_leaves_the_truth_out_is_within_alpha() {
    const RUNS: u64 = 60;
    let (mut promoted, mut missed, mut raw_missed) = (0, 0, 0);
    for run in 0..RUNS {
        // Exactly at the margin by people, and far inside by the judge.
        let world = world(3_000, -0.05, 1.0, 100 + run);
        let looks: Vec<GateResult> = (1..=10).map(|look| gate(&series(&world, look * 300, 5))).collect();
        let inside = |result: &GateResult| matches!(result.outcome, Outcome::Inside | Outcome::Improved);
        promoted += usize::from(looks.iter().any(inside));
        let out =
            |interval: Option<(f64, f64)>| interval.is_some_and(|(low, high)| low > -0.05 || high < -0.05);
        missed += usize::from(looks.iter().any(|result| out(result.interval)));
        raw_missed +=
            usize::from(looks.iter().any(|result| out(result.correction.as_ref().unwrap().raw_interval)));
    }
    println!("promoted {promoted}, missed {missed}, the judge alone {raw_missed} of {RUNS}");
    // At most 5 %, and three standard errors of 60 runs.
    assert!(promoted <= 8 && missed <= 8, "{promoted} {missed}");
    assert!(raw_missed > 50, "without correction this test must fail: {raw_missed}");
}

/// No worse than a tenth of control's mean.
fn relative(series: &MetricSeries) -> GateResult {
    judged_by(&GATES.replace("absolute: 0.05", "relative: 0.1"), series).gates.remove(0)
}

#[test]
fn a_relative_margin_is_held_against_what_people_say_and_its_error_is_within_alpha_too() {
    const RUNS: u64 = 60;
    let (mut promoted, mut missed, mut raw_missed) = (0, 0, 0);
    for run in 0..RUNS {
        // By people exactly at the margin, 0.54 after 0.6, and by the judge far inside.
        let world = world(3_000, -0.06, 1.0, 900 + run);
        let looks: Vec<GateResult> = (1..=10).map(|look| relative(&series(&world, look * 300, 5))).collect();
        let inside = |result: &GateResult| matches!(result.outcome, Outcome::Inside | Outcome::Improved);
        promoted += usize::from(looks.iter().any(inside));
        let out =
            |interval: Option<(f64, f64)>| interval.is_some_and(|(low, high)| low > -0.1 || high < -0.1);
        missed += usize::from(looks.iter().any(|result| out(result.interval)));
        raw_missed +=
            usize::from(looks.iter().any(|result| out(result.correction.as_ref().unwrap().raw_interval)));
        let last = looks.last().unwrap();
        assert!(last.correction.as_ref().unwrap().applied, "{last:?}");
        let (low, high) = last.interval.unwrap();
        assert!(
            low < last.estimate.unwrap() && last.estimate.unwrap() < high && high - low < 0.6,
            "{last:?}"
        );
    }
    println!("relative: promoted {promoted}, missed {missed}, the judge alone {raw_missed} of {RUNS}");
    assert!(promoted <= 8 && missed <= 8, "{promoted} {missed}");
    assert!(raw_missed > 50, "without correction this test must fail: {raw_missed}");
}

#[test]
fn few_labels_leave_the_judge_uncorrected_and_say_how_many_are_needed() {
    let world = world(1_000, 0.0, 0.0, 7);
    let few = gate(&series(&world, 1_000, 50));
    let correction = few.correction.unwrap();
    assert!(!correction.applied && correction.raw_interval == few.interval, "{correction:?}");
    assert_eq!(correction.text, "not corrected: 30 labels of each variant are needed");
    assert!(!few.method.starts_with("prediction"));
    let some = gate(&series(&world, 1_000, 20));
    let needed = some.correction.as_ref().unwrap().needed_labels;
    assert!(needed.is_none_or(|more| more > 20), "{some:?}");
    let world = self::world(20_000, 0.0, 0.0, 8);
    let open = gate(&series(&world, 20_000, 200));
    let more = open.correction.as_ref().unwrap().needed_labels.unwrap();
    assert!((50..200_000).contains(&more), "{open:?}");
    assert!(open.explanation.contains("more labels of each variant"), "{}", open.explanation);
}

#[test]
fn the_order_of_partners_does_not_matter_and_a_segment_has_its_own_labels() {
    let world = world(2_000, 0.0, 0.0, 9);
    let mut tiers = series(&world, 2_000, 5);
    let mut apart = tiers.clone();
    let (control, candidate): (Vec<PersonLabel>, Vec<PersonLabel>) =
        apart.people.iter().partition(|label| !label.candidate);
    apart.people = control.into_iter().chain(candidate).collect();
    let (one, other) = (gate(&tiers), gate(&apart));
    assert!((one.estimate.unwrap() - other.estimate.unwrap()).abs() < 0.01, "{one:?} {other:?}");
    let set = |value: &str| vec![("tier".to_owned(), value.to_owned())];
    tiers.labels = Labels {
        sets: vec![set("a"), set("b")],
        pairs: (0..2_000).map(|at| u32::from(at % 10 == 0)).collect(),
        strata: Vec::new(),
    };
    let evaluation = judged(&tiers);
    let labels = |tier: &str| {
        let segment = evaluation.segments.iter().find(|segment| segment.value == tier).unwrap();
        segment.gates[0].correction.as_ref().unwrap().labels_control
    };
    assert_eq!((labels("a"), labels("b")), (200, 200));
}

#[test]
fn unpaired_answers_are_corrected_within_their_cohorts() {
    let mut random = Random(5);
    // Two cohorts of different quality; in the second the candidate serves four times as much, and labels follow.
    let mut series = MetricSeries {
        name: "score:good".into(),
        better: Better::Higher,
        bounds: Some((0.0, 1.0)),
        ..MetricSeries::default()
    };
    for (place, (good, n, m)) in [(0.9, 4_000, 1_000), (0.3, 1_000, 4_000)].into_iter().enumerate() {
        let mut stratum = Stratum { name: format!("c{place}"), ..Stratum::default() };
        for at in 0..n.max(m) {
            for (candidate, count) in [(false, n), (true, m)] {
                if at >= count {
                    continue;
                }
                let truth = random.flag(good);
                // The judge flatters the candidate: it calls a third of its bad answers good.
                let judge = if candidate && truth == 0.0 { random.flag(0.33) } else { truth };
                let values = if candidate { &mut stratum.candidate } else { &mut stratum.control };
                values.push(judge);
                if at % 5 == 0 {
                    series.people.push(PersonLabel {
                        candidate,
                        score: truth,
                        weight: 1.0,
                        pair: None,
                        stratum: Some((place as u32, at as u32)),
                    });
                }
            }
        }
        series.strata.push(stratum);
    }
    let result = gate(&series);
    assert_eq!(result.comparison, Comparison::Unpaired);
    let correction = result.correction.unwrap();
    assert!(correction.applied && correction.raw_estimate.unwrap() > 0.1, "{correction:?}");
    // Nothing changed, whatever the mixtures.
    assert!(result.estimate.unwrap().abs() < 0.03, "{:?} {correction:?}", result.estimate);
    let (low, high) = result.interval.unwrap();
    assert!(low < 0.0 && high > 0.0);
}
