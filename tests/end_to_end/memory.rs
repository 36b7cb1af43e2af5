//! What a worker's VM takes while a thousand exchanges with large bodies are under way at once, and after very many.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;
use weir_tests::client::Client;
use weir_tests::http::{chunk, chunked_head, request, response};
use weir_tests::random::Random;
use weir_tests::server::Step;
use weir_tests::volume;
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
            // A thousand within a second are more than an upstream's queue of new connections takes where other processes
            // share the cores: Envoy answers 503 then. The pause of each is longer than all of them take to begin.
            tokio::time::sleep(Duration::from_millis(2 * number as u64)).await;
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

/// 20,000, or what `WEIR_HEAP_EXCHANGES` says: `make test-long` wants a million.
fn exchanges() -> usize {
    std::env::var("WEIR_HEAP_EXCHANGES")
        .map_or(20_000, |count| count.parse().expect("WEIR_HEAP_EXCHANGES is a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn four_workers_do_not_grow_however_many_exchanges_they_capture() {
    const ROUND: usize = 5_000;
    const GROWTH_BYTES_MAX: u64 = 4 << 20;
    let count = exchanges();
    let fields = json!({"noise": {"percent": 10}, "sampling": {"always": {"sessionHeader": "x-chat"}}});
    let upstream =
        volume::upstream(response(200, &[("content-type", "application/json")], &[b'y'; 900])).unwrap();
    let plan = Plan { workers: 4, upstream: Some(upstream), ..Plan::new(policy("shadow", 0.0, fields)) };
    let world = World::start(plan).await.unwrap();
    let one = |number: usize| {
        let (user, chat) = (format!("user-{}", number % 999), format!("chat-{number}"));
        let headers = [("x-user-id", user.as_str()), ("x-chat", &chat), ("content-type", "application/json")];
        request("POST", "/v1/chat/completions", &headers, &vec![b'x'; 100 + number % 2_000])
    };
    let (mut sizes, begun) = (Vec::new(), Instant::now());
    for first in (0..count).step_by(ROUND) {
        let (address, numbers) = (world.address(), first..(first + ROUND).min(count));
        let sent = tokio::task::spawn_blocking(move || volume::exchange(address, 16, numbers, one));
        sent.await.unwrap().unwrap();
        sizes.push(total(&world, "weir_guest_memory_bytes").await);
        if first > 0 && first.is_multiple_of(20 * ROUND) {
            eprintln!(
                "{first} of {count} exchanges after {:.0} s: {:?} bytes",
                begun.elapsed().as_secs_f64(),
                sizes.last()
            );
        }
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    sizes.push(total(&world, "weir_guest_memory_bytes").await);
    let (samples, dropped) =
        (total(&world, "weir_samples_total").await, total(&world, "weir_drops_total").await);
    // A worker's outbox holds a quarter of a second of this load: should the sink, which shares the processors with four workers
    // and the load, not run for longer, the oldest legs go. Nothing else loses any, and nothing is lost without being counted.
    let full = total(&world, "weir_drops_total;variant=.*;reason=outbox_full").await;
    assert_eq!(dropped, full, "an outbox that is full is the only reason to lose a leg");
    assert_eq!(samples, total(&world, "weir_sent_total").await + dropped);
    let (early, last) = (sizes[sizes.len() / 2], *sizes.last().unwrap());
    let (batches, bytes) = world.sink.traffic();
    eprintln!(
        "{count} exchanges in {:.0} s, {samples} legs, {dropped} dropped while the sink did not run, {bytes} bytes in {batches} batches; \
         {last} bytes in four workers, {early} at half time, {:?} at most",
        begun.elapsed().as_secs_f64(),
        sizes.iter().max()
    );
    assert!(samples as usize >= 2 * count, "{samples} legs");
    assert!(last <= early + GROWTH_BYTES_MAX, "{sizes:?}");
    assert!(last < 4 * GUEST_BYTES_MAX, "{last} bytes");
    assert_eq!(total(&world, "weir_pending_pairs").await, 0);
}
