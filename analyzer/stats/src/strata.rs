//! Unpaired values in strata: which strata can be compared, and with which weight.

use crate::error::StatsError;

/// The values of one stratum, each arm in time order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arms<'a> {
    /// Values of control.
    pub control: &'a [f64],
    /// Values of the candidate.
    pub candidate: &'a [f64],
}

/// Strata that have values in both arms, weighted by their share of all values: `w_k = n_k / N`, `n_k` counting both
/// arms. The weights describe the population that was measured, so that a cohort in which the candidate has a larger
/// share does not count more for that.
#[derive(Clone, Debug, PartialEq)]
pub struct Stratified<'a> {
    strata: Vec<(Arms<'a>, f64)>,
    skipped: Vec<usize>,
}

impl<'a> Stratified<'a> {
    /// Keeps the strata with values in both arms.
    ///
    /// # Errors
    /// [`StatsError::NoStratum`] where there is none.
    pub fn new(strata: &[Arms<'a>]) -> Result<Self, StatsError> {
        let sizes: Vec<_> = strata.iter().map(|arms| (arms.control.len(), arms.candidate.len())).collect();
        let weights = weights(&sizes)?;
        let kept = strata.iter().zip(&weights).filter_map(|(arms, weight)| Some((*arms, (*weight)?)));
        Ok(Self {
            strata: kept.collect(),
            skipped: weights
                .iter()
                .enumerate()
                .filter(|(_, weight)| weight.is_none())
                .map(|(index, _)| index)
                .collect(),
        })
    }

    /// Usable strata with their weights, which sum to one.
    pub fn weighted(&self) -> impl Iterator<Item = (Arms<'a>, f64)> + Clone + '_ {
        self.strata.iter().copied()
    }

    /// Number of usable strata.
    #[must_use]
    pub fn len(&self) -> usize {
        self.strata.len()
    }

    /// Never: there is at least one usable stratum.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.strata.is_empty()
    }

    /// Positions of the strata that were left out because an arm is empty.
    #[must_use]
    pub fn skipped(&self) -> &[usize] {
        &self.skipped
    }

    /// Values of control in the usable strata.
    #[must_use]
    pub fn n_control(&self) -> usize {
        self.strata.iter().map(|(arms, _)| arms.control.len()).sum()
    }

    /// Values of the candidate in the usable strata.
    #[must_use]
    pub fn n_candidate(&self) -> usize {
        self.strata.iter().map(|(arms, _)| arms.candidate.len()).sum()
    }

    /// Weighted mean of control and of the candidate.
    #[must_use]
    pub fn means(&self) -> (f64, f64) {
        self.weighted().fold((0.0, 0.0), |(control, candidate), (arms, weight)| {
            (control + weight * mean(arms.control), candidate + weight * mean(arms.candidate))
        })
    }
}

/// The weight of each stratum of so many values of control and of the candidate; nothing where an arm is empty.
///
/// # Errors
/// [`StatsError::NoStratum`] where all of them have an empty arm.
pub fn weights(sizes: &[(usize, usize)]) -> Result<Vec<Option<f64>>, StatsError> {
    let size = |(control, candidate): &(usize, usize)| {
        (*control > 0 && *candidate > 0).then_some(control + candidate)
    };
    let total: usize = sizes.iter().filter_map(size).sum();
    if total == 0 {
        return Err(StatsError::NoStratum);
    }
    Ok(sizes.iter().map(|sizes| Some(size(sizes)? as f64 / total as f64)).collect())
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
