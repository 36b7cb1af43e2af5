//! Simulated captures: healthy ones that must be left alone, and planted faults that must be found and named.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod stretches;

use std::path::Path;
use std::sync::Arc;

use weir_gate::CaptureHealth;
use weir_sample::{Leg, Variant};

use super::*;
use crate::exchange::Exchanges;
use crate::figures::{Facts, Figures, Gathering, LegFigures};
use crate::identities::Identities;
use crate::marks::Marks;

/// SplitMix64 (S. Vigna, public domain).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// A leg with all that is known of it.
#[derive(Clone)]
struct Captured {
    sample_id: String,
    facts: Facts,
    ts_us: i64,
    identity: Option<u64>,
    sequence: Option<i64>,
    inclusion_probability: f64,
    latency_ms: Option<f64>,
}

/// The legs as those of a file.
fn figures(legs: &[Captured]) -> Figures {
    let mut facts: Vec<Facts> = Vec::new();
    let mut gathering = Gathering::new(0, legs.len());
    for leg in legs {
        let known = facts.iter().position(|known| *known == leg.facts).unwrap_or(facts.len());
        if known == facts.len() {
            facts.push(leg.facts.clone());
        }
        let of_leg = LegFigures {
            sample_id: &leg.sample_id,
            kind: known as u32,
            ts_us: leg.ts_us,
            identity: leg.identity,
            session: None,
            asked: None,
            traits: None,
            sequence: leg.sequence,
            inclusion_probability: leg.inclusion_probability,
            latency_ms: leg.latency_ms,
        };
        gathering.push(of_leg, std::iter::empty());
    }
    gathering.figures(Path::new("part-0"), facts, Marks::default())
}

const SHARE_PPM: u32 = 200_000;
const SAMPLING: f64 = 0.3;
const SHADOW: f64 = 0.4;
const START_US: i64 = 1_760_000_000_000_000;

fn expected() -> Vec<ExpectedShare> {
    vec![ExpectedShare { revision: 4, cohort: "general".into(), candidate_ppm: SHARE_PPM }]
}

fn leg(id: &str, leg: Leg, variant: Variant, at_us: i64) -> Captured {
    Captured {
        sample_id: id.to_owned(),
        facts: Facts {
            leg,
            variant,
            revision: Some(4),
            policy_digest: Some(Arc::from("d1")),
            snapshot: Some(Arc::from(variant.as_str())),
            cohort: Some(Arc::from("general")),
            labels: None,
            emitter: Some(Arc::from("envoy-1/00ff")),
            identified: true,
            probe: false,
            candidate_ppm: None,
            shadowed: None,
            truncated: false,
        },
        ts_us: at_us,
        identity: None,
        sequence: None,
        inclusion_probability: 1.0,
        latency_ms: Some(100.0),
    }
}

/// What goes wrong with a leg on its way: the chance that it never arrives.
type Loss = fn(&Captured, f64) -> f64;

/// Traffic of `people` with one to five requests each through a filter with a share, sampling and shadow copies, of
/// which what `loss` says gets lost after it was numbered.
fn captured(seed: u64, people: u64, loss: Loss) -> Vec<Captured> {
    let mut random = Random(seed.wrapping_mul(0x5851_F42D_4C95_7F2D));
    let mut legs: Vec<Captured> = Vec::new();
    for person in 0..people {
        let candidate = random.unit() < f64::from(SHARE_PPM) / 1e6;
        for _ in 0..=random.next() % 5 {
            let id = format!("{:016x}", random.next());
            let at_us = START_US + (random.unit() * 3.6e9) as i64;
            let latency_ms = 100.0 * (1.0 + 4.0 * random.unit().powi(3));
            let shadow = !candidate && random.unit() < SHADOW;
            if !shadow && random.unit() >= SAMPLING {
                continue;
            }
            let variant = if candidate { Variant::Candidate } else { Variant::Control };
            let mut primary = leg(&id, Leg::Primary, variant, at_us);
            primary.inclusion_probability =
                if candidate { SAMPLING } else { 1.0 - (1.0 - SAMPLING) * (1.0 - SHADOW) };
            primary.latency_ms = Some(latency_ms);
            primary.identity = Some(person + 1);
            primary.facts.truncated = random.unit() < 0.1;
            legs.push(primary);
            if shadow {
                let mut copy = leg(&id, Leg::Shadow, Variant::Candidate, at_us);
                copy.inclusion_probability = SHADOW;
                copy.latency_ms = Some(latency_ms * (0.5 + random.unit()));
                copy.identity = Some(person + 1);
                copy.facts.truncated = random.unit() < 0.1;
                legs.push(copy);
            }
        }
    }
    legs.sort_by_key(|leg| leg.ts_us + (leg.latency_ms.unwrap() * 1e3) as i64);
    for (number, leg) in legs.iter_mut().enumerate() {
        leg.sequence = Some(number as i64);
    }
    let mut random = Random(seed);
    legs.retain(|leg| random.unit() >= loss(leg, leg.latency_ms.unwrap()));
    legs
}

fn health_of(legs: &[Captured]) -> CaptureHealth {
    let figures = figures(legs);
    let exchanges = Exchanges::new(figures.legs(), figures.rows());
    capture_health(&exchanges, &Identities::of(&exchanges), &expected(), figures.legs())
}

/// The problems at any of eight looks.
fn problems_at_any_look(mut legs: Vec<Captured>) -> Vec<String> {
    legs.sort_by_key(|leg| leg.ts_us);
    (1..=8).flat_map(|look| health_of(&legs[..legs.len() * look / 8]).problems).collect()
}

const NO_LOSS: Loss = |_, _| 0.0;

#[test]
fn a_healthy_capture_is_left_alone_at_every_look() {
    let runs = 150;
    let refused: Vec<Vec<String>> = (1..=runs)
        .map(|seed| problems_at_any_look(captured(seed, 800, |_, _| 0.01)))
        .filter(|problems| !problems.is_empty())
        .collect();
    println!("{} of {runs} healthy captures are refused at some of eight looks", refused.len());
    // Six checks at one in a thousand: the 99.9 % point of the binomial with 0.006 is 5.
    assert!(refused.len() <= 5, "{refused:#?}");
}

#[test]
fn more_captured_requests_of_control_are_no_mismatch() {
    let health = health_of(&captured(1, 4_000, NO_LOSS));
    let [check] = health.assignments.as_slice() else { panic!("{:?}", health.assignments) };
    let share = check.candidate as f64 / (check.candidate + check.control) as f64;
    assert!((share - 0.2).abs() < 0.03, "{check:?}");
    assert!(!check.mismatch && health.problems.is_empty(), "{:?}", health.problems);
    // Every leg that was captured, not thinned to the same chance, would have looked like one.
    let plain = captured(1, 4_000, NO_LOSS);
    let of = |variant| {
        let seen = plain.iter().filter(|leg| leg.facts.leg == Leg::Primary && leg.facts.variant == variant);
        seen.filter_map(|leg| leg.identity).collect::<std::collections::BTreeSet<u64>>().len() as f64
    };
    let naive = of(Variant::Candidate) / (of(Variant::Candidate) + of(Variant::Control));
    assert!(naive < 0.17, "{naive}");
}

#[test]
fn a_planted_sample_ratio_mismatch_is_found_and_named() {
    // A third of what the candidate served is lost before it is numbered, as by a crash of its proxies.
    let mut legs = captured(2, 4_000, NO_LOSS);
    legs.retain(|leg| {
        leg.facts.variant == Variant::Control
            || leg.facts.leg == Leg::Shadow
            || leg.identity.unwrap() % 3 != 1
    });
    for (number, leg) in legs.iter_mut().enumerate() {
        leg.sequence = Some(number as i64);
    }
    let health = health_of(&legs);
    assert!(health.assignments[0].mismatch);
    insta::assert_debug_snapshot!(health.problems);
    let figures = figures(&legs);
    let exchanges = Exchanges::new(figures.legs(), figures.rows());
    let other = [ExpectedShare { revision: 5, ..expected()[0].clone() }];
    assert!(
        capture_health(&exchanges, &Identities::of(&exchanges), &other, std::iter::empty())
            .assignments
            .is_empty(),
        "another revision's share"
    );
}

#[test]
fn a_planted_loss_of_slow_answers_is_found_and_named() {
    let slow_copies: Loss =
        |leg, latency_ms| if leg.facts.leg == Leg::Shadow && latency_ms > 250.0 { 0.8 } else { 0.0 };
    let health = health_of(&captured(3, 4_000, slow_copies));
    let named: Vec<&String> = health.problems.iter().filter(|text| text.contains("latency")).collect();
    insta::assert_debug_snapshot!(named);
}

#[test]
fn identities_that_get_both_variants_are_a_problem() {
    let mut legs = captured(4, 2_000, NO_LOSS);
    for (number, leg) in legs.iter_mut().filter(|leg| leg.facts.leg == Leg::Primary).enumerate() {
        if number % 10 == 0 {
            leg.facts.variant = Variant::Candidate;
            leg.facts.snapshot = Some(Arc::from("candidate"));
            leg.inclusion_probability = SAMPLING;
        }
    }
    let health = health_of(&legs);
    assert!(health.served_by_both > 100);
    assert!(health.problems.iter().any(|text| text.contains("both variants")), "{:?}", health.problems);
}

#[test]
fn samples_that_carry_share_and_copies_need_no_policy_and_no_chances() {
    let mut legs = captured(7, 4_000, NO_LOSS);
    let copied: std::collections::BTreeSet<String> =
        legs.iter().filter(|leg| leg.facts.leg == Leg::Shadow).map(|leg| leg.sample_id.clone()).collect();
    // Half of the copies are capped: those exchanges are captured with the chance of sampling only, or not at all.
    legs.retain(|leg| {
        leg.facts.leg == Leg::Primary || !leg.sample_id.ends_with(['1', '3', '5', '7', '9', 'b', 'd', 'f'])
    });
    // Numbers are another test's matter.
    legs.iter_mut().for_each(|leg| leg.sequence = None);
    for leg in legs.iter_mut().filter(|leg| leg.facts.leg == Leg::Primary) {
        let capped = leg.sample_id.ends_with(['1', '3', '5', '7', '9', 'b', 'd', 'f']);
        leg.facts.candidate_ppm = Some(SHARE_PPM);
        leg.facts.shadowed = Some(copied.contains(&leg.sample_id) && !capped);
    }
    let health = |legs: &[Captured]| {
        let figures = figures(legs);
        let exchanges = Exchanges::new(figures.legs(), figures.rows());
        capture_health(&exchanges, &Identities::of(&exchanges), &[], std::iter::empty())
    };
    let healthy = health(&legs);
    assert_eq!((healthy.problems, healthy.half_pairs), (Vec::<String>::new(), 0));
    assert_eq!(healthy.assignments.len(), 1);
    legs.retain(|leg| leg.facts.leg == Leg::Primary || !leg.sample_id.ends_with('2'));
    let lost = health(&legs);
    assert!(lost.half_pairs > 100);
    assert!(lost.problems[0].contains("the candidate's answer is missing"), "{:?}", lost.problems);
}

#[test]
fn two_policies_under_one_revision_are_a_problem() {
    let mut legs = captured(5, 200, NO_LOSS);
    for leg in legs.iter_mut().step_by(3) {
        leg.facts.policy_digest = Some(Arc::from("d2"));
    }
    let problems = health_of(&legs).problems;
    insta::assert_debug_snapshot!(problems);
    let mut grown = captured(5, 200, NO_LOSS);
    for leg in grown.iter_mut().filter(|leg| leg.ts_us > START_US + 1_800_000_000) {
        leg.facts.revision = Some(5);
        leg.facts.policy_digest = Some(Arc::from("d2"));
    }
    assert_eq!(health_of(&grown).problems, Vec::<String>::new(), "two revisions of the same snapshots");
}

#[test]
fn clocks_that_disagree_or_go_back_are_problems() {
    let mut skewed = captured(6, 1_000, NO_LOSS);
    for leg in skewed.iter_mut().filter(|leg| leg.facts.leg == Leg::Shadow) {
        leg.ts_us -= 90_000_000;
        leg.latency_ms = leg.latency_ms.map(|latency_ms| latency_ms + 90_000.0);
    }
    insta::assert_debug_snapshot!(health_of(&skewed).problems);
    let mut stepped = captured(6, 1_000, NO_LOSS);
    for leg in stepped.iter_mut().filter(|leg| leg.ts_us > START_US + 1_800_000_000) {
        leg.ts_us -= 600_000_000;
    }
    insta::assert_debug_snapshot!(health_of(&stepped).problems);
}
