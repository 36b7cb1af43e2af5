//! What the filter counts, as Prometheus sees it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use weir_policy::{Policy, Variant};
use weir_tests::http::request;
use weir_tests::traffic::exchange_all;
use weir_tests::world::{Copies, Plan, World, policy_with};

const COUNT: usize = 300;
const WITHIN: Duration = Duration::from_secs(10);

weir_tests::by_mirror_and_by_callout!(
    counters_appear_with_their_labels_and_agree_with_what_happened,
    the_heartbeat_grows_without_traffic
);

/// `weir_*` lines of the page: name with labels in alphabetical order, and value.
async fn scraped(world: &World) -> BTreeMap<String, u64> {
    let page = world.envoy.admin().prometheus().await.unwrap();
    let line = |line: &str| {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = series.trim_end_matches('}').split_once('{')?;
        let mut labels = labels.split(',').filter(|label| !label.is_empty()).collect::<Vec<_>>();
        labels.sort_unstable();
        Some((format!("{name}{{{}}}", labels.join(",")), value.parse().ok()?))
    };
    page.lines().filter(|line| line.starts_with("weir_")).filter_map(line).collect()
}

async fn counters_appear_with_their_labels_and_agree_with_what_happened(copies: Copies) {
    let document = policy_with(
        copies,
        "canary",
        0.0,
        json!({
            "revision": 42,
            "cohorts": [
                {"name": "internal", "tier": "internal", "match": {"header": "x-tier", "exact": "internal"}, "candidatePercent": 50},
                {"name": "everyone", "tier": "general", "candidatePercent": 10},
            ],
        }),
    );
    let native = Policy::parse("policy", &document.to_string()).unwrap();
    let world = World::start(Plan::new(document)).await.unwrap();
    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    let mut requests = Vec::new();
    for index in 0..COUNT {
        let user = format!("user-{index}");
        let tier = if index % 3 == 0 { "internal" } else { "none" };
        let headers = [("x-user-id", user.as_str()), ("x-tier", tier)];
        requests.push(request("POST", "/", &headers, b"{}"));
        let assignment = native.assign(&headers);
        let variant = if assignment.variant == Variant::Candidate { "candidate" } else { "control" };
        let (cohort, tier) = (native.cohort_name(&assignment), native.tier(&assignment));
        let series =
            format!("weir_requests_total{{cohort=\"{cohort}\",tier=\"{tier}\",variant=\"{variant}\"}}");
        *expected.entry(series).or_default() += 1;
    }
    assert_eq!(expected.len(), 4, "both cohorts reach both variants");
    exchange_all(world.address(), 4, requests).await.unwrap();
    let primary = expected.values().sum::<u64>();
    let shadows: u64 =
        expected.iter().filter(|(name, _)| name.contains("\"control\"")).map(|(_, count)| count).sum();
    assert!(world.sink.wait_for_legs(WITHIN, usize::try_from(primary + shadows).unwrap()).await);
    expected.insert("weir_mirrored_total{leg=\"shadow\"}".to_owned(), shadows);
    expected.insert("weir_pairs_total{leg=\"shadow\"}".to_owned(), shadows);
    expected.insert("weir_samples_total{leg=\"shadow\",variant=\"candidate\"}".to_owned(), shadows);
    expected.insert("weir_samples_total{leg=\"primary\",variant=\"control\"}".to_owned(), shadows);
    expected
        .insert("weir_samples_total{leg=\"primary\",variant=\"candidate\"}".to_owned(), primary - shadows);
    expected.insert("weir_sent_total{variant=\"control\"}".to_owned(), shadows);
    expected.insert("weir_sent_total{variant=\"candidate\"}".to_owned(), primary);
    expected.insert("weir_config_revision{}".to_owned(), 42);
    expected.insert("weir_pending_pairs{}".to_owned(), 0);
    expected.insert("weir_outbox_bytes{}".to_owned(), 0);
    // Counters are handed over once per tick, so the last ones come a little later than the legs.
    let deadline = tokio::time::Instant::now() + WITHIN;
    loop {
        let found = scraped(&world).await;
        let wrong = expected.iter().filter(|(series, count)| found.get(*series) != Some(*count));
        let wrong = wrong.map(|(series, count)| (series, count, found.get(series))).collect::<Vec<_>>();
        if wrong.is_empty() {
            assert!(found["weir_heartbeat_total{}"] > 0);
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "series, expected, found: {wrong:#?}\n{found:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn the_heartbeat_grows_without_traffic(copies: Copies) {
    let world = World::start(Plan::new(policy_with(copies, "shadow", 0.0, json!({})))).await.unwrap();
    let beats = || async { scraped(&world).await.get("weir_heartbeat_total{}").copied().unwrap_or(0) };
    let first = beats().await;
    let deadline = tokio::time::Instant::now() + WITHIN;
    while beats().await <= first {
        assert!(tokio::time::Instant::now() < deadline, "the heartbeat stands still at {first}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
