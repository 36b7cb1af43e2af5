//! `weir demo`: hands the options over.

use std::sync::Arc;

use weir_demo::{DemoError, DemoOptions, Terminal};

use crate::arguments::{DemoArguments, Scenario};
use crate::exit::{Exit, Failure, Outcome};

/// Runs the command.
pub(crate) async fn run(arguments: &DemoArguments) -> Outcome {
    let mut options = match (&arguments.answers, &arguments.control, &arguments.candidate) {
        (Some(folder), Some(control), Some(candidate)) => {
            DemoOptions::answers(folder.clone(), control.clone(), candidate.clone())
        }
        _ => DemoOptions::scenario(match arguments.scenario {
            Scenario::Worse => weir_demo::Scenario::Worse,
            Scenario::Same => weir_demo::Scenario::Same,
            Scenario::Better => weir_demo::Scenario::Better,
            Scenario::Meaning => weir_demo::Scenario::Meaning,
        }),
    };
    options.envoy.clone_from(&arguments.envoy_binary);
    options.filter.clone_from(&arguments.filter);
    options.out_dir.clone_from(&arguments.out);
    options.seed = arguments.seed;
    let outcome = weir_demo::run(options, Arc::new(Terminal::new())).await.map_err(refused)?;
    Ok(match outcome.exit_code() {
        0 => Exit::Pass,
        1 => Exit::Rollback,
        3 => Exit::Hold,
        4 => Exit::Human,
        6 => Exit::NotConfirmed,
        _ => Exit::Data,
    })
}

fn refused(error: DemoError) -> Failure {
    let exit = match error.exit_code() {
        2 => Exit::Usage,
        130 => Exit::Interrupted,
        _ => Exit::Data,
    };
    Failure { exit, error: error.into() }
}
