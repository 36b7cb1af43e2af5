//! One run over an experiment: read, embed, measure, store.
//!
//! Invariant: the scores' files have fixed names and hold every distance of the experiment, so that running again (or with
//! another embedder) replaces them whole and never mixes two embedders.

use std::path::{Path, PathBuf};

use weir_sample::durable::{DurableError, create_folder, write_atomically};
use weir_sample::{Kind, Leg, Score, Variant, WrittenFile, list_files, read_file, write_samples};
use weir_tripwire::{Answered, Mark, Seen, look};

use crate::DISTANCE_CRITERION;
use crate::cache::{Vectors, vectors};
use crate::drift::{above, classifier, kernel_swap, mean_flip, sign_flip};
use crate::embedder::Embedder;
use crate::error::MeaningError;
use crate::findings::{Findings, SCHEMA, SCHEMAS_READ};
use crate::legs::{Answer, Chosen, Exchange, read};
use crate::measured::{Measured, mean};
use crate::moved::{Prompts, moved, over_time};

/// Name of the score files.
const PART: &str = "part-distance-embedding";

/// What to embed and where it is.
#[derive(Clone, Debug)]
pub struct EmbedOptions {
    /// The data folder.
    pub data_dir: PathBuf,
    /// The experiment.
    pub experiment: String,
    /// Only this policy revision.
    pub revision: Option<i64>,
    /// Level of each test over all its looks.
    pub alpha: f64,
    /// Seed of the swaps.
    pub seed: u64,
}

/// What happens: texts to embed, done so far.
pub type Progress<'a> = dyn FnMut(usize, usize) + 'a;

/// Embeds an experiment, writes distances and findings; the number of texts embedded now.
///
/// # Errors
/// See [`MeaningError`].
pub fn embed(
    options: &EmbedOptions,
    embedder: &Embedder,
    progress: &mut Progress<'_>,
) -> Result<(Findings, usize), MeaningError> {
    let chosen = Chosen {
        experiment: &options.experiment,
        revision: options.revision,
        embedder: Some(embedder.identity()),
    };
    let exchanges = read(&options.data_dir, chosen)?;
    let texts: Vec<&str> = exchanges.values().flat_map(texts_of).collect();
    let vectors = vectors(&options.data_dir, embedder, &texts, progress)?;
    let mut measured: Vec<Measured<'_>> =
        exchanges.iter().map(|(id, exchange)| Measured::new(id, exchange, &vectors)).collect();
    measured.sort_by_key(|one| (one.exchange.ts_us(), one.id));
    let rows = scores(options, embedder.identity(), &measured);
    let written = write_samples(&options.data_dir, PART, rows)?;
    remove_older(options, &written)?;
    let findings = findings(options, embedder.identity(), &measured, &vectors)?;
    store(&options.data_dir, &findings)?;
    Ok((findings, vectors.embedded))
}

/// The findings of the last run, if there was one.
///
/// # Errors
/// A file that is not one of this version.
pub fn read_findings(data_dir: &Path, experiment: &str) -> Result<Option<Findings>, MeaningError> {
    let path = file(data_dir, experiment);
    let wrong = |message: String| MeaningError::Findings { path: path.clone(), message };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(wrong(error.to_string())),
    };
    let findings: Findings = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    if SCHEMAS_READ.contains(&findings.schema.as_str()) {
        Ok(Some(findings))
    } else {
        Err(wrong(format!("schema is {:?}; expected {SCHEMA:?}", findings.schema)))
    }
}

fn file(data_dir: &Path, experiment: &str) -> PathBuf {
    data_dir.join("meaning").join(format!("experiment={experiment}")).join("drift.json")
}

fn store(data_dir: &Path, findings: &Findings) -> Result<(), MeaningError> {
    let path = file(data_dir, &findings.experiment);
    if let Some(folder) = path.parent() {
        create_folder(data_dir, folder)?;
    }
    let wrong = |message: String| MeaningError::Findings { path: path.clone(), message };
    write_atomically(&path, |file| {
        serde_json::to_writer_pretty(file, findings).map_err(|error| wrong(error.to_string()))
    })
}

fn texts_of(exchange: &Exchange) -> impl Iterator<Item = &str> {
    let answers = [&exchange.primary, &exchange.shadow, &exchange.noise];
    answers
        .into_iter()
        .flatten()
        .filter_map(|answer| answer.text.as_deref())
        .chain(exchange.request.as_deref().filter(|text| !text.trim().is_empty()))
}

/// Distances of an earlier run, with another embedder or revision, that this one did not replace.
fn remove_older(options: &EmbedOptions, written: &[WrittenFile]) -> Result<(), MeaningError> {
    for path in list_files(&options.data_dir, Kind::Scores, Some(&options.experiment))? {
        let ours = path.file_stem().is_some_and(|name| name == PART);
        if ours && !written.iter().any(|file| file.path == path) {
            std::fs::remove_file(&path).map_err(|source| DurableError { path, action: "remove", source })?;
        }
    }
    Ok(())
}

fn scores(options: &EmbedOptions, judge: &str, measured: &[Measured<'_>]) -> Vec<Score> {
    let row = |one: &Measured<'_>, leg: Leg, score: f64, answer: &Answer| Score {
        experiment: options.experiment.clone(),
        sample_id: one.id.to_owned(),
        leg,
        variant: answer.variant,
        ts_us: answer.ts_us,
        criterion: DISTANCE_CRITERION.to_owned(),
        score,
        judge: Some(judge.to_owned()),
        reason: None,
    };
    let mut rows = Vec::new();
    for one in measured {
        if let (Some(score), Some(answer)) = (one.shadow, &one.exchange.shadow) {
            rows.push(row(one, Leg::Shadow, score, answer));
        }
        if let (Some(score), Some(answer)) = (one.noise, &one.exchange.noise) {
            rows.push(row(one, Leg::Noise, score, answer));
        }
    }
    rows
}

fn findings(
    options: &EmbedOptions,
    embedder: &str,
    measured: &[Measured<'_>],
    vectors: &Vectors,
) -> Result<Findings, MeaningError> {
    let pairs: Vec<(&[f32], &[f32])> = measured
        .iter()
        .filter(|one| one.shadow.is_some())
        .filter_map(|one| one.exchange.pair())
        .filter_map(|(left, right)| Some((vectors.of_answer(left)?, vectors.of_answer(right)?)))
        .collect();
    let excess: Vec<f64> = measured.iter().filter_map(|one| Some(one.shadow? - one.noise?)).collect();
    let shadow: Vec<f64> = measured.iter().filter_map(|one| one.shadow).collect();
    let noise: Vec<f64> = measured.iter().filter_map(|one| one.noise).collect();
    let served = |variant: Variant| -> Vec<&[f32]> {
        let answers = measured.iter().filter_map(|one| one.exchange.primary.as_ref());
        answers
            .filter(|answer| answer.variant == variant)
            .filter_map(|answer| vectors.of_answer(answer))
            .collect()
    };
    let legs =
        measured.iter().flat_map(|one| [&one.exchange.primary, &one.exchange.shadow, &one.exchange.noise]);
    let prompts = Prompts::new(measured, vectors);
    let (tripwires, not_looked_at) = look(&seen(measured, mean_scores(options)?));
    Ok(Findings {
        schema: SCHEMA.to_owned(),
        experiment: options.experiment.clone(),
        embedder: embedder.to_owned(),
        revision: options.revision,
        alpha: options.alpha,
        pairs: pairs.len(),
        noise_pairs: measured.iter().filter(|one| one.noise.is_some()).count(),
        without_text: legs.flatten().filter(|answer| !answer.has_content()).count(),
        distance: mean(measured.iter().filter_map(|one| one.shadow)),
        noise_distance: mean(measured.iter().filter_map(|one| one.noise)),
        beyond_noise: sign_flip(&excess, options.alpha, options.seed),
        beyond_noise_apart: above(&noise, &shadow, options.alpha),
        systematic: kernel_swap(&pairs, options.alpha, options.seed),
        mean_shift: mean_flip(&pairs, options.alpha, options.seed),
        cohorts: classifier(&served(Variant::Control), &served(Variant::Candidate), options.alpha),
        moved: moved(measured, &prompts),
        over_time: over_time(measured),
        map: prompts.map(options.seed),
        tripwires,
        not_looked_at,
    })
}

fn seen(measured: &[Measured<'_>], scores: Option<(f64, f64)>) -> Seen {
    let mut seen = Seen { scores, ..Seen::default() };
    for one in measured {
        let exchange = one.exchange;
        let mark = |answer: &Option<Answer>| {
            let answer = answer.as_ref()?;
            Some(Answered {
                by_candidate: answer.variant == Variant::Candidate,
                mark: Mark::of(exchange.request.as_deref(), answer.text.as_deref()?)?,
            })
        };
        seen.take(mark(&exchange.primary), mark(&exchange.shadow), mark(&exchange.noise));
    }
    seen
}

/// Mean of all judges' scores by variant; distances are no scores.
fn mean_scores(options: &EmbedOptions) -> Result<Option<(f64, f64)>, MeaningError> {
    let mut sums = [(0.0, 0_u32); 2];
    for path in list_files(&options.data_dir, Kind::Scores, Some(&options.experiment))? {
        // `weir analyze` names what cannot be read.
        for score in read_file::<Score>(&path).unwrap_or_default() {
            if score.criterion.starts_with("distance:") || score.leg == Leg::Noise {
                continue;
            }
            let [control, candidate] = &mut sums;
            let sum = if score.variant == Variant::Control { control } else { candidate };
            *sum = (sum.0 + score.score, sum.1 + 1);
        }
    }
    let [(control, m), (candidate, n)] = sums;
    Ok((m > 0 && n > 0).then(|| (control / f64::from(m), candidate / f64::from(n))))
}
