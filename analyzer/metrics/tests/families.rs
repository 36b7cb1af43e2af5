//! Metrics that gates or a metrics document ask for, over samples at rest; and the document itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;

use weir_gate::{Better, MetricSeries};
use weir_metrics::{LoadOptions, Loaded, MetricsFile, check_metrics, load};
use weir_sample::{Leg, ResponseFormat, Sample, Variant, write_samples};

const START_US: i64 = 1_760_000_000_000_000;
const EXAMPLE: &str = include_str!("../../../examples/metrics/support-answers.yaml");
const GATES: &str = include_str!("../../../examples/gates/support-metrics.yaml");

fn sample(id: &str, leg: Leg, variant: Variant, second: i64, text: &str) -> Sample {
    Sample {
        experiment: "support".into(),
        sample_id: id.into(),
        leg,
        variant,
        ts_us: START_US + second * 1_000_000,
        revision: Some(1),
        cohort: Some("general".into()),
        path: Some("/v1/chat".into()),
        status: Some(200),
        complete: Some(true),
        latency_ms: Some(1_000.0),
        response_text: Some(text.into()),
        response_format: Some(ResponseFormat::Text),
        finish_reason: Some("stop".into()),
        model: Some("gpt-x-2".into()),
        prompt_tokens: Some(1_000),
        completion_tokens: Some(100),
        ..Sample::default()
    }
}

fn pair(id: &str, request: &str, control: &str, candidate: &str) -> Vec<Sample> {
    let mut primary = sample(id, Leg::Primary, Variant::Control, 0, control);
    primary.request_text = Some(request.into());
    vec![primary, sample(id, Leg::Shadow, Variant::Candidate, 0, candidate)]
}

fn loaded(samples: Vec<Sample>, metrics: &[&str], definitions: Option<&str>) -> Loaded {
    let data = tempfile::tempdir().unwrap();
    // In two files, so that nothing rests on the legs of an exchange being together.
    let (first, second) = samples.into_iter().partition(|sample| sample.leg == Leg::Primary);
    write_samples(data.path(), "part-0", first).unwrap();
    let second: Vec<Sample> = second;
    if !second.is_empty() {
        write_samples(data.path(), "part-1", second).unwrap();
    }
    let options = LoadOptions {
        data_dir: data.path().to_path_buf(),
        metrics: metrics.iter().map(|id| (*id).to_owned()).collect(),
        definitions: definitions.map(|text| Arc::new(MetricsFile::parse("metrics.yaml", text).unwrap())),
        ..LoadOptions::default()
    };
    load(&options).unwrap()
}

fn series<'a>(loaded: &'a Loaded, name: &str) -> &'a MetricSeries {
    loaded.series.iter().find(|series| series.name == name).unwrap_or_else(|| panic!("no series {name}"))
}

#[test]
fn citations_and_language_of_a_copy_are_held_against_the_request_of_its_original() {
    let request = "system: Use these.\n[doc-1] Parcels take three days to arrive.\nuser: Wie lange dauert die Lieferung meiner Bestellung?";
    let german = "Die Lieferung Ihrer Bestellung dauert in der Regel drei Tage [doc-1].";
    let english = "The delivery of your order usually takes about three days [doc-7].";
    let loaded =
        loaded(pair("a", request, german, english), &["citation_valid", "language_match", "citation"], None);
    assert_eq!(series(&loaded, "citation_valid").pairs, [(1.0, 0.0)]);
    assert_eq!(series(&loaded, "language_match").pairs, [(1.0, 0.0)]);
    assert_eq!(series(&loaded, "citation").pairs, [(1.0, 1.0)]);
}

#[test]
fn what_a_session_did_next_belongs_to_the_answer_before_it() {
    let ask = |id: &str, session: &str, variant, second, request: &str, answer: &str| {
        let mut primary = sample(id, Leg::Primary, variant, second, answer);
        primary.session_id = Some(session.into());
        primary.request_text = Some(request.into());
        primary
    };
    let (control, candidate) = (Variant::Control, Variant::Candidate);
    let samples = vec![
        ask("a1", "a", control, 0, "where is my order 42", "It is on its way."),
        ask("a2", "a", control, 60, "thank you", "You are welcome."),
        ask("b1", "b", candidate, 0, "where is my order 42", "I like turtles."),
        ask("b2", "b", candidate, 30, "Where is my  order 42", "Turtles."),
        ask("b3", "b", candidate, 60, "so where is my order 42 now", ""),
        // Keeps the clock going for an hour.
        ask("z", "z", control, 7_200, "hello", "Hello."),
    ];
    let loaded = loaded(samples, &["retry", "reprompt", "abandonment", "conversation_length"], None);
    let strata = |name: &str| {
        let stratum = series(&loaded, name).strata[0].clone();
        (stratum.control.to_vec(), stratum.candidate.to_vec())
    };
    assert_eq!(strata("retry"), (vec![0.0, 0.0], vec![1.0, 0.0, 0.0]));
    assert_eq!(strata("reprompt"), (vec![0.0, 0.0], vec![0.0, 1.0, 0.0]));
    assert_eq!(strata("abandonment"), (vec![0.0], vec![1.0]));
    assert_eq!(strata("conversation_length"), (vec![2.0], vec![3.0]));
}

#[test]
fn a_metrics_document_adds_schemas_prices_and_metrics_of_ones_own() {
    let mut samples =
        pair("a", "user: order?", "{\"answer\": \"x\", \"order_id\": 7}", "{\"answer\": \"x\"}");
    for sample in &mut samples {
        sample.path = Some("/v1/orders/7".into());
    }
    samples[1].latency_ms = Some(9_000.0);
    samples[1].cached_tokens = Some(400);
    samples[1].tags.insert("rating".into(), "4".into());
    samples[0].tags.insert("rating".into(), "2.5".into());
    let wanted = [
        "json_schema",
        "cost",
        "own:slow",
        "own:chars-per-token",
        "tag:rating",
        "column:chunks",
        "cache_hit",
    ];
    let loaded = loaded(samples, &wanted, Some(EXAMPLE));
    assert_eq!(series(&loaded, "json_schema").pairs, [(1.0, 0.0)]);
    let cost = series(&loaded, "cost");
    assert_eq!((cost.unit.as_str(), cost.better, cost.pairs.len()), ("EUR", Better::Lower, 1));
    let (control, candidate) = cost.pairs.get(0).unwrap();
    assert!((control - 0.0035).abs() < 1e-12 && (candidate - 0.003).abs() < 1e-12, "{:?}", cost.pairs);
    let slow = series(&loaded, "own:slow");
    assert_eq!(
        (slow.pairs.to_vec().as_slice(), slow.bounds, slow.unit.as_str()),
        (&[(0.0, 1.0)][..], Some((0.0, 1.0)), "share")
    );
    assert_eq!(series(&loaded, "own:chars-per-token").pairs, [(0.3, 0.15)]);
    assert_eq!(series(&loaded, "tag:rating").pairs, [(2.5, 4.0)]);
    assert!(loaded.absent.iter().any(|(name, _)| name == "column:chunks"), "{:?}", loaded.absent);
    // What the document asks for is there although no gate names it.
    assert_eq!(series(&loaded, "finish:length").pairs, [(0.0, 0.0)]);
    assert_eq!(series(&loaded, "soft_error").pairs, [(0.0, 0.0)]);
}

#[test]
fn a_metric_that_the_document_does_not_define_says_what_is_missing() {
    let ids = |id: &str| vec![id.to_owned()];
    let said: Vec<String> = ["own:slow", "cost", "json_schema", "headings"]
        .iter()
        .map(|id| check_metrics(&ids(id), None).unwrap_err().to_string())
        .collect();
    insta::assert_snapshot!(said.join("\n"));
    let file = MetricsFile::parse("metrics.yaml", EXAMPLE).unwrap();
    for id in ["own:slow", "cost", "json_schema", "headings", "score:good", "tag:x=y", "language:de"] {
        check_metrics(&ids(id), Some(&file)).unwrap();
    }
    assert!(check_metrics(&ids("own:other"), Some(&file)).is_err());
    assert!(check_metrics(&ids("language:klingon"), None).is_err());
    assert!(check_metrics(&ids("column:response_text"), None).is_err(), "text is no number");
}

#[test]
fn every_problem_of_a_metrics_document_is_told_at_once() {
    let text = "apiVersion: weir/v1\nkind: Metrics\ncompute: [latency, repetition, 'own:gone']\nroutes:\n  - {jsonSchema: {typ: object}}\n\
                prices:\n  - {inputPerMillion: -1, outputPerMillion: 1}\nmetrics:\n  - {name: Slow, better: lower, value: latency > 1}\n  \
                - {name: b, better: down, value: path}\n  - {name: c, better: lower, value: latency_ms, minimum: 3, maximum: 2}\n";
    let problems = MetricsFile::parse("metrics.yaml", text).unwrap_err().to_string();
    let shortened: Vec<String> =
        problems.lines().map(|line| line.chars().take(150).collect::<String>()).collect();
    insta::assert_snapshot!(shortened.join("\n"));
    let compute = "apiVersion: weir/v1\nkind: Metrics\ncompute: [latency, repetition, 'own:gone', cost]\n";
    let problems = MetricsFile::parse("metrics.yaml", compute).unwrap_err();
    assert_eq!(problems.problems.len(), 3, "{problems}");
}

#[test]
fn the_example_gates_are_computed_with_the_example_document() {
    let gates = weir_gate::Gates::parse("gates.yaml", GATES).unwrap();
    let file = MetricsFile::parse("metrics.yaml", EXAMPLE).unwrap();
    let ids: Vec<String> = gates.gates.iter().map(|gate| gate.metric.clone()).collect();
    check_metrics(&ids, Some(&file)).unwrap();
}

/// A rule captures every failed request and one in ten of the others; half of the candidate's requests fail, a tenth of
/// control's. Plain means would say 91 % and 53 %.
#[test]
fn answers_that_were_captured_more_easily_than_others_do_not_count_more() {
    let mut samples = Vec::new();
    for number in 0..20_000_u32 {
        let candidate = number.is_multiple_of(2);
        let failed = if candidate { number.is_multiple_of(4) } else { number % 20 == 1 };
        // One in ten of the others, by a draw that has nothing to do with the analyzer's.
        if !failed && number.wrapping_mul(2_654_435_761) >> 24 >= 26 {
            continue;
        }
        let variant = if candidate { Variant::Candidate } else { Variant::Control };
        let mut primary = sample(&format!("{number:08x}"), Leg::Primary, variant, i64::from(number), "x");
        primary.status = Some(if failed { 500 } else { 200 });
        primary.inclusion_probability = if failed { 1.0 } else { 26.0 / 256.0 };
        samples.push(primary);
    }
    let captured = samples.len() as u64;
    let loaded = loaded(samples, &[], None);
    let stratum = &series(&loaded, "error").strata[0];
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    assert!((mean(&stratum.control.to_vec()) - 0.1).abs() < 0.03, "{}", mean(&stratum.control.to_vec()));
    assert!((mean(&stratum.candidate.to_vec()) - 0.5).abs() < 0.05, "{}", mean(&stratum.candidate.to_vec()));
    let used = (stratum.control.len() + stratum.candidate.len()) as u64;
    assert_eq!(loaded.health.thinned, captured - used);
    assert!(loaded.health.thinned > 1_000);
}
