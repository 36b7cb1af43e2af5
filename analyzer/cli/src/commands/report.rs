//! `weir report`: a stored report in another form.

use crate::arguments::ReportArguments;
use crate::commands::read_text;
use crate::exit::{Exit, OrExit, Outcome};
use crate::output;

/// Runs the command.
pub(crate) fn run(arguments: &ReportArguments) -> Outcome {
    let plan = output::plan(&arguments.output.output, &arguments.output.output_file).or_usage()?;
    let text = read_text(&arguments.report)?;
    let report = weir_report::parse(&text)
        .map_err(|error| anyhow::anyhow!("{}: {error}", arguments.report.display()))
        .or_data()?;
    output::draw(&report, &plan)?;
    Ok(Exit::Pass)
}
