//! People's scores: `DATA/judge/labels.jsonl`, one per line: `{"sample_id", "leg", "criterion", "score", "by", "probability"}`,
//! scores 0 to 1.
//!
//! Two labels of one answer by the same person: the later line counts. By two people: the mean counts, and those that
//! disagree by more than [`DISAGREE`] are named. A label for a sample that is not there is named and left out.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use weir_meaning::legs::{Chosen, Exchange, read};
use weir_sample::durable::{create_folder, write_atomically};
use weir_sample::{Kind, Leg, Score, Variant, list_files, read_file};

use crate::Rubric;
use crate::agreement::{Rated, Trust, trust};
use crate::breakdown::{Steady, parts, steadiness_file};
use crate::run::RunError;

/// Difference of two people's scores from which on they disagree.
pub const DISAGREE: f64 = 0.5;

/// A file of labels that cannot be read.
#[derive(Debug, Error)]
pub enum LabelError {
    /// The file, or a line of it.
    #[error(
        "{path}: {message}\n  hint: each line is {{\"sample_id\": ..., \"leg\": \"primary\", \"criterion\": ..., \"score\": 0 to 1, \"by\": ...}}"
    )]
    Line {
        /// The file.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// The record of who was to be asked what.
    #[error(
        "{path}: {message}\n  hint: `weir label` writes this file; without it, earlier draws are not known, and estimates may be biased"
    )]
    Asked {
        /// The file.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// Samples and scores.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// A person's score of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// The exchange.
    pub sample_id: String,
    /// Which answer.
    pub leg: String,
    /// The criterion.
    pub criterion: String,
    /// 0 to 1.
    pub score: f64,
    /// Who says so.
    #[serde(default)]
    pub by: String,
    /// The probability with which this answer was chosen to be asked about, up to a factor that is the same for all of
    /// them; without it all had the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
}

/// What people say of one answer by one criterion.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// The exchange.
    pub sample_id: String,
    /// Which answer.
    pub leg: Leg,
    /// The criterion.
    pub criterion: String,
    /// 0 to 1.
    pub score: f64,
    /// One over the probability.
    pub weight: f64,
    /// The greatest difference between two people.
    pub spread: f64,
}

/// The file of a data folder.
#[must_use]
pub fn file(data_dir: &Path) -> PathBuf {
    data_dir.join("judge").join("labels.jsonl")
}

/// Reads labels; every bad line is an error at once.
///
/// # Errors
/// The first bad line of the file.
pub fn read_labels(path: &Path) -> Result<Vec<Label>, LabelError> {
    read_with(path, &|_| true)
}

/// The same, where every label has to be of a criterion of the rubric, or `NAME-pairwise` of one.
///
/// # Errors
/// As [`read_labels`].
pub fn read_labels_by(path: &Path, rubric: &Rubric) -> Result<Vec<Label>, LabelError> {
    let of_pairs = rubric.of_pairs();
    let all = || rubric.criteria.iter().chain(&of_pairs.criteria);
    read_with(path, &|name| all().any(|criterion| criterion.name == name))
}

fn read_with(path: &Path, is_criterion: &dyn Fn(&str) -> bool) -> Result<Vec<Label>, LabelError> {
    let wrong = |message: String| LabelError::Line { path: path.display().to_string(), message };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(wrong(error.to_string())),
    };
    let mut labels = Vec::new();
    let mut problems = Vec::new();
    for (line, row) in text.lines().enumerate().filter(|(_, row)| !row.trim().is_empty()) {
        match serde_json::from_str::<Label>(row) {
            Ok(label) if !(0.0..=1.0).contains(&label.score) => {
                problems.push(format!("line {}: score {} is not between 0 and 1", line + 1, label.score));
            }
            Ok(Label { probability: Some(chance), .. }) if !(chance > 0.0 && chance <= 1.0) => {
                problems
                    .push(format!("line {}: probability {chance} is not above 0 and at most 1", line + 1));
            }
            Ok(label) if !is_criterion(&label.criterion) => {
                problems.push(format!(
                    "line {}: criterion {:?} is not in the rubric",
                    line + 1,
                    label.criterion
                ));
            }
            Ok(label) if Leg::parse(&label.leg).is_none() => {
                problems.push(format!(
                    "line {}: leg is {:?}; allowed: {}",
                    line + 1,
                    label.leg,
                    Leg::ALL.join(", ")
                ));
            }
            Ok(label) => labels.push(label),
            Err(error) => problems.push(format!("line {}: {error}", line + 1)),
        }
    }
    if problems.is_empty() { Ok(labels) } else { Err(wrong(problems.join("; "))) }
}

/// Appends labels, durable when this returns.
///
/// # Errors
/// The file system refused.
pub fn append(data_dir: &Path, labels: &[Label]) -> Result<(), LabelError> {
    let path = file(data_dir);
    let wrong = |message: String| LabelError::Line { path: path.display().to_string(), message };
    create_folder(data_dir, &data_dir.join("judge")).map_err(RunError::from)?;
    let mut lines = String::new();
    for label in labels {
        lines += &serde_json::to_string(label).map_err(|error| wrong(error.to_string()))?;
        lines.push('\n');
    }
    let mut open =
        std::fs::File::options().append(true).create(true).open(&path).map_err(|e| wrong(e.to_string()))?;
    open.write_all(lines.as_bytes()).and_then(|()| open.sync_data()).map_err(|error| wrong(error.to_string()))
}

/// How far each judge is to be trusted, and what was left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Judges by criterion.
    pub trust: Vec<Trust>,
    /// Labels left out, disagreements.
    pub notes: Vec<String>,
}

fn place(data_dir: &Path, experiment: &str) -> PathBuf {
    data_dir.join("judge").join(format!("experiment={experiment}")).join("calibration.json")
}

/// The calibration that is stored, if there is one.
///
/// # Errors
/// A file that is none.
pub fn stored(data_dir: &Path, experiment: &str) -> Result<Option<Calibration>, LabelError> {
    let path = place(data_dir, experiment);
    let wrong = |message: String| LabelError::Line { path: path.display().to_string(), message };
    match std::fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).map(Some).map_err(|error| wrong(error.to_string())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(wrong(error.to_string())),
    }
}

/// Compares the scores that `weir judge` wrote with the labels, and stores what it finds.
///
/// # Errors
/// Labels, samples or scores that cannot be read.
pub fn calibrate(data_dir: &Path, experiment: &str, labels: &[Label]) -> Result<Calibration, LabelError> {
    let exchanges = read(data_dir, Chosen::texts(experiment)).map_err(RunError::from)?;
    let settled = settled(labels);
    let notes = notes(&settled, &exchanges);
    let people: BTreeMap<(&str, &str, &str), f64> = settled
        .iter()
        .map(|one| ((one.sample_id.as_str(), one.leg.as_str(), one.criterion.as_str()), one.score))
        .collect();
    let steady = steady(data_dir, experiment)?;
    let mut trusts = Vec::new();
    for ((judge, criterion), scores) in scores(data_dir, experiment)? {
        let (mut rated, mut control, mut candidate) = (Vec::new(), Vec::new(), Vec::new());
        for ((id, leg), (variant, score)) in &scores {
            if *leg == "noise" {
                continue;
            }
            match people.get(&(id.as_str(), *leg, criterion.as_str())) {
                Some(person) => {
                    let one = Rated {
                        candidate: *variant == Variant::Candidate,
                        person: *person,
                        judge: *score,
                        length: length(&exchanges, id, leg),
                    };
                    rated.push((one, parts_of(exchanges.get(id), *variant)));
                }
                None if *variant == Variant::Control => control.push(*score),
                None => candidate.push(*score),
            }
        }
        let plain: Vec<Rated> = rated.iter().map(|(one, _)| *one).collect();
        let steady = steady.get(&judge).and_then(|of| of.get(&criterion)).copied().unwrap_or_default();
        let trust = trust(&judge, &criterion, &plain, &control, &candidate);
        trusts.push(Trust { parts: parts(&rated), position: steady.position, twice: steady.twice, ..trust });
    }
    let calibration = Calibration { trust: trusts, notes };
    write_json(data_dir, &place(data_dir, experiment), &calibration)?;
    Ok(calibration)
}

/// The variant and the segments of an answer, as parts of its judge's agreement.
fn parts_of(exchange: Option<&Exchange>, variant: Variant) -> Vec<String> {
    let mut parts = vec![format!("variant={}", variant.as_str())];
    let segments = exchange.into_iter().flat_map(|exchange| &exchange.segments);
    parts.extend(segments.map(|(dimension, value)| format!("{dimension}={value}")));
    parts
}

/// What [`crate::run::judge`] left about orders and repeated questions.
pub(crate) fn steady(data_dir: &Path, experiment: &str) -> Result<Steady, LabelError> {
    let path = steadiness_file(data_dir, experiment);
    let wrong = |message: String| LabelError::Line { path: path.display().to_string(), message };
    match std::fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| wrong(error.to_string())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Steady::new()),
        Err(error) => Err(wrong(error.to_string())),
    }
}

/// Writes a JSON document into a data folder, whole or not at all.
pub(crate) fn write_json(data_dir: &Path, path: &Path, value: &impl Serialize) -> Result<(), RunError> {
    if let Some(folder) = path.parent() {
        create_folder(data_dir, folder)?;
    }
    write_atomically::<(), RunError>(path, |file| {
        serde_json::to_writer_pretty(file, value).map_err(|error| weir_sample::durable::DurableError {
            path: path.to_path_buf(),
            action: "write",
            source: error.into(),
        })?;
        Ok(())
    })
}

fn length(exchanges: &BTreeMap<String, Exchange>, id: &str, leg: &str) -> f64 {
    let answer = exchanges.get(id).and_then(|exchange| match leg {
        "shadow" => exchange.shadow.as_ref(),
        "noise" => exchange.noise.as_ref(),
        _ => exchange.primary.as_ref(),
    });
    answer.and_then(|answer| answer.text.as_ref()).map_or(0.0, |text| text.chars().count() as f64)
}

/// One score per answer and criterion, in the order in which the answers were first labelled.
#[must_use]
pub fn settled(labels: &[Label]) -> Vec<Settled> {
    type Place<'a> = (&'a str, &'a str, &'a str);
    let mut places: BTreeMap<Place<'_>, usize> = BTreeMap::new();
    let mut answers: Vec<(&Label, BTreeMap<&str, f64>)> = Vec::new();
    for label in labels {
        let key = (label.sample_id.as_str(), label.leg.as_str(), label.criterion.as_str());
        let place = *places.entry(key).or_insert(answers.len());
        if place == answers.len() {
            answers.push((label, BTreeMap::new()));
        }
        if let Some((_, scores)) = answers.get_mut(place) {
            scores.insert(&label.by, label.score);
        }
    }
    let one = |(label, scores): (&Label, BTreeMap<&str, f64>)| {
        let (low, high) =
            scores.values().fold((1.0_f64, 0.0_f64), |(low, high), s| (low.min(*s), high.max(*s)));
        Some(Settled {
            sample_id: label.sample_id.clone(),
            leg: Leg::parse(&label.leg)?,
            criterion: label.criterion.clone(),
            score: scores.values().sum::<f64>() / scores.len() as f64,
            weight: label.probability.map_or(1.0, |chance| 1.0 / chance),
            spread: high - low,
        })
    };
    answers.into_iter().filter_map(one).collect()
}

/// Labels for samples that are not there, and answers on which people disagree.
fn notes(settled: &[Settled], exchanges: &BTreeMap<String, Exchange>) -> Vec<String> {
    let known = |one: &&Settled| exchanges.contains_key(&one.sample_id);
    let unknown: BTreeSet<&str> =
        settled.iter().filter(|one| !known(one)).map(|one| one.sample_id.as_str()).collect();
    let mut notes = Vec::new();
    if !unknown.is_empty() {
        let first: Vec<&str> = unknown.iter().copied().take(5).collect();
        notes.push(format!(
            "labels of {} samples that are not there are left out: {}",
            unknown.len(),
            first.join(", ")
        ));
    }
    for one in settled.iter().filter(known).filter(|one| one.spread > DISAGREE) {
        notes.push(format!(
            "people disagree by {:.2} on {} ({}) of {}: the mean {:.2} counts",
            one.spread,
            one.criterion,
            one.leg.as_str(),
            one.sample_id,
            one.score
        ));
    }
    notes
}

/// The scores of one judge by answer.
pub(crate) type OfJudge = BTreeMap<(String, &'static str), (Variant, f64)>;

/// Scores that judges gave, by judge and criterion; distances are no judgements.
pub(crate) fn scores(
    data_dir: &Path,
    experiment: &str,
) -> Result<BTreeMap<(String, String), OfJudge>, LabelError> {
    let mut all: BTreeMap<(String, String), OfJudge> = BTreeMap::new();
    let files = list_files(data_dir, Kind::Scores, Some(experiment)).map_err(RunError::from)?;
    for path in files {
        for score in read_file::<Score>(&path).map_err(RunError::from)? {
            if score.criterion.starts_with("distance:") {
                continue;
            }
            let judge = score.judge.unwrap_or_else(|| "unnamed".to_owned());
            let of = all.entry((judge, score.criterion)).or_default();
            of.insert((score.sample_id, score.leg.as_str()), (score.variant, score.score));
        }
    }
    Ok(all)
}
