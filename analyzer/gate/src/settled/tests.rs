//! What is left of a series says what the series says: of the whole, of a segment, at an earlier look, and however it was parted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Lengths, Sampled, Settled};
use crate::evaluate::{Spending, evaluate, gate_results};
use crate::gates::Gates;
use crate::labels::{Labels, Segment, without};
use crate::memory::Memory;
use crate::places::Places;
use crate::result::{Evaluation, GateResult};
use crate::series::{Better, CaptureHealth, MetricSeries, Stratum};

/// Margins that no estimate hits.
const GATES: &str = "apiVersion: weir/v1
kind: Gates
gates:
- {name: difference, metric: latency_ms, margin: {absolute: 0.0917}, severity: major}
- {name: ratio, metric: latency_ms, margin: {relative: 0.0917}, severity: major}
- {name: percentile, metric: 'latency_ms:p50', margin: {relative: 0.0917}, severity: major}
- {name: percentile-absolute, metric: 'latency_ms:p90', margin: {absolute: 3.017}, severity: major}
- {name: bound, metric: latency_ms, margin: {bound: 0.9131}, direction: higher, severity: major}
- {name: bounded-percentile, metric: 'latency_ms:p50', margin: {bound: 0.9131}, direction: lower, severity: major}
- {name: own, metric: latency_ms, margin: {relative: 0.0917}, severity: major, segment: {tier: beta}}
";

/// Value, place of the set of labels, identity, second value where there is one.
type Drawn = (f64, u32, u32, f64);

fn value(bounded: bool, odd: bool) -> impl Strategy<Value = f64> {
    (0_u8..90, 1.0_f64..2_000.0).prop_map(move |(drawn, size)| match drawn {
        0 if odd => f64::NAN,
        // Outside the bounds.
        1 if odd => 7.0,
        drawn if bounded => f64::from(drawn % 2),
        _ => size.round(),
    })
}

fn drawn(bounded: bool, odd: bool, most: usize) -> impl Strategy<Value = Vec<Drawn>> {
    vec((value(bounded, odd), 0_u32..2, 0_u32..25, value(bounded, odd)), 0..most)
}

fn any_series() -> impl Strategy<Value = MetricSeries> {
    let numbers = |(bounded, odd)| {
        (
            drawn(bounded, odd, 120),
            vec((drawn(bounded, odd, 60), drawn(bounded, odd, 60)), 0..3),
            Just(bounded),
        )
    };
    (any::<bool>(), any::<bool>(), any::<bool>())
        .prop_flat_map(move |(bounded, odd, labelled)| (numbers((bounded, odd)), Just(labelled)))
        .prop_map(|((pairs, strata, bounded), labelled)| {
            let set = |tier: &str| vec![("tier".to_owned(), tier.to_owned())];
            let sets = |arm: &[Drawn]| arm.iter().map(|drawn| drawn.1).collect::<Places>();
            let identities = |arm: &[Drawn]| arm.iter().map(|drawn| drawn.2).collect::<Places>();
            let labels = Labels {
                sets: vec![set("beta"), set("general")],
                pairs: sets(&pairs),
                strata: strata.iter().map(|(control, candidate)| (sets(control), sets(candidate))).collect(),
            };
            let stratum = |(at, (control, candidate)): (usize, &(Vec<Drawn>, Vec<Drawn>))| Stratum {
                name: format!("cohort {at}"),
                control: control.iter().map(|drawn| drawn.0).collect(),
                candidate: candidate.iter().map(|drawn| drawn.0).collect(),
                control_clusters: identities(control),
                candidate_clusters: identities(candidate),
            };
            MetricSeries {
                name: "latency_ms".to_owned(),
                unit: "ms".to_owned(),
                better: Better::Lower,
                bounds: bounded.then_some((0.0, 1.0)),
                pairs: pairs.iter().map(|drawn| (drawn.0, drawn.3)).collect(),
                pair_clusters: identities(&pairs),
                strata: strata.iter().enumerate().map(stratum).collect(),
                labels: if labelled { labels } else { Labels::default() },
                ..MetricSeries::default()
            }
        })
}

fn lengths(series: &MetricSeries) -> Lengths {
    Lengths {
        pairs: series.pairs.len(),
        strata: series
            .strata
            .iter()
            .map(|stratum| (stratum.control.len(), stratum.candidate.len()))
            .collect(),
    }
}

/// A share of all.
fn part_of(all: &Lengths, share: f64) -> Lengths {
    let part = |n: usize| (n as f64 * share) as usize;
    Lengths { pairs: part(all.pairs), strata: all.strata.iter().map(|(m, n)| (part(*m), part(*n))).collect() }
}

fn everything(series: &MetricSeries) -> Sampled {
    let all = lengths(series);
    Sampled {
        pairs: vec![true; all.pairs],
        strata: all.strata.iter().map(|(m, n)| (vec![true; *m], vec![true; *n])).collect(),
    }
}

fn bare(series: &MetricSeries, settled: Settled) -> MetricSeries {
    MetricSeries {
        name: series.name.clone(),
        unit: series.unit.clone(),
        better: series.better,
        bounds: series.bounds,
        labels: Labels { sets: series.labels.sets.clone(), ..Labels::default() },
        settled: Some(Arc::new(settled)),
        ..MetricSeries::default()
    }
}

fn settled(series: &MetricSeries, shares: &[f64]) -> MetricSeries {
    let all = lengths(series);
    let mut ends: Vec<Lengths> = shares.iter().map(|share| part_of(&all, *share)).collect();
    ends.push(all);
    bare(series, Settled::of(series, &ends, &everything(series)))
}

/// The values between two lengths, as another reader would have them: identities and labels by their own numbers.
fn between(series: &MetricSeries, from: &Lengths, to: &Lengths) -> MetricSeries {
    let part = |places: &Places, from: usize, to: usize| {
        places.iter().copied().skip(from).take(to - from).collect::<Vec<_>>()
    };
    let cut = |places: &Places, from, to| {
        part(places, from, to).into_iter().map(|place| 1 - place).collect::<Places>()
    };
    let others = |places: &Places, from, to| {
        part(places, from, to).into_iter().map(|identity| 24 - identity).collect::<Places>()
    };
    let spans = || from.strata.iter().zip(&to.strata).map(|((a, b), (c, d))| ((*a, *c), (*b, *d)));
    let strata = series.strata.iter().zip(spans()).map(|(stratum, ((a, c), (b, d)))| Stratum {
        name: stratum.name.clone(),
        control: stratum.control.part(a, c),
        candidate: stratum.candidate.part(b, d),
        control_clusters: others(&stratum.control_clusters, a, c),
        candidate_clusters: others(&stratum.candidate_clusters, b, d),
    });
    let sets = series.labels.strata.iter().zip(spans());
    MetricSeries {
        pairs: series.pairs.part(from.pairs, to.pairs),
        pair_clusters: others(&series.pair_clusters, from.pairs, to.pairs),
        labels: Labels {
            sets: series.labels.sets.iter().rev().cloned().collect(),
            pairs: cut(&series.labels.pairs, from.pairs, to.pairs),
            strata: sets.map(|((old, new), ((a, c), (b, d)))| (cut(old, a, c), cut(new, b, d))).collect(),
        },
        strata: strata.collect(),
        ..series.clone()
    }
}

fn judged(series: &MetricSeries) -> Evaluation {
    let gates = Gates::parse("gates", GATES).unwrap();
    evaluate(&gates, std::slice::from_ref(series), &CaptureHealth::default(), Spending::ALL)
}

fn same(found: &[GateResult], exact: &[GateResult], whole_sample: bool) {
    assert_eq!(found.len(), exact.len());
    for (found, exact) in found.iter().zip(exact) {
        let case = || format!("{found:#?}\n{exact:#?}");
        assert_eq!(
            (&found.gate, found.comparison, &found.method),
            (&exact.gate, exact.comparison, &exact.method)
        );
        assert_eq!(
            (found.n_pairs, found.n_control, found.n_candidate),
            (exact.n_pairs, exact.n_control, exact.n_candidate),
            "{}",
            case()
        );
        let near = |one: Option<f64>, other: Option<f64>, share: f64| match (one, other) {
            (Some(one), Some(other)) => (one - other).abs() <= share * other.abs().max(1e-3),
            (one, other) => one.is_none() && other.is_none(),
        };
        let percentile = found.metric.contains(":p");
        let share = if percentile { 0.01 } else { 1e-6 };
        assert!(near(found.control, exact.control, share), "{}", case());
        assert!(near(found.candidate, exact.candidate, share), "{}", case());
        if whole_sample && !percentile {
            let ends = |result: &GateResult| result.interval.unzip();
            assert!(near(ends(found).0, ends(exact).0, 1e-4), "{}", case());
            assert!(near(ends(found).1, ends(exact).1, 1e-4), "{}", case());
            assert_eq!(found.outcome, exact.outcome, "{}", case());
            let needed = |result: &GateResult| result.needed_more.map(|more| more as f64 + 100.0);
            assert!(near(needed(found), needed(exact), 0.01), "{}", case());
            let left_out = |result: &GateResult| {
                result.explanation.find("left out").map(|at| result.explanation[at..].to_owned())
            };
            assert_eq!(left_out(found), left_out(exact));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn sums_are_judged_as_the_values_are(series in any_series(), mut shares in vec(0.0_f64..=1.0, 0..3)) {
        shares.sort_by(f64::total_cmp);
        let settled = settled(&series, &shares);
        let (found, exact) = (judged(&settled), judged(&series));
        same(&found.gates, &exact.gates, true);
        prop_assert_eq!(found.segments.len(), exact.segments.len());
        for exact in &exact.segments {
            let found = found.segments.iter().find(|found| found.value == exact.value).unwrap();
            same(&found.gates, &exact.gates, true);
        }
        let all = settled.settled.as_ref().unwrap().lengths();
        prop_assert_eq!(all.last(), Some(&lengths(&series)));
    }

    #[test]
    fn an_earlier_look_sees_what_there_was(series in any_series(), share in 0.0_f64..=1.0) {
        let (settled, then) = (settled(&series, &[share]), part_of(&lengths(&series), share));
        let start = part_of(&then, 0.0);
        let once = between(&between(&series, &start, &then), &start, &then);
        let gates = Gates::parse("gates", GATES).unwrap();
        let at = |series: &MetricSeries, cut: &dyn Fn(&MetricSeries) -> MetricSeries| {
            gate_results(&gates, std::slice::from_ref(series), cut, Spending::ALL, &Memory::default())
        };
        same(&at(&settled, &|series| series.until(1)), &at(&once, &MetricSeries::clone), true);
    }

    #[test]
    fn what_is_hidden_is_left_out(series in any_series()) {
        let hidden = [Segment::from([("tier".to_owned(), "general".to_owned())])];
        let (found, exact) = (without(&settled(&series, &[0.4]), &hidden), without(&series, &hidden));
        same(&judged(&found).gates, &judged(&exact).gates, true);
    }

    #[test]
    fn parts_that_are_settled_one_by_one_add_up(series in any_series(), share in 0.0_f64..=1.0, joined in any::<bool>()) {
        let all = lengths(&series);
        let (then, start) = (part_of(&all, share), part_of(&all, 0.0));
        let of = |from: &Lengths, to: &Lengths, other_order: bool| {
            let mut part = between(&series, from, to);
            if other_order {
                // Each stratum has to be found by its name.
                part.strata.reverse();
                part.labels.strata.reverse();
                let renumber = |places: &mut Places| places.iter_mut().for_each(|identity| *identity = (*identity + 7) % 25);
                renumber(&mut part.pair_clusters);
                for stratum in &mut part.strata {
                    renumber(&mut stratum.control_clusters);
                    renumber(&mut stratum.candidate_clusters);
                }
            }
            Settled::of(&part, &[lengths(&part)], &everything(&part))
        };
        let identities: Vec<u32> = (0..25).rev().collect();
        let others: Vec<u32> = (0..25).map(|number| 24 - (number + 18) % 25).collect();
        let mut sums = Settled::default();
        sums.append(of(&start, &then, false), &[1, 0], &identities);
        sums.append(of(&then, &all, true), &[1, 0], &others);
        let once = between(&between(&series, &start, &then), &start, &then);
        same(&judged(&bare(&series, sums.until(1))).gates, &judged(&once).gates, true);
        let all_stretches = judged(&bare(&series, sums.until(2)));
        if joined {
            sums.join();
        }
        prop_assert_eq!(sums.lengths().len(), if joined { 1 } else { 2 });
        let (found, exact) = (judged(&bare(&series, sums)), judged(&series));
        same(&found.gates, &exact.gates, true);
        same(&all_stretches.gates, &exact.gates, true);
        for exact in &exact.segments {
            same(&found.segments.iter().find(|found| found.value == exact.value).unwrap().gates, &exact.gates, true);
        }
    }

    #[test]
    fn some_identities_say_how_alike_the_answers_to_one_are(share in 0.0_f64..=1.0) {
        // Three answers to each of 4,000 identities: as alike as can be, not at all, and between.
        let value = |identity: u32, answer: u32| {
            let own = f64::from(identity.wrapping_mul(2_654_435_761) >> 8) / f64::from(1_u32 << 24);
            let new = f64::from((identity * 3 + answer).wrapping_mul(2_246_822_519) >> 8) / f64::from(1_u32 << 24);
            100.0 + share * own + (1.0 - share) * new
        };
        let rows = || (0..12_000_u32).map(|row| (row % 4_000, row / 4_000));
        let series = MetricSeries {
            name: "latency_ms".to_owned(),
            pairs: rows().map(|(identity, answer)| (100.0, value(identity, answer))).collect(),
            pair_clusters: rows().map(|(identity, _)| identity).collect(),
            ..MetricSeries::default()
        };
        let sampled = Sampled { pairs: rows().map(|(identity, _)| identity % 4 == 1).collect(), strata: Vec::new() };
        let few = bare(&series, Settled::of(&series, &[lengths(&series)], &sampled));
        prop_assert_eq!(few.settled.as_ref().unwrap().sample().pairs.len(), 3_000);
        let (found, exact) = (judged(&few), judged(&series));
        same(&found.gates, &exact.gates, false);
        let width = |result: &GateResult| result.interval.map(|(low, high)| high - low).unwrap();
        let (found, exact) = (width(&found.gates[0]), width(&exact.gates[0]));
        prop_assert!((found / exact - 1.0).abs() < 0.1, "{found} {exact}");
    }
}

#[test]
fn a_part_of_which_few_are_in_the_sample_is_as_clustered_as_the_whole() {
    // Three copies of one answer to each identity; one in forty of them in a tier of its own.
    let rows = || (0..12_000_u32).map(|row| (row % 4_000, row / 4_000));
    let tier = |identity: u32| u32::from(identity.is_multiple_of(40));
    let value = |identity: u32| 100.0 + f64::from(identity.wrapping_mul(2_654_435_761) >> 24);
    let set = |tier: &str| vec![("tier".to_owned(), tier.to_owned())];
    let series = MetricSeries {
        name: "latency_ms".to_owned(),
        pairs: rows().map(|(identity, _)| (200.0, value(identity))).collect(),
        pair_clusters: rows().map(|(identity, _)| identity).collect(),
        labels: Labels {
            sets: vec![set("general"), set("beta")],
            pairs: rows().map(|(identity, _)| tier(identity)).collect(),
            ..Labels::default()
        },
        ..MetricSeries::default()
    };
    // None of the small tier, and nearly all others.
    let sampled =
        Sampled { pairs: rows().map(|(identity, _)| tier(identity) == 0).collect(), strata: Vec::new() };
    let found = judged(&bare(&series, Settled::of(&series, &[lengths(&series)], &sampled)));
    let beta = found.segments.iter().find(|segment| segment.value == "beta").unwrap();
    let difference = beta.gates.iter().find(|result| result.gate == "difference").unwrap();
    assert_eq!(difference.n_pairs, 300);
    assert!(difference.explanation.contains("alike: 3.0 of them count as one"), "{}", difference.explanation);
}

#[test]
fn strata_that_get_one_name_are_one() {
    let stratum = |name: &str, control: Vec<f64>, candidate: Vec<f64>| Stratum {
        name: name.to_owned(),
        control_clusters: (0..control.len() as u32).collect(),
        candidate_clusters: (0..candidate.len() as u32).collect(),
        control: control.into(),
        candidate: candidate.into(),
    };
    let some = |from: u32, count: u32| (from..from + count).map(f64::from).collect::<Vec<f64>>();
    let apart = MetricSeries {
        name: "latency_ms".to_owned(),
        strata: vec![
            stratum("a, revision 1", some(1, 60), some(20, 50)),
            stratum("b, revision 1", some(1, 40), Vec::new()),
            stratum("a, revision 2", some(5, 70), some(30, 65)),
        ],
        ..MetricSeries::default()
    };
    let together = MetricSeries {
        strata: vec![
            stratum("a", [some(1, 60), some(5, 70)].concat(), [some(20, 50), some(30, 65)].concat()),
            stratum("b", some(1, 40), Vec::new()),
        ],
        ..apart.clone()
    };
    let mut settled = Settled::of(&apart, &[lengths(&apart)], &everything(&apart));
    settled.rename_strata(|name| name.split(',').next().unwrap().to_owned());
    assert_eq!(
        (settled.strata(), settled.lengths()),
        (["a".to_owned(), "b".to_owned()].as_slice(), vec![lengths(&together)])
    );
    let mut one_sided = settled.clone();
    one_sided.keep_strata(&[1]);
    assert_eq!(one_sided.lengths(), [Lengths { pairs: 0, strata: vec![(40, 0)] }]);
    assert_eq!(one_sided.sample().strata[0].control.len(), 40);
    same(&judged(&bare(&apart, settled)).gates, &judged(&together).gates, false);
}
