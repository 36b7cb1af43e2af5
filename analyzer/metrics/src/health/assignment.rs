//! Who got which variant: sample-ratio mismatch.
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

//! Order: the evidence is that of the identities in the order in which they came, and a stretch adds those that no earlier one
//! has. Limit: where legs of one group that carry their share and legs that do not have the same share in the end, those that
//! carry it or those that do not, whichever came first, count before the others.

use weir_gate::AssignmentCheck;
use weir_policy::{Mode, Policy, Share};
use weir_stats::share::ShareTest;

use super::chances::Chance;
use super::groups::{Group, Groups, group_name, read_group, write_group};
use super::hashes::{Choice, Firsts};
use super::{ALPHA, number, percent, share};
use crate::exchange::Exchanges;
use crate::identities::{self, Identities};
use crate::inclusion::stays;
use crate::packed::{Reader, Writer};

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

/// The identities of each group that has an expected share, or may have one by a policy.
#[derive(Clone, Debug, Default)]
pub(super) struct Shares(Vec<OfShare>);

/// The identities of one group and share.
#[derive(Clone, Debug)]
struct OfShare {
    group: Group,
    /// Nothing where only a policy can say it.
    candidate_ppm: Option<u32>,
    firsts: Firsts,
}

impl ExpectedShare {
    /// Legs without a revision or cohort (imported ones) are held against the only share that can be meant.
    fn is_of(&self, (revision, cohort): &Group) -> bool {
        revision.is_none_or(|revision| revision == self.revision)
            && cohort.as_deref().unwrap_or(weir_policy::NO_COHORT) == self.cohort
    }
}

impl Shares {
    pub(super) fn of(
        exchanges: &Exchanges<'_>,
        identities: &Identities,
        groups: &Groups,
        chances: &[Option<Chance>],
        choice: Choice,
    ) -> Self {
        let mut shares = Self::default();
        let mut known: Vec<identities::Group> = Vec::new();
        let mut of_kind: Vec<Option<usize>> = vec![None; exchanges.kind_places()];
        for seen in super::identified(exchanges, identities) {
            let Some(of_kind) = of_kind.get_mut(seen.kind) else { continue };
            // A filter that says which copies it asked for also says the share, if that decided.
            let silent = seen.leg.candidate_ppm().is_none() && seen.leg.shadowed().is_some();
            if silent || (of_kind.is_some() && !choice.takes(seen.hash)) {
                continue;
            }
            let place = groups.of_kind(seen.kind);
            let (Some(group), Some(Some(chance))) =
                (place.and_then(|group| groups.names.get(group)), place.and_then(|group| chances.get(group)))
            else {
                continue;
            };
            if !stays(seen.leg, chance.least) {
                continue;
            }
            let share = *of_kind.get_or_insert_with(|| shares.place(group, seen.leg.candidate_ppm()));
            known.resize_with(shares.0.len(), || identities.none());
            let (Some(share), Some(known)) = (shares.0.get_mut(share), known.get_mut(share)) else {
                continue;
            };
            if choice.takes(seen.hash) && known.insert(seen.number) {
                share.firsts.push(seen.hash, seen.by_candidate());
            }
        }
        shares
    }

    /// The place of a share, which does not depend on who is looked at.
    fn place(&mut self, group: &Group, candidate_ppm: Option<u32>) -> usize {
        let known = self.0.iter().position(|of| of.group == *group && of.candidate_ppm == candidate_ppm);
        known.unwrap_or_else(|| {
            self.0.push(OfShare { group: group.clone(), candidate_ppm, firsts: Firsts::default() });
            self.0.len() - 1
        })
    }

    pub(super) fn append(&mut self, later: Self) {
        for share in later.0 {
            let place = self.place(&share.group, share.candidate_ppm);
            if let Some(known) = self.0.get_mut(place) {
                known.firsts.append(share.firsts);
            }
        }
    }

    pub(super) fn thin(&mut self, choice: Choice) {
        self.0.iter_mut().for_each(|share| share.firsts.thin(choice));
    }

    /// Counts the identities of every group that has an expected share, and tells which differ from it.
    ///
    /// The groups share [`ALPHA`]: the k-th one that was seen gets `ALPHA / (k (k + 1))`, so that groups may come during a
    /// rollout without anything spent twice.
    pub(super) fn judge(
        self,
        policy: &[ExpectedShare],
        choice: Choice,
    ) -> (Vec<AssignmentCheck>, Vec<String>) {
        let (mut checks, mut problems) = (Vec::new(), Vec::new());
        let mut k = 0.0;
        for (group, ppm, mut firsts) in self.expected(policy) {
            let Ok(mut test) = ShareTest::new(f64::from(ppm) / PPM) else { continue };
            k += 1.0;
            firsts.served_by_candidate().for_each(|candidate| test.observe(candidate));
            if test.n() == 0 {
                continue;
            }
            let check = AssignmentCheck {
                cohort: group.1.as_deref().unwrap_or_default().to_owned(),
                revision: group.0,
                expected_share: f64::from(ppm) / PPM,
                control: test.n() - test.hits(),
                candidate: test.hits(),
                ln_evidence: test.ln_evidence(),
                mismatch: test.refuted(ALPHA / (k * (k + 1.0))),
                one_in: choice.one_in(),
            };
            problems.extend(check.mismatch.then(|| mismatch(&check, &group, choice)));
            checks.push(check);
        }
        (checks, problems)
    }

    /// Those whose share is known, each group and share once.
    fn expected(self, policy: &[ExpectedShare]) -> Vec<(Group, u32, Firsts)> {
        let mut expected: Vec<(Group, u32, Firsts)> = Vec::new();
        for OfShare { group, candidate_ppm, firsts } in self.0 {
            let of_policy =
                || policy.iter().find(|share| share.is_of(&group)).map(|share| share.candidate_ppm);
            let Some(ppm) = candidate_ppm.or_else(of_policy) else { continue };
            let known = expected.iter_mut().find(|(known, share, _)| *known == group && *share == ppm);
            match known {
                Some((.., known)) => known.append(firsts),
                None => expected.push((group, ppm, firsts)),
            }
        }
        expected
    }

    pub(super) fn write(&self, to: &mut Writer) {
        to.number(number(self.0.len()));
        for share in &self.0 {
            write_group(&share.group, to);
            to.option(share.candidate_ppm, |to, ppm| to.number(u64::from(ppm)));
            share.firsts.write(to);
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let mut shares = Vec::new();
        for _ in 0..from.count()? {
            let group = read_group(from)?;
            let candidate_ppm = from.option(|from| u32::try_from(from.number()?).ok())?;
            shares.push(OfShare { group, candidate_ppm, firsts: Firsts::read(from)? });
        }
        Some(Self(shares))
    }
}

fn mismatch(check: &AssignmentCheck, group: &Group, choice: Choice) -> String {
    let all = check.control + check.candidate;
    format!(
        "sample-ratio mismatch: the candidate has {} of {all} identities{} ({} %{}), and the policy gives it {} %: the \
         variants were not given to the same kind of people, or what one of them answered was lost; hint: look for losses of \
         one variant (the filter's dropped counters), identities that change between requests, and routes or caches that go \
         past the filter",
        check.candidate,
        group_name(group),
        percent(share(check.candidate, all)),
        choice.told(),
        percent(check.expected_share),
    )
}
