//! One policy as what an environment installs: a bootstrap, or Kubernetes objects with kustomize overlays.
//!
//! - `envoy` and `envoy-ecds`: a complete bootstrap, and the ECDS file that carries the policy.
//! - `istio`: routes, subsets, header stripping, stats tags, the collector's cluster, and the filter: a `WasmPlugin` or
//!   `TrafficExtension` where the policy makes no copies or the filter makes them itself (`shadow.transport: callout`), an
//!   `EnvoyFilter` at both places where Envoy makes them.
//! - `envoy-gateway`: `HTTPRoute`, `ClientTrafficPolicy`, `EnvoyProxy` and `EnvoyExtensionPolicy`; copies by callout only.
//!
//! Invariants: the policy goes in as it is, never changed; the module is named by its sha256; the filter fails open; what an
//! environment cannot do is refused with the field's path, never left out in silence; same input, same bytes.

mod gateway;
mod istio;
mod parts;
mod standalone;
mod yaml;

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::Value;
use weir_document::{Collector, Path, Problems};
use weir_policy::Policy;

/// Where Weir is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// An Envoy with everything in its bootstrap.
    Envoy,
    /// An Envoy that watches an ECDS file for its policy.
    EnvoyEcds,
    /// An Istio ingress gateway.
    Istio,
    /// Envoy Gateway.
    EnvoyGateway,
}

impl Environment {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Envoy, Self::EnvoyEcds, Self::Istio, Self::EnvoyGateway];

    /// The word on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Envoy => "envoy",
            Self::EnvoyEcds => "envoy-ecds",
            Self::Istio => "istio",
            Self::EnvoyGateway => "envoy-gateway",
        }
    }
}

/// What the policy does not say: where things are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Sha256 of the module, 64 hex digits.
    pub module_sha256: String,
    /// The module's file where the proxy runs.
    pub module_path: PathBuf,
    /// Sha256 of the module's image, see [`crate::oci::image_sha256`].
    pub image_sha256: String,
    /// The module's image, without `oci://`.
    pub image: String,
    /// Where the proxy listens (Envoy).
    pub listen: SocketAddr,
    /// Address of control (Envoy).
    pub control: SocketAddr,
    /// Address of the candidate (Envoy).
    pub candidate: SocketAddr,
    /// Address of the collector (Envoy).
    pub collector: SocketAddr,
    /// The ECDS file where the proxy runs (Envoy with ECDS).
    pub ecds: PathBuf,
    /// Namespace of the objects.
    pub namespace: String,
    /// Name of the `Gateway` that the routes hang on; its pods carry the label `istio: GATEWAY` (Istio).
    pub gateway: String,
    /// Host name of the service that serves both versions (Istio), by label `weir.dev/variant`.
    pub service: String,
    /// Its port, also that of the services named like the clusters (Envoy Gateway).
    pub service_port: u16,
    /// Host name of the collector.
    pub collector_host: String,
}

/// One file of the output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestFile {
    /// Path below the output folder.
    pub path: String,
    /// The text.
    pub text: String,
}

/// Port of the collector's OTLP receiver.
const COLLECTOR_PORT: u16 = 4318;

/// The files that an environment needs for a policy; `name` is what errors call the policy.
///
/// # Errors
/// Every field of the policy that the environment cannot do, with what to do instead.
pub fn render(
    name: &str,
    policy: &Policy,
    environment: Environment,
    place: &Place,
) -> Result<Vec<ManifestFile>, Problems> {
    check(name, policy, environment, place)?;
    let files = match environment {
        Environment::Envoy => standalone::fixed(policy, place),
        Environment::EnvoyEcds => standalone::ecds(policy, place),
        Environment::Istio => istio::files(policy, place),
        Environment::EnvoyGateway => gateway::files(policy, place),
    };
    // Templates are constants of this crate, and a test renders each of them.
    files.map_err(|place| {
        let mut problems = Collector::new();
        let _reported =
            problems.report(&Path::Root, format!("could not be filled into a template at `{place}`"));
        problems.into_problems(name)
    })
}

fn check(name: &str, policy: &Policy, environment: Environment, place: &Place) -> Result<(), Problems> {
    let mut problems = Collector::new();
    let root = Path::Root;
    let candidate = root.key("candidate");
    if policy.candidate.is_none() {
        problems
            .report(&candidate, "is missing, and there has to be a route to it")
            .hint("name its cluster and snapshot; `mode: off` keeps traffic away from it");
    }
    match environment {
        Environment::Envoy | Environment::EnvoyEcds => {}
        Environment::Istio => check_istio(policy, place, &mut problems),
        Environment::EnvoyGateway => check_gateway(policy, &mut problems),
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.into_problems(name)) }
}

/// Clusters of a mesh are subsets or services, so that their names are DNS labels.
fn check_names(policy: &Policy, clusters_of_copies: bool, problems: &mut Collector) {
    let root = Path::Root;
    let (control, candidate, noise) = (root.key("control"), root.key("candidate"), root.key("noise"));
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

fn check_istio(policy: &Policy, place: &Place, problems: &mut Collector) {
    let calls = policy.shadow.calls_out();
    check_names(policy, !calls, problems);
    let root = Path::Root;
    if calls {
        return check_istio_calls(policy, place, problems);
    }
    let shares =
        policy.candidate.as_ref().is_some_and(|candidate| candidate.shadow_cluster() == candidate.cluster);
    if copies_to_candidate(policy) && shares {
        problems
            .report(
                &root.key("candidate").key("shadowCluster"),
                "is needed: Istio's mirror cannot mark a copy, so copies need a cluster of their own",
            )
            .hint(
                "add `shadowCluster: candidate-shadow`; the renderer makes a second subset of the same pods",
            );
    }
    if copies_to_control(policy) && policy.noise.cluster.as_deref() == Some(policy.control.cluster.as_str()) {
        problems
            .report(
                &root.key("noise").key("cluster"),
                "is control's own: Istio's mirror cannot mark a copy, so copies need a cluster of their own",
            )
            .hint("set `cluster: control-noise`; the renderer makes a second subset of the same pods");
    }
}

/// Calls go past the mesh's routes, to a cluster under the mesh's own name.
fn check_istio_calls(policy: &Policy, place: &Place, problems: &mut Collector) {
    let root = Path::Root;
    let (candidate, noise) = (root.key("candidate"), root.key("noise"));
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
        let wanted =
            format!("outbound|{}|{}|{}", place.service_port, subset.unwrap_or_default(), place.service);
        if copied && given != Some(wanted.as_str()) {
            problems
                .report(&path, "is not the mesh's own name of the cluster, which the filter calls")
                .value(&given.map_or(Value::Null, Value::from))
                .allowed(wanted)
                .hint("with transport callout a copy goes past the mesh's routes; write the allowed name");
        }
    }
}

fn check_gateway(policy: &Policy, problems: &mut Collector) {
    check_names(policy, true, problems);
    if policy.shadow.calls_out() {
        return;
    }
    let root = Path::Root;
    let hint = "set it to 0 for Envoy Gateway, add `shadow.transport: callout`, or install with `--for envoy-ecds` or `--for istio`";
    let why =
        "needs the filter on the upstream cluster too, in the same VM, which EnvoyExtensionPolicy cannot do";
    if copies_to_candidate(policy) {
        problems
            .report(&root.key("shadow").key("percent"), why)
            .allowed("0, also as every cohort's shadowPercent")
            .hint(hint);
    }
    if copies_to_control(policy) {
        problems.report(&root.key("noise").key("percent"), why).allowed("0").hint(hint);
    }
}

/// Whether Envoy is asked for copies at all, in whichever mode the policy is now.
fn mirrors(policy: &Policy) -> bool {
    mirrors_to_candidate(policy) || mirrors_to_control(policy)
}

fn mirrors_to_candidate(policy: &Policy) -> bool {
    copies_to_candidate(policy) && !policy.shadow.calls_out()
}

fn mirrors_to_control(policy: &Policy) -> bool {
    copies_to_control(policy) && !policy.shadow.calls_out()
}

fn copies_to_candidate(policy: &Policy) -> bool {
    let of_cohorts = policy.cohorts.iter().filter_map(|cohort| cohort.shadow_percent);
    of_cohorts.chain([policy.shadow.percent]).any(|share| share != weir_policy::Share::ZERO)
}

fn copies_to_control(policy: &Policy) -> bool {
    policy.noise.percent != weir_policy::Share::ZERO
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

/// A manifest with the line that says where it comes from.
fn file(path: &str, policy: &Policy, objects: &[Value]) -> ManifestFile {
    let texts: Vec<String> = objects.iter().map(yaml::document).collect();
    let head =
        format!("# Rendered by `weir render` from {} revision {}.\n", policy.experiment, policy.revision);
    ManifestFile { path: path.to_owned(), text: head + &texts.join("---\n") }
}

fn kustomization(path: &str, policy: &Policy, resources: &[&str]) -> ManifestFile {
    let object = serde_json::json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": resources,
    });
    file(path, policy, &[object])
}
