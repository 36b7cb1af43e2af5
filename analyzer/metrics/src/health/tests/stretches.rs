//! Stretches of time put together: they say what one look at everything says, and come back from their bytes.

use std::collections::BTreeMap;

use super::*;
use crate::packed::{Reader, Writer};

/// Makes a fault of some kind in a capture.
type Fault = fn(&mut Vec<Captured>);

/// Faults, each with words of every problem that it makes.
const FAULTS: [(&[&str], Fault); 8] = [
    (&[], |_| ()),
    (&["expected pairs", "never arrived"], |legs| legs.retain(|leg| leg.sequence.unwrap() % 7 > 1)),
    (&["expected pairs", "loss goes with latency", "never arrived"], |legs| {
        legs.retain(|leg| {
            leg.facts.leg == Leg::Primary || leg.latency_ms < Some(250.0) || leg.identity.unwrap() % 5 == 0
        });
    }),
    (&["sample-ratio mismatch"], |legs| {
        legs.retain(|leg| {
            leg.facts.variant == Variant::Control
                || leg.facts.leg == Leg::Shadow
                || leg.identity.unwrap() % 3 != 1
        });
    }),
    (&["clocks disagree"], |legs| {
        for leg in legs.iter_mut().filter(|leg| leg.facts.leg == Leg::Shadow) {
            leg.ts_us -= 90_000_000;
            leg.latency_ms = leg.latency_ms.map(|latency_ms| latency_ms + 90_000.0);
        }
    }),
    (&["sample-ratio mismatch", "both variants within"], |legs| {
        for leg in legs.iter_mut().filter(|leg| leg.facts.leg == Leg::Primary).step_by(10) {
            leg.facts.variant = Variant::Candidate;
            leg.facts.snapshot = Some(Arc::from("candidate"));
            leg.inclusion_probability = SAMPLING;
        }
    }),
    (&["the capture cut"], |legs| {
        for leg in legs.iter_mut().filter(|leg| leg.facts.variant == Variant::Candidate) {
            leg.facts.truncated = leg.identity.unwrap() % 3 == 0;
        }
    }),
    (
        &["snapshots in this data", "different policies", "from different revisions", "never arrived"],
        |legs| {
            for (place, leg) in legs.iter_mut().enumerate() {
                let late = leg.ts_us > START_US + 1_800_000_000;
                leg.facts.revision = Some(if late || leg.facts.leg == Leg::Shadow { 5 } else { 4 });
                leg.facts.policy_digest = Some(Arc::from(if place % 3 == 0 { "d1" } else { "d2" }));
                leg.facts.snapshot = Some(Arc::from(if late { "new" } else { "old" }));
                leg.facts.cohort =
                    Some(Arc::from(if leg.identity.unwrap() % 3 > 0 { "general" } else { "beta" }));
                leg.facts.emitter =
                    Some(Arc::from(if leg.sequence.unwrap() % 2 == 0 { "envoy-1" } else { "envoy-2" }));
                leg.facts.candidate_ppm = (leg.facts.leg == Leg::Primary && late).then_some(SHARE_PPM);
                leg.facts.probe = place % 50 == 0;
            }
        },
    ),
];

/// The legs of the stretches between some times; those of one exchange stay together.
fn cut(legs: &[Captured], cuts_us: &[i64]) -> Vec<Vec<Captured>> {
    let mut begins: BTreeMap<&str, i64> = BTreeMap::new();
    for leg in legs {
        let begin = begins.entry(&leg.sample_id).or_insert(leg.ts_us);
        *begin = if leg.facts.leg == Leg::Primary { leg.ts_us } else { *begin };
    }
    let mut stretches = vec![Vec::new(); cuts_us.len() + 1];
    for leg in legs {
        let place = cuts_us.iter().filter(|cut_us| **cut_us <= begins[leg.sample_id.as_str()]).count();
        stretches[place].push(leg.clone());
    }
    stretches
}

fn looked_at(figures: &Figures) -> Exchanges<'_> {
    Exchanges::new(figures.legs().filter(|leg| !leg.probe()), figures.rows())
}

fn settled_before_us(legs: &[Captured]) -> i64 {
    let looked_at = legs.iter().filter(|leg| !leg.facts.probe);
    looked_at.map(|leg| leg.ts_us).max().unwrap_or(i64::MAX) - PAIRING_GRACE_US
}

fn observed(legs: &[Captured], chances: &Chances, settled_before_us: i64, choice: Choice) -> Observed {
    let figures = figures(legs);
    let exchanges = looked_at(&figures);
    let identities = Identities::of(&exchanges);
    Observed::of(&exchanges, &identities, chances, settled_before_us, choice, figures.legs())
}

/// What stretches say together, each of which was kept as bytes; `choices` of the identities, one after the other.
fn together(legs: &[Captured], cuts_us: &[i64], choices: &[u32]) -> Observed {
    let stretches = cut(legs, cuts_us);
    let mut chances = Chances::default();
    stretches.iter().for_each(|legs| chances.append(Chances::of(&looked_at(&figures(legs)))));
    let mut all: Option<Observed> = None;
    for (place, legs_of_stretch) in stretches.iter().enumerate() {
        let choice = Choice(choices[place % choices.len()]);
        let stretch = observed(legs_of_stretch, &chances, settled_before_us(legs), choice);
        let stretch = read(&bytes(&stretch)).unwrap();
        match &mut all {
            Some(all) => all.append(stretch),
            None => all = Some(stretch),
        }
    }
    all.unwrap()
}

fn bytes(observed: &Observed) -> Vec<u8> {
    let mut to = Writer::default();
    observed.write(&mut to);
    to.into_bytes()
}

fn read(bytes: &[u8]) -> Option<Observed> {
    let mut from = Reader::new(bytes);
    Observed::read(&mut from).filter(|_| from.is_empty())
}

#[test]
fn stretches_put_together_say_what_one_look_at_everything_says() {
    for (seed, (told, make)) in FAULTS.iter().enumerate() {
        let mut legs = captured(seed as u64 + 20, 3_000, |_, _| 0.01);
        make(&mut legs);
        let whole = {
            let figures = figures(&legs);
            let exchanges = looked_at(&figures);
            capture_health(&exchanges, &Identities::of(&exchanges), &expected(), figures.legs())
        };
        let is_told = |problem: &String| told.iter().any(|words| problem.contains(words));
        assert!(whole.problems.iter().all(is_told), "{told:?}: {:#?}", whole.problems);
        let is_there = |words: &&str| whole.problems.iter().any(|problem| problem.contains(words));
        assert!(told.iter().all(is_there), "{told:?}: {:#?}", whole.problems);
        let mut random = Random(seed as u64);
        for stretches in 1..=6 {
            // Some cuts are before the first exchange or after the last one: empty stretches.
            let mut cuts_us: Vec<i64> =
                (1..stretches).map(|_| START_US + (random.unit() * 4.5e9) as i64 - 200_000_000).collect();
            cuts_us.sort_unstable();
            let parts = together(&legs, &cuts_us, &[0]).health(&expected());
            assert_eq!(parts, whole, "{told:?} in {stretches} stretches");
        }
    }
}

#[test]
fn chances_of_stretches_are_those_of_the_whole_and_come_back_from_their_bytes() {
    let mut legs = captured(30, 1_000, NO_LOSS);
    for (place, leg) in legs.iter_mut().enumerate() {
        leg.inclusion_probability = 1.0 - (place % 97) as f64 / 100.0;
        leg.facts.cohort = (place % 3 > 0).then(|| Arc::from(if place % 3 > 1 { "general" } else { "beta" }));
    }
    let whole = Chances::of(&looked_at(&figures(&legs)));
    for cuts in 1..6 {
        let cuts_us: Vec<i64> = (1..=cuts).map(|cut| START_US + cut * 3_600_000_000 / (cuts + 1)).collect();
        let mut parts = Chances::default();
        cut(&legs, &cuts_us).iter().for_each(|legs| parts.append(Chances::of(&looked_at(&figures(legs)))));
        assert_eq!(parts, whole);
    }
    let mut to = Writer::default();
    whole.write(&mut to);
    let bytes = to.into_bytes();
    assert_eq!(Chances::read(&mut Reader::new(&bytes)), Some(whole));
    for length in 0..bytes.len() {
        assert_eq!(Chances::read(&mut Reader::new(&bytes[..length])), None, "{length}");
    }
}

#[test]
fn a_stretch_comes_back_from_its_bytes_and_from_cut_or_damaged_ones_nothing_does_that_panics() {
    let mut legs = captured(31, 40, |_, _| 0.1);
    FAULTS[7].1(&mut legs);
    legs.iter_mut().filter(|leg| leg.ts_us > START_US + 900_000_000).for_each(|leg| leg.ts_us -= 600_000_000);
    let chances = Chances::of(&looked_at(&figures(&legs)));
    let stretch = observed(&legs, &chances, i64::MAX, Choice(0));
    let whole = bytes(&stretch);
    let again = read(&whole).unwrap();
    assert_eq!(bytes(&again), whole);
    assert_eq!(again.clone().health(&expected()), stretch.health(&expected()));
    for length in 0..whole.len() {
        assert!(read(&whole[..length]).is_none(), "{length} of {}", whole.len());
    }
    let mut refused = 0;
    for place in 0..whole.len() {
        for change in [1, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[place] ^= change;
            // What still fits is told by the checksum of whoever keeps it; here it must do no harm.
            match read(&damaged) {
                Some(mut stretch) => {
                    stretch.append(again.clone());
                    stretch.append(stretch.clone());
                    stretch.health(&expected());
                }
                None => refused += 1,
            }
        }
    }
    assert!(refused > whole.len(), "{refused} of {}", whole.len());
}

#[test]
fn a_planted_mismatch_is_found_among_one_in_four_identities_and_the_text_says_so() {
    let mut legs = captured(32, 12_000, NO_LOSS);
    FAULTS[3].1(&mut legs);
    let chances = Chances::of(&looked_at(&figures(&legs)));
    let health =
        |choice| observed(&legs, &chances, settled_before_us(&legs), Choice(choice)).health(&expected());
    let (all, quarter) = (health(0), health(2));
    assert!(all.assignments[0].mismatch && all.assignments[0].one_in == 1, "{:?}", all.assignments);
    let [check] = quarter.assignments.as_slice() else { panic!("{:?}", quarter.assignments) };
    assert!(check.mismatch && check.one_in == 4, "{check:?}");
    let among = |check: &weir_gate::AssignmentCheck| (check.control + check.candidate) as f64;
    assert!((among(check) / among(&all.assignments[0]) - 0.25).abs() < 0.02, "{check:?}");
    assert!(quarter.problems[0].contains(" %, of one in 4 identities)"), "{:?}", quarter.problems);
    assert!(!all.problems[0].contains("of one in"), "{:?}", all.problems);
    // Nothing else goes by identities.
    assert_eq!((quarter.pairs, quarter.half_pairs), (all.pairs, all.half_pairs));
}

#[test]
fn stretches_of_different_choices_are_one_of_the_smaller_sample() {
    let mut legs = captured(33, 4_000, NO_LOSS);
    FAULTS[5].1(&mut legs);
    FAULTS[7].1(&mut legs);
    let cuts_us = [1, 2, 3].map(|quarter| START_US + quarter * 900_000_000);
    let small = together(&legs, &cuts_us, &[3]);
    for choices in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 3, 0]] {
        let mixed = together(&legs, &cuts_us, &choices);
        assert_eq!(mixed.health(&expected()), small.clone().health(&expected()), "{choices:?}");
    }
    let told = small.health(&expected());
    assert!(told.served_by_both > 20 && told.assignments.len() == 3, "{told:?}");
    assert!(told.problems.iter().any(|text| text.contains("of one in 8 identities) got answers of both")));
}

#[test]
fn a_step_of_a_clock_is_found_within_each_stretch_and_steps_add_up() {
    let mut legs = captured(34, 1_000, NO_LOSS);
    // In the middle of each of two stretches.
    for middle_us in [900_000_000, 2_700_000_000] {
        let after =
            |leg: &&mut Captured| (middle_us..middle_us + 300_000_000).contains(&(leg.ts_us - START_US));
        legs.iter_mut().filter(after).for_each(|leg| leg.ts_us -= 200_000_000);
    }
    let stretch = |legs: &[Captured]| observed(legs, &Chances::default(), i64::MAX, Choice(0)).health(&[]);
    let stepped = |health: CaptureHealth| -> u64 {
        let text = health.problems.iter().find(|text| text.contains("went back")).cloned().unwrap();
        text.split(" s: ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap()
    };
    let halves = cut(&legs, &[START_US + 1_800_000_000]);
    let all = together(&legs, &[START_US + 1_800_000_000], &[0]).health(&expected());
    assert_eq!(stepped(all), halves.iter().map(|legs| stepped(stretch(legs))).sum::<u64>());
}
