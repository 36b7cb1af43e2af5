//! What the sink costs: durable acknowledgements against writing the same rows to Parquet and nothing else, side by side in one run.
//!
//! Every sample has an answer of 2 KiB and a request of 300 bytes, in requests of 24 samples, as the filter sends them.
//! - durable: sent over loopback by [`CONNECTIONS`] connections to a collector in this process, until the last one is acknowledged
//!   (decoded, redacted, appended to the log, fdatasync); Parquet is written meanwhile, and until its end for "drained".
//! - raw: the same rows, ready in memory, to Parquet by the same writer; no HTTP, no conversion, no redaction, no log.
//!
//! The rounds take turns, and every figure is the median over them. Load and collector share the machine's cores.
//! The texts hold no secrets; of the random identifiers one in some ten thousand looks like a card number.
//! Then acknowledgement times under half of the durable load (by an open loop: a late answer does not spare the next request),
//! the start on a log of a given size, and bytes on disk against JSON lines with gzip.
//!
//! `--samples N` per round (default 24000), `--rounds N` (default 5), `--log-mib N` to recover (default 1024).
//! Writes `target/bench/sink.json`; progress goes to stderr, the table to stdout.

mod recovery;

use std::cell::Cell;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use weir_collector::redact::{Finds, Redactor};
use weir_collector::{Collector, CollectorOptions};
use weir_sample::capture::sample_from_wire;
use weir_sample::row::encode_row;
use weir_sample::{Access, Kind, Record, Sample, list_files, write_samples};
use weir_tests::client::Client;
use weir_tests::http::request;
use weir_tests::random::Random;
use weir_tests::world::Failure;
use weir_wire::{DecodeLimits, Leg, LegKind, Resource, Variant, decode_request, encode_batch, encode_record};

/// The allocator of the `weir` binary, which this benchmark stands for.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const CONNECTIONS: usize = 8;
const BATCH_SAMPLES: usize = 24;
const ANSWER_BYTES: usize = 2_048;
const QUESTION_BYTES: usize = 300;
const START_NANO: u64 = 1_790_000_000_000_000_000;
const LATENCY_TIME: Duration = Duration::from_secs(10);
const WORDS: [&str; 48] = [
    "the",
    "a",
    "to",
    "of",
    "and",
    "you",
    "can",
    "your",
    "order",
    "return",
    "within",
    "days",
    "is",
    "for",
    "it",
    "print",
    "label",
    "from",
    "account",
    "parcel",
    "shop",
    "refund",
    "card",
    "we",
    "will",
    "send",
    "after",
    "that",
    "please",
    "if",
    "not",
    "have",
    "received",
    "delivery",
    "address",
    "change",
    "before",
    "shipping",
    "because",
    "warehouse",
    "our",
    "team",
    "answer",
    "question",
    "tomorrow",
    "morning",
    "replacement",
    "warranty",
];

struct Options {
    samples: usize,
    rounds: usize,
    log_mib: u64,
}

fn main() -> Result<(), Failure> {
    let options = options()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(&options))
}

fn options() -> Result<Options, Failure> {
    let mut options = Options { samples: 24_000, rounds: 5, log_mib: 1_024 };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--samples" => options.samples = value.parse::<usize>()?.max(BATCH_SAMPLES),
            "--rounds" => options.rounds = value.parse::<usize>()?.max(1),
            "--log-mib" => options.log_mib = value.parse()?,
            _ => return Err(format!("{name} is no option; allowed: --samples, --rounds, --log-mib").into()),
        }
    }
    Ok(options)
}

async fn run(options: &Options) -> Result<(), Failure> {
    let output = output_path();
    let place = output.parent().ok_or("no folder for the figures")?.to_path_buf();
    std::fs::create_dir_all(&place)?;
    // On the disk of the target folder: a temporary folder may be memory.
    let folder = tempfile::tempdir_in(&place)?;
    let mut figures = Map::new();
    let mut put = |name: &str, value: f64| {
        println!("{name:<36} {value:>12.2}");
        figures.insert(name.to_owned(), json!((value * 100.0).round() / 100.0));
    };

    let (mut durable, mut drained, mut raw) = (Vec::new(), Vec::new(), Vec::new());
    let mut bytes = (0, 0);
    let mut steps = Steps::default();
    for round in 0..options.rounds {
        let legs = legs(round, options.samples);
        let rows = rows(&legs, &mut steps)?;
        let requests = Arc::new(requests(&legs));
        let data = folder.path().join(format!("durable-{round}"));
        let (acknowledged, written) = durable_round(&data, &requests).await?;
        let per_s = |time: Duration| options.samples as f64 / time.as_secs_f64();
        durable.push(per_s(acknowledged));
        drained.push(per_s(written));
        let data = folder.path().join(format!("raw-{round}"));
        bytes = (0, json_gzip_bytes(&rows)?);
        let time = raw_round(&data, rows)?;
        raw.push(per_s(time));
        bytes.0 = list_files(&data, Kind::Samples, None)?
            .iter()
            .map(|file| std::fs::metadata(file).map_or(0, |file| file.len()))
            .sum();
        eprintln!(
            "round {round} durable {:.0}/s drained {:.0}/s raw {:.0}/s",
            per_s(acknowledged),
            per_s(written),
            per_s(time)
        );
    }
    let (durable, drained, raw) = (median(durable), median(drained), median(raw));
    put("durable_samples_per_s", durable);
    put("drained_samples_per_s", drained);
    put("raw_samples_per_s", raw);
    put("durable_vs_raw", durable / raw);
    put("drained_vs_raw", drained / raw);
    let samples = (options.samples * options.rounds) as f64;
    put("conversion_us_per_sample", steps.conversion.as_secs_f64() * 1e6 / samples);
    put("redaction_us_per_sample", steps.redaction.as_secs_f64() * 1e6 / samples);
    put("encoding_us_per_sample", steps.encoding.as_secs_f64() * 1e6 / samples);

    let (offered, latencies) = latency(&folder.path().join("latency"), durable / 2.0).await?;
    put("half_load_samples_per_s", offered);
    put("ack_p50_ms", at(&latencies, 0.5));
    put("ack_p99_ms", at(&latencies, 0.99));

    put("parquet_bytes_per_sample", bytes.0 as f64 / options.samples as f64);
    put("json_gzip_bytes_per_sample", bytes.1 as f64 / options.samples as f64);
    put("parquet_vs_json_gzip", bytes.0 as f64 / bytes.1 as f64);

    if options.log_mib > 0 {
        let recovery = recovery::measure(options.log_mib << 20).await?;
        println!("recovery {recovery:#}");
        figures.insert("recovery".to_owned(), recovery);
    }
    std::fs::write(&output, format!("{:#}\n", Value::Object(figures)))?;
    println!("\nfigures: {}", output.display());
    Ok(())
}

fn collector_options(data: &Path) -> CollectorOptions {
    let mut options = CollectorOptions::new(SocketAddr::from(([127, 0, 0, 1], 0)), data);
    options.limits.wal_bytes_max = 8 << 30;
    options.stop_timeout = Duration::from_secs(600);
    options.log = Arc::new(|_| {});
    options
}

/// Until the last acknowledgement, and until the last row is in Parquet.
async fn durable_round(data: &Path, requests: &Arc<Vec<Vec<u8>>>) -> Result<(Duration, Duration), Failure> {
    let collector = Collector::start(collector_options(data)).await?;
    let begin = Instant::now();
    send_all(collector.address(), requests).await?;
    let acknowledged = begin.elapsed();
    collector.stop().await?;
    Ok((acknowledged, begin.elapsed()))
}

async fn send_all(address: SocketAddr, requests: &Arc<Vec<Vec<u8>>>) -> Result<(), Failure> {
    let mut tasks = JoinSet::new();
    for first in 0..CONNECTIONS {
        let requests = Arc::clone(requests);
        tasks.spawn(async move {
            let mut client = Client::connect(address).await?;
            for request in requests.iter().skip(first).step_by(CONNECTIONS) {
                acknowledged(&mut client, request).await?;
            }
            Ok::<(), Failure>(())
        });
    }
    while let Some(result) = tasks.join_next().await {
        result??;
    }
    Ok(())
}

async fn acknowledged(client: &mut Client, request: &[u8]) -> Result<(), Failure> {
    let answer = client.exchange(request).await?;
    if answer.head.second_word() == "200" {
        Ok(())
    } else {
        Err(format!("the collector answered {}", answer.head.second_word()).into())
    }
}

fn raw_round(data: &Path, rows: Vec<Sample>) -> Result<Duration, Failure> {
    std::fs::create_dir_all(data)?;
    let begin = Instant::now();
    write_samples(data, "part-raw", rows)?;
    Ok(begin.elapsed())
}

/// Requests leave on time, whatever became of earlier ones; latencies count from that time, milliseconds.
async fn latency(data: &Path, samples_per_s: f64) -> Result<(f64, Vec<f64>), Failure> {
    let pause = Duration::from_secs_f64(BATCH_SAMPLES as f64 / samples_per_s);
    let count = (LATENCY_TIME.as_secs_f64() / pause.as_secs_f64()) as usize;
    let requests = Arc::new(requests(&legs(1_000, count * BATCH_SAMPLES)));
    let collector = Collector::start(collector_options(data)).await?;
    let address = collector.address();
    let begin = Instant::now() + Duration::from_millis(50);
    let lanes = CONNECTIONS * 2;
    let mut tasks = JoinSet::new();
    for lane in 0..lanes {
        let requests = Arc::clone(&requests);
        tasks.spawn(async move {
            let mut client = Client::connect(address).await?;
            let mut latencies = Vec::new();
            for (number, request) in requests.iter().enumerate().skip(lane).step_by(lanes) {
                let due = begin + pause * u32::try_from(number)?;
                tokio::time::sleep_until(due.into()).await;
                acknowledged(&mut client, request).await?;
                latencies.push(due.elapsed().as_secs_f64() * 1_000.0);
            }
            Ok::<_, Failure>(latencies)
        });
    }
    let mut latencies = Vec::new();
    while let Some(result) = tasks.join_next().await {
        latencies.extend(result??);
    }
    let offered = (count * BATCH_SAMPLES) as f64 / begin.elapsed().as_secs_f64();
    collector.stop().await?;
    latencies.sort_by(f64::total_cmp);
    Ok((offered, latencies))
}

/// Time in the steps that the collector takes and the raw writer does not, one after the other on one core.
#[derive(Default)]
struct Steps {
    conversion: Duration,
    redaction: Duration,
    encoding: Duration,
}

/// The rows that the collector makes of the legs.
fn rows(legs: &[Leg], steps: &mut Steps) -> Result<Vec<Sample>, Failure> {
    let redactor = Redactor::new()?;
    let limits = DecodeLimits { request_bytes_max: 16 << 20, messages_max: 500_000 };
    let mut rows = Vec::with_capacity(legs.len());
    for chunk in legs.chunks(BATCH_SAMPLES) {
        let encoded = batch(chunk);
        let begin = Instant::now();
        let decoded = decode_request(&encoded, limits)?;
        let budget = Cell::new(1 << 30);
        let first = rows.len();
        for record in decoded
            .resource_logs
            .into_iter()
            .flat_map(|logs| logs.scope_logs)
            .flat_map(|logs| logs.log_records)
        {
            rows.push(sample_from_wire(Leg::from_record(record)?, "proxy-1", "worker-1", 1, &budget)?);
        }
        steps.conversion += begin.elapsed();
        let begin = Instant::now();
        let mut finds = Finds::default();
        let new = rows.get_mut(first..).unwrap_or_default();
        new.iter_mut().for_each(|row| redactor.redact_row(row, &mut finds));
        steps.redaction += begin.elapsed();
        let begin = Instant::now();
        let mut bytes = Vec::new();
        new.iter().for_each(|row| encode_row(row, &mut bytes));
        steps.encoding += begin.elapsed();
    }
    Ok(rows)
}

fn legs(round: usize, count: usize) -> Vec<Leg> {
    let mut random = Random::new(round as u64 + 1);
    (0..count)
        .map(|number| {
            let question = json!({"model": "desk", "messages": [{"role": "user", "content": words(&mut random, QUESTION_BYTES)}]}).to_string();
            let answer = json!({
                "id": format!("chatcmpl-{round}-{number}"), "object": "chat.completion", "created": 1, "model": "desk-1",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": words(&mut random, ANSWER_BYTES)}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 80, "completion_tokens": 440, "total_tokens": 520},
            })
            .to_string();
            let sequence = (round * 1_000_000 + number) as u64;
            Leg {
                sequence,
                start_unix_nano: START_NANO + number as u64 * 1_000_000,
                revision: 7,
                identity_hash: format!("{:016x}", random.number() | 1 << 63),
                request_id: format!("{:08x}-1234-4abc-8def-{:012x}", random.number() >> 32, random.number() >> 16),
                method: "POST".into(),
                path: "/v1/chat/completions".into(),
                status: 200,
                latency_ms: Some(400.0 + (random.number() % 100_000) as f64 / 100.0),
                ttfb_ms: Some(100.0 + (random.number() % 10_000) as f64 / 100.0),
                chunks: 3,
                complete: true,
                request_content_type: "application/json".into(),
                response_content_type: "application/json".into(),
                request_body_bytes: Some(question.len() as u64),
                request_body: question.into_bytes(),
                response_body_bytes: answer.len() as u64,
                response_body: answer.into_bytes(),
                ..Leg::new(format!("s-{round}-{number}"), LegKind::Primary, Variant::Control, "support")
            }
        })
        .collect()
}

/// Sentences of about so many bytes; a few words are frequent, as in any language.
fn words(random: &mut Random, bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 16);
    while text.len() < bytes {
        let (one, other) = (random.number() as usize % WORDS.len(), random.number() as usize % WORDS.len());
        text.push_str(WORDS.get(one.min(other)).unwrap_or(&"and"));
        text.push_str(if random.number().is_multiple_of(12) { ". " } else { " " });
    }
    text
}

fn batch(legs: &[Leg]) -> Vec<u8> {
    let resource = Resource { proxy: "proxy-1".into(), worker: "worker-1".into() };
    encode_batch(&resource, &legs.iter().map(encode_record).collect::<Vec<_>>())
}

fn requests(legs: &[Leg]) -> Vec<Vec<u8>> {
    let headers = [("content-type", "application/x-protobuf")];
    legs.chunks(BATCH_SAMPLES).map(|legs| request("POST", "/v1/logs", &headers, &batch(legs))).collect()
}

/// The rows as JSON lines, without absent values, through gzip at its usual level.
fn json_gzip_bytes(rows: &[Sample]) -> Result<u64, Failure> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    for row in rows {
        let mut line = Map::new();
        for column in Sample::COLUMNS {
            let value = match &column.access {
                Access::Text { get, .. } | Access::Label { get, .. } => json!(get(row)),
                Access::Word { get, .. } => json!(get(row)),
                Access::Integer { get, .. } => json!(get(row)),
                Access::SmallInteger { get, .. } => json!(get(row)),
                Access::Float { get, .. } => json!(get(row)),
                Access::Boolean { get, .. } => json!(get(row)),
                Access::Timestamp { get, .. } => json!(get(row)),
                Access::Vector { get, .. } => json!(get(row)),
                Access::Tags { get, .. } => json!(Some(get(row)).filter(|tags| !tags.is_empty())),
            };
            if !value.is_null() {
                line.insert(column.name.to_owned(), value);
            }
        }
        writeln!(gzip, "{}", Value::Object(line))?;
    }
    Ok(gzip.finish()?.len() as u64)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    at(&values, 0.5)
}

fn at(sorted: &[f64], share: f64) -> f64 {
    let index = (sorted.len() as f64 * share) as usize;
    sorted.get(index.min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

fn output_path() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    target.join("bench/sink.json")
}
