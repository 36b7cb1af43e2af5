//! Plans: what they say about n holds when that many values come, and the same seed gives the same plan.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Random, healthy, series, share};
use weir_gate::{
    Better, Gate, Gates, Margin, MetricSeries, Outcome, PlanOptions, Severity, Spending, evaluate, plan,
    stated_pool,
};

const OPTIONS: PlanOptions = PlanOptions { paired: true, power: 0.8, spending: Spending::ALL, seed: 7 };

fn gate(name: &str, metric: &str, margin: Margin) -> Gate {
    Gate {
        name: name.into(),
        metric: metric.into(),
        direction: None,
        margin,
        severity: Severity::Critical,
        segment: None,
        minimum_evidence: 50,
    }
}

fn gates() -> Gates {
    let gates = vec![
        gate("errors", "error", Margin::Absolute(0.02)),
        gate("latency", "latency_ms", Margin::Relative(0.1)),
        gate("latency-p95", "latency_ms:p95", Margin::Relative(0.2)),
    ];
    Gates { alpha: 0.05, gates }
}

/// Pairs without a change; `worse` makes the candidate that much worse.
fn traffic(random: &mut Random, n: usize, worse: f64) -> Vec<MetricSeries> {
    let errors = (0..n).map(|_| (random.flag(0.03), random.flag(0.03 + 0.04 * worse))).collect();
    let latency = |random: &mut Random, base: f64| base * random.lognormal(300.0, 0.3);
    let times = (0..n)
        .map(|_| {
            let base = random.lognormal(1.0, 0.4);
            (latency(random, base), latency(random, base) * (1.0 + 0.2 * worse))
        })
        .collect();
    vec![share("error", Better::Lower, errors), series("latency_ms", Better::Lower, None, times)]
}

fn inside(n: usize, gate: usize, wanted: Outcome, worse: f64) -> usize {
    let decided = |seed: &u64| {
        let all = traffic(&mut Random(1_000 + seed), n, worse);
        let outcome = evaluate(&gates(), &all, &healthy(), Spending::ALL).gates[gate].outcome;
        outcome == wanted || wanted == Outcome::Inside && outcome == Outcome::Improved
    };
    (0..30).filter(decided).count()
}

#[test]
fn at_the_planned_n_a_gate_is_decided_about_as_often_as_asked_for() {
    let pool = traffic(&mut Random(5), 2_000, 0.0);
    let plans = plan(&gates(), &pool, &OPTIONS);
    for (index, gate) in plans.iter().enumerate() {
        let n = gate.needed.unwrap();
        println!("{}: {n} pairs, smallest effect {:?}", gate.gate, gate.smallest_effect);
        // 30 runs at 80 percent: 24 on average; a plan has no more than two digits.
        let at_plan = inside(usize::try_from(n).unwrap(), index, Outcome::Inside, 0.0);
        let at_third = inside(usize::try_from(n / 3).unwrap(), index, Outcome::Inside, 0.0);
        assert!((16..=30).contains(&at_plan), "{}: {at_plan} of 30 at {n}", gate.gate);
        assert!(at_third < 8, "{}: {at_third} of 30 at a third of {n}", gate.gate);
    }
}

#[test]
fn at_the_planned_n_a_change_of_two_margins_is_a_breach_about_as_often() {
    let pool = traffic(&mut Random(5), 2_000, 0.0);
    let n = plan(&gates(), &pool, &OPTIONS)[1].needed.unwrap();
    let breached = inside(usize::try_from(n).unwrap(), 1, Outcome::Breach, 1.0);
    assert!((14..=30).contains(&breached), "{breached} of 30 at {n}");
}

#[test]
fn the_same_seed_gives_the_same_plan_and_less_alpha_needs_more() {
    let pool = traffic(&mut Random(5), 500, 0.0);
    let one = plan(&gates(), &pool, &OPTIONS);
    assert_eq!(one, plan(&gates(), &pool, &OPTIONS));
    let third = plan(&gates(), &pool, &PlanOptions { spending: Spending::one_of(3), ..OPTIONS });
    assert!(one.iter().zip(&third).all(|(one, third)| one.needed < third.needed), "{one:#?} {third:#?}");
}

#[test]
fn pairs_that_go_together_need_fewer_than_answers_to_different_requests() {
    let pool = traffic(&mut Random(5), 2_000, 0.0);
    let paired = plan(&gates(), &pool, &OPTIONS)[1].needed.unwrap();
    let unpaired = plan(&gates(), &pool, &PlanOptions { paired: false, ..OPTIONS })[1].needed.unwrap();
    assert!(paired * 3 < unpaired * 2, "{paired} pairs, {unpaired} of each variant");
}

#[test]
fn a_stated_baseline_gives_a_plan_and_a_metric_without_values_says_so() {
    let blank = series("error", Better::Lower, Some((0.0, 1.0)), Vec::new());
    let pools = [stated_pool(blank, 0.05, None, 3)];
    let plans = plan(&gates(), &pools, &OPTIONS);
    assert!((plans[0].control.unwrap() - 0.05).abs() < 0.02);
    assert!(plans[0].needed.is_some_and(|n| (1_500..20_000).contains(&n)), "{:?}", plans[0]);
    assert_eq!(plans[1].needed, None);
    assert_eq!(plans[1].note, "no values of the metric to plan from");
}
