//! `weir import`: legs from other logs.

use std::sync::LazyLock;

use weir_collector::configuration::Collector as Document;
use weir_collector::redact::Rules;
use weir_collector::{ImportError, ImportOptions, import_jsonl};
use weir_report::{Progress, Unit};

use crate::arguments::{ImportArguments, ImportFormat};
use crate::exit::{Exit, Failure, OrExit as _, Outcome};
use crate::say::say;

/// Runs the command.
pub(crate) fn run(arguments: &ImportArguments) -> Outcome {
    let ImportFormat::Jsonl = arguments.format;
    let rules = match &arguments.config {
        Some(config) => Document::load(config).or_usage()?.1,
        None => Rules::default(),
    };
    let options = ImportOptions { skip_bad_lines: arguments.skip_bad_lines, rules, progress: Some(progress) };
    let summary =
        import_jsonl(&arguments.files, &arguments.data, &arguments.experiment, &options).map_err(refused)?;
    for problem in &summary.problems {
        eprintln!("warning: left out: {problem}");
    }
    say!(
        "{} legs and {} scores of experiment {} in {} new Parquet files; {} lines left out, {} secrets masked",
        summary.samples,
        summary.scores,
        arguments.experiment,
        summary.files.len(),
        summary.skipped_lines,
        summary.redactions
    );
    Ok(Exit::Pass)
}

/// Shows how much is read.
fn progress(done: u64, all: u64) {
    static SHOWN: LazyLock<Progress> = LazyLock::new(|| Progress::new("importing", Unit::Bytes));
    SHOWN.at(done, all);
}

fn refused(error: ImportError) -> Failure {
    let exit = match error {
        ImportError::Experiment(_) => Exit::Usage,
        _ => Exit::Data,
    };
    Failure { exit, error: error.into() }
}
