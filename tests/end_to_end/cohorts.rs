//! What the candidate is told, and what overrides do, behind a real Envoy.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use serde_json::json;
use weir_policy::Policy;
use weir_tests::client::post;
use weir_tests::http::Message;
use weir_tests::server::Server;
use weir_tests::world::{Plan, World, policy};

const WITHIN: Duration = Duration::from_secs(10);

/// The first request with this path, once it has come.
async fn received(server: &Server, path: &str) -> Message {
    let deadline = Instant::now() + WITHIN;
    loop {
        if let Some(request) =
            server.requests().into_iter().find(|request| request.head.second_word() == path)
        {
            return request;
        }
        assert!(Instant::now() < deadline, "{path} does not arrive");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn told(request: &Message) -> Vec<(&str, &str)> {
    let ours = request.head.headers.iter().filter(|(name, _)| name.starts_with("x-weir"));
    let mut told: Vec<_> = ours.map(|(name, value)| (name.as_str(), value.as_str())).collect();
    told.sort_unstable();
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn served_and_copied_requests_tell_the_candidate_what_the_policy_asks_for() {
    let document = policy(
        "canary",
        0.0,
        json!({
            "cohorts": [
                {"name": "internal", "match": {"header": "x-tier", "exact": "internal"}, "candidatePercent": 100, "autonomy": "supervised"},
                {"name": "rest", "autonomy": "suggest"},
            ],
            "noise": {"percent": 100},
            "routing": {"upstreamHeaders": ["experiment", "variant", "snapshot", "autonomy"]},
        }),
    );
    let world = World::start(Plan::new(document)).await.unwrap();
    let user = ("x-user-id", "ada");
    post(world.address(), "/served", &[user, ("x-tier", "internal")], b"{}").await.unwrap();
    post(world.address(), "/copied", &[user], b"{}").await.unwrap();
    let experiment = ("x-weir-experiment", "end-to-end");
    let (snapshot, variant) = (("x-weir-snapshot", "model@2"), ("x-weir-variant", "candidate"));
    let served = received(&world.candidate, "/served").await;
    assert_eq!(told(&served), [("x-weir-autonomy", "supervised"), experiment, snapshot, variant]);
    let copied = received(&world.candidate, "/copied").await;
    let leg = ("x-weir-leg", "shadow");
    assert_eq!(told(&copied), [("x-weir-autonomy", "suggest"), experiment, leg, snapshot, variant]);
    let answered = received(&world.control, "/copied").await;
    // The original and the second question to control come in any order.
    let both =
        || world.control.requests().into_iter().filter(|request| request.head.second_word() == "/copied");
    let deadline = Instant::now() + WITHIN;
    while both().count() < 2 && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut marks: Vec<_> = both()
        .map(|request| told(&request).iter().map(|(_, value)| (*value).to_owned()).collect::<Vec<_>>())
        .collect();
    marks.sort();
    assert_eq!(marks, [vec![], vec!["noise".to_owned()]], "control is told nothing but that a copy is one");
    assert_eq!(answered.body, b"{}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_force_header_counts_for_the_named_tier_and_is_passed_on() {
    let document = policy(
        "canary",
        0.0,
        json!({
            "cohorts": [
                {"name": "internal", "match": {"header": "x-tier", "exact": "internal"}, "candidatePercent": 1},
                {"name": "rest"},
            ],
            "overrides": {"forceHeader": "x-force", "forceTiers": ["internal"], "deny": ["eve"]},
        }),
    );
    let world = World::start(Plan::new(document)).await.unwrap();
    let force = ("x-force", "candidate");
    for (path, headers, server) in [
        ("/internal", vec![("x-tier", "internal"), ("x-user-id", "ada"), force], &world.candidate),
        ("/denied", vec![("x-tier", "internal"), ("x-user-id", "eve"), force], &world.control),
        ("/rest", vec![("x-user-id", "ada"), force], &world.control),
    ] {
        let answer = post(world.address(), path, &headers, b"{}").await.unwrap();
        assert_eq!(answer.head.second_word(), "200");
        let request = received(server, path).await;
        assert_eq!(request.head.header("x-force"), Some("candidate"));
    }
    // Only the exchange of the tier that may not choose is copied and captured.
    received(&world.candidate, "/rest").await;
    assert!(world.sink.wait_for_legs(WITHIN, 2).await);
    let paths = world.sink.received().into_iter().map(|received| received.leg.path).collect::<Vec<_>>();
    assert_eq!(paths, ["/rest", "/rest"]);
    assert!(!world.candidate.requests().iter().any(|request| request.head.second_word() == "/denied"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_access_log_shows_what_the_filter_decided_and_which_sample_it_is() {
    let document = policy("canary", 50.0, json!({"shadow": {"percent": 0}, "filterState": true}));
    let native = Policy::parse("policy", &document.to_string()).unwrap();
    let world = World::start(Plan { access_log: true, ..Plan::new(document) }).await.unwrap();
    for number in 0..40 {
        let user = format!("user-{number}");
        post(world.address(), &format!("/{user}"), &[("x-user-id", &user)], b"{}").await.unwrap();
    }
    assert!(world.sink.wait_for_legs(WITHIN, 40).await);
    let deadline = Instant::now() + WITHIN;
    let lines = loop {
        let log = world.access_log().unwrap();
        let lines: Vec<serde_json::Value> =
            log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        if lines.len() == 40 {
            break lines;
        }
        assert!(Instant::now() < deadline, "{log}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    for received in world.sink.received() {
        let leg = received.leg;
        let assignment = native.assign(&[("x-user-id", leg.path.trim_start_matches('/'))]);
        let expected = format!(
            "experiment=end-to-end revision=1 variant={} cohort=everyone tier=general reason={} sample={}",
            assignment.variant, assignment.reason, leg.sample_id
        );
        let line = lines.iter().find(|line| line["path"] == json!(leg.path)).unwrap();
        assert_eq!(line["weir"], json!(expected));
        assert_eq!(line["variant"], json!(assignment.variant.as_str()));
    }
}
