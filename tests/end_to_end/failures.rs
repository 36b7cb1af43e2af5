//! Whatever breaks around the proxy, clients of control do not notice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use serde_json::{Value, json};
use weir_tests::http::chunked_head;
use weir_tests::server::{Step, json_reply};
use weir_tests::sink::{SinkMode, count_of};
use weir_tests::traffic::{Tally, Traffic};
use weir_tests::world::{Copies, Plan, World, policy_with};
use weir_wire::LegKind;

const FLOWING: Duration = Duration::from_millis(1500);
const WITHIN: Duration = Duration::from_secs(20);

weir_tests::by_mirror_and_by_callout!(
    a_collector_that_is_down_fails_no_request_and_gets_everything_when_it_is_back,
    a_collector_that_refuses_or_crawls_fails_no_request_and_every_lost_leg_is_counted,
    a_candidate_that_is_down_fails_no_request_that_control_answers,
    a_candidate_that_answers_500_or_breaks_off_fails_no_request_that_control_answers,
    a_candidate_that_hangs_fails_no_request_and_leaves_counted_half_pairs
);

/// Short waits, so that a failing sink is noticed and left behind within the test.
fn hasty(copies: Copies, fields: Value) -> Value {
    let mut limits = json!({"flushIntervalMs": 50, "sinkTimeoutMs": 300});
    for (name, value) in fields.as_object().unwrap() {
        limits[name] = value.clone();
    }
    policy_with(copies, "shadow", 0.0, json!({"limits": limits}))
}

fn assert_no_failure(tally: &Tally) {
    assert_eq!(tally.failures, Vec::<String>::new());
    assert!(tally.good > 100, "traffic has to flow for this to mean something: {}", tally.good);
}

/// The sum of a counter over all of its labels.
async fn total(world: &World, name: &str) -> u64 {
    let stats = world.envoy.admin().stats(&format!("^wasmcustom.{name}")).await.unwrap();
    stats.values().map(|value| value.parse::<u64>().unwrap()).sum()
}

async fn a_collector_that_is_down_fails_no_request_and_gets_everything_when_it_is_back(copies: Copies) {
    let mut world = World::start(Plan::new(hasty(copies, json!({"sampleAgeMsMax": 600_000})))).await.unwrap();
    world.sink.stop().await;
    let traffic = Traffic::start(world.address(), 2);
    tokio::time::sleep(FLOWING).await;
    assert_no_failure(&traffic.stop().await);
    assert_eq!(world.sink.count(), 0);
    assert!(total(&world, "weir_sink_failures_total").await > 0, "the failures are counted");
    world.sink.restart().await.unwrap();
    let exchanges = world.control.requests().len();
    assert!(
        world.sink.wait_for_legs(WITHIN, 2 * exchanges).await,
        "{} of {exchanges} pairs",
        world.sink.count()
    );
    assert_eq!(world.sink.count(), 2 * exchanges, "each leg once");
    assert_eq!(total(&world, "weir_drops_total").await, 0);
}

async fn a_collector_that_refuses_or_crawls_fails_no_request_and_every_lost_leg_is_counted(copies: Copies) {
    for mode in [
        SinkMode::Status(503),
        SinkMode::Status(429),
        SinkMode::Slow(Duration::from_secs(2)),
        SinkMode::Nonsense,
        SinkMode::Silent,
    ] {
        let limits = json!({"outboxBytesMax": 131_072, "bodyBytesMax": 1024, "bodyTailBytesMax": 0, "batchBytesMax": 65_536});
        let world = World::start(Plan::new(hasty(copies, limits))).await.unwrap();
        world.sink.set_mode(mode);
        let traffic = Traffic::start(world.address(), 4);
        tokio::time::sleep(FLOWING).await;
        assert_no_failure(&traffic.stop().await);
        let legs = 2 * world.control.requests().len() as u64;
        world.sink.set_mode(SinkMode::Accept);
        // What waits is delivered now. A slow sink kept what it acknowledged too late, so some legs come twice there.
        let deadline = tokio::time::Instant::now() + WITHIN;
        loop {
            let (sent, dropped) =
                (total(&world, "weir_sent_total").await, total(&world, "weir_drops_total").await);
            if sent + dropped == legs {
                assert!(dropped > 0, "{mode:?}: an outbox of 128 KiB overflows");
                assert!(sent > 0, "{mode:?}: what is left is delivered");
                assert!(world.sink.count() as u64 >= sent, "{mode:?}: sent means acknowledged");
                break;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "{mode:?}: {sent} sent and {dropped} dropped are not {legs} legs"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(total(&world, "weir_samples_total").await, legs, "{mode:?}");
        let guest = total(&world, "weir_guest_memory_bytes").await;
        assert!((1..8 << 20).contains(&guest), "{mode:?}: {guest} bytes in two workers");
    }
}

async fn a_candidate_that_is_down_fails_no_request_that_control_answers(copies: Copies) {
    let mut world = World::start(Plan::new(hasty(copies, json!({})))).await.unwrap();
    world.candidate.stop().await;
    let traffic = Traffic::start(world.address(), 4);
    tokio::time::sleep(FLOWING).await;
    assert_no_failure(&traffic.stop().await);
    let exchanges = world.control.requests().len();
    let came = world
        .sink
        .wait_until(WITHIN, |received| {
            count_of(received, LegKind::Primary) == exchanges
                && count_of(received, LegKind::Shadow) == exchanges
        })
        .await;
    assert!(came, "every exchange has its primary leg, and a shadow leg that says that no answer came");
    // Of a call that came to nothing, Envoy makes an answer itself.
    let of_copy = if copies == Copies::ByMirror { 0 } else { 503 };
    for received in world.sink.received() {
        let expected = if received.leg.leg == LegKind::Primary { 200 } else { of_copy };
        assert_eq!(received.leg.status, expected, "{:?}", received.leg);
    }
}

async fn a_candidate_that_answers_500_or_breaks_off_fails_no_request_that_control_answers(copies: Copies) {
    // What is seen of a copy by mirror; what Envoy answers to a call in its place.
    for (why, steps, by_mirror, by_callout) in [
        ("500", json_reply(500, "{\"error\": \"x\"}"), (500, true), (500, true)),
        ("reset at once", vec![Step::Reset], (0, false), (503, true)),
        ("garbage", vec![Step::Write(b"\0\x01nonsense\r\n\r\n".to_vec())], (0, false), (502, true)),
        (
            "reset in the middle",
            vec![
                Step::Write([chunked_head(200, "text/event-stream"), b"5\r\ndata:\r\n".to_vec()].concat()),
                Step::Pause(Duration::from_millis(20)),
                Step::Reset,
            ],
            (200, false),
            (0, false),
        ),
    ] {
        let expected = if copies == Copies::ByMirror { by_mirror } else { by_callout };
        let world = World::start(Plan::new(hasty(copies, json!({})))).await.unwrap();
        world.candidate.reply_with(move |_| steps.clone());
        let traffic = Traffic::start(world.address(), 4);
        tokio::time::sleep(FLOWING).await;
        assert_no_failure(&traffic.stop().await);
        let exchanges = world.control.requests().len();
        assert!(world.sink.wait_for_legs(WITHIN, 2 * exchanges).await, "{why}");
        for received in world.sink.received().iter().filter(|received| received.leg.leg == LegKind::Shadow) {
            let seen = (received.leg.status, received.leg.complete);
            // Envoy may also report that a call came to nothing, without an answer of its own.
            let nothing = copies == Copies::ByCallout && why != "500" && seen == (0, false);
            assert!(nothing || seen == expected, "{why}: {:?}", received.leg);
        }
    }
}

async fn a_candidate_that_hangs_fails_no_request_and_leaves_counted_half_pairs(copies: Copies) {
    let plan = Plan { route_timeout_s: 30, ..Plan::new(hasty(copies, json!({"sampleAgeMsMax": 1000}))) };
    let world = World::start(plan).await.unwrap();
    world.candidate.reply_with(|_| vec![Step::Hang]);
    let traffic = Traffic::start(world.address(), 4);
    tokio::time::sleep(FLOWING).await;
    assert_no_failure(&traffic.stop().await);
    let exchanges = world.control.requests().len();
    let primaries = |received: &[_]| count_of(received, LegKind::Primary) == exchanges;
    assert!(
        world.sink.wait_until(WITHIN, primaries).await,
        "the answers of control are captured all the same"
    );
    let deadline = tokio::time::Instant::now() + WITHIN;
    loop {
        // Envoy itself stops copying at its circuit breaker, and such a copy ends without an answer.
        let half = total(&world, "weir_half_pairs_total").await;
        let ended = count_of(&world.sink.received(), LegKind::Shadow) as u64;
        // A copy by callout that waits for too long is not sent.
        let skipped = total(&world, "weir_skipped_total;leg=shadow").await;
        if half > 0 && half + ended + skipped >= exchanges as u64 {
            break;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "{half} half pairs and {ended} shadows of {exchanges}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
