//! Folders and files that cannot be read as samples: each error names the place, what is wrong and what to do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};

use weir_metrics::{LoadOptions, experiments, load};
use weir_sample::{Sample, Score, write_file, write_samples};

fn sample(experiment: &str) -> Sample {
    Sample {
        experiment: experiment.into(),
        sample_id: "s".into(),
        ts_us: 1_760_000_000_000_000,
        response_text: Some("x".into()),
        ..Sample::default()
    }
}

fn written(experiments: &[&str]) -> tempfile::TempDir {
    let data = tempfile::tempdir().unwrap();
    for experiment in experiments {
        write_samples(data.path(), "part-0", vec![sample(experiment)]).unwrap();
    }
    data
}

fn folder(data: &Path) -> PathBuf {
    data.join("samples/experiment=support/date=2025-10-09/hour=08")
}

/// The error's text with the temporary folder's name replaced.
fn error(data: &Path, experiment: Option<&str>, metrics: &[&str]) -> String {
    let options = LoadOptions {
        data_dir: data.to_path_buf(),
        experiment: experiment.map(str::to_owned),
        metrics: metrics.iter().map(|metric| (*metric).to_owned()).collect(),
        ..LoadOptions::default()
    };
    let text = load(&options).unwrap_err().to_string();
    text.replace(&data.display().to_string(), "DATA")
}

#[test]
fn a_data_folder_that_is_not_there_is_named() {
    let data = tempfile::tempdir().unwrap();
    insta::assert_snapshot!(error(&data.path().join("nowhere"), None, &[]));
}

#[test]
fn a_data_folder_without_samples_says_how_to_get_some() {
    let data = tempfile::tempdir().unwrap();
    insta::assert_snapshot!(error(data.path(), None, &[]));
}

#[test]
fn an_experiment_that_is_not_there_lists_those_that_are() {
    let data = written(&["support", "billing"]);
    assert_eq!(experiments(data.path()).unwrap(), ["billing", "support"]);
    insta::assert_snapshot!(error(data.path(), Some("suport"), &[]));
}

#[test]
fn several_experiments_need_a_choice() {
    let data = written(&["support", "billing"]);
    insta::assert_snapshot!(error(data.path(), None, &[]));
}

/// What the capture's health says of files that were skipped.
fn health(data: &Path) -> weir_gate::CaptureHealth {
    let options = LoadOptions { data_dir: data.to_path_buf(), ..LoadOptions::default() };
    let loaded = load(&options).unwrap();
    assert_eq!(loaded.samples, 1);
    loaded.health
}

#[test]
fn foreign_files_are_named_and_skipped_and_files_under_way_are_passed_over() {
    let data = written(&["support"]);
    fs::write(folder(data.path()).join(".part-1.tmp"), "half").unwrap();
    fs::write(folder(data.path()).join("part-1.parquet.tmp"), "half").unwrap();
    let options = LoadOptions { data_dir: data.path().to_path_buf(), ..LoadOptions::default() };
    assert_eq!(load(&options).unwrap().samples, 1);
    fs::write(folder(data.path()).join("notes.txt"), "mine").unwrap();
    fs::write(folder(data.path()).join("export.parquet"), "mine").unwrap();
    fs::write(data.path().join("samples/old.csv"), "mine").unwrap();
    fs::create_dir(data.path().join("samples/experiment=support/backup")).unwrap();
    let health = health(data.path());
    assert_eq!((health.skipped_files, health.problems), (4, Vec::new()));
    insta::assert_debug_snapshot!(health.skipped);
    assert!(folder(data.path()).join("notes.txt").exists());
    fs::remove_file(folder(data.path()).join("part-0.parquet")).unwrap();
    insta::assert_snapshot!("with_nothing_else", error(data.path(), None, &[]));
}

#[test]
fn part_files_that_are_no_samples_are_skipped_and_a_problem_of_the_capture_that_names_them() {
    let data = written(&["support"]);
    let at = |name: &str| folder(data.path()).join(name);
    fs::write(at("part-1.parquet"), "this is not Parquet").unwrap();
    write_file(&at("part-2.parquet"), "support", vec![Score::default()]).unwrap();
    write_file(&at("part-3.parquet"), "billing", vec![sample("billing")]).unwrap();
    let whole = fs::read(at("part-0.parquet")).unwrap();
    fs::write(at("part-4.parquet"), &whole[..whole.len() / 2]).unwrap();
    foreign_parquet(&at("part-5.parquet"));
    let scores = data.path().join("scores/experiment=support/date=2025-10-09/hour=08");
    fs::create_dir_all(&scores).unwrap();
    fs::write(scores.join("part-1.parquet"), "no scores").unwrap();
    let health = health(data.path());
    assert_eq!(health.skipped_files, 6);
    insta::assert_debug_snapshot!((health.skipped, health.problems));
    fs::remove_file(at("part-0.parquet")).unwrap();
    insta::assert_snapshot!("with_no_readable_part_file", error(data.path(), None, &[]));
}

#[test]
fn a_part_file_that_is_damaged_anywhere_never_stops_the_others() {
    let data = written(&["support"]);
    let rows: Vec<Sample> = (0..50)
        .map(|n| Sample {
            sample_id: format!("d-{n}"),
            response_text: Some("y".repeat(n)),
            ..sample("support")
        })
        .collect();
    let damaged = folder(data.path()).join("part-1.parquet");
    write_file(&damaged, "support", rows).unwrap();
    let whole = fs::read(&damaged).unwrap();
    let options = LoadOptions { data_dir: data.path().to_path_buf(), ..LoadOptions::default() };
    let (mut skipped, mut read) = (0, 0);
    for at in (0..whole.len()).step_by(whole.len() / 100) {
        let mut bytes = whole.clone();
        bytes[at..(at + 40).min(whole.len())].fill(0xa5);
        fs::write(&damaged, bytes).unwrap();
        let loaded = load(&options).unwrap_or_else(|error| panic!("at {at}: {error}"));
        assert!(loaded.samples >= 1);
        if loaded.health.skipped_files == 1 {
            assert_eq!((loaded.samples, loaded.health.problems.len()), (1, 1));
            skipped += 1;
        } else {
            read += 1;
        }
    }
    // Columns that no metric needs are not looked at.
    println!("{skipped} skipped, {read} read");
    assert!(skipped > 20, "{skipped}");
}

/// A Parquet file of somebody else.
fn foreign_parquet(path: &Path) {
    use polars::prelude::*;
    let mut frame = df!("name" => ["x"], "number" => [1_i64]).unwrap();
    ParquetWriter::new(fs::File::create(path).unwrap()).finish(&mut frame).unwrap();
}

#[test]
fn a_metric_that_does_not_exist_is_refused_with_those_that_do() {
    let data = written(&["support"]);
    insta::assert_snapshot!(error(data.path(), None, &["latency"]));
    for id in ["json_fields:", "json_fields:a,,b", "score:", "tokens"] {
        assert!(error(data.path(), None, &[id]).contains("does not exist"), "{id}");
    }
}

#[test]
fn an_empty_part_file_is_no_error() {
    let data = written(&["support"]);
    write_file::<Sample>(&folder(data.path()).join("part-1.parquet"), "support", Vec::new()).unwrap();
    let options = LoadOptions { data_dir: data.path().to_path_buf(), ..LoadOptions::default() };
    assert_eq!(load(&options).unwrap().samples, 1);
}

#[test]
fn a_gate_may_name_exactly_the_metrics_that_are_computed() {
    for name in weir_gate::METRICS {
        assert!(weir_metrics::metric_exists(name), "a gate may name {name}, and nothing computes it");
    }
    for family in weir_gate::FAMILIES {
        let argument = match family {
            "column" => "chunks",
            "language" => "de",
            _ => "one",
        };
        assert!(weir_metrics::metric_exists(&format!("{family}:{argument}")), "{family}");
    }
    for name in weir_metrics::known_metrics().iter().filter(|name| !name.contains(':')) {
        assert!(weir_gate::METRICS.contains(&name.as_str()), "{name} is computed, and no gate may name it");
    }
}
