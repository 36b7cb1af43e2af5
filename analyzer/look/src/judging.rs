//! Judges new answers while a rollout is watched, beside the looks and within one budget for all of it.
//!
//! A thread of its own asks the judges again and again; every round goes over answers that have no score yet, those of the
//! revision that is looked at first, pairs before others, of those the segments of undecided gates first, and ends after [`ROUND_CALLS_MAX`] calls, so that scores count soon. What was paid once is
//! not paid again. Problems are told through a callback, each text once. Dropping it ends it: calls under way
//! are given up, and what was said before is on disk.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;
use weir_judge::Rubric;
use weir_judge::choice::Segments;
use weir_judge::client::Judge;
use weir_judge::labels::{calibrate, file, read_labels};
use weir_judge::run::{JudgeOptions, Judged, judge};
use weir_meaning::MeaningError;

use crate::undecided::Undecided;

/// Least time between the ends of two rounds.
const PAUSE: Duration = Duration::from_millis(500);
/// Calls of one round.
const ROUND_CALLS_MAX: u64 = 400;

/// What is judged, by whom, for how much.
#[derive(Clone, Debug)]
pub struct JudgingOptions {
    /// Which answers and which budget, for the whole watch.
    pub judge: JudgeOptions,
    /// What the judges look at.
    pub rubric: Rubric,
    /// Who judges.
    pub judges: Vec<Judge>,
}

/// What judging has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// Calls, failed ones included.
    pub calls: u64,
    /// Tokens, both ways.
    pub tokens: u64,
    /// Money, in the unit of the prices.
    pub money: f64,
    /// Scores in the table.
    pub scores: u64,
    /// Questions that the budget does not reach.
    pub left: u64,
}

/// What comes first.
#[derive(Clone, Debug, Default)]
struct Wanted {
    revision: Option<i64>,
    segments: Segments,
}

/// Judges at work.
#[derive(Debug)]
pub struct Judging {
    stop: watch::Sender<bool>,
    spent: Arc<Mutex<Spent>>,
    wanted: Arc<Mutex<Wanted>>,
    thread: Option<JoinHandle<()>>,
}

impl Judging {
    /// Starts to judge. `tell` hears of problems.
    ///
    /// # Errors
    /// No thread or no runtime could be made.
    pub fn start(options: JudgingOptions, tell: impl Fn(&str) + Send + 'static) -> std::io::Result<Self> {
        let (stop, mut stopped) = watch::channel(false);
        let spent = Arc::new(Mutex::new(Spent::default()));
        let wanted = Arc::new(Mutex::new(Wanted::default()));
        let (shared, preferred) = (Arc::clone(&spent), Arc::clone(&wanted));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("judging".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped.wait_for(|stop| *stop) => {}
                    () = rounds(options, &shared, &preferred, &tell) => {}
                }
            });
        })?;
        Ok(Self { stop, spent, wanted, thread: Some(thread) })
    }

    /// Samples of this policy revision come first from now on.
    pub fn prefer(&self, revision: i64) {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).revision = Some(revision);
    }

    /// What undecided gates are about comes first, after pairs, from now on.
    pub fn focus(&self, undecided: Undecided) {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).segments = undecided.segments;
    }

    /// What it has cost so far.
    #[must_use]
    pub fn spent(&self) -> Spent {
        *self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Judging {
    fn drop(&mut self) {
        // Nobody listens any more when the thread has ended by itself.
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            // It tells its problems itself.
            let _ = thread.join();
        }
    }
}

async fn rounds(options: JudgingOptions, spent: &Mutex<Spent>, wanted: &Mutex<Wanted>, tell: &impl Fn(&str)) {
    let mut told = BTreeSet::new();
    let mut tell_once = |text: String| {
        if !told.contains(&text) {
            tell(&text);
            told.insert(text);
        }
    };
    loop {
        let so_far = *spent.lock().unwrap_or_else(PoisonError::into_inner);
        let mut round = options.judge.clone();
        let first = wanted.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (round.first, round.segments) = (first.revision, first.segments);
        let calls = round.budget.calls.map_or(u64::MAX, |calls| calls.saturating_sub(so_far.calls));
        round.budget.calls = Some(calls.min(ROUND_CALLS_MAX));
        round.budget.tokens = round.budget.tokens.map(|tokens| tokens.saturating_sub(so_far.tokens));
        round.budget.money = round.budget.money.map(|money| (money - so_far.money).max(0.0));
        match judge(&round, &options.rubric, &options.judges, &mut |_, _| {}).await {
            Ok(judged) => {
                judged.problems.iter().for_each(|problem| tell_once(problem.clone()));
                let now = so_far.and(&judged);
                let full = judged.calls + judged.failed >= ROUND_CALLS_MAX;
                if now.left > 0 && judged.problems.is_empty() && !full {
                    tell_once("the budget for judges is spent: later answers have no score".to_owned());
                }
                *spent.lock().unwrap_or_else(PoisonError::into_inner) = now;
                if let Err(problem) = trust(&options.judge) {
                    tell_once(problem);
                }
            }
            // Nothing was captured yet.
            Err(weir_judge::run::RunError::Meaning(MeaningError::NoSamples { .. })) => {}
            Err(error) => tell_once(error.to_string()),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// How far the judges are to be trusted is written with every round, so that a verdict knows of judges without labels.
fn trust(options: &JudgeOptions) -> Result<(), String> {
    let labels = read_labels(&file(&options.data_dir)).map_err(|error| error.to_string())?;
    calibrate(&options.data_dir, &options.experiment, &labels).map(|_| ()).map_err(|error| error.to_string())
}

impl Spent {
    fn and(self, judged: &Judged) -> Self {
        Self {
            calls: self.calls + judged.calls + judged.failed,
            tokens: self.tokens + judged.tokens,
            money: self.money + judged.money,
            scores: judged.scores,
            left: judged.left,
        }
    }
}
