//! What is captured without copies, decided at the end of an exchange, and the details that a policy asks for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use weir_tests::client::post;
use weir_tests::http::{chunked_head, request, response};
use weir_tests::server::{Step, json_reply};
use weir_tests::traffic::exchange_all;
use weir_tests::world::{Copies, Plan, World, policy_with};
use weir_wire::{Leg, LegKind};

const WITHIN: Duration = Duration::from_secs(15);
/// Longer than a batch waits.
const SETTLED: Duration = Duration::from_millis(600);

weir_tests::by_mirror_and_by_callout!(
    rules_keep_failures_slow_broken_and_refused_exchanges_and_nothing_else,
    a_cap_bounds_the_samples_of_a_second_and_their_probabilities_give_the_traffic_back,
    headers_flags_host_and_attempt_are_tags_of_both_legs
);

fn tags(leg: &Leg) -> BTreeMap<&str, &str> {
    leg.tags.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

async fn rules_keep_failures_slow_broken_and_refused_exchanges_and_nothing_else(copies: Copies) {
    let always =
        json!({"statuses": ["5xx"], "slowMs": 2000, "responseFlags": ["UC", "UF"], "truncated": true});
    let fields = json!({"shadow": {"percent": 0}, "sampling": {"percent": 0, "always": always}});
    let plan = Plan { workers: 1, ..Plan::new(policy_with(copies, "canary", 0.001, fields)) };
    let world = World::start(plan).await.unwrap();
    world.control.reply_with(|request| match request.head.second_word() {
        "/fails" => json_reply(502, "{}"),
        "/slow" => [vec![Step::Pause(Duration::from_millis(2_300))], json_reply(200, "{}")].concat(),
        "/resets" => vec![Step::Reset],
        "/breaks" => vec![
            Step::Write(chunked_head(200, "text/plain")),
            Step::Pause(Duration::from_millis(20)),
            Step::Reset,
        ],
        _ => json_reply(200, "{}"),
    });
    let paths = ["/good", "/fails", "/good", "/slow", "/resets", "/breaks", "/good"];
    for path in paths {
        // A broken answer is an error for the client, too.
        let _ = post(world.address(), path, &[("x-user-id", "one")], b"{}").await;
    }
    assert!(world.sink.wait_for_legs(WITHIN, 4).await, "{}", world.sink.count());
    tokio::time::sleep(SETTLED).await;
    let received = world.sink.received();
    let kept: Vec<_> = received.iter().map(|received| received.leg.path.as_str()).collect();
    assert_eq!(kept, ["/fails", "/slow", "/resets", "/breaks"]);
    assert!(received.iter().all(|received| received.leg.inclusion_probability == 1.0));
    let sequences: Vec<_> = received.iter().map(|received| received.leg.sequence).collect();
    assert_eq!(sequences, [0, 1, 2, 3], "what was forgotten leaves no hole");
}

async fn a_cap_bounds_the_samples_of_a_second_and_their_probabilities_give_the_traffic_back(copies: Copies) {
    const COUNT: usize = 2_000;
    let fields = json!({"shadow": {"percent": 0}, "sampling": {"percent": 100, "perSecondMax": 40}});
    let plan = Plan { workers: 1, ..Plan::new(policy_with(copies, "canary", 0.001, fields)) };
    let world = World::start(plan).await.unwrap();
    let start = std::time::Instant::now();
    let one = |number: usize| request("POST", &format!("/{number}"), &[("x-user-id", "one")], b"{}");
    exchange_all(world.address(), 4, (0..COUNT).map(one).collect()).await.unwrap();
    let took = start.elapsed().as_secs_f64();
    tokio::time::sleep(SETTLED).await;
    let received = world.sink.received();
    let most = 40.0 * (took + 3.0);
    assert!((received.len() as f64) < most, "{} samples in {took} s", received.len());
    assert!(received.len() >= 40, "a second's places are there from the start: {}", received.len());
    let chances: Vec<_> = received.iter().map(|received| received.leg.inclusion_probability).collect();
    assert!(chances.iter().all(|chance| *chance > 0.0 && *chance <= 1.0));
}

async fn headers_flags_host_and_attempt_are_tags_of_both_legs(copies: Copies) {
    let capture = json!({"requestHeaders": ["x-app"], "responseHeaders": ["x-model"], "upstream": true});
    let world = World::start(Plan::new(policy_with(copies, "shadow", 0.0, json!({"capture": capture}))))
        .await
        .unwrap();
    for (server, model) in [(&world.control, "one"), (&world.candidate, "two")] {
        server.reply_with(move |_| {
            vec![Step::Write(response(200, &[("x-model", model), ("x-other", "1")], b"{}"))]
        });
    }
    post(world.address(), "/", &[("x-user-id", "one"), ("x-app", "shop"), ("x-else", "2")], b"{}")
        .await
        .unwrap();
    assert!(world.sink.wait_for_legs(WITHIN, 2).await);
    let (control, candidate) = (world.control.address().to_string(), world.candidate.address().to_string());
    for received in world.sink.received() {
        let expected = match received.leg.leg {
            LegKind::Primary => vec![
                ("envoy.attempt", "1"),
                ("envoy.upstream_host", control.as_str()),
                ("request.header.x-app", "shop"),
                ("response.header.x-model", "one"),
            ],
            // The answer to a call comes without a stream that could be asked.
            _ if copies == Copies::ByCallout => vec![("response.header.x-model", "two")],
            _ => vec![
                ("envoy.attempt", "1"),
                ("envoy.upstream_host", candidate.as_str()),
                ("response.header.x-model", "two"),
            ],
        };
        assert_eq!(tags(&received.leg), expected.into_iter().collect(), "{:?}", received.leg.leg);
    }
    world.control.reply_with(|_| vec![Step::Reset]);
    post(world.address(), "/refused", &[("x-user-id", "one")], b"{}").await.unwrap();
    assert!(world.sink.wait_for_legs(WITHIN, 4).await);
    let received = world.sink.received();
    let refused =
        received.iter().find(|it| it.leg.path == "/refused" && it.leg.leg == LegKind::Primary).unwrap();
    assert_eq!(tags(&refused.leg)["envoy.response_flags"], "UC");
}
