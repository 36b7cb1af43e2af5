//! Tells people and programs why a request was assigned as it was.

use std::fmt;

use serde::Serialize;

use crate::{Assignment, BUCKETS, Policy, Reason, Share};

/// An assignment in words, for `weir assign`. As JSON its keys are the field names.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// Experiment of the policy.
    pub experiment: String,
    /// Revision of the policy.
    pub revision: u64,
    /// Mode of the policy.
    pub mode: String,
    /// Cohort, or `none`.
    pub cohort: String,
    /// Tier, or `none`.
    pub tier: String,
    /// Number of the cohort in the policy, from 1.
    pub rule_number: Option<usize>,
    /// What the cohort matches, in words.
    pub rule: String,
    /// Cohorts before it, whose rules did not match, in words.
    pub rules_missed: Vec<String>,
    /// Where the identity was found.
    pub identity_source: Option<String>,
    /// Stands for the identity in samples; 16 hex digits.
    pub identity_hash: Option<String>,
    /// Bucket of the identity, 0 to 999,999.
    pub bucket_ppm: Option<u32>,
    /// The candidate answers the buckets below this, 0 to 1,000,000.
    pub share_ppm: u32,
    /// Which version answers.
    pub variant: String,
    /// Envoy cluster that answers.
    pub cluster: Option<String>,
    /// Why, as one word.
    pub reason: String,
    /// Why, as a sentence.
    pub why: String,
}

impl Policy {
    /// Explains an assignment that this policy made.
    #[must_use]
    pub fn explain(&self, assignment: &Assignment) -> Explanation {
        let describe = |index: usize| match self.cohorts.get(index) {
            Some(cohort) => {
                cohort.rule.as_ref().map_or_else(|| "every request".to_owned(), ToString::to_string)
            }
            None => "no cohort matches".to_owned(),
        };
        let cohort = assignment.cohort.map(usize::from);
        let unread = matches!(assignment.reason, Reason::Off | Reason::Outside);
        let evaluated = if unread { 0 } else { cohort.unwrap_or(self.cohorts.len()) };
        let rules_missed = self
            .cohorts
            .iter()
            .take(evaluated)
            .enumerate()
            .map(|(index, cohort)| format!("{}: {}", cohort.name, describe(index)))
            .collect();
        Explanation {
            experiment: self.experiment.clone(),
            revision: self.revision,
            mode: self.mode.to_string(),
            cohort: self.cohort_name(assignment).to_owned(),
            tier: self.tier(assignment).to_owned(),
            rule_number: cohort.map(|index| index + 1),
            rule: match cohort {
                Some(index) => describe(index),
                None if unread => "rules are not looked at".to_owned(),
                None => "no cohort matches".to_owned(),
            },
            rules_missed,
            identity_source: self.identity_source(assignment).map(ToString::to_string),
            identity_hash: assignment.identity_hash_hex(),
            bucket_ppm: assignment.bucket_ppm,
            share_ppm: assignment.share_ppm,
            variant: assignment.variant.to_string(),
            cluster: self.cluster(assignment.variant).map(str::to_owned),
            reason: assignment.reason.to_string(),
            why: self.why(assignment),
        }
    }

    fn why(&self, assignment: &Assignment) -> String {
        let cohort = self.cohort_name(assignment);
        let share = Share::from_ppm(assignment.share_ppm).unwrap_or(Share::ALL);
        let bucket = assignment.bucket_ppm.unwrap_or_default();
        match assignment.reason {
            Reason::Off => "mode off: the filter does nothing".to_owned(),
            Reason::RolledBack => "mode rolled-back: control answers everybody".to_owned(),
            Reason::ShadowOnly => {
                "mode shadow: control answers everybody, the candidate gets copies".to_owned()
            }
            Reason::NoCohort => "no cohort matches, and such requests go to control".to_owned(),
            Reason::Outside => match (&self.requests, &self.layer) {
                (Some(rule), None) => format!("the experiment is about requests whose {rule}; control answers the others"),
                _ => "the experiment is not about this request, or has another part of its layer; control answers".to_owned(),
            },
            Reason::Denied => {
                "the identity is on the deny list: control answers it, nothing is captured".to_owned()
            }
            Reason::Forced => {
                let overrides = self.overrides.as_ref();
                let header =
                    overrides.and_then(|overrides| overrides.force_header.as_deref()).unwrap_or_default();
                let tier = self.tier(assignment);
                format!(
                    "{header} says {}, and tier {tier} may choose; nothing is captured",
                    assignment.variant
                )
            }
            Reason::NoShare => format!("cohort {cohort} has no share of the candidate"),
            Reason::NoIdentity if self.identity.is_empty() => "the policy names no identity".to_owned(),
            Reason::NoIdentity => {
                let sources: Vec<String> = self.identity.iter().map(ToString::to_string).collect();
                format!("no identity found ({}), and such requests go to control", sources.join(", "))
            }
            Reason::InsideShare => {
                format!("bucket {bucket} is below {}, the share {share} of cohort {cohort}", share.ppm())
            }
            Reason::OutsideShare => {
                format!("bucket {bucket} is not below {}, the share {share} of cohort {cohort}", share.ppm())
            }
        }
    }
}

/// A table for people, without a line break at the end.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cluster = self.cluster.as_deref().map(|name| format!(" (cluster {name})")).unwrap_or_default();
        writeln!(f, "variant   {}{cluster}", self.variant)?;
        writeln!(f, "why       {}", self.why)?;
        writeln!(f, "cohort    {} (tier {})", self.cohort, self.tier)?;
        match self.rule_number {
            Some(number) => writeln!(f, "rule      cohort {number} matches: {}", self.rule)?,
            None => writeln!(f, "rule      {}", self.rule)?,
        }
        for missed in &self.rules_missed {
            writeln!(f, "          before it, no match: {missed}")?;
        }
        match (&self.identity_source, &self.identity_hash, self.bucket_ppm) {
            (Some(source), Some(hash), Some(bucket)) => {
                writeln!(f, "identity  {source} (in samples as {hash})")?;
                writeln!(f, "bucket    {bucket} of {BUCKETS}")?;
            }
            _ => writeln!(f, "identity  none")?,
        }
        write!(f, "policy    {} revision {}, mode {}", self.experiment, self.revision, self.mode)
    }
}
