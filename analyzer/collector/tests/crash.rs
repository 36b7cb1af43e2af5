//! Killed at random moments under load, nothing acknowledged is lost and nothing is stored twice.
//!
//! The oracle mints an id for each sample; an acknowledgement turns it into an obligation. Requests without an acknowledgement are sent
//! again after the restart, byte for byte, as the filter's outbox does. The seed is printed; WEIR_CRASH_SEED repeats it,
//! WEIR_CRASH_KILLS sets the number of kills.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

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
}

impl Victim {
    async fn start(data: &Path, mut kill_in_start: Option<Duration>) -> Self {
        loop {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--ignored", "--exact", "collector_process", "--nocapture"])
                .env(DATA, data)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            if let Some(pause) = kill_in_start.take() {
                tokio::time::sleep(pause).await;
                child.kill().unwrap();
                child.wait().unwrap();
                continue;
            }
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
            let address =
                lines.find_map(|line| line.strip_prefix("listening ").map(|it| it.parse().unwrap()));
            return Self { child, address: address.expect("the collector started") };
        }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A client that sends one batch after the other until told to stop; an unacknowledged batch is kept for the next round.
struct Client {
    worker: String,
    next: u64,
    pending: Option<(Vec<String>, Vec<u8>)>,
    acknowledged: Vec<String>,
    minted: u64,
}

impl Client {
    fn batch(&mut self) -> (Vec<String>, Vec<u8>) {
        let legs: Vec<_> = (self.next..self.next + BATCH_ROWS)
            .map(|n| leg(&format!("{}-{n}", self.worker), n, &format!("answer {n} to {SECRET}")))
            .collect();
        self.next += BATCH_ROWS;
        self.minted += BATCH_ROWS;
        (legs.iter().map(|leg| leg.sample_id.clone()).collect(), batch(&self.worker, &legs))
    }

    async fn load(
        mut self,
        address: SocketAddr,
        stop: Arc<AtomicBool>,
        acknowledged: Arc<AtomicU64>,
    ) -> Self {
        let client = reqwest::Client::new();
        while !stop.load(Relaxed) {
            let (ids, body) = self.pending.take().unwrap_or_else(|| self.batch());
            let request = client
                .post(format!("http://{address}/v1/logs"))
                .header("content-type", PROTOBUF)
                .body(body.clone())
                .send()
                .await;
            match request {
                Ok(response) if response.status() == 200 => {
                    acknowledged.fetch_add(ids.len() as u64, Relaxed);
                    self.acknowledged.extend(ids);
                }
                _ => {
                    self.pending = Some((ids, body));
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
        }
        self
    }
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
    let kills = number("WEIR_CRASH_KILLS", 20);
    println!("seed {seed}, {kills} kills");
    let mut random = Random(seed);
    let data = tempfile::tempdir().unwrap();
    let mut clients: Vec<Client> = (0..CLIENTS)
        .map(|n| Client {
            worker: format!("w{n}"),
            next: 0,
            pending: None,
            acknowledged: Vec::new(),
            minted: 0,
        })
        .collect();

    for round in 0..kills {
        // A tenth of the kills hits the start, recovery included.
        let in_start = (random.below(10) == 0).then(|| Duration::from_millis(random.below(40)));
        let victim = Victim::start(data.path(), in_start).await;
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let tasks: Vec<_> = clients
            .drain(..)
            .map(|client| {
                tokio::spawn(client.load(victim.address, Arc::clone(&stop), Arc::clone(&acknowledged)))
            })
            .collect();
        // A round counts only under load: the clock starts with the first acknowledgements.
        while acknowledged.load(Relaxed) < 5 * BATCH_ROWS {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_micros(random.below(120_000))).await;
        victim.kill();
        stop.store(true, Relaxed);
        for task in tasks {
            clients.push(task.await.unwrap());
        }
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

    let rows = samples(data.path());
    let mut found: HashMap<&str, u64> = HashMap::new();
    rows.iter().for_each(|row| *found.entry(&row.sample_id).or_default() += 1);
    let obliged: u64 = clients.iter().map(|client| client.acknowledged.len() as u64).sum();
    let missing: Vec<_> = clients
        .iter()
        .flat_map(|client| &client.acknowledged)
        .filter(|id| !found.contains_key(id.as_str()))
        .collect();
    let double: Vec<_> = found.iter().filter(|(_, count)| **count != 1).collect();
    println!(
        "{obliged} acknowledged, {} rows, {} missing, {} double",
        rows.len(),
        missing.len(),
        double.len()
    );
    assert!(missing.is_empty(), "missing: {:?}", &missing[..missing.len().min(5)]);
    assert!(double.is_empty(), "double: {:?}", &double[..double.len().min(5)]);
    assert_eq!(
        rows.len() as u64,
        clients.iter().map(|client| client.minted).sum::<u64>(),
        "nothing is invented"
    );
    for row in &rows {
        let expected = format!("answer {} to [redacted:email]", row.sequence.unwrap());
        assert_eq!(row.response_text.as_deref(), Some(expected.as_str()), "nothing is corrupted");
    }
}
