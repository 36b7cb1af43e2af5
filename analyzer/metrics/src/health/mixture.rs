//! Different things under one name: snapshots of a variant, policies of a revision, revisions of a pair.

use std::collections::{BTreeMap, BTreeSet};

use super::{number, percent, share};
use crate::exchange::{Exchange, Exchanges};
use crate::figures::Facts;

/// Digests that are listed.
const LISTED_MAX: usize = 5;
const TORN_MIN: u64 = 20;
const TORN_SHARE_MAX: f64 = 0.01;

/// A variant that changed under way is two variants.
pub(super) fn snapshots(facts: &[&Facts]) -> Vec<String> {
    let mut labels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for found in facts {
        if let Some(label) = &found.snapshot {
            labels.entry(found.variant.as_str()).or_default().insert(label);
        }
    }
    labels
        .into_iter()
        .filter(|(_, labels)| labels.len() > 1)
        .map(|(variant, labels)| {
            let labels: Vec<&str> = labels.into_iter().collect();
            format!(
                "the {variant} served {} snapshots in this data ({}), whose figures are mixed here; hint: look at \
                 one revision or time window only",
                labels.len(),
                labels.join("; ")
            )
        })
        .collect()
}

/// One revision with several policies, and pairs whose legs come from different revisions.
///
/// Several revisions alone are no problem: unpaired values are compared within each of them.
pub(super) fn policies(exchanges: &Exchanges<'_>, facts: &[&Facts]) -> Vec<String> {
    let mut digests: BTreeMap<i64, BTreeSet<&str>> = BTreeMap::new();
    for found in facts {
        if let (Some(revision), Some(digest)) = (found.revision, &found.policy_digest) {
            digests.entry(revision).or_default().insert(digest);
        }
    }
    let mut problems: Vec<String> = digests
        .into_iter()
        .filter(|(_, digests)| digests.len() > 1)
        .map(|(revision, digests)| {
            let listed: Vec<&str> = digests.iter().copied().take(LISTED_MAX).collect();
            format!(
                "revision {revision} came with {} different policies (digests {}), so that proxies did different things under one \
                 number; hint: give every change of the policy a new revision, and push it to all proxies",
                digests.len(),
                listed.join(", ")
            )
        })
        .collect();
    let torn = |exchange: &Exchange<'_>| {
        exchange.pair().is_some_and(|(control, candidate)| {
            let (one, other) = (control.revision(), candidate.revision());
            one.is_some() && other.is_some() && one != other
        })
    };
    let pairs = number(exchanges.iter().filter(|exchange| exchange.pair().is_some()).count());
    let torn = number(exchanges.iter().filter(torn).count());
    if torn >= TORN_MIN && share(torn, pairs) > TORN_SHARE_MAX {
        problems.push(format!(
            "{torn} of {pairs} pairs ({} %) have their two answers from different revisions; hint: sample ids must be unique over \
             revisions, see how these samples were made",
            percent(share(torn, pairs))
        ));
    }
    problems
}
