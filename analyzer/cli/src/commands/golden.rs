//! `weir golden`: cases from captured failures, and what a set covers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use weir_collector::redact::{Finds, Redactor};
use weir_judge::golden::{Case, from_failure, read_golden};
use weir_judge::history::{RUNS_MIN, read_history, telling_nothing};
use weir_meaning::cache::vectors;
use weir_meaning::embedder::distance;
use weir_meaning::legs::Chosen;
use weir_meaning::{Embedder, clusters, legs};
use weir_sample::{Kind, Leg, Score, list_files, read_file};

use crate::arguments::{GoldenAddArguments, GoldenArguments, GoldenCommand, GoldenCoverageArguments};
use crate::commands::bar;
use crate::commands::embed::{choice, experiment, processors};
use crate::exit::{Exit, Failure, OrExit, Outcome, failure};
use crate::say::say;

/// Clusters of prompts that coverage tells apart.
const CLUSTERS: usize = 12;

/// Runs `weir golden`.
pub(crate) fn golden(arguments: &GoldenArguments) -> Outcome {
    match &arguments.command {
        GoldenCommand::Add(arguments) => add(arguments),
        GoldenCommand::Coverage(arguments) => coverage(arguments),
    }
}

fn add(arguments: &GoldenAddArguments) -> Outcome {
    if !(0.0..=1.0).contains(&arguments.at_least) {
        return Err(failure(Exit::Usage, format!("--at-least {}: allowed: 0 to 1", arguments.at_least)));
    }
    let data = &arguments.data.data;
    let experiment = experiment(data, arguments.data.experiment.as_deref())?;
    let existing =
        if arguments.golden.exists() { read_golden(&arguments.golden).or_usage()? } else { Vec::new() };
    let mut known: BTreeSet<String> = existing.iter().map(|case| folded(&case.prompt)).collect();
    let exchanges = legs::read(data, Chosen::texts(&experiment)).or_data()?;
    // A set leaves the folder of the samples, so nothing goes by what was redacted when they were taken in.
    let redactor = Redactor::new().or_data()?;
    let mut finds = Finds::default();
    let mut lines = String::new();
    let mut added = 0;
    for (_, id) in worst(data, &experiment)? {
        let Some(exchange) = exchanges.get(&id) else { continue };
        let answered = exchange.pair().and_then(|(control, _)| control.text.as_deref());
        let (Some(prompt), Some(wanted)) = (exchange.request.as_deref(), answered) else {
            continue;
        };
        if added == arguments.count || !known.insert(folded(prompt)) {
            continue;
        }
        let (prompt, wanted) = (redactor.redact(prompt, &mut finds), redactor.redact(wanted, &mut finds));
        let case = from_failure(&experiment, &id, &prompt, &wanted, arguments.at_least);
        lines += &(serde_json::to_string(&case).or_data()? + "\n");
        added += 1;
    }
    use std::io::Write as _;
    let wrap = |error: std::io::Error| {
        failure(Exit::Data, format!("{}: cannot be written: {error}", arguments.golden.display()))
    };
    let mut file =
        std::fs::File::options().append(true).create(true).open(&arguments.golden).map_err(wrap)?;
    file.write_all(lines.as_bytes()).and_then(|()| file.sync_all()).map_err(wrap)?;
    say!(
        "{added} cases added to {} ({} were there); {} secrets masked",
        arguments.golden.display(),
        existing.len(),
        finds.total()
    );
    Ok(Exit::Pass)
}

/// Words only, so that the same question is not kept twice.
fn folded(prompt: &str) -> String {
    let lower = prompt.to_lowercase();
    lower.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Exchanges whose copy scored below control's answer, the worst first.
fn worst(data: &Path, experiment: &str) -> Result<Vec<(f64, String)>, Failure> {
    let mut sums: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for file in list_files(data, Kind::Scores, Some(experiment)).or_data()? {
        // `weir analyze` names what cannot be read.
        for score in read_file::<Score>(&file).unwrap_or_default() {
            if score.criterion.starts_with("distance:") {
                continue;
            }
            let sum = sums.entry(score.sample_id).or_insert((f64::NAN, f64::NAN));
            let place = match score.leg {
                Leg::Primary => &mut sum.0,
                Leg::Shadow => &mut sum.1,
                Leg::Noise => continue,
            };
            *place = if place.is_nan() { score.score } else { *place + score.score };
        }
    }
    let mut worst: Vec<(f64, String)> = sums
        .into_iter()
        .map(|(id, (control, candidate))| (candidate - control, id))
        .filter(|(fall, _)| *fall < 0.0)
        .collect();
    worst.sort_by(|left, right| left.0.total_cmp(&right.0).then(left.1.cmp(&right.1)));
    Ok(worst)
}

fn coverage(arguments: &GoldenCoverageArguments) -> Outcome {
    let cases = read_golden(&arguments.golden).or_usage()?;
    let data = &arguments.data.data;
    let experiment = experiment(data, arguments.data.experiment.as_deref())?;
    let threads = arguments.embedder.threads.unwrap_or_else(processors);
    let embedder = Embedder::open(&choice(&arguments.embedder)?, threads).or_usage()?;
    let exchanges = legs::read(data, Chosen::texts(&experiment)).or_data()?;
    let prompts: Vec<&str> = exchanges.values().filter_map(|exchange| exchange.request.as_deref()).collect();
    let texts: Vec<&str> =
        prompts.iter().copied().chain(cases.iter().map(|case| case.prompt.as_str())).collect();
    let made = vectors(data, &embedder, &texts, &mut bar("embedding", "texts")).or_data()?;
    let asked: Vec<(&str, &[f32])> =
        prompts.iter().filter_map(|text| Some((*text, made.of(text)?))).collect();
    let near = |one: &[f32], other: &[f32]| distance(one, other).is_some_and(|far| far <= arguments.within);
    let views: Vec<&[f32]> = asked.iter().map(|(_, vector)| *vector).collect();
    let k = CLUSTERS.min(views.len().div_ceil(10)).max(1);
    let of = clusters::assign(&views, k);
    say!(
        "{} prompts, {} cases, {}; a case covers prompts within distance {}",
        asked.len(),
        cases.len(),
        embedder.identity(),
        arguments.within
    );
    let gaps = uncovered(&cases, &asked, &of, k, |text| made.of(text), near);
    for case in &cases {
        let stale =
            made.of(&case.prompt).is_none_or(|vector| !views.iter().any(|prompt| near(prompt, vector)));
        if stale {
            say!("stale: {} (nobody asks this any more)", case.id);
        }
    }
    if let Some(path) = &arguments.history {
        tell_nothing(&cases, path)?;
    }
    Ok(if gaps == 0 { Exit::Pass } else { Exit::Human })
}

/// Says of each cluster of prompts how many are covered; how many clusters are not at all.
fn uncovered<'v>(
    cases: &[Case],
    asked: &[(&str, &[f32])],
    of: &[usize],
    k: usize,
    vector: impl Fn(&str) -> Option<&'v [f32]>,
    near: impl Fn(&[f32], &[f32]) -> bool,
) -> usize {
    let mut gaps = 0;
    for cluster in 0..k {
        let part = |inside: bool| {
            let chosen = asked.iter().zip(of).filter(move |(_, at)| (**at == cluster) == inside);
            chosen.map(|((text, vector), _)| (*text, *vector)).collect::<Vec<_>>()
        };
        let (inside, outside) = (part(true), part(false));
        if inside.is_empty() {
            continue;
        }
        let covered = inside
            .iter()
            .filter(|(_, prompt)| {
                cases.iter().filter_map(|case| vector(&case.prompt)).any(|case| near(prompt, case))
            })
            .count();
        let name = clusters::name(
            &inside.iter().map(|one| one.0).collect::<Vec<_>>(),
            &outside.iter().map(|one| one.0).collect::<Vec<_>>(),
        );
        gaps += usize::from(covered == 0);
        let mark = if covered == 0 { "NOT COVERED" } else { "covered" };
        say!("{:>5} of {:>5} prompts  {mark:<11}  {name}", covered, inside.len());
    }
    gaps
}

/// Cases on which both versions have gone alike for several runs.
fn tell_nothing(cases: &[Case], history: &Path) -> Result<(), Failure> {
    let alike = telling_nothing(&read_history(history).or_usage()?);
    for case in cases {
        if let Some(passed) = alike.get(&case.id) {
            let how = if *passed { "held" } else { "failed" };
            say!("tells nothing apart: {} (both versions {how} in the last {RUNS_MIN} runs)", case.id);
        }
    }
    Ok(())
}
