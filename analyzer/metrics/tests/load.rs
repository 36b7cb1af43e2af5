//! Loading samples that were written by the sample crate's own writer: pairs, order, strata, scores, health, reports.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;

use weir_gate::{Better, Comparison, Evaluation, GateResult, MetricSeries, Outcome, Severity, Verdict};
use weir_metrics::{Cache, LoadOptions, Loaded, ReportParts, load, load_cached};
use weir_report::{Exemplar, ExemplarKind};
use weir_sample::{Leg, ResponseFormat, Sample, Score, Variant, write_samples};

const START_US: i64 = 1_760_000_000_000_000;

fn sample(id: &str, leg: Leg, variant: Variant, second: i64, text: &str) -> Sample {
    Sample {
        experiment: "support".into(),
        sample_id: id.into(),
        leg,
        variant,
        ts_us: START_US + second * 1_000_000,
        revision: Some(1),
        cohort: Some("general".into()),
        snapshot: Some(format!("{}-1", variant.as_str())),
        status: Some(200),
        complete: Some(true),
        latency_ms: Some(100.0),
        response_text: Some(text.into()),
        response_format: Some(ResponseFormat::Text),
        finish_reason: Some("stop".into()),
        ..Sample::default()
    }
}

fn control(id: &str, second: i64, text: &str) -> Sample {
    sample(id, Leg::Primary, Variant::Control, second, text)
}

fn shadow(id: &str, second: i64, text: &str) -> Sample {
    sample(id, Leg::Shadow, Variant::Candidate, second, text)
}

fn score(id: &str, leg: Leg, criterion: &str, score: f64) -> Score {
    Score {
        experiment: "support".into(),
        sample_id: id.into(),
        leg,
        ts_us: START_US + 99_000_000,
        criterion: criterion.into(),
        score,
        ..Score::default()
    }
}

fn options(data: &Path) -> LoadOptions {
    LoadOptions { data_dir: data.to_path_buf(), ..LoadOptions::default() }
}

fn write(data: &Path, name: &str, samples: Vec<Sample>) {
    write_samples(data, name, samples).unwrap();
}

fn loaded(samples: Vec<Sample>) -> Loaded {
    let data = tempfile::tempdir().unwrap();
    write(data.path(), "part-0", samples);
    load(&options(data.path())).unwrap()
}

fn series<'a>(loaded: &'a Loaded, name: &str) -> &'a MetricSeries {
    loaded.series.iter().find(|series| series.name == name).unwrap_or_else(|| panic!("no series {name}"))
}

#[test]
fn pairs_are_the_two_answers_to_one_request_in_order_of_time() {
    let loaded = loaded(vec![
        control("b", 2, "1234"),
        shadow("b", 2, "12"),
        control("z", 1, "123"),
        shadow("z", 5, "1"),
        control("a", 2, "12345"),
        shadow("a", 2, ""),
        control("alone", 3, "x"),
        shadow("orphan", 0, "y"),
    ]);
    let length = series(&loaded, "response_chars");
    assert_eq!(length.pairs, [(3.0, 1.0), (5.0, 0.0), (4.0, 2.0)]);
    assert_eq!(length.better, Better::Neither);
    assert_eq!((loaded.health.pairs, loaded.health.half_pairs, loaded.health.shadow), (3, 1, 4));
    assert_eq!(loaded.samples, 8);
}

#[test]
fn a_canary_answer_is_no_half_of_a_pair() {
    let loaded = loaded(vec![
        sample("a", Leg::Primary, Variant::Candidate, 0, "served"),
        shadow("a", 0, "shadow"),
        control("b", 0, "b"),
    ]);
    assert_eq!(loaded.health.pairs, 0);
    assert!(series(&loaded, "response_chars").pairs.is_empty());
    assert_eq!((loaded.health.primary_candidate, loaded.health.primary_control), (1, 1));
}

#[test]
fn noise_pairs_are_the_two_answers_of_control() {
    let loaded = loaded(vec![
        control("a", 0, "1234"),
        sample("a", Leg::Noise, Variant::Control, 0, "12"),
        shadow("a", 0, "1"),
    ]);
    let length = series(&loaded, "response_chars");
    assert_eq!(length.noise_pairs, [(4.0, 2.0)]);
    assert_eq!(length.pairs, [(4.0, 1.0)]);
}

#[test]
fn unpaired_values_are_kept_apart_by_cohort_and_cohorts_of_one_variant_are_left_out() {
    let mut internal = sample("c", Leg::Primary, Variant::Candidate, 3, "123");
    internal.cohort = Some("internal".into());
    let loaded = loaded(vec![
        control("a", 0, "1"),
        control("b", 1, "12"),
        sample("d", Leg::Primary, Variant::Candidate, 2, "1234"),
        internal,
    ]);
    let strata = &series(&loaded, "response_chars").strata;
    assert_eq!(strata.len(), 1);
    assert_eq!(strata[0].name, "general");
    assert_eq!((strata[0].control.to_vec(), strata[0].candidate.to_vec()), (vec![1.0, 2.0], vec![4.0]));
}

#[test]
fn revisions_with_other_shares_are_other_strata() {
    let mut later = [control("c", 2, "1"), sample("d", Leg::Primary, Variant::Candidate, 2, "1")];
    later.iter_mut().for_each(|sample| sample.revision = Some(2));
    let mut samples = vec![control("a", 0, "1"), sample("b", Leg::Primary, Variant::Candidate, 0, "1")];
    samples.extend(later);
    let loaded = loaded(samples);
    let names: Vec<&str> =
        series(&loaded, "error").strata.iter().map(|stratum| stratum.name.as_str()).collect();
    assert_eq!(names, ["general, revision 1", "general, revision 2"]);
    assert_eq!(loaded.revisions, [1, 2]);
}

#[test]
fn a_revision_filter_keeps_its_exchanges_and_their_shadows_without_a_revision() {
    let data = tempfile::tempdir().unwrap();
    let mut other = [control("b", 1, "12"), shadow("b", 1, "1")];
    other.iter_mut().for_each(|sample| sample.revision = Some(2));
    let mut bare = shadow("a", 0, "1");
    bare.revision = None;
    write(data.path(), "part-0", vec![control("a", 0, "123"), bare]);
    write(data.path(), "part-1", other.to_vec());
    let first = load(&LoadOptions { revision: Some(1), ..options(data.path()) }).unwrap();
    assert_eq!(series(&first, "response_chars").pairs, [(3.0, 1.0)]);
    let second = load(&LoadOptions { revision: Some(2), ..options(data.path()) }).unwrap();
    assert_eq!(series(&second, "response_chars").pairs, [(2.0, 1.0)]);
    assert_eq!(second.revisions, [2]);
    let none = load(&LoadOptions { revision: Some(9), ..options(data.path()) }).unwrap();
    assert!(none.series.is_empty());
    assert_eq!((none.first_ts_us, none.health.pairs), (None, 0));
}

#[test]
fn a_time_window_includes_its_start_and_excludes_its_end() {
    let data = tempfile::tempdir().unwrap();
    write(data.path(), "part-0", (0..5).map(|second| control(&format!("s{second}"), second, "x")).collect());
    let window = LoadOptions {
        since_us: Some(START_US + 1_000_000),
        until_us: Some(START_US + 3_000_000),
        ..options(data.path())
    };
    let loaded = load(&window).unwrap();
    assert_eq!(loaded.samples, 2);
    assert_eq!(loaded.first_ts_us, Some(START_US + 1_000_000));
    assert_eq!(loaded.last_ts_us, Some(START_US + 2_000_000));
}

#[test]
fn a_leg_that_is_there_twice_counts_once_and_the_first_one_counts() {
    let data = tempfile::tempdir().unwrap();
    write(data.path(), "part-1", vec![control("a", 0, "1"), shadow("a", 0, "1")]);
    write(data.path(), "part-0", vec![control("a", 7, "1234567")]);
    let loaded = load(&options(data.path())).unwrap();
    assert_eq!((loaded.samples, loaded.duplicates), (2, 1));
    assert_eq!(series(&loaded, "response_chars").pairs, [(1.0, 1.0)]);
}

#[test]
fn the_split_into_files_changes_nothing() {
    let samples: Vec<Sample> = (0..40)
        .flat_map(|number| {
            let id = format!("s{number:02}");
            let text = "word ".repeat(number % 7);
            [control(&id, i64::try_from(number / 3).unwrap(), &text), shadow(&id, 9, "short")]
        })
        .collect();
    let whole = loaded(samples.clone());
    let data = tempfile::tempdir().unwrap();
    for (number, chunk) in samples.rchunks(7).enumerate() {
        write(data.path(), &format!("part-{number}"), chunk.to_vec());
    }
    let split = load(&options(data.path())).unwrap();
    assert_eq!(whole.series, split.series);
    assert_eq!(whole.health, split.health);
    assert_eq!(whole.distributions, split.distributions);
}

#[test]
fn values_that_are_not_there_are_counted_as_missing() {
    let mut cut = shadow("a", 0, "{\"a\":");
    cut.response_truncated = Some(true);
    let loaded =
        loaded(vec![control("a", 0, "{\"a\": 1}"), cut, control("b", 1, "{}"), shadow("b", 1, "no")]);
    let json = series(&loaded, "json_valid");
    assert_eq!(json.pairs, [(1.0, 0.0)]);
    assert_eq!(json.missing, 1);
    assert_eq!(loaded.health.truncated_candidate, 1);
}

#[test]
fn json_metrics_are_absent_with_a_reason_where_control_never_answers_in_json() {
    let data = tempfile::tempdir().unwrap();
    write(data.path(), "part-0", vec![control("a", 0, "prose"), shadow("a", 0, "{}")]);
    let wanted =
        LoadOptions { metrics: vec!["json_fields:id".into(), "score:good".into()], ..options(data.path()) };
    let loaded = load(&wanted).unwrap();
    assert!(loaded.series.iter().all(|series| !series.name.starts_with("json")));
    insta::assert_debug_snapshot!(loaded.absent);
}

#[test]
fn json_fields_are_measured_on_demand() {
    let data = tempfile::tempdir().unwrap();
    let pair =
        |id: &str, text: &str| [control(id, 0, "{\"answer\": \"x\", \"order_id\": 1}"), shadow(id, 0, text)];
    let samples =
        [pair("a", "{\"answer\": \"x\"}"), pair("b", "{\"answer\": \"x\", \"order_id\": 2}")].concat();
    write(data.path(), "part-0", samples);
    let id = "json_fields:answer,order_id";
    let loaded = load(&LoadOptions { metrics: vec![id.into()], ..options(data.path()) }).unwrap();
    assert_eq!(series(&loaded, id).pairs, [(1.0, 0.0), (1.0, 1.0)]);
    assert_eq!(series(&loaded, "json_valid").pairs, [(1.0, 1.0), (1.0, 1.0)]);
}

#[test]
fn scores_join_the_answers_that_they_judge_and_may_come_later() {
    let data = tempfile::tempdir().unwrap();
    let samples = ["a", "b", "c"].iter().flat_map(|id| [control(id, 0, "x"), shadow(id, 0, "y")]).collect();
    write(data.path(), "part-0", samples);
    let before = load(&options(data.path())).unwrap();
    assert!(before.series.iter().all(|series| !series.name.starts_with("score:")));
    let scores = vec![
        score("a", Leg::Primary, "good", 0.9),
        score("a", Leg::Shadow, "good", 0.5),
        score("b", Leg::Primary, "good", 0.8),
        score("foreign", Leg::Primary, "good", 0.1),
    ];
    write_samples(data.path(), "part-0", scores).unwrap();
    let after = load(&options(data.path())).unwrap();
    let good = series(&after, "score:good");
    assert_eq!(good.pairs, [(0.9, 0.5)]);
    assert_eq!((good.bounds, good.better), (Some((0.0, 1.0)), Better::Higher));
    assert_eq!(good.missing, 3);
}

#[test]
fn a_cache_reads_new_files_only_and_gives_the_same() {
    let data = tempfile::tempdir().unwrap();
    let mut cache = Cache::default();
    write(data.path(), "part-0", vec![control("a", 0, "12"), shadow("a", 0, "1")]);
    assert_eq!(load_cached(&options(data.path()), &mut cache).unwrap().samples, 2);
    write(data.path(), "part-1", vec![control("b", 1, "123"), shadow("b", 1, "1")]);
    let cached = load_cached(&options(data.path()), &mut cache).unwrap();
    assert_eq!(cached.series, load(&options(data.path())).unwrap().series);
    assert_eq!(series(&cached, "response_chars").pairs, [(2.0, 1.0), (3.0, 1.0)]);
    let other = LoadOptions { revision: Some(2), ..options(data.path()) };
    assert_eq!(load_cached(&other, &mut cache).unwrap().samples, 0);
    std::fs::remove_file(
        weir_sample::list_files(data.path(), weir_sample::Kind::Samples, None).unwrap().first().unwrap(),
    )
    .unwrap();
    assert_eq!(load_cached(&options(data.path()), &mut cache).unwrap().samples, 2);
}

#[test]
fn shadow_answers_that_never_arrive_are_a_problem_with_a_remedy() {
    let mut samples = Vec::new();
    for number in 0..200 {
        let id = format!("s{number:03}");
        let mut legs = vec![control(&id, number, "x")];
        if number % 4 != 0 {
            legs.push(shadow(&id, number, "y"));
        }
        for leg in &mut legs {
            leg.proxy = Some("envoy-1".into());
            leg.worker = Some("00ff".into());
        }
        samples.extend(legs);
    }
    let health = loaded(samples.clone()).health;
    assert_eq!(health.half_pairs, 49, "the newest exchanges may still be under way");
    insta::assert_debug_snapshot!(health.problems);
    // Half of the exchanges were shadowed by policy: half of them without a shadow is as it should be.
    samples
        .retain(|sample| sample.leg == Leg::Primary || sample.sample_id.ends_with(['1', '3', '5', '7', '9']));
    for sample in samples.iter_mut().filter(|sample| sample.leg == Leg::Shadow) {
        sample.inclusion_probability = 0.5;
    }
    assert_eq!(loaded(samples).health.problems, Vec::<String>::new());
}

#[test]
fn lost_records_are_counted_by_worker_and_many_are_a_problem() {
    let numbered = |worker: &str, sequences: &[i64]| -> Vec<Sample> {
        sequences
            .iter()
            .map(|sequence| {
                let mut sample = control(&format!("{worker}-{sequence}"), *sequence, "x");
                sample.proxy = Some("envoy-1".into());
                sample.worker = Some(worker.into());
                sample.sequence = Some(*sequence);
                sample
            })
            .collect()
    };
    let few = loaded([numbered("a", &[3, 4, 6]), numbered("b", &[1, 2])].concat()).health;
    assert_eq!(few.sequence_gaps, 1);
    assert!(few.problems.is_empty());
    let many = loaded(numbered("a", &(0..100).map(|number| number * 2).collect::<Vec<_>>())).health;
    assert_eq!(many.sequence_gaps, 99);
    insta::assert_debug_snapshot!(many.problems);
}

#[test]
fn records_of_other_revisions_and_probes_are_neither_compared_nor_lost() {
    let mut samples: Vec<Sample> = (0..9)
        .map(|sequence| {
            let mut sample = control(&format!("x-{sequence}"), sequence, "x");
            sample.worker = Some("a".into());
            sample.sequence = Some(sequence);
            sample
        })
        .collect();
    samples[3].revision = Some(2);
    samples[5].path = Some("/weir-probe".into());
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "part-1", samples);
    let loaded = load(&LoadOptions { revision: Some(1), ..options(dir.path()) }).unwrap();
    assert_eq!(loaded.samples, 7);
    assert_eq!(loaded.health.sequence_gaps, 0);
}

#[test]
fn answers_cut_on_one_side_more_than_on_the_other_are_a_problem() {
    let cut = |candidate_only: bool| -> Vec<Sample> {
        (0..150)
            .flat_map(|number| {
                let id = format!("s{number}");
                let (mut one, mut other) = (control(&id, 0, "x"), shadow(&id, 0, "y"));
                other.response_truncated = Some(number % 2 == 0);
                one.response_truncated = Some(number % 2 == 0 && !candidate_only);
                [one, other]
            })
            .collect()
    };
    insta::assert_debug_snapshot!(loaded(cut(true)).health.problems);
    assert!(loaded(cut(false)).health.problems.is_empty());
}

#[test]
fn a_variant_that_changed_under_way_is_a_problem() {
    let mut other = shadow("b", 1, "y");
    other.snapshot = Some("candidate-2".into());
    let loaded = loaded(vec![control("a", 0, "x"), shadow("a", 0, "y"), control("b", 1, "x"), other]);
    assert_eq!(loaded.variants.candidate_snapshot, ["candidate-1", "candidate-2"]);
    insta::assert_debug_snapshot!(loaded.health.problems);
}

#[test]
fn the_worst_pairs_of_a_breach_are_shown_with_their_texts() {
    let data = tempfile::tempdir().unwrap();
    let mut samples = Vec::new();
    for (id, second, length) in [("a", 0, 90), ("b", 1, 10), ("c", 2, 10), ("d", 3, 200)] {
        let mut primary = control(id, second, &"x".repeat(100));
        primary.request_text = Some(format!("request {id}"));
        samples.extend([primary, shadow(id, second, &"y".repeat(length))]);
    }
    samples.push(shadow("e", 4, &"y".repeat(5_000)));
    samples.push(control("e", 4, "x"));
    write(data.path(), "part-0", samples);
    let loaded = load(&options(data.path())).unwrap();
    let breach = |better: Better| evaluation(&loaded, "response_chars", better, Outcome::Breach);
    let shortest = loaded.exemplars(&breach(Better::Higher), 2).unwrap();
    let ids = |of: &[Exemplar], kind: ExemplarKind| -> Vec<String> {
        of.iter().filter(|one| one.kind == kind).map(|one| one.sample_id.clone()).collect()
    };
    assert_eq!(ids(&shortest, ExemplarKind::Worst), ["b", "c"]);
    // Changes are -10, -90, -90, 100 and 4999 characters; the median is that of the first.
    assert_eq!(ids(&shortest, ExemplarKind::Typical), ["a", "d"]);
    assert_eq!(shortest[0].request_text, "request b");
    assert_eq!(shortest[0].candidate_text, "y".repeat(10));
    assert_eq!((shortest[0].control_value, shortest[0].candidate_value), (100.0, 10.0));
    let longest = loaded.exemplars(&breach(Better::Lower), 1).unwrap();
    assert!(longest[0].candidate_text.ends_with("… (3000 more characters)"), "{}", longest[0].candidate_text);
    let inside = evaluation(&loaded, "response_chars", Better::Higher, Outcome::Inside);
    let shown = loaded.exemplars(&inside, 2).unwrap();
    assert_eq!(
        ids(&shown, ExemplarKind::Worst),
        ["b", "c"],
        "where no gate speaks up, the closest one is shown"
    );
}

#[test]
fn a_report_says_what_it_was_made_from() {
    let data = tempfile::tempdir().unwrap();
    write(data.path(), "part-0", vec![control("a", 0, "x"), shadow("a", 1, "yy")]);
    let loaded = load(&options(data.path())).unwrap();
    let evaluation = evaluation(&loaded, "response_chars", Better::Neither, Outcome::Inside);
    let parts = ReportParts { data: "data".into(), gates_digest: "ab12".into(), ..ReportParts::default() };
    let report = loaded.report(evaluation, parts).unwrap();
    insta::assert_debug_snapshot!((&report.generated_from, &report.variants, &report.revisions));
}

fn evaluation(loaded: &Loaded, metric: &str, better: Better, outcome: Outcome) -> Evaluation {
    Evaluation {
        verdict: Verdict::Rollback,
        reasons: Vec::new(),
        gates: vec![GateResult {
            gate: "length".into(),
            metric: metric.into(),
            unit: "characters".into(),
            better,
            severity: Severity::Major,
            comparison: Comparison::Paired,
            n_pairs: 1,
            n_control: 1,
            n_candidate: 1,
            control: None,
            candidate: None,
            estimate: None,
            interval: None,
            relative: false,
            margin: 1.0,
            alpha: 0.05,
            method: String::new(),
            outcome,
            needed_more: None,
            explanation: String::new(),
            segment: weir_gate::Segment::new(),
            correction: None,
        }],
        alpha: 0.05,
        error_rates: weir_gate::ErrorRates::default(),
        score: None,
        segments: Vec::new(),
        findings: Vec::new(),
        looks: "any number".into(),
        health: loaded.health.clone(),
    }
}

#[test]
fn files_that_a_merged_one_stands_for_do_not_count_and_a_look_goes_on_after_the_merge() {
    let data = tempfile::tempdir().unwrap();
    write(data.path(), "part-0", vec![control("a", 1, "1234"), control("b", 2, "12")]);
    write(data.path(), "part-1", vec![shadow("a", 1, "12"), shadow("b", 2, "1")]);
    let mut cache = Cache::default();
    let before = load_cached(&options(data.path()), &mut cache).unwrap();
    let files = weir_sample::list_files(data.path(), weir_sample::Kind::Samples, None).unwrap();
    let rows = files.iter().flat_map(|path| weir_sample::read_file::<Sample>(path).unwrap()).collect();
    let names = ["part-0.parquet", "part-1.parquet"].map(str::to_owned).into();
    let merged = files[0].with_file_name("part-compact-0.parquet");
    weir_sample::write_merged::<Sample>(&merged, "support", rows, &names).unwrap();
    for left in 0..=2 {
        let after = load_cached(&options(data.path()), &mut cache).unwrap();
        assert_eq!((after.samples, after.duplicates), (4, 0), "{left} of the old files are gone");
        assert_eq!(series(&after, "response_chars").pairs, series(&before, "response_chars").pairs);
        if let Some(path) = files.get(left) {
            std::fs::remove_file(path).unwrap();
        }
    }
}
