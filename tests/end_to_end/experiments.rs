//! Several experiments on one proxy, as `weir render` installs them: each has its own routes, candidates and copies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use weir_envoy::{
    Environment, Envoy, Place, StartOptions, find_envoy, find_filter, render_experiments, write_ecds,
};
use weir_policy::{Experiments, Variant};
use weir_tests::client::post;
use weir_tests::http::{Message, request};
use weir_tests::server::{Server, json_reply};
use weir_tests::sink::{Sink, count_of, exchanges};
use weir_tests::traffic::exchange_all;
use weir_tests::trapping_module;
use weir_wire::LegKind;

const WITHIN: Duration = Duration::from_secs(15);

/// Chat and search differ by their paths only; the two on support share their requests and name the cluster.
const DOCUMENT: &str = "
apiVersion: weir/v1
kind: Experiments
revision: 5
experiments:
- experiment: chat
  mode: canary
  requests: {header: ':path', prefix: /chat}
  control: {cluster: chat, snapshot: {model: {name: chat, version: '1'}}}
  candidate: {cluster: chat-next, shadowCluster: chat-copies, snapshot: {model: {name: chat, version: '2'}}}
  identity: [{header: x-user-id}]
  cohorts: [{name: all, candidatePercent: 50}]
  shadow: {percent: 100}
  limits: {flushIntervalMs: 50}
- experiment: search
  mode: shadow
  requests: {header: ':path', prefix: /search}
  control: {cluster: search, snapshot: {model: {name: rank, version: '7'}}}
  candidate: {cluster: search-next, shadowCluster: search-copies, snapshot: {model: {name: rank, version: '8'}}}
  identity: [{header: x-user-id}]
  shadow: {percent: 100}
  noise: {percent: 100, cluster: search-noise}
  limits: {flushIntervalMs: 50}
- experiment: support-model
  mode: canary
  requests: {header: ':path', prefix: /support}
  layer: {name: support, toPercent: 50}
  control: {cluster: support, snapshot: {model: {name: desk, version: '1'}}}
  candidate: {cluster: support-model, snapshot: {model: {name: desk, version: '2'}}}
  identity: [{header: x-user-id}]
  cohorts: [{name: all, candidatePercent: 50}]
  routing: {clusterHeader: x-weir-cluster}
  limits: {flushIntervalMs: 50}
- experiment: support-prompt
  mode: canary
  requests: {header: ':path', prefix: /support}
  layer: {name: support, fromPercent: 50}
  control: {cluster: support, snapshot: {model: {name: desk, version: '1'}}}
  candidate: {cluster: support-prompt, snapshot: {model: {name: desk, version: '1'}}}
  identity: [{header: x-user-id}]
  cohorts: [{name: all, candidatePercent: 50}]
  routing: {clusterHeader: x-weir-cluster}
  limits: {flushIntervalMs: 50}
";

const CLUSTERS: [&str; 7] =
    ["chat", "chat-next", "search", "search-next", "support", "support-model", "support-prompt"];

struct Installed {
    servers: BTreeMap<&'static str, Server>,
    sink: Sink,
    address: SocketAddr,
    _envoy: Envoy,
    // Last: Envoy is gone before its folder.
    _folder: tempfile::TempDir,
}

fn document() -> Experiments {
    Experiments::parse("experiments.yaml", DOCUMENT).unwrap()
}

impl Installed {
    /// What is rendered for an Envoy with ECDS, with this module.
    async fn start(module: Option<Vec<u8>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let module_path = match module {
            None => find_filter(None).unwrap(),
            Some(bytes) => {
                let path = folder.path().join("module.wasm");
                fs::write(&path, bytes).unwrap();
                path
            }
        };
        let sink = Sink::start().await.unwrap();
        let mut servers = BTreeMap::new();
        for name in CLUSTERS {
            servers.insert(name, Server::start(move |request| answer(name, request)).await.unwrap());
        }
        let ecds = folder.path().join("ecds/weir.json");
        fs::create_dir(folder.path().join("ecds")).unwrap();
        let at = |(name, server): (&&str, &Server)| ((*name).to_owned(), server.address().to_string());
        let place = Place {
            module_sha256: "0".repeat(64),
            module_path,
            image_sha256: "0".repeat(64),
            image: String::new(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            clusters: servers.iter().map(at).collect(),
            control: None,
            candidate: None,
            collector: sink.address(),
            ecds: ecds.clone(),
            namespace: String::new(),
            gateway: String::new(),
            service: String::new(),
            service_port: 0,
            collector_host: String::new(),
        };
        let files = render_experiments("experiments", &document(), Environment::EnvoyEcds, &place).unwrap();
        let text = |path: &str| files.iter().find(|file| file.path == path).unwrap().text.clone();
        write_ecds(&ecds, &text("weir.json")).unwrap();
        let bootstrap = text("envoy.yaml").replace("port_value: 9901", "port_value: 0");
        let options = StartOptions::new(find_envoy(None).unwrap(), bootstrap, PathBuf::from(folder.path()));
        let envoy = Envoy::start(options).await.unwrap();
        assert_eq!(envoy.admin().version_text().await.unwrap().as_deref(), Some("5"));
        let address = envoy.listener("weir").unwrap();
        Self { servers, sink, address, _envoy: envoy, _folder: folder }
    }
}

fn answer(cluster: &str, request: &Message) -> Vec<weir_tests::server::Step> {
    json_reply(200, &json!({"cluster": cluster, "path": request.head.second_word()}).to_string())
}

fn cluster_in(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap();
    body["cluster"].as_str().unwrap().to_owned()
}

fn asked(count: usize) -> Vec<(String, String)> {
    let paths = ["/chat", "/search", "/support", "/other"];
    (0..count)
        .map(|number| (format!("user-{}", number / 4), format!("{}/{number}", paths[number % 4])))
        .collect()
}

fn bytes((user, path): &(String, String)) -> Vec<u8> {
    request("POST", path, &[("x-user-id", user), ("x-request-id", &format!("id-{path}"))], b"{}")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_experiment_routes_to_its_own_candidate_and_its_copies_are_paired() {
    let world = Installed::start(None).await;
    let native = document();
    let all = asked(800);
    let answers = exchange_all(world.address, 8, all.iter().map(bytes).collect()).await.unwrap();
    let mut served: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (one, answer) in all.iter().zip(&answers) {
        let view = [("x-user-id", one.0.as_str()), (":path", one.1.as_str())];
        let policy = native.answering(&view).unwrap();
        let variant = policy.assign(&view).variant;
        assert_eq!(Some(cluster_in(&answer.body).as_str()), policy.cluster(variant), "{one:?}");
        let experiment = native.of(&view).map_or("none", |policy| policy.experiment.as_str());
        *served.entry((experiment.to_owned(), variant.to_string())).or_default() += 1;
    }
    let of = |experiment: &str, variant: Variant| {
        served.get(&(experiment.to_owned(), variant.to_string())).copied().unwrap_or_default()
    };
    for experiment in ["chat", "support-model", "support-prompt"] {
        for variant in [Variant::Control, Variant::Candidate] {
            assert!(of(experiment, variant) > 20, "{served:?}");
        }
    }
    assert_eq!((of("search", Variant::Control), of("none", Variant::Control)), (200, 200));
    check_copies(&world, of("chat", Variant::Control)).await;
}

/// Every exchange that control answered has its copies: from the right clusters, under one sample id.
async fn check_copies(world: &Installed, chats: usize) {
    let (search, shadows) = (200, 200 + chats);
    let there = world.sink.wait_until(WITHIN, |received| {
        count_of(received, LegKind::Shadow) >= shadows && count_of(received, LegKind::Noise) >= search
    });
    assert!(there.await, "the copies did not come");
    assert_eq!(world.sink.errors(), Vec::<String>::new());
    let mut paired = BTreeMap::new();
    for legs in exchanges(&world.sink.received()).values() {
        let primary = &legs["primary"];
        let answered: Vec<(&str, String)> = legs
            .iter()
            .filter(|(leg, _)| **leg != "primary")
            .map(|(leg, copy)| (*leg, cluster_in(&copy.response_body)))
            .collect();
        assert!(legs.values().all(|leg| leg.path == primary.path && leg.experiment == primary.experiment));
        *paired.entry((primary.experiment.clone(), answered)).or_insert(0) += 1;
    }
    let copies = |experiment: &str, copies: &[(&'static str, &str)]| {
        let copies = copies.iter().map(|(leg, cluster)| (*leg, (*cluster).to_owned())).collect::<Vec<_>>();
        paired.get(&(experiment.to_owned(), copies)).copied()
    };
    assert_eq!(copies("chat", &[("shadow", "chat-next")]), Some(chats), "{paired:?}");
    let both = [("noise", "search"), ("shadow", "search-next")];
    assert_eq!(copies("search", &both), Some(search), "{paired:?}");
    assert_eq!(world.servers["search-next"].requests().len(), search);
    assert_eq!(world.servers["search"].requests().len(), 2 * search);
    assert_eq!(world.servers["chat-next"].requests().len(), 200, "served and copied");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_filter_bypassed_each_request_finds_its_experiments_control() {
    let world = Installed::start(Some(trapping_module())).await;
    // The request in which the module crashes is lost on each worker; what counts is what comes after.
    exchange_all(world.address, 16, vec![bytes(&("ada".to_owned(), "/first".to_owned())); 64]).await.unwrap();
    for (path, control) in
        [("/chat", "chat"), ("/search", "search"), ("/support", "support"), ("/other", "chat")]
    {
        for forged in [
            ("x-weir-variant", "candidate"),
            ("x-weir-cluster", "support-model"),
            ("x-weir-shadow", "chat-copies"),
        ] {
            let answer = post(world.address, path, &[forged, ("x-user-id", "ada")], b"{}").await.unwrap();
            assert_eq!(cluster_in(&answer.body), control, "{path} {forged:?}");
        }
    }
    for candidate in ["chat-next", "search-next", "support-model", "support-prompt"] {
        assert_eq!(world.servers[candidate].requests().len(), 0, "{candidate}");
    }
}
