//! The policies of a rollout: which one belongs to which step, and the one that takes everything back.
//!
//! Invariants: the revision grows by at least one; nothing but revision, mode and the shares named by the steps changes;
//! during a rollout the steps own the candidate's shares, so a cohort that no step has named yet has none, whatever the
//! policy file says.

use weir_policy::{Mode, Policy, Share};

use crate::rollout::{Rollout, Step, StepMode};

/// `policy` with this step's mode and percentages, one revision later. Cohorts that the step does not name keep theirs.
#[must_use]
pub fn next_policy(policy: &Policy, step: &Step) -> Policy {
    let mut next = policy.clone();
    next.revision = policy.revision + 1;
    apply(&mut next, step);
    next
}

/// The policy that sends everybody back to control, one revision later.
#[must_use]
pub fn rollback_policy(policy: &Policy) -> Policy {
    let mut next = policy.clone();
    next.revision = policy.revision + 1;
    next.mode = Mode::RolledBack;
    next
}

/// The policy of step `index` with this revision: all steps up to it applied to `base` with the candidate at nobody. It
/// depends on nothing else, so a restarted watch and the one before it push the same.
#[must_use]
pub fn step_policy(base: &Policy, rollout: &Rollout, index: usize, revision: u64) -> Policy {
    let mut policy = base.clone();
    policy.revision = revision;
    for cohort in &mut policy.cohorts {
        cohort.candidate_percent = Share::ZERO;
    }
    for step in rollout.steps.iter().take(index + 1) {
        apply(&mut policy, step);
    }
    policy
}

/// The policy after the last step, when the candidate is given to all.
#[must_use]
pub fn full_policy(base: &Policy, rollout: &Rollout, revision: u64) -> Policy {
    let mut policy = step_policy(base, rollout, rollout.steps.len().saturating_sub(1), revision);
    give_all(&mut policy);
    policy
}

fn apply(policy: &mut Policy, step: &Step) {
    let named =
        |name: &str| step.cohorts.as_ref().is_none_or(|cohorts| cohorts.iter().any(|cohort| cohort == name));
    match step.mode {
        StepMode::Shadow => policy.mode = Mode::Shadow,
        StepMode::Canary => policy.mode = Mode::Canary,
        StepMode::Full => give_all(policy),
    }
    if let Some(share) = step.candidate_percent {
        for cohort in policy.cohorts.iter_mut().filter(|cohort| named(&cohort.name)) {
            cohort.candidate_percent = share;
        }
    }
    if let Some(share) = step.shadow_percent {
        if step.cohorts.is_none() {
            policy.shadow.percent = share;
        }
        for cohort in policy.cohorts.iter_mut().filter(|cohort| named(&cohort.name)) {
            // A cohort's own percentage would win over the common one.
            cohort.shadow_percent = step.cohorts.is_some().then_some(share);
        }
    }
}

/// Mode `full` for every cohort that has a share; for all where none has one (a rollout without canary steps).
fn give_all(policy: &mut Policy) {
    policy.mode = Mode::Full;
    let nobody = policy.cohorts.iter().all(|cohort| cohort.candidate_percent.is_zero());
    for cohort in &mut policy.cohorts {
        if nobody || !cohort.candidate_percent.is_zero() {
            cohort.candidate_percent = Share::ALL;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use crate::testing::{policy, rollout};

    fn shares(policy: &Policy) -> Vec<u32> {
        policy.cohorts.iter().map(|cohort| cohort.candidate_percent.ppm() / 10_000).collect()
    }

    #[test]
    fn only_mode_shares_and_revision_change_from_step_to_step() {
        let base = policy();
        let rollout = rollout();
        let next = step_policy(&base, &rollout, 1, 40);
        assert_eq!((next.revision, next.mode), (40, Mode::Canary));
        let mut back = next.clone();
        back.revision = base.revision;
        back.mode = base.mode;
        back.shadow = base.shadow.clone();
        back.cohorts = base.cohorts.clone();
        assert_eq!(back, base);
        next.check("step").unwrap();
    }

    #[test]
    fn a_cohort_that_no_step_has_named_stays_with_control() {
        let base = policy();
        let mut rollout = rollout();
        rollout.steps[1].cohorts = Some(vec![String::from("internal")]);
        assert_eq!(shares(&base), [50, 5]);
        assert_eq!(shares(&step_policy(&base, &rollout, 0, 2)), [0, 0]);
        assert_eq!(shares(&step_policy(&base, &rollout, 1, 2)), [5, 0]);
        assert_eq!(shares(&step_policy(&base, &rollout, 2, 2)), [20, 20]);
    }

    #[test]
    fn full_gives_the_candidate_to_the_cohorts_that_the_steps_named() {
        let base = policy();
        let mut rollout = rollout();
        assert_eq!(shares(&full_policy(&base, &rollout, 9)), [100, 100]);
        rollout.steps.truncate(2);
        rollout.steps[1].cohorts = Some(vec![String::from("internal")]);
        assert_eq!(shares(&full_policy(&base, &rollout, 9)), [100, 0]);
        rollout.steps.truncate(1);
        let full = full_policy(&base, &rollout, 9);
        assert_eq!((shares(&full), full.mode), (vec![100, 100], Mode::Full));
        full.check("full").unwrap();
    }

    #[test]
    fn a_rollback_changes_the_mode_and_nothing_else() {
        let base = policy();
        let back = rollback_policy(&base);
        assert_eq!((back.mode, back.revision), (Mode::RolledBack, base.revision + 1));
        assert_eq!(Policy { mode: base.mode, revision: base.revision, ..back.clone() }, base);
        back.check("rolled back").unwrap();
    }

    #[test]
    fn a_step_for_all_replaces_the_cohorts_own_shadow_percentages() {
        let mut base = policy();
        base.cohorts[0].shadow_percent = Some(Share::ZERO);
        let rollout = rollout();
        let next = next_policy(&base, &rollout.steps[0]);
        assert_eq!(next.revision, base.revision + 1);
        assert_eq!((next.shadow.percent, next.cohorts[0].shadow_percent), (Share::ALL, None));
    }
}
