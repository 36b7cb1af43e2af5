//! `render`: a policy, or all experiments of a document, as what an environment installs.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `weir render`
#[derive(Debug, Args)]
pub(crate) struct RenderArguments {
    /// The policy, or the document of several experiments: all of them together, unless --experiment names one
    #[arg(value_name = "POLICY", required_unless_present = "oci")]
    pub(crate) policy: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) which: super::ExperimentArguments,
    /// Where it is installed
    #[arg(long = "for", value_enum, value_name = "ENVIRONMENT", required_unless_present = "oci")]
    pub(crate) environment: Option<RenderFor>,
    /// Write the files into this folder; without it they are printed
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Write the module as an OCI image layout into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) oci: Option<PathBuf>,
    /// The filter module; otherwise WEIR_FILTER or the build folder
    #[arg(long, value_name = "PATH")]
    pub(crate) filter: Option<PathBuf>,
    /// The module's file where the proxy runs; otherwise the file here (envoy) or /etc/weir/SHA256.wasm (istio)
    #[arg(long, value_name = "PATH")]
    pub(crate) module_path: Option<PathBuf>,
    /// The module's image, without oci://
    #[arg(long, value_name = "IMAGE", default_value = concat!("registry.example/weir-filter:", env!("CARGO_PKG_VERSION")))]
    pub(crate) image: String,
    /// Where the proxy listens (envoy)
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    pub(crate) listen: SocketAddr,
    /// Where a cluster of the policy is, by its name: an address (envoy), the host name of its service (istio, several
    /// experiments); may be given several times
    #[arg(long = "cluster", value_name = "NAME=ADDRESS", value_parser = cluster)]
    pub(crate) clusters: Vec<(String, String)>,
    /// Address of control, where there is one (envoy); of one policy 127.0.0.1:8001 unless said
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) control: Option<SocketAddr>,
    /// Address of the candidate, where there is one (envoy); of one policy 127.0.0.1:8002 unless said
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) candidate: Option<SocketAddr>,
    /// Address of the collector (envoy)
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4318")]
    pub(crate) collector: SocketAddr,
    /// The ECDS file where the proxy runs (envoy-ecds)
    #[arg(long, value_name = "PATH", default_value = "/etc/weir/ecds/weir.json")]
    pub(crate) ecds: PathBuf,
    /// Namespace of the objects (istio, envoy-gateway)
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(crate) namespace: String,
    /// The Gateway that the routes hang on (istio, envoy-gateway)
    #[arg(long, value_name = "NAME", default_value = "ingressgateway")]
    pub(crate) gateway: String,
    /// Host name of the service that serves the versions (istio)
    #[arg(long, value_name = "HOST", default_value = "model.default.svc.cluster.local")]
    pub(crate) service: String,
    /// Port of the services (istio, envoy-gateway)
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub(crate) service_port: u16,
    /// Host name of the collector (istio, envoy-gateway)
    #[arg(long, value_name = "HOST", default_value = "weir-collector.weir.svc.cluster.local")]
    pub(crate) collector_host: String,
}

/// An environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RenderFor {
    /// Envoy, everything in its bootstrap
    Envoy,
    /// Envoy that watches a file for its policy
    EnvoyEcds,
    /// An Istio ingress gateway
    Istio,
    /// Envoy Gateway, without copies
    EnvoyGateway,
}

fn cluster(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, place)) if !name.is_empty() && !place.is_empty() => {
            Ok((name.to_owned(), place.to_owned()))
        }
        _ => Err("is not NAME=ADDRESS\n  hint: --cluster search-next=10.0.0.1:8000".to_owned()),
    }
}
