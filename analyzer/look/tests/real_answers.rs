//! Looks at real answers of real models, their meaning embedded and their judge's scores in the scores table, where model,
//! runtime and answers are beside the project; skipped otherwise, with a line that says so.
//!
//! Answers count by their first [`CHARACTERS`] characters, so that the test is short; `WEIR_WHOLE_ANSWERS=1` takes them whole.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use weir_gate::{Spending, Verdict};
use weir_look::Look;
use weir_meaning::{EmbedOptions, Embedder, EmbedderChoice, Findings, MeaningError};
use weir_metrics::{Cache, LoadOptions};
use weir_sample::{Leg, Sample, Score, Variant, write_samples};

const CHARACTERS: usize = 160;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

struct Real {
    embedder: Embedder,
    /// Dataset and instruction by id.
    asked: BTreeMap<String, (String, String)>,
    /// One data folder, so that every text is embedded once.
    data: tempfile::TempDir,
}

fn lines(path: &Path) -> Option<Vec<serde_json::Value>> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn folder() -> PathBuf {
    root().join("../shared/data/alpaca_eval")
}

fn text(row: &serde_json::Value, name: &str) -> String {
    row[name].as_str().unwrap().to_owned()
}

/// A model, the leg and variant that its answers are, and which exchanges (by number) it is asked in.
type AskedLeg<'a> = (&'a str, Leg, Variant, fn(usize) -> bool);

impl Real {
    fn new() -> Option<Self> {
        // Tests run in the crate's folder; the usual places are relative to the project's.
        std::env::set_current_dir(root()).unwrap();
        let Some(rows) = lines(&folder().join("instructions.jsonl")) else {
            println!("skipped: no real answers in {}", folder().display());
            return None;
        };
        let model = root().join("../shared/models/all-MiniLM-L6-v2");
        let embedder = match Embedder::open(&EmbedderChoice::Onnx(model), 2) {
            Ok(embedder) => embedder,
            Err(error @ (MeaningError::NoRuntime { .. } | MeaningError::Model { .. })) => {
                println!("skipped: {error}");
                return None;
            }
            Err(error) => panic!("{error}"),
        };
        let asked =
            rows.iter().map(|row| (text(row, "id"), (text(row, "dataset"), text(row, "instruction"))));
        Some(Self { embedder, asked: asked.collect(), data: tempfile::tempdir().unwrap() })
    }

    /// Output and judge score by id.
    fn answers(&self, model: &str) -> BTreeMap<String, (String, f64)> {
        let rows = lines(&folder().join(format!("outputs/{model}.jsonl"))).unwrap();
        let cut = if whole() { usize::MAX } else { CHARACTERS };
        let short = |row: &serde_json::Value| text(row, "output").chars().take(cut).collect::<String>();
        rows.iter().map(|row| (text(row, "id"), (short(row), row["judge_score"].as_f64().unwrap()))).collect()
    }

    /// An experiment of these legs; each takes the exchanges that it is asked for, by number.
    fn experiment(&self, name: &str, legs: &[AskedLeg<'_>]) {
        let (mut samples, mut scores) = (Vec::new(), Vec::new());
        for (model, leg, variant, takes) in legs {
            let answers = self.answers(model);
            for (at, (id, (dataset, instruction))) in
                self.asked.iter().enumerate().filter(|(at, _)| takes(*at))
            {
                let (answer, score) = &answers[id];
                let ts_us = 1_700_000_000_000_000 + at as i64 * 1_000_000;
                let primary = *leg == Leg::Primary;
                samples.push(Sample {
                    experiment: name.to_owned(),
                    sample_id: id.clone(),
                    leg: *leg,
                    variant: *variant,
                    ts_us,
                    inclusion_probability: 1.0,
                    request_text: primary.then(|| instruction.clone()),
                    response_text: Some(answer.clone()),
                    tags: [("dataset".to_owned(), dataset.clone())].into(),
                    ..Sample::default()
                });
                scores.push(Score {
                    experiment: name.to_owned(),
                    sample_id: id.clone(),
                    leg: *leg,
                    variant: *variant,
                    ts_us,
                    criterion: "preferred".to_owned(),
                    score: *score,
                    judge: Some("gpt-4".to_owned()),
                    reason: None,
                });
            }
        }
        write_samples(self.data.path(), "part-1", samples).unwrap();
        write_samples(self.data.path(), "part-scores", scores).unwrap();
    }

    fn embed(&self, name: &str) -> Findings {
        let options = EmbedOptions {
            data_dir: self.data.path().into(),
            experiment: name.to_owned(),
            revision: None,
            alpha: 0.05,
            seed: 1,
        };
        weir_meaning::embed(&options, &self.embedder, &mut |_, _| {}).unwrap().0
    }

    fn look(&self, name: &str) -> Look {
        let options = LoadOptions {
            data_dir: self.data.path().into(),
            experiment: Some(name.to_owned()),
            ..LoadOptions::default()
        };
        Look::take(&options, None, Spending::ALL, &mut Cache::default()).unwrap()
    }
}

fn whole() -> bool {
    std::env::var_os("WEIR_WHOLE_ANSWERS").is_some()
}

fn all(_: usize) -> bool {
    true
}

fn even(at: usize) -> bool {
    at.is_multiple_of(2)
}

fn odd(at: usize) -> bool {
    !even(at)
}

#[test]
fn real_answers_with_embeddings_and_scores_get_the_class_that_is_true_of_them() {
    let Some(real) = Real::new() else { return };
    let cases: [(&str, &str, &[Verdict]); 5] = [
        (
            "vicuna-13b-v1.5",
            "vicuna-13b-v1.5-togetherai",
            &[Verdict::Hold, Verdict::Promote, Verdict::Investigate],
        ),
        ("gpt-3.5-turbo-1106", "gpt-3.5-turbo-1106_concise", &[Verdict::Rollback, Verdict::Investigate]),
        ("gpt-3.5-turbo-1106", "gpt-3.5-turbo-1106_verbose", &[Verdict::SignOff, Verdict::Investigate]),
        ("claude-2", "vicuna-7b", &[Verdict::Rollback]),
        ("vicuna-7b", "claude-2", &[Verdict::SignOff]),
    ];
    for (at, (control, candidate, expected)) in cases.into_iter().enumerate() {
        if !whole() && (candidate.ends_with("_concise") || candidate.ends_with("_verbose")) {
            println!(
                "skipped: {candidate} differs by length, which is seen in whole answers (WEIR_WHOLE_ANSWERS=1)"
            );
            continue;
        }
        let name = format!("case-{at}");
        real.experiment(
            &name,
            &[
                (control, Leg::Primary, Variant::Control, all),
                (candidate, Leg::Shadow, Variant::Candidate, all),
            ],
        );
        let findings = real.embed(&name);
        let look = real.look(&name);
        println!("{control} -> {candidate}: {}; {}", look.evaluation.verdict, findings.sentence());
        for reason in &look.evaluation.reasons {
            println!("    {}", reason.text);
        }
        assert!(
            expected.contains(&look.evaluation.verdict),
            "{control} -> {candidate}: {}",
            look.evaluation.verdict
        );
        let report = look.report(real.data.path(), Vec::new()).unwrap();
        let meaning = report.meaning.unwrap();
        assert_eq!(meaning.embedder, real.embedder.identity());
        assert_eq!(meaning.pairs, 805);
        assert!(meaning.moved.iter().any(|group| group.dimension == "cluster"));
        assert!(meaning.moved.iter().any(|group| group.dimension == "tag:dataset"));
        assert_eq!(report.prompts.unwrap().points.len(), 805);
    }
}

// One second answer of the same weights is recorded. Where copies are drawn apart, as the filter draws them, it can be both:
// the candidate's answer to every second prompt and control's second answer to the others.
#[test]
fn two_hosts_of_the_same_weights_are_no_divergence_beyond_noise_and_another_model_is() {
    let Some(real) = Real::new() else { return };
    let (one, other) = ("vicuna-13b-v1.5", "vicuna-13b-v1.5-togetherai");
    for (name, candidate, diverged) in [("hosts", other, false), ("models", "claude-2", true)] {
        real.experiment(
            name,
            &[
                (one, Leg::Primary, Variant::Control, all),
                (candidate, Leg::Shadow, Variant::Candidate, odd),
                (other, Leg::Noise, Variant::Control, even),
            ],
        );
        let findings = real.embed(name);
        println!("{name}: {} {:?}", findings.sentence(), findings.beyond_noise_apart);
        assert_eq!((findings.pairs, findings.noise_pairs), (402, 403));
        assert_eq!(findings.diverged(), diverged, "{}", findings.sentence());
        assert!(!findings.beyond_noise_apart.looks.is_empty());
    }
}
