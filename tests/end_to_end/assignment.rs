//! Who gets which variant, seen from outside: real requests through a real Envoy.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use weir_envoy::Routing;
use weir_policy::{Policy, Variant};
use weir_tests::client::post;
use weir_tests::http::{Message, request};
use weir_tests::random::Random;
use weir_tests::traffic::exchange_all;
use weir_tests::trapping_module;
use weir_tests::world::{Filter, Plan, World, policy, revised};

/// What a client could try in order to choose for itself.
const FORGED: [(&str, &str); 8] = [
    ("x-weir-variant", "candidate"),
    ("X-Weir-Variant", "candidate"),
    ("x-weir-cluster", "candidate"),
    ("x-weir-shadow", "candidate-shadow"),
    ("x-weir-noise", "control-noise"),
    ("x-weir-leg", "shadow"),
    ("x-weir-snapshot", "none"),
    ("x-weir-anything", "1"),
];

fn users(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("user-{index}")).collect()
}

fn request_of(user: &str) -> Vec<u8> {
    request("POST", "/", &[("x-user-id", user)], b"{}")
}

fn variant(answer: &Message) -> String {
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    let served = body["variant"].as_str().unwrap().to_owned();
    if let Some(told) = answer.head.header("x-weir-variant") {
        assert_eq!(told, served, "the response header and the server that answered disagree");
    }
    served
}

/// The users that the candidate answered.
async fn candidates(world: &World, users: &[String]) -> BTreeSet<String> {
    let requests = users.iter().map(|user| request_of(user)).collect();
    let answers = exchange_all(world.address(), 8, requests).await.unwrap();
    let answered = users.iter().zip(&answers).filter(|(_, answer)| variant(answer) == "candidate");
    answered.map(|(user, _)| user.clone()).collect()
}

fn assert_no_weir_headers(request: &Message) {
    let ours = request.head.headers.iter().filter(|(name, _)| name.to_lowercase().starts_with("x-weir"));
    assert_eq!(ours.collect::<Vec<_>>(), Vec::<&(String, String)>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_filter_assigns_as_the_policy_does_natively_for_thousands_of_random_requests() {
    let document = policy(
        "canary",
        0.0,
        json!({
            "identity": [{"header": "x-user-id"}, {"cookie": "session"}],
            "shadow": {"percent": 0},
            "cohorts": [
                {"name": "internal", "match": {"header": "x-tier", "exact": "internal"}, "candidatePercent": 100},
                {"name": "beta", "match": {"all": [{"header": "x-tier", "exact": "beta"}]}, "candidatePercent": 37.5},
                {"name": "general", "candidatePercent": 12.3456},
            ],
        }),
    );
    let native = Policy::parse("policy", &document.to_string()).unwrap();
    let world = World::start(Plan { workers: 4, ..Plan::new(document) }).await.unwrap();
    let mut random = Random::new(1);
    let headers = (0..4000).map(|_| random_headers(&mut random)).collect::<Vec<_>>();
    let requests = headers.iter().map(|headers| {
        let headers = headers.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>();
        request("POST", "/", &headers, b"{}")
    });
    let answers = exchange_all(world.address(), 8, requests.collect()).await.unwrap();
    let mut by_candidate = 0;
    for (headers, answer) in headers.iter().zip(&answers) {
        let assignment = native.assign(headers);
        let expected = if assignment.variant == Variant::Candidate { "candidate" } else { "control" };
        assert_eq!(variant(answer), expected, "{headers:?} {assignment:?}");
        by_candidate += usize::from(expected == "candidate");
    }
    assert!(
        (500..3500).contains(&by_candidate),
        "the requests must reach both sides: {by_candidate} of 4000"
    );
}

fn random_headers(random: &mut Random) -> Vec<(&'static str, String)> {
    let mut headers = Vec::new();
    if random.below(4) > 0 {
        headers.push(("x-user-id", format!("{:x}", random.number())));
    } else if random.below(8) == 0 {
        headers.push(("x-user-id", String::new()));
    }
    if random.below(3) > 0 {
        let session = random.below(50);
        let cookies = ["session=s{}", "a=b; session=s{}; c=d", "session=\"s{}\"", "sessions=s{}", "session="];
        let cookie = random.pick(&cookies).unwrap();
        headers.push(("cookie", cookie.replace("{}", &session.to_string())));
    }
    if random.below(2) > 0 {
        let tiers = ["internal", "beta", "general", "Internal", "internal ", "x-internal", ""];
        headers.push(("x-tier", (*random.pick(&tiers).unwrap()).trim().to_owned()));
    }
    headers
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_keeps_its_variant_and_a_growing_share_never_takes_the_candidate_away() {
    let first = policy("canary", 0.5, json!({"shadow": {"percent": 0}}));
    let world = World::start(Plan::new(first.clone())).await.unwrap();
    let users = users(400);
    let mut before = BTreeSet::new();
    for (revision, percent) in [(2, 5.0), (3, 20.0), (4, 50.0), (5, 100.0)] {
        let cohorts = json!({"cohorts": [{"name": "everyone", "candidatePercent": percent}]});
        world.push_confirmed(&revised(&first, revision, cohorts)).await.unwrap();
        let now = candidates(&world, &users).await;
        assert_eq!(now, candidates(&world, &users).await, "the same users again at {percent} %");
        assert!(now.is_superset(&before), "at {percent} % the candidate was taken away from someone");
        assert!(now.len() > before.len(), "at {percent} % nobody was added");
        before = now;
    }
    assert_eq!(before.len(), users.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_headers_choose_nothing() {
    // The candidate is for others, and copies are never drawn.
    let cohorts = json!([
        {"name": "others", "match": {"header": "x-tier", "exact": "others"}, "candidatePercent": 100},
        {"name": "everyone", "candidatePercent": 0},
    ]);
    let nobody = policy("canary", 0.0, json!({"cohorts": cohorts, "shadow": {"percent": 0}}));
    let world = World::start(Plan::new(nobody)).await.unwrap();
    for header in FORGED {
        for (user, body) in [("x-user-id", "one"), ("x-other", "none")] {
            let answer = post(world.address(), "/", &[header, (user, body)], b"{}").await.unwrap();
            assert_eq!(variant(&answer), "control", "{header:?}");
            assert_eq!(answer.head.header("x-weir-revision"), Some("1"), "the filter looked at it");
        }
    }
    let all = post(world.address(), "/", &FORGED, b"{}").await.unwrap();
    assert_eq!(variant(&all), "control");
    // A copy would arrive after its answer: none may, so there is nothing to wait for but time.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.candidate.requests().len(), 0);
    let seen = world.control.requests();
    assert_eq!(seen.len(), 2 * FORGED.len() + 1, "every request once, and no noise copy");
    seen.iter().for_each(assert_no_weir_headers);
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_headers_choose_nothing_while_the_filter_is_bypassed() {
    let everyone = policy("canary", 100.0, json!({}));
    for (why, plan) in [
        ("crashed", Plan { filter: Filter::Module(trapping_module()), ..Plan::new(everyone.clone()) }),
        ("never accepted", Plan { refused: true, ..Plan::new(json!({"kind": "Nonsense", "revision": 1})) }),
        (
            "crashed, cluster_header route",
            Plan {
                filter: Filter::Module(trapping_module()),
                routing: Routing::ClusterHeader,
                ..Plan::new(everyone.clone())
            },
        ),
    ] {
        let world = World::start(plan).await.unwrap();
        // The request in which the module crashes is lost on each of the two workers; what counts is what comes after.
        exchange_all(world.address(), 16, vec![request_of("first"); 64]).await.unwrap();
        let first = world.control.requests().len();
        for header in FORGED {
            let answer = post(world.address(), "/", &[header, ("x-user-id", "one")], b"{}").await.unwrap();
            assert_eq!(answer.head.second_word(), "200", "{why}: {header:?}");
            assert_eq!(variant(&answer), "control", "{why}: {header:?}");
            assert_eq!(answer.head.header("x-weir-variant"), None, "{why}: the filter was not bypassed");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(world.candidate.requests().len(), 0, "{why}");
        let seen = world.control.requests();
        assert_eq!(seen.len(), first + FORGED.len(), "{why}");
        seen.iter().for_each(assert_no_weir_headers);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_header_route_sends_each_user_where_the_variant_header_would() {
    let document = policy(
        "canary",
        30.0,
        json!({"shadow": {"percent": 0}, "routing": {"clusterHeader": "x-weir-cluster"}}),
    );
    let native = Policy::parse("policy", &document.to_string()).unwrap();
    let plan = Plan { routing: Routing::ClusterHeader, ..Plan::new(document) };
    let world = World::start(plan).await.unwrap();
    let users = users(300);
    let expected = users.iter().filter(|user| {
        let headers = [("x-user-id", user.as_str())];
        native.assign(&headers).variant == Variant::Candidate
    });
    let expected = expected.cloned().collect::<BTreeSet<_>>();
    assert!(!expected.is_empty());
    assert_eq!(candidates(&world, &users).await, expected);
    world.control.requests().iter().for_each(assert_no_weir_headers);
}

#[tokio::test(flavor = "multi_thread")]
async fn mode_off_leaves_traffic_as_if_the_filter_were_not_there() {
    let on = policy("canary", 100.0, json!({}));
    let world = World::start(Plan::new(on.clone())).await.unwrap();
    assert_eq!(candidates(&world, &users(10)).await.len(), 10);
    world.push(&revised(&on, 2, json!({"mode": "off"}))).unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        let answer = post(world.address(), "/", &[("x-user-id", "one")], b"{}").await.unwrap();
        if !answer.head.headers.iter().any(|(name, _)| name.starts_with("x-weir")) {
            assert_eq!(variant(&answer), "control");
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "answers still carry {:?}", answer.head);
    }
    assert_eq!(world.envoy.admin().version_text().await.unwrap().as_deref(), Some("2"));
    // Both workers have to have it.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = world.sink.count();
    for _ in 0..50 {
        let answer = post(world.address(), "/", &[("x-user-id", "one")], b"{}").await.unwrap();
        assert_eq!(variant(&answer), "control");
        assert_eq!(answer.head.headers_without(&["x-weir"]), answer.head.headers);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.sink.count(), before, "nothing is captured");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolled_back_policy_sends_everybody_to_control() {
    let canary = policy("canary", 100.0, json!({}));
    let world = World::start(Plan::new(canary.clone())).await.unwrap();
    let users = users(50);
    assert_eq!(candidates(&world, &users).await.len(), 50);
    world.push_confirmed(&revised(&canary, 2, json!({"mode": "rolled-back"}))).await.unwrap();
    let before = world.candidate.requests().len();
    assert_eq!(candidates(&world, &users).await, BTreeSet::new());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(world.candidate.requests().len(), before, "no copies either");
}

/// Users whose bucket in the experiment `end-to-end` was computed by another implementation of the hash
/// (`agreement/buckets.py`): every architecture and every process has to agree, and a change moves every running
/// experiment's users.
const FIXED: [(&str, u32); 7] = [
    ("ada", 967_594),
    ("grace", 788_178),
    ("alan@example.com", 397_334),
    ("2001:db8::1", 631_120),
    ("auth0|5f7c8ec7c33c6c004bbafe82", 950_398),
    ("hopper", 11_225),
    ("turing", 124_312),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_worker_and_every_start_gives_a_user_the_same_variant_and_the_share_is_the_policys() {
    const SHARE: f64 = 30.0;
    let document = policy("canary", SHARE, json!({"shadow": {"percent": 0}, "sampling": {"percent": 100}}));
    let native = Policy::parse("policy", &document.to_string()).unwrap();
    for (user, bucket) in FIXED {
        assert_eq!(native.assign(&[("x-user-id", user)]).bucket_ppm, Some(bucket), "{user}");
    }
    let fixed = FIXED.iter().map(|(user, _)| (*user).to_owned());
    let users: Vec<String> = users(1500).into_iter().chain(fixed).collect();
    let mut starts = Vec::new();
    for workers in [4, 1] {
        let world = World::start(Plan { workers, ..Plan::new(document.clone()) }).await.unwrap();
        let first = candidates(&world, &users).await;
        // Other connections, and so other workers, in another order.
        let reversed: Vec<String> = users.iter().rev().cloned().collect();
        assert_eq!(candidates(&world, &reversed).await, first);
        assert!(world.sink.wait_for_legs(Duration::from_secs(10), 2 * users.len()).await);
        let serving: BTreeSet<String> = world.sink.received().into_iter().map(|leg| leg.worker).collect();
        assert_eq!(serving.len(), workers as usize, "every worker has served");
        starts.push(first);
    }
    assert_eq!(starts[0], starts[1]);
    for (user, bucket) in FIXED {
        assert_eq!(starts[0].contains(user), f64::from(bucket) < SHARE * 10_000.0, "{user}");
    }
    let (total, share) = (users.len() as f64, SHARE / 100.0);
    let deviation = (starts[0].len() as f64 - total * share).abs() / (total * share * (1.0 - share)).sqrt();
    assert!(deviation < 4.5, "{} of {total}: {deviation} standard deviations", starts[0].len());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_experiments_serve_their_candidates_to_independent_halves() {
    let document = |experiment: &str| {
        policy("canary", 50.0, json!({"shadow": {"percent": 0}, "experiment": experiment}))
    };
    let world = World::start(Plan::new(document("first"))).await.unwrap();
    let users = users(2000);
    let first = candidates(&world, &users).await;
    world.push_confirmed(&revised(&document("second"), 2, json!({}))).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let second = candidates(&world, &users).await;
    let count = |in_first: bool, in_second: bool| {
        users
            .iter()
            .filter(|user| first.contains(*user) == in_first && second.contains(*user) == in_second)
            .count() as f64
    };
    let table = [[count(true, true), count(true, false)], [count(false, true), count(false, false)]];
    let total = users.len() as f64;
    let mut statistic = 0.0;
    for row in 0..2 {
        for column in 0..2 {
            let expected = (table[row][0] + table[row][1]) * (table[0][column] + table[1][column]) / total;
            statistic += (table[row][column] - expected).powi(2) / expected;
        }
    }
    // One degree of freedom; the 1 - 1e-5 quantile.
    assert!(statistic < 19.51, "{table:?}: {statistic}");
}
