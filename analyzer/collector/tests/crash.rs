//! Killed at random moments under load, nothing acknowledged is lost and nothing is stored twice.
//!
//! The oracle mints an id for each sample; an acknowledgement turns it into an obligation. Requests without an acknowledgement are sent
//! again after the restart, byte for byte, as the filter's outbox does, and so is one batch that was acknowledged before the kill. A
//! tenth of the kills hits a start, at a moment of the time that a start takes; the others count only after sustained load:
//! WEIR_CRASH_ROWS samples acknowledged since the restart. WEIR_CRASH_KILLS sets the number of kills; the seed is printed, and
//! WEIR_CRASH_SEED repeats it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use common::*;
use weir_collector::Collector;

const DATA: &str = "WEIR_CRASH_DATA";
const CLIENTS: u64 = 4;
const BATCH_ROWS: u64 = 20;
const SECRET: &str = "planted.person@example.com";

/// Not a test: the process that is killed.
#[tokio::test]
#[ignore = "started and killed by the test below"]
async fn collector_process() {
    let Some(data) = std::env::var_os(DATA) else { return };
    let mut options = options(Path::new(&data));
    options.flush_interval = Duration::from_millis(15);
    let collector = Collector::start(options).await.unwrap();
    // The test runner has written an unfinished line.
    println!("\nlistening {}", collector.address());
    std::io::stdout().flush().unwrap();
    // Ends with the parent at the latest.
    let _ = tokio::task::spawn_blocking(|| std::io::stdin().lines().count()).await;
    collector.stop().await.unwrap();
}

struct Victim {
    child: Child,
    address: SocketAddr,
    start_time: Duration,
}

fn spawn(data: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "collector_process", "--nocapture"])
        .env(DATA, data)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

impl Victim {
    /// Started, and one fresh sample accepted.
    async fn start(data: &Path, fresh: &mut Client) -> Self {
        let spawned = Instant::now();
        let mut child = spawn(data);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.find_map(|line| line.strip_prefix("listening ").map(|it| it.parse().unwrap()));
        let address = address.expect("the collector started");
        let (ids, body) = fresh.batch(1);
        assert_eq!(post(address, body).await.unwrap().status(), 200);
        fresh.acknowledged.extend(ids);
        Self { child, address, start_time: spawned.elapsed() }
    }
}

/// A client that sends one batch after the other until told to stop; an unacknowledged batch is kept for the next round.
struct Client {
    worker: String,
    next: u64,
    pending: Option<Batch>,
    /// Acknowledged before the kill, and sent once more.
    again: Option<Batch>,
    acknowledged: Vec<String>,
    minted: u64,
}

/// The ids and the bytes of a request.
type Batch = (Vec<String>, Vec<u8>);

impl Client {
    fn new(worker: String) -> Self {
        Self { worker, next: 0, pending: None, again: None, acknowledged: Vec::new(), minted: 0 }
    }

    fn batch(&mut self, rows: u64) -> Batch {
        let legs: Vec<_> = (self.next..self.next + rows)
            .map(|n| leg(&format!("{}-{n}", self.worker), n, &format!("answer {n} to {SECRET}")))
            .collect();
        self.next += rows;
        self.minted += rows;
        (legs.iter().map(|leg| leg.sample_id.clone()).collect(), batch(&self.worker, &legs))
    }

    async fn load(mut self, address: SocketAddr, stop: Arc<AtomicBool>, counts: Arc<Counts>) -> Self {
        let client = reqwest::Client::new();
        let send = async |body: Vec<u8>| {
            let request = client.post(format!("http://{address}/v1/logs")).header("content-type", PROTOBUF);
            request.body(body).send().await.is_ok_and(|response| response.status() == 200)
        };
        if let Some((ids, body)) = self.again.take()
            && send(body).await
        {
            counts.duplicates.fetch_add(ids.len() as u64, Relaxed);
        }
        while !stop.load(Relaxed) {
            let (ids, body) = self.pending.take().unwrap_or_else(|| self.batch(BATCH_ROWS));
            if send(body.clone()).await {
                counts.acknowledged.fetch_add(ids.len() as u64, Relaxed);
                self.acknowledged.extend_from_slice(&ids);
                self.again = Some((ids, body));
            } else {
                self.pending = Some((ids, body));
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
        self
    }
}

#[derive(Default)]
struct Counts {
    acknowledged: AtomicU64,
    duplicates: AtomicU64,
}

/// What the Parquet files hold of the obligations.
#[derive(Default)]
struct Found {
    rows: u64,
    ids: HashMap<String, u64>,
    corrupted: u64,
}

fn found(data: &Path) -> Found {
    let mut found = Found::default();
    // File by file: a million rows are too much at once.
    for path in weir_sample::list_files(data, weir_sample::Kind::Samples, None).unwrap() {
        for row in weir_sample::read_file::<weir_sample::Sample>(&path).unwrap() {
            let expected = format!("answer {} to [redacted:email]", row.sequence.unwrap());
            found.corrupted += u64::from(row.response_text.as_deref() != Some(expected.as_str()));
            found.rows += 1;
            *found.ids.entry(row.sample_id).or_default() += 1;
        }
    }
    found
}

/// SplitMix64: a seed gives the same moments again.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments_every_acknowledged_sample_is_there_exactly_once() {
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let seed = number("WEIR_CRASH_SEED", u64::from(std::process::id()));
    let (kills, rows_min) = (number("WEIR_CRASH_KILLS", 100), number("WEIR_CRASH_ROWS", 200));
    println!("seed {seed}, {kills} kills");
    let mut random = Random(seed);
    let data = tempfile::tempdir().unwrap();
    let mut clients: Vec<Client> = (0..CLIENTS).map(|n| Client::new(format!("w{n}"))).collect();
    let mut fresh = Client::new("fresh".to_owned());
    let (mut in_start, mut start_time, mut start_max, mut duplicates) =
        (0, Duration::from_millis(40), Duration::ZERO, 0);

    for round in 0..kills {
        if round % 10 == 9 {
            let child = spawn(data.path());
            tokio::time::sleep(start_time.mul_f64(random.below(1_000) as f64 / 1_000.0)).await;
            kill(child);
            in_start += 1;
            continue;
        }
        let victim = Victim::start(data.path(), &mut fresh).await;
        start_time = victim.start_time;
        start_max = start_max.max(start_time);
        let (stop, counts) = (Arc::new(AtomicBool::new(false)), Arc::new(Counts::default()));
        let load = |client: Client| {
            tokio::spawn(client.load(victim.address, Arc::clone(&stop), Arc::clone(&counts)))
        };
        let tasks: Vec<_> = clients.drain(..).map(load).collect();
        // A round counts only under sustained load.
        while counts.acknowledged.load(Relaxed) < rows_min {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_micros(random.below(120_000))).await;
        kill(victim.child);
        stop.store(true, Relaxed);
        for task in tasks {
            clients.push(task.await.unwrap());
        }
        duplicates += counts.duplicates.load(Relaxed);
        let wal = all_bytes(&data.path().join("wal"));
        assert!(
            !wal.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()),
            "round {round}: a secret is in the log"
        );
    }

    // The last requests are sent again, and everything drains.
    let collector = start(data.path()).await;
    for client in &mut clients {
        if let Some((ids, body)) = client.pending.take() {
            assert_eq!(post(collector.address(), body).await.unwrap().status(), 200);
            client.acknowledged.extend(ids);
        }
    }
    collector.stop().await.unwrap();

    clients.push(fresh);
    let found = found(data.path());
    let obliged: u64 = clients.iter().map(|client| client.acknowledged.len() as u64).sum();
    let minted: u64 = clients.iter().map(|client| client.minted).sum();
    let missing = clients.iter().flat_map(|client| &client.acknowledged);
    let missing: Vec<_> = missing.filter(|id| !found.ids.contains_key(id.as_str())).collect();
    let double: Vec<_> = found.ids.iter().filter(|(_, count)| **count != 1).collect();
    println!(
        "{} kills under load, {in_start} in a start; {obliged} acknowledged, {duplicates} of them sent again; {} rows: {} missing, {} double, {} corrupted; longest from start to a fresh sample {} ms",
        kills - in_start,
        found.rows,
        missing.len(),
        double.len(),
        found.corrupted,
        start_max.as_millis()
    );
    assert!(missing.is_empty(), "missing: {:?}", &missing[..missing.len().min(5)]);
    assert!(double.is_empty(), "double: {:?}", &double[..double.len().min(5)]);
    assert_eq!(found.rows, minted, "nothing is invented");
    assert_eq!(found.corrupted, 0);
    assert!(duplicates > 0 && in_start > 0);
    assert!(start_max < Duration::from_secs(5), "a fresh sample took {start_max:?}");
}
