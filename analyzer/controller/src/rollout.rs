//! The rollout document: the steps by which a candidate is given to more people, and what a step needs before the next.
//!
//! Format: YAML or JSON with `kind: Rollout`, read by `weir-document`; every field is described in [`Rollout`] and
//! [`Step`], and the JSON Schema comes from the same definition.
//!
//! Invariants of a document that was read: there is a step; modes go shadow, canary, full and never back; no cohort's
//! share shrinks from one step to a later one, and every canary step gives somebody more; a step cannot be passed
//! without evidence.
//!
//! Error control: the gates' alpha is split evenly over the steps (see [`Rollout::spending`]), so that the promise
//! "a rollback without cause has at most this probability" holds for the rollout as a whole, by the union bound.

use std::collections::BTreeMap;

use weir_document::{Collector, Items, Path, Problems};
use weir_gate::{Gates, Spending};
use weir_policy::{Policy, Share};

use crate::policies::{full_policy, step_policy};

weir_document::choice! {
    /// What the proxies do in a step.
    pub enum StepMode {
        /// Everybody is served by control; the candidate answers copies that nobody sees.
        Shadow = "shadow",
        /// Cohorts are served by the candidate up to their share; the rest is shadowed.
        Canary = "canary",
        /// Everybody who can be identified is served by the candidate: in all cohorts that earlier steps gave a share, or
        /// in all cohorts where no step did.
        Full = "full",
    }
}

weir_document::choice! {
    /// What lets a step be passed.
    pub enum AdvanceOn {
        /// The verdict `promote`: every gate that counts is inside its margin.
        Promote = "promote",
        /// Also the verdict `hold`, if no gate breaches or diverges and the gates have evidence. Faster, and without the
        /// promise that a candidate which is worse by more than a margin does not pass.
        NoBreach = "no-breach",
    }
}

weir_document::choice! {
    /// What happens when the last step is passed.
    pub enum AfterLastStep {
        /// The last step's policy stays.
        Stay = "stay",
        /// A policy with mode `full` is pushed.
        Full = "full",
    }
}

weir_document::document! {
    /// One step of a rollout.
    pub struct Step {
        /// Name, shown in the timeline and in decisions; unique.
        pub name: String => NAME,
        /// What the proxies do.
        pub mode: StepMode,
        /// Percentage of each cohort that the candidate serves; for mode `canary` only, where it must be there.
        pub candidate_percent: Option<Share>,
        /// Percentage of the exchanges served by control whose copy goes to the candidate; not for mode `full`.
        /// Without it, what the policy says.
        pub shadow_percent: Option<Share>,
        /// Names of the cohorts that the percentages are for. Without it, all; a cohort that no step has named so far
        /// stays with control.
        pub cohorts: Option<Vec<String>> => Items(1..=1000),
        /// Least time in this step, in seconds, counted from the moment that all proxies confirmed it.
        pub minimum_seconds: u64 = 0 => 0..=31_536_000,
        /// Least number of pairs (both answers to the same request) seen in this step.
        pub minimum_pairs: u64 = 0 => 0..=1_000_000_000,
        /// What lets this step be passed.
        pub advance_on: AdvanceOn = AdvanceOn::Promote,
    }
    check check_step(mode, candidate_percent, shadow_percent, cohorts);
    check check_evidence(advance_on, minimum_seconds, minimum_pairs);
}

weir_document::document! {
    /// A rollout: which steps, and how often the evidence is looked at.
    pub struct Rollout kind "Rollout" {
        /// The experiment; the same name as in the policy.
        pub experiment: String => NAME,
        /// Chance of a rollback without cause over the whole rollout; replaces the one of the gates document.
        pub alpha: Option<f64> => 0.000_001..=0.5,
        /// The steps, in order.
        pub steps: Vec<Step> => Items(1..=100),
        /// Time between two looks at the evidence, in milliseconds. Looking often costs computing, never error rate.
        pub look_interval_ms: u64 = 1000 => 10..=86_400_000,
        /// What happens when the last step is passed.
        pub after_last_step: AfterLastStep = AfterLastStep::Stay,
    }
    check check_order(steps, after_last_step);
}

/// Names of steps and experiments: 1 to 100 characters, none of them a control character.
const NAME: Name = Name;
struct Name;

impl weir_document::Allowed<String> for Name {
    fn check(&self, value: &String) -> Result<(), weir_document::Refusal> {
        let characters = value.chars().count();
        if (1..=100).contains(&characters) && !value.chars().any(char::is_control) {
            return Ok(());
        }
        Err(weir_document::Refusal::new("is not a name", "1 to 100 characters, no control characters"))
    }

    fn describe(&self, schema: &mut schemars::Schema) {
        schema.insert("minLength".to_owned(), 1.into());
        schema.insert("maxLength".to_owned(), 100.into());
    }
}

impl Rollout {
    /// Reads a rollout; `name` stands in error messages, usually the file's name.
    ///
    /// # Errors
    /// Every problem of the document at once.
    pub fn parse(name: &str, text: &str) -> Result<Self, Problems> {
        weir_document::read(name, text)
    }

    /// JSON Schema of the document.
    pub fn json_schema() -> serde_json::Value {
        weir_document::json_schema::<Self>()
    }

    /// Checks the rollout against the policy that it steers.
    ///
    /// # Errors
    /// Another experiment, cohorts that the policy does not have, modes in which the policy does nothing to steer.
    pub fn check_policy(&self, name: &str, policy: &Policy) -> Result<(), Problems> {
        let mut problems = Collector::new();
        if self.experiment != policy.experiment {
            problems
                .report(&Path::Root.key("experiment"), "is not the policy's experiment")
                .text_value(&self.experiment)
                .allowed(policy.experiment.clone());
        }
        let known: Vec<&str> = policy.cohorts.iter().map(|cohort| cohort.name.as_str()).collect();
        let steps = Path::Root.key("steps");
        for (index, step) in self.steps.iter().enumerate() {
            let step_at = steps.index(index);
            for (position, cohort) in step.cohorts.iter().flatten().enumerate() {
                if !known.contains(&cohort.as_str()) {
                    let list = step_at.key("cohorts");
                    let report = problems
                        .report(&list.index(position), "is not a cohort of the policy")
                        .text_value(cohort)
                        .allowed(known.join(", "));
                    if let Some(similar) = weir_document::closest(cohort, known.iter().copied()) {
                        report.hint(format!("did you mean `{similar}`?"));
                    }
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems.into_problems(name));
        }
        let last = self.steps.len().saturating_sub(1);
        for index in 0..self.steps.len() {
            self.check_step_policy(index, &step_policy(policy, self, index, policy.revision), &mut problems);
            // What is wrong with one step is mostly wrong with all that follow.
            if !problems.is_empty() {
                break;
            }
        }
        if problems.is_empty() && self.after_last_step == AfterLastStep::Full {
            self.check_step_policy(last, &full_policy(policy, self, policy.revision), &mut problems);
        }
        if problems.is_empty() { Ok(()) } else { Err(problems.into_problems(name)) }
    }

    /// A step may make an impossible policy of a possible one, such as shadowing nothing.
    fn check_step_policy(&self, index: usize, policy: &Policy, problems: &mut Collector) {
        let steps = Path::Root.key("steps");
        for problem in policy.check("policy").err().into_iter().flat_map(|refused| refused.problems) {
            let report = problems.report(
                &steps.index(index),
                format!("makes a policy that the filter would refuse: {}: {}", problem.path, problem.message),
            );
            if let Some(hint) = problem.hint {
                report.hint(hint);
            }
        }
    }

    /// The share of alpha that each step may spend: one part of as many as there are steps. Evidence of one step is
    /// never used in another, so the steps' error rates add up to at most alpha, whatever their dependence.
    pub fn spending(&self) -> Spending {
        Spending::one_of(self.steps.len())
    }

    /// The gates with this rollout's alpha, where it gives one.
    #[must_use]
    pub fn gates(&self, gates: &Gates) -> Gates {
        Gates { alpha: self.alpha.unwrap_or(gates.alpha), ..gates.clone() }
    }

    /// A short fingerprint of the whole document, to see whether it changed under a running rollout.
    pub fn digest(&self) -> String {
        // FNV-1a, 64 bits: this is compared with itself only, nobody gains by a collision.
        let text = serde_json::to_string(self).unwrap_or_default();
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        format!("{hash:016x}")
    }
}

fn check_step(
    mode: &StepMode,
    candidate_percent: &Option<Share>,
    shadow_percent: &Option<Share>,
    cohorts: &Option<Vec<String>>,
    at: &Path<'_>,
    problems: &mut Collector,
) {
    let candidate_at = at.key("candidatePercent");
    match (mode, candidate_percent) {
        (StepMode::Canary, None) => {
            problems
                .report(&candidate_at, "is missing")
                .hint("mode `canary` needs it, for example `candidatePercent: 5`");
        }
        (StepMode::Canary, Some(share)) if share.is_zero() => {
            problems
                .report(&candidate_at, "0 gives the candidate to nobody")
                .hint("use mode `shadow` for a step in which the candidate serves nobody");
        }
        (StepMode::Canary, Some(_)) | (_, None) => {}
        (_, Some(_)) => {
            problems
                .report(&candidate_at, format!("has no effect in mode `{mode}`"))
                .hint("leave it out, or use mode `canary`");
        }
    }
    if *mode == StepMode::Full {
        if shadow_percent.is_some() {
            problems
                .report(&at.key("shadowPercent"), "has no effect in mode `full`")
                .hint("leave it out: there is no control answer to pair with");
        }
        if cohorts.is_some() {
            problems
                .report(&at.key("cohorts"), "has no effect in mode `full`")
                .hint("use mode `canary` with `candidatePercent: 100` for some cohorts");
        }
    }
}

fn check_evidence(
    advance_on: &AdvanceOn,
    minimum_seconds: &u64,
    minimum_pairs: &u64,
    at: &Path<'_>,
    problems: &mut Collector,
) {
    if *advance_on == AdvanceOn::NoBreach && *minimum_seconds == 0 && *minimum_pairs == 0 {
        problems
            .report(&at.key("advanceOn"), "lets the step be passed at its first look")
            .text_value(AdvanceOn::NoBreach.as_str())
            .hint("give `minimumPairs`, `minimumSeconds` or both, or use `advanceOn: promote`");
    }
}

/// Modes never go back, shares never shrink, names are unique.
fn check_order(steps: &[Step], after_last_step: &AfterLastStep, at: &Path<'_>, problems: &mut Collector) {
    let mut shares = Shares::default();
    let list = at.key("steps");
    for (index, step) in steps.iter().enumerate() {
        let step_at = list.index(index);
        let earlier = steps.get(..index).unwrap_or_default();
        if earlier.iter().any(|other| other.name == step.name) {
            problems.report(&step_at.key("name"), "is used twice").text_value(&step.name);
        }
        if let Some(before) = earlier.last()
            && (before.mode > step.mode || (before.mode == StepMode::Full && step.mode == StepMode::Full))
        {
            problems
                .report(&step_at.key("mode"), format!("cannot follow `{}`", before.mode))
                .text_value(step.mode.as_str())
                .hint(
                    "steps go shadow, canary, full: nobody who has the candidate loses it but by a rollback",
                );
        }
        if step.mode == StepMode::Canary
            && let Some(share) = step.candidate_percent.filter(|share| !share.is_zero())
        {
            shares.grow(step.cohorts.as_deref(), share, &step_at, problems);
        }
    }
    if *after_last_step == AfterLastStep::Full && steps.last().is_some_and(|step| step.mode == StepMode::Full)
    {
        problems
            .report(&at.key("afterLastStep"), "repeats the last step, which is `full` already")
            .text_value(AfterLastStep::Full.as_str())
            .hint("use `afterLastStep: stay`");
    }
}

/// The share of each cohort so far; cohorts that were never named are `others`.
#[derive(Default)]
struct Shares {
    named: BTreeMap<String, Share>,
    others: Option<Share>,
}

impl Shares {
    fn grow(&mut self, cohorts: Option<&[String]>, share: Share, at: &Path<'_>, problems: &mut Collector) {
        let before: Vec<Option<Share>> = match cohorts {
            Some(names) => names.iter().map(|name| self.named.get(name).copied().or(self.others)).collect(),
            None => self.named.values().copied().map(Some).chain([self.others]).collect(),
        };
        let ppm = |before: &Option<Share>| before.map_or(0, |share| share.ppm());
        let largest = before.iter().map(ppm).max().unwrap_or(0);
        let smallest = before.iter().map(ppm).min().unwrap_or(0);
        if largest > share.ppm() {
            problems
                .report(&at.key("candidatePercent"), "is less than in an earlier step")
                .number_value(share.percent())
                .hint("shares only grow: nobody who has the candidate loses it but by a rollback");
        } else if smallest == share.ppm() {
            problems
                .report(&at.key("candidatePercent"), "gives nobody more than the step before")
                .number_value(share.percent())
                .hint("let the share grow, name other cohorts, or leave the step out");
        }
        match cohorts {
            Some(names) => self.named.extend(names.iter().map(|name| (name.clone(), share))),
            None => {
                self.named.clear();
                self.others = Some(share);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use crate::testing::{policy, rollout};

    fn refused(steps: &str) -> String {
        let text =
            format!("apiVersion: weir/v1\nkind: Rollout\nexperiment: support-answers\nsteps:\n{steps}\n");
        Rollout::parse("rollout.yaml", &text).unwrap_err().to_string()
    }

    #[test]
    fn a_rollout_can_be_written_back_and_read_again() {
        let rollout = rollout();
        let text = serde_json::to_string(&rollout).unwrap();
        assert_eq!(Rollout::parse("again", &text).unwrap(), rollout);
        assert_eq!(rollout.after_last_step, AfterLastStep::Stay);
        assert_eq!(rollout.steps[1].candidate_percent, Share::from_percent(5.0));
    }

    #[test]
    fn alpha_is_split_over_the_steps() {
        assert!((rollout().spending().share() * 3.0 - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_digest_changes_with_the_document() {
        let mut other = rollout();
        assert_eq!(other.digest(), rollout().digest());
        other.steps[1].minimum_pairs += 1;
        assert_ne!(other.digest(), rollout().digest());
    }

    #[test]
    fn impossible_rollouts_are_refused_with_path_and_hint() {
        let cases = [
            "  []",
            "  - {name: a, mode: canary}\n  - {name: a, mode: shadow, candidatePercent: 5}",
            "  - {name: a, mode: canary, candidatePercent: 0}\n  - {name: b, mode: full, shadowPercent: 5, cohorts: [x]}",
            "  - {name: a, mode: canary, candidatePercent: 20}\n  - {name: b, mode: canary, candidatePercent: 5}",
            "  - {name: a, mode: canary, candidatePercent: 20}\n  - {name: b, mode: canary, candidatePercent: 20}",
            "  - {name: a, mode: canary, candidatePercent: 20, cohorts: [x]}\n  - {name: b, mode: canary, candidatePercent: 5}",
            "  - {name: a, mode: shadow, advanceOn: no-breach}",
            "  - {name: a, mode: shadow, minimumPair: 5, minimumSeconds: -1}\nlookIntervalMs: 1\nalpha: 0.9",
            "  - {name: a, mode: full}\nafterLastStep: full",
        ];
        let texts: Vec<String> = cases.iter().map(|case| format!("{case}\n=> {}", refused(case))).collect();
        insta::assert_snapshot!(texts.join("\n\n"));
    }

    #[test]
    fn other_cohorts_may_join_at_the_same_share() {
        let text = "apiVersion: weir/v1\nkind: Rollout\nexperiment: e\nsteps:\n  \
            - {name: a, mode: canary, candidatePercent: 5, cohorts: [x]}\n  \
            - {name: b, mode: canary, candidatePercent: 5, cohorts: [x, y]}\n  \
            - {name: c, mode: canary, candidatePercent: 5}\n";
        assert_eq!(Rollout::parse("rollout", text).unwrap().steps.len(), 3);
    }

    #[test]
    fn a_rollout_that_does_not_fit_the_policy_is_refused() {
        let mut other = rollout();
        other.experiment = String::from("other");
        other.steps[1].cohorts = Some(vec![String::from("internl")]);
        let first = other.check_policy("rollout.yaml", &policy()).unwrap_err();
        let mut nothing_shadowed = rollout();
        nothing_shadowed.steps[0].shadow_percent = Some(Share::ZERO);
        let second = nothing_shadowed.check_policy("rollout.yaml", &policy()).unwrap_err();
        insta::assert_snapshot!(format!("{first}\n\n{second}"));
        rollout().check_policy("rollout.yaml", &policy()).unwrap();
    }
}
