//! The candidate's own request behind a real Envoy: served requests and copies are rewritten, control's never.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weir_tests::http::{Message, request};
use weir_tests::random::Random;
use weir_tests::server::Server;
use weir_tests::traffic::exchange_all;
use weir_tests::world::{Copies, Plan, World, policy_with};

const WITHIN: Duration = Duration::from_secs(20);
const BODY_BYTES_MAX: usize = 1_000_000;
const COUNT: usize = 60;

weir_tests::by_mirror_and_by_callout!(
    the_candidates_requests_and_copies_are_rewritten_and_controls_arrive_as_they_were_sent
);

fn plan(copies: Copies) -> Plan {
    Plan::new(policy_with(
        copies,
        "canary",
        0.0,
        json!({
            "candidate": {"request": {
                "path": "/v2/chat",
                "host": "m2.example",
                "headers": {"x-api-version": "2"},
                "body": {"model": "desk-2", "temperature": 0.25},
                "bodyBytesMax": BODY_BYTES_MAX,
            }},
            "cohorts": [
                {"name": "internal", "match": {"header": "x-tier", "exact": "internal"}, "candidatePercent": 100},
                {"name": "rest"},
            ],
            "noise": {"percent": 100},
            // All legs may be done between two ticks, and here none may be dropped.
            "limits": {"outboxBytesMax": 67_108_864},
        }),
    ))
}

/// Requests by the number in their `x-number`, once there are as many.
async fn arrived(server: &Server, count: usize) -> BTreeMap<usize, Vec<Message>> {
    let deadline = Instant::now() + WITHIN;
    while server.requests().len() < count {
        assert!(Instant::now() < deadline, "{} of {count} arrived", server.requests().len());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut arrived: BTreeMap<usize, Vec<Message>> = BTreeMap::new();
    for request in server.requests() {
        let number = request.head.header("x-number").unwrap().parse().unwrap();
        arrived.entry(number).or_default().push(request);
    }
    arrived
}

/// Objects of any size up to many chunks (of up to about 40 KiB where `small`), with and without the fields, with traps in
/// texts.
fn document(random: &mut Random, small: bool) -> Vec<u8> {
    let of = |most: usize| if small { most / 40 + 1 } else { most };
    let trap = "\\\"},{\"model\":[\u{e9}";
    let messages: Vec<Value> = (0..random.below(6))
        .map(|_| json!({"model": trap, "content": trap.repeat(1 + random.below(of(2500)))}))
        .collect();
    let mut document = json!({"messages": messages, "text": trap.repeat(random.below(of(8000)))});
    let fields = document.as_object_mut().unwrap();
    if random.below(3) > 0 {
        fields.insert("model".to_owned(), json!("desk-1".repeat(1 + random.below(of(3000)))));
    }
    if random.below(3) == 0 {
        fields.insert("temperature".to_owned(), json!({"nested": [1, 2]}));
    }
    if random.below(2) == 0 { serde_json::to_vec(&document) } else { serde_json::to_vec_pretty(&document) }
        .unwrap()
}

fn assert_rewritten(request: &Message, query: &str, original: &[u8]) {
    assert_eq!(request.head.second_word(), format!("/v2/chat{query}"));
    assert_eq!(request.head.header("host"), Some("m2.example"));
    assert_eq!(request.head.header("x-api-version"), Some("2"));
    let mut expected: Value = serde_json::from_slice(original).unwrap();
    let fields = expected.as_object_mut().unwrap();
    fields.insert("model".to_owned(), json!("desk-2"));
    fields.insert("temperature".to_owned(), json!(0.25));
    let found: Value = serde_json::from_slice(&request.body).unwrap();
    assert!(found == expected, "a document of {} bytes is not what it should be", original.len());
}

async fn the_candidates_requests_and_copies_are_rewritten_and_controls_arrive_as_they_were_sent(
    copies: Copies,
) {
    let world = World::start(plan(copies)).await.unwrap();
    let mut random = Random::new(7);
    // A question that is not kept whole has no copy by callout.
    let small = copies == Copies::ByCallout;
    let documents: Vec<Vec<u8>> = (0..COUNT).map(|_| document(&mut random, small)).collect();
    let largest = documents.iter().map(Vec::len).max().unwrap();
    assert!(if small { (5_000..65_536).contains(&largest) } else { largest > 100_000 }, "{largest} bytes");
    assert!(documents.iter().all(|document| document.len() <= BODY_BYTES_MAX));
    let requests = documents.iter().enumerate().map(|(number, document)| {
        let tier = if number % 2 == 0 { "internal" } else { "none" };
        let (user, number) = (format!("user-{number}"), number.to_string());
        let headers = [
            ("x-user-id", user.as_str()),
            ("x-tier", tier),
            ("x-number", &number),
            ("content-type", "application/json"),
        ];
        request("POST", &format!("/v1/chat?number={number}"), &headers, document)
    });
    let answers = exchange_all(world.address(), 4, requests.collect()).await.unwrap();
    assert!(answers.iter().all(|answer| answer.head.second_word() == "200"));
    // Half are served by the candidate; the others are answered by control, copied to the candidate, and asked again.
    let (candidate, control) = (arrived(&world.candidate, COUNT).await, arrived(&world.control, COUNT).await);
    assert!(world.sink.wait_for_legs(WITHIN, COUNT / 2 + 3 * COUNT / 2).await);
    for (number, document) in documents.iter().enumerate() {
        let query = format!("?number={number}");
        let [rewritten] = candidate[&number].as_slice() else { panic!("{number} came more than once") };
        assert_rewritten(rewritten, &query, document);
        let leg = if number % 2 == 0 { None } else { Some("shadow") };
        assert_eq!(rewritten.head.header("x-weir-leg"), leg);
        let of_control = control.get(&number).map_or(&[][..], Vec::as_slice);
        assert_eq!(of_control.len(), if number % 2 == 0 { 0 } else { 2 });
        for request in of_control {
            assert_eq!(request.head.second_word(), format!("/v1/chat{query}"));
            assert!(request.body == *document, "control got other bytes");
            assert_eq!(request.head.header("content-length"), Some(document.len().to_string().as_str()));
        }
    }
    let kept = world.sink.received().into_iter().map(|received| received.leg);
    for leg in kept.filter(|leg| leg.request_body_bytes.is_some()) {
        let number: usize = leg.path.rsplit('=').next().unwrap().parse().unwrap();
        assert_eq!(leg.request_body_bytes, Some(documents[number].len() as u64), "captured as it was sent");
        assert!(documents[number].starts_with(&leg.request_body));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_above_the_limit_or_without_length_stays_on_control_and_is_counted() {
    let world = World::start(plan(Copies::ByMirror)).await.unwrap();
    let json = ("content-type", "application/json");
    let head = [("x-user-id", "ada"), ("x-tier", "internal"), ("x-number", "1"), json];
    let large = format!("{{\"model\":\"{}\"}}", "x".repeat(BODY_BYTES_MAX));
    let chunked =
        b"POST / HTTP/1.1\r\nhost: x\r\nx-user-id: ada\r\nx-tier: internal\r\nx-number: 1\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    let requests = vec![
        request("POST", "/", &head, large.as_bytes()),
        chunked.to_vec(),
        request("POST", "/", &[&head[..3], &[("content-type", "text/plain")]].concat(), b"{}"),
        request("GET", "/", &head[..3], b""),
    ];
    let answers = exchange_all(world.address(), 1, requests).await.unwrap();
    let variants: Vec<_> =
        answers.iter().map(|answer| answer.head.header("x-weir-variant").unwrap()).collect();
    assert_eq!(variants, ["control", "control", "control", "candidate"]);
    assert_eq!(
        arrived(&world.control, 3).await[&1].iter().map(|request| request.body.len()).max(),
        Some(large.len())
    );
    let counted = |page: &str, reason: &str| {
        page.lines().any(|line| line == format!("weir_set_apart_total{{reason=\"{reason}\"}} 1"))
    };
    let deadline = Instant::now() + WITHIN;
    loop {
        let page = world.envoy.admin().prometheus().await.unwrap();
        let reasons = ["body_too_large", "body_length_unknown", "body_not_json"];
        if reasons.iter().all(|reason| counted(&page, reason)) {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "{}",
            page.lines().filter(|line| line.starts_with("weir_")).collect::<Vec<_>>().join("\n")
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
