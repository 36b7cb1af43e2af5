//! A candidate that fails or hangs is taken away by the filter itself, and shadowing stays within its limits.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use serde_json::{Value, json};
use weir_tests::client::{Client, post};
use weir_tests::http::{chunk, chunked_head, request};
use weir_tests::server::{Step, json_reply};
use weir_tests::traffic::exchange_all;
use weir_tests::world::{Copies, Plan, World, policy_with, revised};

const WITHIN: Duration = Duration::from_secs(15);

weir_tests::by_mirror_and_by_callout!(
    a_candidate_that_fails_is_taken_away_reported_and_comes_back_with_a_policy_only,
    an_answer_that_the_candidate_breaks_off_counts_and_one_that_the_client_leaves_does_not,
    a_candidate_that_hangs_is_taken_away_though_its_clients_leave_before_any_answer,
    copies_stay_within_their_limits_and_no_client_notices
);

/// Everybody is the candidate's; one worker, so that it sees every answer.
fn guarded(copies: Copies, guard: Value) -> Plan {
    let fields = json!({"guard": guard, "shadow": {"percent": 0}, "sampling": {"percent": 0}});
    Plan { workers: 1, ..Plan::new(policy_with(copies, "canary", 100.0, fields)) }
}

async fn variant(world: &World) -> String {
    let answer = post(world.address(), "/", &[("x-user-id", "one")], b"{}").await.unwrap();
    answer.head.header("x-weir-variant").unwrap_or_default().to_owned()
}

async fn total(world: &World, name: &str) -> u64 {
    let stats = world.envoy.admin().stats(&format!("^wasmcustom.{name}")).await.unwrap();
    stats.values().map(|value| value.parse::<u64>().unwrap()).sum()
}

async fn wait_for(world: &World, name: &str, count: u64) {
    let deadline = tokio::time::Instant::now() + WITHIN;
    while total(world, name).await != count {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{name} is {}, not {count}",
            total(world, name).await
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn a_candidate_that_fails_is_taken_away_reported_and_comes_back_with_a_policy_only(copies: Copies) {
    let plan = guarded(copies, json!({"answersMin": 5, "failurePercentMax": 20}));
    let document = plan.policy.clone();
    let world = World::start(plan).await.unwrap();
    assert_eq!(variant(&world).await, "candidate");
    world.candidate.reply_with(|_| json_reply(503, "{}"));
    for _ in 0..4 {
        assert_eq!(variant(&world).await, "candidate");
    }
    assert_eq!(
        variant(&world).await,
        "control",
        "the fifth answer tripped the guard, and no tick was waited for"
    );
    wait_for(&world, "weir_guard_trips_total", 1).await;
    assert_eq!(total(&world, "weir_guard_held_cohorts").await, 1);
    let deadline = tokio::time::Instant::now() + WITHIN;
    while world.sink.events().is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "no event came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let events = world.sink.events();
    assert_eq!((events[0].cohort.as_str(), events[0].reason.as_str()), ("everyone", "failures"));
    assert_eq!((events[0].answers, events[0].failures, events[0].revision), (5, 4, 1));
    world.candidate.reply_with(|_| json_reply(200, "{}"));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(variant(&world).await, "control");
    world.push_confirmed(&revised(&document, 2, json!({}))).await.unwrap();
    assert_eq!(variant(&world).await, "candidate");
    wait_for(&world, "weir_guard_held_cohorts", 0).await;
    assert_eq!(world.sink.events().len(), 1);
    assert_eq!(world.sink.errors(), Vec::<String>::new());
}

async fn an_answer_that_the_candidate_breaks_off_counts_and_one_that_the_client_leaves_does_not(
    copies: Copies,
) {
    let begin = [chunked_head(200, "text/event-stream"), chunk(b"data: one\n\n")].concat();
    let world =
        World::start(guarded(copies, json!({"answersMin": 5, "failurePercentMax": 20}))).await.unwrap();
    let hangs = vec![Step::Write(begin.clone()), Step::Hang];
    world.candidate.reply_with(move |_| hangs.clone());
    for _ in 0..12 {
        let mut client = Client::connect(world.address()).await.unwrap();
        client.send(&request("POST", "/", &[("x-user-id", "one")], b"{}")).await.unwrap();
        // Long enough for the answer to begin; however it is, the client is the one that leaves.
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(total(&world, "weir_guard_trips_total").await, 0);
    let resets = vec![Step::Write(begin), Step::Pause(Duration::from_millis(20)), Step::Reset];
    world.candidate.reply_with(move |_| resets.clone());
    for _ in 0..20 {
        // The answer is cut off, which the client sees too.
        let _ = post(world.address(), "/", &[("x-user-id", "one")], b"{}").await;
    }
    wait_for(&world, "weir_guard_trips_total", 1).await;
}

async fn a_candidate_that_hangs_is_taken_away_though_its_clients_leave_before_any_answer(copies: Copies) {
    let guard = json!({"answersMin": 5, "slowMs": 50, "slowPercentMax": 20});
    let world = World::start(guarded(copies, guard)).await.unwrap();
    world.candidate.reply_with(|_| vec![Step::Hang]);
    for _ in 0..5 {
        let mut client = Client::connect(world.address()).await.unwrap();
        client.send(&request("POST", "/", &[("x-user-id", "one")], b"{}")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(120)).await;
    }
    wait_for(&world, "weir_guard_trips_total", 1).await;
    assert_eq!(variant(&world).await, "control");
}

async fn copies_stay_within_their_limits_and_no_client_notices(copies: Copies) {
    const COUNT: u64 = 60;
    let shadow = json!({"percent": 100, "methods": ["POST"], "inFlightMax": 2});
    let fields = json!({"shadow": shadow, "sampling": {"percent": 0}});
    let world = World::start(Plan { workers: 1, ..Plan::new(policy_with(copies, "shadow", 0.0, fields)) })
        .await
        .unwrap();
    world.candidate.reply_with(|_| vec![Step::Hang]);
    let user = ("x-user-id", "one");
    let posts = (0..COUNT).map(|number| request("POST", &format!("/{number}"), &[user], b"{}"));
    let gets = (0..COUNT).map(|number| request("GET", &format!("/{number}"), &[user], b""));
    let answers = exchange_all(world.address(), 4, posts.chain(gets).collect()).await.unwrap();
    assert!(answers.iter().all(|answer| answer.head.second_word() == "200" && answer.complete));
    wait_for(&world, "weir_skipped_total;leg=shadow;reason=method", COUNT).await;
    wait_for(&world, "weir_skipped_total;leg=shadow;reason=in_flight", COUNT - 2).await;
    wait_for(&world, "weir_mirrored_total;leg=shadow", 2).await;
    assert_eq!(world.candidate.requests().len(), 2);
    assert_eq!(world.control.requests().len(), 2 * COUNT as usize);
}
