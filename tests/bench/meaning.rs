//! What meaning costs, in one run.
//!
//! - embed: texts per second through the embedder against Python's onnxruntime on the same model, threads and texts (lengths
//!   are log-normal about [`WORDS_MEDIAN`] words, [`WORDS_MAX`] at most), rounds taking turns, medians; Python in three ways
//!   (`embed.py`), of which batches in the order of arrival are the ratio. Without `../shared/models` or the Python of
//!   `make setup-tools` it is left out, with a line that says so.
//! - again: a second analysis of the same samples embeds nothing.
//! - judge: [`CONCURRENCY`] questions at a time to a server on this machine that answers each after [`LATENCY`]; the ideal
//!   is questions x latency / concurrency.
//! - drift: 100,000 pairs whose vectors (384 numbers each, by the built-in embedder) are in the cache: reading samples and
//!   vectors, distances, all tests, clusters, tripwires, writing.
//!
//! `--texts N` (default 600), `--rounds N` (default 3), `--pairs N` (default 100000), `--questions N` (default 1600).
//! Writes `target/bench/meaning.json`; progress goes to stderr, the table to stdout.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use weir_judge::Rubric;
use weir_judge::client::{Endpoint, Judge};
use weir_judge::prompt::Mode;
use weir_judge::run::{Budget, JudgeOptions, judge};
use weir_meaning::{EmbedOptions, Embedder, EmbedderChoice};
use weir_sample::{Leg, Sample, Variant, write_samples};
use weir_tests::random::Random;
use weir_tests::world::Failure;

const WORDS_MEDIAN: f64 = 60.0;
const WORDS_SPREAD: f64 = 1.0;
const WORDS_MAX: usize = 400;
const CONCURRENCY: usize = 16;
const LATENCY: Duration = Duration::from_millis(100);
/// Part of the exchanges that have a second answer of control.
const NOISE_EVERY: usize = 5;
const RUBRIC: &str = include_str!("../../examples/rubrics/support.yaml");

fn main() -> Result<(), Failure> {
    let options = Options::read()?;
    let embed = embed_against_python(&options)?;
    let drift = drift(options.pairs)?;
    let judge = judging(options.questions)?;
    let result = json!({
        "embed": embed,
        "embed_vs_python": embed.get("ratio").cloned().unwrap_or(Value::Null),
        "drift": drift,
        "judge": judge,
    });
    let path = output_path();
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&path, serde_json::to_string_pretty(&result)? + "\n")?;
    println!("{}", table(&result));
    eprintln!("written to {}", path.display());
    Ok(())
}

struct Options {
    texts: usize,
    rounds: usize,
    pairs: usize,
    questions: usize,
}

impl Options {
    fn read() -> Result<Self, Failure> {
        let mut options = Self { texts: 600, rounds: 3, pairs: 100_000, questions: 1_600 };
        let mut words = std::env::args().skip(1);
        while let Some(name) = words.next() {
            let number = words.next().ok_or(format!("{name} needs a number"))?.parse()?;
            match name.as_str() {
                "--texts" => options.texts = number,
                "--rounds" => options.rounds = number,
                "--pairs" => options.pairs = number,
                "--questions" => options.questions = number,
                _ => return Err(format!("unknown option {name}").into()),
            }
        }
        Ok(options)
    }
}

/// Words of a small language, as many as asked for.
fn words(random: &mut Random, count: usize) -> String {
    const PARTS: [&str; 24] = [
        "re", "turn", "or", "der", "pay", "ment", "the", "a", "ship", "ping", "in", "voice", "to", "day",
        "for", "you", "can", "ti", "on", "ser", "vice", "new", "ac", "count",
    ];
    let mut text = String::new();
    for _ in 0..count {
        for _ in 0..1 + random.below(3) {
            text.push_str(random.pick(&PARTS).copied().unwrap_or("a"));
        }
        text.push_str(if random.below(12) == 0 { ". " } else { " " });
    }
    text
}

/// A log-normal number of words.
fn length(random: &mut Random) -> usize {
    let mut uniform = || (random.below(1 << 30) as f64 + 0.5) / f64::from(1 << 30);
    let normal = (-2.0 * uniform().ln()).sqrt() * (2.0 * std::f64::consts::PI * uniform()).cos();
    ((WORDS_MEDIAN * (WORDS_SPREAD * normal).exp()) as usize).clamp(3, WORDS_MAX)
}

fn embed_against_python(options: &Options) -> Result<Value, Failure> {
    let model = Path::new("../shared/models/all-MiniLM-L6-v2");
    let python = Path::new(".venv/embed/bin/python");
    for (needed, hint) in [(model, "the shared folder"), (python, "make setup-tools")] {
        if !needed.exists() {
            let text = format!("left out: no {}, which {hint} brings", needed.display());
            eprintln!("embed: {text}");
            return Ok(json!({ "left_out": text }));
        }
    }
    let threads = std::thread::available_parallelism()?.get();
    let mut random = Random::new(1);
    let texts: Vec<String> = (0..options.texts)
        .map(|_| {
            let count = length(&mut random);
            words(&mut random, count)
        })
        .collect();
    let views: Vec<&str> = texts.iter().map(String::as_str).collect();
    let embedder = Embedder::open(&EmbedderChoice::Onnx(model.into()), threads)?;
    embedder.embed(views.get(..32).unwrap_or(&views), &mut |_| {})?;
    let (mut ours, mut theirs) = (Vec::new(), <[Vec<f64>; 3]>::default());
    for round in 1..=options.rounds {
        eprintln!("embed: round {round} of {}", options.rounds);
        let start = Instant::now();
        embedder.embed(&views, &mut |_| {})?;
        ours.push(texts.len() as f64 / start.elapsed().as_secs_f64());
        let seconds = python_seconds(python, model, threads, &texts)?;
        for (way, rates) in WAYS.iter().zip(&mut theirs) {
            let seconds = seconds.get(*way).and_then(Value::as_f64).ok_or("embed.py wrote no seconds")?;
            rates.push(texts.len() as f64 / seconds);
        }
    }
    let ours = median(ours);
    let [batches, sorted, single] = theirs.map(median);
    Ok(json!({
        "model": embedder.identity(),
        "threads": threads,
        "texts": texts.len(),
        "mean_characters": texts.iter().map(String::len).sum::<usize>() / texts.len().max(1),
        "texts_per_second": ours,
        "python_texts_per_second": { "batches": batches, "sorted": sorted, "single": single },
        "ratio": ours / batches,
        "ratio_to_sorted": ours / sorted,
        "ratio_to_single": ours / single,
    }))
}

const WAYS: [&str; 3] = ["batches", "sorted", "single"];

fn python_seconds(python: &Path, model: &Path, threads: usize, texts: &[String]) -> Result<Value, Failure> {
    let mut child = Command::new(python)
        .arg("tests/bench/embed.py")
        .args([model.as_os_str(), threads.to_string().as_ref()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().ok_or("no standard input")?;
    input.write_all(serde_json::to_string(texts)?.as_bytes())?;
    drop(input);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(format!("embed.py ended with {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Samples of an experiment: pairs, and noise copies of some.
fn samples(data: &Path, pairs: usize) -> Result<(), Failure> {
    let mut random = Random::new(2);
    let mut rows = Vec::with_capacity(pairs * 5 / 2);
    for at in 0..pairs {
        let request = words(&mut random, 15);
        let answer = words(&mut random, 45);
        let copy = [(Leg::Noise, Variant::Control)];
        let copies = copy.into_iter().filter(|_| at.is_multiple_of(NOISE_EVERY));
        let legs = [(Leg::Primary, Variant::Control), (Leg::Shadow, Variant::Candidate)];
        for (leg, variant) in legs.into_iter().chain(copies) {
            let own = words(&mut random, 15);
            rows.push(Sample {
                experiment: "bench".into(),
                sample_id: format!("s{at:07}"),
                leg,
                variant,
                ts_us: 1_790_000_000_000_000 + at as i64 * 1_000,
                inclusion_probability: 1.0,
                tier: ["internal", "beta", "general"].get(at % 3).map(|tier| (*tier).to_owned()),
                request_text: (leg == Leg::Primary).then(|| request.clone()),
                response_text: Some(format!("{answer}{own}")),
                ..Sample::default()
            });
        }
    }
    write_samples(data, "part-1", rows)?;
    Ok(())
}

fn drift(pairs: usize) -> Result<Value, Failure> {
    let data = tempfile::tempdir()?;
    eprintln!("drift: {pairs} pairs");
    samples(data.path(), pairs)?;
    let options = EmbedOptions {
        data_dir: data.path().to_path_buf(),
        experiment: "bench".into(),
        revision: None,
        alpha: 0.05,
        seed: 1,
    };
    let embedder = Embedder::open(&EmbedderChoice::Lexical, 1)?;
    let start = Instant::now();
    let (_, first) = weir_meaning::embed(&options, &embedder, &mut |_, _| {})?;
    let with_embedding = start.elapsed().as_secs_f64();
    eprintln!("drift: again, with the vectors there");
    let start = Instant::now();
    let (findings, again) = weir_meaning::embed(&options, &embedder, &mut |_, _| {})?;
    Ok(json!({
        "pairs": findings.pairs,
        "noise_pairs": findings.noise_pairs,
        "texts_embedded_first": first,
        "texts_embedded_again": again,
        "seconds_first": with_embedding,
        "seconds_again": start.elapsed().as_secs_f64(),
    }))
}

fn judging(questions: usize) -> Result<Value, Failure> {
    let data = tempfile::tempdir()?;
    eprintln!("judge: {questions} questions, {CONCURRENCY} at a time, {LATENCY:?} each");
    samples(data.path(), questions.div_ceil(2))?;
    let rubric = Rubric::parse("support", RUBRIC)?;
    let options = JudgeOptions {
        data_dir: data.path().to_path_buf(),
        experiment: "bench".into(),
        revision: None,
        first: None,
        mode: Mode::Pointwise,
        concurrency: CONCURRENCY,
        rate_per_second: None,
        budget: Budget { calls: Some(questions as u64), ..Budget::default() },
        again: 0,
        seed: 0,
        segments: Vec::new(),
        dry_run: false,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}/v1", listener.local_addr()?);
        tokio::spawn(serve(listener));
        let judges = [Judge::Endpoint(Endpoint::new("bench", "m", &address, None, Duration::from_secs(30))?)];
        let start = Instant::now();
        let judged = judge(&options, &rubric, &judges, &mut |_, _| {}).await?;
        let seconds = start.elapsed().as_secs_f64();
        let ideal = judged.calls as f64 * LATENCY.as_secs_f64() / CONCURRENCY as f64;
        let again = judge(&options, &rubric, &judges, &mut |_, _| {}).await?;
        Ok(json!({
            "calls": judged.calls,
            "failed": judged.failed,
            "concurrency": CONCURRENCY,
            "latency_ms": LATENCY.as_millis() as u64,
            "seconds": seconds,
            "ideal_seconds": ideal,
            "share_of_ideal": ideal / seconds,
            "known_again": again.known,
        }))
    })
}

/// A judge that answers everything after [`LATENCY`].
async fn serve(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        // A client that goes away ends its connection.
        tokio::spawn(async move { drop(connection(stream).await) });
    }
}

async fn connection(stream: TcpStream) -> std::io::Result<()> {
    const CONTENT: &str = r#"{\"correct\": 5, \"helpful\": 3, \"polite\": 1}"#;
    let usage = r#""usage": {"prompt_tokens": 100, "completion_tokens": 10}"#;
    let body = format!(r#"{{"choices": [{{"message": {{"content": "{CONTENT}"}}}}], {usage}}}"#);
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = BufReader::new(stream);
    stream.get_ref().set_nodelay(true)?;
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut question = vec![0; length];
        stream.read_exact(&mut question).await?;
        tokio::time::sleep(LATENCY).await;
        stream.get_mut().write_all(answer.as_bytes()).await?;
    }
}

fn table(result: &Value) -> String {
    let figure = |path: &str| {
        let value = result.pointer(path).and_then(Value::as_f64);
        value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"))
    };
    let rows = [
        ("texts per second", "/embed/texts_per_second"),
        ("Python, batches as they come", "/embed/python_texts_per_second/batches"),
        ("Python, batches sorted by length", "/embed/python_texts_per_second/sorted"),
        ("Python, one at a time", "/embed/python_texts_per_second/single"),
        ("embed_vs_python (target 1.2)", "/embed_vs_python"),
        ("texts embedded by a second analysis (0)", "/drift/texts_embedded_again"),
        ("drift of all pairs, vectors there, s (< 60)", "/drift/seconds_again"),
        ("judge, share of ideal concurrency (0.9)", "/judge/share_of_ideal"),
    ];
    rows.map(|(name, path)| format!("{name:<46} {:>10}", figure(path))).join("\n")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn output_path() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    target.join("bench/meaning.json")
}
