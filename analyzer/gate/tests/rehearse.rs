//! Rehearsals: false candidates of an unchanged history seldom fire, the counting can count, and a seed decides everything.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Random, series, share};
use weir_gate::{
    Better, Gate, Gates, Margin, MetricSeries, Rehearsal, RehearseOptions, Severity, Spending, Stratum,
    rehearsal, rehearse_one,
};

const OPTIONS: RehearseOptions =
    RehearseOptions { splits: 40, looks: 8, candidate_share: 0.5, spending: Spending::ALL, seed: 3 };

fn gates(margin: f64) -> Gates {
    let gate = |name: &str, metric: &str, margin| Gate {
        name: name.into(),
        metric: metric.into(),
        direction: None,
        margin,
        severity: Severity::Critical,
        segment: None,
        minimum_evidence: 50,
    };
    let gates = vec![
        gate("errors", "error", Margin::Absolute(margin)),
        gate("latency", "latency_ms", Margin::Relative(4.0 * margin)),
    ];
    Gates { alpha: 0.05, gates }
}

/// A history of control: sessions of several requests, a few of them unlucky throughout.
fn history(requests: usize) -> Vec<MetricSeries> {
    let mut random = Random(21);
    let (mut errors, mut times, mut sessions) = (Vec::new(), Vec::new(), Vec::new());
    let mut session = 0;
    while errors.len() < requests {
        let unlucky = random.flag(0.1);
        for _ in 0..1 + random.next() % 5 {
            errors.push(random.flag(0.02 + 0.5 * unlucky));
            times.push(random.lognormal(300.0, 0.6));
            sessions.push(session);
        }
        session += 1;
    }
    let of = |control: Vec<f64>| Stratum {
        name: "all".into(),
        control: control.into(),
        control_clusters: sessions.clone().into(),
        ..Stratum::default()
    };
    let strata = |series: MetricSeries, values: Vec<f64>| MetricSeries { strata: vec![of(values)], ..series };
    vec![
        strata(share("error", Better::Lower, Vec::new()), errors),
        strata(series("latency_ms", Better::Lower, None, Vec::new()), times),
    ]
}

fn rehearsed(gates: &Gates, options: &RehearseOptions) -> Rehearsal {
    let control = history(1_500);
    let splits: Vec<_> =
        (0..options.splits).map(|split| rehearse_one(gates, &control, options, split)).collect();
    rehearsal(gates, &control, options, &splits)
}

#[test]
fn false_candidates_of_an_unchanged_history_are_seldom_rolled_back() {
    let found = rehearsed(&gates(0.05), &OPTIONS);
    assert!(found.rollback.interval.0 <= 0.05, "{found:#?}");
    assert_eq!((found.splits, found.looks, found.promised), (40, 8, 0.05));
    assert!(found.gates.iter().all(|gate| gate.fired.interval.0 <= gate.alpha), "{found:#?}");
    assert_eq!(found, rehearsed(&gates(0.05), &OPTIONS));
}

#[test]
fn with_a_margin_of_next_to_nothing_and_a_lavish_alpha_some_false_candidates_fire() {
    // Shows that the counting can count: the promise is then one in two, and some of it is used.
    let lavish = Gates { alpha: 0.5, ..gates(0.000_001) };
    let found = rehearsed(&lavish, &RehearseOptions { splits: 60, looks: 20, ..OPTIONS });
    assert!(found.gates[1].fired.splits > 0, "{found:#?}");
    assert!(found.rollback.splits >= found.gates[1].fired.splits, "{found:#?}");
    assert!(found.rollback.interval.0 <= 0.5 && found.promoted.splits == 0, "{found:#?}");
    let frequency = found.rollback;
    assert!(frequency.interval.0 < frequency.share && frequency.share < frequency.interval.1);
}
