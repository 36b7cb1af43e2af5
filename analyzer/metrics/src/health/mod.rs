//! Whether the capture can carry a comparison: counts, and the problems that would bias it, each with its remedy.
//!
//! - A problem is named only where there is enough to see it by: a handful of legs is always incomplete somewhere.
//! - A check of something that varies by itself (shares, rates) is a sequential test at [`ALPHA`] over all looks, and most
//!   also want a difference that matters; a check of something that must not happen at all (numbers that never arrived,
//!   two policies under one revision) counts. Six tests together cry wolf in fewer than six of a thousand analyses, however often each
//!   is looked at; `tests/health.rs` simulates it.

mod assignment;
mod clock;
mod completeness;
mod emitters;
mod groups;
mod mixture;
mod pairing;
#[cfg(test)]
mod tests;

pub use assignment::ExpectedShare;

use std::thread;

use weir_gate::CaptureHealth;
use weir_sample::{Leg, Variant};
use weir_stats::{Arms, Stratified, bounded};

use crate::exchange::Exchanges;
use crate::figures::LegRef;
use crate::identities::Identities;

/// Chance that one sequential check names a problem where there is none, over all looks.
const ALPHA: f64 = 0.001;
/// Shares of two groups that differ by less are no problem, however certain the difference is.
const SHARE_DIFFERENCE_MAX: f64 = 0.05;

/// Looks at the capture of all exchanges. `numbered` is every leg that was read, also those of other revisions and of
/// probes: the numbers of one worker run through all of them.
pub(crate) fn capture_health<'a>(
    exchanges: &Exchanges<'a>,
    identities: &Identities,
    expected: &[ExpectedShare],
    numbered: impl Iterator<Item = LegRef<'a>> + Clone + Sync,
) -> CaptureHealth {
    let mut health = counts(exchanges);
    let mut problems = Vec::new();
    // What goes by the workers' numbers and what goes by exchanges take about as long.
    let ((lost, gaps), steps) = thread::scope(|scope| {
        let of_numbers =
            scope.spawn(|| (completeness::gaps(exchanges, numbered.clone()), clock::steps(numbered.clone())));
        problems.extend(assignment::shares(exchanges, identities, expected, &mut health));
        problems.extend(assignment::stickiness(exchanges, identities, &mut health));
        let shadowed = pairing::shadowed(exchanges);
        problems.extend(pairing::arrival(exchanges, &shadowed, &mut health));
        problems.extend(pairing::slow_loss(&shadowed));
        // A panic of the other thread is one of this.
        of_numbers.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    health.sequence_gaps = lost;
    problems.extend(gaps);
    problems.extend(completeness::truncation(exchanges, &mut health));
    let facts = exchanges.facts();
    problems.extend(mixture::snapshots(&facts));
    problems.extend(mixture::policies(exchanges, &facts));
    problems.extend(clock::order(exchanges));
    problems.extend(steps);
    health.problems = problems;
    health
}

fn counts(exchanges: &Exchanges<'_>) -> CaptureHealth {
    let mut health = CaptureHealth::default();
    for (facts, legs) in exchanges.kinds() {
        match (facts.leg, facts.variant) {
            (Leg::Primary, Variant::Control) => health.primary_control += legs,
            (Leg::Primary, Variant::Candidate) => health.primary_candidate += legs,
            (Leg::Shadow, _) => health.shadow += legs,
            (Leg::Noise, _) => health.noise += legs,
        }
    }
    health.pairs = number(exchanges.iter().filter(|exchange| exchange.pair().is_some()).count());
    health
}

/// Revision and cohort: within one the policy's shares and chances are the same for all.
type Group<'a> = (Option<i64>, Option<&'a str>);

fn group<'a>(found: LegRef<'a>) -> Group<'a> {
    (found.revision(), found.cohort())
}

/// ` of cohort general, revision 3`, as far as they are known.
fn group_name((revision, cohort): Group<'_>) -> String {
    let cohort = cohort.map(|cohort| format!(" of cohort {cohort}")).unwrap_or_default();
    let revision = revision.map(|revision| format!(", revision {revision}")).unwrap_or_default();
    format!("{cohort}{revision}")
}

/// Whether two groups of flags have shares that differ by more than [`SHARE_DIFFERENCE_MAX`], for certain enough that
/// looking often does not matter: a betting confidence sequence at [`ALPHA`] that leaves out no difference.
fn differ(one: &[f64], other: &[f64]) -> bool {
    let mean = |flags: &[f64]| flags.iter().sum::<f64>() / flags.len().max(1) as f64;
    if one.is_empty() || other.is_empty() || (mean(one) - mean(other)).abs() <= SHARE_DIFFERENCE_MAX {
        return false;
    }
    Stratified::new(&[Arms { control: one, candidate: other }])
        .and_then(|strata| bounded::unpaired_difference(&strata, (0.0, 1.0), ALPHA))
        .is_ok_and(|difference| difference.low > 0.0 || difference.high < 0.0)
}

fn flag(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}

#[allow(clippy::cast_precision_loss)] // counts are far below 2^53
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// `31.2`, `5` or `0.04`: a share in percent with at most three digits that say something.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let text = if percent >= 10.0 { format!("{percent:.1}") } else { format!("{percent:.2}") };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
