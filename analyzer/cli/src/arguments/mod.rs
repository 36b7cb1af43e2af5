//! The command line's grammar, and nothing else: what each command does stands in `commands`.
//!
//! One definition feeds parsing, `-h`, `--help`, the man pages and the completions; `settings` adds variables and defaults.

mod analysis;
mod capture;
mod demo;
mod documents;
mod golden;
pub(crate) mod help;
mod judging;
mod meaning;
mod planning;
mod render;
mod rollout;
mod upkeep;

use clap::{Parser, Subcommand};

pub(crate) use analysis::*;
pub(crate) use capture::*;
pub(crate) use demo::*;
pub(crate) use documents::*;
pub(crate) use golden::*;
pub(crate) use judging::*;
pub(crate) use meaning::*;
pub(crate) use planning::*;
pub(crate) use render::*;
pub(crate) use rollout::*;
pub(crate) use upkeep::*;

/// Version, commit and build.
const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncommit ",
    env!("WEIR_COMMIT"),
    "\nbuild  ",
    env!("WEIR_PROFILE"),
    ", ",
    env!("WEIR_TARGET_TRIPLE")
);

/// Gates on AI changes inside an Envoy mesh: compare what answers say, roll back when they say worse
#[derive(Debug, Parser)]
#[command(name = "weir", version, long_version = VERSION, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 promote or pass; 1 rollback; 2 usage or configuration; 3 hold; \
4 investigate or sign-off; 5 data or I/O; 6 push not confirmed.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check documents (policy, gates, rollout) and report every problem at once
    Validate(ValidateArguments),
    /// Say which cohort a request gets, by which rule and bucket, and why
    Assign(AssignArguments),
    /// Receive samples over OTLP/HTTP, acknowledge them when durable, write Parquet
    Collect(CollectArguments),
    /// Bring in legs from other logs
    Import(ImportArguments),
    /// Merge small files, remove what is too old
    Compact(CompactArguments),
    /// Erase one identity's samples from Parquet and the log
    Forget(ForgetArguments),
    /// Compare candidate with control and give a verdict
    Analyze(AnalyzeArguments),
    /// Say how much evidence the gates need, how long that takes, and what the copies cost
    Plan(PlanArguments),
    /// Try the gates on false candidates out of control's own history: how often would they have fired?
    Rehearse(RehearseArguments),
    /// Embed answers: how far candidate and control are apart in meaning, and what tripwires see
    Embed(EmbedArguments),
    /// Let judges score answers, within a budget
    Judge(JudgeArguments),
    /// Score answers yourself, and learn how far the judges are to be trusted
    Label(LabelArguments),
    /// Ask both versions the cases of a golden set, and block what regressed
    Eval(EvalArguments),
    /// Keep a golden set: cases from captured failures, what it covers
    Golden(GoldenArguments),
    /// Look again and again, decide, push and confirm
    Watch(WatchArguments),
    /// Push a policy to the proxies and wait until they confirm it
    Push(PushArguments),
    /// Send everything back to control, now
    Rollback(RollbackArguments),
    /// Show where a rollout stands and what the proxies report
    Status(StatusArguments),
    /// List the decisions of a rollout
    History(RolloutArguments),
    /// Sign off what waits for a human: the rollout goes on
    Approve(RolloutArguments),
    /// Hold the rollout at its step until it is approved
    Pause(RolloutArguments),
    /// Write what Envoy, Istio or Envoy Gateway installs for a policy, or the module as an image
    Render(RenderArguments),
    /// Show a stored report (JSON) in another form
    Report(ReportArguments),
    /// Show the whole loop on this machine: models, traffic, Envoy, verdict, rollback
    Demo(DemoArguments),
    /// Show every setting with its value and where that comes from
    Config(ConfigArguments),
    /// Print completions for a shell
    Completions(CompletionsArguments),
    /// Write man pages into a folder
    Man(ManArguments),
}
