//! What an environment cannot do, of each policy by itself. What experiments cannot have together is in `conflicts`.

use serde_json::Value;
use weir_document::{Collector, Path, Problems};
use weir_policy::Policy;

use super::installation::{Installation, copies_to_candidate, copies_to_control};
use super::{Environment, Place, conflicts, gateway, istio, places};

/// Everything that is in the way.
pub(super) fn check(
    name: &str,
    installation: &Installation<'_>,
    environment: Environment,
    place: &Place,
) -> Result<(), Problems> {
    let mut problems = Collector::new();
    installation.each(&mut problems, |_, policy, at, problems| {
        if policy.candidate.is_none() {
            problems
                .report(&at.key("candidate"), "is missing, and there has to be a route to it")
                .hint("name its cluster and snapshot; `mode: off` keeps traffic away from it");
        }
        match environment {
            Environment::Envoy | Environment::EnvoyEcds => {}
            Environment::Istio => check_istio(installation, policy, place, at, problems),
            Environment::EnvoyGateway => check_gateway(policy, at, problems),
        }
    });
    if installation.several {
        conflicts::check(installation, environment, &mut problems);
    }
    if environment == Environment::EnvoyGateway {
        gateway::check_sizes(installation, &mut problems);
    }
    places::check(installation, environment, place, &mut problems);
    if problems.is_empty() { Ok(()) } else { Err(problems.into_problems(name)) }
}

/// Clusters of a mesh are subsets or services, so that their names are DNS labels.
fn check_names(policy: &Policy, clusters_of_copies: bool, at: &Path<'_>, problems: &mut Collector) {
    let (control, candidate, noise) = (at.key("control"), at.key("candidate"), at.key("noise"));
    let served = policy.candidate.as_ref();
    let shadow = served.and_then(|candidate| candidate.shadow_cluster.as_deref());
    let names = [
        (control.key("cluster"), Some(policy.control.cluster.as_str())),
        (candidate.key("cluster"), served.map(|candidate| candidate.cluster.as_str())),
        (candidate.key("shadowCluster"), shadow.filter(|_| clusters_of_copies)),
        (noise.key("cluster"), policy.noise.cluster.as_deref().filter(|_| clusters_of_copies)),
    ];
    for (path, cluster) in names {
        if let Some(cluster) = cluster.filter(|cluster| !is_label(cluster)) {
            problems
                .report(&path, "is no name that a mesh can have")
                .value(&Value::from(cluster))
                .allowed("1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit")
                .hint("the renderer makes a subset or service of this name; the mesh's own cluster name is not written here");
        }
    }
}

fn check_istio(
    installation: &Installation<'_>,
    policy: &Policy,
    place: &Place,
    at: &Path<'_>,
    problems: &mut Collector,
) {
    let calls = policy.shadow.calls_out();
    check_names(policy, !calls, at, problems);
    if calls {
        return check_istio_calls(installation, policy, place, at, problems);
    }
    let shares =
        policy.candidate.as_ref().is_some_and(|candidate| candidate.shadow_cluster() == candidate.cluster);
    if copies_to_candidate(policy) && shares {
        problems
            .report(
                &at.key("candidate").key("shadowCluster"),
                "is needed: Istio's mirror cannot mark a copy, so copies need a cluster of their own",
            )
            .hint(
                "add `shadowCluster: candidate-shadow`; the renderer makes a second subset of the same pods",
            );
    }
    if copies_to_control(policy) && policy.noise.cluster.as_deref() == Some(policy.control.cluster.as_str()) {
        problems
            .report(
                &at.key("noise").key("cluster"),
                "is control's own: Istio's mirror cannot mark a copy, so copies need a cluster of their own",
            )
            .hint("set `cluster: control-noise`; the renderer makes a second subset of the same pods");
    }
}

/// Calls go past the mesh's routes, to a cluster under the mesh's own name.
fn check_istio_calls(
    installation: &Installation<'_>,
    policy: &Policy,
    place: &Place,
    at: &Path<'_>,
    problems: &mut Collector,
) {
    let (candidate, noise) = (at.key("candidate"), at.key("noise"));
    let served = policy.candidate.as_ref().map(|candidate| candidate.cluster.as_str());
    let called = [
        (candidate.key("shadowCluster"), policy.shadow_cluster(), served, copies_to_candidate(policy)),
        (
            noise.key("cluster"),
            policy.noise.cluster.as_deref(),
            Some(policy.control.cluster.as_str()),
            copies_to_control(policy),
        ),
    ];
    for (path, given, subset, copied) in called {
        let subset = subset.unwrap_or_default();
        let host = istio::host(installation, subset, place);
        let wanted = format!("outbound|{}|{subset}|{host}", place.service_port);
        if copied && given != Some(wanted.as_str()) {
            problems
                .report(&path, "is not the mesh's own name of the cluster, which the filter calls")
                .value(&given.map_or(Value::Null, Value::from))
                .allowed(wanted)
                .hint("with transport callout a copy goes past the mesh's routes; write the allowed name");
        }
    }
}

fn check_gateway(policy: &Policy, at: &Path<'_>, problems: &mut Collector) {
    check_names(policy, true, at, problems);
    if policy.shadow.calls_out() {
        return;
    }
    let hint = "set it to 0 for Envoy Gateway, add `shadow.transport: callout`, or install with `--for envoy-ecds` or `--for istio`";
    let why =
        "needs the filter on the upstream cluster too, in the same VM, which EnvoyExtensionPolicy cannot do";
    if copies_to_candidate(policy) {
        problems
            .report(&at.key("shadow").key("percent"), why)
            .allowed("0, also as every cohort's shadowPercent")
            .hint(hint);
    }
    if copies_to_control(policy) {
        problems.report(&at.key("noise").key("percent"), why).allowed("0").hint(hint);
    }
}

fn is_label(name: &str) -> bool {
    let ends = |letter: Option<u8>| {
        letter.is_some_and(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit())
    };
    let bytes = name.as_bytes();
    bytes.len() <= 63
        && ends(bytes.first().copied())
        && ends(bytes.last().copied())
        && bytes.iter().all(|letter| ends(Some(*letter)) || *letter == b'-')
}
