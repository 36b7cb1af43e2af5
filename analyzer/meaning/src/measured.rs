//! Exchanges with the distances between their answers.

use crate::cache::Vectors;
use crate::embedder::distance;
use crate::legs::Exchange;

/// An exchange with its distances.
pub(crate) struct Measured<'a> {
    pub(crate) id: &'a str,
    pub(crate) exchange: &'a Exchange,
    /// Control's answer to the candidate's.
    pub(crate) shadow: Option<f64>,
    /// Control's answer to its own second one.
    pub(crate) noise: Option<f64>,
}

impl<'a> Measured<'a> {
    pub(crate) fn new(id: &'a str, exchange: &'a Exchange, vectors: &Vectors) -> Self {
        let between = |(left, right)| distance(vectors.of_answer(left)?, vectors.of_answer(right)?);
        Self {
            id,
            exchange,
            shadow: exchange.pair().and_then(between),
            noise: exchange.noise_pair().and_then(between),
        }
    }
}

/// The mean, if there is anything.
pub(crate) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}
