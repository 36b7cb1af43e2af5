//! Makes `POWER.md` and `power.svg`: how often each rule rolls back, by how much worse a candidate is and how many pairs there are.
//!
//! `cargo run --release -p weir-gate --example power [RUNS [FOLDER]]` writes POWER.md (what stands above its mark stays) and power.svg
//! into the folder, this crate's without one; 200 runs without a number, the same RUNS give the same bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../tests/common/mod.rs"]
mod common;
mod plot;

use std::path::PathBuf;

use common::traffic::{Change, after, of_seeds, rollout};
use common::{Random, healthy};
use plot::Panel;
use weir_gate::{
    Better, Gate, Gates, KAYENTA_CONFIDENCE, KAYENTA_TOLERANCE, Labels, Margin, MetricSeries, Severity,
    Spending, Verdict, evaluate, kayenta_score,
};

const PAIRS: [usize; 5] = [200, 500, 1_000, 2_000, 4_000];
const EVERY: usize = 100;
const LAST: usize = 4_000;
/// Margins of the simulated traffic, which a `Change` is a multiple of.
const FLAG: f64 = 0.07;
const AMOUNT: f64 = 0.3;
const SCORE: f64 = 0.03;

/// What is compared.
const RULES: [&str; 5] = [
    "Weir, any number of looks",
    "the same by one test at n",
    "5 % tests, one look",
    "5 % tests, every look",
    "Kayenta's rule, one look",
];
/// What stands above this line in POWER.md is written by hand.
const MARK: &str = "<!-- Below this line: examples/power -->";
/// Kayenta's usual threshold: a lower score is a failure.
const KAYENTA_MARGINAL: f64 = 75.0;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let runs = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(200);
    let folder = PathBuf::from(arguments.next().unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").to_owned()));
    let panels: Vec<Panel> = scenarios()
        .into_iter()
        .map(|(name, change)| {
            eprintln!("{name}");
            let counts = of_seeds(0..runs, |run| one(&mut Random(31 + 7_919 * run), change));
            let share = |rule: usize, at: usize| {
                counts.iter().filter(|hit| hit[rule][at]).count() as f64 / runs as f64
            };
            (name.to_owned(), std::array::from_fn(|rule| std::array::from_fn(|at| share(rule, at))))
        })
        .collect();
    let page = folder.join("POWER.md");
    let kept = std::fs::read_to_string(&page).unwrap();
    let (kept, _) = kept.split_once(MARK).expect("POWER.md has the mark");
    std::fs::write(&page, format!("{kept}{MARK}\n\n{}{}", intro(runs), tables(&panels))).unwrap();
    std::fs::write(folder.join("power.svg"), plot::svg(&panels)).unwrap();
}

fn tables(panels: &[Panel]) -> String {
    let head: Vec<String> = PAIRS.iter().map(|n| format!("{n} pairs")).collect();
    let mut text = String::new();
    for (name, rules) in panels {
        text += &format!(
            "\n### {name}\n\n| rule | {} |\n|---|{}\n",
            head.join(" | "),
            "--:|".repeat(PAIRS.len())
        );
        for (called, shares) in RULES.iter().zip(rules) {
            let cells: Vec<String> = shares.iter().map(|share| format!("{:.1} %", 100.0 * share)).collect();
            text += &format!("| {called} | {} |\n", cells.join(" | "));
        }
    }
    text
}

fn intro(runs: u64) -> String {
    format!(
        "## Power of the built-in gates\n\n\
         Share of {runs} simulated rollouts that are rolled back by the time so many pairs are there, by the built-in pack with\n\
         alpha 0.05. Traffic: sessions of one to six requests, metrics that go together, latency with a Pareto tail\n\
         (`tests/common/traffic.rs`). This part and the picture are made by\n\
         `cargo run --release -p weir-gate --example power {runs}`, always the same for a number of rollouts.\n\n\
         ![Share of simulated rollouts that are rolled back, by rule and pairs](power.svg)\n\n\
         - **Weir, any number of looks**: the pack as `weir watch` uses it, looked at every {EVERY} pairs.\n\
         - **the same by one test at n**: the same margins, severities and shares of alpha, but one normal test with the clusters'\n  \
           standard errors at exactly that n, which had to be chosen beforehand. The distance to the first row is the price of\n  \
           being free to look.\n\
         - **5 % tests, one look** and **every look**: \"significantly worse at 5 %: one such metric is looked at, two roll back\",\n  \
           without margins and without heed of sessions, by one test at n or watched every {EVERY} pairs.\n\
         - **Kayenta's rule, one look**: its score at n is below 75 (its usual threshold for a failure), every metric with the same\n  \
           weight, its default tolerance of 0.25 and confidence of 0.98, pairs taken as two samples (`weir analyze --judge kayenta`).\n  \
           Metrics of flags and small shifts pass it at any n, and one bad metric of eleven leaves a score of 91, two one of 82: from 75 to\n  \
           95 a human is called.\n\n\
         The first table is about false alarms: nothing changed, and a rule should hardly ever roll back. The others are about\n\
         candidates that are worse. Below its margins (the second table) a change is one that was declared acceptable.\n"
    )
}

fn scenarios() -> [(&'static str, Change); 6] {
    let none = Change::default();
    [
        ("Nothing changed", none),
        (
            "Half of a margin: errors +0.5 points, quality -1 point",
            Change { errors: 0.005 / FLAG, scores: 0.01 / SCORE, ..none },
        ),
        ("Errors +3 points", Change { errors: 0.03 / FLAG, ..none }),
        ("Quality -5 points", Change { scores: 0.05 / SCORE, ..none }),
        ("Latency +150 %", Change { latency: 1.5 / AMOUNT, ..none }),
        (
            "Somewhat worse in all: flags +3 points, quality -4 points, latency +20 %",
            Change { flags: 0.03 / FLAG, scores: 0.04 / SCORE, latency: 0.2 / AMOUNT, ..none },
        ),
    ]
}

/// For each rule whether it has rolled back by each n.
fn one(random: &mut Random, change: Change) -> [[bool; PAIRS.len()]; RULES.len()] {
    let all = rollout(random, LAST, change);
    let gates = Gates::default_pack(&all);
    let share = gates_share(&gates);
    let mut hit = [[false; PAIRS.len()]; RULES.len()];
    let (mut watched, mut peeked) = (false, false);
    for look in 1..=LAST / EVERY {
        let n = look * EVERY;
        let seen = after_unlabelled(&all, n);
        watched = watched || evaluate(&gates, &seen, &healthy(), Spending::ALL).verdict == Verdict::Rollback;
        let plain = usual(&gates, &seen);
        peeked |= plain;
        if let Some(at) = PAIRS.iter().position(|pairs| *pairs == n) {
            hit[0][at] = watched;
            hit[1][at] = fixed(&gates, &seen, share);
            hit[2][at] = plain;
            hit[3][at] = peeked;
            hit[4][at] = kayenta_score(&seen, KAYENTA_TOLERANCE, KAYENTA_CONFIDENCE).score < KAYENTA_MARGINAL;
        }
    }
    hit
}

fn after_unlabelled(all: &[MetricSeries], n: usize) -> Vec<MetricSeries> {
    let mut seen = after(all, n);
    for series in &mut seen {
        series.labels = Labels::default();
    }
    seen
}

/// Each gate's share of alpha under the rule.
fn gates_share(gates: &Gates) -> f64 {
    let count = |severity| {
        gates.gates.iter().filter(|gate| gate.severity == severity && gate.direction.is_none()).count()
    };
    gates.alpha / (count(Severity::Critical) as f64 + count(Severity::Major) as f64 / 2.0).max(1.0)
}

/// The verdict's rule on one normal test per gate.
fn fixed(gates: &Gates, seen: &[MetricSeries], share: f64) -> bool {
    let breached = |gate: &&Gate| gate.direction.is_none() && past(gate, seen, share);
    let severities: Vec<Severity> = gates.gates.iter().filter(breached).map(|gate| gate.severity).collect();
    severities.contains(&Severity::Critical)
        || severities.iter().filter(|severity| **severity == Severity::Major).count() > 1
}

/// Two metrics significantly worse at 5 %.
fn usual(gates: &Gates, seen: &[MetricSeries]) -> bool {
    let mut metrics: Vec<&str> =
        gates.gates.iter().map(|gate| gate.metric.split(":p").next().unwrap()).collect();
    metrics.dedup();
    let worse = |metric: &&&str| {
        let series = seen.iter().find(|series| series.name == **metric).unwrap();
        let sign = if series.better == Better::Higher { -1.0 } else { 1.0 };
        let worse: Vec<f64> = series.pairs.iter().map(|(x, y)| sign * (y - x)).collect();
        let (mean, error) = mean_and_error(&worse, &[]);
        let change = if series.better == Better::Neither { mean.abs() } else { mean };
        let z = if series.better == Better::Neither { 1.96 } else { 1.645 };
        error > 0.0 && change > z * error
    };
    metrics.iter().filter(worse).count() > 1
}

/// Whether a gate's metric is past its margin by one test at a share of alpha.
fn past(gate: &Gate, seen: &[MetricSeries], share: f64) -> bool {
    let base = weir_gate::base_metric(&gate.metric);
    let Some(series) = seen.iter().find(|series| series.name == base) else { return false };
    let sign = if series.better == Better::Higher { -1.0 } else { 1.0 };
    let z = normal_quantile(1.0 - share);
    if base != gate.metric {
        let Margin::Relative(margin) = gate.margin else { return false };
        return tail_past(series, margin, z);
    }
    let control = series.pairs.iter().map(|pair| pair.0).sum::<f64>() / series.pairs.len() as f64;
    let (worse, margin): (Vec<f64>, f64) = match gate.margin {
        // Control's scores are below the pack's floor here, so that the gate is shown only.
        Margin::Bound(_) => return false,
        Margin::Absolute(margin) | Margin::OfScale(margin) => {
            (series.pairs.iter().map(|(x, y)| sign * (y - x)).collect(), margin)
        }
        // Candidate minus (1 + margin) times control, in units of control.
        Margin::Relative(margin) => {
            (series.pairs.iter().map(|(x, y)| sign * (y - x) / control).collect(), margin)
        }
    };
    let (mean, error) = mean_and_error(&worse, &series.pair_clusters);
    error > 0.0 && mean - z * error > margin
}

/// The 95th percentile's ratio by order statistics, each arm at a distance of `z / sqrt 2`.
fn tail_past(series: &MetricSeries, margin: f64, z: f64) -> bool {
    let sorted = |side: fn((f64, f64)) -> f64| {
        let mut values: Vec<f64> = series.pairs.iter().map(side).collect();
        values.sort_unstable_by(f64::total_cmp);
        values
    };
    let (control, candidate) = (sorted(|pair| pair.0), sorted(|pair| pair.1));
    let n = control.len() as f64;
    let reach = z / 2.0_f64.sqrt() * (n * 0.95 * 0.05).sqrt();
    let at = |values: &[f64], rank: f64| values.get(rank.round() as usize).copied();
    match (at(&candidate, 0.95 * n - reach), at(&control, 0.95 * n + reach)) {
        (Some(low), Some(high)) => low / high - 1.0 > margin,
        _ => false,
    }
}

/// Mean and its standard error, by clusters where there are any.
fn mean_and_error(values: &[f64], clusters: &[u32]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    if clusters.is_empty() {
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        return (mean, (squares / (n - 1.0) / n).sqrt());
    }
    let mut sums = std::collections::BTreeMap::<u32, f64>::new();
    for (value, cluster) in values.iter().zip(clusters) {
        *sums.entry(*cluster).or_default() += value - mean;
    }
    let count = sums.len() as f64;
    (mean, (sums.values().map(|sum| sum * sum).sum::<f64>() * count / (count - 1.0)).sqrt() / n)
}

/// By bisection of the distribution function (Abramowitz and Stegun 7.1.26).
fn normal_quantile(share: f64) -> f64 {
    let below = |z: f64| {
        let t = 1.0 / (1.0 + 0.327_591_1 * z / 2.0_f64.sqrt());
        let polynomial = t
            * (0.254_829_592
                + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
        1.0 - 0.5 * polynomial * (-z * z / 2.0).exp()
    };
    let (mut low, mut high) = (0.0, 6.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if below(middle) < share { low = middle } else { high = middle }
    }
    low
}
