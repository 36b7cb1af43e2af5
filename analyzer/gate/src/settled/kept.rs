//! Sums of one stretch as they are kept beside the data: taken apart and put together again.

use std::collections::BTreeMap;

use super::{Lengths, Part, Settled, Stretch};
use crate::series::MetricSeries;

impl Settled {
    /// Of one stretch: names of its strata, its parts by the place of their set of labels, and its sample.
    #[must_use]
    pub fn of_parts(strata: Vec<String>, parts: BTreeMap<u32, Part>, sample: MetricSeries) -> Self {
        let of_strata = sample.strata.iter().map(|stratum| (stratum.control.len(), stratum.candidate.len()));
        let lengths = Lengths { pairs: sample.pairs.len(), strata: of_strata.collect() };
        let stretches = vec![Stretch { parts, sample: lengths }];
        Self { strata, stretches, sample: Box::new(sample), wider: None }
    }

    /// The parts of all stretches, each with the place of its set of labels.
    pub fn parts(&self) -> impl Iterator<Item = (u32, &Part)> {
        self.stretches.iter().flat_map(|stretch| stretch.parts.iter().map(|(place, part)| (*place, part)))
    }

    /// Gives the identities of the sample other numbers: each that of its old one's place.
    pub fn renumber(&mut self, numbers: &[u32]) {
        let renumber = |places: &mut crate::Places| {
            for place in places.iter_mut() {
                *place = numbers.get(*place as usize).copied().unwrap_or(*place);
            }
        };
        renumber(&mut self.sample.pair_clusters);
        for stratum in &mut self.sample.strata {
            renumber(&mut stratum.control_clusters);
            renumber(&mut stratum.candidate_clusters);
        }
    }

    /// Gives the strata other names; what has the same name then is one.
    pub fn rename_strata(&mut self, name: impl Fn(&str) -> String) {
        let mut renamed = Self::default();
        let mut own = std::mem::take(self);
        own.strata.iter_mut().for_each(|stratum| *stratum = name(stratum));
        for stratum in &mut own.sample.strata {
            stratum.name = name(&stratum.name);
        }
        renamed.append(own, &[], &[]);
        *self = renamed;
    }
}
