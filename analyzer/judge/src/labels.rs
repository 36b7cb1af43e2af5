//! People's scores: `DATA/judge/labels.jsonl`, one per line: `{"sample_id", "leg", "criterion", "score", "by"}`, scores 0 to 1.
//!
//! Two labels of one answer by the same person: the later line counts. By two people: the mean counts, and those that
//! disagree by more than [`DISAGREE`] are named. A label for a sample that is not there is named and left out.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use weir_meaning::legs::{Exchange, read};
use weir_sample::durable::{create_folder, write_atomically};
use weir_sample::{Kind, Leg, Score, Variant, list_files, read_file};

use crate::agreement::{Rated, Trust, trust};
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

/// Appends one label, durable when this returns.
///
/// # Errors
/// The file system refused.
pub fn append(data_dir: &Path, label: &Label) -> Result<(), LabelError> {
    let path = file(data_dir);
    let wrong = |message: String| LabelError::Line { path: path.display().to_string(), message };
    create_folder(data_dir, &data_dir.join("judge")).map_err(RunError::from)?;
    let mut line = serde_json::to_string(label).map_err(|error| wrong(error.to_string()))?;
    line.push('\n');
    let mut open =
        std::fs::File::options().append(true).create(true).open(&path).map_err(|e| wrong(e.to_string()))?;
    open.write_all(line.as_bytes()).and_then(|()| open.sync_data()).map_err(|error| wrong(error.to_string()))
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
    let exchanges = read(data_dir, experiment, None).map_err(RunError::from)?;
    let mut notes = Vec::new();
    let people = settle(labels, &exchanges, &mut notes);
    let mut trusts = Vec::new();
    for ((judge, criterion), scores) in scores(data_dir, experiment)? {
        let (mut rated, mut control, mut candidate) = (Vec::new(), Vec::new(), Vec::new());
        for ((id, leg), (variant, score)) in &scores {
            if *leg == "noise" {
                continue;
            }
            match people.get(&(id.clone(), (*leg).to_owned(), criterion.clone())) {
                Some(person) => rated.push(Rated {
                    candidate: *variant == Variant::Candidate,
                    person: *person,
                    judge: *score,
                    length: length(&exchanges, id, leg),
                }),
                None if *variant == Variant::Control => control.push(*score),
                None => candidate.push(*score),
            }
        }
        trusts.push(trust(&judge, &criterion, &rated, &control, &candidate));
    }
    let calibration = Calibration { trust: trusts, notes };
    let path = place(data_dir, experiment);
    if let Some(folder) = path.parent() {
        create_folder(data_dir, folder).map_err(RunError::from)?;
    }
    let wrong = |message: String| LabelError::Line { path: path.display().to_string(), message };
    write_atomically::<(), RunError>(&path, |file| {
        serde_json::to_writer_pretty(file, &calibration).map_err(|error| {
            weir_sample::durable::DurableError { path: path.clone(), action: "write", source: error.into() }
        })?;
        Ok(())
    })
    .map_err(|error| wrong(error.to_string()))?;
    Ok(calibration)
}

fn length(exchanges: &BTreeMap<String, Exchange>, id: &str, leg: &str) -> f64 {
    let answer = exchanges.get(id).and_then(|exchange| match leg {
        "shadow" => exchange.shadow.as_ref(),
        "noise" => exchange.noise.as_ref(),
        _ => exchange.primary.as_ref(),
    });
    answer.and_then(|answer| answer.text.as_ref()).map_or(0.0, |text| text.chars().count() as f64)
}

/// One score per answer and criterion.
fn settle(
    labels: &[Label],
    exchanges: &BTreeMap<String, Exchange>,
    notes: &mut Vec<String>,
) -> BTreeMap<(String, String, String), f64> {
    let mut by_person: BTreeMap<(String, String, String), BTreeMap<&str, f64>> = BTreeMap::new();
    let mut unknown = BTreeSet::new();
    for label in labels {
        if exchanges.contains_key(&label.sample_id) {
            let key = (label.sample_id.clone(), label.leg.clone(), label.criterion.clone());
            by_person.entry(key).or_default().insert(&label.by, label.score);
        } else {
            unknown.insert(label.sample_id.as_str());
        }
    }
    if !unknown.is_empty() {
        let first: Vec<&str> = unknown.iter().copied().take(5).collect();
        notes.push(format!(
            "labels of {} samples that are not there are left out: {}",
            unknown.len(),
            first.join(", ")
        ));
    }
    let mut settled = BTreeMap::new();
    for (key, scores) in by_person {
        let (low, high) =
            scores.values().fold((1.0_f64, 0.0_f64), |(low, high), s| (low.min(*s), high.max(*s)));
        if high - low > DISAGREE {
            notes.push(format!(
                "people disagree on {} ({}) of {}: {low} and {high}; the mean counts",
                key.2, key.1, key.0
            ));
        }
        let mean = scores.values().sum::<f64>() / scores.len() as f64;
        settled.insert(key, mean);
    }
    settled
}

type OfJudge = BTreeMap<(String, &'static str), (Variant, f64)>;

/// Scores that judges gave, by judge and criterion; distances are no judgements.
fn scores(data_dir: &Path, experiment: &str) -> Result<BTreeMap<(String, String), OfJudge>, LabelError> {
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

/// An answer to be labelled; whose it is stays unsaid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The exchange.
    pub sample_id: String,
    /// Which answer; not shown.
    pub leg: String,
    /// The prompt, without control characters.
    pub request: String,
    /// The answer, without control characters.
    pub answer: String,
}

/// Answers that `by` has not labelled completely, in an order that says nothing about the variant: those that a judge has
/// scored first (they shrink the corrected interval), then the others; variants in turn, so that both get labels.
///
/// # Errors
/// Samples or scores that cannot be read.
pub fn to_label(
    data_dir: &Path,
    experiment: &str,
    rubric: &crate::Rubric,
    labels: &[Label],
    by: &str,
) -> Result<Vec<Row>, LabelError> {
    let exchanges = read(data_dir, experiment, None).map_err(RunError::from)?;
    let judged: BTreeSet<(String, &'static str)> =
        scores(data_dir, experiment)?.into_values().flat_map(BTreeMap::into_keys).collect();
    let complete = |id: &str, leg: &str| {
        rubric.criteria.iter().all(|criterion| {
            labels.iter().any(|label| {
                label.by == by
                    && label.sample_id == id
                    && label.leg == leg
                    && label.criterion == criterion.name
            })
        })
    };
    let clean = |text: &str| -> String {
        text.chars().map(|letter| if letter.is_control() && letter != '\n' { ' ' } else { letter }).collect()
    };
    let mut arms: [Vec<(bool, u64, Row)>; 2] = [Vec::new(), Vec::new()];
    for (id, exchange) in &exchanges {
        for (leg, answer) in [("primary", &exchange.primary), ("shadow", &exchange.shadow)] {
            let Some(answer) = answer.as_ref() else { continue };
            let Some(text) = answer.text.as_deref().filter(|_| !complete(id, leg)) else { continue };
            let row = Row {
                sample_id: id.clone(),
                leg: leg.to_owned(),
                request: clean(exchange.request.as_deref().unwrap_or_default()),
                answer: clean(text),
            };
            let known = Leg::parse(leg).is_some_and(|leg| judged.contains(&(id.clone(), leg.as_str())));
            let order = xxhash_rust::xxh3::xxh3_64(format!("{id}{leg}").as_bytes());
            let [control, candidate] = &mut arms;
            let arm = if answer.variant == Variant::Control { control } else { candidate };
            arm.push((!known, order, row));
        }
    }
    let [mut control, mut candidate] = arms;
    control.sort_by_key(|(unknown, order, _)| (*unknown, *order));
    candidate.sort_by_key(|(unknown, order, _)| (*unknown, *order));
    // In turn, and which of the two comes first is by hash, so that the place in the list does not give it away.
    let mut rows = Vec::new();
    let (mut left, mut right) = (control.into_iter(), candidate.into_iter());
    loop {
        let mut two: Vec<(bool, u64, Row)> = [left.next(), right.next()].into_iter().flatten().collect();
        if two.is_empty() {
            return Ok(rows);
        }
        two.sort_by_key(|(_, order, _)| *order);
        rows.extend(two.into_iter().map(|(_, _, row)| row));
    }
}
