//! Several experiments in one configuration: each a policy of its own, on its own requests, or in a part of a layer.
//!
//! A request belongs to the first experiment that takes it, or to none. An experiment takes the requests that its `requests`
//! rule matches and, where it is in a layer, whose identity's bucket of that layer is inside its range. Ranges of a layer do
//! not overlap, so that no user is in two experiments of it; layers and experiments are independent of each other.
//!
//! The document's revision grows with every change. Samples carry the revision of their experiment, which stays where another
//! one changes, so that its evidence goes on counting; answers carry the document's, by which a push is confirmed.

use serde_json::Value;
use weir_document::{Collector, Items, Path, Problems, document};

use crate::policy::{REVISION_MAX, canonical_json, digest_of};
use crate::{BUCKETS, Mode, Policy, Purpose, RequestView, Share, Text, bucket_ppm};

/// What every document says about itself, filled in for the policies of a list.
const ENVELOPE: [(&str, &str); 2] = [("apiVersion", weir_document::API_VERSION), ("kind", "Policy")];

document! {
    /// The part of a layer that an experiment has. Experiments of one layer exclude each other.
    pub struct Layer {
        /// Name of the layer; it is the salt of its buckets.
        pub name: String => Text::Label,
        /// Where the part begins, in percent of the identities.
        pub from_percent: Share = Share::ZERO,
        /// Where it ends, in percent; the next part may begin here.
        pub to_percent: Share = Share::ALL,
    }
    validate check_layer;
}

document! {
    /// Several experiments: each has the fields of a policy, without `apiVersion` and `kind`. An experiment's own `revision`
    /// says since when it is as it is; it is the document's where it is left away.
    pub struct Experiments kind "Experiments" {
        /// Number of this version; it grows with every change of any experiment.
        pub revision: u64 => 1..=REVISION_MAX,
        /// Of a restore: the revision that it takes the place of, though its own is lower. What the experiments say of this does not
        /// count.
        pub replaces: Option<u64> => 1..=REVISION_MAX,
        /// The experiments; the first that takes a request decides.
        pub experiments: Vec<Policy> => Items(1..=16),
    }
    check check_experiments(revision, experiments);
}

impl Experiments {
    /// Reads experiments from YAML or JSON; `name` is what errors call the document.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(name: &str, text: &str) -> Result<Self, Problems> {
        Self::decode_tree(name, weir_document::parse(name, text)?)
    }

    /// The JSON Schema (2020-12) of the document.
    #[must_use]
    pub fn json_schema() -> Value {
        let mut schema = weir_document::json_schema::<Self>();
        let required = schema.pointer_mut("/$defs/Policy/required").and_then(Value::as_array_mut);
        if let Some(required) = required {
            required.retain(|field| !matches!(field.as_str(), Some("apiVersion" | "kind" | "revision")));
        }
        schema
    }

    /// The document as one line of JSON. Reading it gives this document.
    #[must_use]
    pub fn to_json(&self) -> String {
        canonical_json(self)
    }

    /// 16 hex digits that stand for the whole document.
    #[must_use]
    pub fn digest(&self) -> String {
        digest_of(self)
    }

    /// The experiment that a request belongs to; none where no experiment takes it, and control answers.
    #[must_use]
    pub fn of<V: RequestView + ?Sized>(&self, request: &V) -> Option<&Policy> {
        self.experiments.iter().find(|policy| policy.takes(request))
    }

    /// The policy that answers for a request: of the experiment that it belongs to, or the first where it belongs to none.
    #[must_use]
    pub fn answering<V: RequestView + ?Sized>(&self, request: &V) -> Option<&Policy> {
        self.of(request).or_else(|| self.experiments.first())
    }

    pub(crate) fn decode_tree(name: &str, mut tree: Value) -> Result<Self, Problems> {
        let revision = tree.get("revision").cloned();
        let list = tree.get_mut("experiments").and_then(Value::as_array_mut);
        for experiment in list.into_iter().flatten().filter_map(Value::as_object_mut) {
            for (key, value) in ENVELOPE {
                experiment.entry(key).or_insert_with(|| Value::from(value));
            }
            if let Some(revision) = &revision {
                experiment.entry("revision").or_insert_with(|| revision.clone());
            }
        }
        weir_document::decode(name, &tree)
    }
}

impl Policy {
    /// Whether a request belongs to this policy's experiment. With mode `off` none does.
    #[must_use]
    pub fn takes<V: RequestView + ?Sized>(&self, request: &V) -> bool {
        self.mode != Mode::Off
            && self.requests.as_ref().is_none_or(|rule| rule.matches(request))
            && self.layer.as_ref().is_none_or(|layer| self.is_in(layer, request))
    }

    fn is_in<V: RequestView + ?Sized>(&self, layer: &Layer, request: &V) -> bool {
        let identity = self.identity.iter().find_map(|source| source.find(request));
        identity.is_some_and(|identity| layer.holds(bucket_ppm(&layer.name, Purpose::Layer, &identity)))
    }
}

impl Layer {
    fn holds(&self, bucket_ppm: u32) -> bool {
        (self.from_percent.ppm()..self.to_percent.ppm()).contains(&bucket_ppm.min(BUCKETS - 1))
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.name == other.name
            && self.from_percent < other.to_percent
            && other.from_percent < self.to_percent
    }
}

/// A part of a layer has users in it.
fn check_layer(layer: &Layer, at: &Path<'_>, problems: &mut Collector) {
    if layer.from_percent >= layer.to_percent {
        problems
            .report(&at.key("toPercent"), "is not above fromPercent")
            .number_value(layer.to_percent.percent())
            .hint("nobody would be in the experiment");
    }
}

/// A part of a layer is chosen by identity.
pub(crate) fn check_layer_identity(
    layer: &Option<Layer>,
    identity: &[crate::IdentitySource],
    at: &Path<'_>,
    problems: &mut Collector,
) {
    if layer.is_some() && identity.is_empty() {
        problems
            .report(&at.key("layer"), "needs identities")
            .hint("a layer is divided among users; add for example identity: [{header: x-user-id}]");
    }
}

/// Every experiment can get requests, can be told apart from the others, and shares what the filter has once.
fn check_experiments(revision: &u64, experiments: &[Policy], at: &Path<'_>, problems: &mut Collector) {
    let at = at.key("experiments");
    for (index, policy) in experiments.iter().enumerate() {
        let at = at.index(index);
        if policy.revision > *revision {
            problems
                .report(&at.key("revision"), "is above that of the document")
                .number_value(policy.revision)
                .allowed(format!("1 to {revision}"))
                .hint("the document's revision grows with every change of any experiment");
        }
        for (earlier, other) in experiments.iter().take(index).enumerate() {
            check_pair(policy, other, earlier, &at, problems);
        }
    }
}

fn check_pair(policy: &Policy, other: &Policy, earlier: usize, at: &Path<'_>, problems: &mut Collector) {
    if policy.experiment == other.experiment {
        problems
            .report(&at.key("experiment"), format!("is the name of experiments[{earlier}] too"))
            .text_value(&policy.experiment)
            .hint("samples are told apart by it; give each its own name");
    } else if policy.salt() == other.salt() {
        problems
            .report(&at.key("salt"), format!("is that of experiments[{earlier}] too"))
            .text_value(policy.salt())
            .hint("the same users would get both candidates; give each its own salt");
    }
    for (key, same) in [("limits", policy.limits == other.limits), ("sink", policy.sink == other.sink)] {
        if !same && earlier == 0 {
            problems
                .report(&at.key(key), "is not that of experiments[0]")
                .hint("the filter has one outbox; write the same in every experiment");
        }
    }
    check_overlap(policy, other, earlier, at, problems);
}

fn check_overlap(policy: &Policy, other: &Policy, earlier: usize, at: &Path<'_>, problems: &mut Collector) {
    if let (Some(layer), Some(others)) = (&policy.layer, &other.layer) {
        if layer.overlaps(others) {
            problems
                .report(&at.key("layer"), format!("overlaps that of experiments[{earlier}]"))
                .hint("parts of one layer are apart, for example 0 to 50 and 50 to 100");
        } else if layer.name == others.name && policy.identity != other.identity {
            problems
                .report(
                    &at.key("identity"),
                    format!("is not that of experiments[{earlier}], which is in the same layer"),
                )
                .hint("a user could be in both; write the same identity in every experiment of a layer");
        }
    }
    let apart = matches!((&policy.layer, &other.layer), (Some(one), Some(two)) if one.name == two.name);
    let every = other.requests.is_none() && other.layer.is_none();
    if every || (policy.requests == other.requests && !apart) {
        let message = if every || other.layer.is_none() {
            format!("can never get a request, because experiments[{earlier}] takes them")
        } else {
            format!("has the requests of experiments[{earlier}]")
        };
        problems.report(at, message).text_value(&policy.experiment).hint(
            "experiments on the same requests are parts of one layer; others have different `requests`",
        );
    } else if policy.requests == other.requests && ambiguous(policy, other) {
        problems
            .report(
                &at.key("routing"),
                format!("names the same variantHeader as experiments[{earlier}], with another candidate"),
            )
            .hint("routes could not tell them apart; set routing.clusterHeader, or another variantHeader");
    }
}

/// Whether the router cannot know which candidate is meant.
fn ambiguous(policy: &Policy, other: &Policy) -> bool {
    let cluster = |policy: &Policy| policy.candidate.as_ref().map(|candidate| candidate.cluster.clone());
    policy.routing.variant_header == other.routing.variant_header
        && (policy.routing.cluster_header.is_none() || other.routing.cluster_header.is_none())
        && cluster(policy).zip(cluster(other)).is_some_and(|(one, two)| one != two)
}
