//! The client and control see the same bytes with and without the filter.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use weir_tests::http::{Message, chunk, chunked_head, request, response};
use weir_tests::random::Random;
use weir_tests::server::Step;
use weir_tests::traffic::exchange_all;
use weir_tests::world::{Copies, Filter, Plan, World, policy_with};

weir_tests::by_mirror_and_by_callout!(
    generated_exchanges_are_the_same_for_client_and_control_with_and_without_the_filter,
    the_filter_adds_its_two_response_headers_and_nothing_else,
    an_event_stream_split_at_every_byte_arrives_whole,
    bodies_of_many_megabytes_pass_whole_in_both_directions
);

/// Exchanges of one round, after which what was recorded is forgotten.
const ROUND: u64 = 600;

/// 600, or what `WEIR_EXCHANGES` says: `make test-long` wants 10,000.
fn exchanges() -> u64 {
    std::env::var("WEIR_EXCHANGES").map_or(600, |count| count.parse().expect("WEIR_EXCHANGES is a number"))
}

const CONTENT_TYPES: [&str; 5] =
    ["application/json", "text/event-stream", "text/plain; charset=utf-8", "application/octet-stream", ""];

/// Everything is captured and copied twice, and the client is told nothing.
fn everything_captured(copies: Copies, response_headers: Value) -> Value {
    policy_with(copies, "shadow", 0.0, json!({"noise": {"percent": 50}, "responseHeaders": response_headers}))
}

/// The reply that a path `/generated/SEED` stands for: hostile bodies in hostile pieces.
fn generated_reply(request: &Message) -> Vec<Step> {
    let seed = request.head.second_word().rsplit('/').next().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    let mut random = Random::new(seed);
    let status = *random.pick(&[200, 200, 200, 201, 400, 404, 429, 500, 503]).unwrap();
    let content_type = *random.pick(&CONTENT_TYPES).unwrap();
    let body = body(&mut random);
    if request.head.first_line.starts_with("HEAD ") {
        return vec![Step::Write(response(status, &[("content-type", content_type)], b""))];
    }
    if random.below(2) == 0 {
        let value = random_header_value(&mut random);
        return split(
            &mut random,
            response(status, &[("content-type", content_type), ("x-answer", &value)], &body),
        );
    }
    let mut steps = vec![Step::Write(chunked_head(status, content_type))];
    let mut rest = body.as_slice();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(1 + random.below(rest.len().min(5000)));
        steps.extend(split(&mut random, chunk(piece)));
        rest = after;
    }
    steps.push(Step::Write(chunk(b"")));
    steps
}

/// The same bytes in up to four socket writes.
fn split(random: &mut Random, bytes: Vec<u8>) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = bytes.as_slice();
    for _ in 0..random.below(4) {
        let (piece, after) = rest.split_at(random.below(rest.len()));
        steps.push(Step::Write(piece.to_vec()));
        steps.push(Step::Pause(Duration::from_micros(300)));
        rest = after;
    }
    steps.push(Step::Write(rest.to_vec()));
    steps
}

fn body(random: &mut Random) -> Vec<u8> {
    match random.below(8) {
        0 => Vec::new(),
        1 => {
            let length = random.below(300_000);
            random.bytes(length)
        }
        2 => "data: {\"text\": \"grüße 😀\"}\n\n".repeat(1 + random.below(50)).into_bytes(),
        3 => b"data: \xff\xfe\xc3\x28 broken \xe2\x82\n\ndata: [DONE]\n\n".to_vec(),
        4 => format!("{{\"answer\": \"{}\"}}", "ü".repeat(random.below(2000))).into_bytes(),
        5 => b"\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nx-weir-variant: candidate\r\n\r\n".to_vec(),
        6 => vec![0; random.below(100)],
        _ => {
            let length = random.below(2000);
            random.bytes(length)
        }
    }
}

fn random_header_value(random: &mut Random) -> String {
    (0..random.below(60)).map(|_| char::from(b'!' + u8::try_from(random.below(90)).unwrap())).collect()
}

fn generated_request(seed: u64) -> Vec<u8> {
    let mut random = Random::new(!seed);
    let (user, value) = (format!("user-{seed}"), random_header_value(&mut random));
    let headers = [
        ("x-user-id", user.as_str()),
        ("x-asked", &value),
        ("X-Mixed-Case", "Kept"),
        ("x-twice", "1"),
        ("x-twice", "2"),
    ];
    let path = format!("/generated/{seed}");
    let body = body(&mut random);
    match random.below(6) {
        0 => {
            let mut bytes =
                format!("POST {path} HTTP/1.1\r\nhost: weir.test\r\ntransfer-encoding: chunked\r\n\r\n")
                    .into_bytes();
            for piece in body.chunks(1 + random.below(3000)) {
                bytes.extend(chunk(piece));
            }
            bytes.extend(chunk(b""));
            bytes
        }
        1 => request("HEAD", &path, &headers, b""),
        2 => format!("GET {path} HTTP/1.1\r\nhost: weir.test\r\nx-user-id: {user}\r\n\r\n").into_bytes(),
        _ => request("POST", &path, &headers, &body),
    }
}

/// A response without what differs between any two responses.
fn seen_by_client(answer: &Message) -> Message {
    let mut seen = answer.clone();
    seen.head.headers = answer.head.headers_without(&["date", "x-envoy-upstream-service-time"]);
    seen
}

/// Requests by path, without copies and without what differs between any two requests.
fn seen_by_control(world: &World) -> BTreeMap<String, Vec<Message>> {
    let mut seen: BTreeMap<String, Vec<Message>> = BTreeMap::new();
    for mut request in world.control.requests() {
        if request.head.header("x-weir-leg") == Some("noise") {
            continue;
        }
        request.head.headers = request.head.headers_without(&["x-request-id"]);
        seen.entry(request.head.second_word().to_owned()).or_default().push(request);
    }
    seen
}

async fn world(plan: Plan) -> World {
    let world = World::start(plan).await.unwrap();
    world.control.reply_with(generated_reply);
    world.candidate.reply_with(|request| {
        // Another answer than control's: what a client sees of it would be seen.
        let mut other = request.clone();
        other.head.first_line = "POST /generated/99999999 HTTP/1.1".to_owned();
        generated_reply(&other)
    });
    world
}

async fn generated_exchanges_are_the_same_for_client_and_control_with_and_without_the_filter(copies: Copies) {
    let silent = everything_captured(copies, json!({"variant": false, "revision": false}));
    let with = world(Plan { workers: 4, ..Plan::new(silent.clone()) }).await;
    let without = world(Plan { filter: Filter::Absent, ..Plan::new(silent) }).await;
    for first in (0..exchanges()).step_by(usize::try_from(ROUND).unwrap()) {
        let seeds = first..(first + ROUND).min(exchanges());
        let requests = seeds.clone().map(generated_request).collect::<Vec<_>>();
        let (one, other) = tokio::join!(
            exchange_all(with.address(), 8, requests.clone()),
            exchange_all(without.address(), 8, requests)
        );
        for (seed, (with, without)) in seeds.clone().zip(one.unwrap().iter().zip(&other.unwrap())) {
            assert_eq!(seen_by_client(with), seen_by_client(without), "seed {seed}");
        }
        let (with_requests, without_requests) = (seen_by_control(&with), seen_by_control(&without));
        assert_eq!(with_requests.len() as u64, seeds.end - seeds.start);
        for (path, requests) in &without_requests {
            assert_eq!(with_requests.get(path), Some(requests), "{path}");
        }
        let legs = usize::try_from(seeds.end - seeds.start).unwrap();
        assert!(
            with.sink.wait_for_legs(Duration::from_secs(15), legs).await,
            "everything was captured meanwhile"
        );
        with.sink.clear();
        for server in [&with.control, &with.candidate, &without.control] {
            server.forget();
        }
    }
    assert_eq!(with.sink.errors(), Vec::<String>::new());
}

async fn the_filter_adds_its_two_response_headers_and_nothing_else(copies: Copies) {
    let told = everything_captured(copies, json!({"variant": true, "revision": true}));
    let with = world(Plan::new(told.clone())).await;
    let without = world(Plan { filter: Filter::Absent, ..Plan::new(told) }).await;
    let requests = (0..40).map(generated_request).collect::<Vec<_>>();
    let one = exchange_all(with.address(), 2, requests.clone()).await.unwrap();
    let other = exchange_all(without.address(), 2, requests).await.unwrap();
    for (seed, (with, without)) in one.iter().zip(&other).enumerate() {
        assert_eq!(with.head.header("x-weir-variant"), Some("control"), "seed {seed}");
        assert_eq!(with.head.header("x-weir-revision"), Some("1"), "seed {seed}");
        let mut with = seen_by_client(with);
        with.head.headers = with.head.headers_without(&["x-weir-variant", "x-weir-revision"]);
        assert_eq!(with, seen_by_client(without), "seed {seed}");
    }
}

async fn an_event_stream_split_at_every_byte_arrives_whole(copies: Copies) {
    let world = World::start(Plan::new(everything_captured(copies, json!({})))).await.unwrap();
    let stream = "data: {\"t\": \"ü😀\"}\n\ndata: [DONE]\n\n".as_bytes();
    world.control.reply_with(move |request| {
        let at: usize = request.head.second_word().trim_start_matches('/').parse().unwrap_or(0);
        let (one, other) = stream.split_at(at.min(stream.len()));
        weir_tests::server::chunked_reply("text/event-stream", &[one, other], Duration::from_millis(1))
    });
    let requests = (0..=stream.len()).map(|at| request("POST", &format!("/{at}"), &[], b"{}")).collect();
    for (at, answer) in exchange_all(world.address(), 4, requests).await.unwrap().iter().enumerate() {
        assert_eq!(String::from_utf8_lossy(&answer.body), String::from_utf8_lossy(stream), "split at {at}");
        assert!(answer.complete);
    }
    let legs = 2 * (stream.len() + 1);
    assert!(world.sink.wait_for_legs(Duration::from_secs(15), legs).await);
    for received in world.sink.received() {
        if received.leg.leg == weir_wire::LegKind::Primary {
            assert_eq!(received.leg.response_body, stream, "captured as it was: {}", received.leg.path);
        }
    }
}

async fn bodies_of_many_megabytes_pass_whole_in_both_directions(copies: Copies) {
    const BYTES: usize = 64 << 20;
    let world = World::start(Plan::new(everything_captured(copies, json!({})))).await.unwrap();
    let body = Random::new(3).bytes(BYTES);
    for server in [&world.control, &world.candidate] {
        let answer = response(200, &[("content-type", "application/octet-stream")], &body);
        server.reply_with(move |_| vec![Step::Write(answer.clone())]);
    }
    let sent = request("POST", "/large", &[("x-user-id", "one")], &body);
    let answers = exchange_all(world.address(), 1, vec![sent]).await.unwrap();
    assert!(answers[0].body == body, "the answer is what control sent");
    let asked = world.control.requests();
    let primary = asked.iter().find(|request| request.head.header("x-weir-leg").is_none()).unwrap();
    assert!(primary.body == body, "control got what the client sent");
}
