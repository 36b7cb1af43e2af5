//! Many policies in a row, half of them invalid, while traffic flows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use weir_tests::traffic::Traffic;
use weir_tests::world::{Copies, Plan, World, policy_with, revised};

/// Answers from one push to the next, so that each of them meets traffic however fast the machine is.
const ANSWERS_PER_PUSH: u64 = 20;
const WITHIN: Duration = Duration::from_secs(20);
/// How much a worker's VM may grow over all pushes.
const GROWTH_BYTES_MAX: u64 = 2 << 20;

weir_tests::by_mirror_and_by_callout!(every_policy_is_taken_or_refused_and_no_request_or_sample_is_lost);

/// 100, or what `WEIR_PUSHES` says: `make test-long` wants 1,000.
fn pushes() -> u64 {
    std::env::var("WEIR_PUSHES").map_or(100, |count| count.parse().expect("WEIR_PUSHES is a number"))
}

async fn total(world: &World, name: &str) -> u64 {
    let stats = world.envoy.admin().stats(&format!("^wasmcustom.{name}")).await.unwrap();
    stats.values().map(|value| value.parse::<u64>().unwrap()).sum()
}

async fn vms(world: &World) -> u64 {
    let stats = world.envoy.admin().stats("^wasm\\..*\\.active$").await.unwrap();
    assert!(!stats.is_empty(), "Envoy counts its VMs");
    stats.values().map(|value| value.parse::<u64>().unwrap()).sum()
}

/// Something that is wrong with a policy, another thing each time.
fn mistake(number: u64) -> Value {
    match number % 4 {
        0 => json!({"mode": "sideways"}),
        1 => json!({"cohorts": [{"name": "everyone", "candidatePercent": 101}]}),
        2 => json!({"unknown": number}),
        _ => json!({"control": {"cluster": ""}}),
    }
}

async fn every_policy_is_taken_or_refused_and_no_request_or_sample_is_lost(copies: Copies) {
    let count = pushes();
    let limits = json!({"sampleAgeMsMax": 600_000});
    let document = policy_with(copies, "canary", 20.0, json!({"limits": limits}));
    let world = World::start(Plan::new(document.clone())).await.unwrap();
    let traffic = Traffic::start(world.address(), 4);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let rejected_before = world.envoy.admin().rejected().await.unwrap();
    let (vms_before, memory_before) = (vms(&world).await, total(&world, "weir_guest_memory_bytes").await);
    let mut taken = 1;
    for number in 0..count {
        let revision = number + 2;
        let deadline = tokio::time::Instant::now() + WITHIN;
        let answered = traffic.good();
        if number % 2 == 0 {
            world.push(&revised(&document, revision, mistake(number / 2))).unwrap();
            while world.envoy.admin().rejected().await.unwrap() < rejected_before + number / 2 + 1 {
                assert!(tokio::time::Instant::now() < deadline, "revision {revision} is not refused");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        } else {
            world.push(&revised(&document, revision, json!({}))).unwrap();
            while world.envoy.admin().version_text().await.unwrap() != Some(revision.to_string()) {
                assert!(tokio::time::Instant::now() < deadline, "revision {revision} is not taken");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            taken = revision;
        }
        while traffic.good() < answered + ANSWERS_PER_PUSH {
            assert!(tokio::time::Instant::now() < deadline, "no answers after revision {revision}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    assert_eq!(world.envoy.admin().rejected().await.unwrap(), rejected_before + count.div_ceil(2));
    let tally = traffic.stop().await;
    assert_eq!(tally.failures, Vec::<String>::new());
    assert!(tally.good >= ANSWERS_PER_PUSH * count, "traffic flowed from push to push: {}", tally.good);
    // Counters come with the ticks; in the end every sample is confirmed or counted as dropped.
    let deadline = tokio::time::Instant::now() + WITHIN;
    let (samples, dropped) = loop {
        let (samples, sent, dropped) = (
            total(&world, "weir_samples_total").await,
            total(&world, "weir_sent_total").await,
            total(&world, "weir_drops_total").await,
        );
        let waits = total(&world, "weir_outbox_bytes").await + total(&world, "weir_pending_pairs").await;
        if samples == sent + dropped && waits == 0 && samples >= tally.good {
            break (samples, dropped);
        }
        assert!(tokio::time::Instant::now() < deadline, "{sent} sent and {dropped} dropped of {samples}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(dropped, 0, "the sink was well");
    // Envoy's mirror goes on through a push. A call's answer is lost with the root that has called, and counted at once.
    let (mirrored, pairs, half, skipped) = (
        total(&world, "weir_mirrored_total").await,
        total(&world, "weir_pairs_total").await,
        total(&world, "weir_half_pairs_total").await,
        total(&world, "weir_skipped_total").await,
    );
    assert_eq!(mirrored, pairs + half + skipped, "every copy is accounted for");
    if copies == Copies::ByMirror {
        assert_eq!((half, skipped), (0, 0));
    } else {
        let lost = total(&world, "weir_half_pairs_total;leg=shadow;reason=push").await;
        assert_eq!((half, skipped), (lost, 0));
        assert!(lost < mirrored / 4, "most answers come between two pushes: {lost} of {mirrored} are lost");
    }
    let received = world.sink.received();
    let mut by_worker: BTreeMap<&str, BTreeMap<u64, (&str, &str)>> = BTreeMap::new();
    let mut doubled = 0;
    for it in &received {
        let identity = (it.leg.sample_id.as_str(), it.leg.leg.as_str());
        if let Some(earlier) = by_worker.entry(&it.worker).or_default().insert(it.leg.sequence, identity) {
            assert_eq!(earlier, identity, "a number means one leg");
            doubled += 1;
        }
    }
    let mut legs = 0;
    for (worker, sequences) in &by_worker {
        let last = *sequences.keys().last().unwrap();
        assert_eq!(sequences.len() as u64, last + 1, "worker {worker} has holes");
        legs += sequences.len() as u64;
    }
    assert_eq!(legs, samples, "every sample arrived");
    let resent = total(&world, "weir_resent_total").await;
    assert!(doubled <= resent, "{doubled} legs came twice, and {resent} were counted as sent again");
    assert_eq!(world.sink.errors(), Vec::<String>::new());
    let revisions = received.iter().map(|it| it.leg.revision).collect::<std::collections::BTreeSet<_>>();
    assert!(
        revisions.len() as u64 > count / 4
            && revisions.iter().all(|revision| *revision == 1 || revision % 2 == 1)
    );
    assert!(revisions.last() <= Some(&taken));
    let (vms_after, memory_after) = (vms(&world).await, total(&world, "weir_guest_memory_bytes").await);
    assert_eq!(vms_after, vms_before, "pushes keep their VMs");
    let growth = memory_after.saturating_sub(memory_before);
    eprintln!(
        "{count} pushes, {} requests, {samples} samples, {half} half pairs of {mirrored}, {doubled} twice, {resent} resent; {vms_after} VMs, {memory_after} bytes, {growth} more than before",
        tally.good
    );
    assert!(growth < GROWTH_BYTES_MAX, "{growth} bytes");
}
