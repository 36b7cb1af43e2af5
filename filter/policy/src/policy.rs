//! The policy document: its fields, defaults and ranges. The rules between fields are in `check`.

use weir_document::{Items, Problems, choice, document};
use xxhash_rust::xxh3::xxh3_64;

use crate::check::{
    check_clusters, check_cohorts, check_identities, check_limits, check_mode, check_noise,
    check_noise_cluster, check_routing, check_tail, check_times,
};
use crate::experiments::check_layer_identity;
use crate::overrides::check_override_names;
use crate::{
    CandidateRequest, Details, Guard, HeaderName, IdentitySource, Layer, Match, Overrides, Sampling, Shadow,
    Share, Snapshot, Text,
};

/// Name under which requests are counted that no cohort matches.
pub const NO_COHORT: &str = "none";

/// Largest revision: doubles, as a protobuf Struct has them, hold every whole number up to here.
pub(crate) const REVISION_MAX: u64 = 1 << 53;

choice! {
    /// What the filter does with traffic.
    pub enum Mode {
        /// Nothing at all: no assignment, no capture.
        Off = "off",
        /// Control answers everybody; copies go to the candidate.
        Shadow = "shadow",
        /// The candidate answers its share of each cohort; copies of what control answers go to the candidate.
        Canary = "canary",
        /// The candidate answers every identity of each cohort that has a share; no copies.
        Full = "full",
        /// Control answers everybody; no copies; sampling goes on.
        RolledBack = "rolled-back",
    }
}

choice! {
    /// Which version answers.
    pub enum Variant {
        /// The version that is known to be good.
        Control = "control",
        /// The version on trial.
        Candidate = "candidate",
    }
}

choice! {
    /// What a header tells the candidate about a request.
    pub enum UpstreamHeader {
        /// `x-weir-experiment`: name of the experiment.
        Experiment = "experiment",
        /// `x-weir-variant`: on copies too; requests that the candidate serves have the routing header in any case.
        Variant = "variant",
        /// `x-weir-snapshot`: label of the snapshot that should answer.
        Snapshot = "snapshot",
        /// `x-weir-autonomy`: autonomy level of the cohort, where it has one.
        Autonomy = "autonomy",
    }
}

choice! {
    /// Part of an exchange that is captured by itself.
    pub enum Leg {
        /// The exchange that the client sees.
        Primary = "primary",
        /// The copy to the candidate.
        Shadow = "shadow",
        /// The copy to control: a second answer of the same version.
        Noise = "noise",
    }
}

choice! {
    /// How much the served model may do by itself.
    pub enum Autonomy {
        /// It suggests, people act.
        Suggest = "suggest",
        /// It acts, people approve.
        Supervised = "supervised",
        /// It acts.
        Autonomous = "autonomous",
    }
}

document! {
    /// Who gets which version of a model, what is copied and captured, and where the samples go.
    pub struct Policy kind "Policy" {
        /// Name of the experiment.
        pub experiment: String => Text::Label,
        /// Number of this version of the policy; it grows with every change.
        pub revision: u64 => 1..=REVISION_MAX,
        /// Of a restore: the revision that it takes the place of, though its own is lower. Proxies refuse a revision below the
        /// newest one that they have taken, unless it says this, or takes everybody to control.
        pub replaces: Option<u64> => 1..=REVISION_MAX,
        /// What the filter does with traffic.
        pub mode: Mode,
        /// Separates the buckets of experiments; the experiment's name where it is left away.
        pub salt: Option<String> => Text::Visible,
        /// Which requests the experiment is about; all where it is left away. Control answers the others, and nothing of them
        /// is captured or copied.
        pub requests: Option<Match>,
        /// The part of a layer that the experiment has; everybody where it is left away.
        pub layer: Option<Layer>,
        /// The version that is known to be good.
        pub control: Control,
        /// The version on trial; needed by the modes shadow, canary and full.
        pub candidate: Option<Candidate>,
        /// Where a request's identity is found, in order; a request without identity goes to control.
        pub identity: Vec<IdentitySource> = Vec::new() => Items(0..=8),
        /// Who gets what; the first match counts. Requests that no cohort matches go to control.
        pub cohorts: Vec<Cohort> = Vec::new() => Items(0..=64),
        /// Exceptions from the assignment.
        pub overrides: Option<Overrides>,
        /// Copies to the candidate.
        pub shadow: Shadow,
        /// Copies to control.
        pub noise: Noise,
        /// Capture of exchanges without copies.
        pub sampling: Sampling,
        /// What is kept of an exchange besides bodies, sizes, times and status.
        pub capture: Option<Details>,
        /// When the filter itself takes the candidate away from a cohort.
        pub guard: Option<Guard>,
        /// How the choice reaches Envoy's router.
        pub routing: Routing,
        /// What the client is told.
        pub response_headers: ResponseHeaders,
        /// Whether access logs can show experiment, revision, variant, cohort, tier, reason and sample of every exchange, as
        /// `%FILTER_STATE(wasm.weir:PLAIN)%`. It costs a host call per exchange.
        pub filter_state: Option<bool>,
        /// Bounds of the filter.
        pub limits: Limits,
        /// Where samples go.
        pub sink: Sink,
    }
    check check_mode(mode, candidate, identity, cohorts, shadow);
    check check_clusters(control, candidate);
    check check_noise_cluster(noise, candidate);
    check check_cohorts(cohorts);
    check check_identities(identity);
    check check_layer_identity(layer, identity);
    check check_override_names(overrides, identity, cohorts);
}

document! {
    /// The version that is known to be good.
    pub struct Control {
        /// Envoy cluster that serves it.
        pub cluster: String => Text::Cluster,
        /// What it serves.
        pub snapshot: Snapshot,
    }
}

document! {
    /// The version on trial.
    pub struct Candidate {
        /// Envoy cluster that serves it.
        pub cluster: String => Text::Cluster,
        /// Envoy cluster that gets the copies; the serving cluster where it is left away.
        pub shadow_cluster: Option<String> => Text::Cluster,
        /// What its requests have other than control's.
        pub request: Option<CandidateRequest>,
        /// What it serves.
        pub snapshot: Snapshot,
    }
}

document! {
    /// A part of the users and what it gets.
    pub struct Cohort {
        /// Name of the cohort.
        pub name: String => Text::Label,
        /// Trust tier; the cohort's name where it is left away.
        pub tier: Option<String> => Text::Label,
        /// Which requests belong to it; all where it is left away.
        pub rule as "match": Option<Match>,
        /// Share of its identities that the candidate answers, in percent.
        pub candidate_percent: Share = Share::ZERO,
        /// Replaces `shadow.percent` for this cohort.
        pub shadow_percent: Option<Share>,
        /// Replaces `sampling.percent` for this cohort.
        pub sampling_percent: Option<Share>,
        /// How much the served model may do by itself.
        pub autonomy: Option<Autonomy>,
    }
}

document! {
    /// Copies to control: how much do two answers of the same version differ?
    pub struct Noise {
        /// Share of the exchanges answered by control whose copy goes to control again, in percent.
        pub percent: Share = Share::ZERO,
        /// Envoy cluster that gets the copies.
        pub cluster: Option<String> => Text::Cluster,
    }
    validate check_noise;
}

document! {
    /// How the choice reaches Envoy's router. The filter overwrites these headers in every request.
    pub struct Routing {
        /// Request header that is set to `control` or `candidate`, for routes that match on it.
        pub variant_header: HeaderName = HeaderName::fixed("x-weir-variant"),
        /// Request header that is set to the cluster's name, for `cluster_header` routes.
        pub cluster_header: Option<HeaderName>,
        /// What requests and copies that reach the candidate carry; `[autonomy]` where it is left away. Each costs a host
        /// call, so that only what is asked for is set. Copies always carry `x-weir-leg`, set by the route.
        pub upstream_headers: Option<Vec<UpstreamHeader>> => Items(0..=4),
    }
    validate check_routing;
}

document! {
    /// What the client is told about the answer.
    pub struct ResponseHeaders {
        /// Whether answers carry `x-weir-variant`.
        pub variant: bool = true,
        /// Whether answers carry `x-weir-revision`.
        pub revision: bool = true,
    }
}

document! {
    /// Bounds of the filter, each per worker.
    pub struct Limits {
        /// Bytes kept of the beginning of a body.
        pub body_bytes_max: u64 = 65_536 => 1_024..=4_194_304,
        /// Bytes kept of the end of a body that is longer than that.
        pub body_tail_bytes_max: u64 = 8_192 => 0..=1_048_576,
        /// Bytes of samples that wait to be sent.
        pub outbox_bytes_max: u64 = 4_194_304 => 65_536..=268_435_456,
        /// Bytes of bodies that are being captured; 8 MiB, or two samples where that is more, where it is left away.
        pub capture_bytes_max: Option<u64> => 65_536..=268_435_456,
        /// Exchanges whose other leg is awaited.
        pub pending_pairs_max: u64 = 10_000 => 1..=1_000_000,
        /// Bytes of one batch of samples.
        pub batch_bytes_max: u64 = 524_288 => 4_096..=16_777_216,
        /// Milliseconds between batches.
        pub flush_interval_ms: u64 = 500 => 50..=60_000,
        /// Milliseconds after which a batch counts as not delivered.
        pub sink_timeout_ms: u64 = 5_000 => 100..=60_000,
        /// Milliseconds after which a waiting sample is dropped.
        pub sample_age_ms_max: u64 = 60_000 => 1_000..=3_600_000,
    }
    check check_tail(body_bytes_max, body_tail_bytes_max);
    check check_limits(body_bytes_max, body_tail_bytes_max, outbox_bytes_max, batch_bytes_max, capture_bytes_max);
    check check_times(flush_interval_ms, sample_age_ms_max);
}

document! {
    /// Where samples go: a collector of OTLP/HTTP logs.
    pub struct Sink {
        /// Envoy cluster of the collector.
        pub cluster: String = "weir-collector".to_owned() => Text::Cluster,
        /// Host header of the requests; the cluster's name where it is left away.
        pub authority: Option<String> => Text::Authority,
        /// Path of the requests.
        pub path: String = "/v1/logs".to_owned() => Text::UrlPath,
    }
}

impl Policy {
    /// Reads a policy from YAML or JSON; `name` is what errors call the document.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(name: &str, text: &str) -> Result<Self, Problems> {
        weir_document::read(name, text)
    }

    /// Checks a policy that was changed in memory, by the same rules as [`Policy::parse`].
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn check(&self, name: &str) -> Result<(), Problems> {
        Self::parse(name, &self.to_json()).map(|_| ())
    }

    /// The JSON Schema (2020-12) of the document.
    #[must_use]
    pub fn json_schema() -> serde_json::Value {
        weir_document::json_schema::<Self>()
    }

    /// The policy as one line of JSON: fields in the order of the type, defaults filled in. Reading it gives this policy.
    #[must_use]
    pub fn to_json(&self) -> String {
        canonical_json(self)
    }

    /// 16 hex digits that stand for the whole policy.
    #[must_use]
    pub fn digest(&self) -> String {
        digest_of(self)
    }

    /// What requests that reach the candidate are told.
    #[must_use]
    pub fn upstream_headers(&self) -> &[UpstreamHeader] {
        self.routing.upstream_headers.as_deref().unwrap_or(&[UpstreamHeader::Autonomy])
    }

    /// What separates this experiment's buckets from those of others.
    #[must_use]
    pub fn salt(&self) -> &str {
        self.salt.as_deref().unwrap_or(&self.experiment)
    }

    /// Envoy cluster that answers for a variant; none where the policy has no candidate.
    #[must_use]
    pub fn cluster(&self, variant: Variant) -> Option<&str> {
        match variant {
            Variant::Control => Some(&self.control.cluster),
            Variant::Candidate => self.candidate.as_ref().map(|candidate| candidate.cluster.as_str()),
        }
    }

    /// Envoy cluster that gets the copies to the candidate; none where the policy has no candidate.
    #[must_use]
    pub fn shadow_cluster(&self) -> Option<&str> {
        self.candidate.as_ref().map(Candidate::shadow_cluster)
    }

    /// What a variant serves; none where the policy has no candidate.
    #[must_use]
    pub fn snapshot(&self, variant: Variant) -> Option<&Snapshot> {
        match variant {
            Variant::Control => Some(&self.control.snapshot),
            Variant::Candidate => self.candidate.as_ref().map(|candidate| &candidate.snapshot),
        }
    }

    /// The request headers that assignment looks at, each once and in lower case: those of the identity sources (`cookie`
    /// for cookies, `:path` for query parameters), then the rules' headers.
    #[must_use]
    pub fn headers_read(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        names.extend(self.identity.iter().filter_map(IdentitySource::header_read));
        let rules = self.cohorts.iter().filter_map(|cohort| cohort.rule.as_ref());
        for rule in self.requests.iter().chain(rules) {
            rule.each_header(&mut |name| names.push(name));
        }
        let mut once: Vec<&str> = Vec::new();
        for name in names {
            if !once.contains(&name) {
                once.push(name);
            }
        }
        once
    }

    /// Whether a request header with this name (any case) is the filter's own, and so is removed from what clients send:
    /// `x-weir-*` and the headers of `routing`.
    #[must_use]
    pub fn owns_header(&self, name: &[u8]) -> bool {
        let same = |header: &HeaderName| header.as_bytes().eq_ignore_ascii_case(name);
        crate::headers::is_reserved_bytes(name)
            || same(&self.routing.variant_header)
            || self.routing.cluster_header.as_ref().is_some_and(same)
    }
}

impl Candidate {
    /// Envoy cluster that gets the copies.
    #[must_use]
    pub fn shadow_cluster(&self) -> &str {
        self.shadow_cluster.as_deref().unwrap_or(&self.cluster)
    }
}

impl Cohort {
    /// Trust tier.
    #[must_use]
    pub fn tier(&self) -> &str {
        self.tier.as_deref().unwrap_or(&self.name)
    }
}

impl Limits {
    /// Bytes of bodies that may be captured at a time.
    #[must_use]
    pub fn capture_bytes(&self) -> u64 {
        const USUAL: u64 = 8 << 20;
        let two_samples = 4 * (self.body_bytes_max + self.body_tail_bytes_max);
        self.capture_bytes_max.unwrap_or(USUAL.max(two_samples))
    }
}

impl Sink {
    /// Host header of the requests.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.authority.as_deref().unwrap_or(&self.cluster)
    }
}

/// The value as one line of JSON in the order of the type's fields, which no feature of `serde_json` changes.
pub(crate) fn canonical_json(value: &impl serde::Serialize) -> String {
    // Writing cannot fail: all keys are text. Should that change, the empty text is refused by every reader.
    serde_json::to_string(value).unwrap_or_default()
}

/// 16 hex digits of the canonical JSON's XXH3-64.
pub(crate) fn digest_of(value: &impl serde::Serialize) -> String {
    format!("{:016x}", xxh3_64(canonical_json(value).as_bytes()))
}
