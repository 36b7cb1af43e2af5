//! The rendered bootstrap on a real Envoy, with a module that does nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use weir_envoy::{
    Bootstrap, Envoy, FilterSource, Routing, StartOptions, Upstreams, ecds_response, find_envoy, validate,
    write_ecds,
};
use weir_tests::empty_module;

fn upstreams() -> Upstreams {
    let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
    Upstreams { control: at(1), candidate: at(2), collector: at(3) }
}

fn module(folder: &std::path::Path) -> PathBuf {
    let path = folder.join("empty.wasm");
    fs::write(&path, empty_module()).unwrap();
    path
}

#[test]
fn every_bootstrap_passes_envoys_own_validation() {
    let folder = tempfile::tempdir().unwrap();
    let module = module(folder.path());
    let file = folder.path().join("weir.json");
    write_ecds(&file, &ecds_response("{}", 1, &module)).unwrap();
    let sources = [
        FilterSource::Ecds { file, module: module.clone() },
        FilterSource::Static { policy_json: "{}".to_owned(), module },
        FilterSource::Absent,
    ];
    for filter in sources {
        for routing in [Routing::VariantHeader, Routing::ClusterHeader] {
            let bootstrap = Bootstrap { routing, ..Bootstrap::new(upstreams(), filter.clone()) };
            validate(&find_envoy(None).unwrap(), &bootstrap.render(), folder.path()).unwrap();
        }
    }
}

#[tokio::test]
async fn the_process_is_gone_when_the_handle_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let module = module(folder.path());
    let file = folder.path().join("ecds/weir.json");
    fs::create_dir(file.parent().unwrap()).unwrap();
    write_ecds(&file, &ecds_response("{}", 3, &module)).unwrap();
    let bootstrap = Bootstrap::new(upstreams(), FilterSource::Ecds { file, module }).render();
    let options = StartOptions::new(find_envoy(None).unwrap(), bootstrap, folder.path().to_owned());
    let envoy = Envoy::start(options).await.unwrap();
    assert!(envoy.listener("weir").is_some());
    assert_eq!(envoy.admin().version_text().await.unwrap().as_deref(), Some("3"));
    let process = PathBuf::from(format!("/proc/{}", envoy.pid()));
    assert!(process.exists());
    drop(envoy);
    assert!(!process.exists());
}
