//! What HTTP can do besides a question and an answer: the same bytes with and without the filter, on both sides.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use weir_tests::sink::count_of;
use weir_tests::world::{Copies, Filter, Plan, World, policy_with};
use weir_wire::LegKind;

const WITHIN: Duration = Duration::from_secs(5);
/// Nothing more comes after this.
const QUIET: Duration = Duration::from_millis(300);

weir_tests::by_mirror_and_by_callout!(
    every_turn_that_http_can_take_is_the_same_for_client_and_control_with_and_without_the_filter,
    grpc_passes_with_its_trailers_and_both_its_answers_are_captured
);

/// What one end of a connection does, in order.
#[derive(Clone, Copy)]
enum Do {
    Send(&'static str),
    /// Sends so many bytes of a body.
    Fill(usize),
    /// Reads until this has come.
    Wait(&'static str),
    Pause,
    Close,
    Reset,
}
use Do::{Close, Fill, Pause, Reset, Send, Wait};

/// Does it, and returns everything that was read; then reads what else comes.
async fn play(mut stream: TcpStream, script: &[Do]) -> Vec<u8> {
    let mut read = Vec::new();
    let _ = stream.set_nodelay(true);
    for step in script {
        match step {
            Send(text) => drop(stream.write_all(text.as_bytes()).await),
            Fill(bytes) => drop(stream.write_all(&vec![b'x'; *bytes]).await),
            Wait(wanted) => {
                let came = async {
                    while !contains(&read, wanted.as_bytes()) {
                        if !matches!(stream.read_buf(&mut read).await, Ok(1..)) {
                            break;
                        }
                    }
                };
                let _ = tokio::time::timeout(WITHIN, came).await;
            }
            Pause => tokio::time::sleep(Duration::from_millis(50)).await,
            Close => return read,
            Reset => {
                let _ = stream.set_zero_linger();
                return read;
            }
        }
    }
    while let Ok(Ok(1..)) = tokio::time::timeout(QUIET, stream.read_buf(&mut read)).await {}
    read
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// Without what differs between any two exchanges.
fn comparable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let differs = ["date: ", "x-envoy-upstream-service-time: ", "x-request-id: ", "Sec-WebSocket-Key: "];
    text.split_inclusive("\r\n").filter(|line| !differs.iter().any(|start| line.starts_with(start))).collect()
}

struct Case {
    name: &'static str,
    client: Vec<Do>,
    control: Vec<Do>,
}

fn cases() -> Vec<Case> {
    const POST: &str = "POST /case HTTP/1.1\r\nhost: weir.test\r\nx-user-id: one\r\n";
    let case = |name, client: &[Do], control: &[Do]| Case {
        name,
        client: [&[Send(POST)], client].concat(),
        control: [&[Wait("\r\n\r\n")], control].concat(),
    };
    vec![
        case(
            "100-continue",
            &[
                Send("expect: 100-continue\r\ncontent-length: 4\r\n\r\n"),
                Wait("100 Continue"),
                Send("body"),
                Wait("done"),
            ],
            &[Wait("body"), Send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone")],
        ),
        case(
            "early hints",
            &[Send("content-length: 0\r\n\r\n"), Wait("done")],
            &[
                Send("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"),
                Pause,
                Send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone"),
            ],
        ),
        case(
            "an answer before the question's end",
            &[Send("content-length: 200000\r\n\r\n"), Fill(1000), Send("mark"), Wait("no!"), Close],
            &[Wait("mark"), Send("HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nno!"), Pause],
        ),
        case(
            "an upgrade",
            &[
                Send(
                    "connection: upgrade\r\nupgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
                ),
                Wait("101 "),
                Send("\u{1}ping\u{0}"),
                Wait("pong"),
                Send("bye"),
                Wait("farewell"),
                Close,
            ],
            &[
                Send("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"),
                Wait("ping"),
                Send("\u{2}pong"),
                Wait("bye"),
                Send("farewell"),
            ],
        ),
        case(
            "an upgrade that is refused",
            &[Send("connection: upgrade\r\nupgrade: websocket\r\n\r\n"), Wait("nope")],
            &[Send("HTTP/1.1 403 Forbidden\r\ncontent-length: 4\r\n\r\nnope")],
        ),
        case(
            "trailers on both sides",
            &[
                Send("transfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n"),
                Wait("0\r\n"),
            ],
            &[
                Wait("0\r\n"),
                Send(
                    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-total\r\n\r\n3\r\nxyz\r\n0\r\nx-total: 2\r\n\r\n",
                ),
            ],
        ),
        case(
            "an answer shorter than its length",
            &[Send("content-length: 0\r\n\r\n"), Wait("12345")],
            &[Send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345"), Pause, Close],
        ),
        case(
            "an answer longer than its length",
            &[Send("content-length: 0\r\n\r\n"), Wait("12")],
            &[Send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n12345"), Pause],
        ),
        case(
            "an answer reset in its middle",
            &[Send("content-length: 0\r\n\r\n"), Wait("12345")],
            &[Send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345"), Pause, Reset],
        ),
        case(
            "a question shorter than its length",
            &[Send("content-length: 10\r\n\r\n1234"), Pause, Close],
            &[Wait("1234")],
        ),
        case("no answer but a reset", &[Send("content-length: 0\r\n\r\n"), Wait("\r\n\r\n")], &[Reset]),
        case(
            "an answer that is none",
            &[Send("content-length: 0\r\n\r\n"), Wait("\r\n\r\n")],
            &[Send("\0\u{1}garbage\r\n\r\n"), Pause],
        ),
        case(
            "a client that leaves",
            &[Send("content-length: 0\r\n\r\n"), Wait("part"), Reset],
            &[
                Send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n"),
                Pause,
                Send("4\r\nmore\r\n0\r\n\r\n"),
            ],
        ),
        case(
            "nothing in either body",
            &[Send("content-length: 0\r\n\r\n"), Wait("\r\n\r\n")],
            &[Send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")],
        ),
        case(
            "no content",
            &[Send("content-length: 0\r\n\r\n"), Wait("\r\n\r\n")],
            &[Send("HTTP/1.1 204 No Content\r\n\r\n")],
        ),
        case(
            "not modified",
            &[Send("content-length: 0\r\n\r\n"), Wait("\r\n\r\n")],
            &[Send("HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\ncontent-length: 99\r\n\r\n")],
        ),
        case(
            "an answer that the connection ends",
            &[Send("content-length: 0\r\n\r\n"), Wait("until the end")],
            &[Send("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nuntil the end"), Pause, Close],
        ),
        case(
            "a header of many bytes",
            &[Send("x-large: "), Fill(20_000), Send("\r\ncontent-length: 0\r\n\r\n"), Wait("done")],
            &[Send(
                "HTTP/1.1 200 OK\r\nx-a: 1\r\nx-a: 2\r\nset-cookie: a=b\r\nset-cookie: c=d\r\ncontent-length: 4\r\n\r\ndone",
            )],
        ),
    ]
}

async fn world(copies: Copies, filter: Filter) -> World {
    let fields = json!({"responseHeaders": {"variant": false, "revision": false}});
    let edit = |bootstrap: String| {
        bootstrap.replace(
            "codec_type: AUTO",
            "codec_type: AUTO\n          upgrade_configs: [{upgrade_type: websocket}]",
        )
    };
    let policy = policy_with(copies, "shadow", 0.0, fields);
    World::start(Plan { workers: 1, filter, edit, ..Plan::new(policy) }).await.unwrap()
}

/// What client and control read.
async fn played(world: &mut World, case: &Case) -> [String; 2] {
    world.control.stop().await;
    let listener = TcpListener::bind(world.control.address()).await.unwrap();
    let script = case.control.clone();
    let control = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        play(stream, &script).await
    });
    let client = play(TcpStream::connect(world.address()).await.unwrap(), &case.client).await;
    let control = tokio::time::timeout(WITHIN, control).await.unwrap().unwrap();
    [comparable(&client), comparable(&control)]
}

async fn total(world: &World, name: &str) -> u64 {
    let stats = world.envoy.admin().stats(&format!("^wasmcustom.{name}")).await.unwrap();
    stats.values().map(|value| value.parse::<u64>().unwrap()).sum()
}

async fn every_turn_that_http_can_take_is_the_same_for_client_and_control_with_and_without_the_filter(
    copies: Copies,
) {
    let (mut with, mut without) = (world(copies, Filter::Weir).await, world(copies, Filter::Absent).await);
    let mut captured = 0;
    for case in cases() {
        let (one, other) = tokio::join!(played(&mut with, &case), played(&mut without, &case));
        assert_eq!(one, other, "{}", case.name);
        assert!(!other[1].is_empty(), "{}: control saw the request", case.name);
        if case.name.contains("upgrade") {
            assert!(
                case.name.contains("refused") || (other[0].contains("farewell") && other[1].contains("bye")),
                "{other:?}"
            );
        } else {
            captured += 1;
        }
    }
    // Two questions never came whole: a mirror sends what there is of them, a call nothing. Nor has one a call whose header
    // is longer than the filter keeps.
    let (shadows, answers) = match copies {
        Copies::ByMirror => (captured, captured - 2),
        Copies::ByCallout => (captured - 3, captured - 3),
    };
    let all = |received: &[weir_tests::sink::Received]| {
        count_of(received, LegKind::Primary) >= captured && count_of(received, LegKind::Shadow) >= shadows
    };
    with.sink.wait_until(Duration::from_secs(10), all).await;
    let received = with.sink.received();
    assert_eq!(
        (count_of(&received, LegKind::Primary), count_of(&received, LegKind::Shadow)),
        (captured, shadows),
        "an upgrade is neither captured nor copied"
    );
    let answered = received.iter().filter(|it| it.leg.leg == LegKind::Shadow && it.leg.status == 200);
    assert_eq!(answered.count(), answers, "who asks whole gets an answer of the candidate");
    let too_large = total(&with, "weir_skipped_total;leg=shadow;reason=too_large").await;
    assert_eq!(too_large as usize, captured - shadows);
    assert_eq!(total(&with, "weir_pending_pairs").await, 0, "nothing is waited for");
    assert_eq!(with.sink.errors(), Vec::<String>::new());
    assert!(with.candidate.requests().iter().all(|copy| copy.head.header("upgrade").is_none()));
}

/// A gRPC-like answer: two messages and trailers, trailers only, or an answer that breaks off.
async fn serve_h2(stream: TcpStream) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((mut asked, mut respond))) = connection.accept().await {
        tokio::spawn(async move {
            let path = asked.uri().path().to_owned();
            let mut question = Vec::new();
            while let Some(Ok(data)) = asked.body_mut().data().await {
                let _ = asked.body_mut().flow_control().release_capacity(data.len());
                question.extend_from_slice(&data);
            }
            let trailers = asked.body_mut().trailers().await.ok().flatten();
            let marks: Vec<String> = asked
                .headers()
                .keys()
                .map(|name| name.as_str().to_owned())
                .filter(|name| name.starts_with("x-weir"))
                .collect();
            let told = format!("{path} {} {:?} {marks:?}", question.len(), trailers.map(|map| map.len()));
            let head = http::Response::builder().status(200).header("content-type", "application/grpc");
            if path.ends_with("TrailersOnly") {
                let head = head.header("grpc-status", "5").body(()).unwrap();
                let _ = respond.send_response(head, true);
                return;
            }
            let mut body = respond.send_response(head.body(()).unwrap(), false).unwrap();
            let _ = body.send_data(Bytes::from(told), false);
            tokio::time::sleep(Duration::from_millis(5)).await;
            if path.ends_with("Breaks") {
                body.send_reset(h2::Reason::INTERNAL_ERROR);
                return;
            }
            let _ = body.send_data(Bytes::from(vec![0xff; 20_000]), false);
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
            trailers.insert("x-sum", http::HeaderValue::from_static("\u{7e}"));
            let _ = body.send_trailers(trailers);
        });
    }
}

/// What a client reads of each method: headers, body, trailers or how it ended.
async fn ask_h2(world: &World) -> Vec<String> {
    let tcp = TcpStream::connect(world.address()).await.unwrap();
    let (client, connection) = h2::client::handshake(tcp).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    let mut all = Vec::new();
    for method in ["Unary", "Stream", "TrailersOnly", "Breaks", "Unary"] {
        let mut client = client.clone().ready().await.unwrap();
        let asked = http::Request::builder().method("POST").uri(format!("http://weir.test/service/{method}"));
        let asked = asked
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("x-user-id", "one");
        let (answer, mut body) = client.send_request(asked.body(()).unwrap(), false).unwrap();
        body.send_data(Bytes::from_static(b"\0\0\0\0\x03abc"), false).unwrap();
        if method == "Stream" {
            body.send_data(Bytes::from(vec![7; 10_000]), false).unwrap();
            let mut trailers = http::HeaderMap::new();
            trailers.insert("x-end", http::HeaderValue::from_static("1"));
            body.send_trailers(trailers).unwrap();
        } else {
            body.send_data(Bytes::new(), true).unwrap();
        }
        let (head, mut body) = tokio::time::timeout(WITHIN, answer).await.unwrap().unwrap().into_parts();
        let mut read = Vec::new();
        let mut end = String::new();
        while let Some(data) = body.data().await {
            match data {
                Ok(data) => {
                    let _ = body.flow_control().release_capacity(data.len());
                    read.extend_from_slice(&data);
                }
                Err(error) => {
                    end = error.to_string();
                    break;
                }
            }
        }
        let trailers = body.trailers().await.ok().flatten();
        let mut headers: Vec<_> = head
            .headers
            .iter()
            .filter(|(name, _)| !["date", "x-envoy-upstream-service-time"].contains(&name.as_str()))
            .collect();
        headers.sort_by_key(|(name, _)| name.as_str());
        let (shown, rest) = read.split_at(read.len().min(60));
        let mut hasher = DefaultHasher::new();
        rest.hash(&mut hasher);
        let body =
            format!("{} and {} bytes {:x}", String::from_utf8_lossy(shown), rest.len(), hasher.finish());
        all.push(format!("{method} {} {headers:?} {body} {trailers:?} {end}", head.status));
    }
    all
}

/// Control and candidate speak HTTP/2, the sink does not.
fn over_http2(bootstrap: String) -> String {
    let mut edited = String::new();
    for cluster in bootstrap.split_inclusive("\"http_protocol_options\":{}") {
        let named = cluster.rfind("\"name\":\"weir-collector\"").is_none();
        let (plain, http2) = ("\"http_protocol_options\":{}", "\"http2_protocol_options\":{}");
        edited.push_str(&if named { cluster.replace(plain, http2) } else { cluster.to_owned() });
    }
    assert_ne!(edited, bootstrap);
    edited
}

async fn grpc_passes_with_its_trailers_and_both_its_answers_are_captured(copies: Copies) {
    let mut told = Vec::new();
    for filter in [Filter::Weir, Filter::Absent] {
        let captures = matches!(filter, Filter::Weir);
        let fields = json!({"responseHeaders": {"variant": false, "revision": false}});
        let document = policy_with(copies, "shadow", 0.0, fields);
        let plan = Plan { workers: 1, filter, edit: over_http2, ..Plan::new(document) };
        let mut world = World::start(plan).await.unwrap();
        let mut serving = JoinSet::new();
        for server in [&mut world.control, &mut world.candidate] {
            server.stop().await;
            let listener = TcpListener::bind(server.address()).await.unwrap();
            serving.spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve_h2(stream));
                }
            });
        }
        told.push(ask_h2(&world).await);
        if captures {
            assert_grpc_legs(&world, copies).await;
        }
    }
    assert_eq!(told[0], told[1]);
    assert!(told[1][0].contains("grpc-status") && told[1][1].contains("Some(1) []"), "{:#?}", told[1]);
}

/// Five exchanges, of which one breaks off on both sides.
async fn assert_grpc_legs(world: &World, copies: Copies) {
    let all = |received: &[weir_tests::sink::Received]| received.len() == 10;
    assert!(world.sink.wait_until(Duration::from_secs(10), all).await, "{}", world.sink.count());
    for it in world.sink.received() {
        let (leg, called) = (&it.leg, it.leg.leg == LegKind::Shadow && copies == Copies::ByCallout);
        let breaks = leg.path.ends_with("Breaks");
        assert_eq!(leg.complete, !breaks, "{} {:?}", leg.path, leg.leg);
        if breaks && called {
            // An answer to a call comes whole or not at all.
            assert_eq!((leg.status, leg.response_body_bytes, leg.complete), (0, 0, false));
            continue;
        }
        assert_eq!(leg.response_content_type, "application/grpc", "{} {:?}", leg.path, leg.leg);
        let told = String::from_utf8_lossy(&leg.response_body);
        match (leg.path.as_str(), leg.leg) {
            ("/service/TrailersOnly", _) => assert_eq!(leg.response_body_bytes, 0),
            // The question's trailers go along with a mirror's copy, and not with a call.
            ("/service/Stream", LegKind::Shadow) if called => assert!(told.contains("10008 None"), "{told}"),
            ("/service/Stream", _) => assert!(told.contains("10008 Some(1)"), "{told}"),
            (_, LegKind::Shadow) => assert!(told.contains("x-weir-leg"), "{told}"),
            (_, _) => assert!(told.contains("8 None []"), "{told}"),
        }
    }
}
