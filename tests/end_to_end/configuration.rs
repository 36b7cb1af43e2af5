//! Policies that change while traffic flows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use weir_tests::client::{Client, post};
use weir_tests::http::request;
use weir_tests::server::chunked_reply;
use weir_tests::sink::Received;
use weir_tests::traffic::{Traffic, exchange_all};
use weir_tests::world::{Plan, World, policy, revised};

/// Long enough for a configuration to reach every worker, which takes some 50 ms.
const SETTLED: Duration = Duration::from_millis(500);

async fn revision_told(world: &World) -> Option<String> {
    let answer = post(world.address(), "/", &[("x-user-id", "one")], b"{}").await.unwrap();
    answer.head.header("x-weir-revision").map(str::to_owned)
}

async fn wait_for_rejections(world: &World, count: u64) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while world.envoy.admin().rejected().await.unwrap() < count {
        assert!(tokio::time::Instant::now() < deadline, "no rejection {count} in Envoy's stats");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_policy_is_rejected_while_traffic_flows_and_the_old_one_keeps_serving() {
    let good = policy("canary", 50.0, json!({"revision": 3}));
    let world = World::start(Plan::new(good.clone())).await.unwrap();
    let traffic = Traffic::start(world.address(), 4);
    let before = world.envoy.admin().rejected().await.unwrap();
    let wrong_share = json!({"cohorts": [{"name": "everyone", "candidatePercent": 150}]});
    let unknown_field = json!({"cohortz": []});
    for (count, bad) in [wrong_share, unknown_field].into_iter().enumerate() {
        world.push(&revised(&good, 4 + count as u64, bad)).unwrap();
        wait_for_rejections(&world, before + 1 + count as u64).await;
    }
    world.push_text("no policy at all: [", 9).unwrap();
    wait_for_rejections(&world, before + 3).await;
    tokio::time::sleep(SETTLED).await;
    assert_eq!(revision_told(&world).await.as_deref(), Some("3"));
    assert_eq!(world.envoy.admin().version_text().await.unwrap().as_deref(), Some("3"));
    let tally = traffic.stop().await;
    assert_eq!(tally.failures, Vec::<String>::new());
    assert!(tally.good > 100, "traffic has to flow for this to mean something: {}", tally.good);
    let log = std::fs::read_to_string(world.envoy.log_path()).unwrap();
    assert!(
        log.contains("cohorts[0].candidatePercent"),
        "the log names the field:\n{}",
        world.envoy.log_tail()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_revision_is_confirmed_by_version_text_and_by_answers_from_every_worker() {
    let first = policy("canary", 10.0, json!({}));
    let world = World::start(Plan { workers: 4, ..Plan::new(first.clone()) }).await.unwrap();
    let traffic = Traffic::start(world.address(), 4);
    for revision in 2..12 {
        world.push_confirmed(&revised(&first, revision, json!({}))).await.unwrap();
    }
    tokio::time::sleep(SETTLED).await;
    let requests = (0..64).map(|_| request("POST", "/", &[("x-user-id", "one")], b"{}")).collect();
    for answer in exchange_all(world.address(), 32, requests).await.unwrap() {
        assert_eq!(answer.head.header("x-weir-revision"), Some("11"));
    }
    let tally = traffic.stop().await;
    assert_eq!(tally.failures, Vec::<String>::new());
    assert!(world.sink.wait_for_legs(Duration::from_secs(10), 100).await);
}

/// Delivers a policy that comes late, and waits until every worker has refused it.
async fn refused_late(world: &World, policy: &serde_json::Value, refusals: u64) {
    world.push(policy).unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    let count = async || world.envoy.admin().stats("^wasmcustom.weir_config_rejected_total").await.unwrap();
    while count().await.values().map(|value| value.parse::<u64>().unwrap()).sum::<u64>() < refusals {
        assert!(tokio::time::Instant::now() < deadline, "{:?}\n{}", count().await, world.envoy.log_tail());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_comes_late_undoes_no_rollback_on_any_worker_unless_it_says_that_it_is_a_restore() {
    const WORKERS: u64 = 2;
    let canary = policy("canary", 100.0, json!({"revision": 6}));
    let world = World::start(Plan { workers: WORKERS as u32, ..Plan::new(canary.clone()) }).await.unwrap();
    let traffic = Traffic::start(world.address(), 4);
    let back = revised(&canary, 7, json!({"mode": "rolled-back"}));
    world.push_confirmed(&back).await.unwrap();
    refused_late(&world, &canary, WORKERS).await;
    // Envoy itself has taken it, as the trial VM did: only answers and metrics show what serves.
    assert_eq!(world.envoy.admin().version_text().await.unwrap().as_deref(), Some("6"));
    let told = || (0..32).map(|_| request("POST", "/", &[("x-user-id", "one")], b"{}")).collect::<Vec<_>>();
    for answer in exchange_all(world.address(), 16, told()).await.unwrap() {
        assert_eq!(answer.head.header("x-weir-revision"), Some("7"));
        assert_eq!(answer.head.header("x-weir-variant"), Some("control"));
    }
    let log = std::fs::read_to_string(world.envoy.log_path()).unwrap();
    let line = log.lines().find(|line| line.contains("revision: 6 is below the newest one")).unwrap();
    assert!(line.contains("allowed: 7 or above, or `replaces: 7`; revision 7 serves"), "{line}");
    // A later one that takes everybody back is always taken, and still nothing that it took back comes again.
    world.push_confirmed(&revised(&back, 5, json!({}))).await.unwrap();
    refused_late(&world, &canary, 2 * WORKERS).await;
    assert_eq!(revision_told(&world).await.as_deref(), Some("5"));
    world.push_confirmed(&revised(&canary, 6, json!({"replaces": 7}))).await.unwrap();
    for answer in exchange_all(world.address(), 16, told()).await.unwrap() {
        assert_eq!(answer.head.header("x-weir-variant"), Some("candidate"));
    }
    assert_eq!(traffic.stop().await.failures, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_pushes_half_of_them_bad_fail_no_request_and_lose_no_sample() {
    let first = policy("shadow", 0.0, json!({}));
    let world = World::start(Plan::new(first.clone())).await.unwrap();
    let traffic = Traffic::start(world.address(), 4);
    for revision in 2..52 {
        let bad = if revision % 2 == 0 { json!({"mode": "nonsense"}) } else { json!({}) };
        world.push(&revised(&first, revision, bad)).unwrap();
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    world.push_confirmed(&revised(&first, 53, json!({}))).await.unwrap();
    let tally = traffic.stop().await;
    assert_eq!(tally.failures, Vec::<String>::new());
    assert!(world.envoy.admin().rejected().await.unwrap() > 0);
    // Every request had a shadow, the probes of the push included.
    let exchanges = world.control.requests().len();
    // A batch whose acknowledgement got lost with its root comes again, under the same numbers.
    let distinct = |received: &[Received]| {
        let numbered = |one: &Received| (one.proxy.clone(), one.worker.clone(), one.leg.sequence);
        received.iter().map(numbered).collect::<BTreeSet<_>>().len()
    };
    let all =
        world.sink.wait_until(Duration::from_secs(15), |received| distinct(received) >= 2 * exchanges).await;
    let received = world.sink.received();
    let legs = received.iter().map(|one| (&one.leg.sample_id, one.leg.leg)).collect::<BTreeSet<_>>();
    assert!(all, "{} of {} legs", legs.len(), 2 * exchanges);
    assert_eq!(
        (legs.len(), distinct(&received)),
        (2 * exchanges, 2 * exchanges),
        "each leg under one number"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_in_flight_ends_under_the_policy_that_it_began_with() {
    let first = policy("shadow", 0.0, json!({}));
    let world = World::start(Plan::new(first.clone())).await.unwrap();
    world.control.reply_with(|request| match request.head.second_word() {
        "/slow" => {
            chunked_reply("text/event-stream", &[b"data: 1\n\n".as_slice(); 8], Duration::from_millis(200))
        }
        _ => weir_tests::server::json_reply(200, "{}"),
    });
    let address = world.address();
    let slow = tokio::spawn(async move {
        let mut client = Client::connect(address).await?;
        client.exchange(&request("POST", "/slow", &[("x-user-id", "one")], b"{}")).await
    });
    while !world.control.requests().iter().any(|request| request.head.second_word() == "/slow") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.push_confirmed(&revised(&first, 2, json!({"mode": "rolled-back"}))).await.unwrap();
    let answer = slow.await.unwrap().unwrap();
    assert!(answer.complete);
    assert_eq!(answer.body, b"data: 1\n\n".repeat(8));
    let whole = world
        .sink
        .wait_until(Duration::from_secs(10), |received| {
            let slow = received.iter().filter(|received| received.leg.path == "/slow");
            slow.filter(|received| received.leg.revision == 1 && received.leg.complete).count() == 2
        })
        .await;
    assert!(whole, "both legs of the stream carry the revision that began it: {:?}", world.sink.received());
}
