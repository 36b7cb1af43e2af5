//! Lazy refreshes: what is read and when, and that it makes no difference to the figures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use std::fs;

use weir_sample::write_file;

use super::*;
use crate::packed::Writer;
use world::{HOUR_US, START_US, TOLD, World, leg};

fn in_memory(cache: &Cache) -> Vec<bool> {
    cache.parts().map(|(path, ..)| cache.figures(path).is_some()).collect()
}

fn spans(cache: &Cache) -> Vec<(PathBuf, Span)> {
    cache.parts().map(|(path, _, span)| (path.to_path_buf(), span)).collect()
}

/// The figures in memory as they are written.
fn bytes_of(cache: &Cache) -> Vec<(PathBuf, Vec<u8>)> {
    let written = |path: &Path| {
        let mut to = Writer::default();
        cache.figures(path)?.write(&mut to);
        Some((path.to_path_buf(), to.into_bytes()))
    };
    cache.parts().filter_map(|(path, ..)| written(path)).collect()
}

/// What a spoiled file may hold: it is cut short, changed in a byte, empty, or has the bytes of another.
fn spoiled(bytes: &[u8], other: &[u8]) -> Vec<Vec<u8>> {
    let mut changed = bytes.to_vec();
    changed[bytes.len() / 2] ^= 0x11;
    vec![bytes[..bytes.len() - 1].to_vec(), changed, Vec::new(), other.to_vec()]
}

#[test]
fn a_lazy_refresh_reads_nothing_that_is_kept_and_loading_gives_what_the_samples_say() {
    let world = World::new(3);
    world.cache(true);
    TOLD.set(0);
    let mut cache = world.cache(true);
    assert_eq!((in_memory(&cache), TOLD.get()), (vec![false; 3], 0));
    assert_eq!(cache.legs().count(), 0);
    let direct = world.direct();
    assert_eq!((spans(&cache), cache.rows()), (spans(&direct), 9));
    assert_eq!([None, Some(0), Some(2), Some(4)].map(|revision| cache.rows_of(revision)), [9, 2, 7, 0]);
    let span = |hour| {
        let first_us = START_US + hour * HOUR_US;
        Span {
            rows: hour as usize + 2,
            first_us,
            last_us: first_us + (hour + 1) * 10_000_000,
            first_revision: hour,
            last_revision: hour + 1,
        }
    };
    assert_eq!(spans(&cache).into_iter().map(|(_, span)| span).collect::<Vec<_>>(), [0, 1, 2].map(span));
    assert_eq!(world.load(&mut cache, &world.samples()[1..2]), []);
    assert_eq!(in_memory(&cache), [false, true, false]);
    assert_eq!(TOLD.get(), fs::metadata(&world.samples()[1]).unwrap().len());
    assert_eq!(world.load(&mut cache, &world.samples()), []);
    assert_eq!(bytes_of(&cache), bytes_of(&direct));
    assert_eq!(cache.legs().count(), 9);
}

#[test]
fn a_later_refresh_that_is_not_lazy_has_the_figures_of_all_files() {
    let world = World::new(3);
    world.cache(false);
    let mut cache = world.cache(true);
    world.refresh(&mut cache, true);
    assert_eq!(in_memory(&cache), [false; 3]);
    world.refresh(&mut cache, false);
    assert_eq!(bytes_of(&cache), bytes_of(&world.direct()));
    world.refresh(&mut cache, true);
    assert_eq!(in_memory(&cache), [true; 3], "what was read stays");
}

#[test]
fn kept_figures_that_are_damaged_or_gone_are_read_from_the_samples_when_they_are_loaded() {
    let world = World::new(2);
    world.cache(false);
    let direct = bytes_of(&world.direct());
    let place = world.kept_file("part-0");
    let (good, other) = (fs::read(&place).unwrap(), fs::read(world.kept_file("part-1")).unwrap());
    for bad in spoiled(&good, &other) {
        fs::write(&place, bad).unwrap();
        let mut cache = world.cache(true);
        assert_eq!(in_memory(&cache), [false; 2]);
        assert_eq!(world.load(&mut cache, &world.samples()), []);
        assert!(bytes_of(&cache) == direct);
        assert_eq!(fs::read(&place).unwrap(), good, "it is written anew");
    }
    // Gone before the refresh, and after it.
    fs::remove_file(&place).unwrap();
    assert_eq!(in_memory(&world.cache(true)), [true, false]);
    let mut cache = world.cache(true);
    fs::remove_file(&place).unwrap();
    assert_eq!(world.load(&mut cache, &world.samples()), []);
    assert!(bytes_of(&cache) == direct);
}

#[test]
fn damaged_spans_are_as_if_there_were_none_and_are_written_anew() {
    let world = World::new(2);
    world.cache(false);
    let place = world.kept_file("parts.spans");
    let (good, other) = (fs::read(&place).unwrap(), fs::read(world.kept_file("part-1")).unwrap());
    let direct = bytes_of(&world.direct());
    for bad in spoiled(&good, &other) {
        fs::write(&place, bad).unwrap();
        let cache = world.cache(true);
        assert!(bytes_of(&cache) == direct, "everything is read");
        assert_eq!(fs::read(&place).unwrap(), good);
        assert_eq!(in_memory(&world.cache(true)), [false; 2]);
    }
}

#[test]
fn a_new_file_is_read_at_once_and_one_that_is_gone_leaves_the_spans() {
    let world = World::new(2);
    world.cache(true);
    let mut cache = world.cache(true);
    world.arrive(2);
    TOLD.set(0);
    world.refresh(&mut cache, true);
    assert_eq!(in_memory(&cache), [false, false, true]);
    assert_eq!(TOLD.get(), fs::metadata(&world.samples()[2]).unwrap().len());
    let kept = |cache: &Cache| -> Spans {
        cache.parts().map(|(_, identity, span)| (identity.unwrap(), span)).collect()
    };
    assert_eq!(world.kept().spans(), kept(&cache));
    fs::remove_file(&world.samples()[0]).unwrap();
    world.refresh(&mut cache, true);
    assert_eq!((spans(&cache).len(), cache.rows()), (2, 7));
    assert_eq!(world.kept().spans(), kept(&cache));
    assert_eq!(in_memory(&world.cache(true)), [false; 2]);
}

#[test]
fn a_file_that_was_replaced_has_another_identity_and_is_read_again() {
    let world = World::new(2);
    world.cache(false);
    let mut cache = world.cache(true);
    let identities = |cache: &Cache| -> Vec<_> { cache.parts().map(|(_, identity, _)| identity).collect() };
    let before = identities(&cache);
    let path = world.samples()[1].clone();
    write_file(&path, "support", (0..50).map(|number| leg(1, number)).collect()).unwrap();
    world.refresh(&mut cache, true);
    assert_eq!((in_memory(&cache), cache.rows()), (vec![false, true], 52));
    assert_eq!(identities(&cache)[0], before[0]);
    assert_ne!(identities(&cache)[1], before[1]);
    assert_eq!(in_memory(&world.cache(true)), [false; 2]);
}

#[test]
fn figures_that_are_let_go_are_known_still_and_come_back_when_they_are_loaded() {
    let world = World::new(3);
    let mut cache = world.cache(false);
    let (direct, all) = (bytes_of(&cache), spans(&cache));
    let samples = world.samples();
    cache.let_go(|path| path == samples[1]);
    assert_eq!(in_memory(&cache), [false, true, false]);
    assert_eq!((spans(&cache), cache.rows()), (all, 9));
    assert_eq!(world.load(&mut cache, &samples), []);
    assert!(bytes_of(&cache) == direct);
    // What could only be read from the samples again stays.
    fs::remove_file(world.kept_file("part-2")).unwrap();
    cache.let_go(|_| false);
    assert_eq!(in_memory(&cache), [false, false, true]);
    let mut cache = world.direct();
    cache.let_go(|_| false);
    assert_eq!(in_memory(&cache), [true; 3], "nothing is kept");
}

#[test]
fn a_window_is_read_in_full_and_leaves_the_spans_of_whole_files() {
    let world = World::new(2);
    world.cache(false);
    let before = world.kept().spans();
    let window = LoadOptions { since_us: Some(START_US + 5_000_000), ..world.options() };
    fs::remove_file(world.kept_file("part-0")).unwrap();
    let mut cache = Cache::default();
    assert_eq!(world.refresh_with(&mut cache, &window, true), []);
    assert_eq!((in_memory(&cache), cache.legs().count()), (vec![true; 2], 4));
    assert_eq!(world.kept().spans(), before);
}

#[test]
fn without_kept_figures_a_lazy_refresh_reads_everything() {
    let world = World::new(2);
    world.cache(false);
    let options = LoadOptions { keep_figures: false, ..world.options() };
    let mut cache = Cache::default();
    assert_eq!(world.refresh_with(&mut cache, &options, true), []);
    assert_eq!(in_memory(&cache), [true; 2]);
    assert!(cache.parts().all(|(_, identity, _)| identity.is_none()));
}

#[test]
fn a_file_that_cannot_be_used_when_it_is_loaded_is_named_and_forgotten() {
    let world = World::new(2);
    world.cache(false);
    let mut cache = world.cache(true);
    let samples = world.samples();
    fs::remove_file(world.kept_file("part-0")).unwrap();
    fs::write(&samples[0], "no Parquet").unwrap();
    let refused = world.load(&mut cache, &samples);
    assert_eq!(refused.iter().map(|(path, _)| path).collect::<Vec<_>>(), [&samples[0]]);
    assert_eq!(in_memory(&cache), [true]);
    // One that is gone is an error, so that the caller lists again; one whose figures are kept is not missed.
    fs::remove_file(&samples[0]).unwrap();
    let mut cache = world.cache(true);
    fs::remove_file(&samples[1]).unwrap();
    assert_eq!(world.load(&mut cache, &samples), []);
    cache.let_go(|_| false);
    fs::remove_file(world.kept_file("part-1")).unwrap();
    let wanted = samples.iter().cloned().collect();
    let error = cache.load(&wanted, &world.options(), "support", &world.metrics).unwrap_err();
    assert!(matches!(error, MetricsError::Folder { .. }), "{error}");
    assert_eq!(cache.rows(), 3, "the cache is good still");
}

#[test]
fn files_that_cannot_be_used_are_named_in_the_order_of_their_paths() {
    let world = World::new(2);
    world.cache(false);
    let samples = world.samples();
    // Its footer is good, so that a lazy refresh knows it.
    let mut bytes = fs::read(&samples[0]).unwrap();
    let length = bytes.len();
    let footer = u32::from_le_bytes(bytes[length - 8..length - 4].try_into().unwrap()) as usize + 8;
    bytes[4..length - footer].fill(0xA5);
    fs::write(&samples[0], bytes).unwrap();
    let mut cache = world.cache(true);
    fs::remove_file(world.kept_file("part-0")).unwrap();
    fs::write(&samples[1], "no Parquet").unwrap();
    let refused = world.refresh_with(&mut cache, &world.options(), false);
    assert_eq!(refused.into_iter().map(|(path, _)| path).collect::<Vec<_>>(), samples);
}
