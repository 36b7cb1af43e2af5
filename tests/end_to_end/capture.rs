//! Both answers of an exchange, captured and paired.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;
use weir_policy::Policy;
use weir_tests::client::Client;
use weir_tests::http::{Message, request};
use weir_tests::server::{Step, chunked_reply, json_reply};
use weir_tests::sink::{Received, count_of, exchanges};
use weir_tests::traffic::exchange_all;
use weir_tests::world::{Copies, Plan, World, policy_with};
use weir_wire::{Leg, LegKind, Variant};

const WITHIN: Duration = Duration::from_secs(15);

weir_tests::by_mirror_and_by_callout!(
    every_shadowed_exchange_gives_both_legs_with_one_sample_id_and_the_right_bodies,
    only_the_drawn_share_is_captured_and_says_with_which_chance,
    long_bodies_keep_head_tail_and_true_size,
    the_candidates_answer_is_captured_after_the_client_has_left,
    a_copy_says_that_it_is_one_and_the_served_request_does_not
);

fn json_answer(variant: &str, request: &Message) -> String {
    json!({"variant": variant, "path": request.head.second_word(), "asked": request.body.len()}).to_string()
}

fn sse_answer(variant: &str, request: &Message) -> Vec<String> {
    let event = |text: String| format!("data: {}\n\n", json!({"choices": [{"delta": {"content": text}}]}));
    let words = (0..12).map(|word| event(format!("{variant} {} wört {word}", request.head.second_word())));
    words.chain(["data: [DONE]\n\n".to_owned()]).collect()
}

/// JSON on `/json/...`; server-sent events on `/sse/...`, in socket writes that end inside events and characters.
fn answer(variant: &'static str) -> impl Fn(&Message) -> Vec<Step> {
    move |request| {
        if request.head.second_word().starts_with("/json") {
            return json_reply(200, &json_answer(variant, request));
        }
        let text = sse_answer(variant, request).concat().into_bytes();
        let chunks = text.chunks(37).collect::<Vec<_>>();
        chunked_reply("text/event-stream", &chunks, Duration::from_micros(200))
    }
}

/// What a leg's body must be.
fn expected_body(leg: &Leg) -> Vec<u8> {
    let variant = leg.variant.as_str();
    let number = leg.path.rsplit('/').next().unwrap();
    let mut request = Message::default();
    request.head.first_line = format!("POST {} HTTP/1.1", leg.path);
    request.body = vec![b'x'; number.parse::<usize>().unwrap() * 7];
    if leg.path.starts_with("/json") {
        json_answer(variant, &request).into_bytes()
    } else {
        sse_answer(variant, &request).concat().into_bytes()
    }
}

/// What copies are drawn by: the worker's epoch and its exchange number, of which the sample id is made.
fn exchange_key(sample_id: &str) -> [u8; 16] {
    let (epoch, number) = sample_id.split_once('-').unwrap();
    let bytes = [epoch, number].map(|hex| u64::from_str_radix(hex, 16).unwrap().to_le_bytes());
    bytes.concat().try_into().unwrap()
}

async fn world(plan: Plan) -> World {
    let world = World::start(plan).await.unwrap();
    world.control.reply_with(answer("control"));
    world.candidate.reply_with(answer("candidate"));
    world
}

fn requests(count: usize) -> Vec<Vec<u8>> {
    let one = |number: usize| {
        let kind = if number.is_multiple_of(2) { "json" } else { "sse" };
        let user = format!("user-{number}");
        let body = vec![b'x'; number * 7];
        request("POST", &format!("/{kind}/{number}"), &[("x-user-id", &user)], &body)
    };
    (0..count).map(one).collect()
}

async fn every_shadowed_exchange_gives_both_legs_with_one_sample_id_and_the_right_bodies(copies: Copies) {
    const COUNT: usize = 400;
    let document = policy_with(copies, "shadow", 0.0, json!({"noise": {"percent": 30}, "revision": 7}));
    let native = Policy::parse("policy", &document.to_string()).unwrap();
    let world = world(Plan { workers: 4, ..Plan::new(document) }).await;
    exchange_all(world.address(), 16, requests(COUNT)).await.unwrap();
    world
        .sink
        .wait_until(WITHIN, |received| {
            let noise = world.control.requests().len() - COUNT;
            count_of(received, LegKind::Primary) >= COUNT
                && count_of(received, LegKind::Shadow) >= COUNT
                && count_of(received, LegKind::Noise) >= noise
        })
        .await;
    let received = world.sink.received();
    assert_eq!(world.sink.errors(), Vec::<String>::new());
    let exchanges = exchanges(&received);
    assert_eq!(exchanges.len(), COUNT, "one sample id per exchange");
    assert_eq!(received.len(), exchanges.values().map(BTreeMap::len).sum::<usize>(), "no leg twice");
    let mut noise_copies = 0;
    for legs in exchanges.values() {
        let (primary, shadow) = (&legs["primary"], legs.get("shadow").expect("a shadow leg"));
        assert_eq!((primary.variant, shadow.variant), (Variant::Control, Variant::Candidate));
        assert_eq!((primary.snapshot.as_str(), shadow.snapshot.as_str()).0, native.control.snapshot.label());
        for leg in legs.values() {
            assert_leg(leg, primary, copies);
        }
        let user = format!("user-{}", primary.path.rsplit('/').next().unwrap());
        let assignment = native.assign(&[("x-user-id", user.as_str())]);
        assert_eq!(Some(primary.identity_hash.clone()), assignment.identity_hash_hex());
        let decision = native.capture_decision(&assignment, &exchange_key(&primary.sample_id));
        assert_eq!(legs.contains_key("noise"), decision.noise, "noise is drawn by the exchange");
        noise_copies += usize::from(decision.noise);
        assert_eq!(primary.candidate_share, Some(f64::from(assignment.share_ppm) / 1e6));
        assert_eq!(primary.copies, if decision.noise { "shadow,noise" } else { "shadow" });
        assert_eq!((shadow.candidate_share, shadow.copies.as_str()), (None, ""), "said once");
        assert_eq!(primary.request_body, vec![b'x'; primary.request_body_bytes.unwrap() as usize]);
        assert_eq!(shadow.request_body_bytes, None, "the request is kept once");
    }
    assert!((60..180).contains(&noise_copies), "{noise_copies} noise copies of {COUNT} at 30 %");
    let workers = received.iter().map(|received| received.worker.clone()).collect::<BTreeSet<_>>();
    assert!(workers.len() > 1, "16 connections reach more than one of 4 workers");
    assert_sequences_without_gaps(&received);
}

fn assert_leg(leg: &Leg, primary: &Leg, copies: Copies) {
    assert_eq!(
        String::from_utf8_lossy(&leg.response_body),
        String::from_utf8_lossy(&expected_body(leg)),
        "{:?} of {}",
        leg.leg,
        leg.path
    );
    assert_eq!((leg.status, leg.complete, leg.revision), (200, true, 7), "{:?} of {}", leg.leg, leg.path);
    assert_eq!(leg.response_body_bytes, leg.response_body.len() as u64);
    assert_eq!(
        (&leg.path, &leg.method, &leg.request_id),
        (&primary.path, &primary.method, &primary.request_id)
    );
    assert_eq!((leg.cohort.as_str(), leg.tier.as_str()), ("everyone", "general"));
    let streamed = leg.path.starts_with("/sse");
    let content_type = if streamed { "text/event-stream" } else { "application/json" };
    assert_eq!(leg.response_content_type, content_type);
    if copies == Copies::ByCallout && leg.leg != LegKind::Primary {
        // The answer to a call comes whole.
        assert!(leg.latency_ms.unwrap() > 0.0);
        assert_eq!((leg.ttfb_ms, leg.ttft_ms, leg.chunks), (None, None, 0));
        return;
    }
    let (latency, ttfb, ttft) = (leg.latency_ms.unwrap(), leg.ttfb_ms.unwrap(), leg.ttft_ms.unwrap());
    assert!(ttfb <= ttft && ttft <= latency, "{ttfb} <= {ttft} <= {latency}");
    assert!(!streamed || leg.chunks > 1, "a stream comes in chunks");
}

fn assert_sequences_without_gaps(received: &[Received]) {
    let mut sequences: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for received in received {
        sequences.entry(&received.worker).or_default().push(received.leg.sequence);
    }
    for (worker, mut sequence) in sequences {
        sequence.sort_unstable();
        let first = sequence[0];
        let expected = (first..first + sequence.len() as u64).collect::<Vec<_>>();
        assert_eq!(sequence, expected, "worker {worker}");
    }
}

async fn only_the_drawn_share_is_captured_and_says_with_which_chance(copies: Copies) {
    const COUNT: usize = 600;
    let document =
        policy_with(copies, "canary", 50.0, json!({"shadow": {"percent": 20}, "sampling": {"percent": 25}}));
    let native = Policy::parse("policy", &document.to_string()).unwrap();
    let world = world(Plan::new(document)).await;
    exchange_all(world.address(), 8, requests(COUNT)).await.unwrap();
    // Which ones were drawn depends on what the filter draws by, so it is time that ends the wait.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let received = world.sink.received();
    let exchanges = exchanges(&received);
    assert!((100..350).contains(&exchanges.len()), "{} exchanges of {COUNT}", exchanges.len());
    for legs in exchanges.values() {
        let primary = &legs["primary"];
        let user = format!("user-{}", primary.path.rsplit('/').next().unwrap());
        let assignment = native.assign(&[("x-user-id", user.as_str())]);
        let decision = native.capture_decision(&assignment, &exchange_key(&primary.sample_id));
        assert!(decision.capture_primary());
        assert_eq!(legs.contains_key("shadow"), decision.shadow);
        assert!((primary.inclusion_probability - decision.inclusion_probability_primary).abs() < 1e-12);
        if let Some(shadow) = legs.get("shadow") {
            assert_eq!(primary.variant, Variant::Control, "what the candidate answers is not shadowed");
            assert!((shadow.inclusion_probability - 0.2).abs() < 1e-12);
        }
    }
    let candidates = exchanges.values().filter(|legs| legs["primary"].variant == Variant::Candidate).count();
    assert!(candidates > 20, "the candidate's own answers are sampled too: {candidates}");
}

async fn long_bodies_keep_head_tail_and_true_size(copies: Copies) {
    let limits = json!({"limits": {"bodyBytesMax": 2048, "bodyTailBytesMax": 512}});
    let world = World::start(Plan::new(policy_with(copies, "shadow", 0.0, limits))).await.unwrap();
    let long = (0..100_000_u32).map(|index| b'a' + u8::try_from(index % 26).unwrap()).collect::<Vec<_>>();
    for server in [&world.control, &world.candidate] {
        let answer = long.clone();
        server.reply_with(move |_| {
            let chunks = answer.chunks(999).collect::<Vec<_>>();
            chunked_reply("text/plain", &chunks, Duration::ZERO)
        });
    }
    // A question that is not kept whole has no copy by callout.
    let question = if copies == Copies::ByMirror { long.as_slice() } else { b"short" };
    let sent = request("POST", "/", &[("x-user-id", "one")], question);
    let answers = exchange_all(world.address(), 1, vec![sent]).await.unwrap();
    assert_eq!(answers[0].body, long, "the client gets all of it");
    assert!(world.sink.wait_for_legs(WITHIN, 2).await);
    for Received { leg, .. } in world.sink.received() {
        assert_eq!(leg.response_body, long[..2048], "{:?}", leg.leg);
        assert_eq!(leg.response_body_tail, long[long.len() - 512..], "{:?}", leg.leg);
        assert_eq!(leg.response_body_bytes, 100_000);
        assert!(leg.response_truncated());
        if leg.leg == LegKind::Primary && copies == Copies::ByMirror {
            assert_eq!(leg.request_body, long[..2048]);
            assert_eq!(leg.request_body_tail, long[long.len() - 512..]);
            assert_eq!(leg.request_body_bytes, Some(100_000));
        }
    }
}

async fn the_candidates_answer_is_captured_after_the_client_has_left(copies: Copies) {
    let world = World::start(Plan::new(policy_with(copies, "shadow", 0.0, json!({})))).await.unwrap();
    world.candidate.reply_with(|_| {
        chunked_reply("text/event-stream", &[b"data: one\n\n", b"data: two\n\n"], Duration::from_millis(400))
    });
    let mut client = Client::connect(world.address()).await.unwrap();
    let sent = request("POST", "/", &[("x-user-id", "one")], b"{}");
    client.exchange(&sent).await.unwrap();
    drop(client);
    assert!(world.sink.wait_for_legs(WITHIN, 2).await);
    let exchanges = exchanges(&world.sink.received());
    let legs = exchanges.values().next().unwrap();
    assert_eq!(legs["shadow"].response_body, b"data: one\n\ndata: two\n\n");
    assert!(legs["shadow"].complete);
}

async fn a_copy_says_that_it_is_one_and_the_served_request_does_not(copies: Copies) {
    let document = policy_with(copies, "shadow", 0.0, json!({"noise": {"percent": 100}}));
    let world = World::start(Plan::new(document)).await.unwrap();
    let sent = request("POST", "/", &[("x-user-id", "one"), ("x-weir-leg", "primary")], b"{\"a\": 1}");
    exchange_all(world.address(), 1, vec![sent]).await.unwrap();
    assert!(world.sink.wait_for_legs(WITHIN, 3).await);
    let leg = |request: &Message| request.head.header("x-weir-leg").map(str::to_owned);
    let control = world.control.requests();
    let mut legs = control.iter().map(leg).collect::<Vec<_>>();
    legs.sort();
    assert_eq!(legs, [None, Some("noise".to_owned())]);
    assert_eq!(world.candidate.requests().iter().map(leg).collect::<Vec<_>>(), [Some("shadow".to_owned())]);
    for copy in control.iter().chain(&world.candidate.requests()) {
        assert_eq!(copy.body, b"{\"a\": 1}");
        assert_eq!(copy.head.header("host"), Some("weir.test"), "a copy goes to the same host");
        assert_eq!(copy.head.header("x-weir-shadow"), None);
        assert_eq!(copy.head.header("x-weir-noise"), None);
    }
}
