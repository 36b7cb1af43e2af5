//! `weir report`: a stored report in another form, or judged again by other gates.

use crate::arguments::ReportArguments;
use crate::commands::analyze::read_gates;
use crate::commands::read_text;
use crate::exit::{Exit, OrExit, Outcome};
use crate::output;
use weir_page::Change;

/// Runs the command.
pub(crate) fn run(arguments: &ReportArguments) -> Outcome {
    let plan = output::plan(&arguments.output.output, &arguments.output.output_file).or_usage()?;
    let text = read_text(&arguments.report)?;
    let report = weir_report::parse(&text)
        .map_err(|error| anyhow::anyhow!("{}: {error}", arguments.report.display()))
        .or_data()?;
    let Some(gates) = &arguments.gates else {
        output::draw(&report, &plan)?;
        return Ok(Exit::Pass);
    };
    let gates = serde_json::from_str(&read_gates(gates)?.to_json()).or_data()?;
    let report = weir_page::what_if(&report, &Change { gates: Some(gates), ..Change::default() })
        .map_err(|error| anyhow::anyhow!("{}: {error}", arguments.report.display()))
        .or_data()?;
    output::draw(&report, &plan)?;
    Ok(Exit::of(report.evaluation.verdict))
}
