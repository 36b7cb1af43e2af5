//! Input that is no ordinary text, and models that are none: each an error that names it, or a counted exclusion.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};

use weir_meaning::embedder::{TEXT_BYTES_MAX, distance};
use weir_meaning::{EmbedOptions, Embedder, EmbedderChoice, Findings, MeaningError};
use weir_sample::{Leg, Sample, Variant, write_samples};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn shared_model() -> PathBuf {
    root().join("../shared/models/all-MiniLM-L6-v2")
}

/// The embedders that there are here; a real one only where model and runtime are.
fn embedders() -> Vec<Embedder> {
    // Tests run in the crate's folder; the usual places are relative to the project's.
    std::env::set_current_dir(root()).unwrap();
    let mut all = vec![Embedder::open(&EmbedderChoice::Lexical, 1).unwrap()];
    match Embedder::open(&EmbedderChoice::Onnx(shared_model()), 1) {
        Ok(embedder) => all.push(embedder),
        Err(error @ (MeaningError::NoRuntime { .. } | MeaningError::Model { .. })) => {
            println!("skipped for the real model: {error}");
        }
        Err(error) => panic!("{error}"),
    }
    all
}

/// The findings over exchanges of a request, control's answer and the candidate's.
fn findings(embedder: &Embedder, exchanges: &[(&str, Option<&str>, Option<&str>)]) -> Findings {
    let data = tempfile::tempdir().unwrap();
    let mut rows = Vec::new();
    for (at, (request, control, candidate)) in exchanges.iter().enumerate() {
        for (leg, variant, answer) in
            [(Leg::Primary, Variant::Control, control), (Leg::Shadow, Variant::Candidate, candidate)]
        {
            rows.push(Sample {
                experiment: "odd".into(),
                sample_id: format!("s{at}"),
                leg,
                variant,
                ts_us: 1_700_000_000_000_000 + at as i64,
                inclusion_probability: 1.0,
                request_text: (leg == Leg::Primary).then(|| (*request).to_owned()),
                response_text: answer.map(str::to_owned),
                ..Sample::default()
            });
        }
    }
    write_samples(data.path(), "part-1", rows).unwrap();
    let options = EmbedOptions {
        data_dir: data.path().into(),
        experiment: "odd".into(),
        revision: None,
        alpha: 0.05,
        seed: 1,
    };
    weir_meaning::embed(&options, embedder, &mut |_, _| {}).unwrap().0
}

#[test]
fn empty_answers_have_no_distance_and_are_counted() {
    for embedder in embedders() {
        let found = findings(
            &embedder,
            &[
                ("a question", Some("an answer"), Some("another answer")),
                ("a question", Some("an answer"), Some("")),
                ("", Some(" \n\t"), Some("an answer")),
                ("a question", None, None),
            ],
        );
        assert_eq!((found.pairs, found.without_text), (1, 4), "{}", embedder.identity());
        assert!(found.distance.is_some_and(|distance| distance > 0.0));
    }
}

#[test]
fn of_a_huge_text_the_beginning_counts() {
    let long = "The moon is far away from here. ".repeat(60_000);
    assert!(long.len() > 20 * TEXT_BYTES_MAX);
    for embedder in embedders() {
        let vectors = embedder.embed(&[long.as_str(), &long[..TEXT_BYTES_MAX]], &mut |_| {}).unwrap();
        assert_eq!(vectors[0], vectors[1], "{}", embedder.identity());
        let found = findings(&embedder, &[("why?", Some(long.as_str()), Some("Because."))]);
        assert_eq!((found.pairs, found.without_text), (1, 0));
        let shown = &found.moved[0].exemplars[0];
        assert!(shown.control.chars().count() <= 240, "exemplars are short");
    }
}

#[test]
fn binary_text_is_embedded_like_any_other_and_never_breaks_a_run() {
    // What lossy decoding leaves of bytes: replacement characters, zeros, controls, lone marks, private use.
    let mut bytes: Vec<u8> = (0..=255).cycle().take(4_096).collect();
    bytes.extend([0, 0, 0xff, 0xfe]);
    let binary = String::from_utf8_lossy(&bytes).into_owned();
    let marks = "\u{0}\u{1b}[2J\u{202e}\u{301}\u{e000}\u{10ffff}".repeat(50);
    for embedder in embedders() {
        let vectors = embedder.embed(&[binary.as_str(), &marks, "words"], &mut |_| {}).unwrap();
        for vector in &vectors {
            assert!(vector.iter().all(|value| value.is_finite()), "{}", embedder.identity());
        }
        assert_eq!(vectors, embedder.embed(&[binary.as_str(), &marks, "words"], &mut |_| {}).unwrap());
        let found = findings(
            &embedder,
            &[(marks.as_str(), Some(binary.as_str()), Some(marks.as_str())), ("x", Some("a b"), Some("a b"))],
        );
        assert_eq!(found.without_text, 0);
        // A text without any word has no direction with hashed words, and so no distance; it is no pair then.
        assert!((1..=2).contains(&found.pairs), "{}", found.pairs);
        assert!(distance(&vectors[2], &vectors[2]).unwrap() < 1e-6);
    }
}

#[test]
fn a_folder_that_lacks_something_is_refused_with_what_it_needs() {
    let open = |folder: &Path| {
        let opened = Embedder::open(&EmbedderChoice::Onnx(folder.to_path_buf()), 1);
        opened.map(|_| ()).unwrap_err().to_string()
    };
    let folder = tempfile::tempdir().unwrap();
    let error = open(&folder.path().join("nowhere"));
    assert!(error.contains("nowhere: holds no model") && error.contains("hint: the folder needs"), "{error}");
    std::fs::write(folder.path().join("model.onnx"), "no model").unwrap();
    let error = open(folder.path());
    assert!(error.contains("tokenizer.json: "), "{error}");
}

#[test]
fn a_tokenizer_of_another_model_is_refused_before_anything_is_embedded() {
    let model = shared_model();
    if embedders().len() < 2 {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(&model).unwrap().flatten() {
        if entry.path().is_file() {
            std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
    }
    // Every token gets an id that the model has no row for, as in a model with a larger vocabulary; or most are not there.
    let path = folder.path().join("tokenizer.json");
    let whole: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let (mut larger, mut smaller) = (whole.clone(), whole);
    for id in larger["model"]["vocab"].as_object_mut().unwrap().values_mut() {
        *id = (id.as_u64().unwrap() + 500_000).into();
    }
    smaller["model"]["vocab"].as_object_mut().unwrap().retain(|_, id| id.as_u64().unwrap() < 2_000);
    let config = folder.path().join("config.json");
    let stated = std::fs::read_to_string(&config).unwrap();
    for (tokenizer, words) in [(larger, "its last token is 530521"), (smaller, "its last token is 1999")] {
        std::fs::write(&path, tokenizer.to_string()).unwrap();
        let refused = Embedder::open(&EmbedderChoice::Onnx(folder.path().to_path_buf()), 1);
        let error = refused.map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("the tokenizer is of another model") && error.contains(words), "{error}");
        // Where the model does not say how many tokens it has, the first text tells what it cannot take.
        std::fs::write(&config, "{\"pad_token_id\": 0}").unwrap();
        if words.contains("530521") {
            let refused = Embedder::open(&EmbedderChoice::Onnx(folder.path().to_path_buf()), 1);
            let error = refused.map(|_| ()).unwrap_err().to_string();
            assert!(error.contains("model and tokenizer do not work together"), "{error}");
        }
        std::fs::write(&config, &stated).unwrap();
    }
    std::fs::write(&path, "{\"not\": \"a tokenizer\"}").unwrap();
    let refused = Embedder::open(&EmbedderChoice::Onnx(folder.path().to_path_buf()), 1);
    let error = refused.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("hint: the folder needs"), "{error}");
}
