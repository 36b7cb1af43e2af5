//! `weir eval`: both versions against a golden set. `weir golden`: cases from captured failures, and what the set covers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use weir_gate::{Better, CaptureHealth, MetricSeries, Spending};
use weir_judge::client::{Endpoint, Judge};
use weir_judge::golden::{Case, Went, from_failure, read_golden};
use weir_judge::prompt::pointwise;
use weir_meaning::cache::vectors;
use weir_meaning::embedder::distance;
use weir_meaning::{Embedder, clusters, legs};
use weir_sample::{Kind, Leg, Score, list_files, read_file};

use crate::arguments::{
    EvalArguments, GoldenAddArguments, GoldenArguments, GoldenCommand, GoldenCoverageArguments,
};
use crate::commands::analyze::read_gates;
use crate::commands::bar;
use crate::commands::embed::{choice, experiment, processors};
use crate::commands::judge::{endpoint, read_rubric};
use crate::exit::{Exit, Failure, OrExit, Outcome, failure};

/// Clusters of prompts that coverage tells apart.
const CLUSTERS: usize = 12;

/// Runs `weir eval`.
pub(crate) async fn eval(arguments: &EvalArguments) -> Outcome {
    let cases = read_golden(&arguments.golden).or_usage()?;
    let gates = arguments.gates.as_deref().map(read_gates).transpose()?;
    let open = |name: &str, text: &str| {
        endpoint(&format!("{name}={text}"), arguments.key_variable.as_deref(), arguments.timeout_seconds)
    };
    let versions = [open("control", &arguments.control)?, open("candidate", &arguments.candidate)?];
    let judge = match (&arguments.rubric, &arguments.judge) {
        (Some(rubric), Some(judge)) => {
            let judge = endpoint(judge, arguments.key_variable.as_deref(), arguments.timeout_seconds)?;
            Some((read_rubric(rubric)?, Judge::Endpoint(judge)))
        }
        _ => None,
    };
    let needs = |kind: &str| cases.iter().any(|case| case.expect.iter().any(|e| e.kind() == Some(kind)));
    if needs("judge") && judge.is_none() {
        return Err(failure(
            Exit::Usage,
            "the set has expectations of a judge\n  hint: --rubric RUBRIC --judge NAME=MODEL@URL",
        ));
    }
    let embedder = match needs("similar_to") {
        true => Some(Embedder::open(&choice(&arguments.embedder)?, 1).or_usage()?),
        false => None,
    };
    let answers = ask(&cases, &versions, arguments).await;
    let (mut went, mut criteria) = (Vec::new(), Criteria::new());
    for case in &cases {
        let mut of = [Vec::new(), Vec::new()];
        let mut missed = Vec::new();
        for (version, shares) in of.iter_mut().enumerate() {
            for repeat in 0..arguments.repeats {
                let answer = answers.get(&(case.id.clone(), version, repeat));
                let share = match answer {
                    Some(Ok(answer)) => {
                        let scores = scored(judge.as_ref(), case, answer).await;
                        for (criterion, score) in &scores {
                            let of_case = criteria
                                .entry(criterion.clone())
                                .or_default()
                                .entry(case.id.clone())
                                .or_default();
                            if let Some(scores) = of_case.get_mut(version) {
                                scores.push(*score);
                            }
                        }
                        check(
                            case,
                            answer,
                            &scores,
                            embedder.as_ref(),
                            (version == 1 && repeat == 0).then_some(&mut missed),
                        )
                    }
                    _ => None,
                };
                shares.push(share);
            }
        }
        let [control, candidate] = of;
        went.push(Went { id: case.id.clone(), control, candidate, missed });
    }
    for ((id, version, _), answer) in &answers {
        if let Err(problem) = answer {
            eprintln!(
                "warning: case {id}: {} {problem}",
                if *version == 0 { "control" } else { "candidate" }
            );
        }
    }
    let evaluation = gates.map(|gates| {
        weir_gate::evaluate(&gates, &series(&went, &criteria), &CaptureHealth::default(), Spending::ALL)
    });
    let text = text(&went, &criteria, evaluation.as_ref());
    print!("{text}");
    write(arguments.markdown.as_deref(), &markdown(&went, &text))?;
    write(arguments.junit.as_deref(), &junit(&went))?;
    Ok(exit(&went, evaluation.map(|evaluation| evaluation.verdict)))
}

/// Scores of a judge by criterion, case and version.
type Criteria = BTreeMap<String, BTreeMap<String, [Vec<f64>; 2]>>;
type Answers = BTreeMap<(String, usize, u32), Result<String, String>>;

async fn ask(cases: &[Case], versions: &[Endpoint; 2], arguments: &EvalArguments) -> Answers {
    let slots = Arc::new(tokio::sync::Semaphore::new(arguments.concurrency.max(1)));
    let mut running = tokio::task::JoinSet::new();
    for case in cases {
        for (version, endpoint) in versions.iter().enumerate() {
            for repeat in 0..arguments.repeats {
                let (endpoint, slots) = (endpoint.clone(), Arc::clone(&slots));
                let (id, messages) = (case.id.clone(), json!([{"role": "user", "content": case.prompt}]));
                running.spawn(async move {
                    let _slot = slots.acquire_owned().await;
                    let body = json!({"model": endpoint.model(), "messages": messages});
                    let answer = endpoint.complete(&body).await.map(|(text, _, _)| text);
                    ((id, version, repeat), answer)
                });
            }
        }
    }
    let mut answers = Answers::new();
    let mut progress = bar("asking", "answers");
    let all = running.len();
    while let Some(done) = running.join_next().await {
        answers.extend(done.ok());
        progress(answers.len(), all);
    }
    answers
}

/// A judge's scores; none where it failed, which is missing and no zero.
async fn scored(
    judge: Option<&(weir_judge::Rubric, Judge)>,
    case: &Case,
    answer: &str,
) -> BTreeMap<String, f64> {
    let Some((rubric, judge)) = judge else { return BTreeMap::new() };
    match judge.ask(rubric, &pointwise(rubric, &case.prompt, answer)).await {
        Ok(said) => said.scores.unwrap_or_default(),
        Err(problem) => {
            eprintln!("warning: case {}: judge {problem}", case.id);
            BTreeMap::new()
        }
    }
}

/// The share of expectations that hold; none where one could not be checked.
fn check(
    case: &Case,
    answer: &str,
    scores: &BTreeMap<String, f64>,
    embedder: Option<&Embedder>,
    mut missed: Option<&mut Vec<String>>,
) -> Option<f64> {
    let mut similarity = |left: &str, right: &str| {
        let made = embedder?.embed(&[left, right], &mut |_| {}).ok()?;
        distance(made.first()?, made.get(1)?).map(|far| 1.0 - far)
    };
    let mut held = 0.0;
    for expectation in &case.expect {
        if expectation.holds(answer, &mut similarity, &mut |criterion| scores.get(criterion).copied())? {
            held += 1.0;
        } else if let Some(missed) = &mut missed {
            missed.push(expectation.kind().unwrap_or("expectation").to_owned());
        }
    }
    Some(held / case.expect.len().max(1) as f64)
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn series(went: &[Went], criteria: &Criteria) -> Vec<MetricSeries> {
    let one = |name: String, pairs: Vec<(f64, f64)>, noise_pairs: Vec<(f64, f64)>| MetricSeries {
        name,
        unit: "score".to_owned(),
        better: Better::Higher,
        bounds: Some((0.0, 1.0)),
        pairs,
        noise_pairs,
        missing: went.iter().filter(|went| !went.complete()).count() as u64,
        ..MetricSeries::default()
    };
    let of = |repeats: &[Option<f64>]| mean(&repeats.iter().flatten().copied().collect::<Vec<_>>());
    let pairs = went.iter().filter_map(|went| Some((of(&went.control)?, of(&went.candidate)?))).collect();
    let noise =
        went.iter().filter_map(|went| Some(((*went.control.first()?)?, (*went.control.get(1)?)?))).collect();
    let mut all = vec![one("score:expectations".to_owned(), pairs, noise)];
    for (criterion, cases) in criteria {
        let pairs =
            cases.values().filter_map(|[control, candidate]| Some((mean(control)?, mean(candidate)?)));
        all.push(one(format!("score:{criterion}"), pairs.collect(), Vec::new()));
    }
    all
}

fn exit(went: &[Went], verdict: Option<weir_gate::Verdict>) -> Exit {
    match verdict {
        Some(verdict) => Exit::of(verdict),
        None if went.iter().any(Went::regressed) => Exit::Rollback,
        None if !went.iter().all(Went::complete) => Exit::Hold,
        None => Exit::Pass,
    }
}

fn text(went: &[Went], criteria: &Criteria, evaluation: Option<&weir_gate::Evaluation>) -> String {
    let count = |of: fn(&Went) -> bool| went.iter().filter(|went| of(went)).count();
    let mut text = format!(
        "{} cases: {} regressed, {} improved, {} without all answers\n",
        went.len(),
        count(Went::regressed),
        count(Went::improved),
        count(|went| !went.complete())
    );
    for series in series(went, criteria) {
        let (control, candidate) = (
            series.pairs.iter().map(|pair| pair.0).collect::<Vec<_>>(),
            series.pairs.iter().map(|pair| pair.1).collect::<Vec<_>>(),
        );
        if let (Some(control), Some(candidate)) = (mean(&control), mean(&candidate)) {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{:<24} control {control:.3}  candidate {candidate:.3}  difference {:+.3} ({} cases)",
                series.name,
                candidate - control,
                series.pairs.len()
            );
        }
    }
    for went in went.iter().filter(|went| went.regressed()) {
        let _ = writeln!(text, "regressed: {} (missed: {})", went.id, went.missed.join(", "));
    }
    if let Some(evaluation) = evaluation {
        let _ = writeln!(text, "verdict: {}", evaluation.verdict);
        for reason in &evaluation.reasons {
            let _ = writeln!(text, "  {}", reason.text);
        }
    }
    text
}

fn word(went: &Went) -> &'static str {
    match went {
        went if went.regressed() => "regressed",
        went if went.improved() => "improved",
        went if !went.complete() => "no answer",
        went if weir_judge::golden::passes(&went.candidate) == Some(true) => "passes",
        _ => "fails with both",
    }
}

fn markdown(went: &[Went], text: &str) -> String {
    let mut page = format!(
        "## Golden set\n\n```text\n{}```\n\n| case | result | missed |\n|---|---|---|\n",
        text.replace("```", "` ` `")
    );
    for went in went {
        let id: String =
            went.id.chars().map(|c| if c.is_control() || c == '|' || c == '<' { ' ' } else { c }).collect();
        let _ = writeln!(page, "| {id} | {} | {} |", word(went), went.missed.join(", "));
    }
    page
}

fn junit(went: &[Went]) -> String {
    let escape = |text: &str| -> String {
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
    };
    let failures = went.iter().filter(|went| went.regressed()).count();
    let mut page = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"golden\" tests=\"{}\" failures=\"{failures}\">\n",
        went.len()
    );
    for went in went {
        let _ = write!(page, "  <testcase classname=\"golden\" name=\"{}\"", escape(&went.id));
        let _ = if went.regressed() {
            writeln!(page, "><failure message=\"missed: {}\"/></testcase>", escape(&went.missed.join(", ")))
        } else if went.complete() {
            writeln!(page, "/>")
        } else {
            writeln!(page, "><skipped message=\"no answer\"/></testcase>")
        };
    }
    page + "</testsuite>\n"
}

fn write(path: Option<&Path>, text: &str) -> Result<(), Failure> {
    let Some(path) = path else { return Ok(()) };
    std::fs::write(path, text)
        .map_err(|error| failure(Exit::Data, format!("{}: cannot be written: {error}", path.display())))
}

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
    let exchanges = legs::read(data, &experiment, None).or_data()?;
    let mut lines = String::new();
    let mut added = 0;
    for (_, id) in worst(data, &experiment)? {
        let Some(exchange) = exchanges.get(&id) else { continue };
        let (Some(prompt), Some((wanted, _))) = (exchange.request.as_deref(), exchange.pair()) else {
            continue;
        };
        if added == arguments.count || !known.insert(folded(prompt)) {
            continue;
        }
        let case = from_failure(&experiment, &id, prompt, wanted, arguments.at_least);
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
    println!("{added} cases added to {} ({} were there)", arguments.golden.display(), existing.len());
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
    let exchanges = legs::read(data, &experiment, None).or_data()?;
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
    println!(
        "{} prompts, {} cases, {}; a case covers prompts within distance {}",
        asked.len(),
        cases.len(),
        embedder.identity(),
        arguments.within
    );
    let mut gaps = 0;
    for cluster in 0..k {
        let part = |inside: bool| {
            let chosen = asked.iter().zip(&of).filter(move |(_, at)| (**at == cluster) == inside);
            chosen.map(|((text, vector), _)| (*text, *vector)).collect::<Vec<_>>()
        };
        let (inside, outside) = (part(true), part(false));
        if inside.is_empty() {
            continue;
        }
        let covered = inside
            .iter()
            .filter(|(_, prompt)| {
                cases.iter().filter_map(|case| made.of(&case.prompt)).any(|case| near(prompt, case))
            })
            .count();
        let name = clusters::name(
            &inside.iter().map(|one| one.0).collect::<Vec<_>>(),
            &outside.iter().map(|one| one.0).collect::<Vec<_>>(),
        );
        gaps += usize::from(covered == 0);
        let mark = if covered == 0 { "NOT COVERED" } else { "covered" };
        println!("{:>5} of {:>5} prompts  {mark:<11}  {name}", covered, inside.len());
    }
    for case in &cases {
        let stale =
            made.of(&case.prompt).is_none_or(|vector| !views.iter().any(|prompt| near(prompt, vector)));
        if stale {
            println!("stale: {} (nobody asks this any more)", case.id);
        }
    }
    Ok(if gaps == 0 { Exit::Pass } else { Exit::Human })
}
