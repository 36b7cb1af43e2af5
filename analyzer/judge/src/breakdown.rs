//! A judge's agreement with people by segment and variant, and what the order of two answers does to it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::agreement::{Rated, correlation, kappa};

/// Agreement in one part of the labelled answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Which part: `variant=candidate`, `tier=internal`, `route=/v1/chat`.
    pub of: String,
    /// Labelled answers.
    pub labels: usize,
    /// Share on the same side of the middle of the scale.
    pub agreement: Option<f64>,
    /// Cohen's kappa of that.
    pub kappa: Option<f64>,
    /// Mean of judge minus people.
    pub bias: Option<f64>,
    /// Correlation of the judge's error with the answer's length.
    pub length_bias: Option<f64>,
}

/// What the order of two answers did to a judge that was asked in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Pairs that were judged in both orders.
    pub pairs: usize,
    /// Pairs on which it changed its mind with the order.
    pub flips: usize,
    /// Mean preference for what it saw first; 0.5 without bias.
    pub first: f64,
}

/// How far a judge agrees with itself, where the same question was put twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Twice {
    /// Answers that it scored twice.
    pub answers: usize,
    /// Of those, with the same score.
    pub same: usize,
    /// Mean size of the difference, in shares of the scale.
    pub difference: f64,
}

/// What is known of a judge without people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Steadiness {
    /// Where pairs were judged in both orders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// Where questions were put twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twice: Option<Twice>,
}

/// By judge and criterion.
pub type Steady = BTreeMap<String, BTreeMap<String, Steadiness>>;

/// The file in which [`crate::run::judge`] leaves it.
pub(crate) fn steadiness_file(data_dir: &Path, experiment: &str) -> PathBuf {
    data_dir.join("judge").join(format!("experiment={experiment}")).join("steadiness.json")
}

/// Agreement by part; each answer comes with the parts that it is in.
#[must_use]
pub fn parts(rated: &[(Rated, Vec<String>)]) -> Vec<Part> {
    let mut by_part: BTreeMap<&str, Vec<&Rated>> = BTreeMap::new();
    for (one, of) in rated {
        for part in of {
            by_part.entry(part).or_default().push(one);
        }
    }
    by_part.into_iter().map(|(of, rated)| part(of, &rated)).collect()
}

fn part(of: &str, rated: &[&Rated]) -> Part {
    let sides: Vec<(bool, bool)> = rated.iter().map(|one| (one.person > 0.5, one.judge > 0.5)).collect();
    let (agreement, kappa) = kappa(&sides).map_or((None, None), |(share, kappa)| (Some(share), kappa));
    Part {
        of: of.to_owned(),
        labels: rated.len(),
        agreement,
        kappa,
        bias: (!rated.is_empty())
            .then(|| rated.iter().map(|one| one.judge - one.person).sum::<f64>() / rated.len() as f64),
        length_bias: correlation(rated.iter().map(|one| (one.judge - one.person, one.length))),
    }
}

impl Position {
    /// Of the two preferences for what was seen first, one of each order: 1 first, 0 second, 0.5 a tie.
    #[must_use]
    pub fn of(orders: &[(f64, f64)]) -> Self {
        let flips = orders.iter().filter(|(one, other)| (one - (1.0 - other)).abs() > 1e-9).count();
        let sum: f64 = orders.iter().map(|(one, other)| one + other).sum();
        let first = if orders.is_empty() { 0.5 } else { sum / (2 * orders.len()) as f64 };
        Self { pairs: orders.len(), flips, first }
    }
}

impl Twice {
    /// Of the scores of the first and of the second time.
    #[must_use]
    pub fn of(scores: &[(f64, f64)]) -> Self {
        let same = scores.iter().filter(|(one, other)| (one - other).abs() < 1e-9).count();
        let sum: f64 = scores.iter().map(|(one, other)| (one - other).abs()).sum();
        Self { answers: scores.len(), same, difference: sum / scores.len().max(1) as f64 }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn each_part_has_its_own_agreement() {
        let one = |candidate: bool, person: f64, judge: f64, length: f64| {
            let rated = Rated { candidate, person, judge, length };
            (rated, vec![format!("variant={}", if candidate { "candidate" } else { "control" })])
        };
        // Right about control, and it takes every long answer of the candidate for a good one.
        let mut rated = Vec::new();
        for at in 0..20 {
            let good = f64::from(u8::from(at % 2 == 0));
            rated.push(one(false, good, good, f64::from(at)));
            rated.push(one(true, good, f64::from(u8::from(at >= 10)), f64::from(at)));
        }
        let parts = parts(&rated);
        assert_eq!((parts[0].of.as_str(), parts[0].labels), ("variant=candidate", 20));
        assert_eq!((parts[0].agreement, parts[1].agreement), (Some(0.5), Some(1.0)));
        assert_eq!((parts[0].kappa, parts[1].kappa), (Some(0.0), Some(1.0)));
        assert!(parts[0].length_bias.unwrap() > 0.5, "{parts:?}");
        assert_eq!(parts[1].bias, Some(0.0));
    }

    #[test]
    fn a_judge_that_takes_the_first_is_seen() {
        // Agrees with itself, takes the first twice, takes the second twice, says tie and then first.
        let position = Position::of(&[(1.0, 0.0), (1.0, 1.0), (0.0, 0.0), (0.5, 1.0)]);
        assert_eq!((position.pairs, position.flips), (4, 3));
        assert!((position.first - 4.5 / 8.0).abs() < 1e-12);
        let twice = Twice::of(&[(0.5, 0.5), (1.0, 0.75), (0.0, 0.0), (0.25, 0.5)]);
        assert_eq!((twice.answers, twice.same, twice.difference), (4, 2, 0.125));
    }
}
