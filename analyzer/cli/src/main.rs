//! The weir binary: arguments, progress, exit codes.
//!
//! Each command is one file in `commands`; the rooms do the work. Data goes to standard output, progress and errors to
//! standard error, and every way out is one of the exit codes in `exit`.

#![deny(clippy::print_stdout)]

mod arguments;
mod commands;
mod exit;
mod output;
mod say;
mod settings;

use std::process::ExitCode;

use crate::arguments::Command;
use crate::exit::{Exit, Failure, OrExit, Outcome};

/// Columns of many sizes come and go on several threads: what the C library's allocator keeps of them between two files is a
/// third of a look's memory.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = match settings::parse() {
        Ok(Ok(arguments)) => arguments,
        // clap's own way out: help and version are no failures.
        Ok(Err(said)) => {
            let _closed = said.print();
            return if said.use_stderr() { Exit::Usage.into() } else { Exit::Pass.into() };
        }
        Err(failure) => return ended(&failure),
    };
    match run(&arguments.command) {
        Ok(exit) => say::ended(exit).into(),
        Err(failure) => ended(&failure),
    }
}

/// Says what went wrong, and gives the exit code of it.
fn ended(failure: &Failure) -> ExitCode {
    let text = failure.error.to_string();
    // A document's problems are blocks that begin with the word already.
    let prefix = if text.starts_with("error:") { "" } else { "error: " };
    eprintln!("{prefix}{text}");
    failure.exit.into()
}

fn run(command: &Command) -> Outcome {
    match command {
        Command::Validate(arguments) => commands::validate::run(arguments),
        Command::Assign(arguments) => commands::assign::run(arguments),
        Command::Import(arguments) => commands::import::run(arguments),
        Command::Compact(arguments) => commands::upkeep::run_compact(arguments),
        Command::Forget(arguments) => commands::upkeep::run_forget(arguments),
        Command::Analyze(arguments) => commands::analyze::run(arguments),
        Command::Plan(arguments) => commands::plan::run(arguments),
        Command::Rehearse(arguments) => commands::rehearse::run(arguments),
        Command::Embed(arguments) => commands::embed::run(arguments),
        Command::Label(arguments) => commands::label::run(arguments),
        Command::Golden(arguments) => commands::golden::golden(arguments),
        Command::History(arguments) => commands::hands::history(arguments),
        Command::Approve(arguments) => commands::hands::approve(arguments),
        Command::Pause(arguments) => commands::hands::pause(arguments),
        Command::Render(arguments) => commands::render::run(arguments),
        Command::Report(arguments) => commands::report::run(arguments),
        Command::Config(arguments) => commands::config::run(arguments),
        Command::Completions(arguments) => commands::completions::run(arguments),
        Command::Man(arguments) => commands::man::run(arguments),
        Command::Collect(arguments) => wait(commands::collect::run(arguments)),
        Command::Judge(arguments) => wait(commands::judge::run(arguments)),
        Command::Eval(arguments) => wait(commands::eval::run(arguments)),
        Command::Watch(arguments) => wait(commands::watch::run(arguments)),
        Command::Push(arguments) => wait(commands::hands::push(arguments)),
        Command::Rollback(arguments) => wait(commands::hands::rollback(arguments)),
        Command::Status(arguments) => wait(commands::hands::status(arguments)),
        Command::Demo(arguments) => wait(commands::demo::run(arguments)),
    }
}

/// Runs a command that waits for network, files or signals.
fn wait(command: impl Future<Output = Result<Exit, exit::Failure>>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().or_data()?;
    let outcome = runtime.block_on(command);
    // A look that still reads is not waited for.
    runtime.shutdown_background();
    outcome
}
