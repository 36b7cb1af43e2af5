//! What a worker's VM takes while a thousand exchanges with large bodies are under way at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use weir_tests::client::Client;
use weir_tests::http::{chunk, chunked_head, request};
use weir_tests::random::Random;
use weir_tests::server::Step;
use weir_tests::world::{Plan, World, policy};

const CONCURRENT: usize = 1_000;
const BODY_BYTES: usize = 64 * 1024;
/// The target of the filter's memory per worker.
const GUEST_BYTES_MAX: u64 = 16 << 20;

async fn total(world: &World, name: &str) -> u64 {
    let stats = world.envoy.admin().stats(&format!("^wasmcustom.{name}")).await.unwrap();
    stats.values().map(|value| value.parse::<u64>().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_exchanges_at_once_with_bodies_of_64_kib_stay_below_16_mib_of_guest_memory() {
    // Everything is copied, and the limits are the defaults, but for one that makes the samples wait.
    let fields = json!({"limits": null});
    let world = World::start(Plan { workers: 1, ..Plan::new(policy("shadow", 0.0, fields)) }).await.unwrap();
    let body = Arc::new(Random::new(1).bytes(BODY_BYTES));
    // Half an answer at once, the rest when everybody has got the first half: all of them are under way together.
    let begun = Arc::new(AtomicUsize::new(0));
    for server in [&world.control, &world.candidate] {
        let body = Arc::clone(&body);
        server.reply_with(move |_| {
            let (first, second) = body.split_at(BODY_BYTES / 2);
            let first = [chunked_head(200, "application/octet-stream"), chunk(first)].concat();
            let second = [chunk(second), chunk(b"")].concat();
            vec![Step::Write(first), Step::Pause(Duration::from_secs(4)), Step::Write(second)]
        });
    }
    let mut tasks = JoinSet::new();
    for number in 0..CONCURRENT {
        let (address, body, begun) = (world.address(), Arc::clone(&body), Arc::clone(&begun));
        tasks.spawn(async move {
            let user = format!("user-{number}");
            let mut client = Client::connect(address).await?;
            begun.fetch_add(1, Ordering::Relaxed);
            client.exchange(&request("POST", "/large", &[("x-user-id", &user)], &body)).await
        });
    }
    let mut good = 0;
    while let Some(answer) = tasks.join_next().await {
        let answer = answer.unwrap().unwrap();
        assert_eq!((answer.head.second_word(), answer.complete), ("200", true));
        assert!(answer.body == *body);
        good += 1;
    }
    assert_eq!((good, begun.load(Ordering::Relaxed)), (CONCURRENT, CONCURRENT));
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let (guest, captured) =
        (total(&world, "weir_guest_memory_bytes").await, total(&world, "weir_samples_total").await);
    let skipped = total(&world, "weir_skipped_total;leg=primary;reason=memory").await;
    let cut = total(&world, "weir_crowded_total").await;
    eprintln!(
        "guest memory {guest} bytes; {captured} legs captured, {cut} of them cut, {skipped} exchanges skipped"
    );
    assert!(guest > 1 << 20 && guest < GUEST_BYTES_MAX, "{guest} bytes");
    assert!(captured > 100, "{captured} legs");
    assert_eq!(total(&world, "weir_capture_bytes").await, 0, "everything was given back");
}
