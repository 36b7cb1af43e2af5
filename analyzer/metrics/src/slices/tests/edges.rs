//! Borders of windows, revisions, labels, and what cannot be sliced.

use weir_sample::{Leg, Sample, Variant};

use super::same::same;
use super::world::*;
use crate::cache::Cache;
use crate::people::PersonScore;
use crate::{LoadOptions, Loaded, metric, slices};

/// The borders between windows.
fn borders() -> impl Iterator<Item = i64> {
    (START_US / WIDTH_US + 1..=END_US / WIDTH_US).map(|place| place * WIDTH_US)
}

/// A pair on a person of its own, whose legs begin so long after a time.
fn pair(id: &str, at_us: i64, primary_us: i64, shadow_us: i64) -> [Sample; 2] {
    let mut primary = leg(id, at_us + primary_us, 50_001);
    primary.worker = Some("border".into());
    let mut shadow = copy(&primary, Leg::Shadow, Variant::Candidate);
    shadow.ts_us = at_us + shadow_us;
    [primary, shadow]
}

fn with(mut legs: Vec<Sample>, mut more: Vec<Sample>) -> World {
    number(&mut more);
    legs.append(&mut more);
    World::of(legs)
}

fn sliced(world: &World) -> Loaded {
    world.sliced(&world.options(), &mut Cache::default())
}

#[test]
fn an_exchange_across_a_border_is_a_pair_and_counts_once() {
    let legs = traffic(21, 3_000);
    let plain = sliced(&World::of(legs.clone()));
    let half_us = SECOND_US / 2;
    let mut planted = Vec::new();
    for (at, border_us) in borders().enumerate() {
        let offs = [
            (-half_us, half_us),
            (half_us, -half_us),
            (-1, 0),
            (0, -1),
            (-MINUTE_US, MINUTE_US),
            (MINUTE_US - 1, -MINUTE_US),
            (0, -2 * MINUTE_US),
            (-1, 2 * MINUTE_US - 1),
        ];
        for (number, (primary_us, shadow_us)) in offs.into_iter().enumerate() {
            planted.extend(pair(&format!("b-{at}-{number}"), border_us, primary_us, shadow_us));
        }
    }
    let pairs = planted.len() as u64 / 2;
    assert_eq!(pairs, 48);
    let world = with(legs, planted);
    let found = sliced(&world);
    assert_eq!(found.samples, plain.samples + 2 * pairs);
    assert_eq!(found.health.pairs, plain.health.pairs + pairs);
    assert_eq!((found.health.half_pairs, found.duplicates), (0, 0));
    same(&found, &world.whole(&world.options()));
}

#[test]
fn a_copy_that_begins_minutes_off_is_half_a_pair_wherever_it_is() {
    let legs = traffic(22, 3_000);
    let plain = sliced(&World::of(legs.clone()));
    let mut planted = Vec::new();
    for (at, border_us) in borders().enumerate() {
        // Seen together by one window and not by the next, by neither, and within one.
        for (number, primary_us) in [-30, -60, -90, -120, -150, 60, -600].into_iter().enumerate() {
            let primary_us = primary_us * SECOND_US;
            for (way, off_us) in [3 * MINUTE_US, -3 * MINUTE_US].into_iter().enumerate() {
                let id = format!("o-{at}-{number}-{way}");
                planted.extend(pair(&id, border_us, primary_us, primary_us + off_us));
            }
        }
    }
    let halves = planted.len() as u64 / 2;
    let found = sliced(&with(legs, planted));
    assert_eq!(found.samples, plain.samples + 2 * halves, "each leg counts once");
    assert_eq!(found.health.pairs, plain.health.pairs);
    assert_eq!(found.health.half_pairs, plain.health.half_pairs + halves);
}

#[test]
fn copies_that_were_imported_at_another_time_are_looked_at_whole() {
    let mut legs = traffic(23, 1_500);
    for leg in &mut legs {
        (leg.proxy, leg.worker, leg.sequence) = (None, None, None);
    }
    let world = World::of(legs.clone());
    assert!(world.try_sliced(&world.options(), &mut Cache::default()).is_some(), "their times are the same");
    let [primary, mut shadow] = pair("imported", START_US + HOUR_US, 0, HOUR_US);
    let pair = |shadow: Sample| [primary.clone(), shadow].to_vec();
    let captured = with(legs.clone(), pair(shadow.clone()));
    assert!(captured.try_sliced(&captured.options(), &mut Cache::default()).is_some(), "no filter does that");
    (shadow.proxy, shadow.worker) = (None, None);
    let imported = World::of([legs, pair(shadow)].concat());
    assert!(imported.try_sliced(&imported.options(), &mut Cache::default()).is_none());
}

#[test]
fn windows_people_and_metrics_of_sessions_cannot_be_sliced() {
    let metrics = metric::registry(&[], None).unwrap();
    let good = LoadOptions { settle: true, ..LoadOptions::default() };
    assert!(slices::possible(&good, &metrics));
    let person = PersonScore {
        sample_id: "s".into(),
        leg: Leg::Primary,
        criterion: "helpful".into(),
        score: 1.0,
        weight: 1.0,
    };
    for bad in [
        LoadOptions { settle: false, ..good.clone() },
        LoadOptions { one_sided: true, ..good.clone() },
        LoadOptions { people: vec![person], ..good.clone() },
        LoadOptions { since_us: Some(START_US), ..good.clone() },
        LoadOptions { until_us: Some(END_US), ..good.clone() },
    ] {
        assert!(!slices::possible(&bad, &metrics), "{bad:?}");
    }
    for name in ["retry", "reprompt", "abandonment", "conversation_length"] {
        let metrics = metric::registry(&[name.to_owned()], None).unwrap();
        assert!(!slices::possible(&good, &metrics), "{name}");
    }
    let of_exchanges = ["citation_valid".to_owned(), "language_match".to_owned()];
    assert!(slices::possible(&good, &metric::registry(&of_exchanges, None).unwrap()));
}

/// Traffic of three revisions, the times of which overlap a little; copies do not all name theirs.
fn of_revisions(seed: u64) -> Vec<Sample> {
    let mut legs = traffic(seed, 4_000);
    for (place, leg) in legs.iter_mut().enumerate() {
        let off_us = (leg.sample_id.len() as i64 % 5) * MINUTE_US;
        let revision = 3 + (leg.ts_us + off_us - START_US) * 3 / (END_US - START_US + HOUR_US / 10);
        leg.revision = Some(revision).filter(|_| leg.leg == Leg::Primary || place % 3 > 0);
    }
    legs
}

/// Names of the strata of a metric that every leg has.
fn strata(loaded: &Loaded) -> Vec<String> {
    let latency = loaded.series.iter().find(|series| series.name == "latency_ms").unwrap();
    let mut names = latency.settled.as_ref().unwrap().strata().to_vec();
    names.sort();
    names
}

#[test]
fn a_revision_says_what_the_whole_says_of_it() {
    let world = World::of(of_revisions(24));
    let all = sliced(&world);
    assert_eq!(all.revisions, [3, 4, 5]);
    same(&all, &world.whole(&world.options()));
    let of_revision =
        |revision: i64| ["beta", "general"].map(|cohort| format!("{cohort}, revision {revision}"));
    let mut names = [3, 4, 5].map(of_revision).concat();
    names.sort();
    assert_eq!(strata(&all), names);
    for revision in [3, 4, 5] {
        let options = LoadOptions { revision: Some(revision), ..world.options() };
        let loaded = world.sliced(&options, &mut Cache::default());
        assert_eq!(loaded.revisions, [revision]);
        assert_eq!(strata(&loaded), ["beta", "general"]);
        assert!(loaded.samples > 300 && loaded.samples < all.samples);
        same(&loaded, &world.whole(&options));
    }
}

#[test]
fn what_only_some_slices_have_says_what_the_whole_says() {
    let early = |leg: &Sample| leg.ts_us < START_US + HOUR_US;
    let mut legs = traffic(27, 4_000);
    // The candidate serves nobody at first, and one cohort never.
    legs.retain(|leg| leg.leg != Leg::Primary || leg.variant == Variant::Control || !early(leg));
    legs.retain(|leg| leg.variant == Variant::Control || leg.cohort.as_deref() != Some("beta"));
    for leg in legs.iter_mut().filter(|leg| early(leg)) {
        leg.completion_tokens = None;
    }
    let world = World::of(legs);
    let found = sliced(&world);
    assert_eq!(strata(&found), ["general"]);
    let tokens = found.series.iter().find(|series| series.name == "completion_tokens").unwrap();
    assert!(tokens.missing > 500, "{}", tokens.missing);
    same(&found, &world.whole(&world.options()));
}

#[test]
fn slices_without_labels_stand_beside_labelled_ones() {
    let mut legs = traffic(25, 4_000);
    for leg in legs.iter_mut().filter(|leg| leg.ts_us < START_US + HOUR_US) {
        (leg.tier, leg.cohort, leg.path) = (None, None, None);
        leg.tags.clear();
    }
    let world = World::of(legs.clone());
    let found = sliced(&world);
    assert!(found.series[0].labels.sets.contains(&Vec::new()) && found.series[0].labels.sets.len() > 8);
    same(&found, &world.whole(&world.options()));
    assert!(strata(&found).contains(&"none".to_owned()));
    for leg in &mut legs {
        (leg.tier, leg.cohort, leg.path) = (None, None, None);
        leg.tags.clear();
    }
    let world = World::of(legs);
    let found = sliced(&world);
    assert!(found.series[0].labels.sets.is_empty());
    same(&found, &world.whole(&world.options()));
}

#[test]
fn a_dimension_with_too_many_values_over_all_slices_is_left_out() {
    let mut legs = traffic(26, 4_000);
    for leg in &mut legs {
        let person: i64 = leg.identity_hash.as_ref().unwrap()["person ".len()..].parse().unwrap();
        let window = (leg.ts_us - START_US) / WIDTH_US;
        // Six in each window, and more than 24 in one.
        leg.tags.insert("batch".into(), format!("{window}-{}", person % 6));
        leg.tags.insert("burst".into(), if window == 3 { format!("{}", person % 40) } else { "none".into() });
        leg.tags.insert("few".into(), format!("{}", window + person % 6));
    }
    let world = World::of(legs);
    let found = sliced(&world);
    let why = |dimension: &str| (format!("segments by {dimension}"), "has more than 24 values".to_owned());
    let left_out: Vec<_> =
        found.absent.iter().filter(|(what, _)| what.starts_with("segments")).cloned().collect();
    assert_eq!(left_out, [why("tag:batch"), why("tag:burst")]);
    let dimensions = || found.series[0].labels.sets.iter().flatten().map(|(dimension, _)| dimension.as_str());
    assert!(dimensions().any(|dimension| dimension == "tag:few"));
    assert!(!dimensions().any(|dimension| dimension == "tag:burst" || dimension == "tag:batch"));
    same(&found, &world.whole(&world.options()));
}
