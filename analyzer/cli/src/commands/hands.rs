//! `weir push`, `rollback`, `status`, `history`, `approve` and `pause`: what people do by hand.

use weir_controller::hands::PushedByHand;
use weir_controller::{ControllerError, Decision, RolloutFolder, State, Which, hands};

use crate::arguments::{
    DataArguments, PushArguments, RollbackArguments, RolloutArguments, StatusArguments, TextOrJson,
};
use crate::commands::documents::{self, Traffic};
use crate::exit::{Exit, Failure, OrExit, Outcome, failure};
use crate::say::say;

/// `weir push`
pub(crate) async fn push(arguments: &PushArguments) -> Outcome {
    let target = &arguments.envoy.target;
    let pushed = match documents::read(&arguments.policy, arguments.which.experiment.as_deref())? {
        Traffic::Policy(policy) => hands::push(None, &policy, target, arguments.restore).await,
        Traffic::Experiments(experiments) => {
            hands::push_experiments(&experiments, target, arguments.restore).await
        }
    };
    print_pushed("", &pushed.map_err(refused)?);
    Ok(Exit::Pass)
}

/// `weir rollback`
pub(crate) async fn rollback(arguments: &RollbackArguments) -> Outcome {
    let experiment = arguments.which.experiment.as_deref();
    let fallback = match &arguments.policy {
        Some(path) => Some(documents::read_one(path, experiment)?),
        None => None,
    };
    let which = match experiment {
        Some(name) => Some(Which::One(name.to_owned())),
        None => arguments.all.then_some(Which::All),
    };
    let target = &arguments.envoy.target;
    let pushed =
        hands::rollback(arguments.data.as_deref(), which, fallback.as_ref(), target, &arguments.reason)
            .await
            .map_err(refused)?;
    for problem in &pushed.problems {
        eprintln!("warning: rolled back, but not recorded: {problem}");
    }
    print_pushed("rolled back: ", &pushed);
    Ok(Exit::Pass)
}

fn print_pushed(what: &str, pushed: &PushedByHand) {
    say!(
        "{what}revision {} (was {}) confirmed by {} after {:.0} ms",
        pushed.written.revision,
        pushed.written.revision_before,
        count(pushed.confirmed.proxies.len()),
        pushed.confirmed.confirmed_ms
    );
}

/// `weir status`
pub(crate) async fn status(arguments: &StatusArguments) -> Outcome {
    let rollout = &arguments.rollout;
    let Some(target) = &arguments.target else {
        let experiment = experiment(&rollout.data)?;
        let state = recorded(&rollout.data, &experiment)?;
        print_state(&state, rollout.output)?;
        return Ok(Exit::Pass);
    };
    let report = hands::status(Some(&rollout.data.data), rollout.data.experiment.as_deref(), target)
        .await
        .map_err(refused)?;
    if rollout.output == TextOrJson::Json {
        say!("{}", serde_json::to_string_pretty(&report).or_data()?);
    } else {
        if let Some(state) = &report.state {
            print_state(state, TextOrJson::Text)?;
        }
        say!(
            "file       revision {}, mode {}",
            report.file_revision,
            report.file_mode.as_deref().unwrap_or(if report.experiments.is_empty() {
                "unknown"
            } else {
                "several"
            })
        );
        for one in &report.experiments {
            say!("           {}: revision {}, mode {}", one.experiment, one.revision, one.mode);
        }
        for proxy in &report.proxies {
            say!(
                "proxy      {}: version_text {}, x-weir-revision {}, {} rejected",
                proxy.proxy,
                proxy.version_text.as_deref().unwrap_or("not shown"),
                proxy.probe_revision.as_deref().unwrap_or("not shown"),
                proxy.update_rejected.unwrap_or_default()
            );
        }
    }
    if report.disagreements.is_empty() {
        return Ok(Exit::Pass);
    }
    Err(failure(
        Exit::NotConfirmed,
        format!("file, record and proxies do not agree:\n  {}", report.disagreements.join("\n  ")),
    ))
}

/// `weir history`
pub(crate) fn history(arguments: &RolloutArguments) -> Outcome {
    let experiment = experiment(&arguments.data)?;
    let history = hands::history(&arguments.data.data, &experiment).map_err(refused)?;
    for problem in &history.problems {
        eprintln!("warning: {problem}");
    }
    for decision in &history.decisions {
        match arguments.output {
            TextOrJson::Json => say!("{}", serde_json::to_string(decision).or_data()?),
            TextOrJson::Text => print_decision(decision),
        }
    }
    Ok(Exit::Pass)
}

/// `weir approve`
pub(crate) fn approve(arguments: &RolloutArguments) -> Outcome {
    change(arguments, hands::approve)
}

/// `weir pause`
pub(crate) fn pause(arguments: &RolloutArguments) -> Outcome {
    change(arguments, hands::pause)
}

/// The experiment that was named, or the only one that has a rollout in the data folder.
pub(crate) fn experiment(data: &DataArguments) -> Result<String, Failure> {
    if let Some(experiment) = &data.experiment {
        return Ok(experiment.clone());
    }
    let folder = data.data.join("rollout");
    let unreadable = |error: std::io::Error| {
        failure(
            Exit::Data,
            format!(
                "{}: cannot be read: {error}\n  hint: give the data folder of a `weir watch`",
                folder.display()
            ),
        )
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
        found.push(entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned());
    }
    found.sort();
    match found.as_slice() {
        [only] => Ok(only.clone()),
        several => Err(failure(
            Exit::Usage,
            format!(
                "{}: holds the rollouts of {} experiments: {}\n  hint: name one with --experiment",
                folder.display(),
                several.len(),
                several.join(", ")
            ),
        )),
    }
}

/// A controller's error with its exit code.
pub(crate) fn refused(error: ControllerError) -> Failure {
    let exit = match error.exit_code() {
        2 => Exit::Usage,
        6 => Exit::NotConfirmed,
        _ => Exit::Data,
    };
    Failure { exit, error: error.into() }
}

fn change(
    arguments: &RolloutArguments,
    apply: impl FnOnce(&std::path::Path, &str, &str) -> Result<State, ControllerError>,
) -> Outcome {
    let experiment = experiment(&arguments.data)?;
    let who = std::env::var("USER").unwrap_or_else(|_| "the command line".to_owned());
    let state = apply(&arguments.data.data, &experiment, &who).map_err(refused)?;
    print_state(&state, arguments.output)?;
    Ok(Exit::Pass)
}

fn recorded(data: &DataArguments, experiment: &str) -> Result<State, Failure> {
    let folder = RolloutFolder::new(&data.data, experiment).or_usage()?;
    folder.read_state().or_data()?.ok_or_else(|| {
        failure(
            Exit::Data,
            format!(
                "{}: holds no rollout of {experiment}\n  hint: `weir watch` begins one",
                data.data.display()
            ),
        )
    })
}

fn print_state(state: &State, output: TextOrJson) -> Result<(), Failure> {
    if output == TextOrJson::Json {
        say!("{}", serde_json::to_string_pretty(state).or_data()?);
        return Ok(());
    }
    let confirmed = if state.confirmed { "confirmed" } else { "not confirmed" };
    say!("experiment {}", state.experiment);
    say!("status     {}", state.status);
    say!("step       {} '{}', since {}", state.step + 1, state.step_name, state.since);
    say!("revision   {}, {confirmed}", state.revision);
    say!("decisions  {}", state.decisions);
    Ok(())
}

fn print_decision(decision: &Decision) {
    let action = serde_json::to_value(decision.action).unwrap_or_default();
    let revisions = match decision.revision_after {
        Some(after) => format!("revision {} to {after}", decision.revision_before),
        None => format!("revision {}", decision.revision_before),
    };
    say!(
        "{:>4}  {}  {:<10} {:<15} step '{}', {revisions}",
        decision.number,
        decision.at,
        decision.by,
        action.as_str().unwrap_or_default(),
        decision.step
    );
    if let Some(reason) = decision.reasons.first() {
        say!("      {reason}");
    }
}

fn count(proxies: usize) -> String {
    if proxies == 1 { "1 proxy".to_owned() } else { format!("{proxies} proxies") }
}
