//! Object stores, against a real S3 server: moto's, a Python package. Failing, cut off and slow ones lose nothing.
//!
//! Skipped without it: `make setup-tools` installs it; WEIR_MOTO names another `moto_server`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
#[path = "common/stores.rs"]
mod stores;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::Duration;

use common::*;
use futures_util::TryStreamExt;
use object_store::ObjectStore;
use stores::*;
use weir_collector::upkeep::{CompactOptions, ForgetOptions, compact_store, forget_in_store};
use weir_collector::{Collector, CollectorOptions, StoreOptions, mirror};
use weir_sample::{Sample, read_bytes};

impl Server {
    fn bucket(&self) -> Box<dyn ObjectStore> {
        let settings =
            settings(self.address).into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
        let url = url::Url::parse("s3://samples").unwrap();
        object_store::parse_url_opts(&url, settings).unwrap().0
    }

    async fn remove(&self, name: &str) {
        let key = object_store::path::Path::parse(format!("team/a/{name}")).unwrap();
        self.bucket().delete(&key).await.unwrap();
    }

    /// Every sample of the bucket.
    async fn rows(&self) -> Vec<Sample> {
        let store = self.bucket();
        let objects: Vec<_> = store.list(None).try_collect().await.unwrap();
        let mut rows = Vec::new();
        for object in objects {
            assert!(
                object
                    .location
                    .to_string()
                    .starts_with("team/a/samples/experiment=e-1/date=2026-09-21/hour=14/part-")
            );
            let bytes = store.get(&object.location).await.unwrap().bytes().await.unwrap();
            rows.extend(read_bytes::<Sample>(Path::new("object"), bytes).unwrap());
        }
        rows.sort_by_key(|row| row.sequence);
        rows
    }
}

fn settings(address: SocketAddr) -> Vec<(String, String)> {
    [
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ENDPOINT", &format!("http://{address}")),
        ("PATH", "passed over"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

fn to_store(data: &Path, address: SocketAddr) -> CollectorOptions {
    let mut options = options(data);
    options.store = Some(StoreOptions { url: "s3://samples/team/a".into(), settings: settings(address) });
    options
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_gets_to_the_store_whole_and_once_however_the_way_breaks() {
    let Some(moto) = Server::moto().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let mode = Arc::new(AtomicU8::new(GOOD));
    let address = way(moto.address, Arc::clone(&mode)).await;
    let collector = Collector::start(to_store(data, address)).await.unwrap();
    let mut sent = 0;
    for broken in [GOOD, REFUSING, FAILING, CUTTING, SLOW] {
        mode.store(broken, Relaxed);
        for _ in 0..3 {
            let legs: Vec<_> =
                (sent..sent + 20).map(|n| leg(&format!("s{n}"), n, &format!("answer {n}"))).collect();
            sent += 20;
            assert_eq!(
                post(collector.address(), batch("w", &legs)).await.unwrap().status(),
                200,
                "mode {broken}"
            );
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
        if [REFUSING, FAILING, CUTTING].contains(&broken) {
            let arrived = moto.rows().await.len() as u64;
            assert!(arrived < sent, "mode {broken}: nothing passes");
            assert!(!names(&data.join("wal"), "wal").is_empty(), "mode {broken}: the log holds it");
        }
        // The backlog drains when the way is good again.
        mode.store(if broken == SLOW { SLOW } else { GOOD }, Relaxed);
        wait_until("an empty log", || names(&data.join("wal"), "wal").is_empty()).await;
        assert_eq!(files_here(data), 0, "mode {broken}: the store has them, not the data folder");
        let rows = moto.rows().await;
        let found: Vec<_> = rows.iter().map(|row| row.sample_id.clone()).collect();
        let expected: Vec<_> = (0..sent).map(|n| format!("s{n}")).collect();
        assert_eq!(found, expected, "mode {broken}");
    }
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_before_a_store_that_is_away_leaves_the_rows_in_the_log_and_the_next_start_sends_them() {
    let Some(moto) = Server::moto().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let mode = Arc::new(AtomicU8::new(REFUSING));
    let address = way(moto.address, Arc::clone(&mode)).await;
    let mut away = to_store(data, address);
    away.stop_timeout = Duration::from_millis(500);
    let collector = Collector::start(away).await.unwrap();
    assert_eq!(post(collector.address(), batch("w", &[leg("a", 1, "yes")])).await.unwrap().status(), 200);
    let message = collector.stop().await.unwrap_err().to_string();
    assert!(message.contains("1 segments of the log are not in Parquet yet"), "{message}");
    // What was left in the data folder before there was a store goes there, too.
    let row = Sample {
        experiment: "e-1".into(),
        sample_id: "b".into(),
        sequence: Some(2),
        ts_us: 1_790_000_000_000_000,
        ..Sample::default()
    };
    weir_sample::write_samples(data, "part-import-0", vec![row]).unwrap();
    mode.store(GOOD, Relaxed);
    Collector::start(to_store(data, address)).await.unwrap().stop().await.unwrap();
    let rows = moto.rows().await;
    assert_eq!(rows.iter().map(|row| row.sample_id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(files_here(data), 0);
}

const DAY_US: i64 = 86_400_000_000;
const WHO: &str = "00000000000000aa";

/// Every third is of one identity.
fn of_somebody(n: i64) -> Sample {
    Sample {
        sample_id: format!("s-{n:02}"),
        experiment: "e-1".to_owned(),
        ts_us: i64::try_from(START_NANO / 1_000).unwrap() + n,
        sequence: Some(n),
        identity_hash: (n % 3 == 0).then(|| WHO.to_owned()),
        ..Sample::default()
    }
}

fn rows_of(folder: &Path) -> Vec<String> {
    let mut ids: Vec<_> = samples(folder).into_iter().map(|row| row.sample_id).collect();
    ids.sort();
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_a_store_is_read_merged_and_erased_as_in_a_folder() {
    let Some(moto) = Server::moto().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let (data, cache) = (folder.path().join("data"), folder.path().join("cache"));
    for part in 0..3 {
        let rows = (0..10).map(|n| of_somebody(part * 10 + n)).collect();
        weir_sample::write_samples(&data, &format!("part-import-{part}"), rows).unwrap();
    }
    // What an import left in a data folder goes to the store with the next start.
    let collector = Collector::start(to_store(&data, moto.address)).await.unwrap();
    collector.stop().await.unwrap();
    assert_eq!(files_here(&data), 0);
    let store = StoreOptions { url: "s3://samples/team/a".into(), settings: settings(moto.address) };
    let read = || {
        let (store, cache) = (store.clone(), cache.clone());
        apart(move || mirror(&store, &cache, |_, _| {}).unwrap())
    };

    let all: Vec<_> = (0..30).map(|n| format!("s-{n:02}")).collect();
    let first = read().await;
    assert_eq!((first.fetched, first.kept, first.removed), (3, 0, 0));
    assert_eq!(rows_of(&first.folder), all);
    let again = read().await;
    assert_eq!((again.fetched, again.kept, again.removed), (0, 3, 0));

    // Somebody else's objects stay, and are named.
    let client = reqwest::Client::new();
    let object = |name: &str| format!("http://{}/samples/team/a/{name}", moto.address);
    for name in ["samples/notes.txt", "samples/experiment=e-1/foreign.parquet"] {
        assert!(client.put(object(name)).body("mine").send().await.unwrap().status().is_success());
    }
    let compacting = CompactOptions {
        data_dir: PathBuf::new(),
        experiment: None,
        now_us: i64::try_from(START_NANO / 1_000).unwrap() + 2 * DAY_US,
        keep_days: None,
        keep_bytes: None,
        dry_run: false,
        progress: |_, _| {},
    };
    let compact = |options: CompactOptions| {
        let store = store.clone();
        apart(move || compact_store(&store, &options))
    };
    // One that is under way.
    client.put(object(".upkeep.lock")).body("2026-11-21T09:00:00Z").send().await.unwrap();
    let refused = compact(compacting.clone()).await.unwrap_err().to_string();
    assert!(refused.contains("since 2026-11-21T09:00:00Z") && refused.contains("\n  hint:"), "{refused}");
    moto.remove(".upkeep.lock").await;

    let would = compact(CompactOptions { dry_run: true, ..compacting.clone() }).await.unwrap();
    assert_eq!((would.merged_files, would.new_files), (3, 1));
    let merged = compact(compacting.clone()).await.unwrap();
    assert_eq!((merged.merged_files, merged.new_files, merged.rows), (3, 1, 30));
    assert!(merged.problems.iter().any(|problem| problem.contains("foreign.parquet")), "{merged:?}");
    let after = read().await;
    assert_eq!((after.fetched, after.removed), (2, 3), "the merged file and the foreign one");
    assert!(after.folder.join("samples/notes.txt").exists());
    let foreign = after.folder.join("samples/experiment=e-1/foreign.parquet");
    assert_eq!(std::fs::read(&foreign).unwrap(), b"mine");
    std::fs::remove_file(&foreign).unwrap();
    assert_eq!(rows_of(&after.folder), all);

    let forgetting = ForgetOptions {
        data_dir: PathBuf::new(),
        identity_hash: WHO.to_owned(),
        dry_run: false,
        patience: Duration::ZERO,
        progress: |_, _| {},
        log: Arc::new(|_| {}),
    };
    let forgotten = {
        let (store, options) = (store.clone(), forgetting.clone());
        apart(move || forget_in_store(&store, &options).unwrap()).await
    };
    assert_eq!((forgotten.samples, forgotten.rewritten_files), (10, 1));
    assert_eq!(forgotten.unsearched.len(), 1, "{forgotten:?}");
    moto.remove("samples/experiment=e-1/foreign.parquet").await;
    let others: Vec<_> =
        all.iter().enumerate().filter(|(n, _)| n % 3 != 0).map(|(_, id)| id.clone()).collect();
    assert_eq!(rows_of(&read().await.folder), others);

    let old = compact(CompactOptions { keep_days: Some(1), ..compacting }).await.unwrap();
    assert_eq!((old.removed_hours, old.removed_files), (1, 1));
    let empty = read().await;
    assert_eq!(rows_of(&empty.folder), Vec::<String>::new());
    let notes = object_store::path::Path::parse("team/a/samples/notes.txt").unwrap();
    assert_eq!(moto.bucket().head(&notes).await.unwrap().size, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_away_is_an_error_that_says_so_and_leaves_the_mirror_as_it_was() {
    let Some(moto) = Server::moto().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().to_path_buf();
    let bucket =
        |name: &str| StoreOptions { url: format!("s3://{name}/x"), settings: settings(moto.address) };
    let (store, at) = (bucket("nowhere"), cache.clone());
    let error = apart(move || mirror(&store, &at, |_, _| {}).unwrap_err().to_string()).await;
    assert!(
        error.contains("x/samples: the object store does not give it") && error.contains("\n  hint:"),
        "{error}"
    );
}
