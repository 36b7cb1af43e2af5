//! Slices say what a look at everything says, whatever was kept of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod bytes;
mod edges;
mod kept;
mod same;
mod world;

use weir_gate::{Comparison, Outcome};
use weir_report::ExemplarKind;
use weir_sample::{Leg, Sample};

use crate::Loaded;
use crate::cache::Cache;
use same::same;
use world::*;

/// Slices of a world, which say what all of it says.
fn checked(world: &World) -> Loaded {
    let options = world.options();
    let sliced = world.sliced(&options, &mut Cache::default());
    same(&sliced, &world.whole(&options));
    sliced
}

/// Nothing but what users were answered.
fn without_copies(mut legs: Vec<Sample>) -> Vec<Sample> {
    legs.retain(|leg| leg.leg == Leg::Primary);
    for leg in &mut legs {
        leg.copies = None;
    }
    number(&mut legs);
    legs
}

#[test]
fn slices_say_what_the_whole_says() {
    let world = World::of(traffic(1, 6_000));
    let sliced = checked(&world);
    assert!(sliced.samples > 4_000 && sliced.health.half_pairs == 0, "{:?}", sliced.health);
    assert_eq!((world.kept().len(), sliced.looks.len()), (7, 6));
    let outcomes: Vec<Outcome> = judged(&sliced).gates.iter().map(|gate| gate.outcome).collect();
    assert!(outcomes.contains(&Outcome::Breach) && outcomes.contains(&Outcome::Inside), "{outcomes:?}");
    assert_eq!(judged(&sliced).segments.len(), 8, "cohort, tier, route and region");
}

#[test]
fn primary_legs_are_thinned_by_the_least_chance_of_all_slices() {
    let mut legs = without_copies(traffic(2, 6_000));
    // Few, and in the last hour only.
    let late =
        legs.iter_mut().filter(|leg| leg.ts_us > CHANGE_US && leg.cohort.as_deref() == Some("general"));
    let planted = late.step_by(40).map(|leg| leg.inclusion_probability = 0.3).count();
    assert!(planted > 5);
    let world = World::of(legs);
    let sliced = checked(&world);
    let judged = judged(&sliced);
    assert!(judged.gates.iter().all(|gate| gate.comparison == Comparison::Unpaired));
    assert!(sliced.health.thinned > sliced.samples / 3, "{:?}", sliced.health);
}

#[test]
fn the_worst_pairs_are_those_of_the_whole() {
    let world = World::of(traffic(3, 6_000));
    let options = world.options();
    let ids = |loaded: &Loaded| {
        let shown = exemplars(loaded).into_iter().filter(|one| one.kind == ExemplarKind::Worst);
        shown.map(|one| (one.gate, one.sample_id, one.request_text, one.candidate_text)).collect::<Vec<_>>()
    };
    let sliced = world.sliced(&options, &mut Cache::default());
    let found = ids(&sliced);
    assert!(found.iter().filter(|(gate, ..)| gate == "share").count() == 3, "{found:#?}");
    assert_eq!(found, ids(&world.whole(&options)));
    // Also those that were kept.
    assert_eq!(found, ids(&world.sliced(&options, &mut Cache::default())));
}
