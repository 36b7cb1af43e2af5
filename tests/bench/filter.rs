//! What the filter costs: Envoy's own CPU time per request, side by side in one run.
//!
//! Every proxy is started once with one worker and sees the same load in turn, round after round; a proxy that is not
//! under load is idle. CPU time is user plus system time of the Envoy process, from `/proc/PID/stat`, over the requests
//! that it answered. "Added" is the difference to plain Envoy in the same round, and every figure is the median over the
//! rounds (many short ones: a neighbour's burst then spoils few), because throughput and latency depend on the
//! neighbours of the machine, and CPU time much less.
//!
//! Latency is measured apart, with an open loop: requests are due at a fixed rate, and their time counts from the moment at
//! which they were due, so that a proxy that falls behind cannot hide it. What Weir adds is the difference of a percentile to
//! plain's in the same round. There are two rates: half of what plain Envoy answered in this run, for the proxies that answered
//! more than that by themselves ([`ABLE`]: beyond that it is their queue that would be measured), and half of what the slowest
//! proxy answered, for all.
//!
//! `--rounds N` (default 15), `--seconds S` per proxy and round (default 1), `--only plain,routing` for a part.
//! Writes `target/bench/filter.json`; progress goes to stderr, the table to stdout.

mod load;
mod variants;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use weir_envoy::Upstreams;
use weir_tests::http::{request, response};
use weir_tests::sink::Sink;
use weir_tests::world::Failure;

use crate::variants::{Proxy, Variant};

const CONNECTIONS: usize = 16;
const BODY_BYTES: usize = 420;
const USERS: usize = 256;
const WARM_UP: Duration = Duration::from_secs(1);
/// The part of its own throughput up to which a proxy is asked at plain's rate.
const ABLE: f64 = 0.9;
/// The unit of `/proc/PID/stat`: USER_HZ is 100 on every Linux that Envoy is built for.
const TICK_US: f64 = 10_000.0;

struct Options {
    rounds: usize,
    seconds: f64,
    variants: Vec<Variant>,
}

/// One variant in one round.
struct Measured {
    cpu_us: f64,
    requests_per_s: f64,
    p50_us: f64,
    p99_us: f64,
}

fn main() -> Result<(), Failure> {
    let options = options()?;
    // One thread for load and upstream: with Envoy's one worker, two busy cores, as on the smallest machine.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(&options))
}

async fn run(options: &Options) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let upstream = load::upstream(answer()).await?;
    let sink = Sink::start_counting().await?;
    let upstreams = Upstreams { control: upstream, candidate: upstream, collector: sink.address() };
    let mut proxies = Vec::new();
    for variant in &options.variants {
        proxies.push((*variant, variant.start(upstreams, folder.path()).await?));
    }
    let requests = Arc::new(requests());
    for (_, proxy) in &proxies {
        load::run(proxy.address, Arc::clone(&requests), CONNECTIONS, WARM_UP).await?;
    }
    let mut measured: BTreeMap<Variant, Vec<Measured>> = BTreeMap::new();
    let length = Duration::from_secs_f64(options.seconds);
    for round in 0..options.rounds {
        // Another one begins each time, so that none always follows the same neighbour.
        let count = proxies.len().max(1);
        for (variant, proxy) in proxies.iter().cycle().skip(round % count).take(count) {
            let result = measure(proxy, &requests, length).await?;
            eprintln!("round {round} {:9} {:6.1} us", variant.name(), result.cpu_us);
            measured.entry(*variant).or_default().push(result);
        }
    }
    let shipped = shipped(&proxies, &sink).await?;
    let [latency, of_all] = latencies(options, &proxies, &requests, &measured).await?;
    print_table(&measured);
    let mut figures = figures(options, &measured, shipped);
    if let Some(figures) = figures.as_object_mut() {
        figures.insert("latency".to_owned(), latency);
        figures.insert("latency_at_half_of_the_slowest".to_owned(), of_all);
    }
    let path = output_path();
    std::fs::create_dir_all(path.parent().ok_or("no folder for the figures")?)?;
    std::fs::write(&path, format!("{figures:#}\n"))?;
    println!("\nfigures: {}", path.display());
    Ok(())
}

async fn measure(proxy: &Proxy, requests: &Arc<Vec<Vec<u8>>>, length: Duration) -> Result<Measured, Failure> {
    let before = cpu_us(proxy.envoy.pid())?;
    let round = load::run(proxy.address, Arc::clone(requests), CONNECTIONS, length).await?;
    // Copies and batches that are still under way belong to this round.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let after = cpu_us(proxy.envoy.pid())?;
    Ok(Measured {
        cpu_us: (after - before) / (round.requests.max(1) as f64),
        requests_per_s: round.requests as f64 / round.elapsed.as_secs_f64(),
        p50_us: round.latency_us(0.5),
        p99_us: round.latency_us(0.99),
    })
}

/// Latency at two rates: half of plain's throughput, for the proxies that can serve it, and half of what the slowest proxy
/// answered, which all of them can.
async fn latencies(
    options: &Options,
    proxies: &[(Variant, Proxy)],
    requests: &Arc<Vec<Vec<u8>>>,
    measured: &BTreeMap<Variant, Vec<Measured>>,
) -> Result<[Value; 2], Failure> {
    let served_per_s = |variant: Variant| {
        let rounds = measured.get(&variant).into_iter().flatten();
        median(rounds.map(|round| round.requests_per_s).collect())
    };
    let wanted = [Variant::Plain, Variant::Empty, Variant::Routing, Variant::Capture10, Variant::Capture];
    let all: Vec<&(Variant, Proxy)> =
        proxies.iter().filter(|(variant, _)| wanted.contains(variant)).collect();
    let slowest_per_s = all.iter().map(|(variant, _)| served_per_s(*variant)).fold(f64::INFINITY, f64::min);
    let rate_per_s = served_per_s(Variant::Plain) / 2.0;
    // A proxy that is asked for more than it can serve shows the length of its queue, which only grows.
    let able: Vec<_> =
        all.iter().copied().filter(|(variant, _)| served_per_s(*variant) * ABLE > rate_per_s).collect();
    Ok([
        latency(options, &able, requests, rate_per_s).await?,
        latency(options, &all, requests, slowest_per_s / 2.0).await?,
    ])
}

/// Percentiles at a rate, and what each proxy adds to plain's.
async fn latency(
    options: &Options,
    proxies: &[&(Variant, Proxy)],
    requests: &Arc<Vec<Vec<u8>>>,
    rate_per_s: f64,
) -> Result<Value, Failure> {
    let length = Duration::from_secs_f64(options.seconds);
    let mut seen: BTreeMap<Variant, Vec<[f64; 2]>> = BTreeMap::new();
    for round in 0..options.rounds {
        let count = proxies.len().max(1);
        for (variant, proxy) in proxies.iter().cycle().skip(round % count).take(count) {
            let paced =
                load::paced(proxy.address, Arc::clone(requests), CONNECTIONS, rate_per_s, length).await?;
            seen.entry(*variant).or_default().push([paced.latency_us(0.5), paced.latency_us(0.99)]);
            eprintln!("latency {round} {:9} {:6.0} us p99", variant.name(), paced.latency_us(0.99));
        }
    }
    let none = Vec::new();
    let plain = seen.get(&Variant::Plain).unwrap_or(&none);
    let mut figures = serde_json::Map::new();
    figures.insert("rate_per_s".to_owned(), json!(rate_per_s.round()));
    println!("at {rate_per_s:.0} requests per second, due at a fixed rate:");
    for (variant, rounds) in &seen {
        for (index, name) in ["p50", "p99"].into_iter().enumerate() {
            let of = |round: &[f64; 2]| round.get(index).copied().unwrap_or(f64::NAN);
            let all = median(rounds.iter().map(of).collect());
            let added: Vec<f64> =
                rounds.iter().zip(plain).map(|(round, plain)| of(round) - of(plain)).collect();
            let (added, (low, high)) = (median(added.clone()), spread(added));
            let key = format!("{}_{name}_us", variant.name());
            figures.insert(key, json!(rounded(all)));
            if *variant != Variant::Plain {
                figures.insert(format!("{}_added_{name}_us", variant.name()), json!(rounded(added)));
                let quartiles = json!([rounded(low), rounded(high)]);
                figures.insert(format!("{}_added_{name}_us_quartiles", variant.name()), quartiles);
            }
            println!(
                "{:<10} {name} {all:>8.0} us, added {added:>7.1} ({low:.1} to {high:.1})",
                variant.name()
            );
        }
    }
    Ok(Value::Object(figures))
}

/// User and system time of a process so far.
fn cpu_us(pid: u32) -> Result<f64, Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the name in brackets and may contain anything, so the fields are counted behind it.
    let fields = stat.rsplit_once(") ").ok_or("/proc/PID/stat has no name")?.1;
    let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(ticks as f64 * TICK_US)
}

/// Legs that the sink got and that the filter made or gave up, or the capture figures say nothing.
async fn shipped(proxies: &[(Variant, Proxy)], sink: &Sink) -> Result<Value, Failure> {
    let Some((_, proxy)) = proxies.iter().find(|(variant, _)| *variant == Variant::Capture) else {
        return Ok(Value::Null);
    };
    tokio::time::sleep(Duration::from_secs(1)).await;
    let total = |prefix: &'static str| async move {
        let stats = proxy.envoy.admin().stats(&format!("^wasmcustom.{prefix}")).await?;
        Ok::<u64, Failure>(stats.values().filter_map(|value| value.parse::<u64>().ok()).sum())
    };
    let (batches, bytes) = sink.traffic();
    let (legs, dropped, sent) = (
        total("weir_samples_total").await?,
        total("weir_drops_total").await?,
        total("weir_sent_total").await?,
    );
    println!("capture: {legs} legs, {sent} shipped in {batches} batches ({bytes} bytes), {dropped} dropped");
    Ok(json!({"legs": legs, "shipped": sent, "dropped": dropped, "batches": batches, "bytes": bytes}))
}

fn print_table(measured: &BTreeMap<Variant, Vec<Measured>>) {
    println!(
        "{:<10} {:>8} {:>8} {:>13} {:>9} {:>8} {:>8}",
        "proxy", "cpu us", "added", "spread", "req/s", "p50 us", "p99 us"
    );
    for (variant, rounds) in measured {
        let column = |value: fn(&Measured) -> f64| median(rounds.iter().map(value).collect());
        let (low, high) = spread(added(measured, *variant));
        println!(
            "{:<10} {:>8.1} {:>8.1} {:>13} {:>9.0} {:>8.0} {:>8.0}  {}",
            variant.name(),
            column(|round| round.cpu_us),
            median(added(measured, *variant)),
            format!("{low:.1} to {high:.1}"),
            column(|round| round.requests_per_s),
            column(|round| round.p50_us),
            column(|round| round.p99_us),
            variant.about(),
        );
    }
}

fn figures(options: &Options, measured: &BTreeMap<Variant, Vec<Measured>>, shipped: Value) -> Value {
    let mut figures = serde_json::Map::new();
    figures.insert("rounds".to_owned(), json!(options.rounds));
    figures.insert("seconds".to_owned(), json!(options.seconds));
    let mut spreads = serde_json::Map::new();
    let mut added_us = BTreeMap::new();
    for (variant, rounds) in measured {
        let name = variant.name();
        let column = |value: fn(&Measured) -> f64| json!(rounded(median(rounds.iter().map(value).collect())));
        if *variant == Variant::Plain {
            figures.insert("plain_us".to_owned(), column(|round| round.cpu_us));
        } else {
            let added = added(measured, *variant);
            let (low, high) = spread(added.clone());
            spreads.insert(format!("{name}_added_us"), json!([rounded(low), rounded(high)]));
            added_us.insert(*variant, median(added.clone()));
            figures.insert(format!("{name}_added_us"), json!(rounded(median(added))));
        }
        figures.insert(format!("{name}_requests_per_s"), column(|round| round.requests_per_s));
        figures.insert(format!("{name}_p50_us"), column(|round| round.p50_us));
        figures.insert(format!("{name}_p99_us"), column(|round| round.p99_us));
    }
    for (name, of, over) in [
        ("routing_vs_lua", Variant::Routing, Variant::Lua),
        ("routing_vs_empty", Variant::Routing, Variant::Empty),
        ("routing_untold_vs_empty", Variant::RoutingUntold, Variant::Empty),
        ("capture_vs_mirror", Variant::Capture, Variant::Mirror),
    ] {
        if let (Some(of), Some(over)) = (added_us.get(&of), added_us.get(&over)) {
            println!("{name}: {:.2}", of / over);
            figures.insert(name.to_owned(), json!(rounded(of / over)));
        }
    }
    if let Some(ratios) = over_plain(measured, Variant::Capture10) {
        let (low, high) = spread(ratios.clone());
        println!("capture10_vs_plain: {:.2} ({low:.2} to {high:.2})", median(ratios.clone()));
        figures.insert("capture10_vs_plain".to_owned(), json!(rounded(median(ratios))));
        spreads.insert("capture10_vs_plain".to_owned(), json!([rounded(low), rounded(high)]));
    }
    figures.insert("spread".to_owned(), Value::Object(spreads));
    figures.insert("capture".to_owned(), shipped);
    Value::Object(figures)
}

/// CPU time as a multiple of plain's in the same round.
fn over_plain(measured: &BTreeMap<Variant, Vec<Measured>>, variant: Variant) -> Option<Vec<f64>> {
    let plain = measured.get(&Variant::Plain)?;
    let rounds = measured.get(&variant)?;
    Some(rounds.iter().zip(plain).map(|(round, plain)| round.cpu_us / plain.cpu_us).collect())
}

/// CPU time over plain's in the same round.
fn added(measured: &BTreeMap<Variant, Vec<Measured>>, variant: Variant) -> Vec<f64> {
    let plain = measured.get(&Variant::Plain).into_iter().flatten();
    let rounds = measured.get(&variant).into_iter().flatten();
    rounds.zip(plain).map(|(round, plain)| round.cpu_us - plain.cpu_us).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The quartiles.
fn spread(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    (at(values.len() / 4), at(values.len() * 3 / 4))
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// A chat request of 420 bytes for each of some hundred users.
fn requests() -> Vec<Vec<u8>> {
    let frame = json!({"model": "model", "messages": [{"role": "user", "content": ""}]}).to_string().len();
    let content = "How do I return an order that came broken? ".repeat(20);
    let content = content.get(..BODY_BYTES.saturating_sub(frame)).unwrap_or_default();
    let body = json!({"model": "model", "messages": [{"role": "user", "content": content}]}).to_string();
    let user = |index: usize| {
        let name = format!("user-{index}");
        let headers = [("content-type", "application/json"), ("x-user-id", name.as_str())];
        request("POST", "/v1/chat/completions", &headers, body.as_bytes())
    };
    (0..USERS).map(user).collect()
}

fn answer() -> Vec<u8> {
    let text =
        "You can return it within 30 days. Print the label from your account and bring the parcel to a shop.";
    let body = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "model",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 80, "completion_tokens": 24, "total_tokens": 104},
    });
    response(200, &[("content-type", "application/json")], body.to_string().as_bytes())
}

fn output_path() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    target.join("bench/filter.json")
}

fn options() -> Result<Options, Failure> {
    let mut options = Options { rounds: 15, seconds: 1.0, variants: Variant::ALL.to_vec() };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--rounds" => options.rounds = value.parse()?,
            "--seconds" => options.seconds = value.parse()?,
            "--only" => {
                let named = |variant: &Variant| value.split(',').any(|name| name == variant.name());
                options.variants.retain(|variant| *variant == Variant::Plain || named(variant));
            }
            _ => {
                return Err(
                    format!("unknown argument {argument}; allowed: --rounds, --seconds, --only").into()
                );
            }
        }
    }
    Ok(options)
}
