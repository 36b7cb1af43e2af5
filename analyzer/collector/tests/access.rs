//! Who may write, over real sockets: TLS, client certificates, tokens, and connections that only cost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::*;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use weir_collector::{AccessOptions, Collector, CollectorError, TlsFiles};

/// A CA and what it has signed, as files `<name>.pem` and `<name>.key`.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        std::fs::write(folder.join(format!("{name}.pem")), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: Issuer::new(params, key) }
    }

    fn sign(&self, folder: &Path, name: &str) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

fn tls(folder: &Path, client_ca: Option<&str>) -> AccessOptions {
    let file = |name: &str| folder.join(name);
    let tls =
        TlsFiles { certificate: file("server.pem"), key: file("server.key"), client_ca: client_ca.map(file) };
    AccessOptions { tls: Some(tls), tokens: None }
}

/// A client that trusts `ca`, and shows the certificate `own` if it has one.
async fn connect(
    address: SocketAddr,
    folder: &Path,
    ca: &str,
    own: Option<&str>,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.join(format!("{ca}.pem"))).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match own {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let certificate = CertificateDer::from_pem_file(folder.join(format!("{name}.pem"))).unwrap();
            let key = PrivateKeyDer::from_pem_file(folder.join(format!("{name}.key"))).unwrap();
            builder.with_client_auth_cert(vec![certificate], key).unwrap()
        }
    };
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// Sends one sample and gives the status line's number; an error where the connection was refused.
async fn send(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    token: Option<&str>,
    id: &str,
) -> std::io::Result<u16> {
    let body = batch("w", &[leg(id, id.len() as u64, "yes")]);
    let authorization = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    let head = format!(
        "POST /v1/logs HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: {PROTOBUF}\r\n{authorization}content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), &body].concat()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let code = text.split(' ').nth(1).and_then(|code| code.parse().ok());
    code.ok_or_else(|| std::io::Error::other(text))
}

fn ids(data: &Path) -> Vec<String> {
    let mut ids: Vec<_> = samples(data).into_iter().map(|sample| sample.sample_id).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn with_client_certificates_only_their_owners_can_write() {
    let folder = tempfile::tempdir().unwrap();
    let (files, data) = (folder.path(), folder.path().join("data"));
    let authority = Authority::new(files, "ca");
    let foreign = Authority::new(files, "foreign-ca");
    authority.sign(files, "server");
    authority.sign(files, "proxy");
    foreign.sign(files, "stranger");
    let mut options = options(&data);
    options.access = tls(files, Some("ca.pem"));
    let collector = Collector::start(options).await.unwrap();
    let address = collector.address();
    assert_eq!(
        send(connect(address, files, "ca", Some("proxy")).await.unwrap(), None, "a").await.unwrap(),
        200
    );
    for who in [None, Some("stranger")] {
        // In TLS 1.3 the client learns it with its first read.
        let refused = match connect(address, files, "ca", who).await {
            Ok(stream) => send(stream, None, "bb").await.is_err(),
            Err(_) => true,
        };
        assert!(refused, "{who:?}");
    }
    assert!(
        connect(address, files, "foreign-ca", Some("proxy")).await.is_err(),
        "a client that trusts another authority"
    );
    assert!(send(TcpStream::connect(address).await.unwrap(), None, "ccc").await.is_err(), "no TLS");
    collector.stop().await.unwrap();
    assert_eq!(ids(&data), ["a"]);
}

#[tokio::test]
async fn with_tokens_only_their_owners_can_write_and_certificates_and_tokens_change_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (files, data) = (folder.path(), folder.path().join("data"));
    Authority::new(files, "ca").sign(files, "server");
    std::fs::write(files.join("tokens"), "one-token-of-several\nanother-token-of-several\n").unwrap();
    let mut options = options(&data);
    options.access = AccessOptions { tokens: Some(files.join("tokens")), ..tls(files, None) };
    let collector = Collector::start(options).await.unwrap();
    let address = collector.address();
    let connected = async |ca: &str| connect(address, files, ca, None).await;
    for (token, code, id) in [
        (Some("one-token-of-several"), 200, "a"),
        (Some("another-token-of-several"), 200, "bb"),
        (Some("one-token-of-severa"), 401, "ccc"),
        (None, 401, "dddd"),
    ] {
        assert_eq!(send(connected("ca").await.unwrap(), token, id).await.unwrap(), code, "{id}");
    }
    let plain = reqwest::Client::new();
    assert!(plain.get(format!("http://{address}/healthz")).send().await.is_err(), "no TLS");

    Authority::new(files, "next-ca").sign(files, "server");
    std::fs::write(files.join("tokens"), "a-token-of-tomorrow\n").unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(connected("ca").await.is_err(), "the new certificate is another authority's");
    let stream = connected("next-ca").await.unwrap();
    assert_eq!(send(stream, Some("one-token-of-several"), "eeeee").await.unwrap(), 401);
    let stream = connected("next-ca").await.unwrap();
    assert_eq!(send(stream, Some("a-token-of-tomorrow"), "ffffff").await.unwrap(), 200);
    assert!(collector.metrics().contains("weir_collector_rejected_total{reason=\"unknown_writer\"} 3\n"));
    collector.stop().await.unwrap();
    assert_eq!(ids(&data), ["a", "bb", "ffffff"]);
}

#[tokio::test]
async fn beyond_loopback_writers_have_to_be_known_or_the_operator_waives_it() {
    let folder = tempfile::tempdir().unwrap();
    let (files, data) = (folder.path(), folder.path().join("data"));
    Authority::new(files, "ca").sign(files, "server");
    std::fs::write(files.join("tokens"), "one-token-of-several\n").unwrap();
    let everywhere = |access: AccessOptions, insecure| {
        let mut options = options(&data);
        options.listen = "0.0.0.0:0".parse().unwrap();
        (options.access, options.insecure) = (access, insecure);
        options
    };
    let tokens = AccessOptions { tokens: Some(files.join("tokens")), tls: None };
    for refused in [AccessOptions::default(), tls(files, None)] {
        let error = Collector::start(everywhere(refused, false)).await.unwrap_err();
        assert!(matches!(error, CollectorError::NotLoopback { .. }), "{error}");
        assert!(!data.exists(), "nothing was touched");
    }
    for (access, insecure) in
        [(tokens, false), (tls(files, Some("ca.pem")), false), (AccessOptions::default(), true)]
    {
        Collector::start(everywhere(access, insecure)).await.unwrap().stop().await.unwrap();
    }
}

#[tokio::test]
async fn files_that_hold_something_else_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (files, data) = (folder.path(), folder.path().join("data"));
    let authority = Authority::new(files, "ca");
    authority.sign(files, "server");
    authority.sign(files, "other");
    let refused = async |change: &dyn Fn(&mut TlsFiles)| {
        let mut options = options(&data);
        options.access = tls(files, Some("ca.pem"));
        change(options.access.tls.as_mut().unwrap());
        Collector::start(options).await.unwrap_err().to_string()
    };
    let message = refused(&|tls| tls.certificate = files.join("none.pem")).await;
    assert!(
        message.contains("none.pem: cannot be read") && message.contains("\n  hint: check the path"),
        "{message}"
    );
    let message = refused(&|tls| tls.certificate = files.join("server.key")).await;
    assert!(message.contains("server.key: holds no certificate\n  hint:"), "{message}");
    let message = refused(&|tls| tls.key = files.join("server.pem")).await;
    assert!(message.contains("server.pem: holds no private key\n  hint:"), "{message}");
    let message = refused(&|tls| tls.key = files.join("other.key")).await;
    assert!(message.contains("server.pem: does not go with"), "{message}");
    let message = refused(&|tls| tls.client_ca = Some(files.join("other.key"))).await;
    assert!(message.contains("other.key: holds no certificate"), "{message}");
    assert!(!data.exists(), "nothing was touched");
}

/// Whether the collector has closed a connection within a time.
async fn is_closed(stream: &mut TcpStream, within: Duration) -> bool {
    let mut bytes = [0; 64];
    let read = async {
        loop {
            match stream.read(&mut bytes).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    };
    tokio::time::timeout(within, read).await.is_ok()
}

#[tokio::test]
async fn connections_that_are_silent_slow_or_too_many_make_room_for_others() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(&folder.path().join("data"));
    options.connections.connections_max = 2;
    options.connections.header_timeout = Duration::from_millis(300);
    options.connections.idle_timeout = Duration::from_millis(600);
    let collector = Collector::start(options).await.unwrap();
    let address = collector.address();
    let long = Duration::from_secs(20);

    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut slow = TcpStream::connect(address).await.unwrap();
    let drip = async {
        while slow.write_all(b"P").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let third = async { send(TcpStream::connect(address).await.unwrap(), None, "a").await };
    let (dripped, closed, third) = tokio::join!(
        tokio::time::timeout(long, drip),
        is_closed(&mut silent, long),
        tokio::time::timeout(long, third)
    );
    assert!(dripped.is_ok() && closed);
    assert_eq!(third.unwrap().unwrap(), 200, "it waited for a place");

    // A body that stops arriving.
    let mut stuck = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: {PROTOBUF}\r\ncontent-length: 500\r\n\r\nabc"
    );
    stuck.write_all(head.as_bytes()).await.unwrap();
    assert!(is_closed(&mut stuck, long).await);

    // A head without an end.
    let mut endless = TcpStream::connect(address).await.unwrap();
    let line = format!("x-filler: {}\r\n", "y".repeat(1_000));
    let _ = endless.write_all(b"GET /healthz HTTP/1.1\r\n").await;
    let mut sent = 0;
    while sent < 100 << 20 && endless.write_all(line.as_bytes()).await.is_ok() {
        sent += line.len();
    }
    assert!(sent < 100 << 20, "the head was cut off");
    collector.stop().await.unwrap();
}

#[tokio::test]
async fn an_orderly_stop_answers_what_is_in_work_and_ends_connections_that_wait() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let collector = start(&data).await;
    let address = collector.address();
    let mut waiting = TcpStream::connect(address).await.unwrap();
    let client = reqwest::Client::new();
    let request = |id: &str| {
        client
            .post(format!("http://{address}/v1/logs"))
            .header("content-type", PROTOBUF)
            .body(batch("w", &[leg(id, id.len() as u64, "yes")]))
    };
    assert_eq!(request("a").send().await.unwrap().status(), 200);
    collector.stop().await.unwrap();
    assert!(is_closed(&mut waiting, Duration::from_secs(20)).await);
    assert!(request("bb").send().await.is_err());
    assert_eq!(ids(&data), ["a"]);
}

#[tokio::test]
async fn bounds_of_the_document_hold_on_the_wire() {
    let folder = tempfile::tempdir().unwrap();
    let text = "apiVersion: weir/v1\nkind: Collector\nlimits: {connectionsMax: 3, headerTimeoutMs: 300, idleTimeoutMs: 500, \
                headerBytesMax: 8192, bodyBytesMax: 4096, bodyTimeoutMs: 400, recordsMax: 2}";
    let document = weir_collector::configuration::Collector::parse("collector.yaml", text).unwrap();
    let mut options = options(&folder.path().join("data"));
    (options.limits, options.connections) = document.bounds(options.limits);
    let collector = Collector::start(options).await.unwrap();
    let address = collector.address();
    let long = Duration::from_secs(20);
    let status = async |stream: &mut TcpStream| {
        let mut bytes = vec![0; 4_096];
        let read = tokio::time::timeout(long, stream.read(&mut bytes)).await.unwrap().unwrap_or(0);
        String::from_utf8_lossy(&bytes[..read]).split(' ').nth(1).unwrap_or_default().to_owned()
    };
    let connected = async || TcpStream::connect(address).await.unwrap();
    let post = |length: usize| {
        format!(
            "POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: {PROTOBUF}\r\ncontent-length: {length}\r\n\r\n"
        )
    };

    // A head that never ends in time; one after a good request counts, too.
    let mut silent = connected().await;
    assert!(is_closed(&mut silent, long).await);
    let mut once = connected().await;
    once.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert_eq!(status(&mut once).await, "200");
    assert!(is_closed(&mut once, long).await);

    // A body that drips is cut off by the time for a body, although something moves.
    let mut dripping = connected().await;
    dripping.write_all(post(1_000).as_bytes()).await.unwrap();
    let (mut reader, mut writer) = dripping.split();
    let drip = async {
        for _ in 0..100 {
            if writer.write_all(b"x").await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let mut answer = vec![0; 4_096];
    let read = tokio::select! {
        () = drip => panic!("the body was waited for"),
        read = reader.read(&mut answer) => read.unwrap(),
    };
    assert!(answer[..read].starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&answer[..read]));

    // Sizes: of the head, of the body, of the number of records.
    let mut large = connected().await;
    large
        .write_all(format!("GET /healthz HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(9_000)).as_bytes())
        .await
        .unwrap();
    assert_eq!(status(&mut large).await, "431");
    let mut large = connected().await;
    large.write_all(post(4_097).as_bytes()).await.unwrap();
    assert_eq!(status(&mut large).await, "413");
    let legs: Vec<_> = (0..3).map(|n| leg(&format!("s{n}"), n, "yes")).collect();
    for (legs, expected) in [(&legs[..2], "200"), (&legs[..], "413")] {
        let body = batch("w", legs);
        let mut stream = connected().await;
        stream.write_all(post(body.len()).as_bytes()).await.unwrap();
        stream.write_all(&body).await.unwrap();
        assert_eq!(status(&mut stream).await, expected);
    }

    // Three at once: the fourth is served when one of them has ended.
    let mut first = connected().await;
    let _others = (connected().await, connected().await);
    first.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert_eq!(status(&mut first).await, "200");
    let mut fourth = connected().await;
    fourth.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert_eq!(status(&mut fourth).await, "200");
    collector.stop().await.unwrap();
}
