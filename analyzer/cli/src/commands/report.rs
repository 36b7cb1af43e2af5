//! `weir report`: a stored report in another form, or judged again by other gates.

use jiff::Timestamp;
use weir_gate::Segment;
use weir_page::Change;
use weir_report::Report;

use crate::arguments::ReportArguments;
use crate::commands::analyze::read_gates;
use crate::commands::read_text;
use crate::exit::{Exit, Failure, OrExit, Outcome, failure};
use crate::output;

/// Segments that a hint names.
const KNOWN_SHOWN: usize = 12;

/// Runs the command.
pub(crate) fn run(arguments: &ReportArguments) -> Outcome {
    let plan = output::plan(&arguments.output.output, &arguments.output.output_file).or_usage()?;
    let text = read_text(&arguments.report)?;
    let report = weir_report::parse(&text)
        .map_err(|error| anyhow::anyhow!("{}: {error}", arguments.report.display()))
        .or_data()?;
    let change = Change {
        gates: match &arguments.gates {
            Some(gates) => Some(serde_json::from_str(&read_gates(gates)?.to_json()).or_data()?),
            None => None,
        },
        after: arguments.after.map(|time| look(&report, "--after", time)).transpose()?,
        until: arguments.until.map(|time| look(&report, "--until", time)).transpose()?,
        without: arguments.without.clone(),
    };
    there(&report, &change.without)?;
    if change == Change::default() {
        output::draw(&report, &plan)?;
        return Ok(Exit::Pass);
    }
    let report = weir_page::what_if(&report, &change)
        .map_err(|error| anyhow::anyhow!("{}: {error}", arguments.report.display()))
        .or_data()?;
    output::draw(&report, &plan)?;
    Ok(Exit::of(report.evaluation.verdict))
}

/// The last look of the report up to a time.
fn look(report: &Report, option: &str, time: Timestamp) -> Result<usize, Failure> {
    let times = || report.looks.iter().map(|look| look.at.parse::<Timestamp>().ok());
    times().rposition(|at| at.is_some_and(|at| at <= time)).ok_or_else(|| {
        let looks = match (report.looks.first(), report.looks.last()) {
            (Some(first), Some(last)) => format!("its looks are from {} to {}", first.at, last.at),
            _ => "it has no looks".to_owned(),
        };
        failure(Exit::Usage, format!("{option} {time}: before the first look of the report\n  hint: {looks}"))
    })
}

/// Refuses segments that the report does not know: nothing would be hidden.
fn there(report: &Report, hidden: &[Segment]) -> Result<(), Failure> {
    let mut known: Vec<String> = Vec::new();
    for (dimension, value) in report.evidence.iter().flat_map(|series| series.labels.sets.iter().flatten()) {
        let name = format!("{dimension}={value}");
        if !known.contains(&name) {
            known.push(name);
        }
    }
    for (dimension, value) in hidden.iter().flatten() {
        let name = format!("{dimension}={value}");
        if !known.contains(&name) {
            let shown: Vec<&str> = known.iter().map(String::as_str).take(KNOWN_SHOWN).collect();
            let hint = if shown.is_empty() { "it has none".to_owned() } else { shown.join(", ") };
            return Err(failure(
                Exit::Usage,
                format!("--without {name:?}: no such segment in the report\n  hint: {hint}"),
            ));
        }
    }
    Ok(())
}
