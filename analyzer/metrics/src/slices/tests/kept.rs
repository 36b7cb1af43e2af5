//! Slices that were kept change nothing, whatever became of them and of the samples since.

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use weir_gate::MetricSeries;
use weir_sample::{Leg, Sample, Variant};

use super::same::same;
use super::world::*;
use crate::cache::Cache;
use crate::{LoadOptions, Loaded};

/// All that was loaded.
fn everything(loaded: &Loaded) -> (Vec<MetricSeries>, String) {
    let judged = serde_json::to_string(&judged(loaded)).unwrap();
    let facts = (&loaded.variants, &loaded.revisions, &loaded.policy_digests, &loaded.absent);
    let counts = (loaded.samples, loaded.duplicates, loaded.first_ts_us, loaded.last_ts_us);
    let shown = (&loaded.looks, &loaded.distributions, &loaded.seen, exemplars(loaded));
    (loaded.series.clone(), format!("{:#?}", (&loaded.health, facts, counts, shown, judged)))
}

#[track_caller]
fn equal(one: &Loaded, other: &Loaded) {
    let ((one, text), (other, of_other)) = (everything(one), everything(other));
    for (line, other) in text.lines().zip(of_other.lines()) {
        assert_eq!(line, other);
    }
    assert!(text == of_other && one == other);
}

/// A world whose slices are kept, what they say, and a cache that has seen them.
fn looked_at(seed: u64) -> (World, Loaded, Cache) {
    let world = World::of(traffic(seed, 3_000));
    let mut cache = Cache::default();
    let loaded = world.sliced(&world.options(), &mut cache);
    (world, loaded, cache)
}

/// The kept slices, and when they were written.
fn written(world: &World) -> Vec<(PathBuf, SystemTime)> {
    let when = |path: PathBuf| {
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        (path, time)
    };
    world.kept().into_iter().map(when).collect()
}

/// Which of the slices that were there before are written anew.
fn anew(before: &[(PathBuf, SystemTime)], world: &World) -> Vec<bool> {
    let now = written(world);
    before.iter().map(|known| !now.contains(known)).collect()
}

/// A cache that goes on, a new one, and slices without any that were kept say the same.
fn all_equal(world: &World, options: &LoadOptions, cache: &mut Cache) {
    let fresh = world.fresh(options);
    equal(&world.sliced(options, cache), &fresh);
    equal(&world.sliced(options, &mut Cache::default()), &fresh);
    same(&fresh, &world.whole(options));
}

#[test]
fn kept_slices_say_the_same_and_need_no_figures() {
    let (world, first, mut cache) = looked_at(11);
    let paths = world.samples();
    let in_memory = |cache: &Cache| paths.iter().filter(|path| cache.figures(path).is_some()).count();
    assert!((1..paths.len()).contains(&in_memory(&cache)), "those of the last two windows");
    let before = written(&world);
    let mut again = Cache::default();
    equal(&world.sliced(&world.options(), &mut again), &first);
    assert_eq!(in_memory(&again), 0);
    equal(&world.sliced(&world.options(), &mut cache), &first);
    assert_eq!(anew(&before, &world), [false; 7]);
    equal(&world.fresh(&world.options()), &first);
}

#[test]
fn slices_that_are_damaged_or_gone_are_made_anew() {
    let (world, first, _) = looked_at(12);
    let kept = world.kept();
    for (at, path) in kept.iter().enumerate() {
        let good = fs::read(path).unwrap();
        let mut flipped = good.clone();
        flipped[good.len() * (at + 1) / 9] ^= 0x20;
        let other = fs::read(&kept[(at + 1) % kept.len()]).unwrap();
        for bad in [Some(flipped), Some(good[..good.len() / 2].to_vec()), Some(other), None] {
            match bad {
                Some(bad) => fs::write(path, bad).unwrap(),
                None => fs::remove_file(path).unwrap(),
            }
            equal(&world.sliced(&world.options(), &mut Cache::default()), &first);
            assert!(fs::read(path).unwrap() == good, "it is written anew");
        }
    }
}

/// Some legs of a time, from a worker of their own.
fn late(name: &str, from_us: i64, chance: f64) -> Vec<Sample> {
    let mut random = Random(7);
    let mut legs = Vec::new();
    for at in 0..40 {
        let ts_us = from_us + (random.next() % 240) as i64 * SECOND_US;
        let mut primary = leg(&format!("{name}-{at}"), ts_us, random.next() % 90);
        primary.worker = Some(name.into());
        primary.inclusion_probability = chance;
        primary.copies = Some("shadow".into());
        primary.latency_ms = Some(100.0 + (random.next() % 300) as f64);
        let mut shadow = copy(&primary, Leg::Shadow, Variant::Candidate);
        shadow.inclusion_probability = chance / 2.0;
        shadow.response_text = Some("word ".repeat(at));
        legs.extend([primary, shadow]);
    }
    number(&mut legs);
    legs
}

#[test]
fn a_file_that_arrives_is_in_the_slices_that_it_reaches_into() {
    let (world, first, mut cache) = looked_at(13);
    let options = world.options();
    let before = written(&world);
    world.arrive("part-new", late("new", END_US - 5 * MINUTE_US, 0.8));
    all_equal(&world, &options, &mut cache);
    assert_eq!(anew(&before, &world), [false, false, false, false, false, false, true]);
    assert_eq!(world.fresh(&options).samples, first.samples + 80);
    let before = written(&world);
    world.arrive("part-late", late("late", START_US + 4 * MINUTE_US, 0.8));
    all_equal(&world, &options, &mut cache);
    let anew = anew(&before, &world);
    assert!(anew[0] && !anew[1..].contains(&true), "{anew:?}");
    assert_eq!(world.fresh(&options).samples, first.samples + 160);
}

#[test]
fn a_less_likely_leg_than_any_before_makes_all_slices_of_its_groups_anew() {
    let (world, first, mut cache) = looked_at(14);
    let options = world.options();
    let before = written(&world);
    world.arrive("part-rare", late("rare", END_US - 5 * MINUTE_US, 0.11));
    all_equal(&world, &options, &mut cache);
    assert_eq!(anew(&before, &world), [true; 7]);
    assert!(world.fresh(&options).health.thinned > first.health.thinned);
}

#[test]
fn a_file_that_is_gone_is_in_no_slice() {
    let (world, first, mut cache) = looked_at(15);
    let options = world.options();
    let files = world.samples();
    let before = written(&world);
    fs::remove_file(&files[files.len() / 2]).unwrap();
    all_equal(&world, &options, &mut cache);
    let anew = anew(&before, &world);
    assert!(anew.contains(&true) && anew.contains(&false), "{anew:?}");
    assert!(world.fresh(&options).samples < first.samples);
}

#[test]
fn slices_of_other_windows_and_of_earlier_revisions_are_deleted() {
    let mut legs = traffic(16, 3_000);
    for leg in legs.iter_mut().filter(|leg| leg.ts_us < START_US + HOUR_US) {
        leg.revision = Some(3);
    }
    let (world, mut cache) = (World::of(legs), Cache::default());
    world.sliced(&world.options(), &mut cache);
    let of = |revision| LoadOptions { revision: Some(revision), ..world.options() };
    world.sliced(&of(3), &mut cache);
    world.sliced(&of(4), &mut cache);
    let folders = || {
        let folders = world.kept().into_iter().map(|path| path.parent().unwrap().to_path_buf());
        let names = folders.map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.collect();
        names.dedup();
        names
    };
    assert_eq!(folders(), ["4", "all"]);
    // So much more time that windows are wider.
    world.arrive("part-after", late("after", END_US + 2 * HOUR_US, 0.8));
    let before = world.kept();
    all_equal(&world, &world.options(), &mut cache);
    let now = world.kept();
    let of_all = |path: &&PathBuf| path.parent().unwrap().ends_with("all");
    assert!(before.iter().filter(of_all).all(|path| !now.contains(path)), "{now:?}");
    assert_eq!(now.iter().filter(of_all).count(), 5, "{now:?}");
}
