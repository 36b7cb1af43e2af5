//! A policy that was taken, with everything ready that exchanges and samples need of it.

use std::cell::Cell;
use std::rc::Rc;

use weir_policy::{Experiments, Mode, Policy, RequestView};
use weir_wire::{LegKind, Shared, Variant};

use crate::details::{Kept, kept};
use crate::guard::Guards;
use crate::metrics::{Metrics, RequestSeries};
use crate::outbox::Terms;
use crate::rewrite::Rewriting;

/// A policy in use. Exchanges keep the one that they started with. Where there are several experiments, the first one's
/// policy has the others, decides about the outbox, and answers for requests that none of them takes.
#[derive(Debug)]
pub struct Active {
    /// The policy.
    pub policy: Policy,
    /// The policy's digest.
    pub digest: String,
    /// What was pushed, a policy or several experiments: its revision.
    pub document_revision: u64,
    /// Its digest.
    pub document_digest: String,
    /// Its revision in digits, for the response header.
    pub revision_text: String,
    /// Where samples go, and the outbox's bounds.
    pub terms: Terms,
    /// Whether its root has not ticked yet.
    pub(crate) first_tick: Cell<bool>,
    /// Bytes of bodies that may be captured at a time.
    pub capture_bytes_max: usize,
    /// Bytes kept of a body's head.
    pub body_bytes_max: usize,
    /// Bytes kept of a body's tail.
    pub body_tail_bytes_max: usize,
    /// Bound of exchanges that wait for a leg, and of legs that are being captured.
    pub pending_pairs_max: usize,
    /// Watches the candidate, where the policy has a guard.
    pub(crate) guards: Option<Rc<Guards>>,
    /// Request headers that are kept.
    pub(crate) request_headers: Vec<Kept>,
    /// Response headers that are kept.
    pub(crate) response_headers: Vec<Kept>,
    /// What the candidate's requests have other than control's.
    pub(crate) rewriting: Option<Rewriting>,
    /// Policies of the experiments after the first.
    others: Vec<Rc<Active>>,
    snapshot_control: String,
    snapshot_candidate: String,
    /// Series of control and candidate, per cohort; the last is for requests without a cohort.
    series: Vec<[RequestSeries; 2]>,
}

impl Active {
    /// Takes a policy. What `previous` knows of the candidate is kept where it is the same policy, delivered again.
    pub fn new(policy: Policy, previous: Option<&Self>, metrics: &mut Metrics) -> Rc<Self> {
        Rc::new(Self::of(policy, previous, false, metrics))
    }

    /// Takes the policies of several experiments; none where there are none.
    pub fn of_experiments(
        document: Experiments,
        previous: Option<&Self>,
        metrics: &mut Metrics,
    ) -> Option<Rc<Self>> {
        let (revision, digest) = (document.revision, document.digest());
        let mut actives = document.experiments.into_iter().map(|policy| Self {
            document_revision: revision,
            document_digest: digest.clone(),
            revision_text: revision.to_string(),
            ..Self::of(policy, previous, true, metrics)
        });
        let first = actives.next()?;
        let others = actives.map(Rc::new).collect();
        Some(Rc::new(Self { others, ..first }))
    }

    fn of(policy: Policy, previous: Option<&Self>, one_of_several: bool, metrics: &mut Metrics) -> Self {
        let experiment = one_of_several.then_some(policy.experiment.as_str());
        let mut both = |cohort: &str, tier: &str| {
            [
                metrics.request_series(Variant::Control, cohort, tier, experiment),
                metrics.request_series(Variant::Candidate, cohort, tier, experiment),
            ]
        };
        let mut series: Vec<_> =
            policy.cohorts.iter().map(|cohort| both(&cohort.name, cohort.tier())).collect();
        series.push(both(weir_policy::NO_COHORT, weir_policy::NO_COHORT));
        let label = |variant| policy.snapshot(variant).map(weir_policy::Snapshot::label).unwrap_or_default();
        let digest = policy.digest();
        let known =
            previous.and_then(|previous| previous.with_digest(&digest)).and_then(|it| it.guards.clone());
        let guards = policy
            .guard
            .is_some()
            .then(|| known.unwrap_or_else(|| Rc::new(Guards::new(policy.cohorts.len()))));
        Self {
            others: Vec::new(),
            document_revision: policy.revision,
            document_digest: digest.clone(),
            digest,
            guards,
            request_headers: kept(
                "request.header",
                policy.capture.as_ref().and_then(|details| details.request_headers.as_ref()),
            ),
            response_headers: kept(
                "response.header",
                policy.capture.as_ref().and_then(|details| details.response_headers.as_ref()),
            ),
            revision_text: policy.revision.to_string(),
            terms: terms(&policy),
            first_tick: Cell::new(true),
            capture_bytes_max: size(policy.limits.capture_bytes()),
            body_bytes_max: size(policy.limits.body_bytes_max),
            body_tail_bytes_max: size(policy.limits.body_tail_bytes_max),
            pending_pairs_max: size(policy.limits.pending_pairs_max),
            rewriting: Rewriting::of(&policy),
            snapshot_control: label(weir_policy::Variant::Control),
            snapshot_candidate: label(weir_policy::Variant::Candidate),
            series,
            policy,
        }
    }

    fn with_digest(&self, digest: &str) -> Option<&Self> {
        let others = self.others.iter().map(|other| &**other);
        std::iter::once(self).chain(others).find(|known| known.digest == digest)
    }

    /// The policy of the experiment that a request belongs to; the first one where it belongs to none.
    pub(crate) fn of_request<'a, V: RequestView>(self: &'a Rc<Self>, request: &V) -> &'a Rc<Self> {
        if self.others.is_empty() || self.policy.takes(request) {
            return self;
        }
        self.others.iter().find(|other| other.policy.takes(request)).unwrap_or(self)
    }

    /// Whether an experiment of this name is served.
    pub(crate) fn is_about(&self, experiment: &str) -> bool {
        self.policy.experiment == experiment || self.others.iter().any(|other| other.is_about(experiment))
    }

    /// Whether a request header is the filter's own in any experiment, see [`Policy::owns_header`].
    pub(crate) fn owns_header(&self, name: &[u8]) -> bool {
        self.policy.owns_header(name) || self.others.iter().any(|other| other.policy.owns_header(name))
    }

    /// What the samples of this policy have in common.
    pub fn shared(&self) -> Shared<'_> {
        Shared {
            experiment: &self.policy.experiment,
            revision: self.policy.revision,
            policy_digest: &self.digest,
        }
    }

    /// Whether traffic is to pass as if the filter were not there.
    pub fn is_off(&self) -> bool {
        self.policy.mode == Mode::Off && self.others.iter().all(|other| other.is_off())
    }

    /// Label of what a variant serves.
    pub fn snapshot(&self, variant: Variant) -> &String {
        match variant {
            Variant::Control => &self.snapshot_control,
            Variant::Candidate => &self.snapshot_candidate,
        }
    }

    /// Name, tier and autonomy level of a cohort.
    pub fn cohort(&self, index: Option<u16>) -> (&str, &str, &str) {
        match index.and_then(|index| self.policy.cohorts.get(usize::from(index))) {
            Some(cohort) => (&cohort.name, cohort.tier(), cohort.autonomy.map_or("", |level| level.as_str())),
            None => (weir_policy::NO_COHORT, weir_policy::NO_COHORT, ""),
        }
    }

    /// Whether the guard has taken the candidate away from a cohort.
    pub(crate) fn is_held(&self, cohort: Option<u16>) -> bool {
        self.guards.as_ref().zip(cohort).is_some_and(|(guards, cohort)| guards.tripped(cohort))
    }

    /// Whether copies of a leg go to a cluster that serves primary requests with copies, too.
    pub fn shares_cluster(&self, leg: LegKind) -> bool {
        let copies = match leg {
            LegKind::Primary => return true,
            LegKind::Shadow => self.policy.shadow_cluster(),
            LegKind::Noise => self.policy.noise.cluster.as_deref(),
        };
        // Only exchanges that control serves are copied.
        copies == Some(self.policy.control.cluster.as_str())
    }

    /// Where an exchange is counted.
    pub fn series(&self, cohort: Option<u16>, variant: Variant) -> Option<RequestSeries> {
        let pair = match cohort {
            Some(index) => self.series.get(usize::from(index)),
            None => self.series.last(),
        };
        pair.map(|[control, candidate]| match variant {
            Variant::Control => *control,
            Variant::Candidate => *candidate,
        })
    }
}

fn terms(policy: &Policy) -> Terms {
    Terms {
        cluster: policy.sink.cluster.clone(),
        authority: policy.sink.authority().to_owned(),
        path: policy.sink.path.clone(),
        bytes_max: size(policy.limits.outbox_bytes_max),
        batch_bytes_max: size(policy.limits.batch_bytes_max),
        age_ms_max: policy.limits.sample_age_ms_max,
        timeout_ms: u32::try_from(policy.limits.sink_timeout_ms).unwrap_or(u32::MAX),
        backoff_ms_min: policy.limits.flush_interval_ms,
    }
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
