//! `weir watch`: the controller's loop with this program's look, a timeline on standard error, and the report at the end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use weir_controller::{Event, Rollout, RolloutMetrics, WatchOptions, What};
use weir_look::{Embedding, Judging, JudgingOptions, Looker};
use weir_meaning::EmbedderChoice;
use weir_policy::Policy;
use weir_report::{Step, TimelineEntry};

use crate::arguments::WatchArguments;
use crate::commands::analyze::{read_gates, read_metrics};
use crate::commands::board::Board;
use crate::commands::documents::{self, Traffic};
use crate::commands::embed::processors;
use crate::commands::hands::refused;
use crate::commands::judge::{judges, options, read_rubric};
use crate::commands::{read_text, stopped};
use crate::exit::{Exit, Failure, OrExit, Outcome, failure};
use crate::output;

/// Runs the command.
pub(crate) async fn run(arguments: &WatchArguments) -> Outcome {
    let wants_report = !arguments.output.output.is_empty() || !arguments.output.output_file.is_empty();
    let plan = output::plan(&arguments.output.output, &arguments.output.output_file).or_usage()?;
    let rollout = Rollout::parse(&arguments.rollout.display().to_string(), &read_text(&arguments.rollout)?)
        .or_usage()?;
    let given = read_gates(&arguments.gates)?;
    let gates = rollout.gates(&given);
    // A rollout may make gates stricter; the document alone then gives another report.
    let as_given = gates == given;
    let meaning = match (&arguments.embedder, &arguments.embedding_model) {
        (None, None) => None,
        (name, folder) => {
            let choice = EmbedderChoice::of(name.as_deref(), folder.as_deref()).or_usage()?;
            Some(Embedding::open(&choice, processors()).or_usage()?)
        }
    };
    let judging = judging(arguments, &rollout)?.map(Arc::new);
    let definitions = read_metrics(arguments.metrics.as_deref(), Some(&gates))?;
    let looker =
        Looker::new(arguments.data.clone(), gates).keeping(true).embedding(meaning).judging(judging.clone());
    let looker = Arc::new(looker.defining(definitions));
    let mut metrics = RolloutMetrics::new(&rollout);
    if let Some(path) = &arguments.metrics_file {
        metrics.write(path).map_err(|error| {
            failure(Exit::Data, format!("{}: cannot be written: {error}", path.display()))
        })?;
    }
    let mut metrics_fail = false;
    let mut board = Board::new(&rollout, arguments.envoy.target.proxies.len());
    let options = WatchOptions {
        data_dir: arguments.data.clone(),
        policy: watched_policy(&arguments.policy, &rollout.experiment)?,
        rollout,
        target: arguments.envoy.target.clone(),
        deadline: arguments.deadline_seconds.map(Duration::from_secs),
        wait_for_sign_off: arguments.wait_for_sign_off,
        restart: arguments.restart,
    };
    let steps: Vec<(String, f64)> = steps(&options.rollout);
    let experiment = options.rollout.experiment.clone();
    let policy = serde_json::from_str(&options.policy.to_json()).unwrap_or_default();
    let mut last: Option<(String, u64)> = None;
    let mut timeline = Vec::new();
    let (looking, newest) = (Arc::clone(&looker), Arc::clone(&looker));
    let outcome = weir_controller::watch(
        options,
        move |request| {
            let look = looking.look(&request.experiment, request.revision, request.spending)?;
            Ok(look.evaluation.clone())
        },
        |event| {
            board.tell(&event, newest.newest_us());
            metrics.take(&event);
            if let Some(path) = &arguments.metrics_file {
                let written = metrics.write(path);
                if let (Err(error), false) = (&written, metrics_fail) {
                    eprintln!("{}: cannot be written: {error}; the watch goes on", path.display());
                }
                metrics_fail = written.is_err();
            }
            match &event.what {
                What::Looked { step, revision, .. } => last = Some((step.clone(), *revision)),
                _ => timeline.push(entry(&event)),
            }
        },
        stopped(),
    )
    .await;
    board.end();
    let outcome = outcome.map_err(refused)?;
    if wants_report && let Some(mut report) = looker.report(timeline).or_data()? {
        report.policy = policy;
        if let Some((name, revision)) = last {
            report.step = step(&steps, &name);
            if as_given {
                let newest_us = looker.newest_us();
                report.generated_from.command =
                    again(arguments, &experiment, revision, steps.len(), newest_us);
            }
        }
        output::draw(&report, &plan)?;
    }
    Ok(match outcome.exit_code() {
        0 => Exit::Pass,
        1 => Exit::Rollback,
        4 => Exit::Human,
        6 => Exit::NotConfirmed,
        _ => Exit::Hold,
    })
}

/// The policy of a file, or of the experiment that the rollout names where the file has several.
fn watched_policy(path: &Path, experiment: &str) -> Result<Policy, Failure> {
    match documents::read(path, None)? {
        Traffic::Policy(policy) => Ok(*policy),
        Traffic::Experiments(_) => documents::read_one(path, Some(experiment)),
    }
}

/// The judges that work beside the looks, where a rubric is given.
fn judging(arguments: &WatchArguments, rollout: &Rollout) -> Result<Option<Judging>, Failure> {
    let panel = judges(&arguments.panel)?;
    let Some(rubric) = &arguments.rubric else {
        return if panel.is_empty() {
            Ok(None)
        } else {
            Err(failure(Exit::Usage, "judges have nothing to go by\n  hint: --rubric RUBRIC".to_owned()))
        };
    };
    if panel.is_empty() {
        let hint = "hint: --judge NAME=MODEL@URL, or --replay FILE";
        return Err(failure(Exit::Usage, format!("--rubric {}: nobody judges\n  {hint}", rubric.display())));
    }
    let options = JudgingOptions {
        judge: options(&arguments.panel, &arguments.data, &rollout.experiment),
        rubric: read_rubric(rubric)?,
        judges: panel,
    };
    Judging::start(options, |problem| eprintln!("warning: {problem}")).map(Some).or_data()
}

/// Name and percent of each step.
fn steps(rollout: &Rollout) -> Vec<(String, f64)> {
    let steps = rollout.steps.iter();
    steps
        .map(|step| (step.name.clone(), step.candidate_percent.map_or(0.0, |share| share.percent())))
        .collect()
}

/// The step with this name, as a report says it.
fn step(steps: &[(String, f64)], name: &str) -> Option<Step> {
    let at = steps.iter().position(|(step, _)| step == name)?;
    let place = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let candidate_percent = steps.get(at).map_or(0.0, |(_, percent)| *percent);
    Some(Step { name: name.to_owned(), number: place(at + 1), of: place(steps.len()), candidate_percent })
}

/// The words of a command that looks at the same samples by the same gates.
fn again(
    arguments: &WatchArguments,
    experiment: &str,
    revision: u64,
    steps: usize,
    newest_us: Option<i64>,
) -> Vec<String> {
    let path = |path: &PathBuf| path.display().to_string();
    let after = newest_us.and_then(|us| jiff::Timestamp::from_microsecond(us.saturating_add(1)).ok());
    let options = [
        ("--data", Some(path(&arguments.data))),
        ("--experiment", Some(experiment.to_owned())),
        ("--gates", Some(path(&arguments.gates))),
        ("--metrics", arguments.metrics.as_ref().map(path)),
        ("--revision", Some(revision.to_string())),
        ("--until", after.map(|time| time.to_string())),
        ("--steps", Some(steps.to_string())),
    ];
    let given = options.into_iter().filter_map(|(option, value)| Some([option.to_owned(), value?]));
    ["weir", "analyze"].map(str::to_owned).into_iter().chain(given.flatten()).collect()
}

fn entry(event: &Event) -> TimelineEntry {
    TimelineEntry {
        at: event.at.to_string(),
        kind: event.what.kind().to_owned(),
        text: event.what.to_string(),
    }
}
