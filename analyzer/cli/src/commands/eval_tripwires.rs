//! What no score of `weir eval` may override: tripwires over the answers to the cases.

use weir_gate::Tripwire;
use weir_judge::golden::Case;
use weir_tripwire::{Answered, Mark, Seen};

use crate::commands::eval::{Answers, Criteria, mean};

/// What went off; control's second answers are its noise.
pub(crate) fn tripwires(
    cases: &[Case],
    answers: &Answers,
    repeats: u32,
    criteria: &Criteria,
) -> Vec<Tripwire> {
    let mut seen = Seen { scores: scores(criteria), ..Seen::default() };
    for case in cases {
        let answered = |version: usize, repeat: u32| {
            let answer = answers.get(&(case.id.clone(), version, repeat))?.as_ref().ok()?;
            Some(Answered { by_candidate: version == 1, mark: Mark::of(Some(&case.prompt), answer)? })
        };
        for repeat in 0..repeats {
            let noise = if repeat == 0 { answered(0, 1) } else { None };
            seen.take(answered(0, repeat), answered(1, repeat), noise);
        }
    }
    weir_tripwire::look(&seen).0.into_iter().map(weir_look::tripwire).collect()
}

/// Mean of all scores of control and of the candidate.
fn scores(criteria: &Criteria) -> Option<(f64, f64)> {
    let of = |version: usize| {
        let cases = criteria.values().flat_map(|cases| cases.values());
        mean(&cases.filter_map(|scores| scores.get(version)).flatten().copied().collect::<Vec<_>>())
    };
    Some((of(0)?, of(1)?))
}
