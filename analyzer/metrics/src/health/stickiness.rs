//! Identities that were served by both variants within one revision and cohort: sticky assignment rules that out.

use std::collections::BTreeMap;

use super::groups::{Group, Groups, read_group, write_group};
use super::hashes::{Choice, Hashes};
use super::{number, percent, share};
use crate::exchange::Exchanges;
use crate::identities::{self, Identities};
use crate::packed::{Reader, Writer};

/// Identities of both variants: a few change a header that the cohort rests on.
const BOTH_MIN: u64 = 20;
const BOTH_SHARE_MAX: f64 = 0.01;

/// For each group who was served by control, and who by the candidate.
#[derive(Clone, Debug, Default)]
pub(super) struct Served(BTreeMap<Group, [Hashes; 2]>);

impl Served {
    pub(super) fn of(
        exchanges: &Exchanges<'_>,
        identities: &Identities,
        groups: &Groups,
        choice: Choice,
    ) -> Self {
        let none = |_| [By::none(identities), By::none(identities)];
        let mut served: Vec<_> = groups.names.iter().map(none).collect();
        for seen in super::identified(exchanges, identities).filter(|seen| choice.takes(seen.hash)) {
            let of_group = groups.of_kind(seen.kind).and_then(|group| served.get_mut(group));
            if let Some([control, candidate]) = of_group {
                let by = if seen.by_candidate() { candidate } else { control };
                if by.known.insert(seen.number) {
                    by.hashes.push(seen.hash);
                }
            }
        }
        let served = served.into_iter().map(|by| by.map(|by| by.hashes));
        Self(groups.names.iter().cloned().zip(served).collect())
    }

    pub(super) fn append(&mut self, later: Self) {
        for (group, [control, candidate]) in later.0 {
            let [of_control, of_candidate] = self.0.entry(group).or_default();
            of_control.append(control);
            of_candidate.append(candidate);
        }
    }

    pub(super) fn thin(&mut self, choice: Choice) {
        self.0.values_mut().flatten().for_each(|hashes| hashes.thin(choice));
    }

    /// How many were served by both, and the problem that this is.
    pub(super) fn judge(mut self, choice: Choice) -> (u64, Option<String>) {
        self.0.values_mut().flatten().for_each(Hashes::settle);
        let (both, all) = self.0.values().fold((0, 0), |(both, all), [control, candidate]| {
            let (of_both, of_either) = control.both_and_either(candidate);
            (both + of_both, all + of_either)
        });
        let problem = (both >= BOTH_MIN && share(both, all) > BOTH_SHARE_MAX).then(|| {
            format!(
                "{both} of {all} identities ({} %{}) got answers of both variants within one revision, so that the variants are no \
                 separate groups; hint: see that all proxies have the same policy, and that nothing but the filter chooses the cluster",
                percent(share(both, all)),
                choice.told(),
            )
        });
        (both, problem)
    }

    pub(super) fn write(&self, to: &mut Writer) {
        to.number(number(self.0.len()));
        for (group, by) in &self.0 {
            write_group(group, to);
            by.iter().for_each(|hashes| hashes.write(to));
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let mut served = BTreeMap::new();
        for _ in 0..from.count()? {
            let group = read_group(from)?;
            if served.insert(group, [Hashes::read(from)?, Hashes::read(from)?]).is_some() {
                return None;
            }
        }
        Some(Self(served))
    }
}

/// Who was served by one variant, while that is found.
struct By {
    known: identities::Group,
    hashes: Hashes,
}

impl By {
    fn none(identities: &Identities) -> Self {
        Self { known: identities.none(), hashes: Hashes::default() }
    }
}
