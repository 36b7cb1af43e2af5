//! Simulated rollouts for the promises and for the power table: sessions of several requests, twelve metrics that go
//! together, latency with a heavy tail, users of three tiers and two languages.

use weir_gate::{Better, Direction, Gate, Gates, Labels, Margin, MetricSeries, Severity};

use super::{Random, series, share};

/// How the candidate differs, as multiples of each gate's margin for the worse; 0 everywhere is an unchanged rollout.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Change {
    /// Flags: errors, empty, cut, refused, hedging answers, invalid JSON.
    pub flags: f64,
    /// Errors alone.
    pub errors: f64,
    /// Length and tokens.
    pub length: f64,
    /// Latency: its mean and its tail.
    pub latency: f64,
    /// Both scores.
    pub scores: f64,
}

const FLAG_MARGIN: f64 = 0.07;
const AMOUNT_MARGIN: f64 = 0.3;
const TAIL_MARGIN: f64 = 0.8;
const SCORE_MARGIN: f64 = 0.03;

/// Twelve gates: three critical, seven major, one both ways, one shown only.
pub fn twelve_gates(alpha: f64) -> Gates {
    let gate = |name: &str, metric: &str, margin: Margin, severity: Severity| Gate {
        name: name.into(),
        metric: metric.into(),
        direction: None,
        margin,
        severity,
        segment: None,
        minimum_evidence: 50,
    };
    let flag =
        |name: &str, metric: &str, severity| gate(name, metric, Margin::Absolute(FLAG_MARGIN), severity);
    let amount =
        |name: &str, metric: &str, severity| gate(name, metric, Margin::Relative(AMOUNT_MARGIN), severity);
    let gates = vec![
        flag("errors", "error", Severity::Critical),
        flag("valid-json", "json_valid", Severity::Critical),
        gate("quality", "score:quality", Margin::Absolute(SCORE_MARGIN), Severity::Critical),
        flag("empty", "empty", Severity::Major),
        flag("cut", "truncated_answer", Severity::Major),
        flag("refusals", "refusal", Severity::Major),
        flag("hedging", "hedging", Severity::Major),
        gate("tone", "score:tone", Margin::Absolute(SCORE_MARGIN), Severity::Major),
        amount("latency", "latency_ms", Severity::Major),
        gate("latency-p95", "latency_ms:p95", Margin::Relative(TAIL_MARGIN), Severity::Major),
        Gate { direction: Some(Direction::Both), ..amount("length", "response_chars", Severity::Major) },
        amount("tokens", "completion_tokens", Severity::Advisory),
    ];
    Gates { alpha, gates }
}

/// Pairs of `requests` requests in order of time, with their sessions and labels.
pub fn rollout(random: &mut Random, requests: usize, change: Change) -> Vec<MetricSeries> {
    let mut columns: Vec<Vec<(f64, f64)>> = vec![Vec::new(); 11];
    let (mut clusters, mut places) = (Vec::new(), Vec::new());
    let mut session = 0;
    while clusters.len() < requests {
        // A session has a user, who has a tier and a language, and a subject, which is more or less hard.
        let tier = [0, 0, 0, 1, 1, 2][(random.next() % 6) as usize];
        let language = u32::from(random.unit() < 0.2);
        let subject = random.normal();
        for _ in 0..1 + random.next() % 6 {
            let hard = 0.7 * subject + 0.7 * random.normal();
            let pair = [answer(random, hard, Change::default()), answer(random, hard, change)];
            for (column, (control, candidate)) in columns.iter_mut().zip(pair[0].iter().zip(&pair[1])) {
                column.push((*control, *candidate));
            }
            clusters.push(session);
            places.push(2 * tier + language);
        }
        session += 1;
    }
    let label = |dimension: &str, value: &str| (dimension.to_owned(), value.to_owned());
    let sets = ["general", "beta", "internal"]
        .iter()
        .flat_map(|tier| ["en", "de"].map(|language| vec![label("tier", tier), label("language", language)]))
        .collect();
    let labels = Labels { sets, pairs: places[..requests].to_vec().into(), strata: Vec::new() };
    let names = [
        ("error", Better::Lower, true),
        ("json_valid", Better::Higher, true),
        ("score:quality", Better::Higher, true),
        ("empty", Better::Lower, true),
        ("truncated_answer", Better::Lower, true),
        ("refusal", Better::Lower, true),
        ("hedging", Better::Lower, true),
        ("score:tone", Better::Higher, true),
        ("latency_ms", Better::Lower, false),
        ("response_chars", Better::Neither, false),
        ("completion_tokens", Better::Neither, false),
    ];
    let mut all = Vec::new();
    for ((name, better, bounded), pairs) in names.into_iter().zip(columns) {
        let pairs = pairs[..requests].to_vec();
        let plain = match bounded {
            true => share(name, better, pairs),
            false => series(name, better, None, pairs),
        };
        let pair_clusters = clusters[..requests].to_vec().into();
        all.push(MetricSeries { pair_clusters, labels: labels.clone(), ..plain });
    }
    all
}

/// The figures of one answer, in the order of the series.
fn answer(random: &mut Random, hard: f64, change: Change) -> [f64; 11] {
    let unlucky = 0.5 * hard.clamp(-1.5, 1.5);
    let mut flag = |rate: f64, margins: f64| {
        // The mean of the factor over requests is one.
        let rate = rate * (1.0 + unlucky) + FLAG_MARGIN * margins;
        random.flag(rate.clamp(0.0, 1.0))
    };
    let error = flag(0.01, change.flags + change.errors);
    let invalid = flag(0.02, change.flags);
    let (empty, cut) = (flag(0.005, change.flags), flag(0.02, change.flags));
    let (refused, hedged) = (flag(0.03, change.flags), flag(0.05, change.flags));
    let mut score = |base: f64| {
        let noise = 0.25 * (random.unit() - 0.5);
        (base - 0.08 * hard.clamp(-2.0, 2.0) + noise - SCORE_MARGIN * change.scores).clamp(0.0, 1.0)
    };
    let (quality, tone) = (score(0.6), score(0.5));
    let slower = 1.0 + AMOUNT_MARGIN * change.latency;
    // One request in fifty waits: a tail of the Pareto kind with finite variance.
    let wait = if random.unit() < 0.02 { random.unit().max(1e-9).powf(-1.0 / 2.5) } else { 1.0 };
    let latency = random.lognormal(400.0 * (0.3 * hard).exp(), 0.6) * wait * slower;
    let longer = 1.0 + AMOUNT_MARGIN * change.length;
    let length = random.lognormal(600.0 * (0.3 * hard).exp(), 0.3) * longer;
    [
        error,
        1.0 - invalid,
        quality,
        empty,
        cut,
        refused,
        hedged,
        tone,
        latency,
        length,
        (length / 4.0).round(),
    ]
}

/// The rollout as it was after its first `n` requests.
pub fn after(all: &[MetricSeries], n: usize) -> Vec<MetricSeries> {
    let cut = |series: &MetricSeries| MetricSeries {
        name: series.name.clone(),
        unit: series.unit.clone(),
        better: series.better,
        bounds: series.bounds,
        pairs: series.pairs.part(0, n),
        pair_clusters: series.pair_clusters[..n].to_vec().into(),
        labels: Labels {
            sets: series.labels.sets.clone(),
            pairs: series.labels.pairs.iter().copied().take(n).collect(),
            strata: Vec::new(),
        },
        ..MetricSeries::default()
    };
    all.iter().map(cut).collect()
}

/// Work on every seed, on all processors, in order of the seeds.
pub fn of_seeds<T: Send>(seeds: std::ops::Range<u64>, work: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let next = std::sync::atomic::AtomicU64::new(seeds.start);
    let done = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, std::num::NonZero::get) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let result = work(seed);
                    done.lock().unwrap().push((seed, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(seed, _)| *seed);
    done.into_iter().map(|(_, result)| result).collect()
}
