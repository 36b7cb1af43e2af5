//! Copies by callout, where no filter is on the copies' cluster: the same pairs as by mirror, within the stated limits.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use serde_json::{Value, json};
use weir_tests::http::request;
use weir_tests::server::{Step, chunked_reply, json_reply};
use weir_tests::sink::{count_of, exchanges};
use weir_tests::traffic::{Traffic, exchange_all};
use weir_tests::world::{Plan, World, policy};
use weir_wire::{LegKind, Variant};

const WITHIN: Duration = Duration::from_secs(20);

/// The clusters that serve clients have no filter of Weir's.
fn callout(fields: Value) -> Value {
    let mut document = policy("shadow", 0.0, json!({"noise": {"percent": 30, "cluster": "control"}}));
    document["candidate"]["shadowCluster"] = json!("candidate");
    document["shadow"] = json!({"percent": 100, "transport": "callout"});
    for (name, value) in fields.as_object().unwrap() {
        document[name] = value.clone();
    }
    document
}

async fn total(world: &World, name: &str) -> u64 {
    let stats = world.envoy.admin().stats(&format!("^wasmcustom.{name}")).await.unwrap();
    stats.values().map(|value| value.parse::<u64>().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_exchange_gives_both_legs_with_one_sample_id_and_the_right_bodies() {
    const COUNT: usize = 100;
    let world = World::start(Plan::new(callout(json!({})))).await.unwrap();
    world.candidate.reply_with(|asked| {
        let body = asked.body.clone();
        chunked_reply("text/event-stream", &[b"data: ", &body, b"\n\n"], Duration::from_millis(1))
    });
    let one = |number: usize| {
        let user = format!("user-{number}");
        request(
            "POST",
            &format!("/{number}"),
            &[("x-user-id", &user), ("content-type", "text/plain")],
            user.as_bytes(),
        )
    };
    let answers = exchange_all(world.address(), 4, (0..COUNT).map(one).collect()).await.unwrap();
    assert!(answers.iter().all(|answer| answer.head.second_word() == "200" && answer.complete));
    let all = |received: &[weir_tests::sink::Received]| {
        count_of(received, LegKind::Shadow) == COUNT && count_of(received, LegKind::Primary) == COUNT
    };
    assert!(world.sink.wait_until(WITHIN, all).await, "{}", world.sink.count());
    let exchanges = exchanges(&world.sink.received());
    assert_eq!(exchanges.len(), COUNT);
    let mut noise = 0;
    for legs in exchanges.values() {
        let (primary, shadow) = (&legs["primary"], &legs["shadow"]);
        let user = format!("user-{}", primary.path.trim_start_matches('/'));
        assert_eq!(shadow.response_body, format!("data: {user}\n\n").into_bytes());
        assert_eq!((shadow.variant, shadow.status, shadow.complete), (Variant::Candidate, 200, true));
        assert_eq!(
            (shadow.path.as_str(), shadow.request_id.as_str()),
            (primary.path.as_str(), primary.request_id.as_str())
        );
        assert!(shadow.latency_ms.unwrap() > 0.0 && shadow.ttfb_ms.is_none());
        if let Some(copy) = legs.get("noise") {
            assert_eq!((copy.variant, &copy.response_body), (Variant::Control, &primary.response_body));
            noise += 1;
        }
    }
    assert!((10..60).contains(&noise), "{noise} of {COUNT} at 30 %");
    let copies = world.candidate.requests();
    assert_eq!(copies.len(), COUNT);
    for copy in &copies {
        assert_eq!(copy.head.header("x-weir-leg"), Some("shadow"));
        assert_eq!(copy.head.header("host"), Some("weir.test"));
        assert_eq!(copy.head.header("content-type"), Some("text/plain"));
    }
    let served: Vec<_> = world
        .control
        .requests()
        .into_iter()
        .filter(|asked| asked.head.header("x-weir-leg").is_none())
        .collect();
    assert_eq!(served.len(), COUNT);
    assert_eq!(world.sink.errors(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_candidate_does_no_client_notices_and_every_copy_is_accounted_for() {
    for (why, steps, status) in [
        ("500", json_reply(500, "{}"), 500),
        ("reset", vec![Step::Reset], 503),
        ("garbage", vec![Step::Write(b"\0\x01nonsense\r\n\r\n".to_vec())], 502),
        ("silence", vec![Step::Hang], 504),
    ] {
        let fields = json!({"shadow": {"percent": 100, "transport": "callout", "timeoutMs": 300}, "noise": {"percent": 0}});
        let world = World::start(Plan::new(callout(fields))).await.unwrap();
        world.candidate.reply_with(move |_| steps.clone());
        let traffic = Traffic::start(world.address(), 2);
        tokio::time::sleep(Duration::from_millis(800)).await;
        let tally = traffic.stop().await;
        assert_eq!(tally.failures, Vec::<String>::new(), "{why}");
        let exchanges = world.control.requests().len();
        let deadline = tokio::time::Instant::now() + WITHIN;
        loop {
            let shadows = count_of(&world.sink.received(), LegKind::Shadow) as u64;
            let skipped = total(&world, "weir_skipped_total;leg=shadow").await;
            if shadows + skipped == exchanges as u64 && shadows > 0 {
                break;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "{why}: {shadows} shadows and {skipped} skipped of {exchanges}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for received in world.sink.received().iter().filter(|it| it.leg.leg == LegKind::Shadow) {
            assert!(
                received.leg.status == status || received.leg.status == 0,
                "{why}: {}",
                received.leg.status
            );
        }
    }
}
