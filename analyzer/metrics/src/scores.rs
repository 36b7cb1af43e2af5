//! Judge scores, joined to legs by sample id and leg.
//!
//! The same judge may score the same answer again: the last judgement counts. Several judges of one criterion are
//! averaged, each with the same weight. Scores arrive later than answers, so the time window does not apply to them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use polars::prelude::StringType;
use weir_sample::{Leg, Score};

use crate::error::MetricsError;
use crate::scan::{Cells, Refusal, check, scan};

const COLUMNS: [&str; 6] = ["sample_id", "leg", "ts", "criterion", "score", "judge"];

/// One judgement.
#[derive(Clone, Debug)]
pub(crate) struct Judgement {
    pub(crate) sample_id: String,
    pub(crate) leg: Leg,
    pub(crate) criterion: String,
    pub(crate) judge: String,
    pub(crate) ts_us: i64,
    pub(crate) score: f64,
}

/// Reads one part file of scores. The inner error is a file that does not belong.
pub(crate) fn read(path: &Path, experiment: &str) -> Result<Result<Vec<Judgement>, Refusal>, MetricsError> {
    if let Err(refusal) = check::<Score>(path, experiment) {
        return Ok(Err(refusal));
    }
    let frame = scan(path, &COLUMNS, &[], None)?;
    let (ids, legs) = (frame.text("sample_id")?, frame.text("leg")?);
    let (criteria, judges) = (frame.text("criterion")?, frame.text("judge")?);
    let (times, scores) = (frame.integers("ts")?, frame.floats("score")?);
    let mut judgements = Vec::with_capacity(frame.rows());
    for row in 0..frame.rows() {
        let word = legs.and_then(|column| column.get(row)).unwrap_or_default();
        let Some(leg) = Leg::parse(word) else {
            return Ok(Err(format!("row {row}: leg is {word:?}; allowed: {}", Leg::ALL.join(", "))));
        };
        let text = |column: Option<Cells<'_, StringType>>| {
            column.and_then(|column| column.get(row)).unwrap_or_default().to_owned()
        };
        let Some(score) = scores.and_then(|column| column.get(row)).filter(|score| score.is_finite()) else {
            continue;
        };
        judgements.push(Judgement {
            sample_id: text(ids),
            leg,
            criterion: text(criteria),
            judge: text(judges),
            ts_us: times.and_then(|column| column.get(row)).unwrap_or_default(),
            score,
        });
    }
    Ok(Ok(judgements))
}

/// The scores of every answer by criterion.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scores {
    criteria: BTreeSet<String>,
    by_answer: HashMap<String, BTreeMap<Leg, BTreeMap<String, f64>>>,
}

impl Scores {
    /// Joins judgements in whatever order they come.
    pub(crate) fn new<'a>(judgements: impl Iterator<Item = &'a Judgement>) -> Self {
        let mut last: BTreeMap<(&str, Leg, &str, &str), (i64, f64)> = BTreeMap::new();
        for judgement in judgements {
            let key = (
                judgement.sample_id.as_str(),
                judgement.leg,
                judgement.criterion.as_str(),
                judgement.judge.as_str(),
            );
            let new = (judgement.ts_us, judgement.score);
            last.entry(key)
                .and_modify(|old| {
                    if new.0 > old.0 || new.0 == old.0 && new.1 > old.1 {
                        *old = new;
                    }
                })
                .or_insert(new);
        }
        let mut sums: BTreeMap<(String, Leg), BTreeMap<String, (f64, f64)>> = BTreeMap::new();
        let mut criteria = BTreeSet::new();
        for ((sample_id, leg, criterion, _), (_, score)) in last {
            criteria.insert(criterion.to_owned());
            let of_answer = sums.entry((sample_id.to_owned(), leg)).or_default();
            let (sum, judges) = of_answer.entry(criterion.to_owned()).or_default();
            *sum += score;
            *judges += 1.0;
        }
        let mean = |(criterion, (sum, judges)): (String, (f64, f64))| (criterion, sum / judges);
        let mut by_answer: HashMap<String, BTreeMap<Leg, BTreeMap<String, f64>>> = HashMap::new();
        for ((sample_id, leg), scores) in sums {
            by_answer.entry(sample_id).or_default().insert(leg, scores.into_iter().map(mean).collect());
        }
        Self { criteria, by_answer }
    }

    /// All criteria, sorted.
    pub(crate) fn criteria(&self) -> impl Iterator<Item = &String> {
        self.criteria.iter()
    }

    /// The score of one answer.
    pub(crate) fn of(&self, sample_id: &str, leg: Leg, criterion: &str) -> Option<f64> {
        self.all_of(sample_id, leg)?.get(criterion).copied()
    }

    /// All scores of one answer.
    pub(crate) fn all_of(&self, sample_id: &str, leg: Leg) -> Option<&BTreeMap<String, f64>> {
        self.by_answer.get(sample_id)?.get(&leg)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    fn judgement(judge: &str, ts_us: i64, score: f64) -> Judgement {
        Judgement {
            sample_id: "s".into(),
            leg: Leg::Primary,
            criterion: "good".into(),
            judge: judge.into(),
            ts_us,
            score,
        }
    }

    #[test]
    fn the_last_judgement_of_each_judge_counts_and_judges_are_averaged() {
        let judgements = [judgement("a", 2, 0.4), judgement("a", 1, 1.0), judgement("b", 1, 0.8)];
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
            let scores = Scores::new(order.iter().map(|at| &judgements[*at]));
            let score = scores.of("s", Leg::Primary, "good").unwrap();
            assert!((score - 0.6).abs() < 1e-12, "{score}");
            assert_eq!(scores.of("s", Leg::Shadow, "good"), None);
        }
    }
}
