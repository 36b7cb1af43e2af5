//! A push: write the policy where the proxies read it, then wait until they say that they serve it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_policy::Policy;

use crate::confirm::{Confirmer, ExtensionStats, ProxyConfirmation, ProxyReport};
use crate::ecds_file::{Carried, EcdsError, EcdsFile};
use crate::error::ControllerError;
use crate::target::EnvoyTarget;

/// How long the statistics before a push may be waited for.
const BASELINE_LIMIT: Duration = Duration::from_millis(200);

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
    /// Its mode.
    pub mode: String,
    /// From the start of the push until the file was in place and durable.
    pub written_ms: f64,
    started: Instant,
    probe: bool,
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

    /// Puts the policy in place; `started` is when the decision to push was made. Never waits for a proxy.
    ///
    /// # Errors
    /// When the file cannot be changed, or carries this revision or a later one and `force` is not set.
    pub async fn write(
        &self,
        policy: &Policy,
        force: bool,
        started: Instant,
    ) -> Result<Written, ControllerError> {
        self.write_json(policy.to_json(), policy.revision, force, started).await
    }

    /// The same for a policy that this weir may not be able to read: it is the filter that decides.
    pub(crate) async fn write_json(
        &self,
        policy_json: String,
        revision: u64,
        force: bool,
        started: Instant,
    ) -> Result<Written, ControllerError> {
        let file = Arc::clone(&self.file);
        let work = tokio::task::spawn_blocking(move || {
            file.replace(&policy_json, revision, force)?;
            Ok::<_, EcdsError>(Carried::new(revision, &policy_json))
        });
        let carried = work.await.map_err(|_| ControllerError::Interrupted("the push"))??;
        Ok(Written {
            revision,
            mode: carried.mode().unwrap_or("unknown").to_owned(),
            written_ms: milliseconds(started.elapsed()),
            started,
            probe: carried.shows_revision(),
        })
    }

    /// The same, and reads the proxies' statistics meanwhile: for a push that nothing was looked at before.
    pub(crate) async fn write_at_once(
        &mut self,
        policy_json: String,
        revision: u64,
        started: Instant,
    ) -> Result<Written, ControllerError> {
        let (baseline, written) = tokio::join!(
            self.confirmer.baseline(BASELINE_LIMIT),
            self.write_json(policy_json, revision, false, started)
        );
        self.baseline = baseline;
        written
    }

    /// Waits until all proxies show the revision that the file carries already, written by somebody else.
    ///
    /// # Errors
    /// After the timeout, with what each proxy shows.
    pub async fn confirm_carried(&self, revision: u64) -> Result<Vec<ProxyConfirmation>, ControllerError> {
        let probe = self.carried()?.shows_revision();
        Ok(self.confirmer.confirm(revision, probe, &self.baseline, Instant::now()).await?)
    }

    /// Waits until all proxies show what was written.
    ///
    /// # Errors
    /// A rejection at once, else after the timeout with what each proxy shows.
    pub async fn confirm(&self, written: &Written) -> Result<Confirmed, ControllerError> {
        let (revision, started) = (written.revision, written.started);
        let proxies = self.confirmer.confirm(revision, written.probe, &self.baseline, started).await?;
        Ok(Confirmed { revision, proxies, confirmed_ms: milliseconds(started.elapsed()) })
    }
}

pub(crate) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
