//! Different things under one name: snapshots of a variant, policies of a revision, revisions of a pair.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weir_sample::Variant;

use super::{number, percent, share};
use crate::exchange::{Exchange, Exchanges};
use crate::packed::{Reader, Writer};

/// Digests that are listed.
const LISTED_MAX: usize = 5;
const TORN_MIN: u64 = 20;
const TORN_SHARE_MAX: f64 = 0.01;

/// What came under which name.
#[derive(Clone, Debug, Default)]
pub(super) struct Mixture {
    /// By the name of the variant.
    snapshots: BTreeMap<&'static str, Names>,
    /// By revision.
    digests: BTreeMap<i64, Names>,
    pairs: u64,
    torn: u64,
}

type Names = BTreeSet<Arc<str>>;

impl Mixture {
    pub(super) fn of(exchanges: &Exchanges<'_>) -> Self {
        let mut mixture = Self::default();
        for (facts, _) in exchanges.kinds() {
            if let Some(label) = &facts.snapshot {
                mixture.snapshots.entry(facts.variant.as_str()).or_default().insert(label.clone());
            }
            if let (Some(revision), Some(digest)) = (facts.revision, &facts.policy_digest) {
                mixture.digests.entry(revision).or_default().insert(digest.clone());
            }
        }
        for (control, candidate) in exchanges.iter().filter_map(Exchange::pair) {
            let (one, other) = (control.revision(), candidate.revision());
            mixture.pairs += 1;
            mixture.torn += u64::from(one.is_some() && other.is_some() && one != other);
        }
        mixture
    }

    pub(super) fn append(&mut self, later: Self) {
        for (variant, labels) in later.snapshots {
            self.snapshots.entry(variant).or_default().extend(labels);
        }
        for (revision, digests) in later.digests {
            self.digests.entry(revision).or_default().extend(digests);
        }
        self.pairs = self.pairs.saturating_add(later.pairs);
        self.torn = self.torn.saturating_add(later.torn);
    }

    pub(super) fn pairs(&self) -> u64 {
        self.pairs
    }

    /// A variant that changed under way is two variants; one revision with several policies; and pairs whose legs come from
    /// different revisions.
    ///
    /// Several revisions alone are no problem: unpaired values are compared within each of them.
    pub(super) fn problems(&self) -> Vec<String> {
        let mixed = self.snapshots.iter().filter(|(_, labels)| labels.len() > 1);
        let mut problems: Vec<String> = mixed
            .map(|(variant, labels)| {
                format!(
                    "the {variant} served {} snapshots in this data ({}), whose figures are mixed here; hint: look at \
                     one revision or time window only",
                    labels.len(),
                    joined(labels, labels.len(), "; ")
                )
            })
            .collect();
        let several = self.digests.iter().filter(|(_, digests)| digests.len() > 1);
        problems.extend(several.map(|(revision, digests)| {
            format!(
                "revision {revision} came with {} different policies (digests {}), so that proxies did different things under one \
                 number; hint: give every change of the policy a new revision, and push it to all proxies",
                digests.len(),
                joined(digests, LISTED_MAX, ", ")
            )
        }));
        let Self { torn, pairs, .. } = *self;
        if torn >= TORN_MIN && share(torn, pairs) > TORN_SHARE_MAX {
            problems.push(format!(
                "{torn} of {pairs} pairs ({} %) have their two answers from different revisions; hint: sample ids must be unique over \
                 revisions, see how these samples were made",
                percent(share(torn, pairs))
            ));
        }
        problems
    }

    pub(super) fn write(&self, to: &mut Writer) {
        to.number(number(self.snapshots.len()));
        for (variant, labels) in &self.snapshots {
            to.text(variant);
            write_names(labels, to);
        }
        to.number(number(self.digests.len()));
        for (revision, digests) in &self.digests {
            to.number(revision.cast_unsigned());
            write_names(digests, to);
        }
        to.number(self.pairs);
        to.number(self.torn);
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let mut mixture = Self::default();
        for _ in 0..from.count()? {
            let variant = Variant::parse(from.text()?)?;
            mixture.snapshots.insert(variant.as_str(), read_names(from)?);
        }
        for _ in 0..from.count()? {
            let revision = from.number()?.cast_signed();
            mixture.digests.insert(revision, read_names(from)?);
        }
        Some(Self { pairs: from.number()?, torn: from.number()?, ..mixture })
    }
}

/// The first so many of them.
fn joined(names: &Names, most: usize, between: &str) -> String {
    let listed: Vec<&str> = names.iter().take(most).map(AsRef::as_ref).collect();
    listed.join(between)
}

fn write_names(names: &Names, to: &mut Writer) {
    to.number(number(names.len()));
    names.iter().for_each(|name| to.text(name));
}

fn read_names(from: &mut Reader<'_>) -> Option<Names> {
    let count = from.count()?;
    let mut names = Names::new();
    for _ in 0..count {
        names.insert(Arc::from(from.text()?));
    }
    Some(names)
}
