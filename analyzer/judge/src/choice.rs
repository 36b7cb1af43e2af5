//! Which answers people are asked about: those that shrink an undecided gate's interval most, by chance with known
//! probabilities, so that the estimates stay unbiased.
//!
//! Exchanges are visited in an order by hash, and each is drawn with a probability of its own. The best probability is in
//! proportion to the error that is expected of the judge there (T. Zrnic, E. Candès, "Active statistical inference", 2024,
//! section 3: the root of the expected squared residual); it is learned from the labels so far in a few bins of the judge's
//! difference, and never falls below [`CHANCE_MIN`] of the greatest one, so that no answer counts for more than some others
//! together. Exchanges that are not a pair, and those outside the segments of undecided gates, are drawn at [`ASIDE`] of that.
//!
//! `DATA/judge/experiment=E/asked.jsonl` has a line for each exchange that was visited, drawn or not, written before anybody
//! is asked: a later session first finishes what was drawn, and never draws an exchange twice. Both answers of a drawn
//! exchange are asked about, at places that say nothing about the variant.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use weir_meaning::legs::{Chosen, Exchange, read};
use weir_sample::durable::{DurableError, create_folder, write_atomically};
use weir_sample::{Leg, Variant};

use crate::Rubric;
use crate::labels::{Label, LabelError, OfJudge, Settled, scores, settled};
use crate::run::RunError;

/// Least probability, in units of the greatest.
pub const CHANCE_MIN: f64 = 0.25;
/// What exchanges aside of an undecided gate have of their probability.
pub const ASIDE: f64 = 0.25;
/// Bins of the judge's difference: none, up to a half, more.
const BINS: usize = 3;
/// Labels that each bin is taken to have at the mean error of all, before it has any of its own.
const PRIOR: f64 = 6.0;

/// Parts of the traffic, each with its labels by dimension.
pub type Segments = Vec<BTreeMap<String, String>>;

/// What people are to be asked.
#[derive(Clone, Debug)]
pub struct ChoiceOptions {
    /// The data folder.
    pub data_dir: PathBuf,
    /// The experiment.
    pub experiment: String,
    /// Answers.
    pub count: usize,
    /// Of the draws.
    pub seed: u64,
    /// Criteria of gates that are undecided; of none, all count.
    pub criteria: Vec<String>,
    /// Segments that undecided gates are about; of none, all of the traffic.
    pub segments: Segments,
    /// Only exchanges with both answers, which are asked about together.
    pub pairs_only: bool,
}

/// An answer to be labelled; whose it is stays unsaid.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The exchange.
    pub sample_id: String,
    /// Which answer; not shown.
    pub leg: String,
    /// The prompt, without control characters.
    pub request: String,
    /// The answer, without control characters.
    pub answer: String,
    /// With which probability it was drawn, up to a factor.
    pub probability: f64,
}

/// An exchange that was visited.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Visited {
    sample_id: String,
    probability: f64,
    drawn: bool,
}

/// Answers to ask about: first those of exchanges that were drawn before and are not labelled completely, then newly drawn
/// ones, whose draws are on disk when this returns.
///
/// # Errors
/// Samples or scores that cannot be read, draws that cannot be read or written.
pub fn choose(options: &ChoiceOptions, rubric: &Rubric, labels: &[Label]) -> Result<Vec<Row>, LabelError> {
    let exchanges = read(&options.data_dir, Chosen::texts(&options.experiment)).map_err(RunError::from)?;
    let judged = judged(options, rubric, scores(&options.data_dir, &options.experiment)?);
    let visited = visits(&options.data_dir, &options.experiment)?;
    let done: BTreeSet<(&str, &str, &str)> = labels
        .iter()
        .map(|label| (label.sample_id.as_str(), label.leg.as_str(), label.criterion.as_str()))
        .collect();
    let open = |id: &str, exchange: &Exchange, probability: f64| -> Vec<Row> {
        let complete = |leg: &str| {
            rubric.criteria.iter().all(|criterion| done.contains(&(id, leg, criterion.name.as_str())))
        };
        let rows = rows(id, exchange, probability);
        if options.pairs_only && rows.len() != 2 {
            return Vec::new();
        }
        rows.into_iter().filter(|row| !complete(&row.leg)).collect()
    };
    let mut chosen: Vec<Row> = visited
        .iter()
        .filter(|one| one.drawn)
        .filter_map(|one| Some(open(&one.sample_id, exchanges.get(&one.sample_id)?, one.probability)))
        .flatten()
        .collect();
    let known: BTreeSet<String> = visited
        .iter()
        .map(|one| &one.sample_id)
        .chain(labels.iter().map(|label| &label.sample_id))
        .cloned()
        .collect();
    let errors = Errors::learn(&settled(labels), &judged);
    let mut waiting: Vec<(u64, &String, &Exchange)> = exchanges
        .iter()
        .filter(|(id, _)| !known.contains(*id))
        .filter(|(id, exchange)| {
            let mut rows = rows(id, exchange, 1.0);
            // Where a judge has scored some answers, a label of another one corrects nothing.
            rows.retain(|row| {
                judged.is_empty() || judged.contains_key(&(row.sample_id.clone(), row.leg.clone()))
            });
            if options.pairs_only { rows.len() == 2 } else { !rows.is_empty() }
        })
        .map(|(id, exchange)| (hash(options.seed, "visit", id), id, exchange))
        .collect();
    waiting.sort_unstable_by_key(|(order, id, _)| (*order, *id));
    let pairs = waiting.iter().any(|(_, _, exchange)| exchange.pair().is_some());
    let mut now = Vec::new();
    for (_, id, exchange) in waiting {
        if chosen.len() >= options.count {
            break;
        }
        let probability = errors.chance(id, &judged)
            * if exchange.pair().is_none() && pairs { ASIDE } else { 1.0 }
            * if inside(exchange, &options.segments) { 1.0 } else { ASIDE };
        let drawn = unit(hash(options.seed, "draw", id)) < probability;
        if drawn {
            chosen.extend(open(id, exchange, probability));
        }
        now.push(Visited { sample_id: id.clone(), probability, drawn });
    }
    if !now.is_empty() {
        let all: Vec<Visited> = visited.into_iter().chain(now).collect();
        record(&options.data_dir, &options.experiment, &all)?;
    }
    chosen.sort_by_key(|row| hash(options.seed, &row.leg, &row.sample_id));
    Ok(chosen)
}

/// Pairs to ask about, by the criteria of [`Rubric::of_pairs`]; which of the two answers comes first is drawn.
///
/// # Errors
/// As [`choose`].
pub fn choose_pairs(
    options: &ChoiceOptions,
    rubric: &Rubric,
    labels: &[Label],
) -> Result<Vec<[Row; 2]>, LabelError> {
    let options = ChoiceOptions { count: 2 * options.count, pairs_only: true, ..options.clone() };
    let mut of_exchange: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    let mut order = Vec::new();
    for row in choose(&options, &rubric.of_pairs(), labels)? {
        let rows = of_exchange.entry(row.sample_id.clone()).or_default();
        if rows.is_empty() {
            order.push(row.sample_id.clone());
        }
        rows.push(row);
    }
    let pair = |id: &String| {
        let mut pair: [Row; 2] = of_exchange.remove(id)?.try_into().ok()?;
        pair.sort_by_key(|row| hash(options.seed, &row.leg, &row.sample_id));
        Some(pair)
    };
    Ok(order.iter().filter_map(pair).collect())
}

/// Whether an exchange is in one of the segments; in all of the traffic where there are none.
pub(crate) fn inside(exchange: &Exchange, segments: &Segments) -> bool {
    let has = |(dimension, value): (&String, &String)| {
        // The report calls a path's segment its route.
        let dimension = if dimension == "route" { "path" } else { dimension };
        exchange.segments.get(dimension) == Some(value)
    };
    segments.is_empty() || segments.iter().any(|segment| segment.iter().all(has))
}

/// The judges' mean score of each answer, over the criteria that count.
type Judged = BTreeMap<(String, String), f64>;

fn judged(options: &ChoiceOptions, rubric: &Rubric, scores: BTreeMap<(String, String), OfJudge>) -> Judged {
    let counts = |name: &str| {
        let of_rubric = rubric.criteria.iter().any(|criterion| criterion.name == name);
        of_rubric && (options.criteria.is_empty() || options.criteria.iter().any(|one| one == name))
    };
    let mut sums: BTreeMap<(String, String), (f64, f64)> = BTreeMap::new();
    for ((_, criterion), of_judge) in scores {
        for ((id, leg), (_, score)) in of_judge {
            if counts(&criterion) && leg != Leg::Noise.as_str() {
                let sum = sums.entry((id, leg.to_owned())).or_default();
                *sum = (sum.0 + score, sum.1 + 1.0);
            }
        }
    }
    sums.into_iter().map(|(answer, (sum, n))| (answer, sum / n)).collect()
}

/// Expected error of the judge's difference, by its size.
struct Errors {
    root: [f64; BINS],
}

impl Errors {
    fn learn(people: &[Settled], judged: &Judged) -> Self {
        let mut means: BTreeMap<(&str, &str), (f64, f64)> = BTreeMap::new();
        for one in people {
            let mean = means.entry((&one.sample_id, one.leg.as_str())).or_default();
            *mean = (mean.0 + one.score, mean.1 + 1.0);
        }
        let error = |id: &str, leg: &str| {
            let (sum, n) = means.get(&(id, leg))?;
            Some(sum / n - judged.get(&(id.to_owned(), leg.to_owned()))?)
        };
        let ids: BTreeSet<&str> = means.keys().map(|(id, _)| *id).collect();
        let mut squares = [(0.0, 0.0); BINS];
        for id in ids {
            let sides = (error(id, "primary"), error(id, "shadow"));
            let (Some(left), right) = (sides.0.or(sides.1), sides.1.filter(|_| sides.0.is_some())) else {
                continue;
            };
            if let Some((sum, n)) = squares.get_mut(bin(id, judged)) {
                *sum += right.map_or(left, |right| right - left).powi(2);
                *n += 1.0;
            }
        }
        let all = squares.iter().fold((0.0, 0.0), |(sum, n), bin| (sum + bin.0, n + bin.1));
        let mean = if all.1 > 0.0 { (all.0 / all.1).max(1e-6) } else { 1.0 };
        Self { root: squares.map(|(sum, n)| ((sum + PRIOR * mean) / (n + PRIOR)).sqrt()) }
    }

    fn chance(&self, id: &str, judged: &Judged) -> f64 {
        let most = self.root.iter().copied().fold(0.0, f64::max);
        let own = self.root.get(bin(id, judged)).copied().unwrap_or(most);
        if most > 0.0 { (own / most).clamp(CHANCE_MIN, 1.0) } else { 1.0 }
    }
}

fn bin(id: &str, judged: &Judged) -> usize {
    let of = |leg: &str| judged.get(&(id.to_owned(), leg.to_owned()));
    match of("primary").zip(of("shadow")).map(|(left, right)| (right - left).abs()) {
        Some(gap) if gap > 0.5 => 2,
        Some(gap) if gap < 1e-9 => 0,
        _ => 1,
    }
}

fn rows(id: &str, exchange: &Exchange, probability: f64) -> Vec<Row> {
    let row = |leg: Leg, text: &str| Row {
        sample_id: id.to_owned(),
        leg: leg.as_str().to_owned(),
        request: clean(exchange.request.as_deref().unwrap_or_default()),
        answer: clean(text),
        probability,
    };
    let primary =
        exchange.primary.as_ref().and_then(|answer| Some(row(Leg::Primary, answer.text.as_deref()?)));
    let copies = exchange.shadow.as_ref().filter(|answer| answer.variant == Variant::Candidate);
    let shadow = copies.and_then(|answer| Some(row(Leg::Shadow, answer.text.as_deref()?)));
    primary.into_iter().chain(shadow).collect()
}

fn clean(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() && letter != '\n' { ' ' } else { letter }).collect()
}

fn hash(seed: u64, what: &str, id: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(format!("{what}\0{id}").as_bytes(), seed)
}

/// In [0, 1).
fn unit(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

fn place(data_dir: &Path, experiment: &str) -> PathBuf {
    data_dir.join("judge").join(format!("experiment={experiment}")).join("asked.jsonl")
}

fn visits(data_dir: &Path, experiment: &str) -> Result<Vec<Visited>, LabelError> {
    let path = place(data_dir, experiment);
    let wrong = |message: String| LabelError::Asked { path: path.display().to_string(), message };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(wrong(error.to_string())),
    };
    let line = |(line, row): (usize, &str)| {
        serde_json::from_str(row).map_err(|error| wrong(format!("line {}: {error}", line + 1)))
    };
    text.lines().filter(|row| !row.trim().is_empty()).enumerate().map(line).collect()
}

/// Writes all visits, old and new, whole or not at all.
fn record(data_dir: &Path, experiment: &str, visited: &[Visited]) -> Result<(), LabelError> {
    let path = place(data_dir, experiment);
    let wrong = |message: String| LabelError::Asked { path: path.display().to_string(), message };
    if let Some(folder) = path.parent() {
        create_folder(data_dir, folder).map_err(RunError::from)?;
    }
    let mut lines = String::new();
    for one in visited {
        lines += &serde_json::to_string(one).map_err(|error| wrong(error.to_string()))?;
        lines.push('\n');
    }
    let write = |source| DurableError { path: path.clone(), action: "write", source };
    write_atomically::<(), RunError>(&path, |file| Ok(file.write_all(lines.as_bytes()).map_err(write)?))
        .map_err(LabelError::from)
}
