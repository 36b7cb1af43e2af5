//! What failures around the proxy cost the clients of control: latency of served requests, and memory, while the candidate or
//! the collector fails in every way.
//!
//! Every scenario has a proxy of its own with one worker, 100 % shadow and both answers captured. All get the same load at a
//! fixed rate in turn, round after round. What a failure adds is the difference of a percentile to the healthy proxy's in the
//! same round; a second healthy proxy shows how large such a difference is for no reason at all. A request that is not answered
//! with 200 ends the run. Memory is the module's (`weir_guest_memory_bytes`) and the process's, after the second round and after
//! the last one. Nothing here is asserted but that no request fails: times belong to the machine.
//!
//! `--rounds N` (default 9), `--seconds S` per scenario and round (default 1), `--rate R` requests per second (default 1000).
//! Writes `target/bench/failures.json`; progress goes to stderr, the table to stdout.

#[allow(dead_code)] // the other bench needs the rest of it
mod load;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use weir_envoy::{
    Bootstrap, Envoy, FilterSource, StartOptions, Upstreams, ecds_response, find_envoy, find_filter,
    write_ecds,
};
use weir_tests::http::{chunked_head, request, response};
use weir_tests::server::{Server, Step};
use weir_tests::sink::{Sink, SinkMode};
use weir_tests::world::{Failure, policy};

const CONNECTIONS: usize = 8;
const USERS: usize = 256;

/// What fails.
#[derive(Clone, Debug)]
enum Fault {
    Nothing,
    CandidateIsDown,
    Candidate(Vec<Step>),
    SinkIsDown,
    Sink(SinkMode),
}

struct Options {
    rounds: usize,
    seconds: f64,
    rate_per_s: f64,
}

/// A proxy with its surroundings.
struct Scenario {
    name: &'static str,
    envoy: Envoy,
    address: std::net::SocketAddr,
    /// Kept alive.
    _candidate: Server,
    _sink: Sink,
    p50_us: Vec<f64>,
    p99_us: Vec<f64>,
    requests: u64,
    memory: Vec<Memory>,
}

#[derive(Clone, Copy)]
struct Memory {
    guest_bytes: u64,
    process_kib: u64,
}

fn scenarios() -> Vec<(&'static str, Fault)> {
    let reset = vec![
        Step::Write([chunked_head(200, "text/event-stream"), b"5\r\ndata:\r\n".to_vec()].concat()),
        Step::Pause(Duration::from_millis(5)),
        Step::Reset,
    ];
    vec![
        ("healthy", Fault::Nothing),
        ("healthy again", Fault::Nothing),
        ("candidate is down", Fault::CandidateIsDown),
        ("candidate hangs", Fault::Candidate(vec![Step::Hang])),
        ("candidate resets mid-stream", Fault::Candidate(reset)),
        ("candidate answers 500", Fault::Candidate(vec![Step::Write(response(500, &[], b"no"))])),
        ("candidate answers garbage", Fault::Candidate(vec![Step::Write(b"\0\x01what?\r\n\r\n".to_vec())])),
        ("collector is down", Fault::SinkIsDown),
        ("collector answers 503", Fault::Sink(SinkMode::Status(503))),
        ("collector answers 429", Fault::Sink(SinkMode::Status(429))),
        ("collector takes 2 s", Fault::Sink(SinkMode::Slow(Duration::from_secs(2)))),
        ("collector answers nonsense", Fault::Sink(SinkMode::Nonsense)),
        ("collector never answers", Fault::Sink(SinkMode::Silent)),
    ]
}

fn main() -> Result<(), Failure> {
    let options = options()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(&options))
}

async fn run(options: &Options) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let control = load::upstream(response(200, &[("content-type", "text/plain")], &[b'a'; 700])).await?;
    let mut all = Vec::new();
    for (number, (name, fault)) in scenarios().into_iter().enumerate() {
        let folder = folder.path().join(number.to_string());
        std::fs::create_dir(&folder)?;
        all.push(Scenario::start(name, fault, control, &folder).await?);
    }
    let user = |index: usize| {
        let name = format!("user-{index}");
        request("POST", "/v1/chat", &[("content-type", "text/plain"), ("x-user-id", &name)], &[b'q'; 400])
    };
    let requests: Arc<Vec<Vec<u8>>> = Arc::new((0..USERS).map(user).collect());
    let length = Duration::from_secs_f64(options.seconds);
    for round in 0..options.rounds {
        let count = all.len();
        for index in (0..count).map(|index| (index + round) % count) {
            let Some(scenario) = all.get_mut(index) else { continue };
            let requests = Arc::clone(&requests);
            let seen = load::paced(scenario.address, requests, CONNECTIONS, options.rate_per_s, length)
                .await
                .map_err(|error| format!("{}: a request failed: {error}", scenario.name))?;
            scenario.p50_us.push(seen.latency_us(0.5));
            scenario.p99_us.push(seen.latency_us(0.99));
            scenario.requests += seen.requests;
            let memory = scenario.memory().await?;
            scenario.memory.push(memory);
            eprintln!("round {round} {:28} {:7.0} us p99", scenario.name, seen.latency_us(0.99));
        }
    }
    let figures = figures(options, &all);
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let path = target.join("bench/failures.json");
    std::fs::create_dir_all(path.parent().ok_or("no folder for the figures")?)?;
    std::fs::write(&path, format!("{figures:#}\n"))?;
    println!("\nfigures: {}", path.display());
    Ok(())
}

impl Scenario {
    async fn start(
        name: &'static str,
        fault: Fault,
        control: std::net::SocketAddr,
        folder: &Path,
    ) -> Result<Self, Failure> {
        let steps = match &fault {
            Fault::Candidate(steps) => steps.clone(),
            _ => vec![Step::Write(response(200, &[("content-type", "text/plain")], &[b'b'; 700]))],
        };
        let mut candidate = Server::start_unrecorded(move |_| steps.clone()).await?;
        let mut sink = Sink::start_counting().await?;
        match fault {
            Fault::CandidateIsDown => candidate.stop().await,
            Fault::SinkIsDown => sink.stop().await,
            Fault::Sink(mode) => sink.set_mode(mode),
            Fault::Nothing | Fault::Candidate(_) => {}
        }
        let (module, file) = (find_filter(None)?, folder.join("ecds/weir.json"));
        std::fs::create_dir(folder.join("ecds"))?;
        let limits = json!({"limits": {"flushIntervalMs": 100, "sinkTimeoutMs": 1_000}});
        let policy = policy("shadow", 0.0, limits).to_string();
        write_ecds(&file, &ecds_response(&policy, 1, &module))?;
        let upstreams = Upstreams { control, candidate: candidate.address(), collector: sink.address() };
        let bootstrap = Bootstrap::new(upstreams, FilterSource::Ecds { file, module }).render();
        let binary = find_envoy(None)?;
        let options =
            StartOptions { concurrency: 1, ..StartOptions::new(binary, bootstrap, folder.to_owned()) };
        let envoy = Envoy::start(options).await?;
        if envoy.admin().version_text().await?.as_deref() != Some("1") {
            return Err(format!("{name}: the policy was refused\n{}", envoy.log_tail()).into());
        }
        let address = envoy.listener("weir").ok_or("envoy has no listener")?;
        let (p50_us, p99_us, memory) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self {
            name,
            envoy,
            address,
            _candidate: candidate,
            _sink: sink,
            p50_us,
            p99_us,
            requests: 0,
            memory,
        })
    }

    async fn memory(&self) -> Result<Memory, Failure> {
        let stats = self.envoy.admin().stats("^wasmcustom.weir_guest_memory_bytes").await?;
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.envoy.pid()))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = resident.and_then(|text| text.split_whitespace().next()).and_then(|text| text.parse().ok());
        Ok(Memory {
            guest_bytes: stats.values().filter_map(|value| value.parse::<u64>().ok()).sum(),
            process_kib: kib.ok_or("/proc/PID/status has no VmRSS")?,
        })
    }
}

fn figures(options: &Options, all: &[Scenario]) -> Value {
    println!(
        "{:<28} {:>9} {:>8} {:>11} {:>22} {:>18} {:>18}",
        "scenario", "requests", "p99 us", "added p99", "quartiles of it", "module MiB", "process MiB"
    );
    let mut scenarios = Vec::new();
    for scenario in all {
        let healthy = all.first();
        let added = |of: fn(&Scenario) -> &[f64]| -> Vec<f64> {
            let healthy = healthy.map(of).unwrap_or_default();
            of(scenario).iter().zip(healthy).map(|(one, other)| one - other).collect()
        };
        let (p50, p99) = (added(|it| &it.p50_us), added(|it| &it.p99_us));
        let (low, high) = (quantile(&p99, 0.25), quantile(&p99, 0.75));
        let early = scenario.memory.get(1).or(scenario.memory.first()).copied();
        let late = scenario.memory.last().copied();
        let mib = |of: fn(Memory) -> f64| [early, late].map(|memory| memory.map_or(f64::NAN, of));
        let guest = mib(|memory| memory.guest_bytes as f64 / 1_048_576.0);
        let process = mib(|memory| memory.process_kib as f64 / 1_024.0);
        println!(
            "{:<28} {:>9} {:>8.0} {:>11.0} {:>22} {:>18} {:>18}",
            scenario.name,
            scenario.requests,
            quantile(&scenario.p99_us, 0.5),
            quantile(&p99, 0.5),
            format!("{low:.0} to {high:.0}"),
            format!("{:.1} to {:.1}", guest[0], guest[1]),
            format!("{:.1} to {:.1}", process[0], process[1]),
        );
        scenarios.push(json!({
            "name": scenario.name,
            "requests": scenario.requests,
            "failed": 0,
            "p99_us": quantile(&scenario.p99_us, 0.5),
            "added_p50_us": quantile(&p50, 0.5),
            "added_p99_us": quantile(&p99, 0.5),
            "added_p99_us_quartiles": [low, high],
            "guest_mib_early_and_late": guest,
            "process_mib_early_and_late": process,
        }));
    }
    json!({"rounds": options.rounds, "seconds": options.seconds, "rate_per_s": options.rate_per_s, "scenarios": scenarios})
}

fn quantile(values: &[f64], share: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let index = (values.len() as f64 * share) as usize;
    values.get(index.min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

fn options() -> Result<Options, Failure> {
    let mut options = Options { rounds: 9, seconds: 1.0, rate_per_s: 1_000.0 };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--rounds" => options.rounds = value.parse()?,
            "--seconds" => options.seconds = value.parse()?,
            "--rate" => options.rate_per_s = value.parse()?,
            _ => {
                return Err(
                    format!("unknown argument {argument}; allowed: --rounds, --seconds, --rate").into()
                );
            }
        }
    }
    Ok(options)
}
