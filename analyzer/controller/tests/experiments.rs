//! Several experiments in one ECDS file, on a real Envoy: one is steered, the others stay byte for byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use serde_json::Value;
use weir_controller::{
    Carried, EcdsFile, Ending, EnvoyTarget, Rollout, RolloutFolder, Status, WatchOptions, Which, hands, watch,
};
use weir_envoy::{Bootstrap, Envoy, FilterSource, StartOptions, Upstreams, ecds_response};
use weir_gate::{CaptureHealth, Evaluation, Verdict};
use weir_policy::{Experiments, Mode, Policy};

const EXPERIMENTS: &str = "
apiVersion: weir/v1
kind: Experiments
revision: 4
experiments:
- experiment: chat
  mode: full
  requests: {header: ':path', prefix: /chat}
  control: {cluster: control, snapshot: {model: {name: chat, version: '1'}}}
  candidate: {cluster: candidate, shadowCluster: candidate-shadow, snapshot: {model: {name: chat, version: '2'}}}
  identity: [{header: x-user-id}]
  cohorts: [{name: all, candidatePercent: 100}]
- experiment: search
  mode: full
  requests: {header: ':path', prefix: /search}
  control: {cluster: control, snapshot: {model: {name: rank, version: '7'}}}
  candidate: {cluster: candidate, shadowCluster: candidate-shadow, snapshot: {model: {name: rank, version: '8'}}}
  identity: [{header: x-user-id}]
  cohorts: [{name: all, candidatePercent: 100}]
";

struct Place {
    folder: tempfile::TempDir,
    target: EnvoyTarget,
    listener: SocketAddr,
    _envoy: Envoy,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let watched = folder.path().join("ecds");
        std::fs::create_dir(&watched).unwrap();
        let file = watched.join("weir.json");
        let module = weir_envoy::find_filter(None).unwrap();
        let document = experiments();
        std::fs::write(&file, ecds_response(&document.to_json(), document.revision, &module)).unwrap();
        let upstreams = Upstreams {
            control: upstream("control").await,
            candidate: upstream("candidate").await,
            collector: upstream("collector").await,
        };
        let bootstrap = Bootstrap::new(upstreams, FilterSource::Ecds { file: file.clone(), module }).render();
        let run = folder.path().join("run");
        std::fs::create_dir(&run).unwrap();
        let binary = weir_envoy::find_envoy(None).unwrap();
        let envoy = Envoy::start(StartOptions::new(binary, bootstrap, run)).await.unwrap();
        let (admin, listener) = (envoy.admin().address(), envoy.listener("weir").unwrap());
        let target = format!("ecds-file:{},admin=http://{admin},probe=http://{listener}", file.display());
        Self { folder, target: target.parse().unwrap(), listener, _envoy: envoy }
    }

    fn ecds(&self) -> EcdsFile {
        EcdsFile::new(&self.target.path, &self.target.name)
    }

    /// The configuration's text as it stands in the file.
    fn text(&self) -> String {
        let response: Value =
            serde_json::from_str(&std::fs::read_to_string(&self.target.path).unwrap()).unwrap();
        let config = &response["resources"][0]["typed_config"]["config"];
        config["configuration"]["value"].as_str().unwrap().to_owned()
    }

    fn of(&self, experiment: &str) -> Carried {
        self.ecds().read().unwrap().of(experiment).unwrap()
    }

    /// Who answers, and which revision the answer shows.
    async fn ask(&self, path: &str) -> (String, String) {
        let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
        let request = client.get(format!("http://{}{path}", self.listener)).header("x-user-id", "ada");
        let answer = request.send().await.unwrap();
        let revision = answer.headers()["x-weir-revision"].to_str().unwrap().to_owned();
        (answer.text().await.unwrap(), revision)
    }

    fn options(&self, experiment: &str) -> WatchOptions {
        let rollout = format!(
            "apiVersion: weir/v1\nkind: Rollout\nexperiment: {experiment}\nlookIntervalMs: 10\nsteps:\n  - {{name: half, mode: canary, candidatePercent: 50}}\n"
        );
        let policy = experiments().experiments.into_iter().find(|it| it.experiment == experiment).unwrap();
        WatchOptions {
            data_dir: self.folder.path().join("data"),
            policy,
            rollout: Rollout::parse("rollout", &rollout).unwrap(),
            target: self.target.clone(),
            deadline: Some(Duration::from_secs(60)),
            wait_for_sign_off: false,
            restart: false,
        }
    }
}

fn experiments() -> Experiments {
    Experiments::parse("experiments", EXPERIMENTS).unwrap()
}

async fn upstream(name: &'static str) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(move || async move { name });
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// The text of an experiment inside a document's text, from its name to its end.
fn entry<'a>(text: &'a str, experiment: &str) -> &'a str {
    let name = format!("\"experiment\":\"{experiment}\"");
    let rest = &text[text.find(&name).unwrap()..];
    &rest[..rest.find("},{\"apiVersion\"").unwrap_or(rest.len())]
}

fn evaluation(verdict: Verdict) -> Evaluation {
    Evaluation {
        verdict,
        reasons: Vec::new(),
        gates: Vec::new(),
        alpha: 0.05,
        error_rates: weir_gate::ErrorRates::default(),
        score: None,
        segments: Vec::new(),
        findings: Vec::new(),
        looks: String::from("any number"),
        health: CaptureHealth { pairs: 100, ..CaptureHealth::default() },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_experiment_is_rolled_back_and_the_other_stays_byte_for_byte() {
    let place = Place::new().await;
    let answered = |who: &str, revision: &str| (who.to_owned(), revision.to_owned());
    assert_eq!(place.ask("/chat/1").await, answered("candidate", "4"));
    assert_eq!(place.ask("/search/1").await, answered("candidate", "4"));
    let before = place.text();

    let refused = hands::rollback(None, None, None, &place.target, "which?").await.unwrap_err();
    assert_eq!(refused.exit_code(), 2);
    assert!(refused.to_string().contains("experiments chat, search"), "{refused}");
    let unknown = Some(Which::One("shop".to_owned()));
    let refused = hands::rollback(None, unknown, None, &place.target, "which?").await.unwrap_err();
    assert!(refused.to_string().contains("none is named 'shop'"), "{refused}");
    assert_eq!(place.text(), before, "nothing was changed");

    let which = Some(Which::One("search".to_owned()));
    let back = hands::rollback(None, which, None, &place.target, "worse").await.unwrap();
    assert_eq!((back.written.revision, back.written.revision_before), (5, 4));
    assert_eq!(back.confirmed.proxies.len(), 1);
    assert!(back.confirmed.proxies[0].admin_ms.is_some() && back.confirmed.proxies[0].probe_ms.is_some());
    assert_eq!(place.ask("/search/1").await, answered("control", "5"));
    assert_eq!(place.ask("/chat/1").await, answered("candidate", "5"));
    let after = place.text();
    assert_eq!(entry(&before, "chat"), entry(&after, "chat"));
    assert_ne!(entry(&before, "search"), entry(&after, "search"));
    assert_eq!((place.of("chat").revision, place.of("chat").mode()), (4, Some("full")));
    assert_eq!((place.of("search").revision, place.of("search").mode()), (5, Some("rolled-back")));

    let status = hands::status(None, Some("search"), &place.target).await.unwrap();
    assert_eq!(status.disagreements, Vec::<String>::new());
    assert_eq!((status.file_revision, status.file_mode.as_deref()), (5, Some("rolled-back")));
    let listed: Vec<_> = status
        .experiments
        .iter()
        .map(|one| (one.experiment.as_str(), one.revision, one.mode.as_str()))
        .collect();
    assert_eq!(listed, [("chat", 4, "full"), ("search", 5, "rolled-back")]);

    let all = hands::rollback(None, Some(Which::All), None, &place.target, "everything").await.unwrap();
    assert_eq!(all.written.revision, 6);
    assert_eq!(place.ask("/chat/1").await, answered("control", "6"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_puts_one_experiment_in_under_the_next_revision_and_a_misfit_is_refused() {
    let place = Place::new().await;
    let [chat, search] = experiments().experiments.try_into().unwrap();
    let wanted = Policy { revision: 5, mode: Mode::RolledBack, ..search.clone() };
    let pushed = hands::push(None, &wanted, &place.target, false).await.unwrap();
    assert_eq!((pushed.written.revision, pushed.written.mode.as_str()), (5, "rolled-back"));
    // Its own revision is above its own before, although the document is further already.
    let late = Policy { revision: 5, mode: Mode::RolledBack, ..chat };
    let pushed = hands::push(None, &late, &place.target, false).await.unwrap();
    assert_eq!((pushed.written.revision, pushed.written.revision_before), (6, 4));
    assert_eq!(place.ask("/chat/1").await.0, "control");
    let before = place.text();
    let again = hands::push(None, &wanted, &place.target, false).await.unwrap_err();
    assert!(again.to_string().contains("carries revision 5, revision 5 is not after it"), "{again}");
    let misfit = Policy { revision: 9, requests: None, ..search.clone() };
    let mut other = misfit.clone();
    other.sink.cluster = String::from("elsewhere");
    let refused = hands::push(None, &other, &place.target, false).await.unwrap_err();
    assert_eq!(refused.exit_code(), 2);
    assert!(refused.to_string().contains("experiments[1].sink: is not that of experiments[0]"), "{refused}");
    let stranger = Policy { experiment: "shop".to_owned(), ..misfit };
    let refused = hands::push(None, &stranger, &place.target, false).await.unwrap_err();
    assert!(refused.to_string().contains("none is named 'shop'"), "{refused}");
    assert_eq!(place.text(), before, "nothing was changed");

    let whole = Experiments { revision: 7, ..experiments() };
    let pushed = hands::push_experiments(&whole, &place.target, false).await.unwrap();
    assert_eq!((pushed.written.revision, pushed.written.revision_before), (7, 6));
    assert_eq!(place.ask("/chat/1").await, ("candidate".to_owned(), "7".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_watches_steer_one_file_and_the_rollback_of_one_does_not_disturb_the_other() {
    let place = Place::new().await;
    let looks = std::sync::Arc::new(AtomicUsize::new(0));
    let steady = std::sync::Arc::clone(&looks);
    let chat = watch(
        WatchOptions { deadline: Some(Duration::from_secs(3)), ..place.options("chat") },
        move |_| {
            steady.fetch_add(1, Ordering::Relaxed);
            Ok(evaluation(Verdict::Hold))
        },
        |_| {},
        std::future::pending(),
    );
    let worse = move |_: &_| {
        let verdict = if looks.load(Ordering::Relaxed) > 20 { Verdict::Rollback } else { Verdict::Hold };
        Ok(evaluation(verdict))
    };
    let search = watch(place.options("search"), worse, |_| {}, std::future::pending());
    let (chat, search) = tokio::join!(chat, search);
    let (chat, search) = (chat.unwrap(), search.unwrap());
    assert_eq!((search.ending, search.state.confirmed), (Ending::RolledBack, true));
    assert_eq!((chat.ending, chat.state.status), (Ending::Stopped, Status::Running));
    assert_eq!(
        chat.state.evidence_revision,
        Some(place.of("chat").revision),
        "its evidence goes on counting"
    );
    assert_eq!((place.of("chat").mode(), place.of("search").mode()), (Some("canary"), Some("rolled-back")));
    assert_eq!(place.of("search").revision, 7, "two steps and one rollback, each once");
    let record = RolloutFolder::new(&place.folder.path().join("data"), "chat").unwrap();
    assert_eq!(record.history().unwrap().decisions.len(), 2, "begun and held, never pushed again");
    assert_eq!(place.ask("/search/1").await.0, "control");
}
