//! `weir completions`: from the same definition as the help.

use crate::arguments::CompletionsArguments;
use crate::exit::{Exit, Outcome};
use crate::settings;

/// Runs the command.
pub(crate) fn run(arguments: &CompletionsArguments) -> Outcome {
    clap_complete::generate(arguments.shell, &mut settings::command(), "weir", &mut std::io::stdout().lock());
    Ok(Exit::Pass)
}
