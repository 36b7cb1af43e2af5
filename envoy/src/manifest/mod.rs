//! One policy, or all experiments of a document, as what an environment installs: a bootstrap, or Kubernetes objects with
//! kustomize overlays.
//!
//! - `envoy` and `envoy-ecds`: a complete bootstrap, and the ECDS file that carries the policy.
//! - `istio`: routes, subsets, header stripping, stats tags, the collector's cluster, and the filter: a `WasmPlugin` or
//!   `TrafficExtension` where the policy makes no copies or the filter makes them itself (`shadow.transport: callout`), an
//!   `EnvoyFilter` at both places where Envoy makes them.
//! - `envoy-gateway`: `HTTPRoute`, `ClientTrafficPolicy`, `EnvoyProxy` and `EnvoyExtensionPolicy`; copies by callout only.
//!
//! Invariants: the document goes in as it is, never changed; the module is named by its sha256; the filter fails open; what an
//! environment cannot do is refused with the field's path, never left out in silence; same input, same bytes.

mod check;
mod conflicts;
mod gateway;
mod installation;
mod istio;
mod parts;
mod places;
mod requests;
mod routes;
mod standalone;
mod yaml;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::Value;
use weir_document::{Collector, Path, Problems};
use weir_policy::{Experiments, Policy};

use installation::Installation;

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
    /// Where clusters are, by name: an address (Envoy), the host name of a service (Istio, several experiments).
    pub clusters: BTreeMap<String, String>,
    /// Address of control, where there is one and `clusters` does not say (Envoy).
    pub control: Option<SocketAddr>,
    /// Address of the candidate, likewise.
    pub candidate: Option<SocketAddr>,
    /// Address of the collector (Envoy).
    pub collector: SocketAddr,
    /// The ECDS file where the proxy runs (Envoy with ECDS).
    pub ecds: PathBuf,
    /// Namespace of the objects.
    pub namespace: String,
    /// Name of the `Gateway` that the routes hang on; its pods carry the label `istio: GATEWAY` (Istio).
    pub gateway: String,
    /// Host name of the service that serves both versions (Istio), by label `weir.dev/variant`; of several experiments the
    /// clusters that `clusters` does not say, by label `weir.dev/cluster`.
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
    files(name, &Installation::of_policy(policy), environment, place)
}

/// The files that an environment needs for all experiments of a document together.
///
/// # Errors
/// Every field that the environment cannot do, alone or beside those of other experiments, with what to do instead.
pub fn render_experiments(
    name: &str,
    document: &Experiments,
    environment: Environment,
    place: &Place,
) -> Result<Vec<ManifestFile>, Problems> {
    match Installation::of_experiments(document) {
        Some(installation) => files(name, &installation, environment, place),
        None => Err(Problems::whole(name, "has no experiments")),
    }
}

fn files(
    name: &str,
    installation: &Installation<'_>,
    environment: Environment,
    place: &Place,
) -> Result<Vec<ManifestFile>, Problems> {
    check::check(name, installation, environment, place)?;
    let files = match environment {
        Environment::Envoy => standalone::fixed(installation, place),
        Environment::EnvoyEcds => standalone::ecds(installation, place),
        Environment::Istio => istio::files(installation, place),
        Environment::EnvoyGateway => gateway::files(installation, place),
    };
    // Templates are constants of this crate, and a test renders each of them.
    files.map_err(|place| {
        let mut problems = Collector::new();
        let _reported =
            problems.report(&Path::Root, format!("could not be filled into a template at `{place}`"));
        problems.into_problems(name)
    })
}

/// A manifest with the line that says where it comes from.
fn file(path: &str, installation: &Installation<'_>, objects: &[Value]) -> ManifestFile {
    let texts: Vec<String> = objects.iter().map(yaml::document).collect();
    let head = format!(
        "# Rendered by `weir render` from {} revision {}.\n",
        installation.title(),
        installation.revision
    );
    ManifestFile { path: path.to_owned(), text: head + &texts.join("---\n") }
}

fn kustomization(path: &str, installation: &Installation<'_>, resources: &[&str]) -> ManifestFile {
    let object = serde_json::json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": resources,
    });
    file(path, installation, &[object])
}
