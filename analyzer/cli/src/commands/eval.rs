//! `weir eval`: both versions against a golden set, each case as often as asked for.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use weir_gate::{Better, CaptureHealth, MetricSeries, Pairs, SCORE_PREFIX, Severity, Spending, Tripwire};
use weir_judge::client::{Endpoint, Judge};
use weir_judge::golden::{Case, Went, read_golden};
use weir_judge::history::append_history;
use weir_judge::prompt::pointwise;
use weir_meaning::Embedder;
use weir_meaning::embedder::distance;

use crate::arguments::EvalArguments;
use crate::commands::analyze::read_gates;
use crate::commands::bar;
use crate::commands::embed::choice;
use crate::commands::eval_tripwires::tripwires;
use crate::commands::eval_views::{junit, markdown, text, write};
use crate::commands::judge::{endpoint, read_rubric};
use crate::exit::{Exit, OrExit, Outcome, failure};
use crate::say::say_text;

/// Runs `weir eval`.
pub(crate) async fn run(arguments: &EvalArguments) -> Outcome {
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
    let (went, criteria) =
        checked(&cases, &answers, arguments.repeats, judge.as_ref(), embedder.as_ref()).await;
    for ((id, version, _), answer) in &answers {
        if let Err(problem) = answer {
            eprintln!(
                "warning: case {id}: {} {problem}",
                if *version == 0 { "control" } else { "candidate" }
            );
        }
    }
    let wires = tripwires(&cases, &answers, arguments.repeats, &criteria);
    let evaluation = gates.map(|gates| {
        let series = series(&went, &criteria);
        let evaluation = weir_gate::evaluate(&gates, &series, &CaptureHealth::default(), Spending::ALL);
        weir_gate::restrain(evaluation, &wires, &[])
    });
    let text = text(&went, &criteria, &wires, evaluation.as_ref());
    say_text!("{text}");
    write(arguments.markdown.as_deref(), &markdown(&went, &text))?;
    write(arguments.junit.as_deref(), &junit(&went, &wires))?;
    if let Some(history) = &arguments.history {
        append_history(history, &went).or_data()?;
    }
    Ok(exit(&went, &wires, evaluation.map(|evaluation| evaluation.verdict)))
}

/// Holds every answer against its case.
async fn checked(
    cases: &[Case],
    answers: &Answers,
    repeats: u32,
    judge: Option<&(weir_judge::Rubric, Judge)>,
    embedder: Option<&Embedder>,
) -> (Vec<Went>, Criteria) {
    let (mut went, mut criteria) = (Vec::new(), Criteria::new());
    for case in cases {
        let mut of = [Vec::new(), Vec::new()];
        let mut missed = Vec::new();
        for (version, shares) in of.iter_mut().enumerate() {
            for repeat in 0..repeats {
                let answer = answers.get(&(case.id.clone(), version, repeat));
                let share = match answer {
                    Some(Ok(answer)) => {
                        let scores = scored(judge, case, answer).await;
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
                            embedder,
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
    (went, criteria)
}

/// Scores of a judge by criterion, case and version.
pub(crate) type Criteria = BTreeMap<String, BTreeMap<String, [Vec<f64>; 2]>>;
pub(crate) type Answers = BTreeMap<(String, usize, u32), Result<String, String>>;

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

pub(crate) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

pub(crate) fn series(went: &[Went], criteria: &Criteria) -> Vec<MetricSeries> {
    let one = |name: String, pairs: Pairs, noise_pairs: Pairs| MetricSeries {
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
    let mut all = vec![one(format!("{SCORE_PREFIX}expectations"), pairs, noise)];
    for (criterion, cases) in criteria {
        let pairs =
            cases.values().filter_map(|[control, candidate]| Some((mean(control)?, mean(candidate)?)));
        all.push(one(format!("{SCORE_PREFIX}{criterion}"), pairs.collect(), Pairs::default()));
    }
    all
}

fn exit(went: &[Went], wires: &[Tripwire], verdict: Option<weir_gate::Verdict>) -> Exit {
    let critical = |wire: &Tripwire| wire.severity == Severity::Critical;
    match verdict {
        Some(verdict) => Exit::of(verdict),
        None if went.iter().any(Went::regressed) || wires.iter().any(critical) => Exit::Rollback,
        None if !went.iter().all(Went::complete) => Exit::Hold,
        None if !wires.is_empty() => Exit::Human,
        None => Exit::Pass,
    }
}
