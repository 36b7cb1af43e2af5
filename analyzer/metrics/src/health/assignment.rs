//! Who got which variant: sample-ratio mismatch, and identities that got both.
//!
//! The expected share is what each primary leg carries; an identity that a list, a header or a guard sent to its variant
//! carries none and is not counted. Samples of older filters and imported ones carry none, and then a
//! policy that is given says it.
//!
//! What is compared: distinct identities (salted hashes) with a captured primary leg, within one revision and cohort,
//! since that is where one share is in force. Legs without an identity always go to control and are left out. Shadow
//! and noise copies are no assignment.
//!
//! Capture may be sampled, and not alike: an exchange that control serves is also captured because it has a copy, so
//! that more of control's identities would be seen. Each leg is therefore kept ([`stays`]) with the chance (least inclusion
//! probability of the group) / (its own), drawn by a hash of its sample id: afterwards every exchange of both variants
//! had the same chance to be seen. An identity is counted where its first kept leg is.
//!
//! Limit: with sampling an identity with many requests is seen more easily; a candidate that makes people ask more or less
//! often then looks like a mismatch. That is a difference of populations as well, and named as one. With an inclusion
//! probability of 1 there is no such effect.

use weir_gate::{AssignmentCheck, CaptureHealth};
use weir_policy::{Mode, Policy, Share};
use weir_sample::Variant;
use weir_stats::share::ShareTest;

use super::groups::Groups;
use super::{ALPHA, Group, group_name, percent, share};
use crate::exchange::Exchanges;
use crate::figures::LegRef;
use crate::identities::{self, Identities};
use crate::inclusion::stays;

/// Identities of both variants: a few change a header that the cohort rests on.
const BOTH_MIN: u64 = 20;
const BOTH_SHARE_MAX: f64 = 0.01;
const PPM: f64 = 1_000_000.0;

/// The candidate's share of a cohort's identities, as a policy has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedShare {
    /// The policy's revision; legs that carry another one are not held against it.
    pub revision: i64,
    /// The cohort.
    pub cohort: String,
    /// The candidate's share, parts per million.
    pub candidate_ppm: u32,
}

impl ExpectedShare {
    /// The shares of every cohort of a policy, requests without a cohort included.
    #[must_use]
    pub fn of_policy(policy: &Policy) -> Vec<Self> {
        let revision = i64::try_from(policy.revision).unwrap_or(i64::MAX);
        let share = |share: Share| match policy.mode {
            Mode::Canary => share.ppm(),
            Mode::Full if !share.is_zero() => Share::ALL.ppm(),
            Mode::Full | Mode::Off | Mode::Shadow | Mode::RolledBack => 0,
        };
        let cohorts =
            policy.cohorts.iter().map(|cohort| (cohort.name.as_str(), share(cohort.candidate_percent)));
        cohorts
            .chain([(weir_policy::NO_COHORT, 0)])
            .map(|(cohort, candidate_ppm)| Self { revision, cohort: cohort.to_owned(), candidate_ppm })
            .collect()
    }
}

/// Counts the identities of every group that has an expected share, and names those that differ from it.
///
/// The groups share [`ALPHA`]: the k-th one that was seen gets `ALPHA / (k (k + 1))`, so that groups may come during a
/// rollout without anything spent twice.
pub(super) fn shares(
    exchanges: &Exchanges<'_>,
    identities: &Identities,
    policy: &[ExpectedShare],
    health: &mut CaptureHealth,
) -> Vec<String> {
    let groups = Groups::of(exchanges);
    let mut tests: Vec<(usize, u32, ShareTest, identities::Group)> = Vec::new();
    for (kind, found, identity) in identified(exchanges, identities) {
        let Some(group) = groups.of_kind(kind) else { continue };
        // A filter that says which copies it asked for also says the share, if that decided.
        let silent = found.shadowed().is_none();
        let of_policy = || {
            let key = groups.names.get(group)?;
            policy.iter().find(|share| silent && share.is_of(*key)).map(|share| share.candidate_ppm)
        };
        let Some(ppm) = found.candidate_ppm().or_else(of_policy) else { continue };
        if !stays(found, groups.least.get(group).copied().unwrap_or(1.0)) {
            continue;
        }
        let known = tests.iter().position(|(known, share, ..)| (*known, *share) == (group, ppm));
        let known = match (known, ShareTest::new(f64::from(ppm) / PPM)) {
            (Some(known), _) => known,
            (None, Ok(new)) => {
                tests.push((group, ppm, new, identities.none()));
                tests.len() - 1
            }
            (None, Err(_)) => continue,
        };
        let Some((_, _, test, seen)) = tests.get_mut(known) else { continue };
        if seen.insert(identity) {
            test.observe(found.variant() == Variant::Candidate);
        }
    }
    let mut problems = Vec::new();
    for (place, (group, ppm, test, _)) in tests.into_iter().enumerate() {
        let k = (place + 1) as f64;
        let key = groups.names.get(group).copied().unwrap_or_default();
        let check = AssignmentCheck {
            cohort: key.1.unwrap_or_default().to_owned(),
            revision: key.0,
            expected_share: f64::from(ppm) / PPM,
            control: test.n() - test.hits(),
            candidate: test.hits(),
            ln_evidence: test.ln_evidence(),
            mismatch: test.refuted(ALPHA / (k * (k + 1.0))),
        };
        problems.extend(check.mismatch.then(|| mismatch(&check, key)));
        health.assignments.push(check);
    }
    problems
}

fn mismatch(check: &AssignmentCheck, key: Group<'_>) -> String {
    let all = check.control + check.candidate;
    format!(
        "sample-ratio mismatch: the candidate has {} of {all} identities{} ({} %), and the policy gives it {} %: the \
         variants were not given to the same kind of people, or what one of them answered was lost; hint: look for losses of \
         one variant (the filter's dropped counters), identities that change between requests, and routes or caches that go \
         past the filter",
        check.candidate,
        group_name(key),
        percent(share(check.candidate, all)),
        percent(check.expected_share),
    )
}

/// Identities that were served by both variants within one revision and cohort: sticky assignment rules that out.
pub(super) fn stickiness(
    exchanges: &Exchanges<'_>,
    identities: &Identities,
    health: &mut CaptureHealth,
) -> Option<String> {
    let groups = Groups::of(exchanges);
    // For each group who was served by control, and who by the candidate.
    let none = |_| (identities.none(), identities.none());
    let mut served: Vec<_> = groups.names.iter().map(none).collect();
    for (kind, found, identity) in identified(exchanges, identities) {
        if let Some((control, candidate)) = groups.of_kind(kind).and_then(|group| served.get_mut(group)) {
            let by = if found.variant() == Variant::Candidate { candidate } else { control };
            by.insert(identity);
        }
    }
    let (both, all) = served.iter().fold((0, 0), |(both, all), (control, candidate)| {
        let (of_both, of_either) = control.both_and_either(candidate);
        (both + of_both, all + of_either)
    });
    health.served_by_both = both;
    (both >= BOTH_MIN && share(both, all) > BOTH_SHARE_MAX).then(|| {
        format!(
            "{both} of {all} identities ({} %) got answers of both variants within one revision, so that the variants are no \
             separate groups; hint: see that all proxies have the same policy, and that nothing but the filter chooses the cluster",
            percent(share(both, all))
        )
    })
}

impl ExpectedShare {
    /// Legs without a revision or cohort (imported ones) are held against the only share that can be meant.
    fn is_of(&self, (revision, cohort): Group<'_>) -> bool {
        revision.is_none_or(|revision| revision == self.revision)
            && cohort.unwrap_or(weir_policy::NO_COHORT) == self.cohort
    }
}

/// Primary legs by whose identity the variant was chosen, each with the number of its kind and of the identity.
fn identified<'a>(
    exchanges: &Exchanges<'a>,
    identities: &Identities,
) -> impl Iterator<Item = (usize, LegRef<'a>, u32)> {
    let primaries = exchanges.primaries().zip(identities.numbers());
    primaries.filter_map(|(primary, identity)| {
        let (kind, found) = primary?;
        found.assigned_identity().map(|_| (kind, found, *identity))
    })
}
