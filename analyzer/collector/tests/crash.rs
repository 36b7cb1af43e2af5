//! Killed at random moments under load, nothing acknowledged is lost and nothing is stored twice.
//!
//! The oracle mints an id for each sample; an acknowledgement turns it into an obligation. Requests without an acknowledgement are sent
//! again after the restart, byte for byte, as the filter's outbox does, and so is one batch that was acknowledged before the kill. A
//! tenth of the kills hits a start, at a moment of the time that a start takes; the others count only after sustained load:
//! WEIR_CRASH_ROWS samples acknowledged since the restart. WEIR_CRASH_KILLS sets the number of kills, over WEIR_CRASH_LANES collectors
//! side by side, each with a data folder and an oracle of its own; the seed is printed, and WEIR_CRASH_SEED repeats it.
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
        // With more threads the runner itself writes after a minute, to a pipe that nobody reads then, and ends.
        .args(["--ignored", "--exact", "collector_process", "--nocapture", "--test-threads=1"])
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
    async fn start(data: &Path, http: &reqwest::Client, fresh: &mut Client) -> Self {
        let spawned = Instant::now();
        let mut child = spawn(data);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.find_map(|line| line.strip_prefix("listening ").map(|it| it.parse().unwrap()));
        let address = address.expect("the collector started");
        let (ids, body) = fresh.batch(1);
        assert!(send(http, address, body).await, "a fresh sample is accepted");
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

    async fn load(
        mut self,
        http: reqwest::Client,
        address: SocketAddr,
        stop: Arc<AtomicBool>,
        counts: Arc<Counts>,
    ) -> Self {
        let send = async |body| send(&http, address, body).await;
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

/// True when it was acknowledged.
async fn send(http: &reqwest::Client, address: SocketAddr, body: Vec<u8>) -> bool {
    let request = http.post(format!("http://{address}/v1/logs")).header("content-type", PROTOBUF);
    request.body(body).send().await.is_ok_and(|response| response.status() == 200)
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

/// What the kills of a lane, or of all, came to.
#[derive(Default)]
struct Figures {
    kills: u64,
    in_start: u64,
    acknowledged: u64,
    minted: u64,
    sent_again: u64,
    rows: u64,
    missing: Vec<String>,
    double: Vec<String>,
    corrupted: u64,
    /// From each start to a fresh sample.
    starts: Vec<Duration>,
}

impl Figures {
    fn and(mut self, other: Self) -> Self {
        self.missing.extend(other.missing);
        self.double.extend(other.double);
        self.starts.extend(other.starts);
        Self {
            kills: self.kills + other.kills,
            in_start: self.in_start + other.in_start,
            acknowledged: self.acknowledged + other.acknowledged,
            minted: self.minted + other.minted,
            sent_again: self.sent_again + other.sent_again,
            rows: self.rows + other.rows,
            corrupted: self.corrupted + other.corrupted,
            ..self
        }
    }
}

/// A data folder, the collectors on it, and the oracle of what they owe.
struct Lane {
    data: tempfile::TempDir,
    http: reqwest::Client,
    random: Random,
    clients: Vec<Client>,
    fresh: Client,
    start_time: Duration,
    figures: Figures,
}

impl Lane {
    fn new(http: reqwest::Client, seed: u64) -> Self {
        Self {
            data: tempfile::tempdir().unwrap(),
            http,
            random: Random(seed),
            clients: (0..CLIENTS).map(|n| Client::new(format!("w{n}"))).collect(),
            fresh: Client::new("fresh".to_owned()),
            start_time: Duration::from_millis(40),
            figures: Figures::default(),
        }
    }

    async fn run(mut self, kills: u64, rows_min: u64, all: Arc<AtomicU64>) -> Figures {
        for round in 0..kills {
            if round % 10 == 9 {
                self.kill_in_start().await;
            } else {
                self.kill_under_load(rows_min).await;
            }
            // A secret has its `@` to itself: this is as sure as a search byte by byte, and a hundred times as fast.
            let wal = all_bytes(&self.data.path().join("wal"));
            let parts: Vec<_> = BufRead::split(&wal[..], b'@').map(Result::unwrap).collect();
            let (name, host) = SECRET.split_once('@').unwrap();
            assert!(
                !parts
                    .windows(2)
                    .any(|two| two[0].ends_with(name.as_bytes()) && two[1].starts_with(host.as_bytes())),
                "round {round}: a secret is in the log"
            );
            let done = all.fetch_add(1, Relaxed) + 1;
            if done.is_multiple_of(100) {
                println!("{done} kills");
            }
        }
        self.settle().await
    }

    async fn kill_in_start(&mut self) {
        let child = spawn(self.data.path());
        tokio::time::sleep(self.start_time.mul_f64(self.random.below(1_000) as f64 / 1_000.0)).await;
        kill(child);
        self.figures.in_start += 1;
    }

    async fn kill_under_load(&mut self, rows_min: u64) {
        let mut victim = Victim::start(self.data.path(), &self.http, &mut self.fresh).await;
        self.start_time = victim.start_time;
        self.figures.starts.push(victim.start_time);
        let (stop, counts) = (Arc::new(AtomicBool::new(false)), Arc::new(Counts::default()));
        let load = |client: Client| {
            let (http, stop, counts) = (self.http.clone(), Arc::clone(&stop), Arc::clone(&counts));
            tokio::spawn(client.load(http, victim.address, stop, counts))
        };
        let tasks: Vec<_> = self.clients.drain(..).map(load).collect();
        // A round counts only under sustained load.
        while counts.acknowledged.load(Relaxed) < rows_min {
            assert!(victim.child.try_wait().unwrap().is_none(), "the collector ended by itself");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_micros(self.random.below(120_000))).await;
        kill(victim.child);
        stop.store(true, Relaxed);
        for task in tasks {
            self.clients.push(task.await.unwrap());
        }
        self.figures.sent_again += counts.duplicates.load(Relaxed);
        self.figures.kills += 1;
    }

    /// The last requests are sent again, everything drains, and the books are compared.
    async fn settle(mut self) -> Figures {
        let collector = start(self.data.path()).await;
        for client in &mut self.clients {
            if let Some((ids, body)) = client.pending.take() {
                assert!(send(&self.http, collector.address(), body).await, "the last batch is accepted");
                client.acknowledged.extend(ids);
            }
        }
        collector.stop().await.unwrap();

        self.clients.push(self.fresh);
        let found = found(self.data.path());
        let missing = self.clients.iter().flat_map(|client| &client.acknowledged);
        let missing = missing.filter(|id| !found.ids.contains_key(id.as_str())).cloned();
        let double = found.ids.iter().filter(|(_, count)| **count != 1);
        Figures {
            acknowledged: self.clients.iter().map(|client| client.acknowledged.len() as u64).sum(),
            minted: self.clients.iter().map(|client| client.minted).sum(),
            rows: found.rows,
            missing: missing.collect(),
            double: double.map(|(id, _)| id.clone()).collect(),
            corrupted: found.corrupted,
            ..self.figures
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments_every_acknowledged_sample_is_there_exactly_once() {
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let seed = number("WEIR_CRASH_SEED", u64::from(std::process::id()));
    let (kills, rows_min) = (number("WEIR_CRASH_KILLS", 100), number("WEIR_CRASH_ROWS", 200));
    let lanes = number("WEIR_CRASH_LANES", 2);
    println!("seed {seed}, {kills} kills over {lanes} collectors side by side");
    // One client for all, without certificates: reading those takes longer than a round.
    let http = reqwest::Client::builder().tls_built_in_root_certs(false).build().unwrap();
    let all = Arc::new(AtomicU64::new(0));
    let of_lane = |lane: u64| {
        let kills = kills / lanes + u64::from(lane < kills % lanes);
        let run = Lane::new(http.clone(), Random(seed ^ lane).below(u64::MAX));
        tokio::spawn(run.run(kills, rows_min, Arc::clone(&all)))
    };
    let running: Vec<_> = (0..lanes).map(of_lane).collect();
    let mut figures = Figures::default();
    for lane in running {
        figures = figures.and(lane.await.unwrap());
    }

    figures.starts.sort();
    let start_max = figures.starts.last().copied().unwrap_or_default();
    println!(
        "{} kills under load, {} in a start; {} acknowledged, {} of them sent again; {} rows: {} missing, {} invented, {} double, {} corrupted; from start to a fresh sample {} ms in the median, {} ms at most",
        figures.kills,
        figures.in_start,
        figures.acknowledged,
        figures.sent_again,
        figures.rows,
        figures.missing.len(),
        figures.rows.saturating_sub(figures.minted),
        figures.double.len(),
        figures.corrupted,
        figures.starts[figures.starts.len() / 2].as_millis(),
        start_max.as_millis()
    );
    assert!(figures.missing.is_empty(), "missing: {:?}", &figures.missing[..figures.missing.len().min(5)]);
    assert!(figures.double.is_empty(), "double: {:?}", &figures.double[..figures.double.len().min(5)]);
    assert_eq!(figures.rows, figures.minted, "nothing is invented");
    assert_eq!(figures.corrupted, 0);
    assert!(figures.sent_again > 0 && figures.in_start > 0);
    assert!(start_max < Duration::from_secs(5), "a fresh sample took {start_max:?}");
}
