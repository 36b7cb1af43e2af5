//! A push: write the policy where the proxies read it, then wait until they say that they serve it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_policy::{Experiments, Policy};

use crate::confirm::{Confirmer, ExtensionStats, ProxyConfirmation, ProxyReport, Shown};
use crate::ecds_file::{Carried, EcdsError, EcdsFile, Replaced, Which};
use crate::error::ControllerError;
use crate::target::EnvoyTarget;

/// How long the statistics before a push may be waited for.
const BASELINE_LIMIT: Duration = Duration::from_millis(200);
/// The same where nothing may wait long. Read beside the push they could count its rejection already, which would then be
/// noticed only when the time is over.
const HEAD_START: Duration = Duration::from_millis(50);

/// Pushes policies to one target.
#[derive(Debug)]
pub struct Pusher {
    file: Arc<EcdsFile>,
    confirmer: Confirmer,
    /// Statistics of the proxies before the next push, as fresh as the last look; to see what a push made grow.
    baseline: Vec<Option<ExtensionStats>>,
}

/// A policy that is in place and not yet confirmed.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// Its revision.
    pub revision: u64,
    /// The revision before: of the experiment, where it is one of several.
    pub revision_before: u64,
    /// Its mode; `several` where it is a document of several experiments.
    pub mode: String,
    /// From the start of the push until the file was in place and durable.
    pub written_ms: f64,
    started: Instant,
    shown: Shown,
}

/// A policy that all proxies confirmed.
#[derive(Clone, Debug, PartialEq)]
pub struct Confirmed {
    /// Its revision.
    pub revision: u64,
    /// Each proxy, with the time since the start of the push.
    pub proxies: Vec<ProxyConfirmation>,
    /// From the start of the push until the last proxy confirmed.
    pub confirmed_ms: f64,
}

impl Pusher {
    /// Nothing is read or sent yet.
    ///
    /// # Errors
    /// When an admin address cannot be resolved.
    pub fn new(target: &EnvoyTarget) -> Result<Self, ControllerError> {
        Ok(Self {
            file: Arc::new(EcdsFile::new(&target.path, &target.name)),
            confirmer: Confirmer::new(target)?,
            baseline: Vec::new(),
        })
    }

    /// What the ECDS file carries now.
    ///
    /// # Errors
    /// When it cannot be read or has another format.
    pub fn carried(&self) -> Result<Carried, EcdsError> {
        self.file.read()
    }

    /// What every proxy shows now.
    pub async fn report(&self) -> Vec<ProxyReport> {
        self.confirmer.report().await
    }

    /// Reads the proxies' statistics, so that a later rejection is noticed at once.
    pub async fn refresh(&mut self) {
        self.baseline = self.confirmer.baseline(BASELINE_LIMIT).await;
    }

    /// What the ECDS file carries of one experiment.
    ///
    /// # Errors
    /// The same, and when it carries several experiments and not this one.
    pub fn carried_of(&self, experiment: &str) -> Result<Carried, EcdsError> {
        let carried = self.carried()?;
        carried.of(experiment).ok_or_else(|| EcdsError::Experiment {
            path: self.file.path().to_owned(),
            given: Some(experiment.to_owned()),
            there: names(&carried),
            hint: "push the document that has it, or name one of these",
        })
    }

    /// Whether a policy fits into the ECDS file: with the other experiments, where it carries several.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(&self, policy: &Policy) -> Result<(), EcdsError> {
        self.file.check(policy)
    }

    /// Puts the policy in place, or its experiment into a file of several; `started` is when the decision to push was made.
    /// Never waits for a proxy.
    ///
    /// # Errors
    /// When the file cannot be changed, or carries this revision or a later one and `force` is not set.
    pub async fn write(
        &self,
        policy: &Policy,
        force: bool,
        started: Instant,
    ) -> Result<Written, ControllerError> {
        let policy = policy.clone();
        let experiment = policy.experiment.clone();
        self.change(Some(experiment), started, move |file| file.put(&policy, force)).await
    }

    /// Puts a document of several experiments in the place of all that the file carries.
    ///
    /// # Errors
    /// As [`Pusher::write`].
    pub async fn write_experiments(
        &self,
        experiments: &Experiments,
        force: bool,
        started: Instant,
    ) -> Result<Written, ControllerError> {
        let (json, revision) = (experiments.to_json(), experiments.revision);
        self.write_json(json, revision, force, started).await
    }

    /// Takes experiments of a file of several back, see [`EcdsFile::take_back`], after a short look at the proxies' statistics.
    pub(crate) async fn take_back(
        &mut self,
        which: Which,
        given: Option<Policy>,
        started: Instant,
    ) -> Result<Written, ControllerError> {
        let experiment = match &which {
            Which::One(name) => Some(name.clone()),
            Which::All => None,
        };
        self.baseline = self.confirmer.baseline(HEAD_START).await;
        self.change(experiment, started, move |file| file.take_back(&which, given.as_ref())).await
    }

    /// The same for a policy that this weir may not be able to read: it is the filter that decides.
    async fn write_json(
        &self,
        json: String,
        revision: u64,
        force: bool,
        started: Instant,
    ) -> Result<Written, ControllerError> {
        self.change(None, started, move |file| file.replace(&json, revision, force)).await
    }

    async fn change(
        &self,
        experiment: Option<String>,
        started: Instant,
        change: impl FnOnce(&EcdsFile) -> Result<Replaced, EcdsError> + Send + 'static,
    ) -> Result<Written, ControllerError> {
        let file = Arc::clone(&self.file);
        let work = tokio::task::spawn_blocking(move || change(&file));
        let Replaced { before, after } =
            work.await.map_err(|_| ControllerError::Interrupted("the push"))??;
        let of = |carried: &Carried| {
            experiment.as_deref().and_then(|name| carried.of(name)).unwrap_or_else(|| carried.clone())
        };
        Ok(Written {
            revision: after.revision,
            revision_before: of(&before).revision,
            mode: of(&after)
                .mode()
                .unwrap_or(if after.is_of_several() { "several" } else { "unknown" })
                .to_owned(),
            written_ms: milliseconds(started.elapsed()),
            started,
            shown: Shown::of(&after),
        })
    }

    /// [`Pusher::write_json`], after a short look at the proxies' statistics: for a push that nothing was looked at before.
    pub(crate) async fn write_at_once(
        &mut self,
        json: String,
        revision: u64,
        started: Instant,
    ) -> Result<Written, ControllerError> {
        self.baseline = self.confirmer.baseline(HEAD_START).await;
        self.write_json(json, revision, false, started).await
    }

    /// Waits until all proxies show what the file carries already, written by somebody else.
    ///
    /// # Errors
    /// After the timeout, with what each proxy shows.
    pub async fn confirm_carried(&self) -> Result<Vec<ProxyConfirmation>, ControllerError> {
        let shown = Shown::of(&self.carried()?);
        Ok(self.confirmer.confirm(shown, &self.baseline, Instant::now()).await?)
    }

    /// Waits until all proxies show what was written.
    ///
    /// # Errors
    /// A rejection at once, else after the timeout with what each proxy shows.
    pub async fn confirm(&self, written: &Written) -> Result<Confirmed, ControllerError> {
        let (revision, started) = (written.revision, written.started);
        let proxies = self.confirmer.confirm(written.shown, &self.baseline, started).await?;
        Ok(Confirmed { revision, proxies, confirmed_ms: milliseconds(started.elapsed()) })
    }
}

/// The names of the experiments in a file of several.
pub(crate) fn names(carried: &Carried) -> Vec<String> {
    carried.experiments().iter().filter_map(|one| one.experiment().map(str::to_owned)).collect()
}

pub(crate) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
