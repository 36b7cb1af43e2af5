//! The controller against a real Envoy with the real module: pushes, confirmation, rejection, and whole watches.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use weir_controller::{
    ConfirmError, Confirmer, ControllerError, Decided, EcdsFile, Ending, EnvoyTarget, Event, LookError,
    LookRequest, Rollout, RolloutFolder, Shown, Status, WatchOptions, WatchOutcome, What, hands, watch,
};
use weir_envoy::{Bootstrap, Envoy, FilterSource, StartOptions, Upstreams, ecds_response};
use weir_gate::{CaptureHealth, Evaluation, Reason, Verdict};
use weir_policy::Policy;

const POLICY: &str = "
apiVersion: weir/v1
kind: Policy
experiment: support-answers
revision: 1
mode: shadow
control: {cluster: control, snapshot: {model: {name: gpt-x, version: '1'}}}
candidate: {cluster: candidate, shadowCluster: candidate-shadow, snapshot: {model: {name: gpt-x, version: '2'}}}
identity: [{header: x-user-id}]
cohorts: [{name: general, candidatePercent: 5}]
shadow: {percent: 100}
";

const ROLLOUT: &str = "
apiVersion: weir/v1
kind: Rollout
experiment: support-answers
lookIntervalMs: 10
steps:
  - {name: shadow, mode: shadow, minimumPairs: 100}
  - {name: 5 %, mode: canary, candidatePercent: 5}
  - {name: 20 %, mode: canary, candidatePercent: 20}
";

/// A proxy with its ECDS file at revision 1, and a data folder.
struct Place {
    folder: tempfile::TempDir,
    target: EnvoyTarget,
    envoy: Envoy,
    bootstrap: String,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let watched = folder.path().join("ecds");
        std::fs::create_dir(&watched).unwrap();
        let file = watched.join("weir.json");
        let module = weir_envoy::find_filter(None).unwrap();
        std::fs::write(&file, ecds_response(&policy().to_json(), 1, &module)).unwrap();
        let upstream = upstream().await;
        let upstreams = Upstreams { control: upstream, candidate: upstream, collector: upstream };
        let bootstrap = Bootstrap::new(upstreams, FilterSource::Ecds { file: file.clone(), module }).render();
        let envoy = start(folder.path().join("run"), &bootstrap).await;
        let target = target_of(&file.display().to_string(), &envoy);
        Self { folder, target, envoy, bootstrap }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn ecds(&self) -> EcdsFile {
        EcdsFile::new(&self.target.path, &self.target.name)
    }

    fn record(&self) -> RolloutFolder {
        RolloutFolder::new(&self.data(), "support-answers").unwrap()
    }

    fn options(&self) -> WatchOptions {
        WatchOptions {
            data_dir: self.data(),
            policy: policy(),
            rollout: Rollout::parse("rollout", ROLLOUT).unwrap(),
            target: self.target.clone(),
            deadline: Some(Duration::from_secs(60)),
            wait_for_sign_off: false,
            restart: false,
        }
    }

    /// Watches with these looks, one after the other; the last one goes on for ever.
    async fn watch(&self, options: WatchOptions, script: Vec<Look>) -> Watched {
        self.watch_until(options, script, std::future::pending()).await
    }

    async fn watch_until(
        &self,
        options: WatchOptions,
        script: Vec<Look>,
        stop: impl Future<Output = ()>,
    ) -> Watched {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let events = Arc::new(Mutex::new(Vec::new()));
        let (turn, seen, told) = (AtomicUsize::new(0), Arc::clone(&requests), Arc::clone(&events));
        let look = move |request: &LookRequest| {
            seen.lock().unwrap().push(request.clone());
            script[turn.fetch_add(1, Ordering::Relaxed).min(script.len() - 1)](request)
        };
        let observe = move |event: Event| told.lock().unwrap().push(event.what);
        let outcome = watch(options, look, observe, stop).await.unwrap();
        let (requests, events) = (requests.lock().unwrap().clone(), events.lock().unwrap().clone());
        Watched { outcome, requests, events }
    }
}

struct Watched {
    outcome: WatchOutcome,
    requests: Vec<LookRequest>,
    events: Vec<What>,
}

impl Watched {
    fn kinds(&self) -> Vec<&'static str> {
        self.events.iter().map(What::kind).collect()
    }

    fn texts(&self) -> String {
        self.events.iter().map(|event| format!("{event}\n")).collect()
    }
}

type Look = Box<dyn Fn(&LookRequest) -> Result<Evaluation, LookError> + Send + Sync>;

fn says(verdict: Verdict) -> Look {
    Box::new(move |_| Ok(evaluation(verdict)))
}

fn evaluation(verdict: Verdict) -> Evaluation {
    Evaluation {
        verdict,
        reasons: vec![Reason { text: format!("scripted {verdict}"), gate: None }],
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

fn policy() -> Policy {
    Policy::parse("policy", POLICY).unwrap()
}

fn target_of(file: &str, envoy: &Envoy) -> EnvoyTarget {
    let (admin, listener) = (envoy.admin().address(), envoy.listener("weir").unwrap());
    format!("ecds-file:{file},admin=http://{admin},probe=http://{listener}").parse().unwrap()
}

async fn start(folder: PathBuf, bootstrap: &str) -> Envoy {
    std::fs::create_dir_all(&folder).unwrap();
    let binary = weir_envoy::find_envoy(None).unwrap();
    Envoy::start(StartOptions::new(binary, bootstrap.to_owned(), folder)).await.unwrap()
}

/// An upstream that answers 404 to everything: what a probe meets in the worst case.
async fn upstream() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new()).await });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_confirmed_by_the_proxy_and_a_bad_policy_is_told_at_once() {
    let place = Place::new().await;
    let good = Policy { revision: 2, ..policy() };
    let pushed = hands::push(Some(&place.data()), &good, &place.target, false).await.unwrap();
    assert_eq!((pushed.written.revision_before, pushed.confirmed.proxies.len()), (1, 1));
    let proxy = &pushed.confirmed.proxies[0];
    println!("written {} ms, confirmed {proxy:?}", pushed.written.written_ms);
    assert!(proxy.admin_ms.is_some() && proxy.probe_ms.is_some());

    let slow = EnvoyTarget { timeout: Duration::from_secs(600), ..place.target.clone() };
    let confirmer = Confirmer::new(&slow).unwrap();
    let baseline = confirmer.baseline(Duration::from_secs(5)).await;
    place
        .ecds()
        .replace("{\"apiVersion\": \"weir/v1\", \"kind\": \"Policy\", \"mode\": \"nonsense\"}", 3, false)
        .unwrap();
    let refused = confirmer
        .confirm(Shown { revision: 3, or_later: false, in_answers: true }, &baseline, Instant::now())
        .await
        .unwrap_err();
    let ConfirmError::Rejected { serves, grown, .. } = &refused else { panic!("{refused}") };
    assert_eq!(serves, "2");
    assert!(grown.contains("update_rejected 0 -> 1"), "{grown}");
    println!("{refused}");

    let status = hands::status(Some(&place.data()), None, &place.target).await.unwrap();
    assert_eq!(status.proxies[0].probe_revision.as_deref(), Some("2"), "the good policy goes on serving");
    assert_eq!(status.file_revision, 3);
    assert_eq!(status.disagreements.len(), 2, "{:?}", status.disagreements);

    let blind = EnvoyTarget { timeout: Duration::from_secs(600), ..place.target.clone() };
    let refused =
        hands::rollback(None, None, None, &blind, "the policy in the file is broken").await.unwrap_err();
    assert_eq!(
        refused.exit_code(),
        6,
        "braking a broken policy leaves it broken, and the proxy says so: {refused}"
    );
    let back = hands::rollback(None, None, Some(&good), &blind, "with a policy that is not").await.unwrap();
    assert_eq!((back.written.revision, back.written.mode.as_str()), (5, "rolled-back"));

    let refused = hands::push(None, &good, &place.target, false).await.unwrap_err();
    assert!(matches!(refused, ControllerError::Ecds(_)), "{refused}");
    assert_eq!(refused.exit_code(), 2);
    hands::push(None, &Policy { revision: 6, ..policy() }, &place.target, false).await.unwrap();
    let status = hands::status(None, None, &place.target).await.unwrap();
    assert_eq!(status.disagreements, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_by_hand_needs_nothing_but_the_ecds_file() {
    let place = Place::new().await;
    let rolled_back = hands::rollback(None, None, None, &place.target, "a colleague said so").await.unwrap();
    println!(
        "rolled back by hand: written {} ms, confirmed {} ms",
        rolled_back.written.written_ms, rolled_back.confirmed.confirmed_ms
    );
    let carried = place.ecds().read().unwrap();
    assert_eq!((carried.revision, carried.mode()), (2, Some("rolled-back")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_goes_step_by_step_and_a_rollback_verdict_takes_it_back_at_once() {
    let place = Place::new().await;
    let failing: Look = Box::new(|_| Err("a Parquet file cannot be read".into()));
    let panicking: Look = Box::new(|_| panic!("the look has a mistake"));
    let script = vec![
        says(Verdict::Hold),
        failing,
        panicking,
        says(Verdict::Promote),
        says(Verdict::Investigate),
        says(Verdict::Promote),
        says(Verdict::Rollback),
    ];
    let watched = place.watch(place.options(), script).await;
    println!("{}", watched.texts());
    assert_eq!((watched.outcome.ending, watched.outcome.exit_code()), (Ending::RolledBack, 1));
    let looked_at: Vec<(usize, u64)> =
        watched.requests.iter().map(|request| (request.step, request.revision)).collect();
    assert_eq!(looked_at, [(0, 2), (0, 2), (0, 2), (0, 2), (1, 3), (1, 3), (2, 4)]);
    assert!((watched.requests[0].spending.share() * 3.0 - 1.0).abs() < 1e-12);
    let carried = place.ecds().read().unwrap();
    assert_eq!((carried.revision, carried.mode()), (5, Some("rolled-back")));
    assert_eq!(
        carried.policy["cohorts"][0]["candidatePercent"], 5,
        "what the policy file says, unused in this mode"
    );

    let (written, confirmed) = watched.outcome.rollback_ms.unwrap();
    println!("verdict to rename {written} ms, verdict to confirmation {confirmed} ms");
    let history = place.record().history().unwrap();
    let decided: Vec<Decided> = history.decisions.iter().map(|decision| decision.action).collect();
    let expected = [
        Decided::Begin,
        Decided::Stay,
        Decided::NextStep,
        Decided::Stay,
        Decided::NextStep,
        Decided::Rollback,
    ];
    assert_eq!(decided, expected);
    let last = history.decisions.last().unwrap();
    assert_eq!(
        (last.verdict, last.revision_before, last.revision_after),
        (Some(Verdict::Rollback), 4, Some(5))
    );
    assert_eq!(last.push.as_ref().unwrap().proxies.len(), 1);
    assert_eq!(place.record().read_state().unwrap(), Some(watched.outcome.state.clone()));
    let kinds = watched.kinds();
    assert_eq!(kinds.iter().filter(|kind| **kind == "look-failed").count(), 2);

    let again = place.watch(place.options(), vec![says(Verdict::Promote)]).await;
    assert_eq!(
        (again.outcome.ending, again.requests.len()),
        (Ending::RolledBack, 0),
        "what was rolled back stays"
    );
    let anew = WatchOptions { restart: true, deadline: Some(Duration::ZERO), ..place.options() };
    let anew = place.watch(anew, vec![says(Verdict::Hold)]).await;
    assert_eq!((anew.outcome.ending, anew.outcome.exit_code()), (Ending::Stopped, 3));
    assert_eq!((anew.outcome.state.revision, anew.outcome.state.step), (6, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_improvement_waits_for_a_human_who_lets_it_go_on_to_the_end() {
    let place = Place::new().await;
    let mut rollout = Rollout::parse("rollout", &format!("{ROLLOUT}afterLastStep: full\n")).unwrap();
    rollout.steps.truncate(1);
    let options = WatchOptions { rollout, ..place.options() };
    let asked = place.watch(options.clone(), vec![says(Verdict::SignOff)]).await;
    assert_eq!((asked.outcome.ending, asked.outcome.exit_code()), (Ending::SignOff, 4));
    let deadline = Some(Duration::from_millis(200));
    let waiting = WatchOptions { deadline, wait_for_sign_off: true, ..options.clone() };
    let waiting = place.watch(waiting, vec![says(Verdict::Promote)]).await;
    assert_eq!(
        (waiting.outcome.ending, waiting.outcome.exit_code()),
        (Ending::Stopped, 4),
        "{}",
        waiting.texts()
    );

    let state = hands::approve(&place.data(), "support-answers", "a human").unwrap();
    assert_eq!((state.status, state.signed_off_step), (Status::Running, Some(0)));
    assert!(hands::approve(&place.data(), "support-answers", "a human").is_err(), "nothing more to sign off");
    let done = place.watch(options, vec![says(Verdict::SignOff)]).await;
    println!("{}", done.texts());
    assert_eq!((done.outcome.ending, done.outcome.exit_code()), (Ending::Finished, 0));
    let carried = place.ecds().read().unwrap();
    assert_eq!((carried.revision, carried.mode()), (3, Some("full")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_heeds_what_is_done_by_hand() {
    let place = Place::new().await;
    let (data, target) = (place.data(), place.target.clone());
    let pausing: Look = {
        let data = data.clone();
        Box::new(move |_| {
            hands::pause(&data, "support-answers", "a human").unwrap();
            Ok(evaluation(Verdict::Promote))
        })
    };
    let foreign: Look = {
        let ecds = place.ecds();
        Box::new(move |_| {
            ecds.replace(&Policy { revision: 50, ..policy() }.to_json(), 50, false).unwrap();
            Ok(evaluation(Verdict::Promote))
        })
    };
    let resuming: Look = {
        let data = data.clone();
        Box::new(move |_| {
            hands::resume(&data, "support-answers", "a human").unwrap();
            Ok(evaluation(Verdict::Hold))
        })
    };
    let handle = tokio::runtime::Handle::current();
    let rolling_back: Look = Box::new(move |_| {
        handle.block_on(hands::rollback(Some(&data), None, None, &target, "by a human")).unwrap();
        Ok(evaluation(Verdict::Promote))
    });
    let script =
        vec![pausing, says(Verdict::Promote), foreign, says(Verdict::Promote), resuming, rolling_back];
    let watched = place.watch(place.options(), script).await;
    println!("{}", watched.texts());
    let looked_at: Vec<(usize, u64)> =
        watched.requests.iter().map(|request| (request.step, request.revision)).collect();
    assert_eq!(looked_at, [(0, 2), (0, 2), (0, 2), (0, 51), (0, 51), (0, 51)]);
    assert_eq!((watched.outcome.ending, watched.outcome.exit_code()), (Ending::RolledBack, 1));
    assert_eq!(watched.outcome.state.revision, 52);
    let numbers: Vec<u64> =
        place.record().history().unwrap().decisions.iter().map(|each| each.number).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "every decision has its own number");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_no_proxy_confirms_is_retried_and_ends_in_its_own_exit_code() {
    let mut place = Place::new().await;
    place.target.timeout = Duration::from_millis(300);
    let (pid, listener) = (place.envoy.pid(), place.envoy.listener("weir").unwrap());
    let killing: Look = Box::new(move |_| {
        let killed = std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap();
        assert!(killed.success());
        Ok(evaluation(Verdict::Rollback))
    });
    let watched = place.watch(place.options(), vec![killing]).await;
    println!("{}", watched.texts());
    assert_eq!((watched.outcome.ending, watched.outcome.exit_code()), (Ending::NotConfirmed, 6));
    assert_eq!(watched.kinds().iter().filter(|kind| **kind == "not-confirmed").count(), 3);
    assert_eq!(place.ecds().read().unwrap().mode(), Some("rolled-back"), "the file says so all the same");
    assert!(!watched.outcome.state.confirmed);

    place.envoy = start(place.folder.path().join("second"), &place.bootstrap).await;
    assert_ne!(place.envoy.listener("weir"), Some(listener));
    place.target = target_of(&place.target.path.display().to_string(), &place.envoy);
    let again = place.watch(place.options(), vec![says(Verdict::Promote)]).await;
    assert_eq!(
        (again.outcome.ending, again.outcome.state.confirmed),
        (Ending::RolledBack, true),
        "{}",
        again.texts()
    );
    assert_eq!(again.requests.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_watch_goes_on_at_its_step_and_refuses_another_rollout() {
    let place = Place::new().await;
    let stop = Arc::new(tokio::sync::Notify::new());
    let signalled = Arc::clone(&stop);
    let stopping: Look = Box::new(move |_| {
        signalled.notify_one();
        Ok(evaluation(Verdict::Hold))
    });
    let script = vec![says(Verdict::Promote), stopping];
    let first = place.watch_until(place.options(), script, stop.notified()).await;
    assert_eq!((first.outcome.state.step, first.outcome.exit_code()), (1, 3), "{}", first.texts());
    let second = place.watch(place.options(), vec![says(Verdict::Rollback)]).await;
    assert_eq!(second.requests[0].revision, first.outcome.state.revision, "nothing was pushed again");
    assert_eq!(second.requests[0].step, 1);

    let mut other = place.options();
    other.rollout.steps[1].minimum_pairs = 7;
    let other = watch(other, |_| Ok(evaluation(Verdict::Hold)), |_| {}, std::future::pending());
    let refused = tokio::spawn(other).await.unwrap().unwrap_err();
    assert_eq!(refused.exit_code(), 2);
    assert!(refused.to_string().contains("--restart"), "{refused}");
}
