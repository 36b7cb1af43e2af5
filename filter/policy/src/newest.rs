//! The newest revision of each experiment that was taken, so that a policy that comes late cannot undo a later one.
//!
//! A mesh's agents may deliver an old policy after a new one, which would undo a rollback. A revision below the newest one is
//! refused, with two exceptions: a document that says with `replaces` which revision it takes the place of (a restore), and
//! one that takes everybody to control (`off`, `rolled-back`): the way back is never closed. The newest revision stays known
//! behind the latter, so that what it took back cannot come again by itself.
//!
//! Limits: [`EXPERIMENTS_MAX`] experiments, the one that was named longest ago goes first. What knows nothing yet (a proxy that
//! has started) takes whatever it is given.

use weir_document::{Collector, Path, Problems};

use crate::{Experiments, Mode, PluginConfiguration, Policy};

/// Experiments whose newest revision is kept.
pub const EXPERIMENTS_MAX: usize = 64;

/// Newest revision by experiment: of the policy, or of the document of several experiments that carried it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Newest {
    /// The latest named is last.
    experiments: Vec<(String, u64)>,
}

/// What was delivered, a policy or several.
struct Delivered<'a> {
    revision: u64,
    replaces: Option<u64>,
    policies: &'a [Policy],
}

impl Newest {
    /// Whether a configuration comes too late.
    ///
    /// # Errors
    /// That its revision is too low; `name` is what errors call the document.
    pub fn check(&self, name: &str, configuration: &PluginConfiguration) -> Result<(), Problems> {
        let Some(delivered) = Delivered::of(configuration) else { return Ok(()) };
        let known = delivered.policies.iter().filter_map(|policy| self.of(&policy.experiment));
        let newest = known.max().unwrap_or(0);
        if delivered.revision >= newest || delivered.replaces >= Some(newest) || delivered.is_back() {
            return Ok(());
        }
        let mut problems = Collector::new();
        problems
            .report(&Path::Root.key("revision"), "is below the newest one that was taken")
            .number_value(delivered.revision)
            .allowed(format!("{newest} or above, or `replaces: {newest}`"))
            .hint("it came late; `replaces` says that it is a restore, as `weir push --restore` does");
        Err(problems.into_problems(name))
    }

    /// Notes a configuration that was taken.
    pub fn take(&mut self, configuration: &PluginConfiguration) {
        let Some(delivered) = Delivered::of(configuration) else { return };
        for policy in delivered.policies {
            let before = self.of(&policy.experiment).unwrap_or(0);
            let restored = delivered.replaces >= Some(before);
            self.experiments.retain(|(name, _)| *name != policy.experiment);
            if self.experiments.len() >= EXPERIMENTS_MAX {
                self.experiments.remove(0);
            }
            let newest = if restored { delivered.revision } else { before.max(delivered.revision) };
            self.experiments.push((policy.experiment.clone(), newest));
        }
    }

    fn of(&self, experiment: &str) -> Option<u64> {
        self.experiments.iter().find(|(name, _)| name == experiment).map(|(_, revision)| *revision)
    }
}

impl<'a> Delivered<'a> {
    fn of(configuration: &'a PluginConfiguration) -> Option<Self> {
        match configuration {
            PluginConfiguration::Capture(_) => None,
            PluginConfiguration::Policy(policy) => Some(Self {
                revision: policy.revision,
                replaces: policy.replaces,
                policies: std::slice::from_ref(policy.as_ref()),
            }),
            PluginConfiguration::Experiments(Experiments { revision, replaces, experiments }) => {
                Some(Self { revision: *revision, replaces: *replaces, policies: experiments })
            }
        }
    }

    /// Whether it takes everybody to control.
    fn is_back(&self) -> bool {
        self.policies.iter().all(|policy| matches!(policy.mode, Mode::Off | Mode::RolledBack))
    }
}
