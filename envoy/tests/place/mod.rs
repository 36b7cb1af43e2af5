//! Where things are in the tests of rendering.

use std::net::SocketAddr;
use std::path::PathBuf;

use weir_envoy::Place;

/// With the places of these clusters.
pub(crate) fn place(clusters: &[(&str, &str)]) -> Place {
    let clusters = clusters.iter().map(|(name, place)| ((*name).to_owned(), (*place).to_owned()));
    Place {
        module_sha256: "0123456789abcdef".repeat(4),
        image_sha256: "fedcba9876543210".repeat(4),
        module_path: PathBuf::from("/etc/weir/weir_filter.wasm"),
        image: "registry.example/weir-filter:0.1.0".to_owned(),
        listen: SocketAddr::from(([0, 0, 0, 0], 8080)),
        clusters: clusters.collect(),
        control: None,
        candidate: None,
        collector: SocketAddr::from(([127, 0, 0, 1], 4318)),
        ecds: PathBuf::from("/etc/weir/ecds/weir.json"),
        namespace: "default".to_owned(),
        gateway: "ingressgateway".to_owned(),
        service: "model.default.svc.cluster.local".to_owned(),
        service_port: 8080,
        collector_host: "weir-collector.weir.svc.cluster.local".to_owned(),
    }
}
