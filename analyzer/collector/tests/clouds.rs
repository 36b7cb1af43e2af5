//! Google Cloud Storage and Azure: addresses, credentials by their usual variables, errors, and a backlog that drains after a failure.
//!
//! Azure is Azurite, a Node package. No package brings an emulator of Google's XML interface that lists; for what is used of it, it is
//! S3's but for the names of a few headers, so moto answers for it, without signatures. Skipped without them: `make setup-tools`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
#[path = "common/stores.rs"]
mod stores;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::Duration;

use common::*;
use stores::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use weir_collector::upkeep::{CompactOptions, compact_store};
use weir_collector::{Collector, StoreOptions, mirror};

fn store(url: &str, settings: &[(&str, &str)]) -> StoreOptions {
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    StoreOptions { url: url.to_owned(), settings: settings.collect() }
}

fn azure(address: SocketAddr) -> StoreOptions {
    let endpoint = format!("http://{address}/{ACCOUNT}");
    store(
        "az://samples/team/a",
        &[
            ("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT),
            ("AZURE_STORAGE_ACCOUNT_KEY", ACCOUNT_KEY),
            ("AZURE_STORAGE_ENDPOINT", &endpoint),
            ("AZURE_ALLOW_HTTP", "true"),
        ],
    )
}

fn google(address: SocketAddr) -> StoreOptions {
    let account = serde_json::json!({
        "gcs_base_url": format!("http://{address}"), "disable_oauth": true,
        "client_email": "", "private_key": "", "private_key_id": ""
    });
    store(
        "gs://samples/team/a",
        &[("GOOGLE_SERVICE_ACCOUNT_KEY", &account.to_string()), ("GOOGLE_ALLOW_HTTP", "true")],
    )
}

/// A way to moto that gives every request a token: the library's is empty without oauth, and moto trips over it. One request per
/// connection, as moto closes them.
async fn with_token(to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                    if client.read_buf(&mut head).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                let name = b"authorization: ";
                if let Some(at) = head.windows(name.len()).position(|window| window == name) {
                    let end = head.iter().skip(at).position(|byte| *byte == b'\n').unwrap();
                    head.drain(at..=at + end);
                }
                let first = head.iter().position(|byte| *byte == b'\n').unwrap() + 1;
                head.splice(first..first, *b"authorization: Bearer token\r\n");
                let mut server = TcpStream::connect(to).await.unwrap();
                let _ = server.write_all(&head).await;
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    address
}

async fn ids(store: &StoreOptions, cache: PathBuf) -> Vec<String> {
    let store = store.clone();
    let folder = apart(move || mirror(&store, &cache, |_, _| {}).unwrap().folder).await;
    let mut ids: Vec<_> = samples(&folder).into_iter().map(|row| row.sample_id).collect();
    ids.sort();
    ids
}

/// Writes, lists, reads, merges; what comes while the way is broken waits in the log and gets there.
async fn everything_arrives_once(server: SocketAddr, store: impl Fn(SocketAddr) -> StoreOptions) {
    let folder = tempfile::tempdir().unwrap();
    let (data, cache) = (folder.path().join("data"), folder.path().join("cache"));
    let mode = Arc::new(AtomicU8::new(GOOD));
    let store = store(way(server, Arc::clone(&mode)).await);
    let mut options = options(&data);
    options.store = Some(store.clone());
    let collector = Collector::start(options).await.unwrap();
    let mut sent = 0;
    for broken in [GOOD, REFUSING, FAILING] {
        mode.store(broken, Relaxed);
        let legs: Vec<_> = (sent..sent + 20).map(|n| leg(&format!("s{n:03}"), n, "yes")).collect();
        sent += 20;
        let answer = post(collector.address(), batch("w", &legs)).await.unwrap();
        assert_eq!(answer.status(), 200, "mode {broken}");
        if broken != GOOD {
            tokio::time::sleep(Duration::from_millis(150)).await;
            assert!(!names(&data.join("wal"), "wal").is_empty(), "mode {broken}: the log holds it");
            mode.store(GOOD, Relaxed);
        }
        wait_until(&format!("mode {broken}: an empty log"), || names(&data.join("wal"), "wal").is_empty())
            .await;
        assert_eq!(files_here(&data), 0, "mode {broken}: the store has them, not the data folder");
    }
    collector.stop().await.unwrap();
    let all: Vec<_> = (0..sent).map(|n| format!("s{n:03}")).collect();
    assert_eq!(ids(&store, cache.clone()).await, all);

    let merging = CompactOptions {
        data_dir: PathBuf::new(),
        experiment: None,
        now_us: i64::try_from(START_NANO / 1_000).unwrap() + 2 * 86_400_000_000,
        keep_days: None,
        keep_bytes: None,
        dry_run: false,
        progress: |_, _| {},
    };
    let merged = {
        let store = store.clone();
        apart(move || compact_store(&store, &merging).unwrap()).await
    };
    assert_eq!((merged.merged_files, merged.new_files, merged.rows), (3, 1, sent), "{merged:?}");
    assert_eq!(ids(&store, cache).await, all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn azure_takes_gives_lists_and_merges_and_a_failure_loses_nothing() {
    let Some(server) = Server::azurite().await else { return };
    everything_arrives_once(server.address, azure).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn google_takes_gives_lists_and_merges_and_a_failure_loses_nothing() {
    let Some(server) = Server::moto().await else { return };
    everything_arrives_once(with_token(server.address).await, google).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_and_a_container_that_is_not_there_are_errors_that_do_not_show_the_key() {
    let Some(server) = Server::azurite().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let told = async |store: StoreOptions| {
        let cache = folder.path().to_path_buf();
        apart(move || mirror(&store, &cache, |_, _| {}).unwrap_err().to_string()).await
    };
    let key = "bm90IHRoZSBrZXk=";
    let mut wrong = azure(server.address);
    wrong.settings.retain(|(name, _)| name != "AZURE_STORAGE_ACCOUNT_KEY");
    wrong.settings.push(("AZURE_STORAGE_ACCOUNT_KEY".to_owned(), key.to_owned()));
    let refused = told(wrong).await;
    assert!(refused.contains("403") && refused.contains("\n  hint:") && !refused.contains(key), "{refused}");
    let missing = StoreOptions { url: "az://nowhere/x".to_owned(), ..azure(server.address) };
    let missing = told(missing).await;
    assert!(missing.starts_with("x/samples: ") && missing.contains("ContainerNotFound"), "{missing}");
}
