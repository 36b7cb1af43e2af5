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
        let usable = |arms: &Arms<'_>| !arms.control.is_empty() && !arms.candidate.is_empty();
        let total: usize = strata.iter().filter(|arms| usable(arms)).map(|arms| size(arms)).sum();
        if total == 0 {
            return Err(StatsError::NoStratum);
        }
        let kept = strata.iter().filter(|arms| usable(arms));
        Ok(Self {
            strata: kept.map(|arms| (*arms, size(arms) as f64 / total as f64)).collect(),
            skipped: strata
                .iter()
                .enumerate()
                .filter(|(_, arms)| !usable(arms))
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

fn size(arms: &Arms<'_>) -> usize {
    arms.control.len() + arms.candidate.len()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
