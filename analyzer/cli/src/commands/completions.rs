//! `weir completions`: from the same definition as the help.

use clap::CommandFactory;

use crate::arguments::{Arguments, CompletionsArguments};
use crate::exit::{Exit, Outcome};

/// Runs the command.
pub(crate) fn run(arguments: &CompletionsArguments) -> Outcome {
    clap_complete::generate(
        arguments.shell,
        &mut Arguments::command(),
        "weir",
        &mut std::io::stdout().lock(),
    );
    Ok(Exit::Pass)
}
