//! The collector over real HTTP: what is acknowledged, what is refused and how, what reaches the disk.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use common::*;
use weir_collector::{Collector, CollectorError};
use weir_sample::ResponseFormat;
use weir_wire::{LegKind, Resource, Variant, encode_batch, encode_response, encode_score};

#[tokio::test]
async fn acknowledged_legs_and_scores_are_rows_after_an_orderly_stop() {
    let data = tempfile::tempdir().unwrap();
    let collector = start(data.path()).await;
    let legs: Vec<_> = (0..20).map(|n| leg(&format!("s-{n:02}"), n, "Hi")).collect();
    let response = post(collector.address(), batch("w", &legs)).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.bytes().await.unwrap(), encode_response(None));
    let score = weir_wire::Score {
        sample_id: "s-00".into(),
        leg: LegKind::Primary,
        variant: Variant::Control,
        experiment: "e-1".into(),
        criterion: "quality".into(),
        score: 0.1 + 0.2,
        judge: "j".into(),
        time_unix_nano: START_NANO,
    };
    let resource = Resource { proxy: String::new(), worker: String::new() };
    let bytes = encode_batch(&resource, &[encode_score(&score)]);
    assert_eq!(post(collector.address(), bytes).await.unwrap().status(), 200);
    collector.stop().await.unwrap();

    let mut rows = samples(data.path());
    rows.sort_by_key(|row| row.sequence);
    assert_eq!(rows.len(), 20);
    let row = &rows[7];
    assert_eq!((row.sample_id.as_str(), row.experiment.as_str()), ("s-07", "e-1"));
    assert_eq!(
        (row.response_text.as_deref(), row.response_format),
        (Some("Hi"), Some(ResponseFormat::OpenaiChat))
    );
    assert_eq!((row.proxy.as_deref(), row.worker.as_deref()), (Some("proxy-1"), Some("w")));
    assert_eq!(row.ts_us as u64, START_NANO / 1_000 + 7);
    let scores = scores(data.path());
    assert_eq!((scores.len(), scores[0].score, scores[0].judge.as_deref()), (1, 0.1 + 0.2, Some("j")));
    assert!(names(&data.path().join("wal"), "wal").is_empty(), "finished segments are deleted");
}

#[tokio::test]
async fn a_bad_record_is_refused_alone_with_its_reason() {
    let data = tempfile::tempdir().unwrap();
    let collector = start(data.path()).await;
    let mut bad = leg("bad", 1, "x");
    bad.experiment = "../../etc".into();
    let response = post(collector.address(), batch("w", &[leg("good", 0, "x"), bad])).await.unwrap();
    assert_eq!(response.status(), 200);
    let reason = "record 1: attribute weir.experiment: \"../../etc\" is not allowed; allowed: 1 to 63 of a-z, 0-9 and -";
    assert_eq!(response.bytes().await.unwrap(), encode_response(Some((1, reason))));
    assert!(collector.metrics().contains("weir_collector_rejected_total{reason=\"bad_record\"} 1"));
    collector.stop().await.unwrap();
    assert_eq!(samples(data.path()).len(), 1);
}

#[tokio::test]
async fn refused_requests_say_what_is_wrong() {
    let data = tempfile::tempdir().unwrap();
    let mut options = options(data.path());
    options.limits.body_bytes_max = 10_000;
    options.limits.body_timeout = Duration::from_millis(200);
    let collector = Collector::start(options).await.unwrap();
    let url = format!("http://{}/v1/logs", collector.address());
    let client = reqwest::Client::new();
    let send = async |kind: &str, encoding: &str, body: Vec<u8>| {
        let request =
            client.post(&url).header("content-type", kind).header("content-encoding", encoding).body(body);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned())
    };
    let cases = [
        (
            send("text/plain", "identity", b"{}".to_vec()).await,
            415,
            "content-type \"text/plain\" is not supported; allowed: application/x-protobuf, application/json",
        ),
        (send(PROTOBUF, "br", vec![1]).await, 415, "content-encoding \"br\" is not supported"),
        (send(PROTOBUF, "identity", b"\xff\xff\xff".to_vec()).await, 400, "not an OTLP request"),
        (send(PROTOBUF, "identity", vec![0; 10_001]).await, 413, "the body is larger than 10000 bytes"),
        (
            send(PROTOBUF, "gzip", b"plain text, which is no gzip".to_vec()).await,
            400,
            "the body is not gzip, which its content-encoding says",
        ),
        (
            send(PROTOBUF, "zstd", zstd::encode_all(&[7; 90][..], 3).unwrap()[..9].to_vec()).await,
            400,
            "the body ends before its zstd does",
        ),
        (
            send("application/json", "", b"[1]".to_vec()).await,
            400,
            "not OTLP as JSON: a list is not an object",
        ),
    ];
    for ((status, body), expected, text) in cases {
        assert_eq!(status, expected, "{body}");
        assert!(body.contains(text) && body.contains("hint: "), "{body}");
    }
    let unsized_body = futures_body(vec![vec![0u8; 6_000], vec![0u8; 6_000]]);
    let response =
        client.post(&url).header("content-type", PROTOBUF).body(unsized_body).send().await.unwrap();
    assert_eq!(response.status(), 413);
    let metrics = collector.metrics();
    for line in ["media_type\"} 2", "malformed\"} 4", "too_large\"} 2"] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    collector.stop().await.unwrap();
    assert!(samples(data.path()).is_empty());
}

#[tokio::test]
async fn another_path_and_another_method_are_answered_with_what_is_here() {
    let data = tempfile::tempdir().unwrap();
    let collector = start(data.path()).await;
    let client = reqwest::Client::new();
    for (method, path, expected, allow, text) in [
        ("GET", "/v1/logs", 405, "POST", "method GET is not allowed at /v1/logs; allowed: POST\n  hint: "),
        (
            "POST",
            "/metrics",
            405,
            "GET,HEAD",
            "method POST is not allowed at /metrics; allowed: GET\n  hint: ",
        ),
        ("POST", "/", 404, "", "path \"/\" is not here; allowed: POST /v1/logs and /v1/traces, GET /healthz"),
        ("POST", "/v1/logs/v1/logs", 404, "", "an exporter's endpoint is this address alone"),
        ("POST", "/v1/metrics", 404, "", "metrics are not collected here"),
        (
            "POST",
            "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            404,
            "",
            "gRPC is not spoken here",
        ),
    ] {
        let url = format!("http://{}{path}", collector.address());
        let answer = client.request(method.parse().unwrap(), url).send().await.unwrap();
        let found = answer.headers().get("allow").map_or("", |value| value.to_str().unwrap()).to_owned();
        assert_eq!((answer.status().as_u16(), found.as_str()), (expected, allow), "{path}");
        let body = answer.text().await.unwrap();
        assert!(body.contains(text) && body.contains("\n  hint: "), "{body}");
    }
    collector.stop().await.unwrap();
}

/// A body of unknown length.
fn futures_body(chunks: Vec<Vec<u8>>) -> reqwest::Body {
    reqwest::Body::wrap_stream(futures_util::stream::iter(chunks.into_iter().map(Ok::<_, std::io::Error>)))
}

#[tokio::test]
async fn a_slow_body_is_cut_off() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let data = tempfile::tempdir().unwrap();
    let mut options = options(data.path());
    options.limits.body_timeout = Duration::from_millis(100);
    let collector = Collector::start(options).await.unwrap();
    let mut stream = tokio::net::TcpStream::connect(collector.address()).await.unwrap();
    stream
        .write_all(b"POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 100\r\n\r\nhalf")
        .await
        .unwrap();
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 408");
    collector.stop().await.unwrap();
}

#[tokio::test]
async fn a_full_log_answers_503_with_retry_after_and_acknowledges_nothing() {
    let data = tempfile::tempdir().unwrap();
    let mut options = options(data.path());
    options.limits.wal_bytes_max = 1;
    options.flush_interval = Duration::from_secs(3600);
    let collector = Collector::start(options).await.unwrap();
    assert_eq!(post(collector.address(), batch("w", &[leg("a", 1, "x")])).await.unwrap().status(), 200);
    let response = post(collector.address(), batch("w", &[leg("b", 2, "x")])).await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["retry-after"].to_str().unwrap()), (503, "2"));
    let ready = reqwest::get(format!("http://{}/readyz", collector.address())).await.unwrap();
    assert_eq!(ready.status(), 503);
    collector.stop().await.unwrap();
    assert_eq!(samples(data.path()).iter().map(|row| row.sample_id.as_str()).collect::<Vec<_>>(), ["a"]);
}

#[tokio::test]
async fn a_retry_is_acknowledged_and_stored_once_also_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let body = batch("w", &[leg("a", 1, "x"), leg("b", 2, "y")]);
    for round in 0..3 {
        let collector = start(data.path()).await;
        for _ in 0..2 {
            assert_eq!(post(collector.address(), body.clone()).await.unwrap().status(), 200);
        }
        let duplicates = if round == 0 { 2 } else { 4 };
        assert!(collector.metrics().contains(&format!("weir_collector_duplicates_total {duplicates}\n")));
        collector.stop().await.unwrap();
        assert_eq!(samples(data.path()).len(), 2);
    }
}

#[tokio::test]
async fn planted_secrets_reach_neither_log_nor_parquet_nor_metrics() {
    let data = tempfile::tempdir().unwrap();
    let mut options = options(data.path());
    options.flush_interval = Duration::from_secs(3600);
    let lines = with_log(&mut options);
    let collector = Collector::start(options).await.unwrap();
    let secrets = [
        "planted.person@example.com",
        "4111 1111 1111 1111",
        "sk-plantedplantedplanted",
        "ghp_plantedplantedplantedplanted",
        "AKIAPLANTEDPLANTED12",
        "eyJwbGFudGVkIjoxfQ.cGxhbnRlZHBsYW50ZWQ.c2lnbmF0dXJl",
        "MIIplantedkey",
    ];
    let text = format!(
        "{} {} {} {} {} {} Bearer plantedtoken99 -----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
        secrets[0], secrets[1], secrets[2], secrets[3], secrets[4], secrets[5], secrets[6]
    );
    let request = serde_json::json!({"messages": [{"role": "user", "content": text}]}).to_string();
    let streamed: String = text
        .chars()
        .map(|letter| {
            format!(
                "data: {}\n\n",
                serde_json::json!({"choices": [{"index": 0, "delta": {"content": letter.to_string()}}]})
            )
        })
        .collect();
    let mut whole = leg("whole", 1, &text);
    whole.request_body_bytes = Some(request.len() as u64);
    whole.request_body = request.into_bytes();
    whole.request_content_type = "application/json".into();
    whole.path = format!("/v1/chat?mail={}", secrets[0]);
    whole.request_id = secrets[2].into();
    let mut split = leg("split", 2, "");
    split.response_content_type = "text/event-stream".into();
    split.response_body_bytes = streamed.len() as u64;
    split.response_body = streamed.into_bytes();
    let mut plain = leg("plain", 3, "");
    plain.response_content_type = "text/plain".into();
    plain.response_body_bytes = text.len() as u64;
    plain.response_body = text.clone().into_bytes();
    let response = post(collector.address(), batch("w", &[whole, split, plain])).await.unwrap();
    assert_eq!(response.status(), 200);

    let wal = all_bytes(&data.path().join("wal"));
    assert!(contains(&wal, b"[redacted:email]"), "the log is looked at while it has the rows");
    let metrics = collector.metrics();
    assert!(
        !metrics.contains("kind=\"private_key\"} 0") && !metrics.contains("kind=\"bearer\"} 0"),
        "{metrics}"
    );
    collector.stop().await.unwrap();
    let rows = samples(data.path());
    assert_eq!(rows.len(), 3);
    let shown = format!("{rows:?} {metrics} {:?}", lines.lock().unwrap());
    for secret in secrets.iter().chain(&["plantedtoken99"]) {
        assert!(!contains(&wal, secret.as_bytes()), "{secret} is in the log");
        assert!(!shown.contains(secret), "{secret} is in the rows, the metrics or the lines");
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn a_taken_port_a_foreign_address_a_locked_or_unusable_folder_are_errors_with_a_hint() {
    let data = tempfile::tempdir().unwrap();
    let collector = start(data.path()).await;
    let other = tempfile::tempdir().unwrap();
    let mut taken = options(other.path());
    taken.listen = collector.address();
    let error = Collector::start(taken).await.unwrap_err();
    assert!(matches!(error, CollectorError::Listen { .. }));
    assert!(error.to_string().contains("another program has this port"), "{error}");
    assert_eq!(std::fs::read_dir(other.path()).unwrap().count(), 0);

    let error = Collector::start(options(data.path())).await.unwrap_err().to_string();
    let expected = format!("lock: another collector (process {}) uses this data folder", std::process::id());
    assert!(error.contains(&expected), "{error}");

    let mut open = options(other.path());
    open.listen = "0.0.0.0:0".parse().unwrap();
    assert!(matches!(Collector::start(open.clone()).await, Err(CollectorError::NotLoopback { .. })));
    open.insecure = true;
    Collector::start(open).await.unwrap().stop().await.unwrap();

    let file = other.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Collector::start(options(&file)).await.unwrap_err().to_string();
    assert!(error.contains("cannot create the folder") && error.contains("hint:"), "{error}");

    collector.stop().await.unwrap();
    start(data.path()).await.stop().await.unwrap();
}

#[tokio::test]
async fn files_and_folders_are_private() {
    let data = tempfile::tempdir().unwrap();
    let root = data.path().join("data");
    let collector = start(&root).await;
    post(collector.address(), batch("w", &[leg("a", 1, "x")])).await.unwrap();
    collector.stop().await.unwrap();
    let mut folders = vec![root];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700, "{folder:?}");
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files += 1;
                assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{path:?}");
            }
        }
    }
    assert_eq!(files, 3, "a Parquet file, a key file and the lock");
}

#[tokio::test]
async fn health_and_metrics_are_served() {
    let data = tempfile::tempdir().unwrap();
    let collector = start(data.path()).await;
    for (path, text) in
        [("healthz", "ok"), ("readyz", "ready"), ("metrics", "weir_collector_durable_lag_seconds 0.000")]
    {
        let response = reqwest::get(format!("http://{}/{path}", collector.address())).await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.text().await.unwrap().contains(text), "{path}");
    }
    collector.stop().await.unwrap();
}

#[tokio::test]
async fn while_parquet_cannot_be_written_the_log_keeps_the_rows_and_writes_them_later() {
    let data = tempfile::tempdir().unwrap();
    // A file where the folder of the samples should be: fails for root, too.
    std::fs::write(data.path().join("samples"), "in the way").unwrap();
    let mut first = options(data.path());
    first.stop_timeout = Duration::from_millis(100);
    let collector = Collector::start(first).await.unwrap();
    assert_eq!(post(collector.address(), batch("w", &[leg("a", 1, "x")])).await.unwrap().status(), 200);
    assert!(matches!(collector.stop().await, Err(CollectorError::Undrained { segments: 1 })));
    std::fs::remove_file(data.path().join("samples")).unwrap();
    let collector = start(data.path()).await;
    assert!(collector.metrics().contains("weir_collector_recovered_records_total 1\n"));
    collector.stop().await.unwrap();
    assert_eq!(samples(data.path()).len(), 1);
}
