//! A real model on a real runtime; skipped, with a line that says so, where either is absent.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};

use weir_meaning::embedder::distance;
use weir_meaning::{EmbedOptions, Embedder, EmbedderChoice, Findings, MeaningError};
use weir_sample::{Leg, Sample, Variant, write_samples};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn model() -> Option<Embedder> {
    let folder = root().join("../shared/models/all-MiniLM-L6-v2");
    if !folder.is_dir() {
        println!("skipped: no folder {}", folder.display());
        return None;
    }
    // Tests run in the crate's folder; the usual places are relative to the project's.
    std::env::set_current_dir(root()).unwrap();
    match Embedder::open(&EmbedderChoice::Onnx(folder), 2) {
        Ok(embedder) => Some(embedder),
        Err(error @ MeaningError::NoRuntime { .. }) => {
            println!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn vectors_equal_those_of_pythons_runtime() {
    let Some(embedder) = model() else { return };
    let text = std::fs::read_to_string(root().join("analyzer/meaning/tests/reference/vectors.json")).unwrap();
    let rows: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let texts: Vec<&str> = rows.iter().map(|row| row["text"].as_str().unwrap()).collect();
    let vectors = embedder.embed(&texts, &mut |_| {}).unwrap();
    for (row, vector) in rows.iter().zip(&vectors) {
        let expected: Vec<f32> =
            row["vector"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect();
        let cosine = 1.0 - distance(&expected, vector).unwrap();
        assert!(cosine > 0.9999, "{cosine}: {}", row["text"]);
    }
    // Whatever else is embedded at the same time.
    let alone = embedder.embed(&texts[..1], &mut |_| {}).unwrap();
    assert_eq!(alone[0], vectors[0]);
}

/// The answers of a recorded model by instruction, and the instructions.
fn recorded(model: &str, n: usize) -> Option<Vec<(String, String, String)>> {
    let folder = root().join("../shared/data/alpaca_eval");
    let lines = |name: &str| -> Option<Vec<serde_json::Value>> {
        let text = std::fs::read_to_string(folder.join(name)).ok()?;
        Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    };
    let outputs: std::collections::HashMap<String, String> = lines(&format!("outputs/{model}.jsonl"))?
        .into_iter()
        .map(|row| (row["id"].as_str().unwrap().to_owned(), row["output"].as_str().unwrap().to_owned()))
        .collect();
    let asked = lines("instructions.jsonl")?.into_iter().take(n).map(|row| {
        let id = row["id"].as_str().unwrap().to_owned();
        (id.clone(), row["instruction"].as_str().unwrap().to_owned(), outputs[&id].clone())
    });
    Some(asked.collect())
}

/// Answers cut to the first words keep the test short; the noise leg is another host of the control's weights.
fn findings(
    embedder: &Embedder,
    data: &Path,
    candidate: &str,
    noise: &str,
    control: &str,
) -> Option<Findings> {
    const N: usize = 100;
    let short = |text: &str| text.chars().take(400).collect::<String>();
    let mut samples = Vec::new();
    for (model, leg, variant) in [
        (control, Leg::Primary, Variant::Control),
        (noise, Leg::Noise, Variant::Control),
        (candidate, Leg::Shadow, Variant::Candidate),
    ] {
        for (at, (id, instruction, output)) in recorded(model, N)?.into_iter().enumerate() {
            samples.push(Sample {
                experiment: "real".into(),
                sample_id: id,
                leg,
                variant,
                ts_us: 1_700_000_000_000_000 + at as i64 * 1_000_000,
                inclusion_probability: 1.0,
                request_text: (leg == Leg::Primary).then(|| short(&instruction)),
                response_text: Some(short(&output)),
                ..Sample::default()
            });
        }
    }
    write_samples(data, "part-1", samples).unwrap();
    let options = EmbedOptions {
        data_dir: data.into(),
        experiment: "real".into(),
        revision: None,
        alpha: 0.05,
        seed: 1,
    };
    Some(weir_meaning::embed(&options, embedder, &mut |_, _| {}).unwrap().0)
}

// Two hosts of the same weights are recorded, and so one second answer: it serves as the noise leg. That a third sample of
// the same weights is not divergence is shown by simulation (`src/drift.rs`), since nothing recorded could fail it.
#[test]
fn another_model_differs_by_more_than_another_host_of_the_same_weights() {
    let Some(embedder) = model() else { return };
    let (one, other) = ("vicuna-13b-v1.5", "vicuna-13b-v1.5-togetherai");
    let data = tempfile::tempdir().unwrap();
    let Some(changed) = findings(&embedder, data.path(), "claude-2", other, one) else {
        println!("skipped: no recorded answers");
        return;
    };
    println!("{}", changed.sentence());
    assert!(changed.diverged(), "{}", changed.sentence());
    assert!(changed.distance > changed.noise_distance);
    assert!(changed.tripwires.is_empty(), "{:?}", changed.tripwires);
    assert!(changed.moved.iter().any(|group| group.dimension == "cluster" && !group.exemplars.is_empty()));
}
