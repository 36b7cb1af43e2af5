//! `weir watch`: the controller's loop with this program's look, a timeline on standard error, and the report at the end.

use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use weir_controller::{Event, Rollout, RolloutMetrics, WatchOptions, What};
use weir_look::{Embedding, Judging, JudgingOptions, Looker};
use weir_meaning::EmbedderChoice;
use weir_policy::Policy;
use weir_report::TimelineEntry;

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
    let gates = rollout.gates(&read_gates(&arguments.gates)?);
    let meaning = match (&arguments.embedder, &arguments.embedding_model) {
        (None, None) => None,
        (name, folder) => {
            let choice = EmbedderChoice::of(name.as_deref(), folder.as_deref()).or_usage()?;
            Some(Embedding::open(&choice, processors()).or_usage()?)
        }
    };
    let judging = judging(arguments, &rollout)?.map(Arc::new);
    let definitions = read_metrics(arguments.metrics.as_deref(), Some(&gates))?;
    let looker = Looker::new(arguments.data.clone(), gates).embedding(meaning).judging(judging.clone());
    let looker = Arc::new(looker.defining(definitions));
    let mut metrics = RolloutMetrics::new(&rollout);
    if let Some(path) = &arguments.metrics_file {
        metrics.write(path).map_err(|error| {
            failure(Exit::Data, format!("{}: cannot be written: {error}", path.display()))
        })?;
    }
    let mut metrics_fail = false;
    let mut board = Board::new(&rollout, output::width(std::io::stderr().is_terminal()));
    let options = WatchOptions {
        data_dir: arguments.data.clone(),
        policy: watched_policy(&arguments.policy, &rollout.experiment)?,
        rollout,
        target: arguments.envoy.target.clone(),
        deadline: arguments.deadline_seconds.map(Duration::from_secs),
        wait_for_sign_off: arguments.wait_for_sign_off,
        restart: arguments.restart,
    };
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
            if !matches!(event.what, What::Looked { .. }) {
                timeline.push(entry(&event));
            }
        },
        stopped(),
    )
    .await;
    board.end();
    let outcome = outcome.map_err(refused)?;
    if wants_report && let Some(report) = looker.report(timeline).or_data()? {
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

fn entry(event: &Event) -> TimelineEntry {
    TimelineEntry {
        at: event.at.to_string(),
        kind: event.what.kind().to_owned(),
        text: event.what.to_string(),
    }
}
