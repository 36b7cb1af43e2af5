//! What a demo is told: which scenario, where its parts are, how fast and how long.

use std::path::PathBuf;
use std::time::Duration;

use crate::documents::Pace;
use crate::outcome::{Scenario, Subject};

/// What to run. Start from [`DemoOptions::scenario`] or [`DemoOptions::answers`] and change what should differ.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// What is shown.
    pub subject: Subject,
    /// The folder of recorded answers; needed for [`Subject::Recorded`] and unused otherwise.
    pub answers: Option<PathBuf>,
    /// Envoy's binary; otherwise it is looked for.
    pub envoy: Option<PathBuf>,
    /// The filter module; otherwise it is looked for.
    pub filter: Option<PathBuf>,
    /// Where everything goes: a folder that is empty or not there. Otherwise a new folder under `target/demo`.
    pub out_dir: Option<PathBuf>,
    /// Seed of users, questions, answers and delays.
    pub seed: u64,
    /// Users; recorded answers are asked for by them too.
    pub users: usize,
    /// Requests per second over all users.
    pub rate_per_second: f64,
    /// What a step of the rollout needs before the next.
    pub pace: Pace,
    /// The step (counted from 0) in which the candidate turns worse, where the scenario has a turn ([`Scenario::turns`]).
    pub turn_in_step: usize,
    /// From the confirmation of that step to the turn.
    pub turn_after: Duration,
    /// The rollout ends after this time with the verdict of that moment.
    pub deadline: Duration,
}

impl DemoOptions {
    /// A scenario with synthetic models.
    #[must_use]
    pub fn scenario(scenario: Scenario) -> Self {
        // A judge that nobody has held against people's labels cannot promote, so that steps pass while nothing is breached.
        let advance_on = if scenario == Scenario::Meaning { "no-breach" } else { "promote" };
        Self {
            subject: Subject::Synthetic(scenario),
            answers: None,
            envoy: None,
            filter: None,
            out_dir: None,
            seed: 1,
            users: 300,
            rate_per_second: 80.0,
            pace: Pace { step_seconds_min: 6, step_pairs_min: 200, advance_on },
            turn_in_step: 2,
            turn_after: Duration::from_secs(4),
            deadline: Duration::from_secs(150),
        }
    }

    /// The recorded answers of two models in `folder`. Each instruction is asked three times, and then the demo ends with the verdict
    /// that it has: a judge's scores are so far apart that some hundred pairs may leave it at `hold`.
    #[must_use]
    pub fn answers(folder: PathBuf, control: String, candidate: String) -> Self {
        Self {
            subject: Subject::Recorded { control, candidate },
            answers: Some(folder),
            ..Self::scenario(Scenario::Same)
        }
    }
}
