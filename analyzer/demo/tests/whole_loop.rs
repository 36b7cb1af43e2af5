//! The whole loop on a real Envoy: every scenario ends as it should, and nothing is left behind.
//!
//! Needs `make setup` and `make filter` (or `WEIR_ENVOY` and `WEIR_FILTER`). The recorded answers are real data that is
//! not part of the project; without them that test prints a line and checks nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use weir_demo::ui::{About, Silent};
use weir_demo::{DemoOptions, DemoOutcome, Pace, Scenario, run};
use weir_gate::{Outcome, Verdict};

/// One loop at a time: each of them wants the whole of a small machine.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

async fn play(mut options: DemoOptions) -> (DemoOutcome, Arc<Silent>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    options.out_dir = Some(folder.path().join("out"));
    let ui = Arc::new(Silent::default());
    let outcome = run(options, Arc::clone(&ui) as Arc<dyn weir_demo::Ui>).await.expect("the demo runs");
    let told =
        || ui.notes().into_iter().map(|note| format!("{:?} {}\n", note.at, note.text)).collect::<String>();
    assert_eq!(outcome.counts.failed, 0, "failed: {:?}\n{}", outcome.failures, told());
    assert!(outcome.counts.answered > 100, "{}", told());
    let problems: Vec<_> = ui.notes().into_iter().filter(|note| note.about == About::Problem).collect();
    assert!(problems.is_empty(), "{problems:?}");
    let html = std::fs::read_to_string(&outcome.report).unwrap();
    assert!(html.contains("support-answers"), "the report names the experiment");
    assert!(parquet_files(&outcome.data) > 0);
    (outcome, ui, folder)
}

fn parquet_files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| match path.is_dir() {
            true => parquet_files(&path),
            false => usize::from(path.extension().is_some_and(|extension| extension == "parquet")),
        })
        .sum()
}

fn quick(scenario: Scenario) -> DemoOptions {
    let mut options = DemoOptions::scenario(scenario);
    options.pace = Pace { step_seconds_min: 2, step_pairs_min: 100, advance_on: "promote" };
    options.turn_after = Duration::from_secs(1);
    options.deadline = Duration::from_secs(100);
    options
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_turns_worse_is_caught_rolled_back_and_confirmed() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let (outcome, ui, _folder) = play(quick(Scenario::Worse)).await;
    assert_eq!(outcome.exit_code(), 0, "{}", outcome.summary());
    assert_eq!((outcome.verdict, outcome.step.as_str()), (Verdict::Rollback, "20 %"));
    assert!(outcome.caught.iter().any(|caught| caught.outcome == Outcome::Breach), "{:?}", outcome.caught);
    let rollback = outcome.rollback.as_ref().unwrap();
    assert!(rollback.confirmed_after.is_some());
    let turn = outcome.turn.unwrap();
    assert!(turn.answers > 0 && turn.unusable > 0, "users met the worse candidate: {turn:?}");
    assert!(outcome.counts.by_candidate < outcome.counts.answered);
    // In mode `off`, before the rollout, the filter says nothing; every later answer names its variant.
    assert!(outcome.counts.by_unknown < outcome.counts.answered / 4, "{:?}", outcome.counts);
    let steps: Vec<_> = ui.notes().into_iter().filter(|note| note.about == About::Step).collect();
    assert!(steps.last().unwrap().text.starts_with("rolled back"), "{steps:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_only_mean_something_else_are_caught_by_a_judge_beside_the_looks() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let options =
        DemoOptions { turn_after: Duration::from_secs(1), ..DemoOptions::scenario(Scenario::Meaning) };
    let (outcome, ..) = play(options).await;
    assert_eq!(outcome.exit_code(), 0, "{}", outcome.summary());
    let by: Vec<&str> = outcome.caught.iter().map(|caught| caught.gate.as_str()).collect();
    assert!(by.contains(&"on-topic"), "{}", outcome.summary());
    let blind = ["errors", "json", "order-id", "hedging", "length", "latency"];
    assert!(
        !by.iter().any(|gate| blind.contains(gate)),
        "nothing but its meaning changed: {}",
        outcome.summary()
    );
    assert_eq!(outcome.turn.unwrap().unusable, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_model_under_two_names_is_not_rolled_back() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let (outcome, ..) = play(quick(Scenario::Same)).await;
    assert!(outcome.rollback.is_none(), "{}", outcome.summary());
    assert!(matches!(outcome.exit_code(), 0 | 3), "{}", outcome.summary());
    assert!(outcome.counts.by_candidate > 0, "the candidate came as far as the users: {}", outcome.summary());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_better_model_waits_for_a_human() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let (outcome, ..) = play(quick(Scenario::Better)).await;
    assert_eq!((outcome.exit_code(), outcome.verdict), (4, Verdict::SignOff), "{}", outcome.summary());
    assert_eq!(outcome.counts.by_candidate, 0, "nobody was served by it before the sign-off");
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_answers_of_a_worse_model_roll_back_and_those_of_the_same_model_do_not() {
    let Some(folder) = recorded_answers() else {
        eprintln!("skipped: no recorded answers at ../shared/data/alpaca_eval beside the project");
        return;
    };
    let _turn = ONE_AT_A_TIME.lock().await;
    let between = |control: &str, candidate: &str| {
        DemoOptions::answers(folder.clone(), control.to_owned(), candidate.to_owned())
    };
    let (worse, ..) = play(between("claude-2", "vicuna-7b")).await;
    assert_eq!((worse.exit_code(), worse.verdict), (1, Verdict::Rollback), "{}", worse.summary());
    assert!(worse.caught.iter().any(|caught| caught.gate.contains("quality")), "{}", worse.summary());
    let (same, ..) = play(between("vicuna-13b-v1.5", "vicuna-13b-v1.5-togetherai")).await;
    assert!(same.rollback.is_none() && same.verdict != Verdict::Rollback, "{}", same.summary());
    assert!(matches!(same.exit_code(), 0 | 3), "{}", same.summary());
}

fn recorded_answers() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = here.ancestors().nth(3)?.join("shared/data/alpaca_eval");
    folder.is_dir().then_some(folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_that_is_dropped_leaves_no_envoy_behind() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let mut options = quick(Scenario::Worse);
    let out = folder.path().join("out");
    options.out_dir = Some(out.clone());
    let demo = run(options, Arc::new(Silent::default()));
    let interrupted = tokio::time::timeout(Duration::from_secs(6), demo).await;
    assert!(interrupted.is_err(), "the demo was still under way");
    assert!(out.join("envoy/admin.address").is_file(), "envoy had been started");
    let bootstrap = std::fs::canonicalize(out.join("envoy")).unwrap().join("bootstrap.yaml");
    assert_eq!(processes_with(&bootstrap.display().to_string()), Vec::<String>::new());
}

fn processes_with(argument: &str) -> Vec<String> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(argument))
        .collect()
}
