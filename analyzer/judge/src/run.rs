//! Judging an experiment: which answers, in which order, within which budget.
//!
//! Plan: the wanted revision first, then pairs before others (an exchange's two answers belong together), then control's
//! second answers, then answers without a pair; within each the segments of undecided gates first, and then by a hash of the
//! sample id and the seed, so that a small budget is a random sample (of those segments first: gates about the whole traffic
//! see more of them while they are first, so name segments only where the gates about the whole are decided). Concurrency keeps as many calls
//! under way as allowed; a rate limit spaces their starts. The run ends early at a budget, or after [`DOWN_AFTER`] failures in
//! a row: what was said is kept and the next run goes on from there.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use thiserror::Error;
use tokio::task::JoinSet;
use weir_meaning::legs::{Answer, Chosen, Exchange, read};
use weir_sample::{Leg, Score, Variant, write_samples};

use crate::breakdown::{Position, Steadiness, Steady, Twice, steadiness_file};
use crate::choice::{Segments, inside};
use crate::client::{Judge, JudgeError};
use crate::labels::{steady, write_json};
use crate::prompt::{Mode, Question, pairwise, pointwise};
use crate::rubric::{Rubric, pairwise_name};
use crate::store::{Said, Store};

/// Failures in a row after which an endpoint counts as down.
pub const DOWN_AFTER: u32 = 5;
/// Characters of one token, about: for the estimate of a dry run and of budgets before the endpoint has counted.
const CHARS_PER_TOKEN: u64 = 4;
/// Tokens of a reply, about: scores and a sentence.
const REPLY_TOKENS: u64 = 90;

/// What the names of files with judges' scores begin with.
pub const JUDGE_PART: &str = "part-judge-";

/// Why judging stopped.
#[derive(Debug, Error)]
pub enum RunError {
    /// Samples or scores.
    #[error(transparent)]
    Meaning(#[from] weir_meaning::MeaningError),
    /// Scores could not be written.
    #[error(transparent)]
    File(#[from] weir_sample::FileError),
    /// The store.
    #[error(transparent)]
    Durable(#[from] weir_sample::durable::DurableError),
    /// A judge that cannot be asked.
    #[error(transparent)]
    Judge(#[from] JudgeError),
}

/// What may be spent; nothing where absent is without a limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Budget {
    /// Calls.
    pub calls: Option<u64>,
    /// Tokens, both ways.
    pub tokens: Option<u64>,
    /// Money, in the unit of the prices.
    pub money: Option<f64>,
    /// Price of a million tokens to the judge.
    pub price_prompt: f64,
    /// Price of a million tokens from the judge.
    pub price_completion: f64,
}

/// What to judge.
#[derive(Clone, Debug)]
pub struct JudgeOptions {
    /// The data folder.
    pub data_dir: PathBuf,
    /// The experiment.
    pub experiment: String,
    /// Only this policy revision.
    pub revision: Option<i64>,
    /// Samples of this policy revision come before the others.
    pub first: Option<i64>,
    /// Segments of gates that are undecided: within a class their exchanges come first; of none, all are alike.
    pub segments: Segments,
    /// Of the order within a class.
    pub seed: u64,
    /// How answers are put.
    pub mode: Mode,
    /// Calls under way at the same time, of each judge.
    pub concurrency: usize,
    /// Starts per second of each judge.
    pub rate_per_second: Option<f64>,
    /// What may be spent, over all judges.
    pub budget: Budget,
    /// Pointwise questions of each judge that are put a second time, to see whether it agrees with itself; the second
    /// answer is no score.
    pub again: usize,
    /// Only say what it would cost.
    pub dry_run: bool,
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Judged {
    /// Questions that there are, over all judges.
    pub questions: u64,
    /// Of those, answered in earlier runs.
    pub known: u64,
    /// Calls that were paid now.
    pub calls: u64,
    /// Replies that were no judgement: missing, in all runs.
    pub unparsable: u64,
    /// Questions that failed at the endpoint: missing, asked again in the next run.
    pub failed: u64,
    /// Questions that the budget left, or that a judge that is down left.
    pub left: u64,
    /// Tokens paid now (dry run: estimated).
    pub tokens: u64,
    /// Money paid now (dry run: estimated).
    pub money: f64,
    /// Scores in the table now, over all runs.
    pub scores: u64,
    /// Problems by judge, each kind once.
    pub problems: Vec<String>,
}

/// One answer, or pair of answers, to be judged by one judge.
struct Task {
    judge: usize,
    question: Question,
    key: String,
    /// Put a second time.
    again: bool,
    /// Who gets the score: leg, variant, time; `true` where it is the second of a pair.
    of: Vec<(String, Leg, Variant, i64, bool)>,
}

impl Task {
    /// The same question, to be answered anew.
    fn again(&self) -> Self {
        Self {
            judge: self.judge,
            question: self.question.clone(),
            key: format!("{}-again", self.key),
            again: true,
            of: self.of.clone(),
        }
    }
}

/// Judges the answers of an experiment.
///
/// # Errors
/// Files; failures of a judge are counted instead.
pub async fn judge(
    options: &JudgeOptions,
    rubric: &Rubric,
    judges: &[Judge],
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Judged, RunError> {
    let chosen = Chosen { revision: options.revision, ..Chosen::texts(&options.experiment) };
    let exchanges = read(&options.data_dir, chosen)?;
    let tasks = plan(options, rubric, judges, &exchanges);
    let mut store = Store::open(&options.data_dir)?;
    let mut judged = Judged { questions: tasks.len() as u64, ..Judged::default() };
    // The same question may come twice (equal answers): it is paid once.
    let mut waiting: VecDeque<&Task> = VecDeque::new();
    let mut seen = std::collections::HashSet::new();
    for task in &tasks {
        if store.get(&task.key).is_some() {
            judged.known += 1;
        } else if seen.insert(task.key.clone()) {
            waiting.push_back(task);
        }
    }
    if options.dry_run {
        for task in waiting {
            judged.calls += 1;
            judged.tokens += estimate(&task.question) + REPLY_TOKENS;
            judged.money += money(&options.budget, estimate(&task.question), REPLY_TOKENS);
        }
        return Ok(judged);
    }
    ask_all(options, rubric, judges, waiting, &mut store, &mut judged, progress).await?;
    let rows = rows(options, &tasks, &store, judges, &mut judged);
    judged.scores = rows.len() as u64;
    let part = format!("{JUDGE_PART}{}-{}", rubric.name, rubric.digest());
    write_samples(&options.data_dir, &part, rows)?;
    keep_steadiness(options, &tasks, &store, judges)?;
    Ok(judged)
}

/// What the order of answers, and a second time, did to each judge; criteria of other runs are kept.
fn keep_steadiness(
    options: &JudgeOptions,
    tasks: &[Task],
    store: &Store,
    judges: &[Judge],
) -> Result<(), RunError> {
    type Place = (usize, String);
    let mut said: BTreeMap<(Place, String), Vec<(bool, f64)>> = BTreeMap::new();
    for task in tasks {
        let scores = store.get(&task.key).and_then(|said| said.scores.as_ref());
        let Some((id, leg, ..)) = task.of.first() else { continue };
        let answer = match options.mode {
            Mode::Pointwise => format!("{id} {}", leg.as_str()),
            Mode::Pairwise => id.clone(),
        };
        for (criterion, score) in scores.into_iter().flatten() {
            let place = ((task.judge, criterion.clone()), answer.clone());
            said.entry(place).or_default().push((task.again, *score));
        }
    }
    let (mut orders, mut twice) = (BTreeMap::<Place, Vec<_>>::new(), BTreeMap::<Place, Vec<_>>::new());
    for ((place, _), said) in said {
        match (options.mode, said.as_slice()) {
            (Mode::Pairwise, [(_, one), (_, other)]) => {
                orders.entry(place).or_default().push((*one, *other));
            }
            (Mode::Pointwise, [(false, one), (true, other)]) => {
                twice.entry(place).or_default().push((*one, *other));
            }
            _ => {}
        }
    }
    if orders.is_empty() && twice.is_empty() {
        return Ok(());
    }
    // A file that cannot be read says nothing that this run does not say again.
    let mut all: Steady = steady(&options.data_dir, &options.experiment).unwrap_or_default();
    let name = |judge: usize| judges.get(judge).map_or("", Judge::name).to_owned();
    for ((judge, criterion), orders) in orders {
        let found = Steadiness { position: Some(Position::of(&orders)), twice: None };
        all.entry(name(judge)).or_default().insert(pairwise_name(&criterion), found);
    }
    for ((judge, criterion), scores) in twice {
        let found = Steadiness { position: None, twice: Some(Twice::of(&scores)) };
        all.entry(name(judge)).or_default().insert(criterion, found);
    }
    write_json(&options.data_dir, &steadiness_file(&options.data_dir, &options.experiment), &all)
}

/// Later classes wait for earlier ones.
const CLASSES: u8 = 3;

fn plan(
    options: &JudgeOptions,
    rubric: &Rubric,
    judges: &[Judge],
    exchanges: &BTreeMap<String, Exchange>,
) -> Vec<Task> {
    let mut planned: Vec<((u8, bool, u64), Task)> = Vec::new();
    for (id, exchange) in exchanges {
        let request = exchange.request.as_deref().unwrap_or_default();
        let text = |answer: &'_ Option<Answer>| {
            answer.as_ref().and_then(|a| Some((a.text.clone()?, a.variant, a.ts_us)))
        };
        let (primary, shadow, noise) =
            (text(&exchange.primary), text(&exchange.shadow), text(&exchange.noise));
        let paired = primary.is_some() && shadow.is_some();
        let later = if options.first.is_some() && exchange.revision != options.first { CLASSES } else { 0 };
        let aside = !inside(exchange, &options.segments);
        for (judge, asked) in judges.iter().enumerate() {
            let mut add = |class: u8, question: Question, of: Vec<(String, Leg, Variant, i64, bool)>| {
                let order = xxhash_rust::xxh3::xxh3_64_with_seed(id.as_bytes(), options.seed);
                let place = (class + later, aside, order);
                planned.push((place, Task { judge, key: asked.key(&question), again: false, question, of }));
            };
            match options.mode {
                Mode::Pointwise => {
                    for (leg, answer, class) in [
                        (Leg::Primary, &primary, if paired { 0 } else { 2 }),
                        (Leg::Shadow, &shadow, if paired { 0 } else { 2 }),
                        (Leg::Noise, &noise, 1),
                    ] {
                        if let Some((text, variant, ts)) = answer {
                            add(
                                class,
                                pointwise(rubric, request, text),
                                vec![(id.clone(), leg, *variant, *ts, false)],
                            );
                        }
                    }
                }
                Mode::Pairwise => {
                    if let (Some((left, of_left, at_left)), Some((right, of_right, at_right))) =
                        (&primary, &shadow)
                    {
                        let (l, r) = (
                            (id.clone(), Leg::Primary, *of_left, *at_left),
                            (id.clone(), Leg::Shadow, *of_right, *at_right),
                        );
                        let both = |swap: bool| {
                            vec![(l.0.clone(), l.1, l.2, l.3, swap), (r.0.clone(), r.1, r.2, r.3, !swap)]
                        };
                        add(0, pairwise(rubric, request, left, right), both(false));
                        add(0, pairwise(rubric, request, right, left), both(true));
                    }
                }
            }
        }
    }
    planned.sort_by_key(|(place, _)| *place);
    let mut tasks: Vec<Task> = planned.into_iter().map(|(_, task)| task).collect();
    if options.mode == Mode::Pointwise {
        let of = |judge: usize| tasks.iter().filter(move |task| task.judge == judge).take(options.again);
        let twice: Vec<Task> = (0..judges.len()).flat_map(of).map(Task::again).collect();
        tasks.extend(twice);
    }
    tasks
}

#[allow(clippy::too_many_arguments)]
async fn ask_all(
    options: &JudgeOptions,
    rubric: &Rubric,
    judges: &[Judge],
    mut waiting: VecDeque<&Task>,
    store: &mut Store,
    judged: &mut Judged,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(), RunError> {
    let all = waiting.len();
    let rubric = std::sync::Arc::new(rubric.clone());
    let mut running: JoinSet<(usize, u64, String, Result<Said, String>)> = JoinSet::new();
    let mut state: Vec<Line> = judges.iter().map(|_| Line::default()).collect();
    let (mut done, mut reserved) = (0, (0_u64, 0_u64));
    loop {
        let mut at = 0;
        while let Some(task) = waiting.get(at).copied() {
            let (Some(line), Some(asked)) = (state.get_mut(task.judge), judges.get(task.judge)) else {
                break;
            };
            if line.failures >= DOWN_AFTER || !fits(options, judged, reserved, &task.question) {
                judged.left += 1;
                waiting.remove(at);
                continue;
            }
            if line.running >= options.concurrency.max(1) {
                at += 1;
                if state.iter().all(|line| line.running >= options.concurrency.max(1)) {
                    break;
                }
                continue;
            }
            waiting.remove(at);
            line.running += 1;
            let wait = line.slot(options.rate_per_second);
            let size = estimate(&task.question) + REPLY_TOKENS;
            reserved = (reserved.0 + 1, reserved.1 + size);
            let (asked, question, rubric, judge, key) = (
                asked.clone(),
                task.question.clone(),
                std::sync::Arc::clone(&rubric),
                task.judge,
                task.key.clone(),
            );
            running.spawn(async move {
                tokio::time::sleep_until(wait).await;
                (judge, size, key, asked.ask(&rubric, &question).await)
            });
        }
        let Some(finished) = running.join_next().await else { break };
        done += 1;
        progress(done, all);
        let Ok((judge, size, key, said)) = finished else { continue };
        reserved = (reserved.0.saturating_sub(1), reserved.1.saturating_sub(size));
        let Some(line) = state.get_mut(judge) else { continue };
        line.running -= 1;
        match said {
            Ok(said) => {
                line.failures = 0;
                judged.calls += 1;
                judged.tokens += said.prompt_tokens + said.completion_tokens;
                judged.money += money(&options.budget, said.prompt_tokens, said.completion_tokens);
                store.put(Said { key, ..said })?;
            }
            Err(problem) => {
                line.failures += 1;
                judged.failed += 1;
                let name = judges.get(judge).map_or("", |judge| judge.name());
                let problem = format!("judge {name} {problem}");
                if !judged.problems.contains(&problem) {
                    judged.problems.push(problem);
                }
            }
        }
    }
    Ok(())
}

/// What is under way at one judge.
#[derive(Default)]
struct Line {
    running: usize,
    failures: u32,
    next: Option<tokio::time::Instant>,
}

impl Line {
    fn slot(&mut self, rate_per_second: Option<f64>) -> tokio::time::Instant {
        let now = tokio::time::Instant::now();
        let Some(rate) = rate_per_second.filter(|rate| *rate > 0.0) else { return now };
        let slot = self.next.map_or(now, |next| next.max(now));
        self.next = Some(slot + Duration::from_secs_f64(1.0 / rate));
        slot
    }
}

/// Whether a question fits the budget, with what is under way counted at its estimate.
fn fits(options: &JudgeOptions, judged: &Judged, (calls, tokens): (u64, u64), question: &Question) -> bool {
    let budget = &options.budget;
    let size = estimate(question);
    let all_tokens = judged.tokens + tokens + size + REPLY_TOKENS;
    let spent = judged.money + money(budget, tokens + size, REPLY_TOKENS);
    // Failed calls may have been paid.
    budget.calls.is_none_or(|limit| judged.calls + judged.failed + calls < limit)
        && budget.tokens.is_none_or(|limit| all_tokens <= limit)
        && budget.money.is_none_or(|limit| spent <= limit)
}

fn estimate(question: &Question) -> u64 {
    (question.system.len() + question.user.len()) as u64 / CHARS_PER_TOKEN + 1
}

fn money(budget: &Budget, prompt: u64, completion: u64) -> f64 {
    (prompt as f64 * budget.price_prompt + completion as f64 * budget.price_completion) / 1e6
}

/// Every score that the store knows of these tasks; both orders of a pair are averaged, and one order alone is missing.
fn rows(
    options: &JudgeOptions,
    tasks: &[Task],
    store: &Store,
    judges: &[Judge],
    judged: &mut Judged,
) -> Vec<Score> {
    type Place = (usize, String, &'static str, String);
    let mut sums: BTreeMap<Place, (f64, u32, Score)> = BTreeMap::new();
    for task in tasks.iter().filter(|task| !task.again) {
        let Some(said) = store.get(&task.key) else { continue };
        let Some(scores) = &said.scores else {
            judged.unparsable += 1;
            continue;
        };
        for (id, leg, variant, ts_us, second) in &task.of {
            for (criterion, score) in scores {
                let score = if *second { 1.0 - score } else { *score };
                let criterion = match options.mode {
                    Mode::Pointwise => criterion.clone(),
                    Mode::Pairwise => pairwise_name(criterion),
                };
                let row = || Score {
                    experiment: options.experiment.clone(),
                    sample_id: id.clone(),
                    leg: *leg,
                    variant: *variant,
                    ts_us: *ts_us,
                    criterion: criterion.clone(),
                    score: 0.0,
                    judge: judges.get(task.judge).map(|judge| judge.name().to_owned()),
                    // Of a pair the one of the first order.
                    reason: said.reason.clone(),
                };
                let place = (task.judge, id.clone(), leg.as_str(), criterion.clone());
                let sum = sums.entry(place).or_insert_with(|| (0.0, 0, row()));
                sum.0 += score;
                sum.1 += 1;
            }
        }
    }
    let needed = if options.mode == Mode::Pairwise { 2 } else { 1 };
    sums.into_values()
        .filter(|(_, count, _)| *count >= needed)
        .map(|(sum, count, row)| Score { score: sum / f64::from(count), ..row })
        .collect()
}
