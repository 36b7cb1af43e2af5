//! For which exchanges a series has values, and what goes with them: the places of its pairs, clusters, labels, and how long it was
//! at earlier times. Most series of the same samples have values for the same exchanges, and these are put together once.

use weir_gate::Places;
use weir_report::Prefix;
use weir_sample::Variant;

const PAIR: u8 = 1;
const NOISE_PAIR: u8 = 1 << 1;
const PRIMARY: u8 = 1 << 2;

/// What a series has of one exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Has(u8);

impl Has {
    /// A pair of values.
    pub(crate) fn pair(&mut self) {
        self.0 |= PAIR;
    }

    /// A pair of values of control.
    pub(crate) fn noise_pair(&mut self) {
        self.0 |= NOISE_PAIR;
    }

    /// An unpaired value.
    pub(crate) fn primary(&mut self) {
        self.0 |= PRIMARY;
    }
}

/// What goes with the values of a series.
#[derive(Debug)]
pub(crate) struct Pattern {
    /// By exchange.
    pub(crate) has: Vec<Has>,
    /// For each pair the place among all pairs.
    pub(crate) places: Places,
    pub(crate) pairs: Beside,
    /// By stratum.
    pub(crate) strata: Vec<Arms>,
    /// The lengths at each earlier time.
    pub(crate) lengths: Vec<Lengths>,
}

/// What stands beside values: nothing where nothing is known.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    /// Numbers of identities.
    pub(crate) clusters: Places,
    /// Places of sets of labels.
    pub(crate) labels: Places,
}

/// What stands beside the values of a stratum.
#[derive(Debug, Default)]
pub(crate) struct Arms {
    pub(crate) control: Beside,
    pub(crate) candidate: Beside,
}

/// How many values a series had at some time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lengths {
    pairs: usize,
    noise_pairs: usize,
    /// By the place of the stratum.
    strata: Vec<(usize, usize)>,
}

impl Lengths {
    /// Of the strata that the series has in the end.
    pub(crate) fn prefix(&self, kept: &[usize]) -> Prefix {
        let of = |place: &usize| self.strata.get(*place).copied().unwrap_or_default();
        Prefix { pairs: self.pairs, noise_pairs: self.noise_pairs, strata: kept.iter().map(of).collect() }
    }
}

/// A pattern that is put together, exchange by exchange.
pub(crate) struct Gathering {
    places: Vec<u32>,
    pairs: Columns,
    strata: Vec<(Columns, Columns)>,
    now: Lengths,
    pub(crate) lengths: Vec<Lengths>,
}

/// Clusters and labels.
#[derive(Default)]
struct Columns {
    clusters: Vec<u32>,
    labels: Vec<u32>,
}

impl Gathering {
    /// With room for so many values of control and of the candidate in each stratum, and so many pairs: columns that grow by
    /// doubling are half empty. Memory that nothing is written to costs nothing.
    pub(crate) fn new(sizes: &[(usize, usize)], pairs: usize) -> Self {
        let strata =
            sizes.iter().map(|(control, candidate)| (Columns::new(*control), Columns::new(*candidate)));
        Self {
            places: Vec::with_capacity(pairs),
            pairs: Columns::new(pairs),
            strata: strata.collect(),
            now: Lengths { strata: vec![(0, 0); sizes.len()], ..Lengths::default() },
            lengths: Vec::new(),
        }
    }

    /// Notes how many values there are now.
    pub(crate) fn note_lengths(&mut self) {
        self.lengths.push(self.now.clone());
    }

    /// The next exchange: its place among the pairs, who served it, its stratum, and its cluster and label.
    pub(crate) fn add(
        &mut self,
        has: Has,
        pair: Option<u32>,
        arm: Option<Variant>,
        stratum: usize,
        beside: (Option<u32>, Option<u32>),
    ) {
        if has.0 & PAIR != 0 {
            self.places.extend(pair);
            self.pairs.push(beside);
            self.now.pairs += 1;
        }
        self.now.noise_pairs += usize::from(has.0 & NOISE_PAIR != 0);
        if has.0 & PRIMARY == 0 {
            return;
        }
        if let (Some((control, candidate)), Some(counts), Some(arm)) =
            (self.strata.get_mut(stratum), self.now.strata.get_mut(stratum), arm)
        {
            let (columns, count) = match arm {
                Variant::Control => (control, &mut counts.0),
                Variant::Candidate => (candidate, &mut counts.1),
            };
            columns.push(beside);
            *count += 1;
        }
    }

    /// The pattern of these exchanges.
    pub(crate) fn pattern(self, has: Vec<Has>) -> Pattern {
        let arms = |(control, candidate): (Columns, Columns)| Arms {
            control: control.into_beside(),
            candidate: candidate.into_beside(),
        };
        Pattern {
            has,
            places: self.places.into(),
            pairs: self.pairs.into_beside(),
            strata: self.strata.into_iter().map(arms).collect(),
            lengths: self.lengths,
        }
    }
}

impl Columns {
    fn new(room: usize) -> Self {
        Self { clusters: Vec::with_capacity(room), labels: Vec::with_capacity(room) }
    }

    fn push(&mut self, (cluster, label): (Option<u32>, Option<u32>)) {
        self.clusters.extend(cluster);
        self.labels.extend(label);
    }

    fn into_beside(self) -> Beside {
        Beside { clusters: self.clusters.into(), labels: self.labels.into() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    fn has(parts: &[fn(&mut Has)]) -> Has {
        let mut has = Has::default();
        parts.iter().for_each(|part| part(&mut has));
        has
    }

    #[test]
    fn what_stands_beside_values_is_that_of_the_exchanges_that_have_them() {
        let all = has(&[Has::pair, Has::noise_pair, Has::primary]);
        let of: [(Has, Option<u32>, Option<Variant>, usize); 5] = [
            (all, Some(0), Some(Variant::Control), 0),
            (Has::default(), Some(1), Some(Variant::Control), 0),
            (has(&[Has::primary]), None, Some(Variant::Candidate), 1),
            (has(&[Has::pair]), Some(2), None, 1),
            (has(&[Has::primary]), None, Some(Variant::Control), 1),
        ];
        let mut gathering = Gathering::new(&[(2, 0), (1, 1)], 3);
        for (at, (has, pair, arm, stratum)) in (0..).zip(of) {
            gathering.note_lengths();
            gathering.add(has, pair, arm, stratum, (Some(10 + at), Some(20 + at)));
        }
        let pattern = gathering.pattern(of.iter().map(|(has, ..)| *has).collect());
        assert_eq!(*pattern.places, [0, 2]);
        assert_eq!((&*pattern.pairs.clusters, &*pattern.pairs.labels), (&vec![10, 13], &vec![20, 23]));
        assert_eq!(
            (&*pattern.strata[0].control.clusters, &*pattern.strata[0].candidate.clusters),
            (&vec![10], &vec![])
        );
        assert_eq!(
            (&*pattern.strata[1].control.labels, &*pattern.strata[1].candidate.labels),
            (&vec![24], &vec![22])
        );
        let lengths: Vec<Prefix> = pattern.lengths.iter().map(|lengths| lengths.prefix(&[1, 0])).collect();
        let expected = [
            (0, 0, [(0, 0), (0, 0)]),
            (1, 1, [(0, 0), (1, 0)]),
            (1, 1, [(0, 0), (1, 0)]),
            (1, 1, [(0, 1), (1, 0)]),
            (2, 1, [(0, 1), (1, 0)]),
        ];
        let expected: Vec<Prefix> = expected
            .into_iter()
            .map(|(pairs, noise_pairs, strata)| Prefix { pairs, noise_pairs, strata: strata.to_vec() })
            .collect();
        assert_eq!(lengths, expected);
    }
}
