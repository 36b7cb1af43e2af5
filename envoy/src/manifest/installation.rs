//! What is installed: one policy, or all experiments of a document.

use weir_document::{Collector, Path};
use weir_policy::{Candidate, Experiments, Policy, headers};

use crate::bootstrap::Names;

/// One policy, or the experiments of a document.
pub(super) struct Installation<'a> {
    /// The policies in their order.
    pub(super) policies: &'a [Policy],
    /// The first one, which has what the filter has once, and answers where no experiment takes a request.
    pub(super) first: &'a Policy,
    /// Whether this is a document of experiments.
    pub(super) several: bool,
    /// Revision of the whole.
    pub(super) revision: u64,
    /// The whole as the filter reads it.
    pub(super) json: String,
}

/// Copies that a policy may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Copies<'a> {
    /// Name of the leg.
    pub(super) leg: &'static str,
    /// Header that asks for one.
    pub(super) mark: &'static str,
    /// Cluster that gets them.
    pub(super) cluster: &'a str,
    /// Cluster that serves what they are sent to.
    pub(super) like: &'a str,
    /// Whether Envoy makes them; else the filter does.
    pub(super) mirrored: bool,
}

impl<'a> Installation<'a> {
    pub(super) fn of_policy(policy: &'a Policy) -> Self {
        Self {
            policies: std::slice::from_ref(policy),
            first: policy,
            several: false,
            revision: policy.revision,
            json: policy.to_json(),
        }
    }

    /// None where there is no experiment.
    pub(super) fn of_experiments(document: &'a Experiments) -> Option<Self> {
        Some(Self {
            policies: &document.experiments,
            first: document.experiments.first()?,
            several: true,
            revision: document.revision,
            json: document.to_json(),
        })
    }

    /// The experiments' names.
    pub(super) fn title(&self) -> String {
        let names: Vec<&str> = self.policies.iter().map(|policy| policy.experiment.as_str()).collect();
        names.join(", ")
    }

    /// Calls `each` with every policy and its place in the document.
    pub(super) fn each(
        &self,
        problems: &mut Collector,
        mut each: impl FnMut(usize, &'a Policy, &Path<'_>, &mut Collector),
    ) {
        let root = Path::Root;
        let list = root.key("experiments");
        for (index, policy) in self.policies.iter().enumerate() {
            let at = if self.several { list.index(index) } else { root };
            each(index, policy, &at, problems);
        }
    }

    /// Routing headers outside of the prefix.
    pub(super) fn own_names(&self) -> Vec<String> {
        let names = self.policies.iter().map(Names::of);
        let own = names.flat_map(|names| [names.variant_header, names.cluster_header]);
        once(own.filter(|name| !headers::is_reserved(name)))
    }

    /// Every request header of Weir's by name, for where there are no prefixes.
    pub(super) fn all_names(&self) -> Vec<String> {
        let reserved = headers::ALL.iter().map(|name| (*name).to_owned());
        reserved.chain(self.own_names()).collect()
    }

    /// What picks the route, and is of no use behind it.
    pub(super) fn marks(&self) -> Vec<String> {
        let of_clusters = self.policies.iter().map(|policy| Names::of(policy).cluster_header);
        let of_copies = [headers::SHADOW, headers::NOISE].map(str::to_owned);
        once(of_copies.into_iter().chain(of_clusters))
    }

    /// The clusters that serve, each once.
    pub(super) fn serving(&self) -> Vec<&'a str> {
        let of = |policy: &'a Policy| {
            let candidate = policy.candidate.as_ref().map(|candidate| candidate.cluster.as_str());
            [Some(policy.control.cluster.as_str()), candidate]
        };
        once(self.policies.iter().flat_map(of).flatten())
    }

    /// The clusters that only get copies, each once, with the first that asks for them.
    pub(super) fn copying(&self, copies: fn(&Policy) -> Vec<Copies<'_>>) -> Vec<Copies<'a>> {
        let serving = self.serving();
        let mut found: Vec<Copies<'a>> = Vec::new();
        for copy in self.policies.iter().flat_map(copies) {
            let known = found.iter().any(|other| other.cluster == copy.cluster);
            if !known && !serving.contains(&copy.cluster) {
                found.push(copy);
            }
        }
        found
    }
}

/// What a policy may ask for, now or after a push.
pub(super) fn every_copy(policy: &Policy) -> Vec<Copies<'_>> {
    let mirrored = !policy.shadow.calls_out();
    let shadow = policy.candidate.as_ref().map(|candidate| shadow(candidate, mirrored));
    let noise = policy.noise.cluster.as_deref().map(|cluster| Copies {
        leg: "noise",
        mark: headers::NOISE,
        cluster,
        like: &policy.control.cluster,
        mirrored,
    });
    [shadow, noise].into_iter().flatten().collect()
}

/// What a policy asks for, in whichever mode it is now.
pub(super) fn asked_copies(policy: &Policy) -> Vec<Copies<'_>> {
    let asked = |copy: &Copies<'_>| match copy.leg {
        "shadow" => copies_to_candidate(policy),
        _ => copies_to_control(policy),
    };
    every_copy(policy).into_iter().filter(asked).collect()
}

/// Of these, what Envoy makes.
pub(super) fn asked_mirrors(policy: &Policy) -> Vec<Copies<'_>> {
    asked_copies(policy).into_iter().filter(|copy| copy.mirrored).collect()
}

fn shadow(candidate: &Candidate, mirrored: bool) -> Copies<'_> {
    Copies {
        leg: "shadow",
        mark: headers::SHADOW,
        cluster: candidate.shadow_cluster(),
        like: &candidate.cluster,
        mirrored,
    }
}

pub(super) fn copies_to_candidate(policy: &Policy) -> bool {
    let of_cohorts = policy.cohorts.iter().filter_map(|cohort| cohort.shadow_percent);
    of_cohorts.chain([policy.shadow.percent]).any(|share| share != weir_policy::Share::ZERO)
}

pub(super) fn copies_to_control(policy: &Policy) -> bool {
    policy.noise.percent != weir_policy::Share::ZERO
}

fn once<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut found = Vec::new();
    for one in all {
        if !found.contains(&one) {
            found.push(one);
        }
    }
    found
}
