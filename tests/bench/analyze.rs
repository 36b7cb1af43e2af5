//! What a look costs: `weir analyze` over generated samples against a bare scan of the same columns and against Evidently, in one run.
//!
//! Every program is a child process, so that wall time, CPU time (user and system, all threads) and peak memory are its own. The
//! ratios are of CPU time: the machine's neighbours disturb it least. For each size the programs take turns, and every
//! figure is the median over the rounds; the files are read once before, so that none pays for a cold disk.
//!
//! - `full`: the whole report with the built-in gates, every sample read.
//! - `scan`: polars reads the columns that the look reads, file by file, and drops them (`analyzer/metrics/examples/scan.rs`).
//! - `incremental`: the same report after 1 % new samples, with the figures kept from the look before.
//! - `evidently`: the same columns and a drift test for each (`with_evidently.py`), on one size; its time is without imports. `refusal`
//!   and `hedging` are by the same phrases, which is most of its time; `evidently_few` looks for six of each only.
//!
//! `--sizes N,N,..` samples (default 100000,1000000), `--evidently N` samples (default 200000, 0 for none), `--rounds N`
//! (default 3). Writes `target/bench/analyze.json`; progress goes to stderr, the table to stdout.

mod child;
mod planted;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};
use weir_tests::world::Failure;

use crate::child::{Taken, run};
use crate::planted::{EXPERIMENT, planted};

/// Verdicts; everything else is a failure.
const VERDICTS: [i32; 4] = [0, 1, 3, 4];

struct Options {
    sizes: Vec<usize>,
    evidently: usize,
    rounds: usize,
}

fn main() -> Result<(), Failure> {
    let options = options()?;
    let bench = target().join("bench");
    fs::create_dir_all(&bench)?;
    let mut figures = Figures::default();
    for samples in &options.sizes {
        size(&bench, *samples, options.rounds, &mut figures)?;
    }
    if options.evidently > 0 {
        against_evidently(&bench, options.evidently, &mut figures)?;
    }
    let text = serde_json::to_string_pretty(&Value::Object(figures.0))?;
    fs::write(bench.join("analyze.json"), text)?;
    Ok(())
}

fn options() -> Result<Options, Failure> {
    let mut options = Options { sizes: vec![100_000, 1_000_000], evidently: 200_000, rounds: 3 };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--sizes" => options.sizes = value.split(',').map(str::parse).collect::<Result<_, _>>()?,
            "--evidently" => options.evidently = value.parse()?,
            "--rounds" => options.rounds = value.parse::<usize>()?.max(1),
            _ => return Err(format!("{name} is no option; allowed: --sizes, --evidently, --rounds").into()),
        }
    }
    Ok(options)
}

/// One size: scan and report in turns, then a look after new samples.
fn size(bench: &Path, samples: usize, rounds: usize, figures: &mut Figures) -> Result<(), Failure> {
    let planted = planted(bench, samples)?;
    let report = bench.join("report.json");
    scan(&planted.data)?;
    let (mut scans, mut fulls) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        eprintln!("{samples} samples, round {} of {rounds}", round + 1);
        scans.push(scan(&planted.data)?);
        fulls.push(look(&planted.data, &report, true)?);
    }
    let (scan, full) = (Median::of(&scans), Median::of(&fulls));
    figures.put_taken(samples, "scan", &scan);
    figures.put_taken(samples, "full", &full);
    figures.put(samples, "full_cpu_us_per_sample", full.cpu_s / samples as f64 * 1e6);
    figures.put(samples, "analyze_vs_scan", full.cpu_s / scan.cpu_s);
    let arrived = Arrived::new(&planted.data, &planted.more)?;
    let mut incrementals = Vec::new();
    for _ in 0..rounds {
        forget(&planted.data)?;
        arrived.leave()?;
        look(&planted.data, &report, false)?;
        arrived.arrive()?;
        incrementals.push(look(&planted.data, &report, false)?);
    }
    let kept = fs::read(&report)?;
    let all = look(&planted.data, &report, true)?;
    if kept != fs::read(&report)? {
        return Err("the report of the kept figures is another one than that of all samples".into());
    }
    arrived.leave()?;
    let incremental = Median::of(&incrementals);
    figures.put_taken(samples, "incremental", &incremental);
    figures.put(samples, "incremental_vs_full", incremental.cpu_s / all.cpu_s);
    Ok(())
}

/// One look by the `weir` beside this program.
fn look(data: &Path, report: &Path, all: bool) -> Result<Taken, Failure> {
    let mut command = Command::new(beside("weir")?);
    command.arg("analyze").arg("--data").arg(data).args(["--experiment", EXPERIMENT, "--output", "json"]);
    command.arg("--output-file").arg(report);
    if all {
        command.arg("--no-figures");
    }
    run(&mut command, &VERDICTS)
}

fn scan(data: &Path) -> Result<Taken, Failure> {
    run(Command::new(beside("examples/scan")?).arg(data).arg(EXPERIMENT), &[0])
}

/// A program that was built with this one.
fn beside(name: &str) -> Result<PathBuf, Failure> {
    let path = std::env::current_exe()?.parent().ok_or("no folder of programs")?.join(name);
    if path.exists() {
        Ok(path)
    } else {
        Err(format!("no {}; hint: `make bench` builds it", path.display()).into())
    }
}

/// Takes away what a look keeps.
fn forget(data: &Path) -> Result<(), Failure> {
    let kept = data.join(".figures");
    if kept.exists() {
        fs::remove_dir_all(kept)?;
    }
    Ok(())
}

/// Samples that come later: files that are linked into the data folder.
struct Arrived {
    links: Vec<(PathBuf, PathBuf)>,
}

impl Arrived {
    fn new(data: &Path, more: &Path) -> Result<Self, Failure> {
        let mut links = Vec::new();
        for from in weir_sample::list_files(more, weir_sample::Kind::Samples, Some(EXPERIMENT))? {
            let to = data.join(from.strip_prefix(more)?);
            links.push((from, to));
        }
        Ok(Self { links })
    }

    fn arrive(&self) -> Result<(), Failure> {
        for (from, to) in &self.links {
            fs::create_dir_all(to.parent().ok_or("no folder")?)?;
            fs::hard_link(from, to)?;
        }
        Ok(())
    }

    fn leave(&self) -> Result<(), Failure> {
        for (_, to) in &self.links {
            if to.exists() {
                fs::remove_file(to)?;
            }
        }
        Ok(())
    }
}

fn against_evidently(bench: &Path, samples: usize, figures: &mut Figures) -> Result<(), Failure> {
    let python =
        std::env::var_os("WEIR_EVIDENTLY").map_or_else(|| ".venv/evidently/bin/python".into(), PathBuf::from);
    if !python.exists() {
        println!("no Evidently at {}: vs_evidently is skipped; hint: make setup-tools", python.display());
        return Ok(());
    }
    let planted = planted(bench, samples)?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/with_evidently.py");
    let report = bench.join("report.json");
    look(&planted.data, &report, true)?;
    let full = look(&planted.data, &report, true)?;
    let phrases = bench.join("phrases.json");
    fs::write(&phrases, run(&mut Command::new(beside("examples/phrases")?), &[0])?.stdout)?;
    figures.put_taken(samples, "full_beside_evidently", &Median::of(std::slice::from_ref(&full)));
    for (name, phrases) in [("evidently_few", None), ("evidently", Some(&phrases))] {
        eprintln!("{name} on {samples} samples");
        let evidently = run(Command::new(&python).arg(&script).arg(&planted.data).args(phrases), &[0])?;
        let steps: Value = serde_json::from_str(evidently.stdout.lines().last().unwrap_or_default())?;
        let all_s = steps.get("all_s").and_then(Value::as_f64).ok_or("Evidently's script named no time")?;
        figures.put_taken(samples, name, &Median::of(&[evidently]));
        figures.put(samples, &format!("{name}_work_s"), all_s);
        figures.put(samples, &format!("vs_{name}"), all_s / full.wall_s);
    }
    Ok(())
}

/// The median of each figure.
struct Median {
    wall_s: f64,
    cpu_s: f64,
    peak_mib: f64,
}

impl Median {
    fn of(all: &[Taken]) -> Self {
        let median = |figure: fn(&Taken) -> f64| {
            let mut values: Vec<f64> = all.iter().map(figure).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
        };
        Self {
            wall_s: median(|taken| taken.wall_s),
            cpu_s: median(|taken| taken.cpu_s),
            peak_mib: median(|taken| taken.peak_mib),
        }
    }
}

/// Figures by name, printed as they come.
#[derive(Default)]
struct Figures(Map<String, Value>);

impl Figures {
    fn put(&mut self, samples: usize, name: &str, value: f64) {
        println!("{samples:>10}  {name:<28} {value:>12.3}");
        let of_size = self.0.entry(samples.to_string()).or_insert_with(|| json!({}));
        if let Value::Object(of_size) = of_size {
            of_size.insert(name.to_owned(), json!(value));
        }
    }

    fn put_taken(&mut self, samples: usize, name: &str, taken: &Median) {
        self.put(samples, &format!("{name}_wall_s"), taken.wall_s);
        self.put(samples, &format!("{name}_cpu_s"), taken.cpu_s);
        self.put(samples, &format!("{name}_peak_mib"), taken.peak_mib);
    }
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from)
}
